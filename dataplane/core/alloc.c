#include "core/alloc.h"

#include <string.h>

enum {
    STAYED_US = 5000000, /* what comes down sooner should not have gone up */
    MAX_FAILED = 3,
    SOON = 4, /* parts of the way to what a layer costs now */
    SLOWLY = 16
};

void alloc_init(struct alloc *alloc, const struct alloc_conf *conf)
{
    memset(alloc, 0, sizeof(*alloc));
    alloc->conf = *conf;
}

static int top_of(const struct alloc_stream *s)
{
    int top = s->n_levels < ALLOC_LEVELS ? s->n_levels : ALLOC_LEVELS;

    return s->max_level < top ? s->max_level : top - 1;
}

static uint64_t cost_of(const struct alloc_stream *s, int level)
{
    return level < 0 || s->n_levels == 0 ? 0 : s->bps[level];
}

/* Whether 'a' is served before 'b'; equal ones keep their order. */
static bool is_before(const struct alloc_stream *a, const struct alloc_stream *b)
{
    if (a->kind != b->kind) {
        return a->kind < b->kind;
    }
    if (a->priority != b->priority) {
        return a->priority > b->priority;
    }
    return a->area > b->area;
}

/* Merges the sorted halves of 'from' into 'to'. */
static void merge(const struct alloc_stream *streams, const uint16_t *from, size_t half,
                  size_t n, uint16_t *to)
{
    size_t left = 0, right = half;

    for (size_t i = 0; i < n; i++) {
        const bool second = left == half || (right < n && is_before(&streams[from[right]],
                                                                    &streams[from[left]]));

        to[i] = from[second ? right++ : left++];
    }
}

/* The order of service; 'order' is filled. By merging, for they may be many. */
static void sort(const struct alloc_stream *streams, size_t n, uint16_t *order)
{
    uint16_t other[ALLOC_STREAMS];

    for (size_t i = 0; i < n; i++) {
        order[i] = (uint16_t)i;
    }
    for (size_t half = 1; half < n; half *= 2) {
        for (size_t at = 0; at < n; at += 2 * half) {
            const size_t left = n - at;

            merge(streams, order + at, half < left ? half : left,
                  2 * half < left ? 2 * half : left, other + at);
        }
        memcpy(order, other, n * sizeof(*order));
    }
}

struct purse {
    uint64_t keep; /* left for what a stream has already */
    uint64_t more; /* left for what goes up */
    bool calm;     /* nothing had to go down for as long as it takes */
    bool rested;   /* for long enough for what was paused */
    bool free;     /* what a stream has already costs nothing but 'more' */
};

static bool pays(struct purse *purse, uint64_t cost, bool is_raise)
{
    if (is_raise ? cost > purse->more : cost > purse->keep && !purse->free) {
        return false;
    }
    purse->keep = purse->keep > cost ? purse->keep - cost : 0;
    purse->more = purse->more > cost ? purse->more - cost : 0;
    return true;
}

/* Raises a stream by one level if that can be paid for. */
static bool step(struct purse *purse, const struct alloc_stream *s, int had, int8_t *level)
{
    const int next = *level + 1;
    uint64_t cost;

    if (next > top_of(s) || (next > had && !(next == 0 ? purse->rested : purse->calm))) {
        return false;
    }
    cost = cost_of(s, next);
    cost -= cost < cost_of(s, *level) ? cost : cost_of(s, *level);
    if (!pays(purse, cost, next > had)) {
        return false;
    }
    *level = (int8_t)next;
    return true;
}

/* Serves video: a screen takes what it can use, then every camera its lowest level, then
 * one level a round each. */
static void serve(const struct alloc_stream *streams, const uint16_t *order, size_t n,
                  struct purse *purse, int8_t *levels)
{
    bool more = true;

    for (size_t i = 0; i < n; i++) {
        const struct alloc_stream *s = &streams[order[i]];

        while (s->kind == ALLOC_SCREEN && step(purse, s, s->level, &levels[order[i]])) {
        }
    }
    for (int round = 0; round < ALLOC_LEVELS && more; round++) {
        more = false;
        for (size_t i = 0; i < n; i++) {
            const struct alloc_stream *s = &streams[order[i]];

            if (s->kind == ALLOC_CAMERA && levels[order[i]] == round - 1) {
                more |= step(purse, s, s->level, &levels[order[i]]);
            }
        }
    }
}

static void note_fall(struct alloc *alloc, uint64_t now_us)
{
    alloc->fell_us = now_us;
    if (alloc->raised_us == 0) {
        return; /* the same one falls further */
    }
    if (now_us - alloc->raised_us >= STAYED_US) {
        alloc->n_failed = 0;
    } else if (alloc->n_failed < MAX_FAILED) {
        alloc->n_failed++;
    }
    alloc->raised_us = 0;
}

static void note_raise(struct alloc *alloc, uint64_t budget_bps, uint64_t now_us)
{
    if (alloc->raised_us != 0 && now_us - alloc->raised_us >= STAYED_US) {
        alloc->n_failed = 0;
    }
    alloc->raised_us = now_us;
    alloc->raised_bps = budget_bps;
}

