/* A run: all clients of this process, started one after the other, sending for a while, and
 * the account of what arrived; of all processes in the first. Thread: one. */
#ifndef LOADGEN_RUN_H
#define LOADGEN_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "loadgen/client.h"
#include "loadgen/crew.h"
#include "loadgen/options.h"

enum { RUN_SECRET_MAX = 256 };

struct run {
    const struct options *options;
    struct crew *crew;
    uint32_t me; /* in it */
    struct account *account; /* our own there */
    struct loop *loop;
    SSL_CTX *ssl;
    struct sockaddr_storage to; /* signaling */
    const char *authority; /* of its URL */
    const char *host;
    SSL_CTX *tls; /* of signaling; NULL: plain http */
    uint8_t secret[RUN_SECRET_MAX];
    size_t secret_len;
    struct client *clients; /* publishers, then subscribers */
    uint32_t n_clients;
    uint32_t n_all; /* of all processes */
    uint32_t n_started;
    uint32_t n_streams; /* that each subscriber shall receive */
    uint64_t summed_us; /* when the account was brought up to date last */
};

/* Reads the secret, resolves the node, makes the clients. Returns LOADGEN_OK or the exit
 * status, all having been said on stderr. run_fini() is due in any case. */
int run_init(struct run *run, const struct options *options);
void run_fini(struct run *run);

/* Joins, sends, waits for what is on its way, leaves; SIGINT and SIGTERM end it early, the
 * second one at once. In the first process 'out' then has what all have come to, and what
 * was not right with it. Returns the exit status. */
int run_all(struct run *run, struct account *out);

/* ---- called by clients ---- */

void run_on_up(struct run *run, struct client *client);
void run_on_failed(struct run *run, struct client *client, const char *reason);
void run_on_returned(struct run *run, struct client *client, bool resumed);

/* The stream of the client's room that is this encoding of this producer; NULL if it is
 * none of ours. */
const struct sender *run_sender(const struct client *client, const char *producer_id,
                                uint8_t layer);


#endif
