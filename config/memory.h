// SPDX-License-Identifier: BSD-2-Clause
//
// memory - one ceiling, and what each part of the server has of it.
//
//   spare    what allocators waste: a sixteenth, never given away
//   server   the program, its connections, and bytes on their way (memory_server)
//   workers  the processes together; one for probes has half of what another has
//   the rest one setting each: objects kept, objects in use, source blocks, indexes
//
// What is set by hand is as it is set.  What is 0 shares the rest, by weight.  When
// the sum exceeds the ceiling, the settings are refused.  Pure.

#ifndef CONFIG_MEMORY_H
#define CONFIG_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct complaint;
struct conf;

#define MEMORY_LOOKUPS 4             // bodies on their way from a lower tier, at once
#define MEMORY_CONNECTION (16 * KIB) // what one costs

// Fills in what is 0, for that many cores and that many bytes of the machine.  0, or
// -E_CONFIG and one line that names all parts.
int memory_share_out(struct conf *c, int cores, int64_t machine, const struct complaint *to);

// Shares in bytes; all settings filled in.
int64_t memory_spare(const struct conf *c);
int64_t memory_server(const struct conf *c);
int64_t memory_workers(const struct conf *c);
int64_t memory_total(const struct conf *c); // of these and the others

// What a worker for probes may have.
int64_t memory_of_prober(const struct conf *c);

// All shares on one line, for people.  Returns out.
char *memory_describe(const struct conf *c, char *out, size_t cap);

#endif
