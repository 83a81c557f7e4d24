/* Writes that are tried again, on a backend that fails when it is told to. */
#include "store/writer.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "desk.h"
#include "sys/clock.h"
#include "sys/loop.h"

static atomic_int failure;   /* what every write fails with */
static atomic_int n_to_fail; /* so many fail, then no more */
static atomic_uint n_commits;
static atomic_bool slow;     /* and how fast it does */
static char written[64][32]; /* ids, in order; the store's thread, then ours */
static atomic_uint n_written;
static unsigned n_done, n_failed;
static int last_err;

static int fake_open(void **out, const struct store_conf *conf, char err[STORE_ERR_MAX])
{
    (void)conf;
    (void)err;
    *out = NULL;
    return 0;
}

static void fake_close(void *data)
{
    (void)data;
}

static int fake_last(void *data, uint64_t *epoch, uint64_t *seq)
{
    (void)data;
    *epoch = 3;
    *seq = 4;
    return 0;
}

static int fake_begin(void *data, bool careful)
{
    (void)data;
    (void)careful;
    return 0;
}

static int fake_commit(void *data)
{
    (void)data;
    (void)atomic_fetch_add(&n_commits, 1);
    return 0;
}

static bool fake_run(void *data, struct store_req *req)
{
    unsigned n = atomic_load(&n_written);

    (void)data;
    while (atomic_load(&slow)) {
        (void)usleep(1000);
    }
    req->result.err = atomic_load(&failure);
    if (atomic_load(&n_to_fail) > 0) {
        (void)atomic_fetch_sub(&n_to_fail, 1);
        req->result.err = -ENOSPC;
    }
    if (strcmp(req->writes[0].doc.id, "bad") == 0) {
        req->result.err = -ESTALE;
    }
    if (req->result.err == 0 && n < 64) {
        (void)snprintf(written[n], sizeof(written[n]), "%s", req->writes[0].doc.id);
        atomic_store(&n_written, n + 1);
    }
    return true;
}

static const struct store_backend fake = {.open = fake_open,
                                          .close = fake_close,
                                          .last = fake_last,
                                          .begin = fake_begin,
                                          .commit = fake_commit,
                                          .run = fake_run};

static void on_done(void *arg, const struct store_result *result)
{
    (void)arg;
    n_done++;
    n_failed += result->err != 0;
    last_err = result->err;
}

static int put(struct store_writer *writer, const char *id, bool once)
{
    const struct store_write write = {
        .what = STORE_PUT, .kind = STORE_CHAT, .doc = {.id = id, .json = "{}"}};

    return once ? store_writer_put_once(writer, &write, 1, NULL, on_done, NULL)
                : store_writer_put(writer, &write, 1, false, on_done, NULL);
}

static void setup(struct desk *desk, struct store_writer **writer)
{
    atomic_store(&failure, 0);
    atomic_store(&slow, false);
    atomic_store(&n_written, 0);
    n_done = n_failed = 0;
    desk_setup(desk);
    desk_open(desk, &fake, NULL);
    assert_int_equal(store_writer_create(writer, desk->store), 0);
}

static void wait_for(struct desk *desk, struct store_writer *writer, unsigned n)
{
    uint64_t until_us = clock_mono_us() + 20000000;

    while (n_done < n) {
        assert_true(clock_mono_us() < until_us);
        store_writer_tick(writer, clock_mono_us());
        loop_turn(desk->loop);
        (void)usleep(100);
    }
}

