/* Whether an address is one of the public Internet: where a client may have this machine
 * send things to. All others (its own, those of its network, those of a cloud's metadata)
 * would be reached with the node's rights, not the client's.
 *
 * Pure; header-only. */
#ifndef SFU_BASE_REACH_H
#define SFU_BASE_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct reach_net {
    uint8_t bytes[16], bits;
};

static inline bool reach_in(const uint8_t *address, const struct reach_net *net)
{
    const size_t whole = net->bits / 8;
    const uint8_t mask = (uint8_t)(0xff00 >> (net->bits % 8));

    return memcmp(address, net->bytes, whole) == 0 &&
           (net->bits % 8 == 0 || ((address[whole] ^ net->bytes[whole]) & mask) == 0);
}

static inline bool reach_in_any(const uint8_t *address, const struct reach_net *nets,
                                size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (reach_in(address, &nets[i])) {
            return true;
        }
    }
    return false;
}

/* IANA's registry of special addresses, but for those that are reached as others are. */
static inline bool reach_public4(const uint8_t address[4])
{
    static const struct reach_net special[] = {
        {{0}, 8},         {{10}, 8},       {{100, 64}, 10},      {{127}, 8},
        {{169, 254}, 16}, {{172, 16}, 12}, {{192, 0, 0}, 24},    {{192, 0, 2}, 24},
        {{192, 168}, 16}, {{198, 18}, 15}, {{198, 51, 100}, 24}, {{203, 0, 113}, 24},
        {{224}, 3}, /* multicast, reserved and broadcast */
    };

    return !reach_in_any(address, special, sizeof(special) / sizeof(special[0]));
}

/* Of IPv6 what is global unicast, and does not stand for an address of IPv4 that is not. */
static inline bool reach_public6(const uint8_t address[16])
{
    static const struct reach_net global = {{0x20}, 3};
    static const struct reach_net special[] = {
        {{0x20, 0x01}, 23},             /* protocols; Teredo among them */
        {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
        {{0x20, 0x02}, 16},             /* 6to4 */
        {{0x3f, 0xff}, 20},             /* documentation */
    };
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};

    if (memcmp(address, mapped, 12) == 0 || memcmp(address, nat64, 12) == 0) {
        return reach_public4(address + 12);
    }
    return reach_in(address, &global) &&
           !reach_in_any(address, special, sizeof(special) / sizeof(special[0]));
}

#endif
