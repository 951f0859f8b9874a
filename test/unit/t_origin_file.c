// SPDX-License-Identifier: BSD-2-Clause

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "cache/origin.h"
#include "config/conf.h"

static char folder[64];
static struct origin *origin;

// Ours takes the place of libc's, so that a test can act in the middle of a read.
static void (*before_pread)(void);

ssize_t pread(int fd, void *p, size_t n, off_t offset)
{
    if (before_pread)
        before_pread();
    return syscall(SYS_pread64, fd, p, n, offset);
}

static void put(const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    free(path);
}

static void make_folder(const char *name)
{
    char *path = xasprintf("%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
}

static void make_link(const char *to, const char *name)
{
    char *path = xasprintf("%s/%s", folder, name);
    assert_int_equal(symlink(to, path), 0);
    free(path);
}

static int setup(void **state)
{
    (void)state;
    copy_string(folder, sizeof folder, "/tmp/t_file_XXXXXX");
    assert_non_null(mkdtemp(folder));
    char why[256];
    origin = origin_file_create(&(struct conf){ 0 }, folder, why, sizeof why);
    assert_non_null(origin);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    before_pread = NULL;
    origin->destroy(origin);
    char *command = xasprintf("rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
    free(command);
    return 0;
}

static void check_read(const char *path, int64_t offset, int64_t n, const char *text)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    struct origin_version v;
    assert_int_equal(origin->read(origin, path, NULL, offset, n, &b, &v, NULL, NULL), 0);
    assert_int_equal(b.len, strlen(text));
    assert_memory_equal(b.data ? (char *)b.data : "", text, strlen(text));
    assert_true(v.validator[0] && !v.weak);
    buf_finish(&b);
}

static int read_code(const char *path, const struct origin_version *want,
                     const struct cancel *cancel)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    struct origin_version v;
    const int rc = origin->read(origin, path, want, 0, 100, &b, &v, NULL, cancel);
    assert_true(rc == 0 || b.len == 0);
    buf_finish(&b);
    return rc;
}

static void reads_ranges(void **state)
{
    (void)state;
    put("a.mp4", "0123456789");
    static const struct {
        int64_t offset, n;
        const char *text;
    } cases[] = {
        { 0, 10, "0123456789" }, { 0, 3, "012" }, { 7, 3, "789" },
        { 7, 100, "789" },       { 10, 1, "" },   { 11, 5, "" },
        { INT64_MAX, 1, "" },    { 3, 0, "" },    { 0, INT64_MAX, "0123456789" },
    };
    for (size_t i = 0; i < countof(cases); i++)
        check_read("a.mp4", cases[i].offset, cases[i].n, cases[i].text);
    put("empty.mp4", "");
    check_read("empty.mp4", 0, 10, "");
}

static void takes_any_name(void **state)
{
    (void)state;
    static const char *const names[] = { "a b.mp4", "50%.mp4", "%2e%2e.mp4", "what?.mp4",
                                         "a#b.mp4", "a+b.mp4", "ünï.mp4",    "日本.mp4",
                                         "...",     ".hidden", "a&b=c;d",    "'*\"<>|" };
    for (size_t i = 0; i < countof(names); i++) {
        put(names[i], names[i]);
        check_read(names[i], 0, 100, names[i]);
    }
}