static void what_fails_is_written_later_in_its_order(void **state)
{
    static const char *const ids[] = {"a", "b", "c", "d", "e"};
    struct store_writer *writer;
    uint64_t until_us;
    struct desk desk;
    (void)state;

    setup(&desk, &writer);
    assert_int_equal(put(writer, "0", false), 0);
    wait_for(&desk, writer, 1);
    atomic_store(&failure, -ENOSPC);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(put(writer, ids[i], false), 0);
    }
    until_us = clock_mono_us() + 20000000;
    while (store_writer_failing(writer) != -ENOSPC) {
        assert_true(clock_mono_us() < until_us);
        loop_turn(desk.loop);
    }
    assert_int_equal(put(writer, "x", true), -ENOSPC); /* who waits is told at once */
    assert_int_equal(put(writer, ids[3], false), 0);
    assert_int_equal(n_done, 1);
    atomic_store(&failure, 0);
    assert_int_equal(put(writer, ids[4], false), 0);
    wait_for(&desk, writer, 6);
    assert_int_equal(store_writer_failing(writer), 0);
    assert_int_equal(n_failed, 0);
    assert_int_equal(atomic_load(&n_written), 6);
    for (unsigned i = 0; i < 5; i++) {
        assert_string_equal(written[i + 1], ids[i]);
    }
    assert_int_equal(store_writer_waiting(writer), 0);
    desk_close(&desk);
    store_writer_destroy(writer);
    desk_teardown(&desk);
}

/* The disk has room again at once, while others are on their way. */
static void none_overtakes_what_has_failed(void **state)
{
    static const char *const ids[] = {"a", "b", "c"};
    struct store_writer *writer;
    struct desk desk;
    (void)state;

    setup(&desk, &writer);
    atomic_store(&slow, true);
    atomic_store(&n_to_fail, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(put(writer, ids[i], false), 0);
    }
    atomic_store(&slow, false);
    wait_for(&desk, writer, 3);
    assert_int_equal(n_failed, 0);
    assert_int_equal(atomic_load(&n_written), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_string_equal(written[i], ids[i]);
    }
    desk_close(&desk);
    store_writer_destroy(writer);
    desk_teardown(&desk);
}

static void who_waits_is_told_why_and_it_is_not_tried_again(void **state)
{
    struct store_writer *writer;
    struct desk desk;
    (void)state;

    setup(&desk, &writer);
    atomic_store(&failure, -ENOSPC);
    assert_int_equal(put(writer, "a", true), 0);
    wait_for(&desk, writer, 1);
    assert_int_equal(last_err, -ENOSPC);
    atomic_store(&failure, 0);
    wait_for(&desk, writer, 1);
    assert_int_equal(atomic_load(&n_written), 0);
    assert_int_equal(store_writer_lost(writer), 0);
    assert_int_equal(put(writer, "bad", false), 0); /* nor what can never be written */
    wait_for(&desk, writer, 2);
    assert_int_equal(last_err, -ESTALE);
    assert_int_equal(store_writer_lost(writer), 1);
    desk_close(&desk);
    store_writer_destroy(writer);
    desk_teardown(&desk);
}

static void what_waits_is_bounded_and_its_end_is_told(void **state)
{
    struct store_writer *writer;
    unsigned n = 0;
    struct desk desk;
    (void)state;

    setup(&desk, &writer);
    atomic_store(&slow, true);
    while (put(writer, "a", false) == 0) {
        n++;
    }
    assert_int_equal(n, STORE_WRITER_MAX);
    assert_int_equal(store_writer_lost(writer), 1);
    assert_int_equal(put(writer, "a", true), -EAGAIN);
    atomic_store(&slow, false);
    store_close(desk.store); /* does what it has, the rest is told */
    assert_int_equal(put(writer, "a", false), -ECANCELED);
    store_writer_destroy(writer);
    assert_int_equal(n_done, n);
    assert_int_equal(n_failed, n - STORE_WRITER_FLYING);
    desk_teardown(&desk);
}

