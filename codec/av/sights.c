// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/sights.h"

#include <string.h>

#include "base/err.h"
#include "codec/coding.h"
#include "codec/payload.h"

#define LOOKS 5               // at sync samples
#define LOOK_BYTES (16 * KIB) // of each

// What all of the below have to do with; borrowed.
struct looks {
    struct media *media;
    struct io *io;
    const struct why *why;
};

// The beginning of a sample, *n bytes; none when the source has not so many.
static int read_head(const struct looks *l, const struct sample *s, uint8_t head[LOOK_BYTES],
                     size_t *n)
{
    struct sample begin = *s;
    struct payload p;
    begin.size = s->size < LOOK_BYTES ? s->size : LOOK_BYTES;
    payload_init(&p, l->io, &l->media->video.carriage, &begin, 1, l->why);
    const int rc = payload_read(&p, 0, head);
    payload_finish(&p);
    *n = rc == 0 ? begin.size : 0;
    return rc == -E_CORRUPT ? 0 : rc;
}

// AV1 has its sequence header in samples.  av1C may be without, and what encoders put there
// before they began to encode is not always true.
static int take_sequence(const struct looks *l)
{
    struct video_track *const v = &l->media->video;
    uint8_t head[LOOK_BYTES];
    struct buf config;
    size_t n;
    int rc = read_head(l, &v->samples[0], head, &n);
    buf_init(&config, MEDIA_EXTRADATA_MAX);
    if (rc == 0 && av1_config(&config, head, n) == 0) {
        free(v->extradata);
        v->extradata = memcpy(xmalloc(config.len), config.data, config.len);
        v->extradata_size = (int)config.len;
    }
    buf_finish(&config);
    return rc;
}

static int look_at(const struct looks *l, const struct coding *c, const struct sample *s,
                   enum sight *sight)
{
    uint8_t head[LOOK_BYTES];
    size_t n;
    const int rc = read_head(l, s, head, &n);
    if (rc == 0)
        *sight = n ? coding_look(c, head, n, s->size) : SIGHT_DAMAGED;
    return rc;
}

// Looks at sync samples until one is not what the others are.
static int look_at_some(const struct looks *l, const struct coding *c, const int *syncs, int count)
{
    struct video_track *const v = &l->media->video;
    int rc = 0;
    v->sight = SIGHT_START;
    for (int i = 0; rc == 0 && i < count && v->sight == SIGHT_START; i++)
        if (i == 0 || syncs[i] > syncs[i - 1])
            rc = look_at(l, c, &v->samples[syncs[i]], &v->sight);
    return rc;
}

// Which of the sync samples number n of the video is; -1: it has fewer.
static int nth_sync(const struct video_track *v, int n)
{
    for (int i = 0; i < v->sample_count; i++)
        if (v->samples[i].sync && n-- == 0)
            return i;
    return -1;
}

// A few sync samples stand for all, as each costs a read: the first two, as who mixes kinds of
// them begins with the one and goes on with the other, and the second is needed soon; and
// where headers may change, the last, and two between.  One that is different is found
// when it is copied.
static int look_at_syncs(const struct looks *l)
{
    struct video_track *const v = &l->media->video;
    struct coding coding;
    int count = 0, syncs[LOOKS], looks = 0;
    if (!coding_read(&coding, v))
        return 0;
    if (v->more_headers_count > 0) {
        v->sight = SIGHT_OTHER_SETS;
        return 0;
    }
    for (int i = 0; i < v->sample_count; i++)
        count += v->samples[i].sync;
    const int last = count - 1;
    const int wanted[LOOKS] = { 0, last > 0, last / 3, last / 3 * 2, last };
    for (int i = 0; i < (coding_is_kept(l->media) ? 2 : LOOKS) && count > 0; i++)
        syncs[looks++] = nth_sync(v, wanted[i]);
    return look_at_some(l, &coding, syncs, looks);
}

int sights_take(struct media *m, struct io *io, const struct why *why)
{
    const struct looks l = { m, io, why };
    const int rc = m->video.codec == CODEC_AV1 ? take_sequence(&l) : 0;
    return rc < 0 ? rc : look_at_syncs(&l);
}
