// SPDX-License-Identifier: BSD-2-Clause
//
// origin_server - test/origin.py as a child of a unit test: started on a folder
// of its own, told what to do wrong, asked what it was asked.  Tests run from
// the top of the tree.

#ifndef TEST_ORIGIN_SERVER_H
#define TEST_ORIGIN_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

struct origin_server {
    char folder[64]; // of its files, emptied by nobody but stop
    char base[64];   // "http://127.0.0.1:PORT/"
    int port;
    pid_t pid;
    int input; // closing it ends the server
};

static inline void origin_server_start(struct origin_server *s)
{
    copy_string(s->folder, sizeof s->folder, "/tmp/t_origin_XXXXXX");
    assert(mkdtemp(s->folder));
    int in[2], out[2];
    assert(pipe(in) == 0 && pipe(out) == 0);
    s->pid = fork();
    assert(s->pid >= 0);
    if (s->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        execlp("python3", "python3", "test/origin.py", s->folder, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    s->input = in[1];
    FILE *f = fdopen(out[0], "r");
    const int got = f ? fscanf(f, "PORT %d", &s->port) : 0;
    assert(got == 1);
    fclose(f);
    snprintf(s->base, sizeof s->base, "http://127.0.0.1:%d/", s->port);
}

static inline void origin_server_stop(struct origin_server *s)
{
    close(s->input);
    waitpid(s->pid, NULL, 0);
    char *command = xasprintf("rm -r '%s'", s->folder);
    assert(system(command) == 0);
    free(command);
}

// The body of a plain GET of target; to be freed.
static inline char *origin_server_get(const struct origin_server *s, const char *target)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in a = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)s->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert(connect(fd, (const struct sockaddr *)&a, sizeof a) == 0);
    char *request = xasprintf("GET %s HTTP/1.0\r\n\r\n", target);
    assert(write(fd, request, strlen(request)) == (ssize_t)strlen(request));
    free(request);
    const size_t cap = 1 << 20;
    char *answer = xcalloc(1, cap);
    size_t n = 0;
    for (ssize_t r; n + 1 < cap && (r = read(fd, answer + n, cap - 1 - n)) > 0;)
        n += (size_t)r;
    close(fd);
    const char *body = strstr(answer, "\r\n\r\n");
    assert(body);
    memmove(answer, body + 4, strlen(body + 4) + 1);
    return answer;
}

// Forgets what was asked and the faults; then orders those of query, if not NULL.
static inline void origin_server_order(const struct origin_server *s, const char *query)
{
    free(origin_server_get(s, "/__control?clear=1"));
    free(origin_server_get(s, "/__log?clear=1"));
    if (!query)
        return;
    char *all = xstrdup(query), *rest = all;
    for (char *one; (one = strsep(&rest, " "));) { // several orders, apart by spaces
        char *target = xasprintf("/__control?%s", one);
        free(origin_server_get(s, target));
        free(target);
    }
    free(all);
}

struct origin_server_totals {
    int requests, connections;
    int64_t bytes;
};

static inline struct origin_server_totals origin_server_totals(const struct origin_server *s)
{
    struct origin_server_totals t = { 0 };
    char *log = origin_server_get(s, "/__log");
    bool seen[4096] = { false };
    for (const char *p = log; (p = strstr(p, "\"bytes\": ")); p++) {
        t.requests++;
        t.bytes += strtoll(p + 9, NULL, 10);
    }
    for (const char *p = log; (p = strstr(p, "\"conn\": ")); p++) {
        const size_t conn = strtoul(p + 8, NULL, 10);
        assert(conn < countof(seen));
        t.connections += !seen[conn];
        seen[conn] = true;
    }
    free(log);
    return t;
}

static inline void origin_server_put(const struct origin_server *s, const char *name,
                                     const void *bytes, size_t n)
{
    char *path = xasprintf("%s/%s", s->folder, name);
    FILE *f = fopen(path, "wb");
    assert(f && fwrite(bytes, 1, n, f) == n);
    fclose(f);
    free(path);
}

#endif
