// SPDX-License-Identifier: BSD-2-Clause

#include "codec/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/beginning.h"
#include "codec/ladder.h"
#include "codec/passthrough.h"
#include "codec/pressed.h"
#include "codec/recipe.h"
#include "codec/record.h"
#include "codec/sound.h"
#include "codec/sound_copy.h"
#include "codec/stills.h"
#include "codec/texts.h"
#include "config/conf.h"

// Container bytes, rounded up: of a segment (styp and the encoder's own message),
// of a fragment of half a second, of a sample.
#define SEGMENT_BYTES 1000
#define FRAGMENT_BYTES 112
#define SAMPLE_BYTES 16
// Of subtitles: far above any that can be read.
#define TEXT_BANDWIDTH 20000

// ---- what the playlists promise

// In whole numbers: every machine prints the same.
static int64_t container_rate(struct rational samples_per_second, struct rational shortest)
{
    return 8 * 2 * FRAGMENT_BYTES +
           muldiv_ceil(8 * SAMPLE_BYTES, samples_per_second.num, samples_per_second.den) +
           muldiv_ceil(8 * (SEGMENT_BYTES + FRAGMENT_BYTES), shortest.den, shortest.num);
}

int plan_vbv_init(const struct plan *p, const struct rendition *r, int k)
{
    const struct segtab *const t = &p->table;
    const int init = r->v.vbv_init_permille;
    if (k >= t->ramp || init <= 500)
        return init;
    const int64_t part = min64(segtab_part_least(t, k, k + 1), t->part);
    return 500 + (int)muldiv_floor(init - 500, part, t->part);
}

static struct rational seconds_of(const struct segtab *t, int64_t frames)
{
    return (struct rational){ frames * t->fps.den, t->fps.num };
}

// Bits per second that a part of such a time takes above maxrate from the buffer.
static int64_t extra_rate(const struct rendition *r, int init, struct rational part)
{
    const int spent = part.num < part.den ? init : init > 500 ? init - 500 : 0;
    return muldiv_ceil(r->v.bufsize * spent, part.den, 1000 * part.num);
}

static int64_t most_extra_rate(const struct rendition *r, const struct plan *p)
{
    const struct segtab *const t = &p->table;
    int64_t most = extra_rate(r, r->v.vbv_init_permille,
                              seconds_of(t, segtab_part_least(t, t->ramp, t->count)));
    for (int k = 0; k < t->ramp; k++) {
        const int64_t part = segtab_part_least(t, k, k + 1);
        most = max64(most, extra_rate(r, plan_vbv_init(p, r, k), seconds_of(t, part)));
    }
    return most;
}

static void promise_video(struct rendition *r, const struct plan *p)
{
    const struct rational shortest = seconds_of(&p->table, segtab_part_min(&p->table));
    const int64_t container = 2000 + container_rate(r->v.fps, shortest);
    r->bandwidth = muldiv_ceil(r->v.maxrate + most_extra_rate(r, p), 105, 100) + container;
    r->average = r->v.maxrate * 7 / 10 + container;
}

static int64_t audio_container(const struct rendition *r, const struct segtab *t)
{
    const struct rational rate = sound_frame_rate(&r->a);
    const int64_t least = segtab_audio_min(t, rate);
    return container_rate(rate, (struct rational){ least * rate.den, rate.num });
}

static void promise_audio(struct rendition *r, const struct segtab *t)
{
    const int64_t nominal = sound_nominal_rate(&r->a);
    const int64_t container = audio_container(r, t);
    if (r->a.codec == AUDIO_OPUS) {
        r->bandwidth = nominal * 7 / 4 + container;
        r->average = nominal + container;
        return;
    }
    // 1.6 was measured for qualities up to 118.
    const int quality = r->a.quality > 118 ? r->a.quality : 118;
    r->bandwidth = nominal * 8 / 5 * quality / 118 + container;
    // Qualities 60, 100 and 150 take 0.73, 1 and 1.35 of the same bits.
    r->average = nominal * (50 + r->a.quality) / 150 + container;
}

