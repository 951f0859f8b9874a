// SPDX-License-Identifier: BSD-2-Clause
//
// Segments of audio that are made alone are what one continuous encode of the
// same sound gives: packet by packet and byte by byte where the encoder forgets its
// past, and without a trace of the borders where it does not.

#include "test/unit/av_tools.h"

#include <stdio.h>

#include <libavutil/opt.h>
#include <libswresample/swresample.h>

#include "base/err.h"
#include "codec/av/av.h"
#include "codec/av/encode.h"
#include "codec/fmp4.h"
#include "codec/segment.h"
#include "codec/sound.h"

#define SECONDS 8
#define WARM_UP 4 // packets of the source decoded before the first that counts

enum signal { SWEEP, NOISE, TONE, CLICKS, RARE_CLICKS, DULL_CLICKS, DENSE_CLICKS, NOW_AND_THEN };

static const struct setup {
    const char *name;
    enum signal signal;
    int source_rate, source_channels;
    int rate, channels;
    int quality;
    int early; // source samples that lie before T0
    enum audio_codec codec;
} SETUPS[] = {
    { "sweep 48k stereo", SWEEP, 48000, 2, 48000, 2, 100, 0, AUDIO_AAC },
    { "noise 48k stereo", NOISE, 48000, 2, 48000, 2, 100, 0, AUDIO_AAC },
    { "tone 48k stereo", TONE, 48000, 2, 48000, 2, 100, 0, AUDIO_AAC },
    { "clicks 48k stereo", CLICKS, 48000, 2, 48000, 2, 100, 0, AUDIO_AAC },
    { "clicks, best quality", CLICKS, 48000, 2, 48000, 2, 150, 0, AUDIO_AAC },
    { "noise, low quality", NOISE, 48000, 2, 48000, 2, 60, 0, AUDIO_AAC },
    { "sweep 44.1k mono", SWEEP, 44100, 1, 44100, 1, 100, 0, AUDIO_AAC },
    { "clicks 44.1k mono", CLICKS, 44100, 1, 44100, 1, 100, 0, AUDIO_AAC },
    { "noise 22.05k mono to 48k", NOISE, 22050, 1, 48000, 1, 100, 0, AUDIO_AAC },
    { "sweep 22.05k stereo to 48k", SWEEP, 22050, 2, 48000, 2, 100, 0, AUDIO_AAC },
    { "clicks 96k stereo to 48k mono", CLICKS, 96000, 2, 48000, 1, 100, 0, AUDIO_AAC },
    { "tone 5.1 to stereo", TONE, 48000, 6, 48000, 2, 100, 0, AUDIO_AAC },
    { "noise, begun before T0", NOISE, 48000, 2, 48000, 2, 100, 3000, AUDIO_AAC },
    { "the same, resampled", NOISE, 22050, 2, 48000, 2, 100, 3000, AUDIO_AAC },
    { "Opus sweep", SWEEP, 48000, 2, 48000, 2, 96000, 0, AUDIO_OPUS },
    { "Opus clicks, 128 kb/s", CLICKS, 48000, 2, 48000, 2, 128000, 0, AUDIO_OPUS },
    { "Opus noise of 22.05k mono", NOISE, 22050, 1, 48000, 1, 96000, 0, AUDIO_OPUS },
    { "Opus noise, begun before T0", NOISE, 22050, 2, 48000, 2, 96000, 3000, AUDIO_OPUS },
};

static struct audio_settings settings(const struct setup *u)
{
    return (struct audio_settings){ u->rate, u->channels, u->quality, u->codec };
}

static int frame_of(const struct setup *u)
{
    const struct audio_settings a = settings(u);
    return sound_frame(&a);
}

// First frame of segment k.
static int64_t cut(const struct setup *u, const struct segtab *t, int k)
{
    const struct audio_settings a = settings(u);
    return segtab_audio_frame(t, k, sound_frame_rate(&a));
}

static uint32_t lcg(uint32_t *s)
{
    *s = *s * 1664525 + 1013904223;
    return *s >> 8;
}

static float noise(uint32_t *s)
{
    return (float)lcg(s) / (1 << 23) - 1;
}

static double part_of(double x, double period)
{
    return x - period * (double)(int64_t)(x / period);
}

// sin(2 pi x) for x >= 0, to 0.1 %: good enough, and needs no libm.
static double sine(double x)
{
    const double t = part_of(x, 1), h = t < 0.5 ? t : t - 0.5, a = 16 * h * (0.5 - h);
    return (t < 0.5 ? 4 : -4) * a / (5 - a);
}

