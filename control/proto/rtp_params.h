/* The rtpParameters object of mediasoup-client as a plain struct: parsed with bounds from
 * what a browser sends, and written for what it receives. What the values mean to the
 * router is ortc.h.
 *
 * Pure. https://mediasoup.org/documentation/v3/mediasoup/rtp-parameters-and-capabilities/
 */
#ifndef PROTO_RTP_PARAMS_H
#define PROTO_RTP_PARAMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    RTP_PARAMS_MAX_CODECS = 16,
    RTP_PARAMS_MAX_FMTP = 12,
    RTP_PARAMS_MAX_FEEDBACK = 8,
    RTP_PARAMS_MAX_EXTS = 14,
    RTP_PARAMS_MAX_ENCODINGS = 4,
    RTP_EXT_ID_MAX = 14, /* of the one-byte form; 15 is reserved */
    RTP_MID_MAX = 16,    /* what the one-byte form of the extension holds */
    RTP_RID_MAX = 16,
    RTP_CNAME_MAX = 63,
    RTP_MIME_MAX = 31,
    RTP_URI_MAX = 95
};

enum rtp_kind { RTP_KIND_AUDIO = 1, RTP_KIND_VIDEO = 2 };

/* "audio" or "video". */
const char *rtp_kind_name(enum rtp_kind kind);

/* Says what is wrong with an object from outside, in words for its sender. */
struct rtp_error {
    char path[96];    /* JSON pointer into the object (RFC 6901); "" is the object itself */
    char reason[160]; /* "missing", "unsupported: video/foo" */
};

/* One codec-specific parameter ("apt": 96, "profile-level-id": "42e01f"). */
struct rtp_fmtp {
    char name[32];
    bool is_number;
    int64_t number; /* 0 unless is_number */
    char text[48];  /* empty if is_number */
};

struct rtp_feedback {
    char type[16];
    char parameter[16]; /* may be empty */
};

struct rtp_codec {
    char mime[RTP_MIME_MAX + 1]; /* as sent; compare without case */
    enum rtp_kind kind;          /* of the mime type */
    uint8_t pt;                  /* 0..63 or 96..127: the rest collides with RTCP */
    uint8_t channels;            /* audio: 1 or more; video: 0 */
    uint8_t n_fmtp;
    uint8_t n_feedback;
    uint32_t clock_rate; /* Hz */
    struct rtp_fmtp fmtp[RTP_PARAMS_MAX_FMTP];
    struct rtp_feedback feedback[RTP_PARAMS_MAX_FEEDBACK];
};

struct rtp_hdrext {
    char uri[RTP_URI_MAX + 1];
    uint8_t id; /* 1..RTP_EXT_ID_MAX */
};

struct rtp_encoding {
    uint32_t ssrc;             /* 0: bound by MID and RID */
    uint32_t rtx_ssrc;         /* 0: none, or bound by repaired RID */
    uint32_t max_bitrate_bps;  /* 0: not told */
    char rid[RTP_RID_MAX + 1]; /* empty: none */
    char scalability_mode[16]; /* "L1T3"; empty: none */
    bool dtx;
};

struct rtp_params {
    char mid[RTP_MID_MAX + 1];     /* empty: none */
    char cname[RTP_CNAME_MAX + 1]; /* empty: none */
    bool reduced_size;
    uint8_t n_codecs;
    uint8_t n_exts;
    uint8_t n_encodings;
    struct rtp_codec codecs[RTP_PARAMS_MAX_CODECS];
    struct rtp_hdrext exts[RTP_PARAMS_MAX_EXTS];
    struct rtp_encoding encodings[RTP_PARAMS_MAX_ENCODINGS];
};

/* Parses and checks an rtpParameters object. Fields that this project has no use for are
 * ignored. Checked: types, lengths and ranges; payload types, extension ids, SSRCs and RIDs
 * that stand twice; that a single encoding has an SSRC, a RID or the object's MID to be
 * known by, and several each an SSRC or a RID.
 *
 * json  borrowed; NULL is an error, not a crash
 * out   filled; undefined on failure
 * err   filled on failure
 *
 * Returns 0, or -EINVAL. */
int rtp_params_parse(const json_t *json, struct rtp_params *out, struct rtp_error *err);

/* Writes the object (a new reference), or returns NULL without memory. Empty strings and
 * zero SSRCs are left out. parse(write(x)) equals x. */
json_t *rtp_params_write(const struct rtp_params *params);

/* Parses one codec, of parameters (pt_key "payloadType") or of capabilities
 * ("preferredPayloadType"). 'path' is where it stands, for the error. Returns as above. */
int rtp_codec_parse(const json_t *json, const char *pt_key, const char *path,
                    struct rtp_codec *out, struct rtp_error *err);

/* Writes one codec, the same way. New reference, or NULL without memory. */
json_t *rtp_codec_write(const struct rtp_codec *codec, const char *pt_key);

/* The parameter 'name', or NULL. Borrowed. */
const struct rtp_fmtp *rtp_codec_fmtp(const struct rtp_codec *codec, const char *name);

/* Its value as a number, also if it was sent as a string of digits; 'missing' if it is
 * absent, -1 if it is no number. */
int64_t rtp_codec_number(const struct rtp_codec *codec, const char *name, int64_t missing);

/* True for audio/rtx and video/rtx (RFC 4588). */
bool rtp_codec_is_rtx(const struct rtp_codec *codec);

/* Fills 'err' and returns 'code': rtp_fail(err, -EINVAL, "missing", "%s/pt", path). */
int rtp_fail(struct rtp_error *err, int code, const char *reason, const char *path_format,
             ...) __attribute__((format(printf, 4, 5)));

#endif
