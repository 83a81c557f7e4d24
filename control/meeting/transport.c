/* Transports of participants; see meeting.h. */
#include <errno.h>
#include <stdlib.h>

#include "media/media.h"
#include "meeting/priv.h"
#include "sys/entropy.h"
#include "sys/log.h"

enum {
    MAX_TRANSPORTS = 4
}; /* of a participant: one a direction, and room to replace them */

static void on_ready(void *user, int status)
{
    struct transport *t = user;
    struct meeting_error err;

    if (status != 0) {
        (void)meeting_fail_errno(&err, status);
        meeting_answer(&t->done, t->arg, &err, NULL);
        meeting_end_transport(t->meeting, t);
        return;
    }
    meeting_answer(&t->done, t->arg, NULL, t);
}

/* A transport that failed takes what it carried with it. Its owner is told why, the others
 * that its producers close. */
static void on_state(void *user, enum session_state state, const char *reason)
{
    struct transport *t = user;

    log_info("transport_state", LOG_STR("meeting_id", t->owner->room->id),
             LOG_STR("participant_id", t->owner->id), LOG_STR("transport_id", t->id),
             LOG_STR("state", session_state_name(state)), LOG_STR("reason", reason));
    if (state == SESSION_CONNECTED && trace_is_open(&t->owner->join)) {
        trace_begin(&t->media, &t->owner->join.self, TRACE_INTERNAL);
    }
    if (state == SESSION_FAILED) {
        const struct meeting_event event = {.kind = MEETING_TRANSPORT_CLOSED,
                                            .who = t->owner,
                                            .transport = t,
                                            .reason = reason};

        t->meeting->ops.to_one(t->meeting->user, t->owner, &event);
        meeting_end_transport(t->meeting, t);
    }
}

static void on_bandwidth(void *user, uint64_t available_bps)
{
    struct transport *t = user;
    const struct meeting_event event = {.kind = MEETING_BANDWIDTH,
                                        .who = t->owner,
                                        .transport = t,
                                        .available_bps = available_bps};

    t->meeting->ops.to_one(t->meeting->user, t->owner, &event);
}

const struct session_ops meeting_session_ops = {.on_ready = on_ready,
                                                .on_state = on_state,
                                                .on_bandwidth = on_bandwidth,
                                                .on_data = meeting_on_data,
                                                .on_data_reset = meeting_on_data_reset,
                                                .on_data_down = meeting_on_data_down,
                                                .probator = true};

/* An SSRC that was not announced is nothing to a client that lives by its description. */
static const struct session_ops described_ops = {
    .on_ready = on_ready, .on_state = on_state, .on_bandwidth = on_bandwidth};

struct transport *meeting_add_transport(struct meeting *meeting, struct participant *p)
{
    struct transport *t = calloc(1, sizeof(*t));

    if (t == NULL) {
        return NULL;
    }
    t->meeting = meeting;
    t->owner = p;
    t->next = p->transports;
    p->transports = t;
    meeting->n_served += p->n_transports == 0;
    p->n_transports++;
    meeting->n_transports++;
    return t;
}

void meeting_drop_transport(struct transport *t)
{
    struct participant *p = t->owner;
    struct transport **at = &p->transports;

    while (*at != t) {
        at = &(*at)->next;
    }
    *at = t->next;
    p->n_transports--;
    t->meeting->n_transports--;
    t->meeting->n_served -= p->n_transports == 0;
    if (p->room->anchor == t) {
        p->room->anchor = NULL;
    }
    free(t);
}

