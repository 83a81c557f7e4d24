/* Answers and offers of the node; see sdp_answer.h. */
#include "proto/sdp_answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/sdp_priv.h"

enum { DISCARD_PORT = 9 };

/* ICE and DTLS, without the candidates. */
static void put_local(struct sdp_media *m, const struct sdp_local *local)
{
    struct sdp_transport *t = &m->transport;

    (void)snprintf(t->ufrag, sizeof(t->ufrag), "%s", local->ufrag);
    (void)snprintf(t->pwd, sizeof(t->pwd), "%s", local->pwd);
    t->setup = local->setup;
    t->n_fps = 1;
    (void)snprintf(t->fps[0].algorithm, sizeof(t->fps[0].algorithm), "sha-256");
    (void)snprintf(t->fps[0].value, sizeof(t->fps[0].value), "%s", local->fingerprint);
}

static void put_streams_received(struct sdp_media *m, const struct rtp_params *params)
{
    for (uint8_t i = 0; i < params->n_encodings; i++) {
        const char *rid = params->encodings[i].rid;

        if (rid[0] != '\0') {
            strcpy(m->rids[m->n_rids].rid, rid);
            m->rids[m->n_rids++].send = false;
            strcpy(m->recv[m->n_recv++].rid, rid);
        }
    }
    if (m->n_recv == 1) { /* a single stream is not simulcast */
        m->n_recv = 0;
        memset(m->recv, 0, sizeof(m->recv));
    }
}

static void put_ssrc(struct sdp_media *m, uint32_t ssrc, const char *cname)
{
    m->ssrcs[m->n_ssrcs].ssrc = ssrc;
    strcpy(m->ssrcs[m->n_ssrcs++].cname, cname);
}

static void put_streams_sent(struct sdp_media *m, const struct rtp_params *params,
                             const char *stream_id)
{
    const struct rtp_encoding *encoding = &params->encodings[0];

    (void)snprintf(m->stream_id, sizeof(m->stream_id), "%s", stream_id);
    (void)snprintf(m->track_id, sizeof(m->track_id), "%.40s-%.16s", stream_id, m->name);
    if (encoding->rtx_ssrc != 0) {
        strcpy(m->groups[0].semantics, "FID");
        m->groups[0].ssrcs[0] = encoding->ssrc;
        m->groups[0].ssrcs[1] = encoding->rtx_ssrc;
        m->groups[0].n = 2;
        m->n_groups = 1;
    }
    put_ssrc(m, encoding->ssrc, params->cname);
    if (encoding->rtx_ssrc != 0) {
        put_ssrc(m, encoding->rtx_ssrc, params->cname);
    }
}

static void put_params(struct sdp_media *m, const struct rtp_params *params,
                       const char *stream_id)
{
    m->port = DISCARD_PORT;
    m->direction = stream_id != NULL ? SDP_SENDONLY : SDP_RECVONLY;
    m->rtcp_mux = true;
    m->rtcp_rsize = m->rtcp_rsize || stream_id != NULL;
    m->n_codecs = params->n_codecs;
    memcpy(m->codecs, params->codecs, params->n_codecs * sizeof(m->codecs[0]));
    for (uint8_t i = 0; i < params->n_exts; i++) {
        m->exts[i].id = params->exts[i].id;
        m->exts[i].direction = SDP_DIR_NONE;
        strcpy(m->exts[i].uri, params->exts[i].uri);
    }
    m->n_exts = params->n_exts;
    if (stream_id != NULL) {
        put_streams_sent(m, params, stream_id);
    } else {
        put_streams_received(m, params);
    }
}

static void add_to_bundle(struct sdp *sdp, const char *mid)
{
    strcpy(sdp->bundle[sdp->n_bundle++], mid);
    sdp->has_bundle = true;
}

struct sdp *sdp_offer_create(const struct sdp_local *local)
{
    struct sdp *sdp = sdp_create();

    if (sdp != NULL) {
        sdp->id = local->id;
        sdp->version = local->version;
        sdp->ice_lite = true;
        /* candidates may be trickled to us (RFC 8840, section 4.1), and the agent is of
         * RFC 8445 (RFC 8839, section 5.6) */
        sdp->transport.ice_options = SDP_ICE_TRICKLE | SDP_ICE_ICE2;
        sdp->extmap_mixed = true; /* the dataplane reads both forms */
    }
    return sdp;
}

