#include "loadgen/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "loadgen/run.h"

static void print_delays(const char *name, const struct hist *h)
{
    if (h->n > 0) {
        printf("%-12s p50 %.2f ms  p90 %.2f  p99 %.2f  p99.9 %.2f  max %.2f\n", name,
               (double)hist_quantile(h, 500) / 1e3, (double)hist_quantile(h, 900) / 1e3,
               (double)hist_quantile(h, 990) / 1e3, (double)hist_quantile(h, 999) / 1e3,
               (double)h->max / 1e3);
    }
}

static void print_table(const struct run *run, const struct account *all)
{
    const struct account_sums *a = &all->sums;
    double seconds = all->sent_seconds > 0 ? all->sent_seconds : 1;

    printf("%-12s %u of %u (%u publishers, %u subscribers)\n", "joined", all->n_up,
           run->n_all, run->options->publishers * run->options->rooms,
           run->options->subscribers * run->options->rooms);
    printf("%-12s %" PRIu64 " packets, %" PRIu64
           " payload bytes; %.1f s after all joined\n",
           "sent", a->sent, a->sent_bytes, all->sent_seconds);
    printf("%-12s %" PRIu64 " packets on %" PRIu64 " streams, about %.0f/s; %" PRIu64
           " verified on %" PRIu64 "\n",
           "received", a->received, a->streams,
           all->sent_seconds > 0 ? (double)a->received / seconds : 0.0, a->verified,
           a->sampled);
    printf("%-12s lost %" PRIu64 ", double %" PRIu64 ", out of order %" PRIu64
           ", damaged %" PRIu64 "\n",
           "faults", a->lost, a->duplicates + a->replayed, a->misordered,
           a->corrupt + a->forged + a->malformed);
    print_delays("delay", &all->delays_us);
    printf("%-12s %.1f ms at most, between two packets of a stream\n", "silence",
           (double)a->max_silence_us / 1e3);
    print_delays("join", &all->joins_us);
    print_delays("  let in", &all->admitted_us);
    if (all->n_put_off > 0) {
        printf("%-12s %u times told to come again later\n", "  put off", all->n_put_off);
    }
    for (int i = 0; i < N_STEPS; i++) {
        char name[24];

        (void)snprintf(name, sizeof(name), "  %s", account_steps[i]);
        print_delays(name, &all->steps_us[i]);
    }
    if (all->chats_sent > 0) {
        printf("%-12s %" PRIu64 " messages, %" PRIu64 " arrived\n", "chat", all->chats_sent,
               all->chats_us.n);
        print_delays("", &all->chats_us);
    }
    printf("%-12s %.1f s of CPU, %" PRIu64 " MB in %u processes\n", "cost",
           all->cpu_seconds, all->memory_kb / 1024, run->crew->n);
    print_delays("return", &all->resumes_us);
    if (all->n_resumed + all->n_rejoined > 0) {
        printf("%-12s %u resumed, %u joined anew\n", "returned", all->n_resumed,
               all->n_rejoined);
    }
    printf("%-12s %" PRIu64 " key frames asked for, %" PRIu64 " sent; reports: %" PRIu64
           " SR to subscribers, %" PRIu64 " RR and %" PRIu64
           " transport-cc to publishers\n",
           "feedback", a->key_requests, a->key_frames, a->reports_to_subscribers,
           a->reports_to_publishers, a->feedback_to_publishers);
    if (a->late + a->unsent > 0) {
        printf("%-12s %" PRIu64 " packets never made, %" PRIu64
               " not taken by the socket (too slow, or while away)\n",
               "behind", a->late, a->unsent);
    }
}

/* ---- JSON ---- */

static json_t *number(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *delays(const struct hist *h)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "count", number(h->n), "p50",
                     number(hist_quantile(h, 500)), "p90", number(hist_quantile(h, 900)),
                     "p95", number(hist_quantile(h, 950)), "p99",
                     number(hist_quantile(h, 990)), "p999", number(hist_quantile(h, 999)),
                     "max", number(h->max));
}

static json_t *steps(const struct account *all)
{
    json_t *out = json_object();

    for (int i = 0; i < N_STEPS; i++) {
        (void)json_object_set_new(out, account_steps[i], delays(&all->steps_us[i]));
    }
    return out;
}

static json_t *producers(const struct run *run)
{
    const struct options *o = run->options;
    size_t n = (size_t)o->publishers * o->rooms * CLIENT_MAX_SENDERS;
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        const struct sender *s = &run->crew->senders[i];

        if (s->producer_id[0] != '\0') {
            (void)json_array_append_new(
                list, json_pack("{s:s,s:s,s:i,s:o,s:o,s:o}", "producer_id", s->producer_id,
                                "kind", s->video ? "video" : "audio", "layer",
                                (int)s->layer, "packets",
                                number(s->n_sent), "key_frames", number(s->n_key_frames),
                                "key_requests", number(s->n_key_requests)));
        }
    }
    return list;
}

