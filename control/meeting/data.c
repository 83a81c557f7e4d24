/* Data producers and consumers of participants; see meeting.h. Nothing of them is in the
 * vault: they end with this process. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/priv.h"

enum {
    MAX_DATA_PRODUCERS = 32, /* of a transport */
    MAX_DATA_CONSUMERS = 512
};

static struct data_producer *find_on(const struct transport *t, const char *id)
{
    struct data_producer *dp = t->data_producers;

    while (dp != NULL && strcmp(dp->id, id) != 0) {
        dp = dp->next;
    }
    return dp;
}

static struct data_producer *find_of(const struct participant *p, const char *id)
{
    struct data_producer *dp = NULL;

    for (const struct transport *t = p->transports; t != NULL && dp == NULL; t = t->next) {
        dp = find_on(t, id);
    }
    return dp;
}

/* Of anybody who is where 'who' is. */
static struct data_producer *find_in(const struct participant *who, const char *id)
{
    struct data_producer *dp = NULL;

    for (const struct participant *p = who->room->senders; p != NULL && dp == NULL;
         p = p->next_sender) {
        dp = p->group == who->group ? find_of(p, id) : NULL;
    }
    return dp;
}

static struct data_consumer *find_consumer(const struct participant *p, const char *id)
{
    for (const struct transport *t = p->transports; t != NULL; t = t->next) {
        for (struct data_consumer *dc = t->data_consumers; dc != NULL; dc = dc->next) {
            if (strcmp(dc->id, id) == 0) {
                return dc;
            }
        }
    }
    return NULL;
}

static struct data_consumer *consumer_on(const struct transport *t, uint16_t stream)
{
    struct data_consumer *dc = t->data_consumers;

    while (dc != NULL && dc->channel.stream != stream) {
        dc = dc->next;
    }
    return dc;
}

static struct data_producer *producer_on(const struct transport *t, uint16_t stream)
{
    struct data_producer *dp = t->data_producers;

    while (dp != NULL && dp->channel.stream != stream) {
        dp = dp->next;
    }
    return dp;
}

/* ---- ends ---- */

static void unlink_consumer(struct data_consumer *dc)
{
    struct data_consumer **at = &dc->transport->data_consumers;

    while (*at != dc) {
        at = &(*at)->next;
    }
    *at = dc->next;
    *dc->at_of_source = dc->next_of_source;
    if (dc->next_of_source != NULL) {
        dc->next_of_source->at_of_source = dc->at_of_source;
    }
}

void meeting_end_data_consumer(struct data_consumer *dc, const char *reason)
{
    struct transport *t = dc->transport;

    unlink_consumer(dc);
    t->n_data_consumers--;
    session_data_reset(t->session, dc->channel.stream);
    if (reason != NULL) {
        const struct meeting_event event = {.kind = MEETING_DATA_CONSUMER_CLOSED,
                                            .who = t->owner,
                                            .data = dc->source,
                                            .data_consumer = dc,
                                            .reason = reason};

        t->meeting->ops.to_one(t->meeting->user, t->owner, &event);
    }
    free(dc);
}

void meeting_end_data_producer(struct data_producer *dp, const char *reason)
{
    struct transport *t = dp->transport;
    struct meeting *meeting = t->meeting;
    struct data_producer **at = &t->data_producers;
    struct meeting_event event = {
        .kind = MEETING_DATA_CLOSED, .who = t->owner, .data = dp, .reason = reason};

    for (struct data_consumer *dc = dp->consumers, *next; dc != NULL; dc = next) {
        next = dc->next_of_source;
        meeting_end_data_consumer(dc, "producer_closed");
    }
    while (*at != dp) {
        at = &(*at)->next;
    }
    *at = dp->next;
    t->n_data_producers--;
    session_data_reset(t->session, dp->channel.stream);
    if (reason != NULL) {
        meeting->ops.to_one(meeting->user, t->owner, &event);
    } else {
        event.reason = "closed";
    }
    meeting_tell_fact(meeting, t->owner->room, t->owner, event);
    free(dp);
}

void meeting_end_data(struct transport *t, const char *reason)
{
    for (struct data_producer *dp = t->data_producers, *next; dp != NULL; dp = next) {
        next = dp->next;
        meeting_end_data_producer(dp, reason);
    }
    for (struct data_consumer *dc = t->data_consumers, *next; dc != NULL; dc = next) {
        next = dc->next;
        meeting_end_data_consumer(dc, reason);
    }
}

/* ---- what sessions say ---- */

/* To each consumer; one that does not keep up loses messages, or its channel if that
 * promised to lose none. */
void meeting_on_data(void *user, uint16_t stream, uint32_t ppid, const void *data,
                     size_t len)
{
    const struct transport *t = user;
    const struct data_producer *dp = producer_on(t, stream);
    struct data_consumer *next;

    for (struct data_consumer *dc = dp != NULL ? dp->consumers : NULL; dc != NULL;
         dc = next) {
        int err = session_data_send(dc->transport->session, &dc->channel, ppid, data, len);

        next = dc->next_of_source;
        if (err != 0 && err != -EINPROGRESS && /* a channel begins when it is open */
            dc->channel.reliability == DSCTP_RELIABLE) {
            meeting_end_data_consumer(dc, err == -EAGAIN ? "slow_reader" : "sctp_failed");
        }
    }
}

