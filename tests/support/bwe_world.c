/* See bwe_world.h. */
#include "support/bwe_world.h"

#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/bwe.h"
#include "core/pacer.h"
#include "core/remb.h"
#include "core/trial.h"
#include "core/twcc.h"
#include "sfu/wire/rtcp.h"
#include "sfu/wire/rtcp_fb.h"
#include "sfu/wire/rtcp_twcc.h"
#include "sfu/wire/rtp_ext.h"

enum {
    TURN_US = 500,
    FRAME_US = 33333,
    AUDIO_US = 20000,
    AUDIO_LEN = 120,
    MTU = 1200,
    PADDING = 290, /* of a packet of padding: 255 bytes, headers and tag */
    BACKLOG = 4096,
    MESSAGES = 64,
    MESSAGE_LEN = 1500,
    TCP_FLIGHT = 2048,
    WINDOW_MS = 150, /* of the pacer */
    FEEDBACK_US = 100000,
    GRACE_US = 2000000
};

#define ID_TCP   (UINT64_C(1) << 62)
#define ID_AUDIO (UINT64_C(1) << 61)
#define ID_BARE  (UINT64_C(1) << 60) /* without a transport-wide number */

const uint32_t world_layer_bps[WORLD_LAYERS] = {150000, 500000, 1500000};

