// SPDX-License-Identifier: BSD-2-Clause
//
// The packed form is a row of varints, per kind exactly the fields that the kind
// uses.  Unpacking keeps reading after a fault (a bad reader gives zeros) and asks
// once per table, so that nothing is allocated by the word of a count alone: every
// row takes bytes, and those must be there.

#include "codec/job.h"

#include <string.h>

#include "base/base.h"
#include "base/bytes.h"
#include "base/err.h"

#define TIME_MAX ((int64_t)1 << 56) // of any pts, frame or sample number
#define SOURCE_MAX ((int64_t)1 << 60)
#define HEAD_MAX (1024 * 1024) // of the packed head of an index
#define STAT_MAX ((int64_t)1 << 48)

// ---- packing

static void pack_video_settings(struct buf *out, const struct video_settings *v)
{
    put_v(out, v->codec);
    put_v(out, (uint64_t)v->width);
    put_v(out, (uint64_t)v->height);
    put_v(out, (uint64_t)v->fps.num);
    put_v(out, (uint64_t)v->fps.den);
    put_v(out, v->deinterlace);
    put_v(out, (uint64_t)v->crf);
    put_v(out, (uint64_t)v->maxrate);
    put_v(out, (uint64_t)v->bufsize);
    put_v(out, (uint64_t)v->vbv_init_permille);
    put_v(out, (uint64_t)v->level);
    put_v(out, (uint64_t)preset_number(v->preset));
    put_v(out, (uint64_t)v->colour.primaries);
    put_v(out, (uint64_t)v->colour.transfer);
    put_v(out, (uint64_t)v->colour.matrix);
    if (is_ten_bit(v))
        mastering_pack(&v->mastering, out);
    else
        put_v(out, v->encoder);
}

static void pack_audio_settings(struct buf *out, const struct audio_settings *a)
{
    put_v(out, (uint64_t)a->sample_rate);
    put_v(out, (uint64_t)a->channels);
    put_v(out, (uint64_t)a->quality);
    put_v(out, a->codec);
}

static void pack_sheet_settings(struct buf *out, const struct sheet_settings *s)
{
    put_v(out, (uint64_t)s->width);
    put_v(out, (uint64_t)s->height);
    put_v(out, (uint64_t)s->columns);
    put_v(out, (uint64_t)s->rows);
    put_v(out, (uint64_t)s->quality);
    put_v(out, (uint64_t)s->tile_bytes);
}

static void pack_samples(struct buf *out, const struct job *j)
{
    carriage_pack(&j->carriage, out);
    carriage_pack_pieces(&j->carriage, out);
    put_v(out, (uint64_t)j->sample_count);
    int64_t offset = 0, pts = 0;
    for (int i = 0; i < j->sample_count; i++) {
        const struct sample *s = &j->samples[i];
        put_z(out, s->offset - offset);
        put_z(out, s->pts - pts);
        put_v(out, (uint64_t)s->size << 1 | s->sync);
        put_v(out, s->duration);
        put_v(out, s->headers);
        offset = s->offset;
        pts = s->pts;
    }
}

static void pack_picks(struct buf *out, const struct job *j)
{
    put_v(out, (uint64_t)j->pick_count);
    int64_t pts = -1;
    for (int i = 0; i < j->pick_count; i++) {
        put_v(out, (uint64_t)(j->picks[i].pts - pts));
        put_v(out, (uint64_t)j->picks[i].repeat);
        pts = j->picks[i].pts;
    }
}

static void pack_video(struct buf *out, const struct job *j)
{
    pack_video_settings(out, &j->v);
    pack_samples(out, j);
    put_v(out, (uint64_t)j->beyond);
    buf_append(out, j->source.b, sizeof j->source.b);
    put_v(out, (uint64_t)j->first);
    put_v(out, j->continues);
    pack_picks(out, j);
    put_v(out, (uint64_t)j->part_count);
    for (int i = 0; i < j->part_count; i++)
        put_v(out, (uint64_t)j->part_frames[i]);
    put_v(out, (uint64_t)j->parts_at_once);
    put_v(out, (uint64_t)j->last_ticks);
    put_v(out, (uint64_t)j->sequence);
    put_v(out, (uint64_t)j->also_count);
    for (int i = 0; i < j->also_count; i++)
        pack_video_settings(out, &j->also[i]);
}

