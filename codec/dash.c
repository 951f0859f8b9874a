// SPDX-License-Identifier: BSD-2-Clause
//
// What is printed here comes from our tables and needs no escaping: names and codecs are
// our own words, a language is a tag of letters and digits.  All but labels, which may be
// titles that the source gave.

#include "codec/dash.h"

#include <inttypes.h>
#include <string.h>

#include "base/base.h"

// The id of the set of one codec and range, by which the trick set says what it is for.
static int set_of(enum video_codec codec, bool hdr)
{
    return (int)codec + 1 + (hdr ? VIDEO_CODECS : 0);
}

static void put_duration(struct buf *out, const char *name, int64_t us)
{
    buf_printf(out, " %s=\"PT%" PRId64 ".%06" PRId64 "S\"", name, us / 1000000, us % 1000000);
}

// The timeline of a set: of the grid, whose ticks all video renditions have, those that
// show every field twice as many; of the samples of audio.
static int64_t set_timescale(const struct plan *p, const struct rendition *r)
{
    return r->kind == RENDITION_VIDEO ? p->table.fps.num : plan_timescale(p, r);
}

static int64_t set_start(const struct plan *p, const struct rendition *r, int k)
{
    return r->kind == RENDITION_VIDEO ? segtab_frame(&p->table, k) * p->table.fps.den
                                      : plan_segment_start(p, r, k);
}

static int64_t ticks(const struct plan *p, const struct rendition *r, int k)
{
    return set_start(p, r, k + 1) - set_start(p, r, k);
}

