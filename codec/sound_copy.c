// SPDX-License-Identifier: BSD-2-Clause

#include "codec/sound_copy.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/bytes.h"
#include "base/err.h"
#include "codec/bits.h"
#include "codec/fmp4.h"
#include "codec/sound.h"

#define AAC_LC 2
#define SBR_SYNC 0x2b7 // what tells of SBR behind a configuration of AAC-LC

#define FRAGMENT_SECONDS 2
#define FRAGMENT_FRAMES 96    // at most
#define WINDOW_MAX (64 * KIB) // read at once, of frames that lie side by side
// Container bytes, rounded up: of a segment, of a fragment, of a frame.
#define SEGMENT_BYTES 64
#define FRAGMENT_BYTES 112
#define SAMPLE_BYTES 16

// An element of no bands, one of each channel, and the end.
static const uint8_t silence_mono[] = { 0x00, 0x00, 0x00, 0x07 };
static const uint8_t silence_stereo[] = { 0x21, 0x00, 0x00, 0x00, 0x00, 0x1c };

// ---- AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1, 4.4.1)

static const int rates[] = { 96000, 88200, 64000, 48000, 44100, 32000, 24000,
                             22050, 16000, 12000, 11025, 8000,  7350 };

static int rate_index(int rate)
{
    size_t i = 0;
    while (i < countof(rates) && rates[i] != rate)
        i++;
    return (int)i;
}

// Whether it is of plain AAC-LC of this rate and so many channels: frames of 1024 samples,
// nothing behind it that says there is more in them.
static bool is_plain(const struct audio_track *a)
{
    struct bits b = { .bytes = reader_of(a->extradata, (size_t)a->extradata_size) };
    const int type = (int)get_bits(&b, 5), rate = (int)get_bits(&b, 4);
    const int channels = (int)get_bits(&b, 4);
    const uint32_t rest = get_bits(&b, 3); // 960 samples, another core, an extension
    if (b.bytes.bad || type != AAC_LC || rest != 0 || rate != rate_index(a->sample_rate) ||
        channels != a->channels)
        return false;
    if (get_bits(&b, 11) != SBR_SYNC || b.bytes.bad)
        return true;
    return get_bits(&b, 5) != 5 || !get_bit(&b);
}

// ---- where frames are

// The distance from one grid to the other: 0 where a frame begins at T0.
static int64_t phase_of(const struct audio_track *a)
{
    const int64_t off = a->samples[0].pts % AAC_FRAME;
    return off > AAC_FRAME / 2 ? off - AAC_FRAME : off < -AAC_FRAME / 2 ? off + AAC_FRAME : off;
}

// Number of the frame of the rendition that packet 0 is; below 0 before T0.
static int64_t first_of(const struct audio_track *a)
{
    return (a->samples[0].pts - phase_of(a)) / AAC_FRAME;
}

static bool is_contiguous(const struct audio_track *a)
{
    for (int i = 1; i < a->sample_count; i++)
        if (a->samples[i].pts != a->samples[i - 1].pts + AAC_FRAME)
            return false;
    return true;
}

static bool are_small(const struct audio_track *a)
{
    for (int i = 0; i < a->sample_count; i++)
        if (a->samples[i].size > SOUND_FRAME_BYTES)
            return false;
    return true;
}

// Containers that count milliseconds cannot tell it better.
static int64_t tolerance(const struct media *m, const struct audio_track *a)
{
    return m->container == CONTAINER_MP4 ? 0 : a->sample_rate / 1000;
}

static const char *obstacle(const struct media *m, const struct audio_track *a)
{
    if (!a->samples || m->reach != MEDIA_ALL)
        return "where its frames are is not known";
    if (a->codec != CODEC_AAC)
        return "it is not AAC";
    if (a->carriage.kind != CARRIAGE_WHOLE || a->strip.n > 0)
        return "its container keeps its packets in pieces";
    if (a->channels > 2 || a->sample_rate != media_output_rate(a->sample_rate) || !is_plain(a))
        return "not every player plays its profile, its rate or its channels";
    if (!is_contiguous(a))
        return "there are gaps in it";
    if (llabs(phase_of(a)) > tolerance(m, a))
        return "none of its frames begins with the first picture";
    return are_small(a) ? NULL : "its frames are too large";
}

