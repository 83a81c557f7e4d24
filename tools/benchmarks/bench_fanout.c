/* tools/bench fanout: what it costs to forward a packet to one subscriber more, through
 * every stage of the dataplane, beside the bare loop over ipsec-mb with as many keys and
 * packets as large. Both take turns in one run, and medians are told, since the machine may
 * do other things meanwhile. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/crypt_floor.h"
#include "benchmarks/fanout_feedback.h"
#include "benchmarks/fanout_measure.h"
#include "benchmarks/numbers.h"

enum {
    EXIT_USAGE = 2,
    EXIT_NO_FLOOR = 3,
    SILENT_S = 10,
    /* with feedback: until every estimator runs, and is asked nothing by a first probe */
    WARM_UP_PACKETS = 3 * FANOUT_FEEDBACK_PACKETS_HZ
};

struct options {
    unsigned subscribers, size, trace;
    enum fanout_others others;
    bool cm80, json, stages, cold_floor, feedback, silent;
};

static const char *const stage_names[N_FANOUT_STAGES] = {
    [FANOUT_INGRESS] = "ingress", [FANOUT_ROUTE] = "route", [FANOUT_REWRITE] = "rewrite",
    [FANOUT_PROTECT] = "protect", [FANOUT_TX] = "tx",
};

/* Of one that is passed over: what a packet costs more than with 'alone', who is sent it. */
static double passed_ns(const struct options *o, const struct fanout_result *r,
                        const struct fanout_result *alone)
{
    return (r->ns * o->subscribers - alone->ns) / (o->subscribers - 1);
}

static void print_json(const struct options *o, const struct fanout_result *r,
                       const struct fanout_result *alone)
{
    (void)printf("{\"subscribers\": %u, \"size\": %u, \"profile\": \"%s\", "
                 "\"forwards_per_s\": %.0f, \"ns_per_forward\": %.1f, "
                 "\"feedback\": %s, \"encryption_ns\": %.1f, \"floor_ns\": %.1f, "
                 "\"one_key_ns\": %.1f, "
                 "\"floor_valid\": %s",
                 o->subscribers, o->size, o->cm80 ? "cm80" : "gcm128", 1e9 / r->ns, r->ns,
                 o->feedback ? "true" : "false", r->crypt_ns, r->floor_ns, r->one_key_ns,
                 r->floor_valid ? "true" : "false");
    if (r->floor_valid) {
        (void)printf(", \"ratio\": %.3f", r->floor_ns / r->ns);
    }
    if (o->others != FANOUT_SENT) {
        (void)printf(", \"packet_ns\": %.1f, \"passed_ns\": %.2f", alone->ns,
                     passed_ns(o, r, alone));
    }
    for (unsigned i = 0; i < N_FANOUT_STAGES && o->stages; i++) {
        (void)printf("%s\"%s\": %.1f", i == 0 ? ", \"stages_ns\": {" : ", ", stage_names[i],
                     r->stages[i]);
    }
    (void)printf("%s}\n", o->stages ? "}" : "");
}

static void print_table(const struct options *o, const struct fanout_result *r,
                        const struct fanout_result *alone)
{
    (void)printf("%u subscribers, %u bytes, %s%s\n\n", o->subscribers, o->size,
                 o->cm80 ? "AES-CM-128 HMAC-SHA1-80" : "AEAD-AES-128-GCM",
                 o->feedback ? ", with feedback" : "");
    if (o->others != FANOUT_SENT) {
        (void)printf("a packet to one     %10.1f ns\n%-20s%10.2f ns more\n", alone->ns,
                     o->others == FANOUT_PAUSED ? "one that is paused"
                                                : "one below its layer",
                     passed_ns(o, r, alone));
        return;
    }
    (void)printf("forwards a second   %10.0f   of one lane\n", 1e9 / r->ns);
    (void)printf("a forward           %10.1f ns\n", r->ns);
    (void)printf("of it encryption    %10.1f ns   alone, %u keys\n", r->crypt_ns,
                 o->subscribers);
    (void)printf("bare ipsec-mb       %10.1f ns   the floor, %u keys\n", r->floor_ns,
                 o->subscribers);
    (void)printf("the same, one key   %10.1f ns\n", r->one_key_ns);
    if (r->floor_valid) {
        (void)printf("ratio               %10.3f      floor / ours\n", r->floor_ns / r->ns);
    }
    for (unsigned i = 0; i < N_FANOUT_STAGES && o->stages; i++) {
        (void)printf("%s  %-17s %10.1f ns\n", i == 0 ? "\nwhere it goes\n" : "",
                     stage_names[i], r->stages[i]);
    }
}

