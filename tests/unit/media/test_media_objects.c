/* Objects, full rings, datagrams, events and counters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/media/rig.h"

/* ---- objects ---- */

static void an_object_stands_in_the_vault_before_its_command(void **state)
{
    const struct vault_peer_conf conf = {.ufrag_len = 4, .ufrag = "abcd"};
    struct vault_peer_conf stored;
    struct answer answer = {.n = 0};
    struct fixture f;
    uint64_t handle;
    (void)state;

    start_all(&f);
    fake_dp_hold(f.dp, true);
    assert_int_equal(media_peer_open(f.media, &conf, on_answer, &answer, &handle), 0);
    assert_int_equal(
        vault_peer_read(&fake_dp_vault(f.dp)->peers[handle_index(handle)], &stored), 0);
    assert_int_equal(stored.handle, handle);
    assert_memory_equal(stored.ufrag, "abcd", 4);
    settle(&f, 20);
    assert_int_equal(answer.n, 0);
    fake_dp_hold(f.dp, false);
    WAIT(&f, answer.n == 1);
    assert_int_equal(fake_dp_cmd(f.dp, 0).op, ABI_OP_PEER_OPEN);
    assert_int_equal(fake_dp_cmd(f.dp, 0).handle, handle);
    assert_int_equal(media_handle_at(f.media, MEDIA_PEER, handle_index(handle)), handle);
    finish(&f);
}

static void keys_and_paths_change_only_themselves(void **state)
{
    static const uint8_t rx[16] = "rx-key-rx-key-rx";
    static const uint8_t tx[16] = "tx-key-tx-key-tx";
    static const uint8_t salt[12] = "salt-salt-sa";
    const struct media_keys keys = {.profile = ABI_SRTP_AEAD_AES_128_GCM,
                                    .key_len = 16,
                                    .salt_len = 12,
                                    .rx_key = rx,
                                    .tx_key = tx,
                                    .rx_salt = salt,
                                    .tx_salt = salt};
    struct media_keys long_keys = keys;
    struct path paths[2] = {{.family = 4, .remote_port = 1},
                            {.family = 4, .remote_port = 2}};
    struct vault_peer_conf conf;
    struct answer answer = {.n = 0};
    struct fixture f;
    uint64_t peer;
    (void)state;

    start_all(&f);
    peer = open_peer(&f);
    assert_int_equal(media_peer_set_paths(f.media, peer, paths, 2, 1, on_answer, &answer),
                     0);
    assert_int_equal(media_peer_set_keys(f.media, peer, &keys, on_answer, &answer), 0);
    WAIT(&f, answer.n == 2);
    assert_int_equal(answer.status, 0);
    assert_int_equal(
        vault_peer_read(&fake_dp_vault(f.dp)->peers[handle_index(peer)], &conf), 0);
    assert_int_equal(conf.handle, peer);
    assert_memory_equal(conf.ufrag, "abcd", 4);
    assert_int_equal(conf.n_paths, 2);
    assert_int_equal(conf.selected, 1);
    assert_int_equal(conf.paths[1].remote_port, 2);
    assert_int_equal(conf.profile, ABI_SRTP_AEAD_AES_128_GCM);
    assert_memory_equal(conf.rx_key, rx, 16);
    assert_memory_equal(conf.tx_key, tx, 16);
    assert_memory_equal(conf.tx_salt, salt, 12);
    assert_int_equal(
        media_peer_set_paths(f.media, peer, paths, VAULT_PATHS + 1, 0, NULL, NULL),
        -EINVAL);
    assert_int_equal(media_peer_set_paths(f.media, peer, paths, 1, 2, NULL, NULL), -EINVAL);
    long_keys.key_len = VAULT_KEY_MAX + 1;
    assert_int_equal(media_peer_set_keys(f.media, peer, &long_keys, NULL, NULL), -EINVAL);
    finish(&f);
}

