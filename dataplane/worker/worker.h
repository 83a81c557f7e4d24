/* The running dataplane: lanes on their threads, the memory shared with control, and the
 * socket on which control attaches. main.c makes one and runs it; the benchmark and the
 * stage tests drive a lane by hand through pipeline.h. */
#ifndef KCS_WORKER_WORKER_H
#define KCS_WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypt/crypt.h"
#include "io/io.h"

enum { WORKER_ANNOUNCE = 16, WORKER_MAX_LANES = 64 };

/* media.announce: a public address in front of a local one (1:1 NAT). */
struct worker_announce {
    uint8_t local_ip[16];
    uint8_t public_ip[16];
    uint16_t public_port; /* 0: the media port */
};

struct worker_conf {
    const char *socket; /* where control attaches */
    uint32_t n_lanes;
    const uint16_t *cpus; /* one a lane, or NULL */
    uint32_t n_cpus;
    bool busy;                /* never sleep */
    uint32_t trace_every;     /* one burst in so many is traced; 0: none */
    bool no_repair;           /* neither NACKs nor retransmissions */
    uint32_t pacer_window_us; /* 0: video is not paced */
    enum crypt_backend backend;
    uint32_t n_peers, n_streams, n_subs;
    size_t ring_bytes;
    uint32_t n_announce;
    struct worker_announce announce[WORKER_ANNOUNCE];
    /* Called about this often for as long as every lane turns; 0: never. */
    uint32_t beat_ms;
    void (*beat)(void);
};

struct worker;

/* Makes tables, vault and contract, and listens on the socket. io is borrowed.
 *
 * err  filled on failure with one line that says what to do
 *
 * Returns 0; -EADDRINUSE when another dataplane serves the socket; -ENOMEM; or the errno of
 * the system call. After failure nothing is left. */
int worker_create(struct worker **out, const struct worker_conf *conf, struct io *io,
                  char *err, size_t err_cap);

/* Starts the lanes and serves control until 'stop_fd' is readable. Returns 0 or -errno. */
int worker_run(struct worker *worker, int stop_fd);

/* Stops the lanes, gives back every packet, wipes the vault. NULL is fine. */
void worker_destroy(struct worker *worker);

/* Memory for tables_init(): zeroed, private, never dumped, in huge pages where the kernel
 * has them (transparent_hugepage "madvise" or "always"), and taken when it is touched.
 * Returns NULL without address space; munmap() ends it. */
void *worker_map(size_t bytes);

#endif
