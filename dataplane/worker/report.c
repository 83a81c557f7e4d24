/* See report.h. */
#include "worker/report.h"

_Static_assert((int)N_DROP_REASONS <= (int)ABI_MAX_DROPS, "every reason has a counter");
_Static_assert((int)N_DONE_KINDS <= (int)ABI_MAX_DONES, "every end has a counter");

static void put_name(char *out, size_t cap, const char *name)
{
    size_t len = strlen(name);

    memset(out, 0, cap);
    memcpy(out, name, len < cap ? len : cap - 1);
}

void report_names(struct abi_shm *shm)
{
    static const char *const drops[] = {
#define X(constant, name, text) name,
        DROP_REASONS(X)
#undef X
    };
    static const char *const dones[] = {
#define X(constant, name, text) name,
        DONE_KINDS(X)
#undef X
    };
    static const char *const traces[] = {
#define X(constant, name) name,
        TRACE_STAGES(X)
#undef X
    };

    shm->n_drops = N_DROP_REASONS;
    shm->n_dones = N_DONE_KINDS;
    shm->n_traces = N_TRACE_STAGES;
    for (unsigned i = 0; i < N_TRACE_STAGES; i++) {
        put_name(shm->trace_names[i], sizeof(shm->trace_names[i]), traces[i]);
    }
    for (unsigned i = 0; i < N_DROP_REASONS; i++) {
        put_name(shm->drop_names[i], sizeof(shm->drop_names[i]), drops[i]);
    }
    for (unsigned i = 0; i < N_DONE_KINDS; i++) {
        put_name(shm->done_names[i], sizeof(shm->done_names[i]), dones[i]);
    }
}

void report_recent(const struct pipeline *p, struct report_loop *loop, uint64_t now)
{
    const struct lane_counts *counts = &p->lane->counts;
    const uint64_t now_us = p->lane->now_us;
    struct report_span sum;

    if (loop->began == 0) {
        loop->began = now;
        loop->since_us = now_us;
    }
    loop->cycles = now - loop->began;
    if (now_us - loop->since_us < REPORT_RECENT_US) {
        return;
    }
    sum = (struct report_span){.cycles = loop->cycles,
                               .busy_cycles = loop->busy_cycles,
                               .packets = counts->rx_packets + counts->tx_packets +
                                          counts->handed_tx};
    loop->recent =
        (struct report_span){.cycles = sum.cycles - loop->since.cycles,
                             .busy_cycles = sum.busy_cycles - loop->since.busy_cycles,
                             .packets = sum.packets - loop->since.packets};
    loop->since = sum;
    loop->since_us = now_us;
}

/* Of every device; what the lane sends on each is counted there. */
static uint64_t udp6_sums(const struct pipeline *p)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < io_n_devices(p->io); i++) {
        sum += io_tx_count(p->io, i, io_first_queue(p->io, i, p->lane->index))->udp6_sums;
    }
    return sum;
}

void report_lane(const struct pipeline *p, const struct report_loop *loop,
                 struct shared_lane *out)
{
    const struct lane *lane = p->lane;
    const struct lane_counts *from = &lane->counts;
    struct abi_lane_counts counts = {
        .frames_in = p->rx.frames,
        .answered = p->rx.answered + p->rx.passed, /* both are done with */
        .rx_packets = from->rx_packets,
        .rx_bytes = from->rx_bytes,
        .tx_packets = from->tx_packets,
        .tx_bytes = from->tx_bytes,
        .forwards = from->forwards,
        .rtcp_out = from->rtcp_out,
        .datagrams_out = from->datagrams_out,
        .loops = loop->loops,
        .busy_loops = loop->busy_loops,
        .busy_cycles = loop->busy_cycles,
        .cycles = loop->cycles,
        .recent_cycles = loop->recent.cycles,
        .recent_busy_cycles = loop->recent.busy_cycles,
        .recent_packets = loop->recent.packets,
        .sleeps = loop->sleeps,
        .peers = lane->tables->n_open,
        .streams = lane->tables->n_open_streams,
        .subs = lane->tables->n_open_subs,
        .ring_bytes_used = lane->tables->store.used,
        .handed_out = from->handed_out,
        .handed_in = from->handed_in,
        .handed_tx = from->handed_tx,
        .padding_packets = from->padding_packets,
        .padding_bytes = from->padding_bytes,
        .resent = from->resent,
        .paced = from->paced,
        .udp6_sums = udp6_sums(p),
    };

    lane_buffers(lane, &counts.buffers_free, &counts.buffers_total);
    for (unsigned i = 0; i < N_IO_IGNORED; i++) {
        counts.ignored += p->rx.ignored[i];
    }
    memcpy(counts.drops_in, from->drops_in, sizeof(from->drops_in));
    memcpy(counts.drops_out, from->drops_out, sizeof(from->drops_out));
    memcpy(counts.done, from->done, sizeof(from->done));
    abi_lane_stats_write(out->stats, &counts, lane->now_us);
}

