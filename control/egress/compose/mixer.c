#include "egress/compose/mixer.h"

#include <string.h>

void mixer_init(struct mixer *mixer, int64_t at)
{
    memset(mixer->ring, 0, sizeof(mixer->ring));
    mixer->at = at;
}

void mixer_add(struct mixer *mixer, int64_t at, const float *samples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t pos = at + (int64_t)i;

        if (pos >= mixer->at && pos - mixer->at < MIXER_LEN) {
            float *sum = mixer->ring[pos % MIXER_LEN];

            sum[0] += samples[MIXER_CHANNELS * i];
            sum[1] += samples[MIXER_CHANNELS * i + 1];
        }
    }
}

/* Several who shout at once are louder than there is room for. */
static float within(float sample)
{
    return sample > 1.0f ? 1.0f : sample < -1.0f ? -1.0f : sample;
}

void mixer_take(struct mixer *mixer, float *left, float *right, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float *sum = mixer->ring[(mixer->at + (int64_t)i) % MIXER_LEN];

        left[i] = within(sum[0]);
        right[i] = within(sum[1]);
        sum[0] = sum[1] = 0;
    }
    mixer->at += (int64_t)n;
}

void mixer_stretch(const float *from, size_t n, float *out, size_t to)
{
    for (size_t i = 0; i < to; i++) {
        float at = to > 1 ? (float)i * (float)(n - 1) / (float)(to - 1) : 0;
        size_t k = (size_t)at;
        size_t next = k + 1 < n ? k + 1 : k;
        float part = at - (float)k;

        for (size_t c = 0; c < MIXER_CHANNELS; c++) {
            out[MIXER_CHANNELS * i + c] = from[MIXER_CHANNELS * k + c] * (1 - part) +
                                          from[MIXER_CHANNELS * next + c] * part;
        }
    }
}