static void promise_trick(struct rendition *r, const struct plan *p)
{
    const int count = plan_segments(p, r);
    const int64_t last = plan_segment_start(p, r, count) - plan_segment_start(p, r, count - 1);
    const struct rational shortest = { last < r->v.fps.den ? last : r->v.fps.den, r->v.fps.num };
    const int64_t container = container_rate(r->v.fps, shortest);
    r->bandwidth = muldiv_ceil(r->v.bufsize * 105, shortest.den, 100 * shortest.num) + container;
    r->average = muldiv_ceil(r->v.bufsize / 3, r->v.fps.num, r->v.fps.den) + container;
}

// Of the first sheet, which is full, and of the last.
static void promise_sheets(struct rendition *r, const struct plan *p)
{
    const int ends[] = { 0, plan_segments(p, r) - 1 };
    for (int i = 0; i < 2; i++) {
        const int64_t ticks =
            plan_segment_start(p, r, ends[i] + 1) - plan_segment_start(p, r, ends[i]);
        const int64_t rate =
            muldiv_ceil(8 * stills_sheet_bytes(&p->table, r, ends[i]), plan_timescale(p, r), ticks);
        r->bandwidth = rate > r->bandwidth ? rate : r->bandwidth;
    }
    r->average = muldiv_ceil(r->bandwidth, 1, 3);
}

static void promise(struct rendition *r, const struct plan *p)
{
    switch (r->kind) {
    case RENDITION_VIDEO:
        promise_video(r, p);
        break;
    case RENDITION_TRICK:
        promise_trick(r, p);
        break;
    case RENDITION_TEXT:
        r->bandwidth = TEXT_BANDWIDTH;
        r->average = TEXT_BANDWIDTH / 10;
        break;
    case RENDITION_STORYBOARD:
    case RENDITION_POSTER:
        promise_sheets(r, p);
        break;
    case RENDITION_SOURCE: // by passthrough_make
        break;
    default:
        promise_audio(r, &p->table);
    }
}

// What computes with floating point, or decides by it, and lets the CPU choose how:
// decoders and resamplers of sound, tone mapping, x265's rate control.
static bool is_of_machine(const struct rendition *r, const struct media *m)
{
    switch (r->kind) {
    case RENDITION_AUDIO:
        return !r->copied;
    case RENDITION_TEXT:
    case RENDITION_SOURCE:
        return false;
    default:
        return r->v.codec == VIDEO_HEVC || r->v.encoder != ENCODER_SOFTWARE ||
               (media_is_hdr(m) && !is_ten_bit(&r->v));
    }
}

static int make_recipe(const struct plan *p, struct rendition *r, bool machine, const char *asset,
                       const char *version, const char *headers)
{
    struct buf record;
    buf_init(&record, RECORD_MAX);
    const int rc = record_pack(p, r, asset, version, headers, &record);
    if (rc == 0)
        r->recipe = recipe_of(record.data, record.len, machine);
    buf_finish(&record);
    return rc;
}

// ---- the plan

static void add_audio(struct plan *p, const struct media *m, int track, const char *suffix,
                      struct audio_settings a)
{
    assert(p->count < PLAN_RENDITIONS);
    struct rendition *r = &p->renditions[p->count++];
    r->kind = RENDITION_AUDIO;
    r->track = track;
    snprintf(r->name, sizeof r->name, "audio-%d%s", track % MEDIA_AUDIOS, suffix);
    copy_string(r->codecs, sizeof r->codecs, sound_codecs(a.codec));
    r->tags = media_audio(m, track)->tags;
    r->a = a;
}

static struct audio_settings aac(const struct conf *conf, const struct audio_track *t, int channels)
{
    return (struct audio_settings){ .sample_rate = media_output_rate(t->sample_rate),
                                    .channels = channels,
                                    .quality = conf->media_audio_quality };
}

// One channel takes two thirds of what two do.
static struct audio_settings opus(const struct conf *conf, int channels)
{
    const int rate = conf->opus_bitrate;
    return (struct audio_settings){ .sample_rate = 48000,
                                    .channels = channels,
                                    .quality = channels > 1 ? rate : rate * 2 / 3,
                                    .codec = AUDIO_OPUS };
}

