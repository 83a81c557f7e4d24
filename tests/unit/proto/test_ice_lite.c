/* control/proto/ice_lite: checks as a controlling browser makes them, forged ones, and the
 * sample request of RFC 5769. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "proto/ice_lite.h"
#include "sfu/base/txids.h"
#include "sfu/wire/stun.h"

#define UFRAG "abcdefgh"
#define PWD   "0123456789abcdefghijkLMN"

/* One check, field by field; the zero value of each flag is what a browser does. */
struct check {
    const char *username;
    const char *pwd;
    uint32_t txid;
    uint32_t nomination; /* 0: none */
    uint16_t attr;       /* one more attribute; 0 none */
    bool use_candidate;
    bool controlled;
    uint32_t priority; /* 0: some */
    bool no_role;
    bool no_username;
    bool no_priority;
    bool no_integrity;
};

static void hmac(void *ctx, const uint8_t *data, size_t len, uint8_t out[STUN_MAC_LEN])
{
    const char *pwd = ctx;
    unsigned n = 0;

    HMAC(EVP_sha1(), pwd, (int)strlen(pwd), data, len, out, &n);
}

static size_t write_check(const struct check *c, uint8_t *buf)
{
    const char *username = c->username != NULL ? c->username : UFRAG ":peer";
    const char *pwd = c->pwd != NULL ? c->pwd : PWD;
    uint8_t txid[STUN_TXID_LEN] = {0};
    struct stun_writer x;
    int len;

    store_be32(txid, c->txid);
    stun_write_begin(&x, buf, STUN_MAX_LEN, STUN_BINDING_REQUEST, txid);
    if (!c->no_username) {
        stun_write_attr(&x, STUN_USERNAME, username, (uint16_t)strlen(username));
    }
    if (!c->no_role) {
        stun_write_u64(&x, c->controlled ? STUN_ICE_CONTROLLED : STUN_ICE_CONTROLLING, 7);
    }
    if (c->use_candidate) {
        stun_write_attr(&x, STUN_USE_CANDIDATE, NULL, 0);
    }
    if (c->nomination != 0) {
        stun_write_u32(&x, STUN_NOMINATION, c->nomination);
    }
    if (!c->no_priority) {
        stun_write_u32(&x, STUN_PRIORITY, c->priority != 0 ? c->priority : 1853824767);
    }
    if (c->attr != 0) {
        stun_write_u32(&x, c->attr, 0);
    }
    if (!c->no_integrity) {
        stun_write_integrity(&x, hmac, (void *)(uintptr_t)pwd);
    }
    len = stun_write_finish(&x);
    assert_true(len > 0);
    return (size_t)len;
}

static struct path path_of(uint8_t last, uint16_t port)
{
    struct path path = {
        .remote_port = port, .local_port = 7000, .family = 4, .remote_mac = {2}};
    const uint8_t v4[4] = {192, 0, 2, last};

    path_map_v4(path.remote_ip, v4);
    return path;
}

enum { WORDS = 4 }; /* of each memory: 16 transactions */

struct fixture {
    struct ice_lite ice;
    struct ice_notes notes; /* changed by tests; given with each check */
    uint64_t answered[WORDS], judged[WORDS];
    uint8_t out[ICE_MAX_RESPONSE];
    uint8_t req[STUN_MAX_LEN];
    size_t req_len;
};

static void start(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->notes.answered = f->answered;
    f->notes.judged = f->judged;
    f->notes.n_answered = f->notes.n_judged = WORDS;
    assert_int_equal(ice_lite_init(&f->ice, UFRAG, PWD), 0);
}

static struct ice_result feed(struct fixture *f, const struct check *c,
                              const struct path *path, uint64_t now_us)
{
    f->req_len = write_check(c, f->req);
    ice_lite_note(&f->ice, &f->notes);
    return ice_lite_on_check(&f->ice, f->req, f->req_len, path, now_us, f->out);
}

/* The answer parses, is for 'txid', carries our integrity if it should. */
static struct stun_msg response(struct fixture *f, const struct ice_result *res,
                                uint32_t txid, bool integrity)
{
    struct stun_msg msg = {0};

    assert_true(res->response_len > 0);
    assert_int_equal(stun_parse(f->out, res->response_len, &msg), 0);
    assert_true(msg.has_fingerprint);
    assert_int_equal(load_be32(msg.txid), txid);
    assert_int_equal(stun_mac_ok(&msg, hmac, (void *)(uintptr_t)PWD), integrity);
    return msg;
}

