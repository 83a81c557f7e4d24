/* Rooms and who is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sys/clock.h"
#include "unit/meeting/world.h"

static void expect_refused(struct world *w, const struct auth_identity *who,
                           const char *meeting_id, const char *code)
{
    struct meeting_error err = {.code = "none"};
    uint32_t rooms = meeting_n_rooms(w->meeting);
    uint32_t people = meeting_n_participants(w->meeting);

    assert_null(meeting_join(w->meeting, who, meeting_id, "", w, &err));
    assert_string_equal(err.code, code);
    assert_string_not_equal(err.message, "");
    assert_int_equal(meeting_n_rooms(w->meeting), rooms);
    assert_int_equal(meeting_n_participants(w->meeting), people);
}

static void the_first_with_a_token_for_it_opens_a_room_and_the_last_closes_it(void **state)
{
    struct world w;
    struct participant *a, *b;
    (void)state;

    world_start(&w);
    a = enter(&w, "a");
    b = enter(&w, "b");
    assert_ptr_equal(a->room, b->room);
    assert_int_equal(a->room->n_participants, 2);
    assert_int_equal(a->room->epoch, 7);
    assert_int_equal(meeting_n_rooms(w.meeting), 1);
    assert_int_equal(meeting_n_participants(w.meeting), 2);
    assert_int_equal(strncmp(a->id, "n1", 2), 0);
    assert_int_equal(strlen(a->id), MEETING_OBJECT_ID);
    meeting_leave(w.meeting, a, "left");
    assert_int_equal(meeting_n_rooms(w.meeting), 1);
    meeting_leave(w.meeting, b, "left");
    assert_int_equal(meeting_n_rooms(w.meeting), 0);
    world_finish(&w);
}

static void each_fact_has_the_next_number_and_spares_its_subject(void **state)
{
    struct world w;
    struct participant *a, *b;
    char id_b[MEETING_OBJECT_ID + 1];
    (void)state;

    world_start(&w);
    a = enter(&w, "a");
    b = enter(&w, "b");
    memcpy(id_b, b->id, sizeof(id_b));
    meeting_leave(w.meeting, b, "ping timeout");
    assert_int_equal(a->room->seq, 3);
    assert_int_equal(w.n_told, 3);
    for (size_t i = 0; i < w.n_told; i++) {
        assert_int_equal(w.told[i].seq, i + 1);
        assert_true(w.told[i].to_room);
    }
    assert_int_equal(w.told[0].kind, MEETING_JOINED);
    assert_ptr_equal(w.told[0].except, a);
    assert_ptr_equal(w.told[1].except, b);
    assert_string_equal(w.told[1].who, id_b);
    assert_int_equal(w.told[2].kind, MEETING_LEFT);
    assert_string_equal(w.told[2].who, id_b);
    assert_string_equal(w.told[2].reason, "ping timeout");
    meeting_leave(w.meeting, a, "left");
    world_finish(&w);
}

static void a_token_that_names_no_meeting_finds_only_rooms_that_exist(void **state)
{
    struct auth_identity who = identity("b", "", AUTH_HOST);
    struct meeting_error err;
    struct participant *a, *b;
    struct world w;
    (void)state;

    world_start(&w);
    expect_refused(&w, &who, "m", "not_found");
    a = enter(&w, "a");
    expect_refused(&w, &who, "n", "not_found");
    expect_refused(&w, &who, "", "not_found");
    b = meeting_join(w.meeting, &who, "m", "", &w, &err);
    assert_non_null(b);
    assert_ptr_equal(b->room, a->room);
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, b, "left");
    world_finish(&w);
}

static void an_administrator_is_a_host_in_a_room(void **state)
{
    struct auth_identity who = identity("b", "m", AUTH_ADMIN);
    struct meeting_error err;
    struct participant *p;
    struct world w;
    (void)state;

    world_start(&w);
    p = meeting_join(w.meeting, &who, "m", "", &w, &err);
    assert_non_null(p);
    assert_int_equal(p->who.role, AUTH_HOST);
    meeting_leave(w.meeting, p, "left");
    world_finish(&w);
}

static void a_token_for_another_meeting_finds_nothing(void **state)
{
    struct auth_identity other = identity("b", "n", AUTH_HOST);
    char id[MEETING_ID_MAX + 2];
    struct participant *a;
    struct world w;
    (void)state;

    world_start(&w);
    a = enter(&w, "a");
    expect_refused(&w, &other, "m", "not_found");
    expect_refused(&w, &other, "", "not_found");
    memset(id, 'n', sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0'; /* one character too long */
    expect_refused(&w, &other, id, "not_found");
    meeting_leave(w.meeting, a, "left");
    world_finish(&w);
}