/* Of this process: where there are several they would be too many to list. */
static json_t *consumers(const struct run *run)
{
    json_t *list = json_array();

    for (uint32_t i = 0; run->crew->n == 1 && i < run->n_clients; i++) {
        const struct client *client = &run->clients[i];

        for (uint32_t j = 0; j < client->n_receivers; j++) {
            const struct receiver *r = &client->receivers[j];
            const struct track *t = r->numbered ? &r->numbers : &r->sequence;

            (void)json_array_append_new(
                list,
                json_pack("{s:s,s:s,s:o,s:b,s:o,s:o,s:o,s:o,s:o}", "consumer_id",
                          r->consumer_id, "producer_id", r->producer_id, "packets",
                          number(r->sequence.n_received), "verified", (int)client->sampled,
                          "first", number(t->first), "last", number(t->max), "missing",
                          number(t->n_missing), "reports", number(r->n_reports),
                          "max_silence_us", number(r->max_silence_us)));
        }
    }
    return list;
}

static json_t *failures(const struct account *all)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < all->n_failures; i++) {
        (void)json_array_append_new(list, json_string(all->failures[i]));
    }
    return list;
}

static json_t *to_json(const struct run *run, const struct account *all)
{
    const struct options *o = run->options;
    const struct account_sums *a = &all->sums;
    json_t *out = json_pack(
        "{s:b,s:o,s:s,s:i,s:i,s:i,s:i,s:i,s:f,s:o,s:o,s:o,s:o,s:o,s:o,s:i,s:i,s:f,s:o,s:o,s:o}",
        "ok", (int)(all->n_failures == 0), "failures", failures(all), "meeting_id",
        o->meeting, "rooms", (int)o->rooms, "processes", (int)run->crew->n, "publishers",
        (int)(o->publishers * o->rooms), "subscribers", (int)(o->subscribers * o->rooms),
        "joined", (int)all->n_up, "seconds", all->sent_seconds, "join_us",
        delays(&all->joins_us), "admitted_us", delays(&all->admitted_us), "join_steps_us", steps(all), "delay_us",
        delays(&all->delays_us), "chat_us", delays(&all->chats_us), "return_us",
        delays(&all->resumes_us), "resumed", (int)all->n_resumed, "rejoined",
        (int)all->n_rejoined, "cpu_seconds", all->cpu_seconds, "memory_kb",
        number(all->memory_kb), "producers", producers(run), "consumers", consumers(run));
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"began_us", all->began_us},
        {"joined_us", all->joined_us},
        {"ended_us", all->ended_us},
        {"put_off", all->n_put_off},
        {"chats_sent", all->chats_sent},
        {"sent", a->sent},
        {"sent_bytes", a->sent_bytes},
        {"never_made", a->late},
        {"not_taken_by_socket", a->unsent},
        {"streams", a->streams},
        {"streams_verified", a->sampled},
        {"streams_silent", a->silent},
        {"received", a->received},
        {"verified", a->verified},
        {"switches", a->switches},
        {"unkeyed", a->unkeyed},
        {"misnumbered", a->misnumbered},
        {"whims", a->whims},
        {"lost", a->lost},
        {"duplicates", a->duplicates},
        {"misordered", a->misordered},
        {"sequence_holes", a->holes},
        {"corrupt", a->corrupt},
        {"misrouted", a->misrouted},
        {"replayed", a->replayed},
        {"forged", a->forged},
        {"malformed", a->malformed},
        {"early", a->early},
        {"unknown_ssrc", a->unknown},
        {"padding", a->padding},
        {"max_silence_us", a->max_silence_us},
        {"key_frames_sent", a->key_frames},
        {"key_frames_received", a->key_frames_received},
        {"key_requests", a->key_requests},
        {"sender_reports_received", a->reports_to_subscribers},
        {"report_blocks_received", a->reports_to_publishers},
        {"transport_cc_received", a->feedback_to_publishers},
    };

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        (void)json_object_set_new(out, counts[i].name, number(counts[i].value));
    }
    return out;
}

int report_print(const struct run *run, const struct account *all)
{
    if (run->options->json) {
        json_t *json = to_json(run, all);

        if (json == NULL || json_dumpf(json, stdout, JSON_INDENT(2)) != 0) {
            fprintf(stderr, "kcs-loadgen: out of memory\n");
        }
        json_decref(json);
        putchar('\n');
    } else if (!all->unreachable) {
        print_table(run, all);
    }
    for (uint32_t i = 0; i < all->n_failures; i++) {
        fprintf(stderr, "kcs-loadgen: %s\n", all->failures[i]);
    }
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : -EIO;
}
