/* See fanout.h. Peer 0 publishes; subscriber i is peer i + 1 and subscription i. */
#include "benchmarks/fanout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <x86intrin.h>

#include "benchmarks/fanout_priv.h"
#include "benchmarks/numbers.h"
#include "sfu/base/bytes.h"
#include "sfu/base/handle.h"
#include "sfu/wire/rtp_ext.h"
#include "stage/protect.h"
#include "stage/rewrite.h"
#include "stage/route.h"
#include "worker/command.h"
#include "worker/report.h"

enum { WARM_UP_S = 5 };

static int fail(char *err, size_t cap, int code, const char *what)
{
    (void)snprintf(err, cap, "%s: %s", what, strerror(-code));
    return code;
}

static uint64_t lane_clock_us(void)
{
    return number_clock_ns(CLOCK_MONOTONIC) / 1000;
}

/* ---- peers, stream, subscriptions ---- */

static int apply(struct fanout *f, uint32_t op, uint32_t index)
{
    const struct abi_cmd cmd = {.op = op, .handle = handle_make(index, 1)};

    return command_apply(&f->lane, f->io, &f->shared.vault, &cmd);
}

/* x.y.z.i and a port, all different. */
struct path fanout_peer_path(const struct fanout *f, uint32_t i)
{
    const bool wire = i > 0 && f->out > 0;
    const struct io_device *dev = io_device(f->io, wire ? f->out : 0);
    const uint8_t ip[4] = {wire ? f->wire.net : 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8),
                           (uint8_t)i};
    struct path path = {.family = 4,
                        .device = wire ? f->out : 0,
                        .remote_port = (uint16_t)(20000 + i % 40000)};

    path_map_v4(path.remote_ip, ip);
    memcpy(path.local_ip, dev->addrs[0].ip, sizeof(path.local_ip));
    path.local_port = dev->media_port;
    if (wire && f->wire.port != 0) {
        path.remote_port = f->wire.port;
    }
    memcpy(path.remote_mac, wire ? f->wire.mac : (const uint8_t[6]){2, 0, 0, 0, 0, 2}, 6);
    return path;
}

static int open_peer(struct fanout *f, uint32_t i)
{
    struct vault_peer_conf conf = {.handle = handle_make(i, 1),
                                   .profile = f->profile,
                                   .n_paths = 1,
                                   .ufrag_len = 4,
                                   .pwd_len = 22};

    if (getrandom(conf.rx_key, 16, 0) != 16 || getrandom(conf.tx_key, 16, 0) != 16 ||
        getrandom(conf.rx_salt, 14, 0) != 14 || getrandom(conf.tx_salt, 14, 0) != 14) {
        return -EIO;
    }
    conf.paths[0] = fanout_peer_path(f, i);
    vault_peer_write(&f->shared.vault.peers[i], &conf);
    return apply(f, ABI_OP_PEER_OPEN, i);
}

static int open_stream(struct fanout *f)
{
    struct vault_stream_conf conf = {.handle = handle_make(0, 1),
                                     .peer = handle_make(0, 1),
                                     .clock_hz = 90000,
                                     .ssrc = SSRC_IN,
                                     .kind = ABI_VIDEO,
                                     .codec = ABI_CODEC_VP8,
                                     .pt = PT_IN};

    conf.ext_id[ABI_EXT_MID] = 4; /* other ids than the router's */
    conf.ext_id[ABI_EXT_ABS_SEND_TIME] = 2;
    conf.ext_id[ABI_EXT_TRANSPORT_CC] = 3;
    vault_stream_write(&f->shared.vault.streams[0], &conf);
    return apply(f, ABI_OP_STREAM_OPEN, 0);
}

