/* Transports, producers and consumers of WHIP and WHEP sessions, and the answers made of
 * them; see wish.h.
 *
 * All of it is called back by meeting/, so that nothing may end here: a session that fails
 * is answered and ends at the next tick. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rest/wish_priv.h"
#include "sys/clock.h"
#include "sys/entropy.h"

struct transport *wish_transport(const struct wish_session *s)
{
    struct transport *t = s->p->transports;

    while (t != NULL && strcmp(t->id, s->transport_id) != 0) {
        t = t->next;
    }
    return t;
}

static void fail(struct wish_session *s, const struct meeting_error *err)
{
    if (s->req != NULL) {
        struct net_req *req = s->req;

        s->req = NULL;
        wish_problem_of(req, err);
    }
    wish_session_kill(s, "left");
}

static void fail_with(struct wish_session *s, const char *code, const char *message)
{
    struct meeting_error err = {.code = code};

    (void)snprintf(err.message, sizeof(err.message), "%s", message);
    fail(s, &err);
}

/* ---- descriptions ---- */

/* The node's end of the transport, as texts that live as long as 'local' and 'list'. */
static struct sdp_local local_of(const struct wish_session *s,
                                 const struct session_local *local,
                                 struct sdp_candidate list[SESSION_MAX_CANDIDATES])
{
    struct sdp_local out = {.ufrag = local->ufrag,
                            .pwd = local->pwd,
                            .fingerprint = local->fingerprint,
                            .setup = s->setup,
                            .version = 1,
                            .n_candidates = local->n_candidates,
                            .candidates = list};

    entropy_fill(&out.id, sizeof(out.id));
    out.id >>= 1; /* RFC 9429, section 5.2.1: 63 bits */
    for (uint8_t i = 0; i < local->n_candidates; i++) {
        struct sdp_candidate *c = &list[i];

        memset(c, 0, sizeof(*c));
        (void)snprintf(c->foundation, sizeof(c->foundation), "%s",
                       local->candidates[i].foundation);
        (void)snprintf(c->address, sizeof(c->address), "%s", local->candidates[i].address);
        (void)snprintf(c->transport, sizeof(c->transport), "udp");
        (void)snprintf(c->type, sizeof(c->type), "host");
        c->component = 1;
        c->priority = local->candidates[i].priority;
        c->port = local->candidates[i].port;
    }
    return out;
}

static struct sdp *describe(struct wish_session *s, const struct sdp_local *local)
{
    const char *stream = s->viewer ? s->source : NULL;
    struct sdp *sdp =
        s->counter ? sdp_offer_create(local) : sdp_answer_create(s->offer, local);

    for (uint8_t i = 0; sdp != NULL && i < s->n_sections; i++) {
        struct wish_section *section = &s->sections[i];

        if (section->params->n_codecs == 0) {
            continue; /* no codec of it is the node's */
        }
        if (!s->counter) {
            sdp_answer_accept(sdp, section->index, s->offer->media[section->index],
                              section->params, stream, local);
        } else if (sdp_offer_add(sdp, section->kind, section->params, stream, local) != 0) {
            sdp_destroy(sdp);
            sdp = NULL;
        }
    }
    if (sdp != NULL) {
        const struct sdp_media *tagged;

        sdp_bundle_finish(sdp, s->counter ? NULL : s->offer, local);
        tagged = sdp_tagged(sdp);
        if (tagged != NULL) {
            memcpy(s->mid, tagged->mid, sizeof(s->mid));
        }
    }
    return sdp;
}

/* All is open: answers the POST. */
static void answer(struct wish_session *s)
{
    struct sdp_candidate list[SESSION_MAX_CANDIDATES];
    struct transport *t = wish_transport(s);
    struct session_local local;
    struct sdp_local node;
    struct sdp *sdp;
    char *text;

    if (s->req == NULL || t == NULL) {
        return;
    }
    session_local(t->session, &local);
    node = local_of(s, &local, list);
    sdp = describe(s, &node);
    text = sdp != NULL ? sdp_write(sdp, false) : NULL;
    for (uint8_t i = 0; i < s->n_sections; i++) {
        free(s->sections[i].params);
        s->sections[i].params = NULL;
    }
    sdp_destroy(s->offer);
    s->offer = s->counter ? sdp : NULL;
    if (!s->counter) {
        sdp_destroy(sdp);
    }
    if (text == NULL) {
        fail_with(s, "no_memory", "the node is out of memory");
        return;
    }
    if (!s->counter) {
        wish_save(s); /* what the client is told is to hold after a restart */
    }
    wish_respond_session(s, s->counter ? 406 : 201, text);
    free(text);
    if (s->viewer && !s->counter) {
        meeting_view_begin(s->wish->conf->meeting, s->p);
    }
}

