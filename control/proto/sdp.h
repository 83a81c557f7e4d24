/* Session descriptions as structs: parsed with bounds from what a client sends, and
 * written. What they mean for this node is sdp_answer.h.
 *
 * Kept is what an answerer of WebRTC needs; any other line is passed over. The texts that a
 * description is made of are short and copied; long lists are cut or refused, as said
 * below.
 *
 * Pure but for memory. RFC 8866; RFC 8840 (fragments), 9143 (BUNDLE), 8285 (extmap), 8851
 * and 8853 (rid, simulcast), 5576 (ssrc), 8839 (ICE), 8122 and 4145 (fingerprint, setup).
 */
#ifndef PROTO_SDP_H
#define PROTO_SDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/rtp_params.h"

enum {
    SDP_MAX_TEXT = 65536, /* bytes of a description */
    SDP_MAX_LINES = 4096,
    SDP_MAX_MEDIA = 16,
    SDP_MAX_CODECS = 64,
    SDP_MAX_EXTS = 32,
    SDP_MAX_SSRCS = 16,
    SDP_MAX_GROUPS = 8, /* of SSRCs */
    SDP_MAX_GROUP = 4,  /* SSRCs in one */
    SDP_MAX_RIDS = 8,
    SDP_MAX_FPS = 4,
    SDP_MAX_CANDIDATES = 64, /* more are dropped */
    SDP_ID_MAX = 64,         /* msid, formats of other kinds */
    SDP_UFRAG_MAX = 256,
    SDP_PWD_MAX = 256,
    SDP_FP_MAX = 191
};

enum sdp_kind { SDP_AUDIO, SDP_VIDEO, SDP_APPLICATION, SDP_OTHER };

/* The values are bits: 1 sends, 2 receives. */
enum sdp_direction {
    SDP_DIR_NONE = 4, /* not told: sendrecv (RFC 8866, 6.7) */
    SDP_INACTIVE = 0,
    SDP_SENDONLY = 1,
    SDP_RECVONLY = 2,
    SDP_SENDRECV = 3
};

enum { SDP_ICE_TRICKLE = 1, SDP_ICE_ICE2 = 2 }; /* bits of ice_options */

enum sdp_setup { SDP_SETUP_NONE, SDP_ACTPASS, SDP_ACTIVE, SDP_PASSIVE, SDP_HOLDCONN };

struct sdp_fp {
    char algorithm[16]; /* as sent */
    char value[SDP_FP_MAX + 1];
};

/* ICE and DTLS: at the level of the session, of a section, or both. */
struct sdp_transport {
    char ufrag[SDP_UFRAG_MAX + 1]; /* empty: not told */
    char pwd[SDP_PWD_MAX + 1];
    enum sdp_setup setup;
    uint8_t ice_options; /* those that we know */
    uint8_t n_fps;
    struct sdp_fp fps[SDP_MAX_FPS];
};

struct sdp_ext {
    uint16_t id;
    enum sdp_direction direction; /* SDP_DIR_NONE: not told */
    char uri[RTP_URI_MAX + 1];
};

struct sdp_ssrc {
    uint32_t ssrc;
    char cname[RTP_CNAME_MAX + 1];
};

struct sdp_ssrc_group {
    char semantics[8]; /* "FID", "SIM" */
    uint8_t n;
    uint32_t ssrcs[SDP_MAX_GROUP];
};

struct sdp_rid {
    char rid[RTP_RID_MAX + 1];
    bool send;
};

/* One stream of a=simulcast: the first of its alternatives. */
struct sdp_layer {
    char rid[RTP_RID_MAX + 1];
    bool paused; /* '~' */
};

struct sdp_candidate {
    char foundation[33];
    uint16_t component;
    char transport[8]; /* "udp", as sent */
    uint32_t priority;
    char address[SDP_ID_MAX + 1]; /* an address or a name ("….local") */
    uint16_t port;
    char type[8]; /* "host" */
};

