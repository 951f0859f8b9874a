// SPDX-License-Identifier: BSD-2-Clause
//
// The Redis tier: one string per object, an envelope (cache/envelope.h), with
// redis.key a MAC, and the body, under PREFIX<32 hex>, with a time to live.  The
// only door to hiredis.
//
// Redis is an accelerator that may vanish at any instant, so nobody waits for
// it longer than redis.timeout, connecting included.  hiredis bounds single reads
// and writes only, and the looking-up of a name not at all.  So the talking is
// done by two threads, one connection each, that use hiredis as a non-blocking
// parser and poll(2) against one deadline per command; a caller hands them a
// command and waits.  When the deadline passes in get, the command is orphaned:
// the thread frees it when it comes back.  put and drop wait for their thread
// (the body is the caller's), which exceeds the deadline only while a name is
// looked up.
//
// The breaker: a timeout or a broken connection opens it, and then Redis is left
// alone for redis.retry; after that one command at a time tries, until one gets
// through.  A server that answers, if only by an error, is not broken.
//
// What comes out is checked like a file: a reply longer than an object may be,
// of another type, with another checksum or without the right MAC is dropped,
// counted and deleted.
// Arrays, which no command of ours yields, are refused while they are parsed.

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/envelope.h"
#include "cache/tier.h"
#include "config/conf.h"

#define THREADS 2
#define QUEUE 64           // commands that may wait
#define OVERHEAD_MAX 65536 // bytes of a reply beside the largest value
#define QUIET_MS 60000
#define NAME_MAX_LEN 128 // of a key in Redis

// Where Redis is.
struct address {
    char *host; // NULL: path
    int port;
    char *path; // of a unix socket
    char *user, *password;
    int db;
};

enum op_kind { OP_GET, OP_PUT, OP_DROP };

struct op {
    struct list link; // in a queue
    enum op_kind kind;
    struct key key;
    const void *body; // OP_PUT: borrowed from the caller, who waits
    size_t n;
    int64_t deadline_ms;

    // protected by lock, but for the thread that runs it
    bool done;
    bool orphan;   // nobody waits: the thread frees it
    bool reported; // the breaker knows how it went
    int err;       // 0, -E_NOT_FOUND, or why not
    redisReply *reply;
    pthread_cond_t ended;
};

struct redis {
    struct tier tier;
    // constant after create
    struct address address;
    char *prefix;
    char *secret;    // NULL: none
    size_t overhead; // of a value: what stands before the body
    int64_t timeout_ms, retry_ms, ttl_ms;
    int64_t object_max;
    pthread_t threads[THREADS];

    pthread_mutex_t lock;
    pthread_cond_t queued; // or stopping
    // protected by lock
    struct list gets, others; // gets go first: a viewer waits for them
    int waiting;              // in both
    bool stopping;
    bool broken; // the breaker is open until try_at_ms
    bool trying; // and a command tries
    int64_t try_at_ms;
    int64_t quiet_until_ms; // nothing is said about refusals before
};

static struct redis *redis_of(struct tier *t)
{
    return container_of(t, struct redis, tier);
}

// ---- the breaker; the lock is held

static bool may_ask(struct redis *r, int64_t now_ms)
{
    if (!r->broken)
        return true;
    if (r->trying || now_ms < r->try_at_ms)
        return false;
    r->trying = true;
    return true;
}

static void note_success(struct redis *r)
{
    if (r->broken)
        log_info("redis", "answers again");
    r->broken = r->trying = false;
    stat_set(STAT_redis_breaker_open, 0);
}

static void note_failure(struct redis *r, const char *why)
{
    stat_add(STAT_redis_errors_total, 1);
    if (!r->broken)
        log_warn("redis", "%s; serving goes on without", why);
    r->broken = true;
    r->trying = false;
    r->try_at_ms = clock_ms() + r->retry_ms;
    stat_set(STAT_redis_breaker_open, 1);
}

// ---- one connection, used by one thread

