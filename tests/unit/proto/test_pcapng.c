/* What is captured, as a file of pcapng: its bytes, and what tcpdump makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/pcapng.h"

enum { ROOM = 1024 };

/* 192.0.2.1 and 198.51.100.2, 2001:db8::1 and 2001:db8::2 */
static const uint8_t here4[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1};
static const uint8_t there4[16] = {[10] = 0xff, 0xff, 198, 51, 100, 2};
static const uint8_t here6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
static const uint8_t there6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 2};

static struct pcapng_packet packet4(const void *data, size_t len)
{
    return (struct pcapng_packet){.wall_us = 0x0006123456789abc,
                                  .from_ip = here4,
                                  .to_ip = there4,
                                  .from_port = 50000,
                                  .to_port = 40001,
                                  .family = 4,
                                  .out = true,
                                  .data = data,
                                  .len = len};
}

static struct pcapng_packet packet6(const void *data, size_t len)
{
    struct pcapng_packet packet = packet4(data, len);

    packet.from_ip = there6;
    packet.to_ip = here6;
    packet.family = 6;
    packet.out = false;
    return packet;
}

static void the_head_is_a_section_and_an_interface_of_bare_ip(void **state)
{
    static const uint8_t expected[] = {
        0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 40, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* of unknown length */
        0, 4, 0, 3, 'k', 'c', 's', 0,                   /* who wrote it, padded */
        0, 0, 0, 0, 0, 0, 0, 40,
        0, 0, 0, 1, 0, 0, 0, 32, 0, 101, 0, 0, 0, 0, 0, 0,
        0, 9, 0, 1, 6, 0, 0, 0, /* times in microseconds */
        0, 0, 0, 0, 0, 0, 0, 32};
    uint8_t out[PCAPNG_HEAD_MAX];
    (void)state;

    assert_int_equal(pcapng_head(out, sizeof(out), "kcs"), sizeof(expected));
    assert_memory_equal(out, expected, sizeof(expected));
    assert_int_equal(pcapng_head(out, sizeof(expected), "kcs"), sizeof(expected));
    assert_int_equal(pcapng_head(out, sizeof(expected) - 1, "kcs"), -ENOSPC);
    assert_true(pcapng_head(out, sizeof(out), /* 64 characters */
                            "0123456789abcdef0123456789abcdef"
                            "0123456789abcdef0123456789abcdef") > 0);
}

static void a_packet_of_ipv4_has_its_headers_and_what_was_missed_before(void **state)
{
    static const uint8_t expected[] = {
        0, 0, 0, 6, 0, 0, 0, 88, 0, 0, 0, 0, 0x00, 0x06, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc,
        0, 0, 0, 31, 0, 0, 0, 31,
        /* IPv4 and UDP; their checksums were computed by another program */
        0x45, 0, 0, 31, 0, 0, 0, 0, 64, 17, 0x8e, 0x97, 192, 0, 2, 1, 198, 51, 100, 2,
        0xc3, 0x50, 0x9c, 0x41, 0, 11, 0xef, 0xab, 'a', 'b', 'c', 0, /* padded */
        0, 2, 0, 4, 0, 0, 0, 2,                                      /* outbound */
        0, 4, 0, 8, 0, 0, 0, 1, 0, 0, 0, 5,                          /* dropped */
        0, 0, 0, 0, 0, 0, 0, 88};
    struct pcapng_packet packet = packet4("abc", 3);
    uint8_t out[ROOM];
    (void)state;

    packet.missed = UINT64_C(0x100000005);
    assert_int_equal(pcapng_packet(out, sizeof(out), &packet), sizeof(expected));
    assert_memory_equal(out, expected, sizeof(expected));
}

static void a_packet_of_ipv6_has_its_headers_and_its_comment(void **state)
{
    static const uint8_t ip[] = {0x60, 0, 0, 0, 0, 12, 17, 64};
    static const uint8_t options[] = {0,   2,   0,   4,   0,   0,   0,   1, /* inbound */
                                      0,   1,   0,   9,   'd', 'e', 'c', 'r',
                                      'y', 'p', 't', 'e', 'd', 0,   0,   0,
                                      0,   0,   0,   0,   0,   0,   0,   112};
    struct pcapng_packet packet = packet6("abcd", 4);
    uint8_t out[ROOM];
    (void)state;

    packet.comment = "decrypted";
    assert_int_equal(pcapng_packet(out, sizeof(out), &packet), 112);
    assert_int_equal(out[23], 52); /* what follows without padding: 40 + 8 + 4 */
    assert_memory_equal(out + 28, ip, sizeof(ip));
    assert_memory_equal(out + 36, there6, 16);
    assert_memory_equal(out + 52, here6, 16);
    assert_memory_equal(out + 76, "abcd", 4);
    assert_memory_equal(out + 80, options, sizeof(options));
}

