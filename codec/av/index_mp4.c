// SPDX-License-Identifier: BSD-2-Clause
//
// index_mp4 - sample tables of MP4 and MOV (ISO/IEC 14496-12).
//
// The top level is walked by box headers; moov is read whole, then its tables
// are walked in step, one run at a time, so nothing is allocated by a count
// that a file merely claims.  A fragmented file adds the runs of its moofs.
//
// Not read: sample groups, cslg, sidx and mfra, external data references.

#include "codec/av/index_mp4.h"
#include "codec/av/index.h"

#include <inttypes.h>

#include "base/err.h"
#include "base/zip.h"

#define MOOV_MAX (64 * MIB)
#define MOOF_MAX (16 * MIB)

int mp4_corrupt(const struct mp4 *m, const char *box)
{
    return fail_with(m->why, -E_CORRUPT, "the %s box is damaged", box);
}

// ---- moov

static void parse_trex(struct mp4 *m, struct reader mvex)
{
    uint32_t type;
    struct reader r;
    while (box_next(&mvex, &type, &r)) {
        if (type != TYPE('t', 'r', 'e', 'x'))
            continue;
        box_version(&r, NULL);
        const uint32_t id = get_be32(&r), description = get_be32(&r);
        const uint32_t duration = get_be32(&r), size = get_be32(&r), flags = get_be32(&r);
        for (int i = 0; i < m->x->track_count; i++) {
            if (m->traks[i].id != id)
                continue;
            m->traks[i].trex = (struct defaults){ duration, size, flags };
            m->traks[i].description = description;
        }
    }
}

