/* speaker: how loud a stream is, by the levels that its packets tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/speaker.h"

enum { PACKET_US = 20000, START_US = 7012345 };

struct voice {
    struct speaker speaker;
    uint64_t now_us;
    unsigned n_ended;
};

static struct voice voice_of(void)
{
    struct voice v = {.now_us = START_US};

    speaker_init(&v.speaker);
    return v;
}

/* A packet each 20 ms for so long. */
static void hear(struct voice *v, uint8_t level, uint64_t us)
{
    for (uint64_t end_us = v->now_us + us; v->now_us < end_us; v->now_us += PACKET_US) {
        v->n_ended += speaker_on_level(&v->speaker, level, v->now_us);
    }
}

static void speech_is_loud_within_half_a_second(void **state)
{
    struct voice v = voice_of();
    (void)state;

    hear(&v, 30, 500000);
    assert_in_range(speaker_loudness(&v.speaker), 85, 97);
    hear(&v, 30, 2000000);
    assert_in_range(speaker_loudness(&v.speaker), 95, 97);
    assert_in_range(v.n_ended, 24, 26); /* once a slice */
}

static void a_click_is_no_speech(void **state)
{
    struct voice v = voice_of();
    (void)state;

    hear(&v, 127, 300000);
    hear(&v, 10, PACKET_US);
    hear(&v, 127, 400000);
    assert_in_range(speaker_loudness(&v.speaker), 0, 49);
}

static void pauses_between_words_do_not_end_it(void **state)
{
    struct voice v = voice_of();
    (void)state;

    hear(&v, 25, 1000000);
    hear(&v, 127, 400000);
    assert_in_range(speaker_loudness(&v.speaker), 50, 90);
    hear(&v, 127, 2000000);
    assert_in_range(speaker_loudness(&v.speaker), 0, 10);
}

/* A beep of 20 ms twice a second, as browsers' fake devices make it. */
static void beeps_are_heard(void **state)
{
    struct voice v = voice_of();
    (void)state;

    for (int i = 0; i < 10; i++) {
        hear(&v, 12, PACKET_US);
        hear(&v, 127, 480000);
        assert_true(i < 4 || speaker_loudness(&v.speaker) > 35);
        assert_false(speaker_is_silent(&v.speaker, v.now_us));
    }
}

static void noise_is_not_loud_but_no_silence(void **state)
{
    struct voice v = voice_of();
    (void)state;

    hear(&v, 65, 10000000);
    assert_int_equal(speaker_loudness(&v.speaker), 0);
    assert_false(speaker_is_silent(&v.speaker, v.now_us));
}

static void silence_is_told_after_its_hold(void **state)
{
    struct voice v = voice_of();
    (void)state;

    assert_false(speaker_is_silent(&v.speaker, v.now_us + 60000000)); /* told nothing yet */
    hear(&v, 127, SPEAKER_HOLD_US - PACKET_US);
    assert_false(speaker_is_silent(&v.speaker, v.now_us));
    hear(&v, 127, 2 * PACKET_US);
    assert_true(speaker_is_silent(&v.speaker, v.now_us));
    hear(&v, 40, PACKET_US); /* the first packet of speech ends it */
    assert_false(speaker_is_silent(&v.speaker, v.now_us));
}

/* A sender that sends nothing in silence (DTX) and comes back. */
static void what_does_not_come_was_silent(void **state)
{
    struct voice v = voice_of();
    (void)state;

    hear(&v, 20, 2000000);
    v.now_us += 3000000;
    hear(&v, 127, PACKET_US);
    assert_in_range(speaker_loudness(&v.speaker), 0, 4);
    hear(&v, 20, 2000000);
    v.now_us += UINT64_C(3600000000);
    assert_true(speaker_on_level(&v.speaker, 127, v.now_us));
    assert_int_equal(speaker_loudness(&v.speaker), 0);
}

static void full_scale_does_not_overflow(void **state)
{
    struct voice v = voice_of();
    (void)state;

    hear(&v, 0, 5000000);
    assert_in_range(speaker_loudness(&v.speaker), 126, 127);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speech_is_loud_within_half_a_second),
        cmocka_unit_test(a_click_is_no_speech),
        cmocka_unit_test(pauses_between_words_do_not_end_it),
        cmocka_unit_test(beeps_are_heard),
        cmocka_unit_test(noise_is_not_loud_but_no_silence),
        cmocka_unit_test(silence_is_told_after_its_hold),
        cmocka_unit_test(what_does_not_come_was_silent),
        cmocka_unit_test(full_scale_does_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
