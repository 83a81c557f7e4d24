/* What the files of control/signal share.
 *
 * engine.c   the listener's requests and WebSockets to Engine.IO sessions and back
 * sio_conn.c one session above Engine.IO: namespaces and packets
 * signal.c   the service that has all of it
 * client.c   who is in the namespace: tokens, acks, leaving
 * legacy.c   the dialect of older clients, by a table of aliases
 * events.c   the events that clients send, one handler each
 * fields.c   payloads checked field by field
 * keep.c     what is lasting, to the store   load.c     and back
 * hold.c     what hosts decide is told when it is written
 * audit.c    what hosts do, to the store
 * quality.c  how streams do, every ten seconds
 * encode.c   domain objects to JSON    tell.c   what meeting/ tells, to events
 * events_NAME.c  events of one concern each */
#ifndef SIGNAL_PRIV_H
#define SIGNAL_PRIV_H

#include <jansson.h>

#include "meeting/meeting.h"
#include "meeting/rate.h"
#include "meeting/live.h"
#include "meeting/recording.h"
#include "net/net.h"
#include "schema/check.h"
#include "signal/legacy.h"
#include "signal/signal.h"
#include "signal/sio_conn.h"
#include "trace/trace.h"

#define SIGNAL_NSP "/meeting"

enum { SIGNAL_TICK_MS = 250, QUALITY_EVERY_MS = 10000, QUALITY_STEPS = 5 };

/* A socket in the namespace, from its CONNECT to its end. */
struct client {
    struct signal *signal;
    struct sio_socket *socket;
    struct auth_identity who;
    bool legacy;         /* it speaks the dialect of legacy.h */
    bool told_expiring;  /* that its token ends soon */
    bool told_draining;  /* that the node is going to stop */
    uint64_t warned_us;  /* monotonic: when of bad quality; 0 never */
    uint64_t hold;       /* the number of the last that it waits for; 0: none */
    json_t *app_data;    /* legacy: of its producers, by their id; may be NULL */
    struct rate made;    /* transports, producers, consumers */
    struct rate refused; /* entries of the audit */
    struct trace trace;  /* that its handshake named; none: each event begins one */
    struct trace_span join; /* from here to the first media; a participant takes it over */
    struct participant *participant; /* NULL outside of a room */
    struct joining *joining;         /* events.c: its room:join that has no answer yet */
    struct reply *replies;           /* that are due */
    struct client *next;             /* list of all */
    struct client **at;
};

struct signal {
    struct signal_conf conf;
    struct meeting *meeting;
    struct engine *engine;
    struct sio_conf sio;
    struct loop_timer *tick;
    struct client *clients;
    uint64_t drains_us;          /* monotonic: until when the node goes on; 0: it stays */
    json_t *capabilities;        /* the router's, made once */
    struct store_writer *writer; /* NULL: nothing is kept */
    struct saying *saying,
        *sayings;  /* keep.c: what is being said; that, and what is written */
    bool told_failing; /* figures.c: rooms, that the store fails */
    uint32_t turn; /* quality.c: whose it is; and what was seen, by sent or received and
                    * by audio or video */
    struct metric_histogram *loss[2][2], *jitter_s[2][2], *rtt_s[2][2];
    struct metric_histogram *available; /* of transports that receive */
    struct metric_histogram *join_s[QUALITY_STEPS];
    struct hold *hold,
        *holds; /* hold.c: what is being decided; that, and what is written */
    uint64_t n_holds;
};

/* Where the answer to an event goes. Owned by the handler until reply_ok or reply_fail. */
struct reply {
    struct client *client;    /* NULL: gone meanwhile, nobody is told */
    struct reply *next, **at; /* in the client's list */
    bool has_id;
    uint64_t id;
    const char *event;                /* constant: the client's event */
    const char *paired;               /* constant: what is emitted on success, or NULL */
    const struct legacy_alias *alias; /* NULL: it was not asked in the legacy dialect */
    json_t *asked;                    /* legacy: the request; owned */
    struct audit *audit; /* NULL: it is no act that others may ask about; owned */
    struct trace_span span;
    uint64_t since_us; /* monotonic: when it was asked */
    uint32_t step;     /* of joining; 0: it is none */
};

