// SPDX-License-Identifier: BSD-2-Clause
//
// Two streams of PES packets, each cut from its samples, are merged by decode time: a
// video frame goes before a group of audio frames that is due no earlier.  One of the two
// carries the clock.  Its PCR says a bit less than the decode time of the frame behind it
// (lead), so that what stands before the next PCR has arrived when it is due.

#include "codec/ts.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/bytes.h"
#include "base/err.h"
#include "codec/avc.h"
#include "codec/fmp4.h"
#include "codec/sound.h"

#define SAMPLES_MAX 40000
#define SECONDS_MAX 1000000000 // keeps times in 64 bits

#define PID_PAT 0
#define PID_PMT 0x1000
#define PID_VIDEO 0x100
#define PID_AUDIO 0x101
#define PAYLOAD ((size_t)TS_PACKET - 4)

#define CLOCK 90000
#define CLOCK_EVERY (CLOCK / 10) // at least
#define CLOCK_FIELD 8            // bytes of an adaptation field with a PCR, its length included
#define AHEAD (CLOCK / 10)       // of a PES packet's end before it is due

#define PES_HEADER_MAX 19
#define AUD_SIZE 6
#define ADTS_SIZE 7
#define ADTS_MAX 8191
#define AUDIO_GROUP 6 // frames of a PES packet; fewer where they carry the clock

#define AUDIO_RATE_MIN 7350 // of those that ADTS can name
#define NAL_AUD 9

struct stream {
    // constant once open
    const struct kind *kind;
    struct fmp4_track track;
    struct fmp4_found *samples; // owned
    int count;
    bool alone, whole;
    int group;       // samples of a PES packet
    int64_t early;   // decode before presentation at least, ticks of the track
    int64_t lead;    // PCR before decode, of 90 kHz
    struct buf head; // parameter sets or an ADTS header

    int next;    // sample
    int packets; // with payload, so far
};

// What an adaptation field tells.
struct clock {
    int64_t pcr;
    bool random_access;
};

struct muxer {
    struct buf *out;
    struct stream *clock;
    int64_t pcr; // the last one written
    struct buf pes;
};

// ---- kinds of streams

static void put_units(struct buf *out, const struct nal_unit *units, int count)
{
    for (int i = 0; i < count; i++) {
        put_be32(out, 1);
        buf_append(out, units[i].p, units[i].n);
    }
}

// Those of an avcC, each behind a start code.
static int put_sets(struct buf *out, const uint8_t *avcc, size_t n)
{
    struct avc_sets sets;
    if (avc_read_sets(&sets, avcc, n) < 0 || sets.length_size != 4)
        return -E_CORRUPT;
    put_units(out, sets.sps, sets.sps_count);
    put_units(out, sets.pps, sets.pps_count);
    return buf_error(out);
}

static int open_h264(struct stream *s)
{
    // Of constant rate, so it is the same in every segment; a second at most.
    const uint32_t duration = s->samples[0].s.duration;
    if (duration > s->track.timescale)
        return -E_CORRUPT;
    s->early = TS_REORDER * (int64_t)duration;
    s->lead = AHEAD + muldiv_ceil(duration, CLOCK, s->track.timescale);
    s->group = 1;
    return put_sets(&s->head, s->track.config, s->track.config_size);
}

// Frames of a PES packet.  Alone they carry the clock.
static int audio_group(int sample_rate, bool alone)
{
    const int most = CLOCK_EVERY / (int)muldiv_ceil(AAC_FRAME, CLOCK, sample_rate);
    return !alone ? AUDIO_GROUP : most > 0 ? most : 1;
}

// An AudioSpecificConfig of AAC-LC as the fixed part of an ADTS header.
static int open_aac(struct stream *s)
{
    const uint8_t *const asc = s->track.config;
    if (s->track.config_size < 2)
        return -E_CORRUPT;
    const int type = asc[0] >> 3, rate = (asc[0] & 7) << 1 | asc[1] >> 7;
    const int channels = asc[1] >> 3 & 15;
    if (type != 2 || rate > 12 || channels < 1 || channels > 7 ||
        s->track.sample_rate < AUDIO_RATE_MIN)
        return -E_CORRUPT;
    put_be16(&s->head, 0xfff1); // MPEG-4, no CRC
    put_u8(&s->head, (uint8_t)((type - 1) << 6 | rate << 2 | channels >> 2));
    put_u8(&s->head, (uint8_t)((channels & 3) << 6));
    s->group = audio_group(s->track.sample_rate, s->alone);
    s->lead = AHEAD + muldiv_ceil(s->group * AAC_FRAME, CLOCK, s->track.sample_rate);
    return buf_error(&s->head);
}

