/* One Engine.IO session and a listener that does anything in any order: GETs, POSTs,
 * WebSocket messages, aborts, time; an application that sends and closes. What is polled is
 * read by a second session, which must find the same messages. */
#include "fuzz.h"

#include "proto/base64.h"
#include "proto/engineio.h"

enum { MAX_PAYLOAD = 4096, MAX_SENT = 64 };

struct side {
    struct eio_session *s;
    unsigned n_closed;
    bool echo;  /* answers each message from within */
    bool close; /* closes from within */
    uint64_t now_us;
    struct eio_msg *sent[MAX_SENT]; /* to be found by the reader, in order */
    unsigned n_sent, n_found;
};

static const struct eio_conf CONF = {.ping_interval_ms = 100,
                                     .ping_timeout_ms = 50,
                                     .upgrade_timeout_ms = 30,
                                     .max_payload = MAX_PAYLOAD,
                                     .max_queue_msgs = 8,
                                     .max_queue_bytes = 8192};

static void on_message(void *ctx, bool binary, const uint8_t *data, size_t len)
{
    struct side *side = ctx;
    struct eio_msg *msg;

    FUZZ_CHECK(side->n_closed == 0 && len <= MAX_PAYLOAD);
    if (side->echo) {
        msg = binary ? eio_msg_binary(data, len) : eio_msg_text(EIO_MESSAGE, data, len);
        (void)eio_send(side->s, msg);
        eio_msg_unref(msg);
    }
    if (side->close) {
        eio_close(side->s, side->now_us);
    }
}

static void on_close(void *ctx, enum eio_reason reason)
{
    struct side *side = ctx;

    (void)eio_reason_name(reason);
    FUZZ_CHECK(++side->n_closed == 1);
}

static const struct eio_callbacks CALLBACKS = {.on_message = on_message,
                                               .on_close = on_close};

/* ---- the reader of polls ---- */

static void on_read(void *ctx, bool binary, const uint8_t *data, size_t len)
{
    struct side *side = ctx;
    struct eio_msg *msg;
    size_t skip = binary ? 0 : 1; /* the digit of the type */

    FUZZ_CHECK(side->n_found < side->n_sent);
    msg = side->sent[side->n_found++];
    FUZZ_CHECK(msg->binary == binary && msg->len == len + skip);
    FUZZ_CHECK(memcmp(eio_msg_packet(msg) + skip, data, len) == 0);
}

/* Payloads of one message each, for texts must not hold separators. */
static void poll_reads_back(const uint8_t *data, size_t size)
{
    static const struct eio_callbacks reader = {.on_message = on_read,
                                                .on_close = on_close};
    struct eio_conf wide = CONF;
    struct side out = {.n_closed = 0};
    struct side in = {.n_closed = 0};
    size_t half = size / 2 < 1000 ? size / 2 : 1000;
    char *body;
    size_t len;

    wide.max_payload = 1 << 16;
    FUZZ_CHECK(eio_create(&out.s, &wide, &CALLBACKS, &out, "out", false, 0) == 0);
    FUZZ_CHECK(eio_create(&in.s, &wide, &reader, &in, "in", false, 0) == 0);
    body = malloc(eio_poll_len(out.s));
    FUZZ_CHECK(body != NULL);
    (void)eio_take_poll(out.s, body); /* the open packet */
    free(body);
    in.sent[in.n_sent++] = eio_msg_binary(data, half);
    if (memchr(data + half, 0x1e, size - half) == NULL && size - half <= 1000) {
        in.sent[in.n_sent++] = eio_msg_text(EIO_MESSAGE, data + half, size - half);
    }
    for (unsigned i = 0; i < in.n_sent; i++) {
        FUZZ_CHECK(in.sent[i] != NULL && eio_send(out.s, in.sent[i]) == 0);
    }
    FUZZ_CHECK(eio_on_poll(out.s, 1) == EIO_OK);
    len = eio_poll_len(out.s);
    body = malloc(len);
    FUZZ_CHECK(body != NULL && eio_take_poll(out.s, body) == len);
    FUZZ_CHECK(eio_on_post_begin(in.s, len, 1) == EIO_OK);
    FUZZ_CHECK(eio_on_post(in.s, body, len, 1) == EIO_OK);
    FUZZ_CHECK(in.n_found == in.n_sent && !eio_is_closed(in.s));
    free(body);
    for (unsigned i = 0; i < in.n_sent; i++) {
        eio_msg_unref(in.sent[i]);
    }
    eio_destroy(out.s);
    eio_destroy(in.s);
}

