/* What hosts do to people and rooms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/meeting/world.h"

#define REFUSED(call, wanted)                                                              \
    do {                                                                                   \
        struct meeting_error err = {.code = "none"};                                       \
        assert_int_equal(call, -1);                                                        \
        assert_string_equal(err.code, wanted);                                             \
        assert_string_not_equal(err.message, "");                                          \
    } while (0)

#define DONE(call)                                                                         \
    do {                                                                                   \
        struct meeting_error err = {.code = "none"};                                       \
        if ((call) != 0) {                                                                 \
            fail_msg("%s: %s", err.code, err.message);                                     \
        }                                                                                  \
    } while (0)

static void an_attendee_muted_by_a_host_stays_so_until_asked_to_speak(void **state)
{
    struct vault_stream_conf conf;
    struct participant *host, *a;
    struct room_producer *mic;
    struct transport *t;
    struct world w;
    size_t n_cmds;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    a = enter_as(&w, "a", AUTH_ATTENDEE);
    set_flags(&w, host, MEETING_BIT(ATTENDEE_MEDIA), 0);
    t = open_transport(&w, a, true);
    mic = produce(&w, t, world_opus, 11);
    w.n_told = 0;
    n_cmds = fake_dp_n_cmds(w.dp);
    DONE(meeting_mute(w.meeting, host, "a", MEETING_AUDIO, "noise", &err));
    assert_true(producer_is_paused(mic->producer));
    assert_int_equal(media_stream_conf(w.media, producer_stream(mic->producer), &conf), 0);
    assert_int_equal(conf.paused, 1); /* in the dataplane's memory: it forwards nothing */
    WAIT(&w, fake_dp_n_cmds(w.dp) > n_cmds);
    assert_int_equal(world_n_told(&w, MEETING_PRODUCER_PAUSED), 1);
    assert_null(world_last(&w, MEETING_PRODUCER_PAUSED)->except); /* it has to know too */
    assert_ptr_equal(world_last(&w, MEETING_MUTED)->one, a);
    assert_false(world_last(&w, MEETING_MUTED)->on);
    assert_false(world_last(&w, MEETING_MEDIA_UPDATED)->on);
    REFUSED(meeting_producer_pause(w.meeting, a, mic->id, false, &err), "muted_by_host");
    REFUSED(meeting_toggle(w.meeting, a, MEETING_AUDIO, true, &err), "muted_by_host");
    {
        struct rtp_params params = world_params(world_opus, 12);

        REFUSED(meeting_produce(w.meeting, a, t->id, RTP_KIND_AUDIO, &params, SOURCE_MIC,
                                false, on_done, NULL, &err),
                "muted_by_host");
    }
    assert_true(producer_is_paused(mic->producer));
    DONE(meeting_ask_unmute(w.meeting, a, "", MEETING_AUDIO, &err)); /* may I? */
    assert_int_equal(world_last(&w, MEETING_UNMUTE_ASKED)->reach, FACT_HOSTS);
    assert_true(a->muted != 0);
    DONE(meeting_ask_unmute(w.meeting, host, "a", MEETING_AUDIO, &err));
    DONE(meeting_toggle(w.meeting, a, MEETING_AUDIO, true, &err));
    assert_false(producer_is_paused(mic->producer));

    set_flags(&w, host, MEETING_BIT(ATTENDEES_UNMUTE), 0);
    DONE(meeting_mute(w.meeting, host, a->id, MEETING_AUDIO, "", &err));
    assert_true(world_last(&w, MEETING_MUTED)->on);
    DONE(meeting_producer_pause(w.meeting, a, mic->id, false, &err));
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, host, "left");
    world_finish(&w);
}

