#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/clock.h"
#include "sys/entropy.h"
#include "sys/loop.h"

enum { THREADS = 4, POSTS = 10000 };

struct probe {
    struct loop *loop;
    struct loop_timer *timer;
    struct loop_watch *watch;
    int fd;
    int count;
    int next[THREADS];
    int done;
    uint64_t at_us;
};

static int setup(void **state)
{
    struct probe *p = calloc(1, sizeof(*p));

    assert_int_equal(loop_create(&p->loop), 0);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct probe *p = *state;

    loop_destroy(p->loop);
    free(p);
    return 0;
}

static void on_once(void *arg)
{
    struct probe *p = arg;

    p->at_us = clock_mono_us();
    p->count++;
    loop_stop(p->loop);
}

static void on_third(void *arg)
{
    struct probe *p = arg;

    if (++p->count == 3) {
        loop_timer_destroy(p->timer); /* from within itself */
        p->timer = NULL;
        loop_stop(p->loop);
    }
}

static void timers_fire_after_their_delay_and_repeat(void **state)
{
    struct probe *p = *state;
    uint64_t start;

    assert_int_equal(loop_timer_create(p->loop, &p->timer, on_once, p), 0);
    usleep(30000); /* the loop's idea of now is old */
    start = clock_mono_us();
    loop_timer_start(p->timer, 20, 0);
    loop_run(p->loop);
    assert_true(p->at_us - start >= 19000);
    loop_timer_start(p->timer, 1, 0);
    loop_timer_stop(p->timer);
    usleep(5000);
    loop_turn(p->loop);
    assert_int_equal(p->count, 1);
    loop_timer_destroy(p->timer);
    p->count = 0;
    assert_int_equal(loop_timer_create(p->loop, &p->timer, on_third, p), 0);
    loop_timer_start(p->timer, 1, 1);
    loop_run(p->loop);
    loop_turn(p->loop);
    assert_int_equal(p->count, 3);
}

static void on_readable(void *arg, unsigned events)
{
    struct probe *p = arg;
    char c;

    assert_int_equal(events, LOOP_READ);
    assert_int_equal(read(p->fd, &c, 1), 1);
    if (++p->count == 2) {
        loop_watch_set(p->watch, 0);
        loop_stop(p->loop);
    }
}

static void watch_tells_when_a_descriptor_is_ready(void **state)
{
    struct probe *p = *state;
    struct loop_watch *second;
    int pipe_fd[2];
    int file;

    assert_int_equal(pipe2(pipe_fd, O_NONBLOCK | O_CLOEXEC), 0);
    p->fd = pipe_fd[0];
    assert_int_equal(
        loop_watch_create(p->loop, &p->watch, p->fd, LOOP_READ, on_readable, p), 0);
    assert_int_equal(loop_watch_create(p->loop, &second, p->fd, LOOP_READ, on_readable, p),
                     -EEXIST);
    assert_int_equal(write(pipe_fd[1], "abc", 3), 3); /* level-triggered: one at a time */
    loop_run(p->loop);
    loop_turn(p->loop);
    assert_int_equal(p->count, 2);
    loop_watch_set(p->watch, LOOP_READ);
    loop_turn(p->loop);
    assert_int_equal(p->count, 3);
    loop_watch_destroy(p->watch);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(loop_watch_create(p->loop, &second, file, LOOP_READ, on_readable, p),
                     -EPERM);
    close(file);
}

struct post {
    struct probe *p;
    int thread;
    int i;
};

static void on_post(void *arg)
{
    struct post *post = arg;
    struct probe *p = post->p;

    assert_int_equal(post->i, p->next[post->thread]++); /* in order */
    if (++p->count == THREADS * POSTS) {
        loop_stop(p->loop);
    }
    free(post);
}

static void *poster(void *arg)
{
    struct post *me = arg;

    for (int i = 0; i < POSTS; i++) {
        struct post *post = malloc(sizeof(*post));

        *post = (struct post){me->p, me->thread, i};
        assert_int_equal(loop_post(me->p->loop, on_post, post), 0);
    }
    return NULL;
}