void meeting_on_data_reset(void *user, uint16_t stream)
{
    struct transport *t = user;
    struct data_producer *dp = producer_on(t, stream);
    struct data_consumer *dc = consumer_on(t, stream);

    if (dp != NULL) {
        meeting_end_data_producer(dp, "channel_closed");
    } else if (dc != NULL) {
        meeting_end_data_consumer(dc, "channel_closed");
    } /* else: the answer to a reset of ours */
}

void meeting_on_data_down(void *user, const char *reason)
{
    meeting_end_data(user, reason);
}

/* ---- what participants ask for ---- */

/* Finds the transport, and whether it can have one more. */
static struct transport *usable(const struct participant *p, const char *transport_id,
                                bool send, struct meeting_error *err)
{
    struct transport *t = meeting_find_transport(p, transport_id);

    if (t == NULL) {
        (void)meeting_fail(err, "not_found", "there is no such transport");
    } else if (t->send != send) {
        (void)meeting_fail(err, "wrong_direction", "that transport is for %s",
                           t->send ? "sending" : "receiving");
    } else if (!session_has_data(t->session)) {
        (void)meeting_fail(
            err, "gone", "the data channels of that transport have ended: make a new one");
    } else if (send ? t->n_data_producers >= MAX_DATA_PRODUCERS
                    : t->n_data_consumers >= MAX_DATA_CONSUMERS) {
        (void)meeting_fail(err, "too_many", "that transport has no room for another one");
    } else {
        return t;
    }
    return NULL;
}

struct data_producer *meeting_data_produce(struct meeting *meeting, struct participant *p,
                                           const char *transport_id,
                                           const struct dsctp_channel *channel,
                                           const char *label, const char *protocol,
                                           struct meeting_error *err)
{
    struct data_producer *dp;
    struct transport *t;
    int e;

    if (!auth_may(p->who.role, &p->room->policy, AUTH_PRODUCE_MEDIA)) {
        (void)meeting_fail(err, "forbidden", "your role may not send");
        return NULL;
    }
    t = usable(p, transport_id, true, err);
    if (t == NULL) {
        return NULL;
    }
    if (producer_on(t, channel->stream) != NULL) {
        (void)meeting_fail(err, "invalid",
                           "/sctp_stream_parameters/streamId: is in use on that transport");
        return NULL;
    }
    dp = calloc(1, sizeof(*dp));
    e = dp != NULL ? session_data_open(t->session) : -ENOMEM;
    if (e != 0) {
        (void)meeting_fail_errno(err, e);
        free(dp);
        return NULL;
    }
    meeting_new_id(meeting, dp->id);
    dp->transport = t;
    dp->channel = *channel;
    (void)snprintf(dp->label, sizeof(dp->label), "%s", label);
    (void)snprintf(dp->protocol, sizeof(dp->protocol), "%s", protocol);
    meeting_note_sender(p);
    dp->next = t->data_producers;
    t->data_producers = dp;
    t->n_data_producers++;
    meeting_tell_fact(
        meeting, p->room, p,
        (struct meeting_event){.kind = MEETING_NEW_DATA, .who = p, .data = dp});
    return dp;
}

/* A stream of the transport that nobody uses: not the one that was freed last, whose reset
 * may be under way. */
static uint16_t free_stream(struct transport *t)
{
    do {
        t->next_stream = (uint16_t)((t->next_stream + 1) % DSCTP_STREAMS);
    } while (consumer_on(t, t->next_stream) != NULL);
    return t->next_stream;
}

struct data_consumer *meeting_data_consume(struct meeting *meeting, struct participant *p,
                                           const char *transport_id,
                                           const char *data_producer_id,
                                           struct meeting_error *err)
{
    struct transport *t = usable(p, transport_id, false, err);
    struct data_producer *dp = t != NULL ? find_in(p, data_producer_id) : NULL;
    struct data_consumer *dc;
    int e;

    if (t == NULL) {
        return NULL;
    }
    if (dp == NULL) {
        (void)meeting_fail(err, "not_found", "there is no such data producer");
        return NULL;
    }
    dc = calloc(1, sizeof(*dc));
    e = dc != NULL ? session_data_open(t->session) : -ENOMEM;
    if (e != 0) {
        (void)meeting_fail_errno(err, e);
        free(dc);
        return NULL;
    }
    meeting_new_id(meeting, dc->id);
    dc->transport = t;
    dc->source = dp;
    dc->channel = dp->channel;
    dc->channel.stream = free_stream(t);
    dc->next = t->data_consumers;
    t->data_consumers = dc;
    dc->next_of_source = dp->consumers;
    dc->at_of_source = &dp->consumers;
    if (dc->next_of_source != NULL) {
        dc->next_of_source->at_of_source = &dc->next_of_source;
    }
    dp->consumers = dc;
    t->n_data_consumers++;
    return dc;
}

int meeting_data_close(struct participant *p, const char *id, struct meeting_error *err)
{
    struct data_producer *dp = find_of(p, id);
    struct data_consumer *dc = dp == NULL ? find_consumer(p, id) : NULL;

    if (dp != NULL) {
        meeting_end_data_producer(dp, NULL);
    } else if (dc != NULL) {
        meeting_end_data_consumer(dc, NULL);
    } else {
        return meeting_fail(err, "not_found",
                            "there is no such data producer or data consumer");
    }
    return 0;
}
