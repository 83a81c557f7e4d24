/* Traces: the header, and spans on their way to whoever exports them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "metric/metric.h"
#include "sys/clock.h"
#include "trace/trace.h"

#define GOOD "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static void a_traceparent_is_read_and_written(void **state)
{
    struct trace trace;
    char text[TRACEPARENT_TEXT];
    (void)state;

    assert_true(traceparent_parse(GOOD, &trace));
    assert_true(trace.sampled && trace_is_set(&trace));
    assert_int_equal(trace.id[0], 0x4b);
    assert_int_equal(trace.span[7], 0xb7);
    traceparent_write(&trace, text);
    assert_string_equal(text, GOOD);
    assert_true(traceparent_parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02", &trace));
    assert_false(trace.sampled);
    traceparent_write(&trace, text); /* flags that we do not know are not passed on */
    assert_string_equal(text, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
    /* a later version may have more behind it */
    assert_true(traceparent_parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", &trace));
    assert_true(traceparent_parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
                                  &trace));
    memset(&trace, 0, sizeof(trace));
    traceparent_write(&trace, text);
    assert_string_equal(text, "");
}

static void a_bad_traceparent_is_none(void **state)
{
    static const char *const bad[] = {
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-012",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
        (GOOD "," GOOD), /* two headers */
        (" " GOOD),
    };
    struct trace trace;
    char cut[sizeof(GOOD)];
    (void)state;

    assert_false(traceparent_parse(NULL, &trace));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(&trace, 1, sizeof(trace));
        if (traceparent_parse(bad[i], &trace) || trace_is_set(&trace)) {
            fail_msg("'%s' was taken", bad[i]);
        }
    }
    for (size_t len = 0; len < strlen(GOOD); len++) { /* nothing behind the end is read */
        (void)snprintf(cut, sizeof(cut), "%.*s", (int)len, GOOD);
        assert_false(traceparent_parse(cut, &trace));
    }
}

static double counted(struct metric_registry *metrics, const char *result)
{
    char wanted[64];
    const char *at;
    char *text;
    size_t len;
    double n;

    assert_int_equal(metric_render(metrics, &text, &len), 0);
    (void)snprintf(wanted, sizeof(wanted), "kcs_trace_spans_total{result=\"%s\"} ", result);
    at = strstr(text, wanted);
    assert_non_null(at);
    n = strtod(at + strlen(wanted), NULL);
    free(text);
    return n;
}

static void nothing_is_recorded_unless_it_is_wanted_but_all_is_passed_on(void **state)
{
    struct trace theirs;
    struct trace_span span;
    (void)state;

    trace_begin(&span, NULL, TRACE_SERVER);
    assert_false(trace_is_set(&span.self));
    assert_true(traceparent_parse(GOOD, &theirs));
    trace_begin(&span, &theirs, TRACE_SERVER);
    assert_false(trace_is_open(&span));
    assert_memory_equal(&span.self, &theirs, sizeof(theirs));
    trace_end(&span, "nothing", NULL, NULL, 0);
}

static void a_span_has_its_place_its_time_and_its_tags(void **state)
{
    static struct trace_record got[8];
    const struct trace_tag tags[] = {{"a", "text", 0}, {"n", NULL, 7}};
    struct metric_registry *metrics;
    struct trace theirs;
    struct trace_span root, part;
    (void)state;

    assert_int_equal(metric_registry_create(&metrics), 0);
    assert_int_equal(trace_open(metrics, 0), 0); /* only what others want */
    assert_true(traceparent_parse(GOOD, &theirs));
    trace_begin(&root, &theirs, TRACE_SERVER);
    assert_memory_equal(root.self.id, theirs.id, TRACE_ID);
    assert_memory_not_equal(root.self.span, theirs.span, TRACE_SPAN_ID);
    trace_begin_at(&part, &root.self, TRACE_INTERNAL, clock_mono_us() - 5000);
    trace_end(&part, "part", "failed", tags, 2);
    trace_end(&part, "part", NULL, NULL, 0); /* it is over */
    trace_end(&root, "root", NULL, NULL, 0);
    theirs.sampled = false;
    trace_begin(&root, &theirs, TRACE_SERVER); /* not wanted */
    trace_end(&root, "unwanted", NULL, NULL, 0);
    trace_begin(&root, NULL, TRACE_SERVER); /* 0 percent of ours */
    assert_true(trace_is_set(&root.self) && !root.self.sampled);
    trace_end(&root, "ours", NULL, NULL, 0);
    assert_int_equal(trace_take(got, 8, 1), 2);
    assert_string_equal(got[0].name, "part");
    assert_string_equal(got[0].error, "failed");
    assert_memory_equal(got[0].parent, got[1].self.span, TRACE_SPAN_ID);
    assert_memory_equal(got[1].parent, theirs.span, TRACE_SPAN_ID);
    assert_in_range(got[0].ended_us - got[0].begun_us, 5000, 5000000);
    assert_int_equal(got[0].n_tags, 2);
    assert_string_equal(got[0].tags[0].value, "text");
    assert_true(got[0].tags[1].is_number && got[0].tags[1].number == 7);
    trace_close();
    metric_registry_destroy(metrics);
}