// The sample's NAL units with start codes in place of lengths, of 4 bytes both.
static int put_h264(struct buf *out, const struct stream *s, const struct fmp4_found *f)
{
    struct reader r = reader_of(f->data, f->s.size);
    put_be32(out, 1);
    put_be16(out, NAL_AUD << 8 | 0xf0); // any kind of slice
    if (f->s.sync)
        buf_append(out, s->head.data, s->head.len);
    while (reader_left(&r) > 0) {
        const uint32_t n = get_be32(&r);
        const uint8_t *const nal = get_bytes(&r, n);
        if (!nal || n == 0)
            return -E_CORRUPT;
        put_be32(out, 1);
        buf_append(out, nal, n);
    }
    return buf_error(out);
}

static int put_aac(struct buf *out, const struct stream *s, const struct fmp4_found *f)
{
    const size_t n = f->s.size + ADTS_SIZE;
    if (n > ADTS_MAX)
        return -E_CORRUPT;
    buf_append(out, s->head.data, 3);
    put_u8(out, (uint8_t)(s->head.data[3] | n >> 11));
    put_u8(out, (uint8_t)(n >> 3));
    put_u8(out, (uint8_t)(n << 5 | 0x1f)); // buffer fullness: variable rate
    put_u8(out, 0xfc);                     // one raw block
    return buf_append(out, f->data, f->s.size);
}

struct kind {
    bool video;
    uint16_t pid;
    uint8_t stream_type, stream_id;
    int (*open)(struct stream *s);
    int (*put)(struct buf *out, const struct stream *s, const struct fmp4_found *f);
};

static const struct kind h264 = { true, PID_VIDEO, 0x1b, 0xe0, open_h264, put_h264 };
static const struct kind aac = { false, PID_AUDIO, 0x0f, 0xc0, open_aac, put_aac };

// ---- streams

// No time of it may be so far off that it cannot be told in ticks.
static bool times_fit(const struct stream *s)
{
    const uint64_t max = (uint64_t)SECONDS_MAX * s->track.timescale;
    for (int i = 0; i < s->count; i++)
        if (s->samples[i].time > max || s->samples[i].s.offset < -s->early)
            return false;
    return true;
}

static int stream_open(struct stream *s, const struct kind *kind, const struct ts_input *in,
                       bool alone)
{
    *s = (struct stream){ .kind = kind, .alone = alone, .whole = true };
    buf_init(&s->head, 64 * KIB);
    if (!in)
        return 0;
    s->whole = in->whole;
    int rc = fmp4_read_init(in->init, in->init_size, &s->track);
    const enum fmp4_coding coding = kind->video ? FMP4_AVC : FMP4_AAC;
    if (rc == 0 && (s->track.video != kind->video || s->track.coding != coding))
        rc = -E_CORRUPT;
    const size_t n = in->whole ? in->media_size : fmp4_whole_fragments(in->media, in->media_size);
    if (rc == 0 && (n > 0 || in->whole))
        rc = fmp4_samples(in->media, n, SAMPLES_MAX, &s->samples, &s->count);
    if (rc == 0 && s->count > 0)
        rc = kind->open(s);
    return rc < 0 || times_fit(s) ? rc : -E_CORRUPT;
}

static void stream_finish(struct stream *s)
{
    free(s->samples);
    buf_finish(&s->head);
}

// Ticks of 90 kHz; rounded, so that what is in order stays so.
static int64_t ticks(const struct stream *s, int64_t time)
{
    return TS_OFFSET + muldiv_round(time, CLOCK, s->track.timescale);
}

static int64_t decode_time(const struct stream *s, int i)
{
    return ticks(s, (int64_t)s->samples[i].time - s->early);
}

static int64_t show_time(const struct stream *s, int i)
{
    return ticks(s, (int64_t)s->samples[i].time + s->samples[i].s.offset);
}