static void streams_and_subscriptions_pause_and_ask_for_key_frames(void **state)
{
    struct vault_stream_conf stream_conf;
    struct vault_sub_conf sub_conf;
    struct answer answer = {.n = 0};
    uint64_t peer, stream, sub;
    struct fixture f;
    struct vault *vault;
    (void)state;

    start_all(&f);
    vault = fake_dp_vault(f.dp);
    peer = open_peer(&f);
    stream = open_stream(&f, peer);
    sub = open_sub(&f, peer, stream);
    assert_int_equal(media_stream_set_paused(f.media, stream, true, on_answer, &answer), 0);
    assert_int_equal(media_sub_set_paused(f.media, sub, false, on_answer, &answer), 0);
    assert_int_equal(media_stream_keyframe(f.media, stream, on_answer, &answer), 0);
    assert_int_equal(media_sub_keyframe(f.media, sub, on_answer, &answer), 0);
    WAIT(&f, answer.n == 4);
    assert_int_equal(answer.status, 0);
    assert_int_equal(vault_stream_read(&vault->streams[handle_index(stream)], &stream_conf),
                     0);
    assert_int_equal(stream_conf.paused, 1);
    assert_int_equal(stream_conf.pt, 96);
    assert_int_equal(vault_sub_read(&vault->subs[handle_index(sub)], &sub_conf), 0);
    assert_int_equal(sub_conf.paused, 0);
    assert_int_equal(sub_conf.ssrc, 5);
    finish(&f);
}

static void a_refused_open_leaves_nothing(void **state)
{
    const struct vault_peer_conf conf = {.pwd = "secret-of-the-refused"};
    struct vault_peer_conf out;
    struct answer answer = {.n = 0};
    struct fixture f;
    uint64_t handle;
    (void)state;

    start_all(&f);
    fake_dp_fail(f.dp, ABI_OP_PEER_OPEN, -ENOMEM);
    assert_int_equal(media_peer_open(f.media, &conf, on_answer, &answer, &handle), 0);
    WAIT(&f, answer.n == 1);
    assert_int_equal(answer.status, -ENOMEM);
    assert_int_equal(media_close(f.media, MEDIA_PEER, handle, NULL, NULL), -ESTALE);
    assert_int_equal(
        vault_peer_read(&fake_dp_vault(f.dp)->peers[handle_index(handle)], &out), -ENOENT);
    fake_dp_fail(f.dp, ABI_OP_PEER_OPEN, 0);
    for (int i = 0; i < 8; i++) { /* no slot was lost */
        (void)open_peer(&f);
    }
    finish(&f);
}

static void a_slot_is_used_again_only_after_the_answer_to_its_close(void **state)
{
    const struct vault_peer_conf conf = {.handle = 0};
    struct answer opened = {.n = 0}, closed = {.n = 0};
    uint64_t peers[8], again;
    struct fixture f;
    (void)state;

    start_all(&f);
    for (int i = 0; i < 8; i++) {
        peers[i] = open_peer(&f);
    }
    assert_int_equal(media_peer_open(f.media, &conf, NULL, NULL, &again), -ENOSPC);
    fake_dp_hold(f.dp, true);
    assert_int_equal(media_close(f.media, MEDIA_PEER, peers[3], on_answer, &closed), 0);
    assert_int_equal(media_close(f.media, MEDIA_PEER, peers[3], NULL, NULL), -ESTALE);
    assert_int_equal(media_peer_set_paths(f.media, peers[3], NULL, 0, 0, NULL, NULL),
                     -ESTALE);
    assert_int_equal(media_peer_open(f.media, &conf, NULL, NULL, &again), -ENOSPC);
    fake_dp_hold(f.dp, false);
    WAIT(&f, closed.n == 1);
    assert_int_equal(closed.status, 0);
    assert_int_equal(media_peer_open(f.media, &conf, on_answer, &opened, &again), 0);
    assert_int_equal(handle_index(again), handle_index(peers[3]));
    assert_int_not_equal(again, peers[3]);
    WAIT(&f, opened.n == 1);
    assert_int_equal(opened.status, 0);
    finish(&f);
}

