// SPDX-License-Identifier: BSD-2-Clause
//
// Against a real redis-server on a free port of the loopback, and against a
// server of our own that says what no Redis would.  Without redis-server the
// tests that need it are skipped.

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/envelope.h"
#include "cache/tier.h"
#include "config/conf.h"
#include "test/unit/counters.h"

enum { PATIENT = 10000, HASTY = 500, NEVER = 600000, SOON = 10 };
enum { BODY = 3000, BODY_MAX = 200000 };

static char folder[] = "/tmp/t_tier_redis.XXXXXX";
static char unix_path[sizeof folder + 16];
static int port;
static pid_t server; // 0: none
static bool no_redis;

// ---- a server

static int listen_somewhere(int *at)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *at = ntohs(a.sin_port);
    return fd;
}

static void become_redis(int out)
{
    char number[16];
    snprintf(number, sizeof number, "%d", port);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execlp("redis-server", "redis-server", "--port", number, "--bind", "127.0.0.1", "--save", "",
           "--appendonly", "no", "--dir", folder, "--unixsocket", unix_path, (char *)NULL);
    _exit(127);
}

// Returns when it accepts connections; false when there is no redis-server.
static bool start(void)
{
    int ends[2];
    char line[1000];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    server = fork();
    if (server == 0)
        become_redis(ends[1]);
    close(ends[1]);
    FILE *f = fdopen(ends[0], "r");
    bool ready = false;
    while (!ready && fgets(line, sizeof line, f))
        ready = strstr(line, "eady to accept connections") != NULL;
    // The pipe stays open, or the server's next line would kill it.
    if (!ready)
        fclose(f);
    return ready;
}

static void stop(void)
{
    if (server <= 0)
        return;
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    server = 0;
}

// Sends a command as it stands and returns the first line of the answer.
static const char *ask(const char *command)
{
    static char answer[500];
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port) };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(write(fd, command, strlen(command)), strlen(command));
    assert_int_equal(write(fd, "\r\n", 2), 2);
    FILE *f = fdopen(fd, "r");
    assert_non_null(fgets(answer, sizeof answer, f));
    fclose(f);
    answer[strcspn(answer, "\r")] = '\0';
    return answer;
}

// ---- a tier

static char secret[100];

static struct tier *tier_at(const char *url, int timeout, int retry)
{
    struct conf conf = {
        .redis_url = (char *)(uintptr_t)url,
        .redis_prefix = (char[]){ "t:" },
        .redis_key = secret,
        .redis_timeout = timeout,
        .redis_retry = retry,
        .redis_object = BODY_MAX,
        .redis_ttl = 3600000,
    };
    char why[300];
    return tier_redis_create(&conf, why, sizeof why);
}

static struct tier *created(int timeout, int retry)
{
    char url[100];
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", port);
    struct tier *t = tier_at(url, timeout, retry);
    assert_non_null(t);
    return t;
}

static struct key name(int i)
{
    return key_of(&i, sizeof i);
}

static void body_of(int i, uint8_t *body)
{
    for (int at = 0; at < BODY; at++)
        body[at] = (uint8_t)(at * 3 + i);
}

static void put(struct tier *t, int i)
{
    const struct key k = name(i);
    uint8_t body[BODY];
    body_of(i, body);
    t->put(t, &k, body, BODY);
}

static int get(struct tier *t, int i)
{
    const struct key k = name(i);
    uint8_t body[BODY];
    struct buf out;
    buf_init(&out, 1 << 20);
    buf_puts(&out, "what was in there before");
    const int err = t->get(t, &k, &out);
    if (err == 0) {
        body_of(i, body);
        assert_int_equal(out.len, BODY);
        assert_memory_equal(out.data, body, BODY);
    } else {
        assert_int_equal(out.len, 0);
    }
    buf_finish(&out);
    return err;
}

static const char *ask_about(const char *command, int i)
{
    char line[200], hex[KEY_HEX];
    const struct key k = name(i);
    snprintf(line, sizeof line, "%s t:%s", command, key_hex(&k, hex));
    return ask(line);
}

// Until the breaker lets a command through, and it succeeds.
static int get_in_the_end(struct tier *t, int i)
{
    for (int n = 0; n < 10000; n++) {
        const int err = get(t, i);
        if (err == 0 || err == -E_NOT_FOUND)
            return err;
        poll(NULL, 0, 1);
    }
    return -E_TIMEOUT;
}

