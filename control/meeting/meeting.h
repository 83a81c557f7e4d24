/* The domain: rooms, who is in them, what each sends and receives. Takes structs, knows
 * nothing of JSON or sockets; tells what happened through struct meeting_ops.
 *
 * A participant owns its transports, a transport its producers and consumers, a producer is
 * outlived by none of its consumers: ending one ends what hangs on it, and everybody
 * concerned is told.
 *
 * Requests that need the dataplane answer later through a meeting_done, exactly once: also
 * with "gone" when their object ends first. Objects are borrowed until they are said to be
 * closed. Thread: the loop's. */
#ifndef MEETING_MEETING_H
#define MEETING_MEETING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/auth.h"
#include "meeting/facts.h"
#include "meeting/floor.h"
#include "meeting/gate.h"
#include "meeting/rate.h"
#include "meeting/settings.h"
#include "session/consumer.h"
#include "session/producer.h"
#include "session/score.h"
#include "session/session.h"
#include "trace/trace.h"

enum { MEETING_TRANSPORTS = 2 }; /* of a client, as a rule: one each way */

enum {
    MEETING_ID_MAX = 64,     /* characters of a meeting's id */
    MEETING_NAME_MAX = 128,  /* bytes of a display name, UTF-8 */
    MEETING_TITLE_MAX = 256, /* bytes of a meeting's name */
    MEETING_BANS_KEPT = 5,
    MEETING_REASON_MAX = 256, /* bytes of what a host gives as a reason */
    MEETING_OBJECT_ID = 20,   /* characters of ids given out here */
    MEETING_LABEL_MAX = 128,  /* bytes of a data channel's label, or protocol */
    MEETING_TOKEN = 32,       /* characters of a resume token: 192 random bits */
    MEETING_FRONT_DATA = 88,  /* bytes that a front may keep with a participant */
    MEETING_VIEWS = 256,      /* producers that view:set may name */
    MEETING_SPATIAL = 4,      /* layers of a producer */
    MEETING_LAYER_ANY = 255,  /* as many as there are */
    MEETING_LOWER_MS = 5000,  /* a layer that nobody needs for so long need not be sent */
    MEETING_RETRY_MS = 1000,  /* who found no room is told to come again then */
    MEETING_GRACE_MS = 15000, /* that one whose connection broke is waited for */
    MEETING_RESTORED_GRACE_MS = 30000, /* the same after a restart of this process */
    MEETING_CROWD = 200,   /* above so many people the rules for large meetings hold */
    MEETING_CALM_MS = 500, /* then a room is told of its people at most this often, */
    MEETING_CALM_PEOPLE = 2500, /* and as much longer for each so many of them */
};

struct meeting;

/* What went wrong, for the one who asked. */
struct meeting_error {
    const char *code; /* constant: "not_found", "forbidden" … */
    char message[256];
    uint32_t retry_after_ms; /* of what may do later; 0: nothing is known of when */
};

enum meeting_source {
    SOURCE_MIC,
    SOURCE_CAMERA,
    SOURCE_SCREEN,
    SOURCE_SCREEN_AUDIO,
    N_MEETING_SOURCES
};

extern const char *const meeting_source_names[N_MEETING_SOURCES + 1]; /* NULL ends it */

/* What a participant sends, as people name it: bits. */
enum meeting_media { MEETING_AUDIO = 1, MEETING_VIDEO = 2, MEETING_SCREEN = 4 };

/* A recording that begins without a host's doing; see recording.h. */
struct auto_record {
    bool wanted, audio, video, chat;
    bool declined; /* a host has ended one: no other begins in this room */
    uint32_t keep_days;
    uint64_t next_us; /* monotonic: not tried before */
};

