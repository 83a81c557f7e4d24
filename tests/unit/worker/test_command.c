/* command: what control wrote is validated; handles of another life are a miss; what is
 * closed is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/base/handle.h"
#include "support/call.h"

/* ---- bad contents of the vault: each is refused and nothing is open afterwards ---- */

static void bad_ufrag(struct vault_peer_conf *c)
{
    c->ufrag_len = 0;
}
static void long_ufrag(struct vault_peer_conf *c)
{
    c->ufrag_len = VAULT_UFRAG_MAX + 1;
}
static void no_pwd(struct vault_peer_conf *c)
{
    c->pwd_len = 0;
}
static void long_pwd(struct vault_peer_conf *c)
{
    c->pwd_len = VAULT_PWD_MAX + 1;
}
static void many_paths(struct vault_peer_conf *c)
{
    c->n_paths = VAULT_PATHS + 1;
}
static void bad_device(struct vault_peer_conf *c)
{
    c->paths[0].device = 1;
}
static void bad_family(struct vault_peer_conf *c)
{
    c->paths[0].family = 5;
}
static void bad_local(struct vault_peer_conf *c)
{
    c->paths[0].local_ip[15] ^= 1;
}
static void bad_second_path(struct vault_peer_conf *c)
{
    c->n_paths = 2;
    c->paths[1].device = 200;
}
static void bad_profile(struct vault_peer_conf *c)
{
    c->profile = 3;
}
static void long_profile(struct vault_peer_conf *c)
{
    c->profile = 0x100 | FAR_GCM;
}
static void gen_0(struct vault_peer_conf *c)
{
    c->handle = handle_make(5, 0);
}

static void bad_peers_are_refused(void **state)
{
    void (*const bad[])(struct vault_peer_conf *) = {
        bad_ufrag,  long_ufrag, no_pwd,          long_pwd,    many_paths,   bad_device,
        bad_family, bad_local,  bad_second_path, bad_profile, long_profile, gen_0};
    struct rig *rig = rig_start("mem");
    struct far far;
    (void)state;

    far_open(&far, rig, 1, FAR_GCM, 4);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct vault_peer_conf conf = far.conf;

        conf.handle = rig_handle(rig, 5);
        conf.paths[0] = far_path(5, 0, 4);
        bad[i](&conf);
        assert_int_equal(rig_peer(rig, ABI_OP_PEER_OPEN, &conf), -EINVAL);
        assert_int_equal(rig->tables.n_open, 1);
        assert_null(tables_peer(&rig->tables, conf.handle));
    }
    far_end(&far);
    rig_stop(rig);
}

static void a_refused_update_changes_nothing(void **state)
{
    struct rig *rig = rig_start("mem");
    struct vault_peer_conf conf;
    struct peer *peer;
    struct far far;
    (void)state;

    far_open(&far, rig, 1, FAR_NO_KEYS, 4);
    peer = tables_peer(&rig->tables, far.conf.handle);
    conf = far.conf;
    conf.paths[0].remote_port++;
    conf.profile = 99;
    assert_int_equal(rig_peer(rig, ABI_OP_PEER_UPDATE, &conf), -EINVAL);
    assert_true(path_same_tuple(peer->to, &far.path));
    assert_null(peer->tx_key);
    conf.profile = FAR_GCM;
    conf.paths[0].device = 9;
    assert_int_equal(rig_peer(rig, ABI_OP_PEER_UPDATE, &conf), -EINVAL);
    assert_true(path_same_tuple(peer->to, &far.path));
    assert_null(peer->tx_key);
    far_end(&far);
    rig_stop(rig);
}

struct bad_stream {
    void (*spoil)(struct vault_stream_conf *c);
    int status;
};

