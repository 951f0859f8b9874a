// SPDX-License-Identifier: BSD-2-Clause
//
// origin_file - a local folder as an origin.
//
// Paths come from strangers, so the kernel walks them for us: openat2 below the
// folder, which never leaves it and follows no link of any kind.  Only regular
// files are sources.  A file's version is its size, mtime and inode, looked at
// before and after each read, so a file replaced or rewritten in between shows.
//
// A listing walks the folders in path order and stops when the page is full;
// one folder is open at a time, and the number of names looked at is bounded.
// No state but the folder's descriptor; no locks.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/origin.h"

#define READ_STEP ((int64_t)1 << 20) // between two looks at the cancel token
#define LIST_VISITS 100000           // names looked at by one listing
#define LIST_DEPTH 32                // folders inside folders

struct origin_file {
    struct origin origin; // first: the two are cast into each other
    int root;             // O_PATH, constant after create
};

static int error_of_errno(int error, const char *path)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV:
    case ENAMETOOLONG:
    case EACCES:
    case EPERM:
    case ENXIO:
        return -E_NOT_FOUND;
    default:
        log_warn("origin", "%s: %s", path, strerror(error));
        return -E_ORIGIN;
    }
}

// A descriptor, or -1 with errno.
static int open_below(int root, const char *path, int flags)
{
    const struct open_how how = {
        .flags = (uint64_t)(flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    // EAGAIN: somebody moved folders about during the walk.
    for (int tries = 0; tries < 10; tries++) {
        const long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            return -1;
    }
    return -1;
}

static int version_of(int fd, const char *path, struct origin_version *v)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_of_errno(errno, path);
    if (!S_ISREG(st.st_mode))
        return -E_NOT_FOUND;
    *v = (struct origin_version){ .size = st.st_size };
    snprintf(v->validator, sizeof v->validator, "mtime:%lld.%09ld;size:%lld;inode:%llu",
             (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)st.st_size,
             (unsigned long long)st.st_ino);
    return 0;
}

// A descriptor of a regular file, or an error.
static int open_source(const struct origin_file *f, const char *path, struct origin_version *got)
{
    if (!origin_path_ok(path))
        return -E_BAD_REQUEST;
    const int fd = open_below(f->root, path, 0);
    if (fd < 0)
        return error_of_errno(errno, path);
    const int rc = version_of(fd, path, got);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

static int read_bytes(int fd, const char *path, int64_t offset, int64_t n, struct buf *out,
                      const struct cancel *cancel)
{
    while (n > 0) {
        if (cancel_is_set(cancel))
            return -E_CANCELLED;
        const int64_t step = n < READ_STEP ? n : READ_STEP;
        uint8_t *p = buf_extend(out, (size_t)step);
        if (!p)
            return buf_error(out);
        const ssize_t r = pread(fd, p, (size_t)step, offset);
        out->len -= (size_t)(step - (r > 0 ? r : 0));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return error_of_errno(errno, path);
        if (r == 0)
            return -E_CHANGED; // shorter than fstat said
        offset += r;
        n -= r;
    }
    return 0;
}

static int read_version(int fd, const char *path, const struct origin_version *want, int64_t offset,
                        int64_t n, struct buf *out, const struct origin_version *got,
                        const struct cancel *cancel)
{
    if (want && !origin_version_equal(want, got))
        return -E_CHANGED;
    const int64_t there = offset < got->size ? got->size - offset : 0;
    int rc = read_bytes(fd, path, offset, n < there ? n : there, out, cancel);
    if (rc < 0)
        return rc;
    struct origin_version after;
    rc = version_of(fd, path, &after);
    if (rc == 0 && !origin_version_equal(got, &after))
        return -E_CHANGED;
    return rc;
}

static int file_read(struct origin *o, const char *path, const struct origin_version *want,
                     int64_t offset, int64_t n, struct buf *out, struct origin_version *got,
                     struct origin_progress *progress, const struct cancel *cancel)
{
    assert(offset >= 0 && n >= 0);
    (void)progress; // that it was one version is known at the end
    buf_clear(out);
    stat_add(STAT_origin_requests_total, 1);
    const int fd = open_source((struct origin_file *)o, path, got);
    int rc = fd < 0 ? fd : read_version(fd, path, want, offset, n, out, got, cancel);
    if (fd >= 0)
        close(fd);
    stat_add(STAT_origin_bytes_total, (int64_t)out->len);
    if (rc == -E_ORIGIN)
        stat_add(STAT_origin_errors_total, 1);
    if (rc < 0)
        buf_clear(out);
    return rc;
}

static int file_stat(struct origin *o, const char *path, struct origin_version *got,
                     const struct cancel *cancel)
{
    if (cancel_is_set(cancel))
        return -E_CANCELLED;
    const int fd = open_source((struct origin_file *)o, path, got);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

// ---- listing

struct listing {
    int root;
    const char *after;
    int max;
    int visits;
    struct origin_entry *entries; // [count]
    int count;
};

// One name of a folder.  A folder's own name ends in '/', which sorts it where
// the paths below it belong.
struct name {
    char *text;
    int64_t size, mtime_ms;
};

static bool is_folder(const struct name *n)
{
    return n->text[strlen(n->text) - 1] == '/';
}

// What files of the containers that can be read (codec/containers.def) are usually called.  Any
// name may be played; these are listed.
static bool is_media(const char *name)
{
    static const char *const extensions[] = {
        "mp4",  "m4v",  "m4a", "mov",  "3gp", "3g2", "mkv",  "mka", "webm", "ts",
        "mts",  "m2ts", "mpg", "mpeg", "vob", "flv", "avi",  "ogv", "ogg",  "oga",
        "opus", "asf",  "wmv", "wma",  "mxf", "rm",  "rmvb", "dv",  "h264", "264",
        "hevc", "h265", "265", "ivf",  "mp3", "aac", "flac", "wav", "amr",
    };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < countof(extensions); i++)
        if (strcasecmp(dot + 1, extensions[i]) == 0)
            return true;
    return false;
}

// False: not a folder and not a source.
static bool name_of(int folder, const char *text, struct name *n)
{
    struct stat st;
    if (text[0] == '.' || !origin_path_ok(text) ||
        fstatat(folder, text, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    if (!S_ISDIR(st.st_mode) && !(S_ISREG(st.st_mode) && is_media(text)))
        return false;
    n->text = xasprintf("%s%s", text, S_ISDIR(st.st_mode) ? "/" : "");
    n->size = st.st_size;
    n->mtime_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

// The sorted names of a folder; its path ends in '/', or is "" for the root.
// A folder that cannot be read has none.
static struct name *read_folder(struct listing *l, const char *path, int *count)
{
    struct name *names = NULL;
    int cap = 0;
    *count = 0;
    const int fd = open_below(l->root, *path ? path : ".", O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    const struct dirent *e;
    while (l->visits < LIST_VISITS && (e = readdir(dir))) {
        l->visits++;
        if (*count == cap) {
            cap = cap ? cap * 2 : 16;
            names = xrealloc(names, (size_t)cap * sizeof *names);
        }
        *count += name_of(fd, e->d_name, &names[*count]);
    }
    closedir(dir);
    if (*count)
        qsort(names, (size_t)*count, sizeof *names, compare_names);
    return names;
}

static void free_names(struct name *names, int count)
{
    for (int i = 0; i < count; i++)
        free(names[i].text);
    free(names);
}

static void list_folder(struct listing *l, const char *folder, int depth);

static void list_name(struct listing *l, const char *folder, const struct name *n, int depth)
{
    char *path = xasprintf("%s%s", folder, n->text);
    const bool later = strcmp(path, l->after) > 0;
    if (is_folder(n)) {
        // All that is below begins with path, so it is wholly before `after`
        // unless path is behind it or leads to it.
        const bool leads = strncmp(l->after, path, strlen(path)) == 0;
        if (depth < LIST_DEPTH && (later || leads))
            list_folder(l, path, depth + 1);
    } else if (later && strlen(path) < ORIGIN_PATH_MAX) {
        l->entries[l->count++] =
            (struct origin_entry){ .path = path, .size = n->size, .mtime_ms = n->mtime_ms };
        return;
    }
    free(path);
}

static void list_folder(struct listing *l, const char *folder, int depth)
{
    int count;
    struct name *names = read_folder(l, folder, &count);
    for (int i = 0; i < count && l->count < l->max; i++)
        list_name(l, folder, &names[i], depth);
    free_names(names, count);
}

static int file_list(struct origin *o, const char *after, int max, struct origin_entry **out,
                     int *count)
{
    // More could not be found, whatever is asked for.
    max = max < 0 ? 0 : max > LIST_VISITS ? LIST_VISITS : max;
    struct listing l = { .root = ((struct origin_file *)o)->root, .after = after, .max = max };
    l.entries = xcalloc((size_t)max, sizeof *l.entries);
    list_folder(&l, "", 0);
    if (l.visits == LIST_VISITS)
        log_warn("origin", "a listing was cut short after %d names", LIST_VISITS);
    *out = l.entries;
    *count = l.count;
    return 0;
}

// ---- what lies beside a source

static bool is_subtitles(const char *suffix)
{
    const char *const dot = strrchr(suffix, '.');
    return dot && (strcmp(dot, ".vtt") == 0 || strcmp(dot, ".srt") == 0);
}

static int compare_suffixes(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int file_beside(struct origin *o, const char *path, char out[ORIGIN_BESIDE][ORIGIN_SUFFIX])
{
    const char *const slash = strrchr(path, '/');
    const char *const name = slash ? slash + 1 : path;
    const size_t length = strlen(name);
    char *folder = slash ? strndup(path, (size_t)(slash - path)) : xstrdup(".");
    const int fd = origin_path_ok(path) && folder
                       ? open_below(((struct origin_file *)o)->root, folder, O_DIRECTORY)
                       : -1;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    int count = 0;
    free(folder);
    for (int i = 0; dir && i < LIST_VISITS && count < ORIGIN_BESIDE && (e = readdir(dir)); i++)
        if (strncmp(e->d_name, name, length) == 0 && e->d_name[length] == '.' &&
            is_subtitles(e->d_name + length))
            count += copy_string(out[count], ORIGIN_SUFFIX, e->d_name + length);
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    qsort(out, (size_t)count, ORIGIN_SUFFIX, compare_suffixes);
    return count;
}

// ---- life

static void file_destroy(struct origin *o)
{
    close(((struct origin_file *)o)->root);
    free(o);
}

struct origin *origin_file_create(const struct conf *conf, const char *folder, char *why,
                                  size_t cap)
{
    (void)conf;
    const int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int probe = root < 0 ? -1 : open_below(root, ".", O_DIRECTORY);
    if (probe < 0) {
        snprintf(why, cap, "%s: %s", folder,
                 errno == ENOSYS ? "this kernel has no openat2 (Linux 5.6)" : strerror(errno));
        if (root >= 0)
            close(root);
        return NULL;
    }
    close(probe);
    struct origin_file *f = xcalloc(1, sizeof *f);
    f->origin = (struct origin){ .read = file_read,
                                 .stat = file_stat,
                                 .list = file_list,
                                 .beside = file_beside,
                                 .destroy = file_destroy };
    f->root = root;
    return &f->origin;
}
