/* route over many subscriptions: each gets each packet once, whoever comes and goes between
 * two bursts of one fan-out; and what happens when something does not keep up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage/protect.h"
#include "stage/rewrite.h"
#include "stage/route.h"
#include "support/call.h"

enum { N_FAR = 4 };

static const char *device = "mem";

/* A publisher with one audio stream, and subscriptions spread over a few peers. */
struct room {
    struct rig *rig;
    struct far pub, fars[N_FAR];
    struct vault_stream_conf audio;
    uint64_t subs[RIG_SUBS];
    uint64_t got[RIG_SUBS];
    uint16_t last[RIG_SUBS];
    uint16_t seq;
    uint32_t n_joins;
};

static void join(struct room *room, uint32_t i)
{
    /* never the SSRC of an earlier one: that would repeat its indexes */
    uint32_t ssrc = ++room->n_joins * RIG_SUBS + i;

    room->subs[i] = far_subscribe(&room->fars[i % N_FAR], i, &room->audio, ssrc).handle;
    room->last[i] = 0;
}

static void leave(struct room *room, uint32_t i)
{
    assert_int_equal(rig_command(room->rig, ABI_OP_SUB_CLOSE, room->subs[i]), 0);
}

static struct room *room_start(uint32_t n_subs)
{
    struct room *room = calloc(1, sizeof(*room));

    assert_non_null(room);
    room->rig = rig_start(device);
    far_open(&room->pub, room->rig, 0, FAR_GCM, 4);
    room->audio = far_publish_audio(&room->pub, 0, 1);
    for (uint32_t i = 0; i < N_FAR; i++) {
        far_open(&room->fars[i], room->rig, 1 + i, FAR_GCM, 4);
    }
    for (uint32_t i = 0; i < n_subs; i++) {
        join(room, i);
    }
    return room;
}

static void room_stop(struct room *room)
{
    far_end(&room->pub);
    for (uint32_t i = 0; i < N_FAR; i++) {
        far_end(&room->fars[i]);
    }
    rig_stop(room->rig);
    free(room);
}

/* One packet into the ring; its payload is its number. */
static void speak(struct room *room)
{
    uint8_t number[2];
    struct far_rtp rtp = {.ssrc = 1, .pt = FAR_AUDIO_PT, .payload = number, .len = 2};

    rtp.seq = ++room->seq;
    store_be16(number, rtp.seq);
    far_send_rtp(&room->pub, &rtp);
    rig_ingress(room->rig);
}

/* Reads all that was sent. Per subscription the payloads must ascend: none twice. */
static void listen(struct room *room)
{
    struct far_got got;

    for (uint32_t i = 0; i < N_FAR; i++) {
        while (far_take_rtp(&room->fars[i], &got)) {
            uint32_t sub = got.hdr.ssrc % RIG_SUBS;
            uint16_t number = load_be16(got.payload);

            assert_int_equal(sub % N_FAR, i);
            assert_int_equal(got.payload_len, 2);
            assert_true(number > room->last[sub]);
            room->last[sub] = number;
            room->got[sub]++;
        }
        room->fars[i].read_at = 0;
    }
    room->rig->n_frames = 0;
}

static void everybody_gets_everything_once(void **state)
{
    struct room *room = room_start(200);
    (void)state;

    for (unsigned i = 0; i < 30; i++) {
        speak(room);
        if (i % 3 == 2) {
            rig_egress(room->rig);
            listen(room);
        }
    }
    for (uint32_t i = 0; i < 200; i++) {
        assert_int_equal(room->got[i], 30);
    }
    assert_int_equal(room->rig->lane.counts.forwards, 6000);
    room_stop(room);
}

/* A burst is a bounded step, and a full one is cut in the middle of a position. */
static void a_call_serves_one_burst(void **state)
{
    struct room *room = room_start(70);
    struct burst out = {.n = 0};
    (void)state;

    speak(room);
    assert_int_equal(route_burst(&room->rig->lane, NULL, &out), PKT_BURST);
    for (uint16_t i = 0; i < out.n; i++) {
        assert_int_equal(out.pkts[i]->pos, 0);
        lane_free(&room->rig->lane, out.pkts[i]);
    }
    out.n = 0;
    assert_int_equal(route_burst(&room->rig->lane, NULL, &out), PKT_BURST);
    for (uint16_t i = 0; i < out.n; i++) {
        lane_free(&room->rig->lane, out.pkts[i]);
    }
    out.n = 0;
    assert_int_equal(route_burst(&room->rig->lane, NULL, &out), 70 - 2 * PKT_BURST);
    for (uint16_t i = 0; i < out.n; i++) {
        lane_free(&room->rig->lane, out.pkts[i]);
    }
    assert_false(lane_has_grown(&room->rig->lane));
    room_stop(room);
}

