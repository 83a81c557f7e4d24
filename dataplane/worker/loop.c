/* See loop.h. */
#include "worker/loop.h"

#include <assert.h>
#include <time.h>
#include <unistd.h>

#include "lane/capture.h"
#include "rtcp/rtcp_out.h"
#include "stage/budget.h"
#include "stage/layers.h"
#include "stage/route.h"
#include "stage/shed.h"
#include "worker/across.h"
#include "worker/command.h"

_Static_assert((int)PKT_MAX_DATAGRAM <= (int)sizeof(((struct abi_datagram *)0)->data),
               "what may be sent fits a slot");
_Static_assert((int)CAPTURE_WIRE == (int)ABI_CAPTURE_WIRE &&
                   (int)CAPTURE_PLAIN == (int)ABI_CAPTURE_PLAIN,
               "one numbering");

enum {
    MAX_COMMANDS = 64,  /* applied in one turn: media never waits for more */
    MAX_DATAGRAMS = 32, /* sent for control in one burst */
    MAX_DATAGRAM_BURSTS = 8,
    MAX_EGRESS = 32, /* bursts of fan-out in one turn, before the devices are read again */
    MAX_SLEEP_US = 100000,
    STOOD_STILL_US = 50000, /* no turn takes that long: another had the CPU, or it slept */
    HELD_UP_US = 200 /* sleep, while another lane has to catch up first */
};

