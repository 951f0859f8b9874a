// SPDX-License-Identifier: BSD-2-Clause
//
// trial - whether the encoders that the ladder names work on this machine.

#ifndef SERVER_TRIAL_H
#define SERVER_TRIAL_H

#include <stdbool.h>
#include <stddef.h>

struct conf;
struct zygote;

// Opens each encoder but those that always are there (x264, AAC) once in a worker, as a rung of
// the ladder would; false, and a sentence that names it in why, when one does not open.  Blocks;
// no other worker need run.
bool trial_encoders(const struct conf *conf, struct zygote *z, char *why, size_t cap);

#endif
