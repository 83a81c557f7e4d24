/* Attributes of descriptions, one function a name; see sdp_priv.h. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "proto/sdp_priv.h"

static int bad(struct sdp_cursor *at, const char *what)
{
    return sdp_fail(at->err, -EBADMSG, at->line, "%s", what);
}

/* Well formed, but beyond what we take. */
static int beyond(struct sdp_cursor *at, const char *what)
{
    return sdp_fail(at->err, -EINVAL, at->line, "%s", what);
}

static struct sdp_transport *transport_of(struct sdp_cursor *at)
{
    return at->media != NULL ? &at->media->transport : &at->sdp->transport;
}

/* ---- both levels ---- */

static int parse_ufrag(struct sdp_cursor *at, char *value)
{
    return strlen(value) >= 4 && sdp_copy(transport_of(at)->ufrag, SDP_UFRAG_MAX + 1, value)
               ? 0
               : bad(at, "ice-ufrag: 4 to 256 characters");
}

static int parse_pwd(struct sdp_cursor *at, char *value)
{
    return strlen(value) >= 22 && sdp_copy(transport_of(at)->pwd, SDP_PWD_MAX + 1, value)
               ? 0
               : bad(at, "ice-pwd: 22 to 256 characters");
}

/* ice-options:trickle ice2 */
static int parse_ice_options(struct sdp_cursor *at, char *value)
{
    struct sdp_transport *t = transport_of(at);
    unsigned options = t->ice_options;

    while (value[0] != '\0') {
        const char *word = sdp_word(&value, ' ');

        options |= strcmp(word, "trickle") == 0 ? SDP_ICE_TRICKLE
                   : strcmp(word, "ice2") == 0  ? SDP_ICE_ICE2
                                                : 0u;
    }
    t->ice_options = (uint8_t)options;
    return 0;
}

static int parse_fingerprint(struct sdp_cursor *at, char *value)
{
    struct sdp_transport *t = transport_of(at);
    char *algorithm = sdp_word(&value, ' ');
    struct sdp_fp *fp;

    if (t->n_fps == SDP_MAX_FPS) {
        return beyond(at, "fingerprint: four are taken at most");
    }
    fp = &t->fps[t->n_fps];
    if (!sdp_copy(fp->algorithm, sizeof(fp->algorithm), algorithm) ||
        !sdp_copy(fp->value, sizeof(fp->value), sdp_word(&value, ' '))) {
        memset(fp, 0, sizeof(*fp));
        return bad(at, "fingerprint: expected 'HASH XX:XX:…'");
    }
    t->n_fps++;
    return 0;
}

static int parse_setup(struct sdp_cursor *at, char *value)
{
    static const struct {
        const char *name;
        enum sdp_setup setup;
    } names[] = {{"actpass", SDP_ACTPASS},
                 {"active", SDP_ACTIVE},
                 {"passive", SDP_PASSIVE},
                 {"holdconn", SDP_HOLDCONN}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(value, names[i].name) == 0) {
            transport_of(at)->setup = names[i].setup;
            return 0;
        }
    }
    return bad(at, "setup: actpass, active, passive or holdconn");
}

static int parse_mixed(struct sdp_cursor *at, char *value)
{
    (void)value;
    *(at->media != NULL ? &at->media->extmap_mixed : &at->sdp->extmap_mixed) = true;
    return 0;
}

static int parse_end_of_candidates(struct sdp_cursor *at, char *value)
{
    (void)value;
    *(at->media != NULL ? &at->media->end_of_candidates : &at->sdp->end_of_candidates) =
        true;
    return 0;
}

