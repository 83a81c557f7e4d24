/* See shared.h. */
#include "worker/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A memfd of fixed size that nobody can resize. Returns the mapping or MAP_FAILED. */
static void *map_memfd(const char *name, size_t bytes, int *fd)
{
    *fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0 || ftruncate(*fd, (off_t)bytes) != 0 ||
        fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        return MAP_FAILED;
    }
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
}

/* The stream rings: after us nobody can map them to write. */
static int map_streams(struct shared *s, uint32_t n_streams, size_t ring_bytes)
{
    const uint64_t blocks_at = tap_blocks_at(n_streams);
    void *mem = MAP_FAILED;

    s->streams_bytes = blocks_at + ring_bytes;
    s->streams_fd = memfd_create("kcs-streams", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (s->streams_fd >= 0 && ftruncate(s->streams_fd, (off_t)s->streams_bytes) == 0) {
        mem = mmap(NULL, s->streams_bytes, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_NORESERVE, s->streams_fd, 0);
    }
    if (mem == MAP_FAILED ||
        fcntl(s->streams_fd, F_ADD_SEALS,
              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0) {
        return -1;
    }
    (void)madvise(mem, s->streams_bytes, MADV_HUGEPAGE);
    (void)madvise(mem, s->streams_bytes, MADV_DONTDUMP);
    s->streams = mem;
    *(struct tap_header *)mem = (struct tap_header){.magic = TAP_MAGIC,
                                                    .version = TAP_VERSION,
                                                    .tap_size = sizeof(struct tap),
                                                    .slot_size = sizeof(struct tap_slot),
                                                    .n_taps = n_streams,
                                                    .blocks_at = blocks_at,
                                                    .bytes = s->streams_bytes};
    return 0;
}

static void init_lane(struct shared *s, uint32_t i)
{
    struct shared_lane *lane = &s->lanes[i];
    uint8_t *base = (uint8_t *)s->shm;
    const struct abi_layout *l = &s->layout;

    lane->flags = (struct abi_lane *)(void *)(base + l->lane[i]);
    lane->stats = (struct abi_lane_stats *)(void *)(base + l->lane_stats[i]);
    lane->trace = (struct abi_lane_trace *)(void *)(base + l->lane_trace[i]);
    ring_init(base + l->cmd[i], ABI_CMD_SLOTS, sizeof(struct abi_cmd));
    ring_init(base + l->evt[i], ABI_EVT_SLOTS, sizeof(struct abi_evt));
    ring_init(base + l->punt_in[i], ABI_PUNT_SLOTS, sizeof(struct abi_datagram));
    ring_init(base + l->punt_out[i], ABI_PUNT_SLOTS, sizeof(struct abi_datagram));
    ring_init(base + l->captured[i], ABI_CAPTURE_SLOTS, sizeof(struct abi_captured));
    lane->cmd = ring_view_of(base + l->cmd[i], ABI_CMD_SLOTS, sizeof(struct abi_cmd));
    lane->evt = ring_view_of(base + l->evt[i], ABI_EVT_SLOTS, sizeof(struct abi_evt));
    lane->punt_in =
        ring_view_of(base + l->punt_in[i], ABI_PUNT_SLOTS, sizeof(struct abi_datagram));
    lane->punt_out =
        ring_view_of(base + l->punt_out[i], ABI_PUNT_SLOTS, sizeof(struct abi_datagram));
    lane->captured =
        ring_view_of(base + l->captured[i], ABI_CAPTURE_SLOTS, sizeof(struct abi_captured));
}

/* Keys must not reach a core dump or the swap. Without CAP_IPC_LOCK the limit may refuse
 * the lock; doctor says so, and there is no swap on a media node. */
static void guard(void *vault, size_t bytes)
{
    (void)madvise(vault, bytes, MADV_DONTDUMP);
    (void)mlock2(vault, bytes, MLOCK_ONFAULT);
}

int shared_init(struct shared *s, uint32_t n_lanes, uint32_t n_peers, uint32_t n_streams,
                uint32_t n_subs, size_t ring_bytes)
{
    void *shm;
    void *vault;

    memset(s, 0, sizeof(*s));
    s->shm_fd = s->vault_fd = s->streams_fd = s->control_doorbell = -1;
    s->n_lanes = n_lanes;
    for (uint32_t i = 0; i < n_lanes; i++) {
        s->lanes[i].doorbell = -1;
    }
    s->layout = abi_layout(n_lanes, n_peers, n_streams, n_subs);
    s->vault_bytes = vault_layout(n_peers, n_streams, n_subs).bytes;
    shm = map_memfd("kcs-contract", s->layout.bytes, &s->shm_fd);
    if (shm != MAP_FAILED) {
        s->shm = shm;
    }
    vault = map_memfd("kcs-vault", s->vault_bytes, &s->vault_fd);
    if (vault != MAP_FAILED) {
        s->vault = vault_view(vault, n_peers, n_streams, n_subs);
    }
    s->control_doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (uint32_t i = 0; i < n_lanes; i++) {
        s->lanes[i].doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (s->lanes[i].doorbell < 0) {
            goto fail;
        }
    }
    if (map_streams(s, n_streams, ring_bytes) != 0 || s->shm == NULL ||
        s->vault.header == NULL || s->control_doorbell < 0) {
        goto fail;
    }
    guard(vault, s->vault_bytes);
    *s->vault.header = (struct vault_header){.magic = VAULT_MAGIC,
                                             .version = VAULT_VERSION,
                                             .n_peers = n_peers,
                                             .n_streams = n_streams,
                                             .n_subs = n_subs,
                                             .bytes = s->vault_bytes};
    *s->shm = (struct abi_shm){.magic = ABI_MAGIC,
                               .version = ABI_VERSION,
                               .sizes = abi_sizes_here(),
                               .n_lanes = n_lanes,
                               .n_peers = n_peers,
                               .n_streams = n_streams,
                               .n_subs = n_subs,
                               .pid = (uint32_t)getpid(),
                               .bytes = s->layout.bytes};
    for (uint32_t i = 0; i < n_lanes; i++) {
        init_lane(s, i);
    }
    s->peer_stats = (void *)((uint8_t *)shm + s->layout.peer_stats);
    s->stream_stats = (void *)((uint8_t *)shm + s->layout.stream_stats);
    s->sub_stats = (void *)((uint8_t *)shm + s->layout.sub_stats);
    return 0;
fail : {
    int err = errno != 0 ? -errno : -ENOMEM;

    shared_fini(s, false);
    return err;
}
}

static uint32_t unread(const struct ring_view *ring)
{
    uint32_t n = atomic_load(&ring->ring->head) - atomic_load(&ring->ring->tail);

    return n <= ring->mask + 1 ? n : 0; /* control's part of it is only what it wrote */
}

uint32_t shared_unanswered(const struct shared *s)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n_lanes; i++) {
        const struct ring_view *evt = &s->lanes[i].evt;
        uint32_t tail = atomic_load(&evt->ring->tail);

        n += unread(&s->lanes[i].cmd);
        for (uint32_t k = unread(evt); k > 0; k--, tail++) {
            const struct abi_evt *slot =
                (const void *)(evt->slots + (size_t)(tail & evt->mask) * evt->slot_size);

            n += slot->kind == ABI_EVT_ANSWER;
        }
    }
    return n;
}

