/* Polls, the whiteboard, captions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "meeting/play.h"
#include "unit/meeting/world.h"

static const struct poll_draft question = {
    .question = "Lunch?", .options = {"yes", "no", "later"}, .n_options = 3};

static void each_has_one_vote_and_may_change_it_until_the_end(void **state)
{
    struct participant *host, *a;
    const struct poll *poll;
    struct meeting_error err;
    struct world w;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    a = enter_as(&w, "a", AUTH_ATTENDEE);
    assert_null(meeting_poll_create(w.meeting, a, &question, &err));
    assert_string_equal(err.code, "forbidden");
    poll = meeting_poll_create(w.meeting, host, &question, &err);
    assert_non_null(poll);
    assert_int_equal(meeting_poll_vote(w.meeting, a, poll->id, 1, &err), 0);
    assert_int_equal(meeting_poll_vote(w.meeting, a, poll->id, 2, &err), 0);
    assert_int_equal(poll->votes[0], 0);
    assert_int_equal(poll->votes[1], 1);
    assert_int_equal(meeting_poll_vote(w.meeting, a, poll->id, 3, &err), -1); /* two */
    assert_int_equal(meeting_poll_vote(w.meeting, a, poll->id, 8, &err), -1);
    assert_int_equal(meeting_poll_vote(w.meeting, a, "x", 1, &err), -1);
    assert_string_equal(err.code, "not_found");
    assert_int_equal(poll->votes[1], 1);
    (void)enter_as(&w, "a", AUTH_ATTENDEE); /* the same user, with another window */
    assert_int_equal(meeting_poll_vote(w.meeting, a->room->participants, poll->id, 1, &err),
                     0);
    assert_int_equal(poll->votes[0] + poll->votes[1], 1);
    assert_int_equal(meeting_poll_close(w.meeting, a, poll->id, &err), -1);
    w.n_told = 0;
    assert_int_equal(meeting_poll_close(w.meeting, host, poll->id, &err), 0);
    assert_int_equal(meeting_poll_close(w.meeting, host, poll->id, &err), 0);
    assert_int_equal(world_n_told(&w, MEETING_POLL), 1);
    assert_int_equal(meeting_poll_vote(w.meeting, a, poll->id, 1, &err), -1);
    assert_string_equal(err.code, "closed");
    meeting_close(w.meeting, host, "ended", &err);
    world_finish(&w);
}

static void votes_are_told_together_and_old_polls_give_way(void **state)
{
    struct participant *host, *a;
    const struct poll *poll = NULL;
    struct meeting_error err;
    struct world w;
    char first[MEETING_OBJECT_ID + 1];
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    a = enter_as(&w, "a", AUTH_ATTENDEE);
    for (int i = 0; i < POLL_MAX; i++) {
        poll = meeting_poll_create(w.meeting, host, &question, &err);
        assert_non_null(poll);
        if (i == 0) {
            memcpy(first, poll->id, sizeof(first));
        }
    }
    assert_null(meeting_poll_create(w.meeting, host, &question, &err));
    assert_string_equal(err.code, "too_many");
    w.n_told = 0;
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(meeting_poll_vote(w.meeting, a, poll->id, 1u << i, &err), 0);
    }
    assert_int_equal(world_n_told(&w, MEETING_POLL), 0); /* it was told just now */
    meeting_tick(w.meeting, UINT64_MAX / 2);
    assert_int_equal(world_n_told(&w, MEETING_POLL), 1);
    assert_int_equal(meeting_poll_close(w.meeting, host, first, &err), 0);
    assert_non_null(meeting_poll_create(w.meeting, host, &question, &err));
    assert_int_equal(meeting_poll_close(w.meeting, host, first, &err), -1);
    meeting_close(w.meeting, host, "ended", &err);
    world_finish(&w);
}

static struct board_op op(const char *id, const char *words, bool remove)
{
    return (struct board_op){
        .id = id, .words = words, .len = strlen(words), .remove = remove};
}

