// SPDX-License-Identifier: BSD-2-Clause

#include "bench/viewers/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define SHORT_OPTIONS ":t:v:w:r:s:z:n:x:a:b:e:k:g:p:m:l:c:j:qh"

static const struct option long_options[] = {
    { "trace", required_argument, NULL, 't' },
    { "videos", required_argument, NULL, 'v' },
    { "write", required_argument, NULL, 'w' },
    { "rate", required_argument, NULL, 'r' },
    { "seconds", required_argument, NULL, 's' },
    { "zipf", required_argument, NULL, 'z' },
    { "seed", required_argument, NULL, 'n' },
    { "speed", required_argument, NULL, 'x' },
    { "ahead", required_argument, NULL, 'a' },
    { "start", required_argument, NULL, 'b' },
    { "resume", required_argument, NULL, 'e' },
    { "seeks", required_argument, NULL, 'k' },
    { "switches", required_argument, NULL, 'g' },
    { "patience", required_argument, NULL, 'p' },
    { "tries", required_argument, NULL, 'm' },
    { "limit", required_argument, NULL, 'l' },
    { "cmcd", required_argument, NULL, 'c' },
    { "json", required_argument, NULL, 'j' },
    { "quiet", no_argument, NULL, 'q' },
    { "help", no_argument, NULL, 'h' },
    { 0 },
};

void viewers_options_help(FILE *out)
{
    fputs("Usage: tidemill-viewers [OPTIONS] --trace FILE URL\n"
          "       tidemill-viewers [OPTIONS] --videos FILE URL\n"
          "       tidemill-viewers [OPTIONS] --videos FILE --write FILE\n"
          "\n"
          "Lets a crowd of players come to the HLS server at URL and watch, swipe on, seek and\n"
          "change rungs, and says what they felt.  Visits begin when they are due, however slow\n"
          "the server is.\n"
          "\n"
          "Who comes:\n"
          "  -t, --trace FILE     visits, one a line (- for standard input):\n"
          "                       t_ms,video,duration_ms,watch_ms,rung\n"
          "  -v, --videos FILE    draw visits to these: video[,duration_ms] a line, most popular "
          "first\n"
          "  -r, --rate N         of these, visits that begin in a second (1)\n"
          "  -s, --seconds N      for so long (60)\n"
          "  -z, --zipf X         popularity: the k-th video is seen as 1/k^X (0.9)\n"
          "  -n, --seed N         another number, another crowd (1)\n"
          "  -w, --write FILE     write the drawn visits as a trace, and end (- for standard "
          "output)\n"
          "\n"
          "What they do:\n"
          "  -x, --speed X        come X times as fast as the trace says (1)\n"
          "  -a, --ahead S        fetch until so many seconds are buffered (30)\n"
          "  -b, --start S        begin to play with so many (0.5)\n"
          "  -e, --resume S       go on after a stall with so many (0.5)\n"
          "  -k, --seeks N        seek so often in a minute (0)\n"
          "  -g, --switches P     fetch this share of segments from a rung by chance (0)\n"
          "  -p, --patience S     leave when nothing is shown after 2 seconds and, on the mean, S "
          "more (17)\n"
          "  -m, --tries N        ask for the same so often before the visit fails (6)\n"
          "  -c, --cmcd MODE      tell CMCD (CTA-5004): none, query or headers (none)\n"
          "  -l, --limit S        stop everybody after S seconds (never)\n"
          "\n"
          "What comes out:\n"
          "  -j, --json FILE      the result as JSON, too (- for standard output, alone)\n"
          "  -q, --quiet          no progress\n"
          "  -h, --help           this text\n"
          "\n"
          "Exit status: 0 when the crowd has run, 1 when it could not, 2 wrong usage.\n",
          out);
}

