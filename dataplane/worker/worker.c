/* See worker.h. The calling thread serves the socket; each lane has a thread of its own. */
#include "worker/worker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "worker/attach.h"
#include "worker/command.h"
#include "worker/loop.h"
#include "worker/recover.h"

enum {
    LANE_PATIENCE_US = 2000000, /* without news a lane hangs */
    LOOK_MS = 1000              /* at the devices */
};

struct worker_lane {
    struct loop loop;
    pthread_t thread;
    bool started;
};

struct worker {
    struct worker_conf conf;
    struct io *io;
    struct shared shared;
    struct tables *tables; /* one a lane */
    struct hub hub;        /* if there are several */
    void *memory;          /* of tables and hub */
    size_t memory_bytes;
    struct worker_lane *lanes;
    struct attach attach;
    int control_fd;   /* -1: no control is attached */
    bool had_control; /* since we started: the vault may be in use */
    uint64_t look_us; /* when the devices are looked at next */
    int refusal;      /* why the last control was refused; 0 since one was taken */
    char socket[108];
};

/* What clients are told in place of a local address. */
static void announce(const struct worker_conf *conf, struct abi_addr *addr, uint16_t port)
{
    memcpy(addr->public_ip, addr->ip, sizeof(addr->ip));
    addr->public_port = port;
    for (uint32_t i = 0; i < conf->n_announce; i++) {
        const struct worker_announce *a = &conf->announce[i];

        if (memcmp(a->local_ip, addr->ip, sizeof(addr->ip)) == 0) {
            memcpy(addr->public_ip, a->public_ip, sizeof(addr->ip));
            addr->public_port = a->public_port != 0 ? a->public_port : port;
        }
    }
}

static void publish_devices(struct worker *w)
{
    struct abi_shm *shm = w->shared.shm;

    shm->n_devices = io_n_devices(w->io);
    for (unsigned i = 0; i < shm->n_devices; i++) {
        const struct io_device *from = io_device(w->io, i);
        struct abi_device *to = &shm->devices[i];

        *to = (struct abi_device){.port = from->media_port, .preference = from->preference};
        (void)snprintf(to->kind, sizeof(to->kind), "%s", from->kind);
        (void)snprintf(to->name, sizeof(to->name), "%s", from->name);
        memcpy(to->mac, from->mac, sizeof(to->mac));
        for (uint8_t k = 0; k < from->n_addrs && k < ABI_MAX_ADDRS; k++) {
            to->addrs[k].family = from->addrs[k].family;
            memcpy(to->addrs[k].ip, from->addrs[k].ip, 16);
            announce(&w->conf, &to->addrs[k], from->media_port);
            to->n_addrs++;
        }
    }
    (void)snprintf(shm->devices_note, sizeof(shm->devices_note), "%s", io_choice(w->io));
    (void)snprintf(shm->backend, sizeof(shm->backend), "%s",
                   w->conf.backend == CRYPT_LIBSRTP ? "libsrtp2" : "ipsec_mb");
    shm->cycles_per_s = trace_cycles_per_s();
    shm->trace_every = w->conf.trace_every;
    report_names(shm);
}

/* A fan-out touches a peer, a key and a subscription a packet, each on a page of its own:
 * with small pages their translations do not fit the CPU's. Expanded keys must not reach a
 * core dump. */
void *worker_map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED) {
        return NULL;
    }
    (void)madvise(memory, bytes, MADV_HUGEPAGE);
    (void)madvise(memory, bytes, MADV_DONTDUMP);
    return memory;
}