static void closing_wipes_the_record(void **state)
{
    static const uint8_t secret[16] = "a-very-secret-k";
    const struct media_keys keys = {.profile = 1,
                                    .key_len = 16,
                                    .salt_len = 14,
                                    .rx_key = secret,
                                    .tx_key = secret,
                                    .rx_salt = secret,
                                    .tx_salt = secret};
    struct answer answer = {.n = 0};
    struct vault *vault;
    struct fixture f;
    uint64_t peer;
    (void)state;

    start_all(&f);
    vault = fake_dp_vault(f.dp);
    peer = open_peer(&f);
    assert_int_equal(media_peer_set_keys(f.media, peer, &keys, on_answer, &answer), 0);
    assert_int_equal(media_peer_set_keys(f.media, peer, &keys, on_answer, &answer), 0);
    WAIT(&f, answer.n == 2);
    assert_true(memory_holds(vault->header, vault->header->bytes, "a-very-secret"));
    assert_int_equal(media_close(f.media, MEDIA_PEER, peer, on_answer, &answer), 0);
    WAIT(&f, answer.n == 3);
    assert_false(memory_holds(vault->header, vault->header->bytes, "a-very-secret"));
    finish(&f);
}

static void a_close_that_is_refused_leaves_the_object_open(void **state)
{
    struct answer answer = {.n = 0};
    uint64_t peer, stream;
    struct fixture f;
    (void)state;

    start_all(&f);
    peer = open_peer(&f);
    stream = open_stream(&f, peer);
    assert_int_equal(media_close(f.media, MEDIA_PEER, peer, on_answer, &answer), 0);
    WAIT(&f, answer.n == 1);
    assert_int_equal(answer.status, -EBUSY);
    assert_int_equal(media_close(f.media, MEDIA_STREAM, stream, on_answer, &answer), 0);
    assert_int_equal(media_close(f.media, MEDIA_PEER, peer, on_answer, &answer), 0);
    WAIT(&f, answer.n == 3);
    assert_int_equal(answer.status, 0);
    assert_int_equal(fake_dp_n_open(f.dp, 'p'), 0);
    assert_int_equal(fake_dp_n_open(f.dp, 's'), 0);
    finish(&f);
}

static void closing_what_is_still_opening_works(void **state)
{
    const struct vault_peer_conf conf = {.handle = 0};
    (void)state;

    for (int refused = 0; refused < 2; refused++) {
        struct answer opened = {.n = 0}, closed = {.n = 0};
        struct fixture f;
        uint64_t peer;

        start_all(&f);
        fake_dp_fail(f.dp, ABI_OP_PEER_OPEN, refused ? -ENOMEM : 0);
        assert_int_equal(media_peer_open(f.media, &conf, on_answer, &opened, &peer), 0);
        assert_int_equal(media_close(f.media, MEDIA_PEER, peer, on_answer, &closed), 0);
        WAIT(&f, closed.n == 1);
        assert_int_equal(opened.n, 1);
        assert_int_equal(opened.status, refused ? -ENOMEM : 0);
        assert_int_equal(closed.status, refused ? -ENOENT : 0);
        fake_dp_fail(f.dp, ABI_OP_PEER_OPEN, 0);
        for (int i = 0; i < 8; i++) {
            (void)open_peer(&f);
        }
        finish(&f);
    }
}

/* ---- full rings ---- */

static void commands_that_find_the_ring_full_wait_and_none_is_lost(void **state)
{
    enum { N = ABI_CMD_SLOTS + 500 };
    struct answer answer = {.n = 0};
    struct fixture f;
    uint64_t peer;
    size_t before;
    int err = 0;
    (void)state;

    start_all(&f);
    peer = open_peer(&f);
    before = fake_dp_n_cmds(f.dp);
    fake_dp_hold(f.dp, true);
    for (int i = 0; i < N; i++) {
        assert_int_equal(media_ping(f.media, 0, on_answer, &answer), 0);
    }
    for (int i = N; i <= MEDIA_MAX_COMMANDS && err == 0; i++) {
        err = media_ping(f.media, 0, on_answer, &answer);
        assert_int_equal(err, i < MEDIA_MAX_COMMANDS ? 0 : -EAGAIN);
    }
    assert_int_equal(media_peer_set_paths(f.media, peer, NULL, 0, 0, NULL, NULL), -EAGAIN);
    assert_int_equal(media_close(f.media, MEDIA_PEER, peer, on_answer, &answer), 0);
    fake_dp_hold(f.dp, false);
    WAIT(&f, answer.n == MEDIA_MAX_COMMANDS + 1);
    assert_int_equal(fake_dp_n_cmds(f.dp) - before, MEDIA_MAX_COMMANDS + 1);
    assert_int_equal(fake_dp_cmd(f.dp, before + MEDIA_MAX_COMMANDS).op, ABI_OP_PEER_CLOSE);
    assert_int_equal(media_ping(f.media, 0, on_answer, &answer), 0);
    assert_int_equal(media_ping(f.media, 1, on_answer, &answer), -EINVAL);
    finish(&f);
}

