/* Small numbers that both processes use for codecs, kinds and RTP header extensions. Fixed
 * values: they stand in the vault and outlive either process.
 *
 * Pure, header-only. */
#ifndef SFU_ABI_MEDIA_H
#define SFU_ABI_MEDIA_H

#include <stdint.h>

enum abi_kind { ABI_AUDIO = 1, ABI_VIDEO = 2 };

enum abi_codec {
    ABI_CODEC_OPUS = 1,
    ABI_CODEC_VP8 = 2,
    ABI_CODEC_VP9 = 3,
    ABI_CODEC_H264 = 4,
    ABI_CODEC_AV1 = 5,
    N_ABI_CODECS = 6
};

/* Header extensions by the id that the router gives them on every outgoing packet. */
enum abi_ext {
    ABI_EXT_MID = 1,
    ABI_EXT_RID = 2,
    ABI_EXT_REPAIRED_RID = 3,
    ABI_EXT_ABS_SEND_TIME = 4,
    ABI_EXT_TRANSPORT_CC = 5,
    ABI_EXT_AUDIO_LEVEL = 6,
    ABI_EXT_DEPENDENCY = 7,
    ABI_EXT_VIDEO_ORIENTATION = 8,
    ABI_EXT_TOFFSET = 9,
    ABI_EXT_ABS_CAPTURE_TIME = 10,
    ABI_EXT_PLAYOUT_DELAY = 11,
    N_ABI_EXTS = 16 /* room; ids 12..15 are unused */
};

/* What of an audio stream is forwarded. What is not leaves no gap in the numbers. */
enum abi_gate {
    ABI_GATE_OPEN = 0,
    ABI_GATE_VOICE = 1, /* not its silence: the lane sees where that begins and ends */
    ABI_GATE_SHUT = 2,  /* nothing */
    N_ABI_GATES = 3
};

/* A stream's loudness (0..127, smoothed) and when it was measured (CLOCK_MONOTONIC, to the
 * millisecond) in one word. */
static inline uint64_t abi_audio(uint8_t loudness, uint64_t now_us)
{
    return now_us / 1000 << 8 | loudness;
}

static inline uint8_t abi_audio_loudness(uint64_t audio)
{
    return audio & 0x7f;
}

static inline uint64_t abi_audio_ms(uint64_t audio)
{
    return audio >> 8;
}

/* SRTP protection profiles by their IANA numbers (RFC 5764, RFC 7714). */
enum abi_srtp_profile {
    ABI_SRTP_AES128_CM_SHA1_80 = 1,
    ABI_SRTP_AES128_CM_SHA1_32 = 2,
    ABI_SRTP_AEAD_AES_128_GCM = 7,
    ABI_SRTP_AEAD_AES_256_GCM = 8
};

#endif
