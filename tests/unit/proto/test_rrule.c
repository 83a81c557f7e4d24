/* Recurrence rules: the examples of RFC 5545, section 3.8.5.3, and what clients may send to
 * keep the node busy. */
#include "proto/rrule.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define DAY INT64_C(86400)

/* A day "19970902", or with an hour and a minute "199709021030"; else at nine. */
static int64_t at(const char *text)
{
    struct tm tm = {.tm_hour = 9};
    char stamp[13];

    (void)snprintf(stamp, sizeof(stamp), "%s%s", text, strlen(text) == 8 ? "0900" : "");
    assert_non_null(strptime(stamp, "%Y%m%d%H%M", &tm));
    return timegm(&tm);
}

static struct rrule parse(const char *text)
{
    struct rrule rule;
    const char *why = NULL;

    if (rrule_parse(text, &rule, &why) != 0) {
        fail_msg("%s: %s", text, why);
    }
    return rule;
}

static void the_examples_of_the_rfc_come_out(void **state)
{
    static const struct {
        const char *rule, *start, *expected;
        size_t n; /* of all, if the rule ends; else 0 */
    } cases[] = {
        {"FREQ=DAILY;COUNT=10", "19970902", "19970902 19970903 19970904", 10},
        {"FREQ=DAILY;UNTIL=19971224T000000Z", "19970902", "19970902 19970903", 113},
        {"FREQ=DAILY;INTERVAL=2", "19970902", "19970902 19970904 19970906", 0},
        {"FREQ=DAILY;INTERVAL=10;COUNT=5", "19970902",
         "19970902 19970912 19970922 19971002 19971012", 5},
        {"FREQ=YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA",
         "19980101", "19980101 19980102", 93},
        {"FREQ=DAILY;UNTIL=20000131T140000Z;BYMONTH=1", "19980101", "19980101", 93},
        {"FREQ=WEEKLY;INTERVAL=2;WKST=SU", "19970902",
         "19970902 19970916 19970930 19971014 19971028 19971111", 0},
        {"FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH", "19970902",
         "19970902 19970904 19970909 19970911 19970916 19970918", 10},
        {"FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR", "19970901",
         "19970901 19970903 19970905 19970915 19970917 19970919 19970929 19971001", 25},
        {"FREQ=MONTHLY;COUNT=10;BYDAY=1FR", "19970905",
         "19970905 19971003 19971107 19971205 19980102 19980206", 10},
        {"FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU", "19970907",
         "19970907 19970928 19971102 19971130 19980104 19980125 19980301", 10},
        {"FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", "19970922",
         "19970922 19971020 19971117 19971222 19980119 19980216", 6},
        {"FREQ=MONTHLY;BYMONTHDAY=-3", "19970928",
         "19970928 19971029 19971128 19971229 19980129 19980226", 0},
        {"FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1", "19970930",
         "19970930 19971001 19971031 19971101 19971130 19971201 19971231", 10},
        {"FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15", "19970910",
         "19970910 19970911 19970912 19970913 19970914 19970915 19990310 19990311", 10},
        {"FREQ=YEARLY;COUNT=10;BYMONTH=6,7", "19970610",
         "19970610 19970710 19980610 19980710 19990610", 10},
        {"FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200", "19970101",
         "19970101 19970410 19970719 20000101 20000409 20000718 20030101", 10},
        {"FREQ=YEARLY;BYDAY=20MO", "19970519", "19970519 19980518 19990517", 0},
        {"FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "19970512", "19970512 19980511 19990517", 0},
        {"FREQ=YEARLY;BYMONTH=3;BYDAY=TH", "19970313",
         "19970313 19970320 19970327 19980305", 0},
        {"FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "19970902",
         "19980213 19980313 19981113 19990813 20001013", 0},
        {"FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13", "19970913",
         "19970913 19971011 19971108 19971213 19980110 19980207", 0},
        {"FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", "19961105",
         "19961105 20001107 20041102", 0},
        {"FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "19970904",
         "19970904 19971007 19971106", 3},
        {"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", "19970929",
         "19970929 19971030 19971127 19971230 19980129 19980226 19980330", 0},
        {"FREQ=DAILY;BYHOUR=10,9;BYMINUTE=40,0,20", "19970902",
         "199709020900 199709020920 199709020940 199709021000 199709021020", 0},
        {"FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "19970805",
         "19970805 19970810 19970819 19970824", 4},
        {"FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "19970805",
         "19970805 19970817 19970819 19970831", 4},
        {"FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "20070115",
         "20070115 20070130 20070215 20070315 20070330", 5},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rrule rule = parse(cases[i].rule);
        int64_t start = at(cases[i].start);
        int64_t got[200];
        size_t n = rrule_expand(&rule, start, start, INT64_MAX, got, 200);
        char expected[128];
        char *rest = expected;
        size_t k = 0;
        const char *day;

        (void)snprintf(expected, sizeof(expected), "%s", cases[i].expected);
        while ((day = strsep(&rest, " ")) != NULL) {
            if (k >= n || got[k] != at(day)) {
                fail_msg("%s: the time %zu is not %s", cases[i].rule, k + 1, day);
            }
            k++;
        }
        if (cases[i].n > 0) {
            assert_int_equal(n, cases[i].n);
            assert_true(rrule_until(cases[i].rule, start) >= got[n - 1]);
        } else {
            assert_true(rrule_until(cases[i].rule, start) == INT64_MAX);
        }
    }
}

static void a_window_has_what_a_walk_from_the_start_has(void **state)
{
    static const char *const rules[] = {
        "FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;INTERVAL=5;BYDAY=MO,SU;WKST=SU",
        "FREQ=MONTHLY;INTERVAL=7;BYDAY=-1FR",
        "FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29", "FREQ=DAILY;COUNT=900"};
    int64_t start = at("20200229");
    (void)state;

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        struct rrule rule = parse(rules[i]);
        int64_t all[1000], some[1000];
        size_t n = rrule_expand(&rule, start, start, start + 3000 * DAY, all, 1000);

        for (int64_t from = start - DAY; from < start + 3000 * DAY; from += 97 * DAY) {
            int64_t to = from + 200 * DAY;
            size_t m = rrule_expand(&rule, start, from, to, some, 1000);
            size_t k = 0;

            for (size_t j = 0; j < n; j++) {
                if (all[j] >= from && all[j] < to) {
                    assert_true(k < m && some[k] == all[j]);
                    k++;
                }
            }
            if (to <= start + 3000 * DAY) {
                assert_int_equal(k, m);
            }
        }
    }
}

