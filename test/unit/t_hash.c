// SPDX-License-Identifier: BSD-2-Clause

#include "base/hash.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/base.h"

static void keys_are_cut_digests(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } t[] = {
        // FIPS 180-4, and the empty message
        { "abc", "ba7816bf8f01cfea414140de5dae2223" },
        { "", "e3b0c44298fc1c149afbf4c8996fb924" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039" },
    };
    char hex[KEY_HEX];
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < countof(t); i++) {
            const struct key k = key_of(t[i].text, strlen(t[i].text));
            assert_string_equal(key_hex(&k, hex), t[i].hex);
        }
}

static void lines_are_as_printed(void **state)
{
    (void)state;
    static const int numbers[] = { 0, 7, 10, 999999, -1, INT_MAX, INT_MIN };
    for (size_t i = 0; i < countof(numbers); i++) {
        const int n = numbers[i];
        struct key_lines l;
        l.n = 0;
        key_put(&l, "name 1");
        key_put_number(&l, n, ' ');
        key_put_number(&l, -(n / 2), '\n');
        key_put(&l, "");
        key_put(&l, "x");
        const struct key put = key_of_lines(&l);
        const struct key printed = key_of_text("name 1\n%d %d\n\nx\n", n, -(n / 2));
        assert_true(key_equal(&put, &printed));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_cut_digests),
        cmocka_unit_test(lines_are_as_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
