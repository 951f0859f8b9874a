// SPDX-License-Identifier: BSD-2-Clause
//
// What is printed here comes from our tables and needs no escaping: names and codecs are
// our own words, a language is a tag of letters and digits.

#include "codec/dash.h"

#include <inttypes.h>
#include <string.h>

#include "base/base.h"

#define VIDEO_SET "1" // id of the set that the trick set is for

// Rounded up: a player cuts at the end of a period, and with it a picture that lasts
// longer by a fraction of a microsecond.
static void put_duration(struct buf *out, const char *name, int64_t num, int64_t den)
{
    const int64_t us = muldiv_ceil(num, 1000000, den);
    buf_printf(out, " %s=\"PT%" PRId64 ".%06" PRId64 "S\"", name, us / 1000000, us % 1000000);
}

// Of the timeline of a set: of the grid, whose ticks all video renditions have, those
// that show every field twice as many; of the samples of audio.
static int64_t ticks(const struct plan *p, const struct rendition *r, int k)
{
    if (r->kind == RENDITION_VIDEO)
        return (segtab_frame(&p->table, k + 1) - segtab_frame(&p->table, k)) * p->table.fps.den;
    return plan_segment_start(p, r, k + 1) - plan_segment_start(p, r, k);
}

// Segments that are equally long are one S: r counts those behind the first.
static void put_timeline(struct buf *out, const struct plan *p, const struct rendition *r)
{
    buf_puts(out, "<SegmentTimeline>\n");
    const int count = plan_segments(p, r);
    for (int k = 0, next; k < count && !out->failed; k = next) {
        const int64_t d = ticks(p, r, k);
        for (next = k + 1; next < count && ticks(p, r, next) == d;)
            next++;
        buf_puts(out, k ? "<S" : "<S t=\"0\"");
        buf_printf(out, " d=\"%" PRId64 "\"", d);
        if (next > k + 1)
            buf_printf(out, " r=\"%d\"", next - k - 1);
        buf_puts(out, "/>\n");
    }
    buf_puts(out, "</SegmentTimeline>\n");
}

// What all renditions of a kind share.
static void put_template(struct buf *out, const struct plan *p, const struct rendition *r)
{
    buf_printf(out,
               "<SegmentTemplate timescale=\"%" PRId64 "\" startNumber=\"0\" "
               "initialization=\"init.mp4\" media=\"$Number$.m4s\">\n",
               r->kind == RENDITION_AUDIO ? r->a.sample_rate : p->table.fps.num);
    put_timeline(out, p, r);
    buf_puts(out, "</SegmentTemplate>\n");
}

static void put_base(struct buf *out, const struct rendition *r)
{
    char hex[KEY_HEX];
    buf_printf(out, "<BaseURL>%s/%s/</BaseURL>\n</Representation>\n", key_hex(&r->recipe, hex),
               r->name);
}

static void put_video(struct buf *out, const struct rendition *r)
{
    const struct video_settings *const v = &r->v;
    const struct rational fps = rat_reduce(v->fps);
    buf_printf(out,
               "<Representation id=\"%s\" bandwidth=\"%" PRId64 "\" codecs=\"%s\" width=\"%d\" "
               "height=\"%d\" sar=\"1:1\" frameRate=\"%" PRId64 "/%" PRId64 "\">\n",
               r->name, r->bandwidth, r->codecs, v->width, v->height, fps.num, fps.den);
    put_base(out, r);
}

static void put_audio(struct buf *out, const struct rendition *r)
{
    buf_printf(out,
               "<Representation id=\"%s\" bandwidth=\"%" PRId64 "\" codecs=\"%s\" "
               "audioSamplingRate=\"%d\">\n"
               "<AudioChannelConfiguration "
               "schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" "
               "value=\"%d\"/>\n",
               r->name, r->bandwidth, r->codecs, r->a.sample_rate, r->a.channels);
    put_base(out, r);
}

