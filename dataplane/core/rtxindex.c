#include "core/rtxindex.h"

#include "sfu/base/seq.h"

void rtxindex_begin(struct rtxindex *index, uint64_t first, uint64_t offset)
{
    index->spans[index->n++ % RTXINDEX_SPANS] =
        (struct rtxindex_span){.first = first, .offset = offset};
}

bool rtxindex_find(const struct rtxindex *index, uint16_t seq, uint64_t next,
                   struct rtxindex_hit *out)
{
    uint32_t n = index->n < RTXINDEX_SPANS ? index->n : RTXINDEX_SPANS;
    uint64_t number;

    if (n == 0 || next == 0) {
        return false;
    }
    number = seq16_extend(next - 1, seq);
    if (number >= next) {
        return false;
    }
    for (uint32_t i = 1; i <= n; i++) { /* the latest first */
        const struct rtxindex_span *span = &index->spans[(index->n - i) % RTXINDEX_SPANS];

        if (number >= span->first) {
            *out = (struct rtxindex_hit){.out = number, .seq = number + span->offset};
            return true;
        }
    }
    return false;
}