// Options that are numbers, with what they may be.
static double *number_of(struct viewers_options *o, int option, double *least, double *most)
{
    const struct {
        int option;
        double *value, least, most;
    } table[] = {
        { 'r', &o->rate, 1e-3, 1e6 },  { 's', &o->seconds, 1e-3, 1e7 },
        { 'z', &o->zipf, 0, 10 },      { 'n', &o->seed, 0, 9e15 },
        { 'x', &o->speed, 1e-3, 1e6 }, { 'a', &o->ahead, 0.1, 1e6 },
        { 'b', &o->start, 0, 1e3 },    { 'e', &o->resume, 0, 1e3 },
        { 'k', &o->seeks, 0, 1e3 },    { 'g', &o->switches, 0, 1 },
        { 'p', &o->patience, 0, 1e6 }, { 'm', &o->tries, 1, 1e3 },
        { 'l', &o->limit, 1e-3, 1e7 },
    };
    for (size_t i = 0; i < countof(table); i++) {
        if (table[i].option != option)
            continue;
        *least = table[i].least;
        *most = table[i].most;
        return table[i].value;
    }
    return NULL;
}

static bool read_number(const char *text, double least, double most, double *value)
{
    char *end;
    const double v = strtod(text, &end);
    if (end == text || *end || !(v >= least && v <= most))
        return false;
    *value = v;
    return true;
}

static bool read_cmcd(const char *text, enum cmcd_mode *mode)
{
    static const char *const names[] = { "none", "query", "headers" };
    for (size_t i = 0; i < countof(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *mode = (enum cmcd_mode)i;
            return true;
        }
    }
    return false;
}

// False for a value that cannot be.
static bool take(struct viewers_options *o, int option)
{
    double least, most, *const number = number_of(o, option, &least, &most);
    if (number)
        return read_number(optarg, least, most, number);
    switch (option) {
    case 't':
        o->trace = optarg;
        return true;
    case 'v':
        o->videos = optarg;
        return true;
    case 'w':
        o->write = optarg;
        return true;
    case 'j':
        o->json = optarg;
        return true;
    case 'c':
        return read_cmcd(optarg, &o->cmcd);
    case 'q':
        return o->quiet = true;
    default:
        return o->help = true;
    }
}

static int usage(char *why, size_t cap, const char *what, const char *arg)
{
    snprintf(why, cap, "%s%s%s (see tidemill-viewers -h)", what, arg ? " " : "", arg ? arg : "");
    return -1;
}

static int check(const struct viewers_options *o, int operands, const char *extra, char *why,
                 size_t cap)
{
    if (operands > 1)
        return usage(why, cap, "only one URL can be given, so what is", extra);
    if (!o->trace == !o->videos)
        return usage(why, cap, "one of --trace and --videos has to be given", NULL);
    if (o->write && (o->trace || o->url))
        return usage(why, cap, "--write goes with --videos, without a URL", NULL);
    if (!o->write && !o->url)
        return usage(why, cap, "the server's URL is missing", NULL);
    if (o->url && strncmp(o->url, "http://", 7) != 0 && strncmp(o->url, "https://", 8) != 0)
        return usage(why, cap, "a URL begins with http:// or https://, other than", o->url);
    return 0;
}

int viewers_options_parse(struct viewers_options *o, int argc, char **argv, char *why, size_t cap)
{
    *o = (struct viewers_options){ .rate = 1,
                                   .seconds = 60,
                                   .zipf = 0.9,
                                   .seed = 1,
                                   .speed = 1,
                                   .ahead = 30,
                                   .start = 0.5,
                                   .resume = 0.5,
                                   .patience = 17,
                                   .tries = 6,
                                   .limit = 1e7 };
    optind = 0; // glibc: begin anew
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, SHORT_OPTIONS, long_options, NULL)) != -1) {
        if (option == ':')
            return usage(why, cap, "a value is missing after", argv[optind - 1]);
        if (option == '?')
            return usage(why, cap, "wrong option", argv[optind - 1]);
        if (!take(o, option))
            return usage(why, cap, "this cannot be the value of an option:", optarg);
    }
    if (o->help)
        return 0;
    const int operands = argc - optind;
    o->url = operands > 0 ? argv[optind] : NULL;
    return check(o, operands, operands > 1 ? argv[optind + 1] : NULL, why, cap);
}
