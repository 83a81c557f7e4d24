/* tools/bench rates: how many REST reads and chat messages the node's control does on one
 * core, beside libwebsockets and nothing else in the same run, and how long a chat message
 * takes to all of a large meeting. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "benchmarks/rates_peers.h"
#include "benchmarks/rates_server.h"
#include "proto/jwt.h"

enum {
    EXIT_USAGE = 2,
    PROCESSES = 4, /* of a large meeting: none needs more descriptors than it may have */
    READERS = 32,
    PAIRS = 500, /* meetings of two: each person may say only so much */
    WARM_MS = 500,
    GAP_MS = 500, /* from one message to a large meeting to the next */
    OPEN_S = 120,
    SILENCE_MS = 5000 /* nobody hears anything new any more */
};

struct options {
    unsigned sockets, messages, seconds;
    bool json;
};

/* Of one kind of request to one server. */
struct rate {
    double per_s, cpu_us;
    uint64_t wrong;
};

/* Of a message to all. */
struct spread {
    double open_s, cpu_ms; /* until all are in; a message */
    uint64_t heard, lost, wrong;
    uint32_t unsaid; /* messages that their speaker did not get to say: a starved machine */
    double p50_ms, p99_ms, max_ms;
};

struct results {
    struct rate rest, rest_floor, chat, chat_floor;
    struct spread crowd, crowd_floor;
};

static struct tally *tally;
static struct server running; /* the one that is measured */

static void stop_running(void)
{
    server_stop(&running);
}

static void fail(const char *what)
{
    (void)fprintf(stderr, "rates: %s%s%s\n", what, tally->what[0] != '\0' ? ": " : "",
                  tally->what);
    exit(1);
}

/* ---- clients ---- */

static void start_peers(const struct peers_conf *conf, unsigned processes, pid_t *pids)
{
    uint32_t each = (conf->n + processes - 1) / processes;

    memset(tally, 0, sizeof(*tally));
    for (unsigned i = 0; i < processes; i++) {
        struct peers_conf part = *conf;

        part.first = i * each;
        part.n = conf->n - part.first < each ? conf->n - part.first : each;
        part.tally = tally;
        pids[i] = fork();
        if (pids[i] == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            peers_run(&part);
            _exit(0);
        }
    }
}

static void stop_peers(unsigned processes, const pid_t *pids)
{
    atomic_store(&tally->phase, PHASE_END);
    for (unsigned i = 0; i < processes; i++) {
        (void)waitpid(pids[i], NULL, 0);
    }
}

static void pause_ms(unsigned ms)
{
    const struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};

    (void)nanosleep(&time, NULL);
}

/* Until all are where they want to be. Returns how long that took, in seconds. */
static double await_peers(uint32_t n)
{
    uint64_t begun = peers_now_ns();
    double s = 0;

    while (atomic_load(&tally->ready) < n) {
        s = (double)(peers_now_ns() - begun) / 1e9;
        if (s > OPEN_S || atomic_load(&tally->wrong) > 0) {
            fail("not all came in");
        }
        pause_ms(10);
    }
    return s;
}

/* ---- rates ---- */

static void measure_rate(struct peers_conf conf, unsigned seconds, struct rate *out)
{
    uint64_t begun, done;
    double cpu;
    pid_t pid;

    conf.port = running.port;
    conf.opening = READERS;
    conf.window = READERS;
    conf.secret = running.secret;
    start_peers(&conf, 1, &pid);
    (void)await_peers(conf.n);
    atomic_store(&tally->phase, PHASE_RUN);
    pause_ms(WARM_MS);
    begun = peers_now_ns();
    done = atomic_load(&tally->done);
    cpu = server_cpu_s(&running);
    pause_ms(seconds * 1000);
    done = atomic_load(&tally->done) - done;
    cpu = server_cpu_s(&running) - cpu;
    out->per_s = (double)done / ((double)(peers_now_ns() - begun) / 1e9);
    out->cpu_us = done > 0 ? cpu * 1e6 / (double)done : 0;
    stop_peers(1, &pid);
    out->wrong = atomic_load(&tally->wrong);
    if (done == 0) {
        fail("nothing was answered");
    }
}

static int mint(char token[JWT_MAX_LEN + 1])
{
    struct jwt_claims claims = {.sub = "reader",
                                .jti = "reader",
                                .role = "admin",
                                .tenant = "rates",
                                .iat = (int64_t)time(NULL)};

    claims.exp = claims.iat + 3600;
    return jwt_mint(&claims, (const uint8_t *)running.secret, strlen(running.secret), token,
                    JWT_MAX_LEN + 1) == JWT_OK
               ? 0
               : -1;
}

/* Makes a meeting by REST; its id to 'id'. */
static int make_meeting(const char *token, char id[64])
{
    static const char body[] = "{\"meeting_name\":\"Rates\"}";
    char text[JWT_MAX_LEN + 512];
    const char *at;
    int n = snprintf(text, sizeof(text),
                     "POST /api/meeting HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n"
                     "Connection: close\r\n\r\n%s",
                     token, sizeof(body) - 1, body);

    if (peers_ask_once(running.port, text, (size_t)n, text, sizeof(text)) != 0) {
        return -1;
    }
    at = strstr(text, "\"id\":\"");
    return at != NULL && sscanf(at + 6, "%63[^\"]", id) == 1 ? 0 : -1;
}

