/* What the files of control/meeting share:
 *
 * - meeting.c: begin, clock and end of it all
 * - rooms.c: the rooms by name; find.c: people and what they have, by id
 * - tell.c: errors, ids, facts; facts.c: the last facts
 * - rights.c: who may do and hear what, how often; known.c: whom a room remembers
 * - load.c, stored.c: what the store knows of a room
 * - door.c: who comes in, the lobby; presence.c: who is away, comes back, leaves
 * - room.c: settings of a room, its begin and end
 * - people.c: what hosts do to people of theirs
 * - roster.c: how large meetings are told; lists.c: who is looked for among few
 * - transport.c: transports; producers.c, consumers.c; data.c: data channels
 * - audio.c: who speaks, who is heard; floor.c: who has the floor
 * - layers.c: which layers consumers want and senders need to send
 * - score.c: how well it all arrives
 * - viewers.c: who is shown what he is given; nobody.c: what, when there is nothing
 * - chat.c, hands.c, polls.c, board.c, breakout.c: what people do there
 * - recording.c: what of it is recorded; live.c: and shown to the world; taped.c: what both
 *   are made of
 * - record.c: a participant and its transport as bytes of the vault
 * - restore.c: all of it again, after this process was restarted */
#ifndef MEETING_PRIV_H
#define MEETING_PRIV_H

#define HASH_NONFATAL_OOM 1 /* an item that could not be added has a NULL hh.tbl */
#include <uthash.h>

#include "meeting/breakout.h"
#include "meeting/chat.h"
#include "meeting/host.h"
#include "meeting/live.h"
#include "meeting/play.h"
#include "meeting/recording.h"
#include "meeting/roster.h"
#include "sfu/abi/vault.h"

/* Somebody whom a room remembers, here or not. */
struct known {
    char user_id[AUTH_ID_MAX + 1];
    enum auth_role role; /* if has_role: instead of the token's */
    bool has_role, banned;
    bool invited;  /* passes the lock and the waiting room */
    bool admitted; /* was let in from the lobby */
    uint8_t muted; /* by a host, until asked to speak: who comes again is so still */
    uint8_t group; /* the breakout where he belongs; 0: none */
    UT_hash_handle hh;
};

enum { MEETING_KINDS = 2 };

/* Who sends nothing; see nobody.c. */
struct nobody {
    uint64_t peer;
    struct room_producer of[MEETING_KINDS]; /* audio, video; they have no transport */
    bool open;
    bool lost; /* the dataplane has it no more: nothing new may hold on to it */
};

struct meeting {
    struct meeting_conf conf;
    struct meeting_ops ops;
    void *user;
    struct room_entry *rooms; /* hash by tenant and id */
    uint32_t n_rooms;
    uint32_t n_participants;
    uint32_t n_served; /* of these that have a transport */
    uint32_t n_transports;
    uint64_t closed_seq; /* rooms that open go on behind it: none counts twice */
    char id_prefix[5];
    uint32_t n_away;             /* participants without a client */
    struct floor_voice **voices; /* of the room that is looked at, and whose */
    struct room_producer **voice_owners;
    uint32_t cap_voices;
    uint64_t scored_us;               /* when all was scored last */
    bool draining;                    /* no room opens */
    bool seen_media;                  /* what was left by an earlier control is known */
    struct participant_entry *tokens; /* hash by resume token */
    struct room_consumer **by_sub;    /* by slot of their subscription */
    uint32_t n_by_sub;
    struct room_producer *lower; /* whose senders are to be told to send less */
    struct nobody nobody;
    struct recording *recordings; /* that run, or whose files are being ended */
    struct live *lives;           /* that run, or may still be watched */
    struct gate gate;             /* arrive.c: who wants to come in */
    struct loop_timer *gate_tick; /* runs while somebody waits; NULL without a loop */
    uint64_t gate_ticked_us;      /* when it did last; 0: it does not run */
    uint64_t n_at_once, n_waited, n_refused, n_too_late, n_departed;
    uint64_t n_room_full, n_node_full;
};

/* arrive.c. Returns 0 or -ENOMEM. */
int meeting_gate_init(struct meeting *meeting);
void meeting_gate_fini(struct meeting *meeting); /* who waits still is refused */

/* door.c: 0, or -1 with 'err' if 'n' more, who want so many transports each, may not come in. */
int meeting_node_full(struct meeting *meeting, uint32_t n, uint32_t transports,
                      struct meeting_error *err);

