/* One turn of a lane's loop against the rings that control has on the other side, and what
 * the lane publishes there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "sfu/base/handle.h"
#include "support/call.h"
#include "worker/loop.h"

/* A call whose lane is a loop's; control's ends of the rings are the same views. */
struct turned {
    struct call call;
    struct loop *loop;
    struct shared_lane *control;
};

static void turned_start(struct turned *t)
{
    struct timespec now;

    call_start(&t->call, "mem", FAR_GCM, 4);
    t->loop = aligned_alloc(64, (sizeof(*t->loop) + 63) & ~(size_t)63);
    assert_non_null(t->loop);
    memset(t->loop, 0, sizeof(*t->loop));
    t->loop->lane = t->call.rig->lane;
    t->loop->pipe.io = t->call.rig->io;
    t->loop->shared = &t->call.rig->shared;
    t->loop->mine = t->control = &t->call.rig->shared.lanes[0];
    loop_init(t->loop);
    /* the loop's clock is the real one: both have just consented */
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    *call_peer(&t->call, &t->call.pub)->rest->last_check_us =
        (uint64_t)now.tv_sec * 1000000;
    *call_peer(&t->call, &t->call.sub)->rest->last_check_us =
        (uint64_t)now.tv_sec * 1000000;
}

/* Gives the lane's state back to the rig, which checks that nothing is lost. */
static void turned_stop(struct turned *t)
{
    struct rig *rig = t->call.rig;

    rig->lane = t->loop->lane;
    rig->pipe.rx = t->loop->pipe.rx;
    free(t->loop);
    call_stop(&t->call);
}

static void turn(struct turned *t)
{
    struct rig *rig = t->call.rig;

    port_mem_inject(rig->io, 0, 0, rig->packets, rig->n_inputs);
    rig->n_injected += rig->n_inputs;
    rig->n_inputs = 0;
    (void)loop_turn(t->loop);
}

static void put_command(struct turned *t, uint64_t cookie, uint32_t op, uint64_t handle)
{
    struct abi_cmd *cmd = ring_reserve(&t->control->cmd);

    assert_non_null(cmd);
    *cmd = (struct abi_cmd){.cookie = cookie, .op = op, .handle = handle};
    ring_commit(&t->control->cmd);
}

static bool take_event(struct turned *t, struct abi_evt *evt)
{
    const struct abi_evt *slot = ring_peek(&t->control->evt);

    if (slot == NULL) {
        return false;
    }
    *evt = *slot;
    ring_release(&t->control->evt);
    return true;
}

static void every_command_has_one_answer_in_order(void **state)
{
    struct turned t;
    struct abi_evt evt;
    (void)state;

    turned_start(&t);
    for (uint64_t i = 0; i < 200; i++) {
        put_command(&t, 1000 + i, i % 2 == 0 ? ABI_OP_PING : 4711, i);
    }
    for (unsigned i = 0; i < 10; i++) {
        turn(&t); /* a bounded number in each */
        if (i == 0) {
            assert_false(ring_empty(&t.control->cmd));
        }
    }
    for (uint64_t i = 0; i < 200; i++) {
        assert_true(take_event(&t, &evt));
        assert_int_equal(evt.kind, ABI_EVT_ANSWER);
        assert_int_equal(evt.cookie, 1000 + i);
        assert_int_equal(evt.handle, i);
        assert_int_equal(evt.status, i % 2 == 0 ? 0 : -EINVAL);
    }
    assert_false(take_event(&t, &evt));
    turned_stop(&t);
}

/* Commands wait while control does not read answers; none is applied without one. */
static void a_full_event_ring_delays_commands(void **state)
{
    struct turned t;
    struct abi_evt evt;
    (void)state;

    turned_start(&t);
    while (ring_reserve(&t.control->evt) != NULL) {
        ring_commit(&t.control->evt);
    }
    put_command(&t, 5, ABI_OP_SUB_CLOSE, t.call.to_audio.handle);
    turn(&t);
    assert_non_null(tables_sub(&t.call.rig->tables, t.call.to_audio.handle));
    for (unsigned i = 0; i < ABI_EVT_SLOTS; i++) {
        assert_true(take_event(&t, &evt));
    }
    turn(&t);
    assert_null(tables_sub(&t.call.rig->tables, t.call.to_audio.handle));
    assert_true(take_event(&t, &evt));
    assert_int_equal(evt.cookie, 5);
    assert_int_equal(evt.status, 0);
    turned_stop(&t);
}

