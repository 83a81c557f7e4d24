/* The packets of one peer, as its lane has copied them and as control sends them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/media/rig.h"

struct watch {
    struct media *media;
    unsigned n, n_ended, stop_at; /* stop_at: with so many; 0: never */
    int err;
    struct abi_captured last;
};

static void on_packet(void *user, const struct abi_captured *packet)
{
    struct watch *watch = user;

    watch->n++;
    watch->last = *packet;
    if (watch->n == watch->stop_at) {
        media_capture_stop(watch->media);
    }
}

static void on_end(void *user, int err)
{
    struct watch *watch = user;

    watch->n_ended++;
    watch->err = err;
}

static const struct media_capture_ops watch_ops = {.on_packet = on_packet,
                                                   .on_end = on_end};

static int begin(struct fixture *f, struct watch *watch, uint64_t peer,
                 enum abi_capture how)
{
    *watch = (struct watch){.media = f->media};
    return media_capture(f->media, peer, how, &watch_ops, watch);
}

/* The dataplane is told to watch 'peer' so, as the n-th command and the last. */
static void expect_told(struct fixture *f, size_t n, uint64_t peer, enum abi_capture how)
{
    struct fake_dp_cmd cmd;

    WAIT(f, fake_dp_n_cmds(f->dp) == n);
    cmd = fake_dp_cmd(f->dp, n - 1);
    assert_int_equal(cmd.op, ABI_OP_PEER_CAPTURE);
    assert_int_equal(cmd.handle, peer);
    assert_int_equal(cmd.arg, how);
    assert_int_equal(cmd.status, 0);
}

static struct abi_captured captured(uint64_t peer, const char *data)
{
    struct abi_captured packet = {.time_us = 7,
                                  .peer = peer,
                                  .path = {.family = 6, .remote_port = 4000},
                                  .len = (uint16_t)strlen(data),
                                  .out = 1,
                                  .plain = 1,
                                  .missed = 3};

    memcpy(packet.data, data, strlen(data));
    return packet;
}

static void packets_of_the_peer_come_until_it_is_stopped(void **state)
{
    struct abi_captured packet, other, bad;
    struct media_counts counts;
    struct watch watch;
    struct fixture f;
    uint64_t peer;
    (void)state;

    start_all(&f);
    peer = open_peer(&f);
    packet = captured(peer, "abc");
    other = captured(open_peer(&f), "of somebody else");
    bad = packet;
    bad.len = sizeof(bad.data) + 1;
    assert_int_equal(begin(&f, &watch, peer, ABI_CAPTURE_PLAIN), 0);
    expect_told(&f, 3, peer, ABI_CAPTURE_PLAIN);
    watch.stop_at = 2;
    assert_true(fake_dp_capture(f.dp, &other));
    assert_true(fake_dp_capture(f.dp, &bad));
    bad.len = 0;
    assert_true(fake_dp_capture(f.dp, &bad));
    bad = packet;
    bad.path.family = 0;
    assert_true(fake_dp_capture(f.dp, &bad));
    assert_true(fake_dp_capture(f.dp, &packet));
    WAIT(&f, watch.n == 1);
    assert_memory_equal(&watch.last, &packet, sizeof(packet));
    media_counts(f.media, &counts);
    assert_int_equal(counts.bad, 3);

    /* more than a ring has room for, and stopped by the first of them */
    for (int i = 0; i < ABI_CAPTURE_SLOTS; i++) {
        assert_true(fake_dp_capture(f.dp, &packet));
    }
    assert_false(fake_dp_capture(f.dp, &packet));
    expect_told(&f, 4, peer, ABI_CAPTURE_OFF);
    WAIT(&f, fake_dp_capture(f.dp, &packet)); /* what was on its way is read */
    settle(&f, 5);
    assert_int_equal(watch.n, 2);
    assert_int_equal(watch.n_ended, 0);
    media_capture_stop(f.media); /* again: nothing */
    settle(&f, 5);
    assert_int_equal(fake_dp_n_cmds(f.dp), 4);
    finish(&f);
}

