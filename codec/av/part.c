// SPDX-License-Identifier: BSD-2-Clause
//
// Decode times within a part are its presentation times in order, so offsets are
// signed and a part's earliest presentation time is its first decode time.
//
// Behind a part's last picture the encoder is given that picture twice more, as the IDR
// picture with which a stream would go on and one after it.  x264 plans its buffer as
// far as it can see.  At the end of a stream it first spends too much and then starves
// the last pictures when the maxrate binds (SSIM fell by up to 0.06 in the last three);
// before an IDR picture it saves for it, as one encode of the whole file does.  (An IDR
// picture with nothing behind it has no effect.)  Neither is ever coded: nothing is asked
// of the encoder after the part's last picture.  (SVT-AV1 has no such buffer to plan.)
//
// Lock: part.lock guards the queue and what is shared below; the encoder runs
// outside it.

#include "codec/av/part.h"

#include "base/err.h"
#include "codec/av/av.h"
#include "codec/av/encode.h"
#include "codec/av/out.h"

#define READY_MAX (128 * MIB)
#define FOLLOWED_STEPS 5 // of priority: a third of the weight

struct part {
    // constant after start
    struct part_order order;
    pthread_t thread;

    // owner only
    int64_t given;

    // encoder's thread only, after start
    AVCodecContext *encoder;
    AVPacket *packet;
    struct out out;
    struct io io; // what out appends to: ready
    struct why why;
    int64_t packets, sent;
    int64_t us;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    // protected by lock
    AVFrame *queue[PART_AHEAD_MAX]; // a ring
    int queued, head;
    struct buf ready; // finished fragments
    bool followed;    // and its thread has not given way yet
    bool stop;        // the owner wants no more
    bool ended;       // the thread is done
    int err;          // 0 or negative, once ended
    char detail[DETAIL_MAX];
};

// ---- the encoder's thread

static int append_ready(struct io *io, const void *bytes, size_t n)
{
    struct part *const p = container_of(io, struct part, io);
    lock(&p->lock);
    const int rc = buf_append(&p->ready, bytes, n);
    if (p->followed)
        thread_give_way(FOLLOWED_STEPS);
    p->followed = false;
    pthread_cond_broadcast(&p->changed);
    unlock(&p->lock);
    return rc;
}

// The next picture, or NULL when the owner wants no more.
static AVFrame *next_frame(struct part *p)
{
    lock(&p->lock);
    while (!p->queued && !p->stop)
        pthread_cond_wait(&p->changed, &p->lock);
    AVFrame *frame = NULL;
    if (!p->stop) {
        frame = p->queue[p->head];
        p->head = (p->head + 1) % PART_AHEAD_MAX;
        p->queued--;
        pthread_cond_broadcast(&p->changed);
    }
    unlock(&p->lock);
    return frame;
}

static int take_packet(struct part *p)
{
    const int64_t den = p->order.v->fps.den;
    const int64_t offset = (p->packet->pts - p->packets) * den;
    const bool last = ++p->packets == p->order.frames;
    int rc =
        encode_sample(&p->out.data, p->order.v->codec, p->packet->data, (size_t)p->packet->size);
    if (rc == 0)
        rc = out_sample(&p->out, (uint32_t)(last ? p->order.last_ticks : den), (int32_t)offset,
                        p->packet->flags & AV_PKT_FLAG_KEY);
    if (rc == 0 && p->packets % p->order.cut_every == 0)
        rc = out_cut(&p->out);
    return rc;
}

static bool is_stopped(struct part *p)
{
    lock(&p->lock);
    const bool stop = p->stop;
    unlock(&p->lock);
    return stop;
}

// frame NULL: no more comes.  The encoder may have many pictures to code then.
static int encode(struct part *p, const AVFrame *frame)
{
    const int64_t start = clock_us();
    int rc = encode_give(p->encoder, frame), taken = 0;
    while (rc >= 0 && taken == 0 && p->packets < p->order.frames) {
        if (is_stopped(p))
            return -E_CANCELLED;
        rc = avcodec_receive_packet(p->encoder, p->packet);
        if (rc < 0)
            break;
        taken = take_packet(p);
        av_packet_unref(p->packet);
    }
    p->us += clock_us() - start;
    if (taken < 0 || rc >= 0 || rc == AVERROR(EAGAIN) || rc == AVERROR_EOF)
        return taken;
    // What x264 has no words for is that it found no memory.
    return fail_libav(&p->why, rc == AVERROR_EXTERNAL ? -E_NO_MEMORY : -E_INTERNAL, rc, "encoding");
}

// The stream seems to go on behind the part.
static int encode_beyond(struct part *p, AVFrame *frame)
{
    frame->pict_type = AV_PICTURE_TYPE_I;
    frame->pts++;
    const int rc = encode(p, frame);
    frame->pict_type = AV_PICTURE_TYPE_NONE;
    frame->pts++;
    return rc < 0 ? rc : encode(p, frame);
}

static bool plans_ahead(const struct video_settings *v)
{
    return v->codec != VIDEO_AV1 && v->encoder == ENCODER_SOFTWARE;
}

