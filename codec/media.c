// SPDX-License-Identifier: BSD-2-Clause
//
// The rules of media.h in code.  Whoever makes a struct media (a probe, the
// unpacker) ends in media_finish, so they are written once.

#include "codec/media.h"

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "base/utf8.h"
#include "codec/grid.h"

static const struct {
    const char *name, *decoder;
    bool video;
} codecs[CODEC_COUNT] = {
    [CODEC_NONE] = { "none", "none", false },
#define X(id, name, decoder, video) [id] = { name, decoder, video },
#include "codec/codecs.def"
#undef X
};

const char *codec_name(enum codec_id id)
{
    assert(id < CODEC_COUNT);
    return codecs[id].name;
}

const char *codec_decoder(enum codec_id id)
{
    assert(id < CODEC_COUNT);
    return codecs[id].decoder;
}

bool codec_is_video(enum codec_id id)
{
    assert(id < CODEC_COUNT);
    return codecs[id].video;
}

const char *container_name(enum container c)
{
    static const char *const names[CONTAINER_COUNT] = {
        [CONTAINER_NONE] = "none",
#define X(id, demuxer, name) [id] = name,
#include "codec/containers.def"
#undef X
    };
    assert(c >= CONTAINER_NONE && c < CONTAINER_COUNT);
    return names[c];
}

struct media *media_create(void)
{
    return xcalloc(1, sizeof(struct media));
}

static void audio_finish(struct audio_track *a)
{
    carriage_finish(&a->carriage);
    free(a->extradata);
    free(a->samples);
}

void media_destroy(struct media *m)
{
    if (!m)
        return;
    carriage_finish(&m->video.carriage);
    for (int i = 0; i < m->video.more_headers_count; i++)
        free(m->video.more_headers[i].bytes);
    free(m->video.palette);
    free(m->video.extradata);
    free(m->video.samples);
    free(m->video.shown);
    audio_finish(&m->audio);
    for (int i = 0; i < m->more_audio_count; i++)
        audio_finish(&m->more_audio[i]);
    for (int i = 0; i < m->text_count; i++)
        free(m->texts[i].samples);
    free(m);
}

void media_keep_audios(struct media *m, int n)
{
    while (m->more_audio_count > 0 && m->more_audio_count >= n)
        audio_finish(&m->more_audio[--m->more_audio_count]);
    if (n == 0) {
        audio_finish(&m->audio);
        m->audio = (struct audio_track){ .codec = CODEC_NONE };
    }
}

static uint8_t *copy_bytes(const uint8_t *p, int n)
{
    return n > 0 ? memcpy(xmalloc((size_t)n), p, (size_t)n) : NULL;
}

struct media *media_copy_head(const struct media *m, int audio)
{
    struct media *copy = media_create();
    *copy = *m;
    if (audio > 0)
        copy->audio = *media_audio(m, audio);
    copy->video.palette = m->video.palette ? copy_bytes(m->video.palette, MEDIA_PALETTE) : NULL;
    copy->video.extradata = copy_bytes(m->video.extradata, m->video.extradata_size);
    for (int i = 0; i < m->video.more_headers_count; i++)
        copy->video.more_headers[i].bytes =
            copy_bytes(m->video.more_headers[i].bytes, m->video.more_headers[i].size);
    copy->audio.extradata = copy_bytes(copy->audio.extradata, copy->audio.extradata_size);
    copy->video.samples = copy->audio.samples = NULL;
    copy->video.shown = NULL;
    copy->text_count = copy->more_audio_count = 0;
    copy->video.carriage.pieces = copy->audio.carriage.pieces = NULL;
    return copy;
}

// ---- the rules of the head

static bool coded_ok(const uint8_t *extradata, int size, const struct strip *s, int samples)
{
    return in_range(size, 0, MEDIA_EXTRADATA_MAX) && (size == 0 || extradata) &&
           in_range(s->n, 0, MEDIA_STRIP_MAX) && in_range(samples, 1, MEDIA_SAMPLES_MAX);
}

bool mastering_ok(const struct mastering *m)
{
    for (int i = 0; i < 8; i++)
        if (m->display[i] > UINT16_MAX)
            return false;
    return m->light[0] <= UINT16_MAX && m->light[1] <= UINT16_MAX;
}

