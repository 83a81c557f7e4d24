/* The gate by itself, in its own time: how fast people come in, who waits, who is told to
 * come again, and when. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "meeting/gate.h"

enum { T0 = 1000000000, TICK_US = 5000, MOST = 50, WAIT_MS = 2000 };

/* A node whose threads need so much CPU for each who is in. */
struct node {
    struct gate gate;
    struct gate_load load;
    uint64_t now_us;
    uint64_t join_us;   /* 0: nobody wants keys */
    uint64_t loop_us;   /* the same of the loop; it takes what it has to at once */
    uint64_t served_us; /* up to when the threads have work */
    uint32_t n_in;
};

static void node_init(struct node *node, uint64_t join_us)
{
    const struct gate_conf conf = {.most = MOST, .wait_ms = WAIT_MS};

    *node = (struct node){.load.threads = 1, .now_us = T0, .join_us = join_us};
    gate_init(&node->gate, &conf);
    gate_on_load(&node->gate, &node->load, node->now_us);
}

static void came_in(struct node *node)
{
    uint64_t from_us = node->served_us > node->now_us ? node->served_us : node->now_us;

    node->n_in++;
    node->load.loop_us += node->loop_us;
    node->served_us = from_us + node->join_us;
}

/* Time passes, and the threads work. */
static void pass(struct node *node, uint64_t us)
{
    uint64_t work_us =
        node->served_us > node->now_us ? node->served_us - node->now_us : 0;

    node->now_us += us;
    node->load.busy_us += work_us < us ? work_us : us;
    node->load.delay_us = work_us > us ? work_us - us : 0;
    gate_on_load(&node->gate, &node->load, node->now_us);
}

static void tick(struct node *node)
{
    pass(node, TICK_US);
    while (gate_take(&node->gate, node->now_us) != NULL) {
        came_in(node);
    }
}

static int enter(struct node *node, struct gate_entry *entry, uint32_t *retry_ms)
{
    int ret = gate_enter(&node->gate, entry, node->now_us, retry_ms);

    if (ret == 0) {
        came_in(node);
    }
    return ret;
}

static void a_few_come_in_at_once(void **state)
{
    struct node node;
    struct gate_entry entries[20] = {0};
    uint32_t retry_ms;
    (void)state;

    node_init(&node, 1000);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(enter(&node, &entries[i], &retry_ms), 0);
        assert_false(entries[i].waits);
    }
}

static void who_came_first_goes_first(void **state)
{
    struct node node;
    struct gate_entry entries[4] = {0};
    uint32_t retry_ms;
    (void)state;

    node_init(&node, 1000);
    node.gate.behind = true;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(enter(&node, &entries[i], &retry_ms), -EINPROGRESS);
    }
    assert_null(gate_take(&node.gate, node.now_us));
    gate_leave(&node.gate, &entries[1]); /* does not want to wait */
    gate_leave(&node.gate, &entries[1]);
    node.gate.behind = false;
    assert_ptr_equal(gate_take(&node.gate, node.now_us), &entries[0]);
    assert_ptr_equal(gate_take(&node.gate, node.now_us), &entries[2]);
    assert_ptr_equal(gate_take(&node.gate, node.now_us), &entries[3]);
    assert_null(gate_take(&node.gate, node.now_us));
}

/* Far more come than there is time for: the pace is what the threads carry, and what waits
 * for them stays short, though nobody has told the gate what a join costs. */
static void the_pace_is_what_the_threads_carry(void **state)
{
    static const uint64_t costs_us[] = {400, 1000, 3000, 8000};
    (void)state;

    for (size_t c = 0; c < sizeof(costs_us) / sizeof(costs_us[0]); c++) {
        struct node node;
        struct gate_entry *entries = calloc(20000, sizeof(*entries));
        uint64_t most_delay_us = 0;
        uint32_t most_waiting = 0, n = 0, n_refused = 0, retry_ms, before;

        node_init(&node, costs_us[c]);
        for (uint64_t until_us = T0 + 4000000; node.now_us < until_us;) {
            for (int i = 0; i < 20; i++) { /* 4,000 a second */
                n_refused += enter(&node, &entries[n++], &retry_ms) == -EBUSY;
            }
            most_waiting = node.gate.n > most_waiting ? node.gate.n : most_waiting;
            tick(&node);
            most_delay_us = node.load.delay_us > most_delay_us ? node.load.delay_us
                                                               : most_delay_us;
        }
        assert_int_equal(most_waiting, MOST);
        assert_true(n_refused > n / 3);
        assert_true(most_delay_us < GATE_BEHIND_US + GATE_BURST_US * costs_us[c] /
                                                         GATE_COST_FIRST_US);
        /* then as fast as they carry, but for a tenth */
        before = node.n_in;
        for (uint64_t until_us = node.now_us + 4000000; node.now_us < until_us;) {
            for (int i = 0; i < 20 && n < 20000; i++) {
                (void)enter(&node, &entries[n++], &retry_ms);
            }
            if (n == 20000) {
                break;
            }
            tick(&node);
        }
        assert_true((double)(node.n_in - before) >
                    0.8 * (double)(node.now_us - T0 - 4000000) / (double)costs_us[c]);
        free(entries);
    }
}

