/* Who waits before the door, and how large meetings are told of their people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/meeting/world.h"

static void who_waits_is_let_in_or_sent_away(void **state)
{
    const char *const ids[] = {"a", "b"}, *const wrong[] = {"a", "x"};
    struct participant *host, *a, *b;
    struct meeting_error err;
    void *old = NULL;
    struct world w;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    set_flags(&w, host, MEETING_BIT(WAITING_ROOM), 0);
    w.n_told = 0;
    a = enter(&w, "a");
    b = enter(&w, "b");
    assert_true(a->waiting && b->waiting);
    assert_int_equal(host->room->n_participants, 1);
    assert_int_equal(w.n_told, 0); /* nobody has joined */
    meeting_tick(w.meeting, 1);
    assert_int_equal(world_n_told(&w, MEETING_LOBBY), 1); /* once for both */
    assert_int_equal(world_last(&w, MEETING_LOBBY)->reach, FACT_HOSTS);
    assert_null(meeting_resume(w.meeting, &a->who, "m", a->resume_token, &w, &old, &err));
    assert_int_equal(meeting_admit(w.meeting, host, wrong, 2, &err), -1);
    assert_string_equal(err.code, "not_found");
    assert_int_equal(host->room->n_waiting, 2); /* nobody was let in */
    assert_int_equal(meeting_admit(w.meeting, host, ids, 1, &err), 0);
    assert_false(a->waiting);
    assert_ptr_equal(world_last(&w, MEETING_ADMITTED)->one, a);
    assert_int_equal(world_n_told(&w, MEETING_JOINED), 1);
    assert_int_equal(meeting_admit(w.meeting, a, ids + 1, 1, &err), -1);
    assert_string_equal(err.code, "forbidden");
    assert_int_equal(meeting_deny(w.meeting, host, ids + 1, 1, &err), 0);
    assert_int_equal(w.n_ended, 1);
    assert_int_equal(host->room->n_waiting, 0);
    meeting_leave(w.meeting, a, "left");
    a = enter(&w, "a"); /* who was let in once need not wait again */
    assert_false(a->waiting);
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, host, "left");
    world_finish(&w);
}

static void without_a_lobby_all_are_in(void **state)
{
    struct auth_identity who = identity("w", "m", AUTH_PRESENTER);
    struct participant *host, *a, *b;
    struct meeting_error err;
    struct world w;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    set_flags(&w, host, MEETING_BIT(HOST_APPROVAL), 0);
    assert_int_equal(meeting_invite(w.meeting, host, "a", "", AUTH_PRESENTER, &err), 0);
    a = enter(&w, "a"); /* approval is asked for everybody */
    b = enter(&w, "b");
    assert_true(a->waiting && b->waiting);
    assert_null(meeting_join(w.meeting, &who, "m", "", &w, &err)); /* cannot wait */
    assert_string_equal(err.code, "waiting_room");
    meeting_detach(w.meeting, b, "transport close"); /* nobody is waited for there */
    assert_int_equal(host->room->n_waiting, 1);
    set_flags(&w, host, 0, MEETING_BIT(HOST_APPROVAL));
    assert_false(a->waiting);
    set_flags(&w, host, MEETING_BIT(HOST_APPROVAL), 0);
    (void)enter(&w, "c");
    w.n_ended = 0;
    assert_int_equal(meeting_close(w.meeting, host, "ended", &err), 0);
    assert_int_equal(w.n_ended, 3);
    world_finish(&w);
}

static void a_large_meeting_hears_of_its_people_twice_a_second(void **state)
{
    struct participant *host, *a, *b;
    struct meeting_error err;
    struct world w;
    uint64_t now = 1000000;
    (void)state;

    world_crowd = 1;
    world_start(&w);
    world_crowd = 0;
    host = enter_as(&w, "h", AUTH_HOST);
    w.n_told = 0;
    a = enter_as(&w, "a", AUTH_ATTENDEE);
    b = enter_as(&w, "b", AUTH_PRESENTER);
    assert_int_equal(world_n_told(&w, MEETING_JOINED), 2);
    assert_true(w.told[0].kept_only && w.told[1].kept_only);
    assert_int_equal(w.told[0].reach, FACT_HOSTS); /* of an attendee */
    assert_int_equal(w.told[1].reach, FACT_ALL);
    w.n_told = 0;
    meeting_tick(w.meeting, now);
    assert_int_equal(world_n_told(&w, MEETING_ROSTER), 2);
    assert_int_equal(w.told[0].reach, FACT_HOSTS);
    assert_int_equal(w.told[0].n_joined, 2);
    assert_int_equal(w.told[1].reach, FACT_OTHERS);
    assert_int_equal(w.told[1].n_joined, 1); /* the presenter */
    assert_int_equal(world_n_told(&w, MEETING_COUNT), 1);
    w.n_told = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(meeting_toggle(w.meeting, b, MEETING_AUDIO, i % 2 != 0, &err), 0);
    }
    meeting_tick(w.meeting, now + 499000);
    assert_int_equal(world_n_told(&w, MEETING_ROSTER), 0);
    meeting_leave(w.meeting, a, "left");
    w.n_told = 0;
    meeting_tick(w.meeting, now + 500000);
    assert_int_equal(world_n_told(&w, MEETING_ROSTER), 2);
    assert_int_equal(w.told[0].n_left, 1);
    assert_int_equal(world_last(&w, MEETING_ROSTER)->n_updated, 1);
    assert_int_equal(world_last(&w, MEETING_ROSTER)->n_left, 0); /* unknown to them */
    w.n_told = 0;
    meeting_tick(w.meeting, now + 2000000);
    assert_int_equal(w.n_told, 0); /* nothing has happened */
    assert_false(meeting_sees_person(b, host) == false);
    meeting_leave(w.meeting, b, "left");
    meeting_leave(w.meeting, host, "left");
    world_finish(&w);
}

