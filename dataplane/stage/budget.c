/* See budget.h. */
#include "stage/budget.h"

#include "sfu/base/least.h"
#include "stage/allot.h"

enum {
    LOOKS_A_CALL = 4096, /* at peers, of which one that is due counts as so many: */
    DUE = 16,
    FAR = 4, /* peers ahead */
    NEAR = 2
};

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
 * that somebody may want to know. Returns false if it is too soon for that, or there is no
 * place for it now. */
static bool tell(struct lane *lane, struct peer *peer)
{
    const uint64_t bps = bwe_target(peer->bwe);
    const uint64_t off = bps > peer->rest->told_bps ? bps - peer->rest->told_bps
                                                    : peer->rest->told_bps - bps;

    if (!bwe_is_fed(peer->bwe) || off * BUDGET_TELL_SHARE < peer->rest->told_bps) {
        return true;
    }
    if (lane->now_us - peer->rest->told_us < BUDGET_TELL_US ||
        !lane_tell(lane, LANE_NEWS_BANDWIDTH, peer->handle, (uint32_t)(bps / 1000))) {
        return false;
    }
    peer->rest->told_bps = (uint32_t)bps;
    peer->rest->told_us = lane->now_us;
    return true;
}

/* Works out what each layer of a stream costs. Returns when to do so again. */
static uint64_t rate_layers(const struct lane *lane, struct stream *stream)
{
    const uint64_t since_us = lane->now_us - stream->rated_us;
    const bool first = stream->rated_us == 0;

    if (!first && since_us < BUDGET_RATE_US) {
        return stream->rated_us + BUDGET_RATE_US;
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
    return lane->now_us + BUDGET_RATE_US;
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

/* When what its link carries is to be shared out again: soon, as it may come to something else
 * by itself; but not if nothing had to be withheld, and nothing is sent, or there is no
 * feedback. */
static uint64_t allot_due(const struct peer *peer)
{
    const struct peer_rest *rest = peer->rest;
    const bool still = peer->tx_bytes == rest->allot_bytes || !bwe_is_fed(peer->bwe);

    return rest->allot_us + (rest->settled && still ? BUDGET_REST_US : BUDGET_ALLOT_US);
}

/* What was left out while nothing was sent (bwe_deadline). */
static void catch_up(const struct lane *lane, const struct open_peer *open,
                     struct peer *peer)
{
    const uint64_t at_us = lane->now_us - BWE_TICK_US;

    if (open->ticked_us != 0 && open->ticked_us < at_us) {
        (void)bwe_tick(peer->bwe, open->tx_bytes, open->twcc_next, at_us);
    }
}

/* Returns when there is more to do for the estimator. */
static uint64_t sweep_estimator(struct lane *lane, struct open_peer *open,
                                struct peer *peer)
{
    bool told;

    catch_up(lane, open, peer);
    (void)bwe_tick(peer->bwe, peer->tx_bytes, peer->twcc_next, lane->now_us);
    open->ticked_us = lane->now_us;
    open->told = false;
    if (bwe_is_probing(peer->bwe)) {
        begin_probe(lane, peer);
    }
    if (lane->now_us >= allot_due(peer)) {
        allot_peer(lane, peer);
    }
    peer->pace_bps = pace_of(lane, peer);
    told = tell(lane, peer);
    if (!told || (bwe_is_fed(peer->bwe) && !allot_is_known(lane, peer))) {
        return lane->now_us;
    }
    return least(allot_due(peer), bwe_deadline(peer->bwe, peer->tx_bytes, peer->twcc_next,
                                               lane->now_us));
}

static void sweep_peer(struct lane *lane, struct open_peer *open, struct peer *peer)
{
    open->budget_us = UINT64_MAX;
    for (struct stream *s = peer->rest->streams; s != NULL; s = s->next_of_peer) {
        open->budget_us = least(open->budget_us, rate_layers(lane, s));
    }
    if (peer->rest->subs != NULL && !can_send(peer)) {
        open->budget_us = lane->now_us; /* nobody wakes it when it can */
    } else if (peer->rest->subs != NULL &&
               (peer->rest->has_twcc || peer->bwe->remb_us != 0)) {
        open->budget_us = least(open->budget_us, sweep_estimator(lane, open, peer));
    }
    open->tx_bytes = peer->tx_bytes;
    open->twcc_next = peer->twcc_next;
}

static bool is_due(const struct lane *lane, const struct open_peer *open,
                   const struct peer *peer)
{
    return lane->now_us >= open->budget_us || peer->tx_bytes != open->tx_bytes ||
           peer->twcc_next != open->twcc_next;
}

/* Loads ahead what is looked at of peer 'at'. */
static void prefetch(const struct lane *lane, uint32_t at)
{
    const struct tables *t = lane->tables;

    if (at + FAR < t->n_open) {
        peer_prefetch(&t->peers[t->open[at + FAR].index]);
    }
    if (at + NEAR < t->n_open) {
        const struct peer *peer = &t->peers[t->open[at + NEAR].index];

        if (is_due(lane, &t->open[at + NEAR], peer)) {
            peer_prefetch_rest(peer);
            bwe_prefetch(peer->bwe);
        }
    }
}

void budget_sweep(struct lane *lane)
{
    struct tables *t = lane->tables;
    uint32_t looks = 0;

    if (lane->now_us < lane->budget_due_us) {
        return;
    }
    while (lane->budget_at < t->n_open && looks < LOOKS_A_CALL) {
        struct open_peer *open = &t->open[lane->budget_at];
        struct peer *peer = &t->peers[open->index];

        prefetch(lane, lane->budget_at);
        if (is_due(lane, open, peer)) {
            sweep_peer(lane, open, peer);
            looks += DUE;
        }
        lane->budget_at++;
        looks++;
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
