/* Which layers consumers want, and so which ones senders need to send; see meeting.h. The
 * dataplane chooses among what is wished for and comes; here wishes are kept, and what it
 * did is told. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "media/media.h"
#include "meeting/priv.h"
#include "sfu/base/handle.h"
#include "sys/clock.h"

_Static_assert((int)MEETING_LAYER_ANY == (int)VAULT_LAYER_ANY, "one number");

enum {
    FULL_HEIGHT = 720, /* lines that the top layer is taken to have; each below it half */
    SLACK_PERCENT = 20 /* so much may a layer be enlarged */
};

struct view {
    char producer_id[MEETING_OBJECT_ID + 1];
    uint32_t height, area; /* pixels */
};

struct views {
    size_t n;
    struct view each[];
};

static uint8_t least(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

static struct producer_layers layers_of(const struct room_producer *rp)
{
    struct producer_layers layers;

    producer_layers(rp->producer, &layers);
    return layers;
}

static struct meeting_layer layer_of(uint32_t byte)
{
    return (struct meeting_layer){.any = byte >> 4 != ABI_LAYERS_NONE,
                                  .spatial = (uint8_t)(byte >> 4),
                                  .temporal = (uint8_t)(byte & 15)};
}

struct meeting_layers meeting_layers_read(uint32_t layers)
{
    static const char *const names[N_ABI_LAYERS_REASONS] = {
        [ABI_LAYERS_STARTED] = "started",     [ABI_LAYERS_REQUESTED] = "requested",
        [ABI_LAYERS_BANDWIDTH] = "bandwidth", [ABI_LAYERS_SOURCE] = "source",
        [ABI_LAYERS_NO_KEYFRAME] = "no_keyframe"};
    uint32_t reason = layers >> 16;

    if (layers == 0) { /* not known */
        return (struct meeting_layers){.target.any = true, .reason = ""};
    }
    return (struct meeting_layers){
        .current = layer_of(layers >> 8 & 255),
        .target = layer_of(layers & 255),
        .reason =
            reason < N_ABI_LAYERS_REASONS && names[reason] != NULL ? names[reason] : ""};
}

/* ---- what senders need to send ---- */

static void tell_sender(struct meeting *meeting, struct room_producer *rp, uint8_t needed)
{
    struct participant *p = rp->transport->owner;
    struct meeting_event event = {
        .kind = MEETING_PRODUCER_LAYERS, .who = p, .producer = rp};

    rp->needed = needed;
    if (rp->ready) {
        meeting->ops.to_one(meeting->user, p, &event);
    }
}

static void unlist(struct meeting *meeting, struct room_producer *rp)
{
    struct room_producer **at = &meeting->lower;

    if (rp->lower_at_us == 0) {
        return;
    }
    while (*at != rp) {
        at = &(*at)->next_lower;
    }
    *at = rp->next_lower;
    rp->lower_at_us = 0;
}

/* The highest layer that somebody wants; the lowest is always sent, so that whoever comes
 * sees something at once. */
static uint8_t wanted(const struct room_producer *rp)
{
    if (rp->recorded) {
        return (uint8_t)(layers_of(rp).n_spatial - 1);
    }
    for (uint8_t i = MEETING_SPATIAL; i-- > 1;) {
        if (rp->wanted[i] > 0) {
            return i;
        }
    }
    return 0;
}

/* More is told at once, less only when it has been enough for a while. */
static void sync_sender(struct meeting *meeting, struct room_producer *rp)
{
    uint8_t needed = wanted(rp);

    if (layers_of(rp).n_spatial < 2) {
        return;
    }
    if (needed >= rp->needed) {
        unlist(meeting, rp);
        if (needed > rp->needed) {
            tell_sender(meeting, rp, needed);
        }
    } else if (rp->lower_at_us == 0) {
        rp->lower_at_us = clock_mono_us() + UINT64_C(1000) * MEETING_LOWER_MS;
        rp->next_lower = meeting->lower;
        meeting->lower = rp;
    }
}

void meeting_layers_produced(struct meeting *meeting, struct room_producer *rp)
{
    rp->needed = (uint8_t)(layers_of(rp).n_spatial - 1);
    sync_sender(meeting, rp);
}

void meeting_layers_recorded(struct meeting *meeting, struct room_producer *rp, bool on)
{
    rp->recorded = on;
    sync_sender(meeting, rp);
}

void meeting_layers_unproduced(struct meeting *meeting, struct room_producer *rp)
{
    unlist(meeting, rp);
}

void meeting_layers_tick(struct meeting *meeting, uint64_t now_us)
{
    struct room_producer *next;

    for (struct room_producer *rp = meeting->lower; rp != NULL; rp = next) {
        next = rp->next_lower;
        if (rp->lower_at_us <= now_us) {
            unlist(meeting, rp);
            tell_sender(meeting, rp, wanted(rp));
        }
    }
}

/* ---- what consumers want ---- */

static uint8_t spatial_of(const struct room_consumer *rc)
{
    return least(rc->wish_spatial, rc->view_spatial);
}

void meeting_layers_counted(struct meeting *meeting, struct room_consumer *rc)
{
    struct room_producer *rp = rc->source;
    uint8_t n = layers_of(rp).n_spatial;
    uint8_t now =
        consumer_is_paused(rc->consumer) ? 0 : least(spatial_of(rc), (uint8_t)(n - 1)) + 1;

    if (now == rc->counted) {
        return;
    }
    if (rc->counted > 0) {
        rp->wanted[rc->counted - 1]--;
    }
    if (now > 0) {
        rp->wanted[now - 1]++;
    }
    rc->counted = now;
    sync_sender(meeting, rp);
}

static void apply(struct meeting *meeting, struct room_consumer *rc)
{
    const struct media_layers layers = {.spatial = spatial_of(rc),
                                        .temporal =
                                            least(rc->wish_temporal, rc->view_temporal),
                                        .priority = rc->priority,
                                        .area = rc->view_area};

    (void)consumer_set_layers(rc->consumer, &layers);
    meeting_layers_counted(meeting, rc);
}

/* The lowest layer that fills so many lines. */
static uint8_t layer_for(uint8_t n, uint32_t height)
{
    uint32_t lines = FULL_HEIGHT;

    for (uint8_t i = 1; i < n; i++) {
        lines /= 2;
    }
    for (uint8_t i = 0; i < n; i++, lines *= 2) {
        if ((uint64_t)height * 100 <= (uint64_t)lines * (100 + SLACK_PERCENT)) {
            return i;
        }
    }
    return MEETING_LAYER_ANY;
}

static const struct view *view_of(const struct views *views, const char *producer_id)
{
    for (size_t i = 0; i < views->n; i++) {
        if (strcmp(views->each[i].producer_id, producer_id) == 0) {
            return &views->each[i];
        }
    }
    return NULL;
}

/* Whether its view is another now. */
static bool look(struct room_consumer *rc, const struct views *views)
{
    const struct view *view = view_of(views, rc->source->id);
    uint8_t spatial =
        view != NULL ? layer_for(layers_of(rc->source).n_spatial, view->height) : 0;
    uint8_t temporal = view != NULL ? MEETING_LAYER_ANY : 0;
    uint32_t area = view != NULL ? view->area : 0;

    if (producer_params(rc->source->producer)->kind != RTP_KIND_VIDEO ||
        (spatial == rc->view_spatial && temporal == rc->view_temporal &&
         area == rc->view_area)) {
        return false;
    }
    rc->view_area = area;
    rc->view_spatial = spatial;
    rc->view_temporal = temporal;
    return true;
}

int meeting_layers_added(struct meeting *meeting, struct room_consumer *rc)
{
    uint32_t i = handle_index(consumer_sub(rc->consumer));

    if (i >= meeting->n_by_sub) {
        uint32_t n = i + 1 > 64 ? 2 * (i + 1) : 64;
        struct room_consumer **more =
            realloc(meeting->by_sub, n * sizeof(struct room_consumer *));

        if (more == NULL) {
            return -ENOMEM;
        }
        memset(more + meeting->n_by_sub, 0,
               (n - meeting->n_by_sub) * sizeof(struct room_consumer *));
        meeting->by_sub = more;
        meeting->n_by_sub = n;
    }
    meeting->by_sub[i] = rc;
    if (rc->transport->owner->views != NULL && look(rc, rc->transport->owner->views)) {
        apply(meeting, rc);
    } else {
        meeting_layers_counted(meeting, rc);
    }
    return 0;
}

void meeting_layers_gone(struct meeting *meeting, struct room_consumer *rc)
{
    uint32_t i = handle_index(consumer_sub(rc->consumer));

    if (i < meeting->n_by_sub && meeting->by_sub[i] == rc) {
        meeting->by_sub[i] = NULL;
    }
    meeting_layers_moved(meeting, rc);
}

void meeting_layers_moved(struct meeting *meeting, struct room_consumer *rc)
{
    rc->layers = 0;
    if (rc->counted > 0) {
        rc->source->wanted[rc->counted - 1]--;
        rc->counted = 0;
        sync_sender(meeting, rc->source);
    }
}

/* Its owner hears of it once it knows of the consumer. */
static void changed(struct meeting *meeting, struct room_consumer *rc, uint32_t layers)
{
    struct meeting_event event = {.kind = MEETING_CONSUMER_LAYERS,
                                  .who = rc->transport->owner,
                                  .producer = rc->source,
                                  .consumer = rc};

    rc->layers = layers;
    if (rc->done == NULL) {
        meeting->ops.to_one(meeting->user, event.who, &event);
    }
}

void meeting_on_layers(struct meeting *meeting, uint64_t sub, uint32_t layers)
{
    uint32_t i = handle_index(sub);
    struct room_consumer *rc = i < meeting->n_by_sub ? meeting->by_sub[i] : NULL;

    if (rc == NULL || consumer_sub(rc->consumer) != sub || layers >> 16 == 0 ||
        layers >> 16 >= N_ABI_LAYERS_REASONS) {
        return;
    }
    changed(meeting, rc, layers);
}

void meeting_layers_held(struct meeting *meeting, struct room_consumer *rc, bool held,
                         bool sent)
{
    const uint32_t none = ABI_LAYERS(ABI_LAYERS_BANDWIDTH, ABI_LAYERS_NONE, ABI_LAYERS_NONE,
                                     ABI_LAYERS_NONE, ABI_LAYERS_NONE);
    const struct producer_layers layers = layers_of(rc->source);

    if (consumer_type(&layers) != CONSUMER_SIMPLE) {
        return; /* the dataplane tells of these itself */
    }
    if (held && rc->layers != none) {
        changed(meeting, rc, none);
    } else if (!held && sent && rc->layers == none) {
        changed(meeting, rc, ABI_LAYERS(ABI_LAYERS_BANDWIDTH, 0, 0, 0, 0));
    }
}

/* ---- wishes ---- */

static struct room_consumer *find(const struct participant *p, const char *id,
                                  struct meeting_error *err)
{
    struct room_consumer *rc = meeting_find_consumer(p, id);

    if (rc == NULL) {
        (void)meeting_fail(err, "not_found", "you have no such consumer");
    }
    return rc;
}

struct room_consumer *meeting_consumer_layers(struct meeting *meeting,
                                              struct participant *p,
                                              const char *consumer_id, uint8_t spatial,
                                              uint8_t temporal, struct meeting_error *err)
{
    struct room_consumer *rc = find(p, consumer_id, err);
    struct producer_layers layers;

    if (rc == NULL) {
        return NULL;
    }
    layers = layers_of(rc->source);
    if (spatial != MEETING_LAYER_ANY && spatial >= layers.n_spatial) {
        (void)meeting_fail(err, "invalid", "/spatial: its layers are 0 to %u",
                           layers.n_spatial - 1u);
        return NULL;
    }
    if (temporal != MEETING_LAYER_ANY && temporal >= layers.n_temporal) {
        (void)meeting_fail(err, "invalid", "/temporal: its layers are 0 to %u",
                           layers.n_temporal - 1u);
        return NULL;
    }
    rc->wish_spatial = spatial;
    rc->wish_temporal = temporal;
    apply(meeting, rc);
    return rc;
}

/* The participant's consumer with this id, or of the producer with it. */
static struct room_consumer *consumer_of(const struct participant *p, const char *id)
{
    for (const struct transport *t = p->transports; t != NULL; t = t->next) {
        for (struct room_consumer *rc = t->consumers; rc != NULL; rc = rc->next) {
            if (strcmp(rc->id, id) == 0 || strcmp(rc->source->id, id) == 0) {
                return rc;
            }
        }
    }
    return NULL;
}

struct room_consumer *meeting_consumer_quality(struct meeting *meeting,
                                               struct participant *p, const char *id,
                                               unsigned quality, struct meeting_error *err)
{
    struct room_consumer *rc = consumer_of(p, id);
    uint8_t n;

    if (rc == NULL) {
        (void)meeting_fail(err, "not_found", "you have no such consumer");
        return NULL;
    }
    n = layers_of(rc->source).n_spatial;
    rc->wish_spatial = quality > 1    ? MEETING_LAYER_ANY
                       : quality == 1 ? (uint8_t)(n / 2u)
                                      : 0;
    rc->wish_temporal = MEETING_LAYER_ANY;
    apply(meeting, rc);
    return rc;
}

int meeting_consumer_priority(struct meeting *meeting, struct participant *p,
                              const char *consumer_id, uint8_t priority,
                              struct meeting_error *err)
{
    struct room_consumer *rc = find(p, consumer_id, err);

    if (rc == NULL) {
        return -1;
    }
    rc->priority = priority;
    apply(meeting, rc);
    return 0;
}

int meeting_consumer_keyframe(struct meeting *meeting, struct participant *p,
                              const char *consumer_id, struct meeting_error *err)
{
    struct room_consumer *rc = find(p, consumer_id, err);

    if (rc == NULL) {
        return -1;
    }
    if (producer_params(rc->source->producer)->kind != RTP_KIND_VIDEO) {
        return meeting_fail(err, "invalid", "audio has no key frames");
    }
    (void)media_sub_keyframe(meeting->conf.media, consumer_sub(rc->consumer), NULL, NULL);
    return 0;
}

static uint32_t area_of(const struct meeting_view *view)
{
    const uint64_t area = (uint64_t)view->width * view->height;

    return area < UINT32_MAX ? (uint32_t)area : UINT32_MAX;
}

int meeting_view(struct meeting *meeting, struct participant *p,
                 const struct meeting_view *views, size_t n, uint32_t last_n,
                 struct meeting_error *err)
{
    struct views *kept;

    if (last_n > 0 && last_n < n) {
        n = last_n;
    }
    kept = calloc(1, sizeof(*kept) + n * sizeof(kept->each[0]));
    if (kept == NULL) {
        return meeting_fail_errno(err, -ENOMEM);
    }
    for (size_t i = 0; i < n; i++) {
        struct view *view = &kept->each[kept->n];

        if (strlen(views[i].producer_id) <= MEETING_OBJECT_ID) { /* else of none */
            strcpy(view->producer_id, views[i].producer_id);
            view->height = views[i].height;
            view->area = area_of(&views[i]);
            kept->n++;
        }
    }
    free(p->views);
    p->views = kept;
    for (const struct transport *t = p->transports; t != NULL; t = t->next) {
        for (struct room_consumer *rc = t->consumers; rc != NULL; rc = rc->next) {
            if (look(rc, kept)) {
                apply(meeting, rc);
            }
        }
    }
    return 0;
}

/* ---- screens ---- */

int meeting_screen(struct meeting *meeting, struct participant *p, bool on,
                   struct meeting_error *err)
{
    if (on && !auth_may(p->who.role, &p->room->policy, AUTH_PRODUCE_SCREEN)) {
        return meeting_fail(err, "forbidden", "the role %s may not share a screen",
                            auth_role_name(p->who.role));
    }
    if (p->screen != on) {
        if (on && meeting_is_crowd(p->room) &&
            meeting_spend(p, MEETING_RATE_SEND, err) != 0) {
            return -1;
        }
        p->screen = on;
        meeting_tell_fact(meeting, p->room, p,
                          (struct meeting_event){.kind = on ? MEETING_SCREEN_STARTED
                                                            : MEETING_SCREEN_STOPPED,
                                                 .who = p});
    }
    return 0;
}