const struct world_scenario world_scenarios[] = {
    {.name = "steady",
     .text = "2 Mb/s",
     .net = {.delay_us = 25000, .queue_bytes = 60000},
     .steps = {{0, 2000000}},
     .seconds = 60},
    {.name = "step-down",
     .text = "3 Mb/s, then 500 kb/s",
     .net = {.delay_us = 25000, .queue_bytes = 60000},
     .steps = {{0, 3000000}, {30000, 500000}},
     .seconds = 60},
    {.name = "step-up",
     .text = "500 kb/s, then 3 Mb/s",
     .net = {.delay_us = 25000, .queue_bytes = 60000},
     .steps = {{0, 500000}, {30000, 3000000}},
     .seconds = 60},
    {.name = "tcp",
     .text = "4 Mb/s, shared with a TCP flow from 15 s to 45 s",
     .net = {.delay_us = 25000, .queue_bytes = 60000},
     .steps = {{0, 4000000}},
     .seconds = 60,
     .tcp = true},
    {.name = "audio",
     .text = "400 kb/s, of which 160 kb/s are audio without numbers",
     .net = {.delay_us = 25000, .queue_bytes = 60000},
     .steps = {{0, 400000}},
     .seconds = 60,
     .bare_bps = 160000},
    {.name = "audio-alone",
     .text = "three layers; 2 Mb/s, then 64 kb/s: less than the audio without numbers",
     .net = {.delay_us = 5000, .queue_bytes = 4000},
     .steps = {{0, 2000000}, {30000, 64000}, {60000, 2000000}},
     .seconds = 90,
     .layered = true,
     .bare_bps = 77000},
    {.name = "loss2",
     .text = "2 Mb/s, 2 % loss",
     .net = {.delay_us = 25000, .queue_bytes = 60000, .loss = 20000},
     .steps = {{0, 2000000}},
     .seconds = 60},
    {.name = "loss10",
     .text = "2 Mb/s, 10 % loss",
     .net = {.delay_us = 25000, .queue_bytes = 60000, .loss = 100000},
     .steps = {{0, 2000000}},
     .seconds = 60},
    {.name = "jitter",
     .text = "2 Mb/s, 50 ms and 0 to 60 ms jitter, 5 % reordered",
     .net = {.delay_us = 50000,
             .wander_us = 60000,
             .jitter_us = 5000,
             .reorder = 50000,
             .reorder_us = 15000,
             .queue_bytes = 60000},
     .steps = {{0, 2000000}},
     .seconds = 60},
    {.name = "rtt300",
     .text = "2 Mb/s, round trip 300 ms",
     .net = {.delay_us = 150000, .queue_bytes = 60000},
     .steps = {{0, 2000000}},
     .seconds = 60},
    {.name = "layers",
     .text = "three layers; 3 Mb/s, 500 kb/s, 2 Mb/s",
     .net = {.delay_us = 25000, .queue_bytes = 60000},
     .steps = {{0, 3000000}, {25000, 500000}, {50000, 2000000}},
     .seconds = 80,
     .layered = true},
    {.name = "layers-loss",
     .text = "three layers, 5 % loss; 3 Mb/s, 500 kb/s, 2 Mb/s",
     .net = {.delay_us = 25000, .queue_bytes = 60000, .loss = 50000},
     .steps = {{0, 3000000}, {25000, 500000}, {50000, 2000000}},
     .seconds = 80,
     .layered = true},
    {.name = "layers-stalls",
     .text = "three layers, receiver stands still for 5 to 50 ms; 3 Mb/s, 500 kb/s, 2 Mb/s",
     .net = {.delay_us = 200, .queue_bytes = 60000},
     .steps = {{0, 3000000}, {25000, 500000}, {50000, 2000000}},
     .seconds = 80,
     .layered = true,
     .rx = {.run_us = 20000, .least_us = 5000, .most_us = 50000}},
    {.name = "layers-stalls-tx",
     .text = "the same, but it is the sender that stands still",
     .net = {.delay_us = 200, .queue_bytes = 60000},
     .steps = {{0, 3000000}, {25000, 500000}, {50000, 2000000}},
     .seconds = 80,
     .layered = true,
     .tx = {.run_us = 20000, .least_us = 5000, .most_us = 50000}},
    {.name = "layers-busy",
     .text =
         "three layers of a publisher that is busy now and then; 3 Mb/s, 1.2 Mb/s, 3 Mb/s",
     .net = {.delay_us = 5000, .queue_bytes = 150000},
     .steps = {{0, 3000000}, {25000, 1200000}, {60000, 3000000}},
     .seconds = 85,
     .layered = true,
     .busy_ms = 1500,
     .busy_in_ms = 6000},
    {.name = "layers-late",
     .text = "three layers whose key frames take 200 ms, of a publisher that is busy for long; "
             "3 Mb/s, 900 kb/s, 3 Mb/s",
     .net = {.delay_us = 5000, .queue_bytes = 112500},
     .steps = {{0, 3000000}, {25000, 900000}, {60000, 3000000}},
     .seconds = 85,
     .layered = true,
     .busy_ms = 14000,
     .busy_in_ms = 24000,
     .key_wait_ms = 200},
    {.name = "keys",
     .text = "0.9 Mb/s over 1.5 Mb/s, a key frame each 500 ms",
     .net = {.delay_us = 25000, .queue_bytes = 60000},
     .steps = {{0, 1500000}},
     .seconds = 60,
     .fixed_bps = 900000,
     .key_ms = 500},
    {.name = "keys-unpaced",
     .text = "the same without the pacer",
     .net = {.delay_us = 25000, .queue_bytes = 60000},
     .steps = {{0, 1500000}},
     .seconds = 60,
     .fixed_bps = 900000,
     .key_ms = 500,
     .unpaced = true},
    {.name = "unpadded",
     .text = "1 Mb/s whole or not, no padding; 3 Mb/s, 300 kb/s, 3 Mb/s",
     .net = {.delay_us = 25000, .queue_bytes = 60000},
     .steps = {{0, 3000000}, {30000, 300000}, {75000, 3000000}},
     .seconds = 180,
     .fixed_bps = 1000000,
     .bare_bps = 40000,
     .unpadded = true},
    {.name = "remb",
     .text = "the same to a receiver that tells only by REMB",
     .net = {.delay_us = 25000, .queue_bytes = 60000},
     .steps = {{0, 3000000}, {30000, 300000}, {75000, 3000000}},
     .seconds = 180,
     .fixed_bps = 1000000,
     .bare_bps = 40000,
     .unpadded = true,
     .remb = true},
    {.name = "remb-layers",
     .text = "three layers to a receiver that tells only by REMB; 3 Mb/s, 100 kb/s, 3 Mb/s",
     .net = {.delay_us = 25000, .queue_bytes = 60000},
     .steps = {{0, 3000000}, {30000, 100000}, {75000, 3000000}},
     .seconds = 180,
     .layered = true,
     .bare_bps = 40000,
     .unpadded = true,
     .remb = true},
    {.name = "stalls",
     .text = "2 Mb/s, receiver stands still for 5 to 50 ms",
     .net = {.delay_us = 5000, .queue_bytes = 60000},
     .steps = {{0, 2000000}},
     .seconds = 60,
     .rx = {.run_us = 40000, .least_us = 5000, .most_us = 50000}},
    {.name = "stalls-rx",
     .text = "1.1 Mb/s on a free link, receiver stands still for 5 to 50 ms",
     .net = {.delay_us = 200, .queue_bytes = 2000000},
     .steps = {{0, 1000000000}},
     .seconds = 60,
     .fixed_bps = 1100000,
     .rx = {.run_us = 20000, .least_us = 5000, .most_us = 50000}},
    {.name = "stalls-tx",
     .text = "1.1 Mb/s on a free link, sender stands still for 5 to 50 ms",
     .net = {.delay_us = 200, .queue_bytes = 2000000},
     .steps = {{0, 1000000000}},
     .seconds = 60,
     .fixed_bps = 1100000,
     .tx = {.run_us = 20000, .least_us = 5000, .most_us = 50000}},
    {.name = "stalls-both",
     .text = "1.1 Mb/s on a free link, both stand still for 5 to 50 ms",
     .net = {.delay_us = 200, .queue_bytes = 2000000},
     .steps = {{0, 1000000000}},
     .seconds = 60,
     .fixed_bps = 1100000,
     .rx = {.run_us = 10000, .least_us = 5000, .most_us = 50000},
     .tx = {.run_us = 10000, .least_us = 5000, .most_us = 50000}},
};