struct room {
    char id[MEETING_ID_MAX + 1];
    char tenant[AUTH_ID_MAX + 1];
    uint32_t n_participants;
    uint64_t epoch;
    uint64_t seq; /* of the last lasting fact */
    struct facts facts;
    struct auth_policy policy; /* as the flags say */
    uint32_t flags;            /* MEETING_BIT()s */
    uint32_t max_participants;
    enum meeting_layout layout;
    char name[MEETING_TITLE_MAX + 1]; /* empty: its id */
    char creator[AUTH_ID_MAX + 1];    /* who made it before anybody was in it; or empty */
    uint64_t keep_until_us;           /* monotonic: so long it stays without anybody */
    bool closing;              /* it ends: nobody is told who leaves, nobody enters */
    bool over;                 /* as it is stored: it has ended, nobody enters */
    bool stored;               /* it was made by REST, which has its settings */
    bool restored;             /* its settings stood in the vault */
    bool loading;              /* what is stored of it is being read: nobody enters yet */
    bool fresh;                /* opened to be read; nobody has asked for more yet */
    uint64_t loading_until_us; /* monotonic: not longer */
    void *front;               /* of meeting_ops.load */
    struct room_wait *waits;   /* who waits for that */
    char spotlight[MEETING_OBJECT_ID + 1];
    struct known *known;         /* hash: people who are remembered, by user id */
    struct participant *waiting; /* the lobby; list by 'next', who came last first */
    uint32_t n_waiting;
    bool lobby_changed; /* the hosts are to be told */
    uint32_t crowd;     /* above so many people it is a large meeting */
    struct chat *chat;  /* may be NULL, as what follows */
    struct reactions *reactions;
    struct poll *polls; /* the newest first */
    struct board *board;
    struct breakouts *breakouts;
    struct recording *recording;      /* that runs; NULL: none */
    struct auto_record auto_record;
    struct live *live;                /* likewise */
    uint64_t last_hand;               /* the order in which hands went up */
    struct roster *roster;            /* what is to be told of it then; may be NULL */
    uint64_t bans[MEETING_BANS_KEPT]; /* hashes of the last that were banned: these are in
                                       * the vault too; 0 none */
    struct participant *participants; /* list by 'next' */
    struct participant *senders;      /* those of them who have sent; by 'next_sender' */
    struct participant *stage;        /* presenters and above, or were; by 'next_on_stage' */
    struct room_producer *speaker;    /* who has the floor; NULL: nobody had, or it left */
    struct transport *anchor;         /* whose record is kept at 'seq'; NULL: none yet */
    uint32_t n_viewers;               /* who are shown what they are given */
    void *index;                      /* the service's */
};

/* What is counted, each by itself, so that nobody does it too often. */
enum meeting_rate {
    MEETING_RATE_HOST, /* what hosts do, and changes of oneself that all hear of */
    MEETING_RATE_LIST, /* long answers */
    MEETING_RATE_CHAT,
    MEETING_RATE_CROWD_CHAT, /* in a large meeting */
    MEETING_RATE_READ,
    MEETING_RATE_TYPING,
    MEETING_RATE_REACT,
    MEETING_RATE_BOARD,
    MEETING_RATE_CAPTION,
    MEETING_RATE_SEND, /* producers and screens, in a large meeting */
    N_MEETING_RATES
};

/* Whose 'client' of a participant is. */
enum meeting_front {
    MEETING_SOCKET, /* signal/: Socket.IO */
    MEETING_HTTP    /* rest/: WHIP and WHEP. It is told nothing, but for media_lost */
};

struct participant {
    char id[MEETING_OBJECT_ID + 1]; /* unique: one person may be here twice */
    enum meeting_front front;       /* set by whoever joined it */
    uint8_t n_front_data;           /* meeting_keep() */
    uint8_t front_data[MEETING_FRONT_DATA];
    char evicted[32];                    /* why, if it came by HTTP and is about to leave */
    bool viewer;                         /* meeting_view_as() */
    bool watching;                       /* meeting_view_begin() */
    char watched[MEETING_OBJECT_ID + 1]; /* its choice; empty: who speaks */
    uint64_t watched_user; /* the hash of that one's user id: who returns is shown again */
    struct auth_identity who;
    char name[MEETING_NAME_MAX + 1];
    struct room *room;
    char resume_token[MEETING_TOKEN + 1];
    void *client;            /* the front's; NULL while the connection is lost */
    uint64_t away_until_us;  /* monotonic: leaves then, if its client is NULL */
    const char *away_reason; /* constant: why its client is lost */
    bool media_lost;         /* nothing of its media is left: not worth waiting for */
    void *token_index;       /* the service's */
    struct transport *transports;
    uint32_t n_producers, n_consumers, n_transports;
    bool screen;   /* it has said that it shares a screen */
    bool waiting;  /* in the lobby: nothing of it is known to others but hosts */
    uint8_t muted; /* by a host, for good: enum meeting_media */
    uint8_t off;   /* by itself: enum meeting_media */
    uint64_t hand; /* its place in the order of hands; 0: it is down */
    uint8_t group; /* the breakout in which it is, from 1; 0: in none */
    uint8_t news;  /* roster.c's: what the room is still to be told of it */
    bool shown;    /* roster.c's: who is no host has heard of it in a large meeting */
    char pinned[MEETING_OBJECT_ID + 1];
    struct views *views; /* layers.c's: its last view:set; NULL: it sent none */
    struct rate rates[N_MEETING_RATES];
    uint64_t joined_us; /* wall clock */
    struct trace_span join; /* until its first media */
    struct participant *next;
    struct participant **at; /* of its room, what points to it; not in the lobby */
    bool sends; /* media or data, or did */
    struct participant *next_sender;
    bool on_stage;
    struct participant *next_on_stage;
};

