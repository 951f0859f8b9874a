// SPDX-License-Identifier: BSD-2-Clause
//
// herd - many clients that ask for the same at once.
//
//   herd PORT CLIENTS
//
// Connects them all to loopback, kept alive.  For each path, a line on standard
// input, each asks for it, then all are read until each has its whole body; ends with
// the input.  Prints one line when they are connected, one when they have asked, and one
// when they have it all:
//
//     {"first": US, "first_last": US, "last": US, "bytes": N}
//
// the first byte of a body at any client and at the last one, and the last byte at
// the last one, in microseconds from when all had asked; and the bytes of all bodies.
// Anything but whole bodies of answers with status 200 is the end.

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEADER_MAX 2048
#define READ_BYTES (256 * 1024)
#define EVENTS 256

enum state { HEADER, BODY, CHUNK_SIZE, CHUNK, DONE };

struct client {
    int fd;
    enum state state;
    char text[HEADER_MAX]; // of a header or a line that is not complete
    size_t n;
    uint64_t left; // of the body, or of the chunk and its line end
    bool last;     // chunk
    uint64_t bytes;
    int64_t first_us, end_us; // 0 before
};

static void fail(const char *what)
{
    fprintf(stderr, "herd: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

// ---- one answer

static void take_header(struct client *c)
{
    if (strncmp(c->text, "HTTP/1.1 200 ", 13) != 0)
        fail(c->text);
    const char *const length = strcasestr(c->text, "\r\nContent-Length:");
    c->state = length ? BODY : CHUNK_SIZE;
    c->left = length ? strtoull(length + 17, NULL, 10) : 0;
    c->bytes = c->left;
    if (length && c->left == 0)
        c->state = DONE;
}

static void take_size(struct client *c)
{
    const uint64_t n = strtoull(c->text, NULL, 16);
    c->state = CHUNK;
    c->last = n == 0;
    c->left = n + 2;
    c->bytes += n;
}

// Takes one byte of a header or a line.
static void take_text(struct client *c, char byte)
{
    if (c->n + 1 == sizeof c->text)
        fail("a header is too long");
    c->text[c->n++] = byte;
    c->text[c->n] = '\0';
    const char *const end = c->state == HEADER ? "\r\n\r\n" : "\r\n";
    const size_t length = strlen(end);
    if (c->n < length || memcmp(c->text + c->n - length, end, length) != 0)
        return;
    c->n = 0;
    if (c->state == HEADER)
        take_header(c);
    else
        take_size(c);
}

// Takes some of n bytes of a body; returns how many.
static size_t take_body(struct client *c, size_t n)
{
    const size_t taken = n < c->left ? n : (size_t)c->left;
    c->left -= taken;
    if (c->left == 0)
        c->state = c->state == BODY || c->last ? DONE : CHUNK_SIZE;
    return taken;
}

static void take(struct client *c, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n;) {
        if (c->state == DONE)
            fail("more than was asked for");
        if (c->state == HEADER) {
            take_text(c, bytes[i++]);
            continue;
        }
        c->first_us = c->first_us ? c->first_us : now_us();
        if (c->state == CHUNK_SIZE)
            take_text(c, bytes[i++]);
        else
            i += take_body(c, n - i);
    }
    if (c->state == DONE)
        c->end_us = now_us();
}

// ---- all of them

static void connect_all(struct client *clients, int count, uint16_t port, int events)
{
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_port = htons(port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    for (int i = 0; i < count; i++) {
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = &clients[i] };
        clients[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (clients[i].fd < 0 ||
            connect(clients[i].fd, (const struct sockaddr *)&to, sizeof to) < 0 ||
            epoll_ctl(events, EPOLL_CTL_ADD, clients[i].fd, &e) < 0)
            fail("connecting");
    }
}

static void ask_all(struct client *clients, int count, const char *request)
{
    const size_t n = strlen(request);
    for (int i = 0; i < count; i++) {
        clients[i] = (struct client){ .fd = clients[i].fd };
        if (send(clients[i].fd, request, n, MSG_NOSIGNAL) != (ssize_t)n)
            fail("asking");
    }
}

static void read_all(int count, int events)
{
    static char bytes[READ_BYTES];
    struct epoll_event ready[EVENTS];
    for (int done = 0; done < count;) {
        const int n = epoll_wait(events, ready, EVENTS, 60000);
        if (n <= 0)
            fail("waiting");
        for (int i = 0; i < n; i++) {
            struct client *const c = ready[i].data.ptr;
            const ssize_t got = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
            if (got <= 0)
                fail(c->state == HEADER ? "closed before an answer" : "an answer was cut");
            take(c, bytes, (size_t)got);
            done += c->state == DONE;
        }
    }
}

static void report(const struct client *clients, int count, int64_t asked_us)
{
    int64_t first = INT64_MAX, first_last = 0, last = 0;
    uint64_t bytes = 0;
    for (const struct client *c = clients; c < clients + count; c++) {
        first = c->first_us < first ? c->first_us : first;
        first_last = c->first_us > first_last ? c->first_us : first_last;
        last = c->end_us > last ? c->end_us : last;
        bytes += c->bytes;
    }
    printf("{\"first\": %" PRId64 ", \"first_last\": %" PRId64 ", \"last\": %" PRId64
           ", \"bytes\": %" PRIu64 "}\n",
           first - asked_us, first_last - asked_us, last - asked_us, bytes);
}

static void raise_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    char path[1024], request[1100];
    const int count = argc == 3 ? atoi(argv[2]) : 0;
    struct client *const clients = calloc(count > 0 ? (size_t)count : 1, sizeof *clients);
    const int events = epoll_create1(EPOLL_CLOEXEC);
    if (count < 1 || !clients || events < 0)
        fail("usage: herd PORT CLIENTS");
    raise_limit();
    setvbuf(stdout, NULL, _IOLBF, 0);
    connect_all(clients, count, (uint16_t)atoi(argv[1]), events);
    puts("connected");
    while (fgets(path, sizeof path, stdin)) {
        path[strcspn(path, "\n")] = '\0';
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
        ask_all(clients, count, request);
        const int64_t asked_us = now_us();
        puts("asked");
        read_all(count, events);
        report(clients, count, asked_us);
    }
    return 0;
}