// When the last picture and the last sound have ended, in microseconds: a player cuts at
// the end of a period, and dash.js takes a time behind it for the end.  Rounded up for what
// lasts longer by a fraction.
static int64_t end_of(const struct plan *p)
{
    const struct segtab *const t = &p->table;
    int64_t end = muldiv_ceil(t->frames * t->fps.den, 1000000, t->fps.num);
    for (int i = 0; i < p->count; i++) {
        const struct rendition *const r = &p->renditions[i];
        if (r->kind != RENDITION_AUDIO)
            continue;
        const int64_t samples = plan_segment_start(p, r, plan_segments(p, r));
        const int64_t its = muldiv_ceil(samples, 1000000, plan_timescale(p, r));
        if (its > end)
            end = its;
    }
    return end;
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

// What all renditions of a set share.
static void put_template(struct buf *out, const struct plan *p, const struct rendition *r)
{
    const bool text = r->kind == RENDITION_TEXT;
    buf_printf(out,
               "<SegmentTemplate timescale=\"%" PRId64 "\" startNumber=\"0\"%s media=\"%s\">\n",
               set_timescale(p, r), text ? "" : " initialization=\"$RepresentationID$/init.mp4\"",
               text ? "$RepresentationID$/$Number$.vtt" : "$RepresentationID$/$Number$.m4s");
    put_timeline(out, p, r);
    buf_puts(out, "</SegmentTemplate>\n");
}

// Whether the template of one says the truth of the other.
static bool same_times(const struct plan *p, const struct rendition *a, const struct rendition *b)
{
    bool same = set_timescale(p, a) == set_timescale(p, b);
    for (int k = 1; same && k <= p->table.count; k++)
        same = set_start(p, a, k) == set_start(p, b, k);
    return same;
}

// Begins a representation.  Its id is its folder, so that the template of a set serves all of
// it: VLC 3 takes no notice of a BaseURL in a representation whose set has the template.
static void open_representation(struct buf *out, const struct rendition *r)
{
    char hex[KEY_HEX];
    buf_printf(out, "<Representation id=\"%s/%s\" bandwidth=\"%" PRId64 "\"",
               key_hex(&r->recipe, hex), r->name, r->bandwidth);
}

static void put_video(struct buf *out, const struct rendition *r)
{
    const struct video_settings *const v = &r->v;
    const struct rational fps = rat_reduce(v->fps);
    open_representation(out, r);
    buf_printf(out,
               " codecs=\"%s\" width=\"%d\" height=\"%d\" sar=\"1:1\" "
               "frameRate=\"%" PRId64 "/%" PRId64 "\">\n",
               r->codecs, v->width, v->height, fps.num, fps.den);
}

static void put_audio(struct buf *out, const struct rendition *r)
{
    open_representation(out, r);
    buf_printf(out,
               " codecs=\"%s\" audioSamplingRate=\"%d\">\n"
               "<AudioChannelConfiguration "
               "schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" "
               "value=\"%d\"/>\n",
               r->codecs, r->a.sample_rate, r->a.channels);
}

// WebVTT as it is has no codec to name.
static void put_text(struct buf *out, const struct rendition *r)
{
    open_representation(out, r);
    buf_puts(out, ">\n");
}

static void put_escaped(struct buf *out, const char *s)
{
    for (; *s; s++) {
        const char *const entity = *s == '&'   ? "&amp;"
                                   : *s == '<' ? "&lt;"
                                   : *s == '>' ? "&gt;"
                                               : NULL;
        if (entity)
            buf_puts(out, entity);
        else
            buf_append(out, s, 1);
    }
}

// ISO/IEC 23009-1, 5.8.5.5.
static const char *role_of(const struct rendition *r)
{
    const unsigned flags = r->tags.flags;
    if (flags & TAG_COMMENTARY)
        return "commentary";
    if (flags & TAG_DESCRIPTION)
        return "description";
    if (flags & TAG_CAPTIONS)
        return "caption";
    if (flags & TAG_FORCED)
        return "forced-subtitle";
    if (r->kind == RENDITION_TEXT)
        return "subtitle";
    if (flags & TAG_DUB)
        return "dub";
    return r->track == 0 ? "main" : "alternate";
}

// "01234567-89ab-cdef-0123-456789abcdef"
static void put_uuid(struct buf *out, const struct key *k)
{
    for (size_t i = 0; i < sizeof k->b; i++)
        buf_printf(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", k->b[i]);
}

struct protection {
    const struct encryption *by;
    const char *license; // where to ask for keys, NULL: it is not said
};

// Shaka Player takes the first that it knows, and that has to say where.
static void put_system(struct buf *out, const char *value, const char *uuid, const char *license)
{
    buf_printf(out, "<ContentProtection %sschemeIdUri=\"urn:uuid:%s\"", value, uuid);
    if (license)
        buf_printf(out, "><dashif:Laurl>%s</dashif:Laurl></ContentProtection>\n", license);
    else
        buf_puts(out, "/>\n");
}

// For players of which each knows one: the common system (W3C), ClearKey (DASH-IF).
static void put_protection(struct buf *out, const struct protection *e)
{
    if (!e)
        return;
    buf_puts(out, "<ContentProtection schemeIdUri=\"urn:mpeg:dash:mp4protection:2011\" "
                  "value=\"cbcs\" cenc:default_KID=\"");
    put_uuid(out, &e->by->key_id);
    buf_puts(out, "\"/>\n");
    put_system(out, "", "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b", e->license);
    put_system(out, "value=\"ClearKey1.0\" ", "e2719d58-a985-b3c9-781a-b030af78d30e", e->license);
}

// Players that do not know how bright it is have to leave it alone.
static void put_range(struct buf *out, const struct rendition *r)
{
    if (is_ten_bit(&r->v))
        buf_printf(out,
                   "<EssentialProperty "
                   "schemeIdUri=\"urn:mpeg:mpegB:cicp:TransferCharacteristics\" "
                   "value=\"%d\"/>\n",
                   r->v.colour.transfer);
}

// The renditions of video in one codec and range are one set, with those in H.264 the
// source's own: players switch between them by themselves.
static bool is_in_set(const struct rendition *r, enum video_codec codec, bool hdr)
{
    return rendition_is_video(r) && r->v.codec == codec && is_ten_bit(&r->v) == hdr;
}

// Whose template stands before a set: a rung's, if there is one; NULL where the set is empty.
static const struct rendition *shared_of(const struct plan *p, enum video_codec codec, bool hdr)
{
    const struct rendition *shared = NULL;
    for (int i = p->count - 1; i >= 0; i--) {
        const struct rendition *const r = &p->renditions[i];
        if (is_in_set(r, codec, hdr) && (!shared || r->kind == RENDITION_VIDEO))
            shared = r;
    }
    return shared;
}

static void put_videos(struct buf *out, const struct plan *p, const struct protection *e,
                       enum video_codec codec, bool hdr)
{
    const struct rendition *const shared = shared_of(p, codec, hdr);
    if (!shared)
        return;
    buf_printf(out,
               "<AdaptationSet id=\"%d\" contentType=\"video\" mimeType=\"video/mp4\" "
               "segmentAlignment=\"true\" startWithSAP=\"1\">\n",
               set_of(codec, hdr));
    put_protection(out, e);
    put_range(out, shared);
    put_template(out, p, shared);
    for (int i = 0; i < p->count; i++) {
        const struct rendition *const r = &p->renditions[i];
        if (!is_in_set(r, codec, hdr))
            continue;
        put_video(out, r);
        if (!same_times(p, r, shared))
            put_template(out, p, r);
        buf_puts(out, "</Representation>\n");
    }
    buf_puts(out, "</AdaptationSet>\n");
}

// What people choose from is a set each.
static void put_choice(struct buf *out, const struct plan *p, const struct protection *e,
                       const struct rendition *r)
{
    const bool text = r->kind == RENDITION_TEXT;
    char label[PLAN_LABEL];
    buf_printf(out, "<AdaptationSet contentType=\"%s\" mimeType=\"%s\"", text ? "text" : "audio",
               text ? "text/vtt" : "audio/mp4");
    if (language_is_known(r->tags.language))
        buf_printf(out, " lang=\"%s\"", r->tags.language);
    buf_puts(out, text ? " segmentAlignment=\"true\">\n"
                       : " segmentAlignment=\"true\" startWithSAP=\"1\">\n");
    put_protection(out, text ? NULL : e);
    buf_puts(out, "<Label>");
    plan_label(p, r, label);
    put_escaped(out, label);
    buf_printf(out, "</Label>\n<Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"%s\"/>\n",
               role_of(r));
    put_template(out, p, r);
    (text ? put_text : put_audio)(out, r);
    buf_puts(out, "</Representation>\n</AdaptationSet>\n");
}

static void put_choices(struct buf *out, const struct plan *p, const struct protection *e,
                        enum rendition_kind kind)
{
    for (int i = 0; i < p->count; i++)
        if (p->renditions[i].kind == kind)
            put_choice(out, p, e, &p->renditions[i]);
}

// DASH-IF IOP 3.2.9: for which set these pictures are.  At that many times the speed they
// come as fast as frames do otherwise.
static void put_trick(struct buf *out, const struct plan *p, const struct protection *e,
                      const struct rendition *r)
{
    buf_printf(out,
               "<AdaptationSet contentType=\"video\" mimeType=\"video/mp4\" "
               "maxPlayoutRate=\"%" PRId64 "\" codingDependency=\"false\" "
               "segmentAlignment=\"true\" startWithSAP=\"1\">\n",
               r->every);
    put_protection(out, e);
    buf_printf(out,
               "<EssentialProperty schemeIdUri=\"http://dashif.org/guidelines/trickmode\" "
               "value=\"%d\"/>\n",
               set_of(plan_plainest(p), false));
    put_template(out, p, r);
    put_video(out, r);
    buf_puts(out, "</Representation>\n</AdaptationSet>\n");
}

// DASH-IF IOP 6.2.6.  All sheets are equally long there, and so are all tiles.
static void put_storyboard(struct buf *out, const struct plan *p, const struct rendition *r)
{
    const struct sheet_settings *const s = &r->s;
    buf_printf(out,
               "<AdaptationSet contentType=\"image\" mimeType=\"image/jpeg\">\n"
               "<SegmentTemplate timescale=\"%" PRId64 "\" duration=\"%" PRId64 "\" "
               "startNumber=\"0\" media=\"$RepresentationID$/$Number$.jpg\"/>\n",
               plan_timescale(p, r), r->every * s->columns * s->rows * p->table.fps.den);
    open_representation(out, r);
    buf_printf(out,
               " width=\"%d\" height=\"%d\">\n"
               "<EssentialProperty schemeIdUri=\"http://dashif.org/guidelines/thumbnail_tile\" "
               "value=\"%dx%d\"/>\n",
               s->columns * s->width, s->rows * s->height, s->columns, s->rows);
    buf_puts(out, "</Representation>\n</AdaptationSet>\n");
}

static void put_stills(struct buf *out, const struct plan *p, const struct protection *e)
{
    for (int i = 0; i < p->count; i++) {
        const struct rendition *const r = &p->renditions[i];
        if (r->kind == RENDITION_TRICK)
            put_trick(out, p, e, r);
        else if (r->kind == RENDITION_STORYBOARD)
            put_storyboard(out, p, r);
    }
}

int dash_manifest(struct buf *out, const struct plan *p, const struct encryption *by,
                  const char *license)
{
    const struct protection all = { by, license }, *const e = by ? &all : NULL;
    buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" ");
    if (e)
        buf_puts(out, "xmlns:cenc=\"urn:mpeg:cenc:2013\" xmlns:dashif=\"https://dashif.org/CPS\" ");
    buf_puts(out, "profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"static\"");
    put_duration(out, "mediaPresentationDuration", end_of(p));
    // No segment is above the bandwidth, so one that is whole can be played.
    put_duration(out, "minBufferTime", p->target_duration * INT64_C(1000000));
    buf_puts(out, ">\n<Period id=\"0\" start=\"PT0S\">\n");
    for (int codec = 0; codec < VIDEO_CODECS; codec++)
        for (int hdr = 0; hdr < 2; hdr++)
            put_videos(out, p, e, (enum video_codec)codec, hdr);
    put_choices(out, p, e, RENDITION_AUDIO);
    put_choices(out, p, e, RENDITION_TEXT);
    put_stills(out, p, e);
    return buf_puts(out, "</Period>\n</MPD>\n");
}
