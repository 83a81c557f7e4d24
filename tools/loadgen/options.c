#include "loadgen/options.h"

#include <stdlib.h>
#include <string.h>

#include "loadgen/crew.h"
#include "loadgen/dtls.h"
#include "loadgen/payload.h"
#include "loadgen/sender.h"
#include "loadgen/target.h"
#include "loadgen/usage.h"

enum {
    MAX_CLIENTS = 100000,
    MAX_ROOMS = 10000,
    AUDIO_RATE = 50,
    AUDIO_SIZE = 160,
    VIDEO_RATE = 120,
    VIDEO_SIZE = 1100
};

static bool complain(const char *what, const char *which)
{
    fprintf(stderr, "kcs-loadgen: %s%s; see 'kcs-loadgen --help'\n", what, which);
    return false;
}

static bool take_count(const char *name, uint32_t min, uint32_t max, uint32_t *out)
{
    char *end;
    unsigned long value = strtoul(optarg, &end, 10);

    if (optarg[0] < '0' || optarg[0] > '9' || *end != '\0' || value < min || value > max) {
        fprintf(stderr, "kcs-loadgen: --%s is a number from %u to %u, not '%s'\n", name,
                min, max, optarg);
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

static bool take_seconds(const char *name, double *out)
{
    char *end;
    double value = strtod(optarg, &end);

    if (end == optarg || *end != '\0' || !(value >= 0 && value <= 86400)) {
        fprintf(stderr, "kcs-loadgen: --%s is a number of seconds, not '%s'\n", name,
                optarg);
        return false;
    }
    *out = value;
    return true;
}

static bool take_media(struct options *o)
{
    o->audio = strcmp(optarg, "audio") == 0 || strcmp(optarg, "both") == 0;
    o->video = strcmp(optarg, "video") == 0 || strcmp(optarg, "both") == 0;
    return o->audio || o->video ||
           complain("--media is audio, video or both, not ", optarg);
}

/* Names of patterns; NULL stands for 'fixed'. */
static bool take_pattern(struct options *o, bool video)
{
    static const struct {
        const char *name;
        const struct pattern *pattern;
        bool video;
        uint8_t layers;
    } known[] = {{"fixed", NULL, true, 0},
                 {"fixed", NULL, false, 0},
                 {"vp8", &pattern_vp8[PATTERN_LAYERS - 1], true, 1},
                 {"vp8-simulcast", pattern_vp8, true, PATTERN_LAYERS},
                 {"h264", &pattern_h264, true, 1},
                 {"opus", &pattern_opus, false, 1},
                 {"opus-dtx", &pattern_opus_dtx, false, 1}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].video == video && strcmp(known[i].name, optarg) == 0) {
            *(video ? &o->video_pattern : &o->audio_pattern) = known[i].pattern;
            o->pattern_layers = video ? known[i].layers : o->pattern_layers;
            return true;
        }
    }
    return video ? complain("--video-pattern is fixed, vp8, vp8-simulcast or h264, not ",
                            optarg)
                 : complain("--audio-pattern is fixed, opus or opus-dtx, not ", optarg);
}

static bool take_send(struct options *o)
{
    o->when_all = strcmp(optarg, "when-all") == 0;
    return o->when_all || strcmp(optarg, "at-once") == 0 ||
           complain("--send is at-once or when-all, not ", optarg);
}

/* Takes one option. Returns false after saying what is wrong. */
static bool take(struct options *o, int letter)
{
    switch (letter) {
    case 'u':
        o->url = optarg;
        return true;
    case 'f':
        o->secret_file = optarg;
        return true;
    case 'C':
        o->ca_file = optarg;
        return true;
    case 'I':
        o->insecure = true;
        return true;
    case 'm':
        o->meeting = optarg;
        return true;
    case 'A':
        o->address = optarg;
        return true;
    case 'p':
        o->profiles = optarg;
        return true;
    case 'P':
        return take_count("publishers", 0, MAX_CLIENTS, &o->publishers);
    case 'S':
        return take_count("subscribers", 0, MAX_CLIENTS, &o->subscribers);
    case 'M':
        return take_media(o);
    case 'v':
    case 'y':
        return take_pattern(o, letter == 'v');
    case 'e':
        return take_count("pace", 0, 20, &o->pace_ms);
    case 'w':
        return take_send(o);
    case 'l':
        return take_count("layers", 1, SENDER_MAX_LAYERS, &o->layers);
    case 'r':
        return take_count("rate", 1, 100000, &o->rate);
    case 'a':
        return take_count("audio-rate", 1, 1000, &o->audio_rate);
    case 'o':
        return take_count("rooms", 1, MAX_ROOMS, &o->rooms);
    case 'x':
        return take_count("processes", 1, CREW_MAX, &o->processes);
    case 'c':
        return take_count("chat", 0, 86400, &o->chat);
    case 'z':
        return take_count("size", PAYLOAD_MIN, PAYLOAD_MAX, &o->size);
    case 'J':
        return take_count("join-rate", 1, 100000, &o->join_rate);
    case 'K':
        return take_count("verify-every", 1, MAX_CLIENTS, &o->verify_every);
    case 't':
        return take_seconds("seconds", &o->seconds);
    case 'H':
        return take_seconds("hold", &o->hold);
    case 'T':
        return take_seconds("join-timeout", &o->join_timeout);
    case 'L':
        return take_seconds("restless", &o->restless);
    case 'R':
        o->resume = true;
        return true;
    case 'F':
        o->no_feedback = true;
        return true;
    case 'W':
        o->allow_remote = true;
        return true;
    case 'j':
        o->json = true;
        return true;
    case 'q':
        o->quiet = true;
        return true;
    default:
        return false; /* getopt has said what */
    }
}

