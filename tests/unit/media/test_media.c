#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "media/media.h"
#include "sfu/base/handle.h"
#include "support/fake_dataplane.h"
#include "sys/log.h"
#include "sys/loop.h"

struct fixture {
    char dir[32], socket[64];
    struct loop *loop;
    struct media *media;
    struct fake_dp *dp;
    unsigned n_attached, n_detached, n_datagrams, n_consent, n_bound, n_bye;
    struct abi_datagram datagram;
    uint64_t handle;
    uint32_t ssrc;
};

/* What a command's callback got. */
struct answer {
    unsigned n;
    int status;
};

static void on_answer(void *arg, int status)
{
    struct answer *answer = arg;

    answer->n++;
    answer->status = status;
}

static void on_attached(void *user)
{
    struct fixture *f = user;

    f->n_attached++;
}

static void on_detached(void *user)
{
    struct fixture *f = user;

    f->n_detached++;
}

static void on_datagram(void *user, const struct abi_datagram *datagram)
{
    struct fixture *f = user;

    f->n_datagrams++;
    f->datagram = *datagram;
}

static void on_consent_lost(void *user, uint64_t peer)
{
    struct fixture *f = user;

    f->n_consent++;
    f->handle = peer;
}

static void on_stream_bound(void *user, uint64_t stream, uint32_t ssrc)
{
    struct fixture *f = user;

    f->n_bound++;
    f->handle = stream;
    f->ssrc = ssrc;
}

static void on_stream_bye(void *user, uint64_t stream)
{
    struct fixture *f = user;

    f->n_bye++;
    f->handle = stream;
}

static const struct media_ops ops = {.on_attached = on_attached,
                                     .on_detached = on_detached,
                                     .on_datagram = on_datagram,
                                     .on_consent_lost = on_consent_lost,
                                     .on_stream_bound = on_stream_bound,
                                     .on_stream_bye = on_stream_bye};

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Turns the loop until 'cond' holds; fails the test after 5 s. */
#define WAIT(f, cond)                                                                      \
    do {                                                                                   \
        uint64_t until_ = now_ms() + 5000;                                                 \
        while (!(cond)) {                                                                  \
            assert_true(now_ms() < until_);                                                \
            loop_turn((f)->loop);                                                          \
            (void)usleep(200);                                                             \
        }                                                                                  \
    } while (0)

static void settle(struct fixture *f, unsigned ms)
{
    for (uint64_t until = now_ms() + ms; now_ms() < until;) {
        loop_turn(f->loop);
        (void)usleep(500);
    }
}

static void start_control(struct fixture *f)
{
    const struct media_conf conf = {.loop = f->loop, .socket = f->socket};

    assert_int_equal(media_create(&f->media, &conf), 0);
    media_start(f->media, &ops, f);
}

static void start_dp(struct fixture *f, struct fake_dp_conf conf)
{
    conf.socket = f->socket;
    f->dp = fake_dp_start(&conf);
}

static void start(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/kcs_media_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->socket, sizeof(f->socket), "%s/dp.sock", f->dir);
    assert_int_equal(loop_create(&f->loop), 0);
}

static void start_all(struct fixture *f)
{
    start(f);
    start_dp(f, (struct fake_dp_conf){.flaw = FAKE_DP_FINE});
    start_control(f);
    WAIT(f, f->n_attached == 1);
}

static void finish(struct fixture *f)
{
    media_destroy(f->media);
    fake_dp_kill(f->dp);
    loop_destroy(f->loop);
    (void)rmdir(f->dir);
}

static uint64_t open_peer(struct fixture *f)
{
    const struct vault_peer_conf conf = {.ufrag_len = 4, .ufrag = "abcd"};
    struct answer answer = {.n = 0};
    uint64_t handle;

    assert_int_equal(media_peer_open(f->media, &conf, on_answer, &answer, &handle), 0);
    assert_int_equal(answer.n, 0); /* never from within */
    WAIT(f, answer.n == 1);
    assert_int_equal(answer.status, 0);
    return handle;
}

static uint64_t open_stream(struct fixture *f, uint64_t peer)
{
    const struct vault_stream_conf conf = {.peer = peer, .kind = ABI_VIDEO, .pt = 96};
    struct answer answer = {.n = 0};
    uint64_t handle;

    assert_int_equal(media_stream_open(f->media, &conf, on_answer, &answer, &handle), 0);
    WAIT(f, answer.n == 1);
    assert_int_equal(answer.status, 0);
    return handle;
}

static uint64_t open_sub(struct fixture *f, uint64_t peer, uint64_t stream)
{
    const struct vault_sub_conf conf = {
        .peer = peer, .stream = stream, .ssrc = 5, .paused = 1};
    struct answer answer = {.n = 0};
    uint64_t handle;

    assert_int_equal(media_sub_open(f->media, &conf, on_answer, &answer, &handle), 0);
    WAIT(f, answer.n == 1);
    assert_int_equal(answer.status, 0);
    return handle;
}

static bool memory_holds(const void *mem, size_t len, const char *needle)
{
    return memmem(mem, len, needle, strlen(needle)) != NULL;
}