static void never_leaves_the_folder(void **state)
{
    (void)state;
    put("a.mp4", "x");
    make_folder("sub");
    put("sub/b.mp4", "x");
    make_link("/etc/passwd", "absolute.mp4");
    make_link("a.mp4", "inside.mp4");
    make_link("/etc", "etc");
    make_link("sub", "same");
    make_link("loop", "loop");
    char *fifo = xasprintf("%s/fifo.mp4", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    free(fifo);
    char longest[ORIGIN_PATH_MAX + 1];
    memset(longest, 'a', sizeof longest);
    longest[ORIGIN_PATH_MAX] = '\0';
    const struct {
        const char *path;
        int code;
    } cases[] = {
        { "../etc/passwd", -E_BAD_REQUEST },
        { "sub/../a.mp4", -E_BAD_REQUEST },
        { "sub/../../../../../etc/passwd", -E_BAD_REQUEST },
        { "..", -E_BAD_REQUEST },
        { ".", -E_BAD_REQUEST },
        { "./a.mp4", -E_BAD_REQUEST },
        { "sub/.", -E_BAD_REQUEST },
        { "/etc/passwd", -E_BAD_REQUEST },
        { "a.mp4/", -E_BAD_REQUEST },
        { "sub//b.mp4", -E_BAD_REQUEST },
        { "", -E_BAD_REQUEST },
        { "a\n.mp4", -E_BAD_REQUEST },
        { "a\x7f.mp4", -E_BAD_REQUEST },
        { "\xc0\xae\xc0\xae/etc/passwd", -E_BAD_REQUEST }, // overlong ".."
        { "\xe0\x80\xae\xe0\x80\xae/etc/passwd", -E_BAD_REQUEST },
        { "\xf0\x80\x80\xae/etc/passwd", -E_BAD_REQUEST },
        { "a\xff.mp4", -E_BAD_REQUEST },
        { "\xed\xa0\x80.mp4", -E_BAD_REQUEST }, // a surrogate
        { "\xf4\x90\x80\x80.mp4", -E_BAD_REQUEST },
        { "cut\xe2\x82", -E_BAD_REQUEST },
        { longest, -E_BAD_REQUEST },
        { longest + 1, -E_NOT_FOUND },
        { longest + ORIGIN_PATH_MAX - 300, -E_NOT_FOUND },
        { "%2e%2e/etc/passwd", -E_NOT_FOUND },
        { "..\\etc\\passwd", -E_BAD_REQUEST },
        { "absolute.mp4", -E_NOT_FOUND },
        { "inside.mp4", -E_NOT_FOUND },
        { "etc/passwd", -E_NOT_FOUND },
        { "same/b.mp4", -E_NOT_FOUND },
        { "loop", -E_NOT_FOUND },
        { "fifo.mp4", -E_NOT_FOUND },
        { "sub", -E_NOT_FOUND },
        { "a.mp4/b.mp4", -E_NOT_FOUND },
        { "none.mp4", -E_NOT_FOUND },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct origin_version v;
        assert_int_equal(read_code(cases[i].path, NULL, NULL), cases[i].code);
        assert_int_equal(origin->stat(origin, cases[i].path, &v, NULL), cases[i].code);
    }
    assert_int_equal(read_code("sub/b.mp4", NULL, NULL), 0);
}

static void follows_no_magic_link(void **state)
{
    (void)state;
    char why[256];
    struct origin *proc = origin_file_create(&(struct conf){ 0 }, "/proc/self", why, sizeof why);
    assert_non_null(proc);
    struct origin_version v;
    assert_int_equal(proc->stat(proc, "root/etc/passwd", &v, NULL), -E_NOT_FOUND);
    assert_int_equal(proc->stat(proc, "cwd/Makefile", &v, NULL), -E_NOT_FOUND);
    assert_int_equal(proc->stat(proc, "exe", &v, NULL), -E_NOT_FOUND);
    assert_int_equal(proc->stat(proc, "status", &v, NULL), 0);
    proc->destroy(proc);
}

static void shorten(void)
{
    before_pread = NULL;
    put("a.mp4", "01234");
}

static void rewrite(void)
{
    before_pread = NULL;
    char *path = xasprintf("%s/a.mp4", folder);
    const int fd = open(path, O_WRONLY);
    assert_int_equal(write(fd, "abc", 3), 3);
    // The clock of file times is coarse: make the change one that it can tell.
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1, .tv_nsec = 1 } };
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
    free(path);
}

