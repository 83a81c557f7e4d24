/* See run.h. */
#include "loadgen/run.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "loadgen/progress.h"
#include "loadgen/target.h"
#include "proto/jwt.h"

enum {
    STEP_US = 100000, /* looks at the whole this often */
    DRAIN_MIN_US = 300000,
    DRAIN_MAX_US = 3000000
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

/* ---- making it ---- */

static int complain(const char *what, const char *why, int status)
{
    fprintf(stderr, "kcs-loadgen: %s: %s\n", what, why);
    return status;
}

/* The first line of the file. */
static int read_secret(struct run *run)
{
    const char *path = run->options->secret_file;
    FILE *file = fopen(path, "re");
    char line[RUN_SECRET_MAX];

    if (file == NULL) {
        return complain(path, strerror(errno), LOADGEN_USAGE);
    }
    line[0] = '\0';
    (void)fgets(line, sizeof(line), file);
    (void)fclose(file);
    run->secret_len = strcspn(line, "\r\n");
    memcpy(run->secret, line, run->secret_len);
    explicit_bzero(line, sizeof(line));
    if (run->secret_len < JWT_MIN_KEY) {
        return complain(path, "the secret is shorter than 32 bytes; it must be the node's",
                        LOADGEN_USAGE);
    }
    return LOADGEN_OK;
}

static int find_node(struct run *run)
{
    static struct target_url url; /* lives as long as the process, as the run does */
    const char *reason = NULL;
    int err = target_url_parse(run->options->url, &url);

    if (err != 0) {
        return complain(run->options->url,
                        err == -ENOTSUP ? "https is not supported: give the node an http "
                                          "listener on loopback"
                                        : "not http://HOST:PORT",
                        LOADGEN_USAGE);
    }
    if (target_resolve(&url, &run->to, &reason) != 0) {
        return complain(url.host, reason, LOADGEN_UNREACHABLE);
    }
    if (!run->options->allow_remote && !target_is_local(&run->to)) {
        return complain(url.host,
                        "not an address of this machine: load on others only with "
                        "--allow-remote",
                        LOADGEN_USAGE);
    }
    run->authority = url.authority;
    return LOADGEN_OK;
}

/* Two descriptors a client. */
static void raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int make_clients(struct run *run)
{
    const struct options *o = run->options;

    run->clients = calloc(o->publishers + o->subscribers, sizeof(*run->clients));
    if (run->clients == NULL) {
        return complain("clients", "out of memory", LOADGEN_FAILED);
    }
    run->n_clients = o->publishers + o->subscribers;
    run->n_streams = o->publishers * (uint32_t)(o->audio + o->video);
    for (uint32_t i = 0; i < run->n_clients; i++) {
        bool publisher = i < o->publishers;
        int err = client_init(&run->clients[i], run, publisher,
                              publisher ? i : i - o->publishers);

        if (err != 0) {
            return complain("clients",
                            err == -EINVAL ? "no token can be made: --meeting is too long "
                                             "or not UTF-8"
                                           : strerror(-err),
                            err == -EINVAL ? LOADGEN_USAGE : LOADGEN_FAILED);
        }
    }
    return LOADGEN_OK;
}

int run_init(struct run *run, const struct options *options)
{
    int status;

    memset(run, 0, sizeof(*run));
    run->options = options;
    if (armor_setup() != 0) {
        return complain("libsrtp2", "cannot start", LOADGEN_FAILED);
    }
    status = read_secret(run);
    if (status == LOADGEN_OK) {
        status = find_node(run);
    }
    if (status != LOADGEN_OK) {
        return status;
    }
    run->ssl = dtls_context(options->profiles);
    if (run->ssl == NULL) {
        return complain(options->profiles, "not a list of SRTP profiles of OpenSSL",
                        LOADGEN_USAGE);
    }
    if (loop_create(&run->loop) != 0) {
        return complain("epoll", strerror(errno), LOADGEN_FAILED);
    }
    raise_limits();
    return make_clients(run);
}

void run_fini(struct run *run)
{
    for (uint32_t i = 0; i < run->n_clients; i++) {
        client_fini(&run->clients[i]);
    }
    free(run->clients);
    loop_destroy(run->loop);
    SSL_CTX_free(run->ssl);
    explicit_bzero(run->secret, sizeof(run->secret));
    armor_teardown();
}

/* ---- what clients tell ---- */

void run_on_up(struct run *run, struct client *client)
{
    uint64_t now_us = loop_now_us();

    run->n_up++;
    hist_add(&run->joins_us, now_us - client->started_us);
    if (client->publisher) {
        /* not all at the same instant */
        uint32_t index = (uint32_t)(client - run->clients);

        client_send(client, now_us + 1000000u / run->options->rate * index /
                                         run->options->publishers);
    }
}

void run_on_failed(struct run *run, struct client *client, const char *reason)
{
    run->n_failed++;
    run->unreachable = run->n_up == 0 && !client->signaling.reachable;
    if (run->n_failures < RUN_MAX_FAILURES) {
        (void)snprintf(run->failures[run->n_failures++], RUN_FAILURE_LEN, "%s: %s",
                       client->name, reason);
    }
}

void run_on_returned(struct run *run, struct client *client, bool resumed)
{
    run->n_resumed += resumed;
    run->n_rejoined += !resumed;
    hist_add(&run->resumes_us, loop_now_us() - client->lost_us);
}

const struct sender *run_sender(const struct run *run, const char *producer_id)
{
    for (uint32_t i = 0; i < run->options->publishers; i++) {
        const struct client *client = &run->clients[i];

        for (uint32_t j = 0; j < client->n_senders; j++) {
            if (strcmp(client->senders[j].producer_id, producer_id) == 0) {
                return &client->senders[j];
            }
        }
    }
    return NULL;
}

/* ---- the phases ---- */

static void turn(struct run *run, const char *phase)
{
    uint64_t until_us = loop_now_us() + STEP_US;

    while (loop_now_us() < until_us && loop_turn(run->loop, until_us) == 0) {
    }
    progress_show(run, phase);
}

static void join_all(struct run *run)
{
    uint64_t began_us = loop_now_us();
    uint64_t last_us = 0; /* when the last was started */
    uint64_t patience_us = (uint64_t)(run->options->join_timeout * 1e6);

    while (!stopped && run->n_failed == 0 && run->n_up < run->n_clients) {
        uint64_t now_us = loop_now_us();
        uint64_t next_us =
            began_us + (uint64_t)run->n_started * 1000000u / run->options->join_rate;

        if (run->n_started < run->n_clients && next_us <= now_us) {
            client_start(&run->clients[run->n_started++]);
            last_us = now_us;
            continue;
        }
        if (run->n_started == run->n_clients) {
            for (uint32_t i = 0; i < run->n_clients; i++) {
                client_check_up(&run->clients[i]); /* for what another was told later */
            }
            if (now_us - last_us > patience_us) {
                break;
            }
            turn(run, "joining");
        } else {
            (void)loop_turn(run->loop, next_us);
            progress_show(run, "joining");
        }
    }
}

static void wait_for(struct run *run, double seconds, const char *phase)
{
    uint64_t until_us = loop_now_us() + (uint64_t)(seconds * 1e6);

    while (!stopped && loop_now_us() < until_us) {
        uint64_t left_us = until_us - loop_now_us();

        if (left_us < STEP_US) {
            while (loop_now_us() < until_us && loop_turn(run->loop, until_us) == 0) {
            }
        } else {
            turn(run, phase);
        }
    }
}

/* Whether each subscriber has the last payload of each stream. */
static bool all_is_here(const struct run *run)
{
    for (uint32_t i = run->options->publishers; i < run->n_clients; i++) {
        const struct client *client = &run->clients[i];

        for (uint32_t j = 0; client->sampled && j < client->n_receivers; j++) {
            const struct receiver *r = &client->receivers[j];
            const struct sender *s = r->closed ? NULL : run_sender(run, r->producer_id);

            if (s != NULL && s->n_sent > 0 &&
                (!r->numbers.started || r->numbers.max + 1 < s->n_sent)) {
                return false;
            }
        }
    }
    return true;
}

/* Streams of senders that still send: one that has fallen silent says so now, or never. */
static void end_silences(struct run *run, uint64_t now_us)
{
    for (uint32_t i = run->options->publishers; i < run->n_clients; i++) {
        struct client *client = &run->clients[i];

        for (uint32_t j = 0; j < client->n_receivers; j++) {
            struct receiver *r = &client->receivers[j];
            const struct sender *s = r->closed ? NULL : run_sender(run, r->producer_id);

            if (s != NULL && s->n_sent > 0) {
                receiver_on_end(r, now_us);
            }
        }
    }
}

static void drain(struct run *run)
{
    uint64_t began_us = loop_now_us();

    end_silences(run, began_us);
    for (uint32_t i = 0; i < run->options->publishers; i++) {
        client_hold(&run->clients[i]);
    }
    do {
        turn(run, "draining");
    } while (loop_now_us() - began_us < DRAIN_MIN_US ||
             (!all_is_here(run) && loop_now_us() - began_us < DRAIN_MAX_US));
}

/* ---- the account ---- */

static void sum_receiver(const struct run *run, const struct client *client,
                         const struct receiver *r, struct run_account *a)
{
    const struct sender *s = r->closed ? NULL : run_sender(run, r->producer_id);

    a->streams++;
    a->received += r->sequence.n_received;
    a->padding += r->n_padding;
    a->reports_to_subscribers += r->n_reports;
    a->key_frames_received += r->n_key_frames;
    if (r->max_silence_us > a->max_silence_us) {
        a->max_silence_us = r->max_silence_us;
    }
    if (!r->started) {
        a->silent += s != NULL && s->n_sent > 0;
        return;
    }
    if (!client->sampled || (s == NULL && !r->numbered)) {
        a->lost += r->sequence.n_missing;
        a->duplicates += r->sequence.n_duplicates;
        a->misordered += r->sequence.n_misordered;
        return;
    }
    a->sampled++;
    a->verified += r->numbers.n_received;
    a->lost += s != NULL ? track_lost(&r->numbers, s->n_sent - 1) : r->numbers.n_missing;
    a->duplicates += r->numbers.n_duplicates;
    a->misordered += r->numbers.n_misordered;
    if (r->sequence.n_missing > r->numbers.n_missing) {
        a->holes += r->sequence.n_missing - r->numbers.n_missing;
    }
    a->corrupt += r->n_corrupt + (s != NULL || r->numbered ? r->n_foreign : 0);
    a->misrouted += s != NULL && r->numbered && r->tag != s->tag;
}

void run_sum(const struct run *run, struct run_account *out)
{
    *out = (struct run_account){0};
    for (uint32_t i = 0; i < run->n_clients; i++) {
        const struct client *client = &run->clients[i];
        const struct transport_faults *faults = &client->media.faults;

        out->unknown += client->n_unknown;
        out->feedback_to_publishers += client->n_feedback;
        out->unsent += faults->unsent;
        out->replayed += faults->replayed;
        out->forged += faults->forged;
        out->malformed += faults->malformed;
        out->early += faults->early;
        for (uint32_t j = 0; j < client->n_senders; j++) {
            const struct sender *s = &client->senders[j];

            out->sent += s->n_sent;
            out->sent_bytes += s->n_bytes;
            out->late += s->n_late;
            out->key_frames += s->n_key_frames;
            out->key_requests += s->n_key_requests;
            out->reports_to_publishers += s->n_reports;
        }
        for (uint32_t j = 0; j < client->n_receivers; j++) {
            sum_receiver(run, client, &client->receivers[j], out);
        }
    }
}

__attribute__((format(printf, 3, 4))) static void blame(struct run *run, uint64_t n,
                                                        const char *format, ...)
{
    va_list args;

    if (n == 0 || run->n_failures == RUN_MAX_FAILURES) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(run->failures[run->n_failures++], RUN_FAILURE_LEN, format, args);
    va_end(args);
}

/* Puts into words what was not right. */
static void judge(struct run *run)
{
    struct run_account a;

    run_sum(run, &a);
    blame(run, run->n_clients - run->n_up, "%u of %u clients did not join",
          run->n_clients - run->n_up, run->n_clients);
    blame(run, a.silent, "%" PRIu64 " streams never came", a.silent);
    blame(run, a.lost, "%" PRIu64 " packets were lost", a.lost);
    blame(run, a.lost > 0 ? a.unsent : 0,
          "%" PRIu64 " packets were not taken by our own sockets", a.unsent);
    blame(run, a.duplicates + a.replayed, "%" PRIu64 " packets came twice",
          a.duplicates + a.replayed);
    blame(run, a.misordered, "%" PRIu64 " packets came out of order", a.misordered);
    blame(run, a.holes, "%" PRIu64 " RTP sequence numbers were skipped without a loss",
          a.holes);
    blame(run, a.corrupt + a.forged + a.malformed,
          "%" PRIu64 " packets were damaged (%" PRIu64 " did not decrypt)",
          a.corrupt + a.forged + a.malformed, a.forged);
    blame(run, a.misrouted, "%" PRIu64 " streams came from another producer than asked for",
          a.misrouted);
    blame(run, a.unknown, "%" PRIu64 " packets of streams that nobody asked for",
          a.unknown);
}

int run_all(struct run *run)
{
    const struct sigaction once = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    uint64_t began_us;

    (void)sigaction(SIGINT, &once, NULL);
    (void)sigaction(SIGTERM, &once, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    join_all(run);
    if (run->n_up == run->n_clients) {
        began_us = loop_now_us();
        wait_for(run, run->options->seconds, "sending");
        run->sent_seconds = (double)(loop_now_us() - began_us) / 1e6;
    }
    drain(run);
    if (run->n_up == run->n_clients) {
        wait_for(run, run->options->hold, "holding");
    }
    judge(run); /* before leaving, which ends streams */
    for (uint32_t i = 0; i < run->n_clients; i++) {
        client_leave(&run->clients[i]);
    }
    progress_end();
    if (run->unreachable) {
        return LOADGEN_UNREACHABLE;
    }
    return run->n_failures == 0 ? LOADGEN_OK : LOADGEN_FAILED;
}