/* ---- attaching ---- */

static void it_attaches_and_tells_what_the_dataplane_offers(void **state)
{
    struct fixture f;
    const struct abi_shm *info;
    struct media_status status;
    (void)state;

    start_all(&f);
    info = media_info(f.media);
    assert_non_null(info);
    assert_string_equal(info->backend, "fake");
    assert_int_equal(info->n_devices, 1);
    assert_int_equal(info->devices[0].n_addrs, 2);
    assert_int_equal(info->devices[0].addrs[0].public_port, 7100);
    assert_string_equal(info->drop_names[1], "auth");
    media_status(f.media, &status);
    assert_true(status.attached);
    assert_int_equal(status.err, 0);
    finish(&f);
}

static void without_a_dataplane_it_waits_and_refuses_commands(void **state)
{
    const struct vault_peer_conf conf = {.handle = 0};
    struct abi_lane_counts counts;
    struct media_status status;
    struct path path = {.family = 4};
    struct fixture f;
    uint64_t handle;
    (void)state;

    start(&f);
    start_control(&f);
    settle(&f, 50);
    media_status(f.media, &status);
    assert_false(status.attached);
    assert_int_equal(status.err, -ENOENT);
    assert_null(media_info(f.media));
    assert_int_equal(media_peer_open(f.media, &conf, NULL, NULL, &handle), -ENOTCONN);
    assert_int_equal(media_close(f.media, MEDIA_PEER, 1, NULL, NULL), -ENOTCONN);
    assert_int_equal(media_send(f.media, &path, ABI_DATAGRAM_STUN, "x", 1), -ENOTCONN);
    assert_int_equal(media_ping(f.media, 0, NULL, NULL), -ENOTCONN);
    assert_int_equal(media_lane_counts(f.media, 0, &counts), -ENOTCONN);
    start_dp(&f, (struct fake_dp_conf){.flaw = FAKE_DP_FINE});
    WAIT(&f, f.n_attached == 1); /* and comes when the dataplane does */
    finish(&f);
}

static void a_dataplane_that_breaks_the_contract_is_refused(void **state)
{
    (void)state;
    for (enum fake_dp_flaw flaw = FAKE_DP_BUSY; flaw < N_FAKE_DP_FLAWS; flaw++) {
        struct media_status status;
        struct fixture f;

        start(&f);
        start_dp(&f, (struct fake_dp_conf){.flaw = flaw});
        start_control(&f);
        for (uint64_t until = now_ms() + 5000; now_ms() < until;) {
            loop_turn(f.loop);
            media_status(f.media, &status);
            if (status.reason[0] != '\0') {
                break;
            }
        }
        assert_false(status.attached);
        assert_int_equal(status.err, flaw == FAKE_DP_BUSY ? -EBUSY : -EPROTO);
        assert_int_not_equal(strlen(status.reason), 0);
        settle(&f, 60); /* a second attempt fares no better */
        assert_int_equal(f.n_attached, 0);
        assert_int_equal(f.n_detached, 0);
        finish(&f);
    }
}

static void a_second_control_is_told_the_dataplanes_reason(void **state)
{
    struct media_status status;
    struct fixture f;
    (void)state;

    start(&f);
    start_dp(&f, (struct fake_dp_conf){.flaw = FAKE_DP_BUSY});
    start_control(&f);
    do {
        settle(&f, 5);
        media_status(f.media, &status);
    } while (status.err == -ENOTCONN);
    assert_int_equal(status.err, -EBUSY);
    assert_string_equal(status.reason, "another control is attached");
    finish(&f);
}

static void a_socket_that_never_answers_does_not_hold_it_up(void **state)
{
    struct media_status status;
    struct fixture f;
    (void)state;

    start(&f);
    start_dp(&f, (struct fake_dp_conf){.flaw = FAKE_DP_MUTE});
    start_control(&f);
    settle(&f, 50);
    fake_dp_kill(f.dp);
    start_dp(&f, (struct fake_dp_conf){.flaw = FAKE_DP_FINE});
    WAIT(&f, f.n_attached == 1);
    media_status(f.media, &status);
    assert_true(status.attached);
    finish(&f);
}