static void who_leaves_muted_comes_back_muted(void **state)
{
    struct rtp_params params = world_params(world_opus, 12);
    struct participant *host, *a;
    struct transport *t;
    struct world w;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    a = enter_as(&w, "a", AUTH_ATTENDEE);
    set_flags(&w, host, MEETING_BIT(ATTENDEE_MEDIA), 0);
    DONE(meeting_mute(w.meeting, host, "a", MEETING_AUDIO, "noise", &err));
    meeting_leave(w.meeting, a, "left");
    a = enter_as(&w, "a", AUTH_ATTENDEE);
    t = open_transport(&w, a, true);
    REFUSED(meeting_produce(w.meeting, a, t->id, RTP_KIND_AUDIO, &params, SOURCE_MIC, false,
                            NULL, NULL, &err),
            "muted_by_host");
    DONE(meeting_ask_unmute(w.meeting, host, "a", MEETING_AUDIO, &err));
    meeting_leave(w.meeting, a, "left");
    a = enter_as(&w, "a", AUTH_ATTENDEE);
    assert_int_equal(a->muted, 0);
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, host, "left");
    world_finish(&w);
}

static void all_below_are_muted_and_nobody_above(void **state)
{
    struct participant *host, *co, *p;
    struct world w;
    uint32_t n;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    co = enter_as(&w, "c", AUTH_CO_HOST);
    p = enter_as(&w, "p", AUTH_PRESENTER);
    REFUSED(meeting_mute_all(w.meeting, p, MEETING_AUDIO, "", &n, &err), "forbidden");
    REFUSED(meeting_mute(w.meeting, co, "h", MEETING_AUDIO, "", &err), "forbidden");
    REFUSED(meeting_mute(w.meeting, co, "nobody", MEETING_AUDIO, "", &err), "not_found");
    DONE(meeting_mute_all(w.meeting, co, MEETING_AUDIO, "", &n, &err));
    assert_int_equal(n, 1);
    assert_int_equal(p->off, MEETING_AUDIO);
    assert_int_equal(host->off, 0);
    DONE(meeting_mute_all(w.meeting, host, MEETING_VIDEO, "", &n, &err));
    assert_int_equal(n, 2);
    assert_int_equal(co->off, MEETING_VIDEO);
    assert_int_equal(p->muted, 0); /* presenters may lift it */
    meeting_leave(w.meeting, co, "left");
    meeting_leave(w.meeting, p, "left");
    meeting_leave(w.meeting, host, "left");
    world_finish(&w);
}

static void who_is_banned_does_not_come_back_until_invited(void **state)
{
    struct auth_identity who = identity("a", "m", AUTH_PRESENTER);
    struct participant *host, *a;
    struct meeting_error no;
    struct world w;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    a = enter(&w, "a");
    REFUSED(meeting_remove(w.meeting, a, "h", "", true, &err), "forbidden");
    REFUSED(meeting_remove(w.meeting, host, "h", "", true, &err), "invalid");
    DONE(meeting_remove(w.meeting, host, "a", "rude", false, &err));
    assert_int_equal(w.n_ended, 1);
    assert_string_equal(world_last(&w, MEETING_REMOVED)->reason, "rude");
    assert_string_equal(world_last(&w, MEETING_LEFT)->reason, "removed");
    (void)enter(&w, "a"); /* it was sent out, no more */
    (void)enter(&w, "a");
    DONE(meeting_remove(w.meeting, host, "a", "", true, &err));
    assert_int_equal(host->room->n_participants, 1); /* in all its numbers */
    assert_null(meeting_enter(w.meeting, &who, "m", "", &w, &no));
    assert_string_equal(no.code, "banned");
    for (int i = 0; i < MEETING_BANS_KEPT + 2; i++) { /* more than the vault has room for */
        char user[16];

        (void)snprintf(user, sizeof(user), "b%d", i);
        (void)enter(&w, user);
        DONE(meeting_remove(w.meeting, host, user, "", true, &err));
    }
    assert_null(meeting_enter(w.meeting, &who, "m", "", &w, &no));
    DONE(meeting_invite(w.meeting, host, "a", "A", AUTH_ATTENDEE, &err));
    a = enter(&w, "a");
    assert_int_equal(a->who.role, AUTH_ATTENDEE);
    REFUSED(meeting_invite(w.meeting, host, "a", "A", AUTH_ATTENDEE, &err),
            "already_exists");
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, host, "left");
    world_finish(&w);
}