struct link {
    const struct redis *redis;
    redisContext *context; // NULL when not connected
    redisReplyObjectFunctions functions;
    char why[160]; // the last failure
};

// Notes why the connection is of no use any more, and closes it.
static int broken(struct link *l, int err, const char *doing, const char *why)
{
    snprintf(l->why, sizeof l->why, "%s: %s", doing, why);
    if (l->context)
        redisFree(l->context);
    l->context = NULL;
    return err;
}

static void *refuse_array(const redisReadTask *task, int elements)
{
    (void)task;
    (void)elements;
    return NULL;
}

// Waits for events on the socket; false when the deadline passed.
static bool wait_for(struct link *l, short events, int64_t deadline_ms)
{
    for (;;) {
        const int64_t left = deadline_ms - clock_ms();
        if (left <= 0)
            return false;
        struct pollfd p = { .fd = l->context->fd, .events = events };
        const int n = poll(&p, 1, left < 60000 ? (int)left : 60000);
        if (n > 0)
            return true;
        assert(n == 0 || errno == EINTR);
    }
}

static int flush(struct link *l, int64_t deadline_ms)
{
    for (int done = 0;;) {
        if (redisBufferWrite(l->context, &done) != REDIS_OK)
            return broken(l, -E_IO, "writing", l->context->errstr);
        if (done)
            return 0;
        if (!wait_for(l, POLLOUT, deadline_ms))
            return broken(l, -E_TIMEOUT, "writing", "too slow");
    }
}

// Sends what was appended and receives one reply, which the caller frees.
static int exchange(struct link *l, int64_t deadline_ms, redisReply **reply)
{
    const size_t max = (size_t)l->redis->object_max + l->redis->overhead + OVERHEAD_MAX;
    const int err = flush(l, deadline_ms);
    if (err)
        return err;
    for (;;) {
        void *got = NULL;
        if (redisGetReplyFromReader(l->context, &got) != REDIS_OK)
            return broken(l, -E_PROTOCOL, "reading", l->context->errstr);
        *reply = got;
        if (got)
            return 0;
        if (l->context->reader->len > max)
            return broken(l, -E_PROTOCOL, "reading", "the reply is too long");
        if (!wait_for(l, POLLIN, deadline_ms))
            return broken(l, -E_TIMEOUT, "reading", "too slow");
        if (redisBufferRead(l->context) != REDIS_OK)
            return broken(l, -E_IO, "reading", l->context->errstr);
    }
}

// One command of the setting up, which must be answered by OK.
static int set_up(struct link *l, int64_t deadline_ms, const char *doing, int argc,
                  const char **argv)
{
    redisReply *reply;
    if (redisAppendCommandArgv(l->context, argc, argv, NULL) != REDIS_OK)
        return broken(l, -E_NO_MEMORY, doing, l->context->errstr);
    const int err = exchange(l, deadline_ms, &reply);
    if (err)
        return err;
    const bool ok = reply->type == REDIS_REPLY_STATUS;
    char why[120] = "an answer of another kind";
    if (reply->type == REDIS_REPLY_ERROR)
        copy_string(why, sizeof why, reply->str);
    freeReplyObject(reply);
    return ok ? 0 : broken(l, -E_IO, doing, why);
}

static int introduce(struct link *l, int64_t deadline_ms)
{
    const struct address *a = &l->redis->address;
    int err = 0;
    if (a->password && a->user)
        err = set_up(l, deadline_ms, "AUTH", 3, (const char *[]){ "AUTH", a->user, a->password });
    else if (a->password)
        err = set_up(l, deadline_ms, "AUTH", 2, (const char *[]){ "AUTH", a->password });
    if (err || a->db == 0)
        return err;
    char db[16];
    snprintf(db, sizeof db, "%d", a->db);
    return set_up(l, deadline_ms, "SELECT", 2, (const char *[]){ "SELECT", db });
}