static void pack_audio(struct buf *out, const struct job *j)
{
    pack_audio_settings(out, &j->a);
    pack_samples(out, j);
    put_v(out, (uint64_t)j->first);
    put_v(out, (uint64_t)j->frames);
    put_v(out, (uint64_t)j->end);
    put_v(out, (uint64_t)j->bits);
    put_v(out, (uint64_t)j->sequence);
}

static void pack_sheet(struct buf *out, const struct job *j)
{
    pack_sheet_settings(out, &j->s);
    pack_samples(out, j);
    put_v(out, (uint64_t)j->first);
    pack_picks(out, j);
    put_v(out, (uint64_t)j->bits);
    put_v(out, (uint64_t)j->run_count);
    for (int i = 0; i < j->run_count; i++) {
        put_v(out, (uint64_t)j->runs[i].samples);
        put_v(out, (uint64_t)j->runs[i].picks);
    }
}

static void pack_init(struct buf *out, const struct job *j)
{
    put_u8(out, j->video);
    if (j->video)
        pack_video_settings(out, &j->v);
    else
        pack_audio_settings(out, &j->a);
}

static void pack_text(struct buf *out, const struct job *j)
{
    put_v(out, j->t.format);
    put_u8(out, j->t.file);
    put_v(out, (uint64_t)j->from);
    put_v(out, (uint64_t)j->to);
    put_v(out, (uint64_t)j->shift);
    put_v(out, (uint64_t)j->strip.n);
    buf_append(out, j->strip.bytes, (size_t)j->strip.n);
    put_v(out, j->strip.deflated);
    pack_samples(out, j);
}

static int pack_head(struct buf *out, const struct media *m)
{
    struct buf head;
    buf_init(&head, HEAD_MAX);
    const int rc = media_pack_head(m, &head);
    put_v(out, head.len);
    buf_append(out, head.data, head.len);
    buf_finish(&head);
    return rc;
}

int job_pack(const struct job *j, struct buf *out)
{
    put_u8(out, (uint8_t)j->kind);
    put_v(out, (uint64_t)j->limits.pixels);
    put_v(out, (uint64_t)j->limits.streams);
    put_v(out, (uint64_t)j->limits.probe_bytes);
    put_v(out, (uint64_t)j->limits.first);
    put_v(out, (uint64_t)j->limits.duration_ms);
    put_v(out, (uint64_t)j->limits.begin_ms);
    put_v(out, (uint64_t)j->source_size);
    if (j->kind == JOB_PROBE)
        return buf_error(out);
    if (j->kind == JOB_TEXT) {
        pack_text(out, j);
        return buf_error(out);
    }
    const int rc = pack_head(out, j->media);
    if (rc < 0)
        return rc;
    if (j->kind == JOB_INIT)
        pack_init(out, j);
    else if (j->kind == JOB_VIDEO)
        pack_video(out, j);
    else if (j->kind == JOB_SHEET)
        pack_sheet(out, j);
    else
        pack_audio(out, j);
    return buf_error(out);
}

// ---- unpacking

// A number of [min, max]; anything else turns the reader bad.  0 <= min.
static int64_t get_in(struct reader *r, int64_t min, int64_t max)
{
    const uint64_t v = get_v(r);
    if (!r->bad && v >= (uint64_t)min && v <= (uint64_t)max)
        return (int64_t)v;
    r->bad = true;
    return min;
}

// How many rows follow, each of at least `row` bytes.
static int get_count(struct reader *r, int min, int max, int row)
{
    const int count = (int)get_in(r, min, max);
    if (reader_left(r) / (size_t)row < (size_t)count)
        r->bad = true;
    return r->bad ? 0 : count;
}

// The number that stands a signed step from another; within +-max.
static int64_t get_step(struct reader *r, int64_t from, int64_t max)
{
    int64_t to;
    if (__builtin_add_overflow(from, get_z(r), &to) || to > max || to < -max)
        r->bad = true;
    return r->bad ? 0 : to;
}

static int get_int(struct reader *r)
{
    return (int)get_in(r, 0, INT32_MAX);
}

