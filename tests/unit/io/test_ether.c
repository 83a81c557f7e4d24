/* ether: headers off and on, against frames written out here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/ether.h"

enum { V4_LEN = 46, V6_LEN = 66 }; /* with four bytes of payload */

static const uint8_t v4_frame[V4_LEN] = {
    0x02, 0x4b, 0x43, 0x53, 0,    2,    0x02, 0x4b, 0x43, 0x53, 0,    1, /* Ethernet */
    0x08, 0x00,                                                          /* IPv4 */
    0x45, 0,    0,    32,   0x12, 0x34, 0x40, 0,    64,   17,   0x8e, 0x00,
    10,   75,   67,   1,    10,   75,   67,   2, /* UDP: 40000 to 7000 */
    0x9c, 0x40, 0x1b, 0x58, 0,    12,   0xab, 0xcd, 'd',  'a',  't',  'a'};

static const uint8_t v6_frame[V6_LEN] = {
    0x02, 0x4b, 0x43, 0x53, 0, 2,  0x02, 0x4b, 0x43, 0x53, 0,    1,    0x86, 0xdd,
    0x60, 0,    0,    0,    0, 12, 17,   64,   0xfd, 0x4b, 0x43, 0x53, 0x6b, 0x63,
    0,    0,    0,    0,    0, 0,  0,    0,    0,    1,    0xfd, 0x4b, 0x43, 0x53,
    0x6b, 0x63, 0,    0,    0, 0,  0,    0,    0,    0,    0,    2,    0x9c, 0x40,
    0x1b, 0x58, 0,    12,   0, 0,  'd',  'a',  't',  'a'};

static int parse(const uint8_t *frame, size_t len, struct path *path, struct ether_udp *udp)
{
    /* exactly as much memory as bytes, so a sanitizer sees a read past the end */
    uint8_t *copy = malloc(len + 1);
    int why;

    memcpy(copy, frame, len);
    why = ether_parse(copy, len, path, udp);
    free(copy);
    return why;
}

/* What becomes of the frame with one byte changed; IPv4 header checksums are mended. */
static int parse_with(const uint8_t *frame, size_t len, size_t at, uint8_t value)
{
    uint8_t copy[128];
    struct ether_udp udp;
    struct path path;

    memcpy(copy, frame, len);
    copy[at] = value;
    if (len == V4_LEN && at >= 14 && at < 34) {
        uint32_t sum = 0;

        copy[24] = copy[25] = 0;
        for (size_t i = 14; i < 34; i += 2) {
            sum += (uint32_t)copy[i] << 8 | copy[i + 1];
        }
        sum = (sum & 0xffff) + (sum >> 16);
        sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
        copy[24] = (uint8_t)(sum >> 8);
        copy[25] = (uint8_t)sum;
    }
    return parse(copy, len, &path, &udp);
}

static void ipv4_datagram_is_parsed(void **state)
{
    const uint8_t remote[16] = {[10] = 0xff, 0xff, 10, 75, 67, 1};
    const uint8_t local[16] = {[10] = 0xff, 0xff, 10, 75, 67, 2};
    struct ether_udp udp;
    struct path path;
    (void)state;

    assert_int_equal(parse(v4_frame, V4_LEN, &path, &udp), 0);
    assert_int_equal(path.family, 4);
    assert_int_equal(path.remote_port, 40000);
    assert_int_equal(path.local_port, 7000);
    assert_memory_equal(path.remote_ip, remote, 16);
    assert_memory_equal(path.local_ip, local, 16);
    assert_memory_equal(path.remote_mac, v4_frame + 6, 6);
    assert_int_equal(udp.offset, 42);
    assert_int_equal(udp.len, 4);
}

static void ipv6_datagram_is_parsed(void **state)
{
    struct ether_udp udp;
    struct path path;
    (void)state;

    assert_int_equal(parse(v6_frame, V6_LEN, &path, &udp), 0);
    assert_int_equal(path.family, 6);
    assert_memory_equal(path.remote_ip, v6_frame + 22, 16);
    assert_memory_equal(path.local_ip, v6_frame + 38, 16);
    assert_int_equal(udp.offset, 62);
    assert_int_equal(udp.len, 4);
}

static void padding_of_a_short_frame_is_not_payload(void **state)
{
    uint8_t frame[60] = {0};
    struct ether_udp udp;
    struct path path;
    (void)state;

    memcpy(frame, v4_frame, V4_LEN);
    assert_int_equal(parse(frame, sizeof(frame), &path, &udp), 0);
    assert_int_equal(udp.len, 4);
}