/* ---- a message to all ---- */

static double percentile_ms(double share)
{
    uint64_t wanted = (uint64_t)((double)atomic_load(&tally->heard) * share);
    uint64_t seen = 0;
    unsigned i = 0;

    while (i < PEERS_BINS && (seen += atomic_load(&tally->delays[i])) <= wanted) {
        i++;
    }
    return (double)(i + 1) * PEERS_BIN_US / 1e3;
}

/* Until all have heard that many, or nobody hears any more of them. */
static void await_heard(uint64_t wanted)
{
    uint64_t seen = atomic_load(&tally->heard);

    for (int ms = 0; ms < SILENCE_MS && seen < wanted; ms++) {
        uint64_t now = atomic_load(&tally->heard);

        ms = now != seen ? 0 : ms;
        seen = now;
        pause_ms(1);
    }
}

/* One message after the other: none waits for the one before. */
static void measure_spread(struct peers_conf conf, unsigned messages, struct spread *out)
{
    uint64_t wanted = (uint64_t)messages * conf.n;
    pid_t pids[PROCESSES];
    double cpu;

    conf.port = running.port;
    conf.opening = READERS / PROCESSES;
    conf.per_room = conf.n;
    conf.secret = running.secret;
    start_peers(&conf, PROCESSES, pids);
    out->open_s = await_peers(conf.n);
    pause_ms(2 * GAP_MS); /* what was told of those who came in */
    atomic_store(&tally->phase, PHASE_LISTEN);
    cpu = server_cpu_s(&running);
    for (unsigned i = 0; i < messages; i++) {
        uint64_t before = atomic_load(&tally->heard);

        atomic_store(&tally->speaker, 1 + (uint32_t)((uint64_t)i * 7919 % conf.n));
        pause_ms(GAP_MS);
        await_heard(before + conf.n);
    }
    out->cpu_ms = (server_cpu_s(&running) - cpu) * 1e3 / messages;
    stop_peers(PROCESSES, pids);
    out->heard = atomic_load(&tally->heard);
    out->unsaid = messages - atomic_load(&tally->said);
    out->lost = wanted > out->heard ? wanted - out->heard : 0;
    out->wrong = atomic_load(&tally->wrong);
    out->p50_ms = percentile_ms(0.5);
    out->p99_ms = percentile_ms(0.99);
    out->max_ms = (double)atomic_load(&tally->max_us) / 1e3;
}

/* ---- all of it ---- */

static int measure(const struct options *o, struct results *r)
{
    struct peers_conf http = {.kind = PEER_HTTP, .n = READERS, .get = "/"};
    const struct peers_conf echo = {.kind = PEER_ECHO, .n = READERS};
    const struct peers_conf chat = {.kind = PEER_CHAT, .n = 2 * PAIRS, .per_room = 2};
    struct peers_conf crowd = {.kind = PEER_ECHO, .n = o->sockets};
    char token[JWT_MAX_LEN + 1], id[64], path[128];

    if (server_start_echo(&running) != 0) {
        return -1;
    }
    http.token = "";
    measure_rate(http, o->seconds, &r->rest_floor);
    measure_rate(echo, o->seconds, &r->chat_floor);
    if (o->sockets > 0) {
        measure_spread(crowd, o->messages, &r->crowd_floor);
    }
    server_stop(&running);
    if (server_start_node(&running) != 0) {
        return -1;
    }
    if (mint(token) != 0 || make_meeting(token, id) != 0) {
        (void)fprintf(stderr, "rates: the node makes no meeting\n");
        return -1;
    }
    (void)snprintf(path, sizeof(path), "/api/meeting/%s", id);
    http.get = path;
    http.token = token;
    measure_rate(http, o->seconds, &r->rest);
    measure_rate(chat, o->seconds, &r->chat);
    if (o->sockets > 0) {
        crowd.kind = PEER_CHAT;
        measure_spread(crowd, o->messages, &r->crowd);
    }
    return 0;
}

/* Else it says nothing of how long a message takes to all. */
static bool is_whole(const struct spread *s)
{
    return s->lost + s->wrong + s->unsaid == 0;
}

static void json_rate(const char *name, const struct rate *r, const struct rate *floor)
{
    (void)printf("\"%s\": {\"per_s\": %.0f, \"cpu_us\": %.2f, \"wrong\": %" PRIu64
                 ", \"floor_per_s\": %.0f, \"floor_cpu_us\": %.2f, \"ratio\": %.3f}",
                 name, r->per_s, r->cpu_us, r->wrong, floor->per_s, floor->cpu_us,
                 floor->cpu_us / r->cpu_us);
}