static void a_check_validates_its_path_and_is_answered(void **state)
{
    struct path path = path_of(9, 40000);
    struct check c = {.txid = 1};
    struct ice_result res;
    struct stun_msg msg;
    struct fixture f;
    (void)state;

    start(&f);
    res = feed(&f, &c, &path, 5);
    assert_int_equal(res.verdict, ICE_ACCEPTED);
    assert_true(res.path_validated);
    assert_false(res.path_selected);
    assert_null(ice_lite_selected(&f.ice));
    assert_true(ice_lite_is_validated(&f.ice, &path));
    msg = response(&f, &res, 1, true);
    assert_int_equal(msg.type, STUN_BINDING_SUCCESS);
    assert_int_equal(msg.mapped_family, 4);
    assert_int_equal(msg.mapped_port, 40000);
    assert_memory_equal(msg.mapped_ip, path.remote_ip, 16);

    c.txid = 2;
    res = feed(&f, &c, &path, 6);
    assert_int_equal(res.verdict, ICE_ACCEPTED);
    assert_false(res.path_validated);
}

static void an_ipv6_address_is_reflected(void **state)
{
    struct path path = {
        .remote_ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}, .remote_port = 5, .family = 6};
    struct check c = {.txid = 0xfedcba98};
    struct ice_result res;
    struct stun_msg msg;
    struct fixture f;
    (void)state;

    start(&f);
    res = feed(&f, &c, &path, 0);
    msg = response(&f, &res, c.txid, true);
    assert_int_equal(msg.mapped_family, 6);
    assert_int_equal(msg.mapped_port, 5);
    assert_memory_equal(msg.mapped_ip, path.remote_ip, 16);
}

static void use_candidate_selects_and_the_last_one_wins(void **state)
{
    struct path a = path_of(1, 1000);
    struct path b = path_of(2, 2000);
    struct check c = {.txid = 1, .use_candidate = true};
    struct ice_result res;
    struct fixture f;
    (void)state;

    start(&f);
    res = feed(&f, &c, &a, 0);
    assert_true(res.path_validated && res.path_selected);
    c.txid = 2;
    res = feed(&f, &c, &a, 0);
    assert_false(res.path_selected);
    c.txid = 3;
    res = feed(&f, &c, &b, 0);
    assert_true(res.path_selected);
    assert_true(path_same_tuple(ice_lite_selected(&f.ice), &b));
    c.txid = 4;
    c.use_candidate = false;
    res = feed(&f, &c, &a, 0);
    assert_false(res.path_selected);
    assert_true(path_same_tuple(ice_lite_selected(&f.ice), &b));
}

static void a_larger_nomination_wins_and_a_smaller_does_not(void **state)
{
    struct path a = path_of(1, 1000);
    struct path b = path_of(2, 2000);
    struct check c = {.txid = 1, .use_candidate = true, .nomination = 2};
    struct fixture f;
    (void)state;

    start(&f);
    assert_true(feed(&f, &c, &a, 0).path_selected);
    c.txid = 2;
    c.nomination = 1; /* overtaken on the way */
    assert_false(feed(&f, &c, &b, 0).path_selected);
    c.txid = 3;
    c.nomination = 2;
    assert_false(feed(&f, &c, &b, 0).path_selected);
    c.txid = 4;
    c.nomination = 0; /* a peer that numbers means its numbers */
    assert_false(feed(&f, &c, &b, 0).path_selected);
    c.txid = 5;
    c.nomination = 3;
    assert_true(feed(&f, &c, &b, 0).path_selected);
    assert_true(path_same_tuple(ice_lite_selected(&f.ice), &b));
    c.txid = 6;
    c.nomination = 0xffffffff;
    assert_true(feed(&f, &c, &a, 0).path_selected);
}

enum { S = 1000000 };

/* Aggressive nomination: every check nominates. */
static void two_interfaces_that_both_nominate_do_not_flap(void **state)
{
    struct path wifi = path_of(1, 1000);
    struct path mobile = path_of(2, 2000);
    struct check c = {.use_candidate = true};
    unsigned n_moves = 0;
    struct fixture f;
    (void)state;

    start(&f);
    for (uint64_t t = 1; t <= 60; t++) {
        c.txid++;
        c.priority = 100;
        n_moves += feed(&f, &c, &mobile, t * S).path_selected;
        if (t > 2) {
            f.notes.nominated_us = t * S; /* as the dataplane would say */
        }
        c.txid++;
        c.priority = 200;
        n_moves += feed(&f, &c, &wifi, t * S + S / 2).path_selected;
    }
    assert_true(n_moves <= 3);
    assert_true(path_same_tuple(ice_lite_selected(&f.ice), &wifi));

    c.priority = 100; /* the better one falls silent: consent is each 6 s at the latest */
    c.txid++;
    assert_false(feed(&f, &c, &mobile, 62 * S).path_selected);
    c.txid++;
    assert_true(feed(&f, &c, &mobile, 68 * S).path_selected);
}

