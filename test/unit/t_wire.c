// SPDX-License-Identifier: BSD-2-Clause
//
// Framing over real socketpairs: whole, in pieces, wrong, and cut.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/wire.h"

struct link {
    int a, b;
    struct wire_message m;
};

static int setup(void **state)
{
    struct link *l = xcalloc(1, sizeof *l);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return -1;
    l->a = pair[0];
    l->b = pair[1];
    wire_message_init(&l->m);
    *state = l;
    return 0;
}

static int teardown(void **state)
{
    struct link *l = *state;
    close(l->a);
    close(l->b);
    wire_message_finish(&l->m);
    free(l);
    return 0;
}

static void send_raw(int fd, const void *p, size_t n)
{
    assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
}

static void test_there_and_back(void **state)
{
    struct link *l = *state;
    assert_false(wire_pending(l->b));
    assert_int_equal(wire_send(l->a, WIRE_DATA, "12345678", 8, "abc", 3), 0);
    assert_int_equal(wire_send(l->a, WIRE_CANCEL, NULL, 0, NULL, 0), 0);
    assert_int_equal(wire_send(l->a, WIRE_APPEND, "xyz", 3, NULL, 0), 0);
    assert_true(wire_pending(l->b));
    assert_int_equal(wire_receive(l->b, &l->m, INT64_MAX), 0);
    assert_int_equal(l->m.type, WIRE_DATA);
    assert_int_equal(l->m.payload.len, 11);
    assert_memory_equal(l->m.payload.data, "12345678abc", 11);
    assert_int_equal(wire_receive(l->b, &l->m, 0), 0);
    assert_int_equal(l->m.type, WIRE_CANCEL);
    assert_int_equal(l->m.payload.len, 0);
    assert_int_equal(wire_receive(l->b, &l->m, 0), 0);
    assert_int_equal(l->m.type, WIRE_APPEND);
    assert_memory_equal(l->m.payload.data, "xyz", 3);
    assert_false(wire_pending(l->b));
}

static void test_golden_bytes(void **state)
{
    struct link *l = *state;
    uint8_t got[9];
    assert_int_equal(wire_send(l->a, WIRE_FAIL, "\0\0\0\2", 4, "x", 1), 0);
    assert_int_equal(recv(l->b, got, sizeof got, 0), sizeof got);
    assert_memory_equal(got, "\7\0\0\5\0\0\0\2x", sizeof got);
}

// A message that comes byte by byte is not there before its last one, and asking
// in between, with a deadline or without, loses nothing.
static void test_pieces(void **state)
{
    struct link *l = *state;
    static const uint8_t bytes[] = { WIRE_APPEND, 0, 0, 3, 'a', 'b', 'c' };
    for (size_t i = 0; i < sizeof bytes; i++) {
        assert_int_equal(wire_take(l->b, &l->m), 0);
        assert_int_equal(wire_receive(l->b, &l->m, 0), -E_TIMEOUT);
        send_raw(l->a, bytes + i, 1);
    }
    assert_int_equal(wire_take(l->b, &l->m), 1);
    assert_int_equal(l->m.payload.len, 3);
    assert_memory_equal(l->m.payload.data, "abc", 3);
}

static void test_lengths(void **state)
{
    struct link *l = *state;
    static const struct {
        uint8_t head[4];
        int expected; // -E_TIMEOUT: fine, and the payload is waited for
    } cases[] = {
        { { 0, 0, 0, 0 }, -E_PROTOCOL },
        { { WIRE_TYPES, 0, 0, 0 }, -E_PROTOCOL },
        { { 255, 255, 255, 255 }, -E_PROTOCOL },
        { { WIRE_HELLO, 0, 0, 3 }, -E_PROTOCOL },
        { { WIRE_HELLO, 0, 0, 4 }, -E_TIMEOUT },
        { { WIRE_JOB, 0, 0, 0 }, -E_PROTOCOL },
        { { WIRE_JOB, 0xf0, 0, 0 }, -E_TIMEOUT },
        { { WIRE_JOB, 0xf0, 0, 1 }, -E_PROTOCOL },
        { { WIRE_READ, 0, 0, 15 }, -E_PROTOCOL },
        { { WIRE_READ, 0, 0, 17 }, -E_PROTOCOL },
        { { WIRE_DATA, 0, 0, 7 }, -E_PROTOCOL },
        { { WIRE_DATA, 0x10, 0, 8 }, -E_TIMEOUT },
        { { WIRE_DATA, 0x10, 0, 9 }, -E_PROTOCOL },
        { { WIRE_APPEND, 0, 0, 1 }, -E_PROTOCOL },
        { { WIRE_APPEND, 0x10, 0, 1 }, -E_TIMEOUT },
        { { WIRE_APPEND, 0x10, 0, 2 }, -E_PROTOCOL },
        { { WIRE_JOIN, 0, 0, 0 }, -E_PROTOCOL },
        { { WIRE_JOIN, 0, 1, 0x90 }, -E_TIMEOUT },
        { { WIRE_JOIN, 0, 1, 0x91 }, -E_PROTOCOL },
        { { WIRE_JOINED, 0, 0, 1 }, -E_PROTOCOL },
        { { WIRE_DROP, 0, 0, 2 }, -E_PROTOCOL },
        { { WIRE_END, 0, 0, 0 }, -E_PROTOCOL },
        { { WIRE_DONE, 0, 1, 0x91 }, -E_PROTOCOL },
        { { WIRE_FAIL, 0, 0, 3 }, -E_PROTOCOL },
        { { WIRE_CANCEL, 0, 0, 1 }, -E_PROTOCOL },
        { { WIRE_WANT, 0, 0, 15 }, -E_PROTOCOL },
        { { WIRE_LOG, 0, 0, 0 }, -E_PROTOCOL },
        { { WIRE_LOG, 0, 1, 0x91 }, -E_TIMEOUT },
        { { WIRE_LOG, 0, 1, 0x92 }, -E_PROTOCOL },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct wire_message m;
        wire_message_init(&m);
        send_raw(l->a, cases[i].head, 4);
        if (wire_receive(l->b, &m, 0) != cases[i].expected)
            fail_msg("case %zu", i);
        wire_message_finish(&m);
    }
}

