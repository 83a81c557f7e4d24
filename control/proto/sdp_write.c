/* Descriptions as text; see sdp.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/sdp_priv.h"

/* Text that grows; 'bad' once there was no memory. */
struct text {
    char *data;
    size_t len, cap;
    bool bad;
};

static void put(struct text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (t->bad || n < 0) {
        return;
    }
    if (t->len + (size_t)n + 1 > t->cap) {
        size_t cap = (t->len + (size_t)n + 1) * 2;
        char *data = realloc(t->data, cap);

        if (data == NULL) {
            t->bad = true;
            return;
        }
        t->data = data;
        t->cap = cap;
    }
    va_start(args, format);
    (void)vsnprintf(t->data + t->len, t->cap - t->len, format, args);
    va_end(args);
    t->len += (size_t)n;
}

static void put_transport(struct text *t, const struct sdp_transport *transport)
{
    static const char *const setups[] = {[SDP_ACTPASS] = "actpass",
                                         [SDP_ACTIVE] = "active",
                                         [SDP_PASSIVE] = "passive",
                                         [SDP_HOLDCONN] = "holdconn"};

    if (transport->ufrag[0] != '\0') {
        put(t, "a=ice-ufrag:%s\r\n", transport->ufrag);
    }
    if (transport->pwd[0] != '\0') {
        put(t, "a=ice-pwd:%s\r\n", transport->pwd);
    }
    if (transport->ice_options != 0) {
        put(t, "a=ice-options:%s%s%s\r\n",
            (transport->ice_options & SDP_ICE_TRICKLE) != 0 ? "trickle" : "",
            transport->ice_options == (SDP_ICE_TRICKLE | SDP_ICE_ICE2) ? " " : "",
            (transport->ice_options & SDP_ICE_ICE2) != 0 ? "ice2" : "");
    }
    for (uint8_t i = 0; i < transport->n_fps; i++) {
        put(t, "a=fingerprint:%s %s\r\n", transport->fps[i].algorithm,
            transport->fps[i].value);
    }
    if (transport->setup != SDP_SETUP_NONE) {
        put(t, "a=setup:%s\r\n", setups[transport->setup]);
    }
}

static const char *direction_name(enum sdp_direction direction)
{
    switch (direction) {
    case SDP_SENDRECV:
        return "sendrecv";
    case SDP_SENDONLY:
        return "sendonly";
    case SDP_RECVONLY:
        return "recvonly";
    case SDP_INACTIVE:
        return "inactive";
    case SDP_DIR_NONE:
        break;
    }
    return NULL;
}

static void put_direction(struct text *t, enum sdp_direction direction)
{
    const char *name = direction_name(direction);

    if (name != NULL) {
        put(t, "a=%s\r\n", name);
    }
}

static void put_session(struct text *t, const struct sdp *sdp, bool fragment)
{
    if (!fragment) {
        put(t, "v=0\r\no=- %" PRIu64 " %" PRIu64 " IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
            sdp->id, sdp->version);
    }
    if (sdp->ice_lite) {
        put(t, "a=ice-lite\r\n");
    }
    if (sdp->has_bundle) {
        put(t, "a=group:BUNDLE");
        for (uint8_t i = 0; i < sdp->n_bundle; i++) {
            put(t, " %s", sdp->bundle[i]);
        }
        put(t, "\r\n");
    }
    if (sdp->extmap_mixed) {
        put(t, "a=extmap-allow-mixed\r\n");
    }
    put_direction(t, sdp->direction);
    put_transport(t, &sdp->transport);
    if (sdp->end_of_candidates) {
        put(t, "a=end-of-candidates\r\n");
    }
}

static void put_codec(struct text *t, const struct rtp_codec *codec)
{
    const char *name = strchr(codec->mime, '/');

    if (name != NULL) {
        put(t, "a=rtpmap:%u %s/%u", codec->pt, name + 1, codec->clock_rate);
        if (codec->channels > 1) {
            put(t, "/%u", codec->channels);
        }
        put(t, "\r\n");
    }
    for (uint8_t i = 0; i < codec->n_feedback; i++) {
        const struct rtp_feedback *fb = &codec->feedback[i];

        put(t, "a=rtcp-fb:%u %s%s%s\r\n", codec->pt, fb->type,
            fb->parameter[0] != '\0' ? " " : "", fb->parameter);
    }
    for (uint8_t i = 0; i < codec->n_fmtp; i++) {
        const struct rtp_fmtp *p = &codec->fmtp[i];

        if (i == 0) {
            put(t, "a=fmtp:%u ", codec->pt);
        }
        put(t, "%s%s", i > 0 ? ";" : "", p->name);
        if (p->is_number) {
            put(t, "=%" PRId64, p->number);
        } else if (p->text[0] != '\0') {
            put(t, "=%s", p->text);
        }
        if (i + 1 == codec->n_fmtp) {
            put(t, "\r\n");
        }
    }
}

