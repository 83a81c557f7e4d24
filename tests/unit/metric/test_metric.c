#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metric/metric.h"

static int setup(void **state)
{
    return metric_registry_create((struct metric_registry **)state);
}

static int teardown(void **state)
{
    metric_registry_destroy(*state);
    return 0;
}

static void expect_text(struct metric_registry *reg, const char *want)
{
    char *text;
    size_t len;

    assert_int_equal(metric_render(reg, &text, &len), 0);
    assert_int_equal(len, strlen(text));
    assert_string_equal(text, want);
    free(text);
}

static void series_are_grouped_by_family_in_order(void **state)
{
    struct metric_registry *reg = *state;
    const struct metric_label udp = {"device", "udp"};
    const struct metric_label two[] = {{"device", "veth"}, {"lane", "0"}};
    struct metric *a;
    struct metric *b;
    struct metric *c;

    expect_text(reg, "");
    assert_int_equal(metric_register(reg, METRIC_COUNTER, "rx_packets_total", "Packets in.",
                                     &udp, 1, &a),
                     0);
    assert_int_equal(metric_register(reg, METRIC_GAUGE, "peers", "Peers.", NULL, 0, &b), 0);
    assert_int_equal(
        metric_register(reg, METRIC_COUNTER, "rx_packets_total", "Packets in.", two, 2, &c),
        0);
    metric_inc(a);
    metric_add(a, 41);
    metric_set(b, -7);
    metric_add(c, INT64_C(9007199254740993));
    expect_text(reg, "# HELP kcs_rx_packets_total Packets in.\n"
                     "# TYPE kcs_rx_packets_total counter\n"
                     "kcs_rx_packets_total{device=\"udp\"} 42\n"
                     "kcs_rx_packets_total{device=\"veth\",lane=\"0\"} 9007199254740993\n"
                     "# HELP kcs_peers Peers.\n"
                     "# TYPE kcs_peers gauge\n"
                     "kcs_peers -7\n");
}

static void help_and_label_values_are_escaped(void **state)
{
    struct metric_registry *reg = *state;
    const struct metric_label label = {"path", "C:\\a \"b\"\nc \xc3\xa9"};
    struct metric *m;

    assert_int_equal(
        metric_register(reg, METRIC_GAUGE, "x", "A \"b\" \\ c\nd", &label, 1, &m), 0);
    expect_text(reg, "# HELP kcs_x A \"b\" \\\\ c\\nd\n"
                     "# TYPE kcs_x gauge\n"
                     "kcs_x{path=\"C:\\\\a \\\"b\\\"\\nc \xc3\xa9\"} 0\n");
}

static void what_prometheus_would_refuse_is_refused(void **state)
{
    struct metric_registry *reg = *state;
    const struct metric_label bad[] = {
        {"1a", "x"}, {"__a", "x"}, {"a-b", "x"}, {"", "x"}, {"a", NULL}};
    const struct metric_label twice[] = {{"a", "1"}, {"a", "2"}};
    struct metric *m;

    assert_int_equal(metric_register(reg, METRIC_GAUGE, "", "h", NULL, 0, &m), -EINVAL);
    assert_int_equal(metric_register(reg, METRIC_GAUGE, "a b", "h", NULL, 0, &m), -EINVAL);
    assert_int_equal(metric_register(reg, METRIC_GAUGE, "a_total", "h", NULL, 0, &m),
                     -EINVAL);
    assert_int_equal(metric_register(reg, METRIC_COUNTER, "a", "h", NULL, 0, &m), -EINVAL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(metric_register(reg, METRIC_GAUGE, "a", "h", &bad[i], 1, &m),
                         -EINVAL);
    }
    assert_int_equal(metric_register(reg, METRIC_GAUGE, "a", "h", twice, 2, &m), -EINVAL);
    assert_int_equal(metric_register(reg, METRIC_GAUGE, "a", "h", NULL, 0, &m), 0);
    assert_int_equal(metric_register(reg, METRIC_GAUGE, "a", "h", NULL, 0, &m), -EEXIST);
    assert_int_equal(metric_register(reg, METRIC_GAUGE, "a", "other", twice, 1, &m),
                     -EINVAL);
    expect_text(reg, "# HELP kcs_a h\n# TYPE kcs_a gauge\nkcs_a 0\n");
}

static void collect_drops(struct metric_sink *sink, void *arg)
{
    const double *values = arg;
    const struct metric_label a = {"reason", "replay"};
    const struct metric_label b = {"reason", "bad\"tag"};
    const struct metric_label refused = {"bad-name", "x"};

    metric_emit(sink, &a, 1, values[0]);
    metric_emit(sink, &b, 1, values[1]);
    metric_emit(sink, &refused, 1, 1);
    metric_emit(sink, NULL, 0, INFINITY);
    metric_emit(sink, NULL, 0, NAN);
}

