// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/encryption.h"
#include "codec/recipe.h"
#include "test/unit/media_tools.h"
#include "test/unit/plan_tools.h"

static struct conf encrypting(const char *method)
{
    static char methods[3][10], secret[] = "0123456789abcdef", none[] = "";
    static int turn;
    struct conf conf = settings();
    conf.encryption_method = strcpy(methods[turn++ % 3], method);
    conf.encryption_secret = secret;
    conf.encryption_key_url = none;
    return conf;
}

static void assert_hex(const void *bytes, size_t n, const char *want)
{
    char hex[3];
    assert_int_equal(strlen(want), 2 * n);
    for (size_t i = 0; i < n; i++) {
        snprintf(hex, sizeof hex, "%02x", ((const uint8_t *)bytes)[i]);
        assert_memory_equal(hex, want + 2 * i, 2);
    }
}

static void from_hex(uint8_t *out, const char *hex)
{
    for (; *hex; hex += 2) {
        char byte[3] = { hex[0], hex[1] };
        *out++ = (uint8_t)strtoul(byte, NULL, 16);
    }
}

// NIST SP 800-38A, F.2.1; in two pieces, and begun anew.
static void the_cipher(void **state)
{
    (void)state;
    static const char want[] = "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
                               "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7";
    uint8_t key[16], iv[16], plain[64], out[64];
    from_hex(key, "2b7e151628aed2a6abf7158809cf4f3c");
    from_hex(iv, "000102030405060708090a0b0c0d0e0f");
    from_hex(plain, "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
    struct cipher *const c = cipher_begin(key);
    for (int i = 0; i < 2; i++) {
        memcpy(out, plain, sizeof out);
        cipher_restart(c, iv);
        cipher_add(c, out, 16, out);
        cipher_add(c, out + 16, 48, out + 16);
        assert_hex(out, sizeof out, want);
    }
    cipher_end(c);
}

// By "openssl dgst -sha256 -mac HMAC -macopt key:0123456789abcdef".
static void keys(void **state)
{
    (void)state;
    const struct conf conf = encrypting("aes-128");
    const struct encryption e = encryption_of(&conf, "clips/cat.mp4");
    assert_hex(e.key.b, 16, "9614f849729288d60725279414f6eeab");
    assert_hex(e.key_id.b, 16, "02143240a3e50ab1dd46e0f8d0ef81d3");
    assert_hex(e.iv.b, 16, "0b07879b45a23d529b5ba8f5e7bd54ed");
    assert_string_equal(e.url, "key");
    const struct encryption other = encryption_of(&conf, "clips/cat.mp4;t=0,1");
    assert_false(key_equal(&e.key, &other.key));
    const struct conf none = encrypting("none");
    assert_int_equal(encryption_of(&none, "a").method, ENCRYPTION_NONE);
}

static void key_urls(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "key" },
        { "https://k/", "https://k/" },
        { "https://k/{key_id}.bin", "https://k/8aeb67b57077df4716453a1d16395dd9.bin" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        char form[100];
        struct conf conf = encrypting("aes-128");
        conf.encryption_key_url = strcpy(form, cases[i][0]);
        assert_string_equal(encryption_of(&conf, "a").url, cases[i][1]);
    }
}

// In pieces of any size the same beginning, and as long as PKCS7 says.
static void a_segment_grows(void **state)
{
    (void)state;
    const struct conf conf = encrypting("aes-128");
    const struct encryption e = encryption_of(&conf, "a");
    uint8_t bytes[80];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(3 * i);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        struct buf whole, part;
        buf_init(&whole, KIB);
        buf_init(&part, KIB);
        assert_int_equal(encryption_segment(&whole, &e, 7, bytes, n, true), 0);
        assert_int_equal(whole.len, n / 16 * 16 + 16);
        assert_int_equal(encryption_segment(&part, &e, 7, bytes, n, false), 0);
        assert_int_equal(part.len, n / 16 * 16);
        if (part.len > 0)
            assert_memory_equal(part.data, whole.data, part.len);
        buf_clear(&part);
        assert_int_equal(encryption_segment(&part, &e, 8, bytes, n, true), 0);
        assert_memory_not_equal(part.data, whole.data, 16);
        buf_finish(&whole);
        buf_finish(&part);
    }
}

static struct plan plan_of(const struct conf *conf)
{
    struct plan p;
    struct media *const m = make_media(30, 600);
    assert_int_equal(media_finish(m), 0);
    assert_int_equal(plan_make(&p, conf, m, "a", "v", "h"), 0);
    media_destroy(m);
    return p;
}

