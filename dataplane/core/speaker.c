#include "core/speaker.h"

#include <string.h>

enum {
    SCALE = 16,
    RISE = 2,      /* half of the way a slice */
    FALL = 8,      /* an eighth */
    FORGOTTEN = 64 /* slices without a packet after which nothing is left */
};

void speaker_init(struct speaker *speaker)
{
    memset(speaker, 0, sizeof(*speaker));
}

static void end_slice(struct speaker *speaker)
{
    uint16_t peak = (uint16_t)(speaker->peak * SCALE);

    if (peak > speaker->smooth) {
        speaker->smooth = (uint16_t)(speaker->smooth + (peak - speaker->smooth) / RISE);
    } else {
        speaker->smooth =
            (uint16_t)(speaker->smooth - (speaker->smooth - peak + FALL - 1) / FALL);
    }
    speaker->peak = 0;
}

/* Ends all slices before 'slice'; those without a packet were silent. */
static void advance(struct speaker *speaker, uint64_t slice)
{
    uint64_t n = slice - speaker->slice;

    if (n > FORGOTTEN) {
        speaker->smooth = 0;
        speaker->peak = 0;
        n = 0;
    }
    while (n-- > 0) {
        end_slice(speaker);
    }
    speaker->slice = slice;
}

bool speaker_on_level(struct speaker *speaker, uint8_t level, uint64_t now_us)
{
    uint64_t slice = now_us / SPEAKER_SLICE_US;
    uint8_t volume = level <= SPEAKER_VOICE ? (uint8_t)(127 - level) : 0;
    bool ended = false;

    if (!speaker->started) {
        speaker->started = true;
        speaker->slice = slice;
        speaker->heard_us = now_us;
    }
    if (slice > speaker->slice) {
        advance(speaker, slice);
        ended = true;
    }
    if (volume > speaker->peak) {
        speaker->peak = volume;
    }
    if (level <= SPEAKER_SILENCE) {
        speaker->heard_us = now_us;
    }
    return ended;
}

uint8_t speaker_loudness(const struct speaker *speaker)
{
    return (uint8_t)(speaker->smooth / SCALE);
}

bool speaker_is_silent(const struct speaker *speaker, uint64_t now_us)
{
    return speaker->started && now_us - speaker->heard_us >= SPEAKER_HOLD_US;
}
