/* consent: checks on the selected path are answered in the lane, and only those. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rtcp/rtcp_out.h"
#include "sfu/wire/stun.h"
#include "support/call.h"
#include "support/hmac_sha1.h"

static void hmac(void *ctx, const uint8_t *data, size_t len, uint8_t out[STUN_MAC_LEN])
{
    test_hmac_sha1(ctx, data, len, out);
}

static void check_is_answered(uint8_t family)
{
    struct call call;
    struct stun_msg request;
    struct stun_msg reply;
    struct far_got got;
    uint8_t buf[256];
    size_t n;

    call_start(&call, "mem", FAR_GCM, family);
    call.rig->lane.now_us += 5000;
    n = far_make_check(&call.pub, &(struct far_check){.nominate = true}, buf);
    assert_int_equal(stun_parse(buf, n, &request), 0);
    rig_inject(call.rig, &call.pub.path, buf, n);
    rig_run(call.rig);

    assert_true(far_take(&call.pub, &got));
    assert_int_equal(got.kind, FAR_STUN);
    assert_true(got.len <= n); /* no amplifier */
    assert_int_equal(stun_parse(got.data, got.len, &reply), 0);
    assert_int_equal(reply.type, STUN_BINDING_SUCCESS);
    assert_memory_equal(reply.txid, request.txid, STUN_TXID_LEN);
    assert_int_equal(reply.mapped_family, family);
    assert_int_equal(reply.mapped_port, call.pub.path.remote_port);
    assert_memory_equal(reply.mapped_ip, call.pub.path.remote_ip, 16);
    assert_true(reply.has_fingerprint);
    assert_true(stun_mac_ok(&reply, hmac, call.pub.conf.pwd));
    assert_false(far_take(&call.pub, &got));
    assert_int_equal(rig_done(call.rig, DONE_CONSENT), 1);
    assert_int_equal(*call_peer(&call, &call.pub)->rest->last_check_us,
                     call.rig->lane.now_us);
    assert_int_equal(call.rig->n_punted, 0);
    call_stop(&call);
}

static void check_is_answered_on_ipv4(void **state)
{
    (void)state;
    check_is_answered(4);
}

static void check_is_answered_on_ipv6(void **state)
{
    (void)state;
    check_is_answered(6);
}

static void send_forged(struct call *call, const struct far_check *check)
{
    uint8_t buf[256];
    size_t n = far_make_check(&call->pub, check, buf);

    rig_inject(call->rig, &call->pub.path, buf, n);
    rig_run(call->rig);
}

static void forged_checks_are_dropped_and_move_nothing(void **state)
{
    const struct far_check forged[] = {
        {.pwd = "not-the-password-of-this"},
        {.no_username = true},
        {.no_integrity = true},
    };
    struct call call;
    uint64_t before_us;
    uint8_t buf[256];
    size_t n;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    before_us = *call_peer(&call, &call.pub)->rest->last_check_us;
    call.rig->lane.now_us += 7;
    for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
        send_forged(&call, &forged[i]);
        assert_int_equal(rig_dropped(call.rig, DROP_STUN_INTEGRITY), i + 1);
    }
    n = far_make_check(&call.pub, &(struct far_check){0}, buf);
    buf[n - 1] ^= 1; /* fingerprint */
    rig_inject(call.rig, &call.pub.path, buf, n);
    rig_run(call.rig);
    assert_int_equal(rig_dropped(call.rig, DROP_STUN_MALFORMED), 1);
    assert_int_equal(rig_done(call.rig, DONE_CONSENT), 0);
    assert_int_equal(*call_peer(&call, &call.pub)->rest->last_check_us, before_us);
    assert_int_equal(call.rig->n_frames, 0);
    call_stop(&call);
}

/* A check with the right credentials may still lack what ICE wants in it: then it is only
 * over IPv4, whose addresses are short, as long as what we would say to it. */