static int open_sub(struct fanout *f, uint32_t i)
{
    struct vault_sub_conf conf = {.handle = handle_make(i, 1),
                                  .stream = handle_make(0, 1),
                                  .peer = handle_make(i + 1, 1),
                                  .ssrc = SSRC_OUT + i,
                                  .pt = PT_OUT,
                                  .paused = f->others == FANOUT_PAUSED && i > 0,
                                  .layered = f->others == FANOUT_BELOW && i > 0,
                                  .spatial = VAULT_LAYER_ANY, /* temporal: the lowest */
                                  .mid_len = 1,
                                  .mid = "7"};

    conf.ext_id[ABI_EXT_MID] = ABI_EXT_MID;
    conf.ext_id[ABI_EXT_ABS_SEND_TIME] = ABI_EXT_ABS_SEND_TIME;
    conf.ext_id[ABI_EXT_TRANSPORT_CC] = ABI_EXT_TRANSPORT_CC;
    vault_sub_write(&f->shared.vault.subs[i], &conf);
    return apply(f, ABI_OP_SUB_OPEN, i);
}

static int open_all(struct fanout *f, char *err, size_t err_cap)
{
    struct vault_peer_conf conf;
    int e = 0;

    for (uint32_t i = 0; i <= f->n_subs && e == 0; i++) {
        e = open_peer(f, i);
    }
    if (e == 0) {
        e = open_stream(f);
    }
    for (uint32_t i = 0; i < f->n_subs && e == 0; i++) {
        e = open_sub(f, i);
    }
    if (e == 0) {
        e = vault_peer_read(&f->shared.vault.peers[0], &conf);
    }
    if (e == 0) {
        e = crypt_key_init(f->publisher, &f->publisher_key, f->profile, conf.rx_key,
                           conf.rx_salt, true);
    }
    return e == 0 ? 0 : fail(err, err_cap, e, "peers and subscriptions");
}

/* ---- memory, device, lane ---- */

static int make_tables(struct fanout *f)
{
    const struct tables_conf conf = {.n_peers = f->n_subs + 1,
                                     .n_streams = 1,
                                     .n_subs = f->n_subs,
                                     .n_lanes = 1,
                                     .ring_bytes = RING_BYTES,
                                     .ring_mem = f->shared.streams}; /* as the node's */

    f->memory_bytes = tables_bytes(&conf);
    f->memory = worker_map(f->memory_bytes);
    if (f->memory == NULL) {
        return -ENOMEM;
    }
    return tables_init(&f->tables, &conf, f->memory, "bench");
}

static int open_parts(struct fanout *f, char *err, size_t err_cap)
{
    struct io_conf conf = f->wire.io;
    struct crypt_ctx *crypt = NULL;
    int e;

    conf.devices[0] = "mem:eth";
    conf.n_devices = f->out + 1u;
    conf.media_port = 7000;
    conf.n_lanes = 1;
    e = io_create(&f->io, &conf, err, err_cap);

    if (e != 0) {
        return e;
    }
    e = shared_init(&f->shared, 1, f->n_subs + 1, 1, f->n_subs, RING_BYTES);
    if (e != 0) {
        return fail(err, err_cap, e, "shared memory");
    }
    f->shared_open = true;
    e = make_tables(f);
    if (e == 0) {
        e = crypt_ctx_create(&f->publisher, CRYPT_IPSEC_MB);
    }
    if (e == 0) {
        e = crypt_ctx_create(&crypt, CRYPT_IPSEC_MB);
    }
    if (e != 0) {
        return fail(err, err_cap, e, "tables and SRTP");
    }
    lane_init(&f->lane, 0, &f->tables, crypt, io_pool(f->io), lane_clock_us());
    f->pipe = (struct pipeline){.lane = &f->lane, .io = f->io};
    return open_all(f, err, err_cap);
}

static int create(struct fanout **out, enum crypt_profile profile,
                  const struct fanout_wire *wire, unsigned n_subs, unsigned size,
                  enum fanout_others others, char *err, size_t err_cap)
{
    struct fanout *f;
    int e;

    if (n_subs == 0 || n_subs > FANOUT_SUBS_MAX || size < FANOUT_SIZE_MIN ||
        size > FANOUT_SIZE_MAX) {
        return fail(err, err_cap, -EINVAL, "subscribers or size");
    }
    f = aligned_alloc(64, (sizeof(*f) + 63) / 64 * 64);
    if (f == NULL) {
        return fail(err, err_cap, -ENOMEM, "packets");
    }
    memset(f, 0, sizeof(*f));
    f->n_subs = n_subs;
    f->size = size;
    f->profile = profile;
    f->others = others;
    f->next = FIRST_INDEX;
    if (wire != NULL) {
        f->wire = *wire;
        f->out = 1;
    }
    for (unsigned i = 0; i < sizeof(f->noise); i++) {
        f->noise[i] = (uint8_t)(rand() >> 7);
    }
    e = open_parts(f, err, err_cap);
    if (e != 0) {
        fanout_destroy(f);
        return e;
    }
    *out = f;
    return 0;
}

