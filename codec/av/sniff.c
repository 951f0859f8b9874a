// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/sniff.h"

#include <string.h>

#include "base/base.h"
#include "codec/bits.h"
#include "codec/transport.h"

// Bytes that stand at one place.
static const struct magic {
    enum container container;
    int at, n;
    const char *bytes;
} magics[] = {
    { CONTAINER_MATROSKA, 0, 4, "\x1a\x45\xdf\xa3" },
    { CONTAINER_MP4, 4, 4, "ftyp" },
    { CONTAINER_MP4, 4, 4, "moov" },
    { CONTAINER_MP4, 4, 4, "mdat" },
    { CONTAINER_MP4, 4, 4, "free" },
    { CONTAINER_MP4, 4, 4, "skip" },
    { CONTAINER_MP4, 4, 4, "wide" },
    { CONTAINER_MP4, 4, 4, "styp" },
    { CONTAINER_FLV, 0, 4, "FLV\1" },
    { CONTAINER_AVI, 8, 4, "AVI " },
    { CONTAINER_OGG, 0, 5, "OggS\0" },
    { CONTAINER_WAV, 8, 4, "WAVE" },
    { CONTAINER_FLAC, 0, 4, "fLaC" },
    { CONTAINER_AMR, 0, 5, "#!AMR" },
    { CONTAINER_RM, 0, 4, ".RMF" },
    { CONTAINER_IVF, 0, 6, "DKIF\0\0" },
    { CONTAINER_RM, 0, 4, ".ra\xfd" },
    { CONTAINER_AIFF, 8, 4, "AIFF" },
    { CONTAINER_AIFF, 8, 4, "AIFC" },
    { CONTAINER_AU, 0, 4, ".snd" },
    { CONTAINER_DTS, 0, 4, "\x7f\xfe\x80\x01" },
    { CONTAINER_DTSHD, 0, 8, "DTSHDHDR" },
    { CONTAINER_CAF, 0, 4, "caff" },
    { CONTAINER_W64, 0, 16, "riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00" },
    { CONTAINER_TTA, 0, 4, "TTA1" },
    { CONTAINER_WAVPACK, 0, 4, "wvpk" },
    { CONTAINER_MXF, 0, 11, "\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02" },
    { CONTAINER_ASF, 0, 16, "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c" },
    { CONTAINER_PS, 0, 4, "\0\0\1\xba" },
    { CONTAINER_DV, 0, 3, "\x1f\x07\x00" },
    { CONTAINER_DV, 0, 3, "\x1f\x07\x3f" },
};

static enum container by_magic(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < countof(magics); i++) {
        const struct magic *m = &magics[i];
        if (n >= (size_t)(m->at + m->n) && memcmp(p + m->at, m->bytes, (size_t)m->n) == 0)
            return m->container;
    }
    return CONTAINER_NONE;
}

#define ACT_SOUND 256 // bytes before it

// What voice recorders of some makers write looks like PCM in WAV, and is G.729 behind zeros.
static bool is_act(const uint8_t *p, size_t n)
{
    static const uint8_t zeros[ACT_SOUND] = { 0 };
    return n > ACT_SOUND && p[ACT_SOUND] == 0x84 && memcmp(p + 44, zeros, ACT_SOUND - 44) == 0;
}

// ---- frames without a container

// Bytes of the MPEG audio frame at p (ISO/IEC 11172-3 2.4.1.3 and 13818-3); 0: it is none.
static size_t mpeg_audio_frame(const uint8_t *p, size_t n)
{
    static const int kbits[2][3][15] = {
        { { 0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448 },
          { 0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384 },
          { 0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320 } },
        { { 0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256 },
          { 0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160 },
          { 0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160 } },
    };
    static const int rates[] = { 44100, 48000, 32000 };
    if (n < 4 || p[0] != 0xff || (p[1] & 0xe0) != 0xe0)
        return 0;
    const int version = p[1] >> 3 & 3, layer = 4 - (p[1] >> 1 & 3);
    const int bits = p[2] >> 4, rate = p[2] >> 2 & 3, padding = p[2] >> 1 & 1;
    if (version == 1 || layer == 4 || bits == 0 || bits == 15 || rate == 3)
        return 0;
    const int hz = rates[rate] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
    const int bps = 1000 * kbits[version != 3][layer - 1][bits];
    if (layer == 1)
        return (size_t)(12 * bps / hz + padding) * 4;
    return (size_t)((layer == 3 && version != 3 ? 72 : 144) * bps / hz + padding);
}