static bool video_ok(const struct video_track *v)
{
    return codec_is_video(v->codec) && in_range(v->timescale, 1, 1000000000) &&
           in_range(v->coded_width, 1, 32768) && in_range(v->coded_height, 1, 32768) &&
           v->sar_num > 0 && v->sar_den > 0 && in_range(v->rotate, 0, 270) && v->rotate % 90 == 0 &&
           in_range(v->bit_depth, 8, 16) && in_range(v->colour.primaries, 0, 255) &&
           in_range(v->colour.transfer, 0, 255) && in_range(v->colour.matrix, 0, 255) &&
           in_range(v->peak_nits, 0, 1000000) && in_range(v->bits_per_sample, 0, 64) &&
           mastering_ok(&v->mastering) && in_range(v->fields, FIELDS_NONE, FIELDS_COUNT - 1) &&
           in_range(v->reorder, 0, 255) && in_range(v->sight, SIGHT_UNSEEN, SIGHTS - 1) &&
           in_range(v->end, 1, v->timescale * MEDIA_SECONDS_MAX) && v->bytes >= 0 &&
           in_range(v->shown_count, 1, v->sample_count) && carriage_ok(&v->carriage) &&
           coded_ok(v->extradata, v->extradata_size, &v->strip, v->sample_count);
}

static bool tags_ok(const struct tags *t)
{
    char again[MEDIA_TITLE];
    const size_t n = strnlen(t->title, MEDIA_TITLE);
    media_title(t->title, n, again);
    return n < MEDIA_TITLE && strcmp(t->title, again) == 0 && language_is_tag(t->language) &&
           t->flags <= TAGS;
}

static bool audio_ok(const struct audio_track *a)
{
    return !codec_is_video(a->codec) && in_range(a->sample_rate, 8000, 192000) &&
           in_range(a->channels, 1, 8) && tags_ok(&a->tags) &&
           in_range(a->block_align, 0, 1 << 24) && in_range(a->bits_per_sample, 0, 64) &&
           in_range(a->bit_rate, 0, INT32_MAX) && a->bytes >= 0 && carriage_ok(&a->carriage) &&
           coded_ok(a->extradata, a->extradata_size, &a->strip, a->sample_count);
}

static bool more_audio_ok(const struct media *m)
{
    const bool allowed = media_has_video(m) && media_has_audio(m);
    bool ok = in_range(m->more_audio_count, 0, allowed ? MEDIA_AUDIOS - 1 : 0);
    for (int i = 0; ok && i < m->more_audio_count; i++)
        ok = m->more_audio[i].codec != CODEC_NONE && audio_ok(&m->more_audio[i]);
    return ok;
}

static bool texts_ok(const struct media *m)
{
    bool ok = in_range(m->text_count, 0, media_has_video(m) ? MEDIA_TEXTS : 0);
    for (int i = 0; ok && i < m->text_count; i++) {
        const struct text_track *t = &m->texts[i];
        ok = in_range(t->format, TEXT_NONE + 1, TEXT_FORMATS - 1) && tags_ok(&t->tags) &&
             in_range(t->strip.n, 0, MEDIA_STRIP_MAX) &&
             in_range(t->sample_count, 1, MEDIA_TEXT_SAMPLES);
    }
    return ok;
}

static bool grid_ok(const struct media *m)
{
    const struct rational fps = m->fps;
    if (media_has_video(m)) {
        if (!in_range(fps.den, 1, 1001) || !in_range(fps.num, fps.den, 60 * fps.den))
            return false;
    } else if (fps.num != media_output_rate(m->audio.sample_rate) || fps.den != 1024) {
        return false;
    }
    return in_range(m->frames, 1, muldiv_ceil(MEDIA_SECONDS_MAX, fps.num, fps.den));
}

// All but the grid.
static bool tracks_ok(const struct media *m)
{
    const bool video = media_has_video(m), audio = media_has_audio(m);
    return in_range(m->container, CONTAINER_MP4, CONTAINER_COUNT - 1) &&
           in_range(m->size, 1, MEDIA_SIZE_MAX) && (video || audio) &&
           (!video || video_ok(&m->video)) && (!audio || audio_ok(&m->audio)) && more_audio_ok(m) &&
           texts_ok(m);
}

int media_check_head(const struct media *m)
{
    return tracks_ok(m) && grid_ok(m) ? 0 : -E_CORRUPT;
}

// ---- the rules of the tables

// Its bytes lie within [begin, size).
static bool sample_ok(int64_t begin, int64_t size, const struct sample *s, int64_t timescale)
{
    const int64_t limit = timescale * MEDIA_SECONDS_MAX;
    return in_range(s->offset, begin, size) && in_range(s->size, 1, size - s->offset) &&
           in_range(s->pts, -limit, limit) && in_range(s->duration, 0, limit);
}