static void a_role_holds_ends_what_it_forbids_and_goes_no_higher(void **state)
{
    struct participant *host, *co, *a;
    struct transport *t;
    struct world w;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    co = enter_as(&w, "c", AUTH_CO_HOST);
    a = enter_as(&w, "a", AUTH_PRESENTER);
    t = open_transport(&w, a, true);
    (void)produce(&w, t, world_opus, 11);
    REFUSED(meeting_set_role(w.meeting, a, "c", AUTH_GUEST, &err), "forbidden");
    REFUSED(meeting_set_role(w.meeting, co, "h", AUTH_GUEST, &err), "forbidden");
    REFUSED(meeting_set_role(w.meeting, co, "a", AUTH_HOST, &err), "forbidden");
    w.n_told = 0;
    DONE(meeting_set_role(w.meeting, co, "a", AUTH_ATTENDEE, &err));
    assert_int_equal(a->who.role, AUTH_ATTENDEE);
    assert_int_equal(a->n_producers, 0);
    assert_int_equal(world_n_told(&w, MEETING_ROLE_CHANGED), 1);
    assert_int_equal(world_n_told(&w, MEETING_PRODUCER_CLOSED), 2); /* it, and the others */
    meeting_leave(w.meeting, a, "left");
    a = enter_as(&w, "a", AUTH_PRESENTER); /* its token still says so */
    assert_int_equal(a->who.role, AUTH_ATTENDEE);
    DONE(meeting_set_role(w.meeting, host, "a", AUTH_HOST, &err));
    assert_int_equal(a->who.role, AUTH_HOST);
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, co, "left");
    meeting_leave(w.meeting, host, "left");
    world_finish(&w);
}

static void a_locked_meeting_takes_hosts_and_who_is_invited(void **state)
{
    struct auth_identity who = identity("a", "m", AUTH_PRESENTER);
    struct auth_identity guest = identity("g", "m", AUTH_GUEST);
    struct participant *host, *a, *co;
    struct meeting_error no;
    struct world w;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    set_flags(&w, host, MEETING_BIT(LOCKED), MEETING_BIT(ALLOW_GUESTS));
    assert_null(meeting_enter(w.meeting, &who, "m", "", &w, &no));
    assert_string_equal(no.code, "locked");
    assert_null(meeting_enter(w.meeting, &guest, "m", "", &w, &no));
    assert_string_equal(no.code, "forbidden");
    DONE(meeting_invite(w.meeting, host, "a", "", AUTH_PRESENTER, &err));
    a = enter(&w, "a");
    co = enter_as(&w, "c", AUTH_CO_HOST);
    {
        const struct meeting_change change = {.set = MEETING_BIT(LOCKED), .layout = -1};

        REFUSED(meeting_update(w.meeting, a, &change, &err), "forbidden");
    }
    meeting_leave(w.meeting, a, "left");
    meeting_leave(w.meeting, co, "left");
    meeting_leave(w.meeting, host, "left");
    world_finish(&w);
}

static void who_closes_a_meeting_ends_it_for_all(void **state)
{
    struct participant *host, *co;
    struct world w;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    co = enter_as(&w, "c", AUTH_CO_HOST);
    (void)enter(&w, "a");
    REFUSED(meeting_close(w.meeting, co, "ended", &err), "forbidden");
    w.n_told = 0;
    DONE(meeting_close(w.meeting, host, "ended", &err));
    assert_int_equal(w.n_ended, 3);
    assert_int_equal(w.n_told, 4);
    for (unsigned i = 0; i < 3; i++) { /* for the record; all know that it ends */
        assert_int_equal(w.told[i].kind, MEETING_LEFT);
        assert_true(w.told[i].kept_only);
    }
    assert_int_equal(w.told[3].kind, MEETING_ROOM_CLOSED);
    world_finish(&w);
}