static int setup(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    if (server == 0)
        no_redis = !start();
    if (no_redis)
        skip();
    assert_string_equal(ask("FLUSHALL"), "+OK");
    mark_counters();
    return 0;
}

static void objects_come_back(void **state)
{
    (void)state;
    struct tier *t = created(PATIENT, NEVER);
    struct tier *neighbour = created(PATIENT, NEVER);
    assert_string_equal(t->name, "redis");
    assert_int_equal(get(t, 1), -E_NOT_FOUND);
    for (int i = 0; i < 20; i++)
        put(t, i);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(get(t, i), 0);
        assert_int_equal(get(neighbour, i), 0);
    }
    const long ttl = atol(ask_about("PTTL", 1) + 1);
    assert_true(ttl > 3000000 && ttl <= 3600000);
    const struct key k = name(3);
    t->drop(t, &k);
    assert_int_equal(get(neighbour, 3), -E_NOT_FOUND);
    assert_string_equal(ask("DBSIZE"), ":19");
    ask("FLUSHALL");
    assert_int_equal(get(t, 1), -E_NOT_FOUND);
    put(t, 1);
    assert_int_equal(get(t, 1), 0);
    assert_int_equal(since(STAT_redis_errors_total), 0);
    assert_int_equal(since(STAT_cache_corrupt_total), 0);
    t->destroy(t);
    neighbour->destroy(neighbour);
}

static void sizes_of_all_kinds(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 16384, BODY_MAX, BODY_MAX + 1 };
    struct tier *t = created(PATIENT, NEVER);
    uint8_t *body = xcalloc(1, BODY_MAX + 1);
    for (size_t i = 0; i < countof(sizes); i++) {
        const struct key k = name((int)i);
        const bool kept = sizes[i] <= BODY_MAX;
        struct buf out;
        body[0] = '\r';
        body[sizes[i] / 2] = (uint8_t)i;
        t->put(t, &k, body, sizes[i]);
        buf_init(&out, sizes[i]);
        assert_int_equal(t->get(t, &k, &out), kept ? 0 : -E_NOT_FOUND);
        assert_int_equal(out.len, kept ? sizes[i] : 0);
        assert_true(out.len == 0 || memcmp(out.data, body, out.len) == 0);
        buf_finish(&out);
        buf_init(&out, sizes[i] / 2);
        if (kept && sizes[i])
            assert_int_equal(t->get(t, &k, &out), -E_LIMITS);
        buf_finish(&out);
    }
    assert_int_equal(since(STAT_cache_corrupt_total), 0);
    free(body);
    t->destroy(t);
}

static void a_url_says_where(void **state)
{
    (void)state;
    char url[200];
    ask("CONFIG SET requirepass pa@s/s");
    snprintf(url, sizeof url, "redis://:pa%%40s%%2fs@127.0.0.1:%d/3", port);
    struct tier *t = tier_at(url, PATIENT, NEVER);
    put(t, 1);
    assert_int_equal(get(t, 1), 0);
    t->destroy(t);
    snprintf(url, sizeof url, "redis://default:pa@s%%2Fs@127.0.0.1:%d/3", port);
    t = tier_at(url, PATIENT, NEVER);
    assert_int_equal(get(t, 1), 0);
    t->destroy(t);
    assert_int_equal(since(STAT_redis_errors_total), 0);

    snprintf(url, sizeof url, "redis://:wrong@127.0.0.1:%d/3", port);
    t = tier_at(url, PATIENT, NEVER);
    assert_true(get(t, 1) < 0);
    assert_int_equal(stat_get(STAT_redis_breaker_open), 1);
    t->destroy(t);
    t = created(PATIENT, NEVER);
    assert_true(get(t, 1) < 0);
    t->destroy(t);
    stop();
    assert_true(start());

    snprintf(url, sizeof url, "unix:%s", unix_path);
    t = tier_at(url, PATIENT, NEVER);
    put(t, 1);
    assert_int_equal(get(t, 1), 0);
    t->destroy(t);
    assert_string_equal(ask("DBSIZE"), ":1");
    snprintf(url, sizeof url, "redis://127.0.0.1:%d/99", port); // no such database
    t = tier_at(url, PATIENT, NEVER);
    put(t, 2);
    assert_true(get(t, 2) < 0);
    t->destroy(t);
    assert_string_equal(ask("DBSIZE"), ":1");
}

