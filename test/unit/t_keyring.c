// SPDX-License-Identifier: BSD-2-Clause
//
// Answers of key servers; asking is tested end to end.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/base64.h"
#include "config/conf.h"
#include "server/keyring.h"

static char secret[] = "0123456789abcdef", url[] = "https://k/{asset}?id={key_id}", none[] = "",
            method[] = "cbcs";
static const struct conf conf = { .encryption_method = method,
                                  .encryption_secret = secret,
                                  .encryption_key_url = none,
                                  .encryption_key_server = url };

#define A "AAECAwQFBgcICQoLDA0ODw" // 0, 1, 2 ...
#define B "8PHy8_T19vf4-fr7_P3-_w" // 0xf0, 0xf1, ...
#define C "8PHy8/T19vf4+fr7/P3+/w=="

static const struct key a = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } };
static const struct key b = { { 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
                                0xfb, 0xfc, 0xfd, 0xfe, 0xff } };

static void answers(void **state)
{
    (void)state;
    const struct encryption_keys derived = encryption_derive(&conf, "a.mp4");
    static const struct {
        const char *answer;
        const struct key *key, *key_id, *iv; // NULL: derived; key NULL: refused
    } cases[] = {
        { "{\"key\": \"" A "\"}", &a, NULL, NULL },
        { "{\"key\": \"" B "\"}", &b, NULL, NULL },
        { " {\"iv\": \"" A "\", \"key\": \"" C "\", \"kid\":\"" B "\", \"x\": [{}]}\n", &b, &b,
          &a },
        { "{\"key\": \"" A "==\", \"iv\": null}", &a, NULL, NULL },
        { "", NULL, NULL, NULL },
        { "{}", NULL, NULL, NULL },
        { "[\"" A "\"]", NULL, NULL, NULL },
        { "\"" A "\"", NULL, NULL, NULL },
        { A, NULL, NULL, NULL },
        { "0123456789abcde", NULL, NULL, NULL },
        { "0123456789abcdefg", NULL, NULL, NULL },
        { "{\"key\": \"" A "\"} x", NULL, NULL, NULL },
        { "{\"key\": \"" A "\", \"key\": \"" B "\"}", NULL, NULL, NULL },
        { "{\"key\": [\"" A "\", \"" B "\"]}", NULL, NULL, NULL },
        { "{\"key\": \"" A "=\"}", NULL, NULL, NULL },
        { "{\"key\": \"" A "A\"}", NULL, NULL, NULL },
        { "{\"key\": \"AAECAwQFBgcICQoLDA0OD\"}", NULL, NULL, NULL },
        { "{\"key\": \"AAECAwQFBgcICQoLDA0ODx\"}", NULL, NULL, NULL }, // bits behind
        { "{\"key\": \"AAECAwQFBgc*CQoLDA0ODw\"}", NULL, NULL, NULL },
        { "{\"key\": \"00010203040506070809\"}", NULL, NULL, NULL },
        { "{\"key\": \"" A "\", \"kid\": \"1\"}", NULL, NULL, NULL },
        { "{\"key\": \"" A "\", \"iv\": \"\"}", NULL, NULL, NULL },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct encryption_keys k;
        const char *const s = cases[i].answer;
        const int rc = keyring_read_answer(&conf, "a.mp4", (const uint8_t *)s, strlen(s), &k);
        if (rc != (cases[i].key ? 0 : -E_CORRUPT))
            fail_msg("%s: %s", s, err_name(rc));
        if (rc < 0)
            continue;
        assert_true(key_equal(&k.key, cases[i].key));
        assert_true(key_equal(&k.key_id, cases[i].key_id ? cases[i].key_id : &derived.key_id));
        assert_true(key_equal(&k.iv, cases[i].iv ? cases[i].iv : &derived.iv));
    }
}

static void sixteen_bytes(void **state)
{
    (void)state;
    struct encryption_keys k;
    assert_int_equal(keyring_read_answer(&conf, "a.mp4", b.b, sizeof b.b, &k), 0);
    assert_true(key_equal(&k.key, &b));
    const struct encryption_keys derived = encryption_derive(&conf, "a.mp4");
    assert_true(key_equal(&k.key_id, &derived.key_id) && key_equal(&k.iv, &derived.iv));
}

static void in_base64(void **state)
{
    (void)state;
    char out[BASE64_KEY];
    assert_string_equal(base64_print_key(&a, out), A);
    assert_string_equal(base64_print_key(&b, out), B);
}

static void urls(void **state)
{
    (void)state;
    char *const got = encryption_server_url(&conf, "clips/a b&c?d#e%{asset}.mp4");
    assert_memory_equal(got, "https://k/clips/a%20b%26c%3Fd%23e%25%7Basset%7D.mp4?id=", 55);
    assert_int_equal(strlen(got), 55 + 32);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(sixteen_bytes),
        cmocka_unit_test(in_base64),
        cmocka_unit_test(urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
