// SPDX-License-Identifier: BSD-2-Clause
//
// The disk tier: one self-describing file per object.
//
//   DIR/lock                 held with flock while a server uses DIR
//   DIR/format               the version of what lies in DIR
//   DIR/objects/ab/<32 hex>  an envelope (cache/envelope.h) and the body
//   DIR/tmp/<32 hex>.<n>     being written
//
// A file is written to tmp/ and renamed when it is complete.  Nothing is synced:
// after a power cut a file may be torn or empty, which its checksum tells, and
// the object is simply made again.  Every get reads the whole body and verifies
// it, so the first read after a start is checked like any other.
//
// At start the names, sizes and times in objects/ are adopted without reading a
// body.  The order of use lives in memory; a file read an hour or more after
// its mtime gets a new one, which is as well as the order survives a restart.
//
// Files whose names are not ours are left alone.  Below DIR no symbolic link is
// followed, and directories are opened anew each time, so whoever empties DIR
// under a running server loses nothing but the objects.
//
// The lock covers the index together with the renames and unlinks that change
// it, so the two agree; bytes are read and written without it.  A reader whose
// file is evicted or replaced meanwhile still has its descriptor.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/envelope.h"
#include "cache/keymap.h"
#include "cache/policy.h"
#include "cache/tier.h"
#include "config/conf.h"

#define FORMAT "tidemill cache 1\n"
#define BLOCK 4096       // what a file takes is counted in these
#define TOUCH_AFTER 3600 // seconds
#define QUIET_MS 60000
#define NAME_LEN (KEY_HEX - 1)
#define TMP_NAME (KEY_HEX + 24)

struct entry {
    struct keymap_node node;
    struct policy_entry rank;
};

struct disk {
    struct tier tier;
    // constant after create
    char *path;
    int root; // descriptor of DIR
    int lock_fd;
    int64_t budget, floor;

    atomic_uint_fast64_t tmp_count;

    pthread_mutex_t lock;
    // protected by lock
    struct keymap index;
    struct policy *policy;
    int64_t used;        // bytes of the index and of what is being written
    int64_t quiet_until; // nothing is said about failed writes before
};

static struct disk *disk_of(struct tier *t)
{
    return container_of(t, struct disk, tier);
}

static struct entry *entry_of(struct keymap_node *n)
{
    return n ? container_of(n, struct entry, node) : NULL;
}

static int64_t cost_of(int64_t file_size)
{
    return (file_size + BLOCK - 1) / BLOCK * BLOCK;
}

// ---- folders; these set errno

static void close_quietly(int fd)
{
    const int saved = errno;
    if (fd >= 0)
        close(fd);
    errno = saved;
}

static int open_folder(int at, const char *name, bool create)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    const int fd = openat(at, name, flags);
    if (fd >= 0 || errno != ENOENT || !create)
        return fd;
    if (mkdirat(at, name, 0700) && errno != EEXIST)
        return -1;
    return openat(at, name, flags);
}

// The folder of the objects whose names begin like hex.
static int open_shard(const struct disk *d, const char *hex, bool create)
{
    const char name[3] = { hex[0], hex[1], '\0' };
    const int objects = open_folder(d->root, "objects", create);
    if (objects < 0)
        return -1;
    const int fd = open_folder(objects, name, create);
    close_quietly(objects);
    return fd;
}