static void test_send_refuses(void **state)
{
    struct link *l = *state;
    struct wire_out o;
    wire_out_init(&o);
    static const struct {
        enum wire_type type;
        size_t na, nb;
    } cases[] = {
        { WIRE_CANCEL, 1, 0 },     { WIRE_READ, 15, 0 },
        { WIRE_APPEND, 1, 0 },     { WIRE_APPEND, WIRE_APPEND_MAX, 2 },
        { WIRE_JOB, SIZE_MAX, 2 }, { (enum wire_type)0, 1, 0 },
        { WIRE_TYPES, 1, 0 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        assert_int_equal(wire_send(l->a, cases[i].type, "", cases[i].na, "", cases[i].nb),
                         -E_LIMITS);
        assert_int_equal(wire_out_put(&o, cases[i].type, "", cases[i].na, "", cases[i].nb),
                         -E_LIMITS);
    }
    assert_true(wire_out_empty(&o));
    assert_false(wire_pending(l->b));
    wire_out_finish(&o);
}

static void test_peer_gone(void **state)
{
    struct link *l = *state;
    // In the middle of a message, and before one.
    send_raw(l->a, "\5\0\0\3a", 5);
    shutdown(l->a, SHUT_RDWR);
    assert_true(wire_pending(l->b));
    assert_int_equal(wire_receive(l->b, &l->m, INT64_MAX), -E_WORKER);
    wire_message_finish(&l->m);
    wire_message_init(&l->m);
    assert_int_equal(wire_receive(l->b, &l->m, INT64_MAX), -E_WORKER);
    // Sending must not raise SIGPIPE.
    assert_int_equal(wire_send(l->b, WIRE_CANCEL, NULL, 0, NULL, 0), -E_WORKER);
    struct wire_out o;
    wire_out_init(&o);
    assert_int_equal(wire_out_put(&o, WIRE_CANCEL, NULL, 0, NULL, 0), 0);
    assert_int_equal(wire_out_flush(l->b, &o), -E_WORKER);
    wire_out_finish(&o);
}

// More than the socket holds goes out as it is taken, and arrives whole.
static void test_out(void **state)
{
    struct link *l = *state;
    uint8_t *big = xmalloc(WIRE_APPEND_MAX);
    for (size_t i = 0; i < WIRE_APPEND_MAX; i++)
        big[i] = (uint8_t)(i * 7 + i / 256);
    struct wire_out o;
    wire_out_init(&o);
    assert_int_equal(wire_out_put(&o, WIRE_APPEND, big, WIRE_APPEND_MAX, NULL, 0), 0);
    assert_int_equal(wire_out_put(&o, WIRE_CANCEL, NULL, 0, NULL, 0), 0);
    assert_int_equal(wire_out_flush(l->a, &o), 0);
    assert_false(wire_out_empty(&o)); // nobody has taken anything yet
    int rc, rounds = 0;
    while ((rc = wire_take(l->b, &l->m)) == 0) {
        assert_int_equal(wire_out_flush(l->a, &o), 0);
        rounds++;
    }
    assert_int_equal(rc, 1);
    assert_true(rounds > 1);
    assert_int_equal(l->m.payload.len, WIRE_APPEND_MAX);
    assert_memory_equal(l->m.payload.data, big, WIRE_APPEND_MAX);
    assert_int_equal(wire_out_flush(l->a, &o), 0);
    assert_true(wire_out_empty(&o));
    assert_int_equal(wire_take(l->b, &l->m), 1);
    assert_int_equal(l->m.type, WIRE_CANCEL);
    wire_out_finish(&o);
    free(big);
}

static void test_descriptors(void **state)
{
    (void)state;
    int pair[2], null = open("/dev/null", O_RDONLY), fd = -2;
    char byte = 0, two[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(zygote_send(pair[0], "F", 1, null), 0);
    assert_int_equal(zygote_receive(pair[1], &byte, 1, &fd), 0);
    assert_int_equal(byte, 'F');
    assert_true(fd >= 0 && fd != null);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(fd);
    assert_int_equal(zygote_send(pair[0], "G", 1, -1), 0);
    assert_int_equal(zygote_receive(pair[1], &byte, 1, &fd), 0);
    assert_int_equal(fd, -1);
    // Too short, too long.
    assert_int_equal(zygote_send(pair[0], "H", 1, null), 0);
    assert_int_equal(zygote_receive(pair[1], two, 2, &fd), -E_WORKER);
    assert_int_equal(fd, -1);
    assert_int_equal(zygote_send(pair[0], "IJ", 2, -1), 0);
    assert_int_equal(zygote_receive(pair[1], &byte, 1, &fd), -E_WORKER);
    close(pair[0]);
    assert_int_equal(zygote_receive(pair[1], &byte, 1, &fd), -E_WORKER);
    assert_int_equal(zygote_send(pair[1], "F", 1, -1), -E_WORKER);
    close(pair[1]);
    close(null);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_there_and_back),
        TEST(test_golden_bytes),
        TEST(test_pieces),
        TEST(test_lengths),
        TEST(test_send_refuses),
        TEST(test_peer_gone),
        TEST(test_out),
        TEST(test_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
