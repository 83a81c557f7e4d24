/* POST /capture, /capture/take and /capture/stop: the packets of one client's transport as
 * pcapng. One capture at a time; what it has gathered waits here until it is taken, and ends
 * with it if nobody asks any more. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/priv.h"
#include "net/net.h"
#include "proto/base64.h"
#include "proto/pcapng.h"
#include "sfu/base/handle.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/loop.h"

enum {
    GATHER_MAX = 8 << 20, /* bytes that wait; what does not fit is missed */
    TAKE_MAX = 512 << 10, /* bytes of one answer: nobody else waits long for it */
    PATIENCE_MS = 10000,  /* without being asked */
    LEFT_US = 1000000,    /* so long not asked, one that has ended may be replaced */
    TEXT_MAX = 128,
    COUNT_MAX = 100000000 /* packets: at 1,200 bytes more than a hundred gigabytes */
};

struct admin_capture {
    struct admin *admin;
    struct loop_timer *timer;
    uint32_t number;
    char transport[TEXT_MAX], by[TEXT_MAX];
    bool opened;
    const char *ended; /* why; NULL: it goes on */
    uint64_t wall_off_us; /* from CLOCK_MONOTONIC */
    uint64_t asked_us;
    uint64_t packets, most, missed, missed_now;
    size_t len;
    uint8_t bytes[GATHER_MAX];
};

static void end(struct admin_capture *c, const char *why)
{
    if (c->ended == NULL) {
        c->ended = why;
        media_capture_stop(c->admin->conf.media);
        log_info("capture_ended", LOG_STR("transport", c->transport), LOG_STR("why", why),
                 LOG_U64("packets", c->packets), LOG_U64("missed", c->missed));
    }
}

void admin_capture_forget(struct admin *admin)
{
    struct admin_capture *c = admin->capture;

    if (c == NULL) {
        return;
    }
    end(c, "the node stops");
    loop_timer_destroy(c->timer);
    explicit_bzero(c->bytes, c->len);
    free(c);
    admin->capture = NULL;
}

static void on_silence(void *arg)
{
    struct admin_capture *c = arg;

    end(c, "nobody asked for it any more");
    admin_capture_forget(c->admin);
}

static void be_patient(struct admin_capture *c)
{
    const uint32_t ms = c->admin->conf.capture_patience_ms;

    c->asked_us = clock_mono_us();
    loop_timer_start(c->timer, ms != 0 ? ms : PATIENCE_MS, 0);
}

static void on_packet(void *user, const struct abi_captured *packet)
{
    struct admin_capture *c = user;
    const struct path *path = &packet->path;
    const struct pcapng_packet out = {
        .wall_us = packet->time_us + c->wall_off_us,
        .from_ip = packet->out ? path->local_ip : path->remote_ip,
        .to_ip = packet->out ? path->remote_ip : path->local_ip,
        .from_port = packet->out ? path->local_port : path->remote_port,
        .to_port = packet->out ? path->remote_port : path->local_port,
        .family = path->family,
        .out = packet->out != 0,
        .missed = c->missed_now + packet->missed,
        .comment = packet->plain != 0 ? "decrypted" : NULL,
        .data = packet->data,
        .len = packet->len};
    int len;

    if (packet->plain != 0 && !c->opened) {
        return; /* of the capture before this one */
    }
    len = pcapng_packet(c->bytes + c->len, sizeof(c->bytes) - c->len, &out);
    c->missed += packet->missed;
    if (len < 0) {
        explicit_bzero(c->bytes + c->len, sizeof(c->bytes) - c->len); /* the half of it */
        c->missed++;
        c->missed_now += packet->missed + 1;
        return;
    }
    c->missed_now = 0;
    c->len += (size_t)len;
    c->packets++;
    if (c->most != 0 && c->packets >= c->most) {
        end(c, "as many as were asked for");
    }
}

static void on_end(void *user, int err)
{
    end(user, err == -ESTALE ? "the transport has closed" : "the dataplane is gone");
}

static const struct media_capture_ops capture_ops = {.on_packet = on_packet,
                                                     .on_end = on_end};

