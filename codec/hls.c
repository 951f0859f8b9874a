// SPDX-License-Identifier: BSD-2-Clause

#include "codec/hls.h"

#include <inttypes.h>
#include <string.h>

#include "base/base.h"

#define TEXT_GROUP "subs"

// Several players begin with the first variant and only then measure, so the
// first is the best that most connections carry: about 2 Mb/s.
#define START_RATE 2500000

static const struct rendition *find(const struct plan *p, enum rendition_kind kind)
{
    for (int i = 0; i < p->count; i++)
        if (p->renditions[i].kind == kind)
            return &p->renditions[i];
    return NULL;
}

// Of the largest of that kind, 0 for none.
static int64_t largest(const struct plan *p, enum rendition_kind kind, bool average)
{
    int64_t rate = 0;
    for (int i = 0; i < p->count; i++) {
        const struct rendition *const r = &p->renditions[i];
        const int64_t own = average ? r->average : r->bandwidth;
        rate = r->kind == kind && own > rate ? own : rate;
    }
    return rate;
}

static void put_uri(struct buf *out, const struct rendition *r)
{
    char hex[KEY_HEX];
    buf_printf(out, "%s/%s/index.m3u8", key_hex(&r->recipe, hex), r->name);
}

// A language that nobody named is left out: players show NAME, and make a language of
// LANGUAGE, and "und" is neither.
static void put_media(struct buf *out, const struct plan *p, const struct rendition *r,
                      const char *group, bool first)
{
    char label[PLAN_LABEL];
    plan_label(p, r, label);
    buf_printf(out, "#EXT-X-MEDIA:TYPE=%s,GROUP-ID=\"%s\",NAME=\"%s\"",
               r->kind == RENDITION_TEXT ? "SUBTITLES" : "AUDIO", group, label);
    if (language_is_known(r->tags.language))
        buf_printf(out, ",LANGUAGE=\"%s\"", r->tags.language);
    // Nobody hears the makers talk only because it is in their language.
    const bool choose = first || !(r->tags.flags & TAG_COMMENTARY);
    buf_printf(out, ",DEFAULT=%s,AUTOSELECT=%s", first ? "YES" : "NO", choose ? "YES" : "NO");
}

static void put_media_uri(struct buf *out, const struct rendition *r)
{
    buf_puts(out, ",URI=\"");
    put_uri(out, r);
    buf_puts(out, "\"\n");
}

// ---- groups of sound
// All tracks in stereo; where there is more of one, all at their best; and all in Opus, if the
// ladder has it: a variant says which of these it is heard with, and all have the same tracks.
// The first is for everybody.

enum group_kind { GROUP_STEREO, GROUP_SURROUND, GROUP_OPUS, GROUPS };

static const char *const group_names[GROUPS] = { "audio", "surround", "opus" };

struct group {
    enum group_kind kind;
    int64_t bandwidth, average; // of the largest in it
    const char *codecs;         // NULL: there is no such group
};

static bool has_surround(const struct plan *p, int track)
{
    for (int i = 0; i < p->count; i++) {
        const struct rendition *const r = &p->renditions[i];
        if (r->kind == RENDITION_AUDIO && r->a.channels > 2 && (track < 0 || r->track == track))
            return true;
    }
    return false;
}

static bool is_in(const struct group *g, const struct plan *p, const struct rendition *r)
{
    if (r->kind != RENDITION_AUDIO || (r->a.codec == AUDIO_OPUS) != (g->kind == GROUP_OPUS))
        return false;
    const bool best = g->kind == GROUP_SURROUND;
    return r->a.channels > 2 ? best : !best || !has_surround(p, r->track);
}

static struct group group_of(const struct plan *p, enum group_kind kind)
{
    struct group g = { .kind = kind };
    for (int i = 0; i < p->count && (kind != GROUP_SURROUND || has_surround(p, -1)); i++) {
        const struct rendition *const r = &p->renditions[i];
        if (!is_in(&g, p, r))
            continue;
        g.codecs = r->codecs;
        g.bandwidth = r->bandwidth > g.bandwidth ? r->bandwidth : g.bandwidth;
        g.average = r->average > g.average ? r->average : g.average;
    }
    return g;
}

