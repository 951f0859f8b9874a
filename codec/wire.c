// SPDX-License-Identifier: BSD-2-Clause
//
// Framing only: what a message means is checked by who takes it.  The length is
// held against the type as soon as the four bytes of the head are there, so
// nobody can make the other side allocate more than the largest message of that
// type.

#include "codec/wire.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "base/err.h"

#define HEAD 4

static const struct {
    size_t min, max;
} lengths[WIRE_TYPES] = {
    [WIRE_HELLO] = { 4, 4 + WIRE_TEXT_MAX },
    [WIRE_JOB] = { 1, WIRE_JOB_MAX },
    [WIRE_READ] = { 16, 16 },
    [WIRE_DATA] = { 8, 8 + WIRE_READ_MAX },
    [WIRE_APPEND] = { 2, 1 + WIRE_APPEND_MAX },
    [WIRE_DONE] = { 1, WIRE_STATS_MAX },
    [WIRE_FAIL] = { 4, 4 + WIRE_TEXT_MAX },
    [WIRE_CANCEL] = { 0, 0 },
    [WIRE_LOG] = { 1, 1 + WIRE_LINE_MAX },
    [WIRE_WANT] = { 16, 16 },
    [WIRE_JOIN] = { 1, WIRE_RUNG_MAX },
    [WIRE_JOINED] = { 2, 2 },
    [WIRE_DROP] = { 1, 1 },
    [WIRE_END] = { 1, 1 },
};

static bool length_fits(int type, size_t n)
{
    return type > 0 && type < WIRE_TYPES && n >= lengths[type].min && n <= lengths[type].max;
}

void wire_message_init(struct wire_message *m)
{
    *m = (struct wire_message){ 0 };
    buf_init(&m->payload, WIRE_JOB_MAX);
}

void wire_message_finish(struct wire_message *m)
{
    buf_finish(&m->payload);
}

// ---- sending

static void write_head(uint8_t *head, enum wire_type type, size_t n)
{
    head[0] = (uint8_t)type;
    head[1] = (uint8_t)(n >> 16);
    head[2] = (uint8_t)(n >> 8);
    head[3] = (uint8_t)n;
}

// Takes n sent bytes off the front of the pieces.
static void advance(struct iovec *piece, size_t count, size_t n)
{
    for (size_t i = 0; i < count; i++) {
        const size_t take = n < piece[i].iov_len ? n : piece[i].iov_len;
        piece[i].iov_base = (uint8_t *)piece[i].iov_base + take;
        piece[i].iov_len -= take;
        n -= take;
    }
}

