/* The dataplane's side of the contract without a thread, for targets that fuzz control:
 * memory, rings and the attach socket, served when it is told. Its memory is to be spoilt
 * at will. */
#ifndef TESTS_FUZZ_PLANE_H
#define TESTS_FUZZ_PLANE_H

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"

#include "sfu/abi/abi.h"
#include "support/fake_book.h"

enum { PLANE_PEERS = 16, PLANE_STREAMS = 16, PLANE_SUBS = 32, PLANE_LANES = 1 };

struct plane {
    int sock; /* to control; -1 none */
    int shm_fd, vault_fd, streams_fd, ctl_bell, lane_bell;
    uint8_t *shm;
    void *vault_mem;
    size_t shm_len, vault_len;
    struct vault vault;
    struct ring_view cmd, evt, punt_in, punt_out, captured;
    struct abi_welcome welcome; /* what is sent */
    size_t welcome_len, n_fds;
    int free_fd; /* the lowest that was free: it must be again */
    struct fake_book book;
};

/* ---- the socket: one a process, removed at its end ---- */

static char plane_dir[32];
static char plane_path[64];

static inline void plane_remove(void)
{
    (void)unlink(plane_path);
    (void)rmdir(plane_dir);
}

/* The listening socket, made on the first call. */
static inline int plane_listen(void)
{
    static int listener = -1;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    if (listener < 0) {
        (void)snprintf(plane_dir, sizeof(plane_dir), "/tmp/kcs_fuzz_XXXXXX");
        FUZZ_CHECK(mkdtemp(plane_dir) != NULL);
        (void)snprintf(plane_path, sizeof(plane_path), "%s/dp.sock", plane_dir);
        (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", plane_path);
        listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        FUZZ_CHECK(listener >= 0 &&
                   bind(listener, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
                   listen(listener, 8) == 0 && atexit(plane_remove) == 0);
    }
    return listener;
}

/* ---- the memory ---- */

static inline void *plane_memfd(size_t len, int *fd)
{
    void *mem;

    *fd = memfd_create("plane", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    FUZZ_CHECK(*fd >= 0 && ftruncate(*fd, (off_t)len) == 0);
    FUZZ_CHECK(fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
    mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    FUZZ_CHECK(mem != MAP_FAILED);
    return mem;
}

static inline struct ring_view plane_ring(uint8_t *at, uint32_t slots, size_t size)
{
    ring_init(at, slots, (uint32_t)size);
    return ring_view_of(at, slots, (uint32_t)size);
}

static inline int plane_free_fd(void)
{
    int fd = dup(STDERR_FILENO);

    FUZZ_CHECK(fd >= 0 && close(fd) == 0);
    return fd;
}

/* Makes memory that control would accept; 'plane' is overwritten. */
static inline void plane_open(struct plane *plane)
{
    struct abi_layout l = abi_layout(PLANE_LANES, PLANE_PEERS, PLANE_STREAMS, PLANE_SUBS);
    struct abi_shm *shm;

    (void)plane_listen();
    memset(plane, 0, sizeof(*plane));
    plane->free_fd = plane_free_fd();
    plane->sock = -1;
    plane->shm_len = l.bytes;
    plane->vault_len = vault_layout(PLANE_PEERS, PLANE_STREAMS, PLANE_SUBS).bytes;
    plane->shm = plane_memfd(plane->shm_len, &plane->shm_fd);
    plane->vault_mem = plane_memfd(plane->vault_len, &plane->vault_fd);
    plane->streams_fd = memfd_create("streams", MFD_CLOEXEC); /* nobody looks into it */
    plane->ctl_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    plane->lane_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    FUZZ_CHECK(plane->streams_fd >= 0 && plane->ctl_bell >= 0 && plane->lane_bell >= 0);
    plane->cmd = plane_ring(plane->shm + l.cmd[0], ABI_CMD_SLOTS, sizeof(struct abi_cmd));
    plane->evt = plane_ring(plane->shm + l.evt[0], ABI_EVT_SLOTS, sizeof(struct abi_evt));
    plane->punt_in =
        plane_ring(plane->shm + l.punt_in[0], ABI_PUNT_SLOTS, sizeof(struct abi_datagram));
    plane->punt_out =
        plane_ring(plane->shm + l.punt_out[0], ABI_PUNT_SLOTS, sizeof(struct abi_datagram));
    plane->captured = plane_ring(plane->shm + l.captured[0], ABI_CAPTURE_SLOTS,
                                 sizeof(struct abi_captured));
    shm = (struct abi_shm *)(void *)plane->shm;
    *shm = (struct abi_shm){.magic = ABI_MAGIC,
                            .version = ABI_VERSION,
                            .sizes = abi_sizes_here(),
                            .n_lanes = PLANE_LANES,
                            .n_devices = 1,
                            .n_peers = PLANE_PEERS,
                            .n_streams = PLANE_STREAMS,
                            .n_subs = PLANE_SUBS,
                            .pid = (uint32_t)getpid(),
                            .bytes = plane->shm_len,
                            .n_drops = 1,
                            .n_dones = 1,
                            .cycles_per_s = UINT64_C(2000000000),
                            .backend = "none"};
    shm->devices[0] =
        (struct abi_device){.kind = "udp", .port = 7000, .preference = 1000, .n_addrs = 1};
    path_map_v4(shm->devices[0].addrs[0].ip, (const uint8_t[]){127, 0, 0, 1});
    path_map_v4(shm->devices[0].addrs[0].public_ip, (const uint8_t[]){127, 0, 0, 1});
    shm->devices[0].addrs[0].public_port = 7000;
    shm->devices[0].addrs[0].family = 4;
    plane->vault = vault_view(plane->vault_mem, PLANE_PEERS, PLANE_STREAMS, PLANE_SUBS);
    *plane->vault.header = (struct vault_header){.magic = VAULT_MAGIC,
                                                 .version = VAULT_VERSION,
                                                 .n_peers = PLANE_PEERS,
                                                 .n_streams = PLANE_STREAMS,
                                                 .n_subs = PLANE_SUBS,
                                                 .bytes = plane->vault_len};
    plane->book.vault = &plane->vault;
    plane->welcome = (struct abi_welcome){.magic = ABI_MAGIC,
                                          .version = ABI_VERSION,
                                          .pid = (uint32_t)getpid(),
                                          .n_lanes = PLANE_LANES};
    plane->welcome_len = sizeof(plane->welcome);
    plane->n_fds = ABI_FIXED_FDS + PLANE_LANES;
}

static inline void plane_close(struct plane *plane)
{
    int late;

    if (plane->sock >= 0) {
        (void)close(plane->sock);
    }
    /* control may have tried again meanwhile */
    while ((late = accept4(plane_listen(), NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        (void)close(late);
    }
    (void)munmap(plane->shm, plane->shm_len);
    (void)munmap(plane->vault_mem, plane->vault_len);
    (void)close(plane->shm_fd);
    (void)close(plane->vault_fd);
    (void)close(plane->streams_fd);
    (void)close(plane->ctl_bell);
    (void)close(plane->lane_bell);
    FUZZ_CHECK(plane_free_fd() == plane->free_fd); /* control has closed what it was sent */
}

/* Accepts control, which must have begun to connect, and sends the welcome. Returns false
 * if control has given up, before or after its greeting. */
static inline bool plane_welcome(struct plane *plane)
{
    int fds[8] = {plane->shm_fd,    plane->vault_fd,  plane->streams_fd, plane->ctl_bell,
                  plane->lane_bell, plane->lane_bell, plane->lane_bell,  plane->lane_bell};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(fds))];
    } control = {.bytes = {0}};
    struct iovec iov = {.iov_base = &plane->welcome, .iov_len = plane->welcome_len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    struct abi_hello hello;
    struct cmsghdr *c;

    plane->sock = accept4(plane_listen(), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    FUZZ_CHECK(plane->sock >= 0);
    if (recv(plane->sock, &hello, sizeof(hello), 0) != (ssize_t)sizeof(hello)) {
        (void)close(plane->sock);
        plane->sock = -1;
        return false;
    }
    if (plane->n_fds > 0) {
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(plane->n_fds * sizeof(int));
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(plane->n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, plane->n_fds * sizeof(int));
    }
    if (sendmsg(plane->sock, &msg, MSG_NOSIGNAL) < 0) {
        FUZZ_CHECK(errno == EPIPE || errno == ECONNRESET);
        (void)close(plane->sock);
        plane->sock = -1;
        return false;
    }
    return true;
}

static inline void plane_ring_bell(const struct plane *plane)
{
    (void)eventfd_write(plane->ctl_bell, 1);
}

/* Puts an event into the ring, if there is room. */
static inline void plane_event(const struct plane *plane, const void *evt)
{
    void *slot = ring_reserve(&plane->evt);

    if (slot != NULL) {
        memcpy(slot, evt, sizeof(struct abi_evt));
        ring_commit(&plane->evt);
    }
}

static inline void plane_punt(const struct plane *plane,
                              const struct abi_datagram *datagram)
{
    void *slot = ring_reserve(&plane->punt_in);

    if (slot != NULL) {
        memcpy(slot, datagram, sizeof(*datagram));
        ring_commit(&plane->punt_in);
    }
}

/* Answers at most a ring of commands as the book says, but refuses those of the kind 'fail'
 * (0: none), unless it is a CLOSE: who refuses that keeps the object. Returns whether there
 * were any. */
static inline bool plane_serve(struct plane *plane, uint32_t fail)
{
    bool close = fail == ABI_OP_PEER_CLOSE || fail == ABI_OP_STREAM_CLOSE ||
                 fail == ABI_OP_SUB_CLOSE;
    unsigned n = 0;

    for (; n < ABI_CMD_SLOTS; n++) {
        const struct abi_cmd *slot = ring_peek(&plane->cmd);
        struct abi_evt evt = {.kind = ABI_EVT_ANSWER};
        struct abi_cmd cmd;

        if (slot == NULL) {
            break;
        }
        cmd = *slot;
        ring_release(&plane->cmd);
        evt.cookie = cmd.cookie;
        evt.handle = cmd.handle;
        evt.status = cmd.op == fail && fail != 0 && !close
                         ? -EINVAL
                         : fake_book_do(&plane->book, &cmd);
        plane_event(plane, &evt);
    }
    if (n > 0) {
        plane_ring_bell(plane);
    }
    return n > 0;
}

#endif
