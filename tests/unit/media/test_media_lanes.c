/* Two lanes: who is placed where, and that what one lane has to do after the other is not
 * sent before the other has answered. The fake dataplane reads the ring of lane 0 first, so
 * that commands which did not wait would come in the wrong order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/media/rig.h"

/* Two peers, the first on lane 0 and the second on lane 1. */
static void start_two(struct fixture *f, uint64_t peers[2])
{
    start(f);
    start_dp(f, (struct fake_dp_conf){.n_lanes = 2});
    start_control(f);
    WAIT(f, f->n_attached == 1);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t lane;

        peers[i] = open_peer(f);
        assert_int_equal(media_peer_lane(f->media, peers[i], &lane), 0);
        assert_int_equal(lane, i);
    }
}

static void a_subscription_waits_for_its_stream_on_another_lane(void **state)
{
    const struct vault_stream_conf stream_conf = {.kind = ABI_VIDEO, .pt = 96};
    const struct vault_sub_conf sub_conf = {.ssrc = 5};
    struct answer opened = {.n = 0}, subscribed = {.n = 0};
    struct vault_stream_conf stream = stream_conf;
    struct vault_sub_conf sub = sub_conf;
    struct fixture f;
    uint64_t peers[2], stream_handle, sub_handle;
    (void)state;

    start_two(&f, peers);
    fake_dp_hold(f.dp, true);
    stream.peer = peers[1];
    assert_int_equal(
        media_stream_open(f.media, &stream, on_answer, &opened, &stream_handle), 0);
    sub.peer = peers[0];
    sub.stream = stream_handle;
    assert_int_equal(media_sub_open(f.media, &sub, on_answer, &subscribed, &sub_handle), 0);
    fake_dp_hold(f.dp, false);
    WAIT(&f, opened.n == 1 && subscribed.n == 1);
    assert_int_equal(opened.status, 0);
    assert_int_equal(subscribed.status, 0);

    /* a close, the other way round: the stream of lane 0, its subscription on lane 1 */
    stream_handle = open_stream(&f, peers[0]);
    sub_handle = open_sub(&f, peers[1], stream_handle);
    opened = subscribed = (struct answer){.n = 0};
    fake_dp_hold(f.dp, true);
    assert_int_equal(media_close(f.media, MEDIA_SUB, sub_handle, on_answer, &subscribed),
                     0);
    assert_int_equal(media_close(f.media, MEDIA_STREAM, stream_handle, on_answer, &opened),
                     0);
    fake_dp_hold(f.dp, false);
    WAIT(&f, opened.n == 1 && subscribed.n == 1);
    assert_int_equal(opened.status, 0);
    assert_int_equal(subscribed.status, 0);
    finish(&f);
}

static void commands_for_a_peer_on_the_move_wait_for_it(void **state)
{
    struct answer moved = {.n = 0}, closed = {.n = 0};
    struct fixture f;
    uint64_t peers[2];
    uint32_t lane;
    size_t n;
    (void)state;

    start_two(&f, peers);
    fake_dp_hold(f.dp, true);
    assert_int_equal(media_peer_move(f.media, peers[1], 2, NULL, NULL), -EINVAL);
    assert_int_equal(media_peer_move(f.media, peers[1], 0, on_answer, &moved), 0);
    assert_int_equal(media_peer_move(f.media, peers[1], 1, NULL, NULL), -EBUSY);
    assert_int_equal(media_close(f.media, MEDIA_PEER, peers[1], on_answer, &closed), 0);
    n = fake_dp_n_cmds(f.dp);
    fake_dp_hold(f.dp, false);
    WAIT(&f, moved.n == 1 && closed.n == 1);
    assert_int_equal(moved.status, 0);
    assert_int_equal(closed.status, 0);
    assert_int_equal(fake_dp_cmd(f.dp, n).op, ABI_OP_PEER_MOVE);
    assert_int_equal(fake_dp_cmd(f.dp, n + 1).op, ABI_OP_PEER_CLOSE);
    assert_int_equal(media_peer_lane(f.media, peers[1], &lane), -ESTALE);
    finish(&f);
}

