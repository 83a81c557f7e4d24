/* See ws_frame.h. */
#include "net/ws_frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/ws_deflate.h"
#include "sys/utf8.h"

enum {
    HEAD_FIN = 0x80,
    HEAD_RSV = 0x70,
    HEAD_OP = 0x0f,
    HEAD_MASK = 0x80,
    HEAD_LEN = 0x7f,
    LEN_16 = 126,
    LEN_64 = 127,
    MSG_FIRST = 1024, /* room for what is inflated, to begin with */
    MSG_KEEP = 4096,  /* a larger buffer is given back after its message */
};

void ws_in_init(struct ws_in *in, size_t message_max, bool deflate)
{
    *in = (struct ws_in){.message_max = message_max, .deflate = deflate};
}

static void drop_inflate(struct ws_in *in)
{
    ws_inflate_destroy(in->z);
    in->z = NULL;
}

void ws_in_fini(struct ws_in *in)
{
    drop_inflate(in);
    free(in->msg);
    in->msg = NULL;
}

static enum ws_in_what broken(struct ws_in *in, unsigned code, const char *reason,
                              struct ws_in_event *out)
{
    in->broken = true;
    ws_in_fini(in);
    out->code = code;
    out->reason = reason;
    return WS_IN_BROKEN;
}

/* The first byte of a head: NULL, or what is wrong with it. */
static const char *check_first(const struct ws_in *in, uint8_t first)
{
    unsigned op = first & HEAD_OP;

    unsigned reserved = first & HEAD_RSV;

    if (reserved == WS_HEAD_PACKED && in->deflate &&
        (op == WS_OP_TEXT || op == WS_OP_BINARY)) {
        reserved = 0;
    }
    if (reserved != 0) {
        return "reserved bits";
    }
    if (op > WS_OP_PONG || (op > WS_OP_BINARY && op < WS_OP_CLOSE)) {
        return "reserved opcode";
    }
    if (op >= WS_OP_CLOSE) {
        return (first & HEAD_FIN) == 0 ? "control frame in fragments" : NULL;
    }
    if (op == WS_OP_MORE && !in->in_message) {
        return "nothing to continue";
    }
    return op != WS_OP_MORE && in->in_message ? "message within a message" : NULL;
}

static const char *check_second(const struct ws_in *in, uint8_t second)
{
    if ((second & HEAD_MASK) == 0) {
        return "not masked"; /* section 5.1 */
    }
    return (in->head[0] & HEAD_OP) >= WS_OP_CLOSE && (second & HEAD_LEN) > WS_CONTROL_MAX
               ? "control frame too long"
               : NULL;
}

/* How long the head is, as far as its bytes so far tell. */
static size_t head_need(const struct ws_in *in)
{
    unsigned len = in->head_len < 2 ? 0 : in->head[1] & HEAD_LEN;

    if (in->head_len < 2) {
        return 2;
    }
    return 2 + sizeof(in->mask) + (len == LEN_16 ? 2u : len == LEN_64 ? 8u : 0u);
}

/* The whole head. NULL, or what is wrong with it. */
static const char *read_head(struct ws_in *in)
{
    unsigned short_len = in->head[1] & HEAD_LEN;
    size_t n_len = (size_t)in->head_len - 2 - sizeof(in->mask);

    in->left = n_len == 0 ? short_len : 0;
    for (size_t i = 0; i < n_len; i++) {
        in->left = in->left << 8 | in->head[2 + i];
    }
    if ((n_len == 2 && in->left < LEN_16) || (n_len == 8 && in->left <= UINT16_MAX) ||
        in->left > INT64_MAX) {
        return "length not in its shortest form"; /* section 5.2 */
    }
    in->op = in->head[0] & HEAD_OP;
    in->fin = (in->head[0] & HEAD_FIN) != 0;
    memcpy(in->mask, in->head + 2 + n_len, sizeof(in->mask));
    in->head_len = 0;
    in->in_payload = true;
    in->control_len = 0;
    if (in->op == WS_OP_TEXT || in->op == WS_OP_BINARY) {
        in->binary = in->op == WS_OP_BINARY;
        in->packed = (in->head[0] & WS_HEAD_PACKED) != 0;
        in->wire_len = 0;
        in->in_message = true;
    }
    return NULL;
}

/* Takes bytes of the head. True if it is whole; else more is needed, or '*wrong' is set. */
static bool take_head(struct ws_in *in, uint8_t **data, size_t *len, const char **wrong)
{
    while (*len > 0 && *wrong == NULL) {
        in->head[in->head_len++] = *(*data)++;
        (*len)--;
        if (in->head_len == 1) {
            *wrong = check_first(in, in->head[0]);
        } else if (in->head_len == 2) {
            *wrong = check_second(in, in->head[1]);
        }
        if (*wrong == NULL && in->head_len == head_need(in)) {
            *wrong = read_head(in);
            return *wrong == NULL;
        }
    }
    return false;
}