// About exp(-rate t).
static float decay(double t, double rate)
{
    double d = 1 / (1 + t * rate / 32);
    for (int i = 0; i < 5; i++)
        d *= d;
    return (float)d;
}

static float raw_sound(const struct setup *u, double t, int channel, uint32_t *random)
{
    switch (u->signal) {
    case SWEEP:
        return (float)(0.5 * sine(100 * t + 200 * t * t + 0.1 * channel));
    case NOISE:
        return 0.3f * noise(random);
    case TONE:
        return (float)(0.4 * sine(997 * t + 0.1 * channel));
    case NOW_AND_THEN: // dense clicks from the middle of a segment on to the end of the next
        if (part_of(t, 4) < 1.6)
            return (float)(0.2 * sine(300 * t));
        // fall through
    case DENSE_CLICKS:
        return decay(part_of(t + 0.01 * channel, 0.03), 250) * noise(random);
    default: {
        const double since = part_of(t + 0.05 * channel, u->signal == RARE_CLICKS ? 3.1 : 0.31);
        return 0.8f * decay(since, u->signal == DULL_CLICKS ? 20 : 90) * noise(random);
    }
    }
}

// Fades out, because an abrupt end is a click.
static float sound(const struct setup *u, int64_t n, int channel, uint32_t *random)
{
    const double t = (double)n / u->source_rate, left = SECONDS - 0.5 - t;
    return raw_sound(u, t, channel, random) * (float)(left > 0.5 ? 1 : left > 0 ? left * 2 : 0);
}

// Encodes the signal into a clip of AAC packets; the first is priming, at -1024.
static void make_clip(const struct setup *u, struct clip *c)
{
    AVCodecContext *e = avcodec_alloc_context3(avcodec_find_encoder_by_name("aac"));
    AVFrame *f = av_frame_alloc();
    AVPacket *p = av_packet_alloc();
    uint32_t random = 1;
    clip_init(c);
    e->sample_rate = u->source_rate;
    e->sample_fmt = AV_SAMPLE_FMT_FLTP;
    e->bit_rate = 128000 * u->source_channels;
    e->time_base = (AVRational){ 1, u->source_rate };
    e->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
    av_channel_layout_default(&e->ch_layout, u->source_channels);
    av_opt_set(e->priv_data, "aac_pns", "0", 0); // a decoder's noise depends on where it starts
    assert_int_equal(avcodec_open2(e, NULL, NULL), 0);
    clip_headers(c, e);
    const int64_t total = (int64_t)SECONDS * u->source_rate;
    for (int64_t at = 0; at <= total; at += 1024) {
        f->format = AV_SAMPLE_FMT_FLTP;
        f->nb_samples = 1024;
        f->sample_rate = u->source_rate;
        f->pts = at;
        av_channel_layout_copy(&f->ch_layout, &e->ch_layout);
        assert_int_equal(av_frame_get_buffer(f, 0), 0);
        for (int i = 0; i < 1024; i++)
            for (int ch = 0; ch < u->source_channels; ch++)
                ((float *)f->extended_data[ch])[i] = sound(u, at + i, ch, &random);
        assert_int_equal(avcodec_send_frame(e, at + 1024 > total ? NULL : f), 0);
        av_frame_unref(f);
        while (avcodec_receive_packet(e, p) == 0) {
            clip_add(c, p, p->pts - u->early, 1024);
            av_packet_unref(p);
        }
    }
    av_frame_free(&f);
    av_packet_free(&p);
    avcodec_free_context(&e);
}

static struct media *make_media(const struct setup *u, const struct clip *c)
{
    struct media *m = xcalloc(1, sizeof *m);
    m->size = (int64_t)c->bytes.len;
    m->audio.codec = CODEC_AAC;
    m->audio.sample_rate = u->source_rate;
    m->audio.channels = u->source_channels;
    m->audio.extradata = c->extradata;
    m->audio.extradata_size = c->extradata_size;
    return m;
}

// What these settings promise, as codec/plan.c does.
static int64_t maxrate(const struct setup *u)
{
    if (u->codec == AUDIO_OPUS)
        return u->quality * 7 / 4;
    return (u->channels > 1 ? 128000 : 72000) * 8 / 5 * (u->quality > 118 ? u->quality : 118) / 118;
}

