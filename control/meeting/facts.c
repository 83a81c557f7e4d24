#include "meeting/facts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct fact *at(const struct facts *facts, uint32_t i)
{
    assert(facts->ring != NULL); /* there is none of which one could ask */
    return facts->ring[(facts->first + i) % FACTS_MAX];
}

static void drop_oldest(struct facts *facts)
{
    struct fact *fact = at(facts, 0);

    facts->floor = fact->seq;
    facts->bytes -= fact->len;
    facts->first = (facts->first + 1) % FACTS_MAX;
    facts->n--;
    free(fact);
}

void facts_clear(struct facts *facts, uint64_t floor)
{
    while (facts->n > 0) {
        drop_oldest(facts);
    }
    free(facts->ring);
    *facts = (struct facts){.floor = floor};
}

void facts_add(struct facts *facts, uint64_t seq, const char *name,
               const struct fact_audience *audience, const char *words, size_t len)
{
    struct fact *fact = len <= FACTS_BYTES ? malloc(sizeof(*fact) + len) : NULL;

    if (facts->ring == NULL && fact != NULL) {
        facts->ring = calloc(FACTS_MAX, sizeof(struct fact *));
    }
    if (fact == NULL || facts->ring == NULL) {
        free(fact);
        facts_clear(facts, seq);
        return;
    }
    while (facts->n == FACTS_MAX || facts->bytes + len > FACTS_BYTES) {
        drop_oldest(facts);
    }
    *fact = (struct fact){.seq = seq, .name = name, .audience = *audience, .len = len};
    memcpy(fact->words, words, len);
    facts->ring[(facts->first + facts->n) % FACTS_MAX] = fact;
    facts->n++;
    facts->bytes += len;
}

bool facts_reach_back(const struct facts *facts, uint64_t since)
{
    return since >= facts->floor;
}

const struct fact *facts_after(const struct facts *facts, uint64_t since, uint32_t i)
{
    uint32_t low = 0;
    uint32_t high = facts->n;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (at(facts, mid)->seq > since) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return i < facts->n - low ? at(facts, low + i) : NULL;
}