typedef void meeting_done(void *arg, const struct meeting_error *err, void *object);

struct transport {
    char id[MEETING_OBJECT_ID + 1];
    struct meeting *meeting;
    struct participant *owner;
    struct session *session;
    bool send; /* the participant sends on it; else it receives */
    struct room_producer *producers;
    struct room_consumer *consumers;
    struct data_producer *data_producers;
    struct data_consumer *data_consumers;
    uint32_t n_data_producers, n_data_consumers;
    uint16_t next_stream; /* of its data consumers: the last that was given out */
    uint32_t next_mid;
    uint32_t next_ssrc;
    struct transport *next;
    struct trace_span media; /* from its connection to its first packet, while it joins */
    meeting_done *done; /* of the creation, until it is answered */
    void *arg;
};

struct room_producer {
    char id[MEETING_OBJECT_ID + 1];
    struct transport *transport;
    struct producer *producer;
    enum meeting_source source;
    bool ready;               /* the others know of it */
    struct floor_voice voice; /* of a microphone */
    struct score score;
    struct room_consumer *consumers;
    uint32_t wanted[MEETING_SPATIAL]; /* consumers that want this spatial layer at most */
    bool recorded;                    /* then all are needed */
    uint8_t needed;                   /* the highest that its sender was told to send */
    uint64_t lower_at_us;             /* monotonic: it is told less then; 0 not */
    struct room_producer *next_lower; /* of those */
    struct room_producer *next;
    meeting_done *done;
    void *arg;
};

struct room_consumer {
    char id[MEETING_OBJECT_ID + 1];
    struct transport *transport; /* that receives */
    struct room_producer *source;
    struct consumer *consumer;
    uint8_t wish_spatial, wish_temporal; /* consumer:layers; MEETING_LAYER_ANY */
    uint8_t view_spatial, view_temporal; /* view:set; likewise */
    uint32_t view_area;                  /* pixels; 0 not told, or not visible */
    uint8_t priority;
    bool parked;     /* a viewer's: there is nothing to show of it now */
    uint8_t counted; /* 1 + where in its producer's 'wanted'; 0 not */
    uint32_t layers; /* what it is sent: ABI_LAYERS; 0 not known */
    struct score score;
    struct room_consumer *next;           /* of the transport */
    struct room_consumer *next_of_source; /* of the producer */
    struct room_consumer **at_of_source;  /* what points to it there: thousands may leave */
    meeting_done *done;
    void *arg;
};

/* A data channel that a participant sends on. */
struct data_producer {
    char id[MEETING_OBJECT_ID + 1];
    struct transport *transport;
    struct dsctp_channel channel;
    char label[MEETING_LABEL_MAX + 1];
    char protocol[MEETING_LABEL_MAX + 1];
    struct data_consumer *consumers;
    struct data_producer *next;
};

struct data_consumer {
    char id[MEETING_OBJECT_ID + 1];
    struct transport *transport; /* that receives */
    struct data_producer *source;
    struct dsctp_channel channel; /* the source's, but for the stream */
    struct data_consumer *next;   /* of the transport */
    struct data_consumer *next_of_source;
    struct data_consumer **at_of_source;
};