static void truncated_frames_are_malformed_at_every_length(void **state)
{
    struct ether_udp udp;
    struct path path;
    (void)state;

    for (size_t len = 0; len < V4_LEN; len++) {
        assert_int_equal(parse(v4_frame, len, &path, &udp), -1 - IO_IGNORED_MALFORMED);
    }
    for (size_t len = 0; len < V6_LEN; len++) {
        assert_int_equal(parse(v6_frame, len, &path, &udp), -1 - IO_IGNORED_MALFORMED);
    }
}

static void wrong_lengths_and_versions_are_malformed(void **state)
{
    const int malformed = -1 - IO_IGNORED_MALFORMED;
    (void)state;

    assert_int_equal(parse_with(v4_frame, V4_LEN, 14, 0x55), malformed); /* version */
    assert_int_equal(parse_with(v4_frame, V4_LEN, 14, 0x44), malformed); /* header length */
    assert_int_equal(parse_with(v4_frame, V4_LEN, 17, 19), malformed);   /* total length */
    assert_int_equal(parse_with(v4_frame, V4_LEN, 17, 33), malformed);
    assert_int_equal(parse_with(v4_frame, V4_LEN, 39, 7), malformed); /* UDP length */
    assert_int_equal(parse_with(v4_frame, V4_LEN, 39, 13), malformed);
    assert_int_equal(parse_with(v6_frame, V6_LEN, 14, 0x40), malformed);
    assert_int_equal(parse_with(v6_frame, V6_LEN, 19, 13), malformed);
    assert_int_equal(parse_with(v6_frame, V6_LEN, 59, 13), malformed);
}

static void wrong_ipv4_header_checksum_is_malformed(void **state)
{
    uint8_t frame[V4_LEN];
    struct ether_udp udp;
    struct path path;
    (void)state;

    memcpy(frame, v4_frame, V4_LEN);
    frame[25] ^= 1;
    assert_int_equal(parse(frame, V4_LEN, &path, &udp), -1 - IO_IGNORED_MALFORMED);
}

static void what_is_not_plain_udp_is_ignored_by_reason(void **state)
{
    (void)state;
    assert_int_equal(parse_with(v4_frame, V4_LEN, 12, 0x09), -1 - IO_IGNORED_NOT_IP);
    assert_int_equal(parse_with(v4_frame, V4_LEN, 14, 0x46), -1 - IO_IGNORED_OPTIONS);
    assert_int_equal(parse_with(v4_frame, V4_LEN, 20, 0x20), -1 - IO_IGNORED_FRAGMENT);
    assert_int_equal(parse_with(v4_frame, V4_LEN, 21, 1), -1 - IO_IGNORED_FRAGMENT);
    assert_int_equal(parse_with(v4_frame, V4_LEN, 23, 6), -1 - IO_IGNORED_PROTOCOL);
    assert_int_equal(parse_with(v6_frame, V6_LEN, 20, 6), -1 - IO_IGNORED_PROTOCOL);
    assert_int_equal(parse_with(v6_frame, V6_LEN, 20, 44), -1 - IO_IGNORED_FRAGMENT);
    assert_int_equal(parse_with(v6_frame, V6_LEN, 20, 0), -1 - IO_IGNORED_OPTIONS);
    assert_int_equal(parse_with(v6_frame, V6_LEN, 20, 60), -1 - IO_IGNORED_OPTIONS);
}

static void sources_that_nobody_has_are_ignored(void **state)
{
    const int source = -1 - IO_IGNORED_SOURCE;
    uint8_t frame[V4_LEN];
    struct ether_udp udp;
    struct path path;
    (void)state;

    assert_int_equal(parse_with(v4_frame, V4_LEN, 26, 0), source);
    assert_int_equal(parse_with(v4_frame, V4_LEN, 26, 127), source);
    assert_int_equal(parse_with(v4_frame, V4_LEN, 26, 224), source);
    assert_int_equal(parse_with(v4_frame, V4_LEN, 26, 255), source);
    assert_int_equal(parse_with(v6_frame, V6_LEN, 22, 0xff), source);
    memcpy(frame, v4_frame, V4_LEN);
    frame[34] = frame[35] = 0; /* port 0 */
    assert_int_equal(parse(frame, V4_LEN, &path, &udp), source);
}

