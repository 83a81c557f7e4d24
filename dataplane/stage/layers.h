/* Which layers each subscription is sent. route shows it every packet of one that has
 * layers (layers_take); the sweep looks for the streams that come, chooses what to aim at
 * and changes over at key frames.
 *
 * What is aimed at is the least of control's wish, the link's limit and what comes. A
 * change of stream waits for a key frame of the new one, which is asked for, and is given
 * up for a while if none comes; until then the old one goes on.
 *
 * Neighbours: core/switcher decides on packets; rewrite writes the numbers it gives.
 * Thread: the lane of the subscription. */
#ifndef KCS_STAGE_LAYERS_H
#define KCS_STAGE_LAYERS_H

#include "lane/lane.h"

enum {
    LAYERS_SWEEP_US = 100000,  /* between two looks at what a subscription aims at */
    LAYERS_WAIT_US = 2000,     /* between two looks for a key frame that is waited for */
    LAYERS_SILENT_US = 500000, /* a layer that is behind the others by so much … */
    LAYERS_SURE_US = 150000,   /* … for so long does not come any more */
    LAYERS_FRESH_US = 200000,  /* a key frame so old is still begun with … */
    LAYERS_SAME_MS = 10,       /* … if it is of the picture shown last, within this */
    LAYERS_MEND_US = 30000,    /* a picture that was begun is waited for */
    LAYERS_DOWN_US = 300000,   /* a way down within a stream needs a key frame after all */
    LAYERS_ASK_US = 1000000,   /* key frames are asked for again */
    LAYERS_GIVE_UP_US = 4000000, /* then a layer is given up … */
    LAYERS_SHUN_US = 10000000    /* … for so long */
};

/* Gives a subscription layers, of these streams (handles, ascending), or other streams of
 * the same codec: its numbers go on, it begins again at a key frame. Returns as
 * tables_sub_layers(). */
int layers_streams(struct lane *lane, struct sub *sub, const uint64_t *handles, uint8_t n);

/* The vault's words of one that has just got layers: 'resume' goes on from them. */
void layers_live(struct lane *lane, struct sub *sub, uint64_t *last_us, uint64_t *last_out,
                 bool resume);

/* Starts, or resumes after a pause; and pauses. */
void layers_begin(struct lane *lane, struct sub *sub);
void layers_pause(struct lane *lane, struct sub *sub);

/* What control wishes; and what the link allows (SUB_LAYER_ANY: all). For those with layers
 * only. Takes effect at once where the codec allows. */
void layers_wish(struct lane *lane, struct sub *sub, uint8_t spatial, uint8_t temporal);
void layers_limit(struct lane *lane, struct sub *sub, uint8_t spatial, uint8_t temporal);

/* The lane does not carry what 'sub' is sent: it goes on with a smaller one of its streams, at
 * a key frame, and until then with nothing. Returns false if there is none. */
bool layers_lower(struct lane *lane, struct sub *sub);

/* How many spatial layers come now, from the lowest without a gap, and temporal ones. For
 * allocation. */
uint8_t layers_live_spatial(const struct sub_layers *layers, uint64_t now_us);
uint8_t layers_live_temporal(const struct sub_layers *layers);

/* route's: a packet of the stream that 'sub' reads. Returns true if it is sent. */
bool layers_take(struct sub *sub, const struct switcher_in *in, uint64_t now_us,
                 struct switcher_out *out);

/* resend's: what the packet in 'slot' went out as. False if that is not known any more. */
bool layers_again(const struct sub *sub, const struct lane_resend *resend,
                  const struct ring_slot *slot, struct switcher_out *out);

/* Once a turn. Returns how many changed over. */
uint32_t layers_sweep(struct lane *lane);
uint64_t layers_deadline(const struct lane *lane);

#endif
