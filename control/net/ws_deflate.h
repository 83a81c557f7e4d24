/* permessage-deflate (RFC 7692) of a WebSocket's server: what is agreed on, messages made
 * smaller and large again. Neither side keeps anything from one message to the next: memory
 * is needed only while a message is on its way, and what was compressed once suits every
 * receiver. The zlib file.
 *
 * Pure; memory as said. */
#ifndef NET_WS_DEFLATE_H
#define NET_WS_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WS_DEFLATE_MIN = 1024, /* bytes of a message that is worth it */
    WS_DEFLATE_ANSWER = 128
};

struct ws_deflate {
    bool on;             /* compressed messages may come */
    uint8_t server_bits; /* of the window that the client demands of us; 0: it does not */
};

/* Takes the first offer of Sec-WebSocket-Extensions (may be NULL) that is well-formed and
 * can be met; 'on' is false if there is none. */
struct ws_deflate ws_deflate_accept(const char *offers);

/* True if what ws_deflate() makes may be sent: it takes the largest window. */
bool ws_deflate_sends(const struct ws_deflate *agreed);

/* Writes the value of the answer's header; 'agreed' is on. */
void ws_deflate_answer(const struct ws_deflate *agreed, char out[WS_DEFLATE_ANSWER]);

/* Compresses a message. Returns how many bytes, at most 'cap'; 0 if it does not fit or
 * there is no memory (some 270 kB during the call). */
size_t ws_deflate(const void *data, size_t len, uint8_t *out, size_t cap);

/* One compressed message on its way in: some 7 kB, 40 kB once it is larger than a part. */
struct ws_inflate;

struct ws_inflate *ws_inflate_create(void); /* NULL without memory */
void ws_inflate_destroy(struct ws_inflate *z);

/* Goes on with '*data', moving '*data' and '*len' past what was taken. The message so far
 * is msg[0..*msg_len); what is new is appended, up to 'cap' in all. All was taken if there
 * is room left after the call. Returns 0, -EBADMSG or -ENOMEM. */
int ws_inflate(struct ws_inflate *z, const uint8_t **data, size_t *len, uint8_t *msg,
               size_t *msg_len, size_t cap);

/* True if a message may end where it stands (RFC 7692, section 7.2.2). */
bool ws_inflate_whole(struct ws_inflate *z);

#endif
