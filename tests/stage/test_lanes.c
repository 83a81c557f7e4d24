/* Several lanes on threads: what one publisher sends reaches everybody on every lane,
 * complete and in order; whoever moves, comes or goes meanwhile; on however few cores. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/lanes.h"
#include "worker/across.h"

/* Where every access is looked at, as much takes minutes. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if __has_feature(thread_sanitizer) || defined(__SANITIZE_THREAD__)
enum { N_LISTENERS = 20, LESS = 10 };
#else
enum { N_LISTENERS = 200, LESS = 1 };
#endif
enum { N_PACKETS = 1500, LAST = 100, WAITS = 6000 /* of 10 ms: others may want the CPU */ };

static void hear_everything(struct lanes *l)
{
    assert_true(lanes_finish(l));
    for (uint32_t i = 0; i < l->n_listeners; i++) {
        assert_int_equal(l->listeners[i].wrong, 0);
    }
}

static void fan_out_over(struct lanes *l)
{
    uint32_t n = l->n;

    for (uint32_t i = 0; i < N_LISTENERS; i++) {
        lanes_listen(l, i, i % n);
    }
    lanes_prepare(l, N_PACKETS);
    hear_everything(l);
    for (uint32_t i = 0; i < N_LISTENERS; i++) {
        const struct sub *sub = &l->tables[0].subs[i];

        assert_int_equal(sub->rest->skipped, 0);
        assert_int_equal(sub->packets, N_PACKETS);
    }
    lanes_stop(l);
}

static void one_lane_serves_everybody(void **state)
{
    (void)state;
    fan_out_over(lanes_start(1));
}

static void two_lanes_serve_everybody(void **state)
{
    (void)state;
    fan_out_over(lanes_start(2));
}

static void four_lanes_serve_everybody(void **state)
{
    (void)state;
    fan_out_over(lanes_start(4));
}

/* All frames leave by the first lane, which is slow: it decrypts them for the listeners.
 * The others have far more than the hub holds, and wait. */
static void who_sends_by_a_slow_lane_waits_for_it(void **state)
{
    (void)state;
    fan_out_over(lanes_start_on(4, "mem:one"));
}

/* What control reads of all lanes. */
struct told {
    uint64_t forwards, refused, handed_in, handed_out, handed_tx, handover, ingested;
};

static struct told told(const struct lanes *l)
{
    struct told sum = {.forwards = 0};

    for (uint32_t i = 0; i < l->n; i++) {
        struct abi_lane_counts counts;

        assert_int_equal(abi_lane_stats_read(l->rig.shared.lanes[i].stats, 1000, &counts),
                         0);
        sum.forwards += counts.forwards;
        sum.refused += counts.drops_out[DROP_TX_FULL] +
                       counts.drops_out[DROP_TX_FULL_AUDIO] +
                       counts.drops_out[DROP_TX_FULL_CONTROL];
        sum.handed_in += counts.handed_in;
        sum.handed_out += counts.handed_out;
        sum.handed_tx += counts.handed_tx;
        sum.handover += counts.drops_in[DROP_HANDOVER];
        sum.ingested += counts.done[DONE_INGESTED];
    }
    return sum;
}

/* Whether it is told exactly of each listener what it heard, and of all. */
static bool told_exactly(const struct lanes *l, uint64_t skipped[LANES_MAX])
{
    uint64_t heard = 0;

    memset(skipped, 0, LANES_MAX * sizeof(skipped[0]));
    for (uint32_t i = 0; i < l->n_listeners; i++) {
        const struct listener *to = &l->listeners[i];
        struct abi_sub_stats stats;

        abi_words_copy(&stats, &l->rig.shared.sub_stats[i], sizeof(stats));
        if (stats.packets != atomic_load(&to->heard) ||
            stats.packets + stats.skipped != l->n_packets) {
            return false;
        }
        skipped[l->lane_of[i + 1]] += stats.skipped;
        heard += stats.packets;
    }
    return told(l).forwards == heard;
}

/* The device of the first lane is full again and again. Whatever lane a frame is of, it is
 * counted as sent or as dropped, by the lane, its subscription and its peer; whoever moves
 * meanwhile. */