static void sees_a_change(void **state)
{
    (void)state;
    struct origin_version v, w;
    put("a.mp4", "0123456789");
    assert_int_equal(origin->stat(origin, "a.mp4", &v, NULL), 0);
    assert_int_equal(v.size, 10);
    assert_int_equal(read_code("a.mp4", &v, NULL), 0);
    rewrite(); // same size
    assert_int_equal(read_code("a.mp4", &v, NULL), -E_CHANGED);
    assert_int_equal(origin->stat(origin, "a.mp4", &w, NULL), 0);
    assert_false(origin_version_equal(&v, &w));

    put("b.mp4", "0123456789"); // another file, moved over it
    char *from = xasprintf("%s/b.mp4", folder), *to = xasprintf("%s/a.mp4", folder);
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1, .tv_nsec = 1 } };
    assert_int_equal(utimensat(AT_FDCWD, from, times, 0), 0);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(read_code("a.mp4", &w, NULL), -E_CHANGED);
    free(from);
    free(to);

    put("a.mp4", "0123456789");
    before_pread = shorten; // between the two looks
    assert_int_equal(read_code("a.mp4", NULL, NULL), -E_CHANGED);
    put("a.mp4", "0123456789");
    before_pread = rewrite;
    assert_int_equal(read_code("a.mp4", NULL, NULL), -E_CHANGED);
    assert_int_equal(read_code("a.mp4", NULL, NULL), 0);
}

static void can_be_cancelled(void **state)
{
    (void)state;
    put("a.mp4", "x");
    struct cancel cancel;
    atomic_init(&cancel.set, true);
    struct origin_version v;
    assert_int_equal(read_code("a.mp4", NULL, &cancel), -E_CANCELLED);
    assert_int_equal(origin->stat(origin, "a.mp4", &v, &cancel), -E_CANCELLED);
}

static void make_tree(void)
{
    static const char *const folders[] = { "a", "a/deep", "B", ".git", "z", "link-target" };
    static const char *const files[] = { "a.mp4",         "a/1.mkv",       "a/deep/x.MOV",
                                         "a/deep/.y.mp4", "a-b.webm",      "B/q.m4v",
                                         ".git/z.mp4",    "z/t.txt",       "z/mp4",
                                         "z/.mp4",        "é.mp4",         "bad\xff.mp4",
                                         "new\nline.mp4", "z/old.AVI",     "z/b.m2ts",
                                         "z/a.mp3",       "z/a.mp3.en.vtt" };
    for (size_t i = 0; i < countof(folders); i++)
        make_folder(folders[i]);
    for (size_t i = 0; i < countof(files); i++)
        put(files[i], "12345");
    make_folder("folder.mp4");
    make_link("link-target", "linked");
    make_link("a.mp4", "link.mp4");
}

static void lists_in_order(void **state)
{
    (void)state;
    make_tree();
    static const char *const expected[] = { "B/q.m4v",  "a-b.webm",     "a.mp4",
                                            "a/1.mkv",  "a/deep/x.MOV", "z/a.mp3",
                                            "z/b.m2ts", "z/old.AVI",    "é.mp4" };
    struct origin_entry *e;
    int count;
    for (int page = 1; page <= 7; page++) {
        char after[64] = "";
        size_t seen = 0;
        do {
            assert_int_equal(origin->list(origin, after, page, &e, &count), 0);
            assert_true(count <= page);
            for (int i = 0; i < count; i++) {
                assert_string_equal(e[i].path, expected[seen++]);
                assert_int_equal(e[i].size, 5);
                assert_true(e[i].mtime_ms > 1000000000000);
                copy_string(after, sizeof after, e[i].path);
            }
            origin_entries_free(e, count);
        } while (count == page);
        assert_int_equal(seen, countof(expected));
    }
    static const struct {
        const char *after;
        int count;
    } pages[] = { { "a/", 6 },     { "a", 8 },   { "a/deep/", 5 },
                  { "a/deep", 5 }, { "zzz", 1 }, { "\xff", 0 } };
    for (size_t i = 0; i < countof(pages); i++) {
        assert_int_equal(origin->list(origin, pages[i].after, 100, &e, &count), 0);
        assert_int_equal(count, pages[i].count);
        origin_entries_free(e, count);
    }
    assert_int_equal(origin->list(origin, "", -1, &e, &count), 0);
    assert_int_equal(count, 0);
    origin_entries_free(e, count);
}

