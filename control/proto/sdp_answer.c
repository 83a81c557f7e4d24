/* Answers and offers of the node; see sdp_answer.h. */
#include "proto/sdp_answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { DISCARD_PORT = 9 };

/* ICE and DTLS, and in the first section, which carries the transport, the candidates. */
static void put_local(struct sdp_media *m, const struct sdp_local *local, bool first)
{
    struct sdp_transport *t = &m->transport;

    (void)snprintf(t->ufrag, sizeof(t->ufrag), "%s", local->ufrag);
    (void)snprintf(t->pwd, sizeof(t->pwd), "%s", local->pwd);
    t->setup = local->setup;
    t->n_fps = 1;
    (void)snprintf(t->fps[0].algorithm, sizeof(t->fps[0].algorithm), "sha-256");
    (void)snprintf(t->fps[0].value, sizeof(t->fps[0].value), "%s", local->fingerprint);
    for (size_t i = 0; first && i < local->n_candidates; i++) {
        if (m->n_candidates < SDP_MAX_CANDIDATES) {
            m->candidates[m->n_candidates++] = local->candidates[i];
        }
    }
    m->end_of_candidates = first;
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

void sdp_answer_accept(struct sdp *answer, uint8_t i, const struct rtp_params *params,
                       const char *stream_id, const struct sdp_local *local)
{
    struct sdp_media *m = answer->media[i];

    put_params(m, params, stream_id);
    put_local(m, local, answer->n_bundle == 0);
    add_to_bundle(answer, m->mid);
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
    put_local(m, local, offer->n_bundle == 0);
    add_to_bundle(offer, m->mid);
    return 0;
}

static bool has_codec(const struct sdp_media *offered, const struct sdp_media *answered)
{
    for (uint8_t i = 0; i < answered->n_codecs; i++) {
        if (answered->codecs[i].pt == offered->codecs[0].pt) {
            return true;
        }
    }
    return false;
}

int sdp_answer_check(const struct sdp *offer, const struct sdp *answer,
                     struct sdp_error *err)
{
    struct sdp_transport t;
    uint8_t n = 0;

    if (answer->n_media != offer->n_media) {
        return sdp_fail(err, -EINVAL, 0, "the offer has %u sections, the answer %u",
                        offer->n_media, answer->n_media);
    }
    for (uint8_t i = 0; i < offer->n_media; i++) {
        const struct sdp_media *m = answer->media[i];

        if (strcmp(m->mid, offer->media[i]->mid) != 0 && m->port != 0) {
            return sdp_fail(err, -EINVAL, 0, "section %u has another mid than the offer",
                            i);
        }
        if (m->port != 0 &&
            (m->kind != offer->media[i]->kind || !has_codec(offer->media[i], m))) {
            return sdp_fail(err, -EINVAL, 0, "section %u accepts none of the codecs", i);
        }
        n = (uint8_t)(n + (m->port != 0 ? 1 : 0));
    }
    sdp_transport_of(answer, &t);
    if (n == 0 || t.n_fps == 0 || (t.setup != SDP_ACTIVE && t.setup != SDP_PASSIVE)) {
        return sdp_fail(err, -EINVAL, 0, "the answer %s",
                        n == 0         ? "refuses every section"
                        : t.n_fps == 0 ? "has no fingerprint"
                                       : "has no setup:active or setup:passive");
    }
    return 0;
}