static int make_tables(struct worker *w, char *err, size_t err_cap)
{
    const struct tables_conf conf = {.n_peers = w->conf.n_peers,
                                     .n_streams = w->conf.n_streams,
                                     .n_subs = w->conf.n_subs,
                                     .n_lanes = w->conf.n_lanes,
                                     .ring_bytes = w->conf.ring_bytes,
                                     .ring_mem = w->shared.streams,
                                     .numa = io_numa(w->io)};
    size_t hub_at = (tables_bytes(&conf) + 63) & ~(size_t)63;
    int e;

    w->memory_bytes = hub_at + (conf.n_lanes > 1 ? hub_bytes(conf.n_lanes) : 0);
    w->memory = worker_map(w->memory_bytes);
    if (w->memory == NULL) {
        (void)snprintf(err, err_cap,
                       "no address space for tables of %zu MiB: lower limits.* "
                       "in the configuration",
                       w->memory_bytes >> 20);
        return -ENOMEM;
    }
    if (conf.n_lanes > 1) {
        hub_init(&w->hub, conf.n_lanes, (uint8_t *)w->memory + hub_at);
    }
    w->tables = calloc(conf.n_lanes, sizeof(*w->tables));
    if (w->tables == NULL) {
        (void)snprintf(err, err_cap, "no memory");
        return -ENOMEM;
    }
    e = tables_init(w->tables, &conf, w->memory, "lanes");
    if (e != 0) {
        (void)snprintf(err, err_cap,
                       "the hash tables do not fit DPDK's memory: lower "
                       "limits.peers or limits.subscriptions");
    }
    return e;
}

static int make_lane(struct worker *w, uint32_t i, char *err, size_t err_cap)
{
    struct loop *loop = &w->lanes[i].loop;
    struct crypt_ctx *crypt;
    int e = crypt_ctx_create(&crypt, w->conf.backend);

    if (e != 0) {
        (void)snprintf(err, err_cap,
                       "the SRTP backend does not start: %s (this CPU may lack "
                       "AES instructions: set crypto.backend to libsrtp2)",
                       strerror(-e));
        return e;
    }
    lane_init(&loop->lane, i, &w->tables[i], crypt, io_pool(w->io), 0);
    loop->lane.hub = w->conf.n_lanes > 1 ? &w->hub : NULL;
    loop->pipe.io = w->io;
    loop->shared = &w->shared;
    loop->mine = &w->shared.lanes[i];
    loop->busy = w->conf.busy;
    if (w->conf.trace_every > 0) {
        loop->pipe.trace.out = loop->mine->trace;
        loop->pipe.trace.every = w->conf.trace_every;
    }
    loop->lane.no_repair = w->conf.no_repair;
    loop->lane.pacer_window_us = w->conf.pacer_window_us;
    loop_init(loop);
    return 0;
}

int worker_create(struct worker **out, const struct worker_conf *conf, struct io *io,
                  char *err, size_t err_cap)
{
    struct worker *w = calloc(1, sizeof(*w));
    int e;

    if (w == NULL ||
        (w->lanes = aligned_alloc(64, conf->n_lanes * sizeof(*w->lanes))) == NULL) {
        free(w);
        (void)snprintf(err, err_cap, "no memory");
        return -ENOMEM;
    }
    memset(w->lanes, 0, conf->n_lanes * sizeof(*w->lanes));
    w->conf = *conf;
    w->io = io;
    w->attach.listen_fd = w->control_fd = -1;
    (void)snprintf(w->socket, sizeof(w->socket), "%s", conf->socket);
    e = shared_init(&w->shared, conf->n_lanes, conf->n_peers, conf->n_streams, conf->n_subs,
                    conf->ring_bytes);
    if (e != 0) {
        (void)snprintf(err, err_cap, "no shared memory for contract, vault and streams: %s",
                       strerror(-e));
        goto fail;
    }
    e = make_tables(w, err, err_cap);
    for (uint32_t i = 0; i < conf->n_lanes && e == 0; i++) {
        e = make_lane(w, i, err, err_cap);
    }
    if (e != 0) {
        goto fail;
    }
    publish_devices(w);
    e = attach_listen(&w->attach, conf->socket, err, err_cap);
    if (e != 0) {
        goto fail;
    }
    *out = w;
    return 0;
fail:
    worker_destroy(w);
    return e;
}

static void *lane_main(void *arg)
{
    struct worker_lane *lane = arg;

    if (io_thread_enter() == 0) {
        loop_run(&lane->loop);
        io_thread_leave();
    }
    return NULL;
}

static int start_lane(struct worker *w, uint32_t i)
{
    struct worker_lane *lane = &w->lanes[i];
    char name[16];
    int e = pthread_create(&lane->thread, NULL, lane_main, lane);

    if (e != 0) {
        return -e;
    }
    lane->started = true;
    (void)snprintf(name, sizeof(name), "kcs-lane-%u", i % 1000);
    (void)pthread_setname_np(lane->thread, name);
    if (i < w->conf.n_cpus) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(w->conf.cpus[i], &set);
        e = pthread_setaffinity_np(lane->thread, sizeof(set), &set);
        if (e != 0) {
            (void)fprintf(stderr, "lane %u cannot run on CPU %u: %s; it runs anywhere\n", i,
                          w->conf.cpus[i], strerror(e));
        }
    }
    return 0;
}

