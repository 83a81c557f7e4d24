/* What arrived of one numbered stream: how many are missing, which came twice, which came
 * out of order. Fed with extended numbers that begin anywhere.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef LOADGEN_TRACK_H
#define LOADGEN_TRACK_H

#include <stdbool.h>
#include <stdint.h>

enum { TRACK_WINDOW = 4096 }; /* how far back a number is told from one seen before */

enum track_verdict {
    TRACK_NEXT,       /* in order (what it jumps over is missing for now) */
    TRACK_MISORDERED, /* behind a later one, not seen before */
    TRACK_DUPLICATE,
    TRACK_STALE /* further back than TRACK_WINDOW: counted as misordered */
};

struct track {
    uint64_t first; /* lowest number seen */
    uint64_t max;   /* highest */
    uint64_t gap;   /* highest that was missing when a later one came; 0: none was */
    uint64_t n_received;
    uint64_t n_missing; /* between first and max, not (yet) seen */
    uint64_t n_duplicates;
    uint64_t n_misordered;
    uint64_t seen[TRACK_WINDOW / 64]; /* bit of number % TRACK_WINDOW */
    bool started;
};

enum track_verdict track_on_number(struct track *track, uint64_t number);

/* Other numbers follow, which may begin anywhere; what was counted stays. */
void track_restart(struct track *track);

/* How many came in a row, up to the highest, that no gap was among. */
uint64_t track_row(const struct track *track);

/* How many of those up to 'last', the highest that was sent, are missing. */
uint64_t track_lost(const struct track *track, uint64_t last);

#endif