int fanout_create(struct fanout **out, enum crypt_profile profile, unsigned n_subs,
                  unsigned size, enum fanout_others others, char *err, size_t err_cap)
{
    return create(out, profile, NULL, n_subs, size, others, err, err_cap);
}

int fanout_create_wire(struct fanout **out, const struct fanout_wire *wire, unsigned n_subs,
                       unsigned size, char *err, size_t err_cap)
{
    return create(out, CRYPT_AEAD_AES_128_GCM, wire, n_subs, size, FANOUT_SENT, err,
                  err_cap);
}

const struct io *fanout_io(const struct fanout *f)
{
    return f->io;
}

void fanout_trace(struct fanout *f, unsigned every)
{
    f->pipe.trace =
        (struct trace){.out = every > 0 ? f->shared.lanes[0].trace : NULL, .every = every};
}

void fanout_destroy(struct fanout *f)
{
    if (f == NULL) {
        return;
    }
    fanout_feedback_close(f);
    if (f->lane.tables != NULL) {
        command_close_all(&f->lane);
    }
    crypt_key_wipe(&f->publisher_key);
    crypt_ctx_destroy(f->publisher);
    crypt_ctx_destroy(f->lane.crypt);
    tables_fini(&f->tables);
    if (f->memory != NULL) {
        (void)munmap(f->memory, f->memory_bytes);
    }
    if (f->shared_open) {
        shared_fini(&f->shared, false);
    }
    io_destroy(f->io);
    free(f);
}

/* ---- the publisher ---- */

/* The payload of the packet with this index: VP8, the first packet the start of a key
 * frame, which is what subscriptions wait for. With layers a frame is a packet. */
static void write_payload(const struct fanout *f, uint64_t index, uint8_t *payload)
{
    const bool first = index == FIRST_INDEX;

    memcpy(payload, f->noise, f->size - HDR_LEN);
    if (f->others == FANOUT_BELOW) {
        /* RFC 7741, 4.2: picture id, TL0PICIDX, TID */
        payload[0] = 0x90;
        payload[1] = 0xe0;
        store_be16(payload + 2, (uint16_t)(0x8000 | (index & 0x7fff)));
        payload[4] = 0;
        payload[5] = first ? 0x00 : 0x40;
        payload[LAYERS_LEN] = first ? 0x00 : 0x01; /* a key frame or not */
        store_be64(payload + LAYERS_LEN + 1, index);
        return;
    }
    payload[0] = first ? 0x10 : 0x00;
    payload[1] = 0;
    store_be64(payload + 2, index);
}

static void write_packet(struct fanout *f, unsigned i)
{
    const struct rtp_hdr hdr = {.ssrc = SSRC_IN,
                                .ts = (uint32_t)f->next * 90,
                                .seq = (uint16_t)f->next,
                                .pt = PT_IN,
                                .has_ext = true};
    struct wbytes w = wbytes_of(f->bytes[i], HDR_LEN);
    uint8_t twcc[2], payload[PACKET_BYTES];
    struct rtp_ext_writer ext;
    struct crypt_op op = {.key = &f->publisher_key,
                          .src = payload,
                          .dst = f->bytes[i] + HDR_LEN,
                          .index = f->next,
                          .ssrc = SSRC_IN,
                          .hdr_len = HDR_LEN,
                          .len = (uint16_t)(f->size - HDR_LEN)};

    rtp_write(&w, &hdr);
    ext = rtp_ext_begin(&w, false);
    store_be16(twcc, (uint16_t)f->next);
    rtp_ext_put(&ext, 4, "0", 1);
    rtp_ext_put(&ext, 2, "\0\0\0", 3);
    rtp_ext_put(&ext, 3, twcc, 2);
    rtp_ext_finish(&ext);
    write_payload(f, f->next, payload);
    (void)crypt_protect_burst(f->publisher, &op, 1);
    f->packets[i] =
        (struct port_mem_packet){.data = f->bytes[i],
                                 .len = (uint16_t)(f->size + crypt_tag_len(f->profile)),
                                 .path = fanout_peer_path(f, 0)};
    f->next++;
}

