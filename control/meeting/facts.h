/* The last lasting facts of a room, in the words that its clients were told them in, so
 * that who was away for a while can be told what it has missed. Bounded by number and by
 * bytes: the oldest go first.
 *
 * What the words are is the front's business; here they are bytes. Thread: the loop's. */
#ifndef MEETING_FACTS_H
#define MEETING_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/auth.h"

enum {
    FACTS_MAX = 1024,         /* of a room */
    FACTS_BYTES = 512 * 1024, /* of all their words */
};

/* Who may see something that happens in a room. */
enum fact_reach {
    FACT_ALL,
    FACT_GROUP,  /* who is in the same breakout, or like it in none */
    FACT_HOSTS,  /* who may moderate */
    FACT_OTHERS, /* who may not */
    FACT_PEOPLE, /* two persons, wherever they are */
};

struct fact_audience {
    enum fact_reach reach;
    uint8_t group;
    char from[AUTH_ID_MAX + 1]; /* user ids, of FACT_PEOPLE */
    char to[AUTH_ID_MAX + 1];
};

struct fact {
    uint64_t seq;
    const char *name; /* constant */
    struct fact_audience audience;
    size_t len;
    char words[];
};

struct facts {
    struct fact **ring; /* FACTS_MAX of them, made with the first */
    uint32_t first, n;
    size_t bytes;
    uint64_t floor; /* facts up to this number are not here any more */
};

/* Adds a fact; 'words' are copied. Numbers ascend. Without memory it is not kept, nor is
 * any before: who asks for it is told that it is too old. */
void facts_add(struct facts *facts, uint64_t seq, const char *name,
               const struct fact_audience *audience, const char *words, size_t len);

/* Whether all after 'since' are here still. */
bool facts_reach_back(const struct facts *facts, uint64_t since);

/* The i-th of those after 'since', ascending; NULL: there are no more. Borrowed until the
 * next is added. */
const struct fact *facts_after(const struct facts *facts, uint64_t since, uint32_t i);

/* Frees all; 'facts' is empty then, with everything before 'floor' gone. */
void facts_clear(struct facts *facts, uint64_t floor);

#endif
