/* See rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/rig.h"

#include "rtcp/rtcp_out.h"
#include "sfu/base/handle.h"
#include "stage/route.h"

enum { RING_BYTES = 24 * 1024 * 1024, MAX_ROUNDS = 100000, STEP_US = 10000, WAIT_US = 200 };

static void on_tx(void *arg, const struct pkt *pkt)
{
    struct rig *rig = arg;
    struct rig_frame *frame = &rig->frames[rig->n_frames];

    assert_true(rig->n_frames < RIG_FRAMES);
    assert_true(pkt->len <= PKT_ROOM);
    assert_non_null(pkt->to);
    frame->to = *pkt->to;
    frame->len = pkt->len;
    memcpy(frame->data, pkt->data, pkt->len);
    rig->n_frames++;
}

static bool on_punt(void *arg, const struct pkt *pkt)
{
    struct rig *rig = arg;
    struct abi_datagram *to;

    if (rig->punt_full) {
        return false;
    }
    to = &rig->punted[rig->n_punted++ % RIG_PUNTS];
    to->path = pkt->path;
    to->peer = pkt->peer != NULL ? pkt->peer->handle : 0;
    to->kind = pkt->kind == PKT_STUN ? ABI_DATAGRAM_STUN : ABI_DATAGRAM_DTLS;
    to->len = pkt->len;
    assert_true(pkt->len <= sizeof(to->data));
    memcpy(to->data, pkt->data, pkt->len);
    return true;
}

static struct rig *running;

static void destroy(struct rig *rig)
{
    tables_fini(&rig->tables);
    shared_fini(&rig->shared, false);
    crypt_ctx_destroy(rig->lane.crypt);
    io_destroy(rig->io);
    free(rig->frames);
    free(rig->memory);
    free(rig);
    running = NULL;
}

bool rig_mem_likes_runs(void)
{
    return getenv("KCS_TEST_RUNS") != NULL;
}

const char *rig_device(const char *device)
{
    return strcmp(device, "mem") == 0 && rig_mem_likes_runs() ? "mem:runs" : device;
}

struct rig *rig_start_on(const char *device, enum crypt_backend backend)
{
    const struct io_conf io_conf = {.devices = {rig_device(device)},
                                    .n_devices = 1,
                                    .media_port = RIG_PORT,
                                    .n_lanes = 1,
                                    .n_mbufs = RIG_BUFFERS,
                                    .heap_mb = 64,
                                    .hugepages = IO_HUGEPAGES_NEVER};
    struct tables_conf conf = {.n_peers = RIG_PEERS,
                               .n_streams = RIG_STREAMS,
                               .n_subs = RIG_SUBS,
                               .n_lanes = 1,
                               .ring_bytes = RING_BYTES};
    struct rig *rig = aligned_alloc(64, (sizeof(*rig) + 63) & ~(size_t)63);
    struct crypt_ctx *crypt;
    char err[256] = "";

    assert_non_null(rig);
    memset(rig, 0, sizeof(*rig));
    if (running != NULL) {
        destroy(running); /* of a test that failed */
    }
    if (io_create(&rig->io, &io_conf, err, sizeof(err)) != 0) {
        fail_msg("%s", err);
    }
    assert_int_equal(
        shared_init(&rig->shared, 1, RIG_PEERS, RIG_STREAMS, RIG_SUBS, RING_BYTES), 0);
    conf.ring_mem = rig->shared.streams;
    rig->memory = aligned_alloc(64, (tables_bytes(&conf) + 63) & ~(size_t)63);
    rig->frames = malloc(RIG_FRAMES * sizeof(*rig->frames));
    assert_true(rig->memory != NULL && rig->frames != NULL);
    memset(rig->memory, 0, tables_bytes(&conf));
    assert_int_equal(tables_init(&rig->tables, &conf, rig->memory, "rig"), 0);
    assert_int_equal(crypt_ctx_create(&crypt, backend), 0);
    lane_init(&rig->lane, 0, &rig->tables, crypt, io_pool(rig->io), RIG_START_US);
    rig->pipe = (struct pipeline){
        .lane = &rig->lane, .io = rig->io, .punt = on_punt, .punt_arg = rig};
    port_mem_on_tx(rig->io, 0, 0, on_tx, rig);
    running = rig;
    return rig;
}

struct rig *rig_start(const char *device)
{
    return rig_start_on(device, CRYPT_IPSEC_MB);
}

uint64_t rig_drops_in(const struct rig *rig)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < N_DROP_REASONS; i++) {
        sum += rig->lane.counts.drops_in[i];
    }
    return sum;
}

uint64_t rig_drops_out(const struct rig *rig)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < N_DROP_REASONS; i++) {
        sum += rig->lane.counts.drops_out[i];
    }
    return sum;
}

/* Who is not asked for every packet has promised not to need what it is not asked for. */
static void check_promises(const struct rig *rig)
{
    for (uint32_t i = 0; i < RIG_SUBS; i++) {
        const struct sub *sub = &rig->tables.subs[i];
        uint32_t needs = 0;

        if (sub->handle == 0 || sub->at.chunk == NULL) {
            continue;
        }
        assert_ptr_equal(sub->at.chunk->subs[sub->at.i], sub);
        for (uint32_t t = 0; t < SUBLIST_TARGETS; t++) {
            needs |= (uint32_t)(sub->at.chunk->needs[t] >> sub->at.i & 1) << t;
        }
        if ((sub->at.chunk->asked >> sub->at.i & 1) != 0) {
            assert_true(sub->at.chunk->any >> sub->at.i & 1);
            continue;
        }
        assert_int_equal(sub->at.chunk->any >> sub->at.i & 1, needs != 0);
        if (needs == 0) {
            assert_true(sub->paused || sub->held || sub->shed);
            assert_true(!sub->behind && (sub->layers == NULL || sub->passes == 0));
        } else {
            assert_true(!sub->behind && sub->layers != NULL && sub->passes == needs);
        }
    }
}