static void what_a_full_device_refuses_is_nowhere_counted_as_sent(void **state)
{
    enum { N = 20, PACKETS = 400, STEP = 8 };
    const struct timespec moment = {.tv_nsec = 10000000};
    struct lanes *l = lanes_start_on(2, "mem:one");
    uint64_t skipped[LANES_MAX] = {0};
    unsigned waited = 0;
    bool exactly = false;
    (void)state;

    for (uint32_t i = 0; i < N; i++) {
        lanes_listen(l, i, i % 2);
    }
    lanes_prepare(l, PACKETS);
    for (uint32_t n = 1; l->n_allowed + STEP < PACKETS;
         n++) { /* a move lets some in, too */
        uint64_t refused = told(l).refused;

        port_mem_limit(l->rig.io, 0, 0, n % 4 == 0 ? UINT64_MAX : n % 4 * 20);
        lanes_push(l, l->n_allowed + STEP);
        do {
            (void)nanosleep(&moment, NULL);
        } while (n % 4 == 1 && told(l).refused == refused && ++waited < WAITS);
        if (n % 8 == 0) {
            uint32_t who = 1 + n / 8 % N;

            assert_int_equal(lanes_move(l, who, 1 - l->lane_of[who]), 0);
        }
    }
    port_mem_limit(l->rig.io, 0, 0, UINT64_MAX);
    lanes_push(l, PACKETS);
    assert_true(lanes_finish(l));
    for (; waited < WAITS && !exactly; waited++) {
        (void)nanosleep(&moment, NULL);
        exactly = told_exactly(l, skipped);
    }
    assert_true(exactly);
    assert_true(told(l).refused > 100);
    assert_true(skipped[0] > 0 && skipped[1] > 0);
    lanes_stop(l);
}

/* Copies in the ring of a lane; they are taken out. */
static uint32_t n_captured(const struct lanes *l, uint32_t lane)
{
    const struct ring_view *ring = &l->rig.shared.lanes[lane].captured;
    const struct abi_captured *slot;
    uint32_t n = 0;

    while ((slot = ring_peek(ring)) != NULL) {
        assert_int_equal(slot->peer, l->listeners[0].far.conf.handle);
        assert_int_equal(slot->missed, 0);
        n += slot->out;
        ring_release(ring);
    }
    return n;
}

/* Who watches it goes on doing so. */
static void a_peer_that_moves_is_watched_on_its_new_lane(void **state)
{
    struct lanes *l = lanes_start(2);
    uint32_t before, after;
    (void)state;

    lanes_listen(l, 0, 0);
    assert_int_equal(lanes_command(l, 0, ABI_OP_PEER_CAPTURE,
                                   l->listeners[0].far.conf.handle, ABI_CAPTURE_WIRE),
                     0);
    lanes_prepare(l, 600); /* which flow from now on */
    l->n_packets = 300;
    while (atomic_load(&l->listeners[0].heard) < 100) {
        lanes_feed(l);
    }
    assert_int_equal(lanes_move(l, 1, 1), 0);
    before = n_captured(l, 0);
    assert_true(before >= 100);
    l->n_packets = 600; /* there is something to hear on the new lane */
    hear_everything(l);
    after = n_captured(l, 1);
    assert_true(after > 0);
    assert_true(before + after + n_captured(l, 0) >= 600);
    lanes_stop(l);
}

/* What arrives on another lane than its peer's: the publisher is on the last lane, its
 * packets come by the first. */
static void a_publisher_may_be_on_another_lane_than_its_packets(void **state)
{
    struct lanes *l = lanes_start(4);
    (void)state;

    assert_int_equal(lanes_move(l, 0, 3), 0);
    for (uint32_t i = 0; i < 8; i++) {
        lanes_listen(l, i, i % 4);
    }
    lanes_prepare(l, N_PACKETS);
    hear_everything(l);
    assert_int_equal(l->loops[0]->lane.counts.handed_out, N_PACKETS);
    lanes_stop(l);
}

/* Waits until 'n' packets of the device were handed over or dropped, and 'in' of them
 * arrived. */
static struct told told_of(const struct lanes *l, uint64_t n, uint64_t in)
{
    const struct timespec moment = {.tv_nsec = 10000000};
    struct told now = told(l);