static void print_silence(const struct options *o, double ns)
{
    if (o->json) {
        (void)printf("{\"subscribers\": %u, \"silent_ns_per_s\": %.0f}\n", o->subscribers,
                     ns);
    } else {
        (void)printf("one of %u that is sent nothing %10.0f ns a second\n", o->subscribers,
                     ns);
    }
}

static void usage(FILE *to)
{
    (void)fprintf(to,
                  "usage: tools/bench fanout [--subscribers N] [--size B] "
                  "[--profile gcm128|cm80]\n"
                  "                          [--paused | --below | --feedback | --silent] "
                  "[--stages] [--trace N]\n"
                  "                          [--cold-floor] [--json]\n\n"
                  "  --subscribers N   1 to %d (1000)\n"
                  "  --size B          bytes of the RTP packet before the tag, %d to %d "
                  "(1200)\n"
                  "  --profile P       gcm128 or cm80 (gcm128)\n"
                  "  --paused          all but one are: what is told is by how much a "
                  "packet costs\n"
                  "                    more for each that is passed over\n"
                  "  --below           likewise, of a layer below that of the packets\n"
                  "  --feedback        each subscriber sends transport-wide feedback %d "
                  "times a second\n"
                  "                    and receiver reports, of %d packets a second; its "
                  "estimator runs\n"
                  "  --silent          nothing is sent: what each subscriber costs a second all "
                  "the same\n"
                  "  --stages          also where the time goes; costs some ns itself\n"
                  "  --trace N         one burst in so many is traced (lanes.trace); 0: "
                  "none (0)\n"
                  "  --cold-floor      the floor prefetches nothing: to see it refused\n"
                  "  --json            one line of JSON\n",
                  FANOUT_SUBS_MAX, FANOUT_SIZE_MIN, FANOUT_SIZE_MAX, FANOUT_FEEDBACK_HZ,
                  FANOUT_FEEDBACK_PACKETS_HZ);
}

static bool parse_profile(const char *text, bool *cm80)
{
    *cm80 = strcmp(text, "cm80") == 0;
    if (!*cm80 && strcmp(text, "gcm128") != 0) {
        (void)fprintf(stderr, "--profile: '%s' is neither gcm128 nor cm80\n", text);
        return false;
    }
    return true;
}

