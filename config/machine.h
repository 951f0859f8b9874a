// SPDX-License-Identifier: BSD-2-Clause
//
// machine - what this machine, or the container we run in, lets us use.  Linux:
// the scheduler's affinity mask and the limits of our control group and of all
// above it.  What cannot be read limits nothing.

#ifndef CONFIG_MACHINE_H
#define CONFIG_MACHINE_H

#include <stdint.h>

// root is "" but for tests, which put a tree of their own there.

// Cores' worth of time, rounded up, at least 1.  cgroup v2 (cpu.max).
int machine_cores(const char *root);

// Bytes.  cgroup v2 (memory.max) or v1, else all there is.
int64_t machine_memory(const char *root);

#endif
