/* See flow.h. Peer 0 publishes; subscriber i is peer i + 1 and subscription i. */
#include "benchmarks/flow.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "benchmarks/numbers.h"
#include "io/port_mem.h"
#include "sfu/base/bytes.h"
#include "sfu/base/handle.h"
#include "sfu/base/least.h"
#include "sfu/wire/rtp_ext.h"
#include "worker/across.h"
#include "worker/command.h"
#include "worker/loop.h"
#include "worker/worker.h"

enum {
    SSRC_IN = 0x50000001,
    SSRC_OUT = 0x60000000,
    PT_IN = 96,
    PT_OUT = 101,
    HDR_LEN = 20, /* fixed header, and one extension */
    OUTER_LEN = 42,
    PACKET_BYTES = 1536,
    RING_BYTES = 4 << 20,
    FIRST = 1000,      /* index of the first packet */
    WINDOW = 64,       /* packets that the slowest lane may be behind: far less than a ring */
    LOOK_NS = 100000,  /* at whether they hold */
    FED_LOOK_NS = 1000,    /* at how far they are, times subscribers: a part of what the */
    FED_LOOKS_MOST = 1000, /* window lasts */
    PATIENCE_S = 20,
    EID_MID = 4
};

/* Written by one lane. */
struct flow_lane {
    _Alignas(64) _Atomic uint64_t sent;
    struct flow *flow;
    uint32_t n_subs;         /* of this lane */
    uint32_t got[FLOW_SUBS]; /* by subscriber, of those of this lane */
};

struct flow {
    struct flow_lane lanes[FLOW_LANES];
    struct loop *loops[FLOW_LANES];
    pthread_t threads[FLOW_LANES];
    unsigned n_started;
    unsigned n_lanes, n_subs, size;
    bool busy;
    struct io *io;
    struct shared shared;
    bool shared_open;
    struct tables *tables;
    void *memory, *hub_memory;
    size_t memory_bytes;
    struct hub hub;
    struct crypt_ctx *publisher;
    struct crypt_key key;
    uint64_t next; /* index of the next packet */
    struct port_mem_packet packets[FLOW_PACKETS];
    uint8_t bytes[FLOW_PACKETS][PACKET_BYTES];
    /* of a round that looks at delays; of one lane */
    double *delays_ns;
    uint64_t n_delays;
    double *last_ns; /* of one that looks at the last copy only, of one packet and lane */
    uint64_t there_ns[FLOW_PACKETS]; /* when a packet was there to be received */
};

static int fail(char *err, size_t cap, int code, const char *what)
{
    (void)snprintf(err, cap, "%s: %s", what, strerror(-code));
    return code;
}

/* ---- what leaves ---- */

static void on_tx(void *arg, const struct pkt *pkt)
{
    struct flow_lane *lane = arg;
    struct flow *f = lane->flow;
    uint8_t kind = pkt->data[OUTER_LEN + 1] & 0x7f;
    uint32_t sub = (load_be32(pkt->data + 30) & 0xffffff) - 1;
    const uint64_t sent = atomic_load_explicit(&lane->sent, memory_order_relaxed) + 1;

    if ((kind >= 64 && kind < 96) || sub >= f->n_subs) {
        return; /* RTCP */
    }
    if (f->delays_ns != NULL) {
        uint64_t at_ns = number_clock_ns(CLOCK_MONOTONIC);

        f->delays_ns[f->n_delays++] = (double)(at_ns - f->there_ns[lane->got[sub]]);
    }
    if (f->last_ns != NULL && sent == f->n_subs) {
        *f->last_ns = (double)(number_clock_ns(CLOCK_MONOTONIC) - f->there_ns[0]);
    }
    lane->got[sub]++;
    atomic_store_explicit(&lane->sent, sent, memory_order_release);
}

/* Packets that all lanes have sent to all of their subscribers. */
static uint64_t finished(const struct flow *f)
{
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < f->n_lanes; i++) {
        const struct flow_lane *lane = &f->lanes[i];
        uint64_t n = lane->n_subs == 0
                         ? UINT64_MAX
                         : atomic_load_explicit(&lane->sent, memory_order_acquire) /
                               lane->n_subs;

        least = n < least ? n : least;
    }
    return least;
}

/* ---- peers, stream, subscriptions ---- */