const size_t world_n_scenarios = sizeof(world_scenarios) / sizeof(world_scenarios[0]);

struct waiting {
    uint64_t since_us;
    uint32_t len;
};

struct tcp {
    bool on;
    double window; /* packets */
    double threshold;
    unsigned flight;
    uint64_t cut_us; /* no second halving within a round trip */
    size_t n_acks;
    struct {
        uint64_t at_us;
        bool lost;
    } acks[TCP_FLIGHT]; /* by time: all wait equally long */
    size_t first_ack;
};

/* Where somebody is in the rhythm of world_stalls. */
struct rhythm {
    uint64_t stops_us, runs_us; /* stands still from the one to the other */
};

struct world {
    const struct world_scenario *s;
    struct world_trace *trace;
    uint64_t now_us;
    struct vnet down, up;
    struct bwe bwe;
    struct alloc alloc;
    struct alloc_stream streams[2];
    struct pacer pacer;
    struct twcc twcc;
    struct remb remb;
    struct trial trial;
    uint64_t next, n_bare;
    uint64_t tx_bytes;
    uint64_t frame_us, audio_us, tick_us, key_us;
    uint64_t n_frames;
    int8_t level; /* that is sent */
    bool key;     /* the next frame is a key frame */
    uint64_t change_us; /* when the key frame of the level that is aimed at comes; 0 none */
    bool cut;           /* nothing is sent until then */
    /* video that waits for the pacer, in order */
    struct waiting backlog[BACKLOG];
    size_t first, n_backlog;
    uint8_t messages[MESSAGES][MESSAGE_LEN];
    size_t message_len[MESSAGES];
    uint64_t n_messages;
    struct tcp tcp;
    struct rhythm rx, tx;
    /* of the publisher: what it makes, from which follows what its layers cost */
    uint64_t cost_us;
    uint32_t made_percent, n_made;
    uint64_t fed_us;
    uint64_t random;
    uint32_t len_of[1 << 16]; /* by number */
    uint64_t sent_at[1 << 16];
    /* what the receiver reports, of one without transport-cc */
    uint32_t n_came, highest, told_highest, told_lost;
    uint32_t next_first; /* number of the first packet */
    uint64_t report_us;
    /* of this sample */
    uint64_t sent, media, arrived, tcp_arrived;
    float queue_ms;
    uint64_t n_sent[WORLD_STEPS], n_lost[WORLD_STEPS];
    float audio_ms[1 << 16];
    size_t n_audio;
};

static size_t step_of(const struct world *w, uint64_t now_us)
{
    size_t i = 0;

    while (i + 1 < WORLD_STEPS && w->s->steps[i + 1].rate_bps != 0 &&
           now_us >= w->s->steps[i + 1].at_ms * UINT64_C(1000)) {
        i++;
    }
    return i;
}

/* Whether somebody stands still. */
static bool stalls(struct world *w, const struct world_stalls *conf, struct rhythm *r)
{
    if (conf->run_us != 0 && w->now_us >= r->runs_us) {
        r->stops_us = w->now_us + vnet_dice(&w->random, conf->run_us);
        r->runs_us = r->stops_us + conf->least_us +
                     vnet_dice(&w->random, conf->most_us - conf->least_us + 1);
    }
    return conf->run_us != 0 && w->now_us >= r->stops_us;
}

/* ---- sending ---- */

/* Where it is noted what a packet was. */
static size_t slot_of(uint64_t id)
{
    return (id & 0x7fff) | ((id & ID_BARE) != 0 ? 0x8000 : 0);
}

