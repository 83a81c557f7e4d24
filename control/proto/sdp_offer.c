/* Offers judged, and their sections as RTP parameters; see sdp_answer.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/ortc_table.h"
#include "proto/sdp_answer.h"
#include "proto/sdp_priv.h"

bool sdp_in_bundle(const struct sdp *sdp, const char *mid)
{
    for (uint8_t i = 0; i < sdp->n_bundle; i++) {
        if (strcmp(sdp->bundle[i], mid) == 0) {
            return true;
        }
    }
    return false;
}

/* The first section of the bundle that has credentials; NULL: none has. */
static const struct sdp_media *with_credentials(const struct sdp *sdp)
{
    for (uint8_t i = 0; i < sdp->n_media; i++) {
        const struct sdp_media *m = sdp->media[i];

        if (m->transport.ufrag[0] != '\0' && m->transport.pwd[0] != '\0' &&
            sdp_in_bundle(sdp, m->mid)) {
            return m;
        }
    }
    return NULL;
}

void sdp_transport_of(const struct sdp *sdp, struct sdp_transport *out)
{
    const struct sdp_media *tagged = sdp_tagged(sdp);

    if (tagged == NULL && sdp->transport.ufrag[0] == '\0') {
        tagged = with_credentials(sdp); /* a fragment may have left out the tagged one */
    }
    if (tagged == NULL) {
        *out = sdp->transport;
        return;
    }
    *out = tagged->transport;
    if (out->ufrag[0] == '\0') {
        memcpy(out->ufrag, sdp->transport.ufrag, sizeof(out->ufrag));
    }
    if (out->pwd[0] == '\0') {
        memcpy(out->pwd, sdp->transport.pwd, sizeof(out->pwd));
    }
    if (out->setup == SDP_SETUP_NONE) {
        out->setup = sdp->transport.setup;
    }
    if (out->n_fps == 0) {
        out->n_fps = sdp->transport.n_fps;
        memcpy(out->fps, sdp->transport.fps, sizeof(out->fps));
    }
}

enum sdp_setup sdp_setup_answer(enum sdp_setup setup)
{
    return setup == SDP_PASSIVE ? SDP_ACTIVE : SDP_PASSIVE;
}

bool sdp_is_offered(const struct sdp_media *media)
{
    return media->port != 0 || media->bundle_only;
}

enum sdp_direction sdp_direction_of(const struct sdp *sdp, const struct sdp_media *m)
{
    enum sdp_direction direction =
        m->direction != SDP_DIR_NONE ? m->direction : sdp->direction;

    return direction != SDP_DIR_NONE ? direction : SDP_SENDRECV;
}

/* RTP/SAVPF with a fingerprint is DTLS-SRTP too; what it is carried by is ICE's to say (RFC
 * 9429, section 5.1.2). */
static bool is_dtls_srtp(const char *proto)
{
    static const char *const protos[] = {"UDP/TLS/RTP/SAVPF",  "UDP/TLS/RTP/SAVP",
                                         "TCP/DTLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVP",
                                         "RTP/SAVPF",          "RTP/SAVP"};
    bool found = false;

    for (size_t i = 0; i < sizeof(protos) / sizeof(protos[0]); i++) {
        found = found || strcmp(proto, protos[i]) == 0;
    }
    return found;
}

static int check_section(const struct sdp *sdp, uint8_t i, enum sdp_role role,
                         struct sdp_error *err)
{
    const struct sdp_media *m = sdp->media[i];
    enum sdp_direction need = role == SDP_PUBLISHER ? SDP_SENDONLY : SDP_RECVONLY;

