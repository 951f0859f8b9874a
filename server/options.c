// SPDX-License-Identifier: BSD-2-Clause

#include "server/options.h"

#include <getopt.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"

#define SHORT_OPTIONS ":c:l:d:tTVh"

enum { LONG_HELP_CONFIG = 256 };

static const struct option long_options[] = {
    { "config", required_argument, NULL, 'c' },
    { "listen", required_argument, NULL, 'l' },
    { "cache-dir", required_argument, NULL, 'd' },
    { "check", no_argument, NULL, 't' },
    { "print", no_argument, NULL, 'T' },
    { "version", no_argument, NULL, 'V' },
    { "help", no_argument, NULL, 'h' },
    { "help-config", no_argument, NULL, LONG_HELP_CONFIG },
    { 0 },
};

void options_print_help(FILE *out)
{
    fputs("Usage: tidemill [-c FILE] [-l ADDR:PORT] [-d CACHEDIR] [ORIGIN]\n"
          "       tidemill probe FILE\n"
          "\n"
          "Serves the videos of ORIGIN, a folder or an http(s):// base URL, as adaptive\n"
          "streams that are encoded when somebody asks for them.\n"
          "\n"
          "  -c, --config FILE      configuration, one JSON file\n"
          "  -l, --listen ADDR      ADDR:PORT, [ADDR6]:PORT or unix:PATH (127.0.0.1:8080)\n"
          "  -d, --cache-dir DIR    where the disk cache lives (the user's cache folder)\n"
          "  -t, --check            check the configuration and exit\n"
          "  -T, --print            check it and print all settings in effect\n"
          "  -V, --version          versions of the program and of its libraries\n"
          "  -h, --help             this text\n"
          "      --help-config      every setting, with type and default\n"
          "\n"
          "  probe FILE             print what the server knows of a local file\n"
          "\n"
          "Exit status: 0 good, 1 failed while running, 2 wrong usage, 78 bad configuration.\n",
          out);
}

static int usage(char *why, size_t cap, const char *what, const char *arg)
{
    snprintf(why, cap, "%s%s%s (see tidemill -h)", what, arg ? " " : "", arg ? arg : "");
    return -E_BAD_REQUEST;
}

// getopt names an unknown letter in optopt; all else is the element it read last.
static int bad_option(int verdict, char **argv, char *why, size_t cap)
{
    const bool unknown =
        verdict == '?' && optopt > 0 && optopt < LONG_HELP_CONFIG && !strchr(SHORT_OPTIONS, optopt);
    const char letter[3] = { '-', (char)optopt, '\0' };
    return usage(why, cap, verdict == ':' ? "a value is missing after" : "wrong option",
                 unknown ? letter : argv[optind - 1]);
}

static void take_option(struct options *o, int option)
{
    switch (option) {
    case 'c':
        o->flags.file = optarg;
        break;
    case 'l':
        o->flags.listen = optarg;
        break;
    case 'd':
        o->flags.cache_dir = optarg;
        break;
    case 't':
        o->action = ACTION_CHECK;
        break;
    case 'T':
        o->action = ACTION_PRINT;
        break;
    case 'V':
        o->action = ACTION_VERSION;
        break;
    case 'h':
        o->action = ACTION_HELP;
        break;
    case LONG_HELP_CONFIG:
        o->action = ACTION_HELP_CONFIG;
        break;
    default:
        assert(!"an option without a meaning");
    }
}

static int take_operands(struct options *o, char **args, int count, char *why, size_t cap)
{
    if (count > 0 && strcmp(args[0], "probe") == 0) {
        if (count != 2)
            return usage(why, cap, "probe wants one FILE", NULL);
        o->action = ACTION_PROBE;
        o->probe_file = args[1];
        o->flags.origin = "/"; // never served, but a configuration has one
        return 0;
    }
    if (count > 1)
        return usage(why, cap, "only one ORIGIN can be given here, so what is", args[1]);
    o->flags.origin = count ? args[0] : NULL;
    return 0;
}

int options_parse(struct options *o, int argc, char **argv, char *why, size_t cap)
{
    *o = (struct options){ 0 };
    optind = 0; // glibc: begin anew
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, SHORT_OPTIONS, long_options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return bad_option(option, argv, why, cap);
        take_option(o, option);
    }
    if (o->action > ACTION_PRINT) // they need nothing else
        return 0;
    return take_operands(o, argv + optind, argc - optind, why, cap);
}
