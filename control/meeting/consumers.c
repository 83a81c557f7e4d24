/* Consumers of participants; see meeting.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "meeting/priv.h"

static void on_consumed(void *arg, int status)
{
    struct room_consumer *rc = arg;
    struct meeting_error err;

    if (status != 0) {
        (void)meeting_fail_errno(&err, status);
        meeting_answer(&rc->done, rc->arg, &err, NULL);
        meeting_end_consumer(rc->transport->meeting, rc, NULL);
        return;
    }
    meeting_answer(&rc->done, rc->arg, NULL, rc);
}

void meeting_note_consumer(struct room_consumer *rc, struct room_producer *source)
{
    rc->source = source;
    rc->next_of_source = source->consumers;
    rc->at_of_source = &source->consumers;
    if (rc->next_of_source != NULL) {
        rc->next_of_source->at_of_source = &rc->next_of_source;
    }
    source->consumers = rc;
}

static int consume(struct meeting *meeting, struct transport *t, struct room_producer *rp,
                   const char *wanted_mid, const struct ortc_caps *caps,
                   struct room_consumer *rc)
{
    char mid[RTP_MID_MAX + 1];
    const struct consumer_conf conf = {
        .media = meeting->conf.media,
        .peer = session_peer(t->session),
        .producer = rp->producer,
        .caps = caps,
        .mid = mid,
        /* a viewer's stays: both kinds are one person's at a time */
        .cname = t->owner->viewer ? t->id : rp->transport->id,
        /* Counted up from a random start, so that no SSRC of a transport, hence no pair of
         * key and SSRC, is ever used twice. */
        .ssrc = t->next_ssrc,
        .rtx_ssrc = t->next_ssrc + 1,
        .screen = rp->source == SOURCE_SCREEN,
        .movable = t->owner->viewer,
    };

    if (wanted_mid != NULL) {
        (void)snprintf(mid, sizeof(mid), "%s", wanted_mid);
    } else {
        (void)snprintf(mid, sizeof(mid), "%u", t->next_mid);
        t->next_mid++;
    }
    t->next_ssrc += 2;
    meeting_save(t); /* first: no successor may give them out again */
    return consumer_create(&rc->consumer, &conf, on_consumed, rc);
}

int meeting_consume(struct meeting *meeting, struct participant *p,
                    const char *transport_id, const char *producer_id, const char *mid,
                    const struct ortc_caps *caps, meeting_done *done, void *arg,
                    struct meeting_error *err)
{
    struct transport *t = meeting_find_transport(p, transport_id);
    struct room_producer *rp = meeting_find_producer(p, producer_id);

    if (t == NULL || rp == NULL) {
        return meeting_fail(err, "not_found", "there is no such %s",
                            t == NULL ? "transport" : "producer");
    }
    return meeting_consume_of(meeting, t, rp, mid, caps, done, arg, err);
}

int meeting_consume_of(struct meeting *meeting, struct transport *t,
                       struct room_producer *rp, const char *mid,
                       const struct ortc_caps *caps, meeting_done *done, void *arg,
                       struct meeting_error *err)
{
    struct participant *p = t->owner;
    struct room_consumer *rc;
    int e;

    if (t->send) {
        return meeting_fail(err, "wrong_direction", "that transport only sends");
    }
    if (p->n_consumers >= meeting->conf.max_consumers) {
        return meeting_fail(err, "too_many", "at most %u consumers a participant",
                            meeting->conf.max_consumers);
    }
    rc = calloc(1, sizeof(*rc));
    if (rc == NULL) {
        return meeting_fail_errno(err, -ENOMEM);
    }
    meeting_new_id(meeting, rc->id);
    rc->transport = t;
    e = consume(meeting, t, rp, mid, caps, rc);
    if (e != 0) {
        free(rc);
        return meeting_fail_errno(err, e);
    }
    (void)consumer_save(rc->consumer, rc->id, MEETING_OBJECT_ID);
    rc->wish_spatial = rc->wish_temporal = VAULT_LAYER_ANY;
    rc->view_spatial = rc->view_temporal = VAULT_LAYER_ANY;
    rc->priority = 1;
    rc->parked = p->viewer; /* until meeting_view_begin() */
    rc->done = done;
    rc->arg = arg;
    rc->next = t->consumers;
    t->consumers = rc;
    meeting_note_consumer(rc, rp);
    p->n_consumers++;
    if (meeting_layers_added(meeting, rc) != 0) {
        rc->done = NULL; /* it is answered here */
        meeting_end_consumer(meeting, rc, NULL);
        return meeting_fail_errno(err, -ENOMEM);
    }
    return 0;
}

static void leave_source(struct room_consumer *rc)
{
    *rc->at_of_source = rc->next_of_source;
    if (rc->next_of_source != NULL) {
        rc->next_of_source->at_of_source = rc->at_of_source;
    }
}

int meeting_move_consumer(struct meeting *meeting, struct room_consumer *rc,
                          struct room_producer *to, bool urgent)
{
    int e = consumer_move(rc->consumer, to->producer, urgent);

    if (e != 0) {
        return e;
    }
    (void)consumer_save(rc->consumer, rc->id, MEETING_OBJECT_ID);
    meeting_layers_moved(meeting, rc);
    leave_source(rc);
    meeting_note_consumer(rc, to);
    meeting_layers_counted(meeting, rc);
    return 0;
}

void meeting_end_consumer(struct meeting *meeting, struct room_consumer *rc,
                          const char *reason)
{
    struct participant *p = rc->transport->owner;
    struct room_consumer **at = &rc->transport->consumers;
    bool known = rc->done == NULL; /* its owner was told of it */
    struct meeting_error gone;

    while (*at != rc) {
        at = &(*at)->next;
    }
    *at = rc->next;
    leave_source(rc);
    p->n_consumers--;
    meeting_layers_gone(meeting, rc);
    consumer_close(rc->consumer);
    (void)meeting_fail(&gone, "gone", "its producer was closed meanwhile");
    meeting_answer(&rc->done, rc->arg, &gone, NULL);
    if (known && reason != NULL) {
        struct meeting_event event = {.kind = MEETING_CONSUMER_CLOSED,
                                      .who = p,
                                      .producer = rc->source,
                                      .consumer = rc,
                                      .reason = reason};

        meeting->ops.to_one(meeting->user, p, &event);
    }
    free(rc);
}

int meeting_consumer_close(struct meeting *meeting, struct participant *p,
                           const char *consumer_id, struct meeting_error *err)
{
    struct room_consumer *rc = meeting_find_consumer(p, consumer_id);

    if (rc == NULL) {
        return meeting_fail(err, "not_found", "you have no such consumer");
    }
    meeting_end_consumer(meeting, rc, NULL);
    return 0;
}

int meeting_consumer_pause(struct participant *p, const char *consumer_id, bool paused,
                           struct meeting_error *err)
{
    struct room_consumer *rc = meeting_find_consumer(p, consumer_id);

    if (rc == NULL) {
        return meeting_fail(err, "not_found", "you have no such consumer");
    }
    consumer_set_paused(rc->consumer, paused);
    meeting_layers_counted(rc->transport->meeting, rc);
    return 0;
}
