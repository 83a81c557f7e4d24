/* Several lanes turned by hand in the order that the input says, so that every interleaving
 * of rings between them can be found: a numbered stream, subscribers that come, go and are
 * moved, the publisher too, control and the dataplane dying meanwhile; and commands that
 * make no sense to any lane. Packets and objects must all come back. As long as control
 * behaves, what is heard decrypts and is in order; if no device was full, nothing is lost.
 */
#include "rig_target.h"

#include "sfu/base/handle.h"
#include "stage/route.h"
#include "worker/across.h"
#include "worker/loop.h"
#include "worker/recover.h"

enum {
    LANES = 3,
    PEERS = 5, /* the publisher is 0 */
    MAX_OPS = 96,
    QUEUE = 64, /* packets that wait at a lane's device */
    /* turns of all lanes until everything has settled: a lane waits for a full device by
     * time, and a turn takes some microseconds */
    PATIENCE = 400000
};

static const struct tables_conf TABLES = {
    .n_peers = 16, .n_streams = 8, .n_subs = 16, .n_lanes = LANES, .ring_bytes = 4 << 20};

struct queue {
    uint32_t n;
    struct port_mem_packet packets[QUEUE];
    uint8_t bytes[QUEUE][128];
};

struct peer_at {
    struct far far;
    struct vault_sub_conf sub;
    uint32_t lane;
    uint32_t next; /* number that it must hear; 0: none came yet */
    bool open;
    bool moving;
    uint32_t moving_to;
    uint64_t cookie; /* of the move */
};

static struct world {
    struct rig rig; /* first: what far.c writes to, and its hook for commands */
    struct rbytes in;
    struct hub hub;
    struct tables *tables;
    struct loop *loops[LANES];
    struct lane *all[LANES];
    struct queue queues[LANES];
    struct peer_at peers[PEERS];
    struct vault_stream_conf audio;
    uint32_t ssrc; /* of the last subscription: none is used twice */
    uint64_t cookie;
    uint64_t answered; /* cookie of the last answer */
    int status;
    uint16_t number; /* of the last packet */
    bool hostile;    /* control does what it must not */
    bool lossy;      /* something may have been lost */
} w;

/* ---- what is heard ---- */

static void on_tx(void *arg, const struct pkt *pkt)
{
    uint32_t i = (uint32_t)(pkt->to->remote_port - 40000);
    uint8_t data[PKT_ROOM + 32];
    struct peer_at *to;
    uint32_t number;
    int len = pkt->len;

    (void)arg;
    if (w.hostile || i == 0 || i >= PEERS || !w.peers[i].open || len < 12) {
        return;
    }
    to = &w.peers[i];
    memcpy(data, pkt->data, pkt->len);
    if ((data[1] & 0x7f) >= 64 && (data[1] & 0x7f) < 96) {
        return; /* RTCP */
    }
    if (data[0] < 128) {
        return; /* an answered check */
    }
    FUZZ_CHECK(srtp_unprotect(to->far.in, data, &len) == srtp_err_status_ok);
    FUZZ_CHECK(len >= 16);
    number = load_be32(data + len - 4);
    FUZZ_CHECK(number >= to->next && (w.lossy || to->next == 0 || number == to->next));
    to->next = number + 1;
}

/* ---- lanes ---- */

static void feed(uint32_t lane)
{
    struct queue *q = &w.queues[lane];

    if (q->n > 0 && port_mem_waiting(w.rig.io, 0, lane) == 0) {
        port_mem_inject(w.rig.io, 0, lane, q->packets, q->n);
        q->n = 0;
    }
}

static void answers(uint32_t lane)
{
    const struct ring_view *ring = &w.rig.shared.lanes[lane].evt;
    const struct abi_evt *slot;

    while ((slot = ring_peek(ring)) != NULL) {
        const struct abi_evt evt = *slot;

        ring_release(ring);
        if (evt.kind != ABI_EVT_ANSWER) {
            continue;
        }
        w.answered = evt.cookie;
        w.status = evt.status;
        for (uint32_t i = 0; i < PEERS; i++) {
            struct peer_at *p = &w.peers[i];

            if (p->moving && p->cookie == evt.cookie) {
                p->moving = false;
                p->lane = evt.status == 0 ? p->moving_to : p->lane;
            }
        }
    }
}

static void turn(uint32_t lane)
{
    /* what waits at the device is kept until it is received */
    if (port_mem_waiting(w.rig.io, 0, lane) == 0) {
        feed(lane);
    }
    (void)loop_turn(w.loops[lane]);
    answers(lane);
}

