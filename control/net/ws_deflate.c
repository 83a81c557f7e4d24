/* See ws_deflate.h. */
#include "net/ws_deflate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

enum {
    BITS_MIN = 8,
    BITS_MAX = 15,
    MEM_LEVEL = 8,
    TAIL = 4, /* of the flush, which is not sent (RFC 7692, section 7.2.1) */
    WINDOW = 1 << BITS_MAX,
    OFFERS_MAX = 16, /* looked at */
    LAST_MAX = 64,   /* blocks of one message that call themselves the last: each costs */
};

/* ---- the handshake ---- */

/* A part of a header's value, without blanks around it. */
struct span {
    const char *at;
    size_t len;
};

/* Cuts what stands before the next 'sep' off '*list'. False at the end of the list. Quoted
 * strings are not looked into: no value that is good has a separator in it. */
static bool cut(struct span *list, char sep, struct span *out)
{
    size_t n = 0;

    if (list->at == NULL) {
        return false;
    }
    while (n < list->len && list->at[n] != sep) {
        n++;
    }
    *out = (struct span){list->at, n};
    list->at = n < list->len ? list->at + n + 1 : NULL;
    list->len -= n < list->len ? n + 1 : n;
    while (out->len > 0 && strchr(" \t", out->at[0]) != NULL) {
        out->at++;
        out->len--;
    }
    while (out->len > 0 && strchr(" \t", out->at[out->len - 1]) != NULL) {
        out->len--;
    }
    return true;
}

static bool is(struct span word, const char *text)
{
    return word.len == strlen(text) && strncasecmp(word.at, text, word.len) == 0;
}

/* 8 to 15, in quotes or not; 0 for anything else. */
static uint8_t window_bits(struct span value)
{
    unsigned bits = 0;

    if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"') {
        value.at++;
        value.len -= 2;
    }
    if (value.len == 0 || value.len > 2 || value.at[0] == '0') {
        return 0;
    }
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9') {
            return 0;
        }
        bits = bits * 10 + (unsigned)(value.at[i] - '0');
    }
    return bits >= BITS_MIN && bits <= BITS_MAX ? (uint8_t)bits : 0;
}

/* One parameter of an offer (RFC 7692, section 7.1); each may stand once ('seen'). */
static bool take_parameter(struct span text, unsigned *seen, struct ws_deflate *out)
{
    static const char *const names[] = {"server_no_context_takeover",
                                        "client_no_context_takeover",
                                        "server_max_window_bits", "client_max_window_bits"};
    struct span name;
    struct span value = {NULL, 0};
    bool has_value;
    unsigned i = 0;

    (void)cut(&text, '=', &name);
    has_value = text.at != NULL;
    if (has_value) {
        value = text;
        (void)cut(&text, '\0', &value);
    }
    while (i < 4 && !is(name, names[i])) {
        i++;
    }
    if (i == 4 || (*seen >> i & 1) != 0) {
        return false;
    }
    *seen |= 1U << i;
    switch (i) {
    case 2:
        out->server_bits = has_value ? window_bits(value) : 0;
        return out->server_bits != 0;
    case 3: /* that it could do with less; ours holds the largest */
        return !has_value || window_bits(value) != 0;
    default:
        return !has_value;
    }
}

struct ws_deflate ws_deflate_accept(const char *offers)
{
    struct span list = {offers, offers != NULL ? strlen(offers) : 0};
    struct span offer;

    for (int n = 0; n < OFFERS_MAX && cut(&list, ',', &offer); n++) {
        struct ws_deflate agreed = {.on = false};
        struct span part;
        unsigned seen = 0;

        (void)cut(&offer, ';', &part);
        agreed.on = is(part, "permessage-deflate");
        while (agreed.on && cut(&offer, ';', &part)) {
            agreed.on = take_parameter(part, &seen, &agreed);
        }
        if (agreed.on) {
            return agreed;
        }
    }
    return (struct ws_deflate){.on = false};
}

