/* See lanes.h. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/lanes.h"

#include "sfu/base/handle.h"
#include "worker/across.h"
#include "worker/command.h"
#include "worker/recover.h"

#define NEVER_US (UINT64_MAX / 2) /* when a consent ends, nearly */

enum {
    RING_BYTES = 16 * 1024 * 1024,
    BUFFERS = 8191,
    STREAM_SSRC = 77,
    AHEAD = 24, /* packets that may be on their way: far less than the ring of the stream */
    PATIENCE_S = 60,
    PACER_WINDOW_US = 50000
};

static uint64_t now_us(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- what subscribers hear ---- */

static void hear(struct listener *to, const struct pkt *pkt)
{
    uint8_t data[PKT_ROOM];
    uint32_t next = atomic_load(&to->next);
    uint32_t number;
    int len = pkt->len;

    memcpy(data, pkt->data, pkt->len);
    if ((data[1] & 0x7f) >= 64 && (data[1] & 0x7f) < 96) {
        return; /* RTCP */
    }
    if (srtp_unprotect(to->far.in, data, &len) != srtp_err_status_ok || len < 12 + 4) {
        (void)atomic_fetch_add(&to->wrong, 1);
        return;
    }
    number = load_be32(data + len - 4);
    if (next != 0 && number != next) {
        (void)atomic_fetch_add(&to->wrong, 1);
    }
    (void)atomic_fetch_add(&to->heard, 1);
    atomic_store(&to->next, number + 1);
}

static void on_tx(void *arg, const struct pkt *pkt)
{
    struct lanes *l = arg;
    uint32_t peer = (uint32_t)(pkt->to->remote_port - 40000);

    if (peer > 0 && peer <= LANES_PEERS) {
        hear(&l->listeners[peer - 1], pkt);
    }
}

/* ---- control ---- */

/* Returns the cookie of the answer. */
static uint64_t put_command(struct lanes *l, uint32_t lane, uint32_t op, uint64_t handle,
                            uint32_t arg)
{
    struct shared_lane *shared = &l->rig.shared.lanes[lane];
    struct abi_cmd *cmd = ring_reserve(&shared->cmd);

    assert_non_null(cmd);
    *cmd = (struct abi_cmd){
        .cookie = ++l->next_cookie, .op = op, .handle = handle, .arg = arg};
    ring_commit(&shared->cmd);
    loop_wake(l->loops[lane]);
    return l->next_cookie;
}

int lanes_command(struct lanes *l, uint32_t lane, uint32_t op, uint64_t handle,
                  uint32_t arg)
{
    struct shared_lane *shared = &l->rig.shared.lanes[lane];
    uint64_t until_us = now_us() + PATIENCE_S * 1000000ull;
    uint64_t cookie = put_command(l, lane, op, handle, arg);

    while (now_us() < until_us) {
        const struct abi_evt *slot = ring_peek(&shared->evt);

        if (slot != NULL) {
            struct abi_evt evt = *slot;

            ring_release(&shared->evt);
            if (evt.kind == ABI_EVT_ANSWER) {
                assert_int_equal(evt.cookie, cookie);
                return evt.status;
            }
            continue;
        }
        lanes_feed(l);
    }
    fail_msg("lane %u does not answer operation %u", lane, op);
    return -1;
}

/* The lane of an object's peer. */
static int command(struct rig *rig, uint32_t op, uint64_t handle)
{
    struct lanes *l = (struct lanes *)rig;
    const struct vault *vault = &rig->shared.vault;
    uint64_t peer = handle;

    if (op >= ABI_OP_STREAM_OPEN && op <= ABI_OP_STREAM_CLOSE) {
        struct vault_stream_conf conf;

        assert_int_equal(vault_stream_read(&vault->streams[handle_index(handle)], &conf),
                         0);
        peer = conf.peer;
    } else if (op >= ABI_OP_SUB_OPEN && op <= ABI_OP_SUB_CLOSE) {
        struct vault_sub_conf conf;

        assert_int_equal(vault_sub_read(&vault->subs[handle_index(handle)], &conf), 0);
        peer = conf.peer;
    }
    return lanes_command(l, l->lane_of[handle_index(peer)], op, handle, 0);
}

static uint64_t handle_of(const struct lanes *l, uint32_t peer)
{
    return peer == 0 ? l->pub.conf.handle : l->listeners[peer - 1].far.conf.handle;
}

int lanes_move(struct lanes *l, uint32_t peer, uint32_t to)
{
    int status =
        lanes_command(l, l->lane_of[peer], ABI_OP_PEER_MOVE, handle_of(l, peer), to);

    if (status == 0) {
        l->lane_of[peer] = to;
    }
    return status;
}

void lanes_move_soon(struct lanes *l, uint32_t peer, uint32_t to)
{
    (void)put_command(l, l->lane_of[peer], ABI_OP_PEER_MOVE, handle_of(l, peer), to);
}

/* ---- the lanes' threads ---- */

void lanes_hold(struct lanes *l)
{
    const struct timespec moment = {.tv_nsec = 100000};

    for (uint32_t i = 0; i < l->n; i++) {
        atomic_store(&l->loops[i]->state, LOOP_HOLD);
        loop_wake(l->loops[i]);
        while (!atomic_load(&l->loops[i]->held)) {
            (void)nanosleep(&moment, NULL);
        }
    }
}

void lanes_go_on(struct lanes *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        atomic_store(&l->loops[i]->state, LOOP_RUN);
    }
}