static void tenants_do_not_see_each_other(void **state)
{
    struct auth_identity south = identity("b", "m", AUTH_HOST);
    struct auth_identity east = identity("c", "", AUTH_HOST);
    struct meeting_error err;
    struct participant *a, *b;
    struct world w;
    (void)state;

    world_start(&w);
    strcpy(south.tenant, "south");
    strcpy(east.tenant, "east");
    a = enter(&w, "a");
    b = meeting_join(w.meeting, &south, "m", "", &w, &err);
    assert_non_null(b);
    assert_ptr_not_equal(a->room, b->room);
    assert_int_equal(a->room->n_participants, 1);
    assert_int_equal(b->room->n_participants, 1);
    expect_refused(&w, &east, "m", "not_found");
    assert_int_equal(a->room->seq, 1); /* b's arrival is no fact of a's room */
    meeting_leave(w.meeting, b, "left");
    assert_int_equal(a->room->seq, 1);
    meeting_leave(w.meeting, a, "left");
    world_finish(&w);
}

/* "ab" + "c" and "a" + "bc" would be one key, were they just put together. */
static void tenant_and_id_are_not_run_together(void **state)
{
    struct auth_identity x = identity("x", "c", AUTH_HOST);
    struct auth_identity y = identity("y", "bc", AUTH_HOST);
    struct meeting_error err;
    struct participant *a, *b;
    struct world w;
    (void)state;

    world_start(&w);
    strcpy(x.tenant, "ab");
    strcpy(y.tenant, "a");
    a = meeting_join(w.meeting, &x, "c", "", &w, &err);
    b = meeting_join(w.meeting, &y, "bc", "", &w, &err);
    assert_int_equal(meeting_n_rooms(w.meeting), 2);
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, b, "left");
    world_finish(&w);
}

static void a_full_room_and_a_full_node_refuse(void **state)
{
    struct auth_identity more = identity("more", "m", AUTH_HOST);
    struct participant *people[WORLD_PEOPLE];
    struct participant *others[WORLD_ROOMS];
    struct meeting_error err;
    struct world w;
    (void)state;

    world_start(&w);
    for (int i = 0; i < WORLD_PEOPLE; i++) {
        people[i] = enter(&w, "a");
    }
    expect_refused(&w, &more, "m", "room_full");
    assert_int_equal(people[0]->room->seq, WORLD_PEOPLE);
    for (int i = 1; i < WORLD_ROOMS; i++) {
        char id[16];
        struct auth_identity who;

        (void)snprintf(id, sizeof(id), "m%d", i);
        who = identity("o", id, AUTH_HOST);
        others[i] = meeting_join(w.meeting, &who, id, "", &w, &err);
        assert_non_null(others[i]);
    }
    more = identity("more", "one-more", AUTH_HOST);
    expect_refused(&w, &more, "one-more", "too_many_rooms");
    meeting_leave(w.meeting, others[1], "left"); /* there is room again */
    others[1] = meeting_join(w.meeting, &more, "one-more", "", &w, &err);
    assert_non_null(others[1]);
    meeting_leave(w.meeting, people[0], "left");
    people[0] = enter(&w, "again");
    for (int i = 0; i < WORLD_PEOPLE; i++) {
        meeting_leave(w.meeting, people[i], "left");
    }
    for (int i = 1; i < WORLD_ROOMS; i++) {
        meeting_leave(w.meeting, others[i], "left");
    }
    world_finish(&w);
}