/* Brings all lanes to 'state'; for LOOP_HOLD waits until they hold. */
static void set_lanes(struct worker *w, int state)
{
    const struct timespec moment = {.tv_nsec = 200000};

    for (uint32_t i = 0; i < w->conf.n_lanes; i++) {
        atomic_store(&w->lanes[i].loop.state, state);
        loop_wake(&w->lanes[i].loop);
    }
    for (uint32_t i = 0; i < w->conf.n_lanes; i++) {
        while (state == LOOP_HOLD && w->lanes[i].started &&
               !atomic_load(&w->lanes[i].loop.held)) {
            (void)nanosleep(&moment, NULL);
        }
    }
}

/* Has all lanes, which rest, end what they have for each other. Returns how many there are.
 */
static uint32_t settled_lanes(struct worker *w, struct lane *lanes[WORKER_MAX_LANES])
{
    struct loop *loops[WORKER_MAX_LANES];

    for (uint32_t i = 0; i < w->conf.n_lanes; i++) {
        loops[i] = &w->lanes[i].loop;
        lanes[i] = &loops[i]->lane;
    }
    loop_settle(loops, w->conf.n_lanes);
    return w->conf.n_lanes;
}

static uint64_t monotonic_us(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* If a new control is there: media goes on but for the moment in which rings are emptied
 * and objects are brought in line with the vault (recover.h). */
static void accept_control(struct worker *w)
{
    struct lane *lanes[WORKER_MAX_LANES];
    uint32_t n_lanes;
    uint32_t n_unanswered;
    int vault_fd = -1;
    int fd = attach_accept(&w->attach, w->control_fd >= 0, monotonic_us(), &vault_fd);

    if (fd == -EAGAIN) {
        return;
    }
    if (fd < 0) {
        if (w->refusal != fd) { /* it asks again and again: said once */
            (void)fprintf(stderr, "refused a control: %s\n",
                          fd == -EBUSY ? "another is attached" : strerror(-fd));
        }
        w->refusal = fd;
        return;
    }
    w->refusal = 0;
    set_lanes(w, LOOP_HOLD);
    n_lanes = settled_lanes(w, lanes);
    if (vault_fd >= 0 && w->had_control) {
        (void)close(vault_fd); /* ours is in use; control compares and sees it */
    } else if (vault_fd >= 0 && shared_take_vault(&w->shared, vault_fd) != 0) {
        (void)fprintf(stderr, "the vault that control has kept does not fit: limits "
                              "differ; calls start anew\n");
    }
    n_unanswered = shared_unanswered(&w->shared);
    shared_reset_rings(&w->shared);
    recover_lanes(lanes, n_lanes, w->io, &w->shared.vault, w->shared.vault_fd,
                  monotonic_us());
    w->had_control = true;
    set_lanes(w, LOOP_RUN);
    if (attach_welcome(fd, &w->shared) != 0) {
        (void)close(fd);
        return;
    }
    w->control_fd = fd;
    (void)fprintf(stderr, "control attached; %u commands of the last had no answer\n",
                  n_unanswered);
}

/* A lane that turns has told its counters lately: it does so ten times a second, asleep or
 * not. */
static bool all_turn(const struct worker *w, uint64_t now_us)
{
    for (uint32_t i = 0; i < w->conf.n_lanes; i++) {
        uint64_t told_us =
            __atomic_load_n(&w->lanes[i].loop.mine->stats->updated_us, __ATOMIC_RELAXED);

        if (now_us > told_us && now_us - told_us > LANE_PATIENCE_US) {
            return false;
        }
    }
    return true;
}

/* Tells that all is well, when it is time; 'timeout_ms' (-1: none) is cut to the next. */
static int beat(const struct worker *w, uint64_t *due_us, int timeout_ms)
{
    uint64_t now_us = monotonic_us();
    int left_ms;

    if (w->conf.beat_ms == 0) {
        return timeout_ms;
    }
    if (now_us >= *due_us) {
        if (all_turn(w, now_us)) {
            w->conf.beat();
        }
        *due_us = now_us + w->conf.beat_ms * UINT64_C(1000);
    }
    left_ms = (int)((*due_us - now_us) / 1000) + 1;
    return timeout_ms < 0 || left_ms < timeout_ms ? left_ms : timeout_ms;
}

static void say_state(const struct io_device *device, enum io_state state)
{
    static const char *const words[] = {
        [IO_WORKS] = "it works again",
        [IO_DOWN] = "its interface is down: nothing comes or goes until 'ip link set … up'",
        [IO_GONE] = ("its interface is gone, or our XDP program was taken off it: nothing "
                     "comes or goes until kcs-dataplane is started again")};

    (void)fprintf(stderr, "%s %s: %s\n", device->kind, device->name, words[state]);
}

_Static_assert((int)ABI_DEVICE_DOWN == (int)IO_DOWN && (int)ABI_DEVICE_GONE == (int)IO_GONE,
               "the contract's states are those of io/");

/* Each change of a device's state is said once, and control sees it. */
static void look_at_devices(struct worker *w)
{
    struct abi_shm *shm = w->shared.shm;
    uint64_t now_us = monotonic_us();

    if (now_us < w->look_us) {
        return;
    }
    w->look_us = now_us + LOOK_MS * UINT64_C(1000);
    for (unsigned i = 0; i < io_n_devices(w->io); i++) {
        enum io_state state = io_device_state(w->io, i);

        if (shm->devices[i].state != (uint32_t)state) {
            say_state(io_device(w->io, i), state);
            __atomic_store_n(&shm->devices[i].state, (uint32_t)state, __ATOMIC_RELAXED);
        }
    }
}

static int at_most(int timeout_ms, int most_ms)
{
    return timeout_ms < 0 || timeout_ms > most_ms ? most_ms : timeout_ms;
}

int worker_run(struct worker *w, int stop_fd)
{
    uint64_t beat_us = 0;
    int e = 0;

    for (uint32_t i = 0; i < w->conf.n_lanes && e == 0; i++) {
        e = start_lane(w, i);
    }
    while (e == 0) {
        struct pollfd fds[2 + ATTACH_FDS] = {
            {.fd = stop_fd, .events = POLLIN},
            {.fd = w->control_fd, .events = POLLIN | POLLRDHUP}};
        unsigned n = 2 + attach_fds(&w->attach, fds + 2);

        int timeout_ms =
            beat(w, &beat_us, attach_timeout_ms(&w->attach, monotonic_us()));

        look_at_devices(w);
        if (poll(fds, n, at_most(timeout_ms, LOOK_MS)) < 0) {
            e = errno == EINTR ? 0 : -errno;
            continue;
        }
        if (fds[0].revents != 0) {
            break;
        }
        if (w->control_fd >= 0 && fds[1].revents != 0) {
            (void)close(w->control_fd);
            w->control_fd = -1;
            (void)fprintf(stderr, "control went away; media goes on\n");
        }
        accept_control(w);
    }
    return e;
}

void worker_destroy(struct worker *w)
{
    struct lane *lanes[WORKER_MAX_LANES];
    uint32_t n_ran = 0;

    if (w == NULL) {
        return;
    }
    for (uint32_t i = 0; i < w->conf.n_lanes; i++) {
        struct worker_lane *lane = &w->lanes[i];

        if (lane->started) {
            atomic_store(&lane->loop.state, LOOP_STOP);
            loop_wake(&lane->loop);
            (void)pthread_join(lane->thread, NULL);
            n_ran++;
        }
    }
    if (n_ran > 0) {
        command_close_lanes(lanes, settled_lanes(w, lanes));
    }
    for (uint32_t i = 0; i < w->conf.n_lanes; i++) {
        crypt_ctx_destroy(w->lanes[i].loop.lane.crypt);
    }
    if (w->attach.listen_fd >= 0) {
        attach_close(&w->attach);
        (void)unlink(w->socket);
    }
    if (w->tables != NULL) {
        tables_fini(w->tables);
        free(w->tables);
    }
    if (w->memory != NULL) {
        (void)munmap(w->memory, w->memory_bytes);
    }
    /* a control that stays keeps the vault for our successor */
    shared_fini(&w->shared, w->control_fd >= 0 && attach_stays(w->control_fd));
    if (w->control_fd >= 0) {
        (void)close(w->control_fd);
    }
    free(w->lanes);
    free(w);
}