static void send_packet(struct world *w, uint32_t len, uint64_t flags)
{
    const bool bare = (flags & ID_BARE) != 0;
    const uint64_t id = (bare ? w->n_bare++ : w->next++) | flags;
    const size_t step = step_of(w, w->now_us);
    /* what is numbered as the sender comes to a stop leaves when it goes on */
    const bool late = w->tx.runs_us > w->now_us && w->now_us + TURN_US > w->tx.stops_us;

    if (!bare) {
        bwe_note_sent(&w->bwe, w->next - 1, (uint16_t)len, w->now_us);
    }
    w->len_of[slot_of(id)] = len;
    w->sent_at[slot_of(id)] = w->now_us;
    w->tx_bytes += len;
    w->sent += len;
    w->n_sent[step]++;
    if (!vnet_send(&w->down, late ? w->tx.runs_us : w->now_us, id, len)) {
        w->n_lost[step]++;
    }
}

static void put_frame(struct world *w, uint32_t bytes)
{
    while (bytes > 0 && w->n_backlog < BACKLOG) {
        uint32_t len = bytes < MTU ? bytes : MTU;

        w->backlog[(w->first + w->n_backlog++) % BACKLOG] =
            (struct waiting){.since_us = w->now_us, .len = len < 60 ? 60 : len};
        bytes -= len;
    }
}

static uint32_t audio_len(const struct world_scenario *s)
{
    return s->bare_bps != 0 ? s->bare_bps / 8 * (AUDIO_US / 1000) / 1000 : AUDIO_LEN;
}

/* How much of a frame the publisher makes. */
static uint32_t percent_made(const struct world *w)
{
    return w->s->busy_in_ms != 0 && w->now_us / 1000 % w->s->busy_in_ms < w->s->busy_ms
               ? 33
               : 100;
}

/* As stage/budget: what layers cost is measured. */
static void measure_costs(struct world *w)
{
    if (w->s->busy_ms == 0 || w->now_us < w->cost_us || w->n_made == 0) {
        return;
    }
    w->cost_us = w->now_us + ALLOC_COST_US;
    for (unsigned i = 0; i < WORLD_LAYERS; i++) {
        w->streams[1].bps[i] = alloc_cost(
            w->streams[1].bps[i], world_layer_bps[i] / 100 * w->made_percent / w->n_made);
    }
    w->made_percent = w->n_made = 0;
}

/* One frame: a key frame is large; the others vary by a third. */
static void make_frame(struct world *w)
{
    const uint64_t audio_bps = audio_len(w->s) * UINT64_C(8000000) / AUDIO_US;
    uint64_t bps = bwe_target(&w->bwe);
    uint32_t bytes;

    w->trace->n_frames++;
    w->made_percent += percent_made(w);
    w->n_made++;
    if (w->s->layered || w->s->fixed_bps != 0) {
        if (w->level < 0 || w->cut) {
            w->trace->n_withheld++;
            return;
        }
        bps = w->s->layered ? world_layer_bps[w->level] : w->s->fixed_bps;
    } else {
        bps = bps > audio_bps ? bps - audio_bps : 0;
        bps = bps < 8000000 ? bps : 8000000;
    }
    bytes = (uint32_t)(bps * FRAME_US / 8000000) * percent_made(w) / 100;
    bytes = bytes * (85 + vnet_dice(&w->random, 31)) / 100;
    if (w->s->key_ms != 0 && w->now_us >= w->key_us) {
        w->key_us += w->s->key_ms * UINT64_C(1000);
        w->key = true;
    }
    if (w->key) {
        bytes *= 5;
        w->key = false;
    }
    put_frame(w, bytes);
    w->n_frames++;
}

static void send_video(struct world *w)
{
    while (w->n_backlog > 0 && pacer_is_ready(&w->pacer, w->now_us)) {
        struct waiting x = w->backlog[w->first];

        w->first = (w->first + 1) % BACKLOG;
        w->n_backlog--;
        w->media += x.len;
        send_packet(w, x.len, 0);
        pacer_on_video(&w->pacer, x.len, bwe_target(&w->bwe) * 5 / 4,
                       w->now_us - x.since_us, w->s->unpaced ? 0 : WINDOW_MS * 1000,
                       w->now_us);
    }
}

/* As stage/allot: media is the only probe. */
static enum trial_step try_more(struct world *w)
{
    const uint64_t spent_bps = alloc_spent(w->streams, 2);
    uint64_t fell_us = w->alloc.fell_us;
    struct trial_view view;
    enum trial_step step;