/* ---- looking at what arrives ---- */

struct verifier {
    struct fanout *f;
    struct crypt_ctx *ctx;
    struct crypt_key keys[SAMPLE_MAX];
    unsigned step; /* every step-th subscriber is looked at */
    unsigned n_seen;
    const char *wrong; /* the first thing that was */
};

/* Returns what is wrong with a frame, or NULL. 'sub' is its subscriber's number. */
static const char *frame_wrong(struct verifier *v, const uint8_t *frame, unsigned len,
                               uint32_t sub)
{
    const unsigned rtp_len = v->f->size + crypt_tag_len(v->f->profile);
    const struct path path = fanout_peer_path(v->f, sub + 1);
    uint8_t copy[PACKET_BYTES], plain[PACKET_BYTES], expected[PACKET_BYTES];
    uint8_t mid_len = 0, twcc_len = 0;
    const uint8_t *mid;
    unsigned from;
    struct rtp_hdr hdr;
    struct crypt_op op;

    if (len != OUTER_LEN + rtp_len || load_be16(frame + 12) != 0x0800 ||
        load_be16(frame + 36) != path.remote_port || load_be16(frame + 38) != rtp_len + 8) {
        return "outer headers";
    }
    memcpy(copy, frame + OUTER_LEN, rtp_len);
    if (rtp_parse(copy, rtp_len, &hdr) != 0 || hdr.ssrc != SSRC_OUT + sub ||
        hdr.pt != PT_OUT || hdr.hdr_len != HDR_LEN) {
        return "RTP header";
    }
    mid = rtp_ext_find(&hdr, EXT_MID, &mid_len);
    if (mid == NULL || mid_len != 1 || *mid != '7' ||
        rtp_ext_find(&hdr, EXT_TRANSPORT_CC, &twcc_len) == NULL) {
        return "header extensions";
    }
    /* no roll-over yet: the first index is below 2^15 */
    op = (struct crypt_op){.key = &v->keys[sub / v->step],
                           .src = copy + HDR_LEN,
                           .dst = plain,
                           .index = hdr.seq,
                           .ssrc = hdr.ssrc,
                           .hdr_len = HDR_LEN,
                           .len = (uint16_t)(rtp_len - HDR_LEN)};
    if (crypt_unprotect_burst(v->ctx, &op, 1) != 1) {
        return "authentication tag";
    }
    write_payload(v->f, hdr.ts / 90, expected);
    from = v->f->others == FANOUT_BELOW && sub > 0 ? LAYERS_LEN : 0; /* numbered anew */
    return memcmp(plain + from, expected + from, v->f->size - HDR_LEN - from) != 0
               ? "payload"
               : NULL;
}

static void on_tx_verify(void *arg, const struct pkt *pkt)
{
    struct verifier *v = arg;
    uint32_t sub = (load_be32(pkt->data + 30) & 0xffffff) - 1;

    if (pkt->sub != NULL && sub < v->f->n_subs && sub % v->step == 0) {
        const char *wrong = frame_wrong(v, pkt->data, pkt->len, sub);

        v->n_seen++;
        v->wrong = v->wrong != NULL ? v->wrong : wrong;
    }
}

/* Of the next packets and 'n_subs' of the subscriptions, the first among them. */
static uint64_t to_be_sent(const struct fanout *f, unsigned n_packets, unsigned n_subs)
{
    if (f->others == FANOUT_SENT) {
        return (uint64_t)n_packets * n_subs;
    }
    return n_packets +
           (f->others == FANOUT_BELOW && f->next == FIRST_INDEX ? n_subs - 1u : 0u);
}

