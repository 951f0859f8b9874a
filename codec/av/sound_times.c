// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/sound_times.h"

#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavcodec/vorbis_parser.h>

#include "base/base.h"
#include "base/err.h"
#include "base/rational.h"

#define GAP_MS 20
#define LONGEST 10             // seconds of a packet
#define FAR ((int64_t)1 << 50) // samples: no sane time

struct times {
    // constant
    const struct index_track *t;
    enum codec_id codec;
    int rate, channels, frame_samples;
    struct sound_origin t0;
    int64_t delay;      // samples
    uint32_t pcm_frame; // bytes of a sample of all channels, 0: not PCM
    uint32_t block;     // bytes of what decodes to frame_samples, several in a packet; 0: all of it
    uint32_t wma;       // samples of a frame of WMA, several in a packet; 0: another kind
    int unit;           // samples that packets of a kind decode to a multiple of, by their times; 0
    int first;          // samples of the first packet
    int64_t early;      // by so much is what comes of a packet but the first before its time
    AVVorbisParseContext *vorbis;

    struct sample *out;
    int n;
    int64_t next;  // where the next packet belongs if it follows without a seam
    int64_t begin; // what is heard, behind what only primes the decoder
    bool told;     // some packet had a time
};

// A time of the container in samples from T0, to the nearest; FAR if it is not sane.
static int64_t position(const struct times *k, int64_t pts)
{
    const int64_t scale = k->t0.timescale ? k->t0.timescale : 1;
    const __int128 ticks = (__int128)pts * scale - (__int128)k->t0.ticks * k->t->timescale;
    const __int128 den = (__int128)2 * scale * k->t->timescale;
    const __int128 twice = 2 * ticks * k->rate + den / 2;
    const __int128 samples = twice / den - (twice % den < 0) - k->delay;
    return samples > -FAR && samples < FAR ? (int64_t)samples : FAR;
}

// Samples of an Opus packet at 48 kHz, by RFC 6716 section 3.1.
static int opus_samples(const uint8_t *head)
{
    static const int silk[4] = { 480, 960, 1920, 2880 };
    const int config = head[0] >> 3, code = head[0] & 3;
    const int frame = config < 12   ? silk[config & 3]
                      : config < 16 ? 480 << (config & 1)
                                    : 120 << (config & 3);
    const int frames = code == 0 ? 1 : code < 3 ? 2 : head[1] & 63;
    return frame * frames <= 5760 ? frame * frames : 0;
}

// Whether all packets decode to as many samples as the first ones.  (FLAC may say
// otherwise, and the last packet of it and ALAC is shorter: an MP4 tells how long each
// is, the times of a Matroska file are too coarse for that.)
static bool is_even(const struct times *k)
{
    switch (k->codec) {
    case CODEC_AAC:
    case CODEC_AAC_LATM:
    case CODEC_MP1:
    case CODEC_MP2:
    case CODEC_MP3:
    case CODEC_AC3:
    case CODEC_AC3_SWAPPED:
    case CODEC_EAC3:
    case CODEC_DTS:
    case CODEC_COOK:
    case CODEC_SPEEX:
    case CODEC_ADPCM_SWF:
    case CODEC_RA_144:
    case CODEC_RA_288:
    case CODEC_ATRAC3:
    case CODEC_GSM:
    case CODEC_GSM_MS:
    case CODEC_TRUESPEECH:
        return true;
    case CODEC_FLAC:
    case CODEC_ALAC:
        return k->t->heads;
    default:
        return false;
    }
}

static bool has_blocks(enum codec_id codec)
{
    return codec == CODEC_ADPCM_MS || codec == CODEC_ADPCM_IMA;
}

// Of PCM: bytes of one value; 0 for other kinds.
static int value_bytes(enum codec_id codec)
{
    const AVCodec *const decoder = avcodec_find_decoder_by_name(codec_decoder(codec));
    return decoder ? av_get_bits_per_sample(decoder->id) / 8 : 0;
}

// ---- WMA: a packet completes a frame that the one before began, and begins one that the next
// completes (a reservoir of bits); its first byte says how many end in it

#define WMA_RESERVOIR 2 // of the flags in its headers

static bool has_reservoir(const struct audio_track *a)
{
    const int at = a->codec == CODEC_WMAV1 ? 2 : 4;
    return (a->codec == CODEC_WMAV1 || a->codec == CODEC_WMAV2) && a->extradata_size >= at + 2 &&
           a->extradata[at] & WMA_RESERVOIR;
}

