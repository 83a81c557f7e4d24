/* What people do together: polls, the whiteboard, captions; see meeting.h. Each call
 * returns 0, or -1 with 'err' and nothing changed. */
#ifndef MEETING_PLAY_H
#define MEETING_PLAY_H

#include <uthash.h>

#include "meeting/meeting.h"

enum {
    POLL_MAX = 20, /* of a room; the oldest closed one gives way */
    POLL_OPTIONS = 20,
    POLL_QUESTION_MAX = 2000, /* bytes: 500 characters */
    POLL_OPTION_MAX = 800,
    POLL_CALM_MS = 500,       /* votes are told at most this often */
    BOARD_OPS = 256,          /* in one update */
    BOARD_UPDATE_MAX = 65536, /* bytes of one */
    BOARD_ELEMENTS = 5000,    /* on a board */
    BOARD_BYTES = 1024 * 1024,
    BOARD_PAGE = 256,
    BOARD_PAGE_BYTES = 65536,
    CAPTION_TEXT_MAX = 8000, /* bytes: 2,000 characters */
    CAPTION_LANG_MAX = 35
};

/* ---- polls: one ballot a user, who may change it until the poll is closed ---- */

struct ballot;

struct poll {
    char id[MEETING_OBJECT_ID + 1];
    char *question;
    char *options[POLL_OPTIONS];
    uint32_t votes[POLL_OPTIONS];
    uint8_t n_options;
    bool multiple, anonymous, closed;
    bool changed;           /* since it was told */
    uint64_t made_us;       /* wall clock */
    uint64_t told_us;       /* monotonic */
    struct ballot *ballots; /* hash by user; empty once it is closed */
    struct poll *next;
};

struct poll_draft {
    const char *question; /* all borrowed */
    const char *options[POLL_OPTIONS];
    uint8_t n_options; /* at least 2 */
    bool multiple, anonymous;
};

/* NULL with 'err': forbidden, too_many (all are open), rate_limited, no_memory. */
const struct poll *meeting_poll_create(struct meeting *meeting, struct participant *p,
                                       const struct poll_draft *draft,
                                       struct meeting_error *err);
/* choice  bits, by number of the option; one, if the poll is not multiple */
int meeting_poll_vote(struct meeting *meeting, struct participant *p, const char *id,
                      uint32_t choice, struct meeting_error *err);
int meeting_poll_close(struct meeting *meeting, struct participant *p, const char *id,
                       struct meeting_error *err);

/* A poll from where it was kept, behind those that there are; moved, with its texts (heap).
 * Then its ballots, which its votes have counted already. What does not fit is freed. */
void meeting_poll_restore(struct room *room, struct poll *poll);
void meeting_poll_ballot(struct poll *poll, const char *user_id, uint32_t choice);
void meeting_poll_free(struct poll *poll);

/* Calls fn for each who has voted in an open poll. */
void meeting_poll_each(const struct poll *poll,
                       void (*fn)(void *arg, const char *user_id, uint32_t choice),
                       void *arg);

/* ---- the whiteboard: elements by their clients' ids; the last word about each counts, so
 * that it is as long as what can be seen ---- */

struct board_op {
    const char *id;    /* of the element; empty: it is new and has none */
    bool remove;       /* the element goes */
    const char *words; /* as it is told; borrowed */
    size_t len;
};

/* Draws; 'version' is filled with the board's. Refused: forbidden, too_many (the board is
 * full), rate_limited, no_memory. */
int meeting_board_update(struct meeting *meeting, struct participant *p,
                         const struct board_op *ops, size_t n, uint64_t *version,
                         struct meeting_error *err);
int meeting_board_clear(struct meeting *meeting, struct participant *p, uint64_t *version,
                        struct meeting_error *err);

/* What is on it and was drawn after 'version', in order, BOARD_PAGE at most. 'upto' is
 * filled with the version that this leads to, 'more' if there is more behind. */
size_t meeting_board_page(const struct room *room, uint64_t version,
                          struct board_op out[BOARD_PAGE], uint64_t *upto, bool *more);

/* ---- captions: from one whose token has the scope "caption" ---- */

struct caption {
    const char *lang, *text; /* borrowed */
    const char *speaker;     /* a user's id; may be empty */
    int64_t start_ms, end_ms;
    bool final;
};

int meeting_caption(struct meeting *meeting, struct participant *p,
                    const struct caption *caption, struct meeting_error *err);

#endif