static int connect_link(struct link *l, int64_t deadline_ms)
{
    const struct address *a = &l->redis->address;
    l->context =
        a->host ? redisConnectNonBlock(a->host, a->port) : redisConnectUnixNonBlock(a->path);
    if (!l->context || l->context->err)
        return broken(l, -E_IO, "connecting", l->context ? l->context->errstr : "no memory");
    fcntl(l->context->fd, F_SETFD, FD_CLOEXEC);
    l->functions = *l->context->reader->fn;
    l->functions.createArray = refuse_array;
    l->context->reader->fn = &l->functions;
    int error = 0;
    socklen_t n = sizeof error;
    if (!wait_for(l, POLLOUT, deadline_ms))
        return broken(l, -E_TIMEOUT, "connecting", "too slow");
    if (getsockopt(l->context->fd, SOL_SOCKET, SO_ERROR, &error, &n) || error)
        return broken(l, -E_IO, "connecting", strerror(error));
    return introduce(l, deadline_ms);
}

// ---- commands, by their thread

static void name_of(const struct redis *r, const struct key *key, char name[NAME_MAX_LEN])
{
    char hex[KEY_HEX];
    const int n = snprintf(name, NAME_MAX_LEN, "%s%s", r->prefix, key_hex(key, hex));
    assert(n < NAME_MAX_LEN);
}

// One byte more than may be there, so that more shows.
static int append_get(const struct redis *r, redisContext *c, const char *name)
{
    return redisAppendCommand(c, "GETRANGE %s 0 %lld", name,
                              (long long)r->object_max + (long long)r->overhead);
}

// In pieces, to copy the body only once.
static int append_put(const struct redis *r, redisContext *c, const char *name, const struct op *op)
{
    char head[NAME_MAX_LEN + 64], tail[64], ttl[24];
    uint8_t before[ENVELOPE_SIZE + MAC_SIZE];
    envelope_seal(before, &op->key, op->body, op->n);
    if (r->secret)
        envelope_mac(before, op->body, op->n, r->secret, before + ENVELOPE_SIZE);
    const int digits = snprintf(ttl, sizeof ttl, "%lld", (long long)r->ttl_ms);
    const int n = snprintf(head, sizeof head, "*5\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n",
                           strlen(name), name, op->n + r->overhead);
    const int m = snprintf(tail, sizeof tail, "\r\n$2\r\nPX\r\n$%d\r\n%s\r\n", digits, ttl);
    int rc = redisAppendFormattedCommand(c, head, (size_t)n);
    if (rc == REDIS_OK)
        rc = redisAppendFormattedCommand(c, (char *)before, r->overhead);
    if (rc == REDIS_OK && op->n)
        rc = redisAppendFormattedCommand(c, op->body, op->n);
    return rc == REDIS_OK ? redisAppendFormattedCommand(c, tail, (size_t)m) : rc;
}

static int append_command(const struct redis *r, redisContext *c, const struct op *op)
{
    char name[NAME_MAX_LEN];
    name_of(r, &op->key, name);
    switch (op->kind) {
    case OP_GET:
        return append_get(r, c, name);
    case OP_PUT:
        return append_put(r, c, name, op);
    case OP_DROP:
        break;
    }
    return redisAppendCommand(c, "DEL %s", name);
}

static int attempt(struct link *l, struct op *op)
{
    const int err = l->context ? 0 : connect_link(l, op->deadline_ms);
    if (err)
        return err;
    if (append_command(l->redis, l->context, op) != REDIS_OK)
        return broken(l, -E_NO_MEMORY, "asking", l->context->errstr);
    return exchange(l, op->deadline_ms, &op->reply);
}

// A connection that stood idle may have been closed meanwhile, which says
// nothing about Redis now: then once more, on a new one.
static int talk(struct link *l, struct op *op)
{
    const bool reused = l->context != NULL;
    const int err = attempt(l, op);
    return err && err != -E_TIMEOUT && reused ? attempt(l, op) : err;
}

static bool is_error(const redisReply *reply, const char *word)
{
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, word, strlen(word)) == 0;
}

