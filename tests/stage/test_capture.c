/* Who watches a peer gets a copy of each packet, as on the wire or opened; of others none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lane/capture.h"
#include "rtcp/rtcp_out.h"
#include "sfu/wire/rtcp_fb.h"
#include "support/call.h"
#include "worker/recover.h"

enum { COPIES = 64 };

struct copy {
    uint64_t peer;
    struct path path;
    bool out, plain;
    uint16_t len;
    uint8_t data[PKT_ROOM];
};

static struct {
    struct call call;
    struct copy copies[COPIES];
    uint32_t n;
    bool full;
} w;

static bool take(void *arg, const struct captured *packet)
{
    struct copy *copy = &w.copies[w.n];
    (void)arg;

    if (w.full) {
        return false;
    }
    assert_true(w.n < COPIES);
    assert_true(packet->head_len + packet->body_len <= PKT_ROOM);
    *copy = (struct copy){.peer = packet->peer->handle,
                          .path = *packet->path,
                          .out = packet->out,
                          .plain = packet->plain,
                          .len = (uint16_t)(packet->head_len + packet->body_len)};
    memcpy(copy->data, packet->head, packet->head_len);
    if (packet->body_len > 0) {
        memcpy(copy->data + packet->head_len, packet->body, packet->body_len);
    }
    w.n++;
    return true;
}

static int watch_as(const struct far *far, uint32_t how)
{
    const struct abi_cmd cmd = {
        .op = ABI_OP_PEER_CAPTURE, .handle = far->conf.handle, .arg = how};
    struct rig *rig = w.call.rig;

    return command_apply(&rig->lane, rig->io, &rig->shared.vault, &cmd);
}

static void start(const char *device, uint8_t family)
{
    memset(&w, 0, sizeof(w));
    call_start(&w.call, device, FAR_GCM, family);
    call_show(&w.call, true);
    rig_pass(w.call.rig, 1000000); /* reports, requests: what is left is what a test does */
    w.call.rig->lane.capture = take;
}

static void watch(const struct far *far, enum abi_capture how)
{
    assert_int_equal(watch_as(far, how), 0);
}

static bool holds(const struct copy *copy, const void *bytes, size_t len)
{
    return memmem(copy->data, copy->len, bytes, len) != NULL;
}

/* The copies of one direction that are RTP of 'ssrc'; the last is 'last'. */
static uint32_t n_rtp(bool out, uint32_t ssrc, const struct copy **last)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < w.n; i++) {
        const struct copy *copy = &w.copies[i];

        if (copy->out == out && copy->len >= 12 && (copy->data[1] & 0x7f) < 64 + 64 &&
            load_be32(copy->data + 8) == ssrc && copy->data[0] >> 6 == 2) {
            *last = copy;
            n++;
        }
    }
    return n;
}

static void say(const char *text)
{
    struct far_rtp rtp = call_audio(&w.call, text, strlen(text));

    far_send_rtp(&w.call.pub, &rtp);
    rig_ingress(w.call.rig);
    rig_egress(w.call.rig);
}

static void what_comes_is_shown_as_it_came_even_if_it_is_dropped(void **state)
{
    uint8_t sent[PKT_ROOM];
    struct far_rtp rtp;
    size_t len;
    (void)state;

    start("mem", 4);
    watch(&w.call.pub, ABI_CAPTURE_WIRE);
    rtp = call_audio(&w.call, "what was said", 13);
    len = far_make_rtp(&w.call.pub, &rtp, sent);
    rig_inject(w.call.rig, &w.call.pub.path, sent, len);
    rig_inject(w.call.rig, &w.call.pub.path, sent, len); /* a replay */
    sent[len - 1] ^= 1;
    rig_inject(w.call.rig, &w.call.pub.path, sent, len); /* a forgery */
    rig_ingress(w.call.rig);

    assert_int_equal(w.n, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(w.copies[i].peer, w.call.pub.conf.handle);
        assert_true(path_same_tuple(&w.copies[i].path, &w.call.pub.path));
        assert_false(w.copies[i].out);
        assert_false(w.copies[i].plain);
        assert_int_equal(w.copies[i].len, len);
        assert_memory_equal(w.copies[i].data, sent, len - 1);
        assert_false(holds(&w.copies[i], "what was said", 13));
    }
    call_stop(&w.call);
}

