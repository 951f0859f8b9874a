// SPDX-License-Identifier: BSD-2-Clause
//
// One track, one sample description, no edit list: what a sample needs beyond
// its bytes stands in the tfhd and trun of its own fragment, nothing in trex, so
// a fragment can be read with the timescale and the decoder configuration alone
// (the CMAF brand cmf2 asks for that).
//
// Writers append to a struct buf, whose errors are sticky: boxes are closed and
// patched without asking, and the public function asks once at the end.

#include "codec/fmp4.h"

#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "codec/boxes.h"
#include "codec/fmp4_flags.h"

// ---- init segment

static void put_matrix(struct buf *b)
{
    static const uint32_t unity[9] = { 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000 };
    for (size_t i = 0; i < countof(unity); i++)
        put_be32(b, unity[i]);
}

static void put_ftyp(struct buf *b)
{
    const size_t at = box_open(b, "ftyp");
    buf_puts(b, "iso6");
    put_be32(b, 0);
    buf_puts(b, "iso6cmfccmf2mp41");
    box_close(b, at);
}

static void put_mvhd(struct buf *b, const struct fmp4_track *t)
{
    const size_t at = full_open(b, "mvhd", 0, 0);
    buf_fill(b, 0, 8); // times of creation and change
    put_be32(b, t->timescale);
    put_be32(b, 0);       // duration: in the fragments
    put_be32(b, 0x10000); // rate 1
    put_be16(b, 0x100);   // volume 1
    buf_fill(b, 0, 10);
    put_matrix(b);
    buf_fill(b, 0, 24);
    put_be32(b, TRACK_ID + 1);
    box_close(b, at);
}

static void put_tkhd(struct buf *b, const struct fmp4_track *t)
{
    const size_t at = full_open(b, "tkhd", 0, 7); // enabled, in movie, in preview
    buf_fill(b, 0, 8);
    put_be32(b, TRACK_ID);
    buf_fill(b, 0, 4 + 4 + 8 + 4); // reserved, duration, reserved, layer and group
    put_be16(b, t->video ? 0 : 0x100);
    put_be16(b, 0);
    put_matrix(b);
    put_be32(b, t->video ? (uint32_t)t->width << 16 : 0);
    put_be32(b, t->video ? (uint32_t)t->height << 16 : 0);
    box_close(b, at);
}

static void put_mdhd(struct buf *b, const struct fmp4_track *t)
{
    const size_t at = full_open(b, "mdhd", 0, 0);
    buf_fill(b, 0, 8);
    put_be32(b, t->timescale);
    put_be32(b, 0);
    put_be16(b, 0x55c4); // "und"
    put_be16(b, 0);
    box_close(b, at);
}

static void put_hdlr(struct buf *b, const struct fmp4_track *t)
{
    const size_t at = full_open(b, "hdlr", 0, 0);
    put_be32(b, 0);
    buf_puts(b, t->video ? "vide" : "soun");
    buf_fill(b, 0, 12);
    buf_puts(b, t->video ? "video" : "audio");
    put_u8(b, 0);
    box_close(b, at);
}

static void put_media_header(struct buf *b, const struct fmp4_track *t)
{
    const size_t at = t->video ? full_open(b, "vmhd", 0, 1) : full_open(b, "smhd", 0, 0);
    buf_fill(b, 0, t->video ? 8 : 4);
    box_close(b, at);
}

static void put_dinf(struct buf *b)
{
    const size_t dinf = box_open(b, "dinf");
    const size_t dref = full_open(b, "dref", 0, 0);
    put_be32(b, 1);
    const size_t url = full_open(b, "url ", 0, 1); // 1: in this file
    box_close(b, url);
    box_close(b, dref);
    box_close(b, dinf);
}

static void put_sample_entry(struct buf *b)
{
    buf_fill(b, 0, 6);
    put_be16(b, 1); // data reference
}

const struct fmp4_boxes fmp4_boxes[FMP4_CODINGS] = {
    [FMP4_AVC] = { "avc1", "avcC" },
    [FMP4_HEVC] = { "hvc1", "hvcC" },
    [FMP4_AV1] = { "av01", "av1C" },
};