static void what_is_no_rule_is_refused_with_its_reason(void **state)
{
    static const struct {
        const char *rule, *why;
    } cases[] = {{"", "NAME=VALUE"},
                 {"COUNT=3", "FREQ"},
                 {"RRULE:FREQ=DAILY", "part"},
                 {"FREQ=SECONDLY", "FREQ must be"},
                 {"FREQ=MINUTELY;COUNT=3", "FREQ must be"},
                 {"FREQ=HOURLY", "FREQ must be"},
                 {"freq=daily", "part"},
                 {"FREQ=DAILY;FREQ=DAILY", "once"},
                 {"FREQ=DAILY;", "NAME=VALUE"},
                 {"FREQ=DAILY;BYSECOND=1", "too fine"},
                 {"FREQ=DAILY;COUNT=0", "COUNT must be"},
                 {"FREQ=DAILY;COUNT=1000000000", "COUNT must be"},
                 {"FREQ=DAILY;COUNT=99999999999999999999", "COUNT must be"},
                 {"FREQ=DAILY;COUNT=3;COUNT=4", "COUNT must be"},
                 {"FREQ=DAILY;INTERVAL=0", "INTERVAL must be"},
                 {"FREQ=DAILY;INTERVAL=-1", "INTERVAL must be"},
                 {"FREQ=DAILY;INTERVAL=1x", "INTERVAL must be"},
                 {"FREQ=DAILY;COUNT=3;UNTIL=20300101", "both COUNT and UNTIL"},
                 {"FREQ=DAILY;UNTIL=garbage", "UNTIL must be"},
                 {"FREQ=DAILY;UNTIL=20301301", "UNTIL must be"},
                 {"FREQ=DAILY;UNTIL=20300101T000000", "UNTIL must be"},
                 {"FREQ=WEEKLY;BYDAY=XX", "BYDAY must be"},
                 {"FREQ=WEEKLY;BYDAY=1MO", "BYDAY with a number"},
                 {"FREQ=YEARLY;BYDAY=1000MO", "BYDAY must be"},
                 {"FREQ=YEARLY;BYDAY=0MO", "BYDAY must be"},
                 {"FREQ=YEARLY;BYWEEKNO=20;BYDAY=1MO", "BYDAY with a number"},
                 {"FREQ=MONTHLY;BYWEEKNO=3", "BYWEEKNO goes"},
                 {"FREQ=MONTHLY;BYYEARDAY=3", "BYYEARDAY goes"},
                 {"FREQ=WEEKLY;BYMONTHDAY=3", "BYMONTHDAY does not"},
                 {"FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY must be"},
                 {"FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY must be"},
                 {"FREQ=MONTHLY;BYMONTHDAY=1,", "BYMONTHDAY must be"},
                 {"FREQ=YEARLY;BYMONTH=13", "BYMONTH must be"},
                 {"FREQ=DAILY;BYHOUR=24", "BYHOUR must be"},
                 {"FREQ=DAILY;BYHOUR=1;BYHOUR=2", "BYHOUR must be"},
                 {"FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=1,2,3,4,5", "24 times"},
                 {"FREQ=DAILY;WKST=", "WKST must be"},
                 {"FREQ=YEARLY;RSCALE=CHINESE", "part"}};
    char long_list[512] = "FREQ=YEARLY;BYYEARDAY=1";
    struct rrule rule;
    const char *why;
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        why = NULL;
        if (rrule_parse(cases[i].rule, &rule, &why) != -EBADMSG ||
            strstr(why, cases[i].why) == NULL) {
            fail_msg("%s: %s", cases[i].rule, why != NULL ? why : "is taken");
        }
        assert_int_equal(rrule_until(cases[i].rule, at("20260101")), 0);
    }
    for (int i = 0; i < RRULE_LIST; i++) {
        strcat(long_list, ",1");
    }
    assert_int_equal(rrule_parse(long_list, &rule, &why), -EBADMSG);
}

