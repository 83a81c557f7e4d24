/* See spread.h. */
#include "stage/spread.h"

uint16_t spread_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    (void)out;
    for (uint16_t i = 0; i < in->n; i++) {
        struct pkt *pkt = in->pkts[i];
        struct stream_readers *readers = &pkt->stream->readers[lane->index];

        if (readers->subs.n > 0) {
            lane_grown(lane, readers);
        }
        lane_done(lane, pkt, DONE_INGESTED);
    }
    return 0;
}
