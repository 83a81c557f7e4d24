/* What the node makes of descriptions: it judges a client's offer, turns its sections into
 * the RTP parameters that the rest of control works with, and builds its answers and, where
 * a client's offer will not do, its own offer.
 *
 * The node bundles all on one transport, multiplexes RTCP, is ICE-lite, and is ready for
 * either role of DTLS. What a publisher sends is one codec a section: the first of its list
 * that the router has, and its RTX.
 *
 * Pure but for memory. RFC 9429 (5.3: answers), 9143, 8842, 8853, 9725 (4.4). */
#ifndef PROTO_SDP_ANSWER_H
#define PROTO_SDP_ANSWER_H

#include "proto/ortc.h"
#include "proto/sdp.h"

enum sdp_role { SDP_PUBLISHER, SDP_VIEWER };

/* False for a section that its offer disables: port 0, and not because it is in the bundle
 * only (RFC 9143, section 6). It is refused in the answer, and else does not count. */
bool sdp_is_offered(const struct sdp_media *media);

/* Judges an offer as a whole: at least one section, all of them audio or video over
 * DTLS-SRTP in one BUNDLE group with rtcp-mux, ICE credentials, a fingerprint, a direction
 * that fits, at most one section a kind, one MediaStream.
 *
 * Returns 0, or with 'err' filled -EINVAL; -ENOTSUP if both ends were ICE-lite. */
int sdp_offer_check(const struct sdp *offer, enum sdp_role role, struct sdp_error *err);

/* ICE and DTLS of the client: those of its first bundled section, filled up from the
 * session's. */
void sdp_transport_of(const struct sdp *sdp, struct sdp_transport *out);

/* The role that answers 'setup': active if the client insists on passive, else passive. */
enum sdp_setup sdp_setup_answer(enum sdp_setup setup);

/* The RTP parameters of what a publisher sends in a section, as mediasoup-client would tell
 * them. Header extensions beyond id 14, and those that the router does not have, are left
 * out, and so are out of the answer. Streams of a=simulcast come in its order, which is
 * that of the layers, paused ('~') or not.
 *
 * Returns 0; -ENOTSUP without a codec in common; -EINVAL if its packets could not be told
 * apart from others (no SSRC, no MID or RID extension), or a=simulcast names a RID that no
 * a=rid line has (RFC 8853, section 5.1). */
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
 * 'stream_id', as a sender of it (a consumer's). Codecs come in the order of 'offered', the
 * section that it answers (RFC 3264, section 6.1). */
void sdp_answer_accept(struct sdp *answer, uint8_t i, const struct sdp_media *offered,
                       const struct rtp_params *params, const char *stream_id,
                       const struct sdp_local *local);

/* Ends a description of ours when its sections stand: the BUNDLE group of an answer gets
 * the order of the offer's, so that the tagged section is the offer's if that was accepted
 * (RFC 9143, section 7.3); the tagged section gets the candidates.
 *
 * from  the offer that is answered, or NULL for an offer of ours */
void sdp_bundle_finish(struct sdp *sdp, const struct sdp *from,
                       const struct sdp_local *local);

/* Begins an offer without sections. NULL without memory. */
struct sdp *sdp_offer_create(const struct sdp_local *local);

/* Appends a section that sends what 'params' (a consumer's, with its mid) say. Returns 0 or
 * -ENOMEM. */
int sdp_offer_add(struct sdp *offer, enum rtp_kind kind, const struct rtp_params *params,
                  const char *stream_id, const struct sdp_local *local);

/* Judges the answer to an offer of ours: as many sections, with the same mids, refused or
 * with one of the codecs offered, recvonly or inactive, in one BUNDLE group if they are
 * several; one at least is received; a fingerprint; setup active or passive.
 *
 * Returns 0, or -EINVAL with 'err' filled. */
int sdp_answer_check(const struct sdp *offer, const struct sdp *answer,
                     struct sdp_error *err);

/* True if section 'i' of a checked answer receives what was offered. */
bool sdp_answer_takes(const struct sdp *answer, uint8_t i);

#endif
