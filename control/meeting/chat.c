/* The chat of a room; see chat.h. */
#include "meeting/chat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/priv.h"
#include "sys/clock.h"

struct chat {
    struct chat_message *ring[CHAT_MAX];
    uint32_t first, n;
    size_t bytes;
};

static struct chat_message *at(const struct chat *chat, uint32_t i)
{
    return chat->ring[(chat->first + i) % CHAT_MAX];
}

void meeting_chat_message_free(struct chat_message *m)
{
    if (m != NULL) {
        free(m->text);
        free(m->reactions);
        free(m);
    }
}

static void drop_oldest(struct chat *chat)
{
    struct chat_message *m = at(chat, 0);

    chat->bytes -= m->len;
    chat->first = (chat->first + 1) % CHAT_MAX;
    chat->n--;
    meeting_chat_message_free(m);
}

void meeting_chat_free(struct chat *chat)
{
    while (chat != NULL && chat->n > 0) {
        drop_oldest(chat);
    }
    free(chat);
}

/* ---- who may ---- */

static int may_chat(struct participant *p, struct meeting_error *err)
{
    if (!meeting_may(p, AUTH_CHAT)) {
        return meeting_fail(err, "forbidden", "the role %s may not write here",
                            auth_role_name(p->who.role));
    }
    if (!meeting_has(p->room, MEETING_BIT(CHAT))) {
        return meeting_fail(err, "forbidden", "this meeting has the chat switched off");
    }
    return meeting_spend(
        p, meeting_is_crowd(p->room) ? MEETING_RATE_CROWD_CHAT : MEETING_RATE_CHAT, err);
}

/* A message that 'p' may read; NULL with 'err'. */
static struct chat_message *find(const struct participant *p, const char *id,
                                 struct meeting_error *err)
{
    const struct chat *chat = p->room->chat;

    for (uint32_t i = chat != NULL ? chat->n : 0; i > 0; i--) {
        struct chat_message *m = at(chat, i - 1);

        if (strcmp(m->id, id) == 0 && meeting_sees(p, &m->audience)) {
            return m;
        }
    }
    (void)meeting_fail(err, "not_found", "there is no such message");
    return NULL;
}

static const struct chat_message *find_again(const struct participant *p,
                                             const char *client_id)
{
    const struct chat *chat = p->room->chat;

    for (uint32_t i = chat != NULL && client_id[0] != '\0' ? chat->n : 0; i > 0; i--) {
        const struct chat_message *m = at(chat, i - 1);

        if (strcmp(m->client_id, client_id) == 0 &&
            strcmp(m->user_id, p->who.user_id) == 0) {
            return m;
        }
    }
    return NULL;
}

/* ---- writing ---- */

static struct chat_message *make(const struct meeting *meeting, const struct participant *p,
                                 const struct chat_draft *draft)
{
    struct chat_message *m = calloc(1, sizeof(*m));

    if (m == NULL) {
        return NULL;
    }
    m->text = strdup(draft->text);
    if (m->text == NULL) {
        free(m);
        return NULL;
    }
    m->len = strlen(m->text);
    meeting_new_id(meeting, m->id);
    (void)snprintf(m->client_id, sizeof(m->client_id), "%s", draft->client_id);
    (void)snprintf(m->reply_to, sizeof(m->reply_to), "%s", draft->reply_to);
    memcpy(m->participant_id, p->id, sizeof(m->participant_id));
    memcpy(m->user_id, p->who.user_id, sizeof(m->user_id));
    memcpy(m->name, p->name, sizeof(m->name));
    m->audience = (struct fact_audience){.reach = FACT_GROUP, .group = p->group};
    if (draft->to[0] != '\0') {
        m->audience.reach = FACT_PEOPLE;
        (void)snprintf(m->audience.from, sizeof(m->audience.from), "%s", p->who.user_id);
        (void)snprintf(m->audience.to, sizeof(m->audience.to), "%s", draft->to);
    }
    m->sent_us = clock_wall_us();
    return m;
}

/* 'm' is moved. */
static void keep(struct chat *chat, struct chat_message *m)
{
    while (chat->n == CHAT_MAX || (chat->n > 0 && chat->bytes + m->len > CHAT_BYTES)) {
        drop_oldest(chat);
    }
    chat->ring[(chat->first + chat->n) % CHAT_MAX] = m;
    chat->n++;
    chat->bytes += m->len;
}

static bool is_here(const struct room *room, const char *user_id)
{
    const struct participant *p = room->participants;

    while (p != NULL && strcmp(p->who.user_id, user_id) != 0) {
        p = p->next;
    }
    return p != NULL;
}