static void what_leaves_is_shown_as_it_left_without_outer_headers(void **state)
{
    static const char *const devices[] = {"mem", "mem:eth"};
    static const uint8_t families[] = {4, 6};
    const struct copy *copy = NULL;
    const struct rig_frame *frame;
    (void)state;

    for (unsigned i = 0; i < 2; i++) {
        start(devices[i], families[i]);
        watch(&w.call.sub, ABI_CAPTURE_WIRE);
        say("what was said");
        assert_int_equal(n_rtp(true, CALL_OUT_AUDIO_SSRC, &copy), 1);
        assert_int_equal(w.n, 1); /* nothing of the publisher */
        frame = &w.call.rig->frames[w.call.rig->n_frames - 1];
        assert_true(frame->len >= copy->len);
        assert_memory_equal(copy->data, frame->data + frame->len - copy->len, copy->len);
        assert_int_equal(copy->peer, w.call.sub.conf.handle);
        assert_true(path_same_tuple(&copy->path, &w.call.sub.path));
        assert_false(copy->plain);
        call_stop(&w.call);
    }
}

static void opened_it_is_what_was_published(void **state)
{
    const struct copy *copy = NULL;
    struct far_got got;
    (void)state;

    start("mem:eth", 4);
    watch(&w.call.pub, ABI_CAPTURE_PLAIN);
    say("what was said");
    assert_int_equal(n_rtp(false, CALL_AUDIO_SSRC, &copy), 1);
    assert_true(copy->plain);
    assert_true(holds(copy, "what was said", 13));
    assert_memory_equal(copy->data + copy->len - 13, "what was said", 13); /* no tag */

    watch(&w.call.pub, ABI_CAPTURE_OFF);
    watch(&w.call.sub, ABI_CAPTURE_PLAIN);
    w.n = 0;
    while (far_take(&w.call.sub, &got)) {
    }
    say("and said again");
    call_show(&w.call, false); /* whose payload may be the packet's own */
    assert_int_equal(n_rtp(true, CALL_OUT_AUDIO_SSRC, &copy), 1);
    assert_true(copy->plain);
    assert_true(far_take_rtp(&w.call.sub, &got));
    assert_int_equal(copy->len, got.len);
    assert_memory_equal(copy->data, got.data, got.len);
    assert_int_equal(n_rtp(true, CALL_OUT_VIDEO_SSRC, &copy), 1);
    assert_true(far_take_rtp(&w.call.sub, &got));
    assert_int_equal(copy->len, got.len);
    assert_memory_equal(copy->data, got.data, got.len);
    call_stop(&w.call);
}

/* A packet that fails is never opened, so it is not shown so. */
static void opened_there_is_nothing_that_is_not_authentic(void **state)
{
    uint8_t sent[PKT_ROOM];
    struct far_rtp rtp;
    size_t len;
    (void)state;

    start("mem", 4);
    watch(&w.call.pub, ABI_CAPTURE_PLAIN);
    rtp = call_audio(&w.call, "what was said", 13);
    len = far_make_rtp(&w.call.pub, &rtp, sent);
    sent[len - 1] ^= 1;
    rig_inject(w.call.rig, &w.call.pub.path, sent, len);
    rig_ingress(w.call.rig);
    assert_int_equal(w.n, 0);
    call_stop(&w.call);
}

static void a_packet_that_is_sent_again_is_opened_too(void **state)
{
    uint8_t buf[64];
    struct wbytes nack = wbytes_of(buf, sizeof(buf));
    const struct copy *copy = NULL;
    struct far_got got = {.hdr = {.seq = 0}};
    uint16_t seq = 0;
    (void)state;

    start("mem", 4);
    while (far_take(&w.call.sub, &got)) {
    }
    call_show(&w.call, false);
    assert_true(far_take_rtp(&w.call.sub, &got));
    seq = got.hdr.seq;
    watch(&w.call.sub, ABI_CAPTURE_PLAIN);
    rtcp_nack_write(&nack, 9, CALL_OUT_VIDEO_SSRC, &seq, 1);
    far_send_rtcp(&w.call.sub, &nack);
    rig_ingress(w.call.rig);
    rig_egress(w.call.rig);
    assert_int_equal(n_rtp(true, CALL_OUT_VIDEO_SSRC ^ FAR_OUT_RTX_BIT, &copy), 1);
    assert_true(copy->plain);
    assert_true(far_take_rtp(&w.call.sub, &got));
    assert_int_equal(copy->len, got.len);
    assert_memory_equal(copy->data, got.data, got.len);
    call_stop(&w.call);
}

