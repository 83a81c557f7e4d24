/* Whose turn it is in a lane's fan-out: rings that grew, in their order, by rooms. Rooms
 * take turns by what they cost, so that one which asks for more than there is waits for
 * itself and not the others for it. Audio has turns of its own, before all of video.
 *
 * A room is a number that control gives its streams; those beyond TURNS_ROOMS share.
 *
 * Neighbours: stage/route serves; lane_grown() puts in. */
#ifndef KCS_LANE_TURNS_H
#define KCS_LANE_TURNS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TURNS_ROOMS = 256,
    TURNS_PACKET = 16,                /* what one costs, in visits that send nothing */
    TURNS_QUANTUM = 64 * TURNS_PACKET /* of a room, before the next has its turn */
};

struct stream_readers;

struct turns_room {
    struct stream_readers *first, *last; /* its rings that grew */
    struct turns_room *next;
    bool queued;
    bool ring_next; /* a ring is served next, and not who waited for the pacer */
    uint32_t spent; /* of its quantum */
};

struct turns {
    struct turns_room *first, *last; /* those that have something, the next in turn first */
    struct turns_room rooms[TURNS_ROOMS];
};

/* The room's ring has grown; it is not in its list yet. _remove: it is; O(rings). */
void turns_add(struct turns *turns, uint8_t room, struct stream_readers *readers);
void turns_remove(struct turns *turns, uint8_t room, struct stream_readers *readers);

/* The room has something to serve, if it had not. */
void turns_queue(struct turns *turns, uint8_t room);

/* The room whose turn it is was served at 'cost'; it has something left, or not. */
void turns_spend(struct turns *turns, uint32_t cost, bool left);

/* Takes out a room that has nothing any more, if it is in turn. O(rooms in turn). */
void turns_dequeue(struct turns *turns, uint8_t room);

#endif