static void put_mastering(struct buf *b, const struct mastering *m)
{
    if (mastering_has_display(m)) {
        const size_t at = box_open(b, "mdcv");
        for (int i = 0; i < 8; i++)
            put_be16(b, (uint16_t)m->display[i]);
        put_be32(b, m->display[8]);
        put_be32(b, m->display[9]);
        box_close(b, at);
    }
    if (mastering_has_light(m)) {
        const size_t at = box_open(b, "clli");
        put_be16(b, (uint16_t)m->light[0]);
        put_be16(b, (uint16_t)m->light[1]);
        box_close(b, at);
    }
}

static void put_visual(struct buf *b, const struct fmp4_track *t)
{
    const size_t entry = box_open(b, fmp4_boxes[t->coding].entry);
    put_sample_entry(b);
    buf_fill(b, 0, 16);
    put_be16(b, (uint16_t)t->width);
    put_be16(b, (uint16_t)t->height);
    put_be32(b, 0x480000); // 72 dpi
    put_be32(b, 0x480000);
    put_be32(b, 0);
    put_be16(b, 1);      // frames in a sample
    buf_fill(b, 0, 32);  // compressor name
    put_be16(b, 0x18);   // depth: colour without alpha
    put_be16(b, 0xffff); // predefined: -1
    const size_t config = box_open(b, fmp4_boxes[t->coding].config);
    buf_append(b, t->config, t->config_size);
    box_close(b, config);
    const size_t colr = box_open(b, "colr");
    buf_puts(b, "nclx");
    put_be16(b, (uint16_t)t->colour.primaries);
    put_be16(b, (uint16_t)t->colour.transfer);
    put_be16(b, (uint16_t)t->colour.matrix);
    put_u8(b, t->colour.full_range ? 0x80 : 0);
    box_close(b, colr);
    put_mastering(b, &t->mastering);
    const size_t pasp = box_open(b, "pasp");
    put_be32(b, 1);
    put_be32(b, 1);
    box_close(b, pasp);
    box_close(b, entry);
}

// A descriptor's tag and its size in the four-byte form.
static void put_descriptor(struct buf *b, uint8_t tag, size_t n)
{
    put_u8(b, tag);
    for (int shift = 21; shift > 0; shift -= 7)
        put_u8(b, (uint8_t)(0x80 | (n >> shift & 0x7f)));
    put_u8(b, n & 0x7f);
}

static void put_esds(struct buf *b, const struct fmp4_track *t)
{
    // The standard's decoder buffer for one channel of AAC is 6144 bits; a frame
    // never exceeds that, which bounds the rate too.
    const uint32_t buffer_bits = 6144 * (uint32_t)t->channels;
    const uint64_t peak = (uint64_t)buffer_bits * (uint64_t)t->sample_rate / 1024;
    const size_t head = 5, config = head + t->config_size, decoder = 13 + config, sl = head + 1;
    const size_t at = full_open(b, "esds", 0, 0);
    put_descriptor(b, 3, 3 + head + decoder + sl);
    put_be16(b, 0); // ES_ID: the track's, in a file
    put_u8(b, 0);
    put_descriptor(b, 4, decoder);
    put_u8(b, 0x40); // MPEG-4 audio
    put_u8(b, 0x15); // audio stream
    put_be(b, buffer_bits / 8, 3);
    put_be32(b, (uint32_t)peak);
    put_be32(b, t->bitrate);
    put_descriptor(b, 5, t->config_size);
    buf_append(b, t->config, t->config_size);
    put_descriptor(b, 6, 1);
    put_u8(b, 2); // MP4 file
    box_close(b, at);
}

static void put_audio(struct buf *b, const struct fmp4_track *t)
{
    const bool opus = t->coding == FMP4_OPUS;
    const size_t at = box_open(b, opus ? "Opus" : "mp4a");
    put_sample_entry(b);
    buf_fill(b, 0, 8);
    put_be16(b, (uint16_t)t->channels);
    put_be16(b, 16);
    put_be32(b, 0);
    put_be32(b, (uint32_t)t->sample_rate << 16);
    if (opus) {
        const size_t config = box_open(b, "dOps");
        buf_append(b, t->config, t->config_size);
        box_close(b, config);
    } else {
        put_esds(b, t);
    }
    box_close(b, at);
}

