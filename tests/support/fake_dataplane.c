#include "support/fake_dataplane.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/fake_book.h"

enum { MAX_LOG = 65536, MAX_EVENTS = 256 };

struct lane_view {
    struct abi_lane *lane;
    struct ring_view cmd, evt, punt_in, punt_out, captured;
    int doorbell;
};

struct fake_dp {
    struct fake_dp_conf conf;
    struct sockaddr_un addr;
    pthread_t thread;
    int listener, control, ctl_bell, kick; /* kick: the test wakes the thread */
    int shm_fd, vault_fd, streams_fd;
    void *streams;
    size_t streams_len;
    uint8_t *shm;
    size_t shm_len, vault_len;
    void *vault_mem;
    struct vault vault;
    struct abi_layout layout;
    struct lane_view lanes[ABI_MAX_LANES];
    pthread_mutex_t lock; /* of what follows */
    bool stop, hold, hang_up;
    int fail[N_ABI_OPS];
    struct fake_dp_cmd log[MAX_LOG];
    size_t n_log;
    struct fake_book book;
    struct abi_evt events[MAX_EVENTS];
    size_t n_events;
};

static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        abort();
    }
}

/* ---- the memory ---- */

static void *new_memfd(const char *name, size_t len, bool seal, int *fd)
{
    void *mem;

    *fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    must(*fd >= 0 && ftruncate(*fd, (off_t)len) == 0, "memfd");
    must(!seal || fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0, "seal");
    mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    must(mem != MAP_FAILED, "mmap");
    return mem;
}

static struct ring_view new_ring(uint8_t *at, uint32_t slots, size_t size)
{
    ring_init(at, slots, (uint32_t)size);
    return ring_view_of(at, slots, (uint32_t)size);
}

static void fill_header(struct fake_dp *dp)
{
    struct abi_shm *shm = (struct abi_shm *)(void *)dp->shm;
    struct abi_device *device = &shm->devices[0];

    *shm = (struct abi_shm){.magic = ABI_MAGIC,
                            .version = ABI_VERSION,
                            .sizes = abi_sizes_here(),
                            .n_lanes = dp->conf.n_lanes,
                            .n_devices = 1,
                            .n_peers = dp->conf.n_peers,
                            .n_streams = dp->conf.n_streams,
                            .n_subs = dp->conf.n_subs,
                            .pid = (uint32_t)getpid(),
                            .bytes = dp->layout.bytes,
                            .n_drops = 2,
                            .n_dones = 1,
                            .cycles_per_s = UINT64_C(2000000000),
                            .trace_every = 64,
                            .n_traces = 2,
                            .backend = "fake",
                            .drop_names = {"empty", "auth"},
                            .done_names = {"ingested"},
                            .trace_names = {"rx", "tx"}};
    *device =
        (struct abi_device){.kind = "udp", .port = 7000, .preference = 1000, .n_addrs = 2};
    path_map_v4(device->addrs[0].ip, (const uint8_t[]){127, 0, 0, 1});
    path_map_v4(device->addrs[0].public_ip, (const uint8_t[]){192, 0, 2, 7});
    device->addrs[0].public_port = 7100;
    device->addrs[0].family = 4;
    device->addrs[1].ip[0] = 0xfd;
    device->addrs[1].ip[15] = 1;
    memcpy(device->addrs[1].public_ip, device->addrs[1].ip, 16);
    device->addrs[1].public_port = 7000;
    device->addrs[1].family = 6;
}

static void spoil(struct fake_dp *dp)
{
    struct abi_shm *shm = (struct abi_shm *)(void *)dp->shm;

    switch (dp->conf.flaw) {
    case FAKE_DP_OTHER_SIZES:
        shm->sizes.vault_sub++;
        break;
    case FAKE_DP_HUGE_COUNTS:
        shm->n_subs = UINT32_MAX;
        break;
    case FAKE_DP_SHORT_MEMORY:
        shm->n_subs += 1000;
        break;
    case FAKE_DP_BAD_RING:
        dp->lanes[0].evt.ring->slot_size = 8;
        break;
    case FAKE_DP_BAD_DEVICE:
        shm->devices[0].n_addrs = ABI_MAX_ADDRS + 1;
        break;
    case FAKE_DP_BAD_VAULT:
        dp->vault.header->n_peers++;
        break;
    default:
        break;
    }
}