void shared_reset_rings(struct shared *s)
{
    for (uint32_t i = 0; i < s->n_lanes; i++) {
        init_lane(s, i);
        atomic_store(&s->lanes[i].flags->ctl_sleeping, 0);
    }
}

int shared_take_vault(struct shared *s, int fd)
{
    const int need = F_SEAL_SHRINK | F_SEAL_GROW;
    const struct vault_header *ours = s->vault.header;
    struct vault_header header;
    struct stat st;
    void *mem;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || (seals & need) != need || fstat(fd, &st) != 0 ||
        (size_t)st.st_size != s->vault_bytes) {
        (void)close(fd);
        return -EPROTO;
    }
    mem = mmap(NULL, s->vault_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mem == MAP_FAILED) {
        (void)close(fd);
        return -EPROTO;
    }
    memcpy(&header, mem, sizeof(header));
    if (header.magic != ours->magic || header.version != ours->version ||
        header.n_peers != ours->n_peers || header.n_streams != ours->n_streams ||
        header.n_subs != ours->n_subs || header.bytes != ours->bytes) {
        (void)munmap(mem, s->vault_bytes);
        (void)close(fd);
        return -EPROTO;
    }
    guard(mem, s->vault_bytes);
    (void)munmap(s->vault.header, s->vault_bytes);
    (void)close(s->vault_fd);
    s->vault_fd = fd;
    s->vault = vault_view(mem, s->vault.n_peers, s->vault.n_streams, s->vault.n_subs);
    return 0;
}

void shared_wipe(struct shared *s)
{
    const size_t records =
        vault_layout(s->vault.n_peers, s->vault.n_streams, s->vault.n_subs).peers;
    off_t from, to = (off_t)records;

    /* not by record: a control that dies while it writes a first one leaves keys in what
     * counts as free */
    while ((from = lseek(s->vault_fd, to, SEEK_DATA)) >= 0) {
        to = lseek(s->vault_fd, from, SEEK_HOLE);
        if (to < 0) {
            break;
        }
        explicit_bzero((uint8_t *)s->vault.header + from, (size_t)(to - from));
    }
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

void shared_fini(struct shared *s, bool keep_vault)
{
    if (s->vault.header != NULL && !keep_vault) {
        shared_wipe(s);
    }
    if (s->vault.header != NULL) {
        (void)munmap(s->vault.header, s->vault_bytes);
    }
    if (s->shm != NULL) {
        (void)munmap(s->shm, s->layout.bytes);
    }
    if (s->streams != NULL) {
        (void)munmap(s->streams, s->streams_bytes);
    }
    for (uint32_t i = 0; i < s->n_lanes; i++) {
        close_fd(s->lanes[i].doorbell);
    }
    close_fd(s->control_doorbell);
    close_fd(s->vault_fd);
    close_fd(s->streams_fd);
    close_fd(s->shm_fd);
    memset(s, 0, sizeof(*s));
    s->shm_fd = s->vault_fd = s->streams_fd = s->control_doorbell = -1;
}