// In stereo, or mono, for everybody; then what has 5.1 channels or more, with as many; then
// the first again in Opus, if it is in the ladder.
static void add_audios(struct plan *p, const struct conf *conf, const struct media *m)
{
    const int count = media_audio_count(m);
    for (int i = 0; i < count; i++)
        add_audio(p, m, i, "",
                  aac(conf, media_audio(m, i), media_audio(m, i)->channels > 1 ? 2 : 1));
    for (int i = 0; i < count && media_has_video(m); i++)
        if (media_audio(m, i)->channels >= JOB_CHANNELS_MAX)
            add_audio(p, m, i, "-surround", aac(conf, media_audio(m, i), JOB_CHANNELS_MAX));
    for (int i = 0; i < count && conf->opus_bitrate; i++)
        add_audio(p, m, i, "-opus", opus(conf, media_audio(m, i)->channels > 1 ? 2 : 1));
}

// Where segments last a second or so, the last picture may last longer.
static void add_stills(struct plan *p, const struct conf *conf, const struct media *m)
{
    stills_add_trick(p, conf, m);
    const struct rendition *const r = &p->renditions[p->count - 1];
    const int last = plan_segments(p, r) - 1;
    const int64_t ticks = plan_segment_start(p, r, last + 1) - plan_segment_start(p, r, last);
    const int64_t seconds = muldiv_round(ticks, 1, plan_timescale(p, r));
    if (seconds > p->target_duration)
        p->target_duration = (int)seconds;
    stills_add_storyboard(p, m);
    stills_add_poster(p, m);
}

// For pictures, and for sound on each grid that there is.
// An open table has to do for a last picture of fast play too, which may last 1.5 seconds.
static int longest_duration(const struct plan *p)
{
    int longest = segtab_target_duration(&p->table, (struct rational){ 0, 1 });
    if (p->table.open && longest < 2)
        longest = 2;
    for (int i = 0; i < p->count; i++) {
        if (p->renditions[i].kind != RENDITION_AUDIO)
            continue;
        const struct rational rate = sound_frame_rate(&p->renditions[i].a);
        const int seconds = segtab_target_duration(&p->table, rate);
        longest = seconds > longest ? seconds : longest;
    }
    return longest;
}

// Gives the open table of p the end of m; a beginning's is that of the last segment that is sure.
// False: there is none.
static bool set_end(struct plan *p, const struct media *m)
{
    p->growing = m->reach == MEDIA_BEGINNING;
    const int64_t frames =
        p->growing ? beginning_frames(m) / p->table.per * p->table.per : m->frames;
    if (frames > 0)
        segtab_set_frames(&p->table, frames);
    return frames > 0;
}

static bool make_table(struct plan *p, const struct conf *conf, const struct media *m)
{
    const bool open = m->reach != MEDIA_ALL;
    p->table = (open ? segtab_make_open : segtab_make)(m->fps, m->frames, conf->media_segment);
    static_assert(CONF_RAMP <= SEGTAB_RAMP_MAX, "a ramp has room");
    if (!open)
        segtab_ramp(&p->table, conf->ramp, conf->ramp_count);
    return !open || set_end(p, m);
}

// Copies it, or says why not.
static void copy_audio(struct plan *p, struct rendition *r, const struct media *m)
{
    const char *const why = p->table.open ? "its end is not known" : sound_copy_make(r, p, m);
    if (!why || p->dropped_count == PLAN_VIDEOS)
        return;
    struct dropped *const d = &p->dropped[p->dropped_count++];
    snprintf(d->name, sizeof d->name, "%.16s copy", r->name);
    copy_string(d->why, sizeof d->why, why);
}