static void no_kind(struct vault_stream_conf *c)
{
    c->kind = 0;
}
static void bad_kind(struct vault_stream_conf *c)
{
    c->kind = 3;
}
static void no_codec(struct vault_stream_conf *c)
{
    c->codec = 0;
}
static void bad_codec(struct vault_stream_conf *c)
{
    c->codec = N_ABI_CODECS;
}
static void audio_codec(struct vault_stream_conf *c)
{
    c->codec = ABI_CODEC_OPUS;
}
static void no_clock(struct vault_stream_conf *c)
{
    c->clock_hz = 0;
}
static void fast_clock(struct vault_stream_conf *c)
{
    c->clock_hz = 1000000;
}
static void bad_pt(struct vault_stream_conf *c)
{
    c->pt = 128;
}
static void bad_rtx_pt(struct vault_stream_conf *c)
{
    c->rtx_pt = 255;
}
static void long_mid(struct vault_stream_conf *c)
{
    c->mid_len = VAULT_MID_MAX + 1;
}
static void long_rid(struct vault_stream_conf *c)
{
    c->rid_len = 200;
}
static void nameless(struct vault_stream_conf *c)
{
    c->ssrc = 0;
}
static void its_own_repair(struct vault_stream_conf *c)
{
    c->rtx_ssrc = c->ssrc;
}
static void no_such_peer(struct vault_stream_conf *c)
{
    c->peer = handle_make(9, 1);
}
static void stale_peer(struct vault_stream_conf *c)
{
    c->peer = handle_make(handle_index(c->peer), handle_gen(c->peer) + 1);
}
static void taken_ssrc(struct vault_stream_conf *c)
{
    c->ssrc = CALL_AUDIO_SSRC;
}
static void taken_rtx(struct vault_stream_conf *c)
{
    c->ssrc = CALL_RTX_SSRC;
}
static void repairs_anothers(struct vault_stream_conf *c)
{
    c->rtx_ssrc = CALL_AUDIO_SSRC;
}
static void other_meaning(struct vault_stream_conf *c)
{
    c->ext_id[ABI_EXT_AUDIO_LEVEL] = FAR_EXT_MID;
    c->ext_id[ABI_EXT_MID] = 0;
}
static void two_meanings(struct vault_stream_conf *c)
{
    c->ext_id[ABI_EXT_TOFFSET] = 77;
    c->ext_id[ABI_EXT_PLAYOUT_DELAY] = 77;
}

static const struct bad_stream bad_streams[] = {
    {no_kind, -EINVAL},        {bad_kind, -EINVAL},     {no_codec, -EINVAL},
    {bad_codec, -EINVAL},      {audio_codec, -EINVAL},  {no_clock, -EINVAL},
    {fast_clock, -EINVAL},     {bad_pt, -EINVAL},       {bad_rtx_pt, -EINVAL},
    {long_mid, -EINVAL},       {long_rid, -EINVAL},     {nameless, -EINVAL},
    {its_own_repair, -EINVAL}, {no_such_peer, -ENOENT}, {stale_peer, -ENOENT},
    {taken_ssrc, -EEXIST},     {taken_rtx, -EEXIST},    {repairs_anothers, -EEXIST},
    {other_meaning, -EEXIST},  {two_meanings, -EEXIST},
};

static void bad_streams_are_refused(void **state)
{
    struct call call;
    struct peer_rest before;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    before = *call_peer(&call, &call.pub)->rest;
    for (size_t i = 0; i < sizeof(bad_streams) / sizeof(bad_streams[0]); i++) {
        struct vault_stream_conf conf = far_video(&call.pub, 7, 0x777);
        size_t used = call.rig->tables.store.used;

        bad_streams[i].spoil(&conf);
        if (rig_stream(call.rig, ABI_OP_STREAM_OPEN, &conf) != bad_streams[i].status) {
            fail_msg("row %zu", i);
        }
        assert_int_equal(call.rig->tables.n_open_streams, 2);
        assert_int_equal(call.rig->tables.store.used, used);
        assert_memory_equal(call_peer(&call, &call.pub)->rest->ext_of, before.ext_of,
                            sizeof(before.ext_of));
    }
    call_stop(&call);
}

static void bad_subscriptions_are_refused(void **state)
{
    struct call call;
    struct vault_sub_conf good, conf;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    good = far_sub(&call.sub, 7, &call.audio, 0x777);
    conf = good;
    conf.ssrc = 0;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &conf), -EINVAL);
    conf = good;
    conf.pt = 128;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &conf), -EINVAL);
    conf = good;
    conf.mid_len = VAULT_MID_MAX + 1;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &conf), -EINVAL);
    conf = good;
    conf.cname_len = VAULT_CNAME_MAX + 1;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &conf), -EINVAL);
    conf = good;
    conf.stream = handle_make(9, 9);
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &conf), -ENOENT);
    conf = good;
    conf.peer = handle_make(2, 9999);
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &conf), -ENOENT);
    conf = good;
    conf.ssrc = CALL_OUT_AUDIO_SSRC; /* of another subscription of this peer */
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &conf), -EEXIST);
    assert_int_equal(call.rig->tables.n_open_subs, 2);
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &good), 0);

    /* the longest of everything fits */
    conf = far_sub(&call.sub, 8, &call.audio, 0x778);
    conf.mid_len = VAULT_MID_MAX;
    conf.cname_len = VAULT_CNAME_MAX;
    memset(conf.mid, 'm', sizeof(conf.mid));
    memset(conf.cname, 'c', sizeof(conf.cname));
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &conf), 0);
    call_say(&call);
    call_stop(&call);
}