/* Nobody here sends checks, and a machine that others want may stand still for longer than
 * consent lasts: everybody's is of 'at_us'. The lanes must be held. */
static void give_consent(struct lanes *l, uint64_t at_us)
{
    for (uint32_t i = 0; i <= l->n_listeners; i++) {
        struct vault_peer_live *live = &l->rig.shared.vault.peers[i].live;
        struct peer *peer = &l->tables[l->lane_of[i]].peers[i];

        if (live->last_check_us != 0) {
            live->last_check_us = at_us;
            peer->consent_lost = false;
        }
    }
}

/* ---- the stream ---- */

void lanes_prepare(struct lanes *l, uint32_t n)
{
    l->bytes = calloc(n, sizeof(*l->bytes));
    l->packets = calloc(n, sizeof(*l->packets));
    assert_true(l->bytes != NULL && l->packets != NULL);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t payload[16] = {1, 2, 3, 4};
        uint8_t out[PKT_ROOM];
        struct far_rtp rtp = {.payload = payload,
                              .len = sizeof(payload),
                              .ssrc = STREAM_SSRC,
                              .pt = l->pace_bps != 0 ? FAR_VIDEO_PT : FAR_AUDIO_PT,
                              .seq = (uint16_t)(i + 1),
                              .ts = 960 * i};
        size_t len;

        if (l->pace_bps != 0) {
            memcpy(payload, far_vp8_key, sizeof(far_vp8_key));
        }
        store_be32(payload + sizeof(payload) - 4, i + 1);
        len = far_make_rtp(&l->pub, &rtp, out);
        assert_true(len <= sizeof(l->bytes[i]));
        memcpy(l->bytes[i], out, len);
        l->packets[i] = (struct port_mem_packet){
            .data = l->bytes[i], .len = (uint16_t)len, .path = l->pub.path};
    }
    l->n_packets = n;
    port_mem_inject(l->rig.io, 0, 0, l->packets, 0);
}

