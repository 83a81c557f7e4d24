/* Meetings that are recorded without a host's doing. The program kcs-egress is the real
 * one; what it writes is unit/recording's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "meeting/recording.h"
#include "sys/clock.h"
#include "unit/meeting/world.h"

enum { MINUTE_US = 60000000 };

static const struct recording_wish SOUND = {.audio = true, .layout = -1, .keep_days = 3};

/* What the front was told of recordings, and what their disk holds. */
struct tape {
    struct world w;
    char directory[64], reason[RECORDER_REASON];
    char id[MEETING_OBJECT_ID + 1], by[AUTH_ID_MAX + 1]; /* of the last that was told of */
    enum recording_state state;
    bool audio, video;
    uint32_t keep_days;
    unsigned n_began, n_refused;
    uint64_t used;
};

static bool look(void *user, struct recorder_room *out)
{
    const struct tape *tape = user;

    *out = (struct recorder_room){tape->used, RECORDER_FREE};
    return true;
}

static void recorded(void *user, const struct recording *r)
{
    struct tape *tape = user;

    memcpy(tape->id, r->id, sizeof(tape->id));
    memcpy(tape->by, r->by, sizeof(tape->by));
    tape->state = r->state;
    tape->audio = r->audio;
    tape->video = r->video;
    tape->keep_days = r->keep_days;
    tape->n_began += r->state == RECORDING_RUNNING;
}

static void to_room(void *user, struct room *room, const struct participant *except,
                    const struct meeting_event *event)
{
    struct tape *tape = user;

    if (event->kind == MEETING_RECORDING_STATUS && event->recording->id[0] == '\0') {
        assert_int_equal(event->recording->state, RECORDING_FAILED);
        assert_int_equal(event->audience.reach, FACT_HOSTS);
        (void)snprintf(tape->reason, sizeof(tape->reason), "%s", event->recording->reason);
        tape->n_refused++;
    }
    world_to_room(user, room, except, event);
}

static void setup_with(struct tape *tape, bool records)
{
    struct world *w = &tape->w;
    struct meeting_ops with = world_ops;
    struct recorder_conf conf = {
        .program = KCS_EGRESS, .quota_bytes = 1000, .look = look, .user = tape};

    memset(tape, 0, sizeof(*tape));
    world_start_media(w);
    (void)snprintf(tape->directory, sizeof(tape->directory), "%s/recordings", w->dir);
    conf.directory = tape->directory;
    conf.loop = w->loop;
    conf.media = w->media;
    conf.metrics = w->metrics;
    if (records) {
        assert_int_equal(recorder_create(&tape->w.recorder, &conf, tape->reason), 0);
    }
    with.recorded = recorded;
    with.to_room = to_room;
    world_start_meeting(w, &with, tape);
}

static void setup(struct tape *tape)
{
    setup_with(tape, true);
}

/* Files are ended, then nothing of it is left. */
static void teardown(struct tape *tape)
{
    char command[96];

    if (tape->n_began > 0) {
        WAIT(&tape->w, tape->state == RECORDING_STOPPED || tape->state == RECORDING_FAILED);
        settle(&tape->w, 50);
    }
    recorder_destroy(tape->w.recorder);
    (void)snprintf(command, sizeof(command), "rm -rf %s", tape->directory);
    assert_int_equal(system(command), 0);
    world_finish(&tape->w);
}

/* The clock of the domain moves on by 'us'. */
static void tick(struct tape *tape, uint64_t us)
{
    meeting_tick(tape->w.meeting, clock_mono_us() + us);
}

