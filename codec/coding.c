// SPDX-License-Identifier: BSD-2-Clause

#include "codec/coding.h"

#include <stdio.h>

#include "base/err.h"
#include "codec/avc_slice.h"

#define AVC_BASELINE 66
#define AVC_MAIN 77
#define AVC_HIGH 100
#define HEVC_MAIN 1
#define HEVC_MAIN_10 2

#define SEVERAL "it has several sequence parameter sets"
#define UNCOMMON "not every player shows its profile, its chroma or its bit depth"
#define INTERLACED "its pictures may be interlaced"

bool coding_read(struct coding *out, const struct video_track *v)
{
    const size_t n = (size_t)v->extradata_size;
    switch (v->codec) {
    case CODEC_H264:
        out->codec = VIDEO_H264;
        return avc_read_sets(&out->avc, v->extradata, n) == 0;
    case CODEC_HEVC:
        out->codec = VIDEO_HEVC;
        return hevc_read_units(&out->hevc, v->extradata, n) == 0;
    case CODEC_AV1:
        out->codec = VIDEO_AV1;
        return av1_header_read(&out->av1, v->extradata, n) == 0;
    default:
        return false;
    }
}

#define TAG(a, b, c, d) ((uint32_t)(d) << 24 | (c) << 16 | (b) << 8 | (a)) // as libav has them

bool coding_is_kept(const struct media *m)
{
    const uint32_t tag = m->video.tag;
    return m->container == CONTAINER_MP4 &&
           (tag == TAG('a', 'v', 'c', '1') || tag == TAG('h', 'v', 'c', '1') ||
            tag == TAG('a', 'v', '0', '1'));
}

// ---- obstacles

// What Baseline has, no other profile of ours, and few decoders.
static const char *obstacle_in_slices(const struct avc_sets *sets)
{
    struct avc_slices s;
    const int rc = avc_slices_read(&s, sets);
    if (rc == -E_UNSUPPORTED)
        return "its pictures have slice groups";
    if (rc < 0)
        return "its picture parameter sets cannot be read";
    for (int i = 0; i < s.pps_count; i++)
        if (s.pps[i].redundant)
            return "its pictures may have redundant slices";
    return NULL;
}

static const char *obstacle_avc(const struct avc_sets *sets)
{
    struct avc_format f;
    if (sets->sps_count > 1)
        return SEVERAL;
    if (avc_read_format(&f, &sets->sps[0]) < 0 ||
        (f.profile != AVC_BASELINE && f.profile != AVC_MAIN && f.profile != AVC_HIGH) ||
        f.chroma != 1 || f.luma_depth != 8 || f.chroma_depth != 8)
        return UNCOMMON;
    return f.frames_only ? obstacle_in_slices(sets) : INTERLACED;
}

static const char *obstacle_hevc(const struct hevc_units *sets)
{
    struct hevc_format f;
    if (sets->count[HEVC_SPS] > 1)
        return SEVERAL;
    if (hevc_read_format(&f, &sets->v[HEVC_SPS][0]) < 0 || f.ptl[0] >> 6 != 0 ||
        (hevc_profile(&f) != HEVC_MAIN && hevc_profile(&f) != HEVC_MAIN_10) || f.chroma != 1 ||
        f.luma_depth > 2 || f.chroma_depth != f.luma_depth)
        return UNCOMMON;
    return hevc_is_interlaced(&f) ? INTERLACED : NULL;
}

static const char *obstacle_av1(const struct av1_sequence *s)
{
    if (s->points > 1)
        return "it has several operating points";
    return s->profile != 0 || s->mono || s->still ? UNCOMMON : NULL;
}

const char *coding_obstacle(const struct coding *c)
{
    switch (c->codec) {
    case VIDEO_HEVC:
        return obstacle_hevc(&c->hevc);
    case VIDEO_AV1:
        return obstacle_av1(&c->av1.sequence);
    default:
        return obstacle_avc(&c->avc);
    }
}

// ---- headers

static void name_avc(const struct avc_sets *sets, char *out, size_t cap)
{
    const uint8_t *const sps = sets->sps[0].p;
    snprintf(out, cap, "avc1.%02X%02X%02X", sps[1], sps[2], sps[3]);
}

static void name_hevc(const struct hevc_units *sets, char *out, size_t cap)
{
    struct hevc_format f;
    out[0] = '\0';
    if (hevc_read_format(&f, &sets->v[HEVC_SPS][0]) == 0)
        hevc_name(&f, out, cap);
}

void coding_name(const struct coding *c, char *out, size_t cap)
{
    switch (c->codec) {
    case VIDEO_HEVC:
        name_hevc(&c->hevc, out, cap);
        break;
    case VIDEO_AV1:
        av1_name(&c->av1.sequence, out, cap);
        break;
    default:
        name_avc(&c->avc, out, cap);
    }
}

int coding_config(struct buf *out, const struct video_track *v)
{
    const size_t n = (size_t)v->extradata_size;
    switch (v->codec) {
    case CODEC_H264:
        return avc_config(out, v->extradata, n);
    case CODEC_HEVC:
        return hevc_config(out, v->extradata, n);
    case CODEC_AV1:
        return av1_config(out, v->extradata, n);
    default:
        return -E_CORRUPT;
    }
}

// ---- samples

static bool is_coded(const struct coding *c)
{
    return (c->codec == VIDEO_H264 && c->avc.coded) || (c->codec == VIDEO_HEVC && c->hevc.coded);
}

size_t coding_room(const struct coding *c, size_t n)
{
    return is_coded(c) ? n + NAL_GROWTH : n;
}

static int copy_avc(struct buf *out, const struct avc_sets *sets, const uint8_t *p, size_t n,
                    enum start *start)
{
    bool idr = false;
    const int rc = avc_copy_sample(out, sets, p, n, &idr);
    *start = idr ? START_CLEAN : START_NOT;
    return rc;
}

static int copy_any(struct buf *out, const struct coding *c, const uint8_t *p, size_t n,
                    enum start *start)
{
    switch (c->codec) {
    case VIDEO_HEVC:
        return hevc_copy_sample(out, &c->hevc, p, n, start);
    case VIDEO_AV1:
        return av1_copy_unit(out, &c->av1, p, n, start);
    default:
        return copy_avc(out, &c->avc, p, n, start);
    }
}

int coding_copy_sample(struct buf *out, const struct coding *c, const uint8_t *p, size_t n,
                       enum start *start)
{
    const size_t before = out->len;
    const int rc = copy_any(out, c, p, n, start);
    return rc == 0 && out->len - before > coding_room(c, n) ? -E_CORRUPT : rc;
}

enum sight coding_look(const struct coding *c, const uint8_t *p, size_t n, size_t size)
{
    switch (c->codec) {
    case VIDEO_HEVC:
        return hevc_look(&c->hevc, p, n, size);
    case VIDEO_AV1:
        return av1_look(&c->av1, p, n, size);
    default:
        return avc_look(&c->avc, p, n, size);
    }
}