enum meeting_event_kind {
    MEETING_JOINED,
    MEETING_LEFT, /* reason */
    MEETING_NEW_PRODUCER,
    MEETING_PRODUCER_CLOSED,
    MEETING_PRODUCER_PAUSED,
    MEETING_PRODUCER_RESUMED,
    MEETING_CONSUMER_CLOSED, /* to its owner only; reason */
    MEETING_SPEAKER,         /* who, producer; both NULL: the last one has left */
    MEETING_CONSUMER_LAYERS, /* to its owner only; layers */
    MEETING_PRODUCER_LAYERS, /* to its owner only: 'needed' has changed */
    MEETING_SCREEN_STARTED,
    MEETING_SCREEN_STOPPED,
    MEETING_BANDWIDTH,        /* to its owner only; transport, available_bps */
    MEETING_TRANSPORT_CLOSED, /* to its owner only: it failed; transport, reason */
    /* to the owner only: how well it arrives has changed, or stays bad (reason says why,
     * one of producer and consumer is set) */
    MEETING_PRODUCER_SCORE,
    MEETING_CONSUMER_SCORE,
    MEETING_QUALITY_WARNING,
    MEETING_NEW_DATA,             /* data */
    MEETING_DATA_CLOSED,          /* data, reason */
    MEETING_DATA_CONSUMER_CLOSED, /* to its owner only; data, data_consumer, reason */
    MEETING_ROOM_UPDATED,         /* room, by */
    MEETING_LAYOUT_CHANGED,       /* room, by */
    MEETING_ROOM_CLOSED,          /* reason */
    MEETING_MEDIA_UPDATED,        /* who, media, on; by: a host, else NULL */
    MEETING_MUTED,          /* to one: by, media, reason, on: it may lift that itself */
    MEETING_UNMUTE_ASKED,   /* to one, or hosts: who, by, media */
    MEETING_REMOVED,        /* to one: reason, on: for good */
    MEETING_ROLE_CHANGED,   /* who, old_role, by */
    MEETING_INVITED,        /* text: user id, reason: name, old_role: the role; by */
    MEETING_PERSON_UPDATED, /* who */
    MEETING_SPOTLIGHTED,    /* who, on, by */
    MEETING_LOBBY,          /* to hosts: room */
    MEETING_ADMITTED,       /* to one */
    MEETING_DENIED,         /* to one: reason */
    MEETING_ROSTER,         /* roster: large meetings; who came, left, changed */
    MEETING_COUNT,          /* room: how many there are */
    MEETING_CHAT,           /* message, who; as the four behind it */
    MEETING_CHAT_EDITED,
    MEETING_CHAT_DELETED,
    MEETING_CHAT_REACTION,     /* text: the emoji; on */
    MEETING_CHAT_READ,         /* not lasting; up to message */
    MEETING_TYPING,            /* not lasting; who, on */
    MEETING_REACTION,          /* not lasting; who, text: the emoji */
    MEETING_REACTION_COUNTS,   /* not lasting; room, a large one */
    MEETING_HAND_RAISED,       /* who, n: its place */
    MEETING_HAND_LOWERED,      /* who, or NULL: all; by a host */
    MEETING_POLL,              /* poll */
    MEETING_BOARD,             /* not lasting: who, ops, n, version */
    MEETING_BOARD_CLEARED,     /* who, version */
    MEETING_CAPTION,           /* not lasting: who, caption */
    MEETING_BREAKOUTS,         /* room, by */
    MEETING_MOVED,             /* to one: who */
    MEETING_BREAKOUT_SAID,     /* who, text */
    MEETING_RECORDING_STARTED, /* recording, by */
    MEETING_RECORDING_PAUSED,  /* recording, by */
    MEETING_RECORDING_RESUMED, /* recording, by */
    MEETING_RECORDING_STOPPED, /* recording, by */
    MEETING_RECORDING_STATUS,  /* not lasting, to hosts: recording */
    MEETING_LIVE_STARTED,      /* live, by */
    MEETING_LIVE_STOPPED,      /* live, by */
    MEETING_LIVE_STATUS,       /* not lasting, to hosts: live */
};

struct meeting_event {
    enum meeting_event_kind kind;
    struct participant *who;
    struct room_producer *producer;
    struct room_consumer *consumer;
    struct transport *transport;
    const struct data_producer *data;
    const struct data_consumer *data_consumer;
    uint64_t available_bps;
    const char *reason;
    const struct participant *by; /* who did it; NULL: the subject, or the node */
    const struct room *room;
    const struct roster *roster;
    const struct chat_message *message;
    const struct poll *poll;
    const struct board_op *ops;
    uint64_t version;
    const struct caption *caption;
    const struct recording *recording;
    const struct live *live;
    uint32_t n;
    bool kept_only; /* in the list of facts; nobody is sent it by itself */
    enum meeting_media media;
    enum auth_role old_role;
    bool on;
    const char *text;
    uint64_t seq; /* 0: not a lasting fact */
    struct fact_audience audience;
};