static inline struct meeting *reply_meeting(const struct reply *reply)
{
    return reply->client->signal->meeting;
}

/* ---- client.c ---- */

extern const struct sio_conn_ops client_ops;

/* Sends what waits and ends nothing: for use while others are being iterated. */
void client_push(struct client *client);

/* Has its connection cut off, soon: its client comes again. */
void client_drop(struct client *client);

void client_leave(struct client *client, const char *reason);

/* Emits an event to one client; 'payload' is moved, may be NULL on lack of memory (then
 * nothing is sent). */
void client_emit(struct client *client, const char *event, json_t *payload);

/* Queues a message made by sio_event_write(). */
void client_send(struct client *client, struct eio_msg *msg);

/* Answers: fields (moved, may be NULL for none) into the ack {ok:true,…} and the paired
 * event. Ends 'reply'. */
void reply_ok(struct reply *reply, json_t *fields);
void reply_fail(struct reply *reply, const char *code, const char *message);
void reply_overloaded(struct reply *reply, const char *message); /* try again in a second */
void reply_error(struct reply *reply, const struct meeting_error *err);

/* reply_ok() of one who is in a room, with the number of its last fact: so that who asked
 * knows the order in which it was done. */
void reply_seq(struct reply *reply, json_t *fields);

/* Answers a call that returned 'ret': reply_error() or reply_seq(). 'fields' is moved. */
void reply_done(struct reply *reply, int ret, const struct meeting_error *err,
                json_t *fields);

/* The code is "invalid", the message the first of 'errors' (one at least; changed). */
void reply_invalid(struct reply *reply, struct schema_errors *errors);

/* trace_enter() of what is done for this request. */
void reply_enter(struct trace_scope *scope, const struct reply *reply);

/* ---- audit.c ---- */

/* What is to be written when an act of this permission has an answer; NULL: nothing, or
 * without memory. Freed by audit_end(). */
struct audit *audit_begin(const struct client *client, const struct schema_event *event,
                          const json_t *payload);

/* It was done ('code' NULL), or refused for want of rights (forbidden: written once a
 * second in the long run), or came to nothing. client NULL: it is gone, nothing is written.
 * audit NULL is a no-op. */
void audit_end(struct audit *audit, struct client *client, const char *code);

/* What the node did because the room's meeting is one that is recorded ('act' constant). */
void audit_auto(struct signal *signal, const struct room *room, const char *act);

/* ---- quality.c ---- */

/* With conf.metrics. 0, -ENOMEM, or -EINVAL and -EEXIST if they are there already. */
int quality_register(struct signal *signal);
void quality_unregister(struct signal *signal);

void quality_tick(struct signal *signal); /* each SIGNAL_TICK_MS */

/* Which step of joining an event is; 0: none. */
uint32_t quality_step_of(const char *event);
/* It is granted: how long that took, if it is one. */
void quality_step(const struct reply *reply);

/* What has this id has its turn when signal->turn is this, once in QUALITY_EVERY_MS. */
uint32_t quality_turn_of(const char *id);

/* ---- figures.c ---- */

void figures_tick(struct signal *signal); /* after quality_tick() */

/* ---- events.c ---- */

typedef void event_fn(struct reply *reply, const json_t *payload);

/* The handler of an event of schema/'s table; NULL if it is not built. */
event_fn *events_handler(const char *name);

/* Runs the handler of 'name' (NULL: no text, so no event that we know), if the table of
 * schema/ has the event, its sender may send it and the payload is as it should be.
 *
 * payload  borrowed; NULL if the event had none
 * fault    what was wrong with the packet's JSON, or NULL; see sio_packet */