static void make_memory(struct fake_dp *dp)
{
    const struct fake_dp_conf *c = &dp->conf;
    bool seal = c->flaw != FAKE_DP_UNSEALED;

    dp->layout = abi_layout(c->n_lanes, c->n_peers, c->n_streams, c->n_subs);
    dp->shm_len = dp->layout.bytes;
    dp->shm = new_memfd("contract", dp->shm_len, seal, &dp->shm_fd);
    for (uint32_t i = 0; i < c->n_lanes; i++) {
        struct lane_view *v = &dp->lanes[i];

        v->lane = (struct abi_lane *)(void *)(dp->shm + dp->layout.lane[i]);
        v->cmd =
            new_ring(dp->shm + dp->layout.cmd[i], ABI_CMD_SLOTS, sizeof(struct abi_cmd));
        v->evt =
            new_ring(dp->shm + dp->layout.evt[i], ABI_EVT_SLOTS, sizeof(struct abi_evt));
        v->punt_in = new_ring(dp->shm + dp->layout.punt_in[i], ABI_PUNT_SLOTS,
                              sizeof(struct abi_datagram));
        v->punt_out = new_ring(dp->shm + dp->layout.punt_out[i], ABI_PUNT_SLOTS,
                               sizeof(struct abi_datagram));
        v->captured = new_ring(dp->shm + dp->layout.captured[i], ABI_CAPTURE_SLOTS,
                               sizeof(struct abi_captured));
        v->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        must(v->doorbell >= 0, "eventfd");
    }
    fill_header(dp);
    dp->streams_len = (size_t)tap_blocks_at(c->n_streams) + FAKE_DP_BLOCKS;
    dp->streams = new_memfd("streams", dp->streams_len, true, &dp->streams_fd);
    *(struct tap_header *)dp->streams =
        (struct tap_header){.magic = TAP_MAGIC,
                            .version = TAP_VERSION,
                            .tap_size = sizeof(struct tap),
                            .slot_size = sizeof(struct tap_slot),
                            .n_taps = c->n_streams,
                            .blocks_at = tap_blocks_at(c->n_streams),
                            .bytes = dp->streams_len};
    dp->vault_len = vault_layout(c->n_peers, c->n_streams, c->n_subs).bytes;
    dp->vault_mem = new_memfd("vault", dp->vault_len, seal, &dp->vault_fd);
    dp->vault = vault_view(dp->vault_mem, c->n_peers, c->n_streams, c->n_subs);
    *dp->vault.header = (struct vault_header){.magic = VAULT_MAGIC,
                                              .version = VAULT_VERSION,
                                              .n_peers = c->n_peers,
                                              .n_streams = c->n_streams,
                                              .n_subs = c->n_subs,
                                              .bytes = dp->vault_len};
    spoil(dp);
}

/* ---- the thread ---- */

static void wake_control(struct fake_dp *dp)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (abi_take_sleeper(&dp->lanes[0].lane->ctl_sleeping)) {
        (void)eventfd_write(dp->ctl_bell, 1);
    }
}

static bool put_event(struct fake_dp *dp, uint32_t lane, const struct abi_evt *evt)
{
    struct abi_evt *slot = ring_reserve(&dp->lanes[lane].evt);

    if (slot == NULL) {
        return false;
    }
    *slot = *evt;
    ring_commit(&dp->lanes[lane].evt);
    return true;
}