static void put_group(struct buf *out, const struct plan *p, const struct group *g)
{
    for (int i = 0; i < p->count; i++) {
        const struct rendition *const r = &p->renditions[i];
        if (!is_in(g, p, r))
            continue;
        put_media(out, p, r, group_names[g->kind], r->track == 0);
        if (r->tags.flags & TAG_DESCRIPTION)
            buf_puts(out, ",CHARACTERISTICS=\"public.accessibility.describes-video\"");
        buf_printf(out, ",CHANNELS=\"%d\"", r->a.channels);
        put_media_uri(out, r);
    }
}

// ---- the master playlist

// Nobody's subtitles are shown unasked but those that the source says it of.
static void put_texts(struct buf *out, const struct plan *p)
{
    bool chosen = false;
    for (int i = 0; i < p->count; i++) {
        const struct rendition *const r = &p->renditions[i];
        if (r->kind != RENDITION_TEXT)
            continue;
        const bool first = !chosen && r->tags.flags & TAG_PREFERRED;
        chosen |= first;
        put_media(out, p, r, TEXT_GROUP, first);
        buf_puts(out, r->tags.flags & TAG_FORCED ? ",FORCED=YES" : ",FORCED=NO");
        if (r->tags.flags & TAG_CAPTIONS)
            buf_puts(out, ",CHARACTERISTICS=\"public.accessibility.transcribes-spoken-dialog,"
                          "public.accessibility.describes-music-and-sound\"");
        put_media_uri(out, r);
    }
}

// Where all is SDR it goes without saying.
static void put_range(struct buf *out, const struct plan *p, const struct rendition *r)
{
    const int transfer = r->v.colour.transfer;
    if (plan_has_hdr(p))
        buf_printf(out, ",VIDEO-RANGE=%s",
                   transfer == TRANSFER_PQ    ? "PQ"
                   : transfer == TRANSFER_HLG ? "HLG"
                                              : "SDR");
}

static void put_video(struct buf *out, const struct plan *p, const struct rendition *r,
                      const struct group *g)
{
    const struct video_settings *v = &r->v;
    buf_printf(out, "#EXT-X-STREAM-INF:BANDWIDTH=%" PRId64 ",AVERAGE-BANDWIDTH=%" PRId64,
               r->bandwidth + g->bandwidth + largest(p, RENDITION_TEXT, false),
               r->average + g->average + largest(p, RENDITION_TEXT, true));
    buf_printf(out, ",CODECS=\"%s%s%s\",RESOLUTION=%dx%d,FRAME-RATE=%.3f,CLOSED-CAPTIONS=NONE",
               r->codecs, g->codecs ? "," : "", g->codecs ? g->codecs : "", v->width, v->height,
               rat_double(v->fps));
    put_range(out, p, r);
    if (g->codecs)
        buf_printf(out, ",AUDIO=\"%s\"", group_names[g->kind]);
    buf_puts(out, find(p, RENDITION_TEXT) ? ",SUBTITLES=\"" TEXT_GROUP "\"\n" : "\n");
    put_uri(out, r);
    buf_puts(out, "\n");
}

// The one to start with first.
static void put_videos(struct buf *out, const struct plan *p, int start, const struct group *g)
{
    put_video(out, p, &p->renditions[start], g);
    for (int i = 0; i < p->count; i++)
        if (rendition_is_video(&p->renditions[i]) && i != start)
            put_video(out, p, &p->renditions[i], g);
}

// RFC 8216bis 4.4.6.3: no FRAME-RATE, no groups.
static void put_trick(struct buf *out, const struct plan *p, const struct rendition *r)
{
    buf_printf(out,
               "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=%" PRId64 ",AVERAGE-BANDWIDTH=%" PRId64
               ",CODECS=\"%s\",RESOLUTION=%dx%d",
               r->bandwidth, r->average, r->codecs, r->v.width, r->v.height);
    put_range(out, p, r);
    buf_puts(out, ",URI=\"");
    put_uri(out, r);
    buf_puts(out, "\"\n");
}