static int open_object(const struct disk *d, const struct key *key)
{
    char hex[KEY_HEX];
    const int shard = open_shard(d, key_hex(key, hex), false);
    if (shard < 0)
        return -1;
    // O_NONBLOCK: a FIFO of that name must not hang us.
    const int fd = openat(shard, hex, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    close_quietly(shard);
    return fd;
}

static void unlink_object(const struct disk *d, const struct key *key)
{
    char hex[KEY_HEX];
    const int shard = open_shard(d, key_hex(key, hex), false);
    if (shard < 0)
        return;
    unlinkat(shard, hex, 0);
    close(shard);
}

// ---- index; the lock is held

static void index_add(struct disk *d, const struct key *key, int64_t cost)
{
    struct entry *e = xcalloc(1, sizeof *e);
    e->node.key = *key;
    e->rank.bytes = cost;
    keymap_add(&d->index, &e->node);
    d->policy->add(d->policy, &e->rank);
    stat_add(STAT_cache_disk_bytes, cost);
    stat_add(STAT_cache_disk_objects, 1);
}

static void index_remove(struct disk *d, struct entry *e)
{
    keymap_remove(&d->index, &e->node);
    d->policy->remove(d->policy, &e->rank);
    d->used -= e->rank.bytes;
    stat_add(STAT_cache_disk_bytes, -e->rank.bytes);
    stat_add(STAT_cache_disk_objects, -1);
    free(e);
}

// Evicts at least bytes; false when there was nothing.
static bool evict(struct disk *d, int64_t bytes)
{
    int64_t freed = 0;
    struct policy_entry *r;
    while (freed < bytes && (r = d->policy->victim(d->policy))) {
        struct entry *e = container_of(r, struct entry, rank);
        freed += r->bytes;
        unlink_object(d, &e->node.key);
        index_remove(d, e);
        stat_add(STAT_cache_evictions_disk_total, 1);
    }
    return freed > 0;
}

// ---- get

// Notes the use; false when we have no such object, which costs no I/O.
static bool use(struct disk *d, const struct key *key)
{
    lock(&d->lock);
    struct entry *e = entry_of(keymap_find(&d->index, key));
    if (e)
        d->policy->touch(d->policy, &e->rank);
    unlock(&d->lock);
    return e != NULL;
}

// What a failed open or read says about the file.
static int verdict_of(int error)
{
    switch (error) {
    case ENOENT:
        return -E_NOT_FOUND;
    case EIO:
    case ELOOP:   // a symbolic link
    case ENOTDIR: // or another thing in the place of a folder
    case ENXIO:   // a socket
        return -E_CORRUPT;
    }
    return -E_IO;
}

// 0 for exactly n bytes.
static int read_exactly(int fd, void *out, size_t n, off_t offset)
{
    for (size_t have = 0; have < n;) {
        const ssize_t got = pread(fd, (char *)out + have, n - have, offset + (off_t)have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? -E_CORRUPT : verdict_of(errno);
        have += (size_t)got;
    }
    return 0;
}

static int read_object(int fd, const struct key *key, struct buf *out)
{
    uint8_t head[ENVELOPE_SIZE];
    struct stat st;
    if (fstat(fd, &st))
        return verdict_of(errno);
    if (!S_ISREG(st.st_mode))
        return -E_CORRUPT;
    int err = read_exactly(fd, head, sizeof head, 0);
    if (err)
        return err;
    const int64_t n = envelope_length(head, key);
    if (n < 0 || n != st.st_size - ENVELOPE_SIZE)
        return -E_CORRUPT;
    if (n && !buf_extend(out, (size_t)n))
        return buf_error(out);
    err = read_exactly(fd, out->data, (size_t)n, ENVELOPE_SIZE);
    if (err)
        return err;
    if (!envelope_matches(head, out->data, (size_t)n))
        return -E_CORRUPT;
    if (time(NULL) - st.st_mtime >= TOUCH_AFTER)
        futimens(fd, NULL);
    return 0;
}

static void disk_drop(struct tier *t, const struct key *key)
{
    struct disk *d = disk_of(t);
    lock(&d->lock);
    struct entry *e = entry_of(keymap_find(&d->index, key));
    if (e) {
        unlink_object(d, key);
        index_remove(d, e);
    }
    unlock(&d->lock);
}

// Should the file have been replaced by a good one meanwhile, that goes: a
// loss, not an error.
static int lose(struct disk *d, const struct key *key, int err)
{
    if (err == -E_CORRUPT) {
        char hex[KEY_HEX];
        log_warn("disk", "object %s is damaged and is removed", key_hex(key, hex));
        stat_add(STAT_cache_corrupt_total, 1);
    }
    disk_drop(&d->tier, key);
    return -E_NOT_FOUND;
}

static int disk_get(struct tier *t, const struct key *key, struct buf *out)
{
    struct disk *d = disk_of(t);
    buf_clear(out);
    if (!use(d, key))
        return -E_NOT_FOUND;
    const int fd = open_object(d, key);
    const int err = fd < 0 ? verdict_of(errno) : read_object(fd, key, out);
    close_quietly(fd);
    if (err)
        buf_finish(out);
    return err == -E_NOT_FOUND || err == -E_CORRUPT ? lose(d, key, err) : err;
}

// ---- put

static int64_t space_free(const struct disk *d)
{
    struct statvfs v;
    int64_t bytes;
    if (fstatvfs(d->root, &v))
        return 0;
    return __builtin_mul_overflow(v.f_bavail, v.f_frsize, &bytes) ? INT64_MAX : bytes;
}

// Makes room for cost bytes beside those that others shall have.  It is looked
// at twice only: where freed space shows late, a loop would evict everything.
static bool keep_floor(struct disk *d, int64_t cost)
{
    const int64_t lack = d->floor - space_free(d) + cost;
    if (lack <= 0)
        return true;
    return evict(d, lack) && d->floor - space_free(d) + cost <= 0;
}

// Makes room; 0 and the cost is counted as used, or an errno.
static int reserve_locked(struct disk *d, int64_t cost)
{
    const int64_t over = d->used + cost - d->budget;
    if (over > 0 && (!evict(d, over) || d->used + cost > d->budget))
        return EBUSY; // the rest is being written
    if (!keep_floor(d, cost))
        return ENOSPC;
    d->used += cost;
    return 0;
}

static int write_all(int fd, const void *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        const ssize_t put = write(fd, (const char *)bytes + done, n - done);
        if (put < 0 && errno != EINTR)
            return errno;
        if (put > 0)
            done += (size_t)put;
    }
    return 0;
}

static int write_file(int folder, const char *name, const uint8_t *head, const void *body, size_t n)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const int fd = openat(folder, name, flags, 0600);
    if (fd < 0)
        return errno;
    int error = write_all(fd, head, ENVELOPE_SIZE);
    if (!error)
        error = write_all(fd, body, n);
    // Some file systems tell of a full disk only here.
    if (close(fd) && !error)
        error = errno;
    return error;
}