// ---- rubbish

static void set_raw(int i, const void *value, size_t n)
{
    struct buf b;
    char hex[KEY_HEX];
    const struct key k = name(i);
    const struct sockaddr_in a = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)port) };
    char ok[5];
    buf_init(&b, 1 << 20);
    buf_printf(&b, "*3\r\n$3\r\nSET\r\n$34\r\nt:%s\r\n$%zu\r\n", key_hex(&k, hex), n);
    buf_append(&b, value, n);
    buf_puts(&b, "\r\n");
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(write(fd, b.data, b.len), b.len);
    assert_int_equal(recv(fd, ok, sizeof ok, MSG_WAITALL), sizeof ok);
    assert_memory_equal(ok, "+OK\r\n", sizeof ok);
    close(fd);
    buf_finish(&b);
}

static void expect_removed(struct tier *t, int i)
{
    mark_counters();
    assert_int_equal(get(t, i), -E_NOT_FOUND);
    assert_int_equal(since(STAT_cache_corrupt_total), 1);
    assert_int_equal(since(STAT_redis_errors_total), 0);
    while (strcmp(ask_about("EXISTS", i), ":0") != 0)
        poll(NULL, 0, 1);
    put(t, i);
    assert_int_equal(get(t, i), 0);
}

static void rubbish_is_noticed_and_removed(void **state)
{
    (void)state;
    struct tier *t = created(PATIENT, NEVER);
    uint8_t *value = xcalloc(1, ENVELOPE_SIZE + BODY_MAX + 10);
    const struct key one = name(1), two = name(2);

    // Cut, or with more behind it.
    static const size_t sizes[] = { 1,
                                    ENVELOPE_SIZE - 1,
                                    ENVELOPE_SIZE,
                                    ENVELOPE_SIZE + BODY - 1,
                                    ENVELOPE_SIZE + BODY + 1,
                                    ENVELOPE_SIZE + BODY_MAX + 10 };
    body_of(1, value + ENVELOPE_SIZE);
    envelope_seal(value, &one, value + ENVELOPE_SIZE, BODY);
    for (size_t i = 0; i < countof(sizes); i++) {
        set_raw(1, value, sizes[i]);
        expect_removed(t, 1);
    }
    for (int bit = 0; bit < 8 * (ENVELOPE_SIZE + BODY); bit += 997) {
        value[bit / 8] ^= (uint8_t)(1 << bit % 8);
        set_raw(1, value, ENVELOPE_SIZE + BODY);
        expect_removed(t, 1);
        value[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    // Whole and well, but of another key, and longer than one may be.
    envelope_seal(value, &two, value + ENVELOPE_SIZE, BODY);
    set_raw(1, value, ENVELOPE_SIZE + BODY);
    expect_removed(t, 1);
    envelope_seal(value, &one, value + ENVELOPE_SIZE, BODY_MAX + 1);
    set_raw(1, value, ENVELOPE_SIZE + BODY_MAX + 1);
    expect_removed(t, 1);

    ask_about("DEL", 1);
    assert_string_equal(ask_about("HSET", 1), "-ERR wrong number of arguments for 'hset' command");
    char hex[KEY_HEX], line[100];
    snprintf(line, sizeof line, "RPUSH t:%s a b", key_hex(&one, hex));
    assert_string_equal(ask(line), ":2");
    expect_removed(t, 1);
    free(value);
    t->destroy(t);
}

// Whoever may write to Redis, but does not know the secret, is not believed.
static void only_the_secret_opens(void **state)
{
    (void)state;
    struct tier *open = created(PATIENT, NEVER);
    strcpy(secret, "one for the both of us");
    struct tier *t = created(PATIENT, NEVER), *friend = created(PATIENT, NEVER);
    strcpy(secret, "one of somebody else's");
    struct tier *stranger = created(PATIENT, NEVER);
    secret[0] = '\0';

    put(t, 1);
    assert_int_equal(get(friend, 1), 0);
    struct tier *const liars[] = { stranger, open };
    for (size_t i = 0; i < countof(liars); i++) {
        put(liars[i], 1);
        assert_int_equal(get(liars[i], 1), 0);
        expect_removed(t, 1);
        assert_int_equal(get(friend, 1), 0);
        mark_counters();
        assert_int_equal(get(liars[i], 1), -E_NOT_FOUND);
        assert_int_equal(since(STAT_cache_corrupt_total), 1);
        while (strcmp(ask_about("EXISTS", 1), ":0") != 0)
            poll(NULL, 0, 1);
    }
    t->destroy(t);
    friend->destroy(friend);
    stranger->destroy(stranger);
    open->destroy(open);
}

// ---- outages

static void an_absent_redis_is_left_alone(void **state)
{
    (void)state;
    stop();
    struct tier *t = created(PATIENT, NEVER);
    assert_true(get(t, 1) < 0);
    assert_int_equal(since(STAT_redis_errors_total), 1);
    assert_int_equal(stat_get(STAT_redis_breaker_open), 1);
    const struct key k = name(1);
    for (int i = 0; i < 20; i++) {
        assert_true(get(t, 1) < 0);
        put(t, 1);
        t->drop(t, &k);
    }
    assert_int_equal(since(STAT_redis_errors_total), 1);
    t->destroy(t);
    assert_true(start());
}

static void a_killed_redis_comes_back(void **state)
{
    (void)state;
    struct tier *t = created(PATIENT, SOON);
    put(t, 1);
    assert_int_equal(get(t, 1), 0);
    stop();
    assert_true(get(t, 1) < 0);
    assert_int_equal(stat_get(STAT_redis_breaker_open), 1);
    assert_true(start());
    assert_int_equal(get_in_the_end(t, 1), -E_NOT_FOUND);
    assert_int_equal(stat_get(STAT_redis_breaker_open), 0);
    put(t, 1);
    assert_int_equal(get(t, 1), 0);
    t->destroy(t);
}

// Connections that died while nobody asked are no failure.
static void a_restart_between_two_commands_is_not_noticed(void **state)
{
    (void)state;
    struct tier *t = created(PATIENT, NEVER);
    for (int i = 0; i < 20; i++)
        put(t, i);
    stop();
    assert_true(start());
    for (int i = 0; i < 20; i++)
        assert_int_equal(get(t, i), -E_NOT_FOUND);
    assert_int_equal(since(STAT_redis_errors_total), 0);
    t->destroy(t);
}

static void a_paused_redis_costs_one_timeout(void **state)
{
    (void)state;
    struct tier *t = created(HASTY, NEVER);
    struct tier *eager = created(HASTY, SOON);
    while (get_in_the_end(eager, 1) != 0)
        put(eager, 1);
    assert_int_equal(get_in_the_end(t, 1), 0);
    mark_counters();
    kill(server, SIGSTOP);
    assert_true(get(t, 1) < 0);
    assert_int_equal(since(STAT_redis_errors_total), 1);
    for (int i = 0; i < 20; i++) {
        assert_true(get(t, 1) < 0);
        put(t, 1);
    }
    assert_int_equal(since(STAT_redis_errors_total), 1);
    put(eager, 1);
    assert_true(get(eager, 1) < 0);
    kill(server, SIGCONT);
    assert_int_equal(get_in_the_end(eager, 1), 0);
    assert_int_equal(stat_get(STAT_redis_breaker_open), 0);
    eager->destroy(eager);
    t->destroy(t);
}

static void a_refusal_is_no_outage(void **state)
{
    (void)state;
    struct tier *t = created(PATIENT, NEVER);
    put(t, 1);
    ask("REPLICAOF 127.0.0.1 1");
    put(t, 2);
    assert_int_equal(since(STAT_redis_errors_total), 1);
    assert_int_equal(stat_get(STAT_redis_breaker_open), 0);
    assert_int_equal(get(t, 1), 0);
    assert_int_equal(get(t, 2), -E_NOT_FOUND);
    ask("REPLICAOF NO ONE");
    put(t, 2);
    assert_int_equal(get(t, 2), 0);
    t->destroy(t);
}

enum { THREADS = 4, KEYS = 12, ROUNDS = 300 };

static void *visit(void *arg)
{
    struct tier *t = arg;
    unsigned seed = (unsigned)(uintptr_t)pthread_self();
    for (int n = 0; n < ROUNDS; n++) {
        const int i = rand_r(&seed) % KEYS;
        const struct key k = name(i);
        const int what = rand_r(&seed) % 8;
        if (what == 0)
            t->drop(t, &k);
        else if (what < 4)
            put(t, i);
        else
            get(t, i); // checks the body itself
    }
    return NULL;
}

static void visit_together(struct tier *t)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = thread_start("visitor", visit, t);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void threads_agree(void **state)
{
    (void)state;
    struct tier *t = created(PATIENT, NEVER);
    visit_together(t);
    assert_int_equal(since(STAT_redis_errors_total), 0);
    assert_int_equal(since(STAT_cache_corrupt_total), 0);
    t->destroy(t);
    // With a timeout that now and then passes while a command is under way.
    t = created(1, 1);
    visit_together(t);
    assert_int_equal(since(STAT_cache_corrupt_total), 0);
    t->destroy(t);
}

// ---- a server that says what no Redis would

struct liar {
    int listener;
    int stop[2];
    const char *answer; // to whatever is asked; NULL: a value that comes drop by drop
    size_t repeat;      // the answer's last byte
    pthread_t thread;
};

static void say(const struct liar *s, int fd)
{
    for (const char *p = s->answer; *p; p++)
        if (send(fd, p, 1, MSG_NOSIGNAL) < 0)
            return;
    char more[4096];
    memset(more, s->answer[strlen(s->answer) - 1], sizeof more);
    for (size_t n = 0; n < s->repeat; n += sizeof more)
        if (send(fd, more, sizeof more, MSG_NOSIGNAL) < 0)
            return;
}

static void *lie(void *arg)
{
    enum { MAX = 30 };
    const struct liar *s = arg;
    struct pollfd p[MAX] = { { .fd = s->stop[0], .events = POLLIN },
                             { .fd = s->listener, .events = POLLIN } };
    bool asked[MAX] = { 0 };
    char question[65536];
    nfds_t n = 2;
    while (poll(p, n, s->answer ? -1 : 5) >= 0 && !p[0].revents) {
        if (p[1].revents && n < MAX)
            p[n++] = (struct pollfd){ .fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC),
                                      .events = POLLIN };
        for (nfds_t i = 2; i < n; i++) {
            if (!s->answer && asked[i])
                send(p[i].fd, "x", 1, MSG_NOSIGNAL);
            if (!(p[i].revents & (POLLIN | POLLHUP)))
                continue;
            if (recv(p[i].fd, question, sizeof question, 0) <= 0)
                p[i].events = 0, shutdown(p[i].fd, SHUT_RDWR);
            else if (s->answer && *s->answer)
                say(s, p[i].fd);
            else if (s->answer)
                shutdown(p[i].fd, SHUT_RDWR);
            else
                asked[i] = send(p[i].fd, "$100000\r\n", 9, MSG_NOSIGNAL) > 0;
        }
    }
    for (nfds_t i = 2; i < n; i++)
        close(p[i].fd);
    return NULL;
}

static struct tier *lied_to(struct liar *s, int timeout)
{
    char url[100];
    int at;
    s->listener = listen_somewhere(&at);
    assert_int_equal(pipe2(s->stop, O_CLOEXEC), 0);
    s->thread = thread_start("liar", lie, s);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", at);
    mark_counters();
    return tier_at(url, timeout, NEVER);
}

static void end_lies(struct liar *s)
{
    close(s->stop[1]);
    pthread_join(s->thread, NULL);
    close(s->stop[0]);
    close(s->listener);
}

static void lies_are_survived(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        size_t repeat;
        int err, corrupt, errors, open;
    } t[] = {
        { "$5\r\nhello\r\n", 0, -E_NOT_FOUND, 1, 0, 0 },
        { "$0\r\n\r\n", 0, -E_NOT_FOUND, 0, 0, 0 },
        { "$-1\r\n", 0, -E_IO, 0, 1, 0 },
        { "+OK\r\n", 0, -E_IO, 0, 1, 0 },
        { ":1\r\n", 0, -E_IO, 0, 1, 0 },
        { "-LOADING patience\r\n", 0, -E_IO, 0, 1, 0 },
        { "-\r\n", 0, -E_IO, 0, 1, 0 },
        { "*2147483000\r\n", 0, -E_PROTOCOL, 0, 1, 1 },
        { "*1\r\n*1\r\n*1\r\n", 0, -E_PROTOCOL, 0, 1, 1 },
        { "HTTP/1.1 400 Bad Request\r\n", 0, -E_PROTOCOL, 0, 1, 1 },
        { "$-2\r\n", 0, -E_PROTOCOL, 0, 1, 1 },
        { "$1000000000\r\nx", 3 * BODY_MAX, -E_PROTOCOL, 0, 1, 1 },
        { "+x", 3 * BODY_MAX, -E_PROTOCOL, 0, 1, 1 },
        { "", 0, -E_IO, 0, 1, 1 },
    };
    for (size_t i = 0; i < countof(t); i++) {
        struct liar s = { .answer = t[i].answer, .repeat = t[i].repeat };
        struct tier *tier = lied_to(&s, PATIENT);
        assert_int_equal(get(tier, 1), t[i].err);
        assert_int_equal(since(STAT_cache_corrupt_total), t[i].corrupt);
        // The deletion of what was damaged may have met the same answer by now.
        if (!t[i].corrupt)
            assert_int_equal(since(STAT_redis_errors_total), t[i].errors);
        assert_int_equal(stat_get(STAT_redis_breaker_open), t[i].open);
        put(tier, 1);
        tier->destroy(tier);
        end_lies(&s);
    }
}