static uint64_t monotonic_us(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void ring_control(const struct loop *loop)
{
    uint64_t one = 1;

    /* The fence pairs with control's: it announces its sleep, then looks at the rings. */
    atomic_thread_fence(memory_order_seq_cst);
    if (abi_take_sleeper(&loop->mine->flags->ctl_sleeping)) {
        ssize_t n = write(loop->shared->control_doorbell, &one, sizeof(one));

        (void)n; /* a full counter means that it rings already */
    }
}

static bool hand_over(void *arg, const struct pkt *pkt)
{
    struct loop *loop = arg;
    struct abi_datagram *slot = ring_reserve(&loop->mine->punt_in);

    if (slot == NULL || pkt->len > sizeof(slot->data)) {
        return false;
    }
    slot->time_us = loop->lane.now_us;
    slot->peer = pkt->peer != NULL ? pkt->peer->handle : 0;
    slot->path = pkt->path;
    slot->len = pkt->len;
    slot->kind = pkt->kind == PKT_STUN ? ABI_DATAGRAM_STUN : ABI_DATAGRAM_DTLS;
    slot->rx_lane = loop->lane.hub != NULL ? pkt->rx_lane : 0;
    memcpy(slot->data, pkt->data, pkt->len);
    ring_commit(&loop->mine->punt_in);
    ring_control(loop);
    return true;
}

/* See lane/capture.h. Control is rung once a turn. */
static bool take_captured(void *arg, const struct captured *packet)
{
    struct loop *loop = arg;
    struct abi_captured *slot = ring_reserve(&loop->mine->captured);

    if (slot == NULL || packet->head_len + packet->body_len > (int)sizeof(slot->data)) {
        return false;
    }
    slot->time_us = loop->lane.now_us;
    slot->peer = packet->peer->handle;
    slot->path = *packet->path;
    slot->len = (uint16_t)(packet->head_len + packet->body_len);
    slot->out = packet->out;
    slot->plain = packet->plain;
    slot->missed = loop->lane.capture_missed;
    slot->_pad = 0;
    memcpy(slot->data, packet->head, packet->head_len);
    if (packet->body_len > 0) {
        memcpy(slot->data + packet->head_len, packet->body, packet->body_len);
    }
    ring_commit(&loop->mine->captured);
    loop->captured = true;
    return true;
}

static bool push_event(struct loop *loop, const struct abi_evt *evt)
{
    struct abi_evt *slot = ring_reserve(&loop->mine->evt);

    if (slot == NULL) {
        return false;
    }
    *slot = *evt;
    ring_commit(&loop->mine->evt);
    return true;
}

static void answer(struct loop *loop, uint64_t cookie, uint64_t handle, int status)
{
    const struct abi_evt evt = {
        .kind = ABI_EVT_ANSWER, .cookie = cookie, .handle = handle, .status = status};

    (void)push_event(loop, &evt);
}

/* Answers what had to wait for other lanes. Returns false while it still has to. */
static bool resume(struct loop *loop)
{
    int status = across_resume(&loop->pipe);

    if (status == ACROSS_LATER) {
        return false;
    }
    answer(loop, loop->pending_cookie, loop->pending_handle, status);
    return true;
}

/* A command is taken only when its answer has a place, and what it may have to tell other
 * lanes. */
static uint32_t commands(struct loop *loop)
{
    uint32_t n = 0;

    while (n < MAX_COMMANDS) {
        const struct abi_cmd *slot = ring_peek(&loop->mine->cmd);
        struct abi_cmd cmd;
        int status;

        if (ring_reserve(&loop->mine->evt) == NULL) {
            break;
        }
        if (loop->lane.pending.stage != 0) {
            if (!resume(loop)) {
                break;
            }
            n++;
            continue;
        }
        if (slot == NULL || !across_room(&loop->lane)) {
            break;
        }
        cmd = *slot; /* control could change it while we look */
        ring_release(&loop->mine->cmd);
        n++;
        status = command_apply(&loop->lane, loop->pipe.io, &loop->shared->vault, &cmd);
        if (status == ACROSS_LATER) {
            loop->pending_cookie = cmd.cookie;
            loop->pending_handle = cmd.handle;
        } else {
            answer(loop, cmd.cookie, cmd.handle, status);
        }
    }
    return n;
}

static uint32_t news(struct loop *loop)
{
    static const uint32_t kinds[] = {[LANE_NEWS_CONSENT_LOST] = ABI_EVT_CONSENT_LOST,
                                     [LANE_NEWS_STREAM_BOUND] = ABI_EVT_STREAM_BOUND,
                                     [LANE_NEWS_BYE] = ABI_EVT_BYE,
                                     [LANE_NEWS_LAYERS] = ABI_EVT_LAYERS,
                                     [LANE_NEWS_BANDWIDTH] = ABI_EVT_BANDWIDTH};
    struct lane *lane = &loop->lane;
    uint32_t n = 0;

    while (n < lane->n_news) {
        struct abi_evt evt = {.kind = kinds[lane->news[n].kind],
                              .handle = lane->news[n].handle,
                              .arg = lane->news[n].arg};

        if (!push_event(loop, &evt)) {
            break;
        }
        n++;
    }
    lane->n_news -= n;
    memmove(lane->news, lane->news + n, lane->n_news * sizeof(lane->news[0]));
    return n;
}

/* Those that cannot be sent count too: what control does to its ring must not hold up the
 * lane. */
static uint32_t datagrams_burst(struct loop *loop)
{
    struct burst out = {.n = 0};
    struct path paths[MAX_DATAGRAMS];
    const struct abi_datagram *slot;
    uint32_t n = 0;

    for (; n < MAX_DATAGRAMS && (slot = ring_peek(&loop->mine->punt_out)) != NULL; n++) {
        struct pkt_hdr hdr;
        struct pkt *pkt;
        uint16_t len = slot->len;

        paths[out.n] = slot->path;
        if (len > PKT_MAX_DATAGRAM ||
            io_hdr_build(loop->pipe.io, &paths[out.n], &hdr) != 0) {
            /* control's mistake: nothing to send it to */
        } else if (lane_alloc(&loop->lane, &pkt, 1) == 0) {
            loop->lane.counts.drops_out[DROP_NO_BUFFER]++;
        } else {
            pkt_frame(pkt, &hdr, slot->data, len);
            pkt->peer = NULL;
            pkt->sub = NULL;
            pkt->kind = PKT_DTLS; /* or STUN: control's */
            pkt->device = paths[out.n].device;
            pkt->to = &paths[out.n];
            burst_push(&out, pkt);
        }
        ring_release(&loop->mine->punt_out);
    }
    pipeline_transmit(&loop->pipe, &out);
    return n;
}

/* Sends what control wrote (STUN answers, DTLS flights). */
static uint32_t datagrams(struct loop *loop)
{
    uint32_t done = 0;
    uint32_t n = MAX_DATAGRAMS;

    for (uint32_t i = 0; i < MAX_DATAGRAM_BURSTS && n == MAX_DATAGRAMS; i++) {
        n = datagrams_burst(loop);
        done += n;
    }
    return done;
}

static void reports(struct loop *loop)
{
    uint64_t now_us = loop->lane.now_us;

    if (now_us >= loop->report_due_us) {
        report_recent(&loop->pipe, &loop->counts, trace_cycles());
        report_lane(&loop->pipe, &loop->counts, loop->mine);
        loop->report_due_us = now_us + REPORT_US;
    }
    if (now_us >= loop->objects_due_us && report_objects(&loop->lane, loop->shared)) {
        loop->objects_due_us = now_us + REPORT_OBJECTS_US;
    }
}

/* Rings the doorbells of lanes that were sent something and sleep. */
static void wake_others(struct loop *loop)
{
    uint64_t lanes = loop->lane.to_wake;

    if (lanes == 0) {
        return;
    }
    loop->lane.to_wake = 0;
    /* The fence pairs with theirs: they announce their sleep, then look at the hub. */
    atomic_thread_fence(memory_order_seq_cst);
    for (; lanes != 0; lanes &= lanes - 1) {
        const struct shared_lane *other = &loop->shared->lanes[__builtin_ctzll(lanes)];
        uint64_t one = 1;

        if (abi_take_sleeper(&other->flags->dp_sleeping)) {
            ssize_t n = write(other->doorbell, &one, sizeof(one));

            (void)n;
        }
    }
}

void loop_init(struct loop *loop)
{
    loop->pipe.lane = &loop->lane;
    loop->pipe.punt = hand_over;
    loop->pipe.punt_arg = loop;
    loop->lane.capture = take_captured;
    loop->lane.capture_arg = loop;
    atomic_init(&loop->state, LOOP_RUN);
    atomic_init(&loop->held, false);
}

uint32_t loop_turn(struct loop *loop)
{
    const uint64_t begun = trace_cycles();
    const uint64_t before_us = loop->lane.now_us;
    uint32_t done;
    uint32_t told;

    loop->lane.now_us = monotonic_us();
    if (loop->lane.now_us - before_us > STOOD_STILL_US) {
        shed_on_stood(&loop->lane);
    }
    done = pipeline_ingress(&loop->pipe);
    done += across_drain(&loop->pipe);
    wake_others(loop); /* before our own part of the fan-out */
    /* Datagrams before commands: a command that control gave before a datagram is applied
     * before the answer to that datagram can come in. And before the fan-out: media of a
     * peer whose keys were commanded in the last turn does not overtake the last flight of
     * its handshake, as the peer could not read it yet. */
    done += datagrams(loop);
    /* RTCP before it, too: what the fan-out leaves of a slow device is nothing */
    done += pipeline_rtcp(&loop->pipe);
    done += pipeline_layers(&loop->pipe);
    done += pipeline_egress(&loop->pipe, MAX_EGRESS);
    done += pipeline_budget(&loop->pipe);
    told = commands(loop) + news(loop);
    if (told > 0 || loop->captured) {
        loop->captured = false;
        ring_control(loop);
    }
    done += told;
    wake_others(loop);
    loop->counts.loops++;
    loop->counts.busy_loops += done > 0;
    loop->counts.busy_cycles += done > 0 ? trace_cycles() - begun : 0;
    reports(loop);
    return done;
}

/* True if no other lane has left something for us, or has to be answered. */
static bool quiet(const struct loop *loop)
{
    const struct lane *lane = &loop->lane;

    return lane->hub == NULL ||
           /* frames may lie there that wait for a device, as those do that hold us up */
           ((hub_quiet(lane->hub, lane->index) || pipeline_held_up(&loop->pipe)) &&
            lane->ack_due == 0 && (lane->pending.stage == 0 || lane->pending.acks != 0));
}

static void sleep_until_work(struct loop *loop)
{
    uint64_t now_us = loop->lane.now_us;
    uint64_t due_us = rtcp_out_deadline(&loop->lane);
    uint64_t budget_us = budget_deadline(&loop->lane);
    uint64_t layers_us = layers_deadline(&loop->lane);
    uint64_t paced_us = paced_deadline(&loop->lane.paced);
    uint64_t most_us = pipeline_held_up(&loop->pipe) ? HELD_UP_US : MAX_SLEEP_US;

    due_us = budget_us < due_us ? budget_us : due_us;
    due_us = layers_us < due_us ? layers_us : due_us;
    due_us = paced_us < due_us ? paced_us : due_us;
    if (due_us <= now_us) {
        return;
    }
    if (due_us - now_us < most_us) {
        most_us = due_us - now_us;
    }
    atomic_store_explicit(&loop->mine->flags->dp_sleeping, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if ((ring_empty(&loop->mine->cmd) || loop->lane.pending.stage != 0) &&
        ring_empty(&loop->mine->punt_out) && quiet(loop) &&
        atomic_load(&loop->state) == LOOP_RUN) {
        uint64_t rung;
        ssize_t n;

        io_wait(loop->pipe.io, loop->lane.index, loop->mine->doorbell, most_us);
        n = read(loop->mine->doorbell, &rung, sizeof(rung));
        (void)n; /* nothing to read: it was not the doorbell */
        loop->counts.sleeps++;
    }
    atomic_store_explicit(&loop->mine->flags->dp_sleeping, 0, memory_order_relaxed);
}

/* Whether fan-out has nothing to do, or cannot do it now. */
static bool rests(const struct loop *loop)
{
    return (!route_is_due(&loop->lane) && !lane_resends(&loop->lane)) ||
           pipeline_held_up(&loop->pipe);
}

static void hold(struct loop *loop)
{
    const struct timespec moment = {.tv_nsec = 100000};

    atomic_store(&loop->held, true);
    while (atomic_load(&loop->state) == LOOP_HOLD) {
        (void)nanosleep(&moment, NULL);
    }
    atomic_store(&loop->held, false);
}

void loop_run(struct loop *loop)
{
    int state;

    while ((state = atomic_load_explicit(&loop->state, memory_order_acquire)) !=
           LOOP_STOP) {
        if (state == LOOP_HOLD) {
            hold(loop);
            continue;
        }
        if (loop_turn(loop) > 0) {
            spin_on_work(&loop->spin, loop->lane.now_us - loop->active_us);
            loop->active_us = loop->lane.now_us;
        } else if (!loop->busy &&
                   loop->lane.now_us - loop->active_us > spin_us(&loop->spin) &&
                   rests(loop)) {
            sleep_until_work(loop);
        }
    }
}

static void settle_one(struct loop *loop)
{
    loop->lane.now_us = monotonic_us();
    (void)pipeline_egress(&loop->pipe, 0); /* only what waits for a device */
    (void)across_drain(&loop->pipe);
    if (loop->lane.pending.stage != 0) {
        (void)across_resume(&loop->pipe);
    }
}

void loop_settle(struct loop *const *loops, uint32_t n)
{
    uint32_t at_rest = 0;

    while (at_rest < n) {
        for (uint32_t i = 0; i < n; i++) {
            settle_one(loops[i]);
        }
        for (at_rest = 0; at_rest < n && across_rests(&loops[at_rest]->lane); at_rest++) {
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        assert(loops[i]->lane.n_parked == 0); /* they waited for who has come */
    }
}

void loop_wake(const struct loop *loop)
{
    uint64_t one = 1;
    ssize_t n = write(loop->mine->doorbell, &one, sizeof(one));

    (void)n;
}
