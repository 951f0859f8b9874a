// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "codec/language.h"

static void tags(void **state)
{
    (void)state;
    static const struct {
        const char *said, *tag;
    } cases[] = {
        { "en", "en" },
        { "eng", "en" },
        { "ENG", "en" },
        { "ger", "de" },
        { "deu", "de" },
        { "chi", "zh" },
        { "pt_br", "pt-BR" },
        { "por-br", "pt-BR" },
        { "ZH-hant-hk", "zh-Hant-HK" },
        { "es-419", "es-419" },
        { "de-CH-1901", "de-CH-1901" },
        { "en-x-ab-wxyz", "en-x-ab-wxyz" },
        { "gsw", "gsw" }, // no code of two letters
        { "und", "und" },
        { "mul", "und" },
        { "zxx", "und" },
        { "", "und" },
        { "e", "und" },
        { "english", "und" },
        { "e1", "und" },
        { "en-", "und" },
        { "-en", "und" },
        { "en--GB", "und" },
        { "en GB", "und" },
        { "en\"GB", "und" },
        { "en-abcdefghi", "und" },
        { "en-aaaaaaaa-bbbbbbbb-cccccccc-ddddddd", "und" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        char tag[LANGUAGE_TAG];
        language_parse(cases[i].said, strlen(cases[i].said), tag);
        assert_string_equal(tag, cases[i].tag);
        assert_true(language_is_tag(tag));
        assert_int_equal(language_is_known(tag), strcmp(tag, "und") != 0);
        // Canonical is what stays as it is.
        assert_int_equal(language_is_tag(cases[i].said), strcmp(cases[i].said, tag) == 0);
    }
    char endless[LANGUAGE_TAG];
    memset(endless, 'a', sizeof endless);
    assert_false(language_is_tag(endless));
}

static void names(void **state)
{
    (void)state;
    static const struct {
        const char *tag, *name;
    } cases[] = {
        { "en", "English" },          { "de", "Deutsch" }, { "pt-BR", "português (BR)" },
        { "zh-Hant", "中文 (Hant)" }, { "gsw", "gsw" },    { "en-x-kid", "English (x-kid)" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        char name[LANGUAGE_NAME];
        language_name(cases[i].tag, name);
        assert_string_equal(name, cases[i].name);
    }
}

// Lookup is by the first that fits: no code may stand twice.
static void table(void **state)
{
    (void)state;
    static const char *const codes[][3] = {
#define X(alpha2, terminological, bibliographic, name) { alpha2, terminological, bibliographic },
#include "codec/language.def"
#undef X
    };
    for (size_t i = 0; i < countof(codes); i++) {
        for (int k = 0; k < 3; k++) {
            char tag[LANGUAGE_TAG];
            language_parse(codes[i][k], strlen(codes[i][k]), tag);
            assert_string_equal(tag, codes[i][0]);
        }
        assert_true(i == 0 || strcmp(codes[i - 1][0], codes[i][0]) < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags),
        cmocka_unit_test(names),
        cmocka_unit_test(table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