struct meeting_ops {
    /* To all of the room who may see it (meeting_sees()) but 'except' (may be NULL). Encode
     * once, send to many. A lasting fact is kept besides, by facts_add(). */
    void (*to_room)(void *user, struct room *room, const struct participant *except,
                    const struct meeting_event *event);
    void (*to_one)(void *user, struct participant *to, const struct meeting_event *event);
    /* The dataplane went away: nothing of this participant's media is left. It should come
     * again. The participant still exists; leave it. */
    void (*media_lost)(void *user, struct participant *who);
    /* A socket's participant is gone, or will be at once, by no doing of its own: forget
     * it. What it has to know it was told. */
    void (*ended)(void *user, struct participant *who);
    /* Fills the room with what is stored of it and calls meeting_loaded(), now or later.
     * NULL: nothing is stored. */
    void (*load)(void *user, struct room *room);
    /* The room ends, and with it what 'load' has hung on it (its 'front'). May be NULL. */
    void (*unload)(void *user, struct room *room);
    /* What is known of a recording has changed; its room may be gone. May be NULL. */
    void (*recorded)(void *user, const struct recording *recording);
};

struct meeting_conf {
    struct session_registry *sessions; /* borrowed */
    struct media *media;               /* borrowed */
    struct recorder *recorder;         /* borrowed; NULL: nothing is recorded */
    uint32_t max_rooms;
    uint32_t max_participants; /* of a room */
    uint32_t max_people;       /* of the node, in rooms and lobbies; 0: any number */
    struct loop *loop;         /* borrowed; NULL: who comes in never waits for his turn */
    struct gate_conf gate;
    uint32_t crowd;            /* above so many a meeting is large; 0: MEETING_CROWD */
    uint32_t max_producers;    /* of a participant */
    uint32_t max_consumers;
    uint32_t grace_ms;     /* that a broken connection is waited for; 0: MEETING_GRACE_MS */
    uint32_t loudest;      /* microphones of a room that are forwarded at once; 0: all */
    bool keep_silence;     /* forward audio in which there is nothing to hear, too */
    uint64_t epoch;        /* of the rooms that this process opens: above all before it */
    uint64_t first_seq;    /* their facts are numbered from behind it */
    const char *id_prefix; /* of the ids given out: the node's; copied, at most 4 */
};

int meeting_create(struct meeting **out, const struct meeting_conf *conf,
                   const struct meeting_ops *ops, void *user);
/* Every participant that has a client must have left. NULL is a no-op. */
void meeting_destroy(struct meeting *meeting);

/* The front is gone: nothing is told any more, to nobody. */
void meeting_silence(struct meeting *meeting);

uint32_t meeting_n_rooms(const struct meeting *meeting);
uint32_t meeting_n_participants(const struct meeting *meeting);

/* Whether nobody is in a meeting, nor waits in a lobby, nor may come back. */
bool meeting_is_empty(const struct meeting *meeting);

/* While on, no meeting begins ("draining"); those that there are take in whom they please.
 */
void meeting_drain(struct meeting *meeting, bool on);

struct meeting_limits {
    uint32_t rooms;
    uint32_t participants; /* of a room: of those that open from now on */
    uint32_t people;       /* of the node; 0: any number */
    uint32_t producers;    /* of a participant */
    uint32_t consumers;
    struct gate_conf gate;
};

/* In place of those of meeting_conf; what is above them already stays. */
void meeting_set_limits(struct meeting *meeting, const struct meeting_limits *limits);

/* The dataplane went away: calls media_lost for everybody who has transports. */
void meeting_on_media_lost(struct meeting *meeting);

/* Whether it is this participant's to see. */
bool meeting_sees(const struct participant *p, const struct fact_audience *audience);

/* Calls fn for each room, for listings. 'fn' must not change anything. */
void meeting_each_room(struct meeting *meeting, void (*fn)(void *arg, struct room *room),
                       void *arg);

/* ---- rooms ---- */

/* The room of that name, NULL if nobody is in it. Borrowed until the loop goes on. */
struct room *meeting_find_room(struct meeting *meeting, const char *tenant, const char *id);

/* The next number of a meeting's facts, for what is told of it by others than its room
 * (rest/): whether somebody is in it or not, no number is given twice.
 *
 * id  NULL: of no meeting. What is told of none comes from several places, so the store counts
 *     it: *seq is 0 */