/* The client has moved to a worse network; its last check by the better one was slow. */
static void an_overtaken_check_does_not_move_it_back(void **state)
{
    struct path wifi = path_of(1, 1000);
    struct path mobile = path_of(2, 2000);
    struct check c = {.txid = 1, .use_candidate = true, .priority = 200};
    struct fixture f;
    (void)state;

    start(&f);
    assert_true(feed(&f, &c, &wifi, 1 * S).path_selected);
    f.notes.nominated_us = 20 * S;
    c = (struct check){.txid = 2, .use_candidate = true, .priority = 100};
    assert_true(feed(&f, &c, &mobile, 20 * S).path_selected); /* at once, though worse */
    c = (struct check){.txid = 3, .use_candidate = true, .priority = 200};
    assert_false(feed(&f, &c, &wifi, 20 * S + S / 5).path_selected);
    c.txid = 4; /* it has changed its mind */
    assert_true(feed(&f, &c, &wifi, 22 * S).path_selected);
}

/* RFC 8445, section 9: until the new session has a pair the old one is used. */
static void a_restart_keeps_the_old_credentials_until_the_new_nominate(void **state)
{
    static const char new_pwd[] = "abcdefghijklmnopqrstuvwx";
    struct path a = path_of(1, 1000);
    struct path b = path_of(2, 2000);
    struct check old = {.use_candidate = true, .nomination = 9};
    struct check new = {.username = "newu:peer", .pwd = new_pwd};
    struct ice_result res;
    struct stun_msg msg;
    struct fixture f;
    (void)state;

    start(&f);
    old.txid = 1;
    assert_true(feed(&f, &old, &a, 0).path_selected);
    assert_int_equal(ice_lite_restart(&f.ice, "newu", "tooshort"), -EINVAL);
    assert_int_equal(ice_lite_restart(&f.ice, "lost", "lostlostlostlostlostlost"), 0);
    assert_int_equal(ice_lite_restart(&f.ice, "newu", new_pwd), 0); /* that one counts */
    old.txid = 2;
    res = feed(&f, &old, &a, 1);
    assert_int_equal(res.verdict, ICE_ACCEPTED);
    (void)response(&f, &res, 2, true);
    new.txid = 3;
    res = feed(&f, &new, &b, 2);
    assert_int_equal(res.verdict, ICE_ACCEPTED);
    assert_true(res.path_validated && !res.path_selected && !res.restarted);
    msg = response(&f, &res, 3, false); /* by the password that the check named */
    assert_true(stun_mac_ok(&msg, hmac, (void *)(uintptr_t)new_pwd));
    old.txid = 4; /* both are good */
    assert_int_equal(feed(&f, &old, &a, 3).verdict, ICE_ACCEPTED);
    new.txid = 5;
    new.pwd = PWD; /* the old password does not open the new name, nor the other way */
    assert_int_equal(feed(&f, &new, &b, 4).verdict, ICE_UNAUTHENTICATED);
    old.txid = 6;
    old.pwd = new_pwd;
    assert_int_equal(feed(&f, &old, &a, 4).verdict, ICE_UNAUTHENTICATED);
    old.pwd = NULL;
    assert_int_equal(feed(&f,
                          &(struct check){.txid = 7,
                                          .username = "lost:peer",
                                          .pwd = "lostlostlostlostlostlost"},
                          &a, 4)
                         .verdict,
                     ICE_UNAUTHENTICATED);

    new.txid = 8;
    new.pwd = new_pwd;
    new.use_candidate = true;
    new.nomination = 1; /* it counts anew */
    res = feed(&f, &new, &b, 5);
    assert_true(res.restarted && res.path_selected);
    assert_true(path_same_tuple(ice_lite_selected(&f.ice), &b));
    old.txid = 9;
    old.nomination = 10;
    assert_int_equal(feed(&f, &old, &a, 6).verdict, ICE_UNAUTHENTICATED);
    assert_true(path_same_tuple(ice_lite_selected(&f.ice), &b));
    new.txid = 10;
    assert_false(feed(&f, &new, &b, 7).restarted);
}

static void a_replay_moves_nothing(void **state)
{
    struct path a = path_of(1, 1000);
    struct path b = path_of(2, 2000);
    struct path attacker = path_of(66, 6666);
    struct check first = {.txid = 1, .use_candidate = true};
    struct check second = {.txid = 2, .use_candidate = true};
    struct ice_result res;
    struct fixture f;
    (void)state;

    start(&f);
    feed(&f, &first, &a, 0);
    feed(&f, &second, &b, 0);
    res = feed(&f, &first, &a, 1); /* its answer was lost: answered again */
    assert_int_equal(res.verdict, ICE_ACCEPTED);
    assert_true(res.response_len > 0);
    assert_false(res.path_selected);
    assert_true(path_same_tuple(ice_lite_selected(&f.ice), &b));

    res = feed(&f, &second, &attacker, 2);
    assert_int_equal(res.verdict, ICE_REPLAYED);
    assert_int_equal(res.response_len, 0);
    assert_false(ice_lite_is_validated(&f.ice, &attacker));
    assert_true(path_same_tuple(ice_lite_selected(&f.ice), &b));
    assert_memory_equal(f.ice.paths[0].path.remote_mac, a.remote_mac, 6);

    a.remote_mac[5] = 66; /* from the peer's address, but another machine of the link */
    res = feed(&f, &first, &a, 3);
    assert_false(res.path_selected);
    assert_int_equal(f.ice.paths[0].path.remote_mac[5], 0);
}