static bool is_intact(const struct redis *r, const struct op *op)
{
    const redisReply *reply = op->reply;
    if (reply->type != REDIS_REPLY_STRING || reply->len < r->overhead)
        return false;
    const uint8_t *const head = (const uint8_t *)reply->str, *const body = head + r->overhead;
    const size_t n = reply->len - r->overhead;
    if (n > (uint64_t)r->object_max || envelope_length(head, &op->key) != (int64_t)n)
        return false;
    return r->secret ? envelope_mac_holds(head, body, n, r->secret, head + ENVELOPE_SIZE)
                     : envelope_matches(head, body, n);
}

// What the reply to an op means: 0, -E_NOT_FOUND, -E_CORRUPT, or -E_IO for a
// refusal, which is in l->why.
static int judge(struct link *l, const struct op *op)
{
    static const int wanted[] = {
        [OP_GET] = REDIS_REPLY_STRING,
        [OP_PUT] = REDIS_REPLY_STATUS,
        [OP_DROP] = REDIS_REPLY_INTEGER,
    };
    const redisReply *reply = op->reply;
    if (op->kind == OP_GET && is_error(reply, "WRONGTYPE"))
        return -E_CORRUPT;
    if (reply->type == REDIS_REPLY_ERROR)
        return broken(l, -E_IO, "refused", reply->str);
    if (reply->type != wanted[op->kind])
        return broken(l, -E_IO, "refused", "an answer of another kind");
    if (op->kind != OP_GET)
        return 0;
    if (reply->len == 0)
        return -E_NOT_FOUND;
    return is_intact(l->redis, op) ? 0 : -E_CORRUPT;
}

// ---- the queue; the lock is held

static struct op *op_create(const struct redis *r, enum op_kind kind, const struct key *key)
{
    struct op *op = xcalloc(1, sizeof *op);
    op->kind = kind;
    op->key = *key;
    op->deadline_ms = clock_ms() + r->timeout_ms;
    list_init(&op->link);
    cond_init(&op->ended);
    return op;
}

static void op_destroy(struct op *op)
{
    freeReplyObject(op->reply);
    pthread_cond_destroy(&op->ended);
    free(op);
}

static void enqueue(struct redis *r, struct op *op)
{
    list_push_back(op->kind == OP_GET ? &r->gets : &r->others, &op->link);
    r->waiting++;
    pthread_cond_signal(&r->queued);
}

// The next command, or NULL at the end.
static struct op *next(struct redis *r)
{
    while (!r->stopping && r->waiting == 0)
        pthread_cond_wait(&r->queued, &r->lock);
    if (r->stopping)
        return NULL;
    r->waiting--;
    struct list *l = list_pop(&r->gets);
    return container_of(l ? l : list_pop(&r->others), struct op, link);
}

// ---- the threads

static void note_refusal(struct redis *r, const char *why)
{
    const int64_t now = clock_ms();
    stat_add(STAT_redis_errors_total, 1);
    if (now < r->quiet_until_ms)
        return;
    log_warn("redis", "%s; serving goes on without", why);
    r->quiet_until_ms = now + QUIET_MS;
}

// Nobody waits for that.
static void delete_damaged(struct redis *r, const struct key *key)
{
    char hex[KEY_HEX];
    log_warn("redis", "object %s is damaged and is removed", key_hex(key, hex));
    stat_add(STAT_cache_corrupt_total, 1);
    if (r->waiting == QUEUE)
        return;
    struct op *op = op_create(r, OP_DROP, key);
    op->orphan = true;
    enqueue(r, op);
}

static void run_op(struct redis *r, struct link *l, struct op *op)
{
    unlock(&r->lock);
    const int failure = talk(l, op);
    int verdict = failure ? failure : judge(l, op);
    // Who sends rubbish may have lost count of the questions, too.
    if (verdict == -E_CORRUPT)
        broken(l, 0, "reading", "rubbish");
    lock(&r->lock);

    if (!op->reported && failure)
        note_failure(r, l->why);
    else if (!op->reported)
        note_success(r);
    if (!failure && verdict == -E_IO)
        note_refusal(r, l->why);
    if (verdict == -E_CORRUPT) {
        delete_damaged(r, &op->key);
        verdict = -E_NOT_FOUND;
    }
    op->err = verdict;
    op->done = true;
    if (op->orphan)
        op_destroy(op);
    else
        pthread_cond_signal(&op->ended);
}

