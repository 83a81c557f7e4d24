#include "proto/socketio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/jtext.h"

/* The greatest integer that JavaScript counts exactly; an id above is not an id. */
#define ID_MAX ((UINT64_C(1) << 53) - 1)

static bool is_binary(enum sio_type type)
{
    return type == SIO_BINARY_EVENT || type == SIO_BINARY_ACK;
}

void sio_packet_fini(struct sio_packet *packet)
{
    json_decref(packet->data);
    for (size_t i = 0; i < packet->n_attachments; i++) {
        free(packet->attachments[i].data);
    }
    memset(packet, 0, sizeof(*packet));
}

json_t *sio_placeholder(size_t num)
{
    return json_pack("{s:b,s:I}", "_placeholder", 1, "num", (json_int_t)num);
}

int sio_placeholder_num(const json_t *value)
{
    json_t *num = json_object_get(value, "num");
    json_int_t n = json_integer_value(num);

    if (!json_is_true(json_object_get(value, "_placeholder"))) {
        return -1;
    }
    return json_is_integer(num) && n >= 0 && n < SIO_MAX_ATTACHMENTS ? (int)n : -1;
}

/* True if each placeholder below 'value' is for one of the 'n' attachments. The depth was
 * checked before, or is ours. */
static bool placeholders_valid(json_t *value, size_t n)
{
    const char *key;
    json_t *child;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach(value, i, child)
        {
            if (!placeholders_valid(child, n)) {
                return false;
            }
        }
    } else if (json_is_object(value)) {
        int num = sio_placeholder_num(value);

        if (json_is_true(json_object_get(value, "_placeholder"))) {
            return num >= 0 && (size_t)num < n;
        }
        json_object_foreach(value, key, child)
        {
            if (!placeholders_valid(child, n)) {
                return false;
            }
        }
    }
    return true;
}

/* Names by which a client's library tells of itself; from the wire they would be a forgery.
 */