static void more_news_than_a_ring_holds_all_arrives(void **state)
{
    struct abi_datagram d = {.len = 5, .kind = ABI_DATAGRAM_DTLS, .path.family = 4};
    unsigned n = 0;
    struct fixture f;
    (void)state;

    start_all(&f);
    while (fake_dp_punt(f.dp, &d)) {
        n++;
    }
    assert_int_equal(n, ABI_PUNT_SLOTS);
    WAIT(&f, f.n_datagrams == n);
    for (unsigned i = 0; i < 3000; i++) {
        if (fake_dp_punt(f.dp, &d)) {
            n++;
        } else {
            loop_turn(f.loop);
        }
    }
    WAIT(&f, f.n_datagrams == n);
    finish(&f);
}

/* ---- datagrams, events, counters ---- */

static void datagrams_go_both_ways(void **state)
{
    struct abi_datagram d = {.time_us = 7, .peer = 9, .len = 3, .kind = ABI_DATAGRAM_STUN};
    struct path path = {.family = 6, .remote_port = 4000, .local_port = 7000};
    struct abi_datagram sent;
    struct media_counts counts;
    struct fixture f;
    uint8_t big[2000] = {0};
    unsigned n = 0;
    (void)state;

    start_all(&f);
    d.path = path;
    memcpy(d.data, "abc", 3);
    assert_true(fake_dp_punt(f.dp, &d));
    WAIT(&f, f.n_datagrams == 1);
    assert_memory_equal(&f.datagram, &d, sizeof(d));

    assert_int_equal(
        media_send(f.media, HANDLE_NONE, &path, ABI_DATAGRAM_DTLS, "hello", 5), 0);
    assert_true(fake_dp_take_sent(f.dp, &sent));
    assert_int_equal(sent.len, 5);
    assert_int_equal(sent.kind, ABI_DATAGRAM_DTLS);
    assert_memory_equal(sent.data, "hello", 5);
    assert_memory_equal(&sent.path, &path, sizeof(path));
    assert_int_equal(
        media_send(f.media, HANDLE_NONE, &path, ABI_DATAGRAM_DTLS, big, 1529), -EMSGSIZE);

    while (media_send(f.media, HANDLE_NONE, &path, ABI_DATAGRAM_DTLS, big, 1200) == 0) {
        n++;
    }
    assert_int_equal(n, ABI_PUNT_SLOTS);
    media_counts(f.media, &counts);
    assert_int_equal(counts.send_full, 1);
    assert_int_equal(counts.sent, n + 1);
    finish(&f);
}

static void datagrams_that_make_no_sense_are_ignored(void **state)
{
    const struct abi_datagram good = {
        .len = 5, .kind = ABI_DATAGRAM_STUN, .path.family = 4};
    struct abi_datagram bad[5];
    struct media_counts counts;
    struct fixture f;
    (void)state;

    for (int i = 0; i < 5; i++) {
        bad[i] = good;
    }
    bad[0].len = 1529;
    bad[1].len = 0;
    bad[2].kind = 3;
    bad[3].path.family = 5;
    bad[4].path.device = 1;
    start_all(&f);
    for (int i = 0; i < 5; i++) {
        assert_true(fake_dp_punt(f.dp, &bad[i]));
    }
    assert_true(fake_dp_punt(f.dp, &good));
    WAIT(&f, f.n_datagrams == 1);
    media_counts(f.media, &counts);
    assert_int_equal(counts.bad, 5);
    assert_int_equal(counts.datagrams, 6);
    finish(&f);
}