static void those_who_do_not_want_it_are_passed_by_in_bounded_steps(void **state)
{
    struct room *room = room_start(RIG_SUBS);
    struct far_got got;
    unsigned calls = 0;
    (void)state;

    for (uint32_t i = 0; i < RIG_SUBS - 1; i++) {
        struct vault_sub_conf conf;

        assert_int_equal(vault_sub_read(&room->rig->shared.vault.subs[i], &conf), 0);
        conf.paused = 1;
        assert_int_equal(rig_sub(room->rig, ABI_OP_SUB_UPDATE, &conf), 0);
    }
    speak(room);
    speak(room);
    while (lane_has_grown(&room->rig->lane)) {
        (void)pipeline_egress(&room->rig->pipe, 1);
        calls++;
    }
    assert_true(calls >= 2);
    assert_true(far_take_rtp(&room->fars[(RIG_SUBS - 1) % N_FAR], &got));
    assert_true(far_take_rtp(&room->fars[(RIG_SUBS - 1) % N_FAR], &got));
    assert_int_equal(room->rig->lane.counts.forwards, 2);
    room_stop(room);
}

/* Somebody leaves and somebody comes at every place where the fan-out can stand. */
static void coming_and_going_between_bursts(uint32_t gone, uint32_t steps)
{
    enum { N = 150 };
    struct room *room = room_start(N);
    uint64_t before;

    for (unsigned i = 0; i < 3; i++) {
        speak(room);
    }
    (void)pipeline_egress(&room->rig->pipe, steps);
    listen(room);
    before = room->got[gone];
    leave(room, gone);
    join(room, N);
    rig_egress(room->rig);
    listen(room);
    assert_int_equal(room->got[gone], before);
    assert_int_equal(room->got[N], 0);
    speak(room);
    rig_egress(room->rig);
    listen(room);
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(room->got[i], i == gone ? before : 4);
    }
    assert_int_equal(room->got[N], 1);
    room_stop(room);
}

static void fan_out_survives_coming_and_going(void **state)
{
    const uint32_t gone[] = {0, 31, 32, 61, 62, 100, 149};
    (void)state;

    for (unsigned i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        for (uint32_t steps = 1; steps < 14; steps += 3) {
            coming_and_going_between_bursts(gone[i], steps);
        }
    }
}

/* The same at random, hundreds of times in one room. */
static void churn_neither_loses_nor_doubles(void **state)
{
    struct room *room = room_start(100);
    uint64_t due[RIG_SUBS] = {0};
    bool here[RIG_SUBS] = {false};
    unsigned seed = 11;
    (void)state;

    for (uint32_t i = 0; i < 100; i++) {
        here[i] = true;
    }
    for (unsigned round = 0; round < 3000; round++) {
        uint32_t i = (uint32_t)rand_r(&seed) % 300;
        uint64_t lost;

        if (!lane_has_grown(&room->rig->lane)) {
            listen(room);
            for (uint32_t k = 0; k < 300; k++) {
                assert_int_equal(room->got[k], due[k]);
                due[k] += here[k];
            }
            speak(room);
        }
        (void)pipeline_egress(&room->rig->pipe, 1 + round % 2);
        if (here[i]) {
            leave(room, i);
            here[i] = false;
            listen(room);
            lost = due[i] - room->got[i];
            assert_true(lost <= 1); /* what had not reached it yet */
            due[i] -= lost;
        } else {
            join(room, i);
            here[i] = true;
        }
    }
    room_stop(room);
}

static void the_last_to_leave_ends_the_fan_out(void **state)
{
    struct room *room = room_start(40);
    (void)state;

    speak(room);
    (void)pipeline_egress(&room->rig->pipe, 1);
    for (uint32_t i = 0; i < 40; i++) {
        leave(room, i);
    }
    rig_egress(room->rig);
    assert_int_equal(room->rig->lane.counts.forwards, PKT_BURST);
    join(room, 0);
    speak(room);
    rig_egress(room->rig);
    assert_int_equal(room->rig->lane.counts.forwards, PKT_BURST + 1);
    room_stop(room);
}