static uint32_t wma_frame(const struct audio_track *a, const struct index_track *t)
{
    if (!t->heads || !has_reservoir(a))
        return 0;
    if (a->sample_rate <= 16000)
        return 512;
    return a->sample_rate <= (a->codec == CODEC_WMAV1 ? 32000 : 22050) ? 1024 : 2048;
}

// Of the first one the frame that it completes is lost.  (What ends no frame is kept in order by
// a sample.)
static int64_t wma_samples(const struct times *k, int i)
{
    const int frames = (k->t->heads[i][0] & 15) - (i == 0);
    return frames > 0 ? frames * (int64_t)k->wma : 1;
}

// ---- kinds whose packets hold what only a decoder can tell, and of which the times know: to a
// millisecond, which is less than the least they hold

#define RA_144_FRAME 20 // bytes

static int unit_of(enum codec_id codec, int frame_samples)
{
    return codec == CODEC_WMAPRO || codec == CODEC_WMAVOICE ? frame_samples : 0;
}

// A packet of WMA Pro is stamped with the first frame that begins in it.  What comes of it first is
// the one that the packet before began, and a decoder is a frame behind, for frames overlap.
static int64_t early_of(enum codec_id codec, int frame_samples)
{
    return codec == CODEC_WMAPRO ? 2 * (int64_t)frame_samples : 0;
}

// Of one behind the first.
static int64_t said_at(const struct times *k, int i)
{
    const bool told = i < k->t->sample_count && k->t->samples[i].pts != INDEX_NO_PTS;
    return told ? position(k, k->t->samples[i].pts) - k->early : FAR;
}

// Nobody says it of the last one.
static int64_t timed_samples(const struct times *k, int i)
{
    const int last = k->t->sample_count - 1;
    if (i == 0)
        return k->first;
    if (i == last)
        i--;
    const int64_t from = said_at(k, i), to = said_at(k, i + 1);
    return i > 0 && from != FAR && to != FAR && to > from
               ? muldiv_round(to - from, 1, k->unit) * k->unit
               : k->first;
}

// The first packet: of one that a decoder lacks something for, the end is told.
static int64_t first_at(const struct times *k, int64_t said)
{
    const int64_t second = k->unit && k->n == 0 ? said_at(k, 1) : FAR;
    if (second != FAR)
        return second - k->first;
    return said - k->wma; // the first frame that comes out of a decoder only primes it
}

// PCM of DVDs: three bytes of header, whose second says how many bits a value has.
static int64_t dvd_samples(const struct times *k, int i)
{
    const int bits = 16 + 4 * (k->t->heads[i][1] >> 6);
    return k->t->samples[i].size > 3 ? (k->t->samples[i].size - 3) * 8LL / (bits * k->channels) : 0;
}

// What sample i decodes to; 0 = unknown.
static int64_t duration(const struct times *k, int i)
{
    if (k->codec == CODEC_PCM_DVD && k->t->heads)
        return dvd_samples(k, i);
    if (k->unit)
        return timed_samples(k, i);
    if (k->pcm_frame)
        return k->t->samples[i].size / k->pcm_frame;
    if (k->wma)
        return wma_samples(k, i);
    if (k->block > 0)
        return (k->t->samples[i].size + k->block - 1) / k->block * (int64_t)k->frame_samples;
    if (is_even(k))
        return k->frame_samples;
    if (k->t->heads && k->codec == CODEC_DVAUDIO)
        return k->t->heads[i][0] << 8 | k->t->heads[i][1];
    if (k->t->heads && k->codec == CODEC_OPUS)
        return opus_samples(k->t->heads[i]);
    if (k->t->heads && k->vorbis)
        return av_vorbis_parse_frame(k->vorbis, k->t->heads[i], 2);
    return muldiv_round(k->t->samples[i].duration, k->rate, k->t->timescale);
}

// The first packet that has a time tells where those before it belong.
static void place_first(struct times *k, int64_t said)
{
    const int64_t shift = said - k->next;
    for (int i = 0; i < k->n; i++)
        k->out[i].pts += shift;
    k->begin = k->n ? k->out[0].pts : said;
    k->told = true;
}

