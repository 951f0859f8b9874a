// SPDX-License-Identifier: BSD-2-Clause

#include "codec/stills.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/base.h"
#include "codec/ladder.h"
#include "codec/level.h"
#include "config/conf.h"

#define TRICK_LONG 640
#define TRICK_SHORT 360
#define TRICK_CRF 25
// A picture may take so many bits a pixel: usual ones take a tenth to one.
#define TRICK_BITS 2

#define TILE_LONG 256
#define TILE_SHORT 144
#define TILES_MAX 720 // of an asset
#define SHEET_SIDE 4  // tiles
// That a sheet's job may decode: 30 s of a core that is slow and not alone.
#define SHEET_PIXELS INT64_C(2000000000)
#define POSTER_LONG 1280
#define POSTER_SHORT 720
#define TILE_QUALITY 5
#define POSTER_QUALITY 3
#define POSTER_EARLY 10  // seconds, or a tenth of the asset
#define SHEET_BITS 2     // a pixel, at most; a tenth of that to one are usual
#define SHEET_BYTES 1000 // and headers

static struct rendition *add(struct plan *p, enum rendition_kind kind, const char *name,
                             const char *codecs)
{
    assert(p->count < PLAN_RENDITIONS);
    struct rendition *const r = &p->renditions[p->count++];
    r->kind = kind;
    copy_string(r->name, sizeof r->name, name);
    copy_string(r->codecs, sizeof r->codecs, codecs);
    return r;
}

// The grid frames next to so many seconds.
static int64_t frames_of(const struct plan *p, int seconds)
{
    const int64_t n = muldiv_round(p->table.fps.num, seconds, p->table.fps.den);
    return n > 1 ? n : 1;
}

// ---- trick

void stills_add_trick(struct plan *p, const struct conf *conf, const struct media *m)
{
    struct rendition *const r = add(p, RENDITION_TRICK, "trick", "");
    struct video_settings *const v = &r->v;
    const struct rational fps = p->table.fps;
    r->every = frames_of(p, 1);
    ladder_fit(m, TRICK_LONG, TRICK_SHORT, &v->width, &v->height);
    v->fps = (struct rational){ fps.num, fps.den * r->every };
    v->crf = TRICK_CRF;
    // One picture is all there is, so the buffer is its own, filled to the brim.
    v->maxrate = v->bufsize = 20000 + (int64_t)TRICK_BITS * v->width * v->height;
    v->vbv_init_permille = 1000;
    v->colour = ladder_colour(m);
    v->deinterlace = m->video.fields != FIELDS_NONE ? DEINTERLACE_FRAMES : DEINTERLACE_NOT;
    copy_string(v->preset, sizeof v->preset, conf->media_preset);
    v->level = level_h264(v->width, v->height, v->fps, v->maxrate, v->bufsize);
    snprintf(r->codecs, sizeof r->codecs, "avc1.6400%02X", v->level);
}

// ---- sheets

static struct sheet_settings sheet_of(const struct media *m, int long_max, int short_max)
{
    struct sheet_settings s = { .columns = 1, .rows = 1 };
    ladder_fit(m, long_max, short_max, &s.width, &s.height);
    s.tile_bytes = muldiv_ceil((int64_t)s.width * s.height, SHEET_BITS, 8);
    return s;
}

static int step_seconds(const struct segtab *t)
{
    static const int steps[] = { 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200 };
    size_t i = 0;
    while (i + 1 < countof(steps) &&
           muldiv_ceil(t->frames, t->fps.den, t->fps.num * steps[i]) > TILES_MAX)
        i++;
    return steps[i];
}

// Source pictures from a sync sample to the next, on the average; without tables, all.
static int64_t sync_distance(const struct video_track *v)
{
    int syncs = 0;
    for (int i = 0; v->samples && i < v->sample_count; i++)
        syncs += v->samples[i].sync;
    return v->sample_count / (syncs > 0 ? syncs : 1);
}

// How many tiles a sheet may have: each costs what lies between two of them, or between two
// sync samples.
static int affordable(const struct plan *p, const struct media *m, int64_t every)
{
    const struct video_track *const v = &m->video;
    const int64_t step = muldiv_ceil(v->sample_count, every, p->table.frames);
    const int64_t distance = sync_distance(v);
    const int64_t decoded = step < distance ? step : distance;
    const int64_t tile = (decoded > 1 ? decoded : 1) * v->coded_width * v->coded_height;
    const int64_t n = SHEET_PIXELS / tile;
    return n < 1 ? 1 : n < SHEET_SIDE * SHEET_SIDE ? (int)n : SHEET_SIDE * SHEET_SIDE;
}