static void no_answer_is_longer_than_its_check(void **state)
{
    const struct far_check bare = {.username = "uf0001:", .bare = true};
    (void)state;

    for (uint8_t family = 4; family <= 6; family += 2) {
        const bool answered = family == 4;
        struct call call;
        struct far_got got;
        uint64_t before_us;

        call_start(&call, "mem", FAR_GCM, family);
        before_us = *call_peer(&call, &call.pub)->rest->last_check_us;
        call.rig->lane.now_us += 7;
        send_forged(&call, &bare);
        assert_int_equal(far_take(&call.pub, &got), answered);
        assert_int_equal(rig_done(call.rig, DONE_CONSENT), answered);
        assert_int_equal(rig_dropped(call.rig, DROP_STUN_MALFORMED), !answered);
        assert_int_equal(*call_peer(&call, &call.pub)->rest->last_check_us,
                         before_us + (answered ? 7 : 0));
        call_stop(&call);
    }
}

/* They may be by the new credentials of an ICE restart; but they are forged as easily as
 * those of unknown sources, and so bounded with them. */
static void checks_by_other_credentials_go_to_control_at_a_bounded_rate(void **state)
{
    static const char *const names[] = {
        "uf0002:theirs",  /* of another peer */
        "uf0001",         /* does not name them */
        "uf0001x:theirs", /* longer than ours */
        "uf000:theirs",   /* a beginning of ours */
    };
    struct call call;
    uint64_t before_us;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    before_us = *call_peer(&call, &call.pub)->rest->last_check_us;
    call.rig->lane.now_us += 7;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        send_forged(&call, &(struct far_check){.username = names[i]});
        assert_int_equal(call.rig->n_punted, i + 1);
        assert_int_equal(call.rig->punted[i].kind, ABI_DATAGRAM_STUN);
        assert_int_equal(call.rig->punted[i].peer, 0);
    }
    assert_int_equal(*call_peer(&call, &call.pub)->rest->last_check_us, before_us);
    assert_int_equal(call.rig->n_frames, 0);

    call.rig->lane.punts_us = call.rig->lane.now_us;
    send_forged(&call, &(struct far_check){.username = "uf0002:theirs"});
    assert_int_equal(rig_dropped(call.rig, DROP_PUNT_RATE), 1);
    far_send_check(&call.pub, &call.pub.path); /* the peer's own are not hindered */
    rig_run(call.rig);
    assert_int_equal(rig_done(call.rig, DONE_CONSENT), 1);
    call_stop(&call);
}

static void a_check_that_nominates_is_noted(void **state)
{
    struct call call;
    const struct peer *peer;
    uint64_t at_us;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    peer = call_peer(&call, &call.pub);
    call.rig->lane.now_us += 7;
    at_us = call.rig->lane.now_us;
    send_forged(&call, &(struct far_check){.nominate = true});
    assert_int_equal(*peer->rest->last_nomination_us, at_us);
    call.rig->lane.now_us += 7;
    send_forged(&call, &(struct far_check){0});
    assert_int_equal(*peer->rest->last_check_us, at_us + 7);
    assert_int_equal(*peer->rest->last_nomination_us, at_us);
    send_forged(&call, &(struct far_check){.nominate = true, .pwd = "not-the-password"});
    assert_int_equal(*peer->rest->last_nomination_us, at_us);
    call_stop(&call);
}

/* Whoever has seen a check can send it again, from the peer's own address too: that must
 * not keep alive what the peer has left. */
static void a_check_sent_again_is_answered_and_no_consent(void **state)
{
    struct call call;
    const struct peer *peer;
    uint64_t at_us;
    uint8_t buf[256];
    size_t n;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    peer = call_peer(&call, &call.pub);
    n = far_make_check(&call.pub, &(struct far_check){.nominate = true}, buf);
    rig_inject(call.rig, &call.pub.path, buf, n);
    rig_run(call.rig);
    at_us = *peer->rest->last_check_us;
    assert_int_equal(at_us, call.rig->lane.now_us);
    for (unsigned i = 0; i < 100; i++) {
        call.rig->lane.now_us += 7;
        send_forged(&call, &(struct far_check){.nominate = true});
    }
    at_us = call.rig->lane.now_us;
    call.rig->lane.now_us += 7;
    rig_inject(call.rig, &call.pub.path, buf, n);
    rig_run(call.rig);
    assert_int_equal(rig_done(call.rig, DONE_CONSENT), 102);
    assert_int_equal(*peer->rest->last_check_us, at_us);
    assert_int_equal(*peer->rest->last_nomination_us, at_us);
    call_stop(&call);
}

