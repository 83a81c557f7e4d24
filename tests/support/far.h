/* The far end of a transport, as a browser would be: it speaks SRTP with libsrtp2's own
 * sessions and STUN with its own HMAC, so that it shares as little as possible with what it
 * talks to. Include cmocka.h before. */
#ifndef TESTS_SUPPORT_FAR_H
#define TESTS_SUPPORT_FAR_H

#include <srtp2/srtp.h>

#include "sfu/wire/rtcp.h"
#include "sfu/wire/rtp.h"
#include "sfu/wire/rtp_ext.h"
#include "support/rig.h"

enum {
    FAR_CM80 = ABI_SRTP_AES128_CM_SHA1_80,
    FAR_GCM = ABI_SRTP_AEAD_AES_128_GCM,
    FAR_CM32 = ABI_SRTP_AES128_CM_SHA1_32,
    FAR_GCM256 = ABI_SRTP_AEAD_AES_256_GCM,
    FAR_NO_KEYS = 0
};

struct far {
    struct rig *rig;
    struct vault_peer_conf conf; /* as committed to the vault */
    struct path path;            /* its address as we see it: the selected path */
    srtp_t out;                  /* from it to us */
    srtp_t in;                   /* from us to it */
    uint32_t read_at;            /* frames of the rig that it has looked at */
};

/* Opens the peer in slot 'index' at an address of its own ('family' 4 or 6). */
void far_open(struct far *far, struct rig *rig, uint32_t index, uint32_t profile,
              uint8_t family);

/* Ends the sessions; the peer is the rig's to close. */
void far_end(struct far *far);

/* An address that only slot 'index' has; 'n' tells several of one peer apart. */
struct path far_path(uint32_t index, uint32_t n, uint8_t family);

/* A packet to send. Zeros are fine but for ssrc; 'seq' is counted by the caller and must
 * stay within what a 16-bit sequence number tells. */
struct far_rtp {
    const void *payload;
    size_t len;
    const uint8_t *ext; /* elements, NULL none; ext_len a multiple of 4 */
    size_t ext_len;
    uint32_t ssrc;
    uint32_t ts;
    uint16_t seq;
    uint16_t ext_profile;
    uint8_t pt;
    uint8_t padding; /* bytes, behind the payload */
    bool marker;
};

/* Writes it encrypted; returns its length. 'out' has PKT_ROOM bytes. */
size_t far_make_rtp(struct far *far, const struct far_rtp *rtp, uint8_t *out);
void far_send_rtp(struct far *far, const struct far_rtp *rtp);

/* Encrypts and sends a compound. */
size_t far_make_rtcp(struct far *far, const struct wbytes *w, uint8_t *out);
void far_send_rtcp(struct far *far, const struct wbytes *w);

/* Tells what its link carries (REMB); far_believe() lets time go by until that is believed of
 * all who did. */
void far_send_remb(struct far *far, uint64_t bps);
void far_believe(struct rig *rig);

/* What came back, decrypted. 'hdr' and 'payload' point into 'data'. */
struct far_got {
    enum { FAR_RTP, FAR_RTCP, FAR_STUN } kind;
    struct rtp_hdr hdr;
    const uint8_t *payload;
    size_t payload_len;
    size_t len; /* of 'data', plaintext */
    _Alignas(8) uint8_t data[PKT_ROOM];
};

/* Takes the next frame that was sent to this far end. Returns false if there is none. Fails
 * the test if it does not decrypt: wrong key, index used before, tag. */
bool far_take(struct far *far, struct far_got *got);

/* The same, frames of other kinds skipped. */
bool far_take_rtp(struct far *far, struct far_got *got);
bool far_take_rtcp(struct far *far, struct far_got *got);

/* The packet of type 'pt' (and 'count', unless it is negative) in a decrypted compound. */
bool far_find(const struct far_got *got, uint8_t pt, int count, struct rtcp_pkt *out);

/* The element with the router's 'id', or NULL. */
const uint8_t *far_ext(const struct far_got *got, uint8_t id, uint8_t *len);

/* ---- streams and subscriptions with usual contents ---- */

enum {
    FAR_AUDIO_PT = 111,
    FAR_VIDEO_PT = 96,
    FAR_RTX_PT = 97,
    FAR_OUT_AUDIO_PT = 100,
    FAR_OUT_VIDEO_PT = 101,
    FAR_OUT_RTX_PT = 102,
    FAR_OUT_RTX_BIT = 0x40000000, /* in the SSRC of a video's retransmissions */
    FAR_EXT_MID = 9, /* the publisher's ids are not ours */
    FAR_EXT_RID = 10,
    FAR_EXT_REPAIRED_RID = 11,
    FAR_EXT_TWCC = 3,
    FAR_EXT_LEVEL = 14,
    FAR_EXT_DEPENDENCY = 12
};

/* A stream of this peer in slot 'index', announced by 'ssrc'. */
struct vault_stream_conf far_audio(struct far *far, uint32_t index, uint32_t ssrc);
struct vault_stream_conf far_video(struct far *far, uint32_t index, uint32_t ssrc);

/* This peer's subscription in slot 'index' to 'stream', every extension negotiated; a
 * video's with retransmissions, under its SSRC with FAR_OUT_RTX_BIT changed. */
struct vault_sub_conf far_sub(struct far *far, uint32_t index,
                              const struct vault_stream_conf *stream, uint32_t ssrc);

/* The same, opened. */
struct vault_stream_conf far_publish_audio(struct far *far, uint32_t index, uint32_t ssrc);
struct vault_stream_conf far_publish_video(struct far *far, uint32_t index, uint32_t ssrc);
struct vault_sub_conf far_subscribe(struct far *far, uint32_t index,
                                    const struct vault_stream_conf *stream, uint32_t ssrc);

/* VP8 payloads that begin a key frame, and that do not. */
extern const uint8_t far_vp8_key[12];
extern const uint8_t far_vp8_delta[12];

/* ---- STUN ---- */

struct far_check {
    const char *username; /* NULL: the right one */
    const char *pwd;      /* NULL: the right one */
    bool no_username, no_integrity, nominate;
    bool bare; /* without what ICE wants in it */
};

/* A connectivity check as a browser sends it. Returns its length; 'out' has 256 bytes. */
size_t far_make_check(const struct far *far, const struct far_check *check, uint8_t *out);
void far_send_check(struct far *far, const struct path *from);

#endif
