// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/coder.h"

#include <string.h>

#include <libavutil/mem.h>

#include "base/err.h"
#include "codec/av/codecs.h"
#include "codec/nal.h"

#define DECODE_THREADS 2
#define HELD 12 // pictures that a decoder has, about: for reference, for their order, on their way

// What jobs have left, and of what; the last one last.
static struct left {
    struct coder *coder;
    struct key source, head;
    int64_t pixels;
    struct taken taken;
    int64_t pts;   // of the picture given last
    int64_t bytes; // that it takes, about
} left[JOB_LEFT_MAX];
static int left_count;
static int64_t allowed = 256 * MIB;

// ---- what was left

static struct left take_out(int i)
{
    const struct left l = left[i];
    left_count--;
    memmove(left + i, left + i + 1, (size_t)(left_count - i) * sizeof *left);
    return l;
}

static void forget_oldest(void)
{
    struct left l = take_out(0);
    coder_close(&l.coder);
}

static int64_t bytes_left(void)
{
    int64_t sum = 0;
    for (int i = 0; i < left_count; i++)
        sum += left[i].bytes;
    return sum;
}

// That the decoder of a job's pictures takes, about.
static int64_t bytes_of(const struct job *job)
{
    const struct video_track *const t = &job->media->video;
    const int64_t pixels = (int64_t)t->coded_width * t->coded_height;
    const int64_t picture = (t->bit_depth > 8 ? 2 : 1) * pixels * 3 / 2;
    // Its pool never becomes smaller.
    return picture * HELD + min64(picture * CODER_SHOWN_MAX, CODER_SHOWN_BYTES);
}

// For one that takes so many.
static void make_room(int64_t bytes)
{
    while (left_count > 0 && (left_count == JOB_LEFT_MAX || bytes_left() + bytes > allowed))
        forget_oldest();
}

// ---- opening

static int set_extradata(AVCodecContext *ctx, const uint8_t *bytes, int n)
{
    if (!n)
        return 0;
    ctx->extradata = av_mallocz((size_t)n + AV_INPUT_BUFFER_PADDING_SIZE);
    if (!ctx->extradata)
        return AVERROR(ENOMEM);
    memcpy(ctx->extradata, bytes, (size_t)n);
    ctx->extradata_size = n;
    return 0;
}

// Whether threads change nothing even for damage: no picture leans on another, or (dav1d)
// what is damaged is not given.
static bool is_steady_with_threads(enum codec_id c)
{
    return c == CODEC_AV1 || codec_is_intra(c);
}

// ThreadSanitizer does not see libavcodec's locks: it would find, and pass over, a race in every
// eighth byte, and take a minute for a segment.
#ifdef __SANITIZE_THREAD__
__attribute__((no_sanitize_thread, optimize("no-tree-loop-distribute-patterns")))
#endif
static void
make_grey(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = 0x80;
}

// What a damaged picture leaves out would show what was in that memory before, and that is
// another picture each time.
static int get_blank_buffer(AVCodecContext *ctx, AVFrame *frame, int flags)
{
    const int rc = avcodec_default_get_buffer2(ctx, frame, flags);
    for (int i = 0; rc >= 0 && i < AV_NUM_DATA_POINTERS && frame->buf[i]; i++)
        make_grey(frame->buf[i]->data, frame->buf[i]->size);
    return rc;
}

// Before FFmpeg 6 it has to be told that threads may call get_buffer2.
static void let_threads_ask(AVCodecContext *ctx)
{
    (void)ctx;
#if FF_API_THREAD_SAFE_CALLBACKS
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    ctx->thread_safe_callbacks = 1;
#pragma GCC diagnostic pop
#endif
}

static int configure_video(AVCodecContext *ctx, const struct job *job, bool steady)
{
    const struct video_track *t = &job->media->video;
    ctx->width = t->coded_width;
    ctx->height = t->coded_height;
    ctx->max_pixels = job->limits.pixels;
    ctx->has_b_frames = t->reorder < 16 ? t->reorder : 16;
    ctx->pkt_timebase = (AVRational){ 1, (int)t->timescale };
    ctx->codec_tag = t->tag;
    ctx->bits_per_coded_sample = t->bits_per_sample;
    ctx->flags |= AV_CODEC_FLAG_UNALIGNED; // what is cropped on the left is cropped to the pixel
    ctx->thread_count = steady && !is_steady_with_threads(t->codec) ? 1 : DECODE_THREADS;
    ctx->err_recognition |= steady ? 0 : AV_EF_EXPLODE;
    ctx->thread_type = FF_THREAD_FRAME;
    ctx->get_buffer2 = get_blank_buffer;
    let_threads_ask(ctx);
    return set_extradata(ctx, t->extradata, t->extradata_size);
}