static void news_are_events(void **state)
{
    struct turned t;
    struct abi_evt evt;
    const struct far_rtp *rtp;
    struct far_rtp packet;
    (void)state;

    turned_start(&t);
    packet = call_audio(&t.call, "x", 1);
    rtp = &packet;
    far_send_rtp(&t.call.pub, rtp);
    turn(&t);
    assert_true(take_event(&t, &evt));
    assert_int_equal(evt.kind, ABI_EVT_STREAM_BOUND);
    assert_int_equal(evt.handle, t.call.audio.handle);
    assert_int_equal(evt.arg, CALL_AUDIO_SSRC);
    assert_int_equal(t.loop->lane.n_news, 0);
    turned_stop(&t);
}

static void datagrams_go_both_ways(void **state)
{
    const uint8_t dtls[13] = {22, [12] = 9};
    const struct abi_datagram *in;
    struct abi_datagram *out;
    struct turned t;
    (void)state;

    turned_start(&t);
    rig_inject(t.call.rig, &t.call.pub.path, dtls, sizeof(dtls));
    turn(&t);
    in = ring_peek(&t.control->punt_in);
    assert_non_null(in);
    assert_int_equal(in->len, sizeof(dtls));
    assert_int_equal(in->kind, ABI_DATAGRAM_DTLS);
    assert_int_equal(in->peer, t.call.pub.conf.handle);
    assert_int_equal(in->time_us, t.loop->lane.now_us);
    assert_memory_equal(in->data, dtls, sizeof(dtls));
    assert_true(path_same_tuple(&in->path, &t.call.pub.path));
    ring_release(&t.control->punt_in);

    for (unsigned i = 0; i < 4; i++) { /* the second, third and fourth are control's bugs */
        out = ring_reserve(&t.control->punt_out);
        assert_non_null(out);
        memset(out, 0, sizeof(*out));
        out->path = t.call.pub.path;
        out->len = i == 1 ? 1529 : 600;
        out->path.device = i == 2 ? 7 : 0;
        out->path.family = i == 3 ? 0 : 4;
        memset(out->data, 0x5a, 600);
        ring_commit(&t.control->punt_out);
    }
    turn(&t);
    assert_true(ring_empty(&t.control->punt_out));
    assert_int_equal(t.call.rig->n_frames, 1);
    assert_int_equal(t.call.rig->frames[0].len, 600);
    assert_int_equal(t.call.rig->frames[0].data[599], 0x5a);
    assert_true(path_same_tuple(&t.call.rig->frames[0].to, &t.call.pub.path));
    assert_int_equal(t.loop->lane.counts.datagrams_out, 1);
    turned_stop(&t);
}

/* Copies of a watched peer's packets lie in a ring of their own. The fanned out packet is
 * of another peer. */
static void copies_are_put_where_control_reads(void **state)
{
    const struct abi_captured *slot;
    struct far_rtp rtp;
    struct abi_cmd *cmd;
    struct abi_evt evt;
    struct turned t;
    (void)state;

    turned_start(&t);
    cmd = ring_reserve(&t.control->cmd);
    *cmd = (struct abi_cmd){.cookie = 1,
                            .op = ABI_OP_PEER_CAPTURE,
                            .handle = t.call.pub.conf.handle,
                            .arg = ABI_CAPTURE_PLAIN};
    ring_commit(&t.control->cmd);
    turn(&t);
    assert_true(take_event(&t, &evt));
    assert_int_equal(evt.status, 0);
    while (ring_peek(&t.control->captured) != NULL) { /* reports of the same turn */
        ring_release(&t.control->captured);
    }
    (void)eventfd_write(t.loop->shared->control_doorbell, 1);
    (void)eventfd_read(t.loop->shared->control_doorbell, &(eventfd_t){0});
    atomic_store(&t.control->flags->ctl_sleeping, 1);
    rtp = call_audio(&t.call, "hello", 5);
    far_send_rtp(&t.call.pub, &rtp);
    turn(&t);
    slot = ring_peek(&t.control->captured);
    assert_non_null(slot);
    assert_int_equal(slot->peer, t.call.pub.conf.handle);
    assert_int_equal(slot->time_us, t.loop->lane.now_us);
    assert_true(path_same_tuple(&slot->path, &t.call.pub.path));
    assert_int_equal(slot->out, 0);
    assert_int_equal(slot->plain, 1);
    assert_int_equal(slot->missed, 0);
    assert_memory_equal(slot->data + slot->len - 5, "hello", 5);
    assert_int_equal(eventfd_read(t.loop->shared->control_doorbell, &(eventfd_t){0}), 0);
    turned_stop(&t);
}