static void who_presented_is_told_of_when_he_leaves(void **state)
{
    struct participant *host, *a, *b;
    struct meeting_error err;
    struct world w;
    uint64_t now = 1000000;
    (void)state;

    world_crowd = 1;
    world_start(&w);
    world_crowd = 0;
    host = enter_as(&w, "h", AUTH_HOST);
    a = enter_as(&w, "a", AUTH_ATTENDEE);
    b = enter_as(&w, "b", AUTH_PRESENTER);
    meeting_tick(w.meeting, now);
    assert_int_equal(meeting_set_role(w.meeting, host, b->id, AUTH_ATTENDEE, &err), 0);
    meeting_leave(w.meeting, b, "left");
    assert_int_equal(world_last(&w, MEETING_LEFT)->reach, FACT_ALL);
    meeting_leave(w.meeting, a, "left"); /* the meeting is small by now: hosts and others */
    w.n_told = 0;
    meeting_tick(w.meeting, now + 500000);
    assert_int_equal(world_last(&w, MEETING_ROSTER)->reach, FACT_OTHERS);
    assert_int_equal(world_last(&w, MEETING_ROSTER)->n_left, 1);
    meeting_leave(w.meeting, host, "left");
    world_finish(&w);
}

/* Those who were there then have him in their lists. */
static void who_came_while_it_was_small_is_told_of_when_he_leaves(void **state)
{
    struct participant *host, *early, *late;
    struct world w;
    uint64_t now = 1000000;
    (void)state;

    world_crowd = 1;
    world_start(&w);
    world_crowd = 0;
    early = enter_as(&w, "e", AUTH_ATTENDEE);
    host = enter_as(&w, "h", AUTH_HOST);
    late = enter_as(&w, "l", AUTH_ATTENDEE);
    meeting_tick(w.meeting, now);
    w.n_told = 0;
    meeting_leave(w.meeting, late, "left");
    assert_int_equal(world_last(&w, MEETING_LEFT)->reach, FACT_HOSTS);
    late = enter_as(&w, "l", AUTH_ATTENDEE);
    meeting_leave(w.meeting, early, "left");
    assert_int_equal(world_last(&w, MEETING_LEFT)->reach, FACT_ALL);
    meeting_tick(w.meeting, now + 500000);
    assert_int_equal(world_last(&w, MEETING_ROSTER)->reach, FACT_OTHERS);
    assert_int_equal(world_last(&w, MEETING_ROSTER)->n_left, 1);
    meeting_leave(w.meeting, late, "left");
    meeting_leave(w.meeting, host, "left");
    world_finish(&w);
}

static void attendees_of_a_large_meeting_are_shown_to_hosts_only(void **state)
{
    const struct meeting_page page = {.query = "", .after_id = "", .limit = 10};
    struct participant *host, *a, *b, *out[MEETING_PAGE];
    struct meeting_error err;
    uint32_t total;
    struct world w;
    bool more;
    (void)state;

    world_crowd = 1;
    world_start(&w);
    world_crowd = 0;
    host = enter_as(&w, "h", AUTH_HOST);
    a = enter_as(&w, "a", AUTH_ATTENDEE);
    b = enter_as(&w, "b", AUTH_ATTENDEE);
    assert_int_equal(meeting_list(host, &page, out, &total, &more), 3);
    assert_int_equal(meeting_list(a, &page, out, &total, &more), 2); /* and itself */
    assert_int_equal(total, 2);
    assert_false(meeting_sees_person(a, b));
    assert_int_equal(meeting_set_role(w.meeting, host, "b", AUTH_PRESENTER, &err), 0);
    assert_int_equal(meeting_list(a, &page, out, &total, &more), 3);
    assert_int_equal(meeting_set_role(w.meeting, host, "b", AUTH_ATTENDEE, &err), 0);
    assert_int_equal(meeting_list(a, &page, out, &total, &more), 2);
    assert_int_equal(meeting_list(b, &page, out, &total, &more), 2); /* itself only once */
    meeting_leave(w.meeting, b, "left");
    assert_int_equal(meeting_list(a, &page, out, &total, &more), 2);
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, host, "left");
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_is_let_in_or_sent_away),
        cmocka_unit_test(without_a_lobby_all_are_in),
        cmocka_unit_test(a_large_meeting_hears_of_its_people_twice_a_second),
        cmocka_unit_test(who_presented_is_told_of_when_he_leaves),
        cmocka_unit_test(who_came_while_it_was_small_is_told_of_when_he_leaves),
        cmocka_unit_test(attendees_of_a_large_meeting_are_shown_to_hosts_only),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
