// SPDX-License-Identifier: BSD-2-Clause

#include "codec/record.h"

#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "codec/recipe.h"

// What changes when the meaning of a record does: the rules of cutting, picking
// and writing that are code and not settings.
#define RECORD_FORMAT "tidemill recipe 2"

// ---- packing

// Texts carry their length, so that no two lists of fields pack alike.
static void put_text(struct buf *b, const char *s)
{
    put_v(b, strlen(s));
    buf_puts(b, s);
}

// Ticks are told by how far they are from where the frame's would be.
static int64_t tick_of_frame(const struct segtab *t, int64_t frame)
{
    return muldiv_round(frame * t->fps.den, t->clock, t->fps.num);
}

// That there is one is told by a number below 0, where the clock stands else.
static void put_ramp(struct buf *b, const struct segtab *t)
{
    if (t->ramp)
        put_z(b, -t->ramp);
    for (int i = 0; i < t->ramp; i++)
        put_z(b, t->ramp_ends[i]);
}

static void put_cuts(struct buf *b, const struct segtab *t)
{
    put_ramp(b, t);
    put_z(b, t->clock);
    for (int k = 1; t->cuts && k <= t->count; k++) {
        const struct cut *const c = &t->cuts[k];
        put_z(b, c->frame - c[-1].frame);
        put_z(b, c->tick - tick_of_frame(t, c->frame));
    }
}

// Where the table is open the end is the source's, whose version stands in the record; but not of
// stills, which lie as it demands.
static bool is_endless(const struct plan *p, const struct rendition *r)
{
    return p->table.open && r->kind != RENDITION_TRICK && !plan_is_sheets(r);
}

static void put_table(struct buf *b, const struct plan *p, const struct rendition *r)
{
    const bool endless = is_endless(p, r);
    put_z(b, p->table.fps.num);
    put_z(b, p->table.fps.den);
    put_z(b, endless ? 0 : p->table.frames);
    put_z(b, p->table.per);
    put_z(b, endless ? 0 : p->table.count);
    put_z(b, p->table.part);
    put_z(b, p->target_duration);
    put_cuts(b, &p->table);
}

static void put_video(struct buf *b, const struct video_settings *v)
{
    put_z(b, v->width);
    put_z(b, v->height);
    put_z(b, v->fps.num);
    put_z(b, v->fps.den);
    put_z(b, v->crf);
    put_z(b, v->maxrate);
    put_z(b, v->bufsize);
    put_z(b, v->vbv_init_permille);
    put_z(b, v->level);
    put_z(b, v->colour.primaries);
    put_z(b, v->colour.transfer);
    put_z(b, v->colour.matrix);
    put_text(b, v->preset);
}

static void put_source(struct buf *b, const struct video_settings *v)
{
    put_z(b, v->width);
    put_z(b, v->height);
    put_z(b, v->fps.num);
    put_z(b, v->fps.den);
    put_z(b, v->colour.primaries);
    put_z(b, v->colour.transfer);
    put_z(b, v->colour.matrix);
    put_z(b, v->colour.full_range);
}

static void put_audio(struct buf *b, const struct audio_settings *a)
{
    put_z(b, a->sample_rate);
    put_z(b, a->channels);
    put_z(b, a->quality);
}

static void put_subtitles(struct buf *b, const struct rendition *r)
{
    put_z(b, r->t.format);
    put_z(b, r->t.file);
    if (!r->t.file) {
        put_z(b, r->track);
        return;
    }
    put_text(b, r->file.suffix);
    buf_append(b, r->file.version.b, sizeof r->file.version.b);
}

static void put_sheet(struct buf *b, const struct sheet_settings *s)
{
    put_z(b, s->width);
    put_z(b, s->height);
    put_z(b, s->columns);
    put_z(b, s->rows);
    put_z(b, s->quality);
    put_z(b, s->tile_bytes);
}

// What most renditions have not stands at the end, if at all.
static void put_special(struct buf *b, const struct rendition *r)
{
    if (r->kind == RENDITION_AUDIO && (r->track > 0 || r->a.codec != AUDIO_AAC))
        put_z(b, r->track);
    if (r->kind == RENDITION_AUDIO && r->a.codec != AUDIO_AAC)
        put_z(b, r->a.codec);
    if (r->v.deinterlace == DEINTERLACE_NOT && r->v.codec == VIDEO_H264 &&
        r->v.encoder == ENCODER_SOFTWARE)
        return;
    put_z(b, r->v.deinterlace);
    put_z(b, r->v.codec);
    if (mastering_has_display(&r->v.mastering) || mastering_has_light(&r->v.mastering))
        mastering_pack(&r->v.mastering, b);
    if (r->v.encoder != ENCODER_SOFTWARE)
        put_z(b, r->v.encoder);
}

