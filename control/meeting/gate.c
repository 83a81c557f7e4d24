/* See gate.h. */
#include "meeting/gate.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1 /* an item that could not be added has a NULL hh.tbl */
#include <uthash.h>

enum {
    MEMORY_US = 5000000, /* of what joins cost */
    FIRST_JOINS = 200,   /* what was assumed weighs as much as so many: keys come later than
                          * who wants them, and so does what they cost */
    ENOUGH_JOINS = 50,   /* tell by themselves what they cost */
    GAPS = 16            /* of which the mean is taken */
};

struct gate_user {
    uint64_t who;
    uint32_t n; /* of its entries wait */
    UT_hash_handle hh;
};

void gate_init(struct gate *gate, const struct gate_conf *conf)
{
    *gate = (struct gate){.conf = *conf, .threads = 1};
    TAILQ_INIT(&gate->line);
}

void gate_set(struct gate *gate, const struct gate_conf *conf)
{
    gate->conf = *conf;
}

void gate_on_load(struct gate *gate, const struct gate_load *load, uint64_t now_us)
{
    uint64_t passed_us = now_us - gate->loaded_us;
    double left =
        passed_us < MEMORY_US ? 1.0 - (double)passed_us / (double)MEMORY_US : 0.0;

    gate->busy_sum *= left;
    gate->loop_sum *= left;
    gate->joins_sum *= left;
    if (left > 0.0) {
        gate->busy_sum += (double)(load->busy_us - gate->busy_us);
        gate->loop_sum += (double)(load->loop_us - gate->loop_us);
    }
    gate->busy_us = load->busy_us;
    gate->loop_us = load->loop_us;
    gate->loaded_us = now_us;
    gate->threads = load->threads > 0 ? load->threads : 1;
    gate->behind = load->delay_us > GATE_BEHIND_US;
    gate->late = load->late_us > GATE_LATE_US;
    gate->crawled = false;
}

/* Between two joins, at nine tenths of what threads and loop carry. */
static uint64_t interval_us(const struct gate *gate)
{
    double busy = gate->busy_sum / gate->threads;
    double most = busy > gate->loop_sum ? busy : gate->loop_sum;
    double cost_us = (most + (double)GATE_COST_FIRST_US * FIRST_JOINS) /
                     (gate->joins_sum + FIRST_JOINS);

    if (gate->joins_sum >= ENOUGH_JOINS && most / gate->joins_sum > cost_us) {
        cost_us = most / gate->joins_sum; /* what was assumed makes nothing cheaper */
    }

    cost_us = cost_us < GATE_COST_MIN_US   ? GATE_COST_MIN_US
              : cost_us > GATE_COST_MAX_US ? GATE_COST_MAX_US
                                           : cost_us;
    return (uint64_t)(cost_us * 10 / 9);
}

uint64_t gate_wait_us(const struct gate *gate, uint64_t now_us)
{
    uint64_t each_us = interval_us(gate);
    uint64_t stalled_us = 0;

    if (gate->n > 0) {
        each_us = gate->gap_us > each_us ? gate->gap_us : each_us;
        stalled_us = now_us - gate->last_us;
    }
    return gate->n * each_us + stalled_us;
}

/* Whether one may come in now; it is noted then. */
static bool let_in(struct gate *gate, uint64_t now_us)
{
    uint64_t free_us = gate->free_us > now_us ? gate->free_us : now_us;

    if (gate->behind || (gate->late && gate->crawled) || free_us - now_us > GATE_BURST_US) {
        return false;
    }
    gate->crawled = true;
    gate->free_us = free_us + interval_us(gate);
    gate->joins_sum += 1;
    gate->last_us = now_us;
    return true;
}

static uint32_t appoint(struct gate *gate, uint64_t now_us)
{
    const uint64_t max_us = GATE_RETRY_MAX_MS * UINT64_C(1000);
    uint64_t at_us = now_us + gate_wait_us(gate, now_us);
    uint64_t in_us;

    at_us = gate->appointed_us > at_us ? gate->appointed_us : at_us;
    at_us += interval_us(gate);
    if (at_us > now_us + max_us) { /* more than there are: they share those that are late */
        at_us = now_us + max_us / 2;
    }
    gate->appointed_us = at_us;
    in_us = (at_us - now_us) / 1000;
    return in_us > GATE_RETRY_MIN_MS ? (uint32_t)in_us : GATE_RETRY_MIN_MS;
}

/* Counts one more of a user. False: it has its share of the line, or there is no memory. */
static bool take_place(struct gate *gate, struct gate_entry *entry)
{
    struct gate_user *user = NULL;

    if (entry->who == 0) {
        return true;
    }
    HASH_FIND(hh, gate->users, &entry->who, sizeof(entry->who), user);
    if (user == NULL) {
        user = calloc(1, sizeof(*user));
        if (user == NULL) {
            return false;
        }
        user->who = entry->who;
        HASH_ADD(hh, gate->users, who, sizeof(user->who), user);
        if (user->hh.tbl == NULL) {
            free(user);
            return false;
        }
    } else if (user->n > gate->conf.most / GATE_SHARE) {
        return false;
    }
    user->n++;
    entry->user = user;
    return true;
}

static void give_place_back(struct gate *gate, struct gate_entry *entry)
{
    struct gate_user *user = entry->user;

    entry->user = NULL;
    if (user != NULL && --user->n == 0) {
        HASH_DEL(gate->users, user);
        free(user);
    }
}

int gate_enter(struct gate *gate, struct gate_entry *entry, uint64_t now_us,
               uint32_t *retry_ms)
{
    if (gate->n == 0 && let_in(gate, now_us)) {
        return 0;
    }
    if (gate->n >= gate->conf.most ||
        gate_wait_us(gate, now_us) > gate->conf.wait_ms * UINT64_C(1000)) {
        *retry_ms = appoint(gate, now_us);
        return -EBUSY;
    }
    if (!take_place(gate, entry)) { /* no appointment: those are the others' */
        uint64_t in_ms = gate_wait_us(gate, now_us) / 1000;

        *retry_ms = in_ms > GATE_RETRY_MIN_MS ? (uint32_t)in_ms : GATE_RETRY_MIN_MS;
        return -EBUSY;
    }
    if (gate->n == 0) {
        gate->last_us = now_us; /* what was before is no standstill */
        gate->gap_us = 0;
    }
    entry->since_us = now_us;
    entry->waits = true;
    TAILQ_INSERT_TAIL(&gate->line, entry, link);
    gate->n++;
    return -EINPROGRESS;
}

void gate_leave(struct gate *gate, struct gate_entry *entry)
{
    if (entry->waits) {
        entry->waits = false;
        TAILQ_REMOVE(&gate->line, entry, link);
        give_place_back(gate, entry);
        gate->n--;
    }
}

struct gate_entry *gate_take(struct gate *gate, uint64_t now_us)
{
    struct gate_entry *first = TAILQ_FIRST(&gate->line);
    uint64_t last_us = gate->last_us;

    if (first == NULL || !let_in(gate, now_us)) {
        return NULL;
    }
    gate->gap_us = (gate->gap_us * (GAPS - 1) + (now_us - last_us)) / GAPS;
    gate_leave(gate, first);
    return first;
}

struct gate_entry *gate_take_late(struct gate *gate, uint64_t now_us, uint32_t *retry_ms)
{
    struct gate_entry *first = TAILQ_FIRST(&gate->line);

    if (first == NULL || now_us - first->since_us <= gate->conf.wait_ms * UINT64_C(1000)) {
        return NULL;
    }
    gate_leave(gate, first);
    *retry_ms = appoint(gate, now_us);
    return first;
}