int plan_make(struct plan *p, const struct conf *conf, const struct media *m, const char *asset,
              const char *version, const char *headers)
{
    const bool video = media_has_video(m), audio = media_has_audio(m);
    *p = (struct plan){ 0 };
    if ((!video && !audio) || !make_table(p, conf, m))
        return -E_UNSUPPORTED;
    if (video) {
        if (m->reach == MEDIA_ALL)
            passthrough_make(p, conf, m);
        ladder_make(p, conf, m);
        pressed_add(p, conf);
    }
    add_audios(p, conf, m);
    p->target_duration = longest_duration(p);
    if (video && !p->growing)
        add_stills(p, conf, m);
    if (!p->growing)
        texts_add(p, m);

    int rc = 0;
    for (int i = 0; i < p->count && rc == 0; i++) {
        struct rendition *r = &p->renditions[i];
        promise(r, p);
        if (conf->media_copy_audio && r->kind == RENDITION_AUDIO && r->a.codec == AUDIO_AAC)
            copy_audio(p, r, m);
        rc = make_recipe(p, r, is_of_machine(r, m), asset, version, headers);
    }
    if (rc < 0)
        plan_finish(p);
    return rc;
}

void plan_copy(struct plan *to, const struct plan *from)
{
    *to = *from;
    to->table = segtab_copy(&from->table);
}

void plan_finish(struct plan *p)
{
    segtab_finish(&p->table);
}

int plan_add_file(struct plan *p, const char *language, enum text_format format, const char *suffix,
                  struct key file_version, const char *asset, const char *version,
                  const char *headers)
{
    struct rendition r = { .kind = RENDITION_TEXT,
                           .t = { format, true },
                           .file.version = file_version };
    if (p->count == PLAN_RENDITIONS || !copy_string(r.file.suffix, PLAN_SUFFIX, suffix))
        return -E_LIMITS;
    copy_string(r.tags.language, sizeof r.tags.language, language);
    texts_name(p, &r);
    promise(&r, p);
    const int rc = make_recipe(p, &r, false, asset, version, headers);
    if (rc == 0)
        p->renditions[p->count++] = r;
    return rc;
}

static bool has_track(const struct media *m, const struct rendition *r)
{
    switch (r->kind) {
    case RENDITION_AUDIO:
        return r->track < media_audio_count(m);
    case RENDITION_TEXT:
        if (r->t.file)
            return media_has_video(m);
        return r->track < m->text_count && m->texts[r->track].format == r->t.format;
    default:
        return media_has_video(m) &&
               (r->v.deinterlace == DEINTERLACE_NOT || m->video.fields != FIELDS_NONE);
    }
}

bool plan_fit(struct plan *p, const struct media *m)
{
    const struct segtab *t = &p->table;
    if (t->open && (m->reach == MEDIA_ALL || !set_end(p, m)))
        return false;
    if (!t->open && m->reach == MEDIA_BEGINNING)
        return false;
    const int64_t frames = t->open ? t->frames : m->frames;
    if (t->fps.num != m->fps.num || t->fps.den != m->fps.den || t->frames != frames)
        return false;
    for (int i = 0; i < p->count; i++)
        if (!has_track(m, &p->renditions[i]))
            return false;
    return true;
}

bool plan_has_hdr(const struct plan *p)
{
    for (int i = 0; i < p->count; i++)
        if (rendition_is_video(&p->renditions[i]) && is_ten_bit(&p->renditions[i].v))
            return true;
    return false;
}

enum video_codec plan_plainest(const struct plan *p)
{
    enum video_codec codec = VIDEO_CODECS;
    for (int i = 0; i < p->count; i++)
        if (rendition_is_video(&p->renditions[i]) && !is_ten_bit(&p->renditions[i].v) &&
            p->renditions[i].v.codec < codec)
            codec = p->renditions[i].v.codec;
    return codec;
}

int plan_segments(const struct plan *p, const struct rendition *r)
{
    if (r->kind == RENDITION_TRICK)
        return stills_count(&p->table, r);
    if (!plan_is_sheets(r))
        return p->table.count;
    const int tiles = r->s.columns * r->s.rows;
    return (stills_count(&p->table, r) + tiles - 1) / tiles;
}

static int64_t sheet_start(const struct segtab *t, const struct rendition *r, int k)
{
    const int64_t first = (int64_t)k * r->s.columns * r->s.rows;
    const int count = stills_count(t, r);
    return stills_frame(t, r, first < count ? (int)first : count);
}

