#include "loadgen/track.h"

#include <string.h>

static bool is_seen(const struct track *track, uint64_t number)
{
    uint64_t at = number % TRACK_WINDOW;

    return (track->seen[at / 64] >> at % 64 & 1) != 0;
}

static void set_seen(struct track *track, uint64_t number, bool seen)
{
    uint64_t at = number % TRACK_WINDOW;
    uint64_t bit = UINT64_C(1) << at % 64;

    if (seen) {
        track->seen[at / 64] |= bit;
    } else {
        track->seen[at / 64] &= ~bit;
    }
}

/* Moves the window up to 'number', which is above all before. */
static void advance(struct track *track, uint64_t number)
{
    uint64_t skipped = number - track->max - 1;

    track->n_missing += skipped;
    track->gap = skipped > 0 ? number - 1 : track->gap;
    if (skipped >= TRACK_WINDOW) {
        memset(track->seen, 0, sizeof(track->seen));
    } else {
        for (uint64_t n = track->max + 1; n < number; n++) {
            set_seen(track, n, false);
        }
    }
    track->max = number;
    set_seen(track, number, true);
}

enum track_verdict track_on_number(struct track *track, uint64_t number)
{
    if (!track->started) {
        track->started = true;
        track->first = track->max = number;
        track->n_received++;
        set_seen(track, number, true);
        return TRACK_NEXT;
    }
    if (number > track->max) {
        track->n_received++;
        advance(track, number);
        return TRACK_NEXT;
    }
    if (track->max - number >= TRACK_WINDOW) {
        track->n_misordered++;
        return TRACK_STALE;
    }
    if (is_seen(track, number)) {
        track->n_duplicates++;
        return TRACK_DUPLICATE;
    }
    set_seen(track, number, true);
    track->n_received++;
    track->n_misordered++;
    if (number < track->first) {
        track->n_missing += track->first - number - 1;
        track->first = number;
    } else {
        track->n_missing--;
    }
    return TRACK_MISORDERED;
}

void track_restart(struct track *track)
{
    track->started = false;
    track->gap = 0;
    memset(track->seen, 0, sizeof(track->seen));
}

uint64_t track_row(const struct track *track)
{
    uint64_t before = track->gap > track->first ? track->gap : track->first;

    return track->started ? track->max - before : 0;
}

uint64_t track_lost(const struct track *track, uint64_t last)
{
    return track->n_missing + (track->started && last > track->max ? last - track->max : 0);
}