// The job for frames [first, first + frames).
static void make_job(struct job *j, const struct setup *u, const struct clip *c, struct media *m,
                     int64_t first, int64_t frames)
{
    *j = (struct job){ .kind = JOB_AUDIO, .media = m, .first = first, .frames = frames };
    j->a = settings(u);
    j->end = (int64_t)SECONDS * u->rate;
    j->bits = maxrate(u) * frames * frame_of(u) / u->rate;
    j->sequence = 1;
    const int64_t begin = sound_feed_begin(&j->a, first) * u->source_rate / u->rate - 1024;
    const int64_t end = sound_feed_end(&j->a, first, frames) * u->source_rate / u->rate + 2048;
    int lo = 0, hi = c->count;
    while (lo + 1 < c->count && c->samples[lo + 1].pts <= begin)
        lo++;
    while (hi > lo + 1 && c->samples[hi - 1].pts >= end)
        hi--;
    lo = lo > WARM_UP ? lo - WARM_UP : 0;
    j->samples = c->samples + lo;
    j->sample_count = hi - lo;
}

// Returns how many frames were encoded for it.
static int64_t run(const struct job *j, const struct clip *c, struct memory *io)
{
    struct job_stats stats;
    char detail[DETAIL_MAX] = "";
    memory_init(io, &c->bytes);
    const int rc = av_run(j, &io->io, &stats, detail, sizeof detail);
    if (rc < 0)
        fail_msg("%s: %s", err_name(rc), detail);
    assert_int_equal(stats.bytes, io->out.len);
    assert_int_equal(stats.samples_read, j->sample_count);
    return stats.frames_encoded;
}

// ---- the reference: everything at once, by other code

struct pcm {
    float *channel[8];
    int64_t n; // samples
};

static struct pcm pcm_create(int64_t n)
{
    struct pcm p = { .n = n };
    for (int i = 0; i < 8; i++)
        p.channel[i] = xcalloc((size_t)n, sizeof(float));
    return p;
}

static void pcm_finish(struct pcm *p)
{
    for (int i = 0; i < 8; i++)
        free(p->channel[i]);
}