int meeting_transport_create(struct meeting *meeting, struct participant *p, bool send,
                             meeting_done *done, void *arg, struct meeting_error *err)
{
    struct transport *t;
    int e;

    if (p->n_transports >= MAX_TRANSPORTS) {
        return meeting_fail(err, "too_many", "at most %d transports a participant",
                            MAX_TRANSPORTS);
    }
    t = meeting_add_transport(meeting, p);
    if (t == NULL) {
        return meeting_fail_errno(err, -ENOMEM);
    }
    e = session_create(&t->session, meeting->conf.sessions,
                       p->front == MEETING_HTTP ? &described_ops : &meeting_session_ops, t);
    if (e != 0) {
        meeting_drop_transport(t);
        return meeting_fail_errno(err, e);
    }
    if (p->front == MEETING_SOCKET) {
        session_want_data(t->session); /* who comes by HTTP has none */
    }
    meeting_new_id(meeting, t->id);
    t->send = send;
    t->done = done;
    t->arg = arg;
    entropy_fill(&t->next_ssrc, sizeof(t->next_ssrc));
    /* 0 names nobody; 1234 is mediasoup-client's probe; our feedback is sent as 1 */
    t->next_ssrc = (t->next_ssrc & 0x7fffffffu) | 0x10000u;
    meeting_save(t);
    return 0;
}

int meeting_transport_connect(struct participant *p, const char *transport_id,
                              const struct session_dtls *dtls, struct meeting_error *err)
{
    struct transport *t = meeting_find_transport(p, transport_id);
    int e;

    if (t == NULL) {
        return meeting_fail(err, "not_found", "there is no such transport");
    }
    e = session_connect(t->session, dtls);
    if (e == -EALREADY) {
        return meeting_fail(err, "already_connected",
                            "that transport was connected before");
    }
    return e != 0 ? meeting_fail_errno(err, e) : 0;
}

struct transport *meeting_transport_restart_ice(struct participant *p,
                                                const char *transport_id,
                                                struct meeting_error *err)
{
    struct transport *t = meeting_find_transport(p, transport_id);
    int e;

    if (t == NULL) {
        (void)meeting_fail(err, "not_found", "there is no such transport");
        return NULL;
    }
    e = session_restart_ice(t->session);
    if (e != 0) {
        (void)meeting_fail_errno(err, e);
        return NULL;
    }
    return t;
}

int meeting_transport_stats(const struct meeting *meeting, const struct participant *p,
                            const char *transport_id, struct transport_figures *out,
                            struct meeting_error *err)
{
    const struct transport *t = meeting_find_transport(p, transport_id);
    struct abi_peer_stats stats;

    if (t == NULL) {
        return meeting_fail(err, "not_found", "there is no such transport");
    }
    if (media_peer_stats(meeting->conf.media, session_peer(t->session), &stats) != 0) {
        stats = (struct abi_peer_stats){0};
    }
    *out = (struct transport_figures){.state =
                                          session_state_name(session_state(t->session)),
                                      .rx_packets = stats.rx_packets,
                                      .rx_bytes = stats.rx_bytes,
                                      .tx_packets = stats.tx_packets,
                                      .tx_bytes = stats.tx_bytes,
                                      .available_bps = stats.available_bps,
                                      .rtt_us = stats.rtt_us};
    return 0;
}

void meeting_end_transport(struct meeting *meeting, struct transport *t)
{
    struct meeting_error gone;
    struct room *room = t->owner->room;

    while (t->producers != NULL) {
        meeting_end_producer(meeting, t->producers);
    }
    while (t->consumers != NULL) {
        meeting_end_consumer(meeting, t->consumers, "transport_closed");
    }
    meeting_end_data(t, "transport_closed");
    session_close(t->session);
    (void)meeting_fail(&gone, "gone", "it was closed meanwhile");
    meeting_answer(&t->done, t->arg, &gone, NULL);
    meeting_drop_transport(t);
    if (room->anchor == NULL) {
        meeting_save_room(room); /* the newest facts stood in that one's record */
    }
}

int meeting_transport_close(struct meeting *meeting, struct participant *p,
                            const char *transport_id, struct meeting_error *err)
{
    struct transport *t = meeting_find_transport(p, transport_id);

    if (t == NULL) {
        return meeting_fail(err, "not_found", "there is no such transport");
    }
    meeting_end_transport(meeting, t);
    return 0;
}