int record_pack(const struct plan *p, const struct rendition *r, const char *asset,
                const char *version, const char *headers, struct buf *out)
{
    put_text(out, RECORD_FORMAT);
    put_text(out, asset);
    put_text(out, version);
    put_text(out, headers);
    put_table(out, p, r);
    put_text(out, r->name);
    put_text(out, r->codecs);
    put_z(out, r->bandwidth);
    put_z(out, r->average);
    put_z(out, r->kind);
    switch (r->kind) {
    case RENDITION_AUDIO:
        put_audio(out, &r->a);
        break;
    case RENDITION_TEXT:
        put_subtitles(out, r);
        break;
    case RENDITION_SOURCE:
        put_source(out, &r->v);
        break;
    case RENDITION_STORYBOARD:
    case RENDITION_POSTER:
        put_sheet(out, &r->s);
        break;
    default:
        put_video(out, &r->v);
    }
    if (r->kind == RENDITION_TRICK || r->kind == RENDITION_STORYBOARD)
        put_z(out, r->every);
    put_special(out, r);
    return buf_error(out);
}

// ---- unpacking

static bool get_text(struct reader *r, char *out, size_t cap)
{
    const uint64_t n = get_v(r);
    const uint8_t *const p = n < cap ? get_bytes(r, (size_t)n) : NULL;
    if (!p || memchr(p, 0, (size_t)n)) {
        r->bad = true;
        out[0] = '\0';
        return false;
    }
    memcpy(out, p, (size_t)n);
    out[n] = '\0';
    return true;
}

// True when the next text is this one; NULL takes any.
static bool get_same_text(struct reader *r, const char *want)
{
    char text[4096];
    return get_text(r, text, sizeof text) && (!want || strcmp(text, want) == 0);
}

static int64_t get_within(struct reader *r, int64_t min, int64_t max)
{
    const int64_t v = get_z(r);
    if (v < min || v > max)
        r->bad = true;
    return r->bad ? min : v;
}

static int get_int(struct reader *r)
{
    return (int)get_within(r, 0, INT32_MAX);
}

// Returns the number behind it.
static int64_t get_ramp(struct reader *r, struct segtab *t)
{
    const int64_t first = get_within(r, -SEGTAB_RAMP_MAX, SEGTAB_CLOCK_MAX);
    if (first >= 0)
        return first;
    t->ramp = (int)-first;
    for (int i = 0; i < t->ramp; i++) {
        const int64_t before = i ? t->ramp_ends[i - 1] : 0;
        t->ramp_ends[i] = get_within(r, before + 1, t->frames);
    }
    if (t->ramp >= t->count)
        r->bad = true;
    return get_within(r, 0, SEGTAB_CLOCK_MAX);
}

// Each takes two bytes or more, so memory is asked for only when they are there.
static void get_cuts(struct reader *r, struct segtab *t)
{
    if (r->bad || t->count > SEGTAB_CUTS_MAX || (size_t)t->count > reader_left(r) / 2) {
        r->bad = true;
        return;
    }
    t->cuts = xcalloc((size_t)t->count + 1, sizeof *t->cuts);
    for (int k = 1; k <= t->count && !r->bad; k++) {
        struct cut *const c = &t->cuts[k];
        c->frame = c[-1].frame + get_within(r, 1, JOB_FRAMES_MAX);
        c->tick = tick_of_frame(t, c->frame) + get_within(r, -SEGTAB_CLOCK_MAX, SEGTAB_CLOCK_MAX);
        if (c->frame > t->frames || c->tick <= c[-1].tick)
            r->bad = true;
    }
    if (t->cuts[t->count].frame != t->frames)
        r->bad = true;
    for (int i = 0; i < t->ramp; i++)
        if (t->cuts[i + 1].frame != t->ramp_ends[i])
            r->bad = true;
}