/* From where the peer's own packets come, control reads; copies of them are no news. */
static void the_path_that_media_comes_by_is_noted(void **state)
{
    struct call call;
    const struct peer *peer;
    static const uint8_t report[8] = {0x80, 201, [3] = 1, [7] = 5};
    uint8_t plain[sizeof(report)], buf[PKT_ROOM];
    struct wbytes w = wbytes_of(plain, sizeof(plain));
    struct far_rtp audio;
    struct path second;
    uint64_t at_us;
    size_t n;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    audio = call_audio(&call, "hello", 5);
    peer = call_peer(&call, &call.pub);
    second = far_path(1, 5, 4);
    call.pub.conf.paths[1] = second;
    call.pub.conf.n_paths = 2;
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &call.pub.conf), 0);

    at_us = call.rig->lane.now_us += 7;
    n = far_make_rtp(&call.pub, &audio, buf);
    rig_inject(call.rig, &call.pub.path, buf, n);
    rig_run(call.rig);
    assert_int_equal(peer->rest->heard_us[0], at_us);
    assert_int_equal(peer->rest->heard_us[1], 0);
    call.rig->lane.now_us += 7;
    rig_inject(call.rig, &second, buf, n); /* a replay from elsewhere */
    buf[n - 1] ^= 1;
    buf[3] ^= 2; /* or forged */
    rig_inject(call.rig, &second, buf, n);
    rig_run(call.rig);
    assert_int_equal(peer->rest->heard_us[1], 0);
    assert_int_equal(peer->rest->heard_us[0], at_us);

    at_us = call.rig->lane.now_us += 7;
    wbytes_put(&w, report, sizeof(report));
    n = far_make_rtcp(&call.pub, &w, buf);
    rig_inject(call.rig, &second, buf, n);
    rig_run(call.rig);
    assert_int_equal(peer->rest->heard_us[1], at_us);

    /* another path in its place has not been heard */
    call.pub.conf.paths[1].remote_port++;
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &call.pub.conf), 0);
    assert_int_equal(peer->rest->heard_us[1], 0);
    assert_int_not_equal(peer->rest->heard_us[0], 0);
    call_stop(&call);
}

/* Control changes them when the peer has nominated by the new ones. */
static void new_credentials_are_a_consent_on_the_same_path(void **state)
{
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rig_pass(call.rig, 29000000);
    memcpy(call.pub.conf.ufrag, "anew01", 6);
    assert_int_equal(call.pub.conf.ufrag_len, 6);
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &call.pub.conf), 0);
    assert_int_equal(*call_peer(&call, &call.pub)->rest->last_check_us,
                     call.rig->lane.now_us);
    send_forged(&call, &(struct far_check){.username = "uf0001:theirs"});
    assert_int_equal(rig_done(call.rig, DONE_CONSENT), 0);
    send_forged(&call, &(struct far_check){.username = "anew01:theirs"});
    assert_int_equal(rig_done(call.rig, DONE_CONSENT), 1);
    call_stop(&call);
}

/* Only the selected path: what could move the peer is control's to decide. */
static void checks_on_other_paths_go_to_control(void **state)
{
    struct call call;
    struct path second;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    second = far_path(1, 5, 4);
    far_send_check(&call.pub, &second);
    rig_run(call.rig);
    assert_int_equal(call.rig->n_punted, 1);
    assert_int_equal(call.rig->punted[0].kind, ABI_DATAGRAM_STUN);
    assert_int_equal(call.rig->punted[0].peer, 0);

    call.pub.conf.paths[1] = second;
    call.pub.conf.n_paths = 2;
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &call.pub.conf), 0);
    far_send_check(&call.pub, &second);
    rig_run(call.rig);
    assert_int_equal(call.rig->n_punted, 2);
    assert_int_equal(call.rig->punted[1].peer, call.pub.conf.handle);
    assert_int_equal(call.rig->n_frames, 0);

    call.pub.conf.selected = 1;
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &call.pub.conf), 0);
    far_send_check(&call.pub, &second);
    rig_run(call.rig);
    assert_int_equal(call.rig->n_punted, 2);
    assert_int_equal(rig_done(call.rig, DONE_CONSENT), 1);
    call_stop(&call);
}