static bool reserved(const char *name)
{
    static const char *const names[] = {"connect",       "connect_error", "disconnect",
                                        "disconnecting", "newListener",   "removeListener"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the payload is one that the type has. */
static bool shape_valid(const struct sio_packet *p)
{
    const json_t *first = json_array_get(p->data, 0);

    if (is_binary(p->type) && !placeholders_valid(p->data, p->n_attachments)) {
        return false;
    }
    switch (p->type) {
    case SIO_CONNECT:
        return p->data == NULL || json_is_object(p->data);
    case SIO_DISCONNECT:
        return p->data == NULL;
    case SIO_CONNECT_ERROR:
        return json_is_object(p->data) || json_is_string(p->data);
    case SIO_EVENT:
    case SIO_BINARY_EVENT:
        return json_is_integer(first) ||
               (json_is_string(first) &&
                strlen(json_string_value(first)) == json_string_length(first) &&
                !reserved(json_string_value(first)));
    case SIO_ACK:
    case SIO_BINARY_ACK:
        return json_is_array(p->data) && p->has_id;
    }
    return false;
}

/* ---- parse ---- */

/* Digits at the cursor as a number; false if there are none or it exceeds 'max'. */
static bool take_number(const char **p, const char *end, uint64_t max, uint64_t *out)
{
    const char *start = *p;
    uint64_t v = 0;

    while (*p < end && **p >= '0' && **p <= '9') {
        v = v * 10 + (uint64_t)(**p - '0');
        if (v > max) {
            return false;
        }
        (*p)++;
    }
    *out = v;
    return *p > start;
}

/* Brackets outside of strings, before the recursive parser sees the text. */
static bool depth_valid(const char *text, const char *end)
{
    bool in_string = false;
    int depth = 0;

    for (const char *p = text; p < end; p++) {
        if (in_string) {
            if (*p == '\\') {
                p++;
            } else if (*p == '"') {
                in_string = false;
            }
        } else if (*p == '"') {
            in_string = true;
        } else if (*p == '[' || *p == '{') {
            if (++depth > SIO_MAX_DEPTH) {
                return false;
            }
        } else if (*p == ']' || *p == '}') {
            depth--;
        }
    }
    return true;
}

/* What stands before the payload. */
static bool parse_head(const char **cursor, const char *end, struct sio_packet *out)
{
    const char *p = *cursor;
    uint64_t n;

    if (p == end || *p < '0' || *p > '6') {
        return false;
    }
    out->type = (enum sio_type)(*p++ - '0');
    if (is_binary(out->type)) {
        if (!take_number(&p, end, SIO_MAX_ATTACHMENTS, &n) || p == end || *p++ != '-') {
            return false;
        }
        out->n_attachments = (size_t)n;
    }
    strcpy(out->nsp, "/");
    if (p < end && *p == '/') {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma != NULL ? comma : end;

        if (stop - p > SIO_NSP_MAX) {
            return false;
        }
        memcpy(out->nsp, p, (size_t)(stop - p));
        out->nsp[stop - p] = '\0';
        if (strlen(out->nsp) != (size_t)(stop - p)) {
            return false;
        }
        p = comma != NULL ? comma + 1 : end;
    }
    if (p < end && *p >= '0' && *p <= '9') {
        if (!take_number(&p, end, ID_MAX, &out->id)) {
            return false;
        }
        out->has_id = true;
    }
    *cursor = p;
    return true;
}

/* What is JSON but for surrogates without their other half (JSON.stringify() of a text that was
 * cut within a character), with none in it. */
static json_t *load_cut(const char *text, size_t len, size_t flags)
{
    char *copy = malloc(len);
    json_t *data;

    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, text, len);
    for (size_t i = 0; i + 5 < len; i++) {
        if (copy[i] == '\\') {
            if (copy[i + 1] == 'u' && (copy[i + 2] == 'd' || copy[i + 2] == 'D') &&
                copy[i + 3] >= '8') {
                memcpy(copy + i + 2, "fffd", 4);
            }
            i++;
        }
    }
    data = json_loadb(copy, len, flags, NULL);
    free(copy);
    return data;
}

/* The payload; NULL if it is not JSON. With 'fault' set it only tells which event it was.
 */
static json_t *load(const char *text, size_t len, const char **fault)
{
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_error_t why;
    json_t *data = json_loadb(text, len, flags | JSON_REJECT_DUPLICATES, &why);

    if (data != NULL) {
        return data;
    }
    if (json_error_code(&why) == json_error_duplicate_key) {
        *fault = "a key stands twice";
    } else if (json_error_code(&why) == json_error_numeric_overflow) {
        *fault = "a number is too large";
    } else if (strstr(why.text, "invalid Unicode") != NULL) {
        *fault = "half of a character stands alone";
        return load_cut(text, len, flags);
    } else {
        return NULL;
    }
    data = json_loadb(text, len, flags | JSON_DECODE_INT_AS_REAL, NULL);
    return data != NULL ? data : json_pack("[s]", "unknown"); /* 1e999 is none either */
}

int sio_packet_parse(const char *text, size_t len, struct sio_packet *out)
{
    struct sio_packet packet = {0};
    const char *end = text + len;

    if (len == 0 || !parse_head(&text, end, &packet)) {
        return -EBADMSG;
    }
    if (text < end) {
        if (!depth_valid(text, end)) {
            return -EBADMSG;
        }
        packet.data = load(text, (size_t)(end - text), &packet.fault);
        if (packet.data == NULL || (packet.fault != NULL && packet.type != SIO_EVENT &&
                                    packet.type != SIO_BINARY_EVENT)) {
            sio_packet_fini(&packet);
            return -EBADMSG;
        }
    }
    if (!shape_valid(&packet)) {
        sio_packet_fini(&packet);
        return -EBADMSG;
    }
    *out = packet;
    return 0;
}

/* ---- write ---- */

static bool nsp_valid(const char *nsp)
{
    return nsp[0] == '/' && strlen(nsp) <= SIO_NSP_MAX && strchr(nsp, ',') == NULL;
}

int sio_packet_write(const struct sio_packet *packet, struct eio_msg **out)
{
    struct jtext text = {0};
    char head[SIO_NSP_MAX + 48];
    int n;
    int err = 0;

    if (!nsp_valid(packet->nsp) || !shape_valid(packet) ||
        packet->n_attachments > SIO_MAX_ATTACHMENTS ||
        (packet->n_attachments > 0 && !is_binary(packet->type)) ||
        (packet->has_id && packet->id > ID_MAX)) {
        return -EINVAL;
    }
    n = snprintf(head, sizeof(head), "%d", (int)packet->type);
    if (is_binary(packet->type)) {
        n += snprintf(head + n, sizeof(head) - (size_t)n, "%zu-", packet->n_attachments);
    }
    if (strcmp(packet->nsp, "/") != 0) {
        n += snprintf(head + n, sizeof(head) - (size_t)n, "%s,", packet->nsp);
    }
    if (packet->has_id) {
        n += snprintf(head + n, sizeof(head) - (size_t)n, "%llu",
                      (unsigned long long)packet->id);
    }
    if (jtext_add(head, (size_t)n, &text) != 0 ||
        (packet->data != NULL && jtext_add_json(&text, packet->data) != 0)) {
        err = -ENOMEM;
        goto out;
    }
    *out = eio_msg_text(EIO_MESSAGE, text.data, text.len);
    err = *out != NULL ? 0 : -ENOMEM;
out:
    free(text.data);
    return err;
}

int sio_event_write(const char *nsp, const char *name, json_t *data, struct eio_msg **out)
{
    struct sio_packet packet = {.type = SIO_EVENT};
    int err;

    if (strlen(nsp) > SIO_NSP_MAX) {
        return -EINVAL;
    }
    strcpy(packet.nsp, nsp);
    packet.data = data != NULL ? json_pack("[s,O]", name, data) : json_pack("[s]", name);
    err = packet.data != NULL ? sio_packet_write(&packet, out) : -ENOMEM;
    sio_packet_fini(&packet);
    return err;
}

/* ---- decoder ---- */

void sio_decoder_init(struct sio_decoder *dec, size_t max_bytes)
{
    memset(dec, 0, sizeof(*dec));
    dec->max_bytes = max_bytes;
}

void sio_decoder_fini(struct sio_decoder *dec)
{
    sio_packet_fini(&dec->packet);
    dec->waiting = false;
    dec->n_have = 0;
    dec->bytes = 0;
}

/* Moves a complete packet out. */
static int decoder_yield(struct sio_decoder *dec, struct sio_packet *out)
{
    if (dec->n_have < dec->packet.n_attachments) {
        dec->waiting = true;
        return -EAGAIN;
    }
    *out = dec->packet;
    memset(&dec->packet, 0, sizeof(dec->packet));
    sio_decoder_fini(dec);
    return 0;
}

int sio_decoder_feed_text(struct sio_decoder *dec, const char *text, size_t len,
                          struct sio_packet *out)
{
    int err;

    if (dec->waiting) {
        sio_decoder_fini(dec);
        return -EBADMSG;
    }
    err = sio_packet_parse(text, len, &dec->packet);
    return err != 0 ? err : decoder_yield(dec, out);
}

int sio_decoder_feed_binary(struct sio_decoder *dec, const uint8_t *data, size_t len,
                            struct sio_packet *out)
{
    struct sio_blob *blob;
    int err = -EBADMSG;

    if (!dec->waiting) {
        goto fail;
    }
    err = -ENOSPC;
    if (len > dec->max_bytes - dec->bytes) {
        goto fail;
    }
    err = -ENOMEM;
    blob = &dec->packet.attachments[dec->n_have];
    blob->data = malloc(len > 0 ? len : 1);
    if (blob->data == NULL) {
        goto fail;
    }
    if (len > 0) {
        memcpy(blob->data, data, len);
    }
    blob->len = len;
    dec->n_have++;
    dec->bytes += len;
    return decoder_yield(dec, out);
fail:
    sio_decoder_fini(dec);
    return err;
}