static int64_t end_time(const struct stream *s)
{
    const struct fmp4_found *const last = &s->samples[s->count - 1];
    return ticks(s, (int64_t)last->time + last->s.duration - s->early);
}

static int group_end(const struct stream *s)
{
    return s->count - s->next < s->group ? s->count : s->next + s->group;
}

static bool is_empty(const struct stream *s)
{
    return s->whole && s->next == s->count;
}

// Whether its next PES packet is known, and whether it is the last.
static bool is_ready(const struct stream *s)
{
    return s->next < s->count && (s->whole || s->next + s->group < s->count);
}

// ---- packets

static void put_header(struct buf *out, int pid, bool begins, int control, int counter)
{
    put_u8(out, 0x47);
    put_be16(out, (uint16_t)((begins ? 0x4000 : 0) | pid));
    put_u8(out, (uint8_t)(control << 4 | (counter & 15)));
}

static void put_pcr(struct buf *out, int64_t pcr)
{
    const uint64_t base = (uint64_t)pcr & 0x1ffffffff;
    put_be(out, base << 15 | 0x3f << 9, 6); // extension 0
}

// size: all of it, with its length; > 0.  clock: NULL for none.
static void put_adaptation(struct buf *out, int size, const struct clock *clock)
{
    put_u8(out, (uint8_t)(size - 1));
    if (size == 1)
        return;
    put_u8(out, clock ? clock->random_access ? 0x50 : 0x10 : 0);
    if (clock)
        put_pcr(out, clock->pcr);
    buf_fill(out, 0xff, (size_t)(size - (clock ? CLOCK_FIELD : 2)));
}

// Without payload; such a packet does not count.
static void put_clock_packet(struct muxer *m, int64_t pcr)
{
    put_header(m->out, m->clock->kind->pid, false, 2, m->clock->packets - 1);
    put_adaptation(m->out, (int)PAYLOAD, &(const struct clock){ .pcr = pcr });
}

// How many packets the n bytes of a PES packet and an adaptation field make.
static int packets_of(const struct stream *s, size_t n, bool last)
{
    const int least = (int)((n + PAYLOAD - 1) / PAYLOAD);
    return last ? least + (-(s->packets + least) & 15) : least;
}

static void put_packets(struct muxer *m, struct stream *s, const struct clock *clock, bool last)
{
    size_t left = m->pes.len, field = clock ? CLOCK_FIELD : 0;
    const uint8_t *at = m->pes.data;
    const int count = packets_of(s, left + field, last);
    assert(left >= (size_t)count);
    for (int i = 0; i < count; i++) {
        const size_t room = PAYLOAD - field, most = left - (size_t)(count - i - 1);
        const size_t n = most < room ? most : room; // a byte for each to come
        put_header(m->out, s->kind->pid, i == 0, n < PAYLOAD ? 3 : 1, s->packets++);
        if (n < PAYLOAD)
            put_adaptation(m->out, (int)(PAYLOAD - n), i == 0 ? clock : NULL);
        buf_append(m->out, at, n);
        at += n;
        left -= n;
        field = 0;
    }
}

// ---- tables

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= (uint32_t)p[i] << 24;
        for (int bit = 0; bit < 8; bit++)
            crc = crc << 1 ^ (crc >> 31 ? 0x04c11db7 : 0);
    }
    return crc;
}

// A section in a packet of its own.  body: what is behind last_section_number.
static void put_table(struct buf *out, int k, int pid, uint8_t table, const struct buf *body)
{
    const size_t begin = out->len;
    put_header(out, pid, true, 1, k);
    put_u8(out, 0); // the section begins at once
    const size_t section = out->len;
    put_u8(out, table);
    put_be16(out, (uint16_t)(0xb000 | (5 + body->len + 4)));
    put_be16(out, 1);  // transport stream, program
    put_u8(out, 0xc1); // version 0, current
    put_be16(out, 0);  // section 0 of 0
    buf_append(out, body->data, body->len);
    if (!out->failed)
        put_be32(out, crc32_of(out->data + section, out->len - section));
    buf_fill(out, 0xff, TS_PACKET - (out->len - begin));
}

