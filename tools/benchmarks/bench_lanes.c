/* tools/bench lanes: what a second lane is worth. One room's fan-out on 1, 2 and 4 lanes of
 * the dataplane, each on its thread, between in-memory ports, so that nobody else's work is
 * in it. Each number of lanes is a process of its own, as DPDK starts once; they take turns. A
 * lane's time is the CPU time of its thread: other programs of the machine do not count. */
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
    TURNS = 3,  /* of each number of lanes */
    ROUNDS = 9, /* of a turn */
    ROUND_FORWARDS = 400000,
    FLOOR_FORWARDS = 60000,
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

static double floor_ns(const struct options *o)
{
    struct crypt_floor *floor;
    double ns;

    if (crypt_floor_create(&floor, CRYPT_FLOOR_GCM128, o->subscribers, o->size) != 0) {
        return 0;
    }
    (void)crypt_floor_round(floor, o->subscribers, FLOOR_FORWARDS);
    ns = crypt_floor_round(floor, o->subscribers, FLOOR_FORWARDS);
    crypt_floor_destroy(floor);
    return ns;
}

static void print(const struct options *o, struct turn turns[N_COUNTS][TURNS], double floor)
{
    double ns[N_COUNTS], wall[N_COUNTS];

    for (unsigned c = 0; c < N_COUNTS; c++) {
        double all[TURNS * ROUNDS], walls[TURNS * ROUNDS];

        for (unsigned i = 0; i < TURNS * ROUNDS; i++) {
            all[i] = turns[c][i / ROUNDS].ns[i % ROUNDS];
            walls[i] = turns[c][i / ROUNDS].wall[i % ROUNDS];
        }
        ns[c] = number_median(all, sizeof(all) / sizeof(all[0]));
        wall[c] = number_median(walls, sizeof(walls) / sizeof(walls[0]));
    }
    if (o->json) {
        (void)printf("{\"subscribers\": %u, \"size\": %u, \"floor_ns\": %.1f, \"lanes\": [",
                     o->subscribers, o->size, floor);
        for (unsigned c = 0; c < N_COUNTS; c++) {
            (void)printf("%s{\"lanes\": %u, \"ns_per_forward\": %.1f, \"speedup\": %.3f, "
                         "\"wall_ns\": %.1f, \"wall_speedup\": %.3f}",
                         c == 0 ? "" : ", ", counts[c], ns[c], ns[0] / ns[c], wall[c],
                         wall[0] / wall[c]);
        }
        (void)printf("]}\n");
        return;
    }
    (void)printf("%u subscribers, %u bytes; %ld CPUs; bare ipsec-mb on one: %.1f ns\n\n",
                 o->subscribers, o->size, sysconf(_SC_NPROCESSORS_ONLN), floor);
    (void)printf("lanes   ns a forward   times   by the wall   times\n");
    for (unsigned c = 0; c < N_COUNTS; c++) {
        (void)printf("%5u   %12.1f   %5.2f   %11.1f   %5.2f\n", counts[c], ns[c],
                     ns[0] / ns[c], wall[c], wall[0] / wall[c]);
    }
    (void)printf("\nEvery subscriber got every packet. ns a forward: CPU of the busiest "
                 "lane's thread over\nthe forwards of all lanes.\n");
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
    }
    print(&o, turns, floor_ns(&o));
    return 0;
}