    if (m->kind != SDP_AUDIO && m->kind != SDP_VIDEO) {
        return sdp_fail(err, -EINVAL, 0, "section %u is %s: only audio and video are taken",
                        i, m->name);
    }
    if (!is_dtls_srtp(m->proto)) {
        return sdp_fail(err, -EINVAL, 0,
                        "section %u is %s: only DTLS-SRTP (UDP/TLS/RTP/SAVPF) is taken", i,
                        m->proto);
    }
    if (m->mid[0] == '\0' || !sdp_in_bundle(sdp, m->mid)) {
        return sdp_fail(err, -EINVAL, 0, "section %u is in no BUNDLE group", i);
    }
    /* a bundle-only section does not repeat it (RFC 9429, section 5.2.1); who cannot do
     * without may say only that (RFC 8858) */
    if (!m->rtcp_mux && !m->rtcp_mux_only && !m->bundle_only) {
        return sdp_fail(err, -EINVAL, 0, "section %u has no rtcp-mux", i);
    }
    if (((unsigned)sdp_direction_of(sdp, m) & (unsigned)need) == 0) {
        return sdp_fail(err, -EINVAL, 0, "section %u must be %s or sendrecv", i,
                        role == SDP_PUBLISHER ? "sendonly" : "recvonly");
    }
    for (uint8_t j = 0; j < i; j++) {
        if (!sdp_is_offered(sdp->media[j])) {
            continue;
        }
        if (sdp->media[j]->kind == m->kind) {
            return sdp_fail(err, -EINVAL, 0, "there are two %s sections: one is taken",
                            m->name);
        }
        /* RFC 9725, section 4.4.2 */
        if (role == SDP_PUBLISHER && m->stream_id[0] != '\0' &&
            sdp->media[j]->stream_id[0] != '\0' &&
            strcmp(m->stream_id, sdp->media[j]->stream_id) != 0) {
            return sdp_fail(err, -EINVAL, 0,
                            "the tracks are of two MediaStreams: put them into one");
        }
    }
    return 0;
}

int sdp_offer_check(const struct sdp *offer, enum sdp_role role, struct sdp_error *err)
{
    const struct sdp_media *tagged;
    struct sdp_transport t;
    uint8_t n = 0;

    for (uint8_t i = 0; i < offer->n_media; i++) {
        if (!sdp_is_offered(offer->media[i])) {
            continue;
        }
        n++;
        if (check_section(offer, i, role, err) != 0) {
            return -EINVAL;
        }
    }
    if (n == 0) {
        return sdp_fail(err, -EINVAL, 0, "there is no media section%s",
                        offer->n_media > 0 ? " that is not disabled (port 0)" : "");
    }
    tagged = sdp_tagged(offer);
    if (tagged == NULL || !sdp_is_offered(tagged)) {
        return sdp_fail(err, -EINVAL, 0, "the BUNDLE group begins with no section");
    }
    /* somebody has to check, and a lite agent does not (RFC 8445, section 2.5) */
    if (offer->ice_lite) {
        return sdp_fail(err, -ENOTSUP, 0,
                        "ice-lite: the node is ICE-lite itself and checks nothing; a full "
                        "ICE agent is needed");
    }
    sdp_transport_of(offer, &t);
    if (t.ufrag[0] == '\0' || t.pwd[0] == '\0') {
        return sdp_fail(err, -EINVAL, 0, "there is no ice-ufrag or no ice-pwd");
    }
    if (t.n_fps == 0) {
        return sdp_fail(err, -EINVAL, 0, "there is no fingerprint of a certificate");
    }
    if (t.setup == SDP_HOLDCONN) {
        return sdp_fail(err, -EINVAL, 0, "setup is holdconn: nothing could connect");
    }
    return 0;
}

/* ---- codecs ---- */

static const struct rtp_codec *rtx_of(const struct sdp_media *m, uint8_t pt)
{
    for (uint8_t i = 0; i < m->n_codecs; i++) {
        const struct rtp_codec *codec = &m->codecs[i];

        if (rtp_codec_is_rtx(codec) && codec->clock_rate == 90000 &&
            rtp_codec_number(codec, "apt", -1) == pt) {
            return codec;
        }
    }
    return NULL;
}

/* Names the codecs of a section that will not do. */
static int no_codec(const struct sdp_media *m, struct sdp_error *err)
{
    char list[128] = "";
    size_t at = 0;

    for (uint8_t i = 0; i < m->n_codecs && at + RTP_MIME_MAX + 3 < sizeof(list); i++) {
        if (m->codecs[i].mime[0] != '\0' && !rtp_codec_is_rtx(&m->codecs[i]) &&
            strstr(list, m->codecs[i].mime) == NULL) {
            at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", at > 0 ? ", " : "",
                                   m->codecs[i].mime);
        }
    }
    return sdp_fail(err, -ENOTSUP, 0, "no codec in common for %s (offered: %s)", m->name,
                    list);
}

