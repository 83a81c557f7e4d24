/* What control may write, through a real lane: records of the vault that are valid but for
 * some bytes, any command on any handle, in any order, with media in between; live words of
 * the vault overwritten. Every command has a status, every object is given back at the end.
 */
#define FUZZ_DEVICE "mem:eth"
#include "rig_target.h"

#include "sfu/base/handle.h"

enum { MAX_OPS = 64, SLOTS = 6 };

struct world {
    struct call call;
    struct rbytes in;
    uint64_t peers[SLOTS], streams[SLOTS], subs[SLOTS]; /* the last handles, by slot */
};

/* Overwrites some bytes of 'conf'. */
static void patch(struct world *w, void *conf, size_t size)
{
    for (uint8_t n = rbytes_u8(&w->in) % 8; n > 0; n--) {
        size_t at = rbytes_be16(&w->in) % size;
        size_t len;
        const uint8_t *bytes = fuzz_block(&w->in, size - at, &len);

        memcpy((uint8_t *)conf + at, bytes, len);
    }
}

/* A new handle of the slot, or the one before. */
static uint64_t pick(struct world *w, uint64_t *slots, uint8_t how)
{
    uint32_t slot = how % SLOTS;

    if (slots[slot] == 0 || (how & 0x80) != 0) {
        slots[slot] = rig_handle(w->call.rig, slot);
    }
    return slots[slot];
}

static int status_of(int status)
{
    FUZZ_CHECK(status <= 0 && status > -4096);
    return status;
}

static void peer(struct world *w, uint32_t op)
{
    struct vault_peer_conf conf = w->call.pub.conf;
    uint8_t how = rbytes_u8(&w->in);

    conf.paths[0] = far_path(how % SLOTS, how / 64, (how & 0x40) != 0 ? 6 : 4);
    conf.handle = pick(w, w->peers, how);
    patch(w, &conf, sizeof(conf));
    vault_peer_write(&w->call.rig->shared.vault.peers[how % SLOTS], &conf);
    (void)status_of(rig_command(w->call.rig, op, w->peers[how % SLOTS]));
}

static void stream(struct world *w, uint32_t op)
{
    uint8_t how = rbytes_u8(&w->in);
    uint8_t owner = rbytes_u8(&w->in);
    struct vault_stream_conf conf = (how & 0x40) != 0 ? w->call.audio : w->call.video;

    conf.handle = pick(w, w->streams, how);
    conf.peer = w->peers[owner % SLOTS];
    conf.ssrc = (how & 0x20) != 0 ? 0 : 0x1000u + how;
    conf.mid_len = (how & 0x20) != 0 ? 1 : 0;
    patch(w, &conf, sizeof(conf));
    vault_stream_write(&w->call.rig->shared.vault.streams[how % SLOTS], &conf);
    (void)status_of(rig_command(w->call.rig, op, w->streams[how % SLOTS]));
}

static void sub(struct world *w, uint32_t op)
{
    uint8_t how = rbytes_u8(&w->in);
    uint8_t ends = rbytes_u8(&w->in);
    struct vault_sub_conf conf = w->call.to_video;

    conf.handle = pick(w, w->subs, how);
    conf.peer = w->peers[ends % SLOTS];
    conf.stream = w->streams[ends / 16 % SLOTS];
    conf.ssrc = 0x2000u + how;
    patch(w, &conf, sizeof(conf));
    vault_sub_write(&w->call.rig->shared.vault.subs[how % SLOTS], &conf);
    (void)status_of(rig_command(w->call.rig, op, w->subs[how % SLOTS]));
}

/* Any command on any handle, its record as it is. */
static void command(struct world *w)
{
    uint8_t op = rbytes_u8(&w->in);
    uint8_t which = rbytes_u8(&w->in);
    uint64_t handle;

    switch (which / SLOTS % 4) {
    case 0:
        handle = w->peers[which % SLOTS];
        break;
    case 1:
        handle = w->streams[which % SLOTS];
        break;
    case 2:
        handle = w->subs[which % SLOTS];
        break;
    default:
        handle = rbytes_be64(&w->in);
        break;
    }
    (void)status_of(rig_command(
        w->call.rig, op < 0xf0 ? op % (N_ABI_OPS + 1) : rbytes_be32(&w->in), handle));
}

/* Overwrites live words, as a broken control could. */
static void spoil(struct world *w)
{
    const struct vault *vault = &w->call.rig->shared.vault;
    uint8_t how = rbytes_u8(&w->in);
    uint32_t slot = how % SLOTS;
    uint8_t *at;
    size_t size;
    size_t len;
    const uint8_t *bytes;

    switch (how / SLOTS % 3) {
    case 0:
        at = (uint8_t *)&vault->peers[slot].live;
        size = sizeof(vault->peers[slot].live);
        break;
    case 1:
        at = (uint8_t *)&vault->streams[slot].live;
        size = sizeof(vault->streams[slot].live);
        break;
    default:
        at = (uint8_t *)&vault->sub_lives[slot];
        size = sizeof(vault->sub_lives[slot]);
        break;
    }
    at += rbytes_be16(&w->in) % size / 8 * 8;
    bytes = fuzz_block(&w->in, 8, &len);
    memcpy(at, bytes, len);
}

static void traffic(struct world *w, uint8_t how)
{
    struct rig *rig = w->call.rig;
    struct far_rtp rtp = call_video(&w->call, (how & 1) != 0);

    rtp.ssrc = (how & 2) != 0 ? rtp.ssrc : 0x1000u + rbytes_u8(&w->in);
    far_send_rtp(&w->call.pub, &rtp);
    rtp = call_audio(&w->call, "hello", 5);
    far_send_rtp(&w->call.pub, &rtp);
    if ((how & 4) != 0) {
        far_send_check(&w->call.sub, &w->call.sub.path);
    }
    rig->lane.now_us += how * UINT64_C(10000);
    rig_run(rig);
}

static void step(struct world *w)
{
    uint8_t op = rbytes_u8(&w->in);

    switch (op % 12) {
    case 0:
        peer(w, ABI_OP_PEER_OPEN);
        break;
    case 1:
        peer(w, ABI_OP_PEER_UPDATE);
        break;
    case 2:
    case 3:
        stream(w, ABI_OP_STREAM_OPEN);
        break;
    case 4:
        stream(w, ABI_OP_STREAM_UPDATE);
        break;
    case 5:
    case 6:
        sub(w, ABI_OP_SUB_OPEN);
        break;
    case 7:
        sub(w, ABI_OP_SUB_UPDATE);
        break;
    case 8:
    case 9:
        command(w);
        break;
    case 10:
        spoil(w);
        break;
    default:
        traffic(w, op);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig *rig = fuzz_rig();
    struct world w = {.in = fuzz_in(data, size)};

    call_open(&w.call, rig, FAR_GCM, 4);
    w.peers[1] = w.call.pub.conf.handle;
    w.peers[2] = w.call.sub.conf.handle;
    w.streams[0] = w.call.audio.handle;
    w.streams[1] = w.call.video.handle;
    w.subs[0] = w.call.to_audio.handle;
    w.subs[1] = w.call.to_video.handle;
    for (unsigned n = 0; n < MAX_OPS && fuzz_more(&w.in); n++) {
        step(&w);
    }
    traffic(&w, 0xff);
    far_end(&w.call.pub);
    far_end(&w.call.sub);
    fuzz_rig_empty(rig);
    return 0;
}
