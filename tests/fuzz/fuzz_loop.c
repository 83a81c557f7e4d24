/* A lane's turn against rings that control has spoilt: commands and datagrams of any
 * content, counters anywhere; and a vault of any content, every command tried on it. A turn
 * is bounded, media goes on beside it, and all that was taken is given back. */
#define FUZZ_DEVICE "mem:eth"
#include "rig_target.h"

#include "sfu/base/handle.h"
#include "worker/loop.h"

enum { MAX_OPS = 48, SLOTS = 4 };

struct world {
    struct call call;
    struct rbytes in;
    struct loop *loop;
    struct shared_lane *control; /* its ends of the rings are the same */
};

static void begin(struct world *w)
{
    struct rig *rig = w->call.rig;

    w->loop = aligned_alloc(64, (sizeof(*w->loop) + 63) & ~(size_t)63);
    FUZZ_CHECK(w->loop != NULL);
    memset(w->loop, 0, sizeof(*w->loop));
    w->loop->lane = rig->lane;
    w->loop->pipe.io = rig->io;
    w->loop->pipe.rx = rig->pipe.rx;
    w->loop->shared = &rig->shared;
    w->loop->mine = w->control = &rig->shared.lanes[0];
    loop_init(w->loop);
}

/* Gives the lane's state back to the rig, which checks that nothing is lost. */
static void end(struct world *w)
{
    struct rig *rig = w->call.rig;

    command_close_all(&w->loop->lane);
    rig->lane = w->loop->lane;
    rig->pipe.rx = w->loop->pipe.rx;
    free(w->loop);
}

static void turn(struct world *w)
{
    struct rig *rig = w->call.rig;
    uint32_t done;

    port_mem_inject(rig->io, 0, 0, rig->packets, rig->n_inputs);
    done = loop_turn(w->loop);
    FUZZ_CHECK(done <= 10000); /* bounded, whatever the counters say */
    while (port_mem_waiting(rig->io, 0, 0) > 0) {
        (void)loop_turn(w->loop);
    }
    rig->n_injected += rig->n_inputs;
    rig->n_inputs = 0;
    rig->n_frames = 0;
}

/* The handle that stands in a record, or any. */
static uint64_t handle_of(struct world *w, uint8_t which)
{
    const struct vault *vault = &w->call.rig->shared.vault;
    uint32_t slot = which % SLOTS;

    switch (which / SLOTS % 4) {
    case 0:
        return vault->peers[slot].conf[vault->peers[slot].commit & 1].handle;
    case 1:
        return vault->streams[slot].conf[vault->streams[slot].commit & 1].handle;
    case 2:
        return vault->subs[slot].conf[vault->subs[slot].commit & 1].handle;
    default:
        return rbytes_be64(&w->in);
    }
}

static void put_command(struct world *w, uint32_t op, uint64_t handle)
{
    struct abi_cmd *slot = ring_reserve(&w->control->cmd);

    if (slot != NULL) {
        *slot = (struct abi_cmd){.cookie = handle ^ op, .op = op, .handle = handle};
        ring_commit(&w->control->cmd);
    }
}

static void overwrite(struct world *w, void *mem, size_t size)
{
    size_t at = rbytes_be16(&w->in) % size;
    size_t len;
    const uint8_t *bytes = fuzz_block(&w->in, size - at, &len);

    memcpy((uint8_t *)mem + at, bytes, len);
}

static void put_datagram(struct world *w)
{
    struct abi_datagram *slot = ring_reserve(&w->control->punt_out);

    if (slot != NULL) {
        *slot = (struct abi_datagram){
            .path = w->call.pub.path, .len = 20, .kind = ABI_DATAGRAM_STUN};
        overwrite(w, slot, sizeof(*slot));
        ring_commit(&w->control->punt_out);
    }
}

static void spoil_ring(struct world *w)
{
    const struct ring_view *rings[] = {&w->control->cmd, &w->control->evt,
                                       &w->control->punt_in, &w->control->punt_out};
    uint8_t how = rbytes_u8(&w->in);
    struct ring *ring = rings[how % 4]->ring;

    if ((how & 4) != 0) {
        atomic_store(&ring->head, rbytes_be32(&w->in));
    } else {
        atomic_store(&ring->tail, rbytes_be32(&w->in));
    }
}

/* Any bytes over a record, its commit word too. */
static void spoil_record(struct world *w)
{
    const struct vault *vault = &w->call.rig->shared.vault;
    uint8_t how = rbytes_u8(&w->in);
    uint32_t slot = how % SLOTS;

    switch (how / SLOTS % 3) {
    case 0:
        overwrite(w, &vault->peers[slot], sizeof(vault->peers[slot]));
        break;
    case 1:
        overwrite(w, &vault->streams[slot], sizeof(vault->streams[slot]));
        break;
    default:
        overwrite(w, &vault->subs[slot], sizeof(vault->subs[slot]));
        break;
    }
}

static void try_all(struct world *w)
{
    for (uint32_t op = 0; op <= N_ABI_OPS; op++) {
        for (uint8_t which = 0; which < 3 * SLOTS; which++) {
            put_command(w, op, handle_of(w, which));
        }
    }
    turn(w);
    turn(w);
}

static void drain(struct world *w)
{
    while (ring_peek(&w->control->evt) != NULL && fuzz_more(&w->in)) {
        (void)rbytes_u8(&w->in);
        ring_release(&w->control->evt);
    }
}

static void step(struct world *w)
{
    uint8_t op = rbytes_u8(&w->in);
    struct far_rtp rtp;

    switch (op % 9) {
    case 0:
        put_command(w, rbytes_u8(&w->in), handle_of(w, rbytes_u8(&w->in)));
        break;
    case 1:
        put_datagram(w);
        break;
    case 2:
        spoil_ring(w);
        break;
    case 3:
    case 4:
        spoil_record(w);
        break;
    case 5:
        try_all(w);
        break;
    case 6:
        drain(w);
        break;
    case 7:
        rtp = call_video(&w->call, (op & 0x10) != 0);
        far_send_rtp(&w->call.pub, &rtp);
        turn(w);
        break;
    default:
        turn(w);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig *rig = fuzz_rig();
    struct world w = {.in = fuzz_in(data, size)};

    call_open(&w.call, rig, FAR_CM80, 4);
    begin(&w);
    for (unsigned n = 0; n < MAX_OPS && fuzz_more(&w.in); n++) {
        step(&w);
    }
    turn(&w);
    end(&w);
    far_end(&w.call.pub);
    far_end(&w.call.sub);
    fuzz_rig_empty(rig);
    return 0;
}