/* ---- the audit of what is decrypted: nothing of it is given away before it is kept ---- */

static void not_audited(struct admin *admin)
{
    struct admin_capture *c = admin->capture;

    if (c != NULL && c->opened) {
        end(c, "the audit could not be written");
        explicit_bzero(c->bytes, c->len);
        c->len = 0;
    }
}

static void on_audited(void *arg, const struct store_result *result)
{
    struct admin *admin = arg;

    admin->n_unaudited--;
    if (result->err != 0) {
        log_error("audit_not_written", LOG_STR("act", "operator.capture_decrypted"),
                  LOG_STR("why", strerror(-result->err)));
        not_audited(admin);
    }
}

static void note(struct admin *admin, struct net_req *req, const struct admin_place *place,
                 const struct admin_capture *c)
{
    if (!c->opened) {
        admin_note(admin, req, "operator.capture", place, c->transport);
        return;
    }
    if (admin_note_then(admin, req, "operator.capture_decrypted", place, c->transport,
                        on_audited, admin) == 0) {
        admin->n_unaudited++;
    } else {
        not_audited(admin);
    }
}

/* ---- POST /capture?transport=ID[&decrypted=1][&count=N] ---- */

static void refuse_start(struct net_req *req, int err)
{
    switch (err) {
    case -ESTALE:
        admin_refuse(req, 404, "not_found", "no such transport: see kcsctl peers");
        return;
    case -ENOTCONN:
        admin_refuse(req, 503, "media_unavailable", "no dataplane is attached");
        return;
    default:
        admin_refuse(req, 503, "overloaded", "not now; try again in a second");
        return;
    }
}

static void refuse_busy(struct net_req *req, const struct admin_capture *c)
{
    char text[2 * TEXT_MAX + 64];

    (void)snprintf(text, sizeof(text), "%s captures the transport %s: one at a time", c->by,
                   c->transport);
    admin_refuse(req, 409, "busy", text);
}

/* Fills 'c' and begins. Returns 0, or an error of media_capture(). */
static int begin(struct admin *admin, struct admin_capture *c, uint64_t peer)
{
    int err = loop_timer_create(admin->conf.loop, &c->timer, on_silence, c);
    int len;

    if (err != 0) {
        return err;
    }
    c->admin = admin;
    c->number = ++admin->n_captures;
    c->wall_off_us = clock_wall_us() - clock_mono_us();
    len = pcapng_head(c->bytes, sizeof(c->bytes), "kcs-control");
    c->len = len > 0 ? (size_t)len : 0;
    err = media_capture(admin->conf.media, peer,
                        c->opened ? ABI_CAPTURE_PLAIN : ABI_CAPTURE_WIRE, &capture_ops, c);
    if (err != 0) {
        loop_timer_destroy(c->timer);
        return err;
    }
    be_patient(c);
    admin->capture = c;
    return 0;
}

/* The number from 1 to 'max' that the query gives as 'name', 0 if it is not given; false: it is
 * none. */
static bool number(struct net_req *req, const char *name, uint64_t max, uint64_t *out)
{
    const char *text = net_req_query(req, name);
    char *stop = NULL;

    *out = text != NULL ? strtoull(text, &stop, 10) : 0;
    return text == NULL || (*text >= '0' && *text <= '9' && *stop == '\0' && *out >= 1 &&
                            *out <= max);
}

/* 1 or 0, true or false; not given: false. Returns false if it is neither. */
static bool yes_or_no(struct net_req *req, const char *name, bool *out)
{
    const char *text = net_req_query(req, name);

    *out = text != NULL && (strcmp(text, "1") == 0 || strcmp(text, "true") == 0);
    return text == NULL || *out || strcmp(text, "0") == 0 || strcmp(text, "false") == 0;
}

/* Whether the last one is in the way: one that has ended, and that its owner has left where
 * it is, is not. */
static bool is_busy(struct admin *admin)
{
    const struct admin_capture *c = admin->capture;

    if (c != NULL && c->ended != NULL && clock_mono_us() - c->asked_us >= LEFT_US) {
        admin_capture_forget(admin);
    }
    return admin->capture != NULL;
}

