/* tools/bench latency: how long a packet is in the dataplane, from when it was there to be
 * received until a copy was sent, at 10, 50 and 80 % of what a lane carries with a fan-out of
 * 100; and how long after one packet the last of N copies leaves, beside N times the bare
 * cost of encrypting one. The lane polls; a second thread, on another CPU, is the clock. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "benchmarks/crypt_floor.h"
#include "benchmarks/flow.h"
#include "benchmarks/numbers.h"

enum {
    SIZE = 1200,
    FAN_OUT = 100,
    PACKETS = 4000,
    LONE = 100, /* packets that come one by one, when all is quiet */
    CAPACITY_ROUNDS = 5,
    FLOOR_FORWARDS = 60000,
    N_LOADS = 3,
    N_FAN_OUTS = 3,
    N_QUANTILES = 5,
    EXIT_USAGE = 2
};

static const double LATE = 1.05; /* of the time that a load would take */
static const unsigned loads[N_LOADS] = {10, 50, 80};
static const unsigned fan_outs[N_FAN_OUTS] = {100, 1000, 10000};
static const double quantiles[N_QUANTILES] = {0.5, 0.9, 0.99, 0.999, 1};
static const char *const quantile_names[N_QUANTILES] = {"p50", "p90", "p99", "p99.9", "max"};

/* What children tell; shared. */
struct results {
    bool ok[1 + N_FAN_OUTS];
    char err[256];
    double ns; /* a forward at full load */
    double delays_us[N_LOADS][N_QUANTILES];
    double last_us[N_FAN_OUTS]; /* median */
    double floor_us[N_FAN_OUTS];
};

/* Nanoseconds a forward, when there is always something to do. */
static int capacity(struct flow *flow, struct results *out)
{
    double all[CAPACITY_ROUNDS] = {0};
    struct flow_result r;
    int e = 0;

    for (unsigned i = 0; i < CAPACITY_ROUNDS && e == 0; i++) {
        e = flow_round(flow, FLOW_PACKETS, 0, NULL, &r, out->err, sizeof(out->err));
        all[i] = e == 0 ? r.wall_ns / (double)r.forwards : 0;
    }
    out->ns = number_quantile(all, CAPACITY_ROUNDS, 0.5);
    return e;
}

/* One round at a share of what the lane carries. */
static bool at_load(struct flow *flow, unsigned load, double *delays, struct results *out)
{
    const double every_ns = out->ns * FAN_OUT * 100 / load;
    struct flow_result r;

    if (flow_round(flow, PACKETS, every_ns, delays, &r, out->err, sizeof(out->err)) != 0) {
        return false;
    }
    if (r.feed_ns > LATE * PACKETS * every_ns) {
        (void)snprintf(out->err, sizeof(out->err),
                       "at %u%% only %.0f%% of the rate was offered: no numbers", load,
                       100 * PACKETS * every_ns / r.feed_ns);
        return false;
    }
    return true;
}

static void residence(struct results *out)
{
    const size_t n = (size_t)PACKETS * FAN_OUT;
    double *delays = calloc(n, sizeof(*delays));
    struct flow *flow;

    if (delays == NULL ||
        flow_create(&flow, 1, FAN_OUT, SIZE, true, out->err, sizeof(out->err)) != 0) {
        free(delays);
        return;
    }
    out->ok[0] = capacity(flow, out) == 0;
    for (unsigned i = 0; i < N_LOADS && out->ok[0]; i++) {
        out->ok[0] = at_load(flow, loads[i], delays, out);
        for (unsigned k = 0; k < N_QUANTILES; k++) {
            out->delays_us[i][k] = number_quantile(delays, n, quantiles[k]) / 1e3;
        }
    }
    flow_destroy(flow);
    free(delays);
}