bool ws_deflate_sends(const struct ws_deflate *agreed)
{
    return agreed->on && (agreed->server_bits == 0 || agreed->server_bits == BITS_MAX);
}

void ws_deflate_answer(const struct ws_deflate *agreed, char out[WS_DEFLATE_ANSWER])
{
    int n = snprintf(out, WS_DEFLATE_ANSWER,
                     "permessage-deflate; server_no_context_takeover; "
                     "client_no_context_takeover");

    if (agreed->server_bits != 0) {
        (void)snprintf(out + n, (size_t)(WS_DEFLATE_ANSWER - n),
                       "; server_max_window_bits=%u", agreed->server_bits);
    }
}

/* ---- out ---- */

size_t ws_deflate(const void *data, size_t len, uint8_t *out, size_t cap)
{
    z_stream z = {.zalloc = Z_NULL};
    size_t made = 0;

    if (len > UINT32_MAX || cap > UINT32_MAX ||
        deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, -BITS_MAX, MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return 0;
    }
    z.next_in = (z_const Bytef *)data;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = (uInt)cap;
    /* with room left behind the flush it is whole */
    if (deflate(&z, Z_SYNC_FLUSH) == Z_OK && z.avail_in == 0 && z.avail_out > 0 &&
        cap - z.avail_out > TAIL) {
        made = cap - z.avail_out - TAIL;
    }
    (void)deflateEnd(&z);
    return made;
}

/* ---- in ---- */

struct ws_inflate {
    z_stream z;
    bool ended; /* after a block that calls itself the last */
    uint8_t n_last;
};

struct ws_inflate *ws_inflate_create(void)
{
    struct ws_inflate *z = calloc(1, sizeof(*z));

    if (z != NULL && inflateInit2(&z->z, -BITS_MAX) != Z_OK) {
        free(z);
        return NULL;
    }
    return z;
}

void ws_inflate_destroy(struct ws_inflate *z)
{
    if (z != NULL) {
        (void)inflateEnd(&z->z);
        free(z);
    }
}

/* A last block need not be the last of its message (section 7.2.3.4): what follows may
 * refer to what was before. */
static int go_on(struct ws_inflate *z, const uint8_t *msg, size_t msg_len)
{
    size_t n = msg_len < WINDOW ? msg_len : WINDOW;

    if (++z->n_last > LAST_MAX) {
        return -EBADMSG;
    }
    if (inflateReset(&z->z) != Z_OK ||
        (n > 0 && inflateSetDictionary(&z->z, msg + msg_len - n, (uInt)n) != Z_OK)) {
        return -ENOMEM;
    }
    z->ended = false;
    return 0;
}

int ws_inflate(struct ws_inflate *z, const uint8_t **data, size_t *len, uint8_t *msg,
               size_t *msg_len, size_t cap)
{
    for (;;) {
        size_t in = *len < WINDOW ? *len : WINDOW;
        size_t room = cap - *msg_len < WINDOW ? cap - *msg_len : WINDOW;
        int r = z->ended && in > 0 ? go_on(z, msg, *msg_len) : 0;

        if (r != 0 || z->ended || room == 0) {
            return r;
        }
        z->z.next_in = (z_const Bytef *)*data;
        z->z.avail_in = (uInt)in;
        z->z.next_out = msg + *msg_len;
        z->z.avail_out = (uInt)room;
        r = inflate(&z->z, Z_SYNC_FLUSH);
        *data += in - z->z.avail_in;
        *len -= in - z->z.avail_in;
        *msg_len += room - z->z.avail_out;
        z->ended = r == Z_STREAM_END;
        if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR) {
            return r == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
        }
        if (*len == 0 && z->z.avail_out > 0) {
            return 0;
        }
    }
}

bool ws_inflate_whole(struct ws_inflate *z)
{
    return z->ended || inflateSyncPoint(&z->z) == 1;
}
