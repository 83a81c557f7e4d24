#include "proto/h264_profile.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* RFC 6184, table 5: the bits of profile-iop that count, and what they must be. */
static const struct {
    uint8_t idc;
    uint8_t mask;
    uint8_t value;
    enum h264_profile profile;
} PROFILES[] = {
    {0x42, 0x4f, 0x40, H264_CONSTRAINED_BASELINE}, /* x1xx0000 */
    {0x4d, 0x8f, 0x80, H264_CONSTRAINED_BASELINE}, /* 1xxx0000 */
    {0x58, 0xcf, 0xc0, H264_CONSTRAINED_BASELINE}, /* 11xx0000 */
    {0x42, 0x4f, 0x00, H264_BASELINE},             /* x0xx0000 */
    {0x58, 0xcf, 0x80, H264_BASELINE},             /* 10xx0000 */
    {0x4d, 0xaf, 0x00, H264_MAIN},                 /* 0x0x0000 */
    {0x64, 0xff, 0x00, H264_HIGH},
    {0x64, 0xff, 0x0c, H264_CONSTRAINED_HIGH},
    {0xf4, 0xff, 0x00, H264_PREDICTIVE_HIGH_444},
};

static bool level_known(uint8_t level)
{
    static const uint8_t levels[] = {10, 11, 12, 13, 20, 21, 22, 30,
                                     31, 32, 40, 41, 42, 50, 51, 52};

    return memchr(levels, level, sizeof(levels)) != NULL;
}

int h264_profile_parse(const char *text, enum h264_profile *profile, uint8_t *level)
{
    unsigned long v;
    uint8_t iop;

    if (text[0] == '\0') {
        *profile = H264_CONSTRAINED_BASELINE;
        *level = 31;
        return 0;
    }
    if (strlen(text) != 6 || strspn(text, "0123456789abcdefABCDEF") != 6) {
        return -EINVAL;
    }
    v = strtoul(text, NULL, 16);
    iop = (uint8_t)(v >> 8);
    if (!level_known((uint8_t)v)) {
        return -EINVAL;
    }
    for (size_t i = 0; i < sizeof(PROFILES) / sizeof(PROFILES[0]); i++) {
        if (PROFILES[i].idc == (uint8_t)(v >> 16) &&
            (iop & PROFILES[i].mask) == PROFILES[i].value) {
            *profile = PROFILES[i].profile;
            /* Constraint set 3 makes level 1.1 level 1b. */
            *level = (uint8_t)v == 11 && (iop & 0x10) != 0 ? H264_LEVEL_1B : (uint8_t)v;
            return 0;
        }
    }
    return -EINVAL;
}
