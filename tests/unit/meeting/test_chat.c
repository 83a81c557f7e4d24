/* The chat, hands and reactions of a room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "meeting/chat.h"
#include "unit/meeting/world.h"

static const struct chat_message *say(struct world *w, struct participant *p,
                                      const char *text, const char *to, const char *id)
{
    const struct chat_draft draft = {
        .text = text, .reply_to = "", .to = to, .client_id = id};
    struct meeting_error err = {.code = "none"};
    const struct chat_message *m;
    bool again;

    m = meeting_chat_send(w->meeting, p, &draft, &again, &err);
    if (m == NULL) {
        fail_msg("%s: %s", err.code, err.message);
    }
    return m;
}

static void a_message_sent_twice_is_one(void **state)
{
    const struct chat_draft draft = {
        .text = "hi", .reply_to = "", .to = "", .client_id = "c1"};
    const struct chat_message *one, *two;
    struct participant *a, *b;
    struct meeting_error err;
    struct world w;
    bool again;
    (void)state;

    world_start(&w);
    a = enter(&w, "a");
    b = enter(&w, "b");
    w.n_told = 0;
    one = meeting_chat_send(w.meeting, a, &draft, &again, &err);
    assert_false(again);
    assert_int_equal(one->seq, a->room->seq);
    two = meeting_chat_send(w.meeting, a, &draft, &again, &err);
    assert_true(again);
    assert_ptr_equal(one, two);
    assert_int_equal(w.n_told, 1);
    assert_ptr_not_equal(meeting_chat_send(w.meeting, b, &draft, &again, &err), one);
    assert_false(again); /* another's number is another message */
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, b, "left");
    world_finish(&w);
}

static void private_words_are_for_two(void **state)
{
    const struct chat_message *out[CHAT_PAGE], *m;
    struct participant *a, *b, *c;
    struct meeting_error err;
    struct world w;
    bool more;
    (void)state;

    world_start(&w);
    a = enter(&w, "a");
    b = enter(&w, "b");
    c = enter(&w, "c");
    m = say(&w, a, "psst", "b", "");
    assert_int_equal(w.told[w.n_told - 1].reach, FACT_PEOPLE);
    assert_true(meeting_sees(b, &m->audience));
    assert_false(meeting_sees(c, &m->audience));
    assert_int_equal(meeting_chat_history(b, 0, 10, out, &more), 1);
    assert_int_equal(meeting_chat_history(c, 0, 10, out, &more), 0);
    assert_int_equal(meeting_chat_react(w.meeting, c, m->id, "x", true, &err), -1);
    assert_string_equal(err.code, "not_found");
    assert_null(meeting_chat_edit(w.meeting, b, m->id, "changed", &err));
    assert_string_equal(err.code, "forbidden");
    {
        const struct chat_draft nobody = {
            .text = "x", .reply_to = "", .to = "z", .client_id = ""};
        const struct chat_draft hidden = {
            .text = "x", .reply_to = m->id, .to = "", .client_id = ""};
        bool again;

        assert_null(meeting_chat_send(w.meeting, a, &nobody, &again, &err));
        assert_string_equal(err.code, "not_found");
        assert_null(meeting_chat_send(w.meeting, c, &hidden, &again, &err));
        assert_string_equal(err.code, "not_found");
    }
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, b, "left");
    meeting_leave(w.meeting, c, "left");
    world_finish(&w);
}

static void messages_are_changed_by_their_writer_and_deleted_by_hosts(void **state)
{
    const struct chat_message *m;
    struct participant *host, *a;
    struct meeting_error err;
    struct world w;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    a = enter_as(&w, "a", AUTH_ATTENDEE);
    m = say(&w, a, "one", "", "");
    assert_ptr_equal(meeting_chat_edit(w.meeting, a, m->id, "two", &err), m);
    assert_string_equal(m->text, "two");
    assert_true(m->edited_us >= m->sent_us);
    assert_null(meeting_chat_edit(w.meeting, host, m->id, "three", &err));
    assert_int_equal(meeting_chat_react(w.meeting, host, m->id, "+", true, &err), 0);
    w.n_told = 0;
    assert_int_equal(meeting_chat_react(w.meeting, host, m->id, "+", true, &err), 0);
    assert_int_equal(w.n_told, 0); /* it was so already */
    assert_int_equal(m->n_reactions, 1);
    assert_int_equal(meeting_chat_react(w.meeting, host, m->id, "+", false, &err), 0);
    assert_int_equal(m->n_reactions, 0);
    assert_int_equal(meeting_chat_delete(w.meeting, host, m->id, &err), 0);
    assert_true(m->deleted);
    assert_string_equal(m->text, "");
    assert_null(meeting_chat_edit(w.meeting, a, m->id, "again", &err));
    set_flags(&w, host, 0, MEETING_BIT(CHAT));
    {
        const struct chat_draft draft = {
            .text = "x", .reply_to = "", .to = "", .client_id = ""};
        bool again;

        assert_null(meeting_chat_send(w.meeting, a, &draft, &again, &err));
        assert_string_equal(err.code, "forbidden");
    }
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, host, "left");
    world_finish(&w);
}

