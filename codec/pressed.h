// SPDX-License-Identifier: BSD-2-Clause
//
// pressed - which rungs are for times when viewers ask for more than can be made, and which
// are not.  Pure.  The rules are in plan.h.

#ifndef CODEC_PRESSED_H
#define CODEC_PRESSED_H

#include "codec/plan.h"

// Says of the rungs of p, all that there are, when they are shown, and adds faster ones.
void pressed_add(struct plan *p, const struct conf *conf);

#endif