static void slow_bytes_do_not_stretch_the_timeout(void **state)
{
    (void)state;
    struct liar s = { .answer = NULL };
    struct tier *t = lied_to(&s, HASTY);
    // At a byte in 5 ms this would take eight minutes.
    alarm(60);
    assert_int_equal(get(t, 1), -E_TIMEOUT);
    assert_int_equal(since(STAT_redis_errors_total), 1);
    assert_int_equal(stat_get(STAT_redis_breaker_open), 1);
    t->destroy(t);
    alarm(0);
    end_lies(&s);
}

static void urls_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool good;
    } t[] = {
        { "redis://h", true },
        { "redis://h/", true },
        { "redis://h:1", true },
        { "redis://h:65535/15", true },
        { "redis://[::1]", true },
        { "redis://[::1]:6379/0", true },
        { "redis://:p@h", true },
        { "redis://u:p@h:1/2", true },
        { "redis://u:p:q@r@h", true },
        { "unix:/run/redis.sock", true },
        { "unix:///run/redis.sock", true },
        { "", false },
        { "redis:", false },
        { "redis://", false },
        { "redis:///0", false },
        { "redis://:1", false },
        { "redis://h:", false },
        { "redis://h:0", false },
        { "redis://h:65536", false },
        { "redis://h:99999999999", false },
        { "redis://h:6379x", false },
        { "redis://h/x", false },
        { "redis://h/-1", false },
        { "redis://h/1/2", false },
        { "redis://[::1", false },
        { "redis://[]", false },
        { "redis://[::1]6379", false },
        { "redis://secret@h", false },
        { "redis://:p%@h", false },
        { "redis://:p%4@h", false },
        { "redis://:p%zz@h", false },
        { "redis://:p%00@h", false },
        { "redis://h%00", false },
        { "rediss://h", false },
        { "http://h", false },
        { "unix:", false },
        { "unix:run", false },
    };
    for (size_t i = 0; i < countof(t); i++) {
        struct tier *tier = tier_at(t[i].url, HASTY, NEVER);
        if (!tier != !t[i].good)
            fail_msg("%s", t[i].url);
        if (tier)
            tier->destroy(tier);
    }
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(unix_path, sizeof unix_path, "%s/socket", folder);
    close(listen_somewhere(&port));
#define T(test) cmocka_unit_test_setup(test, setup)
    const struct CMUnitTest tests[] = {
        T(objects_come_back),
        T(sizes_of_all_kinds),
        T(a_url_says_where),
        T(rubbish_is_noticed_and_removed),
        T(only_the_secret_opens),
        T(an_absent_redis_is_left_alone),
        T(a_killed_redis_comes_back),
        T(a_restart_between_two_commands_is_not_noticed),
        T(a_paused_redis_costs_one_timeout),
        T(a_refusal_is_no_outage),
        T(threads_agree),
        cmocka_unit_test(lies_are_survived),
        cmocka_unit_test(slow_bytes_do_not_stretch_the_timeout),
        cmocka_unit_test(urls_are_checked),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    stop();
    unlink(unix_path);
    rmdir(folder);
    return failed;
}
