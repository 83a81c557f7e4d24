/* What the router offers, and how a browser's parameters and capabilities map onto it: the
 * server half of what mediasoup calls ORTC. The caller keeps the structs; JSON ends here.
 *
 * A producer arrives with the browser's payload types and extension ids and is mapped to
 * the router's; a consumer leaves with the router's, cut to what its browser can take.
 *
 * Pure. The rules are those of mediasoup v3, so that its unmodified client agrees. */
#ifndef PROTO_ORTC_H
#define PROTO_ORTC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/rtp_params.h"

enum {
    ORTC_N_ENTRIES = 6,  /* media codecs that the router offers */
    ORTC_MAX_CODECS = 6, /* media codecs of one producer: as many as there are */
    ORTC_N_EXTS = 12,    /* one more than the greatest extension id of the router */
    ORTC_NO_PT = 255     /* in place of a payload type: there is no RTX */
};

enum ortc_codec { ORTC_OPUS = 1, ORTC_VP8 = 2, ORTC_VP9 = 3, ORTC_H264 = 4, ORTC_AV1 = 5 };

/* Header extensions by the ids that the router gives them. */
enum ortc_ext {
    ORTC_EXT_MID = 1,
    ORTC_EXT_RID = 2,
    ORTC_EXT_REPAIRED_RID = 3,
    ORTC_EXT_ABS_SEND_TIME = 4,
    ORTC_EXT_TRANSPORT_CC = 5,
    ORTC_EXT_AUDIO_LEVEL = 6,
    ORTC_EXT_DEPENDENCY = 7,
    ORTC_EXT_VIDEO_ORIENTATION = 8,
    ORTC_EXT_TOFFSET = 9,
    ORTC_EXT_ABS_CAPTURE_TIME = 10,
    ORTC_EXT_PLAYOUT_DELAY = 11
};

/* RTCP feedback, as bits. */
enum ortc_feedback {
    ORTC_FB_NACK = 1,
    ORTC_FB_NACK_PLI = 2,
    ORTC_FB_CCM_FIR = 4,
    ORTC_FB_GOOG_REMB = 8,
    ORTC_FB_TRANSPORT_CC = 16,
    ORTC_FB_RRTR = 32 /* reference times of who only receives are answered (RFC 3611, 4.4) */
};

/* The router's rtpCapabilities. New reference, or NULL without memory. */
json_t *ortc_router_capabilities(void);

/* ---- producers ---- */

struct ortc_codec_map {
    uint8_t entry; /* in the router's list */
    uint8_t codec; /* enum ortc_codec */
    uint8_t pt;    /* the browser's */
    uint8_t rtx_pt;
    uint8_t router_pt;
    uint8_t router_rtx_pt;
    uint8_t n_fmtp;
    bool nack; /* the browser answers Generic NACKs; false after a restore */
    bool remb; /* the browser follows REMB; likewise */
    struct rtp_fmtp fmtp[RTP_PARAMS_MAX_FMTP]; /* the browser's: what the stream is */
};

struct ortc_producer {
    enum rtp_kind kind;
    char mid[RTP_MID_MAX + 1];
    char cname[RTP_CNAME_MAX + 1];
    uint8_t n_codecs;
    uint8_t n_encodings;
    uint8_t ext_id[ORTC_N_EXTS]; /* by enum ortc_ext: the browser's id, 0 not used */
    struct ortc_codec_map codecs[ORTC_MAX_CODECS];
    struct rtp_encoding encodings[RTP_PARAMS_MAX_ENCODINGS];
};

/* Maps a producer's parameters onto the router.
 *
 * Returns 0; -ENOTSUP for a codec or extension that the router does not have, err->reason
 * naming it; -EINVAL for codecs of the other kind, RTX without its codec, or too many. */
int ortc_map_producer(enum rtp_kind kind, const struct rtp_params *params,
                      struct ortc_producer *out, struct rtp_error *err);

/* The parameters of one that sends, by the router's numbers, any codec of the kind. */
void ortc_any_params(enum rtp_kind kind, struct rtp_params *out);
void ortc_any_producer(enum rtp_kind kind, struct ortc_producer *out);

/* ---- consumers ---- */

/* What a browser can receive, reduced to what the router has. */
struct ortc_caps {
    uint8_t codecs;                   /* bit by entry of the router's list */
    uint8_t rtx;                      /* the same, those with RTX */
    uint8_t feedback[ORTC_N_ENTRIES]; /* enum ortc_feedback */
    uint16_t audio_exts;              /* bit by enum ortc_ext */
    uint16_t video_exts;
    uint8_t audio_ext_id[ORTC_N_EXTS]; /* its own ids; 0: it takes the router's */
    uint8_t video_ext_id[ORTC_N_EXTS];
    uint8_t pt[ORTC_N_ENTRIES];     /* its own payload types; 0: it takes the router's */
    uint8_t rtx_pt[ORTC_N_ENTRIES]; /* the same */
};

/* Reads an rtpCapabilities object (mediasoup-client's device.rtpCapabilities, or its
 * recvRtpCapabilities). What the router does not have is passed over.
 *
 * Returns 0, or -EINVAL with 'err' filled; 'out' is then undefined. */
int ortc_parse_caps(const json_t *json, struct ortc_caps *out, struct rtp_error *err);

/* Takes from 'caps' what is not in 'of' too, whose payload types, ids and feedback it gets:
 * a receiver has chosen among what it was offered. */
void ortc_narrow_caps(struct ortc_caps *caps, const struct ortc_caps *of);

/* True if a browser with 'caps' can receive one of the producer's codecs. */
bool ortc_can_consume(const struct ortc_producer *producer, const struct ortc_caps *caps);

struct ortc_consumer_conf {
    const char *mid;   /* unique in its transport */
    const char *cname; /* one per producing transport */
    uint32_t ssrc;     /* fresh, not 0 */
    uint32_t rtx_ssrc; /* fresh, not 0; used if both sides have RTX */
    bool any; /* each codec of the producer may come; else its stream is of the first */
};

/* What a consumer sends, for the dataplane. */
struct ortc_consumer {
    enum rtp_kind kind;
    char mid[RTP_MID_MAX + 1];
    char cname[RTP_CNAME_MAX + 1];
    char scalability_mode[16]; /* empty if the producer told none */
    uint32_t max_bitrate_bps;  /* the greatest of the producer's encodings; 0 not told */
    uint32_t ssrc;
    uint32_t rtx_ssrc; /* 0: no RTX */
    uint8_t n_codecs;
    struct {
        uint8_t map;    /* index in the producer's codecs */
        uint8_t pt;     /* as it is sent: the router's, or the receiver's own */
        uint8_t rtx_pt; /* the same, or ORTC_NO_PT */
        uint8_t feedback;
    } codecs[ORTC_MAX_CODECS];
    uint8_t ext_id[ORTC_N_EXTS]; /* by enum ortc_ext: its id, 0 not negotiated */
};

/* Works out what a browser with 'caps' gets of 'producer'.
 *
 * Returns 0, -ENOTSUP if it can take none of the codecs, -EINVAL for a configuration whose
 * mid or cname is empty or too long, or whose SSRCs are 0 or equal. */
int ortc_consume(const struct ortc_producer *producer, const struct ortc_caps *caps,
                 const struct ortc_consumer_conf *conf, struct ortc_consumer *out);

/* The consumer's rtpParameters: one encoding. 'producer' is the one it was made from. */
void ortc_consumer_params(const struct ortc_producer *producer,
                          const struct ortc_consumer *consumer, struct rtp_params *out);

#endif
