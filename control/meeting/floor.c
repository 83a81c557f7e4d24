#include "meeting/floor.h"

static void note(struct floor_voice *v, uint64_t now_us)
{
    if (v->speaks) {
        v->speaks = v->loudness >= FLOOR_OFF;
    } else if (v->loudness >= FLOOR_ON) {
        v->speaks = true;
        v->since_us = now_us;
    }
    if (!v->speaks) {
        v->rival_us = 0;
    }
}

/* Whether 'v' may take the floor from 'holder' (NULL: nobody has it). */
static bool may_take(struct floor_voice *v, const struct floor_voice *holder,
                     uint64_t now_us)
{
    if (!v->speaks || now_us - v->since_us < FLOOR_ONSET_US) {
        return false;
    }
    if (holder == NULL || !holder->speaks) {
        return true;
    }
    if (v->loudness < holder->loudness + FLOOR_MARGIN) {
        v->rival_us = 0;
        return false;
    }
    if (v->rival_us == 0) {
        v->rival_us = now_us;
    }
    return now_us - v->rival_us >= FLOOR_RIVAL_US;
}

/* What a voice weighs when not all can be heard: who is, and who has the floor, stays
 * unless another is clearly louder. */
static unsigned weight(const struct floor_voice *v, bool has_floor)
{
    return v->loudness + (v->heard ? FLOOR_MARGIN : 0u) + (has_floor ? 128u : 0u);
}

static int heaviest(struct floor_voice *const *voices, size_t n, int speaker)
{
    unsigned most = 0;
    int best = -1;

    for (size_t i = 0; i < n; i++) {
        const struct floor_voice *v = voices[i];

        if (v->speaks && !v->chosen && weight(v, (int)i == speaker) > most) {
            most = weight(v, (int)i == speaker);
            best = (int)i;
        }
    }
    return best;
}

static void choose_heard(struct floor_voice *const *voices, size_t n, int speaker,
                         uint32_t loudest)
{
    size_t n_speak = 0;

    for (size_t i = 0; i < n; i++) {
        voices[i]->chosen = false;
        n_speak += voices[i]->speaks;
    }
    for (uint32_t k = 0; loudest > 0 && n_speak > loudest && k < loudest; k++) {
        int best = heaviest(voices, n, speaker);

        if (best >= 0) {
            voices[best]->chosen = true;
        }
    }
    for (size_t i = 0; i < n; i++) {
        struct floor_voice *v = voices[i];

        v->heard = loudest == 0 || n_speak <= loudest || !v->speaks || v->chosen;
    }
}

int floor_update(struct floor_voice *const *voices, size_t n, int speaker, uint32_t loudest,
                 uint64_t now_us)
{
    const struct floor_voice *holder = speaker >= 0 ? voices[speaker] : NULL;
    int next = -1;

    for (size_t i = 0; i < n; i++) {
        note(voices[i], now_us);
    }
    for (size_t i = 0; i < n; i++) {
        if (voices[i] != holder && may_take(voices[i], holder, now_us) &&
            (next < 0 || voices[i]->loudness > voices[next]->loudness)) {
            next = (int)i;
        }
    }
    if (next >= 0) {
        speaker = next;
        for (size_t i = 0; i < n; i++) {
            voices[i]->rival_us = 0;
        }
    }
    choose_heard(voices, n, speaker, loudest);
    return speaker;
}