static void get_video_settings(struct reader *r, struct video_settings *v)
{
    v->codec = (enum video_codec)get_in(r, VIDEO_H264, VIDEO_CODECS - 1);
    v->width = get_int(r);
    v->height = get_int(r);
    v->fps.num = get_int(r);
    v->fps.den = get_int(r);
    v->deinterlace = (enum deinterlace)get_in(r, DEINTERLACE_NOT, DEINTERLACE_COUNT - 1);
    v->crf = get_int(r);
    v->maxrate = get_int(r);
    v->bufsize = get_int(r);
    v->vbv_init_permille = get_int(r);
    v->level = get_int(r);
    copy_string(v->preset, sizeof v->preset, preset_name((int)get_in(r, 0, PRESETS - 1)));
    v->colour.primaries = get_int(r);
    v->colour.transfer = get_int(r);
    v->colour.matrix = get_int(r);
    if (is_ten_bit(v))
        mastering_unpack(r, &v->mastering);
    else
        v->encoder = (enum video_encoder)get_in(r, 0, VIDEO_ENCODERS - 1);
    if (!video_settings_ok(v))
        r->bad = true;
}

static void get_audio_settings(struct reader *r, struct audio_settings *a)
{
    a->sample_rate = get_int(r);
    a->channels = get_int(r);
    a->quality = get_int(r);
    a->codec = (enum audio_codec)get_in(r, 0, AUDIO_CODECS - 1);
    if (!audio_settings_ok(a))
        r->bad = true;
}

static void get_sheet_settings(struct reader *r, struct sheet_settings *s)
{
    s->width = get_int(r);
    s->height = get_int(r);
    s->columns = get_int(r);
    s->rows = get_int(r);
    s->quality = get_int(r);
    s->tile_bytes = get_int(r);
    if (!sheet_settings_ok(s))
        r->bad = true;
}

// The bytes that offsets count in.
struct extent {
    int64_t from, to;
};

static struct extent get_carriage(struct reader *r, struct job *j)
{
    carriage_unpack(r, &j->carriage);
    if (carriage_unpack_pieces(r, &j->carriage, j->source_size) < 0)
        r->bad = true;
    if (r->bad)
        return (struct extent){ 0 };
    return (struct extent){ j->carriage.pieces ? j->carriage.pieces[0].at : 0,
                            carriage_size(&j->carriage, j->source_size) };
}

static void get_sample(struct reader *r, struct sample *s, const struct sample *before,
                       struct extent e, int headers)
{
    s->offset = get_step(r, before->offset, e.to);
    s->pts = get_step(r, before->pts, TIME_MAX);
    const int64_t word = get_in(r, 2, (int64_t)UINT32_MAX << 1 | 1);
    s->size = (uint32_t)(word >> 1);
    s->sync = word & 1;
    s->duration = (uint32_t)get_in(r, 0, UINT32_MAX);
    s->headers = (uint8_t)get_in(r, 0, headers);
    if (s->offset < e.from || s->size > e.to - s->offset)
        r->bad = true;
}

static void get_samples(struct reader *r, struct job *j, int min)
{
    const struct extent extent = get_carriage(r, j);
    const int count = get_count(r, min, JOB_SAMPLES_MAX, 5);
    j->samples = xcalloc((size_t)count, sizeof *j->samples);
    struct sample before = { 0 };
    const int headers = j->media ? j->media->video.more_headers_count : 0;
    for (; j->sample_count < count && !r->bad; j->sample_count++) {
        get_sample(r, &j->samples[j->sample_count], &before, extent, headers);
        before = j->samples[j->sample_count];
    }
}

// Returns the sum of the repeats: the pictures of the segment.
static int64_t get_picks(struct reader *r, struct job *j, bool interlaced)
{
    const int count = get_count(r, 1, JOB_FRAMES_MAX, 2);
    j->picks = xcalloc((size_t)count, sizeof *j->picks);
    int64_t pts = -1, sum = 0;
    for (; j->pick_count < count && !r->bad; j->pick_count++) {
        struct pick *p = &j->picks[j->pick_count];
        p->pts = pts += get_in(r, 1, TIME_MAX - pts);
        p->repeat = (int)get_in(r, !interlaced, JOB_FRAMES_MAX - sum);
        sum += p->repeat;
    }
    return sum;
}

static void get_parts(struct reader *r, struct job *j, int64_t frames)
{
    j->part_count = get_count(r, 1, JOB_PARTS_MAX, 1);
    int64_t sum = 0;
    for (int i = 0; i < j->part_count; i++)
        sum += j->part_frames[i] = get_in(r, 1, JOB_FRAMES_MAX);
    j->parts_at_once = (int)get_in(r, 1, JOB_PARTS_MAX);
    if (sum != frames)
        r->bad = true;
}

static void get_also(struct reader *r, struct job *j)
{
    const int count = get_count(r, 0, JOB_RUNGS_MAX - 1, 1);
    for (; j->also_count < count && !r->bad; j->also_count++) {
        struct video_settings *const v = &j->also[j->also_count];
        get_video_settings(r, v);
        if (!video_settings_go_together(v, &j->v))
            r->bad = true;
    }
}

