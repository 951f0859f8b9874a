// SPDX-License-Identifier: BSD-2-Clause
//
// Options are set on the listening socket, from which accepted ones inherit
// them, rather than once per connection.

#include "server/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"

#define BACKLOG 1024
// Large enough that a segment goes out in a few writes, small enough that a slow
// reader does not hold megabytes of kernel memory.
#define SEND_BUFFER ((int)(256 * KIB))

static int refuse(int fd, const char *address, const char *what, char *why, size_t cap)
{
    snprintf(why, cap, "cannot listen on %s: %s", address, what);
    if (fd >= 0)
        close(fd);
    return -1;
}

static int start(int fd, const struct sockaddr *a, socklen_t len)
{
    const int on = 1, off = 0, send = SEND_BUFFER;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof send);
    if (a->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off); // [::] is everybody
    return bind(fd, a, len) < 0 || listen(fd, BACKLOG) < 0 ? -1 : 0;
}

// ---- unix:PATH

// Whether a is the file of a socket that nobody listens on.
static bool is_stale(const struct sockaddr_un *a)
{
    struct stat st;
    if (lstat(a->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool stale =
        fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof *a) < 0 && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return stale;
}

static int open_unix(const char *address, char *bound, char *why, size_t cap)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const char *const path = address + strlen("unix:");
    if (!*path || !copy_string(a.sun_path, sizeof a.sun_path, path))
        return refuse(-1, address, "the path must have 1 to 107 bytes", why, cap);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return refuse(fd, address, strerror(errno), why, cap);
    if (is_stale(&a))
        unlink(path);
    if (start(fd, (const struct sockaddr *)&a, sizeof a) < 0)
        return refuse(fd, address, strerror(errno), why, cap);
    snprintf(bound, LISTEN_ADDRESS_MAX, "unix:%s", path);
    return fd;
}

// ---- ADDR:PORT

static bool split(const char *address, char host[128], char port[8])
{
    const char *const colon = strrchr(address, ':');
    if (!colon || !copy_string(port, 8, colon + 1) || !*port)
        return false;
    if (strspn(port, "0123456789") != strlen(port) || atoi(port) > 65535)
        return false;
    size_t n = (size_t)(colon - address);
    if (n >= 2 && address[0] == '[' && colon[-1] == ']') {
        address++;
        n -= 2;
    } else if (memchr(address, ':', n)) {
        return false; // an IPv6 address without its brackets
    }
    if (n == 0 || n >= 128)
        return false;
    memcpy(host, address, n);
    host[n] = '\0';
    return true;
}

static void print_bound(int fd, char *bound)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    char host[INET6_ADDRSTRLEN] = "";
    getsockname(fd, (struct sockaddr *)&a, &len);
    if (a.ss_family == AF_INET6) {
        const struct sockaddr_in6 *const in6 = (const struct sockaddr_in6 *)&a;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(bound, LISTEN_ADDRESS_MAX, "[%s]:%d", host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *const in = (const struct sockaddr_in *)&a;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(bound, LISTEN_ADDRESS_MAX, "%s:%d", host, ntohs(in->sin_port));
    }
}

static int open_ip(const char *address, char *bound, char *why, size_t cap)
{
    char host[128], port[8];
    struct addrinfo *found = NULL;
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    if (!split(address, host, port))
        return refuse(-1, address, "it must be ADDR:PORT, [ADDR6]:PORT or unix:PATH", why, cap);
    const int err = getaddrinfo(host, port, &hints, &found);
    if (err)
        return refuse(-1, address, gai_strerror(err), why, cap);
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || start(fd, found->ai_addr, found->ai_addrlen) < 0)
        fd = refuse(fd, address, strerror(errno), why, cap);
    else
        print_bound(fd, bound);
    freeaddrinfo(found);
    return fd;
}

int listen_open(const char *address, char *bound, char *why, size_t cap)
{
    if (strncmp(address, "unix:", 5) == 0)
        return open_unix(address, bound, why, cap);
    return open_ip(address, bound, why, cap);
}

void listen_clean(const char *bound)
{
    if (strncmp(bound, "unix:", 5) == 0)
        unlink(bound + 5);
}