// Bytes of the ADTS frame at p (ISO/IEC 13818-7 6.2.1); 0: it is none.
static size_t adts_frame(const uint8_t *p, size_t n)
{
    if (n < 7 || p[0] != 0xff || (p[1] & 0xf6) != 0xf0)
        return 0;
    const size_t size = (size_t)(p[3] & 3) << 11 | (size_t)p[4] << 3 | p[5] >> 5;
    return size >= 7 ? size : 0;
}

// Bytes of the AC-3 frame at p (ETSI TS 102 366, 4.4.1); 0: it is none.
static size_t ac3_frame(const uint8_t *p, size_t n)
{
    static const int kbits[] = { 32,  40,  48,  56,  64,  80,  96,  112, 128, 160,
                                 192, 224, 256, 320, 384, 448, 512, 576, 640 };
    if (n < 6 || p[0] != 0x0b || p[1] != 0x77 || p[5] >> 3 > 10)
        return 0;
    const int rate = p[4] >> 6, code = p[4] & 63;
    if (rate == 3 || code >= 2 * (int)countof(kbits))
        return 0;
    const int bits = kbits[code / 2];
    const int words = rate == 0 ? 2 * bits : rate == 1 ? 320 * bits / 147 + (code & 1) : 3 * bits;
    return 2 * (size_t)words;
}

// And of E-AC-3 (E.2.3.1).
static size_t eac3_frame(const uint8_t *p, size_t n)
{
    if (n < 6 || p[0] != 0x0b || p[1] != 0x77 || p[5] >> 3 <= 10 || p[5] >> 3 > 16)
        return 0;
    return 2 * (size_t)((p[2] & 7) << 8 | p[3]) + 2;
}

// A disc's E-AC-3 of many channels stands behind AC-3 for those who know no more.
static size_t any_ac3_frame(const uint8_t *p, size_t n)
{
    const size_t size = ac3_frame(p, n);
    return size ? size : eac3_frame(p, n);
}

// Frames, one right after another.
static bool is_row_of(int frames, size_t (*frame)(const uint8_t *, size_t), const uint8_t *p,
                      size_t n)
{
    for (int i = 0; i < frames; i++) {
        const size_t size = frame(p, n);
        if (size == 0 || (i + 1 < frames && size >= n))
            return false;
        p += size < n ? size : n;
        n -= size < n ? size : n;
    }
    return true;
}

static const struct {
    enum container container;
    size_t (*frame)(const uint8_t *, size_t);
} kinds[] = {
    { CONTAINER_ADTS, adts_frame },
    { CONTAINER_MP3, mpeg_audio_frame },
    { CONTAINER_AC3, ac3_frame },
    { CONTAINER_EAC3, any_ac3_frame },
};

static enum container by_frames(int frames, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < countof(kinds); i++)
        if (is_row_of(frames, kinds[i].frame, p, n))
            return kinds[i].container;
    return CONTAINER_NONE;
}

// Two at the start are no accident; nor are three behind something else: zeros that a tool left,
// or the rest of a frame where somebody cut.  (Packs of MPEG-PS hold as many.)
static enum container by_frames_somewhere(const uint8_t *p, size_t n)
{
    enum container c = CONTAINER_NONE;
    for (size_t i = 1; c == CONTAINER_NONE && i < n; i++)
        c = by_frames(3, p + i, n - i);
    return c;
}

