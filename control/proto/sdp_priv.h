/* What the files that parse descriptions share.
 *
 * sdp_parse.c  lines, m= and the rules between them     sdp_attr.c  attributes
 * sdp_text.c   words and numbers                        sdp_write.c the other way */
#ifndef PROTO_SDP_PRIV_H
#define PROTO_SDP_PRIV_H

#include "proto/sdp.h"

/* Where the parser stands. */
struct sdp_cursor {
    struct sdp *sdp;
    struct sdp_media *media; /* NULL: at the level of the session */
    unsigned line;
    struct sdp_error *err;
};

/* ---- sdp_text.c ---- */

/* Cuts the next word off '*text' (separated by 'sep'), which goes behind it. An empty text
 * gives an empty word. Borrowed from the text, which is written to. */
char *sdp_word(char **text, char sep);

/* Copies 'word'; false if it is empty or too long, or has blanks or control characters. */
bool sdp_copy(char *out, size_t cap, const char *word);

/* Decimal digits alone, at most 'max'. */
bool sdp_number(const char *word, uint64_t max, uint64_t *out);

/* An RTP payload type that does not collide with RTCP (RFC 5761, section 4). */
bool sdp_pt(const char *word, uint8_t *out);

struct rtp_codec *sdp_codec_of(struct sdp_media *media, uint8_t pt);

/* ---- sdp_attr.c ---- */

/* One attribute: "name" or "name:value", written to. Returns 0, -EBADMSG or -EINVAL. */
int sdp_parse_attribute(struct sdp_cursor *at, char *text);

/* ---- sdp_offer.c ---- */

/* A section's direction, or the session's, or the default (RFC 8866, section 6.7). */
enum sdp_direction sdp_direction_of(const struct sdp *sdp, const struct sdp_media *media);
bool sdp_in_bundle(const struct sdp *sdp, const char *mid);

/* ---- sdp_codec.c: rtpmap, fmtp, rtcp-fb ---- */
int sdp_parse_rtpmap(struct sdp_cursor *at, char *value);
int sdp_parse_fmtp(struct sdp_cursor *at, char *value);
int sdp_parse_feedback(struct sdp_cursor *at, char *value);

#endif