static int check_audio(const struct media *m, struct audio_track *a)
{
    const int64_t begin = carriage_begin(&a->carriage);
    const int64_t size = carriage_size(&a->carriage, m->size);
    int64_t end = INT64_MIN;
    a->bytes = 0;
    for (int i = 0; i < a->sample_count; i++) {
        const struct sample *s = &a->samples[i];
        if (!sample_ok(begin, size, s, a->sample_rate) || s->pts < end)
            return -E_CORRUPT;
        end = s->pts + (s->duration > 0 ? s->duration : 1);
        a->bytes += s->size;
    }
    return 0;
}

static int check_video(struct media *m)
{
    struct video_track *v = &m->video;
    const int64_t begin = carriage_begin(&v->carriage);
    const int64_t size = carriage_size(&v->carriage, m->size);
    v->bytes = 0;
    for (int i = 0; i < v->sample_count; i++) {
        if (!sample_ok(begin, size, &v->samples[i], v->timescale))
            return -E_CORRUPT;
        v->bytes += v->samples[i].size;
    }
    return 0;
}

static int check_text(const struct media *m, const struct text_track *t)
{
    for (int i = 0; i < t->sample_count; i++) {
        const struct sample *s = &t->samples[i];
        if (!sample_ok(0, m->size, s, MEDIA_TEXT_RATE) || s->duration == 0 ||
            s->pts + s->duration <= 0 || (i > 0 && s->pts < s[-1].pts))
            return -E_CORRUPT;
    }
    return 0;
}

static int check_texts(const struct media *m)
{
    int rc = 0;
    for (int i = 0; i < m->text_count && rc == 0; i++)
        rc = check_text(m, &m->texts[i]);
    return rc;
}

struct shown {
    int64_t pts;
    int index;
};