static int configure_audio(AVCodecContext *ctx, const struct job *job)
{
    const struct audio_track *t = &job->media->audio;
    ctx->sample_rate = t->sample_rate;
    av_channel_layout_default(&ctx->ch_layout, t->channels);
    ctx->block_align = t->block_align;
    ctx->bits_per_coded_sample = t->bits_per_sample;
    ctx->bit_rate = t->bit_rate;
    ctx->pkt_timebase = (AVRational){ 1, t->sample_rate };
    ctx->thread_count = 1;
    ctx->flags2 |= AV_CODEC_FLAG2_SKIP_MANUAL; // what to drop is said by the sample table
    return set_extradata(ctx, t->extradata, t->extradata_size);
}

static int open_context(struct coder *c, const struct job *job, bool video, bool steady,
                        const struct why *why)
{
    const struct media *const m = job->media;
    const char *const name = codec_decoder(video ? m->video.codec : m->audio.codec);
    const AVCodec *const codec = avcodec_find_decoder_by_name(name);
    if (!codec)
        return fail_with(why, -E_CONFIG, "libavcodec has no decoder %s", name);
    c->ctx = avcodec_alloc_context3(codec);
    if (!c->ctx)
        return fail_with(why, -E_NO_MEMORY, "no memory for a decoder");
    c->ctx->opaque = c; // its threads' contexts have it, too
    int rc = video ? configure_video(c->ctx, job, steady) : configure_audio(c->ctx, job);
    if (rc == 0)
        rc = avcodec_open2(c->ctx, codec, NULL);
    if (rc == AVERROR(ENOSYS) || rc == AVERROR_PATCHWELCOME) // xHE-AAC, for one
        return fail_with(why, -E_UNSUPPORTED, "%s of this profile is not supported", codec->name);
    return rc < 0 ? fail_libav(why, -E_CORRUPT, rc, "opening the decoder") : 0;
}

int coder_open(struct coder **out, const struct job *job, bool video, bool steady,
               const struct why *why)
{
    if (video)
        make_room(bytes_of(job));
    struct coder *const c = *out = xcalloc(1, sizeof *c);
    c->packet = av_packet_alloc();
    c->last = av_packet_alloc();
    if (!c->packet || !c->last)
        return fail_with(why, -E_NO_MEMORY, "no memory for a decoder");
    return open_context(c, job, video, steady, why);
}

void coder_close(struct coder **c)
{
    if (!*c)
        return;
    avcodec_free_context(&(*c)->ctx);
    av_packet_free(&(*c)->packet);
    av_packet_free(&(*c)->last);
    free(*c);
    *c = NULL;
}

// ---- the end

static bool has_no_end(const AVCodecContext *ctx)
{
    return ctx->codec_id == AV_CODEC_ID_RV20 && ctx->has_b_frames > 0;
}

// It has to be one that others refer to: they are shown behind what came before.
void coder_note_last(struct coder *c)
{
    if (!has_no_end(c->ctx) || (c->last->data && c->packet->pts < c->last->pts))
        return;
    av_packet_unref(c->last);
    av_packet_ref(c->last, c->packet);
}

const AVPacket *coder_packet_for_end(const struct coder *c)
{
    return c->last->data ? c->last : NULL;
}

// ---- what it has taken

enum { UNIT_IDR = 1, UNIT_SETS = 2 };

static unsigned unit_kind(enum codec_id codec, uint8_t first)
{
    const int type = codec == CODEC_H264 ? first & 31 : first >> 1 & 63;
    if (codec == CODEC_H264)
        return type == AVC_UNIT_IDR                           ? UNIT_IDR
               : type == AVC_UNIT_SPS || type == AVC_UNIT_PPS ? UNIT_SETS
                                                              : 0;
    if (type == HEVC_UNIT_IDR_W_RADL || type == HEVC_UNIT_IDR_N_LP)
        return UNIT_IDR;
    return type >= HEVC_UNIT_VPS && type <= HEVC_UNIT_PPS ? UNIT_SETS : 0;
}

