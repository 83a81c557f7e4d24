/* What is told of the chat, hands and reactions, to JSON; see priv.h. */
#include <string.h>

#include "meeting/chat.h"
#include "signal/priv.h"

static json_t *text_or_null(const char *text)
{
    return text[0] != '\0' ? json_string(text) : json_null();
}

/* [{emoji, count}], in the order of their first. */
static json_t *encode_reactions(const struct chat_message *m)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < m->n_reactions; i++) {
        const char *emoji = m->reactions[i].emoji;
        uint32_t n = 0;
        uint32_t first = i;

        for (uint32_t k = 0; k < m->n_reactions; k++) {
            if (strcmp(m->reactions[k].emoji, emoji) == 0) {
                first = k < first ? k : first;
                n++;
            }
        }
        if (first == i && json_array_size(list) < 64) {
            (void)json_array_append_new(
                list, json_pack("{s:s,s:i}", "emoji", emoji, "count", (int)n));
        }
    }
    return list;
}

json_t *encode_chat_message(const struct chat_message *m)
{
    bool private = m->audience.reach == FACT_PEOPLE;

    return json_pack("{s:s,s:o,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:b,s:o}", "message_id",
                     m->id, "client_message_id", text_or_null(m->client_id), "user_id",
                     m->user_id, "participant_id", m->participant_id, "display_name",
                     m->name, "message", m->text, "reply_to", text_or_null(m->reply_to),
                     "to", private ? json_string(m->audience.to) : json_null(), "timestamp",
                     encode_time(m->sent_us), "edited_at",
                     m->edited_us != 0 ? encode_time(m->edited_us) : json_null(), "deleted",
                     (int)m->deleted, "reactions", encode_reactions(m));
}

json_t *encode_chat_edited(const struct chat_message *m)
{
    return json_pack("{s:s,s:s,s:s,s:o}", "message_id", m->id, "user_id", m->user_id,
                     "message", m->text, "edited_at", encode_time(m->edited_us));
}

static json_t *encode_counts(const struct reactions *reactions)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < reactions->n; i++) {
        (void)json_array_append_new(list,
                                    json_pack("{s:s,s:i}", "emoji", reactions->at[i].emoji,
                                              "count", (int)reactions->at[i].n));
    }
    return json_pack("{s:o}", "counts", list);
}

static json_t *encode_hand(const struct meeting_event *event, const char **name)
{
    json_t *body;

    if (event->kind == MEETING_HAND_RAISED) {
        *name = "hand:raised";
        return json_pack("{s:s,s:s,s:i}", "participant_id", event->who->id, "user_id",
                         event->who->who.user_id, "position", (int)event->n);
    }
    *name = "hand:lowered";
    body = event->who != NULL
               ? json_pack("{s:s,s:s}", "participant_id", event->who->id, "user_id",
                           event->who->who.user_id)
               : json_pack("{s:n,s:n}", "participant_id", "user_id"); /* all of them */
    if (event->by != NULL) {
        (void)json_object_set_new(body, "by_user_id", json_string(event->by->who.user_id));
    }
    return body;
}

json_t *encode_chat_event(const struct meeting_event *event, const char **name)
{
    switch ((int)event->kind) {
    case MEETING_CHAT:
        *name = "chat:message";
        return encode_chat_message(event->message);
    case MEETING_CHAT_EDITED:
        *name = "chat:edited";
        return encode_chat_edited(event->message);
    case MEETING_CHAT_DELETED:
        *name = "chat:deleted";
        return json_pack("{s:s,s:s}", "message_id", event->message->id, "user_id",
                         event->who != NULL ? event->who->who.user_id
                                            : event->message->user_id);
    case MEETING_CHAT_REACTION:
        *name = "chat:reaction";
        return json_pack("{s:s,s:s,s:s,s:b}", "message_id", event->message->id, "user_id",
                         event->who->who.user_id, "emoji", event->text, "on",
                         (int)event->on);
    case MEETING_CHAT_READ:
        *name = "chat:read";
        return json_pack("{s:s,s:s}", "message_id", event->message->id, "user_id",
                         event->who->who.user_id);
    case MEETING_TYPING:
        *name = "chat:typing";
        return json_pack("{s:s,s:s,s:b}", "participant_id", event->who->id, "user_id",
                         event->who->who.user_id, "is_typing", (int)event->on);
    case MEETING_REACTION:
        *name = "reaction:received";
        return json_pack("{s:s,s:s,s:s}", "participant_id", event->who->id, "user_id",
                         event->who->who.user_id, "emoji", event->text);
    case MEETING_REACTION_COUNTS:
        *name = "reaction:received";
        return encode_counts(event->room->reactions);
    case MEETING_HAND_RAISED:
    case MEETING_HAND_LOWERED:
        return encode_hand(event, name);
    default:
        return encode_play_event(event, name);
    }
}
