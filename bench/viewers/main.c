// SPDX-License-Identifier: BSD-2-Clause
//
// main - tidemill-viewers: a crowd of players for load tests.

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "base/base.h"
#include "bench/viewers/crowd.h"
#include "bench/viewers/options.h"

static atomic_bool stopping;

static void on_signal(int sig)
{
    (void)sig;
    atomic_store(&stopping, true);
}

static int fail(int code, const char *what, const char *why)
{
    fprintf(stderr, "tidemill-viewers: %s%s%s\n", what, why ? ": " : "", why ? why : "");
    return code;
}

// "-" is the standard stream.
static FILE *open_file(const char *name, const char *mode)
{
    if (strcmp(name, "-") == 0)
        return *mode == 'r' ? stdin : stdout;
    FILE *const f = fopen(name, mode);
    if (!f)
        fail(1, name, strerror(errno));
    return f;
}

static int close_file(FILE *f, const char *name)
{
    const bool bad = fflush(f) != 0 || ferror(f);
    if (f != stdin && f != stdout)
        fclose(f);
    return bad ? fail(1, name, "it cannot be written") : 0;
}

// Lines "video[,duration_ms]".
static void read_videos(struct trace_model *m, FILE *in)
{
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, in) >= 0) {
        char *rest = line;
        line[strcspn(line, "\r\n")] = '\0';
        const char *const video = strsep(&rest, ",");
        if (*video == '\0' || *video == '#')
            continue;
        m->videos = xrealloc(m->videos, (m->count + 1) * sizeof *m->videos);
        m->durations = xrealloc(m->durations, (m->count + 1) * sizeof *m->durations);
        m->videos[m->count] = xstrdup(video);
        m->durations[m->count++] = rest ? strtoll(rest, NULL, 10) : 0;
    }
    free(line);
}

static int draw(const struct viewers_options *o, struct trace *t)
{
    struct trace_model m = {
        .rate = o->rate, .seconds = o->seconds, .zipf = o->zipf, .seed = (uint64_t)o->seed
    };
    FILE *const in = open_file(o->videos, "r");
    if (!in)
        return -1;
    read_videos(&m, in);
    close_file(in, o->videos);
    if (m.count > 0)
        trace_draw(t, &m);
    for (size_t i = 0; i < m.count; i++)
        free(m.videos[i]);
    free(m.videos);
    free(m.durations);
    return m.count > 0 ? 0 : fail(-1, o->videos, "it names no video");
}

static int read_trace(const struct viewers_options *o, struct trace *t)
{
    char why[512];
    FILE *const in = open_file(o->trace, "r");
    if (!in)
        return -1;
    const int rc = trace_read(t, in, o->trace, why, sizeof why);
    close_file(in, o->trace);
    return rc < 0 ? fail(-1, why, NULL) : 0;
}

static void progress(size_t begun, size_t present)
{
    fprintf(stderr, "\r%zu visits, %zu present ", begun, present);
}

static int64_t us(double seconds)
{
    return (int64_t)(seconds * 1e6);
}

static int write_json(const struct viewers_options *o, struct report *r)
{
    FILE *const out = open_file(o->json, "w");
    if (!out)
        return 1;
    report_json(r, out);
    return close_file(out, o->json);
}

static int tell(const struct viewers_options *o, struct report *r)
{
    if (!o->quiet)
        fputs("\r                                        \r", stderr);
    if (!o->json || strcmp(o->json, "-") != 0)
        report_print(r, stdout);
    return o->json ? write_json(o, r) : 0;
}

static int run(const struct viewers_options *o, const struct trace *t)
{
    struct report r = { 0 };
    const size_t length = strlen(o->url);
    char *const base = xasprintf("%s%s", o->url, length && o->url[length - 1] == '/' ? "" : "/");
    const struct crowd_settings s = {
        .viewer = { .base = base,
                    .player = { us(o->start), us(o->resume), us(o->ahead) },
                    .cmcd = o->cmcd,
                    .seeks = o->seeks,
                    .switches = o->switches,
                    .patience = us(o->patience),
                    .tries = (int)o->tries,
                    .seed = (uint64_t)o->seed },
        .speed = o->speed,
        .limit = us(o->limit),
        .progress = o->quiet ? NULL : progress,
    };
    const int rc = crowd_run(&s, t, &r, &stopping);
    const int code = rc < 0 ? fail(1, "there is no memory", NULL) : tell(o, &r);
    report_finish(&r);
    free(base);
    return code;
}

// A connection needs a descriptor.
static void prepare(void)
{
    struct rlimit l;
    const struct sigaction stop = { .sa_handler = on_signal };
    if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int write_trace(const struct viewers_options *o, const struct trace *t)
{
    FILE *const out = open_file(o->write, "w");
    if (!out)
        return 1;
    trace_write(t, out);
    return close_file(out, o->write);
}

int main(int argc, char **argv)
{
    struct viewers_options o;
    struct trace t = { 0 };
    char why[512];
    if (viewers_options_parse(&o, argc, argv, why, sizeof why) < 0)
        return fail(2, why, NULL);
    if (o.help) {
        viewers_options_help(stdout);
        return 0;
    }
    prepare();
    if ((o.trace ? read_trace(&o, &t) : draw(&o, &t)) < 0)
        return 1;
    const int code = o.write ? write_trace(&o, &t) : run(&o, &t);
    trace_finish(&t);
    return code;
}
