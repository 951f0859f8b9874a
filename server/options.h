// SPDX-License-Identifier: BSD-2-Clause
//
// options - what the command line says.  Pure but for getopt's own state: one
// call at a time.

#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <stddef.h>
#include <stdio.h>

#include "config/conf.h"

enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_RUNTIME = 1,
    EXIT_CODE_USAGE = 2,
    EXIT_CODE_CONFIG = 78, // EX_CONFIG of sysexits.h
};

enum action {
    ACTION_SERVE,
    ACTION_CHECK,       // -t
    ACTION_PRINT,       // -T: check, then print the effective configuration
    ACTION_PROBE,       // probe FILE
    ACTION_VERSION,     // -V
    ACTION_HELP,        // -h
    ACTION_HELP_CONFIG, // --help-config: every setting
};

// The strings are borrowed from argv.
struct options {
    enum action action;
    struct conf_flags flags;
    const char *probe_file; // ACTION_PROBE only
};

// 0, or -E_BAD_REQUEST and one line for people in why.  May reorder argv.
int options_parse(struct options *o, int argc, char **argv, char *why, size_t cap);

void options_print_help(FILE *out);

#endif