static void get_video(struct reader *r, struct job *j)
{
    get_video_settings(r, &j->v);
    get_samples(r, j, 1);
    j->beyond = (int)get_in(r, 0, j->sample_count > 0 ? j->sample_count - 1 : 0);
    const uint8_t *const source = get_bytes(r, sizeof j->source.b);
    if (source)
        memcpy(j->source.b, source, sizeof j->source.b);
    j->first = get_in(r, 0, TIME_MAX);
    j->continues = get_in(r, 0, 1);
    const int64_t pictures = get_picks(r, j, j->v.deinterlace != DEINTERLACE_NOT);
    get_parts(r, j, pictures);
    j->last_ticks = get_in(r, 1, INT32_MAX);
    j->sequence = get_in(r, 1, INT32_MAX);
    get_also(r, j);
    const struct media *const m = j->media;
    if (!media_has_video(m) || j->first > m->frames * pictures_per_frame(&j->v) - pictures ||
        (j->v.deinterlace != DEINTERLACE_NOT && m->video.fields == FIELDS_NONE))
        r->bad = true;
}

static void get_runs(struct reader *r, struct job *j)
{
    const int count = get_count(r, 1, j->pick_count > 0 ? j->pick_count : 1, 2);
    j->runs = xcalloc((size_t)count, sizeof *j->runs);
    int samples = 0, picks = 0;
    for (; j->run_count < count && !r->bad; j->run_count++) {
        struct job_run *const run = &j->runs[j->run_count];
        samples += run->samples = (int)get_in(r, 1, j->sample_count - samples);
        picks += run->picks = (int)get_in(r, 1, j->pick_count - picks);
    }
    if (samples != j->sample_count || picks != j->pick_count)
        r->bad = true;
}

static void get_sheet(struct reader *r, struct job *j)
{
    get_sheet_settings(r, &j->s);
    get_samples(r, j, 1);
    j->first = get_in(r, 0, TIME_MAX);
    const int64_t tiles = get_picks(r, j, j->media->video.fields != FIELDS_NONE);
    j->bits = get_in(r, 0, TIME_MAX);
    get_runs(r, j);
    if (!media_has_video(j->media) || tiles > (int64_t)j->s.columns * j->s.rows)
        r->bad = true;
}

// What media.h promises of audio samples, and the decoder's clock relies on.
static bool samples_rise(const struct sample *s, int count)
{
    for (int i = 1; i < count; i++)
        if (s[i].pts <= s[i - 1].pts || s[i].pts - s[i - 1].pts < s[i - 1].duration)
            return false;
    return true;
}

static void get_audio(struct reader *r, struct job *j)
{
    get_audio_settings(r, &j->a);
    get_samples(r, j, 0);
    j->first = get_in(r, 0, TIME_MAX / 1024);
    j->frames = get_in(r, 1, JOB_FRAMES_MAX);
    j->end = get_in(r, 0, TIME_MAX);
    j->bits = get_in(r, 0, TIME_MAX);
    j->sequence = get_in(r, 1, INT32_MAX);
    if (!media_has_audio(j->media) || !samples_rise(j->samples, j->sample_count))
        r->bad = true;
}

static void get_init(struct reader *r, struct job *j)
{
    j->video = get_in(r, 0, 1);
    if (j->video)
        get_video_settings(r, &j->v);
    else
        get_audio_settings(r, &j->a);
    if (j->video ? !media_has_video(j->media) : !media_has_audio(j->media))
        r->bad = true;
}

static void get_text(struct reader *r, struct job *j)
{
    j->t.format = (enum text_format)get_in(r, 0, TEXT_FORMATS - 1);
    j->t.file = get_in(r, 0, 1);
    j->from = get_in(r, 0, TIME_MAX);
    j->to = get_in(r, j->from, TIME_MAX);
    j->shift = get_in(r, 0, TIME_MAX);
    j->strip.n = (int)get_in(r, 0, MEDIA_STRIP_MAX);
    const uint8_t *const p = get_bytes(r, (size_t)j->strip.n);
    if (p)
        memcpy(j->strip.bytes, p, (size_t)j->strip.n);
    j->strip.deflated = get_in(r, 0, 1);
    get_samples(r, j, 0);
    if (!text_settings_ok(&j->t))
        r->bad = true;
}

