// SPDX-License-Identifier: BSD-2-Clause
//
// A part that another one follows leaves the CPU to that, but for its first fragment.

#include "test/unit/av_tools.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "codec/av/av.h"
#include "codec/av/part.h"

#define FRAMES 40
#define LOWEST 19

static bool has_name(const char *thread, const char *name)
{
    char path[300], comm[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", thread);
    FILE *f = fopen(path, "re");
    const bool read = f && fgets(comm, sizeof comm, f);
    if (f)
        fclose(f);
    comm[strcspn(comm, "\n")] = '\0';
    return read && strcmp(comm, name) == 0;
}

// Steps of priority that the only thread of that name has lost.
static int steps_of(const char *name)
{
    int steps = -1;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *e; (e = readdir(tasks));)
        if (has_name(e->d_name, name)) {
            assert_int_equal(steps, -1);
            steps = getpriority(PRIO_PROCESS, (id_t)atoi(e->d_name));
        }
    closedir(tasks);
    assert_true(steps >= 0);
    return steps;
}

static void give(struct part *p, int frames, const struct why *why)
{
    AVFrame *f = av_frame_alloc();
    f->format = AV_PIX_FMT_YUV420P;
    f->width = 160;
    f->height = 96;
    assert_int_equal(av_frame_get_buffer(f, 0), 0);
    for (int i = 0; i < 3; i++)
        memset(f->data[i], 128, (size_t)(f->linesize[i] * f->height / (i ? 2 : 1)));
    while (frames-- > 0)
        assert_int_equal(part_give(p, f, PART_AHEAD_MAX, 0, why), 1);
    av_frame_free(&f);
}

// What its thread has lost when its first fragment is here, and its last picture is not.
static int steps_lost(bool followed)
{
    const struct video_settings v = PLAIN_VIDEO(160, 96, 25, 1);
    const struct part_order order = { .v = &v, .frames = FRAMES, .cut_every = 8, .last_ticks = 1 };
    char detail[DETAIL_MAX] = "";
    const struct why why = { detail, sizeof detail };
    struct part *p;
    struct buf out;
    int64_t us = 0;
    buf_init(&out, MIB);
    assert_int_equal(part_start(&p, &order, &why), 0);
    if (followed)
        part_followed(p);
    const int before = steps_of("encode");
    give(p, FRAMES - 1, &why);
    while (out.len == 0)
        assert_int_equal(part_take(p, &out, 1000, &why), 0);
    const int after = steps_of("encode");
    part_stop(&p, &us);
    buf_finish(&out);
    assert_true(before < LOWEST); // else there is nothing to lose
    return after - before;
}

static void test_who_is_followed_gives_way(void **state)
{
    (void)state;
    const int own = getpriority(PRIO_PROCESS, 0);
    assert_int_equal(steps_lost(false), 0);
    assert_true(steps_lost(true) > 0);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_followed_gives_way),
    };
    char detail[DETAIL_MAX];
    if (av_setup(detail, sizeof detail) < 0) {
        print_error("%s\n", detail);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
