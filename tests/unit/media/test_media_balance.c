/* Lanes that differ in what they have to do: who moves, who does not, and that it ends. The
 * fake dataplane's counters say what a world of peers with so many packets a second each
 * would make of the lanes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "media/media_balance.h"
#include "unit/media/rig.h"

enum {
    N_LANES = 2,
    N_PEERS = 60,
    CYCLES = 1000000 /* a lane's second; a packet takes a permille of it */
};

struct world {
    struct fixture f;
    struct media_balance *balance;
    uint64_t peers[N_PEERS];
    uint32_t n;
    uint32_t sent[N_PEERS], received[N_PEERS]; /* packets a second */
    struct abi_peer_stats stats[N_PEERS];
};

static void world_start(struct world *w)
{
    memset(w, 0, sizeof(*w));
    start(&w->f);
    start_dp(&w->f, (struct fake_dp_conf){.n_lanes = N_LANES, .n_peers = N_PEERS});
    start_control(&w->f);
    WAIT(&w->f, w->f.n_attached == 1);
    /* its timer is of no consequence: the loop turns for some milliseconds at a time */
    assert_int_equal(media_balance_create(&w->balance, w->f.loop, w->f.media), 0);
}

static void world_stop(struct world *w)
{
    media_balance_destroy(w->balance);
    finish(&w->f);
}

static uint32_t lane_of(const struct world *w, uint32_t i)
{
    uint32_t lane;

    assert_int_equal(media_peer_lane(w->f.media, w->peers[i], &lane), 0);
    return lane;
}

/* On lane 0, wherever it was placed. */
static uint32_t add(struct world *w, uint32_t sent, uint32_t received)
{
    const uint32_t i = w->n++;
    struct answer answer = {.n = 0};

    w->peers[i] = open_peer(&w->f);
    assert_int_equal(media_peer_move(w->f.media, w->peers[i], 0, on_answer, &answer), 0);
    WAIT(&w->f, answer.n == 1);
    w->sent[i] = sent;
    w->received[i] = received;
    w->stats[i].handle = w->peers[i];
    return i;
}

static uint32_t packets(const struct world *w, uint32_t lane)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < w->n; i++) {
        sum += lane_of(w, i) == lane ? w->sent[i] + w->received[i] : 0;
    }
    return sum;
}

/* A second goes by. Returns how many were moved at its end. */
static uint32_t second(struct world *w)
{
    uint32_t n;

    for (uint32_t i = 0; i < w->n; i++) {
        w->stats[i].tx_packets += w->sent[i];
        w->stats[i].rx_packets += w->received[i];
        abi_words_copy(&fake_dp_peer_stats(w->f.dp)[handle_index(w->peers[i])],
                       &w->stats[i], sizeof(w->stats[i]));
    }
    for (uint32_t lane = 0; lane < N_LANES; lane++) {
        const uint64_t busy = (uint64_t)packets(w, lane) * (CYCLES / 1000);
        const struct abi_lane_counts counts = {.recent_cycles = CYCLES,
                                               .recent_busy_cycles =
                                                   busy < CYCLES ? busy : CYCLES};

        abi_lane_stats_write(fake_dp_lane_stats(w->f.dp, lane), &counts, 1);
    }
    n = media_balance_look(w->balance);
    WAIT(&w->f, media_n_waiting(w->f.media) == 0);
    return n;
}

static uint32_t seconds(struct world *w, uint32_t n)
{
    uint32_t moved = 0;

    for (uint32_t i = 0; i < n; i++) {
        moved += second(w);
    }
    return moved;
}

/* One lane has everything: what makes half of the difference goes, the publisher does not,
 * and then they stay. */
static void the_busy_lane_is_relieved_once(void **state)
{
    struct world w;
    uint32_t publisher, moved;
    (void)state;

    world_start(&w);
    publisher = add(&w, 10, 200);
    for (uint32_t i = 0; i < 30; i++) {
        (void)add(&w, 20, 1);
    }
    assert_int_equal(seconds(&w, BALANCE_LOOKS), 0); /* it might pass */
    moved = seconds(&w, 1);
    assert_in_range(moved, 18, 21);
    assert_int_equal(lane_of(&w, publisher), 0);
    assert_true(packets(&w, 0) >= packets(&w, 1));
    assert_true(packets(&w, 0) - packets(&w, 1) < BALANCE_GAP);
    assert_int_equal(seconds(&w, 20), 0);
    world_stop(&w);
}

/* Nothing that would only turn the difference round. */
static void the_one_who_is_all_of_it_stays(void **state)
{
    struct world w;
    uint32_t heavy, light;
    (void)state;

    world_start(&w);
    heavy = add(&w, 850, 1);
    light = add(&w, 60, 1);
    assert_int_equal(seconds(&w, 20), 1);
    assert_int_equal(lane_of(&w, heavy), 0);
    assert_int_equal(lane_of(&w, light), 1);
    world_stop(&w);
}

static void who_has_time_enough_is_left_alone(void **state)
{
    struct world w;
    (void)state;

    world_start(&w);
    for (uint32_t i = 0; i < 10; i++) {
        (void)add(&w, 50, 1); /* half of its time */
    }
    assert_int_equal(seconds(&w, 20), 0);
    /* a moment's load is none */
    for (uint32_t i = 0; i < 5; i++) {
        w.sent[0] = 450;
        assert_int_equal(seconds(&w, BALANCE_LOOKS), 0);
        w.sent[0] = 50;
        assert_int_equal(seconds(&w, 1), 0);
    }
    world_stop(&w);
}

/* Many light ones: no more than so many a second. */
static void moves_are_limited(void **state)
{
    struct world w;
    uint32_t all = 0;
    (void)state;

    world_start(&w);
    for (uint32_t i = 0; i < N_PEERS; i++) {
        (void)add(&w, 24, 1); /* more than the lane can do */
    }
    for (uint32_t i = 0; i < 40; i++) {
        const uint32_t n = second(&w);

        assert_true(n <= BALANCE_MOVES);
        all += n;
    }
    assert_in_range(all, N_PEERS / 3, N_PEERS / 2);
    assert_true(packets(&w, 0) - packets(&w, 1) < 2 * BALANCE_GAP);
    world_stop(&w);
}

/* A dataplane that goes away, or says nonsense, is no reason to move anybody. */
static void without_counters_nobody_moves(void **state)
{
    const struct abi_lane_counts nonsense = {.recent_cycles = 1,
                                             .recent_busy_cycles = UINT64_MAX};
    struct world w;
    (void)state;

    world_start(&w);
    for (uint32_t i = 0; i < 30; i++) {
        (void)add(&w, 30, 1);
    }
    (void)seconds(&w, BALANCE_LOOKS);
    abi_lane_stats_write(fake_dp_lane_stats(w.f.dp, 0), &nonsense, 1);
    assert_int_equal(media_balance_look(w.balance), 0);
    assert_int_equal(seconds(&w, BALANCE_LOOKS), 0); /* it looks anew */
    fake_dp_hang_up(w.f.dp);
    settle(&w.f, 20);
    assert_int_equal(media_balance_look(w.balance), 0);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_busy_lane_is_relieved_once),
        cmocka_unit_test(the_one_who_is_all_of_it_stays),
        cmocka_unit_test(who_has_time_enough_is_left_alone),
        cmocka_unit_test(moves_are_limited),
        cmocka_unit_test(without_counters_nobody_moves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