static int by_pts(const void *a, const void *b)
{
    const struct shown *x = a, *y = b;
    if (x->pts != y->pts)
        return x->pts < y->pts ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static int collect_shown(const struct video_track *v, struct shown *list)
{
    int n = 0;
    for (int i = 0; i < v->sample_count; i++)
        if (in_range(v->samples[i].pts, 0, v->end - 1))
            list[n++] = (struct shown){ v->samples[i].pts, i };
    qsort(list, (size_t)n, sizeof *list, by_pts);

    int kept = 0;
    for (int i = 0; i < n; i++)
        if (kept == 0 || list[i].pts != list[kept - 1].pts)
            list[kept++] = list[i];
    return kept;
}

static int make_shown(struct video_track *v)
{
    assert(v->sample_count > 0);
    struct shown *list = malloc((size_t)v->sample_count * sizeof *list);
    int *shown = calloc((size_t)v->sample_count, sizeof *shown);
    if (!list || !shown) {
        free(list);
        free(shown);
        return -E_NO_MEMORY;
    }
    v->shown_count = collect_shown(v, list);
    for (int i = 0; i < v->shown_count; i++)
        shown[i] = list[i].index;
    free(list);
    free(v->shown);
    v->shown = shown;
    return v->shown_count > 0 && v->samples[shown[0]].pts == 0 ? 0 : -E_CORRUPT;
}

// ---- the grid

// The end of the audio in decoded samples.
static int64_t audio_end(const struct audio_track *a)
{
    const struct sample *last = &a->samples[a->sample_count - 1];
    return last->pts + last->duration;
}

// In ticks of the video; the audio's where that goes on for more than half a second.
static int64_t content_end(const struct media *m)
{
    if (!media_has_audio(m))
        return m->video.end;
    const int64_t t = muldiv_floor(audio_end(&m->audio), m->video.timescale, m->audio.sample_rate);
    return t - m->video.end > m->video.timescale / 2 ? t : m->video.end;
}

static int make_grid(struct media *m)
{
    const struct video_track *v = &m->video;
    int64_t *pts = malloc((size_t)v->shown_count * sizeof *pts);
    if (!pts)
        return -E_NO_MEMORY;
    for (int i = 0; i < v->shown_count; i++)
        pts[i] = v->samples[v->shown[i]].pts;
    m->fps = grid_fps(pts, v->shown_count, v->end, v->timescale);
    m->frames = grid_frames(content_end(m), v->timescale, m->fps);
    m->constant_rate =
        m->frames == v->shown_count && grid_identity(pts, v->shown_count, v->timescale, m->fps);
    free(pts);
    return 0;
}

static int make_audio_grid(struct media *m)
{
    const int rate = media_output_rate(m->audio.sample_rate);
    m->fps = (struct rational){ rate, 1024 };
    m->frames = muldiv_ceil(audio_end(&m->audio), rate, (int64_t)m->audio.sample_rate * 1024);
    m->constant_rate = false;
    return m->frames > 0 ? 0 : -E_CORRUPT;
}

void media_set_fps(struct media *m, struct rational fps)
{
    m->fps = fps;
    m->frames = grid_frames(content_end(m), m->video.timescale, fps);
    m->constant_rate = false; // nobody asks
}

int media_finish(struct media *m)
{
    m->video.shown_count = m->video.sample_count; // not known yet; in range for tracks_ok
    m->video.bytes = m->audio.bytes = 0;
    for (int i = 0; i < m->more_audio_count; i++)
        m->more_audio[i].bytes = 0;
    if (!tracks_ok(m))
        return -E_CORRUPT;
    int rc = check_texts(m);
    if (rc == 0 && media_has_audio(m))
        rc = check_audio(m, &m->audio);
    for (int i = 0; i < m->more_audio_count && rc == 0; i++)
        rc = check_audio(m, &m->more_audio[i]);
    if (rc == 0 && media_has_video(m)) {
        rc = check_video(m);
        if (rc == 0)
            rc = make_shown(&m->video);
        if (rc == 0)
            rc = make_grid(m);
    } else if (rc == 0) {
        rc = make_audio_grid(m);
    }
    return rc == 0 ? media_check_head(m) : rc;
}

// ---- questions

void media_display_size(const struct media *m, int *width, int *height)
{
    const struct video_track *v = &m->video;
    int64_t w = muldiv_round(v->coded_width, v->sar_num, v->sar_den);
    w = w < 1 ? 1 : w > 65535 ? 65535 : w;
    const bool turned = v->rotate % 180 != 0;
    *width = turned ? v->coded_height : (int)w;
    *height = turned ? (int)w : v->coded_height;
}

int media_output_rate(int sample_rate)
{
    return sample_rate == 32000 || sample_rate == 44100 ? sample_rate : 48000;
}

// Far above any real one, so that sums of rates stay harmless.
static int64_t rate(int64_t bytes, struct rational seconds)
{
    const __int128 r = (__int128)8 * bytes * seconds.den / seconds.num;
    return r > 1000000000000 ? 1000000000000 : (int64_t)r;
}

int64_t media_video_rate(const struct media *m)
{
    if (m->reach == MEDIA_CONTINUED)
        return m->beginning_rate;
    return rate(m->video.bytes, (struct rational){ m->video.end, m->video.timescale });
}

int64_t media_audio_rate(const struct media *m, int i)
{
    return rate(media_audio(m, i)->bytes, (struct rational){ m->frames * m->fps.den, m->fps.num });
}

// Bytes that no attribute of a playlist may hold are left out, as is what is no UTF-8.
static bool may_stand_in_title(const uint8_t *p, size_t length)
{
    return length > 0 && *p >= ' ' && *p != '"' && *p != 0x7f &&
           !(length == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

void media_title(const void *text, size_t n, char out[MEDIA_TITLE])
{
    const uint8_t *p = text;
    size_t used = 0;
    while (n > 0) {
        const size_t length = utf8_sequence(p, n), step = length ? length : 1;
        if (may_stand_in_title(p, length)) {
            if (used + length >= MEDIA_TITLE)
                break;
            memcpy(out + used, p, length);
            used += length;
        }
        p += step;
        n -= step;
    }
    out[used] = '\0';
}

static size_t audio_memory(const struct audio_track *a)
{
    size_t n = (size_t)a->extradata_size;
    if (a->samples)
        n += (size_t)a->sample_count * sizeof(struct sample);
    if (a->carriage.pieces)
        n += (size_t)a->carriage.piece_count * sizeof(struct piece);
    return n;
}

size_t media_memory(const struct media *m)
{
    size_t n = sizeof *m + (size_t)m->video.extradata_size + (m->video.palette ? MEDIA_PALETTE : 0);
    for (int i = 0; i < m->video.more_headers_count; i++)
        n += (size_t)m->video.more_headers[i].size;
    if (m->video.samples)
        n += (size_t)m->video.sample_count * sizeof(struct sample);
    if (m->video.shown)
        n += (size_t)m->video.shown_count * sizeof(int);
    for (int i = 0; i < media_audio_count(m); i++)
        n += audio_memory(media_audio(m, i));
    for (int i = 0; i < m->text_count; i++)
        n += !m->texts[i].samples ? 0 : (size_t)m->texts[i].sample_count * sizeof(struct sample);
    if (m->video.carriage.pieces)
        n += (size_t)m->video.carriage.piece_count * sizeof(struct piece);
    return n;
}
