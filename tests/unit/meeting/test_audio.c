/* Who speaks, as the room is told, and whose gates are shut: with what a dataplane would
 * measure written into its vault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/meeting/world.h"

/* Both people send a microphone. */
struct talk {
    struct world w;
    struct pair pair;
    struct room_producer *a, *b;
    uint64_t now_us;
};

static struct vault_stream *record(struct talk *t, const struct room_producer *rp)
{
    return &fake_dp_vault(t->w.dp)->streams[handle_index(producer_stream(rp->producer))];
}

static struct talk *begin(void)
{
    static struct talk talk;
    struct talk *t = &talk;

    world_start(&t->w);
    t->pair = make_pair(&t->w);
    t->a = produce(&t->w, t->pair.send, world_opus, 11);
    t->b = produce(&t->w, open_transport(&t->w, t->pair.b, true), world_opus, 12);
    t->now_us = UINT64_C(1000000000);
    t->w.n_told = 0;
    return t;
}

static void end(struct talk *t)
{
    part(&t->w, &t->pair);
    world_finish(&t->w);
}

/* So many ticks of 250 ms at these loudnesses. */
static void go(struct talk *t, unsigned ticks, uint8_t a, uint8_t b)
{
    while (ticks-- > 0) {
        t->now_us += 250000;
        record(t, t->a)->live.audio = abi_audio(a, t->now_us);
        record(t, t->b)->live.audio = abi_audio(b, t->now_us);
        meeting_tick(t->w.meeting, t->now_us);
    }
}

static uint8_t gate(struct talk *t, const struct room_producer *rp)
{
    struct vault_stream_conf conf;

    assert_int_equal(media_stream_conf(t->w.media, producer_stream(rp->producer), &conf),
                     0);
    assert_int_equal(conf.gate, producer_gate(rp->producer));
    return conf.gate;
}

static void the_room_is_told_who_speaks_only_when_that_changes(void **state)
{
    struct talk *t = begin();
    (void)state;

    go(t, 10, 10, 20);
    assert_int_equal(t->w.n_told, 0);
    go(t, 10, 90, 20);
    assert_int_equal(t->w.n_told, 1);
    assert_int_equal(t->w.told[0].kind, MEETING_SPEAKER);
    assert_true(t->w.told[0].to_room);
    assert_null(t->w.told[0].except);
    assert_string_equal(t->w.told[0].who, t->pair.a->id);
    assert_string_equal(t->w.told[0].producer, t->a->id);
    assert_int_equal(t->w.told[0].seq, 0);
    assert_ptr_equal(t->pair.a->room->speaker, t->a);
    go(t, 10, 0, 0);
    go(t, 10, 20, 90);
    assert_int_equal(t->w.n_told, 2);
    assert_string_equal(t->w.told[1].who, t->pair.b->id);
    end(t);
}

static void a_speaker_that_leaves_has_no_floor(void **state)
{
    struct talk *t = begin();
    struct meeting_error err;
    (void)state;

    go(t, 4, 90, 0);
    t->w.n_told = 0;
    assert_int_equal(meeting_producer_close(t->w.meeting, t->pair.a, t->a->id, &err), 0);
    assert_int_equal(t->w.told[0].kind, MEETING_SPEAKER);
    assert_string_equal(t->w.told[0].who, "");
    assert_null(t->pair.a->room->speaker);
    end(t);
}

static void measurements_that_stopped_are_silence(void **state)
{
    struct talk *t = begin();
    (void)state;

    go(t, 1, 90, 0);
    t->now_us += 1000000; /* and nothing was measured since */
    meeting_tick(t->w.meeting, t->now_us);
    assert_int_equal(t->w.n_told, 0);
    assert_int_equal(producer_loudness(t->a->producer, t->now_us), 0);
    end(t);
}

static void a_paused_microphone_does_not_speak(void **state)
{
    struct talk *t = begin();
    struct meeting_error err;
    (void)state;

    assert_int_equal(meeting_producer_pause(t->w.meeting, t->pair.a, t->a->id, true, &err),
                     0);
    t->w.n_told = 0;
    go(t, 10, 90, 0);
    assert_int_equal(t->w.n_told, 0);
    end(t);
}

/* The world forwards one at once (WORLD_LOUDEST). */
static void gates_of_those_who_are_not_among_the_loudest_are_shut(void **state)
{
    struct talk *t = begin();
    (void)state;

    assert_int_equal(gate(t, t->a), ABI_GATE_VOICE);
    go(t, 4, 90, 0);
    assert_int_equal(gate(t, t->b), ABI_GATE_VOICE); /* may begin at any time */
    go(t, 1, 90, 60);
    assert_int_equal(gate(t, t->a), ABI_GATE_VOICE);
    assert_int_equal(gate(t, t->b), ABI_GATE_SHUT);
    go(t, 1, 90, 10);
    assert_int_equal(gate(t, t->b), ABI_GATE_VOICE);
    end(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_room_is_told_who_speaks_only_when_that_changes),
        cmocka_unit_test(a_speaker_that_leaves_has_no_floor),
        cmocka_unit_test(measurements_that_stopped_are_silence),
        cmocka_unit_test(a_paused_microphone_does_not_speak),
        cmocka_unit_test(gates_of_those_who_are_not_among_the_loudest_are_shut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