/* Serves the rings; true if there was anything to do. The lock is held. */
static bool serve(struct fake_dp *dp)
{
    bool any = false;

    for (uint32_t i = 0; i < dp->conf.n_lanes; i++) {
        const struct abi_cmd *slot;

        while (!dp->hold && (slot = ring_peek(&dp->lanes[i].cmd)) != NULL &&
               ring_reserve(&dp->lanes[i].evt) != NULL) {
            struct abi_cmd cmd = *slot;
            struct abi_evt evt = {.kind = ABI_EVT_ANSWER, .cookie = cmd.cookie};

            ring_release(&dp->lanes[i].cmd);
            evt.status = cmd.op < N_ABI_OPS && dp->fail[cmd.op] != 0
                             ? dp->fail[cmd.op]
                             : fake_book_do(&dp->book, &cmd);
            if (dp->n_log < MAX_LOG) {
                dp->log[dp->n_log++] = (struct fake_dp_cmd){
                    .op = cmd.op, .arg = cmd.arg, .status = evt.status, .handle = cmd.handle};
            }
            (void)put_event(dp, i, &evt);
            any = true;
        }
    }
    for (size_t i = 0; i < dp->n_events; i++) {
        any = put_event(dp, 0, &dp->events[i]) || any;
    }
    dp->n_events = 0;
    if (any) {
        wake_control(dp);
    }
    return any;
}

static void set_sleeping(struct fake_dp *dp, uint32_t sleeping)
{
    for (uint32_t i = 0; i < dp->conf.n_lanes; i++) {
        atomic_store_explicit(&dp->lanes[i].lane->dp_sleeping, sleeping,
                              memory_order_relaxed);
    }
    atomic_thread_fence(memory_order_seq_cst);
}