static int apply(struct flow *f, unsigned lane, uint32_t op, uint32_t index)
{
    const struct abi_cmd cmd = {.op = op, .handle = handle_make(index, 1)};
    int e = command_apply(&f->loops[lane]->lane, f->io, &f->shared.vault, &cmd);

    for (unsigned i = 0; i < f->n_lanes; i++) { /* the others hear of it */
        (void)across_drain(&f->loops[i]->pipe);
    }
    return e;
}

static unsigned lane_of(const struct flow *f, uint32_t sub)
{
    return sub % f->n_lanes;
}

static struct path peer_path(const struct flow *f, uint32_t i)
{
    const struct io_device *dev = io_device(f->io, 0);
    const uint8_t ip[4] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
    struct path path = {.family = 4, .remote_port = (uint16_t)(20000 + i % 40000)};

    path_map_v4(path.remote_ip, ip);
    memcpy(path.local_ip, dev->addrs[0].ip, sizeof(path.local_ip));
    path.local_port = dev->media_port;
    memcpy(path.remote_mac, (const uint8_t[6]){2, 0, 0, 0, 0, 2}, 6);
    return path;
}

static int open_peer(struct flow *f, uint32_t i)
{
    struct vault_peer_conf conf = {.handle = handle_make(i, 1),
                                   .profile = CRYPT_AEAD_AES_128_GCM,
                                   .n_paths = 1,
                                   .ufrag_len = 4,
                                   .pwd_len = 22};

    if (getrandom(conf.rx_key, 16, 0) != 16 || getrandom(conf.tx_key, 16, 0) != 16 ||
        getrandom(conf.rx_salt, 14, 0) != 14 || getrandom(conf.tx_salt, 14, 0) != 14) {
        return -EIO;
    }
    conf.paths[0] = peer_path(f, i);
    vault_peer_write(&f->shared.vault.peers[i], &conf);
    return apply(f, i == 0 ? 0 : lane_of(f, i - 1), ABI_OP_PEER_OPEN, i);
}

static int open_stream(struct flow *f)
{
    struct vault_stream_conf conf = {.handle = handle_make(0, 1),
                                     .peer = handle_make(0, 1),
                                     .clock_hz = 90000,
                                     .ssrc = SSRC_IN,
                                     .kind = ABI_VIDEO,
                                     .codec = ABI_CODEC_VP8,
                                     .pt = PT_IN};

    conf.ext_id[ABI_EXT_MID] = EID_MID;
    vault_stream_write(&f->shared.vault.streams[0], &conf);
    return apply(f, 0, ABI_OP_STREAM_OPEN, 0);
}

static int open_sub(struct flow *f, uint32_t i)
{
    struct vault_sub_conf conf = {.handle = handle_make(i, 1),
                                  .stream = handle_make(0, 1),
                                  .peer = handle_make(i + 1, 1),
                                  .ssrc = SSRC_OUT + i,
                                  .pt = PT_OUT,
                                  .mid_len = 1,
                                  .mid = "7"};

    conf.ext_id[ABI_EXT_MID] = ABI_EXT_MID;
    vault_sub_write(&f->shared.vault.subs[i], &conf);
    f->lanes[lane_of(f, i)].n_subs++;
    return apply(f, lane_of(f, i), ABI_OP_SUB_OPEN, i);
}

static int open_all(struct flow *f)
{
    struct vault_peer_conf conf;
    int e = 0;

    for (uint32_t i = 0; i <= f->n_subs && e == 0; i++) {
        e = open_peer(f, i);
    }
    if (e == 0) {
        e = open_stream(f);
    }
    for (uint32_t i = 0; i < f->n_subs && e == 0; i++) {
        e = open_sub(f, i);
    }
    if (e == 0) {
        e = vault_peer_read(&f->shared.vault.peers[0], &conf);
    }
    return e != 0 ? e
                  : crypt_key_init(f->publisher, &f->key, CRYPT_AEAD_AES_128_GCM,
                                   conf.rx_key, conf.rx_salt, true);
}

/* ---- memory, device, lanes ---- */

static int make_tables(struct flow *f)
{
    const struct tables_conf conf = {.n_peers = f->n_subs + 1,
                                     .n_streams = 1,
                                     .n_subs = f->n_subs,
                                     .n_lanes = f->n_lanes,
                                     .ring_bytes = RING_BYTES,
                                     .ring_mem = f->shared.streams}; /* as the node's */

    f->memory_bytes = tables_bytes(&conf);
    f->memory = worker_map(f->memory_bytes);
    f->hub_memory = aligned_alloc(64, (hub_bytes(f->n_lanes) + 63) / 64 * 64);
    f->tables = calloc(f->n_lanes, sizeof(*f->tables));
    if (f->memory == NULL || f->hub_memory == NULL || f->tables == NULL) {
        return -ENOMEM;
    }
    memset(f->hub_memory, 0, hub_bytes(f->n_lanes));
    hub_init(&f->hub, f->n_lanes, f->hub_memory);
    return tables_init(f->tables, &conf, f->memory, "bench");
}