void meeting_number(struct meeting *meeting, const char *tenant, const char *id,
                    uint64_t *epoch, uint64_t *seq);

/* Somebody else has numbered facts of this room in an epoch after its own: it goes on in
 * this process's, and its clients will have to ask for all anew. */
void meeting_renumber(struct meeting *meeting, struct room *room);

/* ---- coming in when many do; see gate.h ---- */

struct arrival {
    struct gate_entry entry; /* all zeros at first */
    uint32_t transports;     /* that he will want: MEETING_TRANSPORTS, by HTTP 1 */
    /* It is his turn (NULL), or he is refused after all. Once, unless meeting_depart() was
     * called; the arrival is its caller's again. */
    void (*ready)(void *arg, const struct meeting_error *err);
    void *arg;
};

/* Before meeting_prepare() of one who wants to enter: so that nothing is done yet for whom
 * there is no place, or not now.
 *
 * Returns 0: he may; -EINPROGRESS: ready() is called later ('arrival' is borrowed until
 * then); -1 with 'err': refused. Among what meeting_join() says that is "overloaded", with
 * retry_after_ms: too many want to come in. */
int meeting_arrive(struct meeting *meeting, const struct auth_identity *who,
                   const char *meeting_id, struct arrival *arrival,
                   struct meeting_error *err);

/* Who waits is gone. A no-op of one who does not. */
void meeting_depart(struct meeting *meeting, struct arrival *arrival);

/* What became of those who arrived. */
struct meeting_arrivals {
    uint64_t at_once, waited;   /* came in */
    uint64_t refused, too_late; /* told to come again: at once, or when they had waited */
    uint64_t room_full, node_full;
    uint64_t departed; /* while they waited */
    uint32_t waiting;  /* now */
};

void meeting_arrivals(const struct meeting *meeting, struct meeting_arrivals *out);

/* Before meeting_enter(), meeting_join() and (make) meeting_create_room(): has a room that
 * these would open filled with what is stored of it (struct meeting_ops, load).
 *
 * Returns true: call now. False: call when ready(arg) is called, once, later; it may be
 * that nothing could be read. */
bool meeting_prepare(struct meeting *meeting, const struct auth_identity *who,
                     const char *meeting_id, bool make, void (*ready)(void *arg),
                     void *arg);

/* All that is stored of the room is in it; it may be gone afterwards. */
void meeting_loaded(struct meeting *meeting, struct room *room);

/* Enters a room. A token that is bound to this meeting opens the room if need be; any other
 * finds only rooms that exist. The others are told.
 *
 * name  of the person; copied; empty: the token's, or "Guest"
 *
 * Returns the participant or NULL with 'err': not_found, room_full, node_full,
 * too_many_rooms, draining, no_memory. */
struct participant *meeting_join(struct meeting *meeting, const struct auth_identity *who,
                                 const char *meeting_id, const char *name, void *client,
                                 struct meeting_error *err);

/* Leaves: everything of it ends, the others are told, 'p' is gone. */
void meeting_leave(struct meeting *meeting, struct participant *p, const char *reason);

/* The connection broke ('reason' is a constant): 'p' stays, unseen by the others, until its
 * grace ends or it is resumed. One whose media was lost leaves at once. */
void meeting_detach(struct meeting *meeting, struct participant *p, const char *reason);

/* Gives a participant a new client: the same person, in this meeting, who knows its token.
 * Nothing is told to the others.
 *
 * old  filled with the client that it had, NULL if none: signaling's to cut off
 *
 * Returns the participant or NULL with 'err': not_found, or media_unavailable as long as
 * the dataplane was not seen, which knows who was here before a restart. */
struct participant *meeting_resume(struct meeting *meeting, const struct auth_identity *who,
                                   const char *meeting_id, const char *token, void *client,
                                   void **old, struct meeting_error *err);

/* Ends those whose grace is over; finds who speaks; once a second, scores what is sent and
 * received. Call a few times a second. */
void meeting_tick(struct meeting *meeting, uint64_t now_us);

/* The front's own words about a participant (n of at most MEETING_FRONT_DATA bytes), which
 * stand in 'front_data' again after a restart of this process. */
void meeting_keep(struct participant *p, const void *data, size_t n);

/* Whether it is known who was here before a restart. */
bool meeting_is_restored(const struct meeting *meeting);

