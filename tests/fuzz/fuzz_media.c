/* Control and a dataplane that writes anything: the welcome and its descriptors, the
 * header, rings and statistics of the contract, the vault; events, answers and datagrams.
 * Control must neither crash nor lose or repeat an answer to its own callers. */
#include "plane.h"

#include "media/media.h"
#include "sys/log.h"
#include "sys/loop.h"

enum { MAX_OPS = 64, KEPT = 8 };

struct world {
    struct rbytes in;
    struct plane plane;
    struct media *media;
    struct loop *loop;
    uint64_t handles[N_MEDIA_KINDS][KEPT];
    unsigned n_handles;
    unsigned n_asked, n_done; /* callbacks owed and called */
    unsigned n_attached, n_detached;
};

static void on_done(void *arg, int status)
{
    struct world *w = arg;

    (void)status;
    FUZZ_CHECK(++w->n_done <= w->n_asked);
}

static void on_attached(void *user)
{
    ((struct world *)user)->n_attached++;
}

static void on_detached(void *user)
{
    ((struct world *)user)->n_detached++;
}

static void on_datagram(void *user, const struct abi_datagram *d)
{
    (void)user;
    FUZZ_CHECK(d->len > 0 && d->len <= sizeof(d->data));
}

static const struct media_ops OPS = {
    .on_attached = on_attached, .on_detached = on_detached, .on_datagram = on_datagram};

/* ---- control's own calls ---- */

static void asked(struct world *w, int e)
{
    FUZZ_CHECK(e <= 0);
    w->n_asked += e == 0;
}

static void open_some(struct world *w)
{
    uint8_t how = rbytes_u8(&w->in);
    uint32_t at = w->n_handles++ % KEPT;
    uint64_t *handle = &w->handles[how % N_MEDIA_KINDS][at];
    struct vault_peer_conf peer = {.ufrag_len = 4, .ufrag = "abcd"};
    struct vault_stream_conf stream = {.peer = w->handles[MEDIA_PEER][how / 4 % KEPT]};
    struct vault_sub_conf sub = {.peer = w->handles[MEDIA_PEER][how / 4 % KEPT],
                                 .stream = w->handles[MEDIA_STREAM][how / 32]};

    w->n_asked++; /* the answer never comes from within, but count before */
    switch (how % N_MEDIA_KINDS) {
    case MEDIA_PEER:
        w->n_asked -= media_peer_open(w->media, &peer, on_done, w, handle) != 0;
        break;
    case MEDIA_STREAM:
        w->n_asked -= media_stream_open(w->media, &stream, on_done, w, handle) != 0;
        break;
    default:
        w->n_asked -= media_sub_open(w->media, &sub, on_done, w, handle) != 0;
        break;
    }
}

static void use_some(struct world *w)
{
    static const uint8_t key[VAULT_KEY_MAX];
    uint8_t how = rbytes_u8(&w->in);
    const uint64_t peer = w->handles[MEDIA_PEER][how % KEPT];
    const uint64_t stream = w->handles[MEDIA_STREAM][how % KEPT];
    const uint64_t sub = w->handles[MEDIA_SUB][how % KEPT];
    const struct path paths[2] = {{.family = 4}, {.family = 6}};
    const struct media_keys keys = {.profile = 7,
                                    .key_len = 16,
                                    .salt_len = 12,
                                    .rx_key = key,
                                    .tx_key = key,
                                    .rx_salt = key,
                                    .tx_salt = key};

    switch (how / KEPT % 10) {
    case 0:
        asked(w, media_peer_set_paths(w->media, peer, paths, 2, 1, on_done, w));
        break;
    case 1:
        asked(w, media_peer_set_keys(w->media, peer, &keys, on_done, w));
        break;
    case 2:
        asked(w, media_stream_set_paused(w->media, stream, true, on_done, w));
        break;
    case 3:
        asked(w, media_sub_set_paused(w->media, sub, true, on_done, w));
        break;
    case 4:
        asked(w, media_stream_keyframe(w->media, stream, on_done, w));
        asked(w, media_sub_keyframe(w->media, sub, on_done, w));
        break;
    case 5:
        asked(w, media_close(w->media, MEDIA_SUB, sub, on_done, w));
        break;
    case 6:
        asked(w, media_close(w->media, MEDIA_STREAM, stream, on_done, w));
        break;
    case 7:
        asked(w, media_close(w->media, MEDIA_PEER, peer, on_done, w));
        break;
    case 8:
        asked(w, media_ping(w->media, how % 3, on_done, w));
        break;
    default:
        (void)media_send(w->media, 0, paths, ABI_DATAGRAM_STUN, key, sizeof(key));
        break;
    }
}