// The packet that is frame n of the rendition; NULL: silence is.
static const struct sample *packet_at(const struct audio_track *a, int64_t n)
{
    const int64_t i = n - first_of(a);
    return i >= 0 && i < a->sample_count ? &a->samples[i] : NULL;
}

static size_t silence_of(const struct audio_track *a, const uint8_t **bytes)
{
    *bytes = a->channels > 1 ? silence_stereo : silence_mono;
    return a->channels > 1 ? sizeof silence_stereo : sizeof silence_mono;
}

// ---- the promise

// Of a fragment.
static int frames_of(int rate)
{
    return FRAGMENT_SECONDS * rate / AAC_FRAME;
}

int64_t sound_copy_bytes(const struct plan *p, const struct rendition *r, const struct media *m,
                         int k)
{
    const struct audio_track *const a = media_audio(m, r->track);
    const int64_t end = plan_segment_start(p, r, k + 1) / AAC_FRAME;
    const int64_t begin = plan_segment_start(p, r, k) / AAC_FRAME;
    const uint8_t *bytes;
    int64_t n = SEGMENT_BYTES + FRAGMENT_BYTES;
    n += ((end - begin) / frames_of(r->a.sample_rate)) * FRAGMENT_BYTES;
    for (int64_t i = begin; i < end; i++) {
        const struct sample *const s = packet_at(a, i);
        n += SAMPLE_BYTES + (s ? (int64_t)s->size : (int64_t)silence_of(a, &bytes));
    }
    return n;
}

const char *sound_copy_make(struct rendition *r, const struct plan *p, const struct media *m)
{
    const char *const why = obstacle(m, media_audio(m, r->track));
    if (why)
        return why;
    int64_t most = 0, sum = 0;
    for (int k = 0; k < p->table.count; k++) {
        const int64_t n = sound_copy_bytes(p, r, m, k);
        const int64_t us = plan_segment_us(p, r, k + 1) - plan_segment_us(p, r, k);
        const int64_t rate = us > 0 ? muldiv_ceil(8 * n, 1000000, us) : INT64_MAX;
        most = rate > most ? rate : most;
        sum += n;
    }
    if (most > r->bandwidth)
        return "it takes more bits than the encoded one may";
    r->copied = true;
    r->a.quality = 0;
    r->bandwidth = most;
    r->average = muldiv_ceil(8 * sum, 1000000, plan_segment_us(p, r, p->table.count));
    return NULL;
}

void sound_copy_range(const struct plan *p, const struct rendition *r, const struct media *m, int k,
                      int64_t *offset, int64_t *n)
{
    const struct audio_track *const a = media_audio(m, r->track);
    const int64_t end = plan_segment_start(p, r, k + 1) / AAC_FRAME;
    int64_t from = INT64_MAX, to = 0;
    for (int64_t i = plan_segment_start(p, r, k) / AAC_FRAME; i < end; i++) {
        const struct sample *const s = packet_at(a, i);
        if (!s)
            continue;
        from = s->offset < from ? s->offset : from;
        to = s->offset + s->size > to ? s->offset + s->size : to;
    }
    *offset = to > 0 ? from : 0;
    *n = to > 0 ? to - from : 0;
}

// ---- bytes

static struct fmp4_track track_of(const struct rendition *r, uint8_t config[2])
{
    const int rate = rate_index(r->a.sample_rate);
    config[0] = (uint8_t)(AAC_LC << 3 | rate >> 1);
    config[1] = (uint8_t)((rate & 1) << 7 | r->a.channels << 3);
    return (struct fmp4_track){ .timescale = (uint32_t)r->a.sample_rate,
                                .coding = FMP4_AAC,
                                .config = config,
                                .config_size = 2,
                                .sample_rate = r->a.sample_rate,
                                .channels = r->a.channels,
                                .bitrate = (uint32_t)r->average };
}

int sound_copy_init(const struct rendition *r, struct buf *out)
{
    uint8_t config[2];
    const struct fmp4_track track = track_of(r, config);
    return fmp4_init(out, &track);
}