static void unspecified_and_loopback_ipv6_sources_are_ignored(void **state)
{
    uint8_t frame[V6_LEN];
    struct ether_udp udp;
    struct path path;
    (void)state;

    memcpy(frame, v6_frame, V6_LEN);
    memset(frame + 22, 0, 16);
    assert_int_equal(parse(frame, V6_LEN, &path, &udp), -1 - IO_IGNORED_SOURCE);
    frame[37] = 1;
    assert_int_equal(parse(frame, V6_LEN, &path, &udp), -1 - IO_IGNORED_SOURCE);
    frame[37] = 2;
    assert_int_equal(parse(frame, V6_LEN, &path, &udp), 0);
}

/* What the template writes parses to the same path with its ends swapped. */
static void assert_template_goes_back(const uint8_t *frame, size_t len)
{
    const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};
    uint8_t out[128];
    struct ether_udp udp;
    struct pkt_hdr hdr;
    struct path path, back;

    assert_int_equal(ether_parse(frame, len, &path, &udp), 0);
    ether_template(mac, &path, &hdr);
    assert_int_equal(hdr.len, udp.offset);
    pkt_hdr_write(&hdr, out, udp.len);
    memcpy(out + hdr.len, "atad", 4);
    assert_int_equal(parse(out, hdr.len + 4u, &back, &udp), 0);
    assert_memory_equal(out, frame + 6, 6);
    assert_memory_equal(out + 6, mac, 6);
    assert_int_equal(udp.len, 4);
    assert_int_equal(back.remote_port, path.local_port);
    assert_int_equal(back.local_port, path.remote_port);
    assert_memory_equal(back.remote_ip, path.local_ip, 16);
    assert_memory_equal(back.local_ip, path.remote_ip, 16);
}

static void template_leads_back_to_the_sender(void **state)
{
    (void)state;
    assert_template_goes_back(v4_frame, V4_LEN);
    assert_template_goes_back(v6_frame, V6_LEN);
}

static void template_is_right_for_every_payload_length(void **state)
{
    uint8_t out[PKT_ROOM];
    struct ether_udp udp;
    struct pkt_hdr hdr;
    struct path path, back;
    (void)state;

    memset(out, 0, sizeof(out));
    assert_int_equal(ether_parse(v4_frame, V4_LEN, &path, &udp), 0);
    ether_template(v4_frame, &path, &hdr);
    for (uint16_t len = 0; len <= PKT_MAX_DATAGRAM; len++) {
        pkt_hdr_write(&hdr, out, len);
        assert_int_equal(ether_parse(out, hdr.len + (size_t)len, &back, &udp), 0);
        assert_int_equal(udp.len, len);
    }
}

static void ipv6_udp_checksum_is_computed(void **state)
{
    uint8_t frame[V6_LEN];
    uint32_t sum = 0;
    (void)state;

    memcpy(frame, v6_frame, V6_LEN);
    assert_true(ether_udp6_sum(frame));
    /* RFC 8200, 8.1: pseudo-header, UDP header and data sum to all ones */
    for (size_t i = 22; i < V6_LEN; i += 2) {
        sum += (uint32_t)frame[i] << 8 | frame[i + 1];
    }
    sum += 12 + 17;
    sum = (sum & 0xffff) + (sum >> 16);
    assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
    assert_true(frame[60] != 0 || frame[61] != 0);
}

static void ipv4_goes_without_checksum(void **state)
{
    uint8_t frame[V4_LEN];
    (void)state;

    memcpy(frame, v4_frame, V4_LEN);
    assert_false(ether_udp6_sum(frame));
    assert_memory_equal(frame, v4_frame, V4_LEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_datagram_is_parsed),
        cmocka_unit_test(ipv6_datagram_is_parsed),
        cmocka_unit_test(padding_of_a_short_frame_is_not_payload),
        cmocka_unit_test(truncated_frames_are_malformed_at_every_length),
        cmocka_unit_test(wrong_lengths_and_versions_are_malformed),
        cmocka_unit_test(wrong_ipv4_header_checksum_is_malformed),
        cmocka_unit_test(what_is_not_plain_udp_is_ignored_by_reason),
        cmocka_unit_test(sources_that_nobody_has_are_ignored),
        cmocka_unit_test(unspecified_and_loopback_ipv6_sources_are_ignored),
        cmocka_unit_test(template_leads_back_to_the_sender),
        cmocka_unit_test(template_is_right_for_every_payload_length),
        cmocka_unit_test(ipv6_udp_checksum_is_computed),
        cmocka_unit_test(ipv4_goes_without_checksum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