// Its size is that of a tile.
static void put_storyboard(struct buf *out, const struct rendition *r)
{
    buf_printf(out,
               "#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=%" PRId64 ",AVERAGE-BANDWIDTH=%" PRId64
               ",CODECS=\"%s\",RESOLUTION=%dx%d,URI=\"",
               r->bandwidth, r->average, r->codecs, r->s.width, r->s.height);
    put_uri(out, r);
    buf_puts(out, "\"\n");
}

static void put_stills(struct buf *out, const struct plan *p)
{
    for (int i = 0; i < p->count; i++) {
        const struct rendition *const r = &p->renditions[i];
        if (r->kind == RENDITION_TRICK)
            put_trick(out, p, r);
        else if (r->kind == RENDITION_STORYBOARD)
            put_storyboard(out, r);
    }
}

static void put_audio_alone(struct buf *out, const struct rendition *r)
{
    if (r->kind != RENDITION_AUDIO || r->track > 0)
        return;
    buf_printf(out,
               "#EXT-X-STREAM-INF:BANDWIDTH=%" PRId64 ",AVERAGE-BANDWIDTH=%" PRId64
               ",CODECS=\"%s\"\n",
               r->bandwidth, r->average, r->codecs);
    put_uri(out, r);
    buf_puts(out, "\n");
}

// The first variant: of the plainest codec the largest within START_RATE, else the
// smallest; -1 without video.
static int start_variant(const struct plan *p, int64_t audio_rate)
{
    const enum video_codec codec = plan_plainest(p);
    int start = -1;
    for (int i = 0; i < p->count; i++) {
        const struct rendition *const r = &p->renditions[i];
        if (!rendition_is_video(r) || r->v.codec != codec || is_ten_bit(&r->v))
            continue;
        start = i;
        if (p->renditions[i].bandwidth + audio_rate <= START_RATE)
            break;
    }
    return start;
}

