/* How the rest of this folder answers and tells: errors in words, ids, facts with their
 * number. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "meeting/priv.h"
#include "sys/entropy.h"

int meeting_fail(struct meeting_error *err, const char *code, const char *format, ...)
{
    va_list args;

    err->code = code;
    err->retry_after_ms = 0;
    va_start(args, format);
    (void)vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    return -1;
}

int meeting_overloaded(struct meeting_error *err, const char *message)
{
    (void)meeting_fail(err, "overloaded", "%s", message);
    err->retry_after_ms = MEETING_RETRY_MS;
    return -1;
}

int meeting_fail_errno(struct meeting_error *err, int e)
{
    switch (-e) {
    case ENOTCONN:
    case ECONNRESET:
        return meeting_fail(err, "media_unavailable",
                            "the media process is away; try again in a second");
    case ENOSPC:
    case EAGAIN:
        return meeting_overloaded(err, "the node has no room for more");
    case ENOMEM:
        return meeting_fail(err, "no_memory", "the node is out of memory");
    case EEXIST:
        return meeting_fail(err, "invalid",
                            "an SSRC, MID or extension id is already used otherwise");
    case ENOTSUP:
        return meeting_fail(err, "unsupported", "no codec in common");
    case EINVAL:
        return meeting_fail(err, "invalid", "a parameter is out of range");
    default:
        return meeting_fail(err, "internal_error", "the media process refused (%s)",
                            strerror(-e));
    }
}

void meeting_new_id(const struct meeting *meeting, char out[MEETING_OBJECT_ID + 1])
{
    size_t n = strlen(meeting->id_prefix);

    memcpy(out, meeting->id_prefix, n);
    entropy_id(out + n, MEETING_OBJECT_ID - n);
}

void meeting_answer(meeting_done **done, void *arg, const struct meeting_error *err,
                    void *object)
{
    meeting_done *fn = *done;

    if (fn != NULL) {
        *done = NULL;
        fn(arg, err, object);
    }
}

/* What only those hear of who are in the same breakout, or like it in none. */
static bool is_of_group(enum meeting_event_kind kind)
{
    switch ((int)kind) {
    case MEETING_NEW_PRODUCER:
    case MEETING_PRODUCER_CLOSED:
    case MEETING_PRODUCER_PAUSED:
    case MEETING_PRODUCER_RESUMED:
    case MEETING_SCREEN_STARTED:
    case MEETING_SCREEN_STOPPED:
    case MEETING_NEW_DATA:
    case MEETING_DATA_CLOSED:
        return true;
    default:
        return false;
    }
}

void meeting_tell_fact(struct meeting *meeting, struct room *room,
                       const struct participant *except, struct meeting_event event)
{
    if (room->closing) {
        return; /* all know that it ends */
    }
    if (is_of_group(event.kind) && event.audience.reach == FACT_ALL) {
        event.audience =
            (struct fact_audience){.reach = FACT_GROUP, .group = event.who->group};
    }
    event.seq = ++room->seq;
    meeting_save_room(room);
    meeting->ops.to_room(meeting->user, room, except, &event);
}