/* A dataplane is attached: rebuilds rooms, participants and all they have from what an
 * earlier control has left in the vault, and closes what belongs to nobody. */
void meeting_restore(struct meeting *meeting);

/* ---- transports ---- */

/* done(arg, err, struct transport *). Returns 0, or -1 with 'err' and without 'done'. */
int meeting_transport_create(struct meeting *meeting, struct participant *p, bool send,
                             meeting_done *done, void *arg, struct meeting_error *err);

/* Starts DTLS towards the peer with these fingerprints. 0, or -1 with 'err': not_found,
 * already_connected, invalid. */
int meeting_transport_connect(struct participant *p, const char *transport_id,
                              const struct session_dtls *dtls, struct meeting_error *err);

/* New ICE credentials for a transport, which session_local() then tells. Returns it, or
 * NULL with 'err': not_found, media_unavailable. */
struct transport *meeting_transport_restart_ice(struct participant *p,
                                                const char *transport_id,
                                                struct meeting_error *err);

/* What it has carried, as the dataplane last told: all 0 before that. The same. */
struct transport_figures {
    const char *state; /* constant */
    uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
    uint64_t available_bps; /* what the client's link carries; 0: not known */
    uint32_t rtt_us;        /* 0: not known */
};
int meeting_transport_stats(const struct meeting *meeting, const struct participant *p,
                            const char *transport_id, struct transport_figures *out,
                            struct meeting_error *err);

int meeting_transport_close(struct meeting *meeting, struct participant *p,
                            const char *transport_id, struct meeting_error *err);

/* ---- producers; each 0, or -1 with 'err' ---- */

/* done(arg, err, struct room_producer *). Refused: forbidden, not_found, wrong_direction,
 * too_many, unsupported (naming what), invalid. */
int meeting_produce(struct meeting *meeting, struct participant *p,
                    const char *transport_id, enum rtp_kind kind,
                    const struct rtp_params *params, enum meeting_source source,
                    bool paused, meeting_done *done, void *arg, struct meeting_error *err);
int meeting_producer_close(struct meeting *meeting, struct participant *p,
                           const char *producer_id, struct meeting_error *err);
int meeting_producer_pause(struct meeting *meeting, struct participant *p,
                           const char *producer_id, bool paused, struct meeting_error *err);

/* ---- consumers ---- */

/* mid  of the section that it is for; NULL: the next number of the transport
 *
 * done(arg, err, struct room_consumer *). Refused: not_found, wrong_direction, too_many,
 * unsupported. */
int meeting_consume(struct meeting *meeting, struct participant *p,
                    const char *transport_id, const char *producer_id, const char *mid,
                    const struct ortc_caps *caps, meeting_done *done, void *arg,
                    struct meeting_error *err);
int meeting_consumer_close(struct meeting *meeting, struct participant *p,
                           const char *consumer_id, struct meeting_error *err);
int meeting_consumer_pause(struct participant *p, const char *consumer_id, bool paused,
                           struct meeting_error *err);

/* ---- viewers (viewers.c) ----
 *
 * A viewer has one consumer a kind, made for good: it is moved from producer to producer,
 * of whatever codec the viewer has, so that nothing has to be negotiated again. While there
 * is nothing to show it is parked. It is shown the participant that it chose (or, when that
 * one has left, whoever of the same user sends), or else whoever speaks; as long as nobody
 * speaks, or whoever does sends no video that fits, the picture stays. Sound and picture
 * are chosen apart. */

/* Makes 'p', who has joined and has nothing yet, a viewer.
 *
 * watched  the id of a participant in the room; empty: who speaks */
void meeting_view_as(struct participant *p, const char *watched);

/* Gives a viewer its consumer of a kind, of what it is to be shown first, if only of
 * nothing; parked. Otherwise as meeting_consume(); also media_unavailable. */
int meeting_view_open(struct meeting *meeting, struct participant *viewer,
                      const char *transport_id, enum rtp_kind kind, const char *mid,
                      const struct ortc_caps *caps, meeting_done *done, void *arg,
                      struct meeting_error *err);

/* Its client knows all of its consumers: from now on it is shown something. */
void meeting_view_begin(struct meeting *meeting, struct participant *viewer);

/* The client takes only 'caps' of what a consumer of its was told. False if that is
 * nothing: then it is as it was. */
bool meeting_view_narrow(struct participant *viewer, const char *consumer_id,
                         const struct ortc_caps *caps);

