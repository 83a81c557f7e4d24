/* tools/bench growth: what a forward costs with 10 subscribers, with 10,000 and between,
 * beside the floor of as many keys; as a table, as JSON, and as a picture. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/growth_plot.h"
#include "benchmarks/numbers.h"

enum { EXIT_USAGE = 2 };

static const unsigned STEPS[] = {10, 30, 100, 300, 1000, 3000, 10000};
enum { N_STEPS = sizeof(STEPS) / sizeof(STEPS[0]) };

static int measure(unsigned n_subs, unsigned size, struct fanout_result *out, char *err,
                   size_t err_cap)
{
    struct crypt_floor *floor = NULL;
    struct fanout *fanout = NULL;
    int e = crypt_floor_create(&floor, CRYPT_FLOOR_GCM128, n_subs, size);

    if (e != 0) {
        (void)snprintf(err, err_cap, "the bare ipsec-mb loop: %s", strerror(-e));
        return e;
    }
    e = fanout_create(&fanout, CRYPT_AEAD_AES_128_GCM, n_subs, size, FANOUT_SENT, err,
                      err_cap);
    if (e == 0) {
        e = fanout_measure(fanout, floor, n_subs, false, out, err, err_cap);
    }
    fanout_destroy(fanout);
    crypt_floor_destroy(floor);
    return e;
}

static void print(const struct growth_point *points, unsigned size, bool json)
{
    if (json) {
        (void)printf("{\"size\": %u, \"points\": [", size);
    } else {
        (void)printf("%11s %12s %12s %12s %8s\n", "subscribers", "a forward ns", "floor ns",
                     "one key ns", "ratio");
    }
    for (unsigned i = 0; i < N_STEPS; i++) {
        const struct fanout_result *r = &points[i].result;
        char ratio[16] = "";

        if (r->floor_valid) {
            (void)snprintf(ratio, sizeof(ratio), "%.3f", r->floor_ns / r->ns);
        }
        if (json) {
            (void)printf("%s{\"subscribers\": %u, \"ns_per_forward\": %.1f, "
                         "\"floor_ns\": %.1f, \"one_key_ns\": %.1f, \"ratio\": %s}",
                         i > 0 ? ", " : "", points[i].n_subs, r->ns, r->floor_ns,
                         r->one_key_ns, r->floor_valid ? ratio : "null");
        } else {
            (void)printf("%11u %12.1f %12.1f %12.1f %8s\n", points[i].n_subs, r->ns,
                         r->floor_ns, r->one_key_ns, r->floor_valid ? ratio : "refused");
        }
    }
    (void)printf(json ? "]}\n" : "");
}

static void usage(FILE *to)
{
    (void)fprintf(to,
                  "usage: tools/bench growth [--size B] [--png FILE] [--json]\n\n"
                  "  --size B     bytes of the RTP packet before the tag, %d to %d (1200)\n"
                  "  --png FILE   where it is drawn (build/growth.png)\n"
                  "  --json       one line of JSON\n",
                  FANOUT_SIZE_MIN, FANOUT_SIZE_MAX);
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"size", required_argument, NULL, 's'},
                                          {"png", required_argument, NULL, 'p'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct growth_point points[N_STEPS];
    const char *png = "build/growth.png";
    unsigned size = 1200;
    bool json = false;
    char err[256] = "";
    int c, e = 0;

    while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (c) {
        case 's':
            if (!number_parse("--size", optarg, FANOUT_SIZE_MIN, FANOUT_SIZE_MAX, &size)) {
                return EXIT_USAGE;
            }
            break;
        case 'p':
            png = optarg;
            break;
        case 'j':
            json = true;
            break;
        default:
            usage(c == 'h' ? stdout : stderr);
            return c == 'h' ? 0 : EXIT_USAGE;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "'%s' is not an option\n", argv[optind]);
        return EXIT_USAGE;
    }
    for (unsigned i = 0; i < N_STEPS && e == 0; i++) {
        points[i].n_subs = STEPS[i];
        e = measure(STEPS[i], size, &points[i].result, err, sizeof(err));
    }
    if (e != 0) {
        (void)fprintf(stderr, "growth: %s\n", err);
        return 1;
    }
    print(points, size, json);
    if (growth_plot(points, N_STEPS, size, png) != 0) {
        (void)fprintf(stderr, "growth: %s cannot be written\n", png);
        return 1;
    }
    return 0;
}