static void *run(void *arg)
{
    struct redis *r = arg;
    struct link l = { .redis = r };
    lock(&r->lock);
    for (struct op *op; (op = next(r));)
        run_op(r, &l, op);
    unlock(&r->lock);
    if (l.context)
        redisFree(l.context);
    return NULL;
}

// ---- the tier, in the caller's thread

// False when Redis is left alone, or busy enough.
static bool submit(struct redis *r, struct op *op)
{
    if (r->waiting == QUEUE || !may_ask(r, clock_ms()))
        return false;
    enqueue(r, op);
    return true;
}

// The deadline passed.  The op is freed here, or by the thread that has it.
static void give_up(struct redis *r, struct op *op)
{
    note_failure(r, "too slow");
    op->reported = true;
    op->orphan = true;
    if (list_empty(&op->link))
        return;
    list_remove(&op->link);
    r->waiting--;
    op_destroy(op);
}

static int take_body(const struct redis *r, const struct op *op, struct buf *out)
{
    if (op->err)
        return op->err;
    return buf_append(out, op->reply->str + r->overhead, op->reply->len - r->overhead);
}

static int redis_get(struct tier *t, const struct key *key, struct buf *out)
{
    struct redis *r = redis_of(t);
    buf_clear(out);
    struct op *op = op_create(r, OP_GET, key);
    lock(&r->lock);
    const bool submitted = submit(r, op);
    while (submitted && !op->done)
        if (!cond_wait_until(&op->ended, &r->lock, op->deadline_ms))
            break;
    const bool late = submitted && !op->done;
    if (late)
        give_up(r, op);
    unlock(&r->lock);
    if (late)
        return -E_TIMEOUT;

    const int err = submitted ? take_body(r, op, out) : -E_BUSY;
    op_destroy(op);
    return err;
}

static void do_and_wait(struct redis *r, struct op *op)
{
    lock(&r->lock);
    const bool submitted = submit(r, op);
    while (submitted && !op->done)
        pthread_cond_wait(&op->ended, &r->lock);
    unlock(&r->lock);
    op_destroy(op);
}

static void redis_put(struct tier *t, const struct key *key, const void *body, size_t n)
{
    struct redis *r = redis_of(t);
    if (n > (uint64_t)r->object_max)
        return;
    struct op *op = op_create(r, OP_PUT, key);
    op->body = body;
    op->n = n;
    do_and_wait(r, op);
}

static void redis_drop(struct tier *t, const struct key *key)
{
    struct redis *r = redis_of(t);
    do_and_wait(r, op_create(r, OP_DROP, key));
}

// ---- the URL

// The n bytes at s with %xx decoded; NULL when that is malformed.
static char *decoded(const char *s, size_t n)
{
    char *const out = xmalloc(n + 1);
    char *p = out;
    for (size_t i = 0; i < n; i++) {
        unsigned c = (unsigned char)s[i];
        if (c == '%') {
            char hex[3] = "";
            if (n - i < 3 || strspn(memcpy(hex, s + i + 1, 2), "0123456789abcdefABCDEF") != 2)
                goto malformed;
            c = (unsigned)strtoul(hex, NULL, 16);
            i += 2;
        }
        if (c == '\0')
            goto malformed;
        *p++ = (char)c;
    }
    *p = '\0';
    return out;
malformed:
    free(out);
    return NULL;
}

// Digits up to max, or -1.
static int parse_number(const char *s, size_t n, int max)
{
    int v = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        v = 10 * v + s[i] - '0';
        if (v > max)
            return -1;
    }
    return n ? v : -1;
}

// "user:password" or ":password"
static bool parse_user(struct address *a, const char *s, size_t n)
{
    const char *colon = memchr(s, ':', n);
    if (!colon)
        return false;
    if (colon > s && !(a->user = decoded(s, (size_t)(colon - s))))
        return false;
    a->password = decoded(colon + 1, n - (size_t)(colon + 1 - s));
    return a->password != NULL;
}