static void json_spread(const char *name, const struct spread *s)
{
    (void)printf("\"%s\": {\"open_s\": %.1f, \"cpu_ms\": %.1f, \"heard\": %" PRIu64
                 ", \"lost\": %" PRIu64 ", \"unsaid\": %" PRIu32 ", \"wrong\": %" PRIu64
                 ", \"p50_ms\": %.1f, \"p99_ms\": %.1f, \"max_ms\": %.1f}",
                 name, s->open_s, s->cpu_ms, s->heard, s->lost, s->unsaid, s->wrong,
                 s->p50_ms, s->p99_ms, s->max_ms);
}

static void print_json(const struct options *o, const struct results *r)
{
    (void)printf("{\"sockets\": %u, ", o->sockets);
    json_rate("rest", &r->rest, &r->rest_floor);
    (void)printf(", ");
    json_rate("chat", &r->chat, &r->chat_floor);
    if (o->sockets > 0) {
        (void)printf(", ");
        json_spread("crowd", &r->crowd);
        (void)printf(", ");
        json_spread("crowd_floor", &r->crowd_floor);
        (void)printf(", \"crowd_floor_valid\": %s, \"crowd_ratio\": %.3f",
                     is_whole(&r->crowd_floor) ? "true" : "false",
                     r->crowd_floor.cpu_ms / r->crowd.cpu_ms);
    }
    (void)printf("}\n");
}

static void print_rate(const char *name, const struct rate *r)
{
    (void)printf("%-34s %9.0f %9.1f %8" PRIu64 "\n", name, r->per_s, r->cpu_us, r->wrong);
}

static void print_spread(const char *name, const struct spread *s)
{
    (void)printf("%-26s %8.1f %8.1f %10" PRIu64 " %8" PRIu64 " %8.1f %8.1f %8.1f\n", name,
                 s->open_s, s->cpu_ms, s->heard, s->lost + s->wrong, s->p50_ms, s->p99_ms,
                 s->max_ms);
}

static void print_table(const struct options *o, const struct results *r)
{
    (void)printf("one core                             answers/s   CPU us    wrong\n");
    print_rate("GET, libwebsockets alone", &r->rest_floor);
    print_rate("GET /api/meeting/{id}", &r->rest);
    print_rate("WebSocket echo, libwebsockets alone", &r->chat_floor);
    print_rate("chat:send in meetings of two", &r->chat);
    (void)printf("ratio of CPU, floor / ours: REST %.3f, chat %.3f\n",
                 r->rest_floor.cpu_us / r->rest.cpu_us,
                 r->chat_floor.cpu_us / r->chat.cpu_us);
    if (o->sockets > 0) {
        (void)printf("\n%u messages to %-6u sockets  open s   CPU ms      heard     lost"
                     "   p50 ms   p99 ms   max ms\n",
                     o->messages, o->sockets);
        print_spread("libwebsockets alone", &r->crowd_floor);
        print_spread("chat:message", &r->crowd);
        (void)printf("ratio of CPU, floor / ours: %.3f%s\n",
                     r->crowd_floor.cpu_ms / r->crowd.cpu_ms,
                     is_whole(&r->crowd_floor) ? "" : " (no floor: it has lost messages)");
    }
}

/* ---- options ---- */

static void usage(FILE *to)
{
    (void)fprintf(to,
                  "usage: tools/bench rates [--sockets N] [--messages N] [--seconds N] "
                  "[--json]\n\n"
                  "  --sockets N    of the large meeting, 201 to 16000 (10000); 0: none\n"
                  "  --messages N   that are said in it, 1 to 1000 (30)\n"
                  "  --seconds N    that each rate is measured for, 1 to 60 (3)\n"
                  "  --json         one line of JSON\n");
}

static bool parse_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    *out = (unsigned)n;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && n >= min && n <= max;
}

/* Returns -1 to go on, or the exit code. */
static int parse(struct options *o, int argc, char **argv)
{
    static const struct option longs[] = {{"sockets", required_argument, NULL, 'n'},
                                          {"messages", required_argument, NULL, 'm'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    bool ok = true;
    int c;

    while (ok && (c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (c) {
        case 'n':
            ok = parse_number(optarg, 0, 16000, &o->sockets) &&
                 (o->sockets == 0 || o->sockets > 200);
            break;
        case 'm':
            ok = parse_number(optarg, 1, 1000, &o->messages);
            break;
        case 's':
            ok = parse_number(optarg, 1, 60, &o->seconds);
            break;
        case 'j':
            o->json = true;
            break;
        case 'h':
            usage(stdout);
            return 0;
        default:
            ok = false;
        }
    }
    if (!ok || optind < argc) {
        usage(stderr);
        return EXIT_USAGE;
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct options o = {.sockets = 10000, .messages = 30, .seconds = 3};
    struct rlimit files;
    struct results r = {0};
    int code = parse(&o, argc, argv);

    if (code >= 0) {
        return code;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* the servers inherit it */
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    if (tally == MAP_FAILED) {
        (void)fprintf(stderr, "rates: no memory\n");
        return 1;
    }
    server_leave_cpu();
    (void)atexit(stop_running);
    if (measure(&o, &r) != 0) {
        return 1;
    }
    if (o.json) {
        print_json(&o, &r);
    } else {
        print_table(&o, &r);
    }
    return r.rest.wrong + r.chat.wrong + r.crowd.wrong + r.crowd.lost == 0 ? 0 : 1;
}
