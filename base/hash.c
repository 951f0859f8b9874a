// SPDX-License-Identifier: BSD-2-Clause

#include "base/hash.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <xxhash.h>

static EVP_MD *sha256_method;
static pthread_key_t digest_of_thread;

static void free_digest(void *ctx)
{
    EVP_MD_CTX_free(ctx);
}

static void prepare_sha256(void)
{
    sha256_method = EVP_MD_fetch(NULL, "SHA256", NULL);
    const int rc = pthread_key_create(&digest_of_thread, free_digest);
    assert(sha256_method && rc == 0);
}

// Looked up once, and each thread's state of it is kept: both cost as much as hashing a short text.
static EVP_MD_CTX *digest_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare_sha256);
    EVP_MD_CTX *ctx = pthread_getspecific(digest_of_thread);
    if (!ctx) {
        ctx = EVP_MD_CTX_new();
        pthread_setspecific(digest_of_thread, ctx);
    }
    const int ok = EVP_DigestInit_ex(ctx, sha256_method, NULL);
    assert(ok);
    return ctx;
}

struct key key_of(const void *bytes, size_t n)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *const ctx = digest_begin();
    const int ok = EVP_DigestUpdate(ctx, bytes, n) && EVP_DigestFinal_ex(ctx, digest, NULL);
    assert(ok);
    struct key k;
    memcpy(k.b, digest, sizeof k.b);
    return k;
}

struct key key_of_text(const char *fmt, ...)
{
    char text[KEY_TEXT];
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < sizeof text);
    return key_of(text, (size_t)n);
}

static void put(struct key_lines *l, const char *s, size_t n, char end)
{
    assert(n < sizeof l->text - l->n);
    memcpy(l->text + l->n, s, n);
    l->n += n;
    l->text[l->n++] = end;
}

void key_put(struct key_lines *l, const char *line)
{
    put(l, line, strlen(line), '\n');
}

void key_put_number(struct key_lines *l, int number, char end)
{
    char digits[12];
    char *p = digits + sizeof digits;
    unsigned left = number < 0 ? -(unsigned)number : (unsigned)number;
    do
        *--p = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (number < 0)
        *--p = '-';
    put(l, p, (size_t)(digits + sizeof digits - p), end);
}

struct key key_of_lines(const struct key_lines *l)
{
    return key_of(l->text, l->n);
}

char *key_hex(const struct key *k, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof k->b; i++) {
        out[2 * i] = digits[k->b[i] >> 4];
        out[2 * i + 1] = digits[k->b[i] & 15];
    }
    out[2 * sizeof k->b] = '\0';
    return out;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool key_parse(struct key *k, const char *hex, size_t n)
{
    if (n != 2 * sizeof k->b)
        return false;
    for (size_t i = 0; i < sizeof k->b; i++) {
        const int hi = digit_value(hex[2 * i]);
        const int lo = digit_value(hex[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        k->b[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

uint32_t text_hash(const char *text, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)text[i]) * 16777619u;
    return h;
}

uint64_t checksum(const void *bytes, size_t n)
{
    return XXH3_64bits(bytes, n);
}

struct checksummer *checksum_begin(void)
{
    XXH3_state_t *const s = XXH3_createState();
    assert(s);
    XXH3_64bits_reset(s);
    return (struct checksummer *)s;
}

void checksum_add(struct checksummer *c, const void *bytes, size_t n)
{
    XXH3_64bits_update((XXH3_state_t *)c, bytes, n);
}

uint64_t checksum_end(struct checksummer *c)
{
    XXH3_state_t *const s = (XXH3_state_t *)c;
    const uint64_t sum = XXH3_64bits_digest(s);
    XXH3_freeState(s);
    return sum;
}

void mac_of(const char *secret, const void *a, size_t na, const void *b, size_t nb,
            uint8_t out[MAC_SIZE])
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *const mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *const c = EVP_MAC_CTX_new(mac);
    size_t n = 0;
    const bool ok = EVP_MAC_init(c, (const uint8_t *)secret, strlen(secret), params) &&
                    EVP_MAC_update(c, a, na) && EVP_MAC_update(c, b, nb) &&
                    EVP_MAC_final(c, out, &n, MAC_SIZE);
    assert(ok && n == MAC_SIZE);
    EVP_MAC_CTX_free(c);
    EVP_MAC_free(mac);
}

bool mac_equal(const uint8_t a[MAC_SIZE], const uint8_t b[MAC_SIZE])
{
    return CRYPTO_memcmp(a, b, MAC_SIZE) == 0;
}

struct cipher *cipher_begin(const uint8_t key[16])
{
    EVP_CIPHER_CTX *const c = EVP_CIPHER_CTX_new();
    assert(c);
    const int ok = EVP_EncryptInit_ex(c, EVP_aes_128_cbc(), NULL, key, NULL);
    assert(ok);
    EVP_CIPHER_CTX_set_padding(c, 0);
    return (struct cipher *)c;
}

void cipher_restart(struct cipher *c, const uint8_t iv[CIPHER_BLOCK])
{
    const int ok = EVP_EncryptInit_ex((EVP_CIPHER_CTX *)c, NULL, NULL, NULL, iv);
    assert(ok);
}

void cipher_add(struct cipher *c, const uint8_t *in, size_t n, uint8_t *out)
{
    // libcrypto counts in int.
    assert(n % CIPHER_BLOCK == 0 && n <= INT32_MAX);
    int done = 0;
    const int ok = EVP_EncryptUpdate((EVP_CIPHER_CTX *)c, out, &done, in, (int)n);
    assert(ok && (size_t)done == n);
}

void cipher_end(struct cipher *c)
{
    EVP_CIPHER_CTX_free((EVP_CIPHER_CTX *)c);
}