static int make_lane(struct flow *f, unsigned i, bool busy)
{
    size_t bytes = (sizeof(struct loop) + 63) / 64 * 64;
    struct loop *loop = aligned_alloc(64, bytes);
    struct crypt_ctx *crypt;
    int e;

    if (loop == NULL) {
        return -ENOMEM;
    }
    e = crypt_ctx_create(&crypt, CRYPT_IPSEC_MB);
    if (e != 0) {
        free(loop);
        return e;
    }
    memset(loop, 0, bytes);
    lane_init(&loop->lane, i, &f->tables[i], crypt, io_pool(f->io),
              number_clock_ns(CLOCK_MONOTONIC) / 1000);
    loop->lane.hub = f->n_lanes > 1 ? &f->hub : NULL;
    loop->lane.no_repair = true;
    loop->pipe.io = f->io;
    loop->shared = &f->shared;
    loop->mine = &f->shared.lanes[i];
    loop->busy = busy;
    loop_init(loop);
    f->loops[i] = loop;
    f->lanes[i].flow = f;
    port_mem_on_tx(f->io, 0, i, on_tx, &f->lanes[i]);
    return 0;
}

static void *lane_main(void *arg)
{
    if (io_thread_enter() == 0) {
        loop_run(arg);
        io_thread_leave();
    }
    return NULL;
}

static int start(struct flow *f)
{
    for (unsigned i = 0; i < f->n_lanes; i++) {
        int e = pthread_create(&f->threads[i], NULL, lane_main, f->loops[i]);

        if (e != 0) {
            return -e;
        }
        f->n_started++;
    }
    return 0;
}

static int open_parts(struct flow *f, bool busy, char *err, size_t err_cap)
{
    const struct io_conf conf = {.devices = {"mem:eth"},
                                 .n_devices = 1,
                                 .media_port = 7000,
                                 .n_lanes = f->n_lanes};
    int e = io_create(&f->io, &conf, err, err_cap);

    if (e != 0) {
        return e;
    }
    e = shared_init(&f->shared, f->n_lanes, f->n_subs + 1, 1, f->n_subs, RING_BYTES);
    if (e != 0) {
        return fail(err, err_cap, e, "shared memory");
    }
    f->shared_open = true;
    e = make_tables(f);
    for (unsigned i = 0; i < f->n_lanes && e == 0; i++) {
        e = make_lane(f, i, busy);
    }
    if (e == 0) {
        e = crypt_ctx_create(&f->publisher, CRYPT_IPSEC_MB);
    }
    if (e == 0) {
        e = open_all(f);
    }
    if (e == 0) {
        e = start(f);
    }
    return e == 0 ? 0 : fail(err, err_cap, e, "lanes");
}

int flow_create(struct flow **out, unsigned n_lanes, unsigned n_subs, unsigned size,
                bool busy, char *err, size_t err_cap)
{
    size_t bytes = (sizeof(struct flow) + 63) / 64 * 64;
    struct flow *f = aligned_alloc(64, bytes);
    int e;

    if (f == NULL) {
        return fail(err, err_cap, -ENOMEM, "packets");
    }
    memset(f, 0, bytes);
    f->n_lanes = n_lanes;
    f->n_subs = n_subs;
    f->size = size;
    f->busy = busy;
    f->next = FIRST;
    e = open_parts(f, busy, err, err_cap);
    if (e != 0) {
        flow_destroy(f);
        return e;
    }
    *out = f;
    return 0;
}

static void end_lanes(struct flow *f)
{
    struct lane *all[FLOW_LANES];
    unsigned n = 0;

    for (unsigned i = 0; i < f->n_started; i++) {
        atomic_store(&f->loops[i]->state, LOOP_STOP);
        loop_wake(f->loops[i]);
        (void)pthread_join(f->threads[i], NULL);
    }
    while (n < f->n_lanes && f->loops[n] != NULL) {
        all[n] = &f->loops[n]->lane;
        n++;
    }
    if (n > 0) {
        loop_settle(f->loops, n);
        command_close_lanes(all, n);
    }
    for (unsigned i = 0; i < n; i++) {
        crypt_ctx_destroy(f->loops[i]->lane.crypt);
        free(f->loops[i]);
    }
}