int hls_master(struct buf *out, const struct plan *p)
{
    struct group groups[GROUPS];
    for (int g = 0; g < GROUPS; g++)
        groups[g] = group_of(p, (enum group_kind)g);
    const int start = start_variant(p, groups[GROUP_STEREO].bandwidth);
    buf_puts(out, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    for (int i = 0; start < 0 && i < p->count; i++)
        put_audio_alone(out, &p->renditions[i]);
    if (start < 0)
        return buf_error(out);
    for (int g = 0; g < GROUPS; g++)
        if (groups[g].codecs)
            put_group(out, p, &groups[g]);
    put_texts(out, p);
    for (int g = 0; g < GROUPS; g++)
        if (g == GROUP_STEREO || groups[g].codecs)
            put_videos(out, p, start, &groups[g]);
    put_stills(out, p);
    return buf_error(out);
}

static void put_extinf(struct buf *out, int64_t us)
{
    buf_printf(out, "#EXTINF:%" PRId64 ".%06" PRId64 ",\n", us / 1000000, us % 1000000);
}

// A difference of rounded starts, so that any run of them adds up.
int64_t hls_segment_us(const struct plan *p, const struct rendition *r, int k)
{
    return plan_segment_us(p, r, k + 1) - plan_segment_us(p, r, k);
}

// Shaka's and Roku's tags for images, which no RFC has; others leave them out.
static int hls_sheets(struct buf *out, const struct plan *p, const struct rendition *r)
{
    const int count = plan_segments(p, r);
    const int64_t each = muldiv_round(r->every, 1000000 * p->table.fps.den, p->table.fps.num);
    int64_t longest = 0;
    for (int k = 0; k < count; k++)
        longest = hls_segment_us(p, r, k) > longest ? hls_segment_us(p, r, k) : longest;
    buf_printf(out,
               "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%" PRId64 "\n"
               "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-IMAGES-ONLY\n",
               longest < 1000000 ? 1 : (longest + 500000) / 1000000);
    for (int k = 0; k < count && !out->failed; k++) {
        put_extinf(out, hls_segment_us(p, r, k));
        buf_printf(out,
                   "#EXT-X-TILES:RESOLUTION=%dx%d,LAYOUT=%dx%d,DURATION=%" PRId64 ".%06" PRId64
                   "\n%d.jpg\n",
                   r->s.width, r->s.height, r->s.columns, r->s.rows, each / 1000000, each % 1000000,
                   k);
    }
    return buf_puts(out, "#EXT-X-ENDLIST\n");
}

// end: of a segment's name.
static int put_segments(struct buf *out, const struct plan *p, const struct rendition *r,
                        const char *end)
{
    const int count = plan_segments(p, r);
    for (int k = 0; k < count && !out->failed; k++) {
        put_extinf(out, hls_segment_us(p, r, k));
        buf_printf(out, "%d%s\n", k, end);
    }
    return buf_puts(out, p->growing ? "" : "#EXT-X-ENDLIST\n");
}

// RFC 8216bis 4.4.3.5: of an EVENT segments may be added at the end, which a playlist with an open
// table says from its first form to its last.  Players join one in the middle at its end
// unless they are told where it starts.
static void put_head(struct buf *out, const struct plan *p, int version)
{
    buf_printf(out,
               "#EXTM3U\n#EXT-X-VERSION:%d\n#EXT-X-TARGETDURATION:%d\n"
               "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:%s\n#EXT-X-INDEPENDENT-SEGMENTS\n",
               version, p->target_duration, p->table.open ? "EVENT" : "VOD");
    if (p->growing)
        buf_puts(out, "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES\n");
}

int hls_media(struct buf *out, const struct plan *p, const struct rendition *r,
              const struct encryption *e)
{
    if (plan_is_sheets(r))
        return hls_sheets(out, p, r);
    put_head(out, p, 7);
    if (r->kind == RENDITION_TRICK)
        buf_puts(out, "#EXT-X-I-FRAMES-ONLY\n");
    const bool text = r->kind == RENDITION_TEXT;
    if (!text)
        buf_puts(out, "#EXT-X-MAP:URI=\"init.mp4\"\n");
    if (e)
        encryption_put_key(e, out);
    return put_segments(out, p, r, text ? ".vtt" : ".m4s");
}

// ---- MPEG-TS

static void put_muxed(struct buf *out, const struct plan *p, const struct ts_rendition *t)
{
    const struct rendition *const video = plan_find(p, t->video.name);
    const struct rendition *const audio = plan_find(p, t->audio.name);
    buf_printf(out,
               "#EXT-X-STREAM-INF:BANDWIDTH=%" PRId64 ",AVERAGE-BANDWIDTH=%" PRId64
               ",CODECS=\"%s%s%s\"",
               ts_bandwidth(p, video, audio), ts_average(p, video, audio),
               video ? video->codecs : "", video && audio ? "," : "", audio ? audio->codecs : "");
    if (video)
        buf_printf(out, ",RESOLUTION=%dx%d,FRAME-RATE=%.3f,CLOSED-CAPTIONS=NONE", video->v.width,
                   video->v.height, rat_double(video->v.fps));
    char hex[KEY_HEX];
    buf_printf(out, "\n%s/%s/index.m3u8\n", key_hex(&t->recipe, hex), ts_lead(t)->name);
}

// The variant to start with: as in the other master playlist, or the first.
static int start_muxed(const struct plan *p, const struct ts_rendition *list, int count)
{
    const struct rendition *const audio = find(p, RENDITION_AUDIO);
    const int start = start_variant(p, audio ? audio->bandwidth : 0);
    for (int i = 0; i < count && start >= 0; i++)
        if (strcmp(list[i].video.name, p->renditions[start].name) == 0)
            return i;
    return 0;
}

int hls_master_ts(struct buf *out, const struct plan *p, const struct ts_rendition *list, int count)
{
    const int start = start_muxed(p, list, count);
    buf_puts(out, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    for (int i = 0; i < count; i++)
        put_muxed(out, p, &list[i == 0 ? start : i <= start ? i - 1 : i]);
    return buf_error(out);
}

int hls_media_ts(struct buf *out, const struct plan *p, const struct rendition *r,
                 const struct encryption *e)
{
    put_head(out, p, 3);
    if (e)
        encryption_put_key(e, out);
    return put_segments(out, p, r, ".ts");
}
