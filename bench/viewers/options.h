// SPDX-License-Identifier: BSD-2-Clause
//
// options - the command line of tidemill-viewers.

#ifndef BENCH_VIEWERS_OPTIONS_H
#define BENCH_VIEWERS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "bench/viewers/cmcd.h"

struct viewers_options {
    const char *url, *trace, *videos, *write, *json;
    enum cmcd_mode cmcd;
    bool help, quiet;
    double rate, seconds, zipf, seed;                                            // of the model
    double speed, ahead, start, resume, seeks, switches, patience, tries, limit; // of the players
};

// 0, or -1 with one sentence in why.  Strings are argv's.
int viewers_options_parse(struct viewers_options *o, int argc, char **argv, char *why, size_t cap);

void viewers_options_help(FILE *out);

#endif