static int encode_next(struct part *p)
{
    AVFrame *frame = next_frame(p);
    if (!frame)
        return -E_CANCELLED;
    frame->pts = p->sent++;
    int rc = encode(p, frame);
    if (rc == 0 && p->sent == p->order.frames && plans_ahead(p->order.v))
        rc = encode_beyond(p, frame);
    av_frame_free(&frame);
    return rc;
}

static int encode_all(struct part *p)
{
    int rc = 0;
    while (rc == 0 && p->sent < p->order.frames)
        rc = encode_next(p);
    if (rc == 0)
        rc = encode(p, NULL);
    if (rc == 0 && p->packets != p->order.frames)
        rc = fail_with(&p->why, -E_INTERNAL, "the encoder lost frames");
    return rc == 0 ? out_cut(&p->out) : rc;
}

static void *run(void *arg)
{
    struct part *const p = arg;
    const int err = encode_all(p);
    lock(&p->lock);
    p->err = err;
    p->ended = true;
    pthread_cond_broadcast(&p->changed);
    unlock(&p->lock);
    return NULL;
}

// ---- the owner's side

static struct part *create(const struct part_order *order)
{
    struct part *p = xcalloc(1, sizeof *p);
    p->order = *order;
    p->io.append = append_ready;
    p->why = (struct why){ p->detail, sizeof p->detail };
    pthread_mutex_init(&p->lock, NULL);
    cond_init(&p->changed);
    buf_init(&p->ready, READY_MAX);
    out_init(&p->out, &p->io, order->sequence, order->first * order->v->fps.den, &p->why);
    p->out.track = (struct fmp4_track){ .video = true, .timescale = (uint32_t)order->v->fps.num };
    if (!order->begins_segment)
        buf_clear(&p->out.fragment);
    return p;
}

static void destroy(struct part *p)
{
    for (; p->queued > 0; p->queued--) {
        av_frame_free(&p->queue[p->head]);
        p->head = (p->head + 1) % PART_AHEAD_MAX;
    }
    encode_close(&p->encoder);
    av_packet_free(&p->packet);
    out_finish(&p->out);
    buf_finish(&p->ready);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

int part_start(struct part **out, const struct part_order *order, const struct why *why)
{
    struct part *p = create(order);
    p->packet = av_packet_alloc();
    int rc = encode_open_video(&p->encoder, order->v, why);
    if (rc == 0 && !p->packet)
        rc = fail_with(why, -E_NO_MEMORY, "no memory for a packet");
    if (rc < 0) {
        destroy(p);
        return rc;
    }
    p->thread = thread_start("encode", run, p);
    *out = p;
    return 0;
}

const uint8_t *part_headers(const struct part *p, size_t *n)
{
    *n = (size_t)p->encoder->extradata_size;
    return p->encoder->extradata;
}

int part_give(struct part *p, const AVFrame *frame, int ahead, int wait_ms, const struct why *why)
{
    assert(ahead > 0 && ahead <= PART_AHEAD_MAX);
    AVFrame *copy = av_frame_clone(frame);
    if (!copy)
        return fail_with(why, -E_NO_MEMORY, "no memory for a picture");
    const int64_t deadline = clock_ms() + wait_ms;
    lock(&p->lock);
    while (p->queued >= ahead && !p->ended)
        if (!cond_wait_until(&p->changed, &p->lock, deadline))
            break;
    const int err = p->ended ? p->err : 0;
    const bool room = p->queued < ahead && !p->ended;
    if (room) {
        p->queue[(p->head + p->queued++) % PART_AHEAD_MAX] = copy;
        copy = NULL;
        pthread_cond_broadcast(&p->changed);
    }
    unlock(&p->lock);
    av_frame_free(&copy);
    p->given += room;
    return err < 0 ? fail_with(why, err, "%s", p->detail) : room;
}

bool part_is_fed(const struct part *p)
{
    return p->given == p->order.frames;
}

void part_followed(struct part *p)
{
    lock(&p->lock);
    p->followed = true;
    unlock(&p->lock);
}

int part_take(struct part *p, struct buf *out, int wait_ms, const struct why *why)
{
    const int64_t deadline = clock_ms() + wait_ms;
    lock(&p->lock);
    while (wait_ms > 0 && !p->ended && p->ready.len == 0)
        if (!cond_wait_until(&p->changed, &p->lock, deadline))
            break;
    int rc = buf_append(out, p->ready.data, p->ready.len);
    buf_clear(&p->ready);
    if (p->ended)
        rc = p->err < 0 ? p->err : rc < 0 ? rc : 1;
    unlock(&p->lock);
    return rc < 0 ? fail_with(why, rc, "%s", p->detail) : rc;
}

void part_stop(struct part **pp, int64_t *us)
{
    struct part *const p = *pp;
    if (!p)
        return;
    lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->changed);
    unlock(&p->lock);
    pthread_join(p->thread, NULL);
    *us += p->us;
    destroy(p);
    *pp = NULL;
}
