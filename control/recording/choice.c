#include "recording/choice.h"

#include <stddef.h>

static const uint64_t MS = 1000;

void choice_init(struct choice *choice, uint8_t n)
{
    *choice = (struct choice){.n = n < CHOICE_ENCODINGS ? n : CHOICE_ENCODINGS,
                              .patience_us = CHOICE_STEADY_MS * MS};
    choice->at = (uint8_t)(choice->n - 1);
}

static bool comes(const struct choice *choice, uint8_t i, uint64_t now_us)
{
    const struct choice_encoding *e = &choice->of[i];

    return e->grew_us != 0 && now_us - e->grew_us < CHOICE_QUIET_MS * MS;
}

void choice_note(struct choice *choice, uint8_t i, uint64_t packets, uint64_t now_us)
{
    struct choice_encoding *e;

    if (i >= choice->n) {
        return;
    }
    e = &choice->of[i];
    if (e->counted && packets != e->packets) {
        if (!comes(choice, i, now_us)) {
            e->since_us = now_us;
        }
        e->grew_us = now_us;
    }
    e->counted = true;
    e->packets = packets;
}

/* The best below the chosen one that comes; that one itself if there is none. */
static uint8_t below(const struct choice *choice, uint64_t now_us)
{
    for (uint8_t i = choice->at; i-- > 0;) {
        if (comes(choice, i, now_us)) {
            return i;
        }
    }
    return choice->at;
}

static uint8_t lower(const struct choice *choice, bool seen, uint64_t waited_us,
                     uint64_t now_us)
{
    const bool here = comes(choice, choice->at, now_us);
    const uint8_t i = below(choice, now_us);

    if (seen) {
        return !here && waited_us >= CHOICE_QUIET_MS * MS ? i : choice->at;
    }
    if (waited_us > CHOICE_UNSEEN_MS * MS && i == choice->at && i > 0) {
        return (uint8_t)(i - 1); /* nothing is known of any */
    }
    return waited_us > (here ? CHOICE_UNSEEN_MS : CHOICE_MISSING_MS) * MS ? i : choice->at;
}

uint8_t choice_make(struct choice *choice, bool seen, uint64_t since_us, uint64_t now_us)
{
    uint64_t waited_us = now_us > since_us ? now_us - since_us : 0;
    uint8_t at;

    choice->settled = choice->settled || seen;
    for (uint8_t i = (uint8_t)(choice->n - 1); i > choice->at; i--) {
        if (comes(choice, i, now_us) &&
            now_us - choice->of[i].since_us >= choice->patience_us) {
            choice->at = i;
            return i;
        }
    }
    at = lower(choice, seen, waited_us, now_us);
    if (at != choice->at && choice->settled) {
        choice->patience_us = 2 * choice->patience_us < CHOICE_STEADY_MAX_MS * MS
                                  ? 2 * choice->patience_us
                                  : CHOICE_STEADY_MAX_MS * MS;
    }
    choice->at = at;
    return at;
}