// A ramp of less than whole segments, count - 1 whole ones behind it, and a last one of up to two.
static bool is_regular(const struct segtab *t)
{
    for (int k = 0; k < t->ramp; k++)
        if (segtab_frame(t, k + 1) - segtab_frame(t, k) >= t->per)
            return false;
    const int64_t frames = t->frames - segtab_frame(t, t->ramp), count = t->count - t->ramp;
    return (count - 1) * t->per < frames && frames <= (count + 1) * t->per;
}

static void get_table(struct reader *r, struct plan *p)
{
    struct segtab *const t = &p->table;
    t->fps.num = get_within(r, 1, 60 * 1024);
    t->fps.den = get_within(r, 1, 1024);
    t->frames = get_within(r, 0, INT32_MAX);
    t->per = get_within(r, 1, JOB_FRAMES_MAX);
    t->count = (int)get_within(r, 0, 1000000);
    t->open = t->frames == 0;
    t->part = get_within(r, 1, t->per);
    if (muldiv_ceil(t->frames, t->fps.den, t->fps.num) > MEDIA_SECONDS_MAX)
        r->bad = true;
    p->target_duration = (int)get_within(r, 1, 100);
    t->clock = get_ramp(r, t);
    if (r->bad || t->open != (t->count == 0) || (t->open && (t->clock || t->ramp)))
        r->bad = true;
    else if (t->open)
        segtab_set_frames(t, t->per); // until plan_fit
    else if (t->clock)
        get_cuts(r, t);
    else if (!is_regular(t))
        r->bad = true;
}

static void get_video(struct reader *r, struct video_settings *v)
{
    v->width = get_int(r);
    v->height = get_int(r);
    v->fps.num = get_int(r);
    v->fps.den = get_int(r);
    v->crf = get_int(r);
    v->maxrate = get_int(r);
    v->bufsize = get_int(r);
    v->vbv_init_permille = get_int(r);
    v->level = get_int(r);
    v->colour.primaries = get_int(r);
    v->colour.transfer = get_int(r);
    v->colour.matrix = get_int(r);
    get_text(r, v->preset, sizeof v->preset);
}

static void get_source(struct reader *r, struct video_settings *v)
{
    v->width = (int)get_within(r, 1, 32768);
    v->height = (int)get_within(r, 1, 32768);
    v->fps.num = get_within(r, 1, INT32_MAX);
    v->fps.den = get_within(r, 1, INT32_MAX);
    v->colour.primaries = (int)get_within(r, 0, 255);
    v->colour.transfer = (int)get_within(r, 0, 255);
    v->colour.matrix = (int)get_within(r, 0, 255);
    v->colour.full_range = get_within(r, 0, 1);
}

static void get_audio(struct reader *r, struct audio_settings *a)
{
    a->sample_rate = get_int(r);
    a->channels = get_int(r);
    a->quality = get_int(r);
}

// With the frames of its own grid, as the encoder is told: that has to be the asset's.
static void get_trick(struct reader *r, const struct segtab *t, struct rendition *x)
{
    get_video(r, &x->v);
    x->every = get_within(r, 1, JOB_FRAMES_MAX / 2); // the last may last one and a half times that
    if (x->v.fps.num != t->fps.num || x->v.fps.den != t->fps.den * x->every)
        r->bad = true;
}

// The suffix becomes part of a path: it is one that we could have found.
static void get_file(struct reader *r, struct plan_file *f)
{
    get_text(r, f->suffix, sizeof f->suffix);
    const uint8_t *const p = get_bytes(r, sizeof f->version.b);
    if (p)
        memcpy(f->version.b, p, sizeof f->version.b);
    if (f->suffix[0] != '.' || strpbrk(f->suffix, "/\\"))
        r->bad = true;
}

static void get_subtitles(struct reader *r, struct rendition *x)
{
    x->t.format = (enum text_format)get_within(r, 0, TEXT_FORMATS - 1);
    x->t.file = get_within(r, 0, 1);
    if (x->t.file)
        get_file(r, &x->file);
    else
        x->track = (int)get_within(r, 0, MEDIA_TEXTS - 1);
    if (!text_settings_ok(&x->t))
        r->bad = true;
}

static void get_sheet(struct reader *r, struct rendition *x)
{
    x->s.width = get_int(r);
    x->s.height = get_int(r);
    x->s.columns = get_int(r);
    x->s.rows = get_int(r);
    x->s.quality = get_int(r);
    x->s.tile_bytes = get_int(r);
    if (!sheet_settings_ok(&x->s))
        r->bad = true;
    if (x->kind == RENDITION_STORYBOARD)
        x->every = get_within(r, 1, INT32_MAX);
}