/* 0 would say that there is none (RFC 768). */
static void a_checksum_of_zero_is_written_as_its_other_form(void **state)
{
    uint8_t data[2] = {0, 0}, out[ROOM];
    struct pcapng_packet packet = packet4(data, sizeof(data));
    const uint8_t *sum = out + 28 + 20 + 6;
    (void)state;

    assert_true(pcapng_packet(out, sizeof(out), &packet) > 0);
    memcpy(data, sum, 2); /* with which all adds up to 0xffff */
    assert_true(pcapng_packet(out, sizeof(out), &packet) > 0);
    assert_int_equal(sum[0], 0xff);
    assert_int_equal(sum[1], 0xff);
}

static void what_does_not_fit_is_refused(void **state)
{
    static uint8_t data[PCAPNG_DATA_MAX + 1], big[PCAPNG_DATA_MAX + PCAPNG_MORE_MAX];
    struct pcapng_packet packet = packet6(data, 5);
    int len;
    (void)state;

    packet.missed = 1;
    packet.comment = "0123456789abcdef0123456789abcdef0123456789abcdef";
    len = pcapng_packet(big, sizeof(big), &packet);
    assert_true(len > 0 && len <= 5 + PCAPNG_MORE_MAX);
    for (int cap = 0; cap <= len; cap++) {
        uint8_t *out = malloc((size_t)cap + 1); /* ASan guards its end */

        assert_non_null(out);
        out[cap] = 0x5a;
        assert_int_equal(pcapng_packet(out, (size_t)cap, &packet),
                         cap < len ? -ENOSPC : len);
        assert_int_equal(out[cap], 0x5a);
        free(out);
    }
    packet.len = PCAPNG_DATA_MAX;
    assert_true(pcapng_packet(big, sizeof(big), &packet) > PCAPNG_DATA_MAX);
    packet.len = PCAPNG_DATA_MAX + 1;
    assert_int_equal(pcapng_packet(big, sizeof(big), &packet), -EMSGSIZE);
}

/* What tcpdump says of a file, on one line a packet. */
static void read_back(const uint8_t *file, size_t len, char *text, size_t cap)
{
    char name[] = "/tmp/kcs-pcapng-XXXXXX", command[128];
    int fd = mkstemp(name);
    FILE *says;
    size_t n;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, file, len), (ssize_t)len);
    assert_int_equal(close(fd), 0);
    (void)snprintf(command, sizeof(command),
                   "tcpdump -n -tt -vv -r - <%s 2>&1 | tr -s '\\n ' ' '", name);
    says = popen(command, "r");
    assert_non_null(says);
    n = fread(text, 1, cap - 1, says);
    text[n] = '\0';
    assert_int_equal(pclose(says), 0);
    assert_int_equal(unlink(name), 0);
}

static void expect(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("'%s' is not in: %s", part, text);
    }
}

static void tcpdump_reads_it(void **state)
{
    static uint8_t file[8192];
    const uint8_t data[1200] = {0x80, 1, 2};
    size_t len;
    char text[4096];
    (void)state;

    if (system("command -v tcpdump >/dev/null") != 0) {
        skip();
    }
    len = (size_t)pcapng_head(file, sizeof(file), "kcs-control");
    for (unsigned i = 0; i < 3; i++) { /* of each padding */
        struct pcapng_packet v4 = packet4(data, 1197 + i), v6 = packet6(data, 1 + i);

        v4.wall_us = UINT64_C(1700000000000000) + i;
        v4.missed = i;
        v6.wall_us = v4.wall_us;
        v6.comment = "decrypted";
        len += (size_t)pcapng_packet(file + len, sizeof(file) - len, &v4);
        len += (size_t)pcapng_packet(file + len, sizeof(file) - len, &v6);
    }
    read_back(file, len, text, sizeof(text));
    for (unsigned i = 0; i < 3; i++) {
        char line[160];

        (void)snprintf(line, sizeof(line), " 1700000000.00000%u IP (", i);
        expect(text, line);
        (void)snprintf(
            line, sizeof(line),
            "192.0.2.1.50000 > 198.51.100.2.40001: [udp sum ok] UDP, length %u", 1197 + i);
        expect(text, line);
        (void)snprintf(
            line, sizeof(line),
            "2001:db8::2.50000 > 2001:db8::1.40001: [udp sum ok] UDP, length %u ", 1 + i);
        expect(text, line);
    }
    assert_null(strstr(text, "bad cksum"));
    assert_null(strstr(text, "truncated"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_head_is_a_section_and_an_interface_of_bare_ip),
        cmocka_unit_test(a_packet_of_ipv4_has_its_headers_and_what_was_missed_before),
        cmocka_unit_test(a_packet_of_ipv6_has_its_headers_and_its_comment),
        cmocka_unit_test(a_checksum_of_zero_is_written_as_its_other_form),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(tcpdump_reads_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
