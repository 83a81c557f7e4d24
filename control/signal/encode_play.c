/* What is told of polls, the whiteboard and captions, to JSON; see priv.h. */
#include <string.h>

#include "meeting/play.h"
#include "signal/priv.h"

json_t *encode_poll(const struct poll *poll)
{
    json_t *options = json_array();
    json_t *votes = json_array();

    for (unsigned i = 0; i < poll->n_options; i++) {
        (void)json_array_append_new(options, json_string(poll->options[i]));
        (void)json_array_append_new(votes, json_integer((json_int_t)poll->votes[i]));
    }
    return json_pack("{s:s,s:s,s:o,s:o,s:s,s:b,s:b}", "poll_id", poll->id, "question",
                     poll->question, "options", options, "votes", votes, "state",
                     poll->closed ? "closed" : "open", "multiple", (int)poll->multiple,
                     "anonymous", (int)poll->anonymous);
}

json_t *encode_polls(const struct room *room)
{
    json_t *list = json_array();

    for (const struct poll *poll = room->polls; poll != NULL; poll = poll->next) {
        (void)json_array_append_new(list, encode_poll(poll));
    }
    return list;
}

json_t *encode_board_ops(const struct board_op *ops, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        (void)json_array_append_new(list, json_loadb(ops[i].words, ops[i].len, 0, NULL));
    }
    return list;
}

static json_t *encode_caption(const struct caption *c)
{
    return json_pack("{s:s,s:s,s:I,s:I,s:b,s:o}", "lang", c->lang, "text", c->text,
                     "start_ms", (json_int_t)c->start_ms, "end_ms", (json_int_t)c->end_ms,
                     "final", (int)c->final, "speaker_user_id",
                     c->speaker[0] != '\0' ? json_string(c->speaker) : json_null());
}

json_t *encode_play_event(const struct meeting_event *event, const char **name)
{
    switch ((int)event->kind) {
    case MEETING_POLL:
        *name = "poll:updated";
        return encode_poll(event->poll);
    case MEETING_BOARD:
        *name = "whiteboard:updated";
        return json_pack("{s:s,s:I,s:o}", "user_id", event->who->who.user_id, "version",
                         (json_int_t)event->version, "ops",
                         encode_board_ops(event->ops, event->n));
    case MEETING_BOARD_CLEARED:
        *name = "whiteboard:cleared";
        return json_pack("{s:s,s:I}", "user_id", event->who->who.user_id, "version",
                         (json_int_t)event->version);
    case MEETING_CAPTION:
        *name = "caption:segment";
        return encode_caption(event->caption);
    default:
        return encode_breakout_event(event, name);
    }
}
