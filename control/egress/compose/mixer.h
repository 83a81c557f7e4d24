/* The sum of voices: a few seconds of sound, into which each is added where it belongs and
 * from whose beginning it is taken. What comes too late is left out.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef EGRESS_MIXER_H
#define EGRESS_MIXER_H

#include <stddef.h>
#include <stdint.h>

enum { MIXER_HZ = 48000, MIXER_CHANNELS = 2, MIXER_LEN = 4 * MIXER_HZ };

struct mixer {
    float ring[MIXER_LEN][MIXER_CHANNELS];
    int64_t at; /* the next sample to be taken */
};

void mixer_init(struct mixer *mixer, int64_t at);

/* Adds n samples (interleaved) from position 'at' on. */
void mixer_add(struct mixer *mixer, int64_t at, const float *samples, size_t n);

/* Takes the next n samples, planar: left, right, each in -1..1. */
void mixer_take(struct mixer *mixer, float *left, float *right, size_t n);

/* Stretches n samples (interleaved) to 'to': n of a few per cent more or less. */
void mixer_stretch(const float *from, size_t n, float *out, size_t to);

#endif