static void tell(struct meeting *meeting, struct participant *who,
                 const struct participant *except, const struct chat_message *m,
                 struct meeting_event event)
{
    event.who = who;
    event.message = m;
    event.audience = m->audience;
    meeting_tell_fact(meeting, who->room, except, event);
}

const struct chat_message *meeting_chat_send(struct meeting *meeting, struct participant *p,
                                             const struct chat_draft *draft, bool *again,
                                             struct meeting_error *err)
{
    const struct chat_message *before = find_again(p, draft->client_id);
    struct room *room = p->room;
    struct chat_message *m;

    *again = before != NULL;
    if (before != NULL) {
        return before;
    }
    if (draft->reply_to[0] != '\0' && find(p, draft->reply_to, err) == NULL) {
        return NULL;
    }
    if (draft->to[0] != '\0' && !is_here(room, draft->to)) {
        (void)meeting_fail(err, "not_found", "there is nobody with that id");
        return NULL;
    }
    if (may_chat(p, err) != 0) {
        return NULL;
    }
    if (room->chat == NULL) {
        room->chat = calloc(1, sizeof(*room->chat));
    }
    m = room->chat != NULL ? make(meeting, p, draft) : NULL;
    if (m == NULL) {
        (void)meeting_fail_errno(err, -ENOMEM);
        return NULL;
    }
    m->seq = room->seq + 1;
    keep(room->chat, m);
    tell(meeting, p, p, m, (struct meeting_event){.kind = MEETING_CHAT});
    return m;
}

/* Gives a message another text; 0 or -1. */
static int set_text(struct chat *chat, struct chat_message *m, const char *text,
                    struct meeting_error *err)
{
    char *copy = strdup(text);

    if (copy == NULL) {
        return meeting_fail_errno(err, -ENOMEM);
    }
    chat->bytes -= m->len;
    free(m->text);
    m->text = copy;
    m->len = strlen(copy);
    chat->bytes += m->len;
    return 0;
}

const struct chat_message *meeting_chat_edit(struct meeting *meeting, struct participant *p,
                                             const char *id, const char *text,
                                             struct meeting_error *err)
{
    struct chat_message *m = find(p, id, err);

    if (m == NULL) {
        return NULL;
    }
    if (strcmp(m->user_id, p->who.user_id) != 0 || m->deleted) {
        (void)meeting_fail(err, "forbidden", "only one's own messages can be changed");
        return NULL;
    }
    if (may_chat(p, err) != 0 || set_text(p->room->chat, m, text, err) != 0) {
        return NULL;
    }
    m->edited_us = clock_wall_us();
    tell(meeting, p, p, m, (struct meeting_event){.kind = MEETING_CHAT_EDITED});
    return m;
}

int meeting_chat_delete(struct meeting *meeting, struct participant *p, const char *id,
                        struct meeting_error *err)
{
    struct chat_message *m = find(p, id, err);

    if (m == NULL) {
        return -1;
    }
    if (strcmp(m->user_id, p->who.user_id) != 0 && !meeting_may(p, AUTH_MODERATE)) {
        return meeting_fail(err, "forbidden", "only one's own messages can be deleted");
    }
    if (meeting_spend(p, MEETING_RATE_HOST, err) != 0 ||
        set_text(p->room->chat, m, "", err) != 0) {
        return -1;
    }
    m->deleted = true;
    free(m->reactions);
    m->reactions = NULL;
    m->n_reactions = 0;
    tell(meeting, p, p, m, (struct meeting_event){.kind = MEETING_CHAT_DELETED});
    return 0;
}

static uint32_t find_reaction(const struct chat_message *m, const char *user_id,
                              const char *emoji)
{
    uint32_t i = 0;

    while (i < m->n_reactions && (strcmp(m->reactions[i].user_id, user_id) != 0 ||
                                  strcmp(m->reactions[i].emoji, emoji) != 0)) {
        i++;
    }
    return i;
}

static int add_reaction(struct chat_message *m, const char *user_id, const char *emoji,
                        struct meeting_error *err)
{
    struct chat_reaction *grown;

    if (m->n_reactions == CHAT_REACTIONS) {
        return meeting_fail(err, "too_many", "at most %d reactions to a message",
                            CHAT_REACTIONS);
    }
    grown = realloc(m->reactions, (m->n_reactions + 1) * sizeof(*grown));
    if (grown == NULL) {
        return meeting_fail_errno(err, -ENOMEM);
    }
    m->reactions = grown;
    (void)snprintf(grown[m->n_reactions].user_id, sizeof(grown->user_id), "%s", user_id);
    (void)snprintf(grown[m->n_reactions].emoji, sizeof(grown->emoji), "%s", emoji);
    m->n_reactions++;
    return 0;
}

