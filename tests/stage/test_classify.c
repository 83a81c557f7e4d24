/* classify and punt: what a datagram is, whose, and what control gets to see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "stage/classify.h"
#include "support/call.h"

static const uint8_t dtls[16] = {22, 254, 253, [13] = 1};
static const uint8_t rtp[20] = {0x80, 111, 0, 1, [11] = 9};
static const uint8_t rtcp[20] = {0x80, 201, 0, 1, [7] = 9};

/* Gives a burst of packets with these bytes from 'from'. */
static void add(struct rig *rig, struct burst *in, const struct path *from,
                const void *data, uint16_t len)
{
    struct pkt *pkt;

    assert_int_equal(lane_alloc(&rig->lane, &pkt, 1), 1);
    memcpy(pkt->data, data, len);
    pkt->len = len;
    pkt->path = *from;
    burst_push(in, pkt);
}

static void free_burst(struct rig *rig, const struct burst *burst)
{
    for (uint16_t i = 0; i < burst->n; i++) {
        lane_free(&rig->lane, burst->pkts[i]);
    }
}

static void each_kind_goes_its_way(void **state)
{
    struct call call;
    struct classified out;
    struct burst in = {.n = 0};
    struct path unknown = far_path(77, 0, 4);
    struct path other;
    uint8_t check[256];
    uint16_t n;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    n = (uint16_t)far_make_check(&call.pub, &(struct far_check){0}, check);
    other = call.pub.path;
    other.remote_port++;
    add(call.rig, &in, &call.pub.path, rtp, sizeof(rtp));
    add(call.rig, &in, &call.pub.path, rtcp, sizeof(rtcp));
    add(call.rig, &in, &call.pub.path, check, n);
    add(call.rig, &in, &other, check, n);
    add(call.rig, &in, &call.pub.path, dtls, sizeof(dtls));
    add(call.rig, &in, &unknown, dtls, sizeof(dtls));
    add(call.rig, &in, &unknown, rtp, sizeof(rtp));
    add(call.rig, &in, &unknown, rtcp, sizeof(rtcp));
    add(call.rig, &in, &call.pub.path, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    add(call.rig, &in, &call.pub.path, "", 0);
    assert_int_equal(classify_burst(&call.rig->lane, &in, &out), 5);
    assert_int_equal(out.media.n, 1);
    assert_ptr_equal(out.media.pkts[0], in.pkts[0]);
    assert_int_equal(out.media.pkts[0]->ssrc, 9);
    assert_int_equal(out.media.pkts[0]->pt, 111);
    assert_int_equal(out.media.pkts[0]->seq, 1);
    assert_int_equal(out.media.pkts[0]->hdr_len, 12);
    assert_int_equal(out.rtcp.n, 1);
    assert_ptr_equal(out.rtcp.pkts[0], in.pkts[1]);
    assert_int_equal(out.consent.n, 1);
    assert_ptr_equal(out.consent.pkts[0], in.pkts[2]);
    assert_int_equal(out.punt.n, 2);
    assert_ptr_equal(out.punt.pkts[0], in.pkts[3]);
    assert_ptr_equal(out.punt.pkts[1], in.pkts[4]);
    assert_int_equal(rig_dropped(call.rig, DROP_NO_PEER), 3);
    assert_int_equal(rig_dropped(call.rig, DROP_UNKNOWN_KIND), 1);
    assert_int_equal(rig_dropped(call.rig, DROP_EMPTY), 1);
    assert_int_equal(rig_drops_in(call.rig), 5); /* moved + dropped = in */
    assert_ptr_equal(out.media.pkts[0]->peer, call_peer(&call, &call.pub));
    free_burst(call.rig, &out.media);
    free_burst(call.rig, &out.rtcp);
    free_burst(call.rig, &out.consent);
    free_burst(call.rig, &out.punt);
    memset(&call.rig->lane.counts, 0, sizeof(call.rig->lane.counts)); /* by hand */
    call_stop(&call);
}

static void media_waits_for_keys(void **state)
{
    struct rig *rig = rig_start("mem");
    struct far far;
    (void)state;

    far_open(&far, rig, 3, FAR_NO_KEYS, 4);
    rig_inject(rig, &far.path, rtp, sizeof(rtp));
    rig_inject(rig, &far.path, rtcp, sizeof(rtcp));
    rig_inject(rig, &far.path, dtls, sizeof(dtls));
    rig_run(rig);
    assert_int_equal(rig_dropped(rig, DROP_NO_KEYS), 2);
    assert_int_equal(rig->n_punted, 1);
    far_end(&far);
    rig_stop(rig);
}

static void dtls_is_punted_with_its_peer_and_path(void **state)
{
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 6);
    rig_inject(call.rig, &call.pub.path, dtls, sizeof(dtls));
    rig_run(call.rig);
    assert_int_equal(call.rig->n_punted, 1);
    assert_int_equal(call.rig->punted[0].peer, call.pub.conf.handle);
    assert_int_equal(call.rig->punted[0].kind, ABI_DATAGRAM_DTLS);
    assert_int_equal(call.rig->punted[0].len, sizeof(dtls));
    assert_memory_equal(call.rig->punted[0].data, dtls, sizeof(dtls));
    assert_true(path_same_tuple(&call.rig->punted[0].path, &call.pub.path));
    assert_int_equal(rig_done(call.rig, DONE_PUNTED), 1);
    call_stop(&call);
}