/* A pattern has rates, sizes and layers of its own. */
static bool of_one_kind(struct options *o)
{
    bool patterned = o->video ? o->video_pattern != NULL : o->audio_pattern != NULL;

    if (patterned && (o->rate != 0 || o->size != 0 || (o->video && o->layers != 0))) {
        return complain("--rate, --size and --layers are of what is fixed, not of a pattern",
                        "");
    }
    if (!o->video && o->layers != 0) {
        return complain("--layers is of video, which --media leaves out", "");
    }
    if (o->video && o->audio_pattern != NULL && o->audio_rate != 0) {
        return complain("--audio-rate is of audio that is fixed, not of a pattern", "");
    }
    if (o->audio_rate != 0 && !(o->audio && o->video)) {
        return complain("--audio-rate is of --media both: of one kind the rate is --rate", "");
    }
    if (o->pace_ms != 0 && o->video_pattern == NULL) {
        return complain("--pace is of a pattern of video", "");
    }
    if ((o->video_pattern != NULL && !o->video) || (o->audio_pattern != NULL && !o->audio)) {
        return complain("a pattern is given of what --media leaves out", "");
    }
    if (o->video_pattern != NULL) {
        o->layers = o->pattern_layers;
    } else if (o->layers == 0) {
        o->layers = 1;
    }
    return true;
}

/* What is no URL is told when it is resolved. */
static bool of_https(const struct options *o)
{
    struct target_url url;

    if (o->ca_file != NULL && o->insecure) {
        return complain("--ca-file says whom to believe, --insecure to believe anybody: give one",
                        "");
    }
    if ((o->ca_file != NULL || o->insecure) && target_url_parse(o->url, &url) == 0 &&
        !url.secure) {
        return complain(o->insecure ? "--insecure" : "--ca-file",
                        " is of https; --url is of http, which has no certificates");
    }
    return true;
}

static bool complete(struct options *o)
{
    if (o->url == NULL) {
        return complain("missing: ", "--url");
    }
    if (o->secret_file == NULL) {
        return complain("missing: ", "--secret-file");
    }
    if (o->meeting == NULL || o->meeting[0] == '\0') {
        return complain("missing: ", "--meeting");
    }
    if (o->publishers + o->subscribers == 0) {
        return complain("missing: ", "--publishers or --subscribers");
    }
    if ((uint64_t)(o->publishers + o->subscribers) * o->rooms > MAX_CLIENTS) {
        return complain("too many clients", "");
    }
    if (o->chat > 0 && (o->publishers == 0 || o->chat > o->seconds)) {
        return complain("--chat needs a publisher, and that many --seconds", "");
    }
    if (!of_https(o) || !of_one_kind(o)) {
        return false;
    }
    if (o->rate == 0) {
        o->rate = o->video ? VIDEO_RATE : AUDIO_RATE;
    }
    if (o->audio_rate == 0) {
        o->audio_rate = AUDIO_RATE;
    }
    if (o->size == 0) {
        o->size = o->video ? VIDEO_SIZE : AUDIO_SIZE;
    }
    return true;
}

/* Whether it was asked for words, which are printed then. */
static bool print(int letter)
{
    switch (letter) {
    case 'h':
        usage_print_help(stdout);
        return true;
    case 'n':
        usage_print_manual(stdout);
        return true;
    case 'V':
        usage_print_version(stdout);
        return true;
    default:
        return false;
    }
}

bool options_parse(int argc, char **argv, struct options *out, int *status)
{
    struct option known[USAGE_MAX_OPTIONS + 1];
    int letter;

    *out = (struct options){.profiles = DTLS_PROFILES,
                            .rooms = 1,
                            .join_rate = 50,
                            .verify_every = 1,
                            .seconds = 10,
                            .join_timeout = 15,
                            .audio = true};
    *status = LOADGEN_USAGE;
    usage_options(known);
    while ((letter = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        if (print(letter)) {
            *status = LOADGEN_OK;
            return false;
        }
        if (!take(out, letter)) {
            return false;
        }
    }
    if (optind != argc) {
        return complain("unexpected: ", argv[optind]);
    }
    return complete(out);
}
