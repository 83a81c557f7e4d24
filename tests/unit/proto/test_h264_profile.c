/* control/proto/h264_profile: what browsers put in profile-level-id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "proto/h264_profile.h"

static void profiles_and_levels_are_told_apart(void **state)
{
    static const struct {
        const char *text;
        enum h264_profile profile;
        uint8_t level;
    } cases[] = {
        {"", H264_CONSTRAINED_BASELINE, 31},
        {"42e01f", H264_CONSTRAINED_BASELINE, 31},
        {"42E01F", H264_CONSTRAINED_BASELINE, 31},
        {"42c02a", H264_CONSTRAINED_BASELINE, 42},
        {"4de01f", H264_CONSTRAINED_BASELINE, 31},
        {"58f01f", H264_CONSTRAINED_BASELINE, 31},
        {"42a01f", H264_BASELINE, 31},
        {"42001f", H264_BASELINE, 31},
        {"58a01f", H264_BASELINE, 31},
        {"4d0032", H264_MAIN, 50},
        {"4d401f", H264_MAIN, 31},
        {"64001f", H264_HIGH, 31},
        {"640c1f", H264_CONSTRAINED_HIGH, 31},
        {"f4001f", H264_PREDICTIVE_HIGH_444, 31},
        {"42f00b", H264_CONSTRAINED_BASELINE, H264_LEVEL_1B},
        {"42e00b", H264_CONSTRAINED_BASELINE, 11},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum h264_profile profile;
        uint8_t level;

        assert_int_equal(h264_profile_parse(cases[i].text, &profile, &level), 0);
        assert_int_equal(profile, cases[i].profile);
        assert_int_equal(level, cases[i].level);
    }
}

static void anything_else_is_refused(void **state)
{
    static const char *const bad[] = {"42e0",   "42e01f0", "42e01g", "000000",
                                      "42e000", "42e0ff",  "64011f", "4d001e ",
                                      "0x42e0", "001f1f",  "42e11f"};
    enum h264_profile profile;
    uint8_t level;
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(h264_profile_parse(bad[i], &profile, &level), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profiles_and_levels_are_told_apart),
        cmocka_unit_test(anything_else_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