static void collectors_are_asked_at_each_rendering(void **state)
{
    struct metric_registry *reg = *state;
    double values[2] = {1, 0.25};
    struct metric *m;

    assert_int_equal(metric_register_collector(reg, METRIC_COUNTER, "drops_total", "Drops.",
                                               collect_drops, values),
                     0);
    assert_int_equal(metric_register_collector(reg, METRIC_COUNTER, "drops_total", "Drops.",
                                               collect_drops, values),
                     -EEXIST);
    assert_int_equal(
        metric_register(reg, METRIC_COUNTER, "drops_total", "Drops.", NULL, 0, &m),
        -EINVAL);
    values[0] = 123456789;
    expect_text(reg, "# HELP kcs_drops_total Drops.\n"
                     "# TYPE kcs_drops_total counter\n"
                     "kcs_drops_total{reason=\"replay\"} 123456789\n"
                     "kcs_drops_total{reason=\"bad\\\"tag\"} 0.25\n"
                     "kcs_drops_total +Inf\n"
                     "kcs_drops_total NaN\n");
    metric_unregister(reg, "drops_total");
    metric_unregister(reg, "drops_total");
    expect_text(reg, "");
    assert_int_equal(metric_register(reg, METRIC_GAUGE, "next", "N.", NULL, 0, &m), 0);
    expect_text(reg, "# HELP kcs_next N.\n# TYPE kcs_next gauge\nkcs_next 0\n");
}

static void *count_up(void *arg)
{
    for (int i = 0; i < 100000; i++) {
        metric_inc(arg);
    }
    return NULL;
}

static void threads_count_without_loss(void **state)
{
    pthread_t threads[4];
    struct metric *m;

    assert_int_equal(metric_register(*state, METRIC_COUNTER, "n_total", "N.", NULL, 0, &m),
                     0);
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, count_up, m);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(metric_get(m), 400000);
}

static void histograms_count_what_is_at_most_each_bound(void **state)
{
    static const double bounds[] = {0.1, 1, 2.5};
    static const double falling[] = {1, 0.5};
    const struct metric_label step = {"step", "ice"};
    const struct metric_label le = {"le", "1"};
    struct metric_registry *reg = *state;
    struct metric_histogram *a, *b, *c;

    assert_int_equal(
        metric_register_histogram(reg, "x_seconds", "X.", &step, 1, bounds, 3, &a), 0);
    assert_int_equal(metric_register_histogram(reg, "y", "Y.", NULL, 0, bounds, 1, &b), 0);
    metric_observe(a, 0.1);
    metric_observe(a, 0.25);
    metric_observe(a, 7);
    expect_text(reg, "# HELP kcs_x_seconds X.\n"
                     "# TYPE kcs_x_seconds histogram\n"
                     "kcs_x_seconds_bucket{step=\"ice\",le=\"0.1\"} 1\n"
                     "kcs_x_seconds_bucket{step=\"ice\",le=\"1\"} 2\n"
                     "kcs_x_seconds_bucket{step=\"ice\",le=\"2.5\"} 2\n"
                     "kcs_x_seconds_bucket{step=\"ice\",le=\"+Inf\"} 3\n"
                     "kcs_x_seconds_sum{step=\"ice\"} 7.3499999999999996\n"
                     "kcs_x_seconds_count{step=\"ice\"} 3\n"
                     "# HELP kcs_y Y.\n"
                     "# TYPE kcs_y histogram\n"
                     "kcs_y_bucket{le=\"0.1\"} 0\n"
                     "kcs_y_bucket{le=\"+Inf\"} 0\n"
                     "kcs_y_sum 0\n"
                     "kcs_y_count 0\n");
    assert_int_equal(metric_register_histogram(reg, "y", "Y.", NULL, 0, bounds, 1, &c),
                     -EEXIST);
    assert_int_equal(metric_register_histogram(reg, "z", "Z.", NULL, 0, falling, 2, &c),
                     -EINVAL);
    assert_int_equal(metric_register_histogram(reg, "z", "Z.", &le, 1, bounds, 2, &c),
                     -EINVAL);
    assert_int_equal(metric_register_histogram(reg, "z_total", "Z.", NULL, 0, bounds, 2, &c),
                     -EINVAL);
    metric_unregister(reg, "x_seconds");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(series_are_grouped_by_family_in_order),
        T(help_and_label_values_are_escaped),
        T(what_prometheus_would_refuse_is_refused),
        T(collectors_are_asked_at_each_rendering),
        T(threads_count_without_loss),
        T(histograms_count_what_is_at_most_each_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
