/* What the files of control/meeting share.
 *
 * meeting.c  rooms and participants      transport.c  transports
 * media.c    producers and consumers   audio.c      who speaks, who is heard
 * data.c     data channels
 * layers.c   which layers consumers want, and senders need to send
 * viewers.c  who is shown what he is given
 * record.c   a participant and its transport as bytes of the vault
 * score.c    how well it all arrives
 * restore.c  all of it again, after this process was restarted */
#ifndef MEETING_PRIV_H
#define MEETING_PRIV_H

#include "meeting/meeting.h"
#include "sfu/abi/vault.h"

struct meeting {
    struct meeting_conf conf;
    struct meeting_ops ops;
    void *user;
    struct room_entry *rooms; /* hash by tenant and id */
    uint32_t n_rooms;
    uint32_t n_participants;
    uint64_t closed_seq; /* rooms that open go on behind it: none counts twice */
    char id_prefix[5];
    uint32_t n_away;             /* participants without a client */
    struct floor_voice **voices; /* of the room that is looked at, and whose */
    struct room_producer **voice_owners;
    uint32_t cap_voices;
    uint64_t scored_us;               /* when all was scored last */
    bool seen_media;                  /* what was left by an earlier control is known */
    struct participant_entry *tokens; /* hash by resume token */
    struct room_consumer **by_sub;    /* by slot of their subscription */
    uint32_t n_by_sub;
    struct room_producer *lower; /* whose senders are to be told to send less */
};

/* Fills 'err' and returns -1. */
int meeting_fail(struct meeting_error *err, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The code and words for an error number of the media side. */
int meeting_fail_errno(struct meeting_error *err, int e);

/* Whether its role allows it, in this room. */
bool meeting_may(const struct participant *p, enum auth_permission permission);

/* Gives out an id: node prefix and random characters. */
void meeting_new_id(const struct meeting *meeting, char out[MEETING_OBJECT_ID + 1]);

/* Tells a lasting fact to the room: numbers it. */
void meeting_tell_fact(struct meeting *meeting, struct room *room,
                       const struct participant *except, struct meeting_event event);

/* Rooms and participants, as joining makes them, but untold. NULL without memory or room.
 */
struct room *meeting_open_room(struct meeting *meeting, const char *tenant, const char *id,
                               struct meeting_error *err);
void meeting_close_room_if_empty(struct meeting *meeting, struct room *room);
struct participant *meeting_add_participant(struct meeting *meeting, struct room *room,
                                            const char *token);

/* A transport that hangs on 'p'; its session is set by the caller. NULL without memory. */
struct transport *meeting_add_transport(struct meeting *meeting, struct participant *p);
void meeting_drop_transport(struct transport *t); /* one without a session */
extern const struct session_ops meeting_session_ops;

/* record.c: stores what a successor of this process must know of a transport. Call after
 * each change of what stands in it. */
void meeting_save(const struct transport *t);

/* What it has stored. The participant's 'who' lacks its name. */
struct meeting_record {
    struct participant person; /* id, who, name, resume_token, joined_us, front, viewer */
    char room_id[MEETING_ID_MAX + 1];
    uint64_t epoch, seq;
    char transport_id[MEETING_OBJECT_ID + 1];
    bool send;
    uint32_t next_mid, next_ssrc;
};

/* Returns 0 or -EBADMSG. */
int meeting_record_read(const struct vault_blob *blob, struct meeting_record *out);

/* Finds among what the participant owns; NULL if there is no such. */
struct transport *meeting_find_transport(const struct participant *p, const char *id);
struct room_consumer *meeting_find_consumer(const struct participant *p, const char *id);

/* End things and what hangs on them; the others are told. */
void meeting_end_transport(struct meeting *meeting, struct transport *transport);
void meeting_end_producer(struct meeting *meeting, struct room_producer *producer);
/* 'reason' NULL: its owner asked for it and is not told. */
void meeting_end_consumer(struct meeting *meeting, struct room_consumer *consumer,
                          const char *reason);

/* data.c. 'reason' NULL: its owner asked for it and is not told. */
void meeting_end_data_producer(struct data_producer *dp, const char *reason);
void meeting_end_data_consumer(struct data_consumer *dc, const char *reason);
void meeting_end_data(struct transport *t, const char *reason);
void meeting_on_data(void *user, uint16_t stream, uint32_t ppid, const void *data,
                     size_t len);
void meeting_on_data_reset(void *user, uint16_t stream);
void meeting_on_data_down(void *user, const char *reason);

/* audio.c: a microphone or other audio was produced, and ends; the time has come to look
 * who speaks. */
void meeting_audio_produced(struct meeting *meeting, struct room_producer *producer);
void meeting_audio_ended(struct meeting *meeting, struct room_producer *producer);
void meeting_audio_tick(struct meeting *meeting, struct room *room, uint64_t now_us);
void meeting_audio_fini(struct meeting *meeting);

/* Gives a consumer another producer; as consumer_move(). */
int meeting_move_consumer(struct meeting *meeting, struct room_consumer *rc,
                          struct room_producer *to);

/* viewers.c: before a producer ends; and once in a while. */
void meeting_viewers_leave(struct meeting *meeting, struct room_producer *rp);
void meeting_viewers_tick(struct meeting *meeting, struct room *room);

/* layers.c. _moved: before it gets another producer. _added: a consumer whose subscription
 * was made, or taken up; -ENOMEM. _counted: it was paused or resumed. _gone: before it
 * ends. */
int meeting_layers_added(struct meeting *meeting, struct room_consumer *rc);
void meeting_layers_counted(struct meeting *meeting, struct room_consumer *rc);
void meeting_layers_gone(struct meeting *meeting, struct room_consumer *rc);
void meeting_layers_moved(struct meeting *meeting, struct room_consumer *rc);

/* A producer that begins, with all its layers needed until it is known by whom; and ends.
 */
void meeting_layers_produced(struct meeting *meeting, struct room_producer *rp);
void meeting_layers_unproduced(struct meeting *meeting, struct room_producer *rp);
void meeting_layers_tick(struct meeting *meeting, uint64_t now_us);
/* Scores everybody's producers and consumers if a second has passed. */
void meeting_scores(struct meeting *meeting, uint64_t now_us);

/* Answers a pending creation, once. err NULL: done. */
void meeting_answer(meeting_done **done, void *arg, const struct meeting_error *err,
                    void *object);

#endif