char *wish_ice_fragment(struct wish_session *s)
{
    struct sdp_candidate list[SESSION_MAX_CANDIDATES];
    struct transport *t = wish_transport(s);
    struct session_local local;
    struct sdp_local node;
    struct sdp_media *m;
    struct sdp *sdp = sdp_create();
    char *text = NULL;

    if (sdp != NULL && t != NULL) {
        session_local(t->session, &local);
        node = local_of(s, &local, list);
        sdp->ice_lite = true; /* these two as in the answer (RFC 9725, section 4.3.3) */
        sdp->transport.ice_options = SDP_ICE_TRICKLE | SDP_ICE_ICE2;
        (void)snprintf(sdp->transport.ufrag, sizeof(sdp->transport.ufrag), "%s",
                       node.ufrag);
        (void)snprintf(sdp->transport.pwd, sizeof(sdp->transport.pwd), "%s", node.pwd);
        m = sdp_add_media(sdp, SDP_AUDIO);
        if (m != NULL) {
            (void)snprintf(m->proto, sizeof(m->proto), "UDP/TLS/RTP/SAVPF");
            m->port = 9;
            m->n_codecs = 1;
            memcpy(m->mid, s->mid, sizeof(m->mid));
            m->n_candidates = (uint8_t)node.n_candidates;
            memcpy(m->candidates, list, node.n_candidates * sizeof(list[0]));
            m->end_of_candidates = true;
            text = sdp_write(sdp, true);
        }
    }
    sdp_destroy(sdp);
    return text;
}

/* ---- what opens, one after the other ---- */

static void count(struct wish_session *s)
{
    s->n_ready++;
    if (s->n_ready == s->n_sections) {
        answer(s);
    }
}

static void on_produced(void *arg, const struct meeting_error *err, void *object)
{
    struct wish_session *s = arg;

    (void)object;
    if (err != NULL) {
        fail(s, err);
    } else {
        count(s);
    }
}

static void on_consumed(void *arg, const struct meeting_error *err, void *object)
{
    struct wish_session *s = arg;
    struct room_consumer *rc = object;
    struct wish_section *section = NULL;

    if (err != NULL) {
        fail(s, err);
        return;
    }
    for (uint8_t i = 0; i < s->n_sections; i++) {
        if (s->sections[i].kind == consumer_kind(rc->consumer)) {
            section = &s->sections[i];
        }
    }
    if (section == NULL || section->params == NULL) {
        fail_with(s, "internal_error", "a consumer of no section");
        return;
    }
    memcpy(section->object, rc->id, sizeof(section->object));
    consumer_params(rc->consumer, section->params);
    count(s);
}

static void publish(struct wish_session *s)
{
    struct meeting_error err;

    for (uint8_t i = 0; i < s->n_sections; i++) {
        const struct wish_section *section = &s->sections[i];
        bool audio = section->kind == RTP_KIND_AUDIO;

        if (meeting_produce(s->wish->conf->meeting, s->p, s->transport_id, section->kind,
                            section->params, audio ? SOURCE_MIC : SOURCE_CAMERA, false,
                            on_produced, s, &err) != 0) {
            fail(s, &err);
            return;
        }
    }
}

static bool takes(void *arg, struct room_producer *rp)
{
    return ortc_can_consume(producer_params(rp->producer), arg);
}

/* What the viewer can take: fills 'caps'. False if its offer has a section that there is
 * something for, but in no codec of it: then our own offer is made. */
static bool take_caps(struct wish_session *s, struct ortc_caps *caps)
{
    memset(caps, 0, sizeof(*caps));
    for (uint8_t i = 0; i < s->n_sections; i++) {
        enum rtp_kind kind = s->sections[i].kind;

        sdp_section_caps(s->offer->media[s->sections[i].index], caps);
        if (meeting_view_first(s->p, kind, NULL, NULL) != NULL &&
            meeting_view_first(s->p, kind, takes, caps) == NULL) {
            return false;
        }
    }
    return true;
}

/* Our own offer: all that there is, with the router's payload types. */
static int make_counter(struct wish_session *s, struct ortc_caps *caps)
{
    static const enum rtp_kind kinds[WISH_SECTIONS] = {RTP_KIND_AUDIO, RTP_KIND_VIDEO};
    json_t *json = ortc_router_capabilities();
    struct rtp_error wrong;
    int e = json != NULL ? ortc_parse_caps(json, caps, &wrong) : -ENOMEM;

    json_decref(json);
    s->counter = true;
    s->setup = SDP_ACTPASS;
    s->n_sections = WISH_SECTIONS;
    for (uint8_t i = 0; i < WISH_SECTIONS; i++) {
        s->sections[i].kind = kinds[i];
        if (s->sections[i].params == NULL) {
            s->sections[i].params = calloc(1, sizeof(*s->sections[i].params));
        }
        e = s->sections[i].params == NULL ? -ENOMEM : e;
    }
    return e;
}