    fell_us = fell_us > w->bwe.rate.decreased_us ? fell_us : w->bwe.rate.decreased_us;
    fell_us = fell_us > w->bwe.loss.decreased_us ? fell_us : w->bwe.loss.decreased_us;
    view = (struct trial_view){.estimate_bps = bwe_target(&w->bwe),
                               .told_bps = bwe_told(&w->bwe),
                               .spent_bps = spent_bps,
                               .more = alloc_wanted(w->streams, 2) > spent_bps,
                               .calm = bwe_is_calm(&w->bwe, w->now_us),
                               .remb = w->bwe.feedback_us == 0,
                               .silent = w->bwe.remb_us < w->trial.since_us,
                               .fell_us = fell_us};
    step = trial_tick(&w->trial, &view, w->now_us);
    if (step == TRIAL_SHOWN) {
        bwe_on_shown(&w->bwe, spent_bps, w->now_us);
    }
    return step;
}

/* As stage/layers: another layer begins with its key frame; until that comes the one before
 * goes on, unless it is too much for a link that is behind. */
static void change_over(struct world *w)
{
    const int8_t to = w->streams[1].level;

    w->cut = w->change_us != 0 && to < w->level && (w->cut || bwe_is_behind(&w->bwe));
    if (w->change_us == 0 || w->now_us < w->change_us) {
        return;
    }
    w->key = to > w->level || w->s->key_wait_ms != 0;
    w->level = to;
    w->change_us = 0;
    w->cut = false;
}

static void allocate(struct world *w)
{
    struct alloc_stream *video = &w->streams[1];
    const int8_t was = video->level;
    enum trial_step step;

    bwe_besides(&w->bwe, w->s->bare_bps); /* as stage/allot finds it */
    if (!w->s->layered && w->s->fixed_bps == 0) {
        bwe_want(&w->bwe, 8000000);
        return;
    }
    bwe_want(&w->bwe, alloc_wanted(w->streams, 2) * 5 / 4);
    if (w->s->fixed_bps != 0) { /* as stage/allot: nothing is withheld on hope */
        w->fed_us = w->fed_us == 0 && bwe_is_fed(&w->bwe) ? w->now_us : w->fed_us;
        if (w->fed_us == 0 ||
            (w->bwe.rate.decreased_us == 0 && w->now_us - w->fed_us < GRACE_US)) {
            return;
        }
    }
    step = w->s->unpadded ? try_more(w) : TRIAL_NONE;
    if (step == TRIAL_BEGINS) {
        if (alloc_raise(&w->alloc, w->streams, 2, w->now_us)) {
            w->trace->n_trials++;
        } else {
            trial_cancel(&w->trial);
        }
    } else {
        w->alloc.keep = step == TRIAL_LASTS || bwe_is_calm(&w->bwe, w->now_us);
        (void)alloc_run(&w->alloc, w->streams, 2, bwe_target(&w->bwe), w->now_us);
    }
    if (video->level != was) {
        w->trace->switches++;
        w->change_us = w->now_us + w->s->key_wait_ms * UINT64_C(1000);
    }
    change_over(w);
}

static void send_padding(struct world *w)
{
    uint32_t owed = bwe_take_padding(&w->bwe, w->tx_bytes, w->next, w->now_us);

    if (w->s->unpadded) {
        return; /* asked all the same, so that the probe ends */
    }
    for (; owed > 0; owed -= owed < PADDING ? owed : PADDING) {
        send_packet(w, PADDING, 0);
    }
}

/* ---- the other end ---- */

static void tell(struct world *w, const struct wbytes *out)
{
    w->message_len[w->n_messages % MESSAGES] = wbytes_len(out);
    (void)vnet_send(&w->up, w->now_us, w->n_messages++, (uint32_t)wbytes_len(out));
}

/* What a receiver without transport-cc says: how much was lost, and what it estimates. */
static void report(struct world *w)
{
    uint8_t *buf = w->messages[w->n_messages % MESSAGES];
    struct wbytes out = wbytes_of(buf, MESSAGE_LEN);
    uint32_t bps;

    if (!w->s->remb) {
        return;
    }
    if (remb_deadline(&w->remb) <= w->now_us &&
        (bps = remb_take(&w->remb, w->now_us)) != 0) {
        rtcp_remb_write(&out, 1, bps, NULL, 0);
        tell(w, &out);
    } else if (w->now_us >= w->report_us && w->highest != 0) {
        const struct rtcp_block block = {
            .ssrc = 2,
            .ext_highest_seq = w->highest,
            .lost = (int32_t)(w->highest - w->next_first + 1 - w->n_came)};

        w->report_us = w->now_us + 1000000;
        rtcp_rr_write(&out, 1, &block, 1);
        tell(w, &out);
    }
}

