/* Breakout rooms: whose media meets whose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "meeting/breakout.h"
#include "unit/meeting/world.h"

static const char *const only_a[] = {"a"};
static const char *const a_and_b[] = {"a", "b"};

static void make(struct world *w, struct participant *host, const char *const *users,
                 size_t n)
{
    const struct breakout_draft drafts[] = {
        {.name = "One", .id = "", .users = users, .n_users = n},
        {.name = "Two", .id = "", .users = NULL, .n_users = 0}};
    struct meeting_error err;

    assert_int_equal(meeting_breakout_create(w->meeting, host, drafts, 2, &err), 0);
}

static int try_consume(struct world *w, struct transport *t, const char *producer_id,
                       struct meeting_error *err)
{
    struct ortc_caps caps = all_caps();

    return meeting_consume(w->meeting, t->owner, t->id, producer_id, NULL, &caps, on_done,
                           NULL, err);
}

static void media_of_different_rooms_never_meets(void **state)
{
    struct participant *host;
    struct room_producer *mic, *other;
    struct transport *back;
    struct meeting_error err;
    struct world w;
    struct pair p;
    size_t told;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    back = open_transport(&w, p.b, true);
    mic = produce(&w, p.send, world_opus, 11);
    other = produce(&w, back, world_vp8, 12);
    (void)consume(&w, p.recv, mic->id);
    assert_int_equal(fake_dp_n_open(w.dp, 'u'), 1);
    make(&w, host, only_a, 1);
    assert_int_equal(p.a->group, 0); /* not open yet */
    w.n_told = 0;
    assert_int_equal(meeting_breakout_open(w.meeting, host, 0, &err), 0);
    assert_int_equal(p.a->group, 1);
    assert_int_equal(p.b->group, 0);
    assert_null(mic->consumers);
    assert_int_equal(p.b->n_consumers, 0);
    WAIT(&w, fake_dp_n_open(w.dp, 'u') == 0); /* the dataplane has no route any more */
    assert_string_equal(world_last(&w, MEETING_CONSUMER_CLOSED)->reason, "breakout");
    assert_ptr_equal(world_last(&w, MEETING_MOVED)->one, p.a);
    assert_int_equal(world_last(&w, MEETING_PRODUCER_CLOSED)->reach, FACT_GROUP);
    assert_int_equal(world_last(&w, MEETING_NEW_PRODUCER)->reach, FACT_GROUP);
    assert_int_equal(world_n_told(&w, MEETING_LEFT), 0); /* he is still in the meeting */
    assert_int_equal(try_consume(&w, p.recv, mic->id, &err), -1);
    assert_string_equal(err.code, "not_found");
    {
        struct transport *into = open_transport(&w, p.a, false);

        assert_int_equal(try_consume(&w, into, other->id, &err), -1);
    }
    told = world_n_told(&w, MEETING_NEW_PRODUCER);
    assert_int_equal(meeting_breakout_close(w.meeting, host, &err), 0);
    assert_int_equal(p.a->group, 0);
    assert_int_equal(world_n_told(&w, MEETING_NEW_PRODUCER), told + 1);
    (void)consume(&w, p.recv, mic->id);
    meeting_close(w.meeting, host, "ended", &err);
    world_finish(&w);
}

static void events_of_media_are_for_ones_own_room(void **state)
{
    const struct fact_audience in_one = {.reach = FACT_GROUP, .group = 1};
    const struct fact_audience in_none = {.reach = FACT_GROUP, .group = 0};
    struct participant *host, *a, *b;
    struct meeting_error err;
    struct world w;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    a = enter(&w, "a");
    b = enter(&w, "b");
    make(&w, host, a_and_b, 2);
    assert_int_equal(meeting_breakout_open(w.meeting, host, 0, &err), 0);
    assert_true(meeting_sees(a, &in_one) && meeting_sees(b, &in_one));
    assert_false(meeting_sees(host, &in_one));
    assert_false(meeting_sees(a, &in_none));
    meeting_close(w.meeting, host, "ended", &err);
    world_finish(&w);
}

