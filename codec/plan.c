// SPDX-License-Identifier: BSD-2-Clause

#include "codec/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/ladder.h"
#include "config/conf.h"

// What changes when the meaning of a recipe does: the rules of cutting, picking
// and writing that are code and not settings.
#define RECIPE_FORMAT "tidemill recipe 1"
#define RECIPE_MAX (64 * KIB)

// Container bytes, rounded up: of a segment (styp and the encoder's own message),
// of a fragment of half a second, of a sample.
#define SEGMENT_BYTES 1000
#define FRAGMENT_BYTES 112
#define SAMPLE_BYTES 16

// ---- what the playlists promise

// In whole numbers: every machine prints the same.
static int64_t container_rate(struct rational samples_per_second, struct rational shortest)
{
    return 8 * 2 * FRAGMENT_BYTES +
           muldiv_ceil(8 * SAMPLE_BYTES, samples_per_second.num, samples_per_second.den) +
           muldiv_ceil(8 * (SEGMENT_BYTES + FRAGMENT_BYTES), shortest.den, shortest.num);
}

static void promise_video(struct rendition *r, const struct segtab *t)
{
    const struct rational shortest = { segtab_part_min(t) * t->fps.den, t->fps.num }; // seconds
    const int init = r->v.vbv_init_permille;
    const int spent = shortest.num < shortest.den ? init : init > 500 ? init - 500 : 0;
    const int64_t extra = muldiv_ceil(r->v.bufsize * spent, shortest.den, 1000 * shortest.num);
    const int64_t container = 2000 + container_rate(t->fps, shortest);
    r->bandwidth = muldiv_ceil(r->v.maxrate + extra, 105, 100) + container;
    r->average = r->v.maxrate * 7 / 10 + container;
}

static void promise_audio(struct rendition *r, const struct segtab *t)
{
    const int64_t nominal = r->a.channels > 1 ? 128000 : 72000;
    const struct rational rate = { r->a.sample_rate, AUDIO_FRAME };
    const int64_t last = segtab_audio_frame(t, t->count, r->a.sample_rate) -
                         segtab_audio_frame(t, t->count - 1, r->a.sample_rate);
    const int64_t container = container_rate(rate, (struct rational){ last * rate.den, rate.num });
    // 1.6 was measured for qualities up to 118.
    const int quality = r->a.quality > 118 ? r->a.quality : 118;
    r->bandwidth = nominal * 8 / 5 * quality / 118 + container;
    r->average = nominal + container;
}

// ---- recipe

// Texts carry their length, so that no two lists of fields print alike.
static void put_text(struct buf *b, const char *name, const char *text)
{
    buf_printf(b, "%s %zu:", name, strlen(text));
    buf_puts(b, text);
    buf_puts(b, "\n");
}

static void put_video(struct buf *b, const struct video_settings *v)
{
    buf_printf(b, "video %dx%d fps %" PRId64 "/%" PRId64 " crf %d maxrate %" PRId64, v->width,
               v->height, v->fps.num, v->fps.den, v->crf, v->maxrate);
    buf_printf(b, " bufsize %" PRId64 " init %d level %d colour %d %d %d %d\n", v->bufsize,
               v->vbv_init_permille, v->level, v->colour.primaries, v->colour.transfer,
               v->colour.matrix, v->colour.full_range);
    put_text(b, "preset", v->preset);
}

static void put_audio(struct buf *b, const struct audio_settings *a)
{
    buf_printf(b, "audio %d channels %d quality %d\n", a->sample_rate, a->channels, a->quality);
}

static void put_table(struct buf *b, const struct segtab *t)
{
    buf_printf(b, "table fps %" PRId64 "/%" PRId64 " frames %" PRId64, t->fps.num, t->fps.den,
               t->frames);
    buf_printf(b, " per %" PRId64 " part %" PRId64 " count %d\n", t->per, t->part, t->count);
}

