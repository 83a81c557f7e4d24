/* tools/bench latency: how long a packet is in the dataplane, from when it was there to be
 * received until a copy was sent, at 10, 50 and 80 % of what a lane carries with a fan-out
 * of 100, the lane polling; at 10 % of a lane that sleeps between packets, too (adaptive);
 * and how long after one packet the last of N copies leaves, beside N times the bare cost
 * of encrypting one. A second thread, on another CPU, is the clock.
 *
 * A machine that does other things takes the CPU away from either thread, for milliseconds,
 * which says nothing of the dataplane. So a load is measured in short rounds, and one in
 * which that has happened is made again; what p99 would be with all of them is told beside
 * it. */
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
    PACKETS = 100, /* of a round at 80 %: two milliseconds, as all are */
    PACKETS_LOAD = 80,
    ROUNDS = 40, /* undisturbed ones of a load; with fewer than */
    LEAST = 10,  /* so many of TRIES there are no numbers */
    TRIES = 400,
    AWAY_NS = 100000, /* more is a disturbance */
    LONE = 100,       /* packets that come one by one, when all is quiet */
    CAPACITY_ROUNDS = 5,
    N_LOADS = 4,
    N_FAN_OUTS = 3,
    N_QUANTILES = 5,
    EXIT_USAGE = 2
};

static const double LATE = 1.05; /* of the time that a load would take */
static const unsigned loads[N_LOADS] = {10, 50, 80, 10};
static const bool sleeps[N_LOADS] = {false, false, false, true};
static const unsigned fan_outs[N_FAN_OUTS] = {100, 1000, 10000};
static const double quantiles[N_QUANTILES] = {0.5, 0.9, 0.99, 0.999, 1};
static const char *const quantile_names[N_QUANTILES] = {"p50", "p90", "p99", "p99.9",
                                                        "max"};