void events_dispatch(struct client *client, const char *name, const json_t *payload,
                     const char *fault, bool has_id, uint64_t id);

/* Its replies have no client any more: what waits to come in does not. */
void events_client_gone(struct client *client);

/* ---- events_room.c: rooms; as the handlers of events.c ---- */

void on_room_create(struct reply *reply, const json_t *payload);
void on_room_close(struct reply *reply, const json_t *payload);
void on_room_lock(struct reply *reply, const json_t *payload);
void on_room_unlock(struct reply *reply, const json_t *payload);
void on_room_update(struct reply *reply, const json_t *payload);
void on_layout_change(struct reply *reply, const json_t *payload);
void on_lobby_admit(struct reply *reply, const json_t *payload);
void on_lobby_deny(struct reply *reply, const json_t *payload);
void on_lobby_admit_all(struct reply *reply, const json_t *payload);

/* ---- events_sync.c ---- */

void on_room_sync(struct reply *reply, const json_t *payload);

/* ---- events_chat.c: the chat, hands, reactions ---- */

void on_chat_send(struct reply *reply, const json_t *payload);
void on_chat_edit(struct reply *reply, const json_t *payload);
void on_chat_delete(struct reply *reply, const json_t *payload);
void on_chat_react(struct reply *reply, const json_t *payload);
void on_chat_history(struct reply *reply, const json_t *payload);
void on_chat_read(struct reply *reply, const json_t *payload);
void on_chat_typing(struct reply *reply, const json_t *payload);
void on_hand_raise(struct reply *reply, const json_t *payload);
void on_hand_lower(struct reply *reply, const json_t *payload);
void on_hand_lower_all(struct reply *reply, const json_t *payload);
void on_reaction(struct reply *reply, const json_t *payload);

/* ---- events_play.c: polls, the whiteboard, captions, what clients measure, tokens ---- */

void on_poll_create(struct reply *reply, const json_t *payload);
void on_poll_vote(struct reply *reply, const json_t *payload);
void on_poll_close(struct reply *reply, const json_t *payload);
void on_board_update(struct reply *reply, const json_t *payload);
void on_board_clear(struct reply *reply, const json_t *payload);
void on_board_get(struct reply *reply, const json_t *payload);
void on_caption(struct reply *reply, const json_t *payload);
void on_stats_report(struct reply *reply, const json_t *payload);
void on_auth_refresh(struct reply *reply, const json_t *payload);
/* Tells those whose tokens are about to end. */
void tokens_tick(struct signal *signal);

/* ---- recordings.c: what is recorded; to the store whatever is known of it ---- */

void on_recording_start(struct reply *reply, const json_t *payload);
void on_recording_pause(struct reply *reply, const json_t *payload);
void on_recording_resume(struct reply *reply, const json_t *payload);
void on_recording_stop(struct reply *reply, const json_t *payload);
json_t *encode_recording_event(const struct meeting_event *event, const char **name);
void keep_recording(void *user, const struct recording *recording);
void take_auto_record(struct room *room, const json_t *meeting); /* as it is stored */

/* ---- lives.c: live streams ---- */

void on_stream_start(struct reply *reply, const json_t *payload);
void on_stream_stop(struct reply *reply, const json_t *payload);
json_t *encode_live(const struct live *live); /* NULL: null */
json_t *encode_live_event(const struct meeting_event *event, const char **name);

/* ---- events_breakout.c ---- */

void on_breakout_create(struct reply *reply, const json_t *payload);
void on_breakout_assign(struct reply *reply, const json_t *payload);
void on_breakout_open(struct reply *reply, const json_t *payload);
void on_breakout_join(struct reply *reply, const json_t *payload);
void on_breakout_broadcast(struct reply *reply, const json_t *payload);
void on_breakout_close(struct reply *reply, const json_t *payload);