static void handles_are_of_one_life(void **state)
{
    const uint32_t ops[] = {ABI_OP_PEER_UPDATE, ABI_OP_STREAM_UPDATE, ABI_OP_SUB_UPDATE};
    const uint32_t closes[] = {ABI_OP_PEER_CLOSE, ABI_OP_STREAM_CLOSE, ABI_OP_SUB_CLOSE};
    struct call call;
    uint64_t handles[3];
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    handles[0] = call.sub.conf.handle;
    handles[1] = call.audio.handle;
    handles[2] = call.to_audio.handle;
    for (unsigned i = 0; i < 3; i++) {
        uint64_t other = handle_make(handle_index(handles[i]), handle_gen(handles[i]) + 1);

        assert_int_equal(rig_command(call.rig, ops[i], handles[i]), 0);
        assert_int_equal(rig_command(call.rig, ops[i], other), -ESTALE);
        assert_int_equal(rig_command(call.rig, closes[i], other), -ENOENT);
        assert_int_equal(rig_command(call.rig, ops[i], handle_make(30, 1)), -ENOENT);
        assert_int_equal(rig_command(call.rig, ops[i], handle_make(1000000, 1)), -EINVAL);
        assert_int_equal(rig_command(call.rig, closes[i], handle_make(1000000, 1)),
                         -ENOENT);
        assert_int_equal(rig_command(call.rig, closes[i], 0), -ENOENT);
    }
    /* an OPEN twice, and one whose record is of another life */
    assert_int_equal(rig_command(call.rig, ABI_OP_PEER_OPEN, handles[0]), -EEXIST);
    assert_int_equal(rig_command(call.rig, ABI_OP_STREAM_OPEN, handles[1]), -EEXIST);
    assert_int_equal(rig_command(call.rig, ABI_OP_SUB_OPEN, handles[2]), -EEXIST);
    assert_int_equal(rig_command(call.rig, ABI_OP_PEER_OPEN, handle_make(2, 777)), -ESTALE);

    /* users before what they use */
    assert_int_equal(rig_command(call.rig, ABI_OP_STREAM_CLOSE, handles[1]), -EBUSY);
    assert_int_equal(rig_command(call.rig, ABI_OP_PEER_CLOSE, handles[0]), -EBUSY);
    assert_int_equal(rig_command(call.rig, ABI_OP_PEER_CLOSE, call.pub.conf.handle),
                     -EBUSY);
    assert_int_equal(rig_command(call.rig, ABI_OP_SUB_CLOSE, handles[2]), 0);
    assert_int_equal(rig_command(call.rig, ABI_OP_SUB_CLOSE, handles[2]), -ENOENT);
    assert_int_equal(rig_command(call.rig, ABI_OP_SUB_UPDATE, handles[2]), -ENOENT);
    assert_int_equal(rig_command(call.rig, ABI_OP_STREAM_CLOSE, handles[1]), 0);
    assert_int_equal(rig_command(call.rig, ABI_OP_STREAM_CLOSE, handles[1]), -ENOENT);
    assert_int_equal(rig_command(call.rig, ABI_OP_STREAM_KEYFRAME, handles[1]), -ENOENT);
    call_stop(&call);
}

static void slots_open_again_with_a_new_life(void **state)
{
    struct call call;
    struct far_got got;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    for (unsigned i = 0; i < 300; i++) {
        struct vault_sub_conf sub = far_sub(&call.sub, 0, &call.audio, 0x9000 + i);
        uint64_t old = i == 0 ? call.to_audio.handle : 0;

        if (i == 0) {
            assert_int_equal(rig_command(call.rig, ABI_OP_SUB_CLOSE, old), 0);
        }
        assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &sub), 0);
        assert_null(old != 0 ? tables_sub(&call.rig->tables, old) : NULL);
        call_say(&call);
        assert_true(far_take_rtp(&call.sub, &got));
        assert_int_equal(got.hdr.ssrc, sub.ssrc);
        assert_int_equal(rig_command(call.rig, ABI_OP_SUB_CLOSE, sub.handle), 0);
        call_say(&call);
        assert_false(far_take_rtp(&call.sub, &got));
    }
    call_stop(&call);
}

/* Whole peers, with streams and subscriptions, in the same slots: nothing of the old life
 * is left, not its path, its keys or its windows. */
