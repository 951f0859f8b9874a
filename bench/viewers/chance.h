// SPDX-License-Identifier: BSD-2-Clause
//
// chance - numbers that look random and are the same for the same seed.

#ifndef BENCH_VIEWERS_CHANCE_H
#define BENCH_VIEWERS_CHANCE_H

#include <math.h>
#include <stdint.h>

// splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
static inline uint64_t chance_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

// In [0, 1).
static inline double chance_unit(uint64_t *state)
{
    return (double)(chance_next(state) >> 11) * 0x1p-53;
}

// Exponential with this mean.
static inline double chance_wait(uint64_t *state, double mean)
{
    return -mean * log1p(-chance_unit(state));
}

// How long somebody watches who does not see all, of that unit in which the scale is: the share
// that still watches after x is (1 + x / scale)^-1.26 (Lomax).
static inline double chance_watch(uint64_t *state, double scale)
{
    return scale * (pow(1 - chance_unit(state), -1 / 1.26) - 1);
}

#endif