    for (unsigned i = 0;
         i < WAITS && (now.handed_out + now.handover < n || now.handed_in < in); i++) {
        (void)nanosleep(&moment, NULL);
        now = told(l);
    }
    return now;
}

/* docs/decisions/0020. A lane that stands still is not waited for by the one whose queue
 * its peers' packets come by: that goes on for everybody else. What finds no room is
 * dropped, and each packet is counted once. */
static void what_comes_in_for_a_lane_that_stands_still_is_dropped_and_counted(void **state)
{
    enum { ROOM = HUB_SLOTS - HUB_RESERVED };
    const struct timespec moment = {.tv_nsec = 10000000};
    struct lanes *l = lanes_start(2);
    struct told still, after;
    (void)state;

    assert_int_equal(lanes_move(l, 0, 1), 0);
    lanes_prepare(l, N_PACKETS);
    atomic_store(&l->loops[1]->state, LOOP_HOLD);
    loop_wake(l->loops[1]);
    while (!atomic_load(&l->loops[1]->held)) {
    }
    lanes_push(l, N_PACKETS);
    still = told_of(l, N_PACKETS, 0);
    assert_int_equal(still.handed_out + still.handover, N_PACKETS);
    assert_in_range(still.handed_out, ROOM - 8, ROOM); /* commands may stand there, too */
    assert_int_equal(still.handed_in, 0);

    atomic_store(&l->loops[1]->state, LOOP_RUN);
    after = told_of(l, N_PACKETS, still.handed_out);
    assert_int_equal(after.handed_in, still.handed_out);
    assert_int_equal(after.handover, still.handover);
    for (unsigned i = 0; i < WAITS && told(l).ingested < after.handed_in; i++) {
        (void)nanosleep(&moment, NULL);
    }
    assert_int_equal(told(l).ingested, after.handed_in);
    lanes_stop(l);
}

/* Everybody moves, again and again, the publisher too, while media flows. */
static void a_move_loses_doubles_and_reorders_nothing(uint32_t n, uint32_t n_moves)
{
    struct lanes *l = lanes_start(n);
    unsigned seed = 5;

    for (uint32_t i = 0; i < 20; i++) {
        lanes_listen(l, i, i % n);
    }
    lanes_prepare(l, 40000 / LESS);
    l->n_packets -= LAST;
    for (uint32_t i = 0; i < n_moves; i++) {
        uint32_t who = i % 3 == 0 ? 0 : (uint32_t)rand_r(&seed) % 21;

        assert_int_equal(lanes_move(l, who, (uint32_t)rand_r(&seed) % n), 0);
        lanes_feed(l);
    }
    l->n_packets += LAST; /* everybody hears the end */
    hear_everything(l);
    lanes_stop(l);
}

static void moves_between_two_lanes(void **state)
{
    (void)state;
    a_move_loses_doubles_and_reorders_nothing(2, 500 / LESS);
}

static void moves_between_four_lanes(void **state)
{
    (void)state;
    a_move_loses_doubles_and_reorders_nothing(4, 500 / LESS);
}

/* By hand, on lanes that stand still: only so is it sure that a device is full just now. */
static void frames_that_wait_for_a_device_leave_before_their_peer_does(void **state)
{
    enum { PACKETS = 20, HALF = PACKETS / 2, TAKEN = 4, TURNS = 8 };
    struct lanes *l = lanes_start(2);
    struct pipeline *old = &l->loops[0]->pipe, *next = &l->loops[1]->pipe;
    (void)state;

    lanes_listen(l, 0, 0);
    lanes_prepare(l, PACKETS);
    lanes_hold(l);
    port_mem_limit(l->rig.io, 0, 0, TAKEN);
    lanes_push(l, HALF);
    (void)pipeline_ingress(old);
    (void)pipeline_egress(old, 1);
    assert_int_equal(l->listeners[0].heard, TAKEN);
    assert_true(pipeline_holds(old));

    assert_int_equal(across_move(old->lane, &l->tables[0].peers[1], 1), ACROSS_LATER);
    lanes_push(l, PACKETS);
    for (unsigned i = 0; i < TURNS; i++) {
        (void)pipeline_ingress(old);
        (void)across_drain(next);
        (void)across_drain(old);
        assert_int_equal(across_resume(old), ACROSS_LATER);
        (void)pipeline_egress(next, 1);
    }
    assert_int_equal(l->listeners[0].next, TAKEN + 1);

    port_mem_limit(l->rig.io, 0, 0, UINT64_MAX);
    (void)pipeline_egress(old, 1);
    assert_int_equal(l->listeners[0].next, HALF + 1);
    for (unsigned i = 0; i < TURNS && across_resume(old) == ACROSS_LATER; i++) {
        (void)across_drain(next);
        (void)across_drain(old);
    }
    assert_true(l->tables[1].mine[1]);
    l->lane_of[1] = 1;
    lanes_go_on(l);
    hear_everything(l);
    lanes_stop(l);
}

