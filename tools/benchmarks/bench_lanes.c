/* tools/bench lanes: what a second lane is worth. One room's fan-out on 1, 2 and 4 lanes of
 * the dataplane, each on its thread, between in-memory ports, so that nobody else's work is
 * in it. Beside it the bare loop of ipsec-mb on as many threads at once, where there is a
 * CPU for each: what the machine itself gives for a second one. Each number of lanes is a
 * process of its own, as DPDK starts once; they take turns. A lane's time is the CPU time
 * of its thread: other programs of the machine do not count. */
#include <getopt.h>
#include <pthread.h>
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
    TURNS = 3,  /* of each number of lanes */
    ROUNDS = 9, /* of a turn */
    ROUND_FORWARDS = 400000,
    FLOOR_FORWARDS = 400000,
    FLOOR_WARM = 10, /* a part of them, before */
    N_COUNTS = 3,
    EXIT_USAGE = 2
};

static const unsigned counts[N_COUNTS] = {1, 2, 4};

struct options {
    unsigned subscribers, size;
    bool json;
};

/* What a child tells; shared. */
struct turn {
    bool ok;
    double ns[ROUNDS];   /* of the busiest lane, a forward of all lanes */
    double wall[ROUNDS]; /* likewise, by the clock on the wall */
    char err[256];
};

static void take_turn(const struct options *o, unsigned n_lanes, struct turn *turn)
{
    const unsigned want = ROUND_FORWARDS / o->subscribers;
    const unsigned n = want < 1 ? 1 : want > FLOW_PACKETS ? FLOW_PACKETS : want;
    struct flow_result r;
    struct flow *flow;
    int e = flow_create(&flow, n_lanes, o->subscribers, o->size, false, turn->err,
                        sizeof(turn->err));

    if (e != 0) {
        return;
    }
    e = flow_round(flow, n, 0, NULL, &r, turn->err, sizeof(turn->err)); /* warms up */
    for (unsigned i = 0; i < ROUNDS && e == 0; i++) {
        double most = 0;

        e = flow_round(flow, n, 0, NULL, &r, turn->err, sizeof(turn->err));
        for (unsigned k = 0; k < n_lanes; k++) {
            most = r.lane_ns[k] > most ? r.lane_ns[k] : most;
        }
        turn->ns[i] = most / (double)r.forwards;
        turn->wall[i] = r.wall_ns / (double)r.forwards;
    }
    turn->ok = e == 0;
    flow_destroy(flow);
}

/* In a process of its own. */
static bool run_turn(const struct options *o, unsigned n_lanes, struct turn *turn)
{
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        take_turn(o, n_lanes, turn);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, NULL, 0) != pid || !turn->ok) {
        (void)fprintf(stderr, "lanes: %u lanes: %s\n", n_lanes,
                      turn->err[0] != '\0' ? turn->err : "the process died");
        return false;
    }
    return true;
}

/* ---- the floor ---- */

struct floor_thread {
    pthread_t thread;
    pthread_barrier_t *start;
    struct crypt_floor *floor;
    unsigned n_keys;
    double ns; /* of CPU, a packet */
};

static void *floor_main(void *arg)
{
    struct floor_thread *t = arg;

    (void)crypt_floor_round(t->floor, t->n_keys, FLOOR_FORWARDS / FLOOR_WARM);
    (void)pthread_barrier_wait(t->start);
    t->ns = crypt_floor_round(t->floor, t->n_keys, FLOOR_FORWARDS);
    return NULL;
}

/* CPU of the slowest of 'n' threads, which share the subscribers, over the packets of all;
 * 0 if it cannot be had. */
static double floor_ns(const struct options *o, unsigned n)
{
    struct floor_thread threads[FLOW_LANES] = {0};
    pthread_barrier_t start;
    unsigned n_ready = 0, n_begun = 0;
    double most = 0;

    while (n_ready < n) {
        struct floor_thread *t = &threads[n_ready];

        t->start = &start;
        t->n_keys = o->subscribers / n;
        if (crypt_floor_create(&t->floor, CRYPT_FLOOR_GCM128, t->n_keys, o->size) != 0) {
            break;
        }
        n_ready++;
    }
    if (n_ready == n && pthread_barrier_init(&start, NULL, n) == 0) {
        while (n_begun < n && pthread_create(&threads[n_begun].thread, NULL, floor_main,
                                             &threads[n_begun]) == 0) {
            n_begun++;
        }
        if (n_begun < n) {
            perror("lanes: a thread"); /* the others would wait for it */
            exit(1);
        }
        for (unsigned i = 0; i < n; i++) {
            (void)pthread_join(threads[i].thread, NULL);
            most = threads[i].ns > most ? threads[i].ns : most;
        }
        (void)pthread_barrier_destroy(&start);
    }
    for (unsigned i = 0; i < n_ready; i++) {
        crypt_floor_destroy(threads[i].floor);
    }
    return most / n;
}