static void finds_what_lies_beside(void **state)
{
    (void)state;
    static const char *const names[] = {
        "a/cat.mp4",          "a/cat.mp4.en.srt",
        "a/cat.mp4.de.vtt",   "a/cat.mp4.en.vtt",
        "a/cat.mp4.en.txt",   "a/cat.mp4.vtt",
        "a/cat.mp4x.fr.vtt",  "a/cat.mp.fr.vtt",
        "cat.mp4.it.vtt",     "a/xcat.mp4.fr.vtt",
        "a/cat.mp4.e\"n.srt", "a/cat.mp4.a-name-that-is-longer-than-any-tag-may-be-and.vtt",
    };
    char found[ORIGIN_BESIDE][ORIGIN_SUFFIX];
    make_folder("a");
    for (size_t i = 0; i < countof(names); i++)
        put(names[i], "x");
    assert_int_equal(origin->beside(origin, "a/cat.mp4", found), 5);
    assert_string_equal(found[0], ".de.vtt");
    assert_string_equal(found[1], ".e\"n.srt");
    assert_string_equal(found[2], ".en.srt");
    assert_string_equal(found[3], ".en.vtt");
    assert_string_equal(found[4], ".vtt");
    assert_int_equal(origin->beside(origin, "cat.mp4", found), 1);
    static const char *const none[] = { "b/cat.mp4", "../a/cat.mp4", "a/dog.mp4", "",
                                        "a/cat.mp4/x" };
    for (size_t i = 0; i < countof(none); i++)
        assert_int_equal(origin->beside(origin, none[i], found), 0);
    for (int i = 0; i < 2 * ORIGIN_BESIDE; i++) {
        char name[40];
        snprintf(name, sizeof name, "many.mp4.x%d.vtt", i);
        put(name, "x");
    }
    assert_int_equal(origin->beside(origin, "many.mp4", found), ORIGIN_BESIDE);
}

static void leaks_no_descriptor(void **state)
{
    (void)state;
    make_tree();
    int before = 0;
    for (int i = 0; i < 100; i++) {
        struct origin_entry *e;
        int count;
        assert_int_equal(origin->list(origin, "", 3, &e, &count), 0);
        origin_entries_free(e, count);
        read_code("a.mp4", NULL, NULL);
        read_code("a", NULL, NULL);
        read_code("none", NULL, NULL);
        const int next = open("/dev/null", O_RDONLY);
        close(next);
        if (i == 0)
            before = next;
        assert_int_equal(next, before);
    }
}

static void refuses_what_is_no_folder(void **state)
{
    (void)state;
    put("a.mp4", "x");
    char why[256];
    char *file = xasprintf("%s/a.mp4", folder);
    assert_null(origin_file_create(&(struct conf){ 0 }, file, why, sizeof why));
    assert_non_null(strstr(why, "Not a directory"));
    assert_null(origin_file_create(&(struct conf){ 0 }, "/nowhere/at/all", why, sizeof why));
    assert_non_null(strstr(why, "/nowhere/at/all: No such file"));
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_ranges, setup, teardown),
        cmocka_unit_test_setup_teardown(takes_any_name, setup, teardown),
        cmocka_unit_test_setup_teardown(never_leaves_the_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(follows_no_magic_link, setup, teardown),
        cmocka_unit_test_setup_teardown(sees_a_change, setup, teardown),
        cmocka_unit_test_setup_teardown(can_be_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(finds_what_lies_beside, setup, teardown),
        cmocka_unit_test_setup_teardown(leaks_no_descriptor, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_folder, setup, teardown),
    };
    return cmocka_run_group_tests_name("origin_file", tests, NULL, NULL);
}
