/* How loud one audio stream is, from the levels that its packets tell (RFC 6464). Fed by
 * stage/ingest; control reads the result to find who speaks in a room, and the lane itself
 * to know when there is nothing to hear.
 *
 * Loudness is 0 (nothing that could be a voice) to 127 dB above silence: the loudest packet
 * of each 100 ms, smoothed, rising fast and falling slowly, so that the pauses within
 * speech do not count as its end and a click does not count as speech.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef KCS_CORE_SPEAKER_H
#define KCS_CORE_SPEAKER_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SPEAKER_SLICE_US = 100000,
    SPEAKER_VOICE = 60,   /* -dBov: quieter than this is no voice */
    SPEAKER_SILENCE = 75, /* -dBov: quieter than this nobody would miss */
    SPEAKER_HOLD_US = 2000000
};

/* What of a stream goes on; the numbers of abi/media.h. */
enum speaker_gate { SPEAKER_GATE_OPEN = 0, SPEAKER_GATE_VOICE = 1, SPEAKER_GATE_SHUT = 2 };

struct speaker {
    uint64_t slice;    /* number of the present slice */
    uint64_t heard_us; /* when there was something to hear, or the first packet */
    uint16_t smooth;   /* loudness times 16, of the slices before */
    uint8_t peak;      /* of the present slice */
    bool started;
};

void speaker_init(struct speaker *speaker);

/* Notes a packet's level, -dBov 0..127. Returns true if the loudness may have changed (a
 * slice has ended): the time to publish it. Packets need not be in order. */
bool speaker_on_level(struct speaker *speaker, uint8_t level, uint64_t now_us);

/* 0..127. */
uint8_t speaker_loudness(const struct speaker *speaker);

/* Loudness and time in one word, as abi/media.h has them: abi_audio(). */
static inline uint64_t speaker_word(const struct speaker *speaker, uint64_t now_us)
{
    return now_us / 1000 << 8 | speaker_loudness(speaker);
}

/* True if for SPEAKER_HOLD_US nothing was to hear. False for a stream whose packets never
 * told a level: it could be anything. */
bool speaker_is_silent(const struct speaker *speaker, uint64_t now_us);

#endif