static void turn_all(void)
{
    for (uint32_t i = 0; i < LANES; i++) {
        turn(i);
    }
}

static uint64_t put_command(uint32_t lane, uint32_t op, uint64_t handle, uint32_t arg)
{
    struct abi_cmd *slot = ring_reserve(&w.rig.shared.lanes[lane].cmd);

    FUZZ_CHECK(slot != NULL);
    *slot = (struct abi_cmd){.cookie = ++w.cookie, .op = op, .handle = handle, .arg = arg};
    ring_commit(&w.rig.shared.lanes[lane].cmd);
    return w.cookie;
}

/* What control waits for. A move of the same lane is answered before. */
static int command_on(uint32_t lane, uint32_t op, uint64_t handle)
{
    uint64_t cookie = put_command(lane, op, handle, 0);

    for (unsigned i = 0; w.answered != cookie; i++) {
        FUZZ_CHECK(i < PATIENCE);
        turn_all();
    }
    return w.status;
}

/* far.c's commands: the lane is that of the object's peer. */
static int command(struct rig *rig, uint32_t op, uint64_t handle)
{
    uint64_t peer = handle;

    if (op >= ABI_OP_STREAM_OPEN && op <= ABI_OP_STREAM_CLOSE) {
        peer = rig->shared.vault.streams[handle_index(handle)]
                   .conf[rig->shared.vault.streams[handle_index(handle)].commit & 1]
                   .peer;
    } else if (op >= ABI_OP_SUB_OPEN && op <= ABI_OP_SUB_CLOSE) {
        peer = rig->shared.vault.subs[handle_index(handle)]
                   .conf[rig->shared.vault.subs[handle_index(handle)].commit & 1]
                   .peer;
    }
    return command_on(w.peers[handle_index(peer)].lane, op, handle);
}

/* ---- what happens ---- */

static void settle(void)
{
    bool moving = true;

    for (unsigned i = 0; moving; i++) {
        FUZZ_CHECK(i < PATIENCE);
        moving = false;
        turn_all();
        for (uint32_t p = 0; p < PEERS; p++) {
            moving = moving || w.peers[p].moving;
        }
        for (uint32_t lane = 0; lane < LANES; lane++) {
            moving = moving || w.queues[lane].n > 0 ||
                     port_mem_waiting(w.rig.io, 0, lane) > 0 ||
                     route_is_due(&w.loops[lane]->lane) || !hub_quiet(&w.hub, lane) ||
                     /* who comes next may have the address of who has gone */
                     pipeline_held_up(&w.loops[lane]->pipe);
        }
    }
}

static void speak(uint32_t queue)
{
    struct queue *q = &w.queues[queue];
    uint8_t payload[8] = {1, 2, 3, 4};
    struct far_rtp rtp = {.payload = payload,
                          .len = sizeof(payload),
                          .ssrc = CALL_AUDIO_SSRC,
                          .pt = FAR_AUDIO_PT};
    uint8_t out[PKT_ROOM];
    size_t len;

    if (q->n == QUEUE) {
        return;
    }
    rtp.seq = ++w.number;
    rtp.ts = w.number * 960u;
    store_be32(payload + 4, w.number);
    len = far_make_rtp(&w.peers[0].far, &rtp, out);
    FUZZ_CHECK(len <= sizeof(q->bytes[0]));
    memcpy(q->bytes[q->n], out, len);
    q->packets[q->n] = (struct port_mem_packet){
        .data = q->bytes[q->n], .len = (uint16_t)len, .path = w.peers[0].far.path};
    q->n++;
}

static void move(uint32_t i, uint32_t to)
{
    struct peer_at *p = &w.peers[i];

    if (p->open && !p->moving) {
        p->cookie = put_command(p->lane, ABI_OP_PEER_MOVE, p->far.conf.handle, to);
        p->moving = true;
        p->moving_to = to;
    }
}

