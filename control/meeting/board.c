/* The whiteboard; see play.h. Elements lie in the order in which they were last drawn. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/priv.h"

enum { ID_MAX = 64 };

struct element {
    char id[ID_MAX + 1];
    uint64_t version;
    struct element *prev, *next; /* 'prev' of the first is the last */
    UT_hash_handle hh;           /* only of those that have an id */
    size_t len;
    char words[];
};

struct board {
    uint64_t version;
    struct element *first;
    struct element *by_id;
    uint32_t n;
    size_t bytes;
};

static void unlink_element(struct board *board, struct element *e)
{
    assert(board->first != NULL); /* 'e' is on it */
    if (e->next != NULL) {
        e->next->prev = e->prev;
    } else {
        board->first->prev = e->prev;
    }
    if (board->first == e) {
        board->first = e->next;
    } else {
        e->prev->next = e->next;
    }
    if (e->id[0] != '\0') {
        assert(board->by_id != NULL); /* and in it */
        HASH_DELETE(hh, board->by_id, e);
    }
    board->n--;
    board->bytes -= e->len;
    free(e);
}

static void append(struct board *board, struct element *e)
{
    if (board->first == NULL) {
        e->prev = e;
        board->first = e;
    } else {
        e->prev = board->first->prev;
        e->prev->next = e;
        board->first->prev = e;
    }
    e->next = NULL;
    if (e->id[0] != '\0') {
        HASH_ADD_STR(board->by_id, id, e);
        if (e->hh.tbl == NULL) {
            e->id[0] = '\0'; /* without memory it cannot be found again, but is seen */
        }
    }
    board->n++;
    board->bytes += e->len;
}

static void wipe(struct board *board)
{
    while (board->first != NULL) {
        unlink_element(board, board->first);
    }
}

void meeting_board_free(struct board *board)
{
    if (board != NULL) {
        wipe(board);
    }
    free(board);
}

static struct element *element_of(const struct board_op *op)
{
    struct element *e = calloc(1, sizeof(*e) + op->len);

    if (e != NULL) {
        (void)snprintf(e->id, sizeof(e->id), "%s", op->id);
        e->len = op->len;
        memcpy(e->words, op->words, op->len);
    }
    return e;
}

static int may_draw(struct participant *p, struct meeting_error *err)
{
    if (!meeting_may(p, AUTH_PRESENT)) {
        return meeting_fail(err, "forbidden", "the role %s may not draw here",
                            auth_role_name(p->who.role));
    }
    if (!meeting_has(p->room, MEETING_BIT(WHITEBOARD))) {
        return meeting_fail(err, "forbidden", "this meeting has no whiteboard");
    }
    if (p->room->board == NULL) {
        p->room->board = calloc(1, sizeof(*p->room->board));
        if (p->room->board == NULL) {
            return meeting_fail_errno(err, -ENOMEM);
        }
    }
    return meeting_spend(p, MEETING_RATE_BOARD, err);
}

/* Whether all of it goes on the board; what it replaces does not count, to be simple. */
static int fits(const struct board *board, const struct board_op *ops, size_t n,
                struct meeting_error *err)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        if (strlen(ops[i].id) > ID_MAX || (ops[i].remove && ops[i].id[0] == '\0')) {
            return meeting_fail(err, "invalid", "/ops/%zu/id: missing or too long", i);
        }
        bytes += ops[i].remove ? 0 : ops[i].len;
    }
    if (bytes > 0 &&
        (board->n + n > BOARD_ELEMENTS || board->bytes + bytes > BOARD_BYTES)) {
        return meeting_fail(err, "too_many", "the board is full");
    }
    return 0;
}

static void draw(struct board *board, const struct board_op *op, struct element *e)
{
    struct element *before = NULL;

    if (op->id[0] != '\0') {
        HASH_FIND_STR(board->by_id, op->id, before);
    }
    if (before != NULL) {
        unlink_element(board, before);
    }
    board->version++;
    if (e != NULL) {
        e->version = board->version;
        append(board, e);
    }
}

int meeting_board_update(struct meeting *meeting, struct participant *p,
                         const struct board_op *ops, size_t n, uint64_t *version,
                         struct meeting_error *err)
{
    struct element *made[BOARD_OPS];
    struct meeting_event event = {
        .kind = MEETING_BOARD, .who = p, .ops = ops, .n = (uint32_t)n, .room = p->room};
    size_t i;

    if (may_draw(p, err) != 0 || fits(p->room->board, ops, n, err) != 0) {
        return -1;
    }
    for (i = 0; i < n; i++) { /* first the memory: all of it is drawn, or nothing */
        made[i] = ops[i].remove ? NULL : element_of(&ops[i]);
        if (made[i] == NULL && !ops[i].remove) {
            while (i > 0) {
                free(made[--i]);
            }
            return meeting_fail_errno(err, -ENOMEM);
        }
    }
    for (i = 0; i < n; i++) {
        draw(p->room->board, &ops[i], made[i]);
    }
    event.version = *version = p->room->board->version;
    meeting->ops.to_room(meeting->user, p->room, p, &event);
    return 0;
}

int meeting_board_clear(struct meeting *meeting, struct participant *p, uint64_t *version,
                        struct meeting_error *err)
{
    struct meeting_event event = {.kind = MEETING_BOARD_CLEARED, .who = p};

    if (may_draw(p, err) != 0) {
        return -1;
    }
    wipe(p->room->board);
    event.version = *version = ++p->room->board->version;
    meeting_tell_fact(meeting, p->room, p, event);
    return 0;
}

size_t meeting_board_page(const struct room *room, uint64_t version,
                          struct board_op out[BOARD_PAGE], uint64_t *upto, bool *more)
{
    const struct board *board = room->board;
    size_t bytes = 0;
    size_t n = 0;

    *more = false;
    *upto = board != NULL ? board->version : 0;
    for (const struct element *e = board != NULL ? board->first : NULL; e != NULL;
         e = e->next) {
        if (e->version <= version) {
            continue;
        }
        bytes += e->len;
        if (n == BOARD_PAGE || (n > 0 && bytes > BOARD_PAGE_BYTES)) {
            *more = true;
            break;
        }
        *upto = e->version;
        out[n++] = (struct board_op){.id = e->id, .words = e->words, .len = e->len};
    }
    if (!*more && board != NULL) {
        *upto = board->version;
    }
    return n;
}
