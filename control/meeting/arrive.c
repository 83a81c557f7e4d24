/* Who wants to come in, and when it is his turn: the shell of gate.h; see meeting.h. */
#include <errno.h>
#include <stdio.h>

#include "meeting/priv.h"
#include "session/session.h"
#include "sfu/base/fnv.h"
#include "sys/clock.h"
#include "sys/loop.h"

enum {
    TICK_MS = 5,
    TURN_US = 4000 /* that are given to who comes in before others have their turn */
};

/* The load is read when it is wanted, but not for each of many who come at once. */
static void look(struct meeting *meeting, uint64_t now_us, uint64_t late_us)
{
    struct session_load load;

    session_registry_load(meeting->conf.sessions, &load);
    gate_on_load(&meeting->gate,
                 &(struct gate_load){.busy_us = load.busy_us,
                                     .loop_us = clock_thread_us(),
                                     .delay_us = load.delay_us,
                                     .late_us = late_us,
                                     .threads = load.threads},
                 now_us);
}

static int overloaded(struct meeting_error *err, uint32_t retry_ms)
{
    (void)meeting_fail(err, "overloaded",
                       "too many want to come in; try again in %u ms", retry_ms);
    err->retry_after_ms = retry_ms;
    return -1;
}

static struct arrival *arrival_of(struct gate_entry *entry)
{
    return (struct arrival *)entry; /* its first member */
}

static void tick(void *arg)
{
    struct meeting *meeting = arg;
    struct gate *gate = &meeting->gate;
    uint64_t begun_us = clock_mono_us();
    uint64_t due_us = meeting->gate_ticked_us + TICK_MS * UINT64_C(1000);
    struct gate_entry *entry;
    struct meeting_error err;
    uint32_t retry_ms;

    meeting->gate_ticked_us = begun_us;
    look(meeting, begun_us, begun_us > due_us ? begun_us - due_us : 0);
    while ((entry = gate_take_late(gate, begun_us, &retry_ms)) != NULL) {
        meeting->n_too_late++;
        (void)overloaded(&err, retry_ms);
        arrival_of(entry)->ready(arrival_of(entry)->arg, &err);
    }
    for (uint64_t now_us = begun_us; now_us - begun_us < TURN_US;
         now_us = clock_mono_us()) {
        entry = gate_take(gate, now_us);
        if (entry == NULL) {
            break;
        }
        meeting->n_waited++;
        arrival_of(entry)->ready(arrival_of(entry)->arg, NULL);
    }
    if (gate->n == 0) {
        loop_timer_stop(meeting->gate_tick);
        meeting->gate_ticked_us = 0;
    }
}

int meeting_gate_init(struct meeting *meeting)
{
    gate_init(&meeting->gate, &meeting->conf.gate);
    return meeting->conf.loop != NULL
               ? loop_timer_create(meeting->conf.loop, &meeting->gate_tick, tick, meeting)
               : 0;
}

void meeting_gate_fini(struct meeting *meeting)
{
    struct gate_entry *entry;
    struct meeting_error err;

    while ((entry = TAILQ_FIRST(&meeting->gate.line)) != NULL) {
        gate_leave(&meeting->gate, entry);
        (void)meeting_overloaded(&err, "the node stops");
        arrival_of(entry)->ready(arrival_of(entry)->arg, &err);
    }
    loop_timer_destroy(meeting->gate_tick);
}

static uint64_t user_of(const struct auth_identity *who)
{
    char text[2 * AUTH_ID_MAX + 2];
    int n = snprintf(text, sizeof(text), "%s\n%s", who->tenant, who->user_id);

    return fnv64(text, (size_t)n) | 1; /* never 0 */
}

int meeting_arrive(struct meeting *meeting, const struct auth_identity *who,
                   const char *meeting_id, struct arrival *arrival,
                   struct meeting_error *err)
{
    uint64_t now_us = clock_mono_us();
    uint32_t retry_ms = 0;
    int ret;

    if (meeting_refuses(meeting, who, meeting_id, arrival->transports, err) != 0) {
        return -1;
    }
    if (meeting->gate_tick == NULL) {
        return 0;
    }
    if (meeting->gate_ticked_us == 0 &&
        now_us - meeting->gate.loaded_us >= TICK_MS * UINT64_C(1000)) {
        look(meeting, now_us, 0);
    }
    arrival->entry.who = user_of(who);
    ret = gate_enter(&meeting->gate, &arrival->entry, now_us, &retry_ms);
    if (ret == -EBUSY) {
        meeting->n_refused++;
        return overloaded(err, retry_ms);
    }
    meeting->n_at_once += ret == 0;
    if (ret == -EINPROGRESS && meeting->gate_ticked_us == 0) {
        meeting->gate_ticked_us = now_us;
        loop_timer_start(meeting->gate_tick, TICK_MS, TICK_MS);
    }
    return ret;
}

void meeting_depart(struct meeting *meeting, struct arrival *arrival)
{
    meeting->n_departed += arrival->entry.waits;
    gate_leave(&meeting->gate, &arrival->entry);
}

void meeting_arrivals(const struct meeting *meeting, struct meeting_arrivals *out)
{
    *out = (struct meeting_arrivals){.at_once = meeting->n_at_once,
                                     .waited = meeting->n_waited,
                                     .refused = meeting->n_refused,
                                     .too_late = meeting->n_too_late,
                                     .room_full = meeting->n_room_full,
                                     .node_full = meeting->n_node_full,
                                     .departed = meeting->n_departed,
                                     .waiting = meeting->gate.n};
}
