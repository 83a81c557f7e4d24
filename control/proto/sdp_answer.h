/* What the node makes of descriptions: it judges a client's offer, turns its sections into
 * the RTP parameters that the rest of control works with, and builds its answers and, where
 * a client's offer will not do, its own offer.
 *
 * The node bundles all on one transport, multiplexes RTCP, is ICE-lite, and is ready for
 * either role of DTLS. What a publisher sends is one codec a section: the first of its list
 * that the router has, and its RTX.
 *
 * Pure but for memory. RFC 9429 (5.3: answers), 8843, 8842, 8853, 9725 (4.4). */
#ifndef PROTO_SDP_ANSWER_H
#define PROTO_SDP_ANSWER_H

#include "proto/ortc.h"
#include "proto/sdp.h"

enum sdp_role { SDP_PUBLISHER, SDP_VIEWER };

/* Judges an offer as a whole: at least one section, all of them audio or video over
 * DTLS-SRTP in one BUNDLE group with rtcp-mux, ICE credentials, a fingerprint, a direction
 * that fits, at most one section a kind, one MediaStream.
 *
 * Returns 0, or -EINVAL with 'err' filled. */
int sdp_offer_check(const struct sdp *offer, enum sdp_role role, struct sdp_error *err);

/* ICE and DTLS of the client: those of its first bundled section, filled up from the
 * session's. */
void sdp_transport_of(const struct sdp *sdp, struct sdp_transport *out);

/* The role that answers 'setup': active if the client insists on passive, else passive. */
enum sdp_setup sdp_setup_answer(enum sdp_setup setup);

/* The RTP parameters of what a publisher sends in a section, as mediasoup-client would tell
 * them. Header extensions beyond id 14, and those that the router does not have, are left
 * out, and so are out of the answer. Streams of a=simulcast come in its order, paused ones
 * ('~') last.
 *
 * Returns 0; -ENOTSUP without a codec in common; -EINVAL if its packets could not be told
 * apart from others (no SSRC, no MID or RID extension). */
int sdp_section_params(const struct sdp_media *media, struct rtp_params *out,
                       struct sdp_error *err);

/* Adds what a viewer can take in a section to 'caps' (start from zeros), with its own
 * payload types and ids of header extensions (up to 14). */
void sdp_section_caps(const struct sdp_media *media, struct ortc_caps *caps);

/* The node's end of the transport; all borrowed. */
struct sdp_local {
    const char *ufrag, *pwd, *fingerprint; /* sha-256 */
    enum sdp_setup setup;
    uint64_t id, version;
    size_t n_candidates;
    const struct sdp_candidate *candidates;
};

/* Begins an answer: as many sections as the offer has, each refused. NULL without memory.
 */
struct sdp *sdp_answer_create(const struct sdp *offer, const struct sdp_local *local);

/* Accepts section 'i': as a receiver of what 'params' say (a publisher's), or, with
 * 'stream_id', as a sender of it (a consumer's). */
void sdp_answer_accept(struct sdp *answer, uint8_t i, const struct rtp_params *params,
                       const char *stream_id, const struct sdp_local *local);

/* Begins an offer without sections. NULL without memory. */
struct sdp *sdp_offer_create(const struct sdp_local *local);

/* Appends a section that sends what 'params' (a consumer's, with its mid) say. Returns 0 or
 * -ENOMEM. */
int sdp_offer_add(struct sdp *offer, enum rtp_kind kind, const struct rtp_params *params,
                  const char *stream_id, const struct sdp_local *local);

/* Judges the answer to an offer of ours: as many sections, with the same mids, refused or
 * with one of the codecs offered; a fingerprint; setup active or passive.
 *
 * Returns 0, or -EINVAL with 'err' filled. */
int sdp_answer_check(const struct sdp *offer, const struct sdp *answer,
                     struct sdp_error *err);

#endif