/* Who wants no keys costs nothing, and is not held up by what others cost. */
static void who_only_reads_comes_in_fast(void **state)
{
    struct node node;
    struct gate_entry *entries = calloc(40000, sizeof(*entries));
    uint32_t n = 0, retry_ms, before = 0;
    (void)state;

    node_init(&node, 0);
    while (node.now_us < T0 + 8000000) {
        if (node.now_us == T0 + 4000000) {
            before = node.n_in;
        }
        for (int i = 0; i < 20; i++) {
            (void)enter(&node, &entries[n++], &retry_ms);
        }
        tick(&node);
    }
    assert_true(node.n_in - before > 4 * 3800); /* of 4 s with 4,000 */
    free(entries);
}

/* The loop has half of its time for those who come, and 2 ms for each of them. */
static void of_a_busy_loop_they_get_what_is_left(void **state)
{
    struct node node;
    struct gate_entry *entries = calloc(40000, sizeof(*entries));
    uint32_t n = 0, retry_ms, before = 0;
    (void)state;

    node_init(&node, 0);
    node.loop_us = 2000;
    while (node.now_us < T0 + 10000000) {
        if (node.now_us == T0 + 5000000) {
            before = node.n_in;
        }
        for (int i = 0; i < 20; i++) {
            (void)enter(&node, &entries[n++], &retry_ms);
        }
        node.load.loop_us += TICK_US / 2;
        tick(&node);
    }
    assert_in_range(node.n_in - before, 5 * 160, 5 * 250); /* (0.9 - 0.5) / 2 ms: 200/s */
    free(entries);
}

/* Those who are sent away get times one after the other, not sooner than they can be
 * served, and none for ever. */
static void appointments_follow_each_other(void **state)
{
    struct node node;
    struct gate_entry *entries = calloc(200000, sizeof(*entries));
    uint32_t last_ms = 0, retry_ms = 0, n_refused = 0, n = 0;
    (void)state;

    node_init(&node, 1000);
    while (n_refused < 3000) {
        if (enter(&node, &entries[n++], &retry_ms) == -EBUSY) {
            assert_true(retry_ms >= last_ms);
            assert_true(retry_ms >= GATE_RETRY_MIN_MS);
            last_ms = retry_ms;
            n_refused++;
        }
    }
    assert_in_range(last_ms, 800, 4000); /* 3,000 after each other */
    while (n < 200000) {
        if (enter(&node, &entries[n++], &retry_ms) == -EBUSY) {
            assert_in_range(retry_ms, GATE_RETRY_MIN_MS, GATE_RETRY_MAX_MS);
        }
    }
    free(entries);
}

/* Where all come again when they were told to, all are in after as long as it takes. */
static void a_crowd_that_obeys_comes_in(void **state)
{
    enum { CROWD = 3000 };
    struct node node;
    struct gate_entry *entries = calloc(CROWD, sizeof(*entries));
    uint64_t *due_us = calloc(CROWD, sizeof(*due_us));
    uint32_t n_asked = 0, retry_ms;
    (void)state;

    node_init(&node, 1000);
    for (int i = 0; i < CROWD; i++) {
        due_us[i] = T0;
    }
    while (node.n_in < CROWD && node.now_us < T0 + UINT64_C(30000000)) {
        for (int i = 0; i < CROWD; i++) {
            if (due_us[i] <= node.now_us) {
                int ret = enter(&node, &entries[i], &retry_ms);

                n_asked++;
                due_us[i] =
                    ret == -EBUSY ? node.now_us + retry_ms * UINT64_C(1000) : UINT64_MAX;
            }
        }
        tick(&node);
    }
    assert_int_equal(node.n_in, CROWD);
    assert_true(node.now_us - T0 < 5000000); /* 3 s of work */
    assert_true(n_asked < 4 * CROWD);
    free(entries);
    free(due_us);
}

