/* Viewers: their consumers are moved from producer to producer, by their choice or to
 * whoever speaks; see meeting.h. Who speaks is floor.h's to say, which does not flap. */
#include <stdio.h>
#include <string.h>

#include "meeting/priv.h"

/* ---- who sends ---- */

/* What a participant sends of a kind: rather itself than a screen. */
static struct room_producer *producer_of(const struct participant *p, enum rtp_kind kind)
{
    struct room_producer *found = NULL;

    /* viewers are in no breakout, nor see into one */
    for (const struct transport *t = p->group == 0 ? p->transports : NULL; t != NULL;
         t = t->next) {
        for (struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
            bool person = rp->source == SOURCE_CAMERA || rp->source == SOURCE_MIC;

            if (rp->ready && producer_params(rp->producer)->kind == kind &&
                (found == NULL || person)) {
                found = rp;
            }
        }
    }
    return found;
}

struct participant *meeting_find_sender(struct room *room, const char *wanted)
{
    struct participant *found = NULL;

    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        bool video = producer_of(p, RTP_KIND_VIDEO) != NULL;

        if (!video && producer_of(p, RTP_KIND_AUDIO) == NULL) {
            continue;
        }
        if (wanted[0] != '\0') {
            if (strcmp(p->id, wanted) == 0 || strcmp(p->who.user_id, wanted) == 0) {
                return p;
            }
        } else if (found == NULL || video) {
            found = p; /* the list begins with who came last */
        }
    }
    return found;
}

static struct participant *find_participant(const struct room *room, const char *id)
{
    struct participant *p = room->participants;

    while (p != NULL && strcmp(p->id, id) != 0) {
        p = p->next;
    }
    return p;
}

/* ---- what to show ---- */

static bool consumer_takes(void *arg, struct room_producer *rp)
{
    const struct room_consumer *rc = arg;

    return consumer_fits(rc->consumer, rp->producer);
}

typedef bool fits_fn(void *arg, struct room_producer *rp);

/* What whoever speaks sends of a kind, if it will do. */
static struct room_producer *of_speaker(const struct room *room, enum rtp_kind kind,
                                        fits_fn *fits, void *arg)
{
    struct room_producer *rp =
        room->speaker != NULL ? producer_of(room->speaker->transport->owner, kind) : NULL;

    return rp != NULL && (fits == NULL || fits(arg, rp)) ? rp : NULL;
}

/* What is sent of a kind: that of who came first of those who send video, if need be of
 * anybody; not 'but', nor if the sender has paused it and another has not. */
static struct room_producer *of_anybody(const struct room *room, enum rtp_kind kind,
                                        const struct room_producer *but, fits_fn *fits,
                                        void *arg)
{
    struct room_producer *found = NULL;
    int best = -1;

    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        struct room_producer *rp = producer_of(p, kind);
        int rank;

        if (rp == NULL || rp == but || (fits != NULL && !fits(arg, rp))) {
            continue;
        }
        rank = (producer_is_paused(rp->producer) ? 0 : 2) +
               (producer_of(p, RTP_KIND_VIDEO) != NULL ? 1 : 0);
        if (rank >= best) {
            best = rank;
            found = rp;
        }
    }
    return found;
}

struct room_producer *meeting_view_first(const struct participant *viewer,
                                         enum rtp_kind kind,
                                         bool (*fits)(void *arg, struct room_producer *rp),
                                         void *arg)
{
    const struct participant *watched;
    struct room_producer *rp;

    if (viewer->watched[0] != '\0') {
        watched = find_participant(viewer->room, viewer->watched);
        rp = watched != NULL ? producer_of(watched, kind) : NULL;
        return rp != NULL && (fits == NULL || fits(arg, rp)) ? rp : NULL;
    }
    rp = of_speaker(viewer->room, kind, fits, arg);
    return rp != NULL ? rp : of_anybody(viewer->room, kind, NULL, fits, arg);
}

/* ---- moving ---- */

static void park(struct meeting *meeting, struct room_consumer *rc, bool parked)
{
    if (rc->parked != parked) {
        rc->parked = parked;
        consumer_set_paused(rc->consumer, parked);
        meeting_layers_counted(meeting, rc);
    }
}