struct sdp_media {
    enum sdp_kind kind;
    char name[17]; /* "audio" */
    uint16_t port; /* 0: refused, or only in the bundle */
    char proto[32];
    char format[SDP_ID_MAX + 1]; /* the first, if it is not audio or video */
    char mid[RTP_MID_MAX + 1];   /* empty: none */
    enum sdp_direction direction;
    bool rtcp_mux, rtcp_mux_only, rtcp_rsize, bundle_only, extmap_mixed, end_of_candidates;
    struct sdp_transport transport;
    char stream_id[SDP_ID_MAX + 1]; /* msid; "-" is none */
    char track_id[SDP_ID_MAX + 1];
    uint8_t n_codecs, n_exts, n_ssrcs, n_groups, n_rids, n_send, n_recv, n_candidates;
    struct rtp_codec codecs[SDP_MAX_CODECS]; /* in the order of preference; one that has
                                                no rtpmap has an empty mime */
    struct sdp_ext exts[SDP_MAX_EXTS];
    struct sdp_ssrc ssrcs[SDP_MAX_SSRCS];
    struct sdp_ssrc_group groups[SDP_MAX_GROUPS];
    struct sdp_rid rids[SDP_MAX_RIDS];
    struct sdp_layer send[SDP_MAX_RIDS], recv[SDP_MAX_RIDS]; /* a=simulcast */
    struct sdp_candidate candidates[SDP_MAX_CANDIDATES];
};

struct sdp {
    uint64_t id, version; /* of o= */
    bool ice_lite, extmap_mixed, end_of_candidates;
    bool has_bundle;
    uint8_t n_bundle;
    uint8_t n_media;
    char bundle[SDP_MAX_MEDIA][RTP_MID_MAX + 1];
    enum sdp_direction direction;
    struct sdp_transport transport;
    struct sdp_media *media[SDP_MAX_MEDIA]; /* each allocated */
};

/* What is wrong with a description, for its sender. */
struct sdp_error {
    unsigned line; /* counted from 1; 0: not one line's fault */
    char reason[192];
};

/* Parses a whole description, or a fragment (application/trickle-ice-sdpfrag: the lines of
 * the session may be missing, and its m= lines may stand behind attributes).
 *
 * text  borrowed, need not end with NUL
 * out   filled with a new description; sdp_destroy() it
 * err   filled on failure; 'line' is 0 without memory
 *
 * Dropped: header extensions, codec parameters and feedback with names or values longer
 * than the structs hold, and lists beyond these, where what is left is still true. An
 * error: what would change the meaning if it were dropped (media, codecs, MIDs, RIDs,
 * SSRCs, fingerprints).
 *
 * Returns 0, -EBADMSG, -EINVAL (well formed, but beyond what is taken) or -ENOMEM. */
int sdp_parse(const char *text, size_t len, struct sdp **out, struct sdp_error *err);
int sdp_parse_fragment(const char *text, size_t len, struct sdp **out,
                       struct sdp_error *err);

struct sdp *sdp_create(void);      /* an empty one, or NULL */
void sdp_destroy(struct sdp *sdp); /* NULL is a no-op */

/* Appends an empty section; NULL without memory or beyond SDP_MAX_MEDIA. */
struct sdp_media *sdp_add_media(struct sdp *sdp, enum sdp_kind kind);

/* Writes it (fragment: without the lines of the session). What parse makes of the text is
 * equal to 'sdp'. Returns a new string, or NULL without memory. */
char *sdp_write(const struct sdp *sdp, bool fragment);

/* The section that carries the transport: the first of the BUNDLE group, or without one the
 * first that is not refused. NULL if there is none. */
const struct sdp_media *sdp_tagged(const struct sdp *sdp);

/* True if both say the same. */
bool sdp_equal(const struct sdp *a, const struct sdp *b);

/* Fills 'err' and returns 'code'. */
int sdp_fail(struct sdp_error *err, int code, unsigned line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