static void a_room_can_be_made_before_anybody_is_in_it(void **state)
{
    const struct meeting_change change = {
        .set = MEETING_BIT(WAITING_ROOM), .layout = -1, .name = "Board"};
    struct auth_identity who = identity("h", "", AUTH_HOST);
    struct auth_identity low = identity("p", "", AUTH_PRESENTER);
    struct meeting_error err;
    const struct room *room;
    struct participant *h, *a;
    struct world w;
    (void)state;

    world_start(&w);
    assert_null(meeting_create_room(w.meeting, &low, "m", &change, &err));
    assert_string_equal(err.code, "forbidden");
    room = meeting_create_room(w.meeting, &who, "m", &change, &err);
    assert_non_null(room);
    assert_null(meeting_create_room(w.meeting, &who, "m", &change, &err));
    assert_string_equal(err.code, "already_exists");
    meeting_tick(w.meeting, 1);
    assert_int_equal(meeting_n_rooms(w.meeting), 1);
    a = enter(&w, "a");
    assert_true(a->waiting);
    h = enter_as(&w, "h", AUTH_HOST);
    assert_false(h->waiting);
    assert_string_equal(room->name, "Board");
    meeting_leave(w.meeting, h, "left");
    assert_int_equal(meeting_n_rooms(w.meeting), 1); /* who waits keeps it */
    meeting_leave(w.meeting, a, "left");
    assert_int_equal(meeting_n_rooms(w.meeting), 0);
    (void)meeting_create_room(w.meeting, &who, "m", &change, &err);
    meeting_tick(w.meeting, UINT64_MAX); /* nobody came */
    world_finish(&w);
}

static void lists_are_pages_in_order(void **state)
{
    struct meeting_page page = {.query = "", .after_id = "", .limit = 2};
    struct participant *people[3], *out[MEETING_PAGE];
    uint32_t total;
    struct world w;
    bool more;
    (void)state;

    world_start(&w);
    people[0] = enter_as(&w, "h", AUTH_HOST);
    people[1] = enter(&w, "ann");
    people[2] = enter(&w, "bob");
    for (int i = 0; i < 3; i++) {
        people[i]->joined_us = 100; /* at once: ids decide, and none is missed */
    }
    assert_int_equal(meeting_list(people[0], &page, out, &total, &more), 2);
    assert_int_equal(total, 3);
    assert_true(more);
    assert_true(strcmp(out[0]->id, out[1]->id) < 0);
    page.after_us = out[1]->joined_us;
    page.after_id = out[1]->id;
    assert_int_equal(meeting_list(people[0], &page, out, &total, &more), 1);
    assert_false(more);
    page = (struct meeting_page){.query = "AN", .after_id = "", .limit = 2};
    assert_int_equal(meeting_list(people[0], &page, out, &total, &more), 1);
    assert_ptr_equal(out[0], people[1]);
    for (int i = 0; i < 3; i++) {
        meeting_leave(w.meeting, people[i], "left");
    }
    world_finish(&w);
}

static void hosts_cannot_flood(void **state)
{
    struct participant *host;
    struct meeting_error err;
    struct world w;
    uint32_t n;
    int i = 0;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    while (i < 200 && meeting_mute_all(w.meeting, host, MEETING_AUDIO, "", &n, &err) == 0) {
        i++;
    }
    assert_in_range(i, 40, 100);
    assert_string_equal(err.code, "rate_limited");
    assert_true(err.retry_after_ms > 0);
    meeting_leave(w.meeting, host, "left");
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_attendee_muted_by_a_host_stays_so_until_asked_to_speak),
        cmocka_unit_test(who_leaves_muted_comes_back_muted),
        cmocka_unit_test(all_below_are_muted_and_nobody_above),
        cmocka_unit_test(who_is_banned_does_not_come_back_until_invited),
        cmocka_unit_test(a_role_holds_ends_what_it_forbids_and_goes_no_higher),
        cmocka_unit_test(a_locked_meeting_takes_hosts_and_who_is_invited),
        cmocka_unit_test(who_closes_a_meeting_ends_it_for_all),
        cmocka_unit_test(a_room_can_be_made_before_anybody_is_in_it),
        cmocka_unit_test(lists_are_pages_in_order),
        cmocka_unit_test(hosts_cannot_flood),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