static void reports_are_shown_both_ways(void **state)
{
    uint8_t buf[64];
    struct wbytes rr = wbytes_of(buf, sizeof(buf));
    uint32_t opened_out = 0;
    (void)state;

    start("mem", 4);
    watch(&w.call.pub, ABI_CAPTURE_PLAIN);
    rtcp_rr_write(&rr, 9, NULL, 0);
    far_send_rtcp(&w.call.pub, &rr);
    rig_ingress(w.call.rig);
    assert_int_equal(w.n, 1);
    assert_true(w.copies[0].plain && !w.copies[0].out);
    assert_int_equal(w.copies[0].len, wbytes_len(&rr));
    assert_memory_equal(w.copies[0].data, buf, wbytes_len(&rr));

    w.n = 0;
    call_say(&w.call);
    rig_pass(w.call.rig, 1500000);
    for (uint32_t i = 0; i < w.n; i++) {
        if (w.copies[i].out && w.copies[i].data[1] == RTCP_RR) {
            assert_true(w.copies[i].plain);
            assert_true(rtcp_valid(w.copies[i].data, w.copies[i].len));
            opened_out++;
        }
    }
    assert_true(opened_out > 0);

    watch(&w.call.pub, ABI_CAPTURE_WIRE);
    w.n = 0;
    call_say(&w.call);
    rig_pass(w.call.rig, 1500000);
    opened_out = 0;
    for (uint32_t i = 0; i < w.n; i++) {
        assert_false(w.copies[i].plain);
        opened_out += w.copies[i].out && w.copies[i].data[1] == RTCP_RR;
    }
    assert_true(opened_out > 0); /* their first bytes are in the clear */
    call_stop(&w.call);
}

static void checks_and_dtls_are_shown_as_they_are(void **state)
{
    static const uint8_t hello[] = {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7};
    (void)state;

    start("mem", 4);
    for (unsigned how = ABI_CAPTURE_WIRE; how < N_ABI_CAPTURES; how++) {
        w.n = 0;
        watch(&w.call.pub, (enum abi_capture)how);
        far_send_check(&w.call.pub, &w.call.pub.path);
        rig_inject(w.call.rig, &w.call.pub.path, hello, sizeof(hello));
        rig_ingress(w.call.rig);
        assert_int_equal(w.n, 3); /* the check, DTLS, the answer: in the order of bursts */
        for (uint32_t i = 0; i < w.n; i++) {
            assert_false(w.copies[i].plain);
        }
        assert_false(w.copies[0].out);
        assert_false(w.copies[1].out);
        assert_memory_equal(w.copies[1].data, hello, sizeof(hello));
        assert_true(w.copies[2].out);
        assert_int_equal(load_be16(w.copies[2].data), 0x0101);
    }
    call_stop(&w.call);
}

static void what_finds_no_room_is_counted(void **state)
{
    (void)state;

    start("mem", 4);
    watch(&w.call.pub, ABI_CAPTURE_WIRE);
    w.full = true;
    say("one");
    say("two");
    assert_int_equal(w.call.rig->lane.capture_missed, 2);
    watch(&w.call.pub, ABI_CAPTURE_PLAIN); /* a new one begins at nothing */
    assert_int_equal(w.call.rig->lane.capture_missed, 0);
    say("three");
    assert_int_equal(w.call.rig->lane.capture_missed, 1);
    assert_int_equal(w.n, 0);
    call_stop(&w.call);
}

static void who_is_not_watched_costs_nothing(void **state)
{
    struct far nobody;
    (void)state;

    start("mem", 4);
    say("one");
    watch(&w.call.pub, ABI_CAPTURE_WIRE);
    watch(&w.call.pub, ABI_CAPTURE_OFF);
    say("two");
    assert_int_equal(w.n, 0);
    assert_int_equal(watch_as(&w.call.pub, N_ABI_CAPTURES), -EINVAL);
    nobody = w.call.pub;
    nobody.conf.handle = rig_handle(w.call.rig, 100);
    assert_int_equal(watch_as(&nobody, ABI_CAPTURE_WIRE), -ENOENT);
    call_stop(&w.call);
}

/* It may be another control that comes; it knows of none. */
static void a_new_control_has_no_capture(void **state)
{
    struct lane *lane;
    (void)state;

    start("mem", 4);
    lane = &w.call.rig->lane;
    watch(&w.call.pub, ABI_CAPTURE_PLAIN);
    recover_lanes(&lane, 1, w.call.rig->io, &w.call.rig->shared.vault,
                  w.call.rig->shared.vault_fd, lane->now_us);
    say("one");
    assert_int_equal(w.n, 0);
    call_stop(&w.call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_is_shown_as_it_came_even_if_it_is_dropped),
        cmocka_unit_test(what_leaves_is_shown_as_it_left_without_outer_headers),
        cmocka_unit_test(opened_it_is_what_was_published),
        cmocka_unit_test(opened_there_is_nothing_that_is_not_authentic),
        cmocka_unit_test(a_packet_that_is_sent_again_is_opened_too),
        cmocka_unit_test(reports_are_shown_both_ways),
        cmocka_unit_test(checks_and_dtls_are_shown_as_they_are),
        cmocka_unit_test(what_finds_no_room_is_counted),
        cmocka_unit_test(who_is_not_watched_costs_nothing),
        cmocka_unit_test(a_new_control_has_no_capture),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