static void a_full_ring_of_copies_holds_up_nothing(void **state)
{
    const struct abi_captured *slot;
    const struct ring_view *ring;
    struct far_rtp rtp;
    struct turned t;
    (void)state;

    turned_start(&t);
    ring = &t.control->captured;
    peer_watch(call_peer(&t.call, &t.call.pub), ABI_CAPTURE_WIRE);
    for (unsigned i = 0; i < ABI_CAPTURE_SLOTS + 3; i++) {
        rtp = call_audio(&t.call, "hello", 5);
        far_send_rtp(&t.call.pub, &rtp);
        turn(&t);
    }
    assert_null(ring_reserve(ring));
    assert_true(t.loop->lane.counts.done[DONE_INGESTED] >= ABI_CAPTURE_SLOTS + 3);
    assert_true(t.loop->lane.capture_missed >= 3);
    while ((slot = ring_peek(ring)) != NULL) {
        assert_int_equal(slot->missed, 0);
        ring_release(ring);
    }
    turn(&t);
    rtp = call_audio(&t.call, "hello", 5);
    far_send_rtp(&t.call.pub, &rtp);
    turn(&t);
    slot = ring_peek(ring);
    assert_non_null(slot);
    assert_true(slot->missed >= 3); /* the next that was taken tells */
    turned_stop(&t);
}

/* Found under load: the first packets of a subscriber overtook the last flight of its
 * handshake, so it could not read them. */
static void datagrams_go_out_before_media(void **state)
{
    struct abi_datagram *out;
    struct far_rtp rtp;
    struct turned t;
    (void)state;

    turned_start(&t);
    for (unsigned i = 0; i < 40; i++) { /* more than a burst */
        out = ring_reserve(&t.control->punt_out);
        assert_non_null(out);
        memset(out, 0, sizeof(*out));
        out->path = t.call.sub.path;
        out->len = 600;
        ring_commit(&t.control->punt_out);
    }
    rtp = call_audio(&t.call, "hello", 5);
    far_send_rtp(&t.call.pub, &rtp);
    turn(&t);
    assert_int_equal(t.loop->lane.counts.datagrams_out, 40);
    assert_true(t.call.rig->n_frames > 40); /* media, and perhaps reports */
    for (unsigned i = 0; i < t.call.rig->n_frames; i++) {
        uint16_t len = t.call.rig->frames[i].len;

        assert_int_equal(len == 600, i < 40);
    }
    turned_stop(&t);
}

/* Found by fuzzing: a counter far ahead made the lane walk through four thousand million
 * datagrams that cannot be sent, in one turn. */
static void spoilt_datagram_ring_does_not_hold_up_the_lane(void **state)
{
    struct ring *ring;
    struct turned t;
    (void)state;

    turned_start(&t);
    ring = t.control->punt_out.ring;
    atomic_store(&ring->head, atomic_load(&ring->tail) + 100000);
    turn(&t);
    assert_in_range(atomic_load(&ring->tail), 1, 256);
    assert_int_equal(t.loop->lane.counts.datagrams_out, 0);
    turned_stop(&t);
}

