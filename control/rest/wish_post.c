/* Offers become sessions; see wish.h. Nothing is told to the meeting before all that can be
 * judged of an offer was found good. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rest/health.h"
#include "rest/wish_priv.h"

int wish_take_dtls(const struct sdp *sdp, struct session_dtls *out, struct sdp_error *err)
{
    struct sdp_transport t;

    sdp_transport_of(sdp, &t);
    memset(out, 0, sizeof(*out));
    out->role = t.setup == SDP_PASSIVE ? SESSION_PEER_SERVER : SESSION_PEER_CLIENT;
    for (uint8_t i = 0; i < t.n_fps; i++) {
        int e = session_dtls_add(out, t.fps[i].algorithm, t.fps[i].value);

        if (e == -EBADMSG) {
            return sdp_fail(err, -EINVAL, 0, "a fingerprint is malformed");
        }
    }
    if (out->n_fps == 0) {
        return sdp_fail(err, -EINVAL, 0, "no fingerprint has a hash that is known");
    }
    return 0;
}

/* Answers with what is wrong with the offer. */
static void refuse(struct net_req *req, int e, const struct sdp_error *err)
{
    char text[256];

    if (err->line > 0) {
        (void)snprintf(text, sizeof(text), "line %u: %s", err->line, err->reason);
    } else {
        (void)snprintf(text, sizeof(text), "%s", err->reason);
    }
    if (e == -ENOMEM) {
        wish_problem(req, 503, "no_memory", text);
    } else if (e == -EBADMSG) {
        wish_problem(req, 400, "malformed", text);
    } else {
        wish_problem(req, 422, e == -ENOTSUP ? "unsupported" : "invalid", text);
    }
}

/* The sections of the offer; of a publisher with what it sends. */
static int take_sections(struct wish_session *s, struct sdp_error *err)
{
    for (uint8_t i = 0; i < s->offer->n_media; i++) {
        struct wish_section *section;
        int e;

        if (!sdp_is_offered(s->offer->media[i])) {
            continue;
        }
        section = &s->sections[s->n_sections++];
        section->index = i;
        section->kind =
            s->offer->media[i]->kind == SDP_AUDIO ? RTP_KIND_AUDIO : RTP_KIND_VIDEO;
        section->params = calloc(1, sizeof(*section->params));
        if (section->params == NULL) {
            return sdp_fail(err, -ENOMEM, 0, "the node is out of memory");
        }
        e = s->viewer ? 0 : sdp_section_params(s->offer->media[i], section->params, err);
        if (e != 0) {
            return e;
        }
    }
    return 0;
}

static int take_offer(struct wish_session *s, struct net_req *req, struct sdp_error *err)
{
    struct sdp_transport t;
    const void *body;
    size_t len;
    int e;

    body = net_req_body(req, &len);
    e = sdp_parse(body != NULL ? body : "", body != NULL ? len : 0, &s->offer, err);
    if (e == 0) {
        e = sdp_offer_check(s->offer, s->viewer ? SDP_VIEWER : SDP_PUBLISHER, err);
    }
    if (e == 0) {
        e = wish_take_dtls(s->offer, &s->dtls, err);
    }
    if (e == 0) {
        sdp_transport_of(s->offer, &t);
        s->setup = sdp_setup_answer(t.setup);
        s->remote_ufrag = wish_ufrag(t.ufrag);
        e = take_sections(s, err);
    }
    return e;
}

/* A publisher needs the permission, a viewer somebody to watch. False: answered. */
static bool admit(struct wish_session *s, const struct wish_target *target,
                  const struct auth_identity *who, struct net_req *req)
{
    static const struct auth_policy none;
    const char *wanted = net_req_query(req, "participant");
    struct room *room =
        meeting_find_room(s->wish->conf->meeting, who->tenant, target->meeting_id);
    struct participant *source;

    if (who->meeting_id[0] != '\0' && strcmp(who->meeting_id, target->meeting_id) != 0) {
        wish_problem(req, 404, "not_found", "there is no such meeting");
        return false;
    }
    if (!s->viewer) {
        const struct auth_policy *policy = room != NULL ? &room->policy : &none;

        if (!auth_may(who->role, policy, AUTH_PRODUCE_MEDIA)) {
            wish_problem(req, 403, "forbidden", "the token's role may not send media");
            return false;
        }
        return true;
    }
    source = room != NULL ? meeting_find_sender(room, wanted != NULL ? wanted : "") : NULL;
    if (source == NULL) {
        wish_problem(req, 409, "nothing_to_watch",
                     wanted != NULL ? "that participant sends nothing now"
                                    : "nobody sends anything now");
        return false;
    }
    memcpy(s->source, source->id, sizeof(s->source));
    return true;
}