struct sdp *sdp_answer_create(const struct sdp *offer, const struct sdp_local *local)
{
    struct sdp *sdp = sdp_offer_create(local);

    if (sdp == NULL) {
        return NULL;
    }
    sdp->extmap_mixed = offer->extmap_mixed;
    for (uint8_t i = 0; i < offer->n_media; i++) {
        const struct sdp_media *from = offer->media[i];
        struct sdp_media *m = sdp_add_media(sdp, from->kind);

        if (m == NULL) {
            sdp_destroy(sdp);
            return NULL;
        }
        memcpy(m->name, from->name, sizeof(m->name));
        memcpy(m->proto, from->proto, sizeof(m->proto));
        memcpy(m->format, from->format, sizeof(m->format));
        memcpy(m->mid, from->mid, sizeof(m->mid));
        m->direction = SDP_INACTIVE;
        m->extmap_mixed = from->extmap_mixed;
        m->rtcp_mux_only = from->rtcp_mux_only;
        m->rtcp_rsize = from->rtcp_rsize;
        if (from->n_codecs > 0) {
            m->n_codecs = 1;
            m->codecs[0] = from->codecs[0]; /* Pion wants its rtpmap here too */
        }
    }
    return sdp;
}

/* Puts the codecs into the order in which they were offered, as order_bundle() does. */
static void order_codecs(struct sdp_media *m, const struct sdp_media *offered)
{
    uint8_t sorted = 0;

    for (uint8_t i = 0; i < offered->n_codecs; i++) {
        for (uint8_t j = sorted; j < m->n_codecs; j++) {
            if (m->codecs[j].pt == offered->codecs[i].pt) {
                const struct rtp_codec codec = m->codecs[j];

                m->codecs[j] = m->codecs[sorted];
                m->codecs[sorted++] = codec;
            }
        }
    }
}

/* An extension that is offered one way is answered the other way (RFC 8285, section 6). */
static void turn_exts(struct sdp_media *m, const struct sdp_media *offered)
{
    for (uint8_t i = 0; i < m->n_exts; i++) {
        for (uint8_t k = 0; k < offered->n_exts; k++) {
            if (offered->exts[k].id == m->exts[i].id) {
                m->exts[i].direction =
                    offered->exts[k].direction == SDP_SENDONLY   ? SDP_RECVONLY
                    : offered->exts[k].direction == SDP_RECVONLY ? SDP_SENDONLY
                                                                 : SDP_DIR_NONE;
            }
        }
    }
}

void sdp_answer_accept(struct sdp *answer, uint8_t i, const struct sdp_media *offered,
                       const struct rtp_params *params, const char *stream_id,
                       const struct sdp_local *local)
{
    struct sdp_media *m = answer->media[i];

    put_params(m, params, stream_id);
    order_codecs(m, offered);
    turn_exts(m, offered);
    put_local(m, local);
    add_to_bundle(answer, m->mid);
}

/* Puts the members into the order in which 'from' has them: a member is moved to where the
 * sorted ones end. */
static void order_bundle(struct sdp *sdp, const struct sdp *from)
{
    uint8_t sorted = 0;

    for (uint8_t i = 0; i < from->n_bundle; i++) {
        for (uint8_t j = sorted; j < sdp->n_bundle; j++) {
            char mid[RTP_MID_MAX + 1];

            if (strcmp(sdp->bundle[j], from->bundle[i]) == 0) {
                memcpy(mid, sdp->bundle[j], sizeof(mid));
                memcpy(sdp->bundle[j], sdp->bundle[sorted], sizeof(mid));
                memcpy(sdp->bundle[sorted++], mid, sizeof(mid));
            }
        }
    }
}

void sdp_bundle_finish(struct sdp *sdp, const struct sdp *from,
                       const struct sdp_local *local)
{
    struct sdp_media *tagged = NULL;

    if (from != NULL) {
        order_bundle(sdp, from);
    }
    for (uint8_t i = 0; i < sdp->n_media; i++) {
        if (sdp->media[i] == sdp_tagged(sdp)) {
            tagged = sdp->media[i];
        }
    }
    for (size_t i = 0; tagged != NULL && i < local->n_candidates; i++) {
        if (tagged->n_candidates < SDP_MAX_CANDIDATES) {
            tagged->candidates[tagged->n_candidates++] = local->candidates[i];
        }
    }
    if (tagged != NULL) {
        tagged->end_of_candidates = true;
    }
}