void lanes_feed(struct lanes *l)
{
    uint32_t slowest = UINT32_MAX;

    if (l->has_newcomers) {
        l->has_newcomers = false;
        lanes_hold(l);
        give_consent(l, NEVER_US);
        lanes_go_on(l);
    }
    for (uint32_t i = 0; i < l->n_listeners; i++) {
        uint32_t next = atomic_load(&l->listeners[i].next);

        if (next == 0) {
            next = l->listeners[i].joined; /* it will begin thereabouts */
        }
        if (l->listeners[i].open && next < slowest) {
            slowest = next;
        }
    }
    if (slowest != UINT32_MAX && l->n_packets > 0 && slowest - 1 + AHEAD > l->n_allowed) {
        l->n_allowed =
            slowest - 1 + AHEAD < l->n_packets ? slowest - 1 + AHEAD : l->n_packets;
        port_mem_allow(l->rig.io, 0, 0, l->n_allowed);
        loop_wake(l->loops[0]);
    } else {
        const struct timespec moment = {.tv_nsec = 20000};

        (void)nanosleep(&moment, NULL);
    }
}

void lanes_push(struct lanes *l, uint32_t n)
{
    if (n > l->n_allowed) {
        l->n_allowed = n;
        port_mem_allow(l->rig.io, 0, 0, n);
        loop_wake(l->loops[0]);
    }
}

/* For whoever reads why it failed. */
static void say_what_waits(const struct lanes *l)
{
    for (uint32_t i = 0; i < l->n_listeners; i++) {
        const struct listener *to = &l->listeners[i];

        if (to->open && atomic_load(&to->next) != l->n_packets + 1) {
            print_message("listener %u: %u of %u comes next, %u were wrong\n", i,
                          atomic_load(&to->next), l->n_packets, atomic_load(&to->wrong));
        }
    }
    for (uint32_t i = 0; i < l->n; i++) {
        const struct lane_counts *counts = &l->loops[i]->lane.counts;

        print_message("lane %u: %" PRIu64 " received, %" PRIu64 " sent\n", i,
                      counts->rx_packets, counts->tx_packets);
        for (unsigned reason = 0; reason < N_DROP_REASONS; reason++) {
            if (counts->drops_in[reason] + counts->drops_out[reason] > 0) {
                print_message("lane %u: dropped for reason %u: %" PRIu64 " in, %" PRIu64
                              " out\n",
                              i, reason, counts->drops_in[reason],
                              counts->drops_out[reason]);
            }
        }
    }
}

bool lanes_finish(struct lanes *l)
{
    uint64_t until_us = now_us() + PATIENCE_S * 1000000ull;
    uint32_t waiting = 1, n_allowed = l->n_allowed;

    while (waiting > 0 && now_us() < until_us) {
        waiting = 0;
        if (l->n_allowed != n_allowed) { /* the slowest has heard something */
            n_allowed = l->n_allowed;
            until_us = now_us() + PATIENCE_S * 1000000ull;
        }
        for (uint32_t i = 0; i < l->n_listeners; i++) {
            waiting += l->listeners[i].open &&
                       atomic_load(&l->listeners[i].next) != l->n_packets + 1;
        }
        lanes_feed(l);
    }
    if (waiting > 0) {
        say_what_waits(l);
    }
    return waiting == 0;
}

static bool all_heard(const struct lanes *l)
{
    for (uint32_t i = 0; i < l->n_listeners; i++) {
        const struct listener *to = &l->listeners[i];
        uint32_t next = atomic_load(&to->next);

        if (to->open && (next != 0 ? next : to->joined) != l->n_allowed + 1) {
            return false;
        }
    }
    return true;
}

void lanes_recover(struct lanes *l, bool died)
{
    const struct timespec moment = {.tv_nsec = 100000};
    uint64_t until_us = now_us() + PATIENCE_S * 1000000ull;
    struct lane *all[LANES_MAX];

    while (died && !all_heard(l)) {
        assert_true(now_us() < until_us);
        (void)nanosleep(&moment, NULL);
    }
    lanes_hold(l);
    for (uint32_t i = 0; i < l->n; i++) {
        all[i] = &l->loops[i]->lane;
    }
    loop_settle(l->loops, l->n);
    if (died) {
        command_close_lanes(all, l->n);
    }
    shared_reset_rings(&l->rig.shared);
    give_consent(l, now_us()); /* a successor looks at it */
    recover_lanes(all, l->n, l->rig.io, &l->rig.shared.vault, l->rig.shared.vault_fd,
                  now_us());
    for (uint32_t i = 0; i <= l->n_listeners; i++) {
        l->lane_of[i] = (uint32_t)l->rig.shared.vault.peers[i].live.lane;
    }
    give_consent(l, NEVER_US);
    lanes_go_on(l);
}