static void peers_open_again_with_a_new_life(void **state)
{
    struct rig *rig = rig_start("mem");
    (void)state;

    for (unsigned i = 0; i < 50; i++) {
        const struct far_rtp rtp = {
            .ssrc = 7, .seq = 9, .pt = FAR_AUDIO_PT, .payload = "a", .len = 1};
        struct vault_stream_conf audio;
        struct vault_sub_conf sub;
        struct far pub, far;
        struct far_got got;

        far_open(&pub, rig, 1, i % 2 != 0 ? FAR_GCM : FAR_CM80, 4);
        far_open(&far, rig, 2, i % 3 != 0 ? FAR_GCM : FAR_CM80, 4);
        audio = far_publish_audio(&pub, 0, 7);
        sub = far_subscribe(&far, 0, &audio, 8);
        far_send_rtp(&pub, &rtp);
        rig_run(rig);
        assert_true(far_take_rtp(&far, &got));
        assert_int_equal(rig_command(rig, ABI_OP_SUB_CLOSE, sub.handle), 0);
        assert_int_equal(rig_command(rig, ABI_OP_STREAM_CLOSE, audio.handle), 0);
        assert_int_equal(rig_command(rig, ABI_OP_PEER_CLOSE, pub.conf.handle), 0);
        assert_int_equal(rig_command(rig, ABI_OP_PEER_CLOSE, far.conf.handle), 0);
        assert_int_equal(rig->tables.store.used, 0);
        far_send_rtp(&pub, &rtp);
        rig_run(rig);
        assert_int_equal(rig_dropped(rig, DROP_NO_PEER), i + 1);
        far_end(&pub);
        far_end(&far);
    }
    rig_stop(rig);
}

static void the_budget_of_rings_is_kept(void **state)
{
    struct rig *rig = rig_start("mem");
    uint32_t n = 0;
    struct vault_stream_conf conf;
    struct far far;
    (void)state;

    far_open(&far, rig, 1, FAR_GCM, 4);
    for (int err = 0; err == 0;) {
        conf = far_video(&far, n, 100 + n);
        err = rig_stream(rig, ABI_OP_STREAM_OPEN, &conf);
        n += err == 0;
        assert_true(err == 0 || err == -ENOSPC);
    }
    assert_true(n > 4 && n < RIG_STREAMS);
    assert_int_equal(rig->tables.n_open_streams, n);
    conf = far_audio(&far, n, 4711); /* a small one still fits, or is refused as well */
    (void)rig_stream(rig, ABI_OP_STREAM_OPEN, &conf);
    far_end(&far);
    rig_stop(rig);
}

static void unknown_operations_are_refused(void **state)
{
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    assert_int_equal(rig_command(call.rig, ABI_OP_PING, 0), 0);
    assert_int_equal(rig_command(call.rig, 0, call.audio.handle), -EINVAL);
    assert_int_equal(rig_command(call.rig, N_ABI_OPS, call.audio.handle), -EINVAL);
    assert_int_equal(rig_command(call.rig, UINT32_MAX, call.audio.handle), -EINVAL);
    assert_int_equal(rig_command(call.rig, ABI_OP_STREAM_KEYFRAME, call.audio.handle),
                     -EINVAL);
    assert_int_equal(rig_command(call.rig, ABI_OP_STREAM_KEYFRAME, call.video.handle), 0);
    assert_int_equal(rig_command(call.rig, ABI_OP_SUB_KEYFRAME, call.to_audio.handle),
                     -EINVAL);
    assert_int_equal(rig_command(call.rig, ABI_OP_SUB_KEYFRAME, call.to_video.handle), 0);
    assert_int_equal(rig_command(call.rig, ABI_OP_SUB_KEYFRAME, call.video.handle),
                     -ENOENT);
    call_stop(&call);
}

/* Keys and what they open are gone when a peer is closed. */
static void closing_wipes_keys(void **state)
{
    static const struct crypt_key zero;
    struct rig *rig = rig_start("mem");
    const struct crypt_key *tx;
    const struct crypt_key *rx;
    struct far far;
    (void)state;

    far_open(&far, rig, 1, FAR_GCM, 4);
    tx = tables_peer(&rig->tables, far.conf.handle)->tx_key;
    rx = tables_peer(&rig->tables, far.conf.handle)->rest->rx_key;
    assert_memory_not_equal(tx, &zero, sizeof(zero));
    assert_memory_not_equal(rx, &zero, sizeof(zero));
    command_close_all(&rig->lane);
    assert_memory_equal(tx, &zero, sizeof(zero));
    assert_memory_equal(rx, &zero, sizeof(zero));
    far_end(&far);
    rig_stop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_peers_are_refused),
        cmocka_unit_test(a_refused_update_changes_nothing),
        cmocka_unit_test(bad_streams_are_refused),
        cmocka_unit_test(bad_subscriptions_are_refused),
        cmocka_unit_test(handles_are_of_one_life),
        cmocka_unit_test(slots_open_again_with_a_new_life),
        cmocka_unit_test(peers_open_again_with_a_new_life),
        cmocka_unit_test(the_budget_of_rings_is_kept),
        cmocka_unit_test(unknown_operations_are_refused),
        cmocka_unit_test(closing_wipes_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