struct copying {
    const struct audio_track *a; // borrowed
    struct io *io;
    struct fmp4_track track;
    struct fmp4_sample samples[FRAGMENT_FRAMES]; // of a fragment
    struct buf data, out;
};

// How many packets from s on, of at most count, are read at once.
static int neighbours(const struct sample *s, int count)
{
    int64_t n = s[0].size;
    int i = 1;
    while (i < count && s[i].offset == s[i - 1].offset + s[i - 1].size &&
           n + s[i].size < WINDOW_MAX)
        n += s[i++].size;
    return i;
}

static int read_packets(struct copying *c, const struct sample *s, int count)
{
    const int64_t n = s[count - 1].offset + s[count - 1].size - s->offset;
    uint8_t *const to = buf_extend(&c->data, (size_t)n);
    if (!to)
        return buf_error(&c->data);
    const int64_t got = c->io->read(c->io, s->offset, to, n);
    return got < 0 ? (int)got : got < n ? -E_CORRUPT : 0;
}

// Appends frames [first, first + count) to the data; as many as it took are returned, from 1.
static int take_frames(struct copying *c, int64_t first, int count, struct fmp4_sample *made)
{
    const struct sample *const s = packet_at(c->a, first);
    const uint8_t *silence;
    int n = 1;
    *made = (struct fmp4_sample){ .duration = AAC_FRAME, .sync = true };
    if (!s) {
        made->size = (uint32_t)silence_of(c->a, &silence);
        buf_append(&c->data, silence, made->size);
        return n;
    }
    const int64_t left = c->a->samples + c->a->sample_count - s;
    n = neighbours(s, left < count ? (int)left : count);
    for (int i = 0; i < n; i++)
        made[i] = (struct fmp4_sample){ .size = s[i].size, .duration = AAC_FRAME, .sync = true };
    const int rc = read_packets(c, s, n);
    return rc < 0 ? rc : n;
}

static int copy_fragment(struct copying *c, int64_t first, int count, uint32_t sequence)
{
    int rc = 0;
    buf_clear(&c->data);
    for (int i = 0; rc >= 0 && i < count; i += rc)
        rc = take_frames(c, first + i, count - i, &c->samples[i]);
    if (rc >= 0)
        rc = fmp4_fragment(&c->out, &c->track, sequence, (uint64_t)first * AAC_FRAME, c->samples,
                           count, c->data.data, c->data.len);
    if (rc >= 0)
        rc = c->io->append(c->io, c->out.data, c->out.len);
    buf_clear(&c->out);
    return rc;
}

static int copy_fragments(struct copying *c, int64_t first, int64_t end, uint32_t sequence)
{
    const int per = frames_of(c->track.sample_rate);
    int rc = fmp4_styp(&c->out);
    for (; rc == 0 && first < end; first += per) {
        const int count = end - first < per ? (int)(end - first) : per;
        rc = c->io->cancelled(c->io) ? -E_CANCELLED : copy_fragment(c, first, count, sequence++);
    }
    return rc;
}

int sound_copy_segment(const struct plan *p, const struct rendition *r, const struct media *m,
                       int k, struct io *io)
{
    assert(r->kind == RENDITION_AUDIO && r->copied);
    uint8_t config[2];
    struct copying c = { .a = media_audio(m, r->track), .io = io, .track = track_of(r, config) };
    if (k < 0 || k >= p->table.count)
        return -E_NOT_FOUND;
    if (obstacle(m, c.a) || c.a->sample_rate != r->a.sample_rate || c.a->channels != r->a.channels)
        return -E_CORRUPT;
    buf_init(&c.data, FRAGMENT_FRAMES * SOUND_FRAME_BYTES);
    buf_init(&c.out, FRAGMENT_FRAMES * SOUND_FRAME_BYTES + MIB);
    const int rc =
        copy_fragments(&c, plan_segment_start(p, r, k) / AAC_FRAME,
                       plan_segment_start(p, r, k + 1) / AAC_FRAME, (uint32_t)plan_sequence(k));
    buf_finish(&c.data);
    buf_finish(&c.out);
    return rc;
}