static void posts_of_each_thread_run_once_and_in_order(void **state)
{
    struct probe *p = *state;
    pthread_t threads[THREADS];
    struct post me[THREADS];

    for (int i = 0; i < THREADS; i++) {
        me[i] = (struct post){p, i, 0};
        pthread_create(&threads[i], NULL, poster, &me[i]);
    }
    loop_run(p->loop);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(p->next[i], POSTS);
    }
}

static void on_done(void *arg)
{
    (*(int *)arg)++;
}

static void on_repost(void *arg)
{
    struct probe *p = arg;

    loop_post(p->loop, on_done, &p->done);
}

static void what_was_posted_runs_before_the_loop_goes(void **state)
{
    struct probe p = {0};

    (void)state;
    assert_int_equal(loop_create(&p.loop), 0);
    assert_int_equal(loop_post(p.loop, on_repost, &p), 0);
    loop_destroy(p.loop);
    assert_int_equal(p.done, 1);
    loop_destroy(NULL);
}

static void signals_arrive_on_the_loop(void **state)
{
    struct probe *p = *state;
    struct loop_signal *sig;

    assert_int_equal(loop_signal_create(p->loop, &sig, SIGUSR1, on_once, p), 0);
    raise(SIGUSR1);
    loop_run(p->loop);
    assert_int_equal(p->count, 1);
    loop_signal_destroy(sig);
    assert_int_equal(loop_signal_create(p->loop, &sig, SIGKILL, on_once, p), -EINVAL);
}

static void random_ids_are_of_their_alphabet_and_differ(void **state)
{
    char a[33];
    char b[33];

    (void)state;
    entropy_id(a, 32);
    entropy_id(b, 32);
    assert_int_equal(strlen(a), 32);
    assert_int_equal(
        strspn(a, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"), 32);
    assert_string_not_equal(a, b);
}

static void an_id_is_never_taken_for_an_option(void **state)
{
    char id[4];

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        entropy_id(id, 3);
        assert_int_not_equal(id[0], '-');
    }
}

static void on_left(void *arg)
{
    struct probe *p = arg;

    p->count = 1; /* the rest is left to on_after() */
}

static void on_after(void *arg)
{
    struct probe *p = arg;

    if (p->count == 1) {
        p->count = 2;
        loop_stop(p->loop);
    }
}

/* By a timer, and by what was posted; with nothing else to wake the loop for long. */
static void what_callbacks_leave_is_done_before_the_loop_waits(void **state)
{
    struct probe *p = *state;
    struct loop_after *after;
    uint64_t begun_us = clock_mono_us();

    assert_int_equal(loop_after_create(p->loop, &after, on_after, p), 0);
    assert_int_equal(loop_timer_create(p->loop, &p->timer, on_left, p), 0);
    loop_timer_start(p->timer, 1, 0);
    loop_run(p->loop);
    assert_int_equal(p->count, 2);
    loop_timer_start(p->timer, 10000, 0);
    p->count = 0;
    assert_int_equal(loop_post(p->loop, on_left, p), 0);
    loop_run(p->loop);
    assert_int_equal(p->count, 2);
    assert_true(clock_mono_us() - begun_us < 9000000);
    loop_timer_destroy(p->timer);
    loop_after_destroy(after);
    p->count = 1;
    loop_turn(p->loop); /* it is not called any more */
    assert_int_equal(p->count, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(timers_fire_after_their_delay_and_repeat),
        T(watch_tells_when_a_descriptor_is_ready),
        T(posts_of_each_thread_run_once_and_in_order),
        T(what_was_posted_runs_before_the_loop_goes),
        T(what_callbacks_leave_is_done_before_the_loop_waits),
        T(signals_arrive_on_the_loop),
        T(an_id_is_never_taken_for_an_option),
        T(random_ids_are_of_their_alphabet_and_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