// Moves a complete file to its place and into the index.
static int publish(struct disk *d, int tmp, const char *name, const struct key *key, int64_t cost)
{
    char hex[KEY_HEX];
    const int shard = open_shard(d, key_hex(key, hex), true);
    if (shard < 0)
        return errno;
    lock(&d->lock);
    int error = 0;
    if (keymap_find(&d->index, key))
        error = EEXIST; // another thread was faster
    else if (renameat(tmp, name, shard, hex))
        error = errno;
    else
        index_add(d, key, cost);
    unlock(&d->lock);
    close(shard);
    return error;
}

static int store_object(struct disk *d, const struct key *key, const void *body, size_t n,
                        int64_t cost)
{
    uint8_t head[ENVELOPE_SIZE];
    char hex[KEY_HEX], name[TMP_NAME];
    envelope_seal(head, key, body, n);
    snprintf(name, sizeof name, "%s.%llu", key_hex(key, hex),
             (unsigned long long)atomic_fetch_add(&d->tmp_count, 1));
    const int tmp = open_folder(d->root, "tmp", true);
    if (tmp < 0)
        return errno;
    int error = write_file(tmp, name, head, body, n);
    if (!error)
        error = publish(d, tmp, name, key, cost);
    if (error)
        unlinkat(tmp, name, 0);
    close(tmp);
    return error;
}

// Counts a failed write, and says so now and then.  The lock is held.
static void note_failure(struct disk *d, int error)
{
    stat_add(STAT_cache_write_errors_total, 1);
    const int64_t now = clock_ms();
    // EBUSY is too much at once, which says nothing about the disk.
    if (error == EBUSY || now < d->quiet_until)
        return;
    log_warn("disk", "cannot write to %s: %s; serving goes on without", d->path, strerror(error));
    d->quiet_until = now + QUIET_MS;
}