static int choose_codec(const struct sdp_media *m, struct rtp_params *out,
                        struct sdp_error *err)
{
    for (uint8_t i = 0; i < m->n_codecs; i++) {
        int entry = ortc_find_entry(&m->codecs[i]);
        const struct rtp_codec *rtx;

        if (entry < 0 || ortc_entries[entry].rtp.kind != m->codecs[i].kind) {
            continue;
        }
        out->codecs[0] = m->codecs[i];
        ortc_feedback_to_codec(ortc_feedback_of_codec(&m->codecs[i]) &
                                   ortc_entry_feedback(entry),
                               &out->codecs[0]);
        out->n_codecs = 1;
        rtx = rtx_of(m, m->codecs[i].pt);
        if (rtx != NULL && ortc_entries[entry].rtx_pt != ORTC_NO_PT) {
            ortc_rtx_codec(m->codecs[i].kind, rtx->pt, m->codecs[i].pt, &out->codecs[1]);
            out->n_codecs = 2;
        }
        return 0;
    }
    return no_codec(m, err);
}

/* The router's extension of a line that is to be taken, or 0: it is unknown, or was taken
 * ('bits') already, or its id does not fit the one-byte form. */
static uint8_t known_ext(const struct sdp_ext *line, enum rtp_kind kind, unsigned bits)
{
    uint8_t ext = ortc_ext_by_uri(line->uri, kind);

    return ext == 0 || (bits >> ext & 1) != 0 || line->id == 0 || line->id > RTP_EXT_ID_MAX
               ? 0
               : ext;
}

/* Returns the router's extensions that were accepted, as bits. */
static unsigned choose_exts(const struct sdp_media *m, struct rtp_params *out)
{
    enum rtp_kind kind = m->kind == SDP_AUDIO ? RTP_KIND_AUDIO : RTP_KIND_VIDEO;
    unsigned bits = 0;

    for (uint8_t i = 0; i < m->n_exts && out->n_exts < RTP_PARAMS_MAX_EXTS; i++) {
        uint8_t ext = known_ext(&m->exts[i], kind, bits);

        if (ext == 0 || m->exts[i].direction == SDP_RECVONLY ||
            m->exts[i].direction == SDP_INACTIVE) {
            continue;
        }
        bits |= 1U << ext;
        strcpy(out->exts[out->n_exts].uri, m->exts[i].uri);
        out->exts[out->n_exts++].id = (uint8_t)m->exts[i].id;
    }
    return bits;
}

/* ---- streams ---- */

static const struct sdp_ssrc_group *group_of(const struct sdp_media *m,
                                             const char *semantics, uint32_t first)
{
    for (uint8_t i = 0; i < m->n_groups; i++) {
        if (strcmp(m->groups[i].semantics, semantics) == 0 &&
            (first == 0 || m->groups[i].ssrcs[0] == first)) {
            return &m->groups[i];
        }
    }
    return NULL;
}

static void add_ssrc(const struct sdp_media *m, uint32_t ssrc, bool rtx,
                     struct rtp_params *out)
{
    const struct sdp_ssrc_group *fid = rtx ? group_of(m, "FID", ssrc) : NULL;
    struct rtp_encoding *encoding = &out->encodings[out->n_encodings++];

    encoding->ssrc = ssrc;
    encoding->rtx_ssrc = fid != NULL && fid->n > 1 ? fid->ssrcs[1] : 0;
}

static void add_rid(struct rtp_params *out, const char *rid)
{
    for (uint8_t i = 0; i < out->n_encodings; i++) {
        if (strcmp(out->encodings[i].rid, rid) == 0) {
            return;
        }
    }
    if (out->n_encodings < RTP_PARAMS_MAX_ENCODINGS) {
        strcpy(out->encodings[out->n_encodings++].rid, rid);
    }
}

static bool sends_rid(const struct sdp_media *m, const char *rid)
{
    for (uint8_t i = 0; i < m->n_rids; i++) {
        if (m->rids[i].send && strcmp(m->rids[i].rid, rid) == 0) {
            return true;
        }
    }
    return false;
}

/* In the order of a=simulcast, or of the rid lines without it. A paused one keeps its
 * place: the order is that of the layers. Returns 0 or -EINVAL. */
static int add_rids(const struct sdp_media *m, struct rtp_params *out,
                    struct sdp_error *err)
{
    for (uint8_t i = 0; i < m->n_send; i++) {
        if (!sends_rid(m, m->send[i].rid)) {
            return sdp_fail(err, -EINVAL, 0,
                            "simulcast of %s sends '%s', but there is no a=rid:%s send",
                            m->name, m->send[i].rid, m->send[i].rid);
        }
        add_rid(out, m->send[i].rid);
    }
    for (uint8_t i = 0; i < m->n_rids && m->n_send == 0; i++) {
        if (m->rids[i].send) {
            add_rid(out, m->rids[i].rid);
        }
    }
    return 0;
}