static void put_tables(struct buf *out, int k, const struct stream *streams, int count,
                       const struct stream *clock)
{
    struct buf body;
    buf_init(&body, TS_PACKET);
    put_be16(&body, 1); // program
    put_be16(&body, 0xe000 | PID_PMT);
    put_table(out, k, PID_PAT, 0, &body);
    buf_clear(&body);
    put_be16(&body, 0xe000 | clock->kind->pid);
    put_be16(&body, 0xf000); // no descriptors
    for (int i = 0; i < count; i++) {
        if (streams[i].track.timescale == 0)
            continue;
        put_u8(&body, streams[i].kind->stream_type);
        put_be16(&body, 0xe000 | streams[i].kind->pid);
        put_be16(&body, 0xf000);
    }
    put_table(out, k, PID_PMT, 2, &body);
    buf_finish(&body);
}

// ---- PES packets

static void put_timestamp(struct buf *out, int mark, int64_t time)
{
    const uint64_t t = (uint64_t)time & 0x1ffffffff;
    put_u8(out, (uint8_t)(mark << 4 | (t >> 30 & 7) << 1 | 1));
    put_be16(out, (uint16_t)((t >> 15 & 0x7fff) << 1 | 1));
    put_be16(out, (uint16_t)((t & 0x7fff) << 1 | 1));
}

static void put_pes_header(struct buf *out, const struct stream *s)
{
    const int64_t dts = decode_time(s, s->next), pts = show_time(s, s->next);
    put_be(out, 1, 3);
    put_u8(out, s->kind->stream_id);
    put_be16(out, 0);  // its length: see set_length
    put_u8(out, 0x84); // begins with an access unit
    put_u8(out, pts != dts ? 0xc0 : 0x80);
    put_u8(out, pts != dts ? 10 : 5);
    put_timestamp(out, pts != dts ? 3 : 2, pts);
    if (pts != dts)
        put_timestamp(out, 1, dts);
}

// What is too long for it has none, which video may.
static void set_length(struct buf *pes)
{
    const size_t n = pes->len - 6;
    if (!pes->failed && n <= UINT16_MAX) {
        pes->data[4] = (uint8_t)(n >> 8);
        pes->data[5] = (uint8_t)n;
    }
}

static int fill_pes(struct buf *pes, const struct stream *s)
{
    int rc = 0;
    buf_clear(pes);
    put_pes_header(pes, s);
    for (int i = s->next; i < group_end(s) && rc == 0; i++)
        rc = s->kind->put(pes, s, &s->samples[i]);
    set_length(pes);
    return rc < 0 ? rc : buf_error(pes);
}

// Tells the clock as often as it takes up to a time at which it is told next.
static void keep_clock(struct muxer *m, int64_t until)
{
    while (until - m->pcr > CLOCK_EVERY && !m->out->failed) {
        m->pcr += CLOCK_EVERY;
        put_clock_packet(m, m->pcr);
    }
}

static int put_next(struct muxer *m, struct stream *s)
{
    const int rc = fill_pes(&m->pes, s);
    if (rc < 0)
        return rc;
    const bool last = s->whole && group_end(s) == s->count, tells = s == m->clock;
    const struct clock clock = { decode_time(s, s->next) - s->lead, s->samples[s->next].s.sync };
    if (tells && s->next > 0)
        keep_clock(m, clock.pcr);
    if (tells)
        m->pcr = clock.pcr;
    put_packets(m, s, tells ? &clock : NULL, last);
    s->next = group_end(s);
    if (tells && last)
        keep_clock(m, end_time(s) - s->lead);
    return buf_error(m->out);
}

// ---- segments

// The one whose turn it is; NULL when there is none or it is not known yet.
static struct stream *turn(struct stream *v, struct stream *a)
{
    if (is_empty(v))
        return is_ready(a) ? a : NULL;
    if (is_empty(a))
        return is_ready(v) ? v : NULL;
    if (!is_ready(v) || !is_ready(a))
        return NULL;
    return decode_time(v, v->next) <= decode_time(a, a->next) ? v : a;
}

static int mux(struct buf *out, int k, struct stream streams[2])
{
    struct stream *const v = &streams[0], *const a = &streams[1];
    struct muxer m = { .out = out, .clock = v->track.timescale ? v : a };
    buf_init(&m.pes, out->max);
    int rc = 0;
    struct stream *s = turn(v, a);
    if (s)
        put_tables(out, k, streams, 2, m.clock);
    for (; rc == 0 && s; s = turn(v, a))
        rc = put_next(&m, s);
    buf_finish(&m.pes);
    return rc < 0 ? rc : buf_error(out);
}