static void people_go_where_they_belong_and_hosts_anywhere(void **state)
{
    struct participant *host, *a, *b;
    struct meeting_error err;
    const struct breakouts *rooms;
    const char *people[BREAKOUT_SHOWN];
    struct world w;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    a = enter(&w, "a");
    b = enter(&w, "b");
    assert_int_equal(meeting_breakout_open(w.meeting, host, 0, &err), -1);
    assert_string_equal(err.code, "not_found");
    make(&w, host, only_a, 1);
    rooms = host->room->breakouts;
    assert_int_equal(meeting_breakout_people(host->room, 1, people), 1);
    assert_string_equal(people[0], "a");
    assert_int_equal(meeting_breakout_join(w.meeting, a, rooms->at[0].id, &err), -1);
    assert_int_equal(meeting_breakout_open(w.meeting, a, 0, &err), -1);
    assert_string_equal(err.code, "forbidden");
    assert_int_equal(meeting_breakout_open(w.meeting, host, 0, &err), 0);
    assert_int_equal(meeting_breakout_join(w.meeting, a, rooms->at[1].id, &err), -1);
    assert_string_equal(err.code, "forbidden");
    assert_int_equal(meeting_breakout_join(w.meeting, host, "x", &err), -1);
    assert_string_equal(err.code, "not_found");
    assert_int_equal(meeting_breakout_join(w.meeting, host, rooms->at[1].id, &err), 0);
    assert_int_equal(host->group, 2);
    assert_int_equal(meeting_breakout_join(w.meeting, host, "", &err), 0);
    assert_int_equal(host->group, 0);
    {
        const struct breakout_draft drafts[] = {
            {.name = "", .id = rooms->at[1].id, .users = a_and_b + 1, .n_users = 1},
            {.name = "", .id = "x", .users = only_a, .n_users = 1}};

        assert_int_equal(meeting_breakout_assign(w.meeting, host, drafts, 2, &err), -1);
        assert_int_equal(b->group, 0); /* nothing of it was done */
        assert_int_equal(meeting_breakout_assign(w.meeting, host, drafts, 1, &err), 0);
        assert_int_equal(b->group, 2);
    }
    w.n_told = 0;
    assert_int_equal(meeting_breakout_say(w.meeting, host, "five minutes", &err), 0);
    assert_int_equal(world_last(&w, MEETING_BREAKOUT_SAID)->reach, FACT_ALL);
    {
        const struct breakout_draft draft = {.name = "x", .id = ""};

        assert_int_equal(meeting_breakout_create(w.meeting, host, &draft, 1, &err), -1);
        assert_string_equal(err.code, "already_exists");
    }
    meeting_close(w.meeting, host, "ended", &err);
    world_finish(&w);
}

static void they_close_when_their_time_is_over(void **state)
{
    struct participant *host, *a;
    struct meeting_error err;
    struct world w;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    a = enter(&w, "a");
    make(&w, host, only_a, 1);
    assert_int_equal(meeting_breakout_open(w.meeting, host, 3600, &err), 0);
    meeting_tick(w.meeting, 1);
    assert_int_equal(a->group, 1);
    host->room->breakouts->closes_us = 1;
    w.n_told = 0;
    meeting_tick(w.meeting, 2);
    assert_int_equal(a->group, 0);
    assert_false(host->room->breakouts->open);
    assert_int_equal(world_n_told(&w, MEETING_BREAKOUTS), 1);
    assert_int_equal(world_n_told(&w, MEETING_MOVED), 1);
    meeting_close(w.meeting, host, "ended", &err);
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(media_of_different_rooms_never_meets),
        cmocka_unit_test(events_of_media_are_for_ones_own_room),
        cmocka_unit_test(people_go_where_they_belong_and_hosts_anywhere),
        cmocka_unit_test(they_close_when_their_time_is_over),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