/* ---- events_people.c: what hosts do to people, and people to how others see them ---- */

void on_media_toggle(struct reply *reply, const json_t *payload);
void on_mute(struct reply *reply, const json_t *payload);
void on_mute_all(struct reply *reply, const json_t *payload);
void on_unmute_request(struct reply *reply, const json_t *payload);
void on_remove(struct reply *reply, const json_t *payload);
void on_role_update(struct reply *reply, const json_t *payload);
void on_participant_add(struct reply *reply, const json_t *payload);
void on_rename(struct reply *reply, const json_t *payload);
void on_participant_list(struct reply *reply, const json_t *payload);
void on_pin(struct reply *reply, const json_t *payload);
void on_spotlight(struct reply *reply, const json_t *payload);

/* ---- events_layers.c: layers and screens; as the handlers of events.c ---- */

void on_consumer_layers(struct reply *reply, const json_t *payload);
void on_quality_change(struct reply *reply, const json_t *payload);
void on_consumer_priority(struct reply *reply, const json_t *payload);
void on_consumer_keyframe(struct reply *reply, const json_t *payload);
void on_view_set(struct reply *reply, const json_t *payload);
void on_screen_start(struct reply *reply, const json_t *payload);
void on_screen_stop(struct reply *reply, const json_t *payload);

/* ---- events_data.c: data channels; likewise ---- */

void on_data_produce(struct reply *reply, const json_t *payload);
void on_data_consume(struct reply *reply, const json_t *payload);
void on_data_close(struct reply *reply, const json_t *payload);

/* ---- fields.c: each reads a field of the payload and returns true, or notes the first
 * error and returns false ---- */

struct fields {
    const json_t *payload; /* borrowed; NULL is an empty object */
    char error[256];       /* "/kind: missing", empty if none */
};

struct fields fields_of(const json_t *payload);

/* Notes that 'words' is wrong, if nothing was before. Returns false. */
bool field_note(struct fields *f, const char *words);

/* Answers with what was wrong. */
void reply_refuse(struct reply *reply, const struct fields *f);

bool field_text(struct fields *f, const char *name, size_t max_bytes, bool required,
                const char **out);
bool field_bool(struct fields *f, const char *name, bool fallback, bool *out);
/* One of 'names' (NULL ends it); its index to 'out'. */
bool field_enum(struct fields *f, const char *name, const char *const *names, int *out);
bool field_object(struct fields *f, const char *name, bool required, const json_t **out);
/* An integer from 'min' to 'max'; 'fallback' if it is not there and need not be. */
bool field_int(struct fields *f, const char *name, int64_t min, int64_t max, bool required,
               int64_t fallback, int64_t *out);
/* As field_enum(), but -1 if it is not there. */
bool field_choice(struct fields *f, const char *name, const char *const *names, int *out);
bool field_dtls(struct fields *f, const char *name, struct session_dtls *out);

/* ---- encode.c; new references, NULL without memory ---- */

json_t *encode_participant(const struct participant *p);
json_t *encode_producer(const struct room_producer *rp);
json_t *encode_room_joined(struct signal *signal, struct participant *p);
/* The same for one who resumes, with what it has here itself. */
json_t *encode_room_resumed(struct signal *signal, struct participant *p);
json_t *encode_transport(const struct transport *t);
json_t *encode_data_producer(const struct data_producer *dp);
json_t *encode_data_consumer(const struct data_consumer *dc);
/* Its id and what an ICE restart has changed. */
json_t *encode_ice(const struct transport *t);
json_t *encode_consumer(const struct room_consumer *rc);
json_t *encode_consumer_layers(const struct room_consumer *rc);

json_t *encode_permissions(const struct participant *p);
json_t *encode_cursor(const struct participant *p);
json_t *encode_time(uint64_t wall_us);
json_t *encode_needed(const struct room_producer *rp); /* layers that need not be sent */
/* Adds a score to 'event' (moved), and what it was made of. */
json_t *encode_score(json_t *event, const struct score *score, bool sent);
const char *encode_kind(const struct room_producer *rp);