/* Opens or closes a subscriber; control waits for moves before. */
static void come_or_go(uint32_t i, uint32_t lane)
{
    struct peer_at *p = &w.peers[i];

    if (i == 0 || w.hostile) {
        return;
    }
    settle();
    if (p->open) {
        FUZZ_CHECK(rig_command(&w.rig, ABI_OP_SUB_CLOSE, p->sub.handle) == 0);
        FUZZ_CHECK(rig_command(&w.rig, ABI_OP_PEER_CLOSE, p->far.conf.handle) == 0);
        vault_sub_wipe(&w.rig.shared.vault.subs[i], &w.rig.shared.vault.sub_lives[i]);
        vault_peer_wipe(&w.rig.shared.vault.peers[i], &w.rig.shared.vault.peers[i].live);
        p->open = false;
        far_end(&p->far);
        return;
    }
    p->lane = lane;
    p->next = 0;
    p->open = true;
    far_open(&p->far, &w.rig, i, FAR_GCM, 4);
    p->sub = far_sub(&p->far, i, &w.audio, ++w.ssrc);
    FUZZ_CHECK(rig_sub(&w.rig, ABI_OP_SUB_OPEN, &p->sub) == 0);
}

/* A control dies, or a dataplane: then packets of streams that nobody had read are lost. */
static void recover(bool died)
{
    for (uint32_t i = 0; i < LANES; i++) {
        atomic_store(&w.loops[i]->state, LOOP_HOLD);
    }
    loop_settle(w.loops, LANES);
    if (died) {
        command_close_lanes(w.all, LANES);
    }
    shared_reset_rings(&w.rig.shared);
    recover_lanes(w.all, LANES, w.rig.io, &w.rig.shared.vault, w.rig.shared.vault_fd,
                  w.loops[0]->lane.now_us);
    for (uint32_t i = 0; i < LANES; i++) {
        atomic_store(&w.loops[i]->state, LOOP_RUN);
    }
    for (uint32_t i = 0; i < PEERS; i++) {
        struct peer_at *p = &w.peers[i];
        unsigned n = 0;

        p->moving = false;
        for (uint32_t lane = 0; lane < LANES && p->open; lane++) {
            if (tables_peer(&w.tables[lane], p->far.conf.handle) != NULL) {
                p->lane = lane;
                n++;
            }
        }
        FUZZ_CHECK(n == (p->open ? 1 : 0) || w.hostile);
    }
    w.lossy = w.lossy || died;
}

static void raw_command(void)
{
    uint8_t how = rbytes_u8(&w.in);
    uint8_t which = rbytes_u8(&w.in);
    const struct peer_at *p = &w.peers[which % PEERS];
    uint64_t handle = which < 0x40   ? p->far.conf.handle
                      : which < 0x80 ? p->sub.handle
                      : which < 0xc0 ? w.audio.handle
                                     : rbytes_be64(&w.in);

    w.hostile = true;
    if (hub_room(&w.hub, 0, 1) > 0) {
        (void)put_command(how % LANES, how / LANES % (N_ABI_OPS + 1u), handle,
                          rbytes_u8(&w.in) % (LANES + 1u));
    }
}

static void step(void)
{
    uint8_t op = rbytes_u8(&w.in);
    uint32_t lane = op / 16 % LANES;
    uint32_t peer = op / 48 % PEERS;

    switch (op % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
        turn(lane);
        break;
    case 4:
        turn_all();
        break;
    case 5:
    case 6:
    case 7:
        speak(0);
        break;
    case 8:
    case 9:
    case 10:
        move(peer, lane);
        break;
    case 11:
    case 12:
        come_or_go(peer, lane);
        break;
    case 13:
        if (peer == 0) {
            recover(lane == 0);
        }
        break;
    case 14:
        port_mem_limit(w.rig.io, 0, lane, peer == 0 ? UINT64_MAX : peer);
        w.lossy = true;
        break;
    default:
        if (peer == 0) {
            raw_command();
        }
        break;
    }
}

/* ---- start and end ---- */

