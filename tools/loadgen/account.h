/* What a run has come to: sums and histograms, of one process or of all together.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef LOADGEN_ACCOUNT_H
#define LOADGEN_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "loadgen/hist.h"

enum { ACCOUNT_FAILURES = 8, ACCOUNT_FAILURE_LEN = 320 };

/* What joining consists of, one after the other. */
enum account_step {
    STEP_SIGNALING, /* TCP, WebSocket, Engine.IO, the namespace with its token */
    STEP_ROOM,      /* room:join */
    STEP_TRANSPORT, /* transport:create */
    STEP_ICE,
    STEP_DTLS,
    STEP_STREAMS, /* all is produced, or consumed and resumed */
    N_STEPS
};

/* Of clients and their streams. */
struct account_sums {
    uint64_t sent, sent_bytes, late, unsent;
    uint64_t key_frames, key_requests, reports_to_publishers, feedback_to_publishers;
    uint64_t streams, sampled, silent; /* silent: nothing ever came */
    uint64_t received, verified;       /* packets; verified: looked inside */
    uint64_t switches, unkeyed;        /* of encodings; packets before a key frame */
    uint64_t misnumbered;              /* packets of VP8 whose picture is not the next */
    uint64_t whims;                    /* of --restless, that were granted */
    uint64_t lost, duplicates, misordered, holes, corrupt, misrouted;
    uint64_t replayed, forged, malformed, early, unknown, padding;
    uint64_t reports_to_subscribers, key_frames_received;
    uint64_t max_silence_us; /* of any stream, from one packet to the next */
};

struct account {
    struct account_sums sums;
    struct hist delays_us;
    struct hist joins_us;
    struct hist admitted_us; /* of it what came after the node had let it in */
    struct hist steps_us[N_STEPS];
    struct hist resumes_us; /* from the loss of a connection to its return */
    struct hist chats_us;   /* from asking to a client's having the message */
    uint64_t chats_sent;
    uint32_t n_up;
    uint32_t n_put_off;  /* times that one was told to come again later */
    uint32_t n_resumed;  /* connections made anew with all that hung on them */
    uint32_t n_rejoined; /* made anew from nothing */
    bool unreachable;    /* the node never took a connection */
    /* CLOCK_MONOTONIC of the first process: when it began to join, had joined, had sent */
    uint64_t began_us, joined_us, ended_us;
    double sent_seconds; /* how long was sent after all had joined; the longest */
    double cpu_seconds;
    uint64_t memory_kb; /* resident, at most */
    uint32_t n_failures;
    char failures[ACCOUNT_FAILURES][ACCOUNT_FAILURE_LEN];
};

/* Words for JSON and tables. */
extern const char *const account_steps[N_STEPS];

void account_add(struct account *to, const struct account *from);

/* Puts into words that something failed; the first few are kept. */
void account_blame(struct account *account, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What was not right in the end, of 'n_clients' that should have joined. */
void account_judge(struct account *account, uint32_t n_clients);

#endif