int64_t plan_segment_start(const struct plan *p, const struct rendition *r, int k)
{
    const struct segtab *const t = &p->table;
    switch (r->kind) {
    case RENDITION_SOURCE:
        return segtab_tick(t, k);
    case RENDITION_VIDEO:
        return segtab_frame(t, k) * pictures_per_frame(&r->v) * r->v.fps.den;
    case RENDITION_TEXT:
        return segtab_frame(t, k) * t->fps.den;
    case RENDITION_TRICK:
        return stills_frame(t, r, k) * t->fps.den;
    case RENDITION_STORYBOARD:
    case RENDITION_POSTER:
        return sheet_start(t, r, k) * t->fps.den;
    default:
        return segtab_audio_frame(t, k, sound_frame_rate(&r->a)) * sound_frame(&r->a);
    }
}

int64_t plan_timescale(const struct plan *p, const struct rendition *r)
{
    switch (r->kind) {
    case RENDITION_SOURCE:
        return p->table.clock;
    case RENDITION_VIDEO:
        return r->v.fps.num;
    case RENDITION_AUDIO:
        return r->a.sample_rate;
    default:
        return p->table.fps.num;
    }
}

int64_t plan_segment_us(const struct plan *p, const struct rendition *r, int k)
{
    return muldiv_round(plan_segment_start(p, r, k), 1000000, plan_timescale(p, r));
}

int64_t plan_segment_samples(const struct plan *p, const struct rendition *r, int k)
{
    assert(r->kind != RENDITION_SOURCE);
    int first, n = 1;
    if (plan_is_sheets(r))
        stills_on_sheet(&p->table, r, k, &first, &n);
    if (plan_is_sheets(r) || r->kind == RENDITION_TRICK || r->kind == RENDITION_TEXT)
        return n;
    const int64_t ticks = plan_segment_start(p, r, k + 1) - plan_segment_start(p, r, k);
    return ticks / (r->kind == RENDITION_VIDEO ? r->v.fps.den : sound_frame(&r->a));
}

int64_t plan_audio_maxrate(const struct plan *p, const struct rendition *r)
{
    const int64_t rate = r->bandwidth - audio_container(r, &p->table);
    return rate > 0 ? rate : 0; // a record may promise anything
}

const struct rendition *plan_find(const struct plan *p, const char *name)
{
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->renditions[i].name, name) == 0)
            return &p->renditions[i];
    return NULL;
}

void plan_show(struct plan *p, bool pressed)
{
    const enum rendition_shown never = pressed ? SHOWN_AT_EASE : SHOWN_UNDER_PRESSURE;
    int n = 0;
    for (int i = 0; i < p->count; i++)
        if (p->renditions[i].shown != never)
            p->renditions[n++] = p->renditions[i];
    p->count = n;
}

// ---- labels

static void base_label(const struct rendition *r, char out[PLAN_LABEL])
{
    const unsigned flags = r->tags.flags;
    char name[LANGUAGE_NAME];
    if (r->tags.title[0])
        copy_string(name, sizeof name, r->tags.title);
    else if (language_is_known(r->tags.language))
        language_name(r->tags.language, name);
    else
        copy_string(name, sizeof name, r->kind == RENDITION_AUDIO ? "Audio" : "Subtitles");
    const char *const what = r->tags.title[0]          ? ""
                             : flags & TAG_FORCED      ? " (forced)"
                             : flags & TAG_CAPTIONS    ? " (CC)"
                             : flags & TAG_COMMENTARY  ? " (commentary)"
                             : flags & TAG_DESCRIPTION ? " (description)"
                                                       : "";
    snprintf(out, PLAN_LABEL, "%s%s", name, what);
}

void plan_label(const struct plan *p, const struct rendition *r, char out[PLAN_LABEL])
{
    int same = 1;
    base_label(r, out);
    for (const struct rendition *x = p->renditions; x < r; x++) {
        char other[PLAN_LABEL];
        base_label(x, other);
        // The same track with more channels, or in Opus, stands in a list of its own.
        const bool beside = x->kind == r->kind && (x->a.channels > 2) == (r->a.channels > 2) &&
                            x->a.codec == r->a.codec;
        same += beside && strcmp(other, out) == 0;
    }
    if (same > 1)
        snprintf(out + strlen(out), PLAN_LABEL - strlen(out), " %d", same);
}