static void read_all(struct world *w)
{
    const struct abi_shm *info = media_info(w->media);
    struct abi_stream_stats stream;
    struct abi_lane_counts lane;
    struct media_counts counts;
    struct media_status status;
    struct abi_peer_stats peer;
    struct abi_sub_stats sub;

    media_counts(w->media, &counts);
    media_status(w->media, &status);
    FUZZ_CHECK(!status.attached || info != NULL); /* it may be waited for */
    FUZZ_CHECK(strlen(status.reason) < sizeof(status.reason));
    for (unsigned i = 0; i < KEPT; i++) {
        (void)media_lane_counts(w->media, i, &lane);
        (void)media_peer_stats(w->media, w->handles[MEDIA_PEER][i], &peer);
        (void)media_stream_stats(w->media, w->handles[MEDIA_STREAM][i], &stream);
        (void)media_sub_stats(w->media, w->handles[MEDIA_SUB][i], &sub);
        (void)media_handle_at(w->media, (enum media_kind)(i % N_MEDIA_KINDS), i);
    }
    if (info != NULL) {
        FUZZ_CHECK(strlen(info->backend) < sizeof(info->backend) &&
                   strlen(info->devices_note) < sizeof(info->devices_note));
    }
}

/* ---- what the dataplane does ---- */

/* Overwrites some bytes of 'mem', whose parts that are looked at lie at the start. */
static void patch(struct world *w, void *mem, size_t len)
{
    uint32_t at = rbytes_be24(&w->in);
    size_t n;
    const uint8_t *bytes;

    at = (uint32_t)(at % len);
    bytes = fuzz_block(&w->in, len - at, &n);
    memcpy((uint8_t *)mem + at, bytes, n);
}

static void some_event(struct world *w)
{
    struct abi_evt evt = {.kind = rbytes_u8(&w->in) % (N_ABI_EVTS + 1u)};
    uint8_t which = rbytes_u8(&w->in);

    evt.handle = w->handles[which % N_MEDIA_KINDS][which / 4 % KEPT];
    if ((which & 0x80) != 0) {
        patch(w, &evt, sizeof(evt));
    }
    plane_event(&w->plane, &evt);
    plane_ring_bell(&w->plane);
}

static void some_datagram(struct world *w)
{
    struct abi_datagram d = {.kind = ABI_DATAGRAM_STUN, .len = 20, .path = {.family = 4}};

    patch(w, &d, sizeof(d));
    plane_punt(&w->plane, &d);
    plane_ring_bell(&w->plane);
}

/* A ring's counters: the shape stands at fixed places. */
static void spoil_ring(struct world *w)
{
    const struct ring_view *rings[] = {&w->plane.cmd, &w->plane.evt, &w->plane.punt_in,
                                       &w->plane.punt_out};
    struct ring *ring = rings[rbytes_u8(&w->in) % 4]->ring;

    if (rbytes_u8(&w->in) % 2 != 0) {
        atomic_store(&ring->head, rbytes_be32(&w->in));
    } else {
        atomic_store(&ring->tail, rbytes_be32(&w->in));
    }
    plane_ring_bell(&w->plane);
}

static void step(struct world *w)
{
    uint8_t op = rbytes_u8(&w->in);

    switch (op % 12) {
    case 0:
    case 1:
        open_some(w);
        break;
    case 2:
    case 3:
        use_some(w);
        break;
    case 4:
        (void)plane_serve(&w->plane, op / 12);
        break;
    case 5:
        some_event(w);
        break;
    case 6:
        some_datagram(w);
        break;
    case 7:
        patch(w, w->plane.shm, w->plane.shm_len);
        break;
    case 8:
        patch(w, w->plane.vault_mem, w->plane.vault_len);
        break;
    case 9:
        spoil_ring(w);
        break;
    case 10:
        if (op > 240) {
            (void)send(w->plane.sock, "?", 1, MSG_NOSIGNAL);
        }
        read_all(w);
        break;
    default:
        loop_turn(w->loop);
        break;
    }
}

static void spoil_start(struct world *w)
{
    uint8_t how = rbytes_u8(&w->in);

    if ((how & 1) != 0) {
        patch(w, &w->plane.welcome, sizeof(w->plane.welcome));
    }
    if ((how & 2) != 0) {
        patch(w, w->plane.shm, sizeof(struct abi_shm));
    }
    if ((how & 4) != 0) {
        patch(w, w->plane.vault_mem, w->plane.vault_len);
    }
    if ((how & 8) != 0) {
        w->plane.welcome_len = rbytes_be16(&w->in) % (sizeof(w->plane.welcome) + 1);
    }
    if ((how & 16) != 0) {
        w->plane.n_fds = rbytes_u8(&w->in) % 9;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    struct media_conf conf;

    log_set_level(LOG_LEVEL_ERROR);
    memset(&w, 0, sizeof(w));
    w.in = fuzz_in(data, size);
    plane_open(&w.plane);
    conf.socket = plane_path;
    FUZZ_CHECK(loop_create(&w.loop) == 0);
    conf.loop = w.loop;
    FUZZ_CHECK(media_create(&w.media, &conf) == 0);
    media_start(w.media, &OPS, &w);
    spoil_start(&w);
    (void)plane_welcome(&w.plane);
    loop_turn(w.loop);
    for (unsigned n = 0; n < MAX_OPS && fuzz_more(&w.in); n++) {
        step(&w);
    }
    loop_turn(w.loop);
    read_all(&w);
    media_destroy(w.media);
    FUZZ_CHECK(w.n_done == w.n_asked);
    FUZZ_CHECK(w.n_detached <= w.n_attached && w.n_attached <= w.n_detached + 1);
    loop_destroy(w.loop);
    plane_close(&w.plane);
    return 0;
}