// What players see of a plan are its views, one by one; pictures and texts as they were.
static void what_players_see(void **state)
{
    (void)state;
    static const char *const methods[] = { "aes-128", "cbcs" };
    for (size_t k = 0; k < countof(methods); k++) {
        const struct conf conf = encrypting(methods[k]);
        const struct encryption e = encryption_of(&conf, "a");
        const struct plan p = plan_of(&conf);
        struct plan shown = p;
        struct encrypted list[ENCRYPTED_MAX];
        struct ts_rendition ts[PLAN_RENDITIONS], ts_shown[PLAN_RENDITIONS];
        const int views = encryption_views(&e, &p, list), muxed = k ? 0 : ts_plan(&p, ts);
        int n = 0;
        assert_int_equal(encryption_show(&e, &shown), 0);
        assert_int_equal(shown.count, p.count);
        for (int i = 0; i < p.count; i++) {
            const struct rendition *const r = &p.renditions[i], *const s = &shown.renditions[i];
            if (!encryption_covers(e.method, r->kind)) {
                assert_memory_equal(r, s, sizeof *r);
                continue;
            }
            assert_string_equal(list[n].name, r->name);
            assert_true(key_equal(&list[n].clear, &r->recipe));
            assert_true(key_equal(&list[n].recipe, &s->recipe));
            assert_int_equal(recipe_is_of_machine(&s->recipe), recipe_is_of_machine(&r->recipe));
            assert_true(s->bandwidth > r->bandwidth || (k && r->kind == RENDITION_AUDIO));
            n++;
        }
        memcpy(ts_shown, ts, sizeof ts);
        encryption_show_ts(&e, ts_shown, muxed);
        for (int i = 0; i < muxed; i++, n++) {
            assert_true(list[n].ts && key_equal(&list[n].clear, &ts[i].recipe));
            assert_true(key_equal(&list[n].recipe, &ts_shown[i].recipe));
        }
        assert_int_equal(n, views);
    }
}

static void what_has_no_rule_is_left_out(void **state)
{
    (void)state;
    const struct conf aes = encrypting("aes-128"), cbcs = encrypting("cbcs");
    const struct encryption a = encryption_of(&aes, "a"), c = encryption_of(&cbcs, "a");
    const struct plan p = plan_of(&aes);
    struct plan some = p, shown;
    strcpy(some.renditions[0].codecs, "vp09.00.10.08");
    shown = some;
    assert_int_equal(encryption_show(&a, &shown), 0);
    assert_int_equal(shown.count, p.count);
    shown = some;
    assert_int_equal(encryption_show(&c, &shown), 0);
    assert_int_equal(shown.count, p.count - 1);
    assert_null(plan_find(&shown, p.renditions[0].name));
    for (int i = 0; i < some.count; i++)
        strcpy(some.renditions[i].codecs, "vp09.00.10.08");
    assert_int_equal(encryption_show(&c, &some), -E_UNSUPPORTED);
}

// A recipe names all that players rely on.
static void other_recipes(void **state)
{
    (void)state;
    const struct conf conf = encrypting("aes-128");
    const struct key clear = { { 1 } }, other = { { 2 } };
    const struct encryption e = encryption_of(&conf, "a");
    const struct key r = encrypted_view(&e, "720p", &clear, false).recipe;
    struct encryption changed = e;
    for (int i = 0; i < 4; i++) {
        changed = e;
        if (i == 0)
            changed.method = ENCRYPTION_CBCS;
        else if (i == 1)
            changed.key_id.b[3] ^= 1;
        else if (i == 2)
            changed.check.b[5] ^= 1;
        else
            strcpy(changed.url, "https://k/");
        const struct key now = encrypted_view(&changed, "720p", &clear, false).recipe;
        assert_false(key_equal(&r, &now));
    }
    changed = e;
    changed.key.b[0] ^= 1; // nothing in it leads to the key
    const struct key recipes[] = {
        encrypted_view(&changed, "720p", &clear, false).recipe,
        encrypted_view(&e, "720q", &clear, false).recipe,
        encrypted_view(&e, "720p", &other, false).recipe,
        encrypted_view(&e, "720p", &clear, true).recipe,
    };
    for (size_t i = 0; i < countof(recipes); i++)
        assert_int_equal(key_equal(&r, &recipes[i]), i == 0);
}

static int unpack(const struct buf *b, struct encrypted *out)
{
    const struct key recipe = key_of(b->data, b->len);
    return encrypted_unpack(b->data, b->len, &recipe, out);
}

static void records(void **state)
{
    (void)state;
    const struct conf conf = encrypting("cbcs");
    const struct encryption e = encryption_of(&conf, "a");
    const struct encrypted v = encrypted_view(&e, "audio-0", &(struct key){ { 9 } }, false);
    struct encrypted back;
    struct buf b;
    buf_init(&b, KIB);
    assert_int_equal(encrypted_pack(&v, &b), 0);
    assert_int_equal(encrypted_unpack(b.data, b.len, &v.recipe, &back), 0);
    assert_memory_equal(&back, &v, sizeof v);
    assert_int_equal(encrypted_unpack(b.data, b.len, &v.clear, &back), -E_CORRUPT);
    const size_t n = b.len, method = sizeof "tidemill encrypted 1";
    for (b.len = 0; b.len < n; b.len++)
        assert_int_equal(unpack(&b, &back), -E_CORRUPT);
    for (int wrong = 0; wrong < 256; wrong++) {
        b.data[method] = (uint8_t)wrong;
        assert_int_equal(unpack(&b, &back), wrong == 1 || wrong == 2 ? 0 : -E_CORRUPT);
    }
    b.data[method] = 1;
    b.data[method + 1] = 2; // neither MPEG-TS nor not
    assert_int_equal(unpack(&b, &back), -E_CORRUPT);
    b.data[method + 1] = 1;
    memset(b.data + method + 2, 'a', sizeof v.name); // a name without an end
    assert_int_equal(unpack(&b, &back), -E_CORRUPT);
    buf_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cipher),       cmocka_unit_test(keys),
        cmocka_unit_test(key_urls),         cmocka_unit_test(a_segment_grows),
        cmocka_unit_test(what_players_see), cmocka_unit_test(what_has_no_rule_is_left_out),
        cmocka_unit_test(other_recipes),    cmocka_unit_test(records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