/* Node, token and type are looked at before the offer is. False: answered. */
static bool ready(struct wish *wish, struct net_req *req, struct auth_identity *who)
{
    struct rest_facts facts = {0};
    const char *unfit;

    if (!wish_authorize(wish, req, who)) {
        return false;
    }
    if (!wish_has_type(req, WISH_SDP)) {
        wish_problem(req, 415, "unsupported_media_type", "a POST carries " WISH_SDP);
        return false;
    }
    wish->conf->facts(wish->conf->user, &facts);
    unfit = health_unfit(&facts);
    if (unfit != NULL) {
        wish_problem(req, 503, "media_unavailable", unfit);
        return false;
    }
    return true;
}

/* What is stored of the meeting is known. */
static void post(struct wish *wish, const struct wish_target *target, struct net_req *req)
{
    struct sdp_error wrong = {.line = 0};
    struct auth_identity who;
    struct meeting_error err;
    struct wish_session *s;
    const char *name;
    int e;

    if (!ready(wish, req, &who)) {
        return;
    }
    s = wish_session_create(wish, target->viewer, NULL);
    if (s == NULL) {
        wish_problem(req, 503, "no_memory", "the node is out of memory");
        return;
    }
    e = take_offer(s, req, &wrong);
    if (e != 0) {
        refuse(req, e, &wrong);
        wish_session_end(s);
        return;
    }
    if (!admit(s, target, &who, req)) {
        wish_session_end(s);
        return;
    }
    e = wish_session_pend(s, &who);
    if (e != 0) {
        wish_problem(req, 503, e == -ENOMEM ? "no_memory" : "too_many",
                     e == -ENOMEM ? "the node is out of memory"
                                  : "too many sessions of yours are not connected yet");
        wish_session_end(s);
        return;
    }
    name = net_req_query(req, "name");
    if (name == NULL || strlen(name) > MEETING_NAME_MAX) {
        name = "";
    }
    s->p = meeting_join(wish->conf->meeting, &who, target->meeting_id, name, s, &err);
    if (s->p == NULL) {
        wish_problem_of(req, &err);
        wish_session_end(s);
        return;
    }
    s->p->front = MEETING_HTTP;
    if (s->viewer) {
        const char *wanted = net_req_query(req, "participant");

        meeting_view_as(s->p, wanted != NULL && wanted[0] != '\0' ? s->source : "");
    }
    s->req = req;
    wish_start(s);
}

static void end_wait(struct wish_wait *wait)
{
    struct wish_wait **at = wait->wish != NULL ? &wait->wish->waits : NULL;

    while (at != NULL && *at != wait) {
        at = &(*at)->next;
    }
    if (at != NULL) {
        *at = wait->next;
    }
    free(wait);
}

static void on_ready(void *arg)
{
    struct wish_wait *wait = arg;

    if (wait->req != NULL) {
        post(wait->wish, &wait->target, wait->req);
    }
    end_wait(wait);
}

/* It is its turn, or never. */
static void on_turn(void *arg, const struct meeting_error *err)
{
    struct wish_wait *wait = arg;

    if (err != NULL) {
        wish_problem_of(wait->req, err);
        end_wait(wait);
    } else if (meeting_prepare(wait->wish->conf->meeting, &wait->who,
                               wait->target.meeting_id, false, on_ready, wait)) {
        on_ready(wait);
    }
}

void wish_wait_drop(struct wish_wait *wait)
{
    wait->req = NULL;
    if (wait->arrival.entry.waits) {
        meeting_depart(wait->wish->conf->meeting, &wait->arrival);
        end_wait(wait);
    }
}

void wish_post(struct wish *wish, const struct wish_target *target, struct net_req *req)
{
    struct auth_identity who;
    struct meeting_error err;
    struct wish_wait *wait;
    int ret;

    if (!ready(wish, req, &who)) {
        return;
    }
    wait = calloc(1, sizeof(*wait));
    if (wait == NULL) {
        wish_problem(req, 503, "no_memory", "the node is out of memory");
        return;
    }
    *wait = (struct wish_wait){.arrival = {.transports = 1, .ready = on_turn, .arg = wait},
                               .wish = wish,
                               .req = req,
                               .who = who,
                               .target = *target,
                               .next = wish->waits};
    wish->waits = wait;
    ret = meeting_arrive(wish->conf->meeting, &who, target->meeting_id, &wait->arrival,
                         &err);
    if (ret != -EINPROGRESS) {
        on_turn(wait, ret == 0 ? NULL : &err);
    }
}
