// SPDX-License-Identifier: BSD-2-Clause

#include "codec/ladder.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "codec/level.h"
#include "config/conf.h"

#define RATE_MIN 100000
#define LONG_SIDE_MAX 8192 // of an output picture
#define SHORT_SIDE_MIN 64  // of one that is not H.264: SVT-AV1 takes no less
// Less starves the first picture of a part (which is most of a still scene), more is spent
// on top of maxrate in a busy one: docs/quality.md has the measurement.
#define VBV_INIT_PERMILLE 680

// A picture size with its sides named by length.
struct shape {
    int long_side, short_side;
    bool upright; // portrait
};

static struct shape source_shape(const struct media *m)
{
    int w, h;
    media_display_size(m, &w, &h);
    return (struct shape){ w > h ? w : h, (int)min64(w, h), h > w };
}

// ---- colour

// One bit for each code point that H.264 can carry and that describes pictures as
// we make them: not RGB, no unusual matrix, no HDR transfer.
#define BIT(n) (UINT32_C(1) << (n))
static const uint32_t good_primaries =
    BIT(1) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(9) | BIT(11) | BIT(12) | BIT(22);
static const uint32_t good_transfer = BIT(1) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(9) |
                                      BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(14) | BIT(15);
static const uint32_t good_matrix = BIT(1) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(9);

static int tag_or(uint32_t good, int tag, int guess)
{
    return tag >= 0 && tag < 32 && good & BIT(tag) ? tag : guess;
}

struct colour ladder_colour(const struct media *m)
{
    const struct colour in = m->video.colour;
    if (media_is_hdr(m))
        return (struct colour){ 1, 1, 1, false };
    // High definition is BT.709, the rest BT.601, unless a tag hints otherwise.
    int guess = source_shape(m).short_side >= 720 ? 1 : 6;
    if (in.matrix == 1 || in.matrix == 6)
        guess = in.matrix;
    return (struct colour){ tag_or(good_primaries, in.primaries, guess),
                            tag_or(good_transfer, in.transfer, guess),
                            tag_or(good_matrix, in.matrix, guess), false };
}

struct colour ladder_hdr_colour(const struct media *m)
{
    const struct colour in = m->video.colour;
    return (struct colour){ tag_or(good_primaries, in.primaries, 9), in.transfer,
                            tag_or(good_matrix, in.matrix, 9), false };
}

// ---- rates

static enum video_codec codec_of(const struct conf_rung *rung)
{
    static const enum video_codec codecs[CONF_CODECS] = {
        [CONF_H264] = VIDEO_H264,
        [CONF_HEVC] = VIDEO_HEVC,
        [CONF_AV1] = VIDEO_AV1,
    };
    return codecs[rung->codec];
}

// The maxrate that goes with the BANDWIDTH of the source's own video, less what is worth
// having a rung for.
static int64_t below(const struct rendition *source)
{
    return muldiv_floor(source->bandwidth, 85, 115);
}

// How many times the source's own rate a rung may take before it saves nothing:
// newer codecs say the same in fewer bits.
static int64_t worth(const struct media *m, enum video_codec codec)
{
    static const int efficiency[VIDEO_CODECS] = {
        [VIDEO_H264] = 100,
        [VIDEO_HEVC] = 65,
        [VIDEO_AV1] = 55,
    };
    static const int percent[CODEC_COUNT] = {
        [CODEC_HEVC] = 250,
        [CODEC_VP9] = 250,
        [CODEC_AV1] = 300,
    };
    const int p = percent[m->video.codec] ? percent[m->video.codec] : 150;
    return media_video_rate(m) * p / 100 * efficiency[codec] / 100;
}

// Whether players choose between the source's own video and such a rung by their rates.
static bool is_beside_source(const struct plan *p, enum video_codec codec, bool hdr)
{
    const struct rendition *const r = &p->renditions[0];
    return p->count > 0 && r->kind == RENDITION_SOURCE && r->v.codec == codec &&
           is_ten_bit(&r->v) == hdr;
}

static int64_t rate_limit(const struct plan *p, const struct media *m, enum video_codec codec,
                          bool hdr)
{
    const int64_t most = worth(m, codec);
    const int64_t less = is_beside_source(p, codec, hdr) ? below(&p->renditions[0]) : most;
    return less < most && less >= RATE_MIN ? less : most;
}

static int64_t limited_rate(const struct plan *p, int64_t maxrate, struct rational fps,
                            const struct conf_rung *rung, const struct media *m)
{
    if (rat_cmp(fps, (struct rational){ 30, 1 }) > 0)
        maxrate = maxrate * 3 / 2;
    const int64_t limit = rate_limit(p, m, codec_of(rung), rung->hdr);
    maxrate = maxrate < limit ? maxrate : limit;
    return maxrate > RATE_MIN ? maxrate : RATE_MIN;
}

