// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/zip.h"

// What gunzip, which is not ours, makes of the bytes.
static struct buf unpacked(const struct buf *packed)
{
    char name[] = "/tmp/t_gzip.XXXXXX", command[100];
    const int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, packed->data, packed->len), packed->len);
    close(fd);
    snprintf(command, sizeof command, "gzip -dc <%s", name);
    FILE *const f = popen(command, "r");
    struct buf out;
    buf_init(&out, 1 << 24);
    uint8_t piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        buf_append(&out, piece, n);
    assert_int_equal(pclose(f), 0);
    unlink(name);
    return out;
}

static void fill(struct buf *b, size_t n, bool noise)
{
    unsigned seed = 1;
    buf_init(b, n);
    for (size_t i = 0; i < n; i++) {
        const uint8_t byte = noise ? (uint8_t)rand_r(&seed) : (uint8_t) "#EXTINF:4.000,\n"[i % 15];
        buf_append(b, &byte, 1);
    }
}

static void texts_come_back(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 15, 100000, 1000001 };
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        struct buf text, packed, again;
        fill(&text, sizes[i / 2], i % 2);
        buf_init(&packed, 1 << 22);
        buf_init(&again, 1 << 22);
        // Appended, not put in place of what is there.
        buf_puts(&again, "before");
        assert_int_equal(gzip_pack(&text, &packed), 0);
        assert_int_equal(gzip_pack(&text, &again), 0);
        assert_int_equal(again.len, packed.len + 6);
        assert_memory_equal(again.data + 6, packed.data, packed.len);
        assert_memory_equal(packed.data, "\x1f\x8b\x08\0\0\0\0\0", 8); // no time, no name
        struct buf back = unpacked(&packed);
        assert_int_equal(back.len, text.len);
        assert_true(text.len == 0 || memcmp(back.data, text.data, text.len) == 0);
        if (i % 2 == 0 && text.len > 1000)
            assert_true(packed.len < text.len / 20);
        buf_finish(&back);
        buf_finish(&again);
        buf_finish(&packed);
        buf_finish(&text);
    }
}

static void too_small_a_ceiling(void **state)
{
    (void)state;
    struct buf text, packed;
    fill(&text, 1000, true);
    buf_init(&packed, 100);
    assert_int_equal(gzip_pack(&text, &packed), -E_LIMITS);
    assert_int_equal(packed.len, 0);
    buf_finish(&packed);
    buf_finish(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_back),
        cmocka_unit_test(too_small_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