int meeting_chat_react(struct meeting *meeting, struct participant *p, const char *id,
                       const char *emoji, bool on, struct meeting_error *err)
{
    struct chat_message *m = find(p, id, err);
    uint32_t i;

    if (m == NULL) {
        return -1;
    }
    if (m->deleted) {
        return meeting_fail(err, "not_found", "the message was deleted");
    }
    i = find_reaction(m, p->who.user_id, emoji);
    if ((i < m->n_reactions) == on) {
        return 0; /* as it is already */
    }
    if (may_chat(p, err) != 0) {
        return -1;
    }
    if (on) {
        if (add_reaction(m, p->who.user_id, emoji, err) != 0) {
            return -1;
        }
    } else {
        m->reactions[i] = m->reactions[--m->n_reactions];
    }
    tell(meeting, p, p, m,
         (struct meeting_event){.kind = MEETING_CHAT_REACTION, .text = emoji, .on = on});
    return 0;
}

/* ---- from and to where it is kept ---- */

void meeting_chat_restore(struct room *room, struct chat_message *m)
{
    struct chat *chat = room->chat;

    if (chat == NULL) {
        chat = room->chat = calloc(1, sizeof(*chat));
    }
    if (chat == NULL || chat->n == CHAT_MAX || chat->bytes + m->len > CHAT_BYTES) {
        meeting_chat_message_free(m);
        return;
    }
    chat->first = (chat->first + CHAT_MAX - 1) % CHAT_MAX;
    chat->ring[chat->first] = m;
    chat->n++;
    chat->bytes += m->len;
}

void meeting_chat_withdraw(struct meeting *meeting, struct room *room, const char *id)
{
    struct chat *chat = room->chat;
    struct chat_message *m;
    uint32_t i = 0;

    while (chat != NULL && i < chat->n && strcmp(at(chat, i)->id, id) != 0) {
        i++;
    }
    if (chat == NULL || i == chat->n) {
        return;
    }
    m = at(chat, i);
    for (; i + 1 < chat->n; i++) {
        chat->ring[(chat->first + i) % CHAT_MAX] = at(chat, i + 1);
    }
    chat->n--;
    chat->bytes -= m->len;
    m->deleted = true; /* as it is kept, if somebody has changed it meanwhile */
    m->text[0] = '\0';
    meeting_tell_fact(meeting, room, NULL,
                      (struct meeting_event){.kind = MEETING_CHAT_DELETED,
                                             .message = m,
                                             .audience = m->audience});
    meeting_chat_message_free(m);
}

/* ---- reading ---- */

int meeting_chat_read(struct meeting *meeting, struct participant *p, const char *id,
                      struct meeting_error *err)
{
    const struct chat_message *m = find(p, id, err);
    struct meeting_event event = {.kind = MEETING_CHAT_READ, .who = p, .message = m};
    struct meeting_error often;

    if (m == NULL) {
        return -1;
    }
    event.audience = m->audience;
    if (!meeting_is_crowd(p->room) && meeting_spend(p, MEETING_RATE_READ, &often) == 0) {
        meeting->ops.to_room(meeting->user, p->room, p, &event);
    }
    return 0;
}

int meeting_chat_typing(struct meeting *meeting, struct participant *p, bool on,
                        struct meeting_error *err)
{
    const struct meeting_event event = {
        .kind = MEETING_TYPING,
        .who = p,
        .on = on,
        .audience = {.reach = FACT_GROUP, .group = p->group}};
    struct meeting_error often;

    if (!meeting_may(p, AUTH_CHAT) || !meeting_has(p->room, MEETING_BIT(CHAT))) {
        return meeting_fail(err, "forbidden", "you may not write here");
    }
    if (!meeting_is_crowd(p->room) && meeting_spend(p, MEETING_RATE_TYPING, &often) == 0) {
        meeting->ops.to_room(meeting->user, p->room, p, &event);
    }
    return 0;
}

size_t meeting_chat_history(const struct participant *p, uint64_t before, size_t limit,
                            const struct chat_message *out[CHAT_PAGE], bool *more)
{
    const struct chat *chat = p->room->chat;
    size_t n = 0;

    *more = false;
    for (uint32_t i = chat != NULL ? chat->n : 0; i > 0; i--) {
        const struct chat_message *m = at(chat, i - 1);

        if ((before != 0 && m->seq >= before) || !meeting_sees(p, &m->audience)) {
            continue;
        }
        if (n == limit || n == CHAT_PAGE) {
            *more = true;
            break;
        }
        out[n++] = m;
    }
    return n;
}
