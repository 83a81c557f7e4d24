/* See callers.h. An address is remembered while it has sessions, and until it may open as
 * many at once again. */
#include "signal/callers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* an item that could not be added has a NULL hh.tbl */
#include <uthash.h>

#include "meeting/rate.h"

enum {
    BURST_S = 4, /* seconds' worth that may come at once */
    LOOKS = 4,   /* at old entries when a new one comes */
    KEPT_US = 1000000 * BURST_S
};

struct caller {
    uint32_t n;
    struct rate opened;
    UT_hash_handle hh;
    uint8_t origin[NET_ORIGIN];
};

struct callers {
    struct callers_conf conf;
    struct caller *all; /* the oldest first */
};

int callers_create(struct callers **out, const struct callers_conf *conf)
{
    struct callers *callers = calloc(1, sizeof(*callers));

    if (callers == NULL) {
        return -ENOMEM;
    }
    callers->conf = *conf;
    *out = callers;
    return 0;
}

void callers_set(struct callers *callers, const struct callers_conf *conf)
{
    callers->conf = *conf;
}

void callers_destroy(struct callers *callers)
{
    struct caller *caller;

    if (callers == NULL) {
        return;
    }
    caller = callers->all;
    HASH_CLEAR(hh, callers->all); /* the table; what was in it is a list still */
    while (caller != NULL) {
        struct caller *next = caller->hh.next;

        free(caller);
        caller = next;
    }
    free(callers);
}

/* Of the oldest those that are as good as new. One that is not goes to the end: it is
 * looked at again when the others have been. The last stays, so that the table does. */
static void forget_some(struct callers *callers, uint64_t now_us)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc,clang-analyzer-core.NullDereference) */
    for (int i = 0; i < LOOKS && HASH_COUNT(callers->all) > 1; i++) {
        struct caller *caller = callers->all;

        HASH_DEL(callers->all, caller);
        if (caller->n == 0 && now_us - caller->opened.last_us > KEPT_US) {
            free(caller);
        } else {
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed is not there */
            HASH_ADD(hh, callers->all, origin, NET_ORIGIN, caller);
        }
    }
}

static struct caller *find(struct callers *callers, const uint8_t *origin, uint64_t now_us)
{
    struct caller *caller = NULL;

    HASH_FIND(hh, callers->all, origin, NET_ORIGIN, caller);
    if (caller != NULL) {
        return caller;
    }
    forget_some(callers, now_us);
    caller = calloc(1, sizeof(*caller));
    if (caller == NULL) {
        return NULL;
    }
    memcpy(caller->origin, origin, NET_ORIGIN);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc,clang-analyzer-core.NullDereference) */
    HASH_ADD(hh, callers->all, origin, NET_ORIGIN, caller);
    if (caller->hh.tbl == NULL) {
        free(caller);
        return NULL;
    }
    return caller;
}

int callers_enter(struct callers *callers, const uint8_t origin[NET_ORIGIN],
                  uint64_t now_us, struct caller **out)
{
    const struct rate_conf rate = {.per_s = callers->conf.per_s,
                                   .burst = BURST_S * callers->conf.per_s};
    struct caller *caller = find(callers, origin, now_us);

    if (caller == NULL) {
        return -ENOMEM;
    }
    if (callers->conf.most > 0 && caller->n >= callers->conf.most) {
        return -ENOSPC;
    }
    if (callers->conf.per_s > 0 && rate_take(&caller->opened, &rate, now_us) != 0) {
        return -EAGAIN;
    }
    caller->opened.last_us = now_us;
    caller->n++;
    *out = caller;
    return 0;
}

void callers_leave(struct caller *caller)
{
    if (caller != NULL) {
        caller->n--;
    }
}

uint32_t callers_n(const struct callers *callers)
{
    return HASH_COUNT(callers->all);
}