/* candidate:FOUNDATION COMPONENT TRANSPORT PRIORITY ADDRESS PORT typ TYPE … */
static int parse_candidate(struct sdp_cursor *at, char *value)
{
    char *words[8];
    uint64_t component;
    uint64_t priority;
    uint64_t port;
    struct sdp_candidate c;

    memset(&c, 0, sizeof(c));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        words[i] = sdp_word(&value, ' ');
    }
    if (words[0][0] == '\0' || !sdp_number(words[1], 256, &component) || component == 0 ||
        words[2][0] == '\0' || !sdp_number(words[3], UINT32_MAX, &priority) ||
        words[4][0] == '\0' || !sdp_number(words[5], 65535, &port) ||
        strcmp(words[6], "typ") != 0 || words[7][0] == '\0') {
        return bad(at, "candidate: expected 'FOUNDATION COMPONENT TRANSPORT PRIORITY "
                       "ADDRESS PORT typ TYPE'");
    }
    /* what is longer than anything we could use is discarded (RFC 9725, section 4.3.2) */
    if (!sdp_copy(c.foundation, sizeof(c.foundation), words[0]) ||
        !sdp_copy(c.transport, sizeof(c.transport), words[2]) ||
        !sdp_copy(c.address, sizeof(c.address), words[4]) ||
        !sdp_copy(c.type, sizeof(c.type), words[7])) {
        return 0;
    }
    c.component = (uint16_t)component;
    c.priority = (uint32_t)priority;
    c.port = (uint16_t)port;
    if (at->media != NULL && at->media->n_candidates < SDP_MAX_CANDIDATES) {
        at->media->candidates[at->media->n_candidates++] = c;
    }
    return 0;
}

/* ---- the session's ---- */

static int parse_group(struct sdp_cursor *at, char *value)
{
    struct sdp *sdp = at->sdp;

    if (strcmp(sdp_word(&value, ' '), "BUNDLE") != 0) {
        return 0; /* LS and others */
    }
    if (sdp->has_bundle) {
        return bad(at, "group: two BUNDLE groups; use one");
    }
    sdp->has_bundle = true;
    for (;;) {
        char *mid = sdp_word(&value, ' ');

        if (mid[0] == '\0') {
            return 0;
        }
        if (sdp->n_bundle == SDP_MAX_MEDIA ||
            !sdp_copy(sdp->bundle[sdp->n_bundle], RTP_MID_MAX + 1, mid)) {
            return beyond(at,
                          "group: too many members, or a MID of more than 16 characters");
        }
        sdp->n_bundle++;
    }
}

static int parse_ice_lite(struct sdp_cursor *at, char *value)
{
    (void)value;
    at->sdp->ice_lite = true;
    return 0;
}

/* ---- a section's ---- */

static int parse_mid(struct sdp_cursor *at, char *value)
{
    if (strlen(value) > RTP_MID_MAX) {
        return beyond(at, "mid: 1 to 16 characters");
    }
    return sdp_copy(at->media->mid, RTP_MID_MAX + 1, value)
               ? 0
               : bad(at, "mid: 1 to 16 characters");
}

static int parse_rtcp_mux(struct sdp_cursor *at, char *value)
{
    (void)value;
    at->media->rtcp_mux = true;
    return 0;
}

static int parse_rtcp_mux_only(struct sdp_cursor *at, char *value)
{
    (void)value;
    at->media->rtcp_mux_only = true;
    return 0;
}

static int parse_rtcp_rsize(struct sdp_cursor *at, char *value)
{
    (void)value;
    at->media->rtcp_rsize = true;
    return 0;
}

static int parse_bundle_only(struct sdp_cursor *at, char *value)
{
    (void)value;
    at->media->bundle_only = true;
    return 0;
}

static int parse_msid(struct sdp_cursor *at, char *value)
{
    struct sdp_media *m = at->media;
    char *stream = sdp_word(&value, ' ');
    char *track = sdp_word(&value, ' ');

    if (m->stream_id[0] != '\0') {
        return 0; /* a track in several streams: the first counts */
    }
    if (!sdp_copy(m->stream_id, sizeof(m->stream_id), stream) ||
        (track[0] != '\0' && !sdp_copy(m->track_id, sizeof(m->track_id), track))) {
        return bad(at, "msid: expected 'STREAM TRACK', of at most 64 characters each");
    }
    return 0;
}

static bool parse_direction(const char *name, enum sdp_direction *out)
{
    static const struct {
        const char *name;
        enum sdp_direction direction;
    } names[] = {{"sendrecv", SDP_SENDRECV},
                 {"sendonly", SDP_SENDONLY},
                 {"recvonly", SDP_RECVONLY},
                 {"inactive", SDP_INACTIVE}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i].name) == 0) {
            *out = names[i].direction;
            return true;
        }
    }
    return false;
}