static void a_stream_that_ends_is_out_of_the_list_of_grown_rings(void **state)
{
    struct room *room = room_start(40);
    (void)state;

    speak(room);
    (void)pipeline_egress(&room->rig->pipe, 1);
    for (uint32_t i = 0; i < 40; i++) {
        leave(room, i);
    }
    assert_int_equal(rig_command(room->rig, ABI_OP_STREAM_CLOSE, room->audio.handle), 0);
    assert_false(lane_has_grown(&room->rig->lane));

    /* and the list still works */
    room->audio = far_publish_audio(&room->pub, 0, 1);
    join(room, 0);
    speak(room);
    rig_egress(room->rig);
    assert_int_equal(room->rig->lane.counts.forwards, PKT_BURST + 1);
    room_stop(room);
}

/* A fan-out that starves: the ring goes on, and what it overwrote is counted. */
static void a_slow_lane_loses_the_oldest(void **state)
{
    struct room *room = room_start(3);
    (void)state;

    for (unsigned i = 0; i < STORE_AUDIO_SLOTS + 50; i++) {
        speak(room);
    }
    rig_egress(room->rig);
    listen(room);
    assert_int_equal(room->rig->lane.counts.drops_out[DROP_OVERRUN], 3 * 50);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(room->got[i], STORE_AUDIO_SLOTS);
        assert_int_equal(room->last[i], STORE_AUDIO_SLOTS + 50);
    }
    room_stop(room);
}

static void overwrite(struct room *room)
{
    for (unsigned i = 0; i < STORE_AUDIO_SLOTS; i++) {
        speak(room);
    }
}

/* The writer overtakes a burst between two stages, as it could on another lane. */
static void a_slot_overtaken_on_the_way_is_not_sent(void **state)
{
    struct room *room = room_start(5);
    struct lane *lane = &room->rig->lane;
    struct burst routed = {.n = 0}, rewritten = {.n = 0}, sealed = {.n = 0};
    (void)state;

    speak(room);
    assert_int_equal(route_burst(lane, NULL, &routed), 5);
    overwrite(room);
    assert_int_equal(rewrite_burst(lane, &routed, &rewritten), 0);
    assert_int_equal(lane->counts.drops_out[DROP_OVERRUN], 5);

    routed.n = 0;
    assert_int_equal(route_burst(lane, NULL, &routed), PKT_BURST);
    assert_int_equal(rewrite_burst(lane, &routed, &rewritten), PKT_BURST);
    overwrite(room);
    assert_int_equal(protect_burst(lane, &rewritten, &sealed), 0);
    assert_int_equal(lane->counts.drops_out[DROP_OVERRUN], 5 + PKT_BURST);
    rig_egress(room->rig);
    listen(room);
    room_stop(room);
}

static void a_full_device_is_counted_and_forgotten(void **state)
{
    struct room *room = room_start(40);
    uint64_t n = 0;
    (void)state;

    port_mem_limit(room->rig->io, 0, 0, 10);
    speak(room);
    rig_egress(room->rig);
    assert_int_equal(room->rig->lane.counts.drops_out[DROP_TX_FULL_AUDIO], 30);
    assert_int_equal(room->rig->lane.counts.forwards, 10);
    assert_int_equal(room->rig->lane.counts.tx_packets, 10);
    port_mem_limit(room->rig->io, 0, 0, UINT64_MAX);
    speak(room);
    rig_egress(room->rig);
    listen(room); /* numbers of what was lost are not used again */
    for (uint32_t i = 0; i < 40; i++) {
        const struct sub *sub = tables_sub(&room->rig->tables, room->subs[i]);
        uint64_t refused = refused_packets(&room->rig->tables.refused_subs[i]);

        assert_int_equal(sub->packets - refused, room->got[i]);
        assert_int_equal(sub->packets + sub->rest->skipped, 2);
        n += room->got[i];
    }
    assert_int_equal(n, 50);
    room_stop(room);
}

/* Nothing is lost while the device drains, if slowly: cursors wait, and what had been
 * encrypted. All numbers are there and in order. */