void admin_capture(struct admin *admin, struct net_req *req)
{
    const char *transport = net_req_query(req, "transport");
    bool opened;
    struct admin_place place;
    struct admin_capture *c;
    uint64_t peer, most;
    int err;

    if (transport == NULL || strlen(transport) >= TEXT_MAX ||
        !number(req, "count", COUNT_MAX, &most) || !yes_or_no(req, "decrypted", &opened)) {
        admin_refuse(req, 400, "invalid",
                     "give transport=ID, and if any count=1 to 100000000 and decrypted=1 or 0");
        return;
    }
    if (is_busy(admin)) {
        refuse_busy(req, admin->capture);
        return;
    }
    peer = admin_find_peer(admin, transport, &place);
    if (peer == HANDLE_NONE) {
        refuse_start(req, -ESTALE);
        return;
    }
    if (opened && admin->conf.store == NULL) {
        admin_refuse(req, 403, "no_audit",
                     "this node keeps no audit (store.path), so it decrypts nothing");
        return;
    }
    c = calloc(1, sizeof(*c));
    if (c == NULL) {
        refuse_start(req, -ENOMEM);
        return;
    }
    memcpy(c->transport, transport, strlen(transport));
    (void)snprintf(c->by, sizeof(c->by), "%s", net_req_remote(req));
    c->opened = opened;
    c->most = most;
    err = begin(admin, c, peer);
    if (err != 0) {
        free(c);
        refuse_start(req, err);
        return;
    }
    log_warn("capture_begun", LOG_STR("transport", transport), LOG_STR("by", c->by),
             LOG_U64("decrypted", opened));
    note(admin, req, &place, c);
    admin_answer(req, json_pack("{s:I}", "capture", (json_int_t)c->number));
}

/* ---- POST /capture/take?capture=N and /capture/stop?capture=N ---- */

/* The capture that is asked about, or NULL: it is answered then. */
static struct admin_capture *find(const struct admin *admin, struct net_req *req)
{
    struct admin_capture *c = admin->capture;
    uint64_t n;

    if (c == NULL || !number(req, "capture", UINT32_MAX, &n) || n != c->number) {
        admin_refuse(req, 404, "not_found",
                     "no such capture: it ended, as nobody asked for it any more");
        return NULL;
    }
    return c;
}

/* How much of what was gathered may be given away now. */
static size_t takeable(const struct admin_capture *c)
{
    return c->opened && c->admin->n_unaudited > 0 ? 0 : c->len;
}

/* What was gathered first, as base64. NULL without memory. */
static json_t *take_bytes(struct admin_capture *c)
{
    size_t len = takeable(c) < TAKE_MAX ? takeable(c) : TAKE_MAX;
    char *text = malloc(base64_encoded_len(len) + 1);
    json_t *json = NULL;

    if (text != NULL) {
        json = json_stringn_nocheck(text, base64_encode(c->bytes, len, text));
        explicit_bzero(text, base64_encoded_len(len));
        free(text);
    }
    if (json != NULL) {
        c->len -= len;
        memmove(c->bytes, c->bytes + len, c->len);
        explicit_bzero(c->bytes + c->len, len);
    }
    return json;
}

void admin_capture_take(struct admin *admin, struct net_req *req)
{
    struct admin_capture *c = find(admin, req);
    json_t *bytes, *data;
    bool last;

    if (c == NULL) {
        return;
    }
    bytes = take_bytes(c);
    last = c->ended != NULL && c->len == 0;
    data = json_pack("{s:o, s:I, s:I, s:b, s:s}", "pcapng", bytes, "packets",
                     (json_int_t)c->packets, "missed", (json_int_t)c->missed, "more",
                     (int)(takeable(c) > 0), "ended", last ? c->ended : "");
    if (last && data != NULL) {
        admin_capture_forget(admin);
    } else {
        be_patient(c);
    }
    admin_answer(req, data);
}

void admin_capture_stop(struct admin *admin, struct net_req *req)
{
    struct admin_capture *c = find(admin, req);

    if (c != NULL) {
        end(c, "stopped");
        admin_answer(req, json_pack("{s:b}", "stopped", 1));
    }
}
