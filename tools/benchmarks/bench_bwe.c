/* tools/bench bwe: one subscriber behind a bottleneck, in virtual time, with the product's
 * estimator, allocation and pacer: what it makes of the link, as a table and as a plot. The
 * same scenario and seed give the same figures on any machine. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "benchmarks/bwe_plot.h"
#include "support/bwe_world.h"

enum { EXIT_USAGE = 2, PATH_MAX_LEN = 512 };

struct options {
    const char *scenario, *out;
    uint64_t seed;
    bool json;
};

static struct world_trace trace;

static void usage(FILE *to)
{
    (void)fprintf(to, "usage: tools/bench bwe [--scenario NAME] [--seed N] [--out DIR] "
                      "[--json]\n\n"
                      "  --scenario NAME   one of those below (all)\n"
                      "  --seed N          of loss, jitter and frame sizes (1)\n"
                      "  --out DIR         where bwe-NAME.png goes; is made (.)\n"
                      "  --json            an array of objects instead of the table\n\n");
    for (size_t i = 0; i < world_n_scenarios; i++) {
        (void)fprintf(to, "  %-12s %s\n", world_scenarios[i].name, world_scenarios[i].text);
    }
}

static void print_row(const struct world_scenario *s, size_t i)
{
    const struct world_phase *p = &trace.phases[i];
    char converged[24] = "never";

    if (p->converged_ms >= 0) {
        (void)snprintf(converged, sizeof(converged), "%.1f s",
                       (double)p->converged_ms / 1000);
    }
    (void)printf("%-12s %7.1f %9.2f %10s %11.2f %8.2f %6.0f ms %6.0f ms %6.1f %%\n",
                 i == 0 ? s->name : "", (double)p->begin_ms / 1000,
                 (double)p->capacity_bps / 1e6, converged, (double)p->utilisation,
                 (double)p->estimate, (double)p->queue_p50_ms, (double)p->queue_p95_ms,
                 100 * (double)p->loss);
}

static void print_json(const struct world_scenario *s, const char *png)
{
    (void)printf("{\"scenario\": \"%s\", \"png\": \"%s\", \"probes\": %u, "
                 "\"switches\": %u, \"audio_p95_ms\": %.1f, \"frames\": %u, "
                 "\"withheld\": %u, \"phases\": [",
                 s->name, png, trace.n_probes, trace.switches, (double)trace.audio_p95_ms,
                 trace.n_frames, trace.n_withheld);
    for (size_t i = 0; i < trace.n_phases; i++) {
        const struct world_phase *p = &trace.phases[i];

        (void)printf("%s{\"begin_ms\": %u, \"capacity_bps\": %u, \"converged_ms\": %d, "
                     "\"utilisation\": %.3f, \"estimate\": %.3f, \"queue_p50_ms\": %.1f, "
                     "\"queue_p95_ms\": %.1f, \"loss\": %.4f}",
                     i == 0 ? "" : ", ", p->begin_ms, p->capacity_bps, p->converged_ms,
                     (double)p->utilisation, (double)p->estimate, (double)p->queue_p50_ms,
                     (double)p->queue_p95_ms, (double)p->loss);
    }
    (void)printf("]}");
}

static int run_one(const struct options *o, const struct world_scenario *s, bool first)
{
    char path[PATH_MAX_LEN];
    int err;

    (void)snprintf(path, sizeof(path), "%s/bwe-%s.png", o->out, s->name);
    world_run(s, o->seed, &trace);
    err = bwe_plot(s, &trace, path);
    if (err != 0) {
        (void)fprintf(stderr, "bwe: cannot write %s\n", path);
        return err;
    }
    if (o->json) {
        (void)printf("%s", first ? "" : ",\n ");
        print_json(s, path);
        return 0;
    }
    for (size_t i = 0; i < trace.n_phases; i++) {
        print_row(s, i);
    }
    return 0;
}

/* The directory and those above it. Returns 0 or -errno. */
static int make_dir(const char *dir)
{
    char path[PATH_MAX_LEN];

    (void)snprintf(path, sizeof(path), "%s", dir);
    for (char *slash = path; slash != NULL;) {
        slash = strchr(slash + 1, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        if (mkdir(path, 0777) != 0 && errno != EEXIST) {
            return -errno;
        }
        if (slash != NULL) {
            *slash = '/';
        }
    }
    return 0;
}

static int run(const struct options *o)
{
    bool first = true;
    int err = make_dir(o->out);

    if (err != 0) {
        (void)fprintf(stderr, "bwe: cannot make %s: %s\n", o->out, strerror(-err));
        return 1;
    }
    if (o->json) {
        (void)printf("[");
    } else {
        (void)printf("%-12s %7s %9s %10s %11s %8s %9s %9s %8s\n", "scenario", "from s",
                     "Mb/s", "converged", "utilisation", "estimate", "queue p50",
                     "queue p95", "loss");
    }
    for (size_t i = 0; i < world_n_scenarios && err == 0; i++) {
        if (o->scenario == NULL || strcmp(o->scenario, world_scenarios[i].name) == 0) {
            err = run_one(o, &world_scenarios[i], first);
            first = false;
        }
    }
    if (o->json) {
        (void)printf("]\n");
    } else if (err == 0) {
        (void)printf("\nplots: %s/bwe-NAME.png\n", o->out);
    }
    if (first) {
        (void)fprintf(stderr, "bwe: no scenario '%s'\n", o->scenario);
        usage(stderr);
        return EXIT_USAGE;
    }
    return err == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"scenario", required_argument, NULL, 's'}, {"seed", required_argument, NULL, 'n'},
        {"out", required_argument, NULL, 'o'},      {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    struct options o = {.out = ".", .seed = 1};
    char *end;
    int c;

    while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (c) {
        case 's':
            o.scenario = strcmp(optarg, "all") == 0 ? NULL : optarg;
            break;
        case 'n':
            o.seed = strtoull(optarg, &end, 10);
            if (optarg[0] < '0' || optarg[0] > '9' || *end != '\0') {
                (void)fprintf(stderr, "--seed: '%s' is not a number\n", optarg);
                return EXIT_USAGE;
            }
            break;
        case 'o':
            o.out = optarg;
            break;
        case 'j':
            o.json = true;
            break;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "'%s' is not an option\n", argv[optind]);
        return EXIT_USAGE;
    }
    return run(&o);
}