static void what_control_sends_to_the_peer_is_among_them(void **state)
{
    const struct path path = {.family = 4, .remote_port = 4000, .local_port = 7000};
    uint64_t from_us = now_ms() * 1000;
    struct watch watch;
    struct fixture f;
    uint64_t peer;
    (void)state;

    start_all(&f);
    peer = open_peer(&f);
    assert_int_equal(begin(&f, &watch, peer, ABI_CAPTURE_PLAIN), 0);
    assert_int_equal(media_send(f.media, HANDLE_NONE, &path, ABI_DATAGRAM_DTLS, "no", 2),
                     0);
    assert_int_equal(watch.n, 0);
    assert_int_equal(media_send(f.media, peer, &path, ABI_DATAGRAM_DTLS, "hello", 5), 0);
    assert_int_equal(watch.n, 1);
    assert_int_equal(watch.last.peer, peer);
    assert_int_equal(watch.last.len, 5);
    assert_memory_equal(watch.last.data, "hello", 5);
    assert_memory_equal(&watch.last.path, &path, sizeof(path));
    assert_int_equal(watch.last.out, 1);
    assert_int_equal(watch.last.plain, 0); /* it is as on the wire */
    assert_true(watch.last.time_us >= from_us);
    media_capture_stop(f.media);
    assert_int_equal(media_send(f.media, peer, &path, ABI_DATAGRAM_DTLS, "hello", 5), 0);
    assert_int_equal(watch.n, 1);
    finish(&f);
}

static void there_is_one_at_a_time_of_a_peer_that_is_open(void **state)
{
    struct watch first, second;
    struct fixture f;
    uint64_t peers[2];
    (void)state;

    start_all(&f);
    peers[0] = open_peer(&f);
    peers[1] = open_peer(&f);
    assert_int_equal(begin(&f, &first, peers[0] + 5, ABI_CAPTURE_WIRE), -ESTALE);
    assert_int_equal(begin(&f, &first, peers[0], ABI_CAPTURE_WIRE), 0);
    assert_int_equal(begin(&f, &second, peers[1], ABI_CAPTURE_WIRE), -EBUSY);
    assert_int_equal(begin(&f, &second, peers[0], ABI_CAPTURE_WIRE), -EBUSY);
    media_capture_stop(f.media);
    assert_int_equal(begin(&f, &second, peers[1], ABI_CAPTURE_WIRE), 0);
    expect_told(&f, 5, peers[1], ABI_CAPTURE_WIRE);
    assert_int_equal(fake_dp_cmd(f.dp, 3).handle, peers[0]);
    assert_int_equal(fake_dp_cmd(f.dp, 3).arg, ABI_CAPTURE_OFF);
    finish(&f);
    assert_int_equal(second.n_ended, 0); /* who ends the client knows that */
}

static void it_ends_with_the_peer(void **state)
{
    struct answer closed = {.n = 0};
    struct watch watch;
    struct fixture f;
    uint64_t peer, other;
    (void)state;

    start_all(&f);
    peer = open_peer(&f);
    other = open_peer(&f);
    assert_int_equal(begin(&f, &watch, peer, ABI_CAPTURE_WIRE), 0);
    assert_int_equal(media_close(f.media, MEDIA_PEER, other, on_answer, &closed), 0);
    WAIT(&f, closed.n == 1);
    assert_int_equal(watch.n_ended, 0);
    assert_int_equal(media_close(f.media, MEDIA_PEER, peer, on_answer, &closed), 0);
    assert_int_equal(watch.n_ended, 1);
    assert_int_equal(watch.err, -ESTALE);
    WAIT(&f, closed.n == 2);
    settle(&f, 5);
    assert_int_equal(watch.n_ended, 1);
    assert_int_equal(fake_dp_cmd(f.dp, fake_dp_n_cmds(f.dp) - 1).op, ABI_OP_PEER_CLOSE);
    assert_int_equal(begin(&f, &watch, peer, ABI_CAPTURE_WIRE), -ESTALE);
    finish(&f);
}

static void it_ends_with_the_dataplane(void **state)
{
    struct media_status status;
    struct watch watch;
    struct fixture f;
    uint64_t peer;
    (void)state;

    start_all(&f);
    peer = open_peer(&f);
    fake_dp_hold(f.dp, true);
    assert_int_equal(begin(&f, &watch, peer, ABI_CAPTURE_PLAIN), 0);
    fake_dp_hang_up(f.dp);
    WAIT(&f, watch.n_ended == 1);
    assert_int_equal(watch.err, -ECONNRESET);
    media_status(f.media, &status);
    assert_false(status.attached);
    assert_int_equal(begin(&f, &watch, peer, ABI_CAPTURE_PLAIN), -ENOTCONN);
    fake_dp_hold(f.dp, false);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_of_the_peer_come_until_it_is_stopped),
        cmocka_unit_test(what_control_sends_to_the_peer_is_among_them),
        cmocka_unit_test(there_is_one_at_a_time_of_a_peer_that_is_open),
        cmocka_unit_test(it_ends_with_the_peer),
        cmocka_unit_test(it_ends_with_the_dataplane),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
