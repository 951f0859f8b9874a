// SPDX-License-Identifier: BSD-2-Clause

#include "codec/ts_plan.h"

#include <string.h>

#include "base/base.h"
#include "base/bytes.h"
#include "base/err.h"
#include "codec/recipe.h"
#include "codec/ts.h"

// What changes when the bytes of ts.c do.
#define RECORD_FORMAT "tidemill ts 1\n"
#define RECORD_SIZE (sizeof RECORD_FORMAT - 1 + 2 * sizeof(struct ts_source))

const struct ts_source *ts_lead(const struct ts_rendition *t)
{
    return t->video.name[0] ? &t->video : &t->audio;
}

// ---- the plan

static struct ts_source source_of(const struct rendition *r)
{
    struct ts_source s = { 0 };
    if (r) {
        copy_string(s.name, sizeof s.name, r->name);
        s.recipe = r->recipe;
    }
    return s;
}

static struct ts_rendition muxed(const struct rendition *video, const struct rendition *audio)
{
    struct ts_rendition t = { .video = source_of(video), .audio = source_of(audio) };
    struct buf record;
    buf_init(&record, RECORD_SIZE);
    if (ts_record_pack(&t, &record) == 0)
        t.recipe = recipe_of(record.data, record.len,
                             recipe_is_of_machine(&t.video.recipe) ||
                                 recipe_is_of_machine(&t.audio.recipe));
    buf_finish(&record);
    return t;
}

static bool is_h264(const struct rendition *r)
{
    return r->kind == RENDITION_VIDEO && strncmp(r->codecs, "avc1.", 5) == 0;
}

static bool is_aac(const struct rendition *r)
{
    return r->kind == RENDITION_AUDIO && strcmp(r->codecs, "mp4a.40.2") == 0;
}

static bool has_video(const struct plan *p)
{
    for (int i = 0; i < p->count; i++)
        if (p->renditions[i].kind == RENDITION_VIDEO)
            return true;
    return false;
}

int ts_plan(const struct plan *p, struct ts_rendition out[PLAN_RENDITIONS])
{
    const struct rendition *audio = NULL;
    int count = 0;
    for (int i = 0; i < p->count && !audio; i++)
        if (is_aac(&p->renditions[i]))
            audio = &p->renditions[i];
    for (int i = 0; i < p->count; i++)
        if (is_h264(&p->renditions[i]))
            out[count++] = muxed(&p->renditions[i], audio);
    if (audio && !has_video(p))
        out[count++] = muxed(NULL, audio);
    return count;
}

// ---- promises

static int64_t rate_of(const struct plan *p, const struct rendition *video,
                       const struct rendition *audio, int64_t video_rate, int64_t audio_rate)
{
    const struct segtab *const t = &p->table;
    const struct rational shortest = { segtab_part_min(t) * t->fps.den, t->fps.num };
    int64_t rate = 0;
    if (video)
        rate += ts_video_rate(video_rate, video->v.fps, shortest, shortest);
    if (audio)
        rate += ts_audio_rate(audio_rate, audio->a.sample_rate, !video, shortest);
    return rate;
}

int64_t ts_bandwidth(const struct plan *p, const struct rendition *video,
                     const struct rendition *audio)
{
    return rate_of(p, video, audio, video ? video->bandwidth : 0, audio ? audio->bandwidth : 0);
}

int64_t ts_average(const struct plan *p, const struct rendition *video,
                   const struct rendition *audio)
{
    return rate_of(p, video, audio, video ? video->average : 0, audio ? audio->average : 0);
}

int64_t ts_find(const struct plan *p, const struct key *recipe, struct ts_rendition *out)
{
    struct ts_rendition list[PLAN_RENDITIONS];
    const int count = ts_plan(p, list);
    int i = 0;
    while (i < count && !key_equal(&list[i].recipe, recipe))
        i++;
    if (i == count)
        return 0;
    *out = list[i];
    return ts_bandwidth(p, plan_find(p, out->video.name), plan_find(p, out->audio.name));
}

// ---- records

static void put_source(struct buf *out, const struct ts_source *s)
{
    buf_append(out, s->name, sizeof s->name); // zeros behind it
    buf_append(out, s->recipe.b, sizeof s->recipe.b);
}

int ts_record_pack(const struct ts_rendition *t, struct buf *out)
{
    buf_puts(out, RECORD_FORMAT);
    put_source(out, &t->video);
    put_source(out, &t->audio);
    return buf_error(out);
}

// As URLs have it, and nothing behind its end.
static bool is_name(const char *name, size_t cap)
{
    size_t n = 0;
    for (; n < cap && name[n]; n++) {
        const char c = name[n];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    const size_t length = n;
    while (n < cap && !name[n])
        n++;
    return length < cap && n == cap;
}

static bool get_source(struct reader *r, struct ts_source *s)
{
    const uint8_t *const name = get_bytes(r, sizeof s->name);
    const uint8_t *const recipe = get_bytes(r, sizeof s->recipe.b);
    if (!name || !recipe)
        return false;
    memcpy(s->name, name, sizeof s->name);
    memcpy(s->recipe.b, recipe, sizeof s->recipe.b);
    return is_name(s->name, sizeof s->name);
}

int ts_record_unpack(const uint8_t *bytes, size_t n, const struct key *recipe,
                     struct ts_rendition *out)
{
    const size_t format = sizeof RECORD_FORMAT - 1;
    struct reader r = reader_of(bytes, n);
    *out = (struct ts_rendition){ .recipe = *recipe };
    if (!recipe_fits(recipe, bytes, n) || n != RECORD_SIZE ||
        memcmp(get_bytes(&r, format), RECORD_FORMAT, format) != 0)
        return -E_CORRUPT;
    const bool ok = get_source(&r, &out->video) && get_source(&r, &out->audio);
    return ok && ts_lead(out)->name[0] ? 0 : -E_CORRUPT;
}