// The head of the index; false when it is none.
static bool get_head(struct reader *r, struct job *j)
{
    const size_t n = (size_t)get_in(r, 1, HEAD_MAX);
    const uint8_t *p = get_bytes(r, n);
    return p && media_unpack_head(p, n, &j->media) == 0;
}

static bool get_job(struct reader *r, struct job *j)
{
    j->kind = (enum job_kind)get_in(r, JOB_PROBE, JOB_KINDS - 1);
    j->limits.pixels = get_in(r, 1, INT32_MAX);
    j->limits.streams = (int)get_in(r, 1, INT32_MAX);
    j->limits.probe_bytes = get_in(r, 1, SOURCE_MAX);
    j->limits.first = get_in(r, 0, SOURCE_MAX);
    j->limits.duration_ms = get_in(r, 1, TIME_MAX);
    j->limits.begin_ms = get_in(r, 0, TIME_MAX);
    j->source_size = get_in(r, 0, SOURCE_MAX);
    if (r->bad || (j->kind != JOB_PROBE && j->kind != JOB_TEXT && !get_head(r, j)))
        return false;
    if (j->kind == JOB_INIT)
        get_init(r, j);
    else if (j->kind == JOB_VIDEO)
        get_video(r, j);
    else if (j->kind == JOB_AUDIO)
        get_audio(r, j);
    else if (j->kind == JOB_TEXT)
        get_text(r, j);
    else if (j->kind == JOB_SHEET)
        get_sheet(r, j);
    return !r->bad && reader_left(r) == 0;
}

int job_unpack(struct job *j, const uint8_t *bytes, size_t n)
{
    job_init(j);
    struct reader r = reader_of(bytes, n);
    return get_job(&r, j) ? 0 : -E_PROTOCOL;
}

void job_rung_pack(const struct video_settings *v, struct buf *out)
{
    pack_video_settings(out, v);
}

int job_rung_unpack(struct video_settings *v, const uint8_t *bytes, size_t n)
{
    struct reader r = reader_of(bytes, n);
    *v = (struct video_settings){ 0 };
    get_video_settings(&r, v);
    return !r.bad && reader_left(&r) == 0 ? 0 : -E_PROTOCOL;
}

// ---- stats

int job_stats_pack(const struct job_stats *s, struct buf *out)
{
    put_v(out, (uint64_t)s->frames_decoded);
    put_v(out, (uint64_t)s->frames_encoded);
    put_v(out, (uint64_t)s->samples_read);
    put_v(out, (uint64_t)s->concealed);
    put_v(out, (uint64_t)s->bytes);
    put_v(out, (uint64_t)s->decode_us);
    put_v(out, (uint64_t)s->encode_us);
    put_v(out, (uint64_t)s->first_us);
    put_u8(out, s->resumed);
    put_u8(out, (uint8_t)s->left_count);
    for (int i = 0; i < s->left_count; i++) {
        buf_append(out, s->left[i].source.b, sizeof s->left[i].source.b);
        put_v(out, (uint64_t)s->left[i].pts);
        put_v(out, (uint64_t)s->left[i].from);
    }
    return buf_error(out);
}

static void get_left(struct reader *r, struct left_decoder *l)
{
    const uint8_t *const source = get_bytes(r, sizeof l->source.b);
    if (source)
        memcpy(l->source.b, source, sizeof l->source.b);
    l->pts = get_in(r, 0, TIME_MAX);
    l->from = get_in(r, 0, SOURCE_MAX);
}

int job_stats_unpack(struct job_stats *s, const uint8_t *bytes, size_t n)
{
    struct reader r = reader_of(bytes, n);
    s->frames_decoded = get_in(&r, 0, STAT_MAX);
    s->frames_encoded = get_in(&r, 0, STAT_MAX);
    s->samples_read = get_in(&r, 0, STAT_MAX);
    s->concealed = get_in(&r, 0, STAT_MAX);
    s->bytes = get_in(&r, 0, STAT_MAX);
    s->decode_us = get_in(&r, 0, STAT_MAX);
    s->encode_us = get_in(&r, 0, STAT_MAX);
    s->first_us = get_in(&r, 0, STAT_MAX);
    s->resumed = get_in(&r, 0, 1);
    const int count = (int)get_in(&r, 0, JOB_LEFT_MAX);
    for (s->left_count = 0; s->left_count < count; s->left_count++)
        get_left(&r, &s->left[s->left_count]);
    return !r.bad && reader_left(&r) == 0 ? 0 : -E_PROTOCOL;
}
