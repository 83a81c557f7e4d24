/* What a job does with the streams; each mode is one of these. The process around it, which
 * hears and speaks, is job.c. */
#ifndef EGRESS_MODE_H
#define EGRESS_MODE_H

#include "egress/depay/feed.h"

enum { MODE_LINE = 512, MODE_TURN_MS = 20, MODE_PERSON = 31 };

struct mode_conf {
    const char *directory; /* where its files are */
    uint64_t zero_us;      /* CLOCK_MONOTONIC at which the job began */
    unsigned part;         /* of the job's processes, from 1 */
    char *const *words;    /* of the mode, behind that on the command line */
    int n_words;
    struct feed_rings rings;
};

struct mode {
    const char *name; /* on the command line */
    /* Returns 0 or -errno; conf is borrowed. */
    int (*begin)(const struct mode_conf *conf);
    /* A line of control's; 0, or -EINVAL: not understood. */
    int (*on_line)(const char *line);
    /* Each MODE_TURN_MS at least. Returns how many milliseconds may pass till the next. */
    unsigned (*turn)(uint64_t now_us);
    /* Files are ended, and told of. 'last': no other process of the job follows. */
    void (*end)(uint64_t now_us, bool last);
};

/* What 'add' tells of a stream. */
struct mode_stream {
    char name[FEED_NAME + 1];
    uint64_t handle;
    enum abi_codec codec;
    uint32_t hz;
    uint64_t publisher;
    char person[MODE_PERSON + 1]; /* whose it is; empty: not told, as what follows */
    char source[MODE_PERSON + 1]; /* mic, camera, screen, screen_audio */
};

bool mode_parse_add(const char *line, struct mode_stream *out);

extern const struct mode mode_tracks;    /* each stream to a file of its own */
extern const struct mode mode_mp4;       /* the same, VP8 as H264: each in MP4 */
extern const struct mode mode_composite; /* one picture and one sound of all, to a file */
extern const struct mode mode_sound;     /* the sound alone */
extern const struct mode mode_live;      /* the picture and the sound, to who watches */
extern const struct mode mode_join;      /* the parts of such files become one */
extern const struct mode mode_push;      /* the same, by RTMP to a server */

/* There is no memory: the process ends at once, and another goes on in the next part. */
_Noreturn void mode_no_memory(void);

/* Says a line to control; waits if it must: control reads it, or is gone. */
void mode_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t mode_now_us(void);

#endif