int wire_send(int fd, enum wire_type type, const void *a, size_t na, const void *b, size_t nb)
{
    if (na > WIRE_JOB_MAX || nb > WIRE_JOB_MAX || !length_fits(type, na + nb))
        return -E_LIMITS;
    uint8_t head[HEAD];
    write_head(head, type, na + nb);
    struct iovec piece[] = { { head, HEAD }, { (void *)a, na }, { (void *)b, nb } };
    for (size_t left = HEAD + na + nb; left > 0;) {
        const struct msghdr msg = { .msg_iov = piece, .msg_iovlen = countof(piece) };
        const ssize_t n = sendmsg(fd, &msg, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -E_WORKER;
        advance(piece, countof(piece), (size_t)n);
        left -= (size_t)n;
    }
    return 0;
}

void wire_out_init(struct wire_out *o)
{
    *o = (struct wire_out){ 0 };
    buf_init(&o->bytes, WIRE_JOB_MAX + WIRE_READ_MAX + 1024);
}

void wire_out_finish(struct wire_out *o)
{
    buf_finish(&o->bytes);
}

bool wire_out_empty(const struct wire_out *o)
{
    return o->sent == o->bytes.len;
}

int wire_out_put(struct wire_out *o, enum wire_type type, const void *a, size_t na, const void *b,
                 size_t nb)
{
    if (na > WIRE_JOB_MAX || nb > WIRE_JOB_MAX || !length_fits(type, na + nb))
        return -E_LIMITS;
    uint8_t head[HEAD];
    write_head(head, type, na + nb);
    buf_append(&o->bytes, head, HEAD);
    buf_append(&o->bytes, a, na);
    buf_append(&o->bytes, b, nb);
    if (!o->bytes.failed)
        return 0;
    wire_out_finish(o); // what was half sent is lost: the stream is of no more use
    wire_out_init(o);
    return -E_NO_MEMORY;
}

int wire_out_flush(int fd, struct wire_out *o)
{
    while (!wire_out_empty(o)) {
        const ssize_t n =
            send(fd, o->bytes.data + o->sent, o->bytes.len - o->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -E_WORKER;
        o->sent += (size_t)n;
    }
    buf_clear(&o->bytes);
    o->sent = 0;
    return 0;
}

// ---- receiving

// Receives up to n bytes: how many, 0 when there are none yet, or -E_WORKER.
static ssize_t receive_some(int fd, void *to, size_t n)
{
    for (;;) {
        const ssize_t got = recv(fd, to, n, MSG_DONTWAIT);
        if (got > 0)
            return got;
        if (got == 0 || (errno != EINTR && errno != EAGAIN))
            return -E_WORKER;
        if (errno == EAGAIN)
            return 0;
    }
}

// The head is whole: makes room for the payload it announces.
static int begin_payload(struct wire_message *m)
{
    const size_t n = (size_t)m->_head[1] << 16 | (size_t)m->_head[2] << 8 | m->_head[3];
    if (!length_fits(m->_head[0], n))
        return -E_PROTOCOL;
    m->type = (enum wire_type)m->_head[0];
    buf_clear(&m->payload);
    buf_extend(&m->payload, n);
    return m->payload.failed ? -E_NO_MEMORY : 0;
}

int wire_take(int fd, struct wire_message *m)
{
    for (;;) {
        const bool in_head = m->_have < HEAD;
        const size_t whole = in_head ? HEAD : HEAD + m->payload.len;
        if (m->_have == whole) {
            m->_have = 0;
            return 1;
        }
        uint8_t *to = in_head ? m->_head + m->_have : m->payload.data + (m->_have - HEAD);
        const ssize_t n = receive_some(fd, to, whole - m->_have);
        if (n <= 0)
            return (int)n;
        m->_have += (size_t)n;
        const int rc = in_head && m->_have == HEAD ? begin_payload(m) : 0;
        if (rc < 0)
            return rc;
    }
}

// Waits for events on fd until deadline_ms; false when it passed.
static bool wait_for(int fd, int64_t deadline_ms)
{
    for (;;) {
        const int64_t left = deadline_ms == INT64_MAX ? INT_MAX : deadline_ms - clock_ms();
        const int timeout = left < 0 ? 0 : left < INT_MAX ? (int)left : INT_MAX;
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (poll(&p, 1, timeout) > 0)
            return true;
        if (left <= 0)
            return false;
    }
}

int wire_receive(int fd, struct wire_message *m, int64_t deadline_ms)
{
    for (;;) {
        const int rc = wire_take(fd, m);
        if (rc != 0)
            return rc < 0 ? rc : 0;
        if (!wait_for(fd, deadline_ms))
            return -E_TIMEOUT;
    }
}

bool wire_pending(int fd)
{
    return wait_for(fd, 0);
}

// ---- the zygote

int zygote_send(int control, const void *bytes, size_t n, int fd)
{
    struct iovec piece = { (void *)bytes, n };
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof fd)];
    } extra = { 0 };
    struct msghdr msg = { .msg_iov = &piece, .msg_iovlen = 1 };
    if (fd >= 0) {
        msg.msg_control = &extra;
        msg.msg_controllen = sizeof extra.room;
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    ssize_t rc;
    do
        rc = sendmsg(control, &msg, MSG_NOSIGNAL);
    while (rc < 0 && errno == EINTR);
    return rc == (ssize_t)n ? 0 : -E_WORKER;
}

// The descriptor of a received message, or -1.
static int attached(struct msghdr *msg)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    int fd = -1;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

int zygote_receive(int control, void *bytes, size_t n, int *fd)
{
    struct iovec piece = { bytes, n };
    // Room for one descriptor: the kernel closes those that do not fit.
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } extra;
    struct msghdr msg = { .msg_iov = &piece,
                          .msg_iovlen = 1,
                          .msg_control = &extra,
                          .msg_controllen = CMSG_LEN(sizeof(int)) };
    ssize_t rc;
    do
        rc = recvmsg(control, &msg, MSG_CMSG_CLOEXEC);
    while (rc < 0 && errno == EINTR);
    *fd = rc < 0 ? -1 : attached(&msg);
    if (rc == (ssize_t)n && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        return 0;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return -E_WORKER;
}
