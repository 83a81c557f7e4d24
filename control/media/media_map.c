#include "media/media_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "media/media.h"
#include "sys/log.h"

static int refuse(char reason[104], const char *what)
{
    (void)snprintf(reason, 104, "%s", what);
    return -EPROTO;
}

/* Maps all of a sealed memfd. Without the seals its end could be cut off under us, and the
 * next access would be a SIGBUS. */
static int map_memfd(int fd, void **mem, size_t *len, char reason[104])
{
    const int need = F_SEAL_SHRINK | F_SEAL_GROW;
    struct stat st;
    int seals;

    if (fstat(fd, &st) != 0) {
        return -errno;
    }
    seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & need) != need) {
        return refuse(reason, "shared memory is not a sealed memfd");
    }
    if (st.st_size <= 0) {
        return refuse(reason, "shared memory is empty");
    }
    *mem = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (*mem == MAP_FAILED) {
        *mem = NULL;
        return -errno;
    }
    *len = (size_t)st.st_size;
    return 0;
}

static int check_header(struct media_map *map, const struct abi_welcome *welcome,
                        char reason[104])
{
    const struct abi_sizes sizes = abi_sizes_here();
    struct abi_shm *info = &map->info;

    if (map->shm_len < sizeof(*info)) {
        return refuse(reason, "contract memory is too short for its header");
    }
    memcpy(info, map->shm, sizeof(*info));
    if (info->magic != ABI_MAGIC || info->version != ABI_VERSION) {
        return refuse(reason, "contract memory has another version");
    }
    if (memcmp(&info->sizes, &sizes, sizeof(sizes)) != 0) {
        return refuse(reason, "contract memory has other structure sizes");
    }
    if (info->n_lanes != welcome->n_lanes || info->n_lanes == 0 ||
        info->n_lanes > ABI_MAX_LANES || info->n_devices > ABI_MAX_DEVICES ||
        info->n_drops > ABI_MAX_DROPS || info->n_dones > ABI_MAX_DONES ||
        info->n_traces > ABI_MAX_TRACES || info->cycles_per_s == 0 ||
        info->n_peers > MEDIA_MAX_OBJECTS || info->n_streams > MEDIA_MAX_OBJECTS ||
        info->n_subs > MEDIA_MAX_OBJECTS) {
        return refuse(reason, "contract memory counts more than the contract allows");
    }
    for (uint32_t i = 0; i < info->n_devices; i++) {
        struct abi_device *device = &info->devices[i];

        if (device->n_addrs > ABI_MAX_ADDRS) {
            return refuse(reason, "a device has more addresses than the contract allows");
        }
        device->kind[sizeof(device->kind) - 1] = '\0';
        device->name[sizeof(device->name) - 1] = '\0';
    }
    info->backend[sizeof(info->backend) - 1] = '\0';
    info->devices_note[sizeof(info->devices_note) - 1] = '\0';
    for (uint32_t i = 0; i < ABI_MAX_DROPS; i++) {
        info->drop_names[i][sizeof(info->drop_names[i]) - 1] = '\0';
    }
    for (uint32_t i = 0; i < ABI_MAX_DONES; i++) {
        info->done_names[i][sizeof(info->done_names[i]) - 1] = '\0';
    }
    for (uint32_t i = 0; i < ABI_MAX_TRACES; i++) {
        info->trace_names[i][sizeof(info->trace_names[i]) - 1] = '\0';
    }
    return 0;
}

static bool view_ring(uint8_t *at, uint32_t n_slots, uint32_t slot_size,
                      struct ring_view *view)
{
    *view = ring_view_of(at, n_slots, slot_size);
    return ring_valid(at, n_slots, slot_size);
}

static int view_contract(struct media_map *map, char reason[104])
{
    const struct abi_shm *info = &map->info;
    struct abi_layout l =
        abi_layout(info->n_lanes, info->n_peers, info->n_streams, info->n_subs);
    uint8_t *base = map->shm;

    if (l.bytes != map->shm_len || info->bytes != l.bytes) {
        return refuse(reason, "contract memory has another length than its counts say");
    }
    for (uint32_t i = 0; i < info->n_lanes; i++) {
        struct media_rings *r = &map->rings[i];
        uint32_t datagram = sizeof(struct abi_datagram);

        r->lane = (struct abi_lane *)(base + l.lane[i]);
        r->stats = (const struct abi_lane_stats *)(base + l.lane_stats[i]);
        r->trace = (const struct abi_lane_trace *)(base + l.lane_trace[i]);
        if (!view_ring(base + l.cmd[i], ABI_CMD_SLOTS, sizeof(struct abi_cmd), &r->cmd) ||
            !view_ring(base + l.evt[i], ABI_EVT_SLOTS, sizeof(struct abi_evt), &r->evt) ||
            !view_ring(base + l.punt_in[i], ABI_PUNT_SLOTS, datagram, &r->punt_in) ||
            !view_ring(base + l.punt_out[i], ABI_PUNT_SLOTS, datagram, &r->punt_out) ||
            !view_ring(base + l.captured[i], ABI_CAPTURE_SLOTS, sizeof(struct abi_captured),
                       &r->captured)) {
            return refuse(reason, "a ring of the contract is not valid");
        }
    }
    map->peer_stats = (const struct abi_peer_stats *)(base + l.peer_stats);
    map->stream_stats = (const struct abi_stream_stats *)(base + l.stream_stats);
    map->sub_stats = (const struct abi_sub_stats *)(base + l.sub_stats);
    return 0;
}