static int make_recipe(struct rendition *r, const struct segtab *t, const char *asset,
                       const char *version, const char *signature)
{
    struct buf b;
    buf_init(&b, RECIPE_MAX);
    buf_puts(&b, RECIPE_FORMAT "\n");
    put_text(&b, "asset", asset);
    put_text(&b, "version", version);
    put_text(&b, "signature", signature);
    put_table(&b, t);
    put_text(&b, "name", r->name);
    put_text(&b, "codecs", r->codecs);
    if (r->video)
        put_video(&b, &r->v);
    else
        put_audio(&b, &r->a);
    const int rc = buf_error(&b);
    if (rc == 0)
        r->recipe = key_of(b.data, b.len);
    buf_finish(&b);
    return rc;
}

// ---- the plan

static void add_audio(struct plan *p, const struct conf *conf, const struct media *m)
{
    assert(p->count < PLAN_RENDITIONS);
    struct rendition *r = &p->renditions[p->count++];
    copy_string(r->name, sizeof r->name, "audio-0");
    copy_string(r->codecs, sizeof r->codecs, "mp4a.40.2");
    r->a = (struct audio_settings){
        .sample_rate = media_output_rate(m->audio.sample_rate),
        .channels = m->audio.channels > 1 ? 2 : 1,
        .quality = conf->media_audio_quality,
    };
}

int plan_make(struct plan *p, const struct conf *conf, const struct media *m, const char *asset,
              const char *version, const char *signature)
{
    const bool video = media_has_video(m), audio = media_has_audio(m);
    if (!video && !audio)
        return -E_UNSUPPORTED;
    *p = (struct plan){ .table = segtab_make(m->fps, m->frames, conf->media_segment) };
    const int rate = audio ? media_output_rate(m->audio.sample_rate) : 0;
    p->target_duration = segtab_target_duration(&p->table, rate);
    if (video)
        ladder_make(p, conf, m);
    if (audio)
        add_audio(p, conf, m);

    int rc = 0;
    for (int i = 0; i < p->count && rc == 0; i++) {
        struct rendition *r = &p->renditions[i];
        if (r->video)
            promise_video(r, &p->table);
        else
            promise_audio(r, &p->table);
        rc = make_recipe(r, &p->table, asset, version, signature);
    }
    return rc;
}

const struct rendition *plan_find(const struct plan *p, const char *name)
{
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->renditions[i].name, name) == 0)
            return &p->renditions[i];
    return NULL;
}

// ---- passthrough

// The longest time from one sync sample to the next (or to the end), in seconds.
static double sync_distance(const struct video_track *v)
{
    int64_t last = 0, longest = 0;
    for (int i = 0; i < v->shown_count; i++) {
        const struct sample *s = &v->samples[v->shown[i]];
        if (!s->sync)
            continue;
        longest = s->pts - last > longest ? s->pts - last : longest;
        last = s->pts;
    }
    longest = v->end - last > longest ? v->end - last : longest;
    return (double)longest / (double)v->timescale;
}

static const char *passthrough_obstacle(const struct media *m)
{
    const struct video_track *v = &m->video;
    if (v->codec != CODEC_H264)
        return "it is not H.264";
    if (v->bit_depth != 8 || media_is_hdr(m))
        return "not every player shows its bit depth or its range";
    if (v->rotate != 0 || v->mirror || v->sar_num != v->sar_den)
        return "its pictures have to be turned or stretched";
    if (!m->constant_rate)
        return "its frame rate varies, or its audio outlasts it";
    if (v->shown_count != v->sample_count)
        return "an edit list hides some of its pictures";
    return NULL;
}

void plan_passthrough_reason(const struct media *m, const struct plan *p, char *out, size_t cap)
{
    if (!media_has_video(m)) {
        snprintf(out, cap, "there is no video to pass through");
        return;
    }
    const char *obstacle = passthrough_obstacle(m);
    if (obstacle || !m->video.samples) {
        snprintf(out, cap, "the video cannot be passed through: %s",
                 obstacle ? obstacle : "where its sync samples are is not known");
        return;
    }
    const double longest = sync_distance(&m->video);
    const double limit = 1.5 * (double)p->table.per / rat_double(p->table.fps);
    snprintf(out, cap, "the video %s: its sync samples are up to %.2f s apart (limit %.2f s)",
             longest > limit ? "cannot be passed through" : "could be passed through", longest,
             limit);
}