// Both of FFmpeg's decoders give planes of floats.  lead: samples of silence before T0.
static struct pcm decode_with(const char *decoder, int rate, int channels, const struct clip *c,
                              int64_t lead)
{
    struct pcm p = pcm_create(lead + (SECONDS + 2) * (int64_t)rate);
    AVCodecContext *d = avcodec_alloc_context3(avcodec_find_decoder_by_name(decoder));
    AVPacket *k = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    d->extradata = av_mallocz((size_t)c->extradata_size + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy(d->extradata, c->extradata, (size_t)c->extradata_size);
    d->extradata_size = c->extradata_size;
    assert_int_equal(avcodec_open2(d, NULL, NULL), 0);
    for (int i = 0; i < c->count; i++) {
        av_new_packet(k, (int)c->samples[i].size);
        memcpy(k->data, c->bytes.data + c->samples[i].offset, c->samples[i].size);
        assert_int_equal(avcodec_send_packet(d, k), 0);
        av_packet_unref(k);
        assert_int_equal(avcodec_receive_frame(d, f), 0);
        for (int s = 0; s < f->nb_samples; s++)
            for (int ch = 0; ch < channels && c->samples[i].pts + s >= 0; ch++)
                p.channel[ch][lead + c->samples[i].pts + s] = ((float *)f->extended_data[ch])[s];
        av_frame_unref(f);
    }
    av_frame_free(&f);
    av_packet_free(&k);
    avcodec_free_context(&d);
    return p;
}

static struct pcm decode_whole(const struct setup *u, const struct clip *c, int64_t lead)
{
    return decode_with("aac", u->source_rate, u->source_channels, c, lead);
}

// What we made.
static struct pcm decode_made(const struct setup *u, const struct clip *c)
{
    return decode_with(u->codec == AUDIO_OPUS ? "opus" : "aac", u->rate, u->channels, c, 0);
}

// Mixes to the output's channels, at the same rate.
static struct pcm mix_whole(const struct setup *u, const struct pcm *in)
{
    struct pcm out = pcm_create(in->n);
    AVChannelLayout from, to;
    SwrContext *swr = NULL;
    av_channel_layout_default(&from, u->source_channels);
    av_channel_layout_default(&to, u->channels);
    swr_alloc_set_opts2(&swr, &to, AV_SAMPLE_FMT_FLTP, 48000, &from, AV_SAMPLE_FMT_FLTP, 48000, 0,
                        NULL);
    av_opt_set_double(swr, "rematrix_maxval", 1.0, 0);
    assert_int_equal(swr_init(swr), 0);
    assert_int_equal(swr_convert(swr, (uint8_t **)out.channel, (int)out.n,
                                 (const uint8_t **)in->channel, (int)in->n),
                     in->n);
    swr_free(&swr);
    return out;
}

static struct pcm resample_whole(const struct setup *u, const struct pcm *in)
{
    struct pcm out = pcm_create(in->n * u->rate / u->source_rate);
    AVChannelLayout layout;
    SwrContext *swr = NULL;
    av_channel_layout_default(&layout, u->channels);
    swr_alloc_set_opts2(&swr, &layout, AV_SAMPLE_FMT_FLTP, u->rate, &layout, AV_SAMPLE_FMT_FLTP,
                        u->source_rate, 0, NULL);
    assert_int_equal(swr_init(swr), 0);
    swr_convert(swr, (uint8_t **)out.channel, (int)out.n, (const uint8_t **)in->channel,
                (int)in->n);
    swr_free(&swr);
    return out;
}

// The sound from T0, as the encoder shall hear it.
static struct pcm whole_sound(const struct setup *u, const struct clip *c)
{
    const int64_t lead = 882; // falls on whole samples at all rates used here
    struct pcm decoded = decode_whole(u, c, lead * u->source_rate / 22050);
    struct pcm mixed = mix_whole(u, &decoded), sound = mixed;
    if (u->rate != u->source_rate)
        sound = resample_whole(u, &mixed);
    const int64_t skip = lead * u->rate / 22050;
    struct pcm cut = pcm_create(sound.n - skip);
    for (int ch = 0; ch < u->channels; ch++)
        memcpy(cut.channel[ch], sound.channel[ch] + skip,
               (size_t)SECONDS * (size_t)u->rate * sizeof(float));
    pcm_finish(&decoded);
    pcm_finish(&mixed);
    if (u->rate != u->source_rate)
        pcm_finish(&sound);
    return cut;
}

// One continuous encode; the clip's packet i + 1 is frame i of AAC, packet i that of Opus.
static void encode_whole(const struct setup *u, int quality, const struct pcm *sound,
                         struct clip *out)
{
    const struct audio_settings a = settings(u);
    const int size = sound_frame(&a);
    float woven[2 * OPUS_FRAME];
    char detail[DETAIL_MAX];
    const struct why why = { detail, sizeof detail };
    AVCodecContext *e = NULL;
    AVFrame *f = av_frame_alloc();
    AVPacket *p = av_packet_alloc();
    clip_init(out);
    assert_int_equal(encode_open_audio(&e, &a, quality, &why), 0);
    for (int64_t at = u->codec == AUDIO_OPUS ? 312 : 0; at + size <= sound->n; at += size) {
        f->format = e->sample_fmt;
        f->nb_samples = size;
        f->sample_rate = u->rate;
        f->pts = at;
        av_channel_layout_default(&f->ch_layout, u->channels);
        for (int ch = 0; ch < u->channels; ch++)
            f->data[ch] = (uint8_t *)(sound->channel[ch] + at);
        for (int i = 0; u->codec == AUDIO_OPUS && i < size * u->channels; i++)
            woven[i] = sound->channel[i % u->channels][at + i / u->channels];
        if (u->codec == AUDIO_OPUS)
            f->data[0] = (uint8_t *)woven;
        assert_int_equal(avcodec_send_frame(e, f), 0);
        av_frame_unref(f);
        while (avcodec_receive_packet(e, p) == 0) {
            clip_add(out, p, p->pts, (uint32_t)size);
            av_packet_unref(p);
        }
    }
    av_frame_free(&f);
    av_packet_free(&p);
    avcodec_free_context(&e);
}

static bool same_packet(const struct clip *whole, int64_t frame, const struct coded *c)
{
    const struct sample *s = &whole->samples[frame + (whole->samples[0].pts < 0)];
    assert_int_equal(s->pts, frame * s->duration);
    return s->size == c->size && memcmp(whole->bytes.data + s->offset, c->data, c->size) == 0;
}

// ---- tests

// Packets of l, a segment from AAC frame first on, that are not those of whole.
static int64_t differing(const struct clip *whole, int64_t first, const struct coded_list *l)
{
    int64_t n = 0;
    for (int i = 0; i < l->count; i++)
        n += !same_packet(whole, first + i, &l->v[i]);
    return n;
}

static int64_t compare_segment(const struct setup *u, const struct clip *c, struct media *m,
                               const struct clip *whole, int64_t first, int64_t frames)
{
    struct job j;
    struct memory io;
    struct coded_list l;
    struct fmp4_summary sum;
    make_job(&j, u, c, m, first, frames);
    // Once, with what is dropped around it.
    assert_in_range(run(&j, c, &io), 1, frames + (u->codec == AUDIO_OPUS ? 64 : 34));
    assert_int_equal(fmp4_check(io.out.data, io.out.len, &sum), 0);
    assert_int_equal(sum.start, first * frame_of(u));
    assert_int_equal(sum.samples, frames);
    assert_int_equal(sum.duration, frames * frame_of(u));
    read_segment(&io.out, &l);
    const int64_t differ = differing(whole, first, &l);
    free(l.v);
    buf_finish(&io.out);
    return differ;
}

static void test_segments_equal_continuous(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(SETUPS); i++) {
        const struct setup *u = &SETUPS[i];
        struct clip c, whole;
        make_clip(u, &c);
        struct media *m = make_media(u, &c);
        struct pcm sound = whole_sound(u, &c);
        encode_whole(u, u->quality, &sound, &whole);
        const struct segtab t =
            segtab_make((struct rational){ 30000, 1001 }, SECONDS * 30000 / 1001, 2000);
        int64_t differ = 0, bytes = whole.samples[whole.count - 1].offset;
        for (int k = t.count - 1; k >= 0; k--) {
            const int64_t first = cut(u, &t, k);
            differ += compare_segment(u, &c, m, &whole, first, cut(u, &t, k + 1) - first);
        }
        print_message("%-30s %d segments, %lld packets differ, %lld kb/s\n", u->name, t.count,
                      (long long)differ, (long long)(bytes * 8 / SECONDS / 1000));
        assert_int_equal(differ, 0);
        pcm_finish(&sound);
        clip_finish(&c);
        clip_finish(&whole);
        free(m);
    }
}