static void a_socket_path_that_is_too_long_is_refused(void **state)
{
    char name[200];
    struct media_conf conf = {.socket = name};
    struct media *media;
    (void)state;

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(media_create(&media, &conf), -ENAMETOOLONG);
}

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
    WAIT(&f, answer.n == 3);
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

    assert_int_equal(media_send(f.media, &path, ABI_DATAGRAM_DTLS, "hello", 5), 0);
    assert_true(fake_dp_take_sent(f.dp, &sent));
    assert_int_equal(sent.len, 5);
    assert_int_equal(sent.kind, ABI_DATAGRAM_DTLS);
    assert_memory_equal(sent.data, "hello", 5);
    assert_memory_equal(&sent.path, &path, sizeof(path));
    assert_int_equal(media_send(f.media, &path, ABI_DATAGRAM_DTLS, big, 1529), -EMSGSIZE);

    while (media_send(f.media, &path, ABI_DATAGRAM_DTLS, big, 1200) == 0) {
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
    abi_lane_stats_write(fake_dp_lane_stats(f.dp), &counts, 1);
    assert_int_equal(media_lane_counts(f.media, 0, &out), 0);
    assert_memory_equal(&out, &counts, sizeof(out));
    assert_int_equal(media_lane_counts(f.media, 1, &out), -EINVAL);
    atomic_fetch_add(&fake_dp_lane_stats(f.dp)->seq, 1);
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

/* ---- the other side goes away ---- */

static void when_the_dataplane_dies_every_callback_comes_and_handles_are_stale(void **state)
{
    const struct vault_peer_conf conf = {.handle = 0};
    struct answer answers[3] = {{.n = 0}};
    struct fixture f;
    uint64_t peer, other, again;
    (void)state;

    start_all(&f);
    peer = open_peer(&f);
    fake_dp_hold(f.dp, true);
    assert_int_equal(media_peer_open(f.media, &conf, on_answer, &answers[0], &other), 0);
    assert_int_equal(
        media_peer_set_paths(f.media, peer, NULL, 0, 0, on_answer, &answers[1]), 0);
    assert_int_equal(media_close(f.media, MEDIA_PEER, peer, on_answer, &answers[2]), 0);
    fake_dp_kill(f.dp);
    f.dp = NULL;
    WAIT(&f, f.n_detached == 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(answers[i].n, 1);
        assert_int_equal(answers[i].status, -ECONNRESET);
    }
    assert_int_equal(media_close(f.media, MEDIA_PEER, other, NULL, NULL), -ENOTCONN);

    start_dp(&f, (struct fake_dp_conf){.flaw = FAKE_DP_FINE});
    WAIT(&f, f.n_attached == 2);
    for (int i = 0; i < 8; i++) {
        again = open_peer(&f);
        assert_int_not_equal(again, peer);
        assert_int_not_equal(again, other);
    }
    assert_int_equal(media_close(f.media, MEDIA_PEER, peer, NULL, NULL), -ESTALE);
    assert_int_equal(media_close(f.media, MEDIA_PEER, other, NULL, NULL), -ESTALE);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(answers[i].n, 1);
    }
    finish(&f);
}

static void what_an_earlier_control_left_open_is_closed(void **state)
{
    uint64_t peer, stream, before;
    struct vault_peer_conf out;
    struct fixture f;
    (void)state;

    start_all(&f);
    before = open_peer(&f);
    peer = open_peer(&f);
    stream = open_stream(&f, peer);
    (void)open_sub(&f, before, stream);
    media_destroy(f.media); /* as if killed: it closes nothing */
    f.n_attached = 0;
    start_control(&f);
    WAIT(&f, f.n_attached == 1);
    WAIT(&f, fake_dp_n_open(f.dp, 'p') == 0);
    assert_int_equal(fake_dp_n_open(f.dp, 's'), 0);
    assert_int_equal(fake_dp_n_open(f.dp, 'u'), 0);
    settle(&f, 20);
    assert_int_equal(vault_peer_read(&fake_dp_vault(f.dp)->peers[handle_index(peer)], &out),
                     -ENOENT);
    for (int i = 0; i < 8; i++) {
        uint64_t handle = open_peer(&f);

        assert_int_not_equal(handle, peer);
        assert_int_not_equal(handle, before);
    }
    finish(&f);
}

static void after_a_hang_up_it_attaches_again(void **state)
{
    struct fixture f;
    (void)state;

    start_all(&f);
    (void)open_peer(&f);
    for (unsigned i = 1; i <= 3; i++) {
        fake_dp_hang_up(f.dp);
        WAIT(&f, f.n_detached == i && f.n_attached == i + 1);
        (void)open_peer(&f);
    }
    finish(&f);
}

static void destroying_answers_what_is_due(void **state)
{
    const struct vault_peer_conf conf = {.handle = 0};
    struct answer answer = {.n = 0};
    struct fixture f;
    uint64_t peer;
    (void)state;

    start_all(&f);
    fake_dp_hold(f.dp, true);
    assert_int_equal(media_peer_open(f.media, &conf, on_answer, &answer, &peer), 0);
    media_destroy(f.media);
    f.media = NULL;
    assert_int_equal(answer.n, 1);
    assert_int_equal(answer.status, -ECONNRESET);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_attaches_and_tells_what_the_dataplane_offers),
        cmocka_unit_test(without_a_dataplane_it_waits_and_refuses_commands),
        cmocka_unit_test(a_dataplane_that_breaks_the_contract_is_refused),
        cmocka_unit_test(a_second_control_is_told_the_dataplanes_reason),
        cmocka_unit_test(a_socket_that_never_answers_does_not_hold_it_up),
        cmocka_unit_test(a_socket_path_that_is_too_long_is_refused),
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
        cmocka_unit_test(
            when_the_dataplane_dies_every_callback_comes_and_handles_are_stale),
        cmocka_unit_test(what_an_earlier_control_left_open_is_closed),
        cmocka_unit_test(after_a_hang_up_it_attaches_again),
        cmocka_unit_test(destroying_answers_what_is_due),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
