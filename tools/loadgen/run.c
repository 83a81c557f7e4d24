/* See run.h. */
#include "loadgen/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "loadgen/progress.h"
#include "loadgen/target.h"
#include "proto/jwt.h"

enum {
    STEP_US = 100000, /* looks at the whole this often, */
    SUM_US = 1000000, /* and sums it up this often */
    FDS_A_CLIENT = 2,
    SPARE_FDS = 64,
    DRAIN_MIN_US = 300000,
    DRAIN_MAX_US = 3000000,
    LEAVE_MAX_US = 5000000
};

/* What processes come to together. */
enum run_phase { RUN_READY = 1, RUN_JOINED, RUN_SENT, RUN_COUNTED };

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

    if (target_url_parse(run->options->url, &url) != 0) {
        return complain(run->options->url,
                        "not http://HOST:PORT or https://HOST:PORT", LOADGEN_USAGE);
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
    run->host = url.host;
    if (url.secure) {
        run->tls = stream_context(run->options->ca_file, run->options->insecure);
        if (run->tls == NULL) {
            return complain(run->options->ca_file != NULL ? run->options->ca_file : "TLS",
                            "no certificates to believe can be read from there",
                            LOADGEN_USAGE);
        }
    }
    return LOADGEN_OK;
}

static void raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* How many processes it takes. */
static uint32_t processes_for(const struct options *o, uint32_t n_clients)
{
    struct rlimit limit;
    uint32_t n = 1;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > SPARE_FDS) {
        uint64_t room = limit.rlim_cur - SPARE_FDS;

        n = (uint32_t)((FDS_A_CLIENT * (uint64_t)n_clients + room - 1) / room);
    }
    n = o->processes != 0 ? o->processes : n;
    return n < CREW_MAX ? n : CREW_MAX;
}