int fanout_verify(struct fanout *f, char *err, size_t err_cap)
{
    struct verifier *v = aligned_alloc(64, (sizeof(*v) + 63) / 64 * 64);
    unsigned n_samples = 0;
    uint64_t expected;
    double ns;
    int e;

    if (v == NULL) {
        return fail(err, err_cap, -ENOMEM, "verification");
    }
    memset(v, 0, sizeof(*v));
    v->f = f;
    v->step = (f->n_subs + SAMPLE_MAX - 1) / SAMPLE_MAX;
    e = crypt_ctx_create(&v->ctx, CRYPT_LIBSRTP);
    for (uint32_t i = 0; i < f->n_subs && e == 0; i += v->step) {
        struct vault_peer_conf conf;

        e = vault_peer_read(&f->shared.vault.peers[i + 1], &conf);
        if (e == 0) {
            e = crypt_key_init(v->ctx, &v->keys[n_samples++], f->profile, conf.tx_key,
                               conf.tx_salt, false);
        }
    }
    if (e != 0) {
        (void)fail(err, err_cap, e, "libsrtp2");
        goto out;
    }
    port_mem_on_tx(f->io, 0, 0, on_tx_verify, v);
    expected = to_be_sent(f, VERIFY_PACKETS, n_samples);
    e = fanout_round(f, VERIFY_PACKETS, &ns, NULL, err, err_cap);
    port_mem_on_tx(f->io, 0, 0, NULL, NULL);
    if (e == 0 && (v->wrong != NULL || v->n_seen != expected)) {
        (void)snprintf(err, err_cap, "a forwarded packet is wrong: %s",
                       v->wrong != NULL ? v->wrong : "some are missing");
        e = -EBADMSG;
    }
out:
    for (unsigned i = 0; i < n_samples; i++) {
        crypt_key_wipe(&v->keys[i]);
    }
    crypt_ctx_destroy(v->ctx);
    free(v);
    return e;
}

/* ---- a round ---- */

static uint64_t mark(uint64_t *since, uint64_t *sum)
{
    uint64_t now = __rdtsc();

    *sum += now - *since;
    *since = now;
    return now;
}

/* pipeline_egress() with a mark after each stage. */
static void marked_egress(struct pipeline *p, uint64_t *since, uint64_t *ticks)
{
    while (lane_has_grown(p->lane)) {
        struct burst routed = {.n = 0};
        struct burst rewritten = {.n = 0};
        struct burst sealed = {.n = 0};

        (void)route_burst(p->lane, NULL, &routed);
        (void)mark(since, &ticks[FANOUT_ROUTE]);
        (void)rewrite_burst(p->lane, &routed, &rewritten);
        (void)mark(since, &ticks[FANOUT_REWRITE]);
        (void)protect_burst(p->lane, &rewritten, &sealed);
        (void)mark(since, &ticks[FANOUT_PROTECT]);
        pipeline_transmit(p, &sealed);
        (void)mark(since, &ticks[FANOUT_TX]);
    }
}

/* As a lane under load: each turn receives what one turn of the product's loop fans out. */
static void turns(struct fanout *f, unsigned n_packets, uint64_t *ticks)
{
    const unsigned most = LOOP_BURSTS * PKT_BURST / f->n_subs;
    const unsigned a_turn = most < 1 ? 1 : most > PKT_BURST ? PKT_BURST : most;
    uint64_t since = __rdtsc();

    for (unsigned at = 0; at < n_packets; at += a_turn) {
        const unsigned left = n_packets - at;

        f->lane.now_us = lane_clock_us();
        port_mem_inject(f->io, 0, 0, &f->packets[at], left < a_turn ? left : a_turn);
        (void)pipeline_ingress(&f->pipe);
        (void)pipeline_layers(&f->pipe);
        if (ticks == NULL) {
            while (lane_has_grown(&f->lane)) {
                (void)pipeline_egress(&f->pipe, LOOP_BURSTS);
            }
        } else {
            (void)mark(&since, &ticks[FANOUT_INGRESS]);
            marked_egress(&f->pipe, &since, ticks);
        }
    }
}