static int parse_traks(struct mp4 *m, struct reader moov, int max)
{
    uint32_t type;
    struct reader body;
    while (box_next(&moov, &type, &body)) {
        if (type != TYPE('t', 'r', 'a', 'k'))
            continue;
        const int n = m->x->track_count;
        if (n >= max)
            return fail_with(m->why, -E_LIMITS, "more than %d tracks", max);
        m->traks = xrealloc(m->traks, (size_t)(n + 1) * sizeof *m->traks);
        int rc = mp4_parse_trak(m, &m->traks[n], body);
        if (rc == 0)
            rc = mp4_add_track(m, &m->traks[n]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

// The moov in a cmov, into out (QuickTime File Format Specification, "Compressed Movie Resources").
static int expand(const struct mp4 *m, struct reader cmov, struct buf *out)
{
    struct reader method, data;
    if (!box_find(cmov, TYPE('d', 'c', 'o', 'm'), &method) ||
        !box_find(cmov, TYPE('c', 'm', 'v', 'd'), &data) ||
        get_be32(&method) != TYPE('z', 'l', 'i', 'b'))
        return mp4_corrupt(m, "cmov");
    const uint32_t size = get_be32(&data);
    if (size > MOOV_MAX)
        return fail_with(m->why, -E_LIMITS, "a header box of %u bytes", size);
    int rc = zlib_expand(data.p, reader_left(&data), size, out);
    if (rc == 0 && out->len != size)
        rc = -E_CORRUPT;
    return rc < 0 ? fail_with(m->why, rc, "expanding the cmov box: %s", err_sentence(rc)) : 0;
}

// Puts its moov in the place of a cmov.
static int expand_moov(struct mp4 *m)
{
    struct reader cmov, body;
    struct buf whole;
    if (!box_find(reader_of(m->moov.data, m->moov.len), TYPE('c', 'm', 'o', 'v'), &cmov))
        return 0;
    buf_init(&whole, MOOV_MAX);
    int rc = expand(m, cmov, &whole);
    if (rc == 0 && !box_find(reader_of(whole.data, whole.len), TYPE('m', 'o', 'o', 'v'), &body))
        rc = mp4_corrupt(m, "cmov");
    if (rc == 0) {
        buf_clear(&m->moov);
        buf_append(&m->moov, body.p, reader_left(&body));
        rc = buf_error(&m->moov);
    }
    buf_finish(&whole);
    return rc;
}

// The sound is that of the only track that is presented at all.
static void parse_itunes(struct mp4 *m, struct reader moov)
{
    struct trak *sound = NULL;
    int count = 0;
    for (int i = 0; i < m->x->track_count; i++) {
        if (m->x->tracks[i].audio)
            sound = &m->traks[i];
        count += m->x->tracks[i].audio || m->x->tracks[i].video;
    }
    if (sound && count == 1)
        mp4_parse_itunes(moov, &sound->heard);
}

static int parse_moov(struct mp4 *m, int max_tracks)
{
    const struct reader moov = reader_of(m->moov.data, m->moov.len);
    struct reader body;
    m->movie_timescale = 1;
    if (box_find(moov, TYPE('m', 'v', 'h', 'd'), &body)) {
        get_bytes(&body, box_version(&body, NULL) ? 16 : 8);
        m->movie_timescale = get_be32(&body);
    }
    if (m->movie_timescale < 1)
        return mp4_corrupt(m, "mvhd");
    struct reader mvex;
    m->fragmented = m->x->fragmented = box_find(moov, TYPE('m', 'v', 'e', 'x'), &mvex);
    const int rc = parse_traks(m, moov, max_tracks);
    if (rc == 0 && !m->fragmented)
        parse_itunes(m, moov);
    if (rc == 0 && m->fragmented)
        parse_trex(m, mvex);
    return rc;
}

// ---- the top level

struct box {
    uint32_t type;
    int64_t at, body, end;
};

// The box at pos; false where there is none (the end, damage, a failure to read).
static bool box_at(struct window *w, int64_t pos, struct box *b)
{
    const int64_t size = w->io->size;
    const int64_t n = size - pos < 16 ? size - pos : 16;
    const uint8_t *p = n >= 8 ? window_look(w, pos, n) : NULL;
    if (!p)
        return false;
    struct reader r = reader_of(p, (size_t)n);
    uint64_t length = get_be32(&r);
    b->type = get_be32(&r);
    uint64_t head = 8;
    if (length == 1) {
        length = get_be64(&r);
        head = 16;
    }
    if (r.bad || (length && length < head))
        return false;
    b->at = pos;
    b->body = pos + (int64_t)head;
    b->end = length == 0 || length > (uint64_t)(size - pos) ? size : pos + (int64_t)length;
    return true;
}

// Reads the whole body of b into out.
static int read_body(struct mp4 *m, const struct box *b, int64_t max, struct buf *out)
{
    const int64_t n = b->end - b->body;
    if (n > max)
        return fail_with(m->why, -E_LIMITS, "a header box of %" PRId64 " bytes", n);
    buf_init(out, (size_t)max);
    uint8_t *p = buf_extend(out, (size_t)n);
    if (n && !p)
        return fail_with(m->why, -E_NO_MEMORY, "no memory for a header box");
    if (n && !window_copy(m->w, b->body, p, n))
        return m->w->err;
    return 0;
}

static int read_fragment(struct mp4 *m, const struct box *b, bool *ended)
{
    struct buf moof;
    int rc = read_body(m, b, MOOF_MAX, &moof);
    if (rc == 0)
        rc = mp4_parse_moof(m, reader_of(moof.data, moof.len), b->at, ended);
    buf_finish(&moof);
    return rc;
}

// Walks the boxes of the file up to the end of what counts: the moov, or the
// last whole fragment.
static int walk_file(struct mp4 *m, int max_tracks)
{
    struct box b;
    bool found = false, ended = false, still = false;
    int rc = 0;
    for (int64_t pos = 0; rc == 0 && !ended && box_at(m->w, pos, &b); pos = b.end) {
        if (b.type == TYPE('m', 'o', 'o', 'v') && !found) {
            found = true;
            rc = read_body(m, &b, MOOV_MAX, &m->moov);
            if (rc == 0)
                rc = expand_moov(m);
            if (rc == 0)
                rc = parse_moov(m, max_tracks);
            ended = !m->fragmented;
        } else if (b.type == TYPE('m', 'o', 'o', 'f') && found) {
            rc = read_fragment(m, &b, &ended);
        }
        still |= b.type == TYPE('m', 'e', 't', 'a');
    }
    if (rc == 0)
        rc = m->w->err;
    if (rc == 0 && !found && still)
        return fail_with(m->why, -E_UNSUPPORTED, "this is a still picture (HEIF)");
    if (rc == 0 && !found)
        return fail_with(m->why, -E_CORRUPT, "there is no moov box; the file is not complete");
    return rc;
}

int index_read_mp4(struct io *io, const struct job_limits *limits, struct index *out, char *detail,
                   size_t cap)
{
    const struct why why = { detail, cap };
    *out = (struct index){ .container = CONTAINER_MP4 };
    struct window *w = xmalloc(sizeof *w);
    window_init(w, io, limits->probe_bytes);
    struct mp4 m = { .w = w, .why = &why, .x = out };
    if (cap)
        detail[0] = 0;
    int rc = walk_file(&m, limits->streams);
    for (int i = 0; rc == 0 && i < out->track_count; i++)
        if (!out->tracks[i].refused)
            rc = mp4_apply_edits(&m, &m.traks[i], &out->tracks[i]);
    if (rc < 0 && cap && !detail[0])
        fail_with(&why, rc, "%s", err_sentence(rc));
    buf_finish(&m.moov);
    free(m.traks);
    free(w);
    return rc;
}