// The renditions of one kind, if there are any.
static void put_set(struct buf *out, const struct plan *p, enum rendition_kind kind)
{
    const struct rendition *shared = NULL;
    const bool video = kind == RENDITION_VIDEO;
    for (int i = 0; i < p->count; i++) {
        const struct rendition *const r = &p->renditions[i];
        if (r->kind != kind)
            continue;
        if (!shared) {
            const char *const type = video ? "video" : "audio";
            buf_printf(out, "<AdaptationSet%s contentType=\"%s\" mimeType=\"%s/mp4\"",
                       video ? " id=\"" VIDEO_SET "\"" : "", type, type);
            if (!video && language_is_known(r->tags.language))
                buf_printf(out, " lang=\"%s\"", r->tags.language);
            buf_puts(out, " segmentAlignment=\"true\" startWithSAP=\"1\">\n");
            put_template(out, p, r);
            shared = r;
        }
        (video ? put_video : put_audio)(out, r);
    }
    if (shared)
        buf_puts(out, "</AdaptationSet>\n");
}

// DASH-IF IOP 3.2.9: for which set these pictures are.  One each can be had while so many
// pass, so no faster play than that has them all.
static void put_trick(struct buf *out, const struct plan *p, const struct rendition *r)
{
    buf_printf(out,
               "<AdaptationSet contentType=\"video\" mimeType=\"video/mp4\" "
               "maxPlayoutRate=\"%" PRId64 "\" codingDependency=\"false\" "
               "segmentAlignment=\"true\" startWithSAP=\"1\">\n"
               "<EssentialProperty schemeIdUri=\"http://dashif.org/guidelines/trickmode\" "
               "value=\"" VIDEO_SET "\"/>\n",
               r->every);
    put_template(out, p, r);
    put_video(out, r);
    buf_puts(out, "</AdaptationSet>\n");
}

// DASH-IF IOP 6.2.6.  All sheets are equally long there, and so are all tiles.
static void put_storyboard(struct buf *out, const struct plan *p, const struct rendition *r)
{
    const struct sheet_settings *const s = &r->s;
    buf_printf(out,
               "<AdaptationSet contentType=\"image\" mimeType=\"image/jpeg\">\n"
               "<SegmentTemplate timescale=\"%" PRId64 "\" duration=\"%" PRId64 "\" "
               "startNumber=\"0\" media=\"$Number$.jpg\"/>\n"
               "<Representation id=\"%s\" bandwidth=\"%" PRId64 "\" width=\"%d\" height=\"%d\">\n"
               "<EssentialProperty schemeIdUri=\"http://dashif.org/guidelines/thumbnail_tile\" "
               "value=\"%dx%d\"/>\n",
               plan_timescale(p, r), r->every * s->columns * s->rows * p->table.fps.den, r->name,
               r->bandwidth, s->columns * s->width, s->rows * s->height, s->columns, s->rows);
    put_base(out, r);
    buf_puts(out, "</AdaptationSet>\n");
}

static void put_stills(struct buf *out, const struct plan *p)
{
    for (int i = 0; i < p->count; i++) {
        const struct rendition *const r = &p->renditions[i];
        if (r->kind == RENDITION_TRICK)
            put_trick(out, p, r);
        else if (r->kind == RENDITION_STORYBOARD)
            put_storyboard(out, p, r);
    }
}

int dash_manifest(struct buf *out, const struct plan *p)
{
    const struct segtab *const t = &p->table;
    buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "
                  "profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"static\"");
    put_duration(out, "mediaPresentationDuration", t->frames * t->fps.den, t->fps.num);
    // No segment is above the bandwidth, so one that is whole can be played.
    put_duration(out, "minBufferTime", p->target_duration, 1);
    buf_puts(out, ">\n<Period id=\"0\" start=\"PT0S\">\n");
    put_set(out, p, RENDITION_VIDEO);
    put_set(out, p, RENDITION_AUDIO);
    put_stills(out, p);
    return buf_puts(out, "</Period>\n</MPD>\n");
}