/* How long nothing goes up after something had to go down. */
static uint64_t patience_of(const struct alloc *alloc, uint64_t budget_bps)
{
    const bool more = budget_bps > alloc->raised_bps / 4 * 5;

    return (uint64_t)alloc->conf.patience_us
           << (alloc->n_failed > 1 && !more ? alloc->n_failed - 1 : 0);
}

/* Whether it is long enough since something had to go down for one to go up to 'level'. */
static bool is_time(const struct alloc *alloc, int level, uint64_t budget_bps,
                    uint64_t now_us)
{
    const uint64_t calm_us = alloc->fell_us == 0 ? UINT64_MAX : now_us - alloc->fell_us;

    return calm_us >= (level == 0 ? alloc->conf.patience_us : patience_of(alloc, budget_bps));
}

/* Takes over the new levels. Notes whether a stream lost one that it still asks for, and
 * whether one has more. */
static bool adopt(struct alloc *alloc, struct alloc_stream *streams, size_t n,
                  const int8_t *levels, uint64_t budget_bps, uint64_t now_us)
{
    bool changed = false, raised = false, fell = false;

    for (size_t i = 0; i < n; i++) {
        struct alloc_stream *s = &streams[i];

        fell |= levels[i] < s->level && levels[i] < top_of(s);
        raised |= levels[i] > s->level;
        changed |= levels[i] != s->level;
        s->level = levels[i];
    }
    if (fell) {
        note_fall(alloc, now_us);
    } else if (raised) {
        note_raise(alloc, budget_bps, now_us);
    }
    return changed;
}

bool alloc_run(struct alloc *alloc, struct alloc_stream *streams, size_t n,
               uint64_t budget_bps, uint64_t now_us)
{
    uint64_t reserve = budget_bps / 1024 * alloc->conf.reserve;
    uint16_t order[ALLOC_STREAMS];
    int8_t levels[ALLOC_STREAMS];
    struct purse purse = {.keep = budget_bps,
                          .calm = is_time(alloc, 1, budget_bps, now_us),
                          .rested = is_time(alloc, 0, budget_bps, now_us),
                          .free = alloc->keep};
    bool changed = false;

    for (size_t i = ALLOC_STREAMS; i < n; i++) {
        changed |= streams[i].level != ALLOC_PAUSED;
        streams[i].level = ALLOC_PAUSED;
    }
    n = n < ALLOC_STREAMS ? n : ALLOC_STREAMS;
    for (size_t i = 0; i < n; i++) {
        const struct alloc_stream *s = &streams[i];

        levels[i] = s->n_levels == 0 ? 0 : ALLOC_PAUSED;
        if (s->kind == ALLOC_AUDIO) {
            levels[i] = 0;
            purse.keep -= cost_of(s, 0) < purse.keep ? cost_of(s, 0) : purse.keep;
        }
    }
    purse.more = purse.keep > reserve ? purse.keep - reserve : 0;
    sort(streams, n, order);
    serve(streams, order, n, &purse, levels);
    return adopt(alloc, streams, n, levels, budget_bps, now_us) || changed;
}

uint32_t alloc_cost(uint32_t was_bps, uint32_t bps)
{
    return was_bps == 0    ? bps
           : bps > was_bps ? was_bps + (bps - was_bps) / SOON
                           : was_bps - (was_bps - bps) / SLOWLY;
}

uint64_t alloc_spent(const struct alloc_stream *streams, size_t n)
{
    uint64_t bps = 0;

    for (size_t i = 0; i < n; i++) {
        bps += cost_of(&streams[i], streams[i].kind == ALLOC_AUDIO ? 0 : streams[i].level);
    }
    return bps;
}

/* Whether 'a' gets its next level before 'b', as serve() has it. */
static bool is_next(const struct alloc_stream *a, const struct alloc_stream *b)
{
    return a->kind == b->kind && a->kind == ALLOC_CAMERA && a->level != b->level
               ? a->level < b->level
               : is_before(a, b);
}

bool alloc_raise(struct alloc *alloc, struct alloc_stream *streams, size_t n,
                 uint64_t now_us)
{
    struct alloc_stream *next = NULL;
    uint64_t budget_bps;

    n = n < ALLOC_STREAMS ? n : ALLOC_STREAMS;
    for (size_t i = 0; i < n; i++) {
        struct alloc_stream *s = &streams[i];

        if (s->kind != ALLOC_AUDIO && s->level < top_of(s) &&
            (next == NULL || is_next(s, next))) {
            next = s;
        }
    }
    if (next == NULL) {
        return false;
    }
    next->level++;
    budget_bps = alloc_spent(streams, n) * 1024 / (1024u - alloc->conf.reserve);
    if (!is_time(alloc, next->level, budget_bps, now_us)) {
        next->level--;
        return false;
    }
    note_raise(alloc, budget_bps, now_us);
    return true;
}

uint64_t alloc_wanted(const struct alloc_stream *streams, size_t n)
{
    uint64_t bps = 0;

    for (size_t i = 0; i < n; i++) {
        bps +=
            cost_of(&streams[i], streams[i].kind == ALLOC_AUDIO ? 0 : top_of(&streams[i]));
    }
    return bps;
}