static void who_waits_too_long_is_sent_away(void **state)
{
    struct node node;
    struct gate_entry a = {0}, b = {0};
    uint32_t retry_ms = 0;
    (void)state;

    node_init(&node, 1000);
    node.load.delay_us = 2 * GATE_BEHIND_US;
    gate_on_load(&node.gate, &node.load, node.now_us);
    assert_int_equal(enter(&node, &a, &retry_ms), -EINPROGRESS);
    node.now_us += 1000000;
    assert_int_equal(enter(&node, &b, &retry_ms), -EINPROGRESS);
    node.now_us += 1000000;
    assert_null(gate_take_late(&node.gate, node.now_us, &retry_ms));
    node.now_us += 1;
    assert_ptr_equal(gate_take_late(&node.gate, node.now_us, &retry_ms), &a);
    assert_true(retry_ms >= GATE_RETRY_MIN_MS);
    assert_null(gate_take_late(&node.gate, node.now_us, &retry_ms));
    assert_int_equal(node.gate.n, 1);
}

/* A loop that is busy with others still lets in somebody, now and then. */
static void a_late_loop_lets_in_one_at_a_time(void **state)
{
    struct node node;
    struct gate_entry entries[10] = {0};
    uint32_t retry_ms;
    (void)state;

    node_init(&node, 1000);
    node.load.late_us = 2 * GATE_LATE_US;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(enter(&node, &entries[i], &retry_ms), 0);
    }
    pass(&node, TICK_US);
    for (int i = 0; i < 10; i++) {
        entries[i] = (struct gate_entry){0};
        assert_int_equal(enter(&node, &entries[i], &retry_ms), i == 0 ? 0 : -EINPROGRESS);
    }
    for (uint32_t left = 9; left > 0; left--) {
        pass(&node, TICK_US);
        assert_non_null(gate_take(&node.gate, node.now_us));
        assert_null(gate_take(&node.gate, node.now_us));
        assert_int_equal(node.gate.n, left - 1);
    }
}

static void nobody_waits_if_there_is_no_room_for_it(void **state)
{
    struct node node;
    struct gate_entry entry = {0};
    uint32_t retry_ms = 0;
    (void)state;

    node_init(&node, 1000);
    gate_set(&node.gate, &(struct gate_conf){.most = 0, .wait_ms = WAIT_MS});
    node.gate.behind = true;
    assert_int_equal(enter(&node, &entry, &retry_ms), -EBUSY);
    assert_true(retry_ms >= GATE_RETRY_MIN_MS);
    node.gate.behind = false;
    assert_int_equal(enter(&node, &entry, &retry_ms), 0);
}

/* One user with many connections has a share of the line; the others get in. */
static void one_user_does_not_fill_the_line(void **state)
{
    struct node node;
    struct gate_entry entries[2 * MOST] = {0};
    uint32_t retry_ms = 0, n_of_one = 0, n_of_others = 0;
    (void)state;

    node_init(&node, 1000);
    node.gate.behind = true;
    for (int i = 0; i < MOST; i++) {
        entries[i].who = 7;
        n_of_one += enter(&node, &entries[i], &retry_ms) == -EINPROGRESS;
    }
    assert_int_equal(n_of_one, 1 + MOST / GATE_SHARE);
    assert_in_range(retry_ms, GATE_RETRY_MIN_MS, GATE_RETRY_MAX_MS);
    assert_int_equal(node.gate.appointed_us, 0); /* nobody is put off by whom it refuses */
    for (uint32_t i = MOST; i < 2 * MOST; i++) {
        entries[i].who = i;
        n_of_others += enter(&node, &entries[i], &retry_ms) == -EINPROGRESS;
    }
    assert_int_equal(n_of_others, MOST - n_of_one);
    node.gate.behind = false; /* a place that is free is free for it again */
    assert_ptr_equal(gate_take(&node.gate, node.now_us), &entries[0]);
    node.gate.behind = true;
    assert_int_equal(enter(&node, &entries[0], &retry_ms), -EINPROGRESS);
    for (int i = 0; i < 2 * MOST; i++) {
        gate_leave(&node.gate, &entries[i]);
    }
    assert_int_equal(node.gate.n, 0);
    assert_null(node.gate.users);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_come_in_at_once),
        cmocka_unit_test(one_user_does_not_fill_the_line),
        cmocka_unit_test(who_came_first_goes_first),
        cmocka_unit_test(the_pace_is_what_the_threads_carry),
        cmocka_unit_test(who_only_reads_comes_in_fast),
        cmocka_unit_test(of_a_busy_loop_they_get_what_is_left),
        cmocka_unit_test(appointments_follow_each_other),
        cmocka_unit_test(a_crowd_that_obeys_comes_in),
        cmocka_unit_test(who_waits_too_long_is_sent_away),
        cmocka_unit_test(a_late_loop_lets_in_one_at_a_time),
        cmocka_unit_test(nobody_waits_if_there_is_no_room_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