/* Whether something is sent now that one of its sections is for. */
static bool shows_any(const struct wish_session *s, struct ortc_caps *caps)
{
    bool any = false;

    for (uint8_t i = 0; i < s->n_sections; i++) {
        any = any || meeting_view_first(s->p, s->sections[i].kind, takes, caps) != NULL;
    }
    return any;
}

/* Every section gets a consumer, also one that nobody sends anything for yet: it need not
 * be negotiated then. */
static void watch(struct wish_session *s)
{
    struct meeting_error err;
    struct ortc_caps caps;

    if (!take_caps(s, &caps) && make_counter(s, &caps) != 0) {
        fail_with(s, "no_memory", "the node is out of memory");
        return;
    }
    if (!shows_any(s, &caps)) {
        fail_with(s, "invalid", "the offer has no section for what is sent");
        return;
    }
    for (uint8_t i = 0; i < s->n_sections; i++) {
        const struct wish_section *section = &s->sections[i];
        struct ortc_producer any;

        ortc_any_producer(section->kind, &any);
        if (!ortc_can_consume(&any, &caps)) {
            s->n_ready++;
        } else if (meeting_view_open(
                       s->wish->conf->meeting, s->p, s->transport_id, section->kind,
                       s->counter ? NULL : s->offer->media[section->index]->mid, &caps,
                       on_consumed, s, &err) != 0) {
            fail(s, &err);
            return;
        }
    }
}

static void on_transport(void *arg, const struct meeting_error *err, void *object)
{
    struct wish_session *s = arg;
    struct transport *t = object;
    struct meeting_error wrong;

    if (err != NULL) {
        fail(s, err);
        return;
    }
    memcpy(s->transport_id, t->id, sizeof(s->transport_id));
    if (s->req == NULL) {
        return; /* abandoned */
    }
    if (s->viewer) {
        watch(s);
    } else {
        publish(s);
    }
    if (!s->dying && !s->counter &&
        meeting_transport_connect(s->p, t->id, &s->dtls, &wrong) != 0) {
        fail(s, &wrong);
    }
}

void wish_start(struct wish_session *s)
{
    struct meeting_error err;

    if (meeting_transport_create(s->wish->conf->meeting, s->p, !s->viewer, on_transport, s,
                                 &err) != 0) {
        fail(s, &err);
    }
}

/* Ends what the answer refuses, and keeps to its codecs and header extensions. */
static void take_choices(struct wish_session *s, const struct sdp *sdp_answer)
{
    for (uint8_t i = 0, k = 0; i < s->n_sections; i++) {
        struct wish_section *section = &s->sections[i];
        struct meeting_error gone;
        struct ortc_caps caps;

        if (section->object[0] == '\0') {
            continue; /* nothing of the kind was offered */
        }
        memset(&caps, 0, sizeof(caps));
        sdp_section_caps(sdp_answer->media[k], &caps);
        if (!sdp_answer_takes(sdp_answer, k++) ||
            !meeting_view_narrow(s->p, section->object, &caps)) {
            (void)meeting_consumer_close(s->wish->conf->meeting, s->p, section->object,
                                         &gone);
            section->object[0] = '\0';
        }
    }
}

int wish_take_answer(struct wish_session *s, const struct sdp *sdp_answer,
                     struct meeting_error *err)
{
    struct sdp_error wrong = {.line = 0};
    const struct sdp_media *tagged;
    struct sdp_transport t;

    if (sdp_answer_check(s->offer, sdp_answer, &wrong) != 0 ||
        wish_take_dtls(sdp_answer, &s->dtls, &wrong) != 0) {
        err->code = "invalid";
        (void)snprintf(err->message, sizeof(err->message), "%s", wrong.reason);
        return -1;
    }
    if (meeting_transport_connect(s->p, s->transport_id, &s->dtls, err) != 0) {
        return -1;
    }
    take_choices(s, sdp_answer);
    sdp_transport_of(sdp_answer, &t);
    s->remote_ufrag = wish_ufrag(t.ufrag);
    tagged = sdp_tagged(sdp_answer);
    if (tagged != NULL) {
        memcpy(s->mid, tagged->mid, sizeof(s->mid));
    }
    sdp_destroy(s->offer);
    s->offer = NULL;
    s->counter = false;
    s->since_us = clock_mono_us(); /* it has its time to connect from now on */
    wish_save(s);
    meeting_view_begin(s->wish->conf->meeting, s->p);
    return 0;
}
