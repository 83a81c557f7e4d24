/* A run: all clients of one process, started one after the other, sending for a while, and
 * the account of what arrived. Thread: one. */
#ifndef LOADGEN_RUN_H
#define LOADGEN_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "loadgen/client.h"
#include "loadgen/hist.h"
#include "loadgen/options.h"

enum { RUN_MAX_FAILURES = 8, RUN_SECRET_MAX = 256, RUN_FAILURE_LEN = 320 };

struct run {
    const struct options *options;
    struct loop *loop;
    SSL_CTX *ssl;
    struct sockaddr_storage to; /* signaling */
    const char *authority;
    uint8_t secret[RUN_SECRET_MAX];
    size_t secret_len;
    struct client *clients; /* publishers, then subscribers */
    uint32_t n_clients;
    uint32_t n_started;
    uint32_t n_streams; /* that each subscriber shall receive */
    uint32_t n_up;
    uint32_t n_failed;
    uint32_t n_resumed;  /* connections made anew with all that hung on them */
    uint32_t n_rejoined; /* made anew from nothing */
    bool unreachable;    /* the node never took a connection */
    struct hist delays_us;
    struct hist joins_us;
    struct hist resumes_us; /* from the loss of a connection to its return */
    double sent_seconds;    /* how long was sent after all had joined */
    char failures[RUN_MAX_FAILURES][RUN_FAILURE_LEN];
    uint32_t n_failures;
};

/* Sums over all clients, at any time. */
struct run_account {
    uint64_t sent, sent_bytes, late, unsent;
    uint64_t key_frames, key_requests, reports_to_publishers, feedback_to_publishers;
    uint64_t streams, sampled, silent; /* silent: nothing ever came */
    uint64_t received, verified;       /* packets; verified: looked inside */
    uint64_t lost, duplicates, misordered, holes, corrupt, misrouted;
    uint64_t replayed, forged, malformed, early, unknown, padding;
    uint64_t reports_to_subscribers, key_frames_received;
    uint64_t max_silence_us; /* of any stream, from one packet to the next */
};

/* Reads the secret, resolves the node, makes the clients. Returns LOADGEN_OK or the exit
 * status, all having been said on stderr. run_fini() is due in any case. */
int run_init(struct run *run, const struct options *options);
void run_fini(struct run *run);

/* Joins, sends, waits for what is on its way, leaves; SIGINT and SIGTERM end it early, the
 * second one at once. Returns the exit status. */
int run_all(struct run *run);

void run_sum(const struct run *run, struct run_account *out);

/* ---- called by clients ---- */

void run_on_up(struct run *run, struct client *client);
void run_on_failed(struct run *run, struct client *client, const char *reason);
void run_on_returned(struct run *run, struct client *client, bool resumed);

/* The stream of our own that is this producer, or has this tag; NULL if none. */
const struct sender *run_sender(const struct run *run, const char *producer_id);

#endif
