/* Why a packet was dropped. One list for the counters, their names in kcsctl and /metrics,
 * and the tests: each reason has a test that provokes it. The sum of all reasons plus what
 * was moved and punted equals what came in (stage tests and the churn test assert it).
 *
 * X(constant, name in metrics, what it tells the operator) */
#ifndef KCS_PKT_DROP_H
#define KCS_PKT_DROP_H

#define DROP_REASONS(X)                                                                    \
    X(DROP_EMPTY, "empty", "a datagram without payload")                                   \
    X(DROP_UNKNOWN_KIND, "unknown_kind", "neither STUN, DTLS, RTP nor RTCP (RFC 7983)")    \
    X(DROP_STUN_MALFORMED, "stun_malformed", "STUN that does not parse")                   \
    X(DROP_STUN_INTEGRITY, "stun_integrity", "STUN whose MESSAGE-INTEGRITY is wrong")      \
    X(DROP_NO_PEER, "no_peer", "media or DTLS from an address that ICE has not validated") \
    X(DROP_NO_KEYS, "no_keys", "media before the DTLS handshake has given keys")           \
    X(DROP_PUNT_FULL, "punt_full", "control does not keep up with STUN and DTLS")          \
    X(DROP_PUNT_RATE, "punt_rate",                                                         \
      "more unauthenticated STUN than control is asked to see")                            \
    X(DROP_TOO_LONG, "too_long", "longer than a media packet may be")                      \
    X(DROP_RTP_MALFORMED, "rtp_malformed", "RTP that does not parse")                      \
    X(DROP_RTCP_MALFORMED, "rtcp_malformed", "RTCP that does not parse")                   \
    X(DROP_AUTH, "auth", "SRTP or SRTCP whose authentication tag is wrong")                \
    X(DROP_REPLAY, "replay", "SRTP or SRTCP seen before, or too old to tell")              \
    X(DROP_SSRC_LIMIT, "ssrc_limit", "more SSRCs than one peer may send")                  \
    X(DROP_UNBOUND_SSRC, "unbound_ssrc",                                                   \
      "authenticated RTP of no stream that was produced")                                  \
    X(DROP_PAYLOAD_TYPE, "payload_type", "a payload type that was not negotiated")         \
    X(DROP_PADDING, "padding", "padding only: it fed the bandwidth estimate")              \
    X(DROP_RTX, "rtx", "a retransmission that cannot be restored")                         \
    X(DROP_DUPLICATE, "duplicate", "media that had come before, or is too old to tell")    \
    X(DROP_DESCRIPTOR, "descriptor", "a payload or dependency descriptor that is malformed") \
    X(DROP_PAUSED, "paused", "the producer is paused, or its first key frame has yet to come") \
    X(DROP_SILENT, "silent", "audio in which there is nothing to hear")                    \
    X(DROP_NOT_LOUDEST, "not_loudest", "audio of one who is not among the loudest")        \
    X(DROP_NO_BUFFER, "no_buffer", "the packet pool was empty")                            \
    X(DROP_HANDOVER, "handover", "the lane of its peer does not keep up")                  \
    X(DROP_OVERRUN, "overrun", "the ring overtook a subscriber")                           \
    X(DROP_SHED_VIDEO, "shed_video", "the lane is overloaded: video given up or too old")  \
    X(DROP_SHED_AUDIO, "shed_audio", "the lane is overloaded: audio that was too old")     \
    X(DROP_INDEX_USED, "index_used", "came late, and its number may have been used")       \
    X(DROP_PROTECT, "protect", "encryption was refused")                                   \
    X(DROP_TX_FULL, "tx_full", "the device did not take it")                               \
    X(DROP_TX_FULL_AUDIO, "tx_full_audio", "likewise, audio")                              \
    X(DROP_TX_FULL_CONTROL, "tx_full_control", "likewise, RTCP, STUN or DTLS")

/* What became of a packet that reached its end without being dropped. */
#define DONE_KINDS(X)                                                                      \
    X(DONE_INGESTED, "ingested", "media, moved into its stream's ring")                    \
    X(DONE_RTCP, "rtcp", "RTCP, consumed by the RTCP path")                                \
    X(DONE_CONSENT, "consent", "an ICE check on the selected path, answered in the lane")  \
    X(DONE_PUNTED, "punted", "STUN or DTLS, handed to control")

enum drop_reason {
#define X(constant, name, text) constant,
    DROP_REASONS(X)
#undef X
        N_DROP_REASONS
};

enum done_kind {
#define X(constant, name, text) constant,
    DONE_KINDS(X)
#undef X
        N_DONE_KINDS
};

#endif