static void what_does_not_fit_is_dropped_and_counted(void **state)
{
    enum { MORE = 100 };
    static struct trace_record got[TRACE_QUEUE];
    struct metric_registry *metrics;
    struct trace_span span;
    char name[TRACE_NAME];
    uint64_t begun_us;
    (void)state;

    assert_int_equal(metric_registry_create(&metrics), 0);
    assert_int_equal(trace_open(metrics, 100), 0);
    for (int i = 0; i < TRACE_QUEUE + MORE; i++) {
        trace_begin(&span, NULL, TRACE_SERVER);
        (void)snprintf(name, sizeof(name), "%d", i);
        trace_end(&span, name, NULL, NULL, 0);
    }
    assert_true(counted(metrics, "dropped") == MORE);
    assert_int_equal(trace_take(got, TRACE_QUEUE, 1000), TRACE_QUEUE);
    assert_string_equal(got[0].name, "0"); /* the oldest stay */
    assert_int_equal(trace_take(got, 1, 1), 0);
    trace_wake();
    begun_us = clock_mono_us();
    assert_int_equal(trace_take(got, 1, 60000), 0);
    assert_true(clock_mono_us() - begun_us < 30000000);
    trace_close();
    metric_registry_destroy(metrics);
}

static void lines_of_the_log_have_the_ids_of_what_is_worked_on(void **state)
{
    struct trace_scope outer, inner;
    struct trace theirs;
    char meeting[] = "m1";
    char line[2048];
    int fds[2];
    ssize_t n;
    (void)state;

    assert_int_equal(pipe(fds), 0);
    log_set_fd(fds[1]);
    assert_true(traceparent_parse(GOOD, &theirs));
    log_set_meeting("m1");
    log_debug("outside");
    trace_enter(&outer, &theirs, "r1", meeting, NULL);
    meeting[0] = 'x'; /* it may end meanwhile */
    assert_memory_equal(trace_now(), &theirs, sizeof(theirs));
    log_debug("inside", LOG_STR("meeting_id", "another"));
    trace_enter(&inner, &(struct trace){.sampled = false}, NULL, "m2", "p2");
    assert_false(trace_is_set(trace_now()));
    log_debug("of another meeting");
    log_info("deeper");
    trace_leave(&inner);
    log_debug("again");
    trace_leave(&outer);
    assert_false(trace_is_set(trace_now()));
    log_set_meeting("");
    log_info("after");
    log_set_fd(STDERR_FILENO);
    assert_int_equal(close(fds[1]), 0);
    n = read(fds[0], line, sizeof(line) - 1);
    assert_true(n > 0);
    line[n] = '\0';
    assert_int_equal(close(fds[0]), 0);
    assert_null(strstr(line, "outside"));
    assert_null(strstr(line, "of another meeting"));
    assert_non_null(strstr(line, "\"event\":\"inside\",\"meeting_id\":\"another\","
                                 "\"request_id\":\"r1\","
                                 "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}\n"));
    assert_non_null(strstr(line, "\"event\":\"deeper\",\"meeting_id\":\"m2\","
                                 "\"participant_id\":\"p2\"}\n"));
    assert_non_null(strstr(line, "\"event\":\"again\",\"meeting_id\":\"m1\","));
    assert_non_null(strstr(line, "\"event\":\"after\"}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_traceparent_is_read_and_written),
        cmocka_unit_test(a_bad_traceparent_is_none),
        cmocka_unit_test(nothing_is_recorded_unless_it_is_wanted_but_all_is_passed_on),
        cmocka_unit_test(a_span_has_its_place_its_time_and_its_tags),
        cmocka_unit_test(what_does_not_fit_is_dropped_and_counted),
        cmocka_unit_test(lines_of_the_log_have_the_ids_of_what_is_worked_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