static void events_reach_their_callbacks_and_stale_ones_do_not(void **state)
{
    struct media_counts counts;
    uint64_t peer, stream;
    struct fixture f;
    (void)state;

    start_all(&f);
    peer = open_peer(&f);
    stream = open_stream(&f, peer);
    fake_dp_event(f.dp, &(struct abi_evt){.kind = ABI_EVT_CONSENT_LOST, .handle = peer});
    WAIT(&f, f.n_consent == 1);
    assert_int_equal(f.handle, peer);
    fake_dp_event(
        f.dp, &(struct abi_evt){.kind = ABI_EVT_STREAM_BOUND, .handle = stream, .arg = 99});
    WAIT(&f, f.n_bound == 1);
    assert_int_equal(f.handle, stream);
    assert_int_equal(f.ssrc, 99);
    fake_dp_event(f.dp, &(struct abi_evt){.kind = ABI_EVT_BYE, .handle = stream});
    WAIT(&f, f.n_bye == 1);

    fake_dp_event(f.dp, &(struct abi_evt){.kind = ABI_EVT_BYE, .handle = stream + 1});
    fake_dp_event(f.dp,
                  &(struct abi_evt){.kind = ABI_EVT_CONSENT_LOST, .handle = UINT64_MAX});
    fake_dp_event(f.dp, &(struct abi_evt){.kind = 77});
    fake_dp_event(f.dp, &(struct abi_evt){.kind = ABI_EVT_ANSWER, .cookie = UINT64_MAX});
    fake_dp_event(f.dp, &(struct abi_evt){.kind = ABI_EVT_ANSWER, .cookie = 0});
    settle(&f, 30);
    assert_int_equal(f.n_bye, 1);
    assert_int_equal(f.n_consent, 1);
    media_counts(f.media, &counts);
    assert_int_equal(counts.bad, 3);
    finish(&f);
}

static void counters_are_read_whole_and_only_for_their_object(void **state)
{
    struct abi_lane_counts counts = {.frames_in = 12, .drops_in = {3}};
    struct abi_lane_counts out;
    struct abi_peer_stats stats;
    struct fixture f;
    uint64_t peer;
    (void)state;

    start_all(&f);
    abi_lane_stats_write(fake_dp_lane_stats(f.dp, 0), &counts, 1);
    assert_int_equal(media_lane_counts(f.media, 0, &out), 0);
    assert_memory_equal(&out, &counts, sizeof(out));
    assert_int_equal(media_lane_counts(f.media, 1, &out), -EINVAL);
    atomic_fetch_add(&fake_dp_lane_stats(f.dp, 0)->seq, 1);
    assert_int_equal(media_lane_counts(f.media, 0, &out), -EAGAIN);

    peer = open_peer(&f);
    assert_int_equal(media_peer_stats(f.media, peer, &stats), -ENOENT);
    fake_dp_peer_stats(f.dp)[handle_index(peer)] =
        (struct abi_peer_stats){.handle = peer, .rx_packets = 4};
    assert_int_equal(media_peer_stats(f.media, peer, &stats), 0);
    assert_int_equal(stats.rx_packets, 4);
    assert_int_equal(media_peer_stats(f.media, peer + 1, &stats), -ESTALE);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_stands_in_the_vault_before_its_command),
        cmocka_unit_test(keys_and_paths_change_only_themselves),
        cmocka_unit_test(streams_and_subscriptions_pause_and_ask_for_key_frames),
        cmocka_unit_test(a_refused_open_leaves_nothing),
        cmocka_unit_test(a_slot_is_used_again_only_after_the_answer_to_its_close),
        cmocka_unit_test(closing_wipes_the_record),
        cmocka_unit_test(a_close_that_is_refused_leaves_the_object_open),
        cmocka_unit_test(closing_what_is_still_opening_works),
        cmocka_unit_test(commands_that_find_the_ring_full_wait_and_none_is_lost),
        cmocka_unit_test(more_news_than_a_ring_holds_all_arrives),
        cmocka_unit_test(datagrams_go_both_ways),
        cmocka_unit_test(datagrams_that_make_no_sense_are_ignored),
        cmocka_unit_test(events_reach_their_callbacks_and_stale_ones_do_not),
        cmocka_unit_test(counters_are_read_whole_and_only_for_their_object),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
