// SPDX-License-Identifier: BSD-2-Clause
//
// main - arguments, start, signals, stop.

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/base.h"
#include "base/log.h"
#include "base/zip.h"
#include "cache/tier.h"
#include "cache/transfer.h"
#include "config/conf.h"
#include "config/memory.h"
#include "server/admin.h"
#include "server/edge.h"
#include "server/http.h"
#include "server/options.h"
#include "server/probe.h"
#include "server/request.h"
#include "server/worker.h"
#include "server/zygote.h"

// How long a stop waits for a log that nobody reads.
#define LOG_GRACE_MS 1000

// Of malloc, which else has several for each core: what is freed in one is of no use to the
// threads of another, and a server that makes the same all day grows (docs/checks.md).
#define ARENAS 2
#define KEPT_MOST (64 * MIB) // of what is free at the end of an arena

#define SLICE_US 100 // the shortest that there is

static int fail(int code, const char *why)
{
    fprintf(stderr, "tidemill: %s\n", why);
    return code;
}

static int print_versions(void)
{
    printf("tidemill %s\n%s\n%s\n%s\n%s\nzlib %s\n", TIDEMILL_VERSION, http_library(),
           transfer_library(), tier_redis_library(), conf_library(), gzip_version());
    struct conf *conf = NULL;
    char why[512];
    const struct conf_flags flags = { .origin = "/" };
    if (conf_load(&conf, &flags, environ, why, sizeof why) < 0)
        return fail(EXIT_CODE_CONFIG, why);
    struct zygote *z = zygote_start(conf, why, sizeof why);
    if (z)
        printf("worker: %s\n", zygote_signature(z));
    zygote_stop(z);
    conf_destroy(conf);
    return z ? 0 : fail(EXIT_CODE_RUNTIME, why);
}

static enum log_level level_of(const char *name)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };
    for (size_t i = 0; i < countof(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return (enum log_level)i;
    }
    return LOG_INFO;
}

// As many descriptors as we may have: a connection needs one.
static void raise_limits(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static void announce(const struct conf *conf, const struct http *viewers, const struct http *admin)
{
    const char *const at = http_address(viewers);
    char shares[600];
    log_info("main", "memory: %s", memory_describe(conf, shares, sizeof shares));
    for (int i = 0; i < conf->origin_count; i++)
        log_info("main", "serving %s as %s", conf->origins[i].base, conf->origins[i].prefix);
    if (admin)
        log_info("main", "metrics and status: http://%s/status", http_address(admin));
    const bool is_url = strncmp(at, "unix:", 5) != 0;
    log_info("main", "ready: %s%s/%s", is_url ? "http://" : "", at,
             is_url && conf->ui ? " (open it in a browser)" : "");
}

static void wait_for_signal(const sigset_t *set)
{
    int sig = 0;
    while (sigwait(set, &sig) != 0)
        ;
    log_info("main", "stopping (%s)", strsignal(sig));
}

static int run_servers(const struct conf *conf, struct edge *e, const sigset_t *set)
{
    char why[512];
    const struct http_handler viewers_handler = request_handler(e);
    const struct http_handler admin_side = admin_handler(e);
    int code = EXIT_CODE_RUNTIME;
    struct http *admin = NULL;
    struct http *viewers =
        http_start(conf, conf->listen, conf->http_threads, &viewers_handler, why, sizeof why);
    if (!viewers)
        goto done;
    if (conf->admin[0]) {
        admin = http_start(conf, conf->admin, 1, &admin_side, why, sizeof why);
        if (!admin)
            goto done;
    }
    announce(conf, viewers, admin);
    wait_for_signal(set);
    code = EXIT_CODE_OK;

done:
    if (code)
        fail(code, why);
    // Last goes the one that can say what is happening.
    atomic_store(&e->stopping, true);
    http_stop(viewers);
    http_stop(admin);
    return code;
}

// Before there are threads.  Who runs us may know better.  What one segment lay in, the next will:
// it is not given back, as pages that come anew cost more than what is written to them.  The
// arenas have the memory to spare for that.
static void settle_malloc(const struct conf *conf)
{
    const int64_t kept = min64(memory_spare(conf) / ARENAS, KEPT_MOST);
    if (!getenv("MALLOC_ARENA_MAX"))
        mallopt(M_ARENA_MAX, ARENAS);
    if (getenv("MALLOC_TRIM_THRESHOLD_") || getenv("MALLOC_MMAP_THRESHOLD_"))
        return;
    mallopt(M_TRIM_THRESHOLD, (int)kept);
    mallopt(M_MMAP_THRESHOLD, (int)(kept / 2));
}

static int serve(const struct conf *conf)
{
    settle_malloc(conf);
    // What we do takes microseconds: a hit does not wait for the end of a worker's slice.
    time_slice(SLICE_US);
    // Threads are born with these blocked; the main thread waits for them.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    raise_limits();
    log_set_level(level_of(conf->log_level));

    char why[512];
    struct edge *e = edge_create(conf, why, sizeof why);
    if (!e)
        return fail(EXIT_CODE_RUNTIME, why);
    // Not before: the zygote is forked while there is one thread.
    log_start();
    const int code = run_servers(conf, e, &set);
    edge_destroy(e);
    log_flush(clock_ms() + LOG_GRACE_MS);
    return code;
}

static int act(const struct options *o, const struct conf *conf)
{
    char shares[600];
    switch (o->action) {
    case ACTION_CHECK:
        printf("the configuration is good\n");
        return EXIT_CODE_OK;
    case ACTION_PRINT:
        // Beside the file, so that this can be read as one.
        conf_print(conf, stdout);
        fprintf(stderr, "memory: %s\n", memory_describe(conf, shares, sizeof shares));
        return EXIT_CODE_OK;
    case ACTION_PROBE:
        return probe_command(conf, o->probe_file);
    default:
        return serve(conf);
    }
}

int main(int argc, char **argv)
{
    struct options o;
    char why[1024];
    if (options_parse(&o, argc, argv, why, sizeof why) < 0)
        return fail(EXIT_CODE_USAGE, why);
    if (o.action == ACTION_HELP) {
        options_print_help(stdout);
        return EXIT_CODE_OK;
    }
    if (o.action == ACTION_HELP_CONFIG) {
        conf_print_help(stdout);
        return EXIT_CODE_OK;
    }
    if (o.action == ACTION_VERSION)
        return print_versions();

    struct conf *conf = NULL;
    if (conf_load(&conf, &o.flags, environ, why, sizeof why) < 0)
        return fail(EXIT_CODE_CONFIG, why);
    const int code = act(&o, conf);
    conf_destroy(conf);
    return code;
}