// By how much a time is off that counts.  That of a packet of WMA is one within the frame that it
// completes; libavformat's of a short block of Vorbis leaves out what it shares with a long one.
static int64_t gap_of(const struct times *k)
{
    const int64_t gap = (int64_t)k->rate * GAP_MS / 1000 + 2 * k->wma;
    return k->vorbis ? gap + k->frame_samples / 2 : gap;
}

// Where sample i belongs; false: nowhere.
static bool place(struct times *k, int64_t pts, int64_t *at)
{
    const int64_t gap = gap_of(k);
    const int64_t early = k->n > 0 ? k->early : 0;
    const int64_t said = pts == INDEX_NO_PTS ? FAR : position(k, pts) - early;
    *at = k->next;
    if (!k->told && said == FAR)
        return true;
    if (!k->told) {
        *at = first_at(k, said);
        place_first(k, *at);
        return true;
    }
    if (pts == INDEX_NO_PTS || (said - k->next < gap && k->next - said < gap))
        return true;
    struct sample *before = &k->out[k->n - 1];
    if (said > before->pts) {
        *at = said;
    } else if (k->n == 1) { // the first packet only primes the decoder: the second tells where
        before->pts = said - (before->duration ? before->duration : 1);
        k->begin = *at = said;
    } // else the clock ran backwards: the sound goes on
    return *at < FAR;
}

static int add_all(struct times *k)
{
    for (int i = 0; i < k->t->sample_count; i++) {
        struct sample s = k->t->samples[i];
        if (k->t->hidden && k->t->hidden[i])
            continue;
        int64_t d = duration(k, i);
        if (d <= 0 || d > (int64_t)k->rate * LONGEST)
            d = k->frame_samples;
        if (!place(k, s.pts, &s.pts))
            return -E_CORRUPT;
        if (k->n && k->out[k->n - 1].pts + k->out[k->n - 1].duration > s.pts)
            k->out[k->n - 1].duration = (uint32_t)(s.pts - k->out[k->n - 1].pts);
        s.duration = (uint32_t)d;
        s.sync = true;
        k->next = s.pts + d;
        k->out[k->n++] = s;
    }
    return 0;
}

// Leaves out what lies past the end.
static void trim(struct times *k, int64_t end)
{
    while (k->n && k->out[k->n - 1].pts >= end)
        k->n--;
    if (k->n && k->out[k->n - 1].pts + k->out[k->n - 1].duration > end)
        k->out[k->n - 1].duration = (uint32_t)(end - k->out[k->n - 1].pts);
}

// Without pictures T0 is the first sample that is presented.
static void start_at_zero(struct times *k)
{
    for (int i = 0; k->begin > 0 && i < k->n; i++)
        k->out[i].pts -= k->begin;
}

int sound_times(struct audio_track *a, const struct index_track *t, int frame_samples, int first,
                struct sound_origin t0)
{
    struct times k = { .t = t,
                       .codec = a->codec,
                       .rate = a->sample_rate,
                       .channels = a->channels,
                       .frame_samples = frame_samples > 0 ? frame_samples : 1,
                       .t0 = t0 };
    k.pcm_frame = (uint32_t)(value_bytes(a->codec) * a->channels);
    k.wma = wma_frame(a, t);
    k.block = has_blocks(a->codec) ? (uint32_t)a->block_align : 0;
    k.block = a->codec == CODEC_RA_144 ? RA_144_FRAME : k.block;
    k.unit = unit_of(a->codec, k.frame_samples);
    k.early = early_of(a->codec, k.frame_samples);
    k.first = first > 0 ? first : k.frame_samples;
    k.delay = muldiv_round(t->codec_delay_ns, a->sample_rate, 1000000000);
    k.out = malloc(((size_t)t->sample_count + 1) * sizeof *k.out);
    if (!k.out)
        return -E_NO_MEMORY;
    if (a->codec == CODEC_VORBIS && t->heads)
        k.vorbis = av_vorbis_parse_init(a->extradata, a->extradata_size);
    const int rc = add_all(&k);
    av_vorbis_parse_free(&k.vorbis);
    if (t->end_is_exact)
        trim(&k, position(&k, t->end));
    if (t->padding_ns > 0)
        trim(&k, k.next - muldiv_round(t->padding_ns, a->sample_rate, 1000000000));
    if (t0.timescale == 0)
        start_at_zero(&k);
    free(a->samples);
    a->samples = k.out;
    a->sample_count = rc == 0 && k.told ? k.n : 0;
    return rc;
}