static void receive(struct world *w)
{
    const bool late = w->s->rx.run_us != 0; /* noted when it is read */
    struct vnet_pkt pkt;

    if (stalls(w, &w->s->rx, &w->rx)) {
        return;
    }
    while (vnet_next_us(&w->down) <= w->now_us && vnet_take(&w->down, &pkt)) {
        if ((pkt.id & ID_TCP) != 0) {
            struct tcp *t = &w->tcp;

            w->tcp_arrived += MTU;
            t->acks[(t->first_ack + t->n_acks) % TCP_FLIGHT].at_us =
                pkt.at_us + w->s->net.delay_us;
            t->acks[(t->first_ack + t->n_acks++) % TCP_FLIGHT].lost = false;
            continue;
        }
        w->arrived += w->len_of[slot_of(pkt.id)];
        if ((pkt.id & ID_AUDIO) != 0 && w->n_audio < 1 << 16) {
            w->audio_ms[w->n_audio++] =
                (float)(pkt.at_us - w->sent_at[slot_of(pkt.id)] - w->s->net.delay_us) /
                1000;
        }
        if ((pkt.id & ID_BARE) != 0) {
            continue;
        }
        if (w->s->remb) {
            w->n_came++;
            w->highest = (uint32_t)pkt.id > w->highest ? (uint32_t)pkt.id : w->highest;
            remb_on_packet(&w->remb, rtp_ext_abs_send_time(w->sent_at[slot_of(pkt.id)]),
                           w->len_of[slot_of(pkt.id)], 2 * (uint64_t)w->s->net.delay_us,
                           pkt.at_us);
            continue;
        }
        (void)twcc_on_packet(&w->twcc, (uint16_t)pkt.id, late ? w->now_us : pkt.at_us);
    }
    report(w);
    while (twcc_deadline(&w->twcc) <= w->now_us) {
        uint8_t *buf = w->messages[w->n_messages % MESSAGES];
        size_t len = twcc_take_feedback(&w->twcc, w->now_us, 1, 2, buf, MESSAGE_LEN);

        if (len == 0) {
            break;
        }
        w->message_len[w->n_messages % MESSAGES] = len;
        (void)vnet_send(&w->up, w->now_us, w->n_messages++, (uint32_t)len);
    }
}

/* As rtcp/rtcp_in. */
static void hear_report(struct world *w, struct rtcp_block block)
{
    const uint32_t n = block.ext_highest_seq - w->told_highest;

    if (w->told_highest != 0) {
        (void)bwe_on_report(&w->bwe, n, (uint32_t)block.lost - w->told_lost, w->now_us);
    }
    w->told_highest = block.ext_highest_seq;
    w->told_lost = (uint32_t)block.lost;
}

static void hear(struct world *w)
{
    struct vnet_pkt pkt;

    while (vnet_next_us(&w->up) <= w->now_us && vnet_take(&w->up, &pkt)) {
        struct rtcp_iter it =
            rtcp_iter_of(w->messages[pkt.id % MESSAGES], w->message_len[pkt.id % MESSAGES]);
        struct rtcp_pkt rtcp = {0};
        struct rtcp_fb msg = {0};
        struct twcc_fb fb = {0};
        struct rtcp_remb remb;
        struct rtcp_rr rr;

        if (rtcp_next(&it, &rtcp) != 1) {
            continue;
        }
        if (rtcp.pt == RTCP_RR && rtcp_rr_parse(&rtcp, &rr) == 0) {
            hear_report(w, rtcp_block_at(rr.blocks, 0));
        } else if (rtcp_fb_parse(&rtcp, &msg) != 0) {
            continue;
        } else if (rtcp.pt == RTCP_PSFB && rtcp_remb_parse(&msg, &remb) == 0) {
            (void)bwe_on_remb(&w->bwe, remb.rate_bps, w->now_us);
        } else if (twcc_fb_parse(&msg, &fb) == 0) {
            (void)bwe_on_feedback(&w->bwe, &fb, w->next, w->now_us);
        }
    }
}

/* ---- a TCP flow: Reno, with acknowledgements that are never lost ---- */