/* Brings a consumer to what its viewer is to be shown now. What cannot be done at once is
 * done at a later turn. */
static void look(struct meeting *meeting, const struct participant *watched,
                 struct room_consumer *rc)
{
    const struct participant *viewer = rc->transport->owner;
    enum rtp_kind kind = producer_params(rc->source->producer)->kind;
    struct room_producer *to;

    if (rc->done != NULL) {
        return; /* it is not there yet */
    }
    if (viewer->watched[0] != '\0') {
        to = watched != NULL ? producer_of(watched, kind) : NULL;
        to = to != NULL && consumer_fits(rc->consumer, to->producer) ? to : NULL;
    } else {
        to = of_speaker(viewer->room, kind, consumer_takes, rc);
        to = to != NULL ? to : rc->source;
    }
    if (to == NULL) {
        park(meeting, rc, true);
    } else if (to == rc->source || meeting_move_consumer(meeting, rc, to) == 0) {
        park(meeting, rc, false);
    }
}

static void look_at_all(struct meeting *meeting, const struct participant *viewer)
{
    const struct participant *watched =
        viewer->watched[0] != '\0' ? find_participant(viewer->room, viewer->watched) : NULL;

    for (const struct transport *t = viewer->transports; t != NULL; t = t->next) {
        for (struct room_consumer *rc = t->consumers; rc != NULL; rc = rc->next) {
            look(meeting, watched, rc);
        }
    }
}

void meeting_viewers_tick(struct meeting *meeting, struct room *room)
{
    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        if (p->viewer) {
            look_at_all(meeting, p);
        }
    }
}

/* Who is watched by choice ends with its producer; all others go on with another. */
void meeting_viewers_leave(struct meeting *meeting, struct room_producer *rp)
{
    const struct room *room = rp->transport->owner->room;
    enum rtp_kind kind = producer_params(rp->producer)->kind;
    struct room_consumer *next;

    for (struct room_consumer *rc = rp->consumers; rc != NULL; rc = next) {
        const struct participant *viewer = rc->transport->owner;
        struct room_producer *to = NULL;

        next = rc->next_of_source;
        if (!viewer->viewer || rc->done != NULL ||
            (viewer->watched[0] != '\0' && !rc->parked)) {
            continue;
        }
        to = of_speaker(room, kind, consumer_takes, rc);
        if (to == NULL || to == rp) {
            to = of_anybody(room, kind, rp, consumer_takes, rc);
        }
        if (to != NULL) {
            (void)meeting_move_consumer(meeting, rc, to);
        }
    }
}

/* ---- viewers ---- */

void meeting_view_as(struct participant *p, const char *watched)
{
    if (!p->viewer) {
        p->viewer = true;
        p->room->n_viewers++;
    }
    (void)snprintf(p->watched, sizeof(p->watched), "%s", watched);
}

int meeting_view_change(struct meeting *meeting, struct participant *p, const char *wanted,
                        struct meeting_error *err)
{
    const struct participant *to =
        wanted[0] != '\0' ? meeting_find_sender(p->room, wanted) : NULL;
    bool any = false;

    if (wanted[0] != '\0' && to == NULL) {
        return meeting_fail(err, "not_found", "that participant sends nothing now");
    }
    for (const struct transport *t = p->transports; t != NULL && to != NULL; t = t->next) {
        for (struct room_consumer *rc = t->consumers; rc != NULL; rc = rc->next) {
            struct room_producer *rp =
                producer_of(to, producer_params(rc->source->producer)->kind);

            if (rp != NULL && !consumer_fits(rc->consumer, rp->producer)) {
                return meeting_fail(err, "unsupported",
                                    "it sends another codec than was negotiated");
            }
            any = any || rp != NULL;
        }
    }
    if (to != NULL && !any) {
        return meeting_fail(err, "not_found",
                            "that participant sends nothing that was negotiated");
    }
    meeting_view_as(p, to != NULL ? to->id : "");
    look_at_all(meeting, p);
    for (const struct transport *t = p->transports; t != NULL; t = t->next) {
        meeting_save(t);
    }
    return 0;
}