static int view_vault(struct media_map *map, char reason[104])
{
    const struct abi_shm *info = &map->info;
    struct vault_layout l = vault_layout(info->n_peers, info->n_streams, info->n_subs);
    struct vault_header header;

    if (l.bytes != map->vault_len) {
        return refuse(reason, "the vault has another length than the counts say");
    }
    memcpy(&header, map->vault_mem, sizeof(header));
    if (header.magic != VAULT_MAGIC || header.version != VAULT_VERSION ||
        header.bytes != l.bytes || header.n_peers != info->n_peers ||
        header.n_streams != info->n_streams || header.n_subs != info->n_subs) {
        return refuse(reason, "the vault does not belong to the contract");
    }
    map->vault = vault_view(map->vault_mem, info->n_peers, info->n_streams, info->n_subs);
    if (madvise(map->vault_mem, map->vault_len, MADV_DONTDUMP) != 0 ||
        mlock2(map->vault_mem, map->vault_len, MLOCK_ONFAULT) != 0) {
        /* The dataplane holds the pages too and locks them itself; keys then stay out of
         * swap as long as it lives. */
        log_warn("vault_not_locked", LOG_STR("error", strerror(errno)),
                 LOG_U64("bytes", map->vault_len));
    }
    return 0;
}

static void map_empty(struct media_map *map)
{
    memset(map, 0, sizeof(*map));
    map->vault_fd = -1;
    map->streams_fd = -1;
    map->doorbell = -1;
    for (size_t i = 0; i < ABI_MAX_LANES; i++) {
        map->rings[i].doorbell = -1;
    }
}

bool media_map_written(const struct media_map *map, size_t at, size_t *from, size_t *to)
{
    off_t start = lseek(map->vault_fd, (off_t)at, SEEK_DATA);
    off_t end = start >= 0 ? lseek(map->vault_fd, start, SEEK_HOLE) : -1;

    if (start < 0 && errno == ENXIO) {
        return false;
    }
    /* A kernel that cannot tell: all of it. */
    *from = start >= 0 ? (size_t)start : at;
    *to = end >= 0 ? (size_t)end : map->vault_len;
    return true;
}

int media_map_open(struct media_map *map, const struct abi_welcome *welcome, const int *fds,
                   size_t n_fds, char reason[104])
{
    int err;

    map_empty(map);
    if (welcome->n_lanes == 0 || welcome->n_lanes > ABI_MAX_LANES ||
        n_fds != ABI_FIXED_FDS + welcome->n_lanes) {
        for (size_t i = 0; i < n_fds; i++) {
            (void)close(fds[i]);
        }
        return refuse(reason, "the welcome brought another number of descriptors");
    }
    map->vault_fd = fds[1];
    map->streams_fd = fds[2];
    map->doorbell = fds[3];
    for (size_t i = 0; i < welcome->n_lanes; i++) {
        map->rings[i].doorbell = fds[ABI_FIXED_FDS + i];
    }
    err = map_memfd(fds[0], &map->shm, &map->shm_len, reason);
    if (err == 0) {
        err = map_memfd(fds[1], &map->vault_mem, &map->vault_len, reason);
    }
    (void)close(fds[0]); /* the mapping keeps the memory */
    if (err == 0) {
        err = check_header(map, welcome, reason);
    }
    if (err == 0) {
        err = view_contract(map, reason);
    }
    if (err == 0) {
        err = view_vault(map, reason);
    }
    if (err == 0 && fcntl(map->doorbell, F_SETFL, O_NONBLOCK) != 0) {
        err = -errno;
    }
    if (err != 0) {
        media_map_close(map);
    }
    return err;
}

void media_map_wipe(struct media_map *map)
{
    size_t from, to = 0;

    while (to < map->vault_len && media_map_written(map, to, &from, &to)) {
        explicit_bzero((uint8_t *)map->vault_mem + from, to - from);
    }
}

void media_map_close_rings(struct media_map *map)
{
    if (map->shm != NULL) {
        (void)munmap(map->shm, map->shm_len);
    }
    map->shm = NULL;
    if (map->doorbell >= 0) {
        (void)close(map->doorbell);
    }
    map->doorbell = -1;
    if (map->streams_fd >= 0) {
        (void)close(map->streams_fd);
    }
    map->streams_fd = -1;
    for (size_t i = 0; i < ABI_MAX_LANES; i++) {
        if (map->rings[i].doorbell >= 0) {
            (void)close(map->rings[i].doorbell);
        }
        map->rings[i] = (struct media_rings){.doorbell = -1};
    }
    map->peer_stats = NULL;
    map->stream_stats = NULL;
    map->sub_stats = NULL;
}

void media_map_close(struct media_map *map)
{
    media_map_close_rings(map);
    if (map->vault_mem != NULL) {
        (void)munmap(map->vault_mem, map->vault_len);
    }
    if (map->vault_fd >= 0) {
        (void)close(map->vault_fd);
    }
    map_empty(map);
}
