/* What lanes do for each other: packets that belong to, or leave by, another lane; what
 * each has to know of the others' peers; moves. Everything travels by the hub's rings.
 *
 * How a peer moves from lane A to lane B without a packet lost, doubled or overtaken:
 *
 *   1. A tells B to expect it (HUB_ROUTE). From then on B parks what comes for it.
 *   2. When B has heard: A sends nothing more to the peer (cursors stay where they are),
 *      and tells all lanes to hand its packets to B. A still works off what others had
 *      handed over before.
 *   3. When all have heard, and so nothing is left on the way to A, or from A to a device,
 *      nor waits for one that is full: A lets go, B takes it and works off what it has parked.
 *   4. When B has said so the command is answered.
 *
 * "Has heard" is a message and its answer in the same rings as the packets (HUB_SYNC,
 * HUB_ACK). A lane does one such thing at a time; later commands wait for it.
 *
 * Thread: the lane. */
#ifndef KCS_WORKER_ACROSS_H
#define KCS_WORKER_ACROSS_H

#include "worker/pipeline.h"

/* Status of a command whose answer has to wait; then across_resume() says it. */
enum { ACROSS_LATER = 1 };

/* Reads what others have sent: packets go through the pipeline. Returns how much there was.
 */
uint32_t across_drain(struct pipeline *p);

/* True if every other lane's ring has room for what one command may have to tell. */
bool across_room(const struct lane *lane);

/* Tells the others that 'old' paths of the peer ended, and which it has now. */
void across_paths(struct lane *lane, const struct peer *peer, const struct path *old,
                  uint8_t n_old);

/* Waits until every lane has read what was told before: after a peer's close nobody knows
 * its paths, and its slot may be used again. Returns ACROSS_LATER, or 0 with one lane. */
int across_settle(struct lane *lane);

/* Begins to move a peer of this lane. Returns ACROSS_LATER; 0 if it is there already;
 * -EINVAL no such lane. */
int across_move(struct lane *lane, struct peer *peer, uint32_t to);

/* Goes on with what is pending. Returns ACROSS_LATER, or the status to answer. */
int across_resume(const struct pipeline *p);

/* True if nothing is on its way to this lane, and it waits for no other. */
bool across_rests(const struct lane *lane);

#endif
