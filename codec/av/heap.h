// SPDX-License-Identifier: BSD-2-Clause
//
// heap - how a worker's malloc keeps its memory.
//
// The next segment needs what this one lies in, and pages that come anew cost more than what is
// written to them (a tenth of the CPU of a 1080p source's segment): nothing goes back to the kernel
// while there is work.  All is in one heap, of which the worker's limit is the only end.

#ifndef CODEC_AV_HEAP_H
#define CODEC_AV_HEAP_H

// Before there are threads.
void heap_settle(void);

// Gives the kernel what is free.
void heap_give_back(void);

#endif