static void a_refused_move_leaves_the_peer_where_it_was(void **state)
{
    struct answer moved = {.n = 0};
    struct fixture f;
    uint64_t peers[2];
    uint32_t lane;
    (void)state;

    start_two(&f, peers);
    fake_dp_fail(f.dp, ABI_OP_PEER_MOVE, -EINVAL);
    assert_int_equal(media_peer_move(f.media, peers[1], 0, on_answer, &moved), 0);
    WAIT(&f, moved.n == 1);
    assert_int_equal(moved.status, -EINVAL);
    assert_int_equal(media_peer_lane(f.media, peers[1], &lane), 0);
    assert_int_equal(lane, 1);
    finish(&f);
}

static void the_lane_with_fewest_subscriptions_gets_the_next(void **state)
{
    struct fixture f;
    uint64_t peers[2], stream, next;
    uint32_t lane;
    (void)state;

    start_two(&f, peers);
    stream = open_stream(&f, peers[1]);
    (void)open_sub(&f, peers[0], stream);
    for (unsigned i = 0; i < 3; i++) {
        next = open_peer(&f);
        assert_int_equal(media_peer_lane(f.media, next, &lane), 0);
        assert_int_equal(lane, 1); /* though it has more and more peers */
    }
    finish(&f);
}

/* Of a client whose first packet arrives on another lane than it was put on. */
static void hear_from(struct fixture *f, uint64_t peer, uint32_t rx_lane)
{
    const struct abi_datagram datagram = {.kind = ABI_DATAGRAM_STUN,
                                          .rx_lane = (uint8_t)rx_lane,
                                          .len = 4,
                                          .path = {.family = 4, .remote_port = 9}};
    unsigned n = f->n_datagrams;

    f->selects = peer;
    assert_true(fake_dp_punt(f->dp, &datagram));
    WAIT(f, f->n_datagrams == n + 1 && media_n_waiting(f->media) == 0);
}

static void a_publisher_follows_its_packets_even_if_they_come_late(void **state)
{
    struct fixture f;
    uint64_t peers[2];
    uint32_t lane;
    size_t n;
    (void)state;

    start_two(&f, peers);
    (void)open_stream(&f, peers[0]);
    n = fake_dp_n_cmds(f.dp);
    hear_from(&f, peers[0], 1);
    assert_int_equal(media_peer_lane(f.media, peers[0], &lane), 0);
    assert_int_equal(lane, 1);
    assert_int_equal(fake_dp_cmd(f.dp, n).op, ABI_OP_PEER_UPDATE);
    assert_int_equal(fake_dp_cmd(f.dp, n + 1).op, ABI_OP_PEER_MOVE);

    hear_from(&f, peers[1], 0); /* it publishes nothing: where it was put, there it stays */
    assert_int_equal(media_peer_lane(f.media, peers[1], &lane), 0);
    assert_int_equal(lane, 1);
    (void)open_stream(&f, peers[1]);
    assert_int_equal(media_peer_lane(f.media, peers[1], &lane), 0);
    assert_int_equal(lane, 0);
    finish(&f);
}

/* An operator's wish is not undone by the next path that a client selects. */
static void who_was_moved_by_hand_stays(void **state)
{
    struct fixture f;
    uint64_t peers[2];
    uint32_t lane;
    (void)state;

    start_two(&f, peers);
    (void)open_stream(&f, peers[0]);
    hear_from(&f, peers[0], 1);
    WAIT(&f, media_n_waiting(f.media) == 0);
    assert_int_equal(media_peer_move(f.media, peers[0], 0, NULL, NULL), 0);
    media_peer_stay(f.media, peers[0]);
    WAIT(&f, media_n_waiting(f.media) == 0);
    hear_from(&f, peers[0], 1);
    (void)open_stream(&f, peers[0]);
    assert_int_equal(media_peer_lane(f.media, peers[0], &lane), 0);
    assert_int_equal(lane, 0);
    media_peer_stay(f.media, HANDLE_NONE);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subscription_waits_for_its_stream_on_another_lane),
        cmocka_unit_test(commands_for_a_peer_on_the_move_wait_for_it),
        cmocka_unit_test(a_refused_move_leaves_the_peer_where_it_was),
        cmocka_unit_test(a_publisher_follows_its_packets_even_if_they_come_late),
        cmocka_unit_test(who_was_moved_by_hand_stays),
        cmocka_unit_test(the_lane_with_fewest_subscriptions_gets_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