// Makes all segments and joins their packets into one clip, as a player would.
static void join_segments(const struct setup *u, const struct clip *c, struct media *m,
                          const struct segtab *t, struct clip *joined)
{
    clip_init(joined);
    for (int k = 0; k < t->count; k++) {
        const int64_t first = cut(u, t, k);
        struct job j;
        struct memory io;
        struct coded_list l;
        make_job(&j, u, c, m, first, cut(u, t, k + 1) - first);
        run(&j, c, &io);
        read_segment(&io.out, &l);
        for (int i = 0; i < l.count; i++) {
            const AVPacket p = { .data = (uint8_t *)l.v[i].data, .size = (int)l.v[i].size };
            clip_add(joined, &p, l.v[i].pts, (uint32_t)frame_of(u));
        }
        free(l.v);
        buf_finish(&io.out);
    }
}

static void take_headers(const struct setup *u, struct clip *c)
{
    const struct audio_settings a = settings(u);
    const struct why why = { NULL, 0 };
    AVCodecContext *e = NULL;
    assert_int_equal(encode_open_audio(&e, &a, u->quality, &why), 0);
    clip_headers(c, e);
    if (u->codec == AUDIO_OPUS) // pre-skip, as fmp4.c has it
        c->extradata[10] = c->extradata[11] = 0;
    avcodec_free_context(&e);
}

// Mean square of a - b.
static double error(const struct pcm *a, const struct pcm *b, int64_t from, int64_t to)
{
    double sum = 0;
    for (int64_t i = from; i < to; i++) {
        const double d = a->channel[0][i] - b->channel[0][i];
        sum += d * d;
    }
    return sum / (double)(to - from);
}

// FFmpeg's encoder has two memories that never fade: the thresholds of the last
// short block, and bands it once gave up for want of bits.  They move how finely a
// packet is coded, so on such sounds segments differ from a continuous encode; but
// the blocks are the same, and at a border nothing may be worse than without one.
static void test_borders_are_not_heard(void **state)
{
    (void)state;
    static const struct setup rows[] = {
        { "rare clicks", RARE_CLICKS, 48000, 2, 48000, 2, 100, 0, AUDIO_AAC },
        { "dull clicks", DULL_CLICKS, 48000, 2, 48000, 2, 100, 0, AUDIO_AAC },
        { "dull clicks, mono", DULL_CLICKS, 44100, 1, 44100, 1, 100, 0, AUDIO_AAC },
        { "Opus sweep, mono", SWEEP, 48000, 1, 48000, 1, 64000, 0, AUDIO_OPUS },
        { "Opus dull clicks", DULL_CLICKS, 48000, 2, 48000, 2, 48000, 0, AUDIO_OPUS },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        const struct setup *u = &rows[i];
        const struct segtab t = segtab_make((struct rational){ 25, 1 }, SECONDS * 25, 2000);
        struct clip c, whole, joined;
        make_clip(u, &c);
        struct media *m = make_media(u, &c);
        struct pcm sound = whole_sound(u, &c);
        encode_whole(u, u->quality, &sound, &whole);
        join_segments(u, &c, m, &t, &joined);
        take_headers(u, &whole);
        take_headers(u, &joined);
        struct pcm a = decode_made(u, &whole), b = decode_made(u, &joined);
        assert_true(error(&sound, &b, 1024, sound.n / 2) <
                    1.25 * error(&sound, &a, 1024, sound.n / 2));
        for (int k = 1; k < t.count; k++) {
            const int64_t at = cut(u, &t, k) * frame_of(u);
            const double with = error(&sound, &b, at - 2048, at + 2048);
            const double without = error(&sound, &a, at - 2048, at + 2048);
            if (with > 1.5 * without + 1e-8)
                fail_msg("%s: error %g at border %d, %g without", u->name, with, k, without);
        }
        pcm_finish(&a);
        pcm_finish(&b);
        pcm_finish(&sound);
        clip_finish(&c);
        clip_finish(&whole);
        clip_finish(&joined);
        free(m);
    }
}