static void one_begins_with_the_first_who_sends_and_ends_with_the_room(void **state)
{
    struct tape tape;
    struct pair p;
    (void)state;

    setup(&tape);
    p = make_pair(&tape.w);
    meeting_record_auto(p.a->room, &SOUND);
    tick(&tape, 0);
    assert_int_equal(tape.n_began, 0); /* nobody sends anything */
    (void)produce(&tape.w, p.send, world_opus, 11);
    tick(&tape, 0);
    assert_int_equal(tape.n_began, 1);
    assert_string_equal(tape.by, "");
    assert_true(tape.audio && !tape.video);
    assert_int_equal(tape.keep_days, 3);
    assert_true(world_last(&tape.w, MEETING_RECORDING_STARTED)->seq > 0); /* a fact */
    assert_string_equal(p.a->room->recording->id, tape.id); /* who comes later is told */
    tick(&tape, 0);
    tick(&tape, 2 * MINUTE_US);
    assert_int_equal(tape.n_began, 1);
    part(&tape.w, &p);
    assert_int_equal(tape.state, RECORDING_STOPPING);
    assert_int_equal(tape.n_refused, 0);
    teardown(&tape);
}

static void a_meeting_that_is_not_recorded_is_left_alone(void **state)
{
    struct tape tape;
    struct pair p;
    (void)state;

    setup(&tape);
    p = make_pair(&tape.w);
    (void)produce(&tape.w, p.send, world_opus, 11);
    tick(&tape, 0);
    meeting_record_auto(p.a->room, &SOUND);
    meeting_record_auto(p.a->room, NULL); /* it was changed */
    tick(&tape, 0);
    assert_int_equal(tape.n_began, 0);
    part(&tape.w, &p);
    teardown(&tape);
}

static void one_that_is_paused_is_so_once_and_goes_on(void **state)
{
    const struct recording *r;
    struct participant *host;
    struct meeting_error err;
    struct tape tape;
    struct pair p;
    (void)state;

    setup(&tape);
    p = make_pair(&tape.w);
    host = enter_as(&tape.w, "host", AUTH_HOST);
    assert_null(meeting_record_pause(tape.w.meeting, host, "", &err));
    assert_string_equal(err.code, "not_found");
    r = meeting_record_start(tape.w.meeting, host, &SOUND, &err);
    assert_non_null(r);
    assert_null(meeting_record_resume(tape.w.meeting, host, "", &err));
    assert_string_equal(err.code, "already_exists");
    assert_null(meeting_record_pause(tape.w.meeting, host, "another", &err));
    assert_null(meeting_record_pause(tape.w.meeting, p.b, r->id, &err));
    assert_string_equal(err.code, "forbidden");
    assert_ptr_equal(meeting_record_pause(tape.w.meeting, host, r->id, &err), r);
    assert_int_equal(tape.state, RECORDING_PAUSED);
    assert_true(world_last(&tape.w, MEETING_RECORDING_PAUSED)->seq > 0); /* a fact */
    assert_null(meeting_record_pause(tape.w.meeting, host, "", &err));
    assert_string_equal(err.code, "already_exists");
    settle(&tape.w, 300);
    assert_ptr_equal(meeting_record_resume(tape.w.meeting, host, "", &err), r);
    assert_int_equal(tape.state, RECORDING_RUNNING);
    assert_true(world_last(&tape.w, MEETING_RECORDING_RESUMED)->seq > 0);
    assert_in_range(r->paused_us, 250000, 30000000); /* a pause of 300 ms */
    for (int i = 1; i < RECORDING_PAUSES; i++) {
        assert_non_null(meeting_record_pause(tape.w.meeting, host, "", &err));
        assert_non_null(meeting_record_resume(tape.w.meeting, host, "", &err));
    }
    assert_null(meeting_record_pause(tape.w.meeting, host, "", &err));
    assert_string_equal(err.code, "too_many");
    r = meeting_record_stop(tape.w.meeting, host, "", &err);
    assert_non_null(r);
    assert_true(r->duration_us + r->paused_us <= clock_mono_us() - r->since_us);
    meeting_leave(tape.w.meeting, host, "left");
    part(&tape.w, &p);
    teardown(&tape);
}