int fanout_round(struct fanout *f, unsigned n_packets, double *ns, double *stages,
                 char *err, size_t err_cap)
{
    const uint64_t visits = (uint64_t)n_packets * f->n_subs;
    const uint64_t expected = to_be_sent(f, n_packets, f->n_subs);
    const uint64_t *count = &f->lane.counts.forwards;
    uint64_t ticks[N_FANOUT_STAGES] = {0};
    uint64_t before, sent, cpu_start, cpu, all = 0;

    for (unsigned i = 0; i < n_packets; i++) {
        write_packet(f, i);
    }
    if (f->feedback != NULL) {
        fanout_feedback_prepare(f, n_packets);
    }
    before = *count;
    cpu_start = number_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (f->feedback != NULL) {
        fanout_feedback_turns(f, n_packets);
    } else {
        turns(f, n_packets, stages != NULL ? ticks : NULL);
    }
    cpu = number_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_start;
    *ns = (double)cpu / (double)visits;
    sent = *count - before;
    if (sent != expected) {
        (void)snprintf(err, err_cap, "%llu packets left, not %llu: no numbers",
                       (unsigned long long)sent, (unsigned long long)expected);
        return -EIO;
    }
    if (f->feedback != NULL && fanout_feedback_check(f, err, err_cap) != 0) {
        return -EIO;
    }
    for (unsigned i = 0; i < N_FANOUT_STAGES; i++) {
        all += ticks[i];
    }
    for (unsigned i = 0; i < N_FANOUT_STAGES && stages != NULL; i++) {
        stages[i] = *ns * (double)ticks[i] / (double)all;
    }
    return 0;
}

double fanout_crypt_round(struct fanout *f, unsigned n_packets)
{
    static uint8_t sealed[PKT_BURST * 2][PACKET_BYTES]; /* fit the second cache level */
    struct crypt_op ops[PKT_BURST] = {0};
    const uint64_t start = number_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    unsigned n = 0;

    for (; n < n_packets; n += PKT_BURST) {
        for (unsigned i = 0; i < PKT_BURST; i++) {
            ops[i].key = f->tables.peers[1 + (n + i) % f->n_subs].tx_key;
            ops[i].src = f->noise;
            ops[i].dst = sealed[(n + i) % (PKT_BURST * 2)] + HDR_LEN;
            ops[i].index = n + i;
            ops[i].ssrc = SSRC_IN; /* nobody is sent these */
            ops[i].hdr_len = HDR_LEN;
            ops[i].len = (uint16_t)(f->size - HDR_LEN);
        }
        (void)crypt_protect_burst(f->lane.crypt, ops, PKT_BURST);
    }
    return (double)(number_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / n;
}

/* As the product's loop does by timer. */
static void tick(struct fanout *f, uint64_t *report_us)
{
    (void)pipeline_rtcp(&f->pipe);
    (void)pipeline_layers(&f->pipe);
    (void)pipeline_budget(&f->pipe);
    if (f->lane.now_us >= *report_us && report_objects(&f->lane, &f->shared)) {
        *report_us = f->lane.now_us + REPORT_OBJECTS_US;
    }
}

double fanout_silence(struct fanout *f, unsigned seconds)
{
    uint64_t report_us = 0, start = 0;

    for (unsigned ms = 0; ms < (WARM_UP_S + seconds) * 1000; ms++) {
        if (ms == WARM_UP_S * 1000) {
            start = number_clock_ns(CLOCK_THREAD_CPUTIME_ID);
        }
        for (unsigned i = 0; i <= f->n_subs && ms % 1000 == 0; i++) {
            *f->tables.peers[i].rest->last_check_us = f->lane.now_us;
        }
        f->lane.now_us += 1000;
        tick(f, &report_us);
    }
    return (double)(number_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / seconds / f->n_subs;
}

void fanout_wire_round(struct fanout *f, unsigned n_packets, struct fanout_sent *out)
{
    const struct io_tx_count *count = io_tx_count(f->io, f->out, 0);
    const uint64_t before = count->packets;
    uint64_t cpu_start, wall_start;

    for (unsigned i = 0; i < n_packets; i++) {
        write_packet(f, i);
    }
    wall_start = number_clock_ns(CLOCK_MONOTONIC);
    cpu_start = number_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    turns(f, n_packets, NULL);
    out->cpu_ns = (double)(number_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_start);
    out->wall_ns = (double)(number_clock_ns(CLOCK_MONOTONIC) - wall_start);
    out->sent = count->packets - before;
    out->lost = (uint64_t)n_packets * f->n_subs - out->sent;
}