static unsigned n_lost_news(const struct call *call)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < call->rig->lane.n_news; i++) {
        n += call->rig->lane.news[i].kind == LANE_NEWS_CONSENT_LOST;
    }
    return n;
}

/* RFC 7675, 5.1: after 30 s without a check nothing is sent any more, until one comes. */
static void silence_of_thirty_seconds_ends_consent(void **state)
{
    struct call call;
    struct far_got got;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call.rig->lane.n_news = 0;
    rig_pass(call.rig, 25000000);
    far_send_check(&call.pub, &call.pub.path);
    rig_pass(call.rig, 4990000);
    call_say(&call);
    assert_true(far_take_rtp(&call.sub, &got));
    assert_int_equal(n_lost_news(&call), 0);

    rig_pass(call.rig, 50000); /* the subscriber's 30 s are over */
    assert_int_equal(n_lost_news(&call), 1);
    assert_int_equal(call.rig->lane.news[call.rig->lane.n_news - 1].handle,
                     call.sub.conf.handle);
    while (far_take(&call.sub, &got)) {
    }
    call_say(&call);
    rig_pass(call.rig, 3000000);
    assert_false(far_take(&call.sub, &got)); /* neither media nor RTCP */
    assert_int_equal(n_lost_news(&call), 1); /* told once */

    far_send_check(&call.sub, &call.sub.path);
    rig_run(call.rig);
    call_say(&call);
    assert_true(far_take_rtp(&call.sub, &got));
    call_stop(&call);
}

static void a_new_selected_path_is_a_new_consent(void **state)
{
    struct call call;
    struct far_got got;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rig_pass(call.rig, 30100000);
    assert_int_equal(n_lost_news(&call), 2);
    call.rig->lane.n_news = 0;
    call.sub.path = far_path(2, 9, 4);
    call.sub.conf.paths[0] = call.sub.path;
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &call.sub.conf), 0);
    call_say(&call);
    assert_true(far_take_rtp(&call.sub, &got));
    rig_pass(call.rig, 30100000);
    assert_int_equal(n_lost_news(&call), 1); /* and lost and told again */
    call_stop(&call);
}

/* Control does not miss it because it was slow to read other news. */
static void loss_of_consent_is_told_when_the_queue_has_room(void **state)
{
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    while (call.rig->lane.n_news < LANE_NEWS) {
        assert_true(lane_tell(&call.rig->lane, LANE_NEWS_BYE, 1, 1));
    }
    assert_false(lane_tell(&call.rig->lane, LANE_NEWS_BYE, 1, 1));
    rig_pass(call.rig, 30100000);
    assert_int_equal(n_lost_news(&call), 0);
    call.rig->lane.n_news = 0;
    rig_pass(call.rig, 100000);
    assert_int_equal(n_lost_news(&call), 2);
    call_stop(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_is_answered_on_ipv4),
        cmocka_unit_test(check_is_answered_on_ipv6),
        cmocka_unit_test(forged_checks_are_dropped_and_move_nothing),
        cmocka_unit_test(no_answer_is_longer_than_its_check),
        cmocka_unit_test(checks_by_other_credentials_go_to_control_at_a_bounded_rate),
        cmocka_unit_test(a_check_that_nominates_is_noted),
        cmocka_unit_test(a_check_sent_again_is_answered_and_no_consent),
        cmocka_unit_test(the_path_that_media_comes_by_is_noted),
        cmocka_unit_test(new_credentials_are_a_consent_on_the_same_path),
        cmocka_unit_test(checks_on_other_paths_go_to_control),
        cmocka_unit_test(silence_of_thirty_seconds_ends_consent),
        cmocka_unit_test(a_new_selected_path_is_a_new_consent),
        cmocka_unit_test(loss_of_consent_is_told_when_the_queue_has_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