/* Cursors that wait for the pacer go on where they stood, on whichever lane. */
static void who_waits_for_the_pacer_may_move(void **state)
{
    struct lanes *l = lanes_start_paced(2, 4000000);
    unsigned seed = 7;
    uint64_t paced = 0;
    (void)state;

    for (uint32_t i = 0; i < 20; i++) {
        lanes_listen(l, i, i % 2);
    }
    lanes_prepare(l, 4000 / LESS);
    l->n_packets -= LAST;
    for (uint32_t i = 0; i < 200 / LESS; i++) {
        assert_int_equal(lanes_move(l, (uint32_t)rand_r(&seed) % 21, i % 2), 0);
        lanes_feed(l);
    }
    l->n_packets += LAST;
    hear_everything(l);
    for (uint32_t i = 0; i < 2; i++) {
        paced += l->loops[i]->lane.counts.paced;
        assert_int_equal(l->loops[i]->lane.counts.drops_out[DROP_OVERRUN], 0);
    }
    assert_true(paced > 20);
    lanes_stop(l);
}

/* What came while one was paused is not lost to it: its new lane does not go back for that. */
static void who_moves_while_paused_has_missed_nothing(void **state)
{
    struct lanes *l = lanes_start(2);
    struct listener *to = &l->listeners[0];
    (void)state;

    lanes_listen(l, 0, 0);
    lanes_listen(l, 1, 1);
    to->sub.paused = 1;
    assert_int_equal(rig_sub(&l->rig, ABI_OP_SUB_UPDATE, &to->sub), 0);
    to->open = false; /* nobody waits for it */
    lanes_prepare(l, N_PACKETS);
    l->n_packets -= LAST;
    hear_everything(l);
    assert_int_equal(lanes_move(l, 1, 1), 0);
    l->n_packets += LAST;
    hear_everything(l);
    assert_int_equal(to->heard, 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(l->loops[i]->lane.counts.drops_out[DROP_OVERRUN], 0);
    }
    to->open = true;
    lanes_stop(l);
}

static void a_move_that_makes_no_sense_is_refused(void **state)
{
    struct lanes *l = lanes_start(2);
    (void)state;

    assert_int_equal(lanes_move(l, 0, 2), -EINVAL);
    assert_int_equal(lanes_move(l, 0, 0), 0); /* it is there */
    assert_int_equal(lanes_command(l, 1, ABI_OP_PEER_MOVE, l->pub.conf.handle, 0), -ENOENT);
    assert_int_equal(lanes_command(l, 1, ABI_OP_STREAM_CLOSE, l->audio.handle, 0), -ENOENT);
    assert_int_equal(lanes_move(l, 0, 1), 0);
    assert_int_equal(lanes_command(l, 0, ABI_OP_PEER_UPDATE, l->pub.conf.handle, 0),
                     -ENOENT);
    lanes_stop(l);
}

/* Streams end only when nobody reads them on any lane. */
static void a_stream_that_is_read_elsewhere_is_busy(void **state)
{
    struct lanes *l = lanes_start(2);
    (void)state;

    lanes_listen(l, 0, 1);
    assert_int_equal(rig_command(&l->rig, ABI_OP_STREAM_CLOSE, l->audio.handle), -EBUSY);
    lanes_leave(l, 0);
    assert_int_equal(rig_command(&l->rig, ABI_OP_STREAM_CLOSE, l->audio.handle), 0);
    lanes_stop(l);
}