// All samples, of all fragments: a decoder that begins with one is right four frames later.
static void put_roll(struct buf *b)
{
    const size_t at = full_open(b, "sgpd", 2, 0);
    buf_puts(b, "roll");
    put_be32(b, 1); // the group of samples that nothing else is said of
    put_be32(b, 1); // group
    put_be16(b, (uint16_t)-4);
    box_close(b, at);
}

static void put_stbl(struct buf *b, const struct fmp4_track *t)
{
    static const struct {
        const char *type;
        size_t zeros;
    } empty[] = { { "stts", 4 }, { "stsc", 4 }, { "stsz", 8 }, { "stco", 4 } };

    const size_t stbl = box_open(b, "stbl");
    const size_t stsd = full_open(b, "stsd", 0, 0);
    put_be32(b, 1);
    if (t->video)
        put_visual(b, t);
    else
        put_audio(b, t);
    box_close(b, stsd);
    for (size_t i = 0; i < countof(empty); i++) {
        const size_t at = full_open(b, empty[i].type, 0, 0);
        buf_fill(b, 0, empty[i].zeros);
        box_close(b, at);
    }
    if (t->coding == FMP4_OPUS)
        put_roll(b);
    box_close(b, stbl);
}

static void put_trak(struct buf *b, const struct fmp4_track *t)
{
    const size_t trak = box_open(b, "trak");
    put_tkhd(b, t);
    const size_t mdia = box_open(b, "mdia");
    put_mdhd(b, t);
    put_hdlr(b, t);
    const size_t minf = box_open(b, "minf");
    put_media_header(b, t);
    put_dinf(b);
    put_stbl(b, t);
    box_close(b, minf);
    box_close(b, mdia);
    box_close(b, trak);
}

static void put_mvex(struct buf *b)
{
    const size_t mvex = box_open(b, "mvex");
    const size_t trex = full_open(b, "trex", 0, 0);
    put_be32(b, TRACK_ID);
    put_be32(b, 1);     // sample description
    buf_fill(b, 0, 12); // no defaults: each fragment brings its own
    box_close(b, trex);
    box_close(b, mvex);
}

int fmp4_init(struct buf *out, const struct fmp4_track *t)
{
    assert(t->timescale > 0 && t->config_size <= MEDIA_EXTRADATA_MAX);
    assert(t->video ? t->width <= UINT16_MAX && t->height <= UINT16_MAX
                    : t->sample_rate <= UINT16_MAX && t->channels > 0 && t->channels <= 8);
    put_ftyp(out);
    const size_t moov = box_open(out, "moov");
    put_mvhd(out, t);
    put_trak(out, t);
    put_mvex(out);
    box_close(out, moov);
    return buf_error(out);
}

// ---- media segment

int fmp4_styp(struct buf *out)
{
    const size_t at = box_open(out, "styp");
    buf_puts(out, "msdh");
    put_be32(out, 0);
    buf_puts(out, "msdhcmfscmff");
    box_close(out, at);
    return buf_error(out);
}

// Which fields of a run differ from sample to sample.
struct run_shape {
    uint32_t trun;          // flags of the trun box
    uint32_t default_flags; // of the samples
};

static uint32_t sample_flags(const struct fmp4_sample *s)
{
    return s->sync ? SAMPLE_SYNC : SAMPLE_OTHER;
}