/* What stands for one that its writer waited for has its place, before what came later. */
static void what_is_written_instead_has_its_place(void **state)
{
    const struct store_write write = {
        .what = STORE_PUT, .kind = STORE_CHAT, .doc = {.id = "whole", .json = "{}"}};
    const struct store_write stub = {
        .what = STORE_PUT, .kind = STORE_CHAT, .doc = {.id = "stub", .json = "{}"}};
    static const char *const ids[] = {"a", "stub", "b", "stub"};
    struct store_writer *writer;
    struct desk desk;
    (void)state;

    setup(&desk, &writer);
    atomic_store(&slow, true);
    atomic_store(&failure, -ENOSPC);
    assert_int_equal(put(writer, "a", false), 0);
    assert_int_equal(store_writer_put_once(writer, &write, 1, &stub, on_done, NULL), 0);
    assert_int_equal(put(writer, "b", false), 0);
    atomic_store(&slow, false);
    wait_for(&desk, writer, 1);
    assert_int_equal(last_err, -ENOSPC); /* told at once */
    assert_int_equal(store_writer_put_once(writer, &write, 1, &stub, on_done, NULL),
                     -ENOSPC);
    atomic_store(&failure, 0);
    wait_for(&desk, writer, 3);
    while (store_writer_waiting(writer) > 0) {
        loop_turn(desk.loop);
    }
    assert_int_equal(n_failed, 1);
    assert_int_equal(store_writer_lost(writer), 0);
    assert_int_equal(atomic_load(&n_written), 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_string_equal(written[i], ids[i]);
    }
    desk_close(&desk);
    store_writer_destroy(writer);
    desk_teardown(&desk);
}

/* As signal/keep.c writes it of each: attendance, and the event that tells of it. */
static void ten_thousand_who_leave_at_once_are_all_written(void **state)
{
    enum { PEOPLE = 10000 };
    struct store_writer *writer;
    struct desk desk;
    char text[700];
    (void)state;

    setup(&desk, &writer);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    atomic_store(&slow, true); /* not one of them is on the disk before the last is told */
    for (unsigned i = 0; i < PEOPLE; i++) {
        const struct store_write writes[] = {
            {.what = STORE_PUT,
             .kind = STORE_ATTENDANCE,
             .doc = {.id = "p", .group = "m", .ref = "u", .state = "left", .json = text}},
            {.what = STORE_EVENT,
             .event = {.meeting = "m", .type = "kcs.participant.left", .json = text}}};

        assert_int_equal(store_writer_put(writer, writes, 2, false, on_done, NULL), 0);
    }
    assert_int_equal(put(writer, "a", true), 0); /* and the chat of others goes on */
    atomic_store(&slow, false);
    wait_for(&desk, writer, PEOPLE + 1);
    assert_int_equal(n_failed, 0);
    assert_int_equal(store_writer_lost(writer), 0);
    desk_close(&desk);
    store_writer_destroy(writer);
    desk_teardown(&desk);
}

/* The thread has 2 ms to take each alone; that it waits longer than between two of them may
 * fail on a machine that is busy, not each time. */
static void what_nobody_waits_for_is_written_together(void **state)
{
    const struct store_write write = {
        .what = STORE_PUT, .kind = STORE_CHAT, .doc = {.id = "a", .json = "{}"}};
    struct desk desk = {0};
    struct store_writer *writer;
    unsigned least = UINT_MAX;
    (void)state;

    setup(&desk, &writer);
    for (unsigned i = 0; i < 50 && least > 1; i++) {
        unsigned before = atomic_load(&n_commits);
        unsigned n = atomic_load(&n_written);
        unsigned took;

        n_done = 0;
        if (n > 50) {
            atomic_store(&n_written, n = 0);
        }
        assert_int_equal(store_writer_put(writer, &write, 1, true, NULL, NULL), 0);
        (void)usleep(2000);
        assert_int_equal(store_writer_put(writer, &write, 1, true, NULL, NULL), 0);
        (void)usleep(2000);
        assert_int_equal(put(writer, "b", false), 0);
        wait_for(&desk, writer, 1);
        assert_int_equal(atomic_load(&n_written),
                         n + 3); /* those before it are written, too */
        took = atomic_load(&n_commits) - before;
        least = took < least ? took : least;
    }
    assert_int_equal(least, 1);
    store_close(desk.store);
    store_writer_destroy(writer);
    desk_teardown(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fails_is_written_later_in_its_order),
        cmocka_unit_test(none_overtakes_what_has_failed),
        cmocka_unit_test(who_waits_is_told_why_and_it_is_not_tried_again),
        cmocka_unit_test(what_waits_is_bounded_and_its_end_is_told),
        cmocka_unit_test(what_is_written_instead_has_its_place),
        cmocka_unit_test(ten_thousand_who_leave_at_once_are_all_written),
        cmocka_unit_test(what_nobody_waits_for_is_written_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
