// SPDX-License-Identifier: BSD-2-Clause

#include "codec/base64.h"

#include <string.h>

#define DIGITS 22 // of 16 bytes

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *base64_print_key(const struct key *k, char out[BASE64_KEY])
{
    for (size_t i = 0; i < DIGITS; i++) {
        const size_t bit = 6 * i, at = bit / 8;
        const unsigned two = (unsigned)k->b[at] << 8 | (at + 1 < sizeof k->b ? k->b[at + 1] : 0);
        out[i] = alphabet[two >> (10 - bit % 8) & 63];
    }
    out[DIGITS] = '\0';
    return out;
}

static int digit(char c)
{
    const char *const at = c ? strchr(alphabet, c == '+' ? '-' : c == '/' ? '_' : c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

bool base64_key(const char *text, struct key *out)
{
    const size_t n = strlen(text);
    uint32_t bits = 0;
    int count = 0;
    size_t done = 0;
    if (n != DIGITS && (n != DIGITS + 2 || strcmp(text + DIGITS, "==") != 0))
        return false;
    for (size_t i = 0; i < DIGITS; i++) {
        const int v = digit(text[i]);
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        count += 6;
        if (count >= 8)
            out->b[done++] = (uint8_t)(bits >> (count -= 8));
    }
    return (bits & ((1u << count) - 1)) == 0; // as each is written in one way only
}