void flow_destroy(struct flow *f)
{
    if (f == NULL) {
        return;
    }
    end_lanes(f);
    crypt_key_wipe(&f->key);
    crypt_ctx_destroy(f->publisher);
    if (f->tables != NULL) {
        tables_fini(f->tables);
    }
    if (f->memory != NULL) {
        (void)munmap(f->memory, f->memory_bytes);
    }
    if (f->shared_open) {
        shared_fini(&f->shared, false);
    }
    io_destroy(f->io);
    free(f->tables);
    free(f->hub_memory);
    free(f);
}

/* ---- the publisher ---- */

static void write_packet(struct flow *f, unsigned i)
{
    const struct rtp_hdr hdr = {.ssrc = SSRC_IN,
                                .ts = (uint32_t)f->next * 90,
                                .seq = (uint16_t)f->next,
                                .pt = PT_IN,
                                .has_ext = true};
    struct wbytes w = wbytes_of(f->bytes[i], HDR_LEN);
    uint8_t payload[PACKET_BYTES] = {f->next == FIRST ? 0x10 : 0x00};
    struct rtp_ext_writer ext;
    struct crypt_op op = {.key = &f->key,
                          .src = payload,
                          .dst = f->bytes[i] + HDR_LEN,
                          .index = f->next,
                          .ssrc = SSRC_IN,
                          .hdr_len = HDR_LEN,
                          .len = (uint16_t)(f->size - HDR_LEN)};

    rtp_write(&w, &hdr);
    ext = rtp_ext_begin(&w, false);
    rtp_ext_put(&ext, EID_MID, "0", 1);
    rtp_ext_finish(&ext);
    (void)crypt_protect_burst(f->publisher, &op, 1);
    f->packets[i] = (struct port_mem_packet){
        .data = f->bytes[i],
        .len = (uint16_t)(f->size + crypt_tag_len(CRYPT_AEAD_AES_128_GCM)),
        .path = peer_path(f, 0)};
    f->next++;
}

/* ---- a round ---- */

/* Lanes touch nothing meanwhile. */
static void hold(struct flow *f)
{
    const struct timespec moment = {.tv_nsec = LOOK_NS};

    for (unsigned i = 0; i < f->n_lanes; i++) {
        atomic_store(&f->loops[i]->state, LOOP_HOLD);
        loop_wake(f->loops[i]);
        while (!atomic_load(&f->loops[i]->held)) {
            (void)nanosleep(&moment, NULL);
        }
    }
}

/* Nobody here sends checks, and on a busy machine a run outlasts the 30 s of a consent. */
static void renew_consent(struct flow *f)
{
    uint64_t now_us = number_clock_ns(CLOCK_MONOTONIC) / 1000;

    for (uint32_t i = 0; i <= f->n_subs; i++) {
        if (f->shared.vault.peers[i].live.last_check_us != 0) {
            f->shared.vault.peers[i].live.last_check_us = now_us;
        }
    }
}

/* Returns when they turn again. */
static void go_on(struct flow *f)
{
    const struct timespec moment = {.tv_nsec = LOOK_NS};

    for (unsigned i = 0; i < f->n_lanes; i++) {
        atomic_store(&f->loops[i]->state, LOOP_RUN);
        while (atomic_load(&f->loops[i]->held)) {
            (void)nanosleep(&moment, NULL);
        }
    }
    (void)nanosleep(&moment, NULL); /* what a pause has made cold is warm again */
}

static void let_in(struct flow *f, unsigned n)
{
    port_mem_allow(f->io, 0, 0, n);
    loop_wake(f->loops[0]);
}

/* Returns false if time was up. */
static bool feed_as_they_take(struct flow *f, unsigned n, uint64_t until_ns)
{
    /* no oftener: this thread wakes up on the CPU of a lane */
    const struct timespec moment = {
        .tv_nsec = FED_LOOK_NS * (long)least(f->n_subs, FED_LOOKS_MOST)};
    uint64_t done;

    while ((done = finished(f)) < n) {
        let_in(f, done + WINDOW < n ? (unsigned)done + WINDOW : n);
        if (number_clock_ns(CLOCK_MONOTONIC) > until_ns) {
            return false;
        }
        (void)nanosleep(&moment, NULL);
    }
    return true;
}