void rig_check(const struct rig *rig)
{
    const struct io_rx_count *rx = &rig->pipe.rx;
    uint64_t ignored = 0;
    uint64_t done = 0;

    for (unsigned i = 0; i < N_IO_IGNORED; i++) {
        ignored += rx->ignored[i];
    }
    for (unsigned i = 0; i < N_DONE_KINDS; i++) {
        done += rig->lane.counts.done[i];
    }
    assert_int_equal(rx->frames, rig->n_injected);
    assert_int_equal(rx->frames, rx->answered + ignored + done + rig_drops_in(rig));
    assert_int_equal(rig->lane.counts.rx_packets, rx->packets);
    check_promises(rig);
}

void rig_stop(struct rig *rig)
{
    uint64_t n_free;
    uint64_t n_total;

    rig_check(rig);
    command_close_all(&rig->lane);
    assert_false(lane_has_grown(&rig->lane));
    assert_int_equal(rig->lane.paced.busy, 0);
    assert_int_equal(rig->tables.n_open, 0);
    assert_int_equal(rig->tables.n_open_streams, 0);
    assert_int_equal(rig->tables.n_open_subs, 0);
    assert_int_equal(rig->tables.store.used, 0);
    lane_buffers(&rig->lane, &n_free, &n_total);
    assert_int_equal(n_total, RIG_BUFFERS);
    assert_int_equal(n_free, n_total);
    destroy(rig);
}

void rig_inject(struct rig *rig, const struct path *from, const void *data, size_t len)
{
    uint32_t i = rig->n_inputs++;

    assert_true(i < RIG_INPUTS && len <= PKT_ROOM);
    memcpy(rig->inputs[i].data, data, len);
    rig->packets[i] = (struct port_mem_packet){
        .data = rig->inputs[i].data, .len = (uint16_t)len, .path = *from};
}

void rig_ingress(struct rig *rig)
{
    port_mem_inject(rig->io, 0, 0, rig->packets, rig->n_inputs);
    for (unsigned i = 0; port_mem_waiting(rig->io, 0, 0) > 0; i++) {
        assert_true(i < MAX_ROUNDS);
        (void)pipeline_ingress(&rig->pipe);
    }
    rig->n_injected += rig->n_inputs;
    rig->n_inputs = 0;
    rig_check(rig);
}

void rig_egress(struct rig *rig)
{
    (void)pipeline_layers(&rig->pipe);
    for (unsigned i = 0; route_is_due(&rig->lane) || lane_resends(&rig->lane) ||
                         pipeline_held_up(&rig->pipe);
         i++) {
        assert_true(i < MAX_ROUNDS);
        (void)pipeline_egress(&rig->pipe, 1);
        if (pipeline_held_up(&rig->pipe)) {
            rig->lane.now_us += WAIT_US;
        }
    }
}

void rig_run(struct rig *rig)
{
    rig_ingress(rig);
    rig_egress(rig);
    for (unsigned i = 0; rtcp_out_deadline(&rig->lane) <= rig->lane.now_us; i++) {
        assert_true(i < MAX_ROUNDS);
        (void)pipeline_rtcp(&rig->pipe);
    }
}

void rig_pass(struct rig *rig, uint64_t us)
{
    uint64_t until_us = rig->lane.now_us + us;

    rig_run(rig);
    while (rig->lane.now_us < until_us) {
        uint64_t left_us = until_us - rig->lane.now_us;

        rig->lane.now_us += left_us < STEP_US ? left_us : STEP_US;
        rig_run(rig);
    }
}

int rig_command(struct rig *rig, uint32_t op, uint64_t handle)
{
    const struct abi_cmd cmd = {.op = op, .handle = handle};

    if (rig->command != NULL) {
        return rig->command(rig, op, handle);
    }
    return command_apply(&rig->lane, rig->io, &rig->shared.vault, &cmd);
}

uint64_t rig_handle(struct rig *rig, uint32_t index)
{
    return handle_make(index, ++rig->gen);
}

int rig_peer(struct rig *rig, uint32_t op, const struct vault_peer_conf *conf)
{
    vault_peer_write(&rig->shared.vault.peers[handle_index(conf->handle)], conf);
    return rig_command(rig, op, conf->handle);
}

int rig_stream(struct rig *rig, uint32_t op, const struct vault_stream_conf *conf)
{
    vault_stream_write(&rig->shared.vault.streams[handle_index(conf->handle)], conf);
    return rig_command(rig, op, conf->handle);
}

int rig_sub(struct rig *rig, uint32_t op, const struct vault_sub_conf *conf)
{
    vault_sub_write(&rig->shared.vault.subs[handle_index(conf->handle)], conf);
    return rig_command(rig, op, conf->handle);
}

uint32_t rig_exhaust(struct rig *rig, uint32_t n, struct pkt **held)
{
    uint32_t n_held = 0;

    while (n_held < RIG_BUFFERS && lane_alloc(&rig->lane, &held[n_held], 1) == 1) {
        n_held++;
    }
    while (n > 0) {
        lane_free(&rig->lane, held[--n_held]);
        n--;
    }
    return n_held;
}

void rig_release(struct rig *rig, struct pkt **held, uint32_t n_held)
{
    for (uint32_t i = 0; i < n_held; i++) {
        lane_free(&rig->lane, held[i]);
    }
}