// "host", "host:port", "[::1]:port"
static bool parse_host(struct address *a, const char *s, size_t n)
{
    const char *end = s + n, *host = s, *host_end;
    if (n && *s == '[') {
        host = s + 1;
        host_end = memchr(s, ']', n);
        s = host_end ? host_end + 1 : end;
    } else {
        host_end = memchr(s, ':', n);
        s = host_end = host_end ? host_end : end;
    }
    if (!host_end || host_end == host)
        return false;
    a->host = decoded(host, (size_t)(host_end - host));
    a->port = 6379;
    if (s < end)
        a->port = *s == ':' ? parse_number(s + 1, (size_t)(end - s - 1), 65535) : -1;
    return a->host && a->port > 0;
}

static bool parse_url(struct address *a, const char *url)
{
    if (strncmp(url, "unix:", 5) == 0) {
        url += strncmp(url + 5, "//", 2) == 0 ? 7 : 5;
        a->path = xstrdup(url);
        return *url == '/';
    }
    if (strncmp(url, "redis://", 8) != 0)
        return false;
    url += 8;
    const char *slash = strchr(url, '/');
    size_t n = slash ? (size_t)(slash - url) : strlen(url);
    const char *at = memrchr(url, '@', n);
    if (at && !parse_user(a, url, (size_t)(at - url)))
        return false;
    if (at) {
        n -= (size_t)(at + 1 - url);
        url = at + 1;
    }
    if (slash && slash[1])
        a->db = parse_number(slash + 1, strlen(slash + 1), 1000000);
    return parse_host(a, url, n) && a->db >= 0;
}

// ---- life

static void destroy(struct redis *r)
{
    struct list *l;
    while ((l = list_pop(&r->gets)) || (l = list_pop(&r->others)))
        op_destroy(container_of(l, struct op, link));
    free(r->address.host);
    free(r->address.path);
    free(r->address.user);
    free(r->address.password);
    free(r->prefix);
    free(r->secret);
    pthread_cond_destroy(&r->queued);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void redis_destroy(struct tier *t)
{
    struct redis *r = redis_of(t);
    lock(&r->lock);
    r->stopping = true;
    pthread_cond_broadcast(&r->queued);
    unlock(&r->lock);
    for (int i = 0; i < THREADS; i++)
        pthread_join(r->threads[i], NULL);
    destroy(r);
}

struct tier *tier_redis_create(const struct conf *conf, char *why, size_t cap)
{
    struct redis *r = xcalloc(1, sizeof *r);
    r->tier = (struct tier){
        .name = "redis",
        .get = redis_get,
        .put = redis_put,
        .drop = redis_drop,
        .destroy = redis_destroy,
    };
    r->prefix = xstrdup(conf->redis_prefix);
    if (conf->redis_key[0])
        r->secret = xstrdup(conf->redis_key);
    r->overhead = ENVELOPE_SIZE + (r->secret ? MAC_SIZE : 0);
    r->timeout_ms = conf->redis_timeout;
    r->retry_ms = conf->redis_retry;
    r->ttl_ms = conf->redis_ttl;
    r->object_max = conf->redis_object;
    const int rc = pthread_mutex_init(&r->lock, NULL);
    assert(rc == 0);
    cond_init(&r->queued);
    list_init(&r->gets);
    list_init(&r->others);
    if (!parse_url(&r->address, conf->redis_url)) {
        // The URL may hold a password: it is not repeated.
        snprintf(why, cap,
                 "redis.url is not of the form redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]"
                 " or unix:/PATH");
        destroy(r);
        return NULL;
    }
    for (int i = 0; i < THREADS; i++)
        r->threads[i] = thread_start("redis", run, r);
    return &r->tier;
}

const char *tier_redis_library(void)
{
    static char text[64];
    snprintf(text, sizeof text, "hiredis %d.%d.%d", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    return text;
}