static void unmask(uint8_t mask[4], uint8_t *data, size_t len)
{
    uint8_t wide[8];
    uint64_t key;
    size_t i = 0;

    memcpy(wide, mask, 4);
    memcpy(wide + 4, mask, 4);
    memcpy(&key, wide, sizeof(key));
    for (; i + sizeof(key) <= len; i += sizeof(key)) {
        uint64_t word;

        memcpy(&word, data + i, sizeof(word));
        word ^= key;
        memcpy(data + i, &word, sizeof(word));
    }
    for (size_t at = 0; i < len; i++, at++) {
        data[i] ^= wide[at];
    }
    for (size_t at = 0; at < 4; at++) {
        mask[at] = wide[(len + at) % 4];
    }
}

/* Section 7.4: those of the protocol that may be sent, and the ranges for others. */
static bool code_ok(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static enum ws_in_what end_close(struct ws_in *in, struct ws_in_event *out)
{
    out->code = WS_CODE_NONE;
    if (in->control_len == 1) {
        return broken(in, 1002, "half a close code", out);
    }
    if (in->control_len >= 2) {
        out->code = (unsigned)in->control[0] << 8 | in->control[1];
        if (!code_ok(out->code)) {
            return broken(in, 1002, "close code not to be sent", out);
        }
        if (!utf8_valid(in->control + 2, in->control_len - 2u)) {
            return broken(in, 1007, "not UTF-8", out);
        }
    }
    return WS_IN_CLOSE;
}

/* A whole control frame. NOTHING for a pong. */
static enum ws_in_what end_control(struct ws_in *in, struct ws_in_event *out)
{
    if (in->op == WS_OP_CLOSE) {
        return end_close(in, out);
    }
    out->data = in->control;
    out->len = in->control_len;
    return in->op == WS_OP_PING ? WS_IN_PING : WS_IN_NOTHING;
}

static bool append(struct ws_in *in, const uint8_t *data, size_t len)
{
    if (len > in->msg_cap - in->msg_len) {
        size_t cap = 2 * in->msg_cap + len;
        uint8_t *grown = realloc(in->msg, cap);

        if (grown == NULL) {
            return false;
        }
        in->msg = grown;
        in->msg_cap = cap;
    }
    if (len > 0) {
        memcpy(in->msg + in->msg_len, data, len);
        in->msg_len += len;
    }
    return true;
}

/* Makes room for the next message once the last was told. */
static void forget(struct ws_in *in)
{
    in->told = false;
    in->msg_len = 0;
    in->checked = 0;
    if (in->msg_cap > MSG_KEEP) {
        free(in->msg);
        in->msg = NULL;
        in->msg_cap = 0;
    }
}

static enum ws_in_what message(struct ws_in *in, const uint8_t *data, size_t len,
                               struct ws_in_event *out)
{
    static const uint8_t empty[1];

    drop_inflate(in);
    in->in_message = false;
    in->told = true;
    out->data = len > 0 ? data : empty;
    out->len = len;
    out->binary = in->binary;
    return WS_IN_MESSAGE;
}

/* Room for more of what is inflated; never for more than a byte above the limit. */
static bool grow(struct ws_in *in)
{
    size_t cap = in->msg_cap > 0 ? 2 * in->msg_cap : MSG_FIRST;
    uint8_t *grown;

    cap = cap <= in->message_max ? cap : in->message_max + 1;
    grown = realloc(in->msg, cap);
    if (grown == NULL) {
        return false;
    }
    in->msg = grown;
    in->msg_cap = cap;
    return true;
}

/* A part of a compressed message is added to the message. 0, or the code to close with. */
static unsigned inflate_part(struct ws_in *in, const uint8_t *data, size_t len)
{
    if (in->z == NULL) {
        in->z = ws_inflate_create();
    }
    if (in->z == NULL) {
        return 1011;
    }
    do {
        int err = 0;

        if (in->msg_len == in->msg_cap && in->msg_len <= in->message_max && !grow(in)) {
            return 1011;
        }
        err = ws_inflate(in->z, &data, &len, in->msg, &in->msg_len, in->msg_cap);
        if (err != 0) {
            return err == -ENOMEM ? 1011 : 1007;
        }
    } while (in->msg_len == in->msg_cap && in->msg_len <= in->message_max);
    return 0;
}

static bool is_text(struct ws_in *in, bool last)
{
    return in->msg_len == 0 || (utf8_valid_so_far(in->msg, in->msg_len, &in->checked) &&
                                (!last || in->checked == in->msg_len));
}

static enum ws_in_what take_packed(struct ws_in *in, const uint8_t *data, size_t len,
                                   bool last, struct ws_in_event *out)
{
    unsigned code = inflate_part(in, data, len);
    bool whole;

    if (code != 0) {
        return broken(in, code, code == 1011 ? "out of memory" : "not to be inflated", out);
    }
    /* of what is too long, too, so that pieces of any size tell the same */
    if (!in->binary && !is_text(in, false)) {
        return broken(in, 1007, "not UTF-8", out);
    }
    if (in->msg_len > in->message_max) {
        return broken(in, 1009, "message too big", out);
    }
    if (!last) {
        return WS_IN_NOTHING;
    }
    whole = ws_inflate_whole(in->z);
    if (!whole || (!in->binary && !is_text(in, true))) {
        return broken(in, 1007, whole ? "not UTF-8" : "not to be inflated", out);
    }
    return message(in, in->msg, in->msg_len, out);
}

/* A part of a message, unmasked. 'end': of the frame. NOTHING if it goes on. */
static enum ws_in_what take_part(struct ws_in *in, const uint8_t *data, size_t len,
                                 bool end, struct ws_in_event *out)
{
    bool last = end && in->fin;

    if (in->packed) {
        return take_packed(in, data, len, last, out);
    }
    if (last && in->msg_len == 0) { /* in one piece: not copied */
        return !in->binary && !utf8_valid(data, len) ? broken(in, 1007, "not UTF-8", out)
                                                     : message(in, data, len, out);
    }
    if (!append(in, data, len)) {
        return broken(in, 1011, "out of memory", out);
    }
    if (!in->binary && !is_text(in, last)) {
        return broken(in, 1007, "not UTF-8", out);
    }
    return last ? message(in, in->msg, in->msg_len, out) : WS_IN_NOTHING;
}

/* True if what a head tells of a message is more than it may have. What is compressed badly
 * is an eighth longer at most (codes of nine bits). */
static bool too_long(const struct ws_in *in)
{
    return in->packed ? in->left > in->message_max + in->message_max / 8 + WS_DEFLATE_MIN -
                                       in->wire_len
                      : in->left > in->message_max - in->msg_len;
}

static enum ws_in_what take_payload(struct ws_in *in, uint8_t **data, size_t *len,
                                    struct ws_in_event *out)
{
    size_t n = in->left < *len ? (size_t)in->left : *len;
    uint8_t *part = *data;
    bool end;

    *data += n;
    *len -= n;
    in->left -= n;
    end = in->left == 0;
    in->in_payload = !end;
    if (n > 0) {
        unmask(in->mask, part, n);
    }
    if (in->op < WS_OP_CLOSE) {
        in->wire_len += n;
        return take_part(in, part, n, end, out);
    }
    if (n > 0) {
        memcpy(in->control + in->control_len, part, n);
    }
    in->control_len = (uint8_t)(in->control_len + n);
    return end ? end_control(in, out) : WS_IN_NOTHING;
}

enum ws_in_what ws_in_next(struct ws_in *in, uint8_t **data, size_t *len,
                           struct ws_in_event *out)
{
    enum ws_in_what what = WS_IN_NOTHING;
    const char *wrong = NULL;

    if (in->told) {
        forget(in);
    }
    while (!in->broken && what == WS_IN_NOTHING) {
        if (!in->in_payload && !take_head(in, data, len, &wrong)) {
            return wrong != NULL ? broken(in, 1002, wrong, out) : WS_IN_NOTHING;
        }
        if (in->op < WS_OP_CLOSE && too_long(in)) {
            return broken(in, 1009, "message too big", out);
        }
        if (in->left > 0 && *len == 0) {
            return WS_IN_NOTHING;
        }
        what = take_payload(in, data, len, out);
    }
    if (in->broken) {
        *data += *len;
        *len = 0;
    }
    return what;
}

size_t ws_head_write(uint8_t out[WS_HEAD_MAX], enum ws_op op, size_t len)
{
    size_t n_len = len < LEN_16 ? 0 : len <= UINT16_MAX ? 2 : 8;

    out[0] = (uint8_t)(HEAD_FIN | (unsigned)op);
    out[1] = (uint8_t)(n_len == 0 ? len : n_len == 2 ? LEN_16 : LEN_64);
    for (size_t i = 0; i < n_len; i++) {
        out[2 + i] = (uint8_t)((uint64_t)len >> 8 * (n_len - 1 - i));
    }
    return 2 + n_len;
}

bool ws_key_ok(const char *key)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789+/";

    return strspn(key, base64) == 22 && strcmp(key + 22, "==") == 0;
}