static int choose_streams(const struct sdp_media *m, unsigned exts, struct rtp_params *out,
                          struct sdp_error *err)
{
    const struct sdp_ssrc_group *sim = group_of(m, "SIM", 0);
    bool rtx = out->n_codecs > 1;

    if (add_rids(m, out, err) != 0) {
        return -EINVAL;
    }
    if (out->n_encodings > 0) {
        if ((exts >> ORTC_EXT_RID & 1) == 0) {
            return sdp_fail(err, -EINVAL, 0,
                            "%s has rid lines but not the header extension "
                            "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
                            m->name);
        }
        if (out->n_encodings == 1) { /* one stream is not simulcast: any name will do */
            return 0;
        }
    } else if (sim != NULL) {
        for (uint8_t i = 0; i < sim->n; i++) {
            add_ssrc(m, sim->ssrcs[i], rtx, out);
        }
    } else if (m->n_ssrcs > 0) {
        const struct sdp_ssrc_group *fid = group_of(m, "FID", 0);

        add_ssrc(m, fid != NULL ? fid->ssrcs[0] : m->ssrcs[0].ssrc, rtx, out);
    } else if ((exts >> ORTC_EXT_MID & 1) != 0) {
        out->n_encodings = 1; /* bound by its MID */
    } else {
        return sdp_fail(
            err, -EINVAL, 0,
            "%s has neither ssrc lines nor the header extension "
            "urn:ietf:params:rtp-hdrext:sdes:mid: its packets could not be told",
            m->name);
    }
    return 0;
}

int sdp_section_params(const struct sdp_media *media, struct rtp_params *out,
                       struct sdp_error *err)
{
    unsigned exts;
    int ret;

    memset(out, 0, sizeof(*out));
    out->reduced_size = media->rtcp_rsize;
    strcpy(out->mid, media->mid);
    for (uint8_t i = 0; i < media->n_ssrcs && out->cname[0] == '\0'; i++) {
        strcpy(out->cname, media->ssrcs[i].cname);
    }
    ret = choose_codec(media, out, err);
    if (ret != 0) {
        return ret;
    }
    exts = choose_exts(media, out);
    return choose_streams(media, exts, out, err);
}

static void take_exts(const struct sdp_media *media, enum rtp_kind kind, uint16_t *exts,
                      uint8_t ids[ORTC_N_EXTS])
{
    for (uint8_t i = 0; i < media->n_exts; i++) {
        uint8_t ext = known_ext(&media->exts[i], kind, *exts);

        if (ext != 0 && media->exts[i].direction != SDP_SENDONLY &&
            media->exts[i].direction != SDP_INACTIVE) {
            *exts = (uint16_t)(*exts | 1U << ext);
            ids[ext] = (uint8_t)media->exts[i].id;
        }
    }
}

void sdp_section_caps(const struct sdp_media *media, struct ortc_caps *caps)
{
    if (media->kind == SDP_AUDIO) {
        take_exts(media, RTP_KIND_AUDIO, &caps->audio_exts, caps->audio_ext_id);
    } else {
        take_exts(media, RTP_KIND_VIDEO, &caps->video_exts, caps->video_ext_id);
    }
    for (uint8_t i = 0; i < media->n_codecs; i++) {
        const struct rtp_codec *codec = &media->codecs[i];
        int entry = ortc_find_entry(codec);
        const struct rtp_codec *rtx;

        if (entry < 0 || ortc_entries[entry].rtp.kind != codec->kind ||
            (caps->codecs >> entry & 1) != 0) {
            continue;
        }
        caps->codecs |= (uint8_t)(1U << entry);
        caps->pt[entry] = codec->pt;
        caps->feedback[entry] = ortc_feedback_of_codec(codec) & ortc_entry_feedback(entry);
        rtx = rtx_of(media, codec->pt);
        if (rtx != NULL && ortc_entries[entry].rtx_pt != ORTC_NO_PT) {
            caps->rtx |= (uint8_t)(1U << entry);
            caps->rtx_pt[entry] = rtx->pt;
        }
    }
}
