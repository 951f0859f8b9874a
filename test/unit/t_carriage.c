// SPDX-License-Identifier: BSD-2-Clause
//
// t_carriage - the list of a track's pieces: packed and read back, asked, cut, and what
// hostile bytes make of it.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "codec/carriage.h"

#define SIZE 10000 // of the source

static struct piece three[] = { { 0, 100, 50 }, { 50, 200, 10 }, { 60, 210, 40 } };
static const struct carriage listed = { .kind = CARRIAGE_PIECES,
                                        .pieces = three,
                                        .piece_count = 3 };

static struct buf pack(const struct carriage *c)
{
    struct buf b;
    buf_init(&b, 4096);
    carriage_pack(c, &b);
    carriage_pack_pieces(c, &b);
    assert_int_equal(buf_error(&b), 0);
    return b;
}

// Whether the bytes are taken; *out is to be finished.
static bool unpack(const uint8_t *bytes, size_t n, struct carriage *out)
{
    struct reader r = reader_of(bytes, n);
    carriage_unpack(&r, out);
    assert_int_equal(carriage_unpack_pieces(&r, out, SIZE), 0);
    return !r.bad && reader_left(&r) == 0;
}

static void round_trips(void **state)
{
    (void)state;
    const struct carriage cases[] = {
        { .kind = CARRIAGE_WHOLE },
        { .kind = CARRIAGE_TS, .pid = 0x1fff, .packet = 192, .phase = 4 },
        { .kind = CARRIAGE_DIF },
        listed,
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf b = pack(&cases[i]);
        struct carriage c;
        assert_true(unpack(b.data, b.len, &c));
        assert_int_equal(c.kind, cases[i].kind);
        assert_int_equal(c.pid, cases[i].pid);
        assert_int_equal(c.packet, cases[i].packet);
        assert_int_equal(c.phase, cases[i].phase);
        assert_int_equal(c.piece_count, cases[i].piece_count);
        for (int k = 0; k < c.piece_count; k++)
            assert_memory_equal(&c.pieces[k], &cases[i].pieces[k], sizeof *c.pieces);
        carriage_finish(&c);
        buf_finish(&b);
    }
}

static void refused(void **state)
{
    (void)state;
    struct piece outside[] = { { 0, SIZE - 10, 11 } }, empty[] = { { 0, 0, 0 } };
    const struct carriage cases[] = {
        { .kind = CARRIAGE_KINDS },
        { .kind = CARRIAGE_TS, .pid = 0x2000, .packet = 188 },
        { .kind = CARRIAGE_TS, .pid = 1, .packet = 189 },
        { .kind = CARRIAGE_TS, .pid = 1, .packet = 188, .phase = 188 },
        { .kind = CARRIAGE_PIECES },
        { .kind = CARRIAGE_PIECES, .pieces = outside, .piece_count = 1 },
        { .kind = CARRIAGE_PIECES, .pieces = empty, .piece_count = 1 },
        { .kind = CARRIAGE_PIECES, .pieces = three, .piece_count = CARRIAGE_PIECES_MAX + 1 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct carriage short_list = cases[i], c;
        short_list.piece_count = cases[i].piece_count > 3 ? 3 : cases[i].piece_count;
        struct buf b;
        buf_init(&b, 4096);
        carriage_pack(&cases[i], &b);
        carriage_pack_pieces(&short_list, &b);
        assert_false(unpack(b.data, b.len, &c));
        carriage_finish(&c);
        buf_finish(&b);
    }
}

// Any byte may be any other: what is taken obeys the rules.
static void any_byte(void **state)
{
    (void)state;
    struct buf b = pack(&listed);
    for (size_t i = 0; i < b.len; i++)
        for (int v = 0; v < 256; v++) {
            const uint8_t was = b.data[i];
            b.data[i] = (uint8_t)v;
            struct carriage c;
            if (unpack(b.data, b.len, &c) && c.kind == CARRIAGE_PIECES) {
                int64_t at = c.pieces[0].at;
                for (int k = 0; k < c.piece_count; at += c.pieces[k++].size) {
                    assert_int_equal(c.pieces[k].at, at);
                    assert_true(c.pieces[k].offset >= 0 && c.pieces[k].size > 0);
                    assert_true(c.pieces[k].size <= SIZE - c.pieces[k].offset);
                }
            }
            carriage_finish(&c);
            b.data[i] = was;
        }
    for (size_t n = 0; n < b.len; n++) {
        struct carriage c;
        assert_false(unpack(b.data, n, &c));
        carriage_finish(&c);
    }
    buf_finish(&b);
}

static void places(void **state)
{
    (void)state;
    static const struct {
        int64_t at;
        int piece;
    } found[] = { { -1, -1 }, { 0, 0 }, { 49, 0 }, { 50, 1 }, { 60, 2 }, { 99, 2 }, { 100, -1 } };
    for (size_t i = 0; i < countof(found); i++)
        assert_int_equal(carriage_find(&listed, found[i].at), found[i].piece);
    assert_int_equal(carriage_size(&listed, SIZE), 100);

    static const struct {
        int64_t from, to; // in the elementary stream
        int first, count;
        int64_t begin, end; // in the source
    } cut[] = { { 0, 100, 0, 3, 100, 250 },
                { 10, 50, 0, 1, 110, 150 },
                { 49, 51, 0, 2, 149, 201 },
                { 60, 61, 2, 1, 210, 211 } };
    for (size_t i = 0; i < countof(cut); i++) {
        struct carriage c = carriage_slice(&listed, cut[i].from, cut[i].to);
        assert_int_equal(c.piece_count, cut[i].count);
        assert_int_equal(c.pieces[0].at, three[cut[i].first].at);
        int64_t from = cut[i].from, to = cut[i].to;
        carriage_span(&c, &from, &to);
        assert_int_equal(from, cut[i].begin);
        assert_int_equal(to, cut[i].end);
        // What is cut off still packs and reads as itself.
        struct buf b = pack(&c);
        struct carriage again;
        assert_true(unpack(b.data, b.len, &again));
        assert_memory_equal(again.pieces, c.pieces, sizeof *c.pieces * (size_t)c.piece_count);
        buf_finish(&b);
        carriage_finish(&again);
        carriage_finish(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(refused),
        cmocka_unit_test(any_byte),
        cmocka_unit_test(places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
