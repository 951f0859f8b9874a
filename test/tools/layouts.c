// SPDX-License-Identifier: BSD-2-Clause
//
// layouts - what codec/cenc_layout.h says of samples, for a test that has them from elsewhere.
//
//   layouts <file
//
// The file: a byte, enum fmp4_coding; the decoder configuration; samples; each of these with
// its length in four bytes in front.  Prints a line for each sample: pairs of how many bytes
// are clear and how many behind them are hidden; or an error.

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/bytes.h"
#include "base/err.h"
#include "codec/cenc_layout.h"

static void read_all(struct buf *b)
{
    uint8_t piece[64 * KIB];
    size_t n;
    buf_init(b, 256 * MIB);
    while ((n = fread(piece, 1, sizeof piece, stdin)) > 0)
        buf_append(b, piece, n);
}

static struct reader get_piece(struct reader *r)
{
    const size_t n = get_be32(r);
    return reader_of(get_bytes(r, n), n);
}

static void print(const struct cenc_layout *l)
{
    for (int i = 0; i < l->count; i++)
        printf("%zu %zu ", l->list[i].clear, l->list[i].hidden);
    printf("\n");
}

int main(void)
{
    struct buf file;
    struct cenc_rules *rules;
    struct cenc_layout layout;
    read_all(&file);
    struct reader r = reader_of(file.data, file.len);
    struct fmp4_track t = { .video = true, .coding = (enum fmp4_coding)get_u8(&r) };
    const struct reader config = get_piece(&r);
    t.config = config.p;
    t.config_size = reader_left(&config);
    int rc = r.bad ? -E_CORRUPT : cenc_rules_create(&t, &rules);
    while (rc == 0 && reader_left(&r) > 0) {
        const struct reader sample = get_piece(&r);
        rc = r.bad ? -E_CORRUPT : cenc_lay_out(rules, sample.p, reader_left(&sample), &layout);
        if (rc == 0)
            print(&layout);
    }
    if (rc < 0)
        printf("%s\n", err_name(rc));
    cenc_rules_destroy(rules);
    buf_finish(&file);
    return rc < 0;
}
