/* Everything that can arrive from the network, through the whole dataplane: raw datagrams
 * from any address, and what a peer with keys can do, sealed by libsrtp2: RTP with any
 * header extensions and payload, RTCP compounds, connectivity checks; then changed bytes,
 * time, full devices. Counters must sum, each packet must come back to the pool, and what
 * is sent must decrypt at the far end, no index used twice. */
#define FUZZ_DEVICE "mem"
#include "rig_target.h"

enum { MAX_OPS = 48 };

struct world {
    struct call call;
    struct rbytes in;
    uint16_t seq;
};

static struct path path_of(const struct world *w, uint8_t how)
{
    switch (how % 4) {
    case 0:
        return w->call.pub.path;
    case 1:
        return w->call.sub.path;
    case 2:
        return far_path(1, 1 + how % 5, w->call.pub.path.family);
    default:
        return far_path(99, how, 4);
    }
}

/* Injects 'len' bytes of 'data', of which the input may have changed some. */
static void inject(struct world *w, const struct path *from, uint8_t *data, size_t len)
{
    uint8_t n = rbytes_u8(&w->in);

    for (n = n < 0xf0 ? 0 : n & 15; n > 0 && len > 0; n--) {
        size_t at = rbytes_u8(&w->in);

        data[at % len] ^= rbytes_u8(&w->in);
    }
    rig_inject(w->call.rig, from, data, len);
}

static void raw(struct world *w)
{
    struct path from = path_of(w, rbytes_u8(&w->in));
    size_t len;
    const uint8_t *bytes = fuzz_block(&w->in, PKT_ROOM, &len);

    rig_inject(w->call.rig, &from, bytes, len);
}

static void sealed_rtp(struct world *w)
{
    static const uint32_t ssrcs[] = {CALL_AUDIO_SSRC, CALL_VIDEO_SSRC, CALL_RTX_SSRC,
                                     0x0a0a0004};
    static const uint8_t pts[] = {FAR_AUDIO_PT, FAR_VIDEO_PT, FAR_RTX_PT, 13};
    uint8_t which = rbytes_u8(&w->in);
    uint8_t shape = rbytes_u8(&w->in);
    struct far_rtp rtp = {.ssrc = ssrcs[which & 3],
                          .pt = pts[which >> 2 & 3],
                          .ts = rbytes_be16(&w->in) * 960u,
                          .marker = (shape & 1) != 0,
                          .padding = (shape & 2) != 0 ? rbytes_u8(&w->in) : 0};
    struct far *from = (shape & 4) != 0 ? &w->call.sub : &w->call.pub;
    uint8_t buf[PKT_ROOM];

    if ((shape & 8) != 0) {
        rtp.ssrc = rbytes_be32(&w->in);
    }
    /* forwards, and back within what a sender may repeat */
    w->seq = (uint16_t)(w->seq + 1 + (rbytes_u8(&w->in) & 31));
    rtp.seq = (uint16_t)(w->seq - (rbytes_u8(&w->in) & 15));
    if ((shape & 16) != 0) {
        rtp.ext_profile = rbytes_be16(&w->in);
        rtp.ext = fuzz_block(&w->in, 256, &rtp.ext_len);
        rtp.ext_len &= ~(size_t)3;
    }
    rtp.payload = fuzz_block(&w->in, 1000, &rtp.len);
    inject(w, &from->path, buf, far_make_rtp(from, &rtp, buf));
}

static void sealed_rtcp(struct world *w)
{
    struct far *from = rbytes_u8(&w->in) % 2 != 0 ? &w->call.pub : &w->call.sub;
    uint8_t buf[PKT_ROOM];
    uint8_t out[PKT_ROOM + 64];
    struct wbytes compound = wbytes_of(buf, 1400);
    size_t len;
    const uint8_t *bytes = fuzz_block(&w->in, 1400, &len);

    wbytes_put(&compound, bytes, len);
    if (len >= 8) { /* less cannot be sealed */
        inject(w, &from->path, out, far_make_rtcp(from, &compound, out));
    }
}

static void check(struct world *w)
{
    uint8_t how = rbytes_u8(&w->in);
    struct far *from = (how & 1) != 0 ? &w->call.pub : &w->call.sub;
    struct path path = path_of(w, rbytes_u8(&w->in));
    const struct far_check conf = {.nominate = (how & 2) != 0,
                                   .no_username = (how & 4) != 0,
                                   .no_integrity = (how & 8) != 0,
                                   .pwd = (how & 16) != 0 ? "another password" : NULL};
    uint8_t buf[256];

    inject(w, &path, buf, far_make_check(from, &conf, buf));
}

static void step(struct world *w)
{
    struct rig *rig = w->call.rig;
    uint8_t op = rbytes_u8(&w->in);

    switch (op % 8) {
    case 0:
        raw(w);
        break;
    case 1:
    case 2:
        sealed_rtp(w);
        break;
    case 3:
        sealed_rtcp(w);
        break;
    case 4:
        check(w);
        break;
    case 5:
        rig_run(rig);
        break;
    case 6:
        rig->lane.now_us += (uint64_t)rbytes_be16(&w->in) * 100;
        rig_run(rig);
        break;
    default:
        port_mem_limit(rig->io, 0, 0, op < 128 ? UINT64_MAX : op & 7);
        rig->punt_full = (op & 8) != 0;
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t profiles[] = {FAR_GCM, FAR_CM80};
    struct rig *rig = fuzz_rig();
    struct world w = {.in = fuzz_in(data, size), .seq = 30000};
    uint8_t how = rbytes_u8(&w.in);
    struct far_got got;

    call_open(&w.call, rig, profiles[how & 1], (how & 2) != 0 ? 6 : 4);
    for (unsigned n = 0; n < MAX_OPS && fuzz_more(&w.in); n++) {
        step(&w);
    }
    rig_run(rig);
    while (far_take(&w.call.sub, &got) || far_take(&w.call.pub, &got)) {
    }
    far_end(&w.call.pub);
    far_end(&w.call.sub);
    fuzz_rig_empty(rig);
    return 0;
}