int ts_segment(struct buf *out, int k, const struct ts_input *video, const struct ts_input *audio)
{
    assert(video || audio);
    struct stream s[2];
    int rc = stream_open(&s[0], &h264, video, !audio);
    const int rc_audio = stream_open(&s[1], &aac, audio, !video);
    rc = rc < 0 ? rc : rc_audio;
    // Which streams there are is known from the init segments, the rest from the media.
    if (rc == 0 && (s[0].count > 0 || s[1].count > 0))
        rc = mux(out, k, s);
    stream_finish(&s[0]);
    stream_finish(&s[1]);
    return rc;
}

// ---- what was written

// Counters of the PIDs of one segment so far.
struct counters {
    int video, audio;
};

static bool check_packet(const uint8_t *p, struct counters *c)
{
    const int pid = (p[1] & 0x1f) << 8 | p[2], control = p[3] >> 4 & 3, counter = p[3] & 15;
    int *const count = pid == PID_VIDEO ? &c->video : pid == PID_AUDIO ? &c->audio : NULL;
    if (p[0] != 0x47 || p[1] & 0x80 || p[3] & 0xc0 || !count || control == 0)
        return false;
    if (control == 2)
        return *count > 0 && counter == ((*count - 1) & 15);
    return counter == ((*count)++ & 15);
}

static bool check_table(const uint8_t *p, int pid, int k)
{
    return p[0] == 0x47 && p[1] == (0x40 | pid >> 8) && p[2] == (pid & 0xff) &&
           p[3] == (0x10 | (k & 15));
}

bool ts_check(const uint8_t *bytes, size_t n, int k)
{
    struct counters c = { 0 };
    if (n % TS_PACKET != 0 || n < 3 * TS_PACKET || !check_table(bytes, PID_PAT, k) ||
        !check_table(bytes + TS_PACKET, PID_PMT, k))
        return false;
    for (size_t at = 2 * TS_PACKET; at < n; at += TS_PACKET)
        if (!check_packet(bytes + at, &c))
            return false;
    return c.video + c.audio > 0 && c.video % 16 == 0 && c.audio % 16 == 0;
}

// ---- rates

#define SETS_MAX 128 // parameter sets with their start codes
#define TABLES 2
#define SPREAD 15

static int64_t per_second(int64_t n, struct rational times)
{
    return muldiv_ceil(n, times.num, times.den);
}

static int64_t each(int64_t n, struct rational seconds)
{
    return muldiv_ceil(n, seconds.den, seconds.num);
}

// Of bits a second in whole packets, and as many packets a second beside them.
static int64_t in_packets(int64_t bits, int64_t packets)
{
    return muldiv_ceil(bits, TS_PACKET, (int64_t)PAYLOAD) + 8 * TS_PACKET * packets;
}

int64_t ts_video_rate(int64_t rate, struct rational fps, struct rational idr,
                      struct rational shortest)
{
    const int64_t frame = 8 * (CLOCK_FIELD + PES_HEADER_MAX + AUD_SIZE);
    const bool slow = muldiv_ceil(CLOCK, fps.den, fps.num) > CLOCK_EVERY;
    // A frame may leave the last of its packets all but empty.
    return in_packets(rate + per_second(frame, fps) + each(8 * SETS_MAX, idr),
                      per_second(1, fps) + each(TABLES + SPREAD, shortest) +
                          (slow ? CLOCK / CLOCK_EVERY : 0));
}

int64_t ts_audio_rate(int64_t rate, int sample_rate, bool alone, struct rational shortest)
{
    // A segment may have one frame more than its time holds.
    const struct rational frames = { sample_rate, AAC_FRAME };
    const struct rational groups = { sample_rate, AAC_FRAME * audio_group(sample_rate, alone) };
    const int64_t one_more = muldiv_ceil(rate, AAC_FRAME, sample_rate);
    const int64_t frame = 8 * ADTS_SIZE, group = 8 * (CLOCK_FIELD + PES_HEADER_MAX);
    return in_packets(rate + per_second(frame, frames) + per_second(group, groups) +
                          each(one_more + frame + 2 * group, shortest),
                      per_second(1, groups) + each(2 + TABLES + SPREAD, shortest));
}