static void the_board_shows_the_last_word_about_each_element(void **state)
{
    struct board_op out[BOARD_PAGE];
    const struct board_op first[] = {op("a", "A1", false), op("", "free", false),
                                     op("b", "B1", false)};
    const struct board_op second[] = {op("a", "A2", false), op("b", "gone", true),
                                      op("none", "gone", true)};
    struct participant *host, *a;
    struct meeting_error err;
    uint64_t version, upto;
    struct world w;
    bool more;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    a = enter_as(&w, "a", AUTH_ATTENDEE);
    assert_int_equal(meeting_board_page(host->room, 0, out, &upto, &more), 0);
    assert_int_equal(meeting_board_update(w.meeting, a, first, 3, &version, &err), -1);
    assert_string_equal(err.code, "forbidden");
    assert_int_equal(meeting_board_update(w.meeting, host, first, 3, &version, &err), 0);
    assert_int_equal(version, 3);
    assert_int_equal(meeting_board_update(w.meeting, host, second, 3, &version, &err), 0);
    assert_int_equal(version, 6);
    assert_int_equal(meeting_board_page(host->room, 0, out, &upto, &more), 2);
    assert_memory_equal(out[0].words, "free", 4);
    assert_memory_equal(out[1].words, "A2", 2);
    assert_int_equal(upto, 6);
    assert_int_equal(meeting_board_page(host->room, 3, out, &upto, &more), 1);
    assert_int_equal(meeting_board_clear(w.meeting, host, &version, &err), 0);
    assert_int_equal(meeting_board_page(host->room, 0, out, &upto, &more), 0);
    assert_int_equal(upto, 7);
    assert_int_equal(meeting_board_update(w.meeting, host, second, 1, &version, &err), 0);
    assert_int_equal(meeting_board_page(host->room, 0, out, &upto, &more), 1);
    meeting_close(w.meeting, host, "ended", &err);
    world_finish(&w);
}

static void a_full_board_takes_no_more(void **state)
{
    struct board_op ops[BOARD_OPS], out[BOARD_PAGE];
    const struct board_op nameless = op("", "x", true);
    struct participant *host;
    struct meeting_error err;
    uint64_t version, upto, at = 0;
    struct world w;
    size_t drawn = 0, seen = 0;
    bool more;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    for (size_t i = 0; i < BOARD_OPS; i++) {
        ops[i] = op("", "stroke", false);
    }
    while (memset(host->rates, 0, sizeof(host->rates)),
           meeting_board_update(w.meeting, host, ops, BOARD_OPS, &version, &err) == 0) {
        drawn += BOARD_OPS;
        assert_true(drawn <= BOARD_ELEMENTS);
        w.n_told = 0;
    }
    assert_string_equal(err.code, "too_many");
    do {
        seen += meeting_board_page(host->room, at, out, &upto, &more);
        at = upto;
    } while (more);
    assert_int_equal(seen, drawn);
    assert_int_equal(meeting_board_update(w.meeting, host, &nameless, 1, &version, &err),
                     -1);
    assert_string_equal(err.code, "invalid");
    meeting_close(w.meeting, host, "ended", &err);
    world_finish(&w);
}

static void captions_come_from_whose_token_says_so(void **state)
{
    const struct caption caption = {.lang = "en", .text = "hello", .speaker = ""};
    struct participant *a;
    struct meeting_error err;
    struct world w;
    (void)state;

    world_start(&w);
    a = enter(&w, "a");
    assert_int_equal(meeting_caption(w.meeting, a, &caption, &err), -1);
    assert_string_equal(err.code, "forbidden");
    a->who.captions = true;
    w.n_told = 0;
    assert_int_equal(meeting_caption(w.meeting, a, &caption, &err), 0);
    assert_int_equal(world_n_told(&w, MEETING_CAPTION), 1);
    assert_int_equal(w.told[0].seq, 0);
    meeting_leave(w.meeting, a, "left");
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_one_vote_and_may_change_it_until_the_end),
        cmocka_unit_test(votes_are_told_together_and_old_polls_give_way),
        cmocka_unit_test(the_board_shows_the_last_word_about_each_element),
        cmocka_unit_test(a_full_board_takes_no_more),
        cmocka_unit_test(captions_come_from_whose_token_says_so),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