// ---- sounds that would exceed the promise

#define STEPS 6 // of those that there are; none here needs more

// One sound, encoded at once at the qualities that there are for its settings.
struct qualities {
    struct clip coded[STEPS];
    struct pcm heard[STEPS];
};

static void encode_qualities(const struct setup *u, const struct pcm *sound, struct qualities *q)
{
    int quality = u->quality;
    for (int i = 0; i < STEPS; i++, quality = quality * 7 / 10) {
        encode_whole(u, quality, sound, &q->coded[i]);
        take_headers(u, &q->coded[i]);
        q->heard[i] = decode_made(u, &q->coded[i]);
    }
}

static void finish_qualities(struct qualities *q)
{
    for (int i = 0; i < STEPS; i++) {
        clip_finish(&q->coded[i]);
        pcm_finish(&q->heard[i]);
    }
}

static int64_t bits_of(const struct coded_list *l)
{
    int64_t bytes = 0;
    for (int i = 0; i < l->count; i++)
        bytes += (int64_t)l->v[i].size;
    return bytes * 8;
}

// Makes a segment twice, checks that it has the bits it may have and wastes few, and
// returns the quality it was made at.
static int quality_of_segment(const struct setup *u, const struct clip *c, struct media *m,
                              const struct qualities *q, int64_t first, int64_t frames)
{
    struct job j;
    struct memory io, again;
    struct coded_list l;
    make_job(&j, u, c, m, first, frames);
    const int64_t effort = run(&j, c, &io);
    assert_int_equal(run(&j, c, &again), effort);
    assert_int_equal(io.out.len, again.out.len);
    assert_memory_equal(io.out.data, again.out.data, io.out.len);
    read_segment(&io.out, &l);
    assert_int_equal(l.count, frames);
    const int64_t bits = bits_of(&l);
    assert_in_range(bits, 1, j.bits);
    int at = 0;
    while (at < STEPS && differing(&q->coded[at], first, &l) > 0)
        at++;
    print_message("%-30s frame %3lld: step %d, %lld of %lld kb/s, %lld frames encoded\n", u->name,
                  (long long)first, at, (long long)(bits * u->rate / frames / frame_of(u) / 1000),
                  (long long)(maxrate(u) / 1000), (long long)effort);
    assert_true(at < STEPS);
    assert_true(at == 0 || bits > j.bits * 6 / 10);
    free(l.v);
    buf_finish(&io.out);
    buf_finish(&again.out);
    return at;
}

// Every segment keeps the promise, is a stretch of one continuous encode at a coarser
// quality, and its borders are not heard: the noise is that of one neighbour or the other.
static void test_dense_clicks(void **state)
{
    (void)state;
    static const struct setup rows[] = {
        { "dense clicks 48k stereo", DENSE_CLICKS, 48000, 2, 48000, 2, 100, 0, AUDIO_AAC },
        { "dense clicks 44.1k mono", DENSE_CLICKS, 44100, 1, 44100, 1, 100, 0, AUDIO_AAC },
        { "dense clicks, best quality", DENSE_CLICKS, 44100, 2, 44100, 2, 150, 0, AUDIO_AAC },
        { "now and then 48k stereo", NOW_AND_THEN, 48000, 2, 48000, 2, 100, 0, AUDIO_AAC },
        { "now and then 44.1k mono", NOW_AND_THEN, 44100, 1, 44100, 1, 100, 0, AUDIO_AAC },
        { "Opus now and then, mono", NOW_AND_THEN, 48000, 1, 48000, 1, 64000, 0, AUDIO_OPUS },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        const struct setup *u = &rows[i];
        const struct segtab t = segtab_make((struct rational){ 25, 1 }, SECONDS * 25, 2000);
        struct clip c, joined;
        struct qualities q;
        make_clip(u, &c);
        struct media *m = make_media(u, &c);
        struct pcm sound = whole_sound(u, &c);
        encode_qualities(u, &sound, &q);
        join_segments(u, &c, m, &t, &joined);
        take_headers(u, &joined);
        struct pcm heard = decode_made(u, &joined);
        int coarsest = 0;
        for (int k = 0, before = 0; k < t.count; k++) {
            const int64_t first = cut(u, &t, k), at = first * frame_of(u);
            const int64_t frames = cut(u, &t, k + 1) - first;
            const int step = quality_of_segment(u, &c, m, &q, first, frames);
            const int noisier = step > before ? step : before;
            coarsest = step > coarsest ? step : coarsest;
            before = step;
            if (k > 0 && error(&sound, &heard, at - 2048, at + 2048) >
                             1.25 * error(&sound, &q.heard[noisier], at - 2048, at + 2048) + 1e-8)
                fail_msg("%s: border %d is heard", u->name, k);
        }
        assert_true(coarsest > 0);
        pcm_finish(&heard);
        pcm_finish(&sound);
        finish_qualities(&q);
        clip_finish(&c);
        clip_finish(&joined);
        free(m);
    }
}