void stills_add_storyboard(struct plan *p, const struct media *m)
{
    struct rendition *const r = add(p, RENDITION_STORYBOARD, "storyboard", "jpeg");
    r->every = frames_of(p, step_seconds(&p->table));
    r->s = sheet_of(m, TILE_LONG, TILE_SHORT);
    r->s.quality = TILE_QUALITY;
    const int count = stills_count(&p->table, r), most = affordable(p, m, r->every);
    r->s.columns = (int)min64(min64(count, most), SHEET_SIDE);
    r->s.rows = (int)min64((count + r->s.columns - 1) / r->s.columns, most / r->s.columns);
}

void stills_add_poster(struct plan *p, const struct media *m)
{
    struct rendition *const r = add(p, RENDITION_POSTER, "poster", "jpeg");
    r->s = sheet_of(m, POSTER_LONG, POSTER_SHORT);
    r->s.quality = POSTER_QUALITY;
}

static int tiles(const struct rendition *r)
{
    return r->s.columns * r->s.rows;
}

void stills_on_sheet(const struct segtab *t, const struct rendition *r, int k, int *first, int *n)
{
    *first = k * tiles(r);
    const int left = stills_count(t, r) - *first;
    *n = left < tiles(r) ? left : tiles(r);
}

int64_t stills_sheet_bytes(const struct segtab *t, const struct rendition *r, int k)
{
    int first, n;
    stills_on_sheet(t, r, k, &first, &n);
    return SHEET_BYTES + n * r->s.tile_bytes;
}

// ---- which pictures

int stills_count(const struct segtab *t, const struct rendition *r)
{
    int64_t count;
    if (r->kind == RENDITION_TRICK)
        count = muldiv_round(t->frames, 1, r->every);
    else if (r->kind == RENDITION_STORYBOARD)
        count = muldiv_ceil(t->frames, 1, r->every);
    else
        count = muldiv_ceil(t->frames, t->fps.den, t->fps.num);
    assert(count <= INT32_MAX);
    return count > 1 ? (int)count : 1;
}

int64_t stills_frame(const struct segtab *t, const struct rendition *r, int k)
{
    const int count = stills_count(t, r);
    assert(k >= 0 && k <= count);
    if (k == count)
        return t->frames;
    return r->kind == RENDITION_POSTER ? muldiv_floor(k, t->fps.num, t->fps.den) : k * r->every;
}

int stills_poster(const struct segtab *t, const struct rendition *r, int second)
{
    const int count = stills_count(t, r);
    // Many a film begins in the dark.
    const int early = count / 10 < POSTER_EARLY ? count / 10 : POSTER_EARLY;
    const int k = second < 0 ? early : second;
    return k < count ? k : count - 1;
}

// ---- the map

// Rounded up, so that the time that is told lies in the picture.
static void put_time(struct buf *out, const struct segtab *t, int64_t frame)
{
    const int64_t ms = muldiv_ceil(frame, 1000 * t->fps.den, t->fps.num);
    buf_printf(out, "%02" PRId64 ":%02d:%02d.%03d", ms / 3600000, (int)(ms / 60000 % 60),
               (int)(ms / 1000 % 60), (int)(ms % 1000));
}

int stills_webvtt(struct buf *out, const struct plan *p, const struct rendition *r)
{
    const struct segtab *const t = &p->table;
    const int count = stills_count(t, r);
    char hex[KEY_HEX];
    key_hex(&r->recipe, hex);
    buf_puts(out, "WEBVTT\n");
    for (int k = 0; k < count && !out->failed; k++) {
        const int at = k % tiles(r);
        buf_puts(out, "\n");
        put_time(out, t, stills_frame(t, r, k));
        buf_puts(out, " --> ");
        put_time(out, t, stills_frame(t, r, k + 1));
        buf_printf(out, "\n%s/%s/%d.jpg#xywh=%d,%d,%d,%d\n", hex, r->name, k / tiles(r),
                   at % r->s.columns * r->s.width, at / r->s.columns * r->s.height, r->s.width,
                   r->s.height);
    }
    return buf_error(out);
}
