#include "egress/out/joining.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "egress/mode.h"
#include "egress/out/join.h"

static void on_joining(void)
{
    mode_say("joining");
}

void joining_run(const struct mode_conf *conf, const char *extension)
{
    const struct join_conf join = {.directory = conf->directory,
                                   .extension = extension,
                                   .n = conf->part,
                                   .alive = on_joining};
    struct joined joined;
    char reason[JOIN_REASON];

    on_joining();
    if (join_parts(&join, &joined, reason) == 0) {
        mode_say("joined meeting.%s %" PRId64 " %" PRIu64, extension, joined.length_us,
                 joined.bytes);
    } else { /* they are all there as they were */
        (void)fprintf(stderr, "kcs-egress: the parts cannot be joined: %s\n", reason);
    }
}

/* ---- the mode that does nothing else, once it is told to stop ---- */

static const struct mode_conf *given;

static int begin(const struct mode_conf *conf)
{
    given = conf;
    return 0;
}

static int on_line(const char *line)
{
    (void)line;
    return -EINVAL;
}

static unsigned turn(uint64_t now_us)
{
    (void)now_us;
    return MODE_TURN_MS;
}

static void end(uint64_t now_us, bool last)
{
    (void)now_us;
    if (last) {
        joining_run(given, given->n_words > 0 ? given->words[0] : "mp4");
    }
}

const struct mode mode_join = {
    .name = "join", .begin = begin, .on_line = on_line, .turn = turn, .end = end};
