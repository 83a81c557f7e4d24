/* Data channels of a session: SCTP above its DTLS. See session.h. */
#include <errno.h>

#include "session/session_priv.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/loop.h"

_Static_assert((int)DSCTP_MAX_PACKET <= (int)DTLS_MAX_DATA, "a packet fits into a record");

/* ---- the stack's clock: it runs while there are associations ---- */

static void on_tick(void *arg)
{
    struct session_registry *reg = arg;
    uint64_t now_us = clock_mono_us();
    uint64_t elapsed_ms = (now_us - reg->ticked_us) / 1000;
    struct dsctp_counts counts;

    if (elapsed_ms > 0) {
        reg->ticked_us += elapsed_ms * 1000;
        dsctp_tick(reg->sctp, elapsed_ms < UINT32_MAX ? (uint32_t)elapsed_ms : UINT32_MAX);
    }
    dsctp_counts(reg->sctp, &counts);
    if (counts.open == 0) {
        loop_timer_stop(reg->tick);
        reg->ticking = false;
    }
}

int session_data_init(struct session_registry *reg)
{
    int err = dsctp_create(&reg->sctp);

    return err != 0 ? err : loop_timer_create(reg->conf.loop, &reg->tick, on_tick, reg);
}

void session_data_fini(struct session_registry *reg)
{
    loop_timer_destroy(reg->tick);
    dsctp_destroy(reg->sctp);
}

/* ---- what the association says ---- */

static void on_send(void *user, const void *data, size_t len)
{
    struct session *s = user;

    if (s->dtls != NULL) {
        (void)dtls_conn_send(s->dtls, data, len); /* what is lost SCTP sends again */
    }
}

static void on_message(void *user, uint16_t stream, uint32_t ppid, const void *data,
                       size_t len)
{
    struct session *s = user;

    if (s->ops->on_data != NULL) {
        s->ops->on_data(s->user, stream, ppid, data, len);
    }
}

static void on_reset(void *user, uint16_t stream)
{
    struct session *s = user;

    if (s->ops->on_data_reset != NULL) {
        s->ops->on_data_reset(s->user, stream);
    }
}

static void on_down(void *user, const char *reason)
{
    struct session *s = user;

    session_data_end(s);
    log_info("data_channels_ended", LOG_U64("peer", s->peer), LOG_STR("reason", reason));
    if (s->ops->on_data_down != NULL) {
        s->ops->on_data_down(s->user, reason);
    }
}

static const struct dsctp_ops sctp_ops = {
    .on_send = on_send, .on_message = on_message, .on_reset = on_reset, .on_down = on_down};

/* ---- the session's side ---- */

static int begin(struct session *s)
{
    struct session_registry *reg = s->reg;

    if (!reg->ticking) {
        reg->ticking = true;
        reg->ticked_us = clock_mono_us();
        loop_timer_start(reg->tick, DSCTP_TICK_MS, DSCTP_TICK_MS);
    }
    return dsctp_open(&s->sctp, reg->sctp, &sctp_ops, s);
}

void session_want_data(struct session *s)
{
    s->wants_data = true;
}

bool session_has_data(const struct session *s)
{
    return s->wants_data && !s->data_ended && s->state != SESSION_FAILED;
}

int session_data_open(struct session *s)
{
    if (!session_has_data(s)) {
        return -ENOTCONN;
    }
    s->opens_data = true;
    return s->sctp != NULL || !s->shaken ? 0 : begin(s);
}

void session_data_shaken(struct session *s)
{
    s->shaken = true;
    if (s->opens_data && s->sctp == NULL && begin(s) != 0) {
        on_down(s, "no_memory");
    }
}

void session_data_end(struct session *s)
{
    s->data_ended = true;
    dsctp_close(s->sctp);
    s->sctp = NULL;
}

void session_on_dtls_data(void *user, const void *data, size_t len)
{
    struct session *s = user;

    if (!session_has_data(s) || !s->shaken) {
        return;
    }
    /* The peer's INIT may be here before its request by signaling. */
    if (s->sctp == NULL && begin(s) != 0) {
        on_down(s, "no_memory");
        return;
    }
    dsctp_input(s->sctp, data, len);
}

int session_data_send(struct session *s, const struct dsctp_channel *channel, uint32_t ppid,
                      const void *data, size_t len)
{
    int err = s->sctp != NULL       ? dsctp_send(s->sctp, channel, ppid, data, len)
              : session_has_data(s) ? -EINPROGRESS
                                    : -ENOTCONN;

    s->reg->n_data_sent += err == 0;
    s->reg->n_data_dropped += err != 0;
    return err;
}

void session_data_reset(struct session *s, uint16_t stream)
{
    if (s->sctp != NULL) {
        dsctp_reset(s->sctp, stream);
    }
}