static void put_layers(struct text *t, const char *words, const struct sdp_layer *layers,
                       uint8_t n)
{
    for (uint8_t i = 0; i < n; i++) {
        if (i == 0) {
            put(t, "%s ", words);
        }
        put(t, "%s%s%s", i > 0 ? ";" : "", layers[i].paused ? "~" : "", layers[i].rid);
    }
}

static void put_streams(struct text *t, const struct sdp_media *m)
{
    for (uint8_t i = 0; i < m->n_rids; i++) {
        put(t, "a=rid:%s %s\r\n", m->rids[i].rid, m->rids[i].send ? "send" : "recv");
    }
    if (m->n_send > 0 || m->n_recv > 0) {
        put(t, "a=simulcast:");
        put_layers(t, "send", m->send, m->n_send);
        put_layers(t, m->n_send > 0 ? " recv" : "recv", m->recv, m->n_recv);
        put(t, "\r\n");
    }
    for (uint8_t i = 0; i < m->n_groups; i++) {
        put(t, "a=ssrc-group:%s", m->groups[i].semantics);
        for (uint8_t j = 0; j < m->groups[i].n; j++) {
            put(t, " %u", m->groups[i].ssrcs[j]);
        }
        put(t, "\r\n");
    }
    for (uint8_t i = 0; i < m->n_ssrcs; i++) {
        put(t, "a=ssrc:%u", m->ssrcs[i].ssrc);
        if (m->ssrcs[i].cname[0] != '\0') {
            put(t, " cname:%s", m->ssrcs[i].cname);
        }
        put(t, "\r\n");
    }
}

static void put_candidates(struct text *t, const struct sdp_media *m)
{
    for (uint8_t i = 0; i < m->n_candidates; i++) {
        const struct sdp_candidate *c = &m->candidates[i];

        put(t, "a=candidate:%s %u %s %u %s %u typ %s\r\n", c->foundation, c->component,
            c->transport, c->priority, c->address, c->port, c->type);
    }
    if (m->end_of_candidates) {
        put(t, "a=end-of-candidates\r\n");
    }
}

static void put_flags(struct text *t, const struct sdp_media *m)
{
    if (m->bundle_only) {
        put(t, "a=bundle-only\r\n");
    }
    if (m->extmap_mixed) {
        put(t, "a=extmap-allow-mixed\r\n");
    }
    if (m->rtcp_mux) {
        put(t, "a=rtcp-mux\r\n");
    }
    if (m->rtcp_mux_only) {
        put(t, "a=rtcp-mux-only\r\n");
    }
    if (m->rtcp_rsize) {
        put(t, "a=rtcp-rsize\r\n");
    }
}

static void put_media(struct text *t, const struct sdp_media *m, bool fragment)
{
    put(t, "m=%s %u %s", m->name, m->port, m->proto);
    for (uint8_t i = 0; i < m->n_codecs; i++) {
        put(t, " %u", m->codecs[i].pt);
    }
    if (m->format[0] != '\0') {
        put(t, " %s", m->format);
    }
    put(t, "\r\n");
    if (!fragment) {
        put(t, "c=IN IP4 0.0.0.0\r\n");
    }
    if (m->mid[0] != '\0') {
        put(t, "a=mid:%s\r\n", m->mid);
    }
    put_transport(t, &m->transport);
    put_candidates(t, m);
    put_direction(t, m->direction);
    put_flags(t, m);
    if (m->stream_id[0] != '\0') {
        put(t, "a=msid:%s%s%s\r\n", m->stream_id, m->track_id[0] != '\0' ? " " : "",
            m->track_id);
    }
    for (uint8_t i = 0; i < m->n_exts; i++) {
        const char *direction = direction_name(m->exts[i].direction);

        put(t, "a=extmap:%u%s%s %s\r\n", m->exts[i].id, direction != NULL ? "/" : "",
            direction != NULL ? direction : "", m->exts[i].uri);
    }
    for (uint8_t i = 0; i < m->n_codecs; i++) {
        put_codec(t, &m->codecs[i]);
    }
    put_streams(t, m);
}

char *sdp_write(const struct sdp *sdp, bool fragment)
{
    struct text t = {.data = NULL};

    put_session(&t, sdp, fragment);
    for (uint8_t i = 0; i < sdp->n_media; i++) {
        put_media(&t, sdp->media[i], fragment);
    }
    if (t.bad || t.data == NULL) {
        free(t.data);
        return NULL;
    }
    return t.data;
}