static void a_slow_device_is_waited_for(void **state)
{
    struct room *room = room_start(200);
    struct rig *rig = room->rig;
    unsigned n = 0;
    (void)state;

    port_mem_limit(rig->io, 0, 0, 0);
    for (unsigned i = 0; i < 5; i++) {
        speak(room);
    }
    for (; rig->n_frames < 5 * 200; n++) {
        assert_true(n < 10000);
        port_mem_limit(rig->io, 0, 0, 3);
        (void)pipeline_egress(&rig->pipe, 32);
        rig->lane.now_us += 1000;
        assert_true(rig->n_frames >= 3 * n);
    }
    assert_true(n > 300);
    assert_int_equal(rig->lane.counts.drops_out[DROP_TX_FULL_AUDIO], 0);
    assert_int_equal(rig->lane.counts.forwards, 5 * 200);
    listen(room);
    for (uint32_t i = 0; i < 200; i++) {
        assert_int_equal(room->got[i], 5);
    }
    room_stop(room);
}

/* One that is alone may take nothing for a while, as a port does whose queue the kernel has
 * no time for. */
static void a_device_that_pauses_is_waited_for(void **state)
{
    struct room *room = room_start(40);
    struct rig *rig = room->rig;
    (void)state;

    for (unsigned i = 0; i < 200; i++) { /* ms */
        (void)pipeline_egress(&rig->pipe, 32);
        rig->lane.now_us += 1000;
    }
    for (unsigned i = 0; i < 10; i++) {
        port_mem_limit(rig->io, 0, 0, 0);
        speak(room);
        for (unsigned ms = 0; ms < 100; ms++) {
            (void)pipeline_egress(&rig->pipe, 32);
            rig->lane.now_us += 1000;
        }
        port_mem_limit(rig->io, 0, 0, 3);
        (void)pipeline_egress(&rig->pipe, 32);
    }
    port_mem_limit(rig->io, 0, 0, UINT64_MAX);
    rig_egress(rig);
    listen(room);
    assert_int_equal(rig->lane.counts.drops_out[DROP_TX_FULL_AUDIO], 0);
    for (uint32_t i = 0; i < 40; i++) {
        assert_int_equal(room->got[i], 10);
    }
    room_stop(room);
}

/* One that takes nothing at all is given up after a quarter of a second, and then held to
 * be full for a fifth of the time. */
static void a_dead_device_is_not_waited_for_again_and_again(void **state)
{
    struct room *room = room_start(40);
    struct rig *rig = room->rig;
    uint64_t waited_us = 0;
    (void)state;

    port_mem_limit(rig->io, 0, 0, 0);
    for (unsigned i = 0; i < 100; i++) {
        speak(room);
        for (unsigned k = 0; k < 100; k++) { /* 10 ms */
            (void)pipeline_egress(&rig->pipe, 32);
            waited_us += pipeline_held_up(&rig->pipe) ? 100 : 0;
            rig->lane.now_us += 100;
        }
    }
    assert_true(waited_us > 0);
    assert_true(waited_us < 1000000 / 2);
    assert_false(lane_has_grown(&rig->lane));
    rig_egress(rig);
    assert_int_equal(rig->lane.counts.drops_out[DROP_TX_FULL_AUDIO], 100 * 40);
    assert_int_equal(rig->lane.counts.forwards, 0);
    assert_int_equal(rig->lane.counts.tx_packets, 0);
    room_stop(room);
}

/* Its buffers come back, and nobody else is charged with what it was not sent. */
static void who_leaves_while_frames_wait_is_forgotten(void **state)
{
    struct room *room = room_start(40);
    struct rig *rig = room->rig;
    (void)state;

    port_mem_limit(rig->io, 0, 0, 0);
    speak(room);
    (void)pipeline_egress(&rig->pipe, 1);
    assert_true(pipeline_held_up(&rig->pipe));
    for (uint32_t i = 0; i < 40; i++) {
        leave(room, i);
    }
    rig_egress(rig);
    assert_int_equal(rig->lane.counts.drops_out[DROP_TX_FULL_AUDIO], PKT_BURST);
    assert_int_equal(rig->lane.counts.forwards, 0);
    assert_int_equal(rig->lane.counts.tx_packets, 0);
    room_stop(room);
}

static void an_empty_pool_is_counted_and_survived(void **state)
{
    static struct pkt *held[RIG_BUFFERS];
    struct room *room = room_start(40);
    uint32_t n_held;
    (void)state;

    speak(room);
    n_held = rig_exhaust(room->rig, 20, held);
    rig_egress(room->rig); /* 32 do not fit, 8 do */
    assert_int_equal(room->rig->lane.counts.drops_out[DROP_NO_BUFFER], 32);
    assert_int_equal(room->rig->lane.counts.forwards, 8);
    rig_release(room->rig, held, n_held);
    speak(room);
    rig_egress(room->rig);
    assert_int_equal(room->rig->lane.counts.forwards, 48);
    listen(room);
    room_stop(room);
}