/* Peers come, subscribe, move and go on all lanes while two stay and hear everything. */
static void coming_and_going_disturbs_nobody(void **state)
{
    enum { FIRST = 2, N = 40, ROUNDS = 1500 / LESS };
    struct lanes *l = lanes_start(4);
    bool here[N] = {false};
    unsigned seed = 3;
    (void)state;

    lanes_listen(l, 0, 1);
    lanes_listen(l, 1, 2);
    lanes_prepare(l, 60000 / LESS);
    l->n_packets -= LAST;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t i = (uint32_t)rand_r(&seed) % N;

        if (!here[i]) {
            lanes_listen(l, FIRST + i, (uint32_t)rand_r(&seed) % 4);
        } else if (rand_r(&seed) % 3 == 0) {
            assert_int_equal(lanes_move(l, FIRST + i + 1, (uint32_t)rand_r(&seed) % 4), 0);
            continue;
        } else {
            lanes_leave(l, FIRST + i);
        }
        here[i] = !here[i];
    }
    l->n_packets += LAST; /* everybody hears the end */
    hear_everything(l);
    lanes_stop(l);
}

/* Streams begin and end on all lanes, with subscribers on others. */
static void streams_come_and_go_on_all_lanes(void **state)
{
    enum { ROUNDS = 300 / LESS, N = 4 };
    struct lanes *l = lanes_start(N);
    struct far pubs[N], subs[N];
    (void)state;

    for (uint32_t i = 0; i < N; i++) {
        l->lane_of[10 + i] = i;
        l->lane_of[20 + i] = (i + 1) % N;
        far_open(&pubs[i], &l->rig, 10 + i, FAR_GCM, 4);
        far_open(&subs[i], &l->rig, 20 + i, FAR_GCM, 4);
    }
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct vault_stream_conf streams[N];
        struct vault_sub_conf to[N];

        for (uint32_t i = 0; i < N; i++) {
            /* slots go round, so that memory of one lane's stream is next another's */
            streams[i] = far_publish_video(&pubs[i], 1 + (i + round) % N, 500 + 2 * round);
            to[i] = far_subscribe(&subs[i], 1 + i, &streams[i], 1 + round);
        }
        for (uint32_t i = 0; i < N; i++) {
            assert_int_equal(rig_command(&l->rig, ABI_OP_SUB_CLOSE, to[i].handle), 0);
            assert_int_equal(rig_command(&l->rig, ABI_OP_STREAM_CLOSE, streams[i].handle),
                             0);
        }
    }
    for (uint32_t i = 0; i < N; i++) {
        far_end(&pubs[i]);
        far_end(&subs[i]);
    }
    lanes_stop(l);
}

/* Whoever was on a lane is there again, the publisher apart from its packets too; nobody
 * misses a packet or is sent an index twice. */
static void a_successor_goes_on_on_all_lanes(void **state)
{
    struct lanes *l = lanes_start(4);
    (void)state;

    assert_int_equal(lanes_move(l, 0, 3), 0);
    for (uint32_t i = 0; i < 16; i++) {
        lanes_listen(l, i, i % 4);
    }
    assert_int_equal(lanes_move(l, 2, 3), 0);
    lanes_prepare(l, N_PACKETS);
    for (uint32_t life = 0; life < 20; life++) {
        while (l->n_allowed < N_PACKETS / 25 * (life + 1)) {
            lanes_feed(l);
        }
        lanes_recover(l, life % 2 == 0);
        for (uint32_t i = 0; i <= l->n_listeners; i++) {
            const struct tables *t = &l->tables[l->lane_of[i]];

            assert_true(t->mine[i]);
            assert_int_equal(l->rig.shared.vault.peers[i].live.lane, l->lane_of[i]);
        }
        assert_int_equal(lanes_move(l, 1 + life % 16, life % 3), 0);
    }
    hear_everything(l);
    lanes_stop(l);
}

/* Control dies while packets of the publisher and frames of the device lie between lanes
 * and everybody is on the move: nobody misses, or gets twice, any of it. */