static struct run_shape run_shape(const struct fmp4_track *t, const struct fmp4_sample *s,
                                  int count)
{
    struct run_shape shape = { TRUN_DATA_OFFSET | TRUN_SIZE, sample_flags(&s[count > 1]) };
    for (int i = 0; i < count; i++) {
        if (s[i].duration != s[0].duration)
            shape.trun |= TRUN_DURATION;
        if (t->video && s[i].offset != 0)
            shape.trun |= TRUN_OFFSET;
        if (sample_flags(&s[i]) != shape.default_flags)
            shape.trun |= i == 0 ? TRUN_FIRST_FLAGS : TRUN_FLAGS;
    }
    // hls.js does not look at the flags of tfhd: where it finds no other, a later picture is the
    // first sync sample for it, what lies before that is not there, and a film never ends.
    if (t->video && s[0].sync)
        shape.trun |= TRUN_FIRST_FLAGS;
    if (shape.trun & TRUN_FLAGS) // the two exclude each other
        shape.trun &= ~TRUN_FIRST_FLAGS;
    return shape;
}

static void put_tfhd(struct buf *b, const struct run_shape *shape, uint32_t duration)
{
    const bool one_duration = !(shape->trun & TRUN_DURATION);
    const bool one_flags = !(shape->trun & TRUN_FLAGS);
    const size_t at = full_open(b, "tfhd", 0,
                                TFHD_BASE_IS_MOOF | (one_duration ? TFHD_DEFAULT_DURATION : 0) |
                                    (one_flags ? TFHD_DEFAULT_FLAGS : 0));
    put_be32(b, TRACK_ID);
    if (one_duration)
        put_be32(b, duration);
    if (one_flags)
        put_be32(b, shape->default_flags);
    box_close(b, at);
}

static void put_tfdt(struct buf *b, uint64_t decode_time)
{
    const size_t at = full_open(b, "tfdt", 1, 0);
    put_be64(b, decode_time);
    box_close(b, at);
}

// Returns where the data offset stands, for patching.
static size_t put_trun(struct buf *b, const struct run_shape *shape, const struct fmp4_sample *s,
                       int count)
{
    const size_t at = full_open(b, "trun", 1, shape->trun);
    put_be32(b, (uint32_t)count);
    const size_t offset_at = b->len;
    put_be32(b, 0);
    if (shape->trun & TRUN_FIRST_FLAGS)
        put_be32(b, sample_flags(&s[0]));
    for (int i = 0; i < count; i++) {
        if (shape->trun & TRUN_DURATION)
            put_be32(b, s[i].duration);
        put_be32(b, s[i].size);
        if (shape->trun & TRUN_FLAGS)
            put_be32(b, sample_flags(&s[i]));
        if (shape->trun & TRUN_OFFSET)
            put_be32(b, (uint32_t)s[i].offset);
    }
    box_close(b, at);
    return offset_at;
}

static void put_moof(struct buf *b, const struct fmp4_track *t, uint32_t sequence,
                     uint64_t decode_time, const struct fmp4_sample *samples, int count)
{
    const struct run_shape shape = run_shape(t, samples, count);
    const size_t moof = box_open(b, "moof");
    const size_t mfhd = full_open(b, "mfhd", 0, 0);
    put_be32(b, sequence);
    box_close(b, mfhd);
    const size_t traf = box_open(b, "traf");
    put_tfhd(b, &shape, samples[0].duration);
    put_tfdt(b, decode_time);
    const size_t offset_at = put_trun(b, &shape, samples, count);
    box_close(b, traf);
    box_close(b, moof);
    patch_be32(b, offset_at, (uint32_t)(b->len - moof + 8)); // behind the head of mdat
}

int fmp4_fragment_head(struct buf *out, const struct fmp4_track *t, uint32_t sequence,
                       uint64_t decode_time, const struct fmp4_sample *samples, int count, size_t n)
{
    assert(count > 0);
    uint64_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += samples[i].size;
    assert(sum == n);
    if (n > UINT32_MAX - 8)
        return -E_LIMITS;
    put_moof(out, t, sequence, decode_time, samples, count);
    put_be32(out, (uint32_t)n + 8);
    buf_puts(out, "mdat");
    return buf_error(out);
}

int fmp4_fragment(struct buf *out, const struct fmp4_track *t, uint32_t sequence,
                  uint64_t decode_time, const struct fmp4_sample *samples, int count,
                  const uint8_t *data, size_t n)
{
    const int rc = fmp4_fragment_head(out, t, sequence, decode_time, samples, count, n);
    return rc < 0 ? rc : buf_append(out, data, n);
}
