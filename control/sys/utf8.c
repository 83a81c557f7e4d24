#include "sys/utf8.h"

#include <string.h>

size_t utf8_char_len(const uint8_t *s, size_t len)
{
    uint8_t lo = 0x80;
    uint8_t hi = 0xbf;
    size_t n;

    if (s[0] < 0x80) {
        return 1;
    }
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        n = 2;
    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        n = 3;
        lo = s[0] == 0xe0 ? 0xa0 : 0x80; /* overlong */
        hi = s[0] == 0xed ? 0x9f : 0xbf; /* surrogates */
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        n = 4;
        lo = s[0] == 0xf0 ? 0x90 : 0x80; /* overlong */
        hi = s[0] == 0xf4 ? 0x8f : 0xbf; /* above U+10FFFF */
    } else {
        return 0;
    }
    if (len < n || s[1] < lo || s[1] > hi) {
        return 0;
    }
    for (size_t i = 2; i < n; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf) {
            return 0;
        }
    }
    return n;
}

/* How many bytes are whole, well-formed characters. */
static size_t whole_chars(const uint8_t *s, size_t len)
{
    size_t i = 0;

    while (i < len) {
        uint64_t word;
        size_t n;

        if (len - i >= sizeof(word)) {
            memcpy(&word, s + i, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) { /* eight ASCII at once */
                i += sizeof(word);
                continue;
            }
        }
        n = utf8_char_len(s + i, len - i);
        if (n == 0) {
            break;
        }
        i += n;
    }
    return i;
}

bool utf8_valid(const uint8_t *s, size_t len)
{
    return whole_chars(s, len) == len;
}

/* Whether 1..3 bytes are the beginning of a character: some byte that may be the second, if
 * it is not there, and any for the others, makes one of them. */
static bool begins_char(const uint8_t *s, size_t len)
{
    static const uint8_t seconds[] = {0x80, 0x90, 0xa0};

    for (size_t i = 0; i < sizeof(seconds); i++) {
        uint8_t full[4] = {s[0], seconds[i], 0x80, 0x80};

        memcpy(full, s, len);
        if (utf8_char_len(full, sizeof(full)) > len) {
            return true;
        }
    }
    return false;
}

bool utf8_valid_so_far(const uint8_t *s, size_t len, size_t *done)
{
    size_t left;

    *done += whole_chars(s + *done, len - *done);
    left = len - *done;
    return left == 0 || (left < 4 && begins_char(s + *done, left));
}