static void get_special_audio(struct reader *r, struct rendition *x)
{
    if (reader_left(r) > 0)
        x->track = (int)get_within(r, 0, MEDIA_AUDIOS - 1);
    const bool coded = reader_left(r) > 0;
    if (coded)
        x->a.codec = (enum audio_codec)get_within(r, AUDIO_AAC + 1, AUDIO_CODECS - 1);
    struct audio_settings like = x->a;
    x->copied = !coded && x->a.quality == 0; // that is how it is told
    like.quality = x->copied ? 1 : like.quality;
    if (!audio_settings_ok(&like))
        r->bad = true;
}

// The codec decides what its level, factor and rate may be.
static void get_special(struct reader *r, struct rendition *x)
{
    const bool source = x->kind == RENDITION_SOURCE;
    if (x->kind == RENDITION_AUDIO)
        get_special_audio(r, x);
    if (x->kind != RENDITION_VIDEO && x->kind != RENDITION_TRICK && !source)
        return;
    if (reader_left(r) > 0) {
        x->v.deinterlace = (enum deinterlace)get_within(r, 0, DEINTERLACE_COUNT - 1);
        x->v.codec = (enum video_codec)get_within(r, 0, VIDEO_CODECS - 1);
        if (x->v.deinterlace == DEINTERLACE_NOT && x->v.codec == VIDEO_H264 && !reader_left(r))
            r->bad = true; // that is never written
    }
    if (reader_left(r) > 0 && !source) {
        if (is_ten_bit(&x->v))
            mastering_unpack(r, &x->v.mastering);
        else
            x->v.encoder = (enum video_encoder)get_within(r, 1, VIDEO_ENCODERS - 1);
    }
    if (source ? x->v.deinterlace != DEINTERLACE_NOT : !video_settings_ok(&x->v))
        r->bad = true;
}

static void get_rendition(struct reader *r, const struct segtab *t, struct rendition *x)
{
    get_text(r, x->name, sizeof x->name);
    get_text(r, x->codecs, sizeof x->codecs);
    x->bandwidth = get_within(r, 1, INT64_C(1) << 40);
    x->average = get_within(r, 1, INT64_C(1) << 40);
    x->kind = (enum rendition_kind)get_within(r, 0, RENDITION_KINDS - 1);
    switch (x->kind) {
    case RENDITION_VIDEO:
        get_video(r, &x->v);
        break;
    case RENDITION_TRICK:
        get_trick(r, t, x);
        break;
    case RENDITION_TEXT:
        get_subtitles(r, x);
        break;
    case RENDITION_SOURCE:
        get_source(r, &x->v);
        break;
    case RENDITION_STORYBOARD:
    case RENDITION_POSTER:
        get_sheet(r, x);
        break;
    default:
        get_audio(r, &x->a);
    }
    get_special(r, x);
}

// Whether its pictures are as many as the table's frames, or twice; a source's own times
// need a table that tells them.
static bool fits_table(const struct segtab *t, const struct rendition *x)
{
    if (x->kind == RENDITION_SOURCE)
        return t->cuts;
    if (x->kind != RENDITION_VIDEO)
        return true;
    const struct rational fps = { t->fps.num * pictures_per_frame(&x->v), t->fps.den };
    return rat_cmp(fps, x->v.fps) == 0;
}

int record_unpack(const uint8_t *bytes, size_t n, const struct key *recipe, const char *asset,
                  const char *version, struct plan *out)
{
    if (!recipe_fits(recipe, bytes, n))
        return -E_CORRUPT;
    struct reader r = reader_of(bytes, n);
    if (!get_same_text(&r, RECORD_FORMAT) || !get_same_text(&r, asset) ||
        !get_same_text(&r, version) || !get_same_text(&r, NULL))
        return -E_CORRUPT;
    *out = (struct plan){ .count = 1 };
    get_table(&r, out);
    get_rendition(&r, &out->table, &out->renditions[0]);
    out->renditions[0].recipe = *recipe;
    if (!r.bad && !reader_left(&r) && fits_table(&out->table, &out->renditions[0]))
        return 0;
    plan_finish(out);
    return -E_CORRUPT;
}