/* ---- encode_people.c ---- */

json_t *encode_settings(const struct room *room);
json_t *encode_lobby(const struct room *room);
json_t *encode_people_event(const struct meeting_event *event, const char **name);
extern const char *const encode_media_names[]; /* bits of enum meeting_media, in order */

/* ---- encode_chat.c ---- */

struct chat_message;
json_t *encode_chat_message(const struct chat_message *m);
json_t *encode_chat_edited(const struct chat_message *m);
json_t *encode_chat_event(const struct meeting_event *event, const char **name);

/* ---- encode_play.c ---- */

json_t *encode_producers(const struct participant *self); /* encode.c: of the others */
json_t *encode_data_producers(const struct participant *self);
json_t *encode_breakouts(const struct room *room); /* events_breakout.c, as what follows */
json_t *encode_moved(const struct participant *p);
json_t *encode_breakout_event(const struct meeting_event *event, const char **name);

struct board_op;
struct poll;
json_t *encode_poll(const struct poll *poll);
json_t *encode_polls(const struct room *room);
json_t *encode_board_ops(const struct board_op *ops, size_t n);
json_t *encode_play_event(const struct meeting_event *event, const char **name);

/* ---- keep.c ---- */

/* Stores a fact: its event, with 'body' as it is told, and what it has changed. */
void keep_event(struct signal *signal, const struct room *room,
                const struct meeting_event *event, const char *name, json_t *body);

/* Who may see a fact, of its stored event; false if that does not say it. */
bool keep_audience(const json_t *event, struct fact_audience *out);

/* What the store fails with, as clients are told it. */
const char *keep_code(int err, const char **message);

/* Whether the store takes what is written; answers if not. */
bool keep_works(struct reply *reply);

/* Around meeting_chat_send(): begins; ends with the answer (moved), which is given when the
 * message is written, or with an error and the message taken back; or ends without a
 * message. NULL without memory. */
struct saying *keep_saying(struct signal *signal, struct reply *reply);
void keep_said(struct signal *signal, struct saying *saying, json_t *answer);
void keep_unsaid(struct signal *signal, struct saying *saying);

/* Whether a message is written, as far as it is to be. */
bool keep_is_said(const struct signal *signal, const char *message);

/* ---- hold.c ---- */

/* Around the handler of what a host decides (a ban, a role, a lock, the end). Until all
 * that is lasting of it is written, nobody of the room is told anything: so whoever kills
 * the node takes nothing with it that was told. As long as the store fails nobody waits. */
void hold_begin(struct signal *signal, struct room *room);
void hold_end(struct signal *signal);

/* A write of what is just being decided: the number that hold_written() is given when it is
 * done; 0: nobody waits. */
uint64_t hold_add(struct signal *signal);
void hold_written(struct signal *signal, uint64_t no);

/* Who comes into a room meanwhile waits too. */
void hold_newcomer(struct signal *signal, const struct room *room, struct client *client);

void hold_tick(struct signal *signal, uint64_t now_us);
void hold_drop(struct signal *signal); /* all of them, at the end */

/* ---- load.c: meeting_ops.load ---- */

void load_room(struct signal *signal, struct room *room);
void load_forget(struct room *room); /* and meeting_ops.unload */

/* The meeting of a room as it is stored: its 'front', if REST has made the meeting. */
struct stored {
    json_t *meeting;
    uint64_t version;          /* that the store has, or will have when all is written */
    uint32_t max_participants; /* that this has led to: the node may allow fewer */
};

/* 'meeting' with the settings that its room has now. */
json_t *load_settings(const struct room *room, const json_t *meeting);

/* ---- tell.c ---- */

extern const struct meeting_ops encode_ops;

#endif