static void the_chat_is_bounded_and_read_in_pages(void **state)
{
    const struct chat_message *out[CHAT_PAGE];
    static char longest[CHAT_TEXT_MAX + 1];
    struct participant *a;
    struct world w;
    uint64_t before;
    size_t n;
    bool more;
    (void)state;

    world_start(&w);
    a = enter(&w, "a");
    memset(longest, 'x', CHAT_TEXT_MAX);
    for (int i = 0; i < CHAT_MAX + 20; i++) {
        memset(a->rates, 0, sizeof(a->rates)); /* as if time had passed */
        (void)say(&w, a, "short", "", "");
        w.n_told = 0;
    }
    n = 0;
    before = 0;
    do {
        size_t page = meeting_chat_history(a, before, 150, out, &more);

        n += page;
        before = out[page - 1]->seq;
    } while (more);
    assert_int_equal(n, CHAT_MAX);
    for (int i = 0; i < CHAT_BYTES / CHAT_TEXT_MAX + 2; i++) {
        memset(a->rates, 0, sizeof(a->rates));
        (void)say(&w, a, longest, "", "");
        w.n_told = 0;
    }
    n = meeting_chat_history(a, 0, CHAT_PAGE, out, &more);
    assert_false(more);
    assert_int_equal(n, CHAT_BYTES / CHAT_TEXT_MAX); /* all the short ones had to go */
    meeting_leave(w.meeting, a, "left");
    world_finish(&w);
}

static void hands_have_an_order(void **state)
{
    struct participant *host, *a, *b;
    struct meeting_error err;
    uint32_t at;
    struct world w;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    a = enter_as(&w, "a", AUTH_ATTENDEE);
    b = enter_as(&w, "b", AUTH_ATTENDEE);
    assert_int_equal(meeting_hand_raise(w.meeting, b, &at, &err), 0);
    assert_int_equal(at, 1);
    assert_int_equal(meeting_hand_raise(w.meeting, a, &at, &err), 0);
    assert_int_equal(at, 2);
    w.n_told = 0;
    assert_int_equal(meeting_hand_raise(w.meeting, a, &at, &err), 0); /* it is up */
    assert_int_equal(at, 2);
    assert_int_equal(w.n_told, 0);
    assert_int_equal(meeting_hand_lower(w.meeting, a, "b", &err), -1);
    assert_string_equal(err.code, "forbidden");
    assert_int_equal(meeting_hand_lower(w.meeting, host, "b", &err), 0);
    assert_int_equal(meeting_hand_position(a), 1);
    assert_int_equal(meeting_hand_lower_all(w.meeting, host, &err), 0);
    assert_int_equal(meeting_hand_position(a), 0);
    set_flags(&w, host, 0, MEETING_BIT(HANDS));
    assert_int_equal(meeting_hand_raise(w.meeting, a, &at, &err), -1);
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, b, "left");
    meeting_leave(w.meeting, host, "left");
    world_finish(&w);
}

static void a_large_meeting_gets_counts_and_no_typing(void **state)
{
    struct participant *host, *a;
    struct meeting_error err;
    struct world w;
    (void)state;

    world_crowd = 1;
    world_start(&w);
    world_crowd = 0;
    host = enter_as(&w, "h", AUTH_HOST);
    a = enter_as(&w, "a", AUTH_ATTENDEE);
    w.n_told = 0;
    assert_int_equal(meeting_react(w.meeting, a, "+", &err), 0);
    assert_int_equal(meeting_react(w.meeting, a, "+", &err), 0);
    assert_int_equal(meeting_react(w.meeting, host, "!", &err), 0);
    assert_int_equal(meeting_chat_typing(w.meeting, a, true, &err), 0);
    assert_int_equal(w.n_told, 0);
    assert_int_equal(a->room->reactions->n, 2);
    assert_int_equal(a->room->reactions->at[0].n, 2);
    meeting_tick(w.meeting, 1000000);
    assert_int_equal(world_n_told(&w, MEETING_REACTION_COUNTS), 1);
    assert_int_equal(meeting_react(w.meeting, a, "+", &err), 0);
    meeting_tick(w.meeting, 1499999);
    assert_int_equal(world_n_told(&w, MEETING_REACTION_COUNTS), 1);
    meeting_tick(w.meeting, 1500000);
    assert_int_equal(world_n_told(&w, MEETING_REACTION_COUNTS), 2);
    (void)say(&w, a, "x", "", "");
    {
        const struct chat_draft draft = {
            .text = "y", .reply_to = "", .to = "", .client_id = ""};
        bool again;

        assert_null(meeting_chat_send(w.meeting, a, &draft, &again, &err));
        assert_string_equal(err.code, "rate_limited");
        assert_in_range(err.retry_after_ms, 1, 500);
    }
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, host, "left");
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_sent_twice_is_one),
        cmocka_unit_test(private_words_are_for_two),
        cmocka_unit_test(messages_are_changed_by_their_writer_and_deleted_by_hosts),
        cmocka_unit_test(the_chat_is_bounded_and_read_in_pages),
        cmocka_unit_test(hands_have_an_order),
        cmocka_unit_test(a_large_meeting_gets_counts_and_no_typing),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