/* The floor of each number of lanes; 0 where there are too few CPUs. */
static void measure_floors(const struct options *o, double floors[N_COUNTS][TURNS],
                           unsigned turn)
{
    for (unsigned c = 0; c < N_COUNTS; c++) {
        floors[c][turn] = counts[c] <= (unsigned)sysconf(_SC_NPROCESSORS_ONLN)
                              ? floor_ns(o, counts[c])
                              : 0;
    }
}

/* ---- what is told ---- */

static void print(const struct options *o, struct turn turns[N_COUNTS][TURNS],
                  double floors[N_COUNTS][TURNS])
{
    double ns[N_COUNTS], wall[N_COUNTS], floor[N_COUNTS];

    for (unsigned c = 0; c < N_COUNTS; c++) {
        double all[TURNS * ROUNDS], walls[TURNS * ROUNDS];

        for (unsigned i = 0; i < TURNS * ROUNDS; i++) {
            all[i] = turns[c][i / ROUNDS].ns[i % ROUNDS];
            walls[i] = turns[c][i / ROUNDS].wall[i % ROUNDS];
        }
        ns[c] = number_median(all, sizeof(all) / sizeof(all[0]));
        wall[c] = number_median(walls, sizeof(walls) / sizeof(walls[0]));
        floor[c] = number_median(floors[c], TURNS);
    }
    if (o->json) {
        (void)printf("{\"subscribers\": %u, \"size\": %u, \"floor_ns\": %.1f, \"lanes\": [",
                     o->subscribers, o->size, floor[0]);
        for (unsigned c = 0; c < N_COUNTS; c++) {
            (void)printf("%s{\"lanes\": %u, \"ns_per_forward\": %.1f, \"speedup\": %.3f, "
                         "\"wall_ns\": %.1f, \"wall_speedup\": %.3f",
                         c == 0 ? "" : ", ", counts[c], ns[c], ns[0] / ns[c], wall[c],
                         wall[0] / wall[c]);
            if (floor[c] > 0) {
                (void)printf(", \"floor_ns\": %.1f, \"floor_speedup\": %.3f", floor[c],
                             floor[0] / floor[c]);
            }
            (void)printf("}");
        }
        (void)printf("]}\n");
        return;
    }
    (void)printf("%u subscribers, %u bytes; %ld CPUs\n\n", o->subscribers, o->size,
                 sysconf(_SC_NPROCESSORS_ONLN));
    (void)printf(
        "lanes   ns a forward   times   by the wall   times   bare ipsec-mb   times\n");
    for (unsigned c = 0; c < N_COUNTS; c++) {
        (void)printf("%5u   %12.1f   %5.2f   %11.1f   %5.2f", counts[c], ns[c],
                     ns[0] / ns[c], wall[c], wall[0] / wall[c]);
        if (floor[c] > 0) {
            (void)printf("   %13.1f   %5.2f", floor[c], floor[0] / floor[c]);
        }
        (void)printf("\n");
    }
    (void)printf("\nEvery subscriber got every packet. ns a forward: CPU of the busiest "
                 "lane's thread over\nthe forwards of all lanes; bare "
                 "ipsec-mb: likewise, on as many threads at once.\n");
}

static void usage(FILE *to)
{
    (void)fprintf(to,
                  "usage: tools/bench lanes [--subscribers N] [--size B] [--json]\n\n"
                  "  --subscribers N   4 to %d (1000)\n"
                  "  --size B          bytes of the RTP packet before the tag, 64 to 1400 "
                  "(1200)\n",
                  FLOW_SUBS);
}

/* Returns -1 to go on, or the exit code. */
static int parse(struct options *o, int argc, char **argv)
{
    static const struct option longs[] = {{"subscribers", required_argument, NULL, 'n'},
                                          {"size", required_argument, NULL, 's'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    bool ok = true;
    int c;

    while (ok && (c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (c) {
        case 'n':
            ok = number_parse("--subscribers", optarg, FLOW_LANES, FLOW_SUBS,
                              &o->subscribers);
            break;
        case 's':
            ok = number_parse("--size", optarg, 64, 1400, &o->size);
            break;
        case 'j':
            o->json = true;
            break;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return EXIT_USAGE;
        }
    }
    if (ok && optind < argc) {
        (void)fprintf(stderr, "'%s' is not an option\n", argv[optind]);
        ok = false;
    }
    return ok ? -1 : EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct options o = {.subscribers = 1000, .size = 1200};
    struct turn(*turns)[TURNS];
    double floors[N_COUNTS][TURNS];
    int code = parse(&o, argc, argv);

    if (code >= 0) {
        return code;
    }
    turns = mmap(NULL, N_COUNTS * sizeof(*turns), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (turns == MAP_FAILED) {
        perror("lanes");
        return 1;
    }
    for (unsigned t = 0; t < TURNS; t++) {
        for (unsigned c = 0; c < N_COUNTS; c++) {
            if (!run_turn(&o, counts[c], &turns[c][t])) {
                return 1;
            }
        }
        measure_floors(&o, floors, t);
    }
    print(&o, turns, floors);
    return 0;
}