static void begin_once(void)
{
    const struct io_conf io_conf = {.devices = {"mem"},
                                    .n_devices = 1,
                                    .media_port = RIG_PORT,
                                    .n_lanes = LANES,
                                    .n_mbufs = 4095,
                                    .heap_mb = 64,
                                    .hugepages = IO_HUGEPAGES_NEVER};
    size_t loop_bytes = (sizeof(struct loop) + 63) & ~(size_t)63;
    static struct far idle;
    char err[256] = "";
    void *memory;
    void *hub_memory;

    (void)setenv("CMOCKA_TEST_ABORT", "1", 1);
    FUZZ_CHECK(io_create(&w.rig.io, &io_conf, err, sizeof(err)) == 0);
    w.rig.command = command;
    w.tables = calloc(LANES, sizeof(*w.tables));
    memory = aligned_alloc(64, (tables_bytes(&TABLES) + 63) & ~(size_t)63);
    hub_memory = aligned_alloc(64, (hub_bytes(LANES) + 63) & ~(size_t)63);
    FUZZ_CHECK(w.tables != NULL && memory != NULL && hub_memory != NULL);
    memset(memory, 0, tables_bytes(&TABLES));
    memset(hub_memory, 0, hub_bytes(LANES));
    hub_init(&w.hub, LANES, hub_memory);
    FUZZ_CHECK(tables_init(w.tables, &TABLES, memory, "fuzz") == 0);
    FUZZ_CHECK(shared_init(&w.rig.shared, LANES, TABLES.n_peers, TABLES.n_streams,
                           TABLES.n_subs, 0) == 0);
    for (uint32_t i = 0; i < LANES; i++) {
        struct loop *loop = aligned_alloc(64, loop_bytes);
        struct crypt_ctx *crypt;

        FUZZ_CHECK(loop != NULL && crypt_ctx_create(&crypt, CRYPT_IPSEC_MB) == 0);
        memset(loop, 0, loop_bytes);
        lane_init(&loop->lane, i, &w.tables[i], crypt, io_pool(w.rig.io), RIG_START_US);
        loop->lane.hub = &w.hub;
        loop->pipe.io = w.rig.io;
        loop->shared = &w.rig.shared;
        loop->mine = &w.rig.shared.lanes[i];
        loop_init(loop);
        w.loops[i] = loop;
        w.all[i] = &loop->lane;
        port_mem_on_tx(w.rig.io, 0, i, on_tx, &w);
    }
    far_open(&idle, &w.rig, 0, FAR_GCM, 4); /* its sessions stay: see rig_target.h */
}

static void begin(void)
{
    for (uint32_t i = 0; i < PEERS; i++) {
        w.peers[i] = (struct peer_at){.open = i == 0};
    }
    w.number = 0;
    w.hostile = w.lossy = false;
    far_open(&w.peers[0].far, &w.rig, 0, FAR_GCM, 4);
    w.audio = far_publish_audio(&w.peers[0].far, 0, CALL_AUDIO_SSRC);
    come_or_go(1, 0);
    come_or_go(2, 1);
}

static void check_counts(void)
{
    uint64_t handed_out = 0;
    uint64_t handed_in = 0;

    for (uint32_t i = 0; i < LANES; i++) {
        const struct lane_counts *c = &w.loops[i]->lane.counts;
        uint64_t ends = c->handed_out;

        for (unsigned k = 0; k < N_DROP_REASONS; k++) {
            ends += c->drops_in[k];
        }
        for (unsigned k = 0; k < N_DONE_KINDS; k++) {
            ends += c->done[k];
        }
        FUZZ_CHECK(w.loops[i]->pipe.rx.packets + c->handed_in == ends);
        FUZZ_CHECK(w.tables[i].n_open == 0 && w.tables[i].n_open_streams == 0 &&
                   w.tables[i].n_open_subs == 0);
        handed_out += c->handed_out;
        handed_in += c->handed_in;
    }
    FUZZ_CHECK(handed_out == handed_in);
}

static void empty(void)
{
    uint64_t n_free;
    uint64_t n_total;

    loop_settle(w.loops, LANES);
    command_close_lanes(w.all, LANES);
    check_counts();
    FUZZ_CHECK(w.tables[0].store.used == 0);
    lane_buffers(w.all[0], &n_free, &n_total);
    FUZZ_CHECK(n_free == n_total);
    shared_reset_rings(&w.rig.shared);
    shared_wipe(&w.rig.shared);
    for (uint32_t i = 0; i < LANES; i++) {
        port_mem_limit(w.rig.io, 0, i, UINT64_MAX);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    begin_once();
    empty();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (w.tables == NULL) {
        (void)LLVMFuzzerInitialize(NULL, NULL);
    }
    begin();
    w.in = fuzz_in(data, size);
    for (unsigned n = 0; n < MAX_OPS && fuzz_more(&w.in); n++) {
        step();
    }
    for (uint32_t i = 0; i < LANES; i++) {
        port_mem_limit(w.rig.io, 0, i, UINT64_MAX);
    }
    speak(0);
    if (w.hostile) {
        for (unsigned i = 0; i < 20; i++) {
            turn_all();
        }
    } else {
        settle();
        for (uint32_t i = 1; i < PEERS; i++) {
            FUZZ_CHECK(!w.peers[i].open || w.lossy || w.peers[i].next == w.number + 1u);
        }
    }
    for (uint32_t i = 0; i < PEERS; i++) {
        far_end(&w.peers[i].far);
    }
    empty();
    return 0;
}