static void control_sees_only_stun_that_could_be_a_check(void **state)
{
    struct call call;
    struct path from = far_path(90, 0, 4);
    const struct far_check bare = {.no_username = true};
    const struct far_check unsigned_ = {.no_integrity = true};
    uint8_t buf[256];
    size_t n;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    n = far_make_check(&call.pub, &bare, buf);
    rig_inject(call.rig, &from, buf, n);
    n = far_make_check(&call.pub, &unsigned_, buf);
    rig_inject(call.rig, &from, buf, n);
    n = far_make_check(&call.pub, &(struct far_check){0}, buf);
    buf[1] = 0x11; /* an indication, its fingerprint wrong too */
    rig_inject(call.rig, &from, buf, n);
    buf[1] = 0x01;
    rig_inject(call.rig, &from, buf, n - 4);
    rig_run(call.rig);
    assert_int_equal(rig_dropped(call.rig, DROP_STUN_MALFORMED), 4);
    assert_int_equal(call.rig->n_punted, 0);
    rig_inject(call.rig, &from, buf, n);
    rig_run(call.rig);
    assert_int_equal(call.rig->n_punted, 1);
    assert_int_equal(call.rig->punted[0].peer, 0);
    assert_int_equal(call.rig->n_frames, 0); /* nobody was answered */
    call_stop(&call);
}

/* Checks of addresses that are nobody's, 'n' of them at this instant. */
static void inject_checks(struct call *call, const struct path *from, const char *name,
                          unsigned n)
{
    uint8_t buf[256];
    size_t len = far_make_check(&call->pub, &(struct far_check){.username = name}, buf);

    for (unsigned i = 0; i < n; i++) {
        rig_inject(call->rig, from, buf, len);
        rig_ingress(call->rig);
    }
}

/* Strangers' STUN has a budget, a part of it for each name; it refills with time, and peers
 * are not in it. */
static void stun_of_strangers_is_limited(void **state)
{
    struct call call;
    struct path from = far_path(91, 0, 4);
    struct path moved;
    unsigned n = LANE_NAME_BURST;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    moved = call.pub.path;
    inject_checks(&call, &from, NULL, 3000);
    assert_int_equal(rig_done(call.rig, DONE_PUNTED), n);
    assert_int_equal(rig_dropped(call.rig, DROP_PUNT_RATE), 3000 - n);

    call.rig->lane.now_us += 200000;
    inject_checks(&call, &from, NULL, 100);
    n += LANE_NAME_PER_S / 5;
    assert_int_equal(rig_done(call.rig, DONE_PUNTED), n);

    /* all names together have one, too */
    call.rig->lane.punts_us = call.rig->lane.now_us;
    call.rig->lane.now_us += 1000;
    for (unsigned i = 0; i < LANE_NAMES; i++) {
        call.rig->lane.names_us[i] = 0;
    }
    inject_checks(&call, &from, NULL, 100);
    n += LANE_PUNTS_PER_S / 1000;
    assert_int_equal(rig_done(call.rig, DONE_PUNTED), n);

    /* a peer on its second, not selected, path */
    moved.remote_port++;
    call.pub.conf.n_paths = 2;
    call.pub.conf.paths[1] = moved;
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &call.pub.conf), 0);
    inject_checks(&call, &moved, NULL, 1);
    assert_int_equal(rig_done(call.rig, DONE_PUNTED), n + 1);
    call_stop(&call);
}