static void welcome(struct fake_dp *dp, int fd)
{
    struct abi_welcome w = {.magic = ABI_MAGIC,
                            .version = ABI_VERSION,
                            .pid = (uint32_t)getpid(),
                            .n_lanes = dp->conf.n_lanes};
    int fds[ABI_FIXED_FDS + ABI_MAX_LANES] = {dp->shm_fd, dp->vault_fd, dp->streams_fd,
                                              dp->ctl_bell};
    size_t n = ABI_FIXED_FDS + dp->conf.n_lanes;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(fds))];
    } control = {.bytes = {0}};
    struct iovec iov = {.iov_base = &w, .iov_len = sizeof(w)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
    struct cmsghdr *c;

    for (uint32_t i = 0; i < dp->conf.n_lanes; i++) {
        fds[ABI_FIXED_FDS + i] = dp->lanes[i].doorbell;
    }
    switch (dp->conf.flaw) {
    case FAKE_DP_BUSY:
        w.status = -EBUSY;
        (void)snprintf(w.reason, sizeof(w.reason), "another control is attached");
        break;
    case FAKE_DP_OTHER_VERSION:
        w.version++;
        break;
    case FAKE_DP_OTHER_MAGIC:
        w.magic++;
        break;
    case FAKE_DP_SHORT_WELCOME:
        iov.iov_len -= 8;
        break;
    case FAKE_DP_FEW_FDS:
        n--;
        break;
    default:
        break;
    }
    msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
    c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    (void)sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static void accept_control(struct fake_dp *dp)
{
    int fd = accept4(dp->listener, NULL, NULL, SOCK_CLOEXEC);
    struct abi_hello hello;

    if (fd < 0) {
        return;
    }
    if (dp->control >= 0 || dp->conf.flaw == FAKE_DP_MUTE) {
        if (dp->conf.flaw != FAKE_DP_MUTE) {
            (void)close(fd);
        } else {
            dp->control = fd;
        }
        return;
    }
    must(recv(fd, &hello, sizeof(hello), 0) == (ssize_t)sizeof(hello), "hello");
    must(hello.magic == ABI_MAGIC && hello.version == ABI_VERSION, "hello's contents");
    dp->control = fd;
    welcome(dp, fd);
}

static void *fake_main(void *arg)
{
    struct fake_dp *dp = arg;

    (void)pthread_mutex_lock(&dp->lock);
    while (!dp->stop) {
        struct pollfd fds[3 + ABI_MAX_LANES];
        nfds_t n = 3;
        uint64_t sink;
        char byte;

        if (dp->hang_up && dp->control >= 0) {
            (void)close(dp->control);
            dp->control = -1;
        }
        dp->hang_up = false;
        set_sleeping(dp, 0);
        while (serve(dp)) {
        }
        set_sleeping(dp, 1);
        if (serve(dp)) {
            continue;
        }
        fds[0] = (struct pollfd){.fd = dp->listener, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = dp->kick, .events = POLLIN};
        fds[2] = (struct pollfd){.fd = dp->control, .events = POLLIN};
        for (uint32_t i = 0; i < dp->conf.n_lanes; i++) {
            fds[n++] = (struct pollfd){.fd = dp->lanes[i].doorbell, .events = POLLIN};
        }
        (void)pthread_mutex_unlock(&dp->lock);
        (void)poll(fds, n, -1);
        (void)pthread_mutex_lock(&dp->lock);
        for (nfds_t i = 3; i < n; i++) {
            (void)!read(fds[i].fd, &sink, sizeof(sink));
        }
        (void)!read(dp->kick, &sink, sizeof(sink));
        if (dp->control >= 0 && fds[2].revents != 0 &&
            recv(dp->control, &byte, 1, MSG_DONTWAIT) == 0) {
            (void)close(dp->control);
            dp->control = -1;
        }
        if ((fds[0].revents & POLLIN) != 0) {
            accept_control(dp);
        }
    }
    (void)pthread_mutex_unlock(&dp->lock);
    return NULL;
}

/* ---- what the test calls ---- */

struct fake_dp *fake_dp_start(const struct fake_dp_conf *conf)
{
    struct fake_dp *dp = calloc(1, sizeof(*dp));

    must(dp != NULL, "memory");
    dp->conf = *conf;
    dp->conf.n_lanes = conf->n_lanes != 0 ? conf->n_lanes : 1;
    dp->conf.n_peers = conf->n_peers != 0 ? conf->n_peers : 8;
    dp->conf.n_streams = conf->n_streams != 0 ? conf->n_streams : 8;
    dp->conf.n_subs = conf->n_subs != 0 ? conf->n_subs : 16;
    must(dp->conf.n_peers <= FAKE_BOOK_MAX && dp->conf.n_streams <= FAKE_BOOK_MAX &&
             dp->conf.n_subs <= FAKE_BOOK_MAX,
         "capacity");
    (void)pthread_mutex_init(&dp->lock, NULL);
    dp->control = -1;
    dp->ctl_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    dp->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    must(dp->ctl_bell >= 0 && dp->kick >= 0, "eventfd");
    make_memory(dp);
    dp->book.vault = &dp->vault;
    dp->addr.sun_family = AF_UNIX;
    (void)snprintf(dp->addr.sun_path, sizeof(dp->addr.sun_path), "%s", conf->socket);
    (void)unlink(conf->socket);
    dp->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    must(dp->listener >= 0 &&
             bind(dp->listener, (struct sockaddr *)&dp->addr, sizeof(dp->addr)) == 0 &&
             listen(dp->listener, 4) == 0,
         "listen");
    must(pthread_create(&dp->thread, NULL, fake_main, dp) == 0, "thread");
    return dp;
}

static void kick(struct fake_dp *dp)
{
    (void)pthread_mutex_unlock(&dp->lock);
    (void)eventfd_write(dp->kick, 1);
}

void fake_dp_kill(struct fake_dp *dp)
{
    if (dp == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&dp->lock);
    dp->stop = true;
    kick(dp);
    (void)pthread_join(dp->thread, NULL);
    (void)unlink(dp->addr.sun_path);
    (void)close(dp->listener);
    if (dp->control >= 0) {
        (void)close(dp->control);
    }
    (void)close(dp->ctl_bell);
    (void)close(dp->kick);
    (void)close(dp->shm_fd);
    (void)close(dp->vault_fd);
    (void)close(dp->streams_fd);
    for (uint32_t i = 0; i < dp->conf.n_lanes; i++) {
        (void)close(dp->lanes[i].doorbell);
    }
    (void)munmap(dp->shm, dp->shm_len);
    (void)munmap(dp->vault_mem, dp->vault_len);
    (void)munmap(dp->streams, dp->streams_len);
    (void)pthread_mutex_destroy(&dp->lock);
    free(dp);
}

void fake_dp_hang_up(struct fake_dp *dp)
{
    (void)pthread_mutex_lock(&dp->lock);
    dp->hang_up = true;
    kick(dp);
}

void fake_dp_hold(struct fake_dp *dp, bool hold)
{
    (void)pthread_mutex_lock(&dp->lock);
    dp->hold = hold;
    kick(dp);
}

void fake_dp_fail(struct fake_dp *dp, enum abi_op op, int status)
{
    (void)pthread_mutex_lock(&dp->lock);
    dp->fail[op] = status;
    (void)pthread_mutex_unlock(&dp->lock);
}

size_t fake_dp_n_cmds(struct fake_dp *dp)
{
    size_t n;

    (void)pthread_mutex_lock(&dp->lock);
    n = dp->n_log;
    (void)pthread_mutex_unlock(&dp->lock);
    return n;
}

struct fake_dp_cmd fake_dp_cmd(struct fake_dp *dp, size_t i)
{
    struct fake_dp_cmd cmd;

    (void)pthread_mutex_lock(&dp->lock);
    must(i < dp->n_log, "command");
    cmd = dp->log[i];
    (void)pthread_mutex_unlock(&dp->lock);
    return cmd;
}

unsigned fake_dp_n_open(struct fake_dp *dp, char kind)
{
    unsigned n;

    (void)pthread_mutex_lock(&dp->lock);
    n = dp->book.n_open[kind == 'p' ? 0 : kind == 's' ? 1 : 2];
    (void)pthread_mutex_unlock(&dp->lock);
    return n;
}

void fake_dp_event(struct fake_dp *dp, const struct abi_evt *evt)
{
    (void)pthread_mutex_lock(&dp->lock);
    must(dp->n_events < MAX_EVENTS, "events");
    dp->events[dp->n_events++] = *evt;
    kick(dp);
}

bool fake_dp_punt(struct fake_dp *dp, const struct abi_datagram *datagram)
{
    struct abi_datagram *slot = ring_reserve(&dp->lanes[0].punt_in);

    if (slot == NULL) {
        return false;
    }
    *slot = *datagram;
    ring_commit(&dp->lanes[0].punt_in);
    wake_control(dp);
    return true;
}

bool fake_dp_capture(struct fake_dp *dp, const struct abi_captured *packet)
{
    struct abi_captured *slot = ring_reserve(&dp->lanes[0].captured);

    if (slot == NULL) {
        return false;
    }
    *slot = *packet;
    ring_commit(&dp->lanes[0].captured);
    wake_control(dp);
    return true;
}

bool fake_dp_take_sent(struct fake_dp *dp, struct abi_datagram *out)
{
    const struct abi_datagram *slot = ring_peek(&dp->lanes[0].punt_out);

    if (slot == NULL) {
        return false;
    }
    *out = *slot;
    ring_release(&dp->lanes[0].punt_out);
    return true;
}

struct vault *fake_dp_vault(struct fake_dp *dp)
{
    return &dp->vault;
}

void *fake_dp_streams(struct fake_dp *dp)
{
    return dp->streams;
}

int fake_dp_vault_fd(struct fake_dp *dp)
{
    int fd = fcntl(dp->vault_fd, F_DUPFD_CLOEXEC, 0);

    must(fd >= 0, "dup");
    return fd;
}

struct abi_lane_trace *fake_dp_lane_trace(struct fake_dp *dp)
{
    return (struct abi_lane_trace *)(void *)(dp->shm + dp->layout.lane_trace[0]);
}

struct abi_lane_stats *fake_dp_lane_stats(struct fake_dp *dp, uint32_t lane)
{
    return (struct abi_lane_stats *)(void *)(dp->shm + dp->layout.lane_stats[lane]);
}

struct abi_peer_stats *fake_dp_peer_stats(struct fake_dp *dp)
{
    return (struct abi_peer_stats *)(void *)(dp->shm + dp->layout.peer_stats);
}

struct abi_stream_stats *fake_dp_stream_stats(struct fake_dp *dp)
{
    return (struct abi_stream_stats *)(void *)(dp->shm + dp->layout.stream_stats);
}

struct abi_sub_stats *fake_dp_sub_stats(struct fake_dp *dp)
{
    return (struct abi_sub_stats *)(void *)(dp->shm + dp->layout.sub_stats);
}