/* ---- coming and going ---- */

void lanes_listen(struct lanes *l, uint32_t i, uint32_t lane)
{
    struct listener *to = &l->listeners[i];

    l->lane_of[i + 1] = lane;
    atomic_store(&to->next, 0);
    far_open(&to->far, &l->rig, i + 1, FAR_GCM, 4);
    to->sub = far_sub(&to->far, i, &l->audio, 1000 + i);
    if (l->pace_bps != 0) {
        /* What its link carries is what we say: there is no feedback to estimate it by, nor
         * probes. Nobody looks before it has a subscription. */
        to->sub.ext_id[EXT_TRANSPORT_CC] = 0;
        l->tables[lane].peers[i + 1].pace_bps = l->pace_bps;
    }
    assert_int_equal(rig_sub(&l->rig, ABI_OP_SUB_OPEN, &to->sub), 0);
    to->joined = l->n_allowed + 1;
    to->open = true;
    l->has_newcomers = true;
    if (i >= l->n_listeners) {
        l->n_listeners = i + 1;
    }
}

void lanes_leave(struct lanes *l, uint32_t i)
{
    struct listener *to = &l->listeners[i];

    to->open = false;
    assert_int_equal(rig_command(&l->rig, ABI_OP_SUB_CLOSE, to->sub.handle), 0);
    assert_int_equal(rig_command(&l->rig, ABI_OP_PEER_CLOSE, to->far.conf.handle), 0);
    far_end(&to->far);
}

/* ---- start and stop ---- */

static void *lane_main(void *arg)
{
    if (io_thread_enter() == 0) {
        loop_run(arg);
        io_thread_leave();
    }
    return NULL;
}

static void make_lane(struct lanes *l, uint32_t i)
{
    size_t bytes = (sizeof(struct loop) + 63) & ~(size_t)63;
    struct loop *loop = aligned_alloc(64, bytes);
    struct crypt_ctx *crypt;

    assert_non_null(loop);
    memset(loop, 0, bytes);
    assert_int_equal(crypt_ctx_create(&crypt, CRYPT_IPSEC_MB), 0);
    lane_init(&loop->lane, i, &l->tables[i], crypt, io_pool(l->rig.io), now_us());
    loop->lane.pacer_window_us = PACER_WINDOW_US;
    loop->lane.hub = l->n > 1 ? &l->hub : NULL;
    loop->pipe.io = l->rig.io;
    loop->shared = &l->rig.shared;
    loop->mine = &l->rig.shared.lanes[i];
    loop_init(loop);
    l->loops[i] = loop;
    port_mem_on_tx(l->rig.io, 0, i, on_tx, l);
}

static struct lanes *start(uint32_t n, const char *device, uint32_t pace_bps)
{
    const struct io_conf io_conf = {.devices = {rig_device(device)},
                                    .n_devices = 1,
                                    .media_port = RIG_PORT,
                                    .n_lanes = n,
                                    .n_mbufs = BUFFERS,
                                    .heap_mb = 64,
                                    .hugepages = IO_HUGEPAGES_NEVER};
    struct tables_conf conf = {.n_peers = LANES_PEERS,
                               .n_streams = LANES_STREAMS,
                               .n_subs = LANES_SUBS,
                               .n_lanes = n,
                               .ring_bytes = RING_BYTES};
    size_t size = (sizeof(struct lanes) + 63) & ~(size_t)63;
    struct lanes *l = aligned_alloc(64, size);
    char err[256] = "";

