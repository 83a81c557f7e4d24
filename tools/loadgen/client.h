/* One participant: token, Socket.IO connection, media transport, and what it sends or
 * receives on it.
 *
 * client.c        comes, goes, comes again
 * client_join.c   joins: each answer leads to the next question
 * client_media.c  packets and reports, once there is a transport
 * client_whims.c  mutes, pauses, wishes for other layers: --restless */
#ifndef LOADGEN_CLIENT_H
#define LOADGEN_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "loadgen/account.h"
#include "loadgen/arrivals.h"
#include "loadgen/receiver.h"
#include "loadgen/sender.h"
#include "loadgen/signaling.h"
#include "loadgen/transport.h"

enum {
    CLIENT_MAX_SENDERS = 1 + SENDER_MAX_LAYERS,
    CLIENT_TOKEN_MAX = 1024,
    CLIENT_ID_MAX = 127,
    CLIENT_MEETING_MAX = 64, /* as in tokens */
    CLIENT_NAME_MAX = 31,
    CLIENT_RETRY_US = 200000, /* between attempts to connect again */
    CLIENT_REPORT_US = 1000000
};

enum client_state {
    CLIENT_WAITING, /* not started */
    CLIENT_JOINING,
    CLIENT_UP,        /* sends or receives all that it shall */
    CLIENT_RETURNING, /* was up; its connection is being made anew, media go on */
    CLIENT_FAILED,
    CLIENT_LEFT
};

struct run;

struct client {
    struct run *run;
    enum client_state state;
    uint32_t index; /* of the publishers, or the subscribers, of all rooms */
    uint32_t room;
    bool publisher;
    bool sampled; /* looks inside of packets */
    bool sending;
    bool connected; /* to the transport: the node knows our certificate */
    bool was_up;
    bool put_off; /* 'retry' is to ask again on the connection that there is */
    char name[CLIENT_NAME_MAX + 1]; /* "publisher 3" */
    char meeting[CLIENT_MEETING_MAX + 1];
    char token[CLIENT_TOKEN_MAX];
    char participant_id[CLIENT_ID_MAX + 1];
    char transport_id[CLIENT_ID_MAX + 1];
    char resume_token[CLIENT_ID_MAX + 1]; /* empty: none */
    json_t *capabilities;                 /* what we can receive */
    struct signaling signaling;
    struct transport media;
    struct loop_timer timer; /* packets and reports */
    struct loop_timer retry; /* to connect again */
    struct loop_timer whim;  /* with --restless */
    uint32_t n_whims;
    uint64_t n_granted; /* of them */
    uint64_t started_us;
    uint64_t step_us[N_STEPS]; /* when each step of joining was done */
    uint64_t lost_us; /* when the connection was lost */
    uint64_t report_due_us;
    uint64_t feedback_due_us;
    struct sender *senders; /* in the crew's memory */
    uint32_t n_senders;
    struct receiver *receivers; /* of this life and of those before */
    uint32_t n_receivers;
    uint32_t cap_receivers;
    uint32_t last; /* the receiver of the packet before */
    struct arrivals arrivals;
    uint16_t twcc;       /* the next transport-wide number */
    uint8_t twcc_ext;    /* its extension's id in what we receive; 0: none */
    uint64_t n_unknown;  /* packets of an SSRC that we did not ask for */
    uint64_t n_packets;  /* received, of known streams */
    uint64_t n_feedback; /* transport-cc messages that came */
};

/* 'index' counts the publishers and the subscribers of all rooms, each from 0. Returns 0 or
 * -ENOMEM. */
int client_init(struct client *client, struct run *run, bool publisher, uint32_t index);
void client_fini(struct client *client); /* of a zeroed one: a no-op */

/* Begins to join. What becomes of it is told by run_on_up() and run_on_failed(). */
void client_start(struct client *client);

/* Publishers: sends until client_hold(). With --restless all have whims until then. */
void client_send(struct client *client, uint64_t at_us);
void client_hold(struct client *client);

/* Becomes CLIENT_UP if nothing is missing. */
void client_check_up(struct client *client);

/* Writes to all; they know by it when. */
void client_chat(struct client *client);

/* Asks to leave; its signaling is closed when the node has answered. */
void client_leave(struct client *client);

/* The receiver of a producer in this life, or NULL. */
struct receiver *client_receiver(struct client *client, const char *producer_id);

/* ---- client_media.c ---- */

extern const struct transport_ops client_media_ops;

/* Makes a new transport in place of the one before. Returns 0 or -ENOMEM. */
int client_media_init(struct client *client);

/* Arms the timer for what is due next. */
void client_media_arm(struct client *client);
void client_media_on_due(struct loop_timer *timer, uint64_t now_us);

/* ---- client_join.c: what signaling tells ---- */

/* What was asked stands in the lower byte of an answer's id, what it is about above. */
enum client_question {
    ASK_JOIN,
    ASK_TRANSPORT,
    ASK_CONNECT,
    ASK_PRODUCE, /* of which sender */
    ASK_CONSUME, /* for which receiver */
    ASK_RESUME,
    ASK_CHAT,
    ASK_LEAVE,
    ASK_MUTE, /* which sender; so UNMUTE */
    ASK_UNMUTE,
    ASK_PAUSE, /* which receiver; so LAYERS */
    ASK_LAYERS
};

/* 'payload' is moved. */
void client_ask(struct client *client, enum client_question question, uint32_t about,
                json_t *payload);

extern const char *const client_wanted[]; /* events that mean something to us; NULL ends it */
void client_on_open(void *user);
void client_on_event(void *user, const char *name, const json_t *payload);
void client_on_answer(void *user, uint64_t id, const json_t *answer);
void client_ask_leave(struct client *client);

/* ---- client_whims.c ---- */

void client_on_whim(struct loop_timer *timer, uint64_t now_us);

/* ---- client.c, for the others ---- */

/* A step of joining is done, for the first time. */
void client_step(struct client *client, enum account_step step);

void client_fail(struct client *client, const char *reason);

/* The node has said when to ask for the room again. */
void client_put_off(struct client *client, uint32_t ms);

/* With --resume, one that was up gives up its connection and makes a new one; returns
 * false if it must not. */
bool client_retry(struct client *client);

void client_on_media_up(struct client *client);
void client_on_media_failed(struct client *client, const char *reason);

#endif