/* One packet to 'n', again and again: when the last copy has left. */
static void last_copy(unsigned i, struct results *out)
{
    const unsigned n = fan_outs[i];
    double last[LONE];
    struct crypt_floor *floor = NULL;
    struct flow *flow = NULL;
    double floors[LONE];

    out->ok[1 + i] =
        crypt_floor_create(&floor, CRYPT_FLOOR_GCM128, n, SIZE) == 0 &&
        flow_create(&flow, 1, n, SIZE, true, out->err, sizeof(out->err)) == 0;
    for (unsigned k = 0; k < LONE && out->ok[1 + i]; k++) {
        floors[k] = crypt_floor_round(floor, n, n) * n;
        out->ok[1 + i] =
            flow_last_copy(flow, &last[k], out->err, sizeof(out->err)) == 0;
    }
    if (out->ok[1 + i]) {
        out->last_us[i] = number_quantile(last, LONE, 0.5) / 1e3;
        out->floor_us[i] = number_quantile(floors, LONE, 0.5) / 1e3;
    }
    flow_destroy(flow);
    crypt_floor_destroy(floor);
}

/* Each in a process of its own, as DPDK starts once. */
static bool measure(struct results *out)
{
    bool ok = true;

    for (unsigned i = 0; i <= N_FAN_OUTS && ok; i++) {
        pid_t pid;

        (void)fflush(NULL);
        pid = fork();
        if (pid == 0) {
            if (i == 0) {
                residence(out);
            } else {
                last_copy(i - 1, out);
            }
            _exit(0);
        }
        ok = pid > 0 && waitpid(pid, NULL, 0) == pid && out->ok[i];
    }
    return ok;
}

static void print_json(const struct results *r)
{
    (void)printf("{\"fan_out\": %d, \"size\": %d, \"ns_per_forward\": %.1f, \"residence\": [",
                 FAN_OUT, SIZE, r->ns);
    for (unsigned i = 0; i < N_LOADS; i++) {
        (void)printf("%s{\"load\": %.2f", i == 0 ? "" : ", ", loads[i] / 100.0);
        for (unsigned k = 0; k < N_QUANTILES; k++) {
            (void)printf(", \"%s_us\": %.1f", quantile_names[k], r->delays_us[i][k]);
        }
        (void)printf("}");
    }
    (void)printf("], \"last_copy\": [");
    for (unsigned i = 0; i < N_FAN_OUTS; i++) {
        (void)printf("%s{\"fan_out\": %u, \"us\": %.1f, \"floor_us\": %.1f, \"ratio\": %.3f}",
                     i == 0 ? "" : ", ", fan_outs[i], r->last_us[i], r->floor_us[i],
                     r->last_us[i] / r->floor_us[i]);
    }
    (void)printf("]}\n");
}

static void print_table(const struct results *r)
{
    (void)printf("in the dataplane, fan-out %d, %d bytes (%.0f ns a forward at full load)\n\n"
                 "load",
                 FAN_OUT, SIZE, r->ns);
    for (unsigned k = 0; k < N_QUANTILES; k++) {
        (void)printf("   %9s", quantile_names[k]);
    }
    for (unsigned i = 0; i < N_LOADS; i++) {
        (void)printf("\n%3u%%", loads[i]);
        for (unsigned k = 0; k < N_QUANTILES; k++) {
            (void)printf("   %6.1f us", r->delays_us[i][k]);
        }
    }
    (void)printf("\n\none packet, until the last copy has left\n\n"
                 "fan-out   last copy       floor   times\n");
    for (unsigned i = 0; i < N_FAN_OUTS; i++) {
        (void)printf("%7u   %6.1f us   %6.1f us   %5.2f\n", fan_outs[i], r->last_us[i],
                     r->floor_us[i], r->last_us[i] / r->floor_us[i]);
    }
    (void)printf("\nfloor: the same number of packets by ipsec-mb alone\n");
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct results *results;
    bool json = false;
    int c;

    while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        if (c != 'j') {
            (void)fprintf(c == 'h' ? stdout : stderr, "usage: tools/bench latency [--json]\n");
            return c == 'h' ? 0 : EXIT_USAGE;
        }
        json = true;
    }
    results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (results == MAP_FAILED || !measure(results)) {
        (void)fprintf(stderr, "latency: %s\n",
                      results == MAP_FAILED || results->err[0] == '\0' ? "a process died"
                                                                       : results->err);
        return 1;
    }
    if (json) {
        print_json(results);
    } else {
        print_table(results);
    }
    return 0;
}