static void one_person_may_be_in_a_room_twice(void **state)
{
    struct participant *a, *b;
    struct world w;
    (void)state;

    world_start(&w);
    a = enter(&w, "same");
    b = enter(&w, "same");
    assert_string_equal(a->who.user_id, b->who.user_id);
    assert_string_not_equal(a->id, b->id);
    meeting_leave(w.meeting, a, "left");
    assert_ptr_equal(b->room->participants, b);
    assert_null(b->next);
    meeting_leave(w.meeting, b, "left");
    world_finish(&w);
}

static void a_node_that_drains_begins_no_meeting_and_goes_on_with_those_it_has(void **state)
{
    struct auth_identity more = identity("more", "other", AUTH_HOST);
    struct meeting_change change = {.layout = -1};
    struct participant *a, *b;
    struct meeting_error err;
    struct world w;
    (void)state;

    world_start(&w);
    assert_true(meeting_is_empty(w.meeting));
    a = enter(&w, "a");
    meeting_drain(w.meeting, true);
    expect_refused(&w, &more, "other", "draining");
    assert_null(meeting_create_room(w.meeting, &more, "other", &change, &err));
    assert_string_equal(err.code, "draining");
    b = enter(&w, "b"); /* into the meeting that there is */
    meeting_leave(w.meeting, a, "left");
    assert_false(meeting_is_empty(w.meeting));
    meeting_leave(w.meeting, b, "left");
    assert_true(meeting_is_empty(w.meeting));
    more = identity("a", "m", AUTH_HOST);
    expect_refused(&w, &more, "m", "draining"); /* it has ended */
    meeting_drain(w.meeting, false);
    a = enter(&w, "a");
    meeting_leave(w.meeting, a, "left");
    world_finish(&w);
}

static void limits_that_are_set_hold_for_what_comes(void **state)
{
    struct meeting_limits limits = {.rooms = 1, .participants = 1, .producers = 1};
    struct auth_identity who = identity("b", "m", AUTH_HOST);
    struct participant *a, *b;
    struct world w;
    (void)state;

    world_start(&w);
    a = enter(&w, "a");
    meeting_set_limits(w.meeting, &limits);
    b = enter(&w, "b"); /* the room was opened for more */
    who = identity("c", "other", AUTH_HOST);
    expect_refused(&w, &who, "other", "too_many_rooms");
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, b, "left");
    a = enter(&w, "a");
    who = identity("b", "m", AUTH_HOST);
    expect_refused(&w, &who, "m", "room_full");
    meeting_leave(w.meeting, a, "left");
    world_finish(&w);
}

static void a_name_is_the_given_one_or_the_tokens_or_guest(void **state)
{
    struct auth_identity who = identity("a", "m", AUTH_GUEST);
    char longest[MEETING_NAME_MAX + 1];
    struct participant *p[3];
    struct meeting_error err;
    struct world w;
    (void)state;

    world_start(&w);
    memset(longest, 'n', MEETING_NAME_MAX);
    longest[MEETING_NAME_MAX] = '\0';
    p[0] = meeting_join(w.meeting, &who, "m", "", &w, &err);
    strcpy(who.name, "Token");
    p[1] = meeting_join(w.meeting, &who, "m", "", &w, &err);
    p[2] = meeting_join(w.meeting, &who, "m", longest, &w, &err);
    assert_string_equal(p[0]->name, "Guest");
    assert_string_equal(p[1]->name, "Token");
    assert_string_equal(p[2]->name, longest);
    for (int i = 0; i < 3; i++) {
        meeting_leave(w.meeting, p[i], "left");
    }
    world_finish(&w);
}

static void count_room(void *arg, struct room *room)
{
    uint32_t *people = arg;

    *people += room->n_participants;
}

static void rooms_can_be_listed(void **state)
{
    struct auth_identity other = identity("b", "n", AUTH_HOST);
    struct participant *a, *b;
    struct meeting_error err;
    uint32_t people = 0;
    struct world w;
    (void)state;

    world_start(&w);
    a = enter(&w, "a");
    b = meeting_join(w.meeting, &other, "n", "", &w, &err);
    meeting_each_room(w.meeting, count_room, &people);
    assert_int_equal(people, 2);
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, b, "left");
    world_finish(&w);
}