static void control_is_woken_only_when_it_sleeps_and_once(void **state)
{
    struct turned t;
    uint64_t rung = 0;
    int bell;
    (void)state;

    turned_start(&t);
    bell = t.call.rig->shared.control_doorbell;
    put_command(&t, 1, ABI_OP_PING, 0);
    turn(&t);
    assert_int_equal(read(bell, &rung, sizeof(rung)), -1);
    atomic_store(&t.control->flags->ctl_sleeping, 1);
    turn(&t);
    assert_int_equal(read(bell, &rung, sizeof(rung)), -1); /* no news, no bell */
    put_command(&t, 2, ABI_OP_PING, 0);
    turn(&t);
    assert_int_equal(read(bell, &rung, sizeof(rung)), sizeof(rung));
    put_command(&t, 3, ABI_OP_PING, 0);
    turn(&t);
    assert_int_equal(read(bell, &rung, sizeof(rung)), -1); /* it is awake, or about to be */
    turned_stop(&t);
}

/* The published sums are exact, and objects' statistics carry their handle. */
static void statistics_are_published(void **state)
{
    struct abi_lane_counts counts;
    struct turned t;
    struct far_rtp rtp;
    uint64_t sum;
    (void)state;

    turned_start(&t);
    for (unsigned i = 0; i < 20; i++) {
        rtp = call_audio(&t.call, "x", 1);
        rtp.pt = i % 4 == 0 ? 5 : FAR_AUDIO_PT;
        far_send_rtp(&t.call.pub, &rtp);
    }
    turn(&t);
    call_sub(&t.call, &t.call.to_video)->held = true;
    tables_heard(&t.call.rig->tables, call_sub(&t.call, &t.call.to_video)->peer);
    t.loop->report_due_us = t.loop->objects_due_us = 0;
    turn(&t);
    assert_int_equal(abi_lane_stats_read(t.control->stats, 1, &counts), 0);
    assert_int_equal(counts.frames_in, 20);
    assert_int_equal(counts.forwards, 15);
    sum = counts.answered + counts.ignored;
    for (unsigned i = 0; i < ABI_MAX_DROPS; i++) {
        sum += counts.drops_in[i];
    }
    for (unsigned i = 0; i < ABI_MAX_DONES; i++) {
        sum += counts.done[i];
    }
    assert_int_equal(counts.frames_in, sum);
    assert_int_equal(counts.drops_in[DROP_PAYLOAD_TYPE], 5);
    assert_int_equal(counts.peers, 2);
    assert_int_equal(counts.streams, 2);
    assert_int_equal(counts.subs, 2);
    assert_int_equal(counts.buffers_total, RIG_BUFFERS);
    assert_int_equal(counts.buffers_free, RIG_BUFFERS);
    assert_true(counts.ring_bytes_used > 0);

    assert_int_equal(t.call.rig->shared.peer_stats[1].handle, t.call.pub.conf.handle);
    assert_int_equal(t.call.rig->shared.peer_stats[1].rx_packets, 20);
    assert_int_equal(t.call.rig->shared.stream_stats[0].handle, t.call.audio.handle);
    assert_int_equal(t.call.rig->shared.stream_stats[0].packets, 15);
    assert_int_equal(t.call.rig->shared.stream_stats[0].ssrc, CALL_AUDIO_SSRC);
    assert_int_equal(t.call.rig->shared.sub_stats[0].handle, t.call.to_audio.handle);
    assert_int_equal(t.call.rig->shared.sub_stats[0].packets, 15);
    assert_int_equal(t.call.rig->shared.sub_stats[0].bytes, 15);
    assert_int_equal(t.call.rig->shared.sub_stats[0].held, 0);
    assert_int_equal(
        t.call.rig->shared.sub_stats[handle_index(t.call.to_video.handle)].held, 1);
    turned_stop(&t);
}