/* Returns -1 to go on, or the exit code. */
static int parse(struct options *o, int argc, char **argv)
{
    static const struct option longs[] = {{"subscribers", required_argument, NULL, 'n'},
                                          {"size", required_argument, NULL, 's'},
                                          {"profile", required_argument, NULL, 'p'},
                                          {"paused", no_argument, NULL, 'P'},
                                          {"below", no_argument, NULL, 'B'},
                                          {"feedback", no_argument, NULL, 'F'},
                                          {"silent", no_argument, NULL, 'Q'},
                                          {"stages", no_argument, NULL, 'S'},
                                          {"trace", required_argument, NULL, 't'},
                                          {"cold-floor", no_argument, NULL, 'C'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    bool ok = true;
    int c;

    while (ok && (c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (c) {
        case 'n':
            ok = number_parse("--subscribers", optarg, 1, FANOUT_SUBS_MAX, &o->subscribers);
            break;
        case 's':
            ok = number_parse("--size", optarg, FANOUT_SIZE_MIN, FANOUT_SIZE_MAX, &o->size);
            break;
        case 'p':
            ok = parse_profile(optarg, &o->cm80);
            break;
        case 'P':
            o->others = FANOUT_PAUSED;
            break;
        case 'B':
            o->others = FANOUT_BELOW;
            break;
        case 'F':
            o->feedback = true;
            break;
        case 'Q':
            o->silent = true;
            break;
        case 'S':
            o->stages = true;
            break;
        case 't':
            ok = number_parse("--trace", optarg, 0, 1000000, &o->trace);
            break;
        case 'C':
            o->cold_floor = true;
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
    if (ok && o->others != FANOUT_SENT && o->subscribers < 2) {
        (void)fprintf(stderr, "--paused and --below need another: 2 --subscribers\n");
        ok = false;
    }
    if (ok && (o->feedback || o->silent) &&
        (o->stages || o->others != FANOUT_SENT || (o->feedback && o->silent))) {
        (void)fprintf(stderr, "--feedback and --silent go with none of --paused, --below, "
                              "--stages\n");
        ok = false;
    }
    return ok ? -1 : EXIT_USAGE;
}

/* Until each estimator has what it goes by. */
static int warm_up(struct fanout *fanout, char *err, size_t err_cap)
{
    int e = fanout_feedback_open(fanout);

    if (e != 0) {
        (void)snprintf(err, err_cap, "what subscribers send back: %s", strerror(-e));
    }
    for (unsigned n = 0; n < WARM_UP_PACKETS && e == 0; n += FANOUT_FEEDBACK_HZ) {
        double unused;

        e = fanout_round(fanout, FANOUT_FEEDBACK_HZ, &unused, NULL, err, err_cap);
    }
    return e;
}

/* One who is sent everything, for --paused and --below. */
static int measure_alone(const struct options *o, enum crypt_profile profile,
                         struct crypt_floor *floor, struct fanout_result *out, char *err,
                         size_t err_cap)
{
    struct fanout *fanout = NULL;
    int e = fanout_create(&fanout, profile, 1, o->size, o->others, err, err_cap);

    if (e == 0) {
        e = fanout_measure(fanout, floor, 1, false, out, err, err_cap);
    }
    fanout_destroy(fanout);
    return e;
}

int main(int argc, char **argv)
{
    struct options o = {.subscribers = 1000, .size = 1200};
    struct crypt_floor *floor = NULL;
    struct fanout *fanout = NULL;
    struct fanout_result result, alone = {0};
    enum crypt_profile profile;
    char err[256] = "";
    int code = parse(&o, argc, argv);
    int e;

    if (code >= 0) {
        return code;
    }
    profile = o.cm80 ? CRYPT_AES128_CM_SHA1_80 : CRYPT_AEAD_AES_128_GCM;
    e = crypt_floor_create(&floor, o.cm80 ? CRYPT_FLOOR_CM80 : CRYPT_FLOOR_GCM128,
                           o.subscribers, o.size);
    if (e != 0) {
        (void)snprintf(err, sizeof(err), "the bare ipsec-mb loop: %s", strerror(-e));
    } else {
        if (o.cold_floor) {
            crypt_floor_chill(floor);
        }
        if (o.others != FANOUT_SENT) {
            e = measure_alone(&o, profile, floor, &alone, err, sizeof(err));
        }
        if (e == 0) {
            e = fanout_create(&fanout, profile, o.subscribers, o.size, o.others, err,
                              sizeof(err));
        }
    }
    if (e == 0 && o.silent) {
        print_silence(&o, fanout_silence(fanout, SILENT_S));
        goto out;
    }
    if (e == 0 && o.feedback) {
        e = warm_up(fanout, err, sizeof(err));
    }
    if (e == 0) {
        fanout_trace(fanout, o.trace);
        e = fanout_measure(fanout, floor, o.subscribers, o.stages, &result, err,
                           sizeof(err));
    }
    if (e != 0) {
        (void)fprintf(stderr, "fanout: %s\n", err);
    } else if (o.json) {
        print_json(&o, &result, &alone);
    } else {
        print_table(&o, &result, &alone);
    }
out:
    fanout_destroy(fanout);
    crypt_floor_destroy(floor);
    if (e == 0 && !o.silent && !result.floor_valid && o.others == FANOUT_SENT) {
        (void)fprintf(stderr,
                      "fanout: refused: the floor costs %.2f times the loop with one key, "
                      "more than %.1f: it is memory's, not the cipher's\n",
                      result.floor_ns / result.one_key_ns, CRYPT_FLOOR_VALID_RATIO);
        return EXIT_NO_FLOOR;
    }
    return e == 0 ? 0 : 1;
}