// A stream of NAL units that begins as decoding does: with parameter sets, or with
// a delimiter before them.
static enum container by_nal_unit(const uint8_t *p, size_t n)
{
    const size_t start = n > 5 && memcmp(p, "\0\0\0\1", 4) == 0 ? 4 : 3;
    if (n <= 5 || (start == 3 && memcmp(p, "\0\0\1", 3) != 0))
        return CONTAINER_NONE;
    const int avc = p[start] & 0x1f, hevc = p[start] >> 1;
    if (p[start + 1] == 1 && (hevc == 32 || hevc == 35)) // a layer and temporal id of 0
        return CONTAINER_HEVC;
    const bool reference = p[start] & 0x60;
    return (avc == 7 && reference) || (avc == 9 && !reference) ? CONTAINER_H264 : CONTAINER_NONE;
}

// A sequence header of MPEG-1 or -2 (ISO/IEC 13818-2 6.2.2.1), perhaps behind zeros.
static enum container by_sequence(const uint8_t *p, size_t n)
{
    size_t at = 0;
    while (at < n && p[at] == 0)
        at++;
    if (at < 2 || at + 9 > n || p[at] != 1 || p[at + 1] != 0xb3)
        return CONTAINER_NONE;
    const uint8_t *const h = p + at + 2;
    const int width = h[0] << 4 | h[1] >> 4, height = (h[1] & 15) << 8 | h[2];
    const int aspect = h[3] >> 4, rate = h[3] & 15;
    const bool sane = width && height && aspect && aspect < 15 && rate && rate <= 8 && h[6] & 0x20;
    return sane ? CONTAINER_MPEG_VIDEO : CONTAINER_NONE;
}

// ---- behind bytes of something else

// A pack header of MPEG-PS (ISO/IEC 13818-1 2.5.3.3), or of MPEG-1, and behind it what may follow
// one.
static bool is_pack(const uint8_t *p, size_t n)
{
    if (n < 14)
        return false;
    const bool old = (p[4] & 0xf1) == 0x21, now = (p[4] & 0xc4) == 0x44;
    const size_t end = old ? 12 : 14 + (p[13] & 7);
    return (old || now) && end + 4 <= n && next_start_code(p, end + 3, end) == end &&
           p[end + 3] >= 0xba;
}

// A recording may begin in the midst of a pack, and an MXF behind a run-in (SMPTE 377-1 6.5).
static enum container by_search(const uint8_t *p, size_t n)
{
    static const uint8_t partition[] = "\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01";
    if (memmem(p, n, partition, sizeof partition - 1))
        return CONTAINER_MXF;
    for (size_t at = next_start_code(p, n, 0); at + 4 <= n; at = next_start_code(p, n, at + 1))
        if (p[at + 3] == 0xba && is_pack(p + at, n - at))
            return CONTAINER_PS;
    return CONTAINER_NONE;
}

size_t sniff_id3(const uint8_t *p, size_t n)
{
    if (n < 10 || memcmp(p, "ID3", 3) != 0)
        return 0;
    return 10 + ((size_t)(p[6] & 0x7f) << 21 | (size_t)(p[7] & 0x7f) << 14 |
                 (size_t)(p[8] & 0x7f) << 7 | (p[9] & 0x7f));
}

enum container sniff(const uint8_t *bytes, size_t n, struct carriage *how)
{
    *how = (struct carriage){ 0 };
    enum container c = by_magic(bytes, n);
    if (c == CONTAINER_WAV && is_act(bytes, n))
        return CONTAINER_NONE;
    if (c == CONTAINER_NONE && transport_sniff(bytes, n, how))
        c = CONTAINER_TS;
    if (c == CONTAINER_NONE)
        c = by_nal_unit(bytes, n);
    if (c == CONTAINER_NONE)
        c = by_sequence(bytes, n);
    if (c == CONTAINER_NONE)
        c = by_frames(2, bytes, n);
    if (c == CONTAINER_NONE)
        c = by_search(bytes, n);
    return c == CONTAINER_NONE ? by_frames_somewhere(bytes, n) : c;
}