/* What has not changed is not written each time, but with each round it is. */
static void what_has_not_changed_is_told_seldom(void **state)
{
    struct abi_peer_stats *stats;
    struct turned t;
    struct far_rtp rtp;
    (void)state;

    turned_start(&t);
    stats = &t.call.rig->shared.peer_stats[handle_index(t.call.sub.conf.handle)];
    assert_true(report_objects(&t.loop->lane, t.loop->shared));
    assert_int_equal(stats->handle, t.call.sub.conf.handle);
    stats->handle = 0;
    for (unsigned n = 0; stats->handle == 0; n++) {
        assert_true(report_objects(&t.loop->lane, t.loop->shared));
        assert_true(n < REPORT_ROUNDS);
    }
    assert_true(report_objects(&t.loop->lane, t.loop->shared));
    stats->handle = 0;
    assert_true(report_objects(&t.loop->lane, t.loop->shared));
    assert_int_equal(stats->handle, 0);
    rtp = call_audio(&t.call, "x", 1);
    far_send_rtp(&t.call.pub, &rtp);
    turn(&t);
    assert_true(report_objects(&t.loop->lane, t.loop->shared));
    assert_int_equal(stats->handle, t.call.sub.conf.handle);
    assert_int_equal(stats->tx_packets, 1);
    turned_stop(&t);
}

/* What the lane did in the last whole second, and in all. */
static void how_busy_the_lane_is_is_published(void **state)
{
    struct abi_lane_counts before, counts;
    struct turned t;
    struct far_rtp rtp;
    (void)state;

    turned_start(&t);
    turn(&t);
    assert_int_equal(abi_lane_stats_read(t.control->stats, 1, &before), 0);
    assert_int_equal(before.recent_cycles, 0);
    t.loop->counts.since_us -= 2000000; /* it began long ago */
    for (unsigned i = 0; i < 20; i++) {
        rtp = call_audio(&t.call, "x", 1);
        far_send_rtp(&t.call.pub, &rtp);
    }
    turn(&t); /* receives and forwards */
    for (unsigned i = 0; i < 3; i++) {
        t.loop->report_due_us = 0;
        turn(&t); /* the second that has passed is told once */
        assert_int_equal(abi_lane_stats_read(t.control->stats, 1, &counts), 0);
        assert_true(counts.cycles > before.cycles);
        assert_int_equal(counts.recent_packets, 20 + counts.tx_packets);
        assert_true(counts.tx_packets >= 20);
        assert_in_range(counts.recent_busy_cycles, 1, counts.recent_cycles);
        assert_true(counts.recent_cycles <= counts.cycles);
        before = counts;
    }
    turned_stop(&t);
}

static void names_of_counters_are_published(void **state)
{
    struct rig *rig = rig_start("mem");
    (void)state;

    report_names(rig->shared.shm);
    assert_int_equal(rig->shared.shm->n_drops, N_DROP_REASONS);
    assert_int_equal(rig->shared.shm->n_dones, N_DONE_KINDS);
    assert_string_equal(rig->shared.shm->drop_names[DROP_TX_FULL], "tx_full");
    assert_string_equal(rig->shared.shm->done_names[DONE_PUNTED], "punted");
    assert_int_equal(rig->shared.shm->n_traces, N_TRACE_STAGES);
    assert_string_equal(rig->shared.shm->trace_names[TRACE_RX], "rx");
    assert_string_equal(rig->shared.shm->trace_names[TRACE_TX], "tx");
    for (unsigned i = 0; i < N_DROP_REASONS; i++) {
        assert_in_range(strlen(rig->shared.shm->drop_names[i]), 1, 23);
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(rig->shared.shm->drop_names[i],
                                    rig->shared.shm->drop_names[k]);
        }
    }
    rig_stop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_one_answer_in_order),
        cmocka_unit_test(a_full_event_ring_delays_commands),
        cmocka_unit_test(news_are_events),
        cmocka_unit_test(datagrams_go_both_ways),
        cmocka_unit_test(copies_are_put_where_control_reads),
        cmocka_unit_test(a_full_ring_of_copies_holds_up_nothing),
        cmocka_unit_test(datagrams_go_out_before_media),
        cmocka_unit_test(spoilt_datagram_ring_does_not_hold_up_the_lane),
        cmocka_unit_test(control_is_woken_only_when_it_sleeps_and_once),
        cmocka_unit_test(statistics_are_published),
        cmocka_unit_test(what_has_not_changed_is_told_seldom),
        cmocka_unit_test(how_busy_the_lane_is_is_published),
        cmocka_unit_test(names_of_counters_are_published),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
