/* Whether bytes are UTF-8 (RFC 3629): WebSocket text must be, and log lines are made so.
 *
 * Pure; any thread. */
#ifndef SYS_UTF8_H
#define SYS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length 1..4 of the well-formed character at 's', or 0 if the bytes there are none (bad
 * lead, cut short, overlong, surrogate, above U+10FFFF). 'len' is at least 1. */
size_t utf8_char_len(const uint8_t *s, size_t len);

/* True if all 'len' bytes are well-formed; the empty string is. */
bool utf8_valid(const uint8_t *s, size_t len);

/* For text that comes in pieces: true if its beginning, 'len' bytes so far, can become
 * well-formed. 'done' (0 at first) is moved behind the whole characters seen, so that each
 * byte is looked at once or twice. */
bool utf8_valid_so_far(const uint8_t *s, size_t len, size_t *done);

#endif