/* What a viewer is to be shown first. 'fits' (NULL: all do) tells which producers will do.
 * NULL: nothing. */
struct room_producer *meeting_view_first(const struct participant *viewer,
                                         enum rtp_kind kind,
                                         bool (*fits)(void *arg, struct room_producer *rp),
                                         void *arg);

/* The participant with this id, or of the user with this id, who sends something; empty:
 * any who does, rather video than audio, rather long than lately. NULL: nobody. */
struct participant *meeting_find_sender(struct room *room, const char *wanted);

/* A viewer chooses anew, as in meeting_view_as(). 0, or -1 with 'err' and as it was:
 * not_found (there is nobody, or sends nothing), unsupported (a codec that it has not). */
int meeting_view_change(struct meeting *meeting, struct participant *p, const char *wanted,
                        struct meeting_error *err);

/* ---- data channels (data.c). They end with their transport, with the association, when
 * the client closes them, and with this process ---- */

/* Says that the client sends on this channel; the others are told. NULL with 'err':
 * forbidden, not_found, wrong_direction, gone, too_many, invalid. */
struct data_producer *meeting_data_produce(struct meeting *meeting, struct participant *p,
                                           const char *transport_id,
                                           const struct dsctp_channel *channel,
                                           const char *label, const char *protocol,
                                           struct meeting_error *err);

/* Sends what comes on it from now on to the participant, on a stream that we choose. NULL
 * with 'err': not_found, wrong_direction, gone, too_many. A reliable consumer that reads
 * too slowly is closed, of another messages are left out. */
struct data_consumer *meeting_data_consume(struct meeting *meeting, struct participant *p,
                                           const char *transport_id,
                                           const char *data_producer_id,
                                           struct meeting_error *err);

/* Closes a data producer or a data consumer of the participant. */
int meeting_data_close(struct participant *p, const char *id, struct meeting_error *err);

/* ---- layers (layers.c) ---- */

/* A part of what is on somebody's screen. */
struct meeting_view {
    const char *producer_id; /* borrowed */
    uint32_t width, height;  /* pixels that it is shown with */
};

/* The consumer's owner wishes for layers up to these. Returns the consumer, or NULL with
 * 'err': not_found, invalid (there are not so many). 'spatial' MEETING_LAYER_ANY: all. */
struct room_consumer *meeting_consumer_layers(struct meeting *meeting,
                                              struct participant *p,
                                              const char *consumer_id, uint8_t spatial,
                                              uint8_t temporal, struct meeting_error *err);

/* The same by a word: 0 low, 1 medium, 2 high. id: of a consumer, or of the producer. */
struct room_consumer *meeting_consumer_quality(struct meeting *meeting,
                                               struct participant *p, const char *id,
                                               unsigned quality, struct meeting_error *err);

int meeting_consumer_priority(struct meeting *meeting, struct participant *p,
                              const char *consumer_id, uint8_t priority,
                              struct meeting_error *err);
int meeting_consumer_keyframe(struct meeting *meeting, struct participant *p,
                              const char *consumer_id, struct meeting_error *err);

/* What is on the participant's screen: its video consumers get layers for the size that
 * they are shown with, those not named the lowest, as do those behind the first 'last_n'
 * (0: no limit). So do those that are made later, until the next call; 'n' is at most
 * MEETING_VIEWS. 0, or -1 with 'err' (no memory) and all as it was. */
int meeting_view(struct meeting *meeting, struct participant *p,
                 const struct meeting_view *views, size_t n, uint32_t last_n,
                 struct meeting_error *err);

/* The dataplane says what a subscription is sent (ABI_EVT_LAYERS). */
void meeting_on_layers(struct meeting *meeting, uint64_t sub, uint32_t layers);

struct meeting_layer {
    bool any; /* false: nothing is sent */
    uint8_t spatial, temporal;
};

/* What a consumer is sent, what is aimed at, and why it is so: a constant word, "" if it was
 * not said. */
struct meeting_layers {
    struct meeting_layer current, target;
    const char *reason;
};

/* 'layers': of a room_consumer. */
struct meeting_layers meeting_layers_read(uint32_t layers);

/* Says to the others that a screen is shared, or is not any more. Refused: forbidden. Once
 * more is no error, and not told. */
int meeting_screen(struct meeting *meeting, struct participant *p, bool on,
                   struct meeting_error *err);

#endif
