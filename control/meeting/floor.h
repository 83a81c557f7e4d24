/* Who speaks in a room, and whose voices are forwarded when more speak than may. Told the
 * loudness of every voice (0..127, smoothed by the dataplane: core/speaker.h there) a few
 * times a second.
 *
 * No flapping: one who speaks keeps the floor while it does; another takes it when that one
 * has fallen silent, or by being clearly louder for a second. When nobody speaks the last
 * speaker stays.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef MEETING_FLOOR_H
#define MEETING_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FLOOR_ON = 50,           /* loudness from which somebody speaks */
    FLOOR_OFF = 35,          /* below it a speaker has stopped */
    FLOOR_MARGIN = 10,       /* louder by so much is clearly louder */
    FLOOR_ONSET_US = 200000, /* that a voice must last before it gets the floor */
    FLOOR_RIVAL_US = 1000000 /* that one must be clearly louder to take it */
};

/* One voice; the owner keeps it and sets 'loudness' before each floor_update(). */
struct floor_voice {
    uint8_t loudness;
    bool speaks;       /* by ON and OFF */
    bool heard;        /* its packets are forwarded; true at first */
    bool chosen;       /* floor.c's own */
    uint64_t since_us; /* that it speaks */
    uint64_t rival_us; /* that it is clearly louder than the one who has the floor; 0 not */
};

/* Judges the voices of a room.
 *
 * voices   pointers to them, borrowed; their order does not matter
 * speaker  index of the one who has the floor, -1 none
 * loudest  how many may be heard at once; 0: all
 *
 * Returns the index of the one who has the floor now, -1 if nobody ever had. A voice that
 * is not heard speaks: one that is silent may always begin. O(n), O(n loudest) if more
 * speak than may. */
int floor_update(struct floor_voice *const *voices, size_t n, int speaker, uint32_t loudest,
                 uint64_t now_us);

#endif