// What fits at no quality is left at the coarsest.
static void test_no_bits_at_all(void **state)
{
    (void)state;
    const struct setup u = { "dense clicks", DENSE_CLICKS, 48000, 2, 48000, 2, 100, 0, AUDIO_AAC };
    struct clip c, whole;
    struct job j;
    struct memory io;
    struct coded_list l;
    make_clip(&u, &c);
    struct media *m = make_media(&u, &c);
    struct pcm sound = whole_sound(&u, &c);
    encode_whole(&u, 4, &sound, &whole); // 100 x 0.7^8, rounded down each time
    make_job(&j, &u, &c, m, 60, 50);
    j.bits = 0;
    run(&j, &c, &io);
    read_segment(&io.out, &l);
    assert_int_equal(l.count, 50);
    assert_int_equal(differing(&whole, 60, &l), 0);
    free(l.v);
    buf_finish(&io.out);
    pcm_finish(&sound);
    clip_finish(&c);
    clip_finish(&whole);
    free(m);
}

static float loudest(const struct pcm *p, int64_t from, int64_t to)
{
    float max = 0;
    for (int64_t i = from; i < to; i++)
        if (p->channel[0][i] > max)
            max = p->channel[0][i];
    return max;
}

// Where the table has no sample, and past the asset's end, there is silence, and
// nothing else moves.
static void test_silence(void **state)
{
    (void)state;
    const struct setup u = { "tone", TONE, 48000, 2, 48000, 2, 100, 0, AUDIO_AAC };
    struct clip c, out;
    make_clip(&u, &c);
    const int gone = 41; // the packet of [40 * 1024, 41 * 1024), and the 19 after it
    memmove(c.samples + gone, c.samples + gone + 20,
            sizeof *c.samples * (size_t)(c.count - gone - 20));
    c.count -= 20;
    struct media *m = make_media(&u, &c);
    struct job j;
    struct memory io;
    struct coded_list l;
    make_job(&j, &u, &c, m, 0, 120);
    j.end = 100 * 1024 + 500;
    run(&j, &c, &io);
    read_segment(&io.out, &l);
    clip_init(&out);
    for (int i = 0; i < l.count; i++) {
        const AVPacket p = { .data = (uint8_t *)l.v[i].data, .size = (int)l.v[i].size };
        clip_add(&out, &p, l.v[i].pts, 1024);
    }
    take_headers(&u, &out);
    struct pcm heard = decode_made(&u, &out);
    static const struct {
        int64_t from, to; // frames
        bool silent;
    } rows[] = { { 5, 39, false }, { 42, 59, true }, { 62, 99, false }, { 103, 120, true } };
    for (size_t i = 0; i < countof(rows); i++)
        for (int64_t f = rows[i].from; f < rows[i].to; f++) {
            const float level = loudest(&heard, f * 1024, (f + 1) * 1024);
            assert_true(rows[i].silent ? level < 0.0001f : level > 0.38f && level < 0.42f);
        }
    pcm_finish(&heard);
    free(l.v);
    buf_finish(&io.out);
    clip_finish(&out);
    clip_finish(&c);
    free(m);
}