/* extmap:ID[/DIRECTION] URI */
static int parse_extmap(struct sdp_cursor *at, char *value)
{
    struct sdp_media *m = at->media;
    char *id_word = sdp_word(&value, ' ');
    char *uri = sdp_word(&value, ' ');
    char *direction = id_word;
    struct sdp_ext ext;
    uint64_t id;

    memset(&ext, 0, sizeof(ext));
    ext.direction = SDP_DIR_NONE;
    id_word = sdp_word(&direction, '/');
    if (!sdp_number(id_word, 4351, &id) || id == 0 || uri[0] == '\0' ||
        (direction[0] != '\0' && !parse_direction(direction, &ext.direction))) {
        return bad(at, "extmap: expected 'ID URI'");
    }
    ext.id = (uint16_t)id;
    for (uint8_t i = 0; i < m->n_exts; i++) {
        if (m->exts[i].id == ext.id) {
            return bad(at, "extmap: the id stands twice");
        }
    }
    if (sdp_copy(ext.uri, sizeof(ext.uri), uri) && m->n_exts < SDP_MAX_EXTS) {
        m->exts[m->n_exts++] = ext;
    }
    return 0;
}

/* ssrc:N [cname:TEXT | …] */
static int parse_ssrc(struct sdp_cursor *at, char *value)
{
    struct sdp_media *m = at->media;
    char *id = sdp_word(&value, ' ');
    char *name = sdp_word(&value, ':');
    struct sdp_ssrc *found = NULL;
    uint64_t ssrc;

    if (!sdp_number(id, UINT32_MAX, &ssrc) || ssrc == 0) {
        return bad(at, "ssrc: expected a number");
    }
    for (uint8_t i = 0; i < m->n_ssrcs; i++) {
        if (m->ssrcs[i].ssrc == ssrc) {
            found = &m->ssrcs[i];
        }
    }
    if (found == NULL) {
        if (m->n_ssrcs == SDP_MAX_SSRCS) {
            return bad(at, "ssrc: too many in one section");
        }
        found = &m->ssrcs[m->n_ssrcs++];
        found->ssrc = (uint32_t)ssrc;
    }
    if (strcmp(name, "cname") == 0) {
        (void)sdp_copy(found->cname, sizeof(found->cname), value);
    }
    return 0;
}

/* ssrc-group:FID 1 2 */
static int parse_ssrc_group(struct sdp_cursor *at, char *value)
{
    struct sdp_media *m = at->media;
    char *semantics = sdp_word(&value, ' ');
    struct sdp_ssrc_group group;

    memset(&group, 0, sizeof(group));
    if (!sdp_copy(group.semantics, sizeof(group.semantics), semantics)) {
        return 0;
    }
    for (;;) {
        char *word = sdp_word(&value, ' ');
        uint64_t ssrc;

        if (word[0] == '\0') {
            break;
        }
        if (group.n == SDP_MAX_GROUP || !sdp_number(word, UINT32_MAX, &ssrc) || ssrc == 0) {
            return bad(at, "ssrc-group: expected at most four SSRCs");
        }
        group.ssrcs[group.n++] = (uint32_t)ssrc;
    }
    if (group.n == 0 || m->n_groups == SDP_MAX_GROUPS) {
        return bad(at, group.n == 0 ? "ssrc-group: it is empty" : "ssrc-group: too many");
    }
    m->groups[m->n_groups++] = group;
    return 0;
}

static bool rid_valid(const char *rid)
{
    return rid[0] != '\0' && strlen(rid) <= RTP_RID_MAX &&
           rid[strspn(rid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                           "0123456789-_")] == '\0';
}

/* rid:ID send|recv [restrictions] */
static int parse_rid(struct sdp_cursor *at, char *value)
{
    struct sdp_media *m = at->media;
    char *rid = sdp_word(&value, ' ');
    char *direction = sdp_word(&value, ' ');
    bool send = strcmp(direction, "send") == 0;

    if (!rid_valid(rid) || (!send && strcmp(direction, "recv") != 0)) {
        return bad(at, "rid: expected 'ID send' or 'ID recv', ID of 1 to 16 letters and "
                       "digits");
    }
    for (uint8_t i = 0; i < m->n_rids; i++) {
        if (strcmp(m->rids[i].rid, rid) == 0) {
            return bad(at, "rid: it stands twice");
        }
    }
    if (m->n_rids == SDP_MAX_RIDS) {
        return bad(at, "rid: too many");
    }
    (void)sdp_copy(m->rids[m->n_rids].rid, RTP_RID_MAX + 1, rid);
    m->rids[m->n_rids++].send = send;
    return 0;
}