/* Days that never come, sets as large as may be, the ends of time: each is looked at for
 * twenty years of days, whatever it says. */
static void hostile_rules_are_bounded(void **state)
{
    static const char *const never[] = {"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
                                        "FREQ=WEEKLY;BYMONTH=1;BYDAY=MO;BYSETPOS=8",
                                        "FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2",
                                        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
                                        "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6",
                                        "FREQ=DAILY;UNTIL=19700101",
                                        "FREQ=YEARLY;BYYEARDAY=366;BYMONTH=1",
                                        "FREQ=DAILY;BYSETPOS=2",
                                        "FREQ=DAILY;COUNT=10000;BYMONTH=2;BYMONTHDAY=30"};
    static const char *const many[] = {
        "FREQ=DAILY;COUNT=10000",
        "FREQ=YEARLY;INTERVAL=10000",
        "FREQ=DAILY;INTERVAL=10000",
        "FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23",
        "FREQ=YEARLY;BYDAY=SU,MO,TU,WE,TH,FR,SA;BYSETPOS=366,-366;BYHOUR=1,2,3,4,5,6,7",
        "FREQ=YEARLY;BYMONTHDAY=29;BYMONTH=2;INTERVAL=4;BYDAY=-53MO,53MO,SU"};
    int64_t out[1000];
    struct rrule rule;
    clock_t begun = clock();
    (void)state;

    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        rule = parse(never[i]);
        assert_int_equal(
            rrule_expand(&rule, at("20260101"), INT64_MIN, INT64_MAX, out, 1000), 0);
        assert_int_equal(rrule_until(never[i], at("20260101")), 0);
    }
    for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
        static const int64_t moments[] = {INT64_MIN, 0, INT64_MAX, -62135596800,
                                          253402300799};

        rule = parse(many[i]);
        for (size_t k = 0; k < 25; k++) {
            size_t n =
                rrule_expand(&rule, moments[k / 5], moments[k % 5], INT64_MAX, out, 1000);

            assert_true(n <= 1000);
            (void)rrule_until(many[i], moments[k / 5]);
        }
    }
    assert_true((double)(clock() - begun) / CLOCKS_PER_SEC < 5); /* of 0.2 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc_come_out),
        cmocka_unit_test(a_window_has_what_a_walk_from_the_start_has),
        cmocka_unit_test(what_is_no_rule_is_refused_with_its_reason),
        cmocka_unit_test(hostile_rules_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
