/* Which of the encodings of one picture is recorded: the best of those that come. A browser
 * sends the better ones only while its link carries them, and when a call begins it does not
 * know that yet. So the best is left for another soon, and taken again once it has come for
 * a while: for longer each time that it has ceased since, as each change is one of the
 * picture, or of the file.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef RECORDING_CHOICE_H
#define RECORDING_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    CHOICE_ENCODINGS = 4,
    CHOICE_QUIET_MS = 3000,   /* without a packet: it does not come any more */
    CHOICE_MISSING_MS = 1000, /* one that has just been chosen, and does not come */
    CHOICE_UNSEEN_MS = 3000,  /* one that comes, of which nothing can be made */
    CHOICE_STEADY_MS = 5000,  /* a better one comes: it is taken; twice that the next time */
    CHOICE_STEADY_MAX_MS = 320000
};

struct choice {
    uint8_t n, at; /* encodings, from the lowest; the one that is chosen */
    bool settled;  /* something was seen of one */
    uint64_t patience_us;
    struct choice_encoding {
        uint64_t packets;
        bool counted;
        uint64_t grew_us;  /* when there were more; 0: never */
        uint64_t since_us; /* that there were again and again */
    } of[CHOICE_ENCODINGS];
};

/* The best. n  1 to CHOICE_ENCODINGS */
void choice_init(struct choice *choice, uint8_t n);

/* So many packets have come of that encoding, ever. */
void choice_note(struct choice *choice, uint8_t i, uint64_t packets, uint64_t now_us);

/* Chooses again, and returns which.
 *
 * seen      of the one that is chosen there is a picture
 * since_us  when that was chosen, or could come (again) */
uint8_t choice_make(struct choice *choice, bool seen, uint64_t since_us, uint64_t now_us);

#endif
