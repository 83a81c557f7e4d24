/* What was said to all while a meeting was recorded, as one text of JSON. It is made of the
 * store's messages when the recording has ended, so each is in it once, whoever was killed
 * meanwhile, and as it is by then: what was edited reads anew, what was deleted is not
 * there. Nor is what was said to one person or in a breakout room.
 *
 * Thread: the loop's. */
#ifndef ARCHIVE_CHAT_LOG_H
#define ARCHIVE_CHAT_LOG_H

#include <jansson.h>
#include <stdbool.h>

struct store;

#define CHAT_LOG_FILE "chat.json" /* beside the recording's other files */

struct chat_log_conf {
    struct store *store;
    const char *tenant, *meeting, *recording;
    /* When it was recorded, of the wall clock: {"from_us", "to_us"?, "left_out"?:
     * [[from_us, to_us] …]}. Without 'to_us' it ended at 'to_s', in seconds. */
    const json_t *when;
    int64_t to_s;
};

/* text  the file's, freed by the receiver; NULL with 'err' */
typedef void chat_log_done(void *arg, int err, char *text);

/* conf: borrowed for the call. Returns 0 and calls 'done' once, later, or -errno. */
int chat_log_make(const struct chat_log_conf *conf, chat_log_done *done, void *arg);

#endif