/* The connections of a large meeting are lost together: those who do not come back leave by
 * and by, for others have to have their turn of the loop. */
static void a_crowd_that_does_not_come_back_leaves_by_and_by(void **state)
{
    enum { CROWD = 500 };
    const struct meeting_limits limits = {.rooms = 1, .participants = CROWD};
    struct participant *people[CROWD];
    uint32_t before, n_ticks = 0;
    struct world w;
    (void)state;

    world_peers = MEETING_TRANSPORTS * CROWD;
    world_start(&w);
    meeting_set_limits(w.meeting, &limits);
    for (int i = 0; i < CROWD; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "u%d", i);
        people[i] = enter(&w, name);
    }
    w.n_told = 0;
    for (int i = 0; i < CROWD; i++) {
        meeting_detach(w.meeting, people[i], "transport close");
    }
    settle(&w, 5); /* longer than they are waited for */
    while ((before = meeting_n_participants(w.meeting)) > 0) {
        meeting_tick(w.meeting, clock_mono_us());
        assert_in_range(before - meeting_n_participants(w.meeting), 1, CROWD / 2);
        n_ticks++;
    }
    assert_in_range(n_ticks, 2, CROWD / 50);
    world_finish(&w);
    world_peers = 64;
}

/* Whoever comes in wants a transport: more than the dataplane has peers for get none. */
/* Who is let in gets media: there is a transport each way for all who have none yet. */
static void a_node_takes_no_more_people_than_its_dataplane_has_transports_for(void **state)
{
    const struct auth_identity late = identity("c", "m", AUTH_PRESENTER);
    struct participant *a, *b, *c;
    struct meeting_error err;
    struct world w;
    (void)state;

    world_peers = 5;
    world_start(&w);
    a = enter(&w, "a");
    b = enter(&w, "b");
    assert_null(meeting_enter(w.meeting, &late, "m", "", &w, &err));
    assert_string_equal(err.code, "node_full");
    (void)open_transport(&w, a, true);
    assert_non_null(c = enter(&w, "c")); /* the first has done with one, it seems */
    meeting_leave(w.meeting, c, "left");
    (void)open_transport(&w, a, false);
    (void)open_transport(&w, b, true);
    (void)open_transport(&w, b, false);
    assert_null(meeting_enter(w.meeting, &late, "m", "", &w, &err));
    assert_string_equal(err.code, "node_full");
    c = meeting_join(w.meeting, &late, "m", "", &w, &err); /* by HTTP: one is enough */
    assert_non_null(c);
    (void)open_transport(&w, c, false);
    meeting_leave(w.meeting, c, "left");
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, b, "left");
    world_finish(&w);
    world_peers = 64;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_with_a_token_for_it_opens_a_room_and_the_last_closes_it),
        cmocka_unit_test(each_fact_has_the_next_number_and_spares_its_subject),
        cmocka_unit_test(a_token_that_names_no_meeting_finds_only_rooms_that_exist),
        cmocka_unit_test(an_administrator_is_a_host_in_a_room),
        cmocka_unit_test(a_token_for_another_meeting_finds_nothing),
        cmocka_unit_test(tenants_do_not_see_each_other),
        cmocka_unit_test(tenant_and_id_are_not_run_together),
        cmocka_unit_test(a_full_room_and_a_full_node_refuse),
        cmocka_unit_test(one_person_may_be_in_a_room_twice),
        cmocka_unit_test(
            a_node_that_drains_begins_no_meeting_and_goes_on_with_those_it_has),
        cmocka_unit_test(limits_that_are_set_hold_for_what_comes),
        cmocka_unit_test(a_name_is_the_given_one_or_the_tokens_or_guest),
        cmocka_unit_test(rooms_can_be_listed),
        cmocka_unit_test(a_crowd_that_does_not_come_back_leaves_by_and_by),
        cmocka_unit_test(a_node_takes_no_more_people_than_its_dataplane_has_transports_for),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