static void base64_reads_back(const uint8_t *data, size_t size)
{
    char text[2048];
    uint8_t bytes[2048];
    uint8_t again[2048];
    size_t n;

    if (size > 1024) {
        return;
    }
    FUZZ_CHECK(base64_encode(data, size, text) == base64_encoded_len(size));
    FUZZ_CHECK(base64_decode(text, base64_encoded_len(size), bytes, &n) == 0);
    FUZZ_CHECK(n == size && memcmp(bytes, data, size) == 0);
    FUZZ_CHECK(base64url_encode(data, size, text) == base64url_encoded_len(size));
    FUZZ_CHECK(base64url_decode(text, base64url_encoded_len(size), bytes, &n) == 0);
    FUZZ_CHECK(n == size && memcmp(bytes, data, size) == 0);
    /* one value has one spelling */
    if (base64_decode((const char *)data, size, again, &n) == 0) {
        FUZZ_CHECK(base64_encode(again, n, text) == size && memcmp(text, data, size) == 0);
    }
    if (base64url_decode((const char *)data, size, again, &n) == 0) {
        FUZZ_CHECK(base64url_encode(again, n, text) == size &&
                   memcmp(text, data, size) == 0);
    }
}

/* ---- the listener ---- */

struct listener {
    struct side side;
    bool get;  /* one waits */
    bool post; /* between head and body */
    bool ws;   /* there is one */
};

static void take_output(struct listener *l)
{
    struct eio_session *s = l->side.s;
    struct eio_msg *msg;
    size_t len;

    if (l->get && (len = eio_poll_len(s)) > 0) {
        char *body = malloc(len);

        FUZZ_CHECK(body != NULL && eio_take_poll(s, body) == len);
        FUZZ_CHECK(eio_poll_len(s) == 0);
        l->get = false;
        free(body);
    }
    while ((msg = eio_take_frame(s)) != NULL) {
        eio_msg_unref(msg);
    }
    if (l->ws && eio_ws_must_close(s)) {
        l->ws = false;
        eio_on_ws_closed(s);
    }
}

static void send_some(struct listener *l, struct rbytes *in, bool binary)
{
    size_t len;
    const uint8_t *p = fuzz_block(in, MAX_PAYLOAD, &len);
    struct eio_msg *msg =
        binary ? eio_msg_binary(p, len) : eio_msg_text(EIO_MESSAGE, p, len);

    (void)eio_send(l->side.s, msg);
    eio_msg_unref(msg);
}

static void post(struct listener *l, struct rbytes *in)
{
    size_t len;
    const uint8_t *p = fuzz_block(in, MAX_PAYLOAD + 8, &len);
    uint8_t *tight = fuzz_tight(p, len);

    if (l->post || eio_on_post_begin(l->side.s, len, l->side.now_us) == EIO_OK) {
        enum eio_error error =
            eio_on_post(l->side.s, (const char *)tight, len, l->side.now_us);

        FUZZ_CHECK(eio_error_status(error) >= 200 && eio_error_body(error) != NULL);
        l->post = false;
    }
    free(tight);
}

static void step(struct listener *l, struct rbytes *in)
{
    struct eio_session *s = l->side.s;
    uint64_t now_us = l->side.now_us;
    uint8_t op = rbytes_u8(in);
    const uint8_t *p;
    uint8_t *tight;
    size_t len;

    switch (op % 12) {
    case 0:
        if (eio_on_poll(s, now_us) == EIO_OK) {
            l->get = true;
        }
        break;
    case 1:
        if (l->get) {
            l->get = false;
            eio_on_poll_aborted(s);
        }
        break;
    case 2:
        post(l, in);
        break;
    case 3:
        if (!l->post) {
            l->post = eio_on_post_begin(s, rbytes_be16(in), now_us) == EIO_OK;
        } else {
            l->post = false;
            eio_on_post_aborted(s);
        }
        break;
    case 4:
        l->ws = (!l->ws && eio_on_ws_open(s, now_us) == 0) || l->ws;
        break;
    case 5:
    case 6:
        p = fuzz_block(in, MAX_PAYLOAD + 8, &len);
        tight = fuzz_tight(p, len);
        if (l->ws) {
            eio_on_ws_frame(s, op % 12 == 6, tight, len, now_us);
        }
        free(tight);
        break;
    case 7:
        if (l->ws) {
            l->ws = false;
            eio_on_ws_closed(s);
        }
        break;
    case 8:
        l->side.now_us += (uint64_t)rbytes_u8(in) * 1000;
        if (eio_deadline(s) <= l->side.now_us) {
            eio_on_tick(s, l->side.now_us);
        }
        break;
    case 9:
    case 10:
        send_some(l, in, op % 12 == 10);
        break;
    default:
        eio_close(s, now_us);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rbytes in = fuzz_in(data, size);
    struct listener l = {.get = false};
    uint8_t how = rbytes_u8(&in);

    poll_reads_back(data, size);
    base64_reads_back(data, size);
    l.side.echo = (how & 1) != 0;
    l.side.close = (how & 2) != 0;
    l.ws = (how & 4) != 0;
    l.get = !l.ws; /* the request that opened it */
    FUZZ_CHECK(eio_create(&l.side.s, &CONF, &CALLBACKS, &l.side, "sid", l.ws, 0) == 0);
    while (fuzz_more(&in) && !eio_done(l.side.s)) {
        step(&l, &in);
        if ((how & 8) == 0) {
            take_output(&l);
        }
        FUZZ_CHECK((l.side.n_closed != 0) == eio_is_closed(l.side.s));
    }
    take_output(&l);
    eio_destroy(l.side.s);
    return 0;
}
