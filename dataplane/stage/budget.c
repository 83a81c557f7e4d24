/* See budget.h. */
#include "stage/budget.h"

#include "stage/allot.h"

enum { PEERS_A_CALL = 256, FAR = 4, NEAR = 2 /* peers ahead */ };

static bool can_send(const struct peer *peer)
{
    return peer->to != NULL && peer->tx_key != NULL && !peer->consent_lost;
}

/* Has padding_burst() look at a peer whose probe has begun. One for whom there is no place
 * goes without padding: the probe ends by itself. */
static void begin_probe(struct lane *lane, struct peer *peer)
{
    bool listed = false;

    for (uint32_t i = 0; i < lane->n_probing; i++) {
        listed |= lane->probing[i] == peer->handle;
    }
    if (!listed && lane->n_probing < LANE_PROBES) {
        listed = true;
        lane->probing[lane->n_probing++] = peer->handle;
    }
    if (!listed) {
        (void)bwe_take_padding(peer->bwe, peer->tx_bytes, peer->twcc_next, lane->now_us);
    } else if (bwe_padding_due(peer->bwe) < lane->padding_due_us) {
        lane->padding_due_us = bwe_padding_due(peer->bwe);
    }
}

/* Tells control what the link carries: the first time, and when it has changed by so much
 * that somebody may want to know. */
static void tell(struct lane *lane, struct peer *peer)
{
    const uint64_t bps = bwe_target(peer->bwe);
    const uint64_t off = bps > peer->rest->told_bps ? bps - peer->rest->told_bps
                                                    : peer->rest->told_bps - bps;

    if (!bwe_is_fed(peer->bwe) || lane->now_us - peer->rest->told_us < BUDGET_TELL_US ||
        off * BUDGET_TELL_SHARE < peer->rest->told_bps) {
        return;
    }
    if (lane_tell(lane, LANE_NEWS_BANDWIDTH, peer->handle, (uint32_t)(bps / 1000))) {
        peer->rest->told_bps = (uint32_t)bps;
        peer->rest->told_us = lane->now_us;
    }
}

/* Works out what each layer of a stream costs. */
static void rate_layers(const struct lane *lane, struct stream *stream)
{
    const uint64_t since_us = lane->now_us - stream->rated_us;
    const bool first = stream->rated_us == 0;

    if (!first && since_us < BUDGET_RATE_US) {
        return;
    }
    for (unsigned i = 0; i < LAYER_MAX * LAYER_MAX; i++) {
        const unsigned s = i / LAYER_MAX, t = i % LAYER_MAX;
        const uint64_t bytes =
            atomic_load_explicit(&stream->layer_bytes[s][t], memory_order_relaxed);
        const uint64_t bps = (bytes - stream->rated_bytes[s][t]) * 8500000 /
                             (since_us + 1); /* and headers */
        const uint32_t was =
            atomic_load_explicit(&stream->layer_bps[s][t], memory_order_relaxed);

        if (!first) {
            atomic_store_explicit(&stream->layer_bps[s][t], alloc_cost(was, (uint32_t)bps),
                                  memory_order_relaxed);
        }
        stream->rated_bytes[s][t] = bytes;
    }
    stream->rated_us = lane->now_us;
}

/* Some more than the link carries, or than was given all the same where media is the only
 * probe: what is in excess for longer is not the pacer's to mend. An estimate that is only
 * hope paces nobody. */
static uint32_t pace_of(const struct lane *lane, struct peer *peer)
{
    const uint64_t target_bps = bwe_target(peer->bwe);
    const uint64_t bps =
        target_bps > peer->rest->given_bps ? target_bps : peer->rest->given_bps;

    return lane->pacer_window_us != 0 && allot_is_known(lane, peer)
               ? (uint32_t)(bps * BUDGET_PACE_NUM / BUDGET_PACE_DEN)
               : 0;
}

static void sweep_peer(struct lane *lane, struct peer *peer)
{
    for (struct stream *s = peer->rest->streams; s != NULL; s = s->next_of_peer) {
        rate_layers(lane, s);
    }
    if (peer->rest->subs == NULL || !can_send(peer) ||
        (!peer->rest->has_twcc && peer->bwe->remb_us == 0)) {
        return;
    }
    (void)bwe_tick(peer->bwe, peer->tx_bytes, peer->twcc_next, lane->now_us);
    if (bwe_is_probing(peer->bwe)) {
        begin_probe(lane, peer);
    }
    if (lane->now_us >= peer->rest->allot_due_us) {
        peer->rest->allot_due_us = lane->now_us + BUDGET_ALLOT_US;
        allot_peer(lane, peer);
    }
    peer->pace_bps = pace_of(lane, peer);
    tell(lane, peer);
}

/* Loads ahead what is looked at of peer 'at'. */
static void prefetch(const struct tables *t, uint32_t at)
{
    if (at + FAR < t->n_open) {
        peer_prefetch(&t->peers[t->open_peers[at + FAR]]);
    }
    if (at + NEAR < t->n_open) {
        const struct peer *peer = &t->peers[t->open_peers[at + NEAR]];

        peer_prefetch_rest(peer);
        bwe_prefetch(peer->bwe);
    }
}

void budget_sweep(struct lane *lane)
{
    struct tables *t = lane->tables;
    uint32_t looked_at = 0;

    if (lane->now_us < lane->budget_due_us) {
        return;
    }
    while (lane->budget_at < t->n_open && looked_at < PEERS_A_CALL) {
        prefetch(t, lane->budget_at);
        sweep_peer(lane, &t->peers[t->open_peers[lane->budget_at++]]);
        looked_at++;
    }
    if (lane->budget_at >= t->n_open) {
        lane->budget_at = 0;
        lane->budget_due_us = lane->now_us + BUDGET_SWEEP_US;
    }
}

uint64_t budget_deadline(const struct lane *lane)
{
    const uint64_t due_us = lane->tables->n_open > 0 ? lane->budget_due_us : UINT64_MAX;

    return lane->padding_due_us < due_us ? lane->padding_due_us : due_us;
}
