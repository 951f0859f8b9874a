// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/jpeg.h"

#define SOI "\xff\xd8"
#define EOI "\xff\xd9"
#define JFIF "\xff\xe0\x00\x06JFIF"
// 640 x 360, three components, of which none is told.
#define SOF "\xff\xc0\x00\x08\x08\x01\x68\x02\x80\x03"
#define SOS "\xff\xda\x00\x03\x00"

#define CASE(bytes, ok)                                                                            \
    {                                                                                              \
        bytes, sizeof bytes - 1, ok                                                                \
    }
static const struct {
    const char *bytes;
    size_t n;
    bool ok;
} cases[] = {
    CASE(SOI JFIF SOF SOS "scan" EOI, true),
    CASE(SOI SOF JFIF SOS "scan" EOI, true),
    CASE(SOI "\xff" SOF SOS "scan" EOI, true), // a marker may be filled up
    CASE("", false),
    CASE(SOI, false),
    CASE(SOI EOI, false),
    CASE(SOI SOF SOS "scan", false),
    CASE(SOI SOF SOS "scan" EOI "x", false),
    CASE(SOI SOF SOS EOI, false),            // no scan
    CASE(SOI SOS "scan" EOI, false),         // no size
    CASE(SOI SOF SOF SOS "scan" EOI, false), // two
    CASE(SOI SOF "scan" EOI, false),
    CASE(SOI "x" SOF SOS "scan" EOI, false),
    CASE(JFIF SOF SOS "scan" EOI, false),
    CASE(SOI "\xff\xc0\x00\x06\x08\x01\x68\x02" SOS "scan" EOI, false),
    CASE(SOI "\xff\xc0\x00\x01" SOS "scan" EOI, false),
    CASE(SOI "\xff\xc0\xff\xff" SOS "scan" EOI, false),
    CASE(SOI "\xff\xc0\x00\x08\x08\x00\x00\x02\x80\x03" SOS "scan" EOI, false),
    CASE(SOI SOI SOF SOS "scan" EOI, false),
    CASE(SOI "\xff\x01" SOF SOS "scan" EOI, false),
};

static void sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        // In memory of exactly that size.
        uint8_t *const exact = xmalloc(cases[i].n + 1);
        memcpy(exact + 1, cases[i].bytes, cases[i].n);
        int w, h;
        const int rc = jpeg_check(exact + 1, cases[i].n, &w, &h);
        if (rc != (cases[i].ok ? 0 : -E_CORRUPT))
            fail_msg("case %zu", i);
        assert_true(!cases[i].ok || (w == 640 && h == 360));
        free(exact);
    }
}

static void any_byte_and_length(void **state)
{
    (void)state;
    for (size_t n = 0; n <= cases[0].n; n++) {
        for (size_t at = 0; at < n; at++) {
            for (int bit = 0; bit < 8; bit++) {
                uint8_t *const exact = xmalloc(n);
                int w, h;
                memcpy(exact, cases[0].bytes, n);
                exact[at] ^= (uint8_t)(1 << bit);
                const int rc = jpeg_check(exact, n, &w, &h);
                assert_true(rc == -E_CORRUPT || (rc == 0 && w > 0 && h > 0));
                free(exact);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(any_byte_and_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