static void tcp_turn(struct world *w)
{
    struct tcp *t = &w->tcp;
    const uint64_t rtt_us = 2 * (uint64_t)w->s->net.delay_us + 50000;

    t->on = w->s->tcp && w->now_us >= 15000000 && w->now_us < 45000000;
    while (t->n_acks > 0 && t->acks[t->first_ack].at_us <= w->now_us) {
        bool lost = t->acks[t->first_ack].lost;

        t->first_ack = (t->first_ack + 1) % TCP_FLIGHT;
        t->n_acks--;
        t->flight -= t->flight > 0;
        if (lost && w->now_us - t->cut_us > rtt_us) {
            t->window = t->window / 2 < 2 ? 2 : t->window / 2;
            t->threshold = t->window;
            t->cut_us = w->now_us;
        } else if (!lost) {
            t->window += t->window < t->threshold ? 1 : 1 / t->window;
        }
    }
    while (t->on && t->flight < (unsigned)t->window && t->flight < TCP_FLIGHT / 2) {
        t->flight++;
        if (!vnet_send(&w->down, w->now_us, ID_TCP, MTU)) {
            /* noticed by duplicate acknowledgements, a round trip later */
            t->acks[(t->first_ack + t->n_acks) % TCP_FLIGHT].at_us = w->now_us + rtt_us;
            t->acks[(t->first_ack + t->n_acks++) % TCP_FLIGHT].lost = true;
            break;
        }
    }
}

/* ---- figures ---- */

static void sample(struct world *w)
{
    struct world_sample *x = &w->trace->samples[w->trace->n++];

    x->capacity_bps = (float)w->down.conf.rate_bps;
    x->estimate_bps = (float)bwe_target(&w->bwe);
    x->sent_bps = (float)w->sent * 8e6f / WORLD_SAMPLE_US;
    x->media_bps = (float)w->media * 8e6f / WORLD_SAMPLE_US;
    x->arrived_bps = (float)w->arrived * 8e6f / WORLD_SAMPLE_US;
    x->tcp_bps = (float)w->tcp_arrived * 8e6f / WORLD_SAMPLE_US;
    x->queue_ms = w->queue_ms;
    x->level = w->level;
    w->sent = w->media = w->arrived = w->tcp_arrived = 0;
    w->queue_ms = 0;
}

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static float percentile(float *values, size_t n, unsigned percent)
{
    if (n == 0) {
        return 0;
    }
    qsort(values, n, sizeof(*values), by_size);
    return values[(n - 1) * percent / 100];
}

/* Whether a sample is where it should be: little queue, and the rate that fits. */
static bool is_good(const struct world *w, size_t i)
{
    const struct world_sample *x = &w->trace->samples[i];

    if (w->s->layered) {
        int best = -1;

        while (best + 1 < WORLD_LAYERS &&
               (float)world_layer_bps[best + 1] * 1.15f + 60000 < 0.9f * x->capacity_bps) {
            best++;
        }
        return x->level == best && x->queue_ms < 200;
    }
    return x->estimate_bps > 0.6f * x->capacity_bps &&
           x->estimate_bps < 1.15f * x->capacity_bps && x->queue_ms < 200;
}

static void measure(const struct world *w, struct world_phase *p, size_t first, size_t end)
{
    static float queue[WORLD_SAMPLES];
    const struct world_trace *t = w->trace;
    double arrived = 0, estimate = 0, capacity = 0;
    size_t n = 0;

    for (size_t i = first; i < end; i++, n++) {
        arrived += (double)t->samples[i].arrived_bps + (double)t->samples[i].tcp_bps;
        estimate += (double)t->samples[i].estimate_bps;
        capacity += (double)t->samples[i].capacity_bps;
        queue[n] = t->samples[i].queue_ms;
    }
    p->utilisation = capacity > 0 ? (float)(arrived / capacity) : 0;
    p->estimate = capacity > 0 ? (float)(estimate / capacity) : 0;
    p->queue_p50_ms = percentile(queue, n, 50);
    p->queue_p95_ms = percentile(queue, n, 95);
}

/* Converged: good for the two seconds that follow, or till the end. */
static void judge_phase(struct world *w, struct world_phase *p, size_t first, size_t end)
{
    size_t since = first;

    p->converged_ms = -1;
    for (size_t at = first; at < end && at < since + 20; at++) {
        since = is_good(w, at) ? since : at + 1;
    }
    if (since < end) {
        p->converged_ms = (int32_t)((since - first) * WORLD_SAMPLE_US / 1000);
    }
    measure(w, p, since < end ? since : first, end);
}