static void test_failures(void **state)
{
    (void)state;
    const struct setup u = { "tone", TONE, 48000, 2, 48000, 2, 100, 0, AUDIO_AAC };
    struct clip c;
    make_clip(&u, &c);
    struct media *m = make_media(&u, &c);
    static const struct {
        const char *what;
        int64_t first, frames, offset;
        int patience;
        bool garbage;
        int rc;
    } rows[] = {
        { "sound", 40, 40, 0, -1, false, 0 },
        { "negative first", -1, 40, 0, -1, false, -E_PROTOCOL },
        { "first out of range", INT64_MAX, 40, 0, -1, false, -E_PROTOCOL },
        { "no frames", 40, 0, 0, -1, false, -E_PROTOCOL },
        { "too many frames", 40, 5000, 0, -1, false, -E_LIMITS },
        { "past the source", 40, 40, 1 << 30, -1, false, -E_CORRUPT },
        { "sample at the end of time", 40, 40, INT64_MAX - 5, -1, false, -E_CORRUPT },
        { "cancelled at once", 40, 40, 0, 0, false, -E_CANCELLED },
        { "cancelled in decoding", 40, 40, 0, 20, false, -E_CANCELLED },
        { "cancelled in encoding", 40, 40, 0, 200, false, -E_CANCELLED },
        { "garbage", 40, 40, 0, -1, true, 0 }, // is silence
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct job j;
        struct job_stats stats;
        struct memory io;
        char detail[DETAIL_MAX];
        uint32_t random = 7;
        make_job(&j, &u, &c, m, 40, 40);
        j.first = rows[i].first;
        j.frames = rows[i].frames;
        const int64_t kept = j.samples[3].offset;
        if (rows[i].offset)
            j.samples[3].offset = rows[i].offset;
        memory_init(&io, &c.bytes);
        io.patience = rows[i].patience;
        for (size_t b = 0; b < c.bytes.len && rows[i].garbage; b++)
            c.bytes.data[b] = (uint8_t)lcg(&random);
        const int rc = av_run(&j, &io.io, &stats, detail, sizeof detail);
        if (rc != rows[i].rc)
            fail_msg("%s: %s (%s)", rows[i].what, err_name(rc), detail);
        assert_true(rc == 0 || detail[0]);
        j.samples[3].offset = kept;
        buf_finish(&io.out);
    }
    clip_finish(&c);
    free(m);
}

// ---- AMR

#define AMR_FRAMES 200
#define AMR_BYTES 32 // of 12.2 kb/s

// Frames of any bits, so many in each sample; the last of them ends within its third frame.
static struct media *make_amr(struct clip *c, int in_sample)
{
    uint32_t random = 3;
    *c = (struct clip){ .samples = xcalloc(AMR_FRAMES, sizeof *c->samples) };
    buf_init(&c->bytes, (size_t)MIB);
    for (int i = 0; i < AMR_FRAMES * AMR_BYTES; i++)
        put_u8(&c->bytes, i % AMR_BYTES ? (uint8_t)lcg(&random) : 0x3c);
    for (int i = 0; i < AMR_FRAMES; i += in_sample)
        c->samples[c->count++] = (struct sample){ .offset = AMR_BYTES * i,
                                                  .size = (uint32_t)(AMR_BYTES * in_sample),
                                                  .pts = 160 * i,
                                                  .duration = (uint32_t)(160 * in_sample),
                                                  .sync = true };
    struct media *m = xcalloc(1, sizeof *m);
    m->size = (int64_t)c->bytes.len;
    m->audio.codec = CODEC_AMR_NB;
    m->audio.sample_rate = 8000;
    m->audio.channels = 1;
    return m;
}

static void make_of_amr(int in_sample, struct memory *io)
{
    struct clip c;
    struct media *m = make_amr(&c, in_sample);
    const int tail = 160 * 2 + 50; // an edit list may end the sound anywhere
    struct sample *last = &c.samples[c.count - 1];
    if (in_sample == 5) {
        last->duration = (uint32_t)tail;
    } else {
        c.count -= 2;
        c.samples[c.count - 1].duration = 50;
    }
    struct job j = { .kind = JOB_AUDIO, .media = m, .frames = 190, .sequence = 1 };
    j.a = settings(&(struct setup){ "noise", TONE, 8000, 1, 48000, 1, 100, 0, AUDIO_AAC });
    j.end = 4 * 48000;
    j.bits = 1000000;
    j.samples = c.samples;
    j.sample_count = c.count;
    run(&j, &c, io);
    clip_finish(&c);
    free(m);
}

// One frame of AMR in a sample or five: it sounds the same.
static void test_frames_of_amr(void **state)
{
    (void)state;
    struct memory one, five;
    make_of_amr(1, &one);
    make_of_amr(5, &five);
    assert_int_equal(one.out.len, five.out.len);
    assert_memory_equal(one.out.data, five.out.data, one.out.len);
    buf_finish(&one.out);
    buf_finish(&five.out);
}

int main(void)
{
    char detail[DETAIL_MAX];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments_equal_continuous),
        cmocka_unit_test(test_borders_are_not_heard),
        cmocka_unit_test(test_dense_clicks),
        cmocka_unit_test(test_no_bits_at_all),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_frames_of_amr),
    };
    if (av_setup(detail, sizeof detail) < 0) {
        print_error("%s\n", detail);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