/* Checks on the selected path are answered by the dataplane, for hours; and whoever comes
 * after a crash knows what was judged before. */
static void a_replay_of_what_others_have_seen_moves_nothing(void **state)
{
    struct path a = path_of(1, 1000);
    struct path attacker = path_of(66, 6666);
    struct check judged = {.txid = 1, .use_candidate = true};
    struct check answered = {.txid = 2, .use_candidate = true};
    const uint8_t txid[STUN_TXID_LEN] = {0, 0, 0, 2};
    struct fixture f;
    (void)state;

    start(&f);
    assert_true(feed(&f, &judged, &a, 1 * S).path_selected);
    txids_add(f.answered, WORDS, txid);
    for (int life = 0; life < 2; life++) {
        assert_int_equal(feed(&f, &answered, &attacker, 60 * S).verdict, ICE_REPLAYED);
        assert_int_equal(feed(&f, &judged, &attacker, 60 * S).verdict, ICE_REPLAYED);
        assert_int_equal(f.ice.n_paths, 1);
        assert_false(ice_lite_is_settling(&f.ice));
        assert_int_equal(ice_lite_init(&f.ice, UFRAG, PWD), 0);
        assert_int_equal(ice_lite_restore(&f.ice, &a, 1, 0), 0);
    }
}

static void the_memory_of_transactions_forgets_the_oldest(void **state)
{
    struct path a = path_of(1, 1000);
    struct path b = path_of(2, 2000);
    unsigned n_known = 0;
    struct check c = {0};
    struct fixture f;
    (void)state;

    start(&f);
    for (c.txid = 1; c.txid <= 100; c.txid++) {
        assert_int_equal(feed(&f, &c, &a, 0).verdict, ICE_ACCEPTED);
    }
    for (c.txid = 100; c.txid > 97; c.txid--) {
        assert_int_equal(feed(&f, &c, &b, 0).verdict, ICE_REPLAYED);
    }
    for (uint32_t id = 1; id <= 100; id++) {
        uint8_t txid[STUN_TXID_LEN] = {0};

        store_be32(txid, id);
        n_known += txids_has(f.judged, WORDS, txid);
    }
    assert_int_equal(n_known, WORDS * TXIDS_PER_WORD);
}

/* ---- a peer that is sent media ---- */

/* Connected by the path 0, at 1 s; media comes by it until 20 s. */
static void connect_at(struct fixture *f, const struct path *path)
{
    start(f);
    assert_true(
        feed(f, &(struct check){.txid = 1, .use_candidate = true}, path, S).path_selected);
    f->notes.guarded = true;
    f->notes.heard_us[0] = f->notes.checked_us = f->notes.nominated_us = 20 * S;
}

static bool settles(struct fixture *f, uint64_t now_us)
{
    ice_lite_note(&f->ice, &f->notes);
    return ice_lite_settle(&f->ice, now_us);
}

static void it_moves_when_its_media_does(void **state)
{
    struct path a = path_of(1, 1000);
    struct path b = path_of(2, 2000);
    struct ice_result res;
    struct fixture f;
    (void)state;

    connect_at(&f, &a);
    res = feed(&f, &(struct check){.txid = 2, .use_candidate = true}, &b, 20 * S + S / 10);
    assert_true(res.path_validated && res.response_len > 0); /* so that media can come */
    assert_false(res.path_selected);
    assert_true(ice_lite_is_settling(&f.ice));
    f.notes.heard_us[1] = 20 * S + 199999; /* it may still come by both */
    assert_false(settles(&f, 20 * S + S / 4));
    f.notes.heard_us[1] = 20 * S + 200000;
    assert_true(settles(&f, 20 * S + S / 4));
    assert_true(path_same_tuple(ice_lite_selected(&f.ice), &b));
    assert_false(ice_lite_is_settling(&f.ice));

    /* and back: what it had sent by the old path before is no proof */
    f.notes.heard_us[0] = 20 * S + 240000;
    f.notes.checked_us = 20 * S + S / 4;
    feed(&f, &(struct check){.txid = 3, .use_candidate = true}, &a, 21 * S);
    f.notes.heard_us[1] = 21 * S;
    assert_false(settles(&f, 21 * S));
    f.notes.heard_us[0] = 22 * S;
    assert_true(settles(&f, 22 * S));

    /* media was first, then the nomination: at once */
    f.notes.heard_us[1] = 30 * S;
    assert_true(feed(&f, &(struct check){.txid = 4, .use_candidate = true}, &b, 30 * S)
                    .path_selected);
}

