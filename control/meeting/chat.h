/* What people write and show: the chat, hands, reactions; see meeting.h. The last messages
 * of a room are kept, bounded by number and bytes. Each call returns 0, or -1 with 'err'
 * and nothing changed. */
#ifndef MEETING_CHAT_H
#define MEETING_CHAT_H

#include "meeting/meeting.h"

enum {
    CHAT_MAX = 500,           /* messages of a room */
    CHAT_BYTES = 1024 * 1024, /* of their texts */
    CHAT_TEXT_MAX = 16000,    /* bytes of one: 4,000 characters */
    CHAT_CLIENT_ID_MAX = 128,
    CHAT_REACTIONS = 200, /* to one message */
    CHAT_EMOJI_MAX = 64,  /* bytes: 16 characters */
    CHAT_PAGE = 200,
    REACTION_KINDS = 32 /* counted at once in a large meeting */
};

struct chat_reaction {
    char user_id[AUTH_ID_MAX + 1];
    char emoji[CHAT_EMOJI_MAX + 1];
};

struct chat_message {
    char id[MEETING_OBJECT_ID + 1];
    char client_id[CHAT_CLIENT_ID_MAX + 1]; /* the sender's own; empty: none */
    char participant_id[MEETING_OBJECT_ID + 1];
    char user_id[AUTH_ID_MAX + 1];
    char name[MEETING_NAME_MAX + 1];
    char reply_to[MEETING_OBJECT_ID + 1];
    struct fact_audience audience; /* FACT_PEOPLE: private */
    uint64_t seq;                  /* of the fact that told it */
    uint64_t sent_us, edited_us;   /* wall clock; 0: never */
    bool deleted;
    char *text;
    size_t len;
    struct chat_reaction *reactions;
    uint32_t n_reactions;
};

struct chat_draft {
    const char *text;      /* all borrowed; empty: none */
    const char *reply_to;  /* a message that the sender may read */
    const char *to;        /* a user who is here: only he may read it */
    const char *client_id; /* of one user no two: a repeat is answered with the first */
};

/* 'again' is filled: it had been sent before, and was not told once more. NULL with 'err':
 * forbidden, not_found, rate_limited, no_memory. */
const struct chat_message *meeting_chat_send(struct meeting *meeting, struct participant *p,
                                             const struct chat_draft *draft, bool *again,
                                             struct meeting_error *err);

/* One's own; of others a host may delete. */
const struct chat_message *meeting_chat_edit(struct meeting *meeting, struct participant *p,
                                             const char *id, const char *text,
                                             struct meeting_error *err);
int meeting_chat_delete(struct meeting *meeting, struct participant *p, const char *id,
                        struct meeting_error *err);
int meeting_chat_react(struct meeting *meeting, struct participant *p, const char *id,
                       const char *emoji, bool on, struct meeting_error *err);

/* Told to the others at most once a second; what is more than that, or in a large meeting,
 * is no error and told to nobody. */
int meeting_chat_read(struct meeting *meeting, struct participant *p, const char *id,
                      struct meeting_error *err);
int meeting_chat_typing(struct meeting *meeting, struct participant *p, bool on,
                        struct meeting_error *err);

/* A message of before the ones that there are, from where it was kept; moved, with its text
 * and reactions (heap). The newest first. What does not fit is freed. */
void meeting_chat_restore(struct room *room, struct chat_message *message);
void meeting_chat_message_free(struct chat_message *message); /* NULL is a no-op */

/* Takes a message back that was told but could not be kept: all are told that it is
 * deleted. One that is not there any more is left alone. */
void meeting_chat_withdraw(struct meeting *meeting, struct room *room, const char *id);

/* Those that 'p' may read and that were told before the fact 'before' (0: all), the newest
 * first. 'more' is filled: there are older ones. Returns how many. */
size_t meeting_chat_history(const struct participant *p, uint64_t before, size_t limit,
                            const struct chat_message *out[CHAT_PAGE], bool *more);

/* ---- hands: in the order in which they went up ---- */

int meeting_hand_raise(struct meeting *meeting, struct participant *p, uint32_t *position,
                       struct meeting_error *err);
/* target  whose; empty: one's own. Of others only a host. */
int meeting_hand_lower(struct meeting *meeting, struct participant *by, const char *target,
                       struct meeting_error *err);
int meeting_hand_lower_all(struct meeting *meeting, struct participant *by,
                           struct meeting_error *err);
uint32_t meeting_hand_position(const struct participant *p); /* from 1; 0: it is down */

/* ---- reactions ---- */

struct reaction_count {
    char emoji[CHAT_EMOJI_MAX + 1];
    uint32_t n;
};

struct reactions {
    uint64_t told_us; /* monotonic */
    uint32_t n;
    struct reaction_count at[REACTION_KINDS];
};

/* In a large meeting they are counted, and the counts told each 500 ms. */
int meeting_react(struct meeting *meeting, struct participant *p, const char *emoji,
                  struct meeting_error *err);

#endif
