#include "sys/prefix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { MAPPED = 96, BITS = 128 }; /* ::ffff:0:0/96 */

static void map(const void *v4, uint8_t out[16])
{
    static const uint8_t head[12] = {[10] = 0xff, [11] = 0xff};

    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head), v4, 4);
}

/* The bits of byte 'i' that belong to a network of so many bits. */
static uint8_t mask(unsigned bits, unsigned i)
{
    unsigned left = bits > 8 * i ? bits - 8 * i : 0;

    return left >= 8 ? 0xff : (uint8_t)(0xff00U >> left);
}

int prefix_parse(const char *text, struct prefix *out)
{
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    char ip[INET6_ADDRSTRLEN];
    uint8_t v4[4];
    unsigned long most = BITS;
    unsigned long bits;
    char *end;

    if (len >= sizeof(ip)) {
        return -EINVAL;
    }
    memcpy(ip, text, len);
    ip[len] = '\0';
    if (inet_pton(AF_INET, ip, v4) == 1) {
        map(v4, out->address);
        most = 32;
    } else if (inet_pton(AF_INET6, ip, out->address) != 1) {
        return -EINVAL;
    }
    bits = most;
    if (slash != NULL) {
        bits = strtoul(slash + 1, &end, 10);
        if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || bits > most) {
            return -EINVAL;
        }
    }
    out->bits = (uint8_t)(bits + (most == BITS ? 0 : MAPPED));
    for (unsigned i = 0; i < sizeof(out->address); i++) {
        if ((out->address[i] & ~mask(out->bits, i)) != 0) {
            return -EINVAL;
        }
    }
    return 0;
}

bool prefix_has(const struct prefix *prefix, const struct sockaddr_storage *ss)
{
    uint8_t address[16];

    if (ss->ss_family == AF_INET) {
        map(&((const struct sockaddr_in *)ss)->sin_addr, address);
    } else if (ss->ss_family == AF_INET6) {
        memcpy(address, &((const struct sockaddr_in6 *)ss)->sin6_addr, sizeof(address));
    } else {
        return false;
    }
    for (unsigned i = 0; i < sizeof(address); i++) {
        if (((address[i] ^ prefix->address[i]) & mask(prefix->bits, i)) != 0) {
            return false;
        }
    }
    return true;
}