/* Video to 40 on four paths, neighbours in the list on different ones. A frame that is here
 * goes to each as a whole, or by as much of it as a run has; what of it comes later goes as
 * what is there then. */
static void a_frame_goes_to_each_in_one_piece(void **state)
{
    static const struct {
        unsigned parts[3]; /* packets that come at once */
        unsigned runs;     /* to each */
    } frames[] = {{{1}, 1},  {{9}, 1},    {{16}, 1},       {{20}, 2},
                  {{40}, 3}, {{4, 5}, 2}, {{2, 20, 1}, 4}};
    enum { N = 40 };
    uint64_t handles[N];
    uint16_t seqs[N] = {0}, seq = 0;
    struct room *room;
    struct rig *rig;
    (void)state;

    device = "mem:runs";
    room = room_start(0);
    device = "mem";
    rig = room->rig;
    const struct vault_stream_conf video = far_publish_video(&room->pub, 1, 2);

    for (uint32_t i = 0; i < N; i++) {
        handles[i] = far_subscribe(&room->fars[i % N_FAR], i, &video, 1000 + i).handle;
    }
    for (unsigned f = 0; f < sizeof(frames) / sizeof(frames[0]); f++) {
        unsigned n_all = 0, n_runs = 0;

        for (unsigned p = 0; p < 3 && frames[f].parts[p] > 0; p++) {
            for (unsigned i = 0; i < frames[f].parts[p]; i++) {
                const bool last_part = p == 2 || frames[f].parts[p + 1] == 0;
                const bool key = f == 0 && p == 0 && i == 0;
                struct far_rtp rtp = {.ssrc = 2,
                                      .pt = FAR_VIDEO_PT,
                                      .seq = ++seq,
                                      .ts = 3000 * (f + 1),
                                      .marker = last_part && i + 1 == frames[f].parts[p],
                                      .payload = key ? far_vp8_key : far_vp8_delta,
                                      .len = sizeof(far_vp8_key)};

                far_send_rtp(&room->pub, &rtp);
            }
            rig_ingress(rig);
            (void)pipeline_egress(&rig->pipe, 1000);
            n_all += frames[f].parts[p];
        }
        assert_int_equal(rig->n_frames, n_all * N);
        for (uint32_t i = 0; i < rig->n_frames; i++) {
            n_runs += i == 0 || !path_same_tuple(&rig->frames[i].to, &rig->frames[i - 1].to);
        }
        assert_int_equal(n_runs, frames[f].runs * N);
        for (uint32_t i = 0; i < N_FAR; i++) {
            struct far_got got;

            while (far_take_rtp(&room->fars[i], &got)) {
                const uint32_t sub = got.hdr.ssrc - 1000;

                assert_true(seqs[sub] == 0 || got.hdr.seq == (uint16_t)(seqs[sub] + 1));
                seqs[sub] = got.hdr.seq;
            }
            room->fars[i].read_at = 0;
        }
        rig->n_frames = 0;
    }
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(tables_sub(&rig->tables, handles[i])->packets, seq);
    }
    room_stop(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_gets_everything_once),
        cmocka_unit_test(a_call_serves_one_burst),
        cmocka_unit_test(those_who_do_not_want_it_are_passed_by_in_bounded_steps),
        cmocka_unit_test(fan_out_survives_coming_and_going),
        cmocka_unit_test(churn_neither_loses_nor_doubles),
        cmocka_unit_test(the_last_to_leave_ends_the_fan_out),
        cmocka_unit_test(a_stream_that_ends_is_out_of_the_list_of_grown_rings),
        cmocka_unit_test(a_slow_lane_loses_the_oldest),
        cmocka_unit_test(a_slot_overtaken_on_the_way_is_not_sent),
        cmocka_unit_test(a_full_device_is_counted_and_forgotten),
        cmocka_unit_test(a_slow_device_is_waited_for),
        cmocka_unit_test(a_device_that_pauses_is_waited_for),
        cmocka_unit_test(a_dead_device_is_not_waited_for_again_and_again),
        cmocka_unit_test(who_leaves_while_frames_wait_is_forgotten),
        cmocka_unit_test(an_empty_pool_is_counted_and_survived),
        cmocka_unit_test(a_frame_goes_to_each_in_one_piece),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