static void a_control_that_dies_costs_nothing(uint32_t n)
{
    enum { LIVES = 200 / LESS, STEP = 30, PACKETS = LIVES * STEP };
    const struct timespec moment = {.tv_nsec = 10000000};
    struct lanes *l = lanes_start_on(n, "mem:one");
    unsigned seed = 11, waited = 0;

    for (uint32_t i = 0; i < 16; i++) {
        lanes_listen(l, i, i % n);
    }
    assert_int_equal(lanes_move(l, 0, n - 1), 0);
    lanes_prepare(l, PACKETS);
    for (uint32_t life = 0; life < LIVES; life++) {
        l->n_packets = STEP * (life + 1);
        lanes_push(l, l->n_packets);
        for (uint32_t lane = 0; lane < n; lane++) {
            lanes_move_soon(l, 1 + (uint32_t)rand_r(&seed) % 16,
                            (uint32_t)rand_r(&seed) % n);
        }
        if (life % 4 == 3) {
            lanes_move_soon(l, 0, life / 4 % n); /* not by chance: it is counted below */
        }
        lanes_recover(l, false);
        hear_everything(l);
        /* With control moves are lost that no lane had begun: those of a lane that seldom
         * has a CPU, so that all would end on it. */
        for (uint32_t who = 0; life % 8 == 7 && who <= 16; who++) {
            assert_int_equal(lanes_move(l, who, (n - 1 + who) % n), 0);
        }
    }
    while (told(l).handed_in <= PACKETS / 50 || told(l).handed_tx <= PACKETS / 2) {
        (void)nanosleep(&moment, NULL); /* until the lanes tell */
        assert_true(++waited < WAITS);
    }
    lanes_stop(l);
}

static void a_control_that_dies_costs_nothing_on_two_lanes(void **state)
{
    (void)state;
    a_control_that_dies_costs_nothing(2);
}

static void a_control_that_dies_costs_nothing_on_four_lanes(void **state)
{
    (void)state;
    a_control_that_dies_costs_nothing(4);
}

/* A subscription without a record goes, whichever lane it is on; so does a stream with all
 * that reads it. */
static void what_has_no_record_goes_on_all_lanes(void **state)
{
    struct lanes *l = lanes_start(4);
    struct vault *vault = &l->rig.shared.vault;
    (void)state;

    for (uint32_t i = 0; i < 8; i++) {
        lanes_listen(l, i, i % 4);
    }
    vault_sub_wipe(&vault->subs[3], &vault->sub_lives[3]);
    lanes_recover(l, false);
    assert_int_equal(l->tables[3].n_open_subs, 1);
    assert_int_equal(l->tables[0].streams[0].n_subs, 7);
    vault_stream_wipe(&vault->streams[0], &vault->streams[0].live);
    lanes_recover(l, false);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(l->tables[i].n_open_subs, 0);
        assert_int_equal(l->tables[i].n_open_streams, 0);
    }
    lanes_stop(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_lane_serves_everybody),
        cmocka_unit_test(two_lanes_serve_everybody),
        cmocka_unit_test(four_lanes_serve_everybody),
        cmocka_unit_test(who_sends_by_a_slow_lane_waits_for_it),
        cmocka_unit_test(what_a_full_device_refuses_is_nowhere_counted_as_sent),
        cmocka_unit_test(a_peer_that_moves_is_watched_on_its_new_lane),
        cmocka_unit_test(a_publisher_may_be_on_another_lane_than_its_packets),
        cmocka_unit_test(moves_between_two_lanes),
        cmocka_unit_test(moves_between_four_lanes),
        cmocka_unit_test(frames_that_wait_for_a_device_leave_before_their_peer_does),
        cmocka_unit_test(who_waits_for_the_pacer_may_move),
        cmocka_unit_test(who_moves_while_paused_has_missed_nothing),
        cmocka_unit_test(what_comes_in_for_a_lane_that_stands_still_is_dropped_and_counted),
        cmocka_unit_test(a_move_that_makes_no_sense_is_refused),
        cmocka_unit_test(a_stream_that_is_read_elsewhere_is_busy),
        cmocka_unit_test(coming_and_going_disturbs_nobody),
        cmocka_unit_test(streams_come_and_go_on_all_lanes),
        cmocka_unit_test(a_successor_goes_on_on_all_lanes),
        cmocka_unit_test(a_control_that_dies_costs_nothing_on_two_lanes),
        cmocka_unit_test(a_control_that_dies_costs_nothing_on_four_lanes),
        cmocka_unit_test(what_has_no_record_goes_on_all_lanes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
