// SPDX-License-Identifier: BSD-2-Clause
//
// probe - the sub-command `tidemill probe FILE`: what the index knows of a file,
// its segment table, its renditions, and why others are not offered.

#ifndef SERVER_PROBE_H
#define SERVER_PROBE_H

struct conf;

// Prints to standard output; errors to standard error.  Returns an exit code.
int probe_command(const struct conf *conf, const char *file);

#endif
