// SPDX-License-Identifier: BSD-2-Clause

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/tasks.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
// protected by mutex
static int order[1000], count;
static int inside; // tasks that wait for all of them to be there

struct numbered {
    struct task task;
    struct tasks *pool;
    int number;
    int left; // how often it is to be added again
};

static void note(struct task *t)
{
    const struct numbered *const n = container_of(t, struct numbered, task);
    lock(&mutex);
    order[count++] = n->number;
    pthread_cond_broadcast(&changed);
    unlock(&mutex);
}

static void note_and_free(struct task *t)
{
    note(t);
    free(container_of(t, struct numbered, task));
}

static void go_on(struct task *t)
{
    struct numbered *const n = container_of(t, struct numbered, task);
    if (n->left-- > 0)
        tasks_add(n->pool, t);
    else
        note(t);
}

static void wait_for_the_others(struct task *t)
{
    (void)t;
    lock(&mutex);
    inside++;
    pthread_cond_broadcast(&changed);
    while (inside < 3)
        pthread_cond_wait(&changed, &mutex);
    unlock(&mutex);
}

static int setup(void **state)
{
    (void)state;
    count = inside = 0;
    return 0;
}

static void in_order_of_arrival(void **state)
{
    (void)state;
    struct tasks *p = tasks_create("t", 1);
    for (int i = 0; i < 500; i++) {
        struct numbered *const n = xcalloc(1, sizeof *n);
        *n = (struct numbered){ .task.run = note_and_free, .number = i };
        tasks_add(p, &n->task);
    }
    tasks_destroy(p); // runs what is queued
    assert_int_equal(count, 500);
    for (int i = 0; i < 500; i++)
        assert_int_equal(order[i], i);
}

static void as_many_at_once_as_threads(void **state)
{
    (void)state;
    struct tasks *p = tasks_create("t", 3);
    struct task t[3];
    for (int i = 0; i < 3; i++) {
        t[i].run = wait_for_the_others;
        tasks_add(p, &t[i]);
    }
    tasks_destroy(p);
    assert_int_equal(inside, 3);
}

static int threads_of_this_process(void)
{
    int n = 0;
    DIR *const dir = opendir("/proc/self/task");
    for (const struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void threads_come_with_tasks(void **state)
{
    (void)state;
    const int before = threads_of_this_process();
    struct tasks *p = tasks_create("t", 100);
    struct task t[3];
    assert_int_equal(threads_of_this_process(), before);
    for (int i = 0; i < 3; i++) {
        t[i].run = wait_for_the_others;
        tasks_add(p, &t[i]);
    }
    assert_in_range(threads_of_this_process(), before + 1, before + 3);
    tasks_destroy(p);
    assert_int_equal(inside, 3);
}

// As a making does that goes from one queue to another.
static void a_task_adds_itself(void **state)
{
    (void)state;
    struct tasks *p = tasks_create("t", 2);
    struct numbered n[4];
    for (int i = 0; i < 4; i++) {
        n[i] = (struct numbered){ .task.run = go_on, .pool = p, .number = i, .left = 1000 };
        tasks_add(p, &n[i].task);
    }
    lock(&mutex);
    while (count < 4)
        pthread_cond_wait(&changed, &mutex);
    unlock(&mutex);
    tasks_destroy(p);
    tasks_destroy(NULL);
}

static void what_waits_can_be_taken_back(void **state)
{
    (void)state;
    struct tasks *p = tasks_create("t", 3);
    struct task t[3];
    struct numbered n[3];
    assert_int_equal(tasks_threads(p), 3);
    for (int i = 0; i < 2; i++) {
        t[i].run = wait_for_the_others;
        tasks_add(p, &t[i]);
    }
    lock(&mutex);
    while (inside < 2)
        pthread_cond_wait(&changed, &mutex);
    unlock(&mutex);
    assert_false(tasks_take_back(p, &t[0])); // it runs
    t[2].run = wait_for_the_others;
    for (int i = 0; i < 3; i++)
        n[i] = (struct numbered){ .task.run = note, .number = i };
    lock(&mutex); // nothing can end now
    tasks_add(p, &n[0].task);
    while (tasks_take_back(p, &n[0].task)) // until the last thread has it
        tasks_add(p, &n[0].task);
    tasks_add(p, &n[1].task);
    tasks_add(p, &n[2].task);
    assert_true(tasks_take_back(p, &n[1].task));
    assert_false(tasks_take_back(p, &n[1].task));
    unlock(&mutex);
    tasks_add(p, &t[2]);
    tasks_destroy(p);
    assert_int_equal(count, 2);
    assert_int_equal(order[0], 0);
    assert_int_equal(order[1], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(in_order_of_arrival, setup),
        cmocka_unit_test_setup(as_many_at_once_as_threads, setup),
        cmocka_unit_test_setup(threads_come_with_tasks, setup),
        cmocka_unit_test_setup(a_task_adds_itself, setup),
        cmocka_unit_test_setup(what_waits_can_be_taken_back, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
