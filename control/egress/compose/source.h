/* One stream, decoded: sound goes into the mixer, pictures can be looked at when their time
 * has come. What a decoder makes nothing of is not shown: the picture stands, and a key
 * frame is wished for. */
#ifndef EGRESS_SOURCE_H
#define EGRESS_SOURCE_H

#include "egress/compose/mixer.h"
#include "egress/compose/sync.h"
#include "egress/depay/feed.h"

struct AVFrame;
struct source;

enum {
    SOURCE_QUEUE = 256,         /* frames that wait for their time */
    SOURCE_PIXELS = 4096 * 2304 /* of a picture, at most */
};

struct source_conf {
    const struct feed_rings *rings; /* borrowed for the source's life, as 'clock' */
    uint64_t handle;
    enum abi_codec codec;
    uint32_t hz;
    uint64_t zero_us;         /* times are since then */
    struct sync_clock *clock; /* of its publisher */
};

/* Returns 0, -EINVAL (no such stream, or codec here), or -ENOMEM. */
int source_open(struct source **out, const struct source_conf *conf);

/* Reads what has come; sound is decoded and added to the mixer unless it is 'hidden'. Call
 * every few milliseconds. */
void source_run(struct source *source, uint64_t now_us, struct mixer *mixer, bool hidden);

/* The same, and what still waits for what is missing: nothing more comes. */
void source_end(struct source *source, uint64_t now_us, struct mixer *mixer, bool hidden);

/* Whether anybody is to see it; not, to begin with. Of what nobody sees nothing is decoded:
 * once it is shown there is a picture again with its publisher's next key frame. */
void source_show(struct source *source, bool shown);

/* Decodes the pictures until 'at_us'. Returns whether there is a new one. */
bool source_advance(struct source *source, int64_t at_us);

/* The newest picture; NULL: there was none yet. Borrowed until source_advance(). */
const struct AVFrame *source_picture(const struct source *source);

bool source_has_come(const struct source *source); /* any packet of it */

/* Whether its publisher is to be asked for a key frame now. */
bool source_wants_key(struct source *source, uint64_t now_us);

struct source_figures {
    uint64_t lost;   /* packets that were given up */
    uint64_t broken; /* frames that no decoder could make anything of */
    uint64_t decoded; /* pictures */
};

void source_figures(const struct source *source, struct source_figures *out);

void source_close(struct source *source); /* NULL is a no-op */

#endif
