/* A vault of any content, and a lane that rebuilds its objects from it: a call is opened
 * and media flows, the lane keeps its objects (a control died) or loses them (a dataplane
 * died), bytes of the vault are overwritten, the lane recovers, media and commands go on.
 * Without a change everything must be back, and no index be used twice. */
#define FUZZ_DEVICE "mem:eth"
#include "rig_target.h"

#include "sfu/base/handle.h"
#include "worker/recover.h"

enum { ROUNDS = 4, SLOTS = 4 };

struct world {
    struct call call;
    struct rbytes in;
    bool spoilt;
};

/* Overwrites bytes of one record: its commit word, either copy, its live words. */
static void spoil(struct world *w)
{
    const struct vault *vault = &w->call.rig->shared.vault;
    uint8_t how = rbytes_u8(&w->in);
    uint32_t slot = how % SLOTS;
    uint8_t *mem = (uint8_t *)&vault->subs[slot];
    size_t size = sizeof(vault->subs[slot]);
    size_t at;
    size_t len;
    const uint8_t *bytes;

    if (how / SLOTS % 3 == 0) {
        mem = (uint8_t *)&vault->peers[slot];
        size = sizeof(vault->peers[slot]);
    } else if (how / SLOTS % 3 == 1) {
        mem = (uint8_t *)&vault->streams[slot];
        size = sizeof(vault->streams[slot]);
    }
    at = rbytes_be16(&w->in) % size;
    bytes = fuzz_block(&w->in, size - at, &len);
    memcpy(mem + at, bytes, len);
    w->spoilt = w->spoilt || len > 0;
}

/* Copies a record over another of its kind: two objects that claim the same. */
static void duplicate(struct world *w)
{
    const struct vault *vault = &w->call.rig->shared.vault;
    uint8_t how = rbytes_u8(&w->in);
    uint32_t from = how % SLOTS;
    uint32_t to = how / SLOTS % SLOTS;
    uint64_t gen = (uint64_t)++w->call.rig->gen;

    switch (how / 16 % 3) {
    case 0:
        vault->peers[to] = vault->peers[from];
        vault->peers[to].conf[0].handle = vault->peers[to].conf[1].handle =
            handle_make(to, (uint32_t)gen);
        break;
    case 1:
        vault->streams[to] = vault->streams[from];
        vault->streams[to].conf[0].handle = vault->streams[to].conf[1].handle =
            handle_make(to, (uint32_t)gen);
        break;
    default:
        vault->subs[to] = vault->subs[from];
        vault->subs[to].conf[0].handle = vault->subs[to].conf[1].handle =
            handle_make(to, (uint32_t)gen);
        break;
    }
    w->spoilt = true;
}

static void traffic(struct world *w)
{
    struct rig *rig = w->call.rig;
    struct far_rtp rtp = call_video(&w->call, true);
    struct far_got got;
    bool heard = false;

    far_send_rtp(&w->call.pub, &rtp);
    rtp = call_audio(&w->call, "hello", 5);
    far_send_rtp(&w->call.pub, &rtp);
    far_send_check(&w->call.sub, &w->call.sub.path);
    rig->lane.now_us += 20000;
    rig_run(rig);
    while (!w->spoilt && far_take(&w->call.sub, &got)) {
        heard = heard || got.kind == FAR_RTP;
    }
    FUZZ_CHECK(w->spoilt || heard);
    rig->n_frames = 0;
    w->call.sub.read_at = w->call.pub.read_at = 0;
}

static void recover(struct world *w)
{
    struct rig *rig = w->call.rig;
    struct lane *lane = &rig->lane;

    recover_lanes(&lane, 1, rig->io, &rig->shared.vault, rig->shared.vault_fd,
                  rig->lane.now_us);
    FUZZ_CHECK(w->spoilt || (rig->tables.n_open == 2 && rig->tables.n_open_streams == 2 &&
                             rig->tables.n_open_subs == 2));
}

/* Every command on every record, as a control would that takes over. */
static void command_all(struct world *w, bool closes)
{
    static const uint32_t ops[] = {
        ABI_OP_PEER_UPDATE,     ABI_OP_STREAM_UPDATE, ABI_OP_SUB_UPDATE,
        ABI_OP_STREAM_KEYFRAME, ABI_OP_SUB_KEYFRAME,  ABI_OP_SUB_CLOSE,
        ABI_OP_STREAM_CLOSE,    ABI_OP_PEER_CLOSE};
    const struct vault *v = &w->call.rig->shared.vault;

    for (size_t i = 0; i < (closes ? 7 : 4); i++) {
        for (uint32_t slot = 0; slot < SLOTS; slot++) {
            const uint64_t handles[] = {
                v->peers[slot].conf[v->peers[slot].commit & 1].handle,
                v->streams[slot].conf[v->streams[slot].commit & 1].handle,
                v->subs[slot].conf[v->subs[slot].commit & 1].handle};

            for (size_t kind = 0; kind < 3; kind++) {
                int status = rig_command(w->call.rig, ops[i], handles[kind]);

                FUZZ_CHECK(status <= 0 && status > -4096);
            }
        }
    }
    w->spoilt = w->spoilt || closes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig *rig = fuzz_rig();
    struct world w = {.in = fuzz_in(data, size)};

    call_open(&w.call, rig, FAR_GCM, 4);
    traffic(&w);
    for (unsigned i = 0; i < ROUNDS && (i == 0 || fuzz_more(&w.in)); i++) {
        uint8_t how = rbytes_u8(&w.in);

        if ((how & 1) == 0) {
            command_close_all(&rig->lane); /* a new dataplane begins with nothing */
        }
        for (uint8_t n = how >> 4; n > 0; n--) {
            if (rbytes_u8(&w.in) % 8 == 0) {
                duplicate(&w);
            } else {
                spoil(&w);
            }
        }
        recover(&w);
        traffic(&w);
        if ((how & 2) != 0) {
            command_all(&w, (how & 4) != 0);
            traffic(&w);
        }
    }
    far_end(&w.call.pub);
    far_end(&w.call.sub);
    fuzz_rig_empty(rig);
    return 0;
}