/* simulcast:send A;~B,C recv D: of alternatives (',') the first counts. */
static int parse_simulcast(struct sdp_cursor *at, char *value)
{
    struct sdp_media *m = at->media;

    if (m->n_send > 0 || m->n_recv > 0) {
        return bad(at, "simulcast: it stands twice");
    }
    for (;;) {
        char *direction = sdp_word(&value, ' ');
        char *list = sdp_word(&value, ' ');
        bool send = strcmp(direction, "send") == 0;
        struct sdp_layer *layers = send ? m->send : m->recv;
        uint8_t *n = send ? &m->n_send : &m->n_recv;

        if (direction[0] == '\0') {
            return 0;
        }
        if ((!send && strcmp(direction, "recv") != 0) || list[0] == '\0' || *n > 0) {
            return bad(at, "simulcast: expected 'send RID;…' or 'recv RID;…'");
        }
        while (*list != '\0') {
            char *alternatives = sdp_word(&list, ';');
            char *rid = sdp_word(&alternatives, ',');
            bool paused = rid[0] == '~';

            rid += paused ? 1 : 0;
            if (*n == SDP_MAX_RIDS || !rid_valid(rid)) {
                return bad(at, "simulcast: too many streams, or an empty or long RID");
            }
            (void)sdp_copy(layers[*n].rid, RTP_RID_MAX + 1, rid);
            layers[(*n)++].paused = paused;
        }
    }
}

enum { SESSION = 1, SECTION = 2, RTP = 4 /* audio and video alone */ };

static const struct {
    const char *name;
    unsigned where;
    int (*parse)(struct sdp_cursor *at, char *value);
} attributes[] = {
    {"ice-ufrag", SESSION | SECTION, parse_ufrag},
    {"ice-pwd", SESSION | SECTION, parse_pwd},
    {"ice-options", SESSION | SECTION, parse_ice_options},
    {"fingerprint", SESSION | SECTION, parse_fingerprint},
    {"setup", SESSION | SECTION, parse_setup},
    {"extmap-allow-mixed", SESSION | SECTION, parse_mixed},
    {"end-of-candidates", SESSION | SECTION, parse_end_of_candidates},
    {"candidate", SESSION | SECTION, parse_candidate},
    {"group", SESSION, parse_group},
    {"ice-lite", SESSION, parse_ice_lite},
    {"mid", SECTION, parse_mid},
    {"bundle-only", SECTION, parse_bundle_only},
    {"rtcp-mux", RTP, parse_rtcp_mux},
    {"rtcp-mux-only", RTP, parse_rtcp_mux_only},
    {"rtcp-rsize", RTP, parse_rtcp_rsize},
    {"msid", RTP, parse_msid},
    {"extmap", RTP, parse_extmap},
    {"rtpmap", RTP, sdp_parse_rtpmap},
    {"fmtp", RTP, sdp_parse_fmtp},
    {"rtcp-fb", RTP, sdp_parse_feedback},
    {"ssrc", RTP, parse_ssrc},
    {"ssrc-group", RTP, parse_ssrc_group},
    {"rid", RTP, parse_rid},
    {"simulcast", RTP, parse_simulcast},
};

int sdp_parse_attribute(struct sdp_cursor *at, char *text)
{
    char *name = sdp_word(&text, ':');
    unsigned level = SESSION;
    enum sdp_direction direction;

    if (at->media != NULL) {
        bool rtp = at->media->kind == SDP_AUDIO || at->media->kind == SDP_VIDEO;

        level = SECTION | (rtp ? RTP : 0);
    }
    if (parse_direction(name, &direction)) {
        *(at->media != NULL ? &at->media->direction : &at->sdp->direction) = direction;
        return 0;
    }
    for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
        if ((attributes[i].where & level) != 0 && strcmp(attributes[i].name, name) == 0) {
            return attributes[i].parse(at, text);
        }
    }
    return 0; /* one that we have no use for */
}
