/* See begin.h. */
#include "stage/begin.h"

#include "stage/layers.h"

void begin_sub(struct lane *lane, struct sub *sub)
{
    tables_sub_unshed(lane->tables, sub);
    sublist_ask(sub->at);
    if (sub->layers != NULL) {
        layers_begin(lane, sub);
        return;
    }
    sub->started = false;
    sub->wait_keyframe = sub->stream->video;
    sub->cursor = stream_ring_head(&sub->stream->ring);
    /* who cannot be sent to yet asks when it can: rtcp_out looks for those that wait */
    sub->rest->asked = sub->stream->video && sub->peer->to != NULL &&
                       sub->peer->tx_key != NULL &&
                       lane_wish_keyframe(lane, sub, sub->stream);
}
