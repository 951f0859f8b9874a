// SPDX-License-Identifier: BSD-2-Clause

#include "codec/hls.h"

#include <inttypes.h>
#include <string.h>

#include "base/base.h"

#define AUDIO_GROUP "audio"

// Several players begin with the first variant and only then measure, so the
// first is the best that most connections carry: about 2 Mb/s.
#define START_RATE 2500000

static const struct rendition *find_audio(const struct plan *p)
{
    for (int i = 0; i < p->count; i++)
        if (p->renditions[i].kind == RENDITION_AUDIO)
            return &p->renditions[i];
    return NULL;
}

static void put_uri(struct buf *out, const struct rendition *r)
{
    char hex[KEY_HEX];
    buf_printf(out, "%s/%s/index.m3u8", key_hex(&r->recipe, hex), r->name);
}

// A language that nobody named is left out: players show NAME, and make a language of
// LANGUAGE, and "und" is neither.
static void put_group(struct buf *out, const struct media *m, const struct rendition *audio)
{
    const char *const language = m->audio.tags.language;
    const bool known = language_is_known(language);
    buf_printf(out, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"" AUDIO_GROUP "\",NAME=\"%s\"",
               known ? language : "Audio");
    if (known)
        buf_printf(out, ",LANGUAGE=\"%s\"", language);
    buf_printf(out, ",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"%d\",URI=\"", audio->a.channels);
    put_uri(out, audio);
    buf_puts(out, "\"\n");
}

static void put_video(struct buf *out, const struct rendition *r, const struct rendition *audio)
{
    const struct video_settings *v = &r->v;
    buf_printf(out, "#EXT-X-STREAM-INF:BANDWIDTH=%" PRId64 ",AVERAGE-BANDWIDTH=%" PRId64,
               r->bandwidth + (audio ? audio->bandwidth : 0),
               r->average + (audio ? audio->average : 0));
    buf_printf(out, ",CODECS=\"%s%s%s\",RESOLUTION=%dx%d,FRAME-RATE=%.3f,CLOSED-CAPTIONS=NONE",
               r->codecs, audio ? "," : "", audio ? audio->codecs : "", v->width, v->height,
               rat_double(v->fps));
    buf_puts(out, audio ? ",AUDIO=\"" AUDIO_GROUP "\"\n" : "\n");
    put_uri(out, r);
    buf_puts(out, "\n");
}

// RFC 8216bis 4.4.6.3: no FRAME-RATE, no groups.
static void put_trick(struct buf *out, const struct rendition *r)
{
    buf_printf(out,
               "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=%" PRId64 ",AVERAGE-BANDWIDTH=%" PRId64
               ",CODECS=\"%s\",RESOLUTION=%dx%d,URI=\"",
               r->bandwidth, r->average, r->codecs, r->v.width, r->v.height);
    put_uri(out, r);
    buf_puts(out, "\"\n");
}

static void put_audio_alone(struct buf *out, const struct rendition *r)
{
    buf_printf(out,
               "#EXT-X-STREAM-INF:BANDWIDTH=%" PRId64 ",AVERAGE-BANDWIDTH=%" PRId64
               ",CODECS=\"%s\"\n",
               r->bandwidth, r->average, r->codecs);
    put_uri(out, r);
    buf_puts(out, "\n");
}

// The first variant: the largest within START_RATE, else the smallest; -1 without video.
static int start_variant(const struct plan *p, int64_t audio_rate)
{
    int start = -1;
    for (int i = 0; i < p->count; i++) {
        if (p->renditions[i].kind != RENDITION_VIDEO)
            continue;
        start = i;
        if (p->renditions[i].bandwidth + audio_rate <= START_RATE)
            break;
    }
    return start;
}

int hls_master(struct buf *out, const struct media *m, const struct plan *p)
{
    const struct rendition *audio = find_audio(p);
    const int start = start_variant(p, audio ? audio->bandwidth : 0);
    buf_puts(out, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    if (start < 0) {
        assert(audio);
        put_audio_alone(out, audio);
        return buf_error(out);
    }
    if (audio)
        put_group(out, m, audio);
    put_video(out, &p->renditions[start], audio);
    for (int i = 0; i < p->count; i++)
        if (p->renditions[i].kind == RENDITION_VIDEO && i != start)
            put_video(out, &p->renditions[i], audio);
    for (int i = 0; i < p->count; i++)
        if (p->renditions[i].kind == RENDITION_TRICK)
            put_trick(out, &p->renditions[i]);
    return buf_error(out);
}

static int64_t start_us(const struct plan *p, const struct rendition *r, int k)
{
    return muldiv_round(plan_segment_start(p, r, k), 1000000, plan_timescale(p, r));
}

// A difference of rounded starts, so that any run of them adds up.
int64_t hls_segment_us(const struct plan *p, const struct rendition *r, int k)
{
    return start_us(p, r, k + 1) - start_us(p, r, k);
}

int hls_media(struct buf *out, const struct plan *p, const struct rendition *r)
{
    buf_printf(out,
               "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n"
               "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n"
               "%s#EXT-X-MAP:URI=\"init.mp4\"\n",
               p->target_duration, r->kind == RENDITION_TRICK ? "#EXT-X-I-FRAMES-ONLY\n" : "");
    const int count = plan_segments(p, r);
    for (int k = 0; k < count && !out->failed; k++) {
        const int64_t us = hls_segment_us(p, r, k);
        buf_printf(out, "#EXTINF:%" PRId64 ".%06" PRId64 ",\n%d.m4s\n", us / 1000000, us % 1000000,
                   k);
    }
    return buf_puts(out, "#EXT-X-ENDLIST\n");
}
