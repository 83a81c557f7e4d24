/* Evens out what lanes have to do: where one is nearly out of time and another has plenty,
 * some who receive move, by what they are sent. Each second it looks at the lanes; it acts
 * on what it saw for some seconds running, and moves no more than a half of the difference,
 * so that nobody goes to and fro.
 *
 * Who publishes stays where its packets arrive. A move loses nothing (media_peer_move).
 * Thread: that of the loop. */
#ifndef KCS_MEDIA_MEDIA_BALANCE_H
#define KCS_MEDIA_MEDIA_BALANCE_H

#include <stdint.h>

struct loop;
struct media;
struct media_balance;

enum {
    BALANCE_LOOK_MS = 1000,
    BALANCE_BUSY = 600, /* permille of its time, of a lane that is relieved */
    BALANCE_GAP = 200,  /* and so much more than the least busy */
    BALANCE_LOOKS = 3,  /* in more looks running than these */
    BALANCE_MOVES = 30  /* then, at most: seven or eight a second */
};

/* media, loop  borrowed. Returns 0 or -ENOMEM. */
int media_balance_create(struct media_balance **out, struct loop *loop,
                         struct media *media);

void media_balance_destroy(struct media_balance *balance); /* NULL is a no-op */

/* What the timer does. Returns how many it has sent on their way. */
uint32_t media_balance_look(struct media_balance *balance);

#endif