static void what_a_host_has_ended_does_not_begin_again(void **state)
{
    struct meeting_error err;
    struct tape tape;
    struct participant *host;
    struct pair p;
    (void)state;

    setup(&tape);
    p = make_pair(&tape.w);
    host = enter_as(&tape.w, "host", AUTH_HOST);
    meeting_record_auto(p.a->room, &SOUND);
    (void)produce(&tape.w, p.send, world_opus, 11);
    tick(&tape, 0);
    assert_int_equal(tape.n_began, 1);
    assert_null(meeting_record_start(tape.w.meeting, host, &SOUND, &err));
    assert_string_equal(err.code, "already_exists");
    assert_non_null(meeting_record_stop(tape.w.meeting, host, "", &err));
    tick(&tape, 2 * MINUTE_US);
    assert_int_equal(tape.n_began, 1);
    WAIT(&tape.w, tape.state == RECORDING_STOPPED);
    assert_non_null(meeting_record_start(tape.w.meeting, host, &SOUND, &err));
    assert_string_equal(tape.by, "host"); /* by hand one may */
    meeting_leave(tape.w.meeting, host, "left");
    part(&tape.w, &p);
    teardown(&tape);
}

/* The hosts are told, and it is tried again. */
static void what_keeps_it_from_beginning_is_told_in_words(void **state)
{
    struct tape tape;
    struct participant *host;
    struct pair p;
    (void)state;

    setup(&tape);
    p = make_pair(&tape.w);
    host = enter_as(&tape.w, "host", AUTH_HOST);
    tape.used = 1000;
    meeting_record_auto(p.a->room, &SOUND);
    (void)produce(&tape.w, p.send, world_opus, 11);
    tick(&tape, 0);
    tick(&tape, 1000000);
    assert_int_equal(tape.n_refused, 1);
    assert_string_equal(tape.reason, "the quota of recordings is used up");
    set_flags(&tape.w, host, 0, MEETING_BIT(RECORDING));
    tick(&tape, MINUTE_US);
    assert_int_equal(tape.n_refused, 2);
    assert_string_equal(tape.reason, "this meeting has that switched off");
    assert_int_equal(tape.n_began, 0);
    assert_int_equal(world_n_told(&tape.w, MEETING_RECORDING_STARTED), 0);
    set_flags(&tape.w, host, MEETING_BIT(RECORDING), 0);
    tape.used = 0;
    tick(&tape, 2 * MINUTE_US + 1000000);
    assert_int_equal(tape.n_began, 1);
    assert_int_equal(tape.n_refused, 2);
    meeting_leave(tape.w.meeting, host, "left");
    part(&tape.w, &p);
    teardown(&tape);
}

static void a_node_that_does_not_record_says_so(void **state)
{
    struct tape tape;
    struct pair p;
    (void)state;

    setup_with(&tape, false);
    p = make_pair(&tape.w);
    meeting_record_auto(p.a->room, &SOUND);
    (void)produce(&tape.w, p.send, world_opus, 11);
    tick(&tape, 0);
    assert_int_equal(tape.n_refused, 1);
    assert_string_equal(tape.reason, "this node does not record");
    part(&tape.w, &p);
    teardown(&tape);
}

/* The disk was full for a while. */
static void one_that_has_failed_is_followed_by_another(void **state)
{
    struct tape tape;
    struct pair p;
    (void)state;

    setup(&tape);
    p = make_pair(&tape.w);
    meeting_record_auto(p.a->room, &SOUND);
    (void)produce(&tape.w, p.send, world_opus, 11);
    tick(&tape, 0);
    tape.used = 1000;
    tick(&tape, 0);
    assert_int_equal(tape.state, RECORDING_FAILED);
    assert_null(p.a->room->recording);
    tape.used = 0;
    tick(&tape, 0);
    assert_int_equal(tape.n_began, 1);
    settle(&tape.w, 300); /* its files are ended */
    tick(&tape, MINUTE_US + 1000000);
    assert_int_equal(tape.n_began, 2);
    part(&tape.w, &p);
    teardown(&tape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_begins_with_the_first_who_sends_and_ends_with_the_room),
        cmocka_unit_test(a_meeting_that_is_not_recorded_is_left_alone),
        cmocka_unit_test(one_that_is_paused_is_so_once_and_goes_on),
        cmocka_unit_test(what_a_host_has_ended_does_not_begin_again),
        cmocka_unit_test(what_keeps_it_from_beginning_is_told_in_words),
        cmocka_unit_test(a_node_that_does_not_record_says_so),
        cmocka_unit_test(one_that_has_failed_is_followed_by_another),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