static int length_size(const struct video_track *t)
{
    const int at = t->codec == CODEC_H264 ? 4 : 21;
    return t->extradata_size > at && t->extradata[0] == 1 ? (t->extradata[at] & 3) + 1 : NAL_CODED;
}

// What of it matters here, of the NAL units in p; others than H.264 and HEVC have none.
static unsigned kinds_of(const struct video_track *t, const AVPacket *p)
{
    struct reader r = reader_of(p->data, (size_t)p->size);
    struct nal_unit u = { NULL, 0 };
    unsigned kinds = 0;
    if (t->codec != CODEC_H264 && t->codec != CODEC_HEVC)
        return 0;
    while (nal_next(&r, 0, length_size(t), &u))
        kinds |= unit_kind(t->codec, u.p[0]);
    return kinds;
}

static void take(struct taken *t, const struct sample *s)
{
    if (t->count++ == 0)
        t->first = *s;
    t->last = *s;
}

// Behind an IDR picture nothing of what came before is left in a decoder but parameter sets.
void coder_note(struct coder *c, const struct job *job, const struct sample *s, const AVPacket *p)
{
    const unsigned kinds = kinds_of(&job->media->video, p);
    c->has_sets |= (kinds & UNIT_SETS) != 0;
    if (s->sync && kinds == UNIT_IDR)
        c->clean.count = 0;
    if (c->clean.count > 0 || (s->sync && kinds == UNIT_IDR))
        take(&c->clean, s);
    take(&c->all, s);
}

// What of an encoder's note about itself (SEI) steers libavcodec is of other pictures than these.
static bool is_plain(const AVCodecContext *ctx)
{
    return ctx->pix_fmt == AV_PIX_FMT_YUV420P || ctx->pix_fmt == AV_PIX_FMT_YUVJ420P;
}

static struct taken taken_by(const struct coder *c)
{
    return c->clean.count > 0 && !c->has_sets && is_plain(c->ctx) ? c->clean : c->all;
}

// ---- going on

static struct key head_key(const struct media *m)
{
    struct buf head;
    buf_init(&head, MIB);
    const int rc = media_pack_head(m, &head);
    struct key k = { 0 };
    if (rc == 0)
        k = key_of(head.data, head.len);
    buf_finish(&head);
    return k;
}

static bool is_no_key(const struct key *k)
{
    return key_equal(k, &(struct key){ 0 });
}

void coder_forget(void)
{
    while (left_count > 0)
        forget_oldest();
}

void coder_allow(int64_t bytes)
{
    allowed = bytes;
}

void coder_leave(struct coder **c, const struct job *job, int64_t pts)
{
    const struct left l = { .coder = *c,
                            .source = job->source,
                            .head = head_key(job->media),
                            .pixels = job->limits.pixels,
                            .taken = taken_by(*c),
                            .pts = pts,
                            .bytes = bytes_of(job) };
    if (is_no_key(&l.source) || is_no_key(&l.head)) {
        coder_close(c);
        return;
    }
    make_room(l.bytes);
    left[left_count++] = l;
    *c = NULL;
}

static bool is_same(const struct sample *a, const struct sample *b)
{
    return a->offset == b->offset && a->pts == b->pts && a->size == b->size;
}

static bool goes_on(const struct job *job, const struct key *head, const struct left *l)
{
    const struct taken *const t = &l->taken;
    return key_equal(&l->source, &job->source) && key_equal(&l->head, head) &&
           l->pixels == job->limits.pixels && t->count <= job->sample_count &&
           is_same(&job->samples[0], &t->first) && is_same(&job->samples[t->count - 1], &t->last) &&
           job->picks[0].pts > l->pts;
}

// Of several the one that has come furthest.
struct coder *coder_resume(const struct job *job, int *count)
{
    const struct key head = head_key(job->media);
    int best = -1;
    for (int i = 0; i < left_count; i++)
        if (goes_on(job, &head, &left[i]) && (best < 0 || left[i].pts > left[best].pts))
            best = i;
    if (best < 0)
        return NULL;
    const struct left l = take_out(best);
    *count = l.taken.count;
    return l.coder;
}

void coder_report(struct job_stats *stats)
{
    stats->left_count = left_count;
    for (int i = 0; i < left_count; i++)
        stats->left[i] =
            (struct left_decoder){ left[i].source, left[i].pts, left[i].taken.first.offset };
}