/* This thread spins: it is the clock. */
static bool feed_by_time(struct flow *f, unsigned n, double every_ns, uint64_t until_ns,
                         double *feed_ns)
{
    uint64_t began_ns = number_clock_ns(CLOCK_MONOTONIC);

    for (unsigned i = 0; i < n; i++) {
        uint64_t due_ns = began_ns + (uint64_t)(every_ns * i);

        while (number_clock_ns(CLOCK_MONOTONIC) < due_ns) {
        }
        f->there_ns[i] = number_clock_ns(CLOCK_MONOTONIC);
        port_mem_allow(f->io, 0, 0, i + 1);
        if (!f->busy) {
            loop_wake(f->loops[0]);
        }
    }
    *feed_ns = (double)(number_clock_ns(CLOCK_MONOTONIC) - began_ns);
    while (finished(f) < n) {
        if (number_clock_ns(CLOCK_MONOTONIC) > until_ns) {
            return false;
        }
    }
    return true;
}

static void cpu_of_lanes(const struct flow *f, double out[FLOW_LANES])
{
    for (unsigned i = 0; i < f->n_lanes; i++) {
        clockid_t clock;

        out[i] = pthread_getcpuclockid(f->threads[i], &clock) == 0 ? (double)number_clock_ns(clock)
                                                                   : 0;
    }
}

int flow_round(struct flow *f, unsigned n_packets, double every_ns, double *delays_ns,
               struct flow_result *out, char *err, size_t err_cap)
{
    double before[FLOW_LANES] = {0};
    double clock_ns;
    uint64_t began_ns;
    uint64_t until_ns;
    bool done;

    *out = (struct flow_result){0};
    hold(f);
    renew_consent(f);
    for (unsigned i = 0; i < n_packets; i++) {
        write_packet(f, i);
    }
    for (unsigned i = 0; i < f->n_lanes; i++) {
        atomic_store(&f->lanes[i].sent, 0);
        memset(f->lanes[i].got, 0, sizeof(f->lanes[i].got));
    }
    f->n_delays = 0;
    f->delays_ns = delays_ns;
    port_mem_inject(f->io, 0, 0, f->packets, 0); /* nothing is let in yet */
    go_on(f);
    cpu_of_lanes(f, before);
    clock_ns = (double)number_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    began_ns = number_clock_ns(CLOCK_MONOTONIC);
    until_ns = began_ns + PATIENCE_S * UINT64_C(1000000000);
    done = every_ns > 0 ? feed_by_time(f, n_packets, every_ns, until_ns, &out->feed_ns)
                        : feed_as_they_take(f, n_packets, until_ns);
    out->wall_ns = (double)(number_clock_ns(CLOCK_MONOTONIC) - began_ns);
    cpu_of_lanes(f, out->lane_ns);
    for (unsigned i = 0; i < f->n_lanes; i++) {
        out->lane_ns[i] -= before[i];
        out->forwards += atomic_load(&f->lanes[i].sent);
    }
    if (every_ns > 0) {
        clock_ns = (double)number_clock_ns(CLOCK_THREAD_CPUTIME_ID) - clock_ns;
        if (f->busy && out->lane_ns[0] < clock_ns) {
            clock_ns = out->lane_ns[0];
        }
        out->away_ns = out->wall_ns - clock_ns;
    }
    if (!done || out->forwards != (uint64_t)n_packets * f->n_subs) {
        (void)snprintf(err, err_cap, "%llu packets left, not %llu: no numbers",
                       (unsigned long long)out->forwards,
                       (unsigned long long)n_packets * f->n_subs);
        return -EIO;
    }
    for (unsigned i = 0; i < f->n_subs; i++) {
        uint32_t got = 0;

        for (unsigned lane = 0; lane < f->n_lanes; lane++) {
            got += f->lanes[lane].got[i];
        }
        if (got != n_packets) {
            (void)snprintf(err, err_cap, "subscriber %u got %u packets, not %u: no numbers",
                           i, got, n_packets);
            return -EIO;
        }
    }
    return 0;
}

int flow_last_copy(struct flow *f, double *last_ns, char *err, size_t err_cap)
{
    struct flow_result unused;
    int e;

    f->last_ns = last_ns;
    e = flow_round(f, 1, 1, NULL, &unused, err, err_cap);
    f->last_ns = NULL;
    return e;
}