// ---- rungs

static enum video_encoder encoder_of(const struct conf_rung *rung)
{
    static const enum video_encoder encoders[CONF_ENCODERS] = {
        [CONF_SOFTWARE] = ENCODER_SOFTWARE,     [CONF_H264_NVENC] = ENCODER_H264_NVENC,
        [CONF_H264_QSV] = ENCODER_H264_QSV,     [CONF_H264_VAAPI] = ENCODER_H264_VAAPI,
        [CONF_HEVC_NVENC] = ENCODER_HEVC_NVENC, [CONF_HEVC_QSV] = ENCODER_HEVC_QSV,
        [CONF_HEVC_VAAPI] = ENCODER_HEVC_VAAPI,
    };
    return encoders[rung->encoder];
}

// H.264 is what goes without saying.
static void print_name(char *out, size_t cap, int short_side, const struct conf_rung *rung)
{
    static const char *const suffix[VIDEO_CODECS] = { "", "-hevc", "-av1" };
    const bool plain = rung->hdr && codec_of(rung) == VIDEO_HEVC; // HDR is HEVC unless it says AV1
    snprintf(out, cap, "%dp%s%s", short_side, plain ? "" : suffix[codec_of(rung)],
             rung->hdr ? "-hdr" : "");
}

static void drop(struct plan *p, const struct conf_rung *rung, const char *why)
{
    struct dropped *d = &p->dropped[p->dropped_count++];
    print_name(d->name, sizeof d->name, rung->short_side, rung);
    copy_string(d->why, sizeof d->why, why);
}

static int even(int n)
{
    return n < 2 ? 2 : n & ~1;
}

// The source at this short side, both sides even; the long one is rounded once.
static struct shape scaled(struct shape source, int short_side)
{
    const int64_t half = muldiv_round(source.long_side, short_side, 2 * source.short_side);
    return (struct shape){ (int)(half > 0 ? 2 * half : 2), short_side, source.upright };
}

static struct shape own_size(struct shape source)
{
    if (source.long_side <= LONG_SIDE_MAX)
        return (struct shape){ even(source.long_side), even(source.short_side), source.upright };
    const int64_t side = muldiv_floor(source.short_side, LONG_SIDE_MAX, source.long_side);
    return (struct shape){ LONG_SIDE_MAX, even((int)side), source.upright };
}

static struct shape fitted(struct shape source, int long_max, int short_max)
{
    if (source.long_side <= long_max && source.short_side <= short_max)
        return (struct shape){ even(source.long_side), even(source.short_side), source.upright };
    if ((int64_t)source.long_side * short_max < (int64_t)source.short_side * long_max)
        return scaled(source, short_max);
    const int64_t half = muldiv_round(source.short_side, long_max, 2 * source.long_side);
    return (struct shape){ long_max, half > 0 ? (int)(2 * half) : 2, source.upright };
}

void ladder_fit(const struct media *m, int long_max, int short_max, int *width, int *height)
{
    const struct shape s = fitted(source_shape(m), long_max, short_max);
    *width = s.upright ? s.short_side : s.long_side;
    *height = s.upright ? s.long_side : s.short_side;
}

// ---- rates in time

// Whether each field becomes a picture of a rung of this size.
static bool every_field(const struct conf *conf, const struct media *m, int short_side)
{
    const bool wanted = conf->media_every_field && short_side >= conf->media_every_field;
    return wanted && m->video.fields != FIELDS_NONE &&
           rat_cmp(m->fps, (struct rational){ 30, 1 }) <= 0;
}

static enum deinterlace deinterlace_of(const struct conf *conf, const struct media *m,
                                       int short_side)
{
    if (m->video.fields == FIELDS_NONE)
        return DEINTERLACE_NOT;
    return every_field(conf, m, short_side) ? DEINTERLACE_FIELDS : DEINTERLACE_FRAMES;
}

static struct rational fps_of(const struct conf *conf, const struct media *m, int short_side)
{
    if (!every_field(conf, m, short_side))
        return m->fps;
    return rat_reduce((struct rational){ 2 * m->fps.num, m->fps.den });
}

// ---- adding