/* It sends no media: only that nothing comes any more tells that it has left. */
static void a_silent_one_moves_when_the_old_path_is_dead(void **state)
{
    struct path a = path_of(1, 1000);
    struct path b = path_of(2, 2000);
    struct fixture f;
    (void)state;

    connect_at(&f, &a);
    f.notes.heard_us[0] = 0;
    feed(&f, &(struct check){.txid = 2, .use_candidate = true}, &b, 20 * S + S / 5);
    feed(&f, &(struct check){.txid = 3, .use_candidate = true}, &b, 20 * S + S / 2);
    assert_false(settles(&f, 21 * S - 1));
    assert_true(settles(&f, 21 * S));

    connect_at(&f, &a); /* it was silent before: as soon as that can be no copy */
    feed(&f, &(struct check){.txid = 2, .use_candidate = true}, &b, 24 * S);
    feed(&f, &(struct check){.txid = 3, .use_candidate = true}, &b, 24 * S + S / 10);
    assert_false(settles(&f, 24 * S + S / 5 - 1));
    assert_true(settles(&f, 24 * S + S / 5));
}

/* Somebody on the way copies each check and is faster than the original. */
static void a_copy_that_comes_first_moves_nothing(void **state)
{
    const uint8_t second[STUN_TXID_LEN] = {0, 0, 0, 2};
    struct path a = path_of(1, 1000);
    struct path attacker = path_of(66, 6666);
    struct fixture f;
    (void)state;

    connect_at(&f, &a);
    f.notes.heard_us[0] = 0; /* a listener, who sends a check each 5 s */
    feed(&f, &(struct check){.txid = 2, .use_candidate = true}, &attacker, 25 * S);
    assert_false(settles(&f, 25 * S));
    txids_add(f.answered, WORDS, second); /* the original, in the lane */
    f.notes.checked_us = f.notes.nominated_us = 25 * S;
    for (uint64_t t = 25; t < 30; t++) {
        assert_false(settles(&f, t * S));
    }
    assert_true(path_same_tuple(ice_lite_selected(&f.ice), &a));
    assert_false(ice_lite_is_settling(&f.ice));

    /* a copy of a number is no larger than it */
    feed(&f, &(struct check){.txid = 3, .nomination = 1}, &a, 30 * S);
    feed(&f, &(struct check){.txid = 4, .nomination = 1}, &attacker, 30 * S);
    f.notes.checked_us = 31 * S;
    f.notes.heard_us[0] = 31 * S;
    f.notes.heard_us[1] = 31 * S; /* and of a packet of media */
    assert_false(settles(&f, 31 * S));
}

/* An old check that is not remembered any more: the peer's next ends it. */
static void who_nominates_the_old_path_has_not_left_it(void **state)
{
    struct path a = path_of(1, 1000);
    struct path attacker = path_of(66, 6666);
    struct fixture f;
    (void)state;

    connect_at(&f, &a);
    feed(&f, &(struct check){.txid = 2, .use_candidate = true}, &attacker, 20 * S + S / 2);
    f.notes.checked_us = f.notes.nominated_us = 21 * S; /* it may be late */
    assert_false(settles(&f, 21 * S + S / 2));
    assert_true(ice_lite_is_settling(&f.ice));
    f.notes.checked_us = f.notes.nominated_us = 21 * S + S / 2 + 1;
    assert_false(settles(&f, 22 * S));
    assert_false(ice_lite_is_settling(&f.ice));
    assert_false(settles(&f, 60 * S));
    assert_true(path_same_tuple(ice_lite_selected(&f.ice), &a));
}

/* Stolen by who is on the way and had the first word; the peer's media takes it back. */
static void the_peers_own_media_takes_it_back(void **state)
{
    struct path a = path_of(1, 1000);
    struct path attacker = path_of(66, 6666);
    struct fixture f;
    (void)state;

    connect_at(&f, &a);
    f.notes.heard_us[1] = 21 * S; /* of a path that is not known yet: of another's place */
    feed(&f, &(struct check){.txid = 2, .nomination = 1}, &attacker, 21 * S + S / 10);
    assert_false(settles(&f, 21 * S + S / 10));
    f.notes.heard_us[1] = 21 * S + S / 5;
    assert_true(settles(&f, 21 * S + S / 5));
    f.notes.heard_us[0] = 22 * S;
    assert_true(
        feed(&f, &(struct check){.txid = 3, .nomination = 1}, &a, 22 * S).path_selected);
}

/* Aggressive nomination again: the media tells which path is meant, and without media none
 * is left for the other while both are nominated. */