static uint32_t ts_to_us(uint32_t ts, uint32_t clock_hz)
{
    return (uint32_t)((uint64_t)ts * 1000000 / clock_hz);
}

static void report_streams(const struct peer *peer, struct shared *s)
{
    for (const struct stream *st = peer->rest->streams; st != NULL; st = st->next_of_peer) {
        int64_t lost = recvstat_lost(&st->stat);

        const struct abi_stream_stats stats = {
            .handle = st->handle,
            .packets = st->packets,
            .bytes = st->bytes,
            .lost = lost > 0 ? (uint64_t)lost : 0,
            .keyframes = st->keyframes,
            .pli_sent = st->pli_sent,
            .pli_asked = st->pli_asked,
            .nacked = st->nack.n_asked,
            .repaired = st->repaired,
            .ssrc = st->ssrc,
            .jitter_us = ts_to_us(recvstat_jitter(&st->stat), st->clock_hz),
            .subs = st->n_subs & ~STREAM_SHUT,
        };

        abi_words_copy(&s->stream_stats[st->index], &stats, sizeof(stats));
    }
}

static void report_subs(const struct tables *t, const struct peer *peer, struct shared *s)
{
    for (const struct sub *sub = peer->rest->subs; sub != NULL; sub = sub->next_of_peer) {
        const struct refused *refused = &t->refused_subs[sub->index];
        const struct refused *rtx = &t->refused_rtx[sub->index];
        const uint64_t n_refused = refused_packets(refused);
        const struct abi_sub_stats stats = {
            .handle = sub->handle,
            .packets = sub->packets - n_refused,
            .bytes = sub->bytes - refused_bytes(refused),
            .skipped = sub->rest->skipped + n_refused,
            .nacks = sub->rest->nacks,
            .nacks_ignored = sub->rest->nacks_ignored,
            .keyframes_ignored = sub->rest->keyframes_ignored,
            .rtx_packets = sub->rest->rtx_packets - refused_packets(rtx),
            .rtx_bytes = sub->rest->rtx_bytes - refused_bytes(rtx),
            .lost = sub->rest->lost,
            .jitter_us = ts_to_us(sub->rest->jitter, sub->stream->clock_hz),
            .rtt_us = sub->rest->rtt_us,
            .fraction_lost = sub->rest->fraction_lost,
            .held = sub->held,
        };

        abi_words_copy(&s->sub_stats[sub->index], &stats, sizeof(stats));
    }
}

static void report_peer(const struct tables *t, const struct peer *peer, struct shared *s)
{
    const struct refused *refused = &t->refused_peers[peer->index];
    const struct refused *padding = &t->refused_padding[peer->index];
    const struct bwe *bwe = peer->bwe;
    const struct abi_peer_stats stats = {
        .handle = peer->handle,
        .rx_packets = peer->rest->rx_packets,
        .rx_bytes = peer->rest->rx_bytes,
        .tx_packets = peer->tx_packets - refused_packets(refused),
        .tx_bytes = peer->tx_bytes - refused_bytes(refused),
        .last_check_us = *peer->rest->last_check_us,
        .remb_bps = peer->rest->remb_bps,
        .twcc_reports = peer->rest->twcc_reports,
        .twcc_lost = peer->rest->twcc_lost,
        .rtt_us = peer->rest->rtt_us,
        .available_bps = bwe_is_fed(bwe) ? (uint32_t)bwe_target(bwe) : 0,
        .wanted_bps = (uint32_t)bwe->wanted_bps,
        .queue_us = bwe_queue_us(bwe),
        .probes = bwe->n_probes,
        .padding_packets = peer->rest->padding_packets - refused_packets(padding),
        .padding_bytes = peer->rest->padding_bytes - refused_bytes(padding),
        .twcc_unknown = bwe->n_unknown,
        .twcc_ignored = bwe->n_ignored,
    };

    abi_words_copy(&s->peer_stats[peer->index], &stats, sizeof(stats));
    report_streams(peer, s);
    report_subs(t, peer, s);
}

/* Whether something of a peer that sends nothing can have changed since it was told. What is
 * counted though nothing came or went (frames that another lane could not send) is told once
 * in REPORT_ROUNDS. */
static bool has_news(const struct lane *lane, const struct open_peer *open,
                     const struct peer *peer)
{
    return !open->told || peer->tx_packets != open->told_packets ||
           peer->rest->streams != NULL ||
           (lane->told_at + lane->told_round) % REPORT_ROUNDS == 0;
}

bool report_objects(struct lane *lane, struct shared *s)
{
    const struct tables *t = lane->tables;

    for (unsigned i = 0; i < REPORT_PEERS && lane->told_at < t->n_open; i++) {
        struct open_peer *open = &t->open[lane->told_at];
        const struct peer *peer = &t->peers[open->index];

        if (has_news(lane, open, peer)) {
            report_peer(t, peer, s);
            open->told = true;
            open->told_packets = peer->tx_packets;
        }
        lane->told_at++;
    }
    if (lane->told_at < t->n_open) {
        return false;
    }
    lane->told_at = 0;
    lane->told_round++;
    return true;
}
