// SPDX-License-Identifier: BSD-2-Clause
//
// rational - exact times and rates.  Products go through 128 bits; a result
// that does not fit int64_t is an assertion, so range-check input first.

#ifndef BASE_RATIONAL_H
#define BASE_RATIONAL_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

struct rational {
    int64_t num;
    int64_t den; // > 0
};

static inline int64_t int_of_wide(__int128 v)
{
    assert(v <= INT64_MAX && v >= INT64_MIN);
    return (int64_t)v;
}

// floor(a * b / c), c > 0
static inline int64_t muldiv_floor(int64_t a, int64_t b, int64_t c)
{
    const __int128 p = (__int128)a * b;
    return int_of_wide(p / c - (p % c < 0));
}

// ceil(a * b / c), c > 0
static inline int64_t muldiv_ceil(int64_t a, int64_t b, int64_t c)
{
    const __int128 p = (__int128)a * b;
    return int_of_wide(p / c + (p % c > 0));
}

// a * b / c to the nearest, a half away from minus infinity (up), c > 0
static inline int64_t muldiv_round(int64_t a, int64_t b, int64_t c)
{
    const __int128 p = 2 * (__int128)a * b + c;
    const __int128 d = 2 * (__int128)c;
    return int_of_wide(p / d - (p % d < 0));
}

static inline struct rational rat_reduce(struct rational r)
{
    int64_t a = r.num < 0 ? -r.num : r.num, b = r.den;
    while (b) {
        const int64_t t = a % b;
        a = b;
        b = t;
    }
    if (a > 1) {
        r.num /= a;
        r.den /= a;
    }
    return r;
}

// < 0, 0, > 0
static inline int rat_cmp(struct rational a, struct rational b)
{
    const __int128 d = (__int128)a.num * b.den - (__int128)b.num * a.den;
    return (d > 0) - (d < 0);
}

static inline double rat_double(struct rational r)
{
    return (double)r.num / (double)r.den;
}

#endif
