/* Figures of a meeting, counted from its facts: the same that leave the node as events. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/meeting.h"
#include "rest/meetings.h"
#include "rest/rest.h"
#include "rest/task.h"
#include "sys/clock.h"

enum { PAGES_MAX = 1000 }; /* of STORE_FIND_MAX facts; a meeting with more is told so */

struct figures {
    struct task *task;
    unsigned pages;
    uint64_t epoch, seq;        /* of the last fact */
    uint64_t first_us, told_us; /* when the first and the last were told; 0: none */
    uint64_t last_us;           /* till when time has passed */
    uint64_t held_us, attended_us;
    json_t *users; /* a set */
    uint32_t present, peak;
    json_int_t joins, messages, reactions, screens, hands;
};

/* Time goes on, with whoever is there. */
static void pass(struct figures *f, uint64_t now_us)
{
    uint64_t us = now_us > f->last_us ? now_us - f->last_us : 0; /* clocks are set back */

    if (f->present > 0) { /* whose coming has set last_us */
        f->held_us += us;
        f->attended_us += us * f->present;
    }
    f->last_us += us;
}

static void come(struct figures *f, const struct store_event *e)
{
    f->joins++;
    f->present++;
    f->peak = f->present > f->peak ? f->present : f->peak;
    if (e->ref[0] != '\0') { /* else it was erased */
        (void)json_object_set_new(f->users, e->ref, json_true());
    }
}

static void count(struct figures *f, const struct store_event *e)
{
    const struct {
        const char *type;
        json_int_t *n;
    } counted[] = {{"kcs.chat.message", &f->messages},
                   {"kcs.chat.reaction", &f->reactions},
                   {"kcs.media.screen.started", &f->screens},
                   {"kcs.participant.hand_raised", &f->hands}};

    if (e->epoch != f->epoch) { /* the node had lost the room, and who was there */
        f->present = 0;
    }
    f->epoch = e->epoch;
    f->seq = e->seq;
    f->first_us = f->first_us != 0 ? f->first_us : e->at_us;
    f->told_us = e->at_us;
    pass(f, e->at_us);
    if (strcmp(e->type, "kcs.participant.joined") == 0) {
        come(f, e);
    } else if (strcmp(e->type, "kcs.participant.left") == 0) {
        f->present -= f->present > 0;
    } else if (strcmp(e->type, "kcs.meeting.closed") == 0) {
        f->present = 0;
    }
    for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++) {
        *counted[i].n += strcmp(e->type, counted[i].type) == 0;
    }
}

static void on_facts(void *arg, const struct store_result *result);

/* Asks for the facts behind those that were counted; if that fails, the task is answered.
 */
static bool ask(struct figures *f)
{
    struct task *task = f->task;
    int err = store_events(task->store, task->who.tenant, task->params.at[0], f->epoch,
                           f->seq, STORE_FIND_MAX, on_facts, f);

    if (err != 0) {
        task_fail(task, err);
    }
    return err == 0;
}

static json_t *time_or_null(uint64_t at_us)
{
    return at_us != 0 ? task_time((int64_t)(at_us / 1000000)) : json_null();
}

static void answer(struct figures *f, bool whole)
{
    struct task *task = f->task;

    if (meeting_find_room(task->conf->meeting, task->who.tenant, task->params.at[0]) !=
        NULL) {
        pass(f, clock_wall_us()); /* it goes on */
    }
    task_answer(task,
                json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:b}",
                          "participants", (json_int_t)json_object_size(f->users), "joins",
                          f->joins, "peak_participants", (json_int_t)f->peak, "duration_ms",
                          (json_int_t)(f->held_us / 1000), "attended_ms",
                          (json_int_t)(f->attended_us / 1000), "messages", f->messages,
                          "reactions", f->reactions, "screens_shared", f->screens,
                          "hands_raised", f->hands, "first_fact_at",
                          time_or_null(f->first_us), "last_fact_at",
                          time_or_null(f->told_us), "complete", (int)whole),
                0);
}

static void end(struct figures *f)
{
    json_decref(f->users);
    free(f);
}

static void on_facts(void *arg, const struct store_result *result)
{
    struct figures *f = arg;

    for (size_t i = 0; i < result->n_events; i++) {
        count(f, &result->events[i]);
    }
    if (result->err != 0) {
        task_fail(f->task, result->err);
    } else if (!result->more || ++f->pages == PAGES_MAX) {
        answer(f, !result->more);
    } else if (ask(f)) {
        return;
    }
    end(f);
}

static void begin(struct task *task)
{
    struct figures *f = calloc(1, sizeof(*f));

    if (f != NULL) {
        f->task = task;
        f->users = json_object();
    }
    if (f == NULL || f->users == NULL) {
        free(f);
        task_fail(task, -ENOMEM);
    } else if (!ask(f)) {
        end(f);
    }
}

void meetings_analytics(const struct rest_call *call)
{
    task_begin_with_meeting(call, begin);
}