static void disk_put(struct tier *t, const struct key *key, const void *body, size_t n)
{
    struct disk *d = disk_of(t);
    if (n > INT64_MAX / 2)
        return;
    const int64_t cost = cost_of((int64_t)n + ENVELOPE_SIZE);
    lock(&d->lock);
    const bool pointless = cost > d->budget || keymap_find(&d->index, key);
    int error = pointless ? 0 : reserve_locked(d, cost);
    if (error)
        note_failure(d, error);
    unlock(&d->lock);
    if (pointless || error)
        return;

    error = store_object(d, key, body, n, cost);
    lock(&d->lock);
    if (error)
        d->used -= cost;
    // A quota or a lack of inodes shows only now: make room for the next one.
    if (error == ENOSPC || error == EDQUOT)
        evict(d, cost);
    if (error && error != EEXIST)
        note_failure(d, error);
    unlock(&d->lock);
}

// ---- start

// Calls visit for each name in a folder; a folder that cannot be read is empty.
static void each_name(int folder, void (*visit)(void *arg, int folder, const char *name), void *arg)
{
    const int fd = folder < 0 ? -1 : dup(folder);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        close_quietly(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(dir));)
        visit(arg, folder, e->d_name);
    closedir(dir);
}

static bool is_object_name(const char *name, struct key *key)
{
    return key_parse(key, name, strlen(name));
}

static bool is_tmp_name(const char *name)
{
    struct key key;
    return strlen(name) > NAME_LEN + 1 && key_parse(&key, name, NAME_LEN) &&
           name[NAME_LEN] == '.' &&
           strspn(name + NAME_LEN + 1, "0123456789") == strlen(name) - NAME_LEN - 1;
}

static void sweep_tmp(void *arg, int folder, const char *name)
{
    (void)arg;
    if (is_tmp_name(name))
        unlinkat(folder, name, 0);
}

// The objects found at start, before they are put into order.
struct found {
    struct key key;
    int64_t size;
    struct timespec used;
};

struct scan {
    bool sweep; // remove them instead
    char shard[3];
    struct found *found;
    size_t count, cap;
    size_t removed;
};

static void scan_add(struct scan *s, const struct found *f)
{
    s->found = xgrow(s->found, s->count, &s->cap, sizeof *s->found);
    s->found[s->count++] = *f;
}

