/* Voices are added where they belong, whenever they come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "egress/compose/mixer.h"

enum { N = 100 };

static struct mixer *setup(int64_t at)
{
    struct mixer *mixer = malloc(sizeof(*mixer));

    assert_non_null(mixer);
    mixer_init(mixer, at);
    return mixer;
}

static void add(struct mixer *mixer, int64_t at, float left, float right)
{
    float samples[2 * N];

    for (unsigned i = 0; i < N; i++) {
        samples[2 * i] = left;
        samples[2 * i + 1] = right;
    }
    mixer_add(mixer, at, samples, N);
}

static void voices_are_added_and_what_is_too_loud_is_cut(void **state)
{
    struct mixer *mixer = setup(1000);
    float left[N], right[N];
    (void)state;

    add(mixer, 1000, 0.25f, -0.75f);
    add(mixer, 1050, 0.25f, -0.75f);
    mixer_take(mixer, left, right, N);
    assert_true(left[49] == 0.25f && left[50] == 0.5f);
    assert_true(right[49] == -0.75f && right[50] == -1.0f);
    mixer_take(mixer, left, right, N);
    assert_true(left[49] == 0.25f && left[50] == 0);
    mixer_take(mixer, left, right, N);
    assert_true(left[0] == 0 && right[N - 1] == 0);
    free(mixer);
}

static void what_is_too_late_or_too_early_is_left_out(void **state)
{
    struct mixer *mixer = setup(5 * MIXER_LEN);
    float left[N], right[N];
    (void)state;

    add(mixer, 5 * (int64_t)MIXER_LEN - N / 2, 0.5f, 0.5f); /* half of it is */
    add(mixer, 6 * (int64_t)MIXER_LEN, 0.5f, 0.5f);
    add(mixer, -7, 0.5f, 0.5f);
    mixer_take(mixer, left, right, N);
    assert_true(left[0] == 0.5f && left[N / 2 - 1] == 0.5f && left[N / 2] == 0);
    free(mixer);
}

static void a_stretched_tone_keeps_its_ends(void **state)
{
    float from[2 * N], out[2 * (N + 10)];
    (void)state;

    for (unsigned i = 0; i < 2 * N; i++) {
        from[i] = (float)(i / 2);
    }
    mixer_stretch(from, N, out, N + 10);
    assert_true(out[0] == 0 && out[2 * (N + 9)] > N - 1.01f);
    for (unsigned i = 1; i < N + 10; i++) {
        assert_true(out[2 * i] > out[2 * i - 2] && out[2 * i] - out[2 * i - 2] < 1);
        assert_true(out[2 * i] == out[2 * i + 1]);
    }
    mixer_stretch(from, N, out, 1);
    assert_true(out[0] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(voices_are_added_and_what_is_too_loud_is_cut),
        cmocka_unit_test(what_is_too_late_or_too_early_is_left_out),
        cmocka_unit_test(a_stretched_tone_keeps_its_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
