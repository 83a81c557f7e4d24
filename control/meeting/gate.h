/* How fast people may come in. When more come than can be served they wait here, in the
 * order in which they came, and those for whom that would take too long are told at once
 * when to come again.
 *
 * They are let in at nine tenths of the pace that the threads of session/, which make keys,
 * and the loop, which does all else, carry, as measured: the CPU that each took over the
 * people who came in. So who joins only to read costs less than who has several transports,
 * and of a loop that is busy with meetings those who come get what is left. While the
 * threads are behind nobody is let in, while the loop is, one at a time.
 *
 * Of one user no more wait than a part of the line: who comes with many connections does
 * not keep the others out.
 *
 * Those who are sent away get appointments one after the other at the same pace; else all
 * would come again at once.
 *
 * Pure: told time and load. Neighbours: arrive.c, the shell. */
#ifndef MEETING_GATE_H
#define MEETING_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
    GATE_BEHIND_US = 100000,    /* what waits for a thread so long is too much */
    GATE_LATE_US = 25000,       /* and a loop that turns so late is busy with other things */
    GATE_BURST_US = 100000,     /* so much work may come at once */
    GATE_SHARE = 16,            /* such a part of the line is one user's, and one place */
    GATE_RETRY_MIN_MS = 500,    /* appointments are neither sooner */
    GATE_RETRY_MAX_MS = 60000,  /* nor later */
    GATE_COST_FIRST_US = 600,   /* of a join, until it is known */
    GATE_COST_MIN_US = 200,
    GATE_COST_MAX_US = 20000
};

struct gate_conf {
    uint32_t most;    /* who may wait; 0: nobody */
    uint32_t wait_ms; /* nobody waits longer */
};

/* As it is now. */
struct gate_load {
    uint64_t busy_us;  /* CPU of the threads since their start, of all */
    uint64_t loop_us;  /* and of the loop */
    uint64_t delay_us; /* that what they do next has waited */
    uint64_t late_us;  /* that the loop came later than it should */
    uint32_t threads;
};

/* One who comes. All zeros at first, but for 'who'. */
struct gate_entry {
    TAILQ_ENTRY(gate_entry) link;
    uint64_t who;           /* a hash of the user; 0: no one's place is counted */
    struct gate_user *user; /* while it waits */
    uint64_t since_us;
    bool waits;
};

struct gate {
    struct gate_conf conf;
    TAILQ_HEAD(gate_line, gate_entry) line; /* who came first is the first */
    uint32_t n;
    struct gate_user *users; /* who waits, by who it is */
    uint32_t threads;
    uint64_t busy_us, loop_us;           /* that were told last, */
    uint64_t loaded_us;                  /* when that was */
    double busy_sum, loop_sum, joins_sum; /* of the last seconds */
    bool behind, late;
    bool crawled;          /* who may come in although the loop is late, has */
    uint64_t free_us;      /* when those who were let in have been served */
    uint64_t last_us;      /* when somebody was let in last */
    uint64_t gap_us;       /* between two of those who wait, as it was lately */
    uint64_t appointed_us; /* the last appointment */
};

/* conf is copied. */
void gate_init(struct gate *gate, const struct gate_conf *conf);

/* In place of the first; who waits stays. */
void gate_set(struct gate *gate, const struct gate_conf *conf);

/* Before the calls below, at least each some ten milliseconds while somebody waits. */
void gate_on_load(struct gate *gate, const struct gate_load *load, uint64_t now_us);

/* One comes. Returns 0: in; -EINPROGRESS: it waits, until one of the calls below has to do
 * with it (borrowed until then); -EBUSY: it is to come again in *retry_ms (without memory
 * to wait, too). */
int gate_enter(struct gate *gate, struct gate_entry *entry, uint64_t now_us,
               uint32_t *retry_ms);

/* It does not wait any longer. One that does not wait: a no-op. */
void gate_leave(struct gate *gate, struct gate_entry *entry);

/* Who is let in now, first come first served; NULL: nobody. */
struct gate_entry *gate_take(struct gate *gate, uint64_t now_us);

/* Who has waited too long and is to come again in *retry_ms; NULL: nobody. */
struct gate_entry *gate_take_late(struct gate *gate, uint64_t now_us, uint32_t *retry_ms);

/* How long one who came now would wait, about. */
uint64_t gate_wait_us(const struct gate *gate, uint64_t now_us);

#endif