// RFC 6381 and what each codec's binding to MP4 adds: profiles and flags as the encoders
// are told, or always write, them.
static void set_level(struct rendition *r)
{
    struct video_settings *const v = &r->v;
    const struct colour *const c = &v->colour;
    switch (v->codec) {
    case VIDEO_HEVC:
        v->level = level_hevc(v->width, v->height, v->fps, v->maxrate, v->bufsize);
        snprintf(r->codecs, sizeof r->codecs, "hvc1.%s.L%d.90", is_ten_bit(v) ? "2.4" : "1.6",
                 v->level);
        break;
    case VIDEO_AV1: // what is behind the depth is BT.709 when it is not told
        v->level = level_av1(v->width, v->height, v->fps, v->maxrate);
        snprintf(r->codecs, sizeof r->codecs, "av01.0.%02dM.%02d", v->level,
                 is_ten_bit(v) ? 10 : 8);
        if (c->primaries != 1 || c->transfer != 1 || c->matrix != 1)
            snprintf(r->codecs, sizeof r->codecs, "av01.0.%02dM.%02d.0.110.%02d.%02d.%02d.0",
                     v->level, is_ten_bit(v) ? 10 : 8, c->primaries, c->transfer, c->matrix);
        break;
    default:
        v->level = level_h264(v->width, v->height, v->fps, v->maxrate, v->bufsize);
        snprintf(r->codecs, sizeof r->codecs, "avc1.6400%02X", v->level);
    }
}

static void add(struct plan *p, const struct conf *conf, const struct media *m, struct shape s,
                int64_t maxrate, const struct conf_rung *rung)
{
    assert(p->count < PLAN_RENDITIONS);
    struct rendition *r = &p->renditions[p->count++];
    r->kind = RENDITION_VIDEO;
    print_name(r->name, sizeof r->name, s.short_side, rung);
    r->v = (struct video_settings){
        .codec = codec_of(rung),
        .encoder = encoder_of(rung),
        .width = s.upright ? s.short_side : s.long_side,
        .height = s.upright ? s.long_side : s.short_side,
        .fps = fps_of(conf, m, s.short_side),
        .deinterlace = deinterlace_of(conf, m, s.short_side),
        .crf = rung->crf,
        .maxrate = maxrate,
        .bufsize = maxrate,
        .vbv_init_permille = VBV_INIT_PERMILLE,
        .colour = rung->hdr ? ladder_hdr_colour(m) : ladder_colour(m),
        .mastering = rung->hdr ? m->video.mastering : (struct mastering){ { 0 }, { 0 } },
    };
    copy_string(r->v.preset, sizeof r->v.preset, conf->media_preset);
    set_level(r);
}

// Against the rung kept above it, whose maxrate is above (0: none).
static const char *why_not(const struct conf_rung *rung, struct shape source, bool hdr,
                           int64_t maxrate, int64_t above)
{
    if (rung->hdr && !hdr)
        return "the source's range is not high";
    if (rung->short_side > source.short_side)
        return "it is larger than the source";
    if (scaled(source, rung->short_side).long_side > LONG_SIDE_MAX)
        return "its long side would be too long for players";
    if (above > 0 && maxrate * 100 >= above * 85)
        return "it saves nothing: the source's own rate limits the rung above to about the same";
    return NULL;
}

// The rate of the lowest rung, by the number of pixels.
static void add_own_size(struct plan *p, const struct conf *conf, const struct media *m,
                         struct shape source)
{
    const struct conf_rung *const low = &conf->rungs[conf->rung_count - 1];
    const struct shape s = own_size(source);
    struct conf_rung own = *low;
    own.hdr = false;
    if (s.short_side < SHORT_SIDE_MIN)
        own = (struct conf_rung){ .crf = 23, .codec = CONF_H264 };
    const int64_t like = scaled(source, low->short_side).long_side * (int64_t)low->short_side;
    const int64_t pixels = (int64_t)s.long_side * s.short_side;
    const int64_t maxrate = muldiv_round(low->maxrate, pixels < like ? pixels : like, like);
    const struct rational fps = fps_of(conf, m, s.short_side);
    add(p, conf, m, s, limited_rate(p, maxrate, fps, &own, m), &own);
}

void ladder_make(struct plan *p, const struct conf *conf, const struct media *m)
{
    assert(conf->rung_count > 0 && conf->rung_count < PLAN_RENDITIONS);
    const struct shape source = source_shape(m);
    int sdr = 0;
    int64_t above[2][VIDEO_CODECS] = { 0 };
    for (int i = 0; i < conf->rung_count; i++) {
        const struct conf_rung *rung = &conf->rungs[i];
        const struct rational fps = fps_of(conf, m, rung->short_side);
        const enum video_codec codec = codec_of(rung);
        const int64_t maxrate = limited_rate(p, rung->maxrate, fps, rung, m);
        const char *why = why_not(rung, source, media_is_hdr(m), maxrate, above[rung->hdr][codec]);
        if (why) {
            drop(p, rung, why);
            continue;
        }
        add(p, conf, m, scaled(source, rung->short_side), maxrate, rung);
        above[rung->hdr][codec] = maxrate;
        sdr += !rung->hdr;
    }
    if (sdr == 0)
        add_own_size(p, conf, m, source);
}