static void scan_object(void *arg, int folder, const char *name)
{
    struct scan *s = arg;
    struct found f;
    struct stat st;
    if (!is_object_name(name, &f.key) || strncmp(name, s->shard, 2) != 0 ||
        fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
        return;
    f.size = st.st_size;
    f.used = st.st_mtim;
    if (!s->sweep && st.st_size >= ENVELOPE_SIZE) {
        scan_add(s, &f);
        return;
    }
    if (!s->sweep)
        stat_add(STAT_cache_corrupt_total, 1);
    if (unlinkat(folder, name, 0) == 0)
        s->removed++;
}

static void scan_shard(void *arg, int folder, const char *name)
{
    struct scan *s = arg;
    if (strlen(name) != 2 || strspn(name, "0123456789abcdef") != 2)
        return;
    memcpy(s->shard, name, sizeof s->shard);
    const int fd = open_folder(folder, name, false);
    each_name(fd, scan_object, s);
    close_quietly(fd);
}

static int by_use(const void *a, const void *b)
{
    const struct timespec *x = &((const struct found *)a)->used;
    const struct timespec *y = &((const struct found *)b)->used;
    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static void adopt(struct disk *d, struct scan *s)
{
    if (s->count)
        qsort(s->found, s->count, sizeof *s->found, by_use);
    for (size_t i = 0; i < s->count; i++) {
        const int64_t cost = cost_of(s->found[i].size);
        d->used += cost;
        index_add(d, &s->found[i].key, cost);
    }
    if (d->used > d->budget)
        evict(d, d->used - d->budget);
}

static bool format_is_ours(const struct disk *d)
{
    char text[sizeof FORMAT] = "";
    const int fd = openat(d->root, "format", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    const ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);
    close_quietly(fd);
    return n == sizeof FORMAT - 1 && memcmp(text, FORMAT, sizeof FORMAT - 1) == 0;
}

static int write_format(const struct disk *d)
{
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    const int fd = openat(d->root, "format", flags, 0600);
    if (fd < 0)
        return errno;
    int error = write_all(fd, FORMAT, sizeof FORMAT - 1);
    if (close(fd) && !error)
        error = errno;
    return error;
}

// Another version's objects go, and only then the format says ours: a start that
// is cut short begins again.  0 or an errno.
static int take_over(struct disk *d)
{
    const int tmp = open_folder(d->root, "tmp", true);
    const int objects = tmp < 0 ? -1 : open_folder(d->root, "objects", true);
    if (objects < 0) {
        close_quietly(tmp);
        return errno;
    }
    struct scan scan = { .sweep = !format_is_ours(d) };
    each_name(tmp, sweep_tmp, NULL);
    each_name(objects, scan_shard, &scan);
    close(tmp);
    close(objects);
    if (scan.sweep && scan.removed)
        log_warn("disk", "%s was of another format: %zu objects removed", d->path, scan.removed);
    adopt(d, &scan);
    free(scan.found);
    return scan.sweep ? write_format(d) : 0;
}

// Creates path with its parents.
static int make_folders(const char *path)
{
    char *copy = xstrdup(path);
    for (char *p = copy + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = '\0';
        mkdir(copy, 0777); // an error shows in the last one
    }
    free(copy);
    return mkdir(path, 0700) && errno != EEXIST ? errno : 0;
}

// 0 or an errno.
static int open_root(struct disk *d)
{
    const int error = make_folders(d->path);
    if (error)
        return error;
    d->root = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return d->root < 0 ? errno : 0;
}

// 0 or an errno; EWOULDBLOCK when another server has it.
static int take_lock(struct disk *d)
{
    d->lock_fd = openat(d->root, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (d->lock_fd < 0)
        return errno;
    return flock(d->lock_fd, LOCK_EX | LOCK_NB) ? errno : 0;
}

static void bury_node(struct keymap_node *n)
{
    free(entry_of(n));
}

static void disk_destroy(struct tier *t)
{
    struct disk *d = disk_of(t);
    struct policy_entry *r;
    while ((r = d->policy->victim(d->policy)))
        index_remove(d, container_of(r, struct entry, rank));
    keymap_finish(&d->index, bury_node);
    d->policy->destroy(d->policy);
    close_quietly(d->root);
    close_quietly(d->lock_fd);
    pthread_mutex_destroy(&d->lock);
    free(d->path);
    free(d);
}

struct tier *tier_disk_create(const struct conf *conf, char *why, size_t cap)
{
    struct disk *d = xcalloc(1, sizeof *d);
    d->tier = (struct tier){
        .name = "disk",
        .get = disk_get,
        .put = disk_put,
        .drop = disk_drop,
        .destroy = disk_destroy,
    };
    d->path = xstrdup(conf->cache_dir);
    d->root = d->lock_fd = -1;
    d->budget = conf->cache_disk;
    d->floor = conf->cache_disk_free;
    const int rc = pthread_mutex_init(&d->lock, NULL);
    assert(rc == 0);
    keymap_init(&d->index);
    d->policy = policy_lru_create();

    int error = open_root(d);
    if (!error)
        error = take_lock(d);
    if (error == EWOULDBLOCK) {
        snprintf(why, cap, "cache folder %s is in use by another server", d->path);
        goto fail;
    }
    if (!error)
        error = take_over(d);
    if (error) {
        snprintf(why, cap, "cache folder %s cannot be used: %s", d->path, strerror(error));
        goto fail;
    }
    return &d->tier;
fail:
    disk_destroy(&d->tier);
    return NULL;
}