/* Those of 'n' that are ours: each process has every so manieth. */
static int make_some(struct run *run, bool publishers, uint32_t n)
{
    for (uint32_t i = run->me; i < n; i += run->crew->n) {
        int err = client_init(&run->clients[run->n_clients++], run, publishers, i);

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

static int make_clients(struct run *run)
{
    const struct options *o = run->options;
    int status;

    run->clients = calloc(run->n_all / run->crew->n + 2, sizeof(*run->clients));
    if (run->clients == NULL) {
        return complain("clients", "out of memory", LOADGEN_FAILED);
    }
    run->n_streams = o->publishers * (uint32_t)(o->audio + o->video);
    status = make_some(run, true, o->publishers * o->rooms);
    return status != LOADGEN_OK ? status : make_some(run, false, o->subscribers * o->rooms);
}

/* From here on there may be several of us. */
static int make_crew(struct run *run)
{
    const struct options *o = run->options;
    size_t n_senders = (size_t)o->publishers * o->rooms * CLIENT_MAX_SENDERS;
    int err;

    raise_limits();
    run->n_all = (o->publishers + o->subscribers) * o->rooms;
    err = crew_begin(&run->crew, processes_for(o, run->n_all), n_senders, &run->me);
    if (err != 0) {
        return complain("processes", strerror(-err), LOADGEN_FAILED);
    }
    run->account = &run->crew->seats[run->me].account;
    return LOADGEN_OK;
}

/* What each process has of its own. */
static int make_tools(struct run *run)
{
    if (armor_setup() != 0) {
        return complain("libsrtp2", "cannot start", LOADGEN_FAILED);
    }
    run->ssl = dtls_context(run->options->profiles);
    if (run->ssl == NULL) {
        return complain(run->options->profiles, "not a list of SRTP profiles of OpenSSL",
                        LOADGEN_USAGE);
    }
    if (loop_create(&run->loop) != 0) {
        return complain("epoll", strerror(errno), LOADGEN_FAILED);
    }
    return LOADGEN_OK;
}

int run_init(struct run *run, const struct options *options)
{
    int status;

    memset(run, 0, sizeof(*run));
    run->options = options;
    status = read_secret(run);
    if (status == LOADGEN_OK) {
        status = find_node(run);
    }
    if (status == LOADGEN_OK) {
        status = make_crew(run);
    }
    if (status == LOADGEN_OK) {
        status = make_tools(run);
    }
    return status == LOADGEN_OK ? make_clients(run) : status;
}

void run_fini(struct run *run)
{
    for (uint32_t i = 0; run->clients != NULL && i < run->n_clients; i++) {
        client_fini(&run->clients[i]);
    }
    free(run->clients);
    loop_destroy(run->loop);
    SSL_CTX_free(run->ssl);
    SSL_CTX_free(run->tls);
    explicit_bzero(run->secret, sizeof(run->secret));
    if (run->account != NULL) {
        armor_teardown();
    }
    crew_free(run->crew);
}

/* ---- what clients tell ---- */

/* How long each step of the join took. The last two go on side by side with the node's
 * answer to transport:connect. */
static void note_steps(struct run *run, const struct client *client)
{
    uint64_t before_us = client->started_us;

    for (int i = 0; i < N_STEPS; i++) {
        if (client->step_us[i] > before_us) {
            hist_add(&run->account->steps_us[i], client->step_us[i] - before_us);
            before_us = client->step_us[i];
        }
    }
}

/* Not all publishers of a room at the same instant; nor all rooms, if those begin together. */
static void begin_to_send(struct run *run, struct client *client, uint64_t now_us)
{
    const struct options *o = run->options;
    uint32_t n = o->publishers * (o->when_all ? o->rooms : 1);

    client_send(client, now_us + UINT64_C(1000000) / o->rate * (client->index % n) / n);
}

void run_on_up(struct run *run, struct client *client)
{
    uint64_t now_us = loop_now_us();

    run->account->n_up++;
    atomic_fetch_add(&run->crew->seats[run->me].n_up, 1);
    hist_add(&run->account->joins_us, now_us - client->started_us);
    hist_add(&run->account->admitted_us, now_us - client->step_us[STEP_ROOM]);
    note_steps(run, client);
    if (client->publisher && !run->options->when_all) {
        begin_to_send(run, client, now_us);
    }
    if (run->options->restless > 0) {
        (void)loop_set(run->loop, &client->whim, now_us);
    }
}

void run_on_failed(struct run *run, struct client *client, const char *reason)
{
    atomic_fetch_add(&run->crew->seats[run->me].n_failed, 1);
    run->account->unreachable = run->account->n_up == 0 && !client->signaling.reachable;
    account_blame(run->account, "%s: %s", client->name, reason);
}

void run_on_returned(struct run *run, struct client *client, bool resumed)
{
    run->account->n_resumed += resumed;
    run->account->n_rejoined += !resumed;
    hist_add(&run->account->resumes_us, loop_now_us() - client->lost_us);
}

const struct sender *run_sender(const struct client *client, const char *producer_id,
                                uint8_t layer)
{
    const struct run *run = client->run;
    size_t n = (size_t)run->options->publishers * CLIENT_MAX_SENDERS;
    const struct sender *senders = &run->crew->senders[client->room * n];

    for (size_t i = 0; i < n; i++) {
        if (senders[i].layer == layer && strcmp(senders[i].producer_id, producer_id) == 0) {
            return &senders[i];
        }
    }
    return NULL;
}

/* What sends the encoding that comes. */
static const struct sender *of_receiver(const struct client *client,
                                        const struct receiver *r)
{
    return r->closed ? NULL : run_sender(client, r->producer_id, r->layer);
}

/* ---- the phases ---- */

static void sum(struct run *run);

static void turn(struct run *run, const char *phase)
{
    uint64_t until_us = loop_now_us() + STEP_US;

    while (loop_now_us() < until_us && loop_turn(run->loop, until_us) == 0) {
    }
    if (loop_now_us() - run->summed_us > SUM_US) {
        sum(run);
    }
    progress_show(run, phase);
}

static bool is_over(const struct run *run)
{
    return stopped != 0 || atomic_load(&run->crew->stopped);
}

/* Waits until all processes have come so far. */
static void meet(struct run *run, enum run_phase phase, const char *words)
{
    atomic_store(&run->crew->seats[run->me].phase, phase);
    do {
        turn(run, words);
    } while (!is_over(run) && !crew_all_at(run->crew, run->me, phase));
}

/* When the next client is to be started. */
static uint64_t next_start_us(const struct run *run, uint64_t began_us)
{
    uint64_t place = (uint64_t)run->n_started * run->crew->n + run->me;

    return began_us + place * 1000000u / run->options->join_rate;
}

static void join_all(struct run *run)
{
    uint64_t began_us = loop_now_us();
    uint64_t last_us = began_us; /* when the last was started */
    uint64_t look_us = began_us;
    uint64_t patience_us = (uint64_t)(run->options->join_timeout * 1e6);

    while (!is_over(run) && crew_failed(run->crew) == 0 &&
           crew_up(run->crew) < run->n_all) {
        uint64_t now_us = loop_now_us();

        if (run->n_started < run->n_clients && next_start_us(run, began_us) <= now_us) {
            client_start(&run->clients[run->n_started++]);
            last_us = now_us;
            continue;
        }
        if (now_us >= look_us) {
            look_us = now_us + STEP_US;
            for (uint32_t i = 0; i < run->n_started; i++) {
                client_check_up(&run->clients[i]); /* for what another was told later */
            }
        }
        if (run->n_started == run->n_clients) {
            if (now_us - last_us > patience_us) {
                break;
            }
            turn(run, "joining");
        } else {
            (void)loop_turn(run->loop, next_start_us(run, began_us));
            progress_show(run, "joining");
        }
    }
}

static void wait_for(struct run *run, double seconds, const char *phase)
{
    uint64_t until_us = loop_now_us() + (uint64_t)(seconds * 1e6);

    while (!is_over(run) && loop_now_us() < until_us) {
        uint64_t left_us = until_us - loop_now_us();

        if (left_us < STEP_US) {
            while (loop_now_us() < until_us && loop_turn(run->loop, until_us) == 0) {
            }
        } else {
            turn(run, phase);
        }
    }
}

/* Whether the node leaves nothing of a stream out. */
static bool is_plain(const struct run *run, const struct sender *s)
{
    return run->options->restless == 0 && s->layers < 2 &&
           (s->pattern == NULL || !s->pattern->temporal);
}

/* Whether whoever receives was there before anybody sent. */
static bool from_the_first(const struct run *run)
{
    return run->options->when_all && !run->options->resume;
}

/* What is missing of a stream that nobody looks into, besides its holes. */
static uint64_t unseen(const struct run *run, const struct receiver *r, const struct sender *s)
{
    return s != NULL && is_plain(run, s) ? receiver_unseen(r, s, from_the_first(run)) : 0;
}

/* Whether each subscriber has the last payload of each stream. */
static bool all_is_here(const struct run *run)
{
    for (uint32_t i = 0; i < run->n_clients; i++) {
        const struct client *client = &run->clients[i];

        for (uint32_t j = 0; j < client->n_receivers; j++) {
            const struct receiver *r = &client->receivers[j];
            const struct sender *s = of_receiver(client, r);

            if (!client->sampled ? unseen(run, r, s) > 0
                                 : s != NULL && s->n_sent > 0 &&
                                       (!r->numbers.started ||
                                        r->numbers.max + 1 < s->n_sent)) {
                return false;
            }
        }
    }
    return true;
}

/* Streams of senders that still send: one that has fallen silent says so now, or never. */
static void end_silences(struct run *run, uint64_t now_us)
{
    for (uint32_t i = 0; i < run->n_clients; i++) {
        struct client *client = &run->clients[i];

        for (uint32_t j = 0; j < client->n_receivers; j++) {
            struct receiver *r = &client->receivers[j];
            const struct sender *s = of_receiver(client, r);

            if (s != NULL && s->n_sent > 0) {
                receiver_on_end(r, now_us);
            }
        }
    }
}

static void drain(struct run *run)
{
    uint64_t began_us = loop_now_us();

    for (uint32_t i = 0; i < run->n_clients; i++) {
        client_hold(&run->clients[i]);
    }
    do {
        turn(run, "draining");
    } while (loop_now_us() - began_us < DRAIN_MIN_US ||
             (run->options->restless == 0 && !all_is_here(run) &&
              loop_now_us() - began_us < DRAIN_MAX_US));
}

/* Whoever closes before the node has read that he leaves is kept a place for, as if his
 * connection had been lost, and is in the way of the next run. */
static void leave_all(struct run *run)
{
    uint64_t until_us = loop_now_us() + LEAVE_MAX_US;

    for (uint32_t i = 0; i < run->n_clients; i++) {
        client_leave(&run->clients[i]);
    }
    for (uint32_t i = 0; i < run->n_clients; i++) {
        while (run->clients[i].signaling.state != SIGNALING_IDLE &&
               loop_now_us() < until_us && loop_turn(run->loop, until_us) == 0) {
        }
    }
}

/* ---- the account ---- */

static void sum_by_sequence(const struct receiver *r, struct account_sums *a)
{
    a->lost += r->sequence.n_missing;
    a->duplicates += r->sequence.n_duplicates;
    a->misordered += r->sequence.n_misordered;
}

static void sum_receiver(const struct client *client, const struct receiver *r,
                         struct account_sums *a)
{
    const struct sender *s = of_receiver(client, r);

    a->streams++;
    a->received += r->sequence.n_received;
    a->padding += r->n_padding;
    a->reports_to_subscribers += r->n_reports;
    a->key_frames_received += r->n_key_frames;
    a->switches += r->n_switches;
    a->unkeyed += r->n_unkeyed;
    a->misnumbered += r->n_misnumbered;
    if (r->max_silence_us > a->max_silence_us) {
        a->max_silence_us = r->max_silence_us;
    }
    if (!r->started) {
        a->silent += s != NULL && s->n_sent > 0;
        return;
    }
    if (!client->sampled || (s == NULL && !r->numbered)) {
        sum_by_sequence(r, a);
        a->lost += !client->sampled ? unseen(client->run, r, s) : 0;
        return;
    }
    a->sampled++;
    a->verified += r->numbers.n_received;
    a->corrupt += r->n_corrupt + (s != NULL || r->numbered ? r->n_foreign : 0);
    a->misrouted += s != NULL && r->numbered && r->tag != s->tag;
    if (client->run->options->restless > 0) {
        sum_by_sequence(r, a); /* what is paused has numbers, too, */
        return;
    }
    if (s != NULL && s->pattern != NULL && s->pattern->temporal) {
        sum_by_sequence(r, a); /* and so have layers of time that are left out */
        a->lost += receiver_lost_behind(r, s);
        return;
    }
    a->lost += s != NULL ? track_lost(&r->numbers, s->n_sent - 1) : r->numbers.n_missing;
    if (s != NULL && is_plain(client->run, s) && from_the_first(client->run)) {
        a->lost += r->numbers.first;
    }
    a->duplicates += r->numbers.n_duplicates;
    a->misordered += r->numbers.n_misordered;
    if (r->sequence.n_missing > r->numbers.n_missing) {
        a->holes += r->sequence.n_missing - r->numbers.n_missing;
    }
}

/* Brings the account up to date. */
static void sum(struct run *run)
{
    struct account_sums out = {0};
    struct rusage usage;

    for (uint32_t i = 0; i < run->n_clients; i++) {
        const struct client *client = &run->clients[i];
        const struct transport_faults *faults = &client->media.faults;

        out.unknown += client->n_unknown;
        out.whims += client->n_granted;
        out.feedback_to_publishers += client->n_feedback;
        out.unsent += faults->unsent;
        out.replayed += faults->replayed;
        out.forged += faults->forged;
        out.malformed += faults->malformed;
        out.early += faults->early;
        for (uint32_t j = 0; j < client->n_senders; j++) {
            const struct sender *s = &client->senders[j];

            out.sent += s->n_sent;
            out.sent_bytes += s->n_bytes;
            out.late += s->n_late;
            out.key_frames += s->n_key_frames;
            out.key_requests += s->n_key_requests;
            out.reports_to_publishers += s->n_reports;
        }
        for (uint32_t j = 0; j < client->n_receivers; j++) {
            sum_receiver(client, &client->receivers[j], &out);
        }
    }
    run->account->sums = out;
    run->summed_us = loop_now_us();
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        run->account->cpu_seconds =
            (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
            (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        run->account->memory_kb = (uint64_t)usage.ru_maxrss;
    }
}

/* The first publisher of each room that is ours writes. */
static void chat_all(struct run *run)
{
    for (uint32_t i = 0; i < run->n_clients; i++) {
        struct client *client = &run->clients[i];

        if (client->publisher && client->index % run->options->publishers == 0) {
            client_chat(client);
        }
    }
}

static void send_all(struct run *run)
{
    uint32_t chat = run->options->chat;
    uint64_t began_us = loop_now_us();

    for (uint32_t i = 0; run->options->when_all && i < run->n_clients; i++) {
        if (run->clients[i].publisher) {
            begin_to_send(run, &run->clients[i], began_us);
        }
    }
    for (uint32_t i = 0; i < chat; i++) {
        chat_all(run);
        wait_for(run, 1, "sending");
    }
    wait_for(run, run->options->seconds - chat, "sending");
    run->account->sent_seconds = (double)(loop_now_us() - began_us) / 1e6;
}

int run_all(struct run *run, struct account *out)
{
    const struct sigaction once = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    bool all;

    (void)sigaction(SIGINT, &once, NULL);
    (void)sigaction(SIGTERM, &once, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    meet(run, RUN_READY, "starting");
    run->account->began_us = loop_now_us();
    join_all(run);
    run->account->joined_us = loop_now_us();
    meet(run, RUN_JOINED, "joining");
    all = crew_up(run->crew) == run->n_all;
    if (all) {
        send_all(run);
    }
    run->account->ended_us = loop_now_us();
    end_silences(run, run->account->ended_us);
    meet(run, RUN_SENT, "sending"); /* nobody falls silent before all have looked */
    drain(run);
    if (all) {
        wait_for(run, run->options->hold, "holding");
    }
    sum(run); /* before leaving, which ends streams */
    meet(run, RUN_COUNTED, "draining");
    leave_all(run);
    progress_end();
    if (stopped != 0) {
        atomic_store(&run->crew->stopped, true);
    }
    if (run->me != 0) {
        return LOADGEN_OK;
    }
    crew_wait(run->crew);
    for (uint32_t i = 0; i < run->crew->n; i++) {
        account_add(out, &run->crew->seats[i].account);
    }
    account_judge(out, run->n_all);
    if (out->unreachable) {
        return LOADGEN_UNREACHABLE;
    }
    return out->n_failures == 0 ? LOADGEN_OK : LOADGEN_FAILED;
}
