// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "server/license.h"

// 16 bytes 0x00 ... and 0xf0 ...
#define KID "AAECAwQFBgcICQoLDA0ODw"
#define OTHER "8PHy8_T19vf4-fr7_P3-_w"

static void requests(void **state)
{
    (void)state;
    static const struct license_keys keys = {
        .key_id = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } },
        .key = { { 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc,
                   0xfd, 0xfe, 0xff } },
    };
    static const struct {
        const char *request;
        int rc;
    } cases[] = {
        { "{\"kids\":[\"" KID "\"],\"type\":\"temporary\"}", 0 },
        { "{\"kids\":[\"" OTHER "\", 5, \"" KID "\"]}", 0 },
        { "{\"kids\":[\"" OTHER "\"],\"type\":\"temporary\"}", -E_NOT_FOUND },
        { "{\"kids\":[]}", -E_NOT_FOUND },
        { "{\"kids\":null}", -E_NOT_FOUND },
        { "{\"KIDS\":[\"" KID "\"]}", -E_NOT_FOUND },
        { "{}", -E_NOT_FOUND },
        { "[\"" KID "\"]", -E_BAD_REQUEST },
        { "{\"kids\":[\"" KID "\"]", -E_BAD_REQUEST },
        { "kids=" KID, -E_BAD_REQUEST },
        { "", -E_BAD_REQUEST },
        { "\xff", -E_BAD_REQUEST },
    };
    static const char license[] = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"" KID "\",\"k\":\"" OTHER
                                  "\"}],\"type\":\"temporary\"}\n";
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf b;
        buf_init(&b, KIB);
        const char *const s = cases[i].request;
        const int rc = license_answer(&b, &keys, *s ? (const uint8_t *)s : NULL, strlen(s));
        if (rc != cases[i].rc)
            fail_msg("%s: %s", s, err_name(rc));
        assert_int_equal(b.len, rc == 0 ? strlen(license) : 0);
        if (rc == 0)
            assert_memory_equal(b.data, license, b.len);
        buf_finish(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