static void two_interfaces_of_a_guarded_peer_do_not_flap(void **state)
{
    struct path wifi = path_of(1, 1000);
    struct path mobile = path_of(2, 2000);
    struct check c = {.txid = 9, .use_candidate = true};
    unsigned n_moves = 0;
    struct fixture f;
    (void)state;

    connect_at(&f, &wifi);
    for (uint64_t t = 21; t < 81; t++) {
        c.txid++;
        n_moves +=
            feed(&f, &c, ice_lite_selected(&f.ice)->remote_port == 1000 ? &mobile : &wifi,
                 t * S)
                .path_selected;
        if (t % 4 == 0) { /* less often than silence lasts */
            f.notes.checked_us = f.notes.nominated_us = t * S + S / 2;
        }
        n_moves += settles(&f, t * S + S / 4);
        n_moves += settles(&f, t * S + S / 2);
    }
    assert_true(n_moves <= 1);
    f.notes.heard_us[0] = f.notes.heard_us[1] = 0;
    f.notes.heard_us[ice_lite_selected(&f.ice)->remote_port == 1000] = 81 * S;
    c.txid++;
    assert_true(feed(&f, &c,
                     ice_lite_selected(&f.ice)->remote_port == 1000 ? &mobile : &wifi,
                     81 * S)
                    .path_selected);
}

static void the_path_of_a_nomination_may_be_displaced(void **state)
{
    struct path a = path_of(1, 1000);
    struct path b = path_of(2, 2000);
    struct fixture f;
    (void)state;

    connect_at(&f, &a);
    feed(&f, &(struct check){.txid = 2, .use_candidate = true}, &b, 20 * S);
    assert_true(ice_lite_is_settling(&f.ice));
    for (uint8_t i = 3; i < 3 + ICE_MAX_PATHS; i++) {
        struct path other = path_of(i, 3000);

        f.notes.checked_us = 20 * S + i;
        feed(&f, &(struct check){.txid = i}, &other, 20 * S + i);
    }
    assert_false(ice_lite_is_validated(&f.ice, &b));
    assert_false(ice_lite_is_settling(&f.ice));
    assert_true(path_same_tuple(ice_lite_selected(&f.ice), &a));
}

/* Nobody but the peer has the new credentials: its first nomination by them is followed. */
static void a_restart_is_followed_at_once(void **state)
{
    static const char new_pwd[] = "abcdefghijklmnopqrstuvwx";
    struct path a = path_of(1, 1000);
    struct path b = path_of(2, 2000);
    struct fixture f;
    (void)state;

    connect_at(&f, &a);
    assert_int_equal(ice_lite_restart(&f.ice, "newu", new_pwd), 0);
    assert_true(
        feed(&f,
             &(struct check){
                 .txid = 2, .username = "newu:peer", .pwd = new_pwd, .use_candidate = true},
             &b, 20 * S)
            .path_selected);
}

static void bad_checks_change_nothing_and_are_never_amplified(void **state)
{
    static const struct {
        struct check check;
        enum ice_verdict want;
        uint16_t code;
        bool integrity;
    } cases[] = {
        {{.no_username = true}, ICE_BAD_REQUEST, 400, false},
        {{.no_integrity = true}, ICE_BAD_REQUEST, 400, false},
        {{.no_priority = true}, ICE_BAD_REQUEST, 400, false},
        {{.no_role = true}, ICE_BAD_REQUEST, 400, false},
        {{.pwd = "0123456789abcdefghijkLMX"}, ICE_UNAUTHENTICATED, 401, false},
        {{.username = "abcdefgx:peer"}, ICE_UNAUTHENTICATED, 401, false},
        {{.username = "abcdefghi:peer"}, ICE_UNAUTHENTICATED, 401, false},
        {{.username = "abcdefgh"}, ICE_UNAUTHENTICATED, 401, false},
        {{.username = "abcdefgh:"}, ICE_UNAUTHENTICATED, 401, false},
        {{.username = "peer:abcdefgh"}, ICE_UNAUTHENTICATED, 401, false},
        {{.attr = 0x7777}, ICE_UNKNOWN_ATTR, 420, true},
        {{.controlled = true}, ICE_ROLE_CONFLICT, 487, true},
    };
    struct path path = path_of(9, 40000);
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct check c = cases[i].check;
        struct ice_result res;
        struct fixture f;

        c.txid = 77;
        c.use_candidate = true;
        start(&f);
        res = feed(&f, &c, &path, 0);
        assert_int_equal(res.verdict, cases[i].want);
        assert_true(res.response_len <= f.req_len);
        assert_false(res.path_validated || res.path_selected);
        assert_false(ice_lite_is_validated(&f.ice, &path));
        assert_int_equal(response(&f, &res, 77, cases[i].integrity).error_code,
                         cases[i].code);
        /* the transaction was not used up */
        c = (struct check){.txid = 77};
        assert_true(feed(&f, &c, &path, 0).path_validated);
    }
}

