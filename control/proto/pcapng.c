/* See pcapng.h. All is in network order, which the byte-order magic tells. */
#include "proto/pcapng.h"

#include <errno.h>
#include <string.h>

#include "sfu/base/bytes.h"

enum {
    BLOCK_SECTION = 0x0a0d0d0a,
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 6,
    ORDER = 0x1a2b3c4d,
    LINK_RAW = 101, /* IPv4 or IPv6, told by its first byte */
    OPTION_END = 0,
    OPTION_COMMENT = 1,
    OPTION_BY = 4,       /* of the section: the program */
    OPTION_UNIT = 9,     /* of the interface: of its times */
    OPTION_FLAGS = 2,    /* of a packet: direction */
    OPTION_DROPPED = 4,  /* of a packet */
    UNIT_US = 6,
    FLAG_IN = 1,
    FLAG_OUT = 2,
    IP4_LEN = 20,
    IP6_LEN = 40,
    UDP_LEN = 8,
    UDP = 17,
    TTL = 64
};

/* ---- blocks ---- */

static size_t padding(size_t len)
{
    return (4 - len % 4) % 4;
}

static void put_option(struct wbytes *w, uint16_t code, const void *value, size_t len)
{
    wbytes_be16(w, code);
    wbytes_be16(w, (uint16_t)len);
    wbytes_put(w, value, len);
    wbytes_zero(w, padding(len));
}

static uint8_t *begin(struct wbytes *w, uint32_t type)
{
    uint8_t *block = w->p;

    wbytes_be32(w, type);
    wbytes_be32(w, 0); /* the length, at the end */
    return block;
}

static void end(struct wbytes *w, uint8_t *block)
{
    uint32_t len;

    wbytes_be32(w, OPTION_END);
    len = (uint32_t)(w->p - block) + 4;
    wbytes_be32(w, len);
    if (!w->bad) {
        store_be32(block + 4, len);
    }
}

int pcapng_head(uint8_t *out, size_t cap, const char *by)
{
    static const uint8_t unit[1] = {UNIT_US};
    struct wbytes w = wbytes_of(out, cap);
    uint8_t *block = begin(&w, BLOCK_SECTION);

    wbytes_be32(&w, ORDER);
    wbytes_be16(&w, 1); /* version 1.0 */
    wbytes_be16(&w, 0);
    wbytes_be32(&w, UINT32_MAX); /* as long as it will be */
    wbytes_be32(&w, UINT32_MAX);
    put_option(&w, OPTION_BY, by, strlen(by));
    end(&w, block);
    block = begin(&w, BLOCK_INTERFACE);
    wbytes_be16(&w, LINK_RAW);
    wbytes_be16(&w, 0);
    wbytes_be32(&w, 0); /* nothing is cut off */
    put_option(&w, OPTION_UNIT, unit, sizeof(unit));
    end(&w, block);
    return w.bad ? -ENOSPC : (int)wbytes_len(&w);
}

/* ---- packets ---- */

/* The sum of 16-bit words (RFC 1071), not folded. */
static uint32_t sum_of(uint32_t sum, const uint8_t *p, size_t len)
{
    for (; len > 1; p += 2, len -= 2) {
        sum += load_be16(p);
    }
    return len > 0 ? sum + ((uint32_t)p[0] << 8) : sum;
}

static uint16_t folded(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* Fills 'ip' and returns its length. */
static size_t ip_header(const struct pcapng_packet *packet, uint16_t udp_len,
                        uint8_t ip[IP6_LEN])
{
    memset(ip, 0, IP6_LEN);
    if (packet->family == 4) {
        ip[0] = 0x45;
        store_be16(ip + 2, (uint16_t)(IP4_LEN + udp_len));
        ip[8] = TTL;
        ip[9] = UDP;
        memcpy(ip + 12, packet->from_ip + 12, 4);
        memcpy(ip + 16, packet->to_ip + 12, 4);
        store_be16(ip + 10, folded(sum_of(0, ip, IP4_LEN)));
        return IP4_LEN;
    }
    ip[0] = 0x60;
    store_be16(ip + 4, udp_len);
    ip[6] = UDP;
    ip[7] = TTL;
    memcpy(ip + 8, packet->from_ip, 16);
    memcpy(ip + 24, packet->to_ip, 16);
    return IP6_LEN;
}

static void udp_header(const struct pcapng_packet *packet, uint16_t udp_len,
                       const uint8_t *ip, uint8_t udp[UDP_LEN])
{
    uint32_t sum = UDP + (uint32_t)udp_len;
    uint16_t checksum;

    store_be16(udp, packet->from_port);
    store_be16(udp + 2, packet->to_port);
    store_be16(udp + 4, udp_len);
    store_be16(udp + 6, 0);
    sum = packet->family == 4 ? sum_of(sum, ip + 12, 8) : sum_of(sum, ip + 8, 32);
    sum = sum_of(sum, udp, UDP_LEN);
    checksum = folded(sum_of(sum, packet->data, packet->len));
    store_be16(udp + 6, checksum != 0 ? checksum : 0xffff); /* 0 says that there is none */
}

int pcapng_packet(uint8_t *out, size_t cap, const struct pcapng_packet *packet)
{
    struct wbytes w = wbytes_of(out, cap);
    uint8_t *block = begin(&w, BLOCK_PACKET);
    const uint16_t udp_len = (uint16_t)(UDP_LEN + packet->len);
    uint8_t ip[IP6_LEN], udp[UDP_LEN], word[8];
    size_t ip_len, len;

    if (packet->len > PCAPNG_DATA_MAX) {
        return -EMSGSIZE;
    }
    ip_len = ip_header(packet, udp_len, ip);
    udp_header(packet, udp_len, ip, udp);
    len = ip_len + udp_len;
    wbytes_be32(&w, 0); /* the interface */
    wbytes_be32(&w, (uint32_t)(packet->wall_us >> 32));
    wbytes_be32(&w, (uint32_t)packet->wall_us);
    wbytes_be32(&w, (uint32_t)len);
    wbytes_be32(&w, (uint32_t)len);
    wbytes_put(&w, ip, ip_len);
    wbytes_put(&w, udp, sizeof(udp));
    wbytes_put(&w, packet->data, packet->len);
    wbytes_zero(&w, padding(len));
    store_be32(word, packet->out ? FLAG_OUT : FLAG_IN);
    put_option(&w, OPTION_FLAGS, word, 4);
    if (packet->missed > 0) {
        store_be64(word, packet->missed);
        put_option(&w, OPTION_DROPPED, word, 8);
    }
    if (packet->comment != NULL) {
        put_option(&w, OPTION_COMMENT, packet->comment, strlen(packet->comment));
    }
    end(&w, block);
    return w.bad ? -ENOSPC : (int)wbytes_len(&w);
}