    assert_non_null(l);
    memset(l, 0, size);
    l->n = n;
    l->pace_bps = pace_bps;
    l->has_newcomers = true;
    l->rig.command = command;
    if (io_create(&l->rig.io, &io_conf, err, sizeof(err)) != 0) {
        fail_msg("%s", err);
    }
    assert_int_equal(
        shared_init(&l->rig.shared, n, LANES_PEERS, LANES_STREAMS, LANES_SUBS, RING_BYTES),
        0);
    conf.ring_mem = l->rig.shared.streams;
    l->tables = calloc(n, sizeof(*l->tables));
    l->memory = aligned_alloc(64, (tables_bytes(&conf) + 63) & ~(size_t)63);
    l->hub_memory = aligned_alloc(64, (hub_bytes(n) + 63) & ~(size_t)63);
    assert_true(l->tables != NULL && l->memory != NULL && l->hub_memory != NULL);
    memset(l->memory, 0, tables_bytes(&conf));
    memset(l->hub_memory, 0, hub_bytes(n));
    hub_init(&l->hub, n, l->hub_memory);
    assert_int_equal(tables_init(l->tables, &conf, l->memory, "lanes"), 0);
    for (uint32_t i = 0; i < n; i++) {
        make_lane(l, i);
    }
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(pthread_create(&l->threads[i], NULL, lane_main, l->loops[i]), 0);
    }
    far_open(&l->pub, &l->rig, 0, FAR_GCM, 4);
    l->audio = pace_bps != 0 ? far_publish_video(&l->pub, 0, STREAM_SSRC)
                             : far_publish_audio(&l->pub, 0, STREAM_SSRC);
    return l;
}

struct lanes *lanes_start(uint32_t n)
{
    return lanes_start_on(n, "mem");
}

struct lanes *lanes_start_on(uint32_t n, const char *device)
{
    return start(n, device, 0);
}

struct lanes *lanes_start_paced(uint32_t n, uint32_t bps)
{
    return start(n, "mem", bps);
}

/* Of each lane, and of all: what came in went somewhere. */
static void check(const struct lanes *l)
{
    uint64_t out = 0, in = 0;

    for (uint32_t i = 0; i < l->n; i++) {
        const struct lane_counts *c = &l->loops[i]->lane.counts;
        uint64_t ends = c->handed_out;

        for (unsigned k = 0; k < N_DROP_REASONS; k++) {
            ends += c->drops_in[k];
        }
        for (unsigned k = 0; k < N_DONE_KINDS; k++) {
            ends += c->done[k];
        }
        assert_int_equal(l->loops[i]->pipe.rx.packets + c->handed_in, ends);
        assert_int_equal(l->tables[i].n_open, 0);
        assert_int_equal(l->tables[i].n_open_streams, 0);
        assert_int_equal(l->tables[i].n_open_subs, 0);
        out += c->handed_out;
        in += c->handed_in;
    }
    assert_int_equal(out, in);
    assert_int_equal(l->tables[0].store.used, 0);
}

void lanes_stop(struct lanes *l)
{
    struct lane *all[LANES_MAX];
    uint64_t n_free, n_total;

    for (uint32_t i = 0; i < l->n; i++) {
        atomic_store(&l->loops[i]->state, LOOP_STOP);
        loop_wake(l->loops[i]);
        assert_int_equal(pthread_join(l->threads[i], NULL), 0);
        all[i] = &l->loops[i]->lane;
    }
    loop_settle(l->loops, l->n);
    command_close_lanes(all, l->n);
    check(l);
    lane_buffers(all[0], &n_free, &n_total);
    assert_int_equal(n_free, n_total);
    far_end(&l->pub);
    for (uint32_t i = 0; i < LANES_PEERS; i++) {
        far_end(&l->listeners[i].far);
    }
    for (uint32_t i = 0; i < l->n; i++) {
        crypt_ctx_destroy(l->loops[i]->lane.crypt);
        free(l->loops[i]);
    }
    tables_fini(l->tables);
    shared_fini(&l->rig.shared, false);
    io_destroy(l->rig.io);
    free(l->tables);
    free(l->memory);
    free(l->hub_memory);
    free(l->bytes);
    free(l->packets);
    free(l);
}