static void a_short_request_gets_no_longer_answer(void **state)
{
    struct check c = {
        .no_username = true, .no_integrity = true, .no_priority = true, .no_role = true};
    struct path path = path_of(9, 40000);
    struct ice_result res;
    struct fixture f;
    (void)state;

    start(&f);
    res = feed(&f, &c, &path, 0); /* header and fingerprint: 28 bytes */
    assert_int_equal(res.verdict, ICE_BAD_REQUEST);
    assert_int_equal(res.response_len, 0);
}

static void what_is_no_check_gets_no_answer(void **state)
{
    static const uint8_t bare[20] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, [19] = 1};
    struct path path = path_of(9, 40000);
    struct check c = {.txid = 3};
    struct ice_result res;
    struct fixture f;
    (void)state;

    start(&f);
    res = ice_lite_on_check(&f.ice, bare, sizeof(bare), &path, 0, f.out);
    assert_int_equal(res.verdict, ICE_MALFORMED); /* no fingerprint */
    assert_int_equal(res.response_len, 0);

    f.req_len = write_check(&c, f.req);
    for (size_t len = 0; len < f.req_len; len++) {
        res = ice_lite_on_check(&f.ice, f.req, len, &path, 0, f.out);
        assert_int_equal(res.response_len, 0);
        assert_int_equal(res.verdict, ICE_MALFORMED);
    }
    for (size_t bit = 0; bit < f.req_len * 8; bit++) { /* the fingerprint covers each */
        f.req[bit / 8] ^= (uint8_t)(1 << bit % 8);
        res = ice_lite_on_check(&f.ice, f.req, f.req_len, &path, 0, f.out);
        assert_int_not_equal(res.verdict, ICE_ACCEPTED);
        assert_int_equal(res.response_len, 0);
        f.req[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(f.ice.n_paths, 0);
}

static void an_answer_is_not_answered(void **state)
{
    struct path path = path_of(9, 40000);
    struct check c = {.txid = 4};
    struct ice_result res;
    struct fixture f;
    uint8_t copy[ICE_MAX_RESPONSE];
    (void)state;

    start(&f);
    res = feed(&f, &c, &path, 0);
    memcpy(copy, f.out, sizeof(copy));
    res = ice_lite_on_check(&f.ice, copy, res.response_len, &path, 0, f.out);
    assert_int_equal(res.verdict, ICE_NOT_REQUEST);
    assert_int_equal(res.response_len, 0);
}

static void a_fifth_path_displaces_the_oldest_but_not_the_selected(void **state)
{
    struct check c = {.txid = 100, .use_candidate = true};
    struct path paths[5];
    struct fixture f;
    (void)state;

    start(&f);
    for (uint8_t i = 0; i < 5; i++) {
        paths[i] = path_of(i, 1000);
        feed(&f, &c, &paths[i], i);
        c.txid++;
        c.use_candidate = false;
    }
    assert_true(ice_lite_is_validated(&f.ice, &paths[0]));
    assert_true(path_same_tuple(ice_lite_selected(&f.ice), &paths[0]));
    assert_false(ice_lite_is_validated(&f.ice, &paths[1]));
    assert_true(ice_lite_is_validated(&f.ice, &paths[4]));
}

static void the_sample_request_of_rfc_5769_is_authentic(void **state)
{
    /* Section 2.1. Its sender is in the controlled role, as we are. */
    static const uint8_t sample[] = {
        0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
        0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e,
        0x20, 0x74, 0x65, 0x73, 0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24,
        0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, 0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1,
        0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68,
        0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c,
        0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5,
        0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf};
    struct path path = path_of(1, 1);
    char ufrag[ICE_UFRAG_MAX + 1];
    uint8_t out[ICE_MAX_RESPONSE];
    struct ice_lite ice;
    (void)state;

    assert_int_equal(ice_lite_peek_ufrag(sample, sizeof(sample), ufrag), 0);
    assert_string_equal(ufrag, "evtj");
    assert_int_equal(ice_lite_init(&ice, "evtj", "VOkJxbRl1RmTxUk/WvJxBt"), 0);
    assert_int_equal(ice_lite_on_check(&ice, sample, sizeof(sample), &path, 0, out).verdict,
                     ICE_ROLE_CONFLICT);
    assert_int_equal(ice_lite_init(&ice, "evtj", "VOkJxbRl1RmTxUk/WvJxBx"), 0);
    assert_int_equal(ice_lite_on_check(&ice, sample, sizeof(sample), &path, 0, out).verdict,
                     ICE_UNAUTHENTICATED);
}

static void the_agent_of_a_check_is_read_from_its_name(void **state)
{
    static const struct {
        const char *username;
        int want;
    } cases[] = {
        {"abcd:x", 0},       {"abcdefghijklmnopqrstuvwxyz012345:x", 0},
        {"abc:x", -EBADMSG}, {"abcdefghijklmnopqrstuvwxyz0123456:x", -EBADMSG},
        {"abcd", -EBADMSG},  {"ab-d:x", -EBADMSG},
        {":", -EBADMSG},
    };
    char ufrag[ICE_UFRAG_MAX + 1];
    uint8_t buf[STUN_MAX_LEN];
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct check c = {.username = cases[i].username};

        assert_int_equal(ice_lite_peek_ufrag(buf, write_check(&c, buf), ufrag),
                         cases[i].want);
    }
}