/* door.c: 0, or -1 with 'err' if what is known already says that 'who' may not enter. */
int meeting_refuses(struct meeting *meeting, const struct auth_identity *who,
                    const char *meeting_id, uint32_t transports, struct meeting_error *err);

/* Fills 'err' and returns -1. */
int meeting_fail(struct meeting_error *err, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same of what the node has no room for, or is not done with yet: it may be asked again. */
int meeting_overloaded(struct meeting_error *err, const char *message);

/* The code and words for an error number of the media side. */
int meeting_fail_errno(struct meeting_error *err, int e);

/* rights.c: whether its role allows it, in this room; whether a setting is on (any of
 * 'bit'); 0 is the most powerful role. */
bool meeting_may(const struct participant *p, enum auth_permission permission);
bool meeting_has(const struct room *room, uint32_t bit);
unsigned meeting_rank(enum auth_role role);
void meeting_set_flags(struct room *room, uint32_t flags);

/* 0, or -1 with 'err': it may not moderate; it does that too often. */
int meeting_need_host(struct participant *by, struct meeting_error *err);
int meeting_spend(struct participant *p, enum meeting_rate rate, struct meeting_error *err);

/* Changes settings, and tells that 'by' (NULL: nobody who is here) did it. */
void meeting_apply(struct room *room, const struct meeting_change *change);
void meeting_settings_changed(struct meeting *meeting, struct room *room,
                              struct participant *by);
void meeting_change_role(struct meeting *meeting, struct participant *by,
                         struct participant *p, enum auth_role role); /* people.c */

/* Ends what it sends and may not any more. */
void meeting_enforce(struct meeting *meeting, struct participant *p);

/* known.c: a user whom the room remembers, NULL if it does not; makes it so, NULL with
 * 'err'. */
struct known *meeting_known(const struct room *room, const char *user_id);
struct known *meeting_remember(struct room *room, const char *user_id,
                               struct meeting_error *err);
void meeting_forget_all(struct room *room);
void meeting_note_ban(struct room *room, const char *user_id, bool banned);
bool meeting_is_banned(const struct room *room, const char *user_id);

/* What is kept of a user's id where there is no room for it. Never 0. */
uint64_t meeting_user_hash(const char *user_id);

/* Out with it, by no doing of its own: it was told why. Who came by HTTP leaves soon. */
void meeting_evict(struct meeting *meeting, struct participant *p, const char *reason);
void meeting_end_room(struct meeting *meeting, struct room *room, const char *reason);

/* load.c: has what is stored of a room read; rooms of which that takes too long are opened
 * without; who waits has its turn. */
void meeting_load_tick(struct meeting *meeting, uint64_t now_us);
void meeting_drop_waits(struct room *room);
void meeting_load(struct meeting *meeting, struct room *room);

/* door.c */
void meeting_stop_waiting(struct meeting *meeting, struct participant *p);
void meeting_admit_all(struct meeting *meeting, struct room *room);
void meeting_deny_all(struct meeting *meeting, struct room *room, const char *reason);
void meeting_lobby_tick(struct meeting *meeting, struct room *room);

/* roster.c: as meeting_tell_fact(), of something about one person: in a large meeting it is
 * told later, with what else has happened. */
void meeting_tell_person(struct meeting *meeting, struct participant *p,
                         const struct participant *except, struct meeting_event event);
void meeting_roster_tick(struct meeting *meeting, struct room *room, uint64_t now_us);
bool meeting_is_crowd(const struct room *room);

/* chat.c, hands.c */
void meeting_chat_free(struct chat *chat);
void meeting_reactions_tick(struct meeting *meeting, struct room *room, uint64_t now_us);

/* breakout.c: the time has come to look whether they close; what a record tells of them. */
void meeting_breakouts_tick(struct meeting *meeting, struct room *room, uint64_t wall_us);
void meeting_breakouts_restore(struct meeting *meeting, struct room *room, unsigned group,
                               uint64_t closes_us);

/* taped.c: what a recorder is told of a room. It begins; one has just ended; a producer
 * that others know of begins, and ends; a few times a second, what has changed. */
struct taped {
    struct recorder_job *job;
    bool audio, video;
    int layout;                  /* enum meeting_layout; -1: the room's */
    struct recording *recording; /* NULL: a live stream */
};
void meeting_taped_begin(struct meeting *meeting, struct room *room,
                         const struct taped *tape);
void meeting_taped_leave(struct meeting *meeting, struct room *room);
void meeting_taped_produced(struct meeting *meeting, struct room_producer *rp);
void meeting_taped_unproduced(struct room_producer *rp);
void meeting_taped_tick(struct meeting *meeting, struct room *room);

/* live.c: the room ends; what there is of streams that have ended is taken away; all end. */
void meeting_live_leave(struct room *room);
void meeting_live_tick(struct meeting *meeting, uint64_t now_us);
void meeting_live_fini(struct meeting *meeting);

/* recording.c: who is in its files; the time has come to look whether one begins by
 * itself; the room ends. */
void meeting_recording_note(struct recording *r, const struct room_producer *rp);
void meeting_recording_tick(struct meeting *meeting, struct room *room, uint64_t now_us);
void meeting_recording_leave(struct meeting *meeting, struct room *room);
void meeting_recording_fini(struct meeting *meeting);

/* polls.c, board.c */
void meeting_polls_free(struct room *room);
void meeting_polls_tick(struct meeting *meeting, struct room *room, uint64_t now_us);
void meeting_board_free(struct board *board);

/* producers.c: what a source is of; whether its role and the room allow a source; 0, or -1
 * with 'err'. And to pause or resume; 'except' is not told. */
enum meeting_media meeting_media_of(enum meeting_source source);
int meeting_may_send(const struct participant *p, enum meeting_source source,
                     struct meeting_error *err);
void meeting_pause_producer(struct meeting *meeting, struct room_producer *rp, bool paused,
                            const struct participant *except);

/* Gives out an id: node prefix and random characters. */
void meeting_new_id(const struct meeting *meeting, char out[MEETING_OBJECT_ID + 1]);

/* Tells a lasting fact to the room: numbers it. */
void meeting_tell_fact(struct meeting *meeting, struct room *room,
                       const struct participant *except, struct meeting_event event);

/* rooms.c and door.c: rooms and participants, as joining makes them, but untold. NULL
 * without memory or room. */
struct room *meeting_open_room(struct meeting *meeting, const char *tenant, const char *id,
                               struct meeting_error *err);
/* One that has been open before: a node that drains, too, goes on with it. */
struct room *meeting_reopen_room(struct meeting *meeting, const char *tenant,
                                 const char *id, struct meeting_error *err);
void meeting_close_room_if_empty(struct meeting *meeting, struct room *room);
struct participant *meeting_add_participant(struct meeting *meeting, struct room *room,
                                            const char *token);

/* rooms.c: makes a participant found by its resume token: 0 or -ENOMEM; no more; NULL:
 * nobody has that. */
int meeting_index_token(struct meeting *meeting, struct participant *p);
void meeting_unindex_token(struct meeting *meeting, struct participant *p);
struct participant *meeting_find_token(const struct meeting *meeting, const char *token);

/* A transport that hangs on 'p'; its session is set by the caller. NULL without memory. */
struct transport *meeting_add_transport(struct meeting *meeting, struct participant *p);
void meeting_drop_transport(struct transport *t); /* one without a session */
extern const struct session_ops meeting_session_ops;

/* record.c: stores what a successor of this process must know of a transport. Call after
 * each change of what stands in it. */
void meeting_save(const struct transport *t);
void meeting_save_person(const struct participant *p); /* all its transports */
void meeting_save_room(struct room *room); /* in one record, which has the newest facts */

/* What it has stored. The participant's 'who' lacks its name. */
struct meeting_record {
    struct participant person; /* id, who, name, resume_token, joined_us, front, viewer,
                                * muted, off, hand */
    uint32_t flags;            /* the room's, as what follows */
    bool record_declined;      /* struct auto_record's 'declined' */
    uint64_t closes_us;        /* when its breakouts close */
    enum meeting_layout layout;
    uint64_t bans[MEETING_BANS_KEPT];
    char room_id[MEETING_ID_MAX + 1];
    uint64_t epoch, seq;
    char transport_id[MEETING_OBJECT_ID + 1];
    bool send;
    uint32_t next_mid, next_ssrc;
};

/* Returns 0 or -EBADMSG. */
int meeting_record_read(const struct vault_blob *blob, struct meeting_record *out);

/* lists.c: has it among its room's senders. Call before it gets a producer, of media or
 * data. */
void meeting_note_sender(struct participant *p);
/* The same of whom all may see in a large meeting: call when its role is known, and new. */
void meeting_note_role(struct participant *p);
void meeting_take_off_lists(struct participant *p); /* it leaves */

/* find.c: people, by participant's or user's id; NULL if there is nobody. */
bool meeting_is_meant(const struct participant *p, const char *target);
struct participant *meeting_find_meant(const struct room *room, const char *target);

/* What the participant owns; NULL if there is no such. */
struct transport *meeting_find_transport(const struct participant *p, const char *id);
struct room_producer *meeting_find_own_producer(const struct participant *p,
                                                const char *id);
struct room_consumer *meeting_find_consumer(const struct participant *p, const char *id);

/* A producer of anybody who is where 'who' is, that is known to the others. */
struct room_producer *meeting_find_producer(const struct participant *who, const char *id);

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

/* audio.c: who has the floor in a group; a microphone or other audio was produced, and
 * ends; the time has come to look who speaks. */
struct room_producer **meeting_speaker_of(struct room *room, unsigned group);
void meeting_audio_produced(struct meeting *meeting, struct room_producer *producer);
void meeting_audio_ended(struct meeting *meeting, struct room_producer *producer);
void meeting_audio_left(struct meeting *meeting, struct room_producer *producer);
void meeting_audio_tick(struct meeting *meeting, struct room *room, uint64_t now_us);
void meeting_audio_fini(struct meeting *meeting);

/* Consumes a producer of anybody or nobody on a transport that receives; otherwise as
 * meeting_consume(). */
int meeting_consume_of(struct meeting *meeting, struct transport *t,
                       struct room_producer *rp, const char *mid,
                       const struct ortc_caps *caps, meeting_done *done, void *arg,
                       struct meeting_error *err);

/* It is one of those of 'source'. */
void meeting_note_consumer(struct room_consumer *rc, struct room_producer *source);

/* Gives a consumer another producer; as consumer_move(). */
int meeting_move_consumer(struct meeting *meeting, struct room_consumer *rc,
                          struct room_producer *to, bool urgent);

/* nobody.c: its producer of a kind, opened if need be (NULL: it cannot be now); whether one
 * is it; all is lost; once in a while, how many viewers there are. */
struct room_producer *meeting_nobody(struct meeting *meeting, enum rtp_kind kind);
bool meeting_is_nobody(const struct room_producer *rp);
void meeting_nobody_lost(struct meeting *meeting);
void meeting_nobody_tick(struct meeting *meeting, uint32_t n_viewers);

/* After a restart: whether a peer's record is nobody's. It is (stream HANDLE_NONE), or one
 * of its streams: takes it up. All that there was has been: what is but a part is closed.
 */
bool meeting_nobody_is_peer(const struct vault_blob *blob);
struct room_producer *meeting_nobody_restore(struct meeting *meeting, uint64_t peer,
                                             uint64_t stream);
void meeting_nobody_restored(struct meeting *meeting);

/* viewers.c: before a producer ends; and once in a while. */
void meeting_viewers_leave(struct meeting *meeting, struct room_producer *rp);
void meeting_viewers_tick(struct meeting *meeting, struct room *room);

/* layers.c. _moved: before it gets another producer. _added: a consumer whose subscription
 * was made, or taken up, which its owner's view holds for, too; -ENOMEM. _counted: it was
 * paused or resumed. _gone: before it ends. */
int meeting_layers_added(struct meeting *meeting, struct room_consumer *rc);
void meeting_layers_counted(struct meeting *meeting, struct room_consumer *rc);
void meeting_layers_gone(struct meeting *meeting, struct room_consumer *rc);
void meeting_layers_moved(struct meeting *meeting, struct room_consumer *rc);

/* What the counters of the last second say of a consumer: its link does not carry it
 * ('held'), or it was sent something. Of those whose layers the dataplane does not tell. */
void meeting_layers_held(struct meeting *meeting, struct room_consumer *rc, bool held,
                         bool sent);

/* A producer that begins, with all its layers needed until it is known by whom; and ends.
 */
void meeting_layers_produced(struct meeting *meeting, struct room_producer *rp);
void meeting_layers_recorded(struct meeting *meeting, struct room_producer *rp, bool on);
void meeting_layers_unproduced(struct meeting *meeting, struct room_producer *rp);
void meeting_layers_tick(struct meeting *meeting, uint64_t now_us);
/* Scores everybody's producers and consumers if a second has passed. */
void meeting_scores(struct meeting *meeting, uint64_t now_us);

/* Of those who join: whether media has gone, which ends it; each tick. */
void meeting_first_media(const struct meeting *meeting, struct room *room);
/* A join is over; 'error' is a word, NULL: well. Once it is, this is a no-op. */
void meeting_end_join(struct participant *p, const char *error);

/* Answers a pending creation, once. err NULL: done. */
void meeting_answer(meeting_done **done, void *arg, const struct meeting_error *err,
                    void *object);

#endif