/* What children tell; shared. */
struct results {
    bool ok[2 + N_FAN_OUTS];
    char err[256];
    double ns; /* a forward at full load */
    double delays_us[N_LOADS][N_QUANTILES];
    double all_p99_us[N_LOADS]; /* disturbed rounds included */
    unsigned disturbed[N_LOADS], rounds[N_LOADS];
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

/* Rounds at a share of what the lane carries, until enough were undisturbed. */
static bool at_load(struct flow *flow, unsigned i, double *all, struct results *out)
{
    const unsigned packets = PACKETS * loads[i] / PACKETS_LOAD;
    const size_t round = (size_t)packets * FAN_OUT;
    const double every_ns = out->ns * FAN_OUT * 100 / loads[i];
    double *good = calloc(ROUNDS, round * sizeof(*good));
    unsigned n_good = 0, n = 0;
    bool ok = good != NULL;

    for (; ok && n < TRIES && n_good < ROUNDS; n++) {
        struct flow_result r;
        double *delays = all + n * round;

        ok = flow_round(flow, packets, every_ns, delays, &r, out->err, sizeof(out->err)) ==
             0;
        if (ok && r.away_ns < AWAY_NS && r.feed_ns < LATE * packets * every_ns) {
            memcpy(good + n_good++ * round, delays, round * sizeof(*good));
        }
    }
    if (ok && n_good < LEAST) {
        (void)snprintf(out->err, sizeof(out->err),
                       "at %u%% the machine let %u of %u rounds be: no numbers", loads[i],
                       n_good, n);
        ok = false;
    }
    for (unsigned k = 0; k < N_QUANTILES && ok; k++) {
        out->delays_us[i][k] = number_quantile(good, n_good * round, quantiles[k]) / 1e3;
    }
    if (ok) {
        out->all_p99_us[i] = number_quantile(all, n * round, 0.99) / 1e3;
        out->disturbed[i] = n - n_good;
        out->rounds[i] = n;
    }
    free(good);
    return ok;
}

/* All loads of a lane that sleeps, or does not. */
static bool residence(struct results *out, bool sleeping)
{
    double *all = calloc(TRIES, (size_t)PACKETS * FAN_OUT * sizeof(*all));
    struct flow *flow = NULL;
    bool ok = all != NULL && flow_create(&flow, 1, FAN_OUT, SIZE, !sleeping, out->err,
                                         sizeof(out->err)) == 0;

    if (ok && !sleeping) {
        ok = capacity(flow, out) == 0;
    }
    for (unsigned i = 0; i < N_LOADS && ok; i++) {
        ok = sleeps[i] != sleeping || at_load(flow, i, all, out);
    }
    flow_destroy(flow);
    free(all);
    return ok;
}

/* One packet to 'n', again and again: when the last copy has left. */
static void last_copy(unsigned i, struct results *out)
{
    const unsigned n = fan_outs[i];
    double last[LONE];
    struct crypt_floor *floor = NULL;
    struct flow *flow = NULL;
    double floors[LONE];

    out->ok[2 + i] = crypt_floor_create(&floor, CRYPT_FLOOR_GCM128, n, SIZE) == 0 &&
                     flow_create(&flow, 1, n, SIZE, true, out->err, sizeof(out->err)) == 0;
    for (unsigned k = 0; k < LONE && out->ok[2 + i]; k++) {
        floors[k] = crypt_floor_round(floor, n, n) * n;
        out->ok[2 + i] = flow_last_copy(flow, &last[k], out->err, sizeof(out->err)) == 0;
    }
    if (out->ok[2 + i]) {
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

    for (unsigned i = 0; i < 2 + N_FAN_OUTS && ok; i++) {
        pid_t pid;

        (void)fflush(NULL);
        pid = fork();
        if (pid == 0) {
            if (i < 2) {
                out->ok[i] = residence(out, i == 1);
            } else {
                last_copy(i - 2, out);
            }
            _exit(0);
        }
        ok = pid > 0 && waitpid(pid, NULL, 0) == pid && out->ok[i];
    }
    return ok;
}

static void print_json(const struct results *r)
{
    (void)printf(
        "{\"fan_out\": %d, \"size\": %d, \"ns_per_forward\": %.1f, \"residence\": [",
        FAN_OUT, SIZE, r->ns);
    for (unsigned i = 0; i < N_LOADS; i++) {
        (void)printf("%s{\"load\": %.2f, \"sleeps\": %s", i == 0 ? "" : ", ",
                     loads[i] / 100.0, sleeps[i] ? "true" : "false");
        for (unsigned k = 0; k < N_QUANTILES; k++) {
            (void)printf(", \"%s_us\": %.1f", quantile_names[k], r->delays_us[i][k]);
        }
        (void)printf(", \"all_p99_us\": %.1f, \"disturbed\": %u, \"rounds\": %u}",
                     r->all_p99_us[i], r->disturbed[i], r->rounds[i]);
    }
    (void)printf("], \"last_copy\": [");
    for (unsigned i = 0; i < N_FAN_OUTS; i++) {
        (void)printf(
            "%s{\"fan_out\": %u, \"us\": %.1f, \"floor_us\": %.1f, \"ratio\": %.3f}",
            i == 0 ? "" : ", ", fan_outs[i], r->last_us[i], r->floor_us[i],
            r->last_us[i] / r->floor_us[i]);
    }
    (void)printf("]}\n");
}

static void print_table(const struct results *r)
{
    (void)printf(
        "in the dataplane, fan-out %d, %d bytes (%.0f ns a forward at full load)\n\n"
        "load         ",
        FAN_OUT, SIZE, r->ns);
    for (unsigned k = 0; k < N_QUANTILES; k++) {
        (void)printf("   %9s", quantile_names[k]);
    }
    (void)printf("   p99 with disturbed rounds");
    for (unsigned i = 0; i < N_LOADS; i++) {
        (void)printf("\n%3u%%%s", loads[i], sleeps[i] ? " adaptive" : "         ");
        for (unsigned k = 0; k < N_QUANTILES; k++) {
            (void)printf("   %6.1f us", r->delays_us[i][k]);
        }
        (void)printf("   %6.1f us   %3u of %u", r->all_p99_us[i], r->disturbed[i],
                     r->rounds[i]);
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
            (void)fprintf(c == 'h' ? stdout : stderr,
                          "usage: tools/bench latency [--json]\n");
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