/* A flood of checks, whatever they name, leaves those who are being let in their share; and
 * whose session ends, or gets another name, is a stranger by the old one. */
static void a_flood_of_names_keeps_nobody_out(void **state)
{
    struct call call;
    struct path from = far_path(91, 0, 4);
    char name[32];
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    for (unsigned i = 0; i < 5000; i++) { /* hardly one of these is taken for a peer's */
        (void)snprintf(name, sizeof(name), "nobody%u:here", i);
        inject_checks(&call, &from, name, 1);
    }
    assert_in_range(rig_done(call.rig, DONE_PUNTED), LANE_STRANGER_BURST,
                    LANE_STRANGER_BURST + 50);
    inject_checks(&call, &from, "uf0001:known", 5000); /* the flooder's own, say */
    assert_in_range(rig_done(call.rig, DONE_PUNTED), LANE_STRANGER_BURST + LANE_NAME_BURST,
                    LANE_STRANGER_BURST + LANE_NAME_BURST + 50);
    call.rig->n_punted = 0;
    inject_checks(&call, &from, "uf0002:theirs", 10);
    assert_int_equal(call.rig->n_punted, 10);

    call.sub.conf.ufrag[5] = 'x';
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &call.sub.conf), 0);
    inject_checks(&call, &from, "uf0002:theirs", 10);
    assert_int_equal(call.rig->n_punted, 10);
    inject_checks(&call, &from, "uf000x:theirs", 10);
    assert_int_equal(call.rig->n_punted, 20);
    call_stop(&call);
}

static void during_an_ice_restart_a_peer_has_both_names(void **state)
{
    struct call call;
    struct path from = far_path(91, 0, 4);
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    inject_checks(&call, &from, "nobody:here", LANE_STRANGER_BURST + 50);
    call.rig->n_punted = 0;
    inject_checks(&call, &from, "new1:theirs", 10);
    assert_int_equal(call.rig->n_punted, 0);

    memcpy(call.sub.conf.next_ufrag, "new1", 4);
    call.sub.conf.next_ufrag_len = 4;
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &call.sub.conf), 0);
    inject_checks(&call, &from, "new1:theirs", 10);
    assert_int_equal(call.rig->n_punted, 10);
    inject_checks(&call, &from, "uf0002:theirs", 10);
    assert_int_equal(call.rig->n_punted, 20);

    call.sub.conf.next_ufrag_len = 0; /* given up */
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &call.sub.conf), 0);
    inject_checks(&call, &from, "new1:theirs", 10);
    assert_int_equal(call.rig->n_punted, 20);

    call.sub.conf.next_ufrag_len = PEER_UFRAG + 1;
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &call.sub.conf), -EINVAL);
    call_stop(&call);
}

static void a_path_belongs_to_whom_it_was_proven_for_last(void **state)
{
    struct call call;
    struct path stolen;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    stolen = call.pub.path;
    call.sub.conf.paths[1] = stolen;
    call.sub.conf.n_paths = 2;
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &call.sub.conf), 0);
    rig_inject(call.rig, &stolen, dtls, sizeof(dtls));
    rig_run(call.rig);
    assert_int_equal(call.rig->punted[0].peer, call.sub.conf.handle);

    /* the old holder's end does not take it from the new one */
    call.pub.conf.n_paths = 0;
    call.pub.conf.selected = 0;
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &call.pub.conf), 0);
    rig_inject(call.rig, &stolen, dtls, sizeof(dtls));
    rig_run(call.rig);
    assert_int_equal(call.rig->punted[1].peer, call.sub.conf.handle);

    /* and forgotten paths are strangers' */
    call.sub.conf.n_paths = 1;
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &call.sub.conf), 0);
    rig_inject(call.rig, &stolen, dtls, sizeof(dtls));
    rig_run(call.rig);
    assert_int_equal(rig_dropped(call.rig, DROP_NO_PEER), 1);
    call_stop(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_goes_its_way),
        cmocka_unit_test(media_waits_for_keys),
        cmocka_unit_test(dtls_is_punted_with_its_peer_and_path),
        cmocka_unit_test(control_sees_only_stun_that_could_be_a_check),
        cmocka_unit_test(stun_of_strangers_is_limited),
        cmocka_unit_test(a_flood_of_names_keeps_nobody_out),
        cmocka_unit_test(during_an_ice_restart_a_peer_has_both_names),
        cmocka_unit_test(a_path_belongs_to_whom_it_was_proven_for_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