static void credentials_are_made_from_all_random_bytes(void **state)
{
    uint8_t random[ICE_RANDOM_LEN] = {0};
    char ufrag[ICE_MADE_UFRAG + 1];
    char pwd[ICE_MADE_PWD + 1];
    struct ice_lite ice;
    (void)state;

    ice_lite_make_credentials(random, ufrag, pwd);
    assert_string_equal(ufrag, "AAAAAAAA");
    assert_string_equal(pwd, "AAAAAAAAAAAAAAAAAAAAAAAA");
    for (size_t i = 0; i < sizeof(random); i++) {
        char other_ufrag[ICE_MADE_UFRAG + 1];
        char other_pwd[ICE_MADE_PWD + 1];

        random[i] = 0xff;
        ice_lite_make_credentials(random, other_ufrag, other_pwd);
        assert_true(strcmp(ufrag, other_ufrag) != 0 || strcmp(pwd, other_pwd) != 0);
        assert_int_equal(ice_lite_init(&ice, other_ufrag, other_pwd), 0);
        random[i] = 0;
    }
    assert_int_equal(ice_lite_init(&ice, "abc", PWD), -EINVAL);
    assert_int_equal(ice_lite_init(&ice, "ab:d", PWD), -EINVAL);
    assert_int_equal(ice_lite_init(&ice, UFRAG, "0123456789abcdefghijk"), -EINVAL);
}

static void candidates_have_the_priority_of_rfc_8445(void **state)
{
    uint8_t v4[4] = {192, 0, 2, 1};
    uint8_t ip[16];
    char a[ICE_FOUNDATION_MAX + 1];
    char b[ICE_FOUNDATION_MAX + 1];
    (void)state;

    assert_int_equal(ice_lite_priority(126, 65535, 1), 2130706431);
    assert_int_equal(ice_lite_priority(0, 0, 256), 0);
    path_map_v4(ip, v4);
    ice_lite_foundation(ip, a);
    ice_lite_foundation(ip, b);
    assert_string_equal(a, b);
    v4[3] = 2;
    path_map_v4(ip, v4);
    ice_lite_foundation(ip, b);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_check_validates_its_path_and_is_answered),
        cmocka_unit_test(an_ipv6_address_is_reflected),
        cmocka_unit_test(use_candidate_selects_and_the_last_one_wins),
        cmocka_unit_test(a_larger_nomination_wins_and_a_smaller_does_not),
        cmocka_unit_test(two_interfaces_that_both_nominate_do_not_flap),
        cmocka_unit_test(an_overtaken_check_does_not_move_it_back),
        cmocka_unit_test(a_restart_keeps_the_old_credentials_until_the_new_nominate),
        cmocka_unit_test(a_replay_moves_nothing),
        cmocka_unit_test(a_replay_of_what_others_have_seen_moves_nothing),
        cmocka_unit_test(the_memory_of_transactions_forgets_the_oldest),
        cmocka_unit_test(it_moves_when_its_media_does),
        cmocka_unit_test(a_silent_one_moves_when_the_old_path_is_dead),
        cmocka_unit_test(a_copy_that_comes_first_moves_nothing),
        cmocka_unit_test(who_nominates_the_old_path_has_not_left_it),
        cmocka_unit_test(the_peers_own_media_takes_it_back),
        cmocka_unit_test(two_interfaces_of_a_guarded_peer_do_not_flap),
        cmocka_unit_test(the_path_of_a_nomination_may_be_displaced),
        cmocka_unit_test(a_restart_is_followed_at_once),
        cmocka_unit_test(bad_checks_change_nothing_and_are_never_amplified),
        cmocka_unit_test(a_short_request_gets_no_longer_answer),
        cmocka_unit_test(what_is_no_check_gets_no_answer),
        cmocka_unit_test(an_answer_is_not_answered),
        cmocka_unit_test(a_fifth_path_displaces_the_oldest_but_not_the_selected),
        cmocka_unit_test(the_sample_request_of_rfc_5769_is_authentic),
        cmocka_unit_test(the_agent_of_a_check_is_read_from_its_name),
        cmocka_unit_test(credentials_are_made_from_all_random_bytes),
        cmocka_unit_test(candidates_have_the_priority_of_rfc_8445),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