static void judge(struct world *w)
{
    struct world_trace *t = w->trace;

    for (size_t i = 0; i < WORLD_STEPS && w->s->steps[i].rate_bps != 0; i++) {
        struct world_phase *p = &t->phases[t->n_phases++];
        bool last = i + 1 == WORLD_STEPS || w->s->steps[i + 1].rate_bps == 0;

        p->begin_ms = w->s->steps[i].at_ms;
        p->end_ms = last ? w->s->seconds * 1000 : w->s->steps[i + 1].at_ms;
        p->capacity_bps = w->s->steps[i].rate_bps;
        judge_phase(w, p, p->begin_ms / 100, p->end_ms / 100);
        p->loss = w->n_sent[i] > 0 ? (float)w->n_lost[i] / (float)w->n_sent[i] : 0;
    }
    measure(w, &t->all,
            t->phases[0].converged_ms < 0 ? 0 : (size_t)t->phases[0].converged_ms / 100,
            t->n);
    t->audio_p95_ms = percentile(w->audio_ms, w->n_audio, 95);
    t->n_probes = (uint32_t)w->bwe.n_probes;
}

/* ---- time ---- */

static void turn(struct world *w)
{
    float queue_ms;

    w->down.conf.rate_bps = w->s->steps[step_of(w, w->now_us)].rate_bps;
    receive(w);
    if (stalls(w, &w->s->tx, &w->tx)) {
        return;
    }
    hear(w);
    tcp_turn(w);
    if (w->now_us >= w->tick_us) {
        w->tick_us += BWE_TICK_US;
        (void)bwe_tick(&w->bwe, w->tx_bytes, w->next, w->now_us);
        measure_costs(w);
        allocate(w);
    }
    while (w->now_us >= w->audio_us) {
        w->audio_us += AUDIO_US;
        w->media += audio_len(w->s);
        send_packet(w, audio_len(w->s), ID_AUDIO | (w->s->bare_bps != 0 ? ID_BARE : 0));
    }
    while (w->now_us >= w->frame_us) {
        w->frame_us += FRAME_US;
        make_frame(w);
    }
    send_video(w);
    if (bwe_padding_due(&w->bwe) <= w->now_us) {
        send_padding(w);
    }
    queue_ms =
        w->down.free_at_us > w->now_us ? (float)(w->down.free_at_us - w->now_us) / 1000 : 0;
    w->queue_ms = queue_ms > w->queue_ms ? queue_ms : w->queue_ms;
}

void world_run(const struct world_scenario *scenario, uint64_t seed,
               struct world_trace *trace)
{
    const struct bwe_conf bwe = {
        .start_bps = 600000, .min_bps = 50000, .max_bps = 100000000};
    const struct alloc_conf alloc = {.patience_us = 2000000, .reserve = 128};
    const struct twcc_conf twcc = {.interval_us = FEEDBACK_US, .max_packets = 256};
    struct vnet_conf back = {.delay_us = scenario->net.delay_us};
    struct world *w = calloc(1, sizeof(*w));

    memset(trace, 0, sizeof(*trace));
    if (w == NULL) {
        return;
    }
    w->s = scenario;
    w->trace = trace;
    w->random = seed * 2 + 1;
    w->next = w->next_first = 60000; /* the 16 bits wrap soon */
    w->tcp.window = 4;
    w->tcp.threshold = 64;
    w->level = scenario->layered ? ALLOC_PAUSED : 0;
    w->streams[0] =
        (struct alloc_stream){.kind = ALLOC_AUDIO, .n_levels = 1, .bps = {48000}};
    w->streams[1] = (struct alloc_stream){
        .kind = ALLOC_CAMERA, .n_levels = 3, .max_level = 2, .level = ALLOC_PAUSED};
    memcpy(w->streams[1].bps, world_layer_bps, sizeof(world_layer_bps));
    if (scenario->fixed_bps != 0) {
        w->streams[1].n_levels = 1;
        w->streams[1].bps[0] = scenario->fixed_bps;
        w->streams[1].level = 0;
    }
    bwe_init(&w->bwe, &bwe);
    alloc_init(&w->alloc, &alloc);
    twcc_init(&w->twcc, &twcc);
    remb_init(&w->remb);
    vnet_init(&w->down, &scenario->net, seed);
    vnet_init(&w->up, &back, seed + 1);
    w->down.conf.rate_bps = scenario->steps[0].rate_bps;
    for (uint64_t i = 0; i < scenario->seconds * UINT64_C(1000000) / TURN_US; i++) {
        w->now_us = i * TURN_US + TURN_US;
        turn(w);
        if (w->now_us % WORLD_SAMPLE_US == 0 && trace->n < WORLD_SAMPLES) {
            sample(w);
        }
    }
    judge(w);
    free(w);
}
