/* What the files of control/meeting share.
 *
 * meeting.c  rooms and participants      transport.c  transports
 * media.c    producers and consumers */
#ifndef MEETING_PRIV_H
#define MEETING_PRIV_H

#include "meeting/meeting.h"

struct meeting {
    struct meeting_conf conf;
    struct meeting_ops ops;
    void *user;
    struct room_entry *rooms; /* hash by tenant and id */
    uint32_t n_rooms;
    uint32_t n_participants;
    char id_prefix[5];
};

/* Fills 'err' and returns -1. */
int meeting_fail(struct meeting_error *err, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The code and words for an error number of the media side. */
int meeting_fail_errno(struct meeting_error *err, int e);

/* Gives out an id: node prefix and random characters. */
void meeting_new_id(const struct meeting *meeting, char out[MEETING_OBJECT_ID + 1]);

/* Tells a lasting fact to the room: numbers it. */
void meeting_tell_fact(struct meeting *meeting, struct room *room,
                       const struct participant *except, struct meeting_event event);

/* Finds among what the participant owns; NULL if there is no such. */
struct transport *meeting_find_transport(const struct participant *p, const char *id);

/* End things and what hangs on them; the others are told. */
void meeting_end_transport(struct meeting *meeting, struct transport *transport);
void meeting_end_producer(struct meeting *meeting, struct room_producer *producer);
/* 'reason' NULL: its owner asked for it and is not told. */
void meeting_end_consumer(struct meeting *meeting, struct room_consumer *consumer,
                          const char *reason);

/* Answers a pending creation, once. err NULL: done. */
void meeting_answer(meeting_done **done, void *arg, const struct meeting_error *err,
                    void *object);

#endif