int sdp_offer_add(struct sdp *offer, enum rtp_kind kind, const struct rtp_params *params,
                  const char *stream_id, const struct sdp_local *local)
{
    struct sdp_media *m =
        sdp_add_media(offer, kind == RTP_KIND_AUDIO ? SDP_AUDIO : SDP_VIDEO);

    if (m == NULL) {
        return -ENOMEM;
    }
    (void)snprintf(m->proto, sizeof(m->proto), "UDP/TLS/RTP/SAVPF");
    strcpy(m->mid, params->mid);
    m->rtcp_mux_only = true;
    put_params(m, params, stream_id);
    put_local(m, local);
    add_to_bundle(offer, m->mid);
    return 0;
}

static bool has_codec(const struct sdp_media *offered, const struct sdp_media *answered)
{
    for (uint8_t i = 0; i < answered->n_codecs; i++) {
        for (uint8_t k = 0; k < offered->n_codecs; k++) {
            if (answered->codecs[i].pt == offered->codecs[k].pt &&
                strcasecmp(answered->codecs[i].mime, offered->codecs[k].mime) == 0 &&
                !rtp_codec_is_rtx(&offered->codecs[k])) {
                return true;
            }
        }
    }
    return false;
}

/* A section of an answer, against the one that was offered. Returns 0 or -EINVAL. */
static int check_answered(const struct sdp *answer, uint8_t i,
                          const struct sdp_media *offered, bool alone,
                          struct sdp_error *err)
{
    const struct sdp_media *m = answer->media[i];
    enum sdp_direction direction = sdp_direction_of(answer, m);

    if (strcmp(m->mid, offered->mid) != 0) {
        return sdp_fail(err, -EINVAL, 0, "section %u has another mid than the offer", i);
    }
    if (m->kind != offered->kind || !has_codec(offered, m)) {
        return sdp_fail(err, -EINVAL, 0, "section %u accepts none of the codecs", i);
    }
    if (direction != SDP_RECVONLY && direction != SDP_INACTIVE) { /* RFC 3264, 6.1 */
        return sdp_fail(err, -EINVAL, 0,
                        "section %u must be recvonly or inactive: the offer is sendonly",
                        i);
    }
    if (!alone && !sdp_in_bundle(answer, m->mid)) {
        return sdp_fail(err, -EINVAL, 0, "section %u is not in the BUNDLE group", i);
    }
    return 0;
}

bool sdp_answer_takes(const struct sdp *answer, uint8_t i)
{
    const struct sdp_media *m = answer->media[i];

    return m->port != 0 && sdp_direction_of(answer, m) == SDP_RECVONLY;
}

int sdp_answer_check(const struct sdp *offer, const struct sdp *answer,
                     struct sdp_error *err)
{
    const struct sdp_media *tagged;
    struct sdp_transport t;
    uint8_t accepted = 0;
    uint8_t n = 0;

    if (answer->n_media != offer->n_media) {
        return sdp_fail(err, -EINVAL, 0, "the offer has %u sections, the answer %u",
                        offer->n_media, answer->n_media);
    }
    for (uint8_t i = 0; i < answer->n_media; i++) {
        accepted = (uint8_t)(accepted + (answer->media[i]->port != 0 ? 1 : 0));
        n = (uint8_t)(n + (sdp_answer_takes(answer, i) ? 1 : 0));
    }
    for (uint8_t i = 0; i < offer->n_media; i++) {
        if (answer->media[i]->port != 0 &&
            check_answered(answer, i, offer->media[i], accepted == 1, err) != 0) {
            return -EINVAL;
        }
    }
    tagged = sdp_tagged(answer);
    if (n > 0 && (tagged == NULL || tagged->port == 0)) {
        return sdp_fail(err, -EINVAL, 0,
                        "the BUNDLE group begins with no accepted section");
    }
    if (answer->ice_lite) {
        return sdp_fail(err, -EINVAL, 0,
                        "the answer is ice-lite, as the node is: nobody would check");
    }
    sdp_transport_of(answer, &t);
    if (n == 0 || t.n_fps == 0 || (t.setup != SDP_ACTIVE && t.setup != SDP_PASSIVE)) {
        return sdp_fail(err, -EINVAL, 0, "the answer %s",
                        n == 0         ? "receives none of the sections"
                        : t.n_fps == 0 ? "has no fingerprint"
                                       : "has no setup:active or setup:passive");
    }
    return 0;
}
