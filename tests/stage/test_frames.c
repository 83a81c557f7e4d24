/* What leaves on a device that wants whole frames: Ethernet, IP and UDP headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "io/ether.h"
#include "support/call.h"

static uint16_t fold(uint32_t sum)
{
    while (sum > 0xffff) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

static uint32_t sum16(const uint8_t *p, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < len; i++) {
        sum += (uint32_t)p[i] << (i % 2 == 0 ? 8 : 0);
    }
    return sum;
}

static void check_ipv4(const struct rig_frame *frame, const struct far *far)
{
    const uint8_t *ip = frame->data + 14;

    assert_int_equal(load_be16(frame->data + 12), ETHER_TYPE_IPV4);
    assert_int_equal(ip[0], 0x45);
    assert_int_equal(load_be16(ip + 2), frame->len - 14);
    assert_int_equal(ip[9], IP_PROTO_UDP);
    assert_int_equal(fold(sum16(ip, 20)), 0xffff); /* RFC 791 */
    assert_memory_equal(ip + 12, far->path.local_ip + 12, 4);
    assert_memory_equal(ip + 16, far->path.remote_ip + 12, 4);
    assert_int_equal(load_be16(ip + 26), 0); /* RFC 768: none */
}

static void check_ipv6(const struct rig_frame *frame, const struct far *far)
{
    const uint8_t *ip = frame->data + 14;
    uint16_t len = (uint16_t)(frame->len - 14 - 40);

    assert_int_equal(load_be16(frame->data + 12), ETHER_TYPE_IPV6);
    assert_int_equal(ip[0] >> 4, 6);
    assert_int_equal(load_be16(ip + 4), len);
    assert_int_equal(ip[6], IP_PROTO_UDP);
    assert_memory_equal(ip + 8, far->path.local_ip, 16);
    assert_memory_equal(ip + 24, far->path.remote_ip, 16);
    assert_int_not_equal(load_be16(ip + 46), 0); /* RFC 8200, 8.1: required */
    assert_int_equal(fold(sum16(ip + 8, 32) + len + IP_PROTO_UDP + sum16(ip + 40, len)),
                     0xffff);
}

/* Every frame must parse by io/'s own parser back to the path, and by the checks above. */
static void check_frames(struct call *call, const struct far *far, unsigned at_least)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < call->rig->n_frames; i++) {
        const struct rig_frame *frame = &call->rig->frames[i];
        uint16_t udp_at = far->path.family == 4 ? 34 : 54;
        struct ether_udp udp;
        struct path path;

        if (!path_same_tuple(&frame->to, &far->path)) {
            continue;
        }
        assert_memory_equal(frame->data, far->path.remote_mac, 6);
        assert_memory_equal(frame->data + 6, "\x02\0\0\0\0\x01", 6);
        (far->path.family == 4 ? check_ipv4 : check_ipv6)(frame, far);
        assert_int_equal(load_be16(frame->data + udp_at), RIG_PORT);
        assert_int_equal(load_be16(frame->data + udp_at + 2), far->path.remote_port);
        assert_int_equal(load_be16(frame->data + udp_at + 4), frame->len - udp_at);
        assert_int_equal(ether_parse(frame->data, frame->len, &path, &udp), 0);
        assert_int_equal(udp.len, frame->len - udp_at - 8);
        n++;
    }
    assert_true(n >= at_least);
}

/* Media of every length, RTCP and a consent answer. */
static void frames_are_whole(uint8_t family)
{
    uint8_t payload[1200];
    struct call call;
    struct far_got got;
    unsigned n_media = 0;

    memset(payload, 0xff, sizeof(payload));
    call_start(&call, "mem:eth", FAR_GCM, family);
    for (uint16_t len = 1; len < sizeof(payload); len = (uint16_t)(len + 13)) {
        const struct far_rtp rtp = call_audio(&call, payload, len);

        far_send_rtp(&call.pub, &rtp);
        rig_pass(call.rig, 20000);
        n_media++;
    }
    far_send_check(&call.sub, &call.sub.path);
    far_send_check(&call.pub, &call.pub.path);
    rig_pass(call.rig, 2000000);
    check_frames(&call, &call.sub, n_media + 1);
    check_frames(&call, &call.pub, 2); /* answer and receiver report */
    for (uint16_t len = 1; n_media > 0; len = (uint16_t)(len + 13)) {
        assert_true(far_take_rtp(&call.sub, &got));
        assert_int_equal(got.payload_len, len);
        assert_memory_equal(got.payload, payload, len);
        n_media--;
    }
    call_stop(&call);
}

static void ipv4_frames_are_whole(void **state)
{
    (void)state;
    frames_are_whole(4);
}

static void ipv6_frames_are_whole(void **state)
{
    (void)state;
    frames_are_whole(6);
}

static void a_peer_that_moves_is_written_to_at_its_new_address(void **state)
{
    struct call call;
    struct far_got got;
    (void)state;

    call_start(&call, "mem:eth", FAR_GCM, 4);
    call_say(&call);
    assert_true(far_take_rtp(&call.sub, &got));
    call.sub.path = far_path(2, 3, 6); /* another family, too */
    call.sub.conf.paths[1] = call.sub.path;
    call.sub.conf.n_paths = 2;
    call.sub.conf.selected = 1;
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &call.sub.conf), 0);
    call_say(&call);
    assert_true(far_take_rtp(&call.sub, &got));
    check_frames(&call, &call.sub, 1);
    call_stop(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_frames_are_whole),
        cmocka_unit_test(ipv6_frames_are_whole),
        cmocka_unit_test(a_peer_that_moves_is_written_to_at_its_new_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
