/* GET /trace[?seconds=N]: what the stages of each lane take, by the bursts that were
 * measured in the last N seconds (a minute if not given). */
#include <stdlib.h>
#include <string.h>

#include "admin/priv.h"
#include "net/net.h"

enum { SECONDS = 60, SECONDS_MAX = 3600, P50 = 50, P99 = 99 };

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The least that 'percent' of the values do not exceed. They are sorted. */
static double quantile(const double *values, uint32_t n, unsigned percent)
{
    return values[(n * percent + 99) / 100 - 1];
}

static double rounded(double ns)
{
    return (double)(uint64_t)(ns * 10 + 0.5) / 10;
}

/* A stage of which there are samples, n from 1. */
static json_t *stage_row(uint32_t lane, const char *name, double ns_per_cycle,
                         const struct abi_trace_sample *samples, uint32_t n)
{
    double bursts[ABI_TRACE_SAMPLES], each[ABI_TRACE_SAMPLES];
    uint64_t packets = 0;

    for (uint32_t i = 0; i < n; i++) {
        packets += samples[i].packets;
        bursts[i] = samples[i].cycles * ns_per_cycle;
        each[i] = bursts[i] / samples[i].packets;
    }
    qsort(bursts, n, sizeof(bursts[0]), by_size);
    qsort(each, n, sizeof(each[0]), by_size);
    return json_pack(
        "{s:I, s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "lane", (json_int_t)lane, "stage",
        name, "bursts", (json_int_t)n, "packets", (json_int_t)packets, "packets_per_burst",
        rounded((double)packets / n), "burst_ns_p50", rounded(quantile(bursts, n, P50)),
        "burst_ns_p99", rounded(quantile(bursts, n, P99)), "packet_ns_p50",
        rounded(quantile(each, n, P50)), "packet_ns_p99", rounded(quantile(each, n, P99)));
}

/* Leaves out what no lane writes. Returns how many are left. */
static uint32_t sound(struct abi_trace_sample *samples, int n)
{
    uint32_t kept = 0;

    for (int i = 0; i < n; i++) {
        if (samples[i].packets > 0) {
            samples[kept++] = samples[i];
        }
    }
    return kept;
}

static json_t *stages(const struct media *media, const struct abi_shm *info,
                      uint32_t seconds)
{
    const double ns_per_cycle = 1e9 / (double)info->cycles_per_s;
    json_t *list = json_array();

    for (uint32_t lane = 0; lane < info->n_lanes; lane++) {
        for (uint32_t i = 0; i < info->n_traces; i++) {
            struct abi_trace_sample samples[ABI_TRACE_SAMPLES];
            uint32_t n = sound(samples, media_lane_trace(media, lane, i, seconds, samples));

            if (n > 0) {
                json_array_append_new(
                    list, stage_row(lane, info->trace_names[i], ns_per_cycle, samples, n));
            }
        }
    }
    return list;
}

void admin_trace(const struct admin *admin, struct net_req *req)
{
    const struct media *media = admin->conf.media;
    const char *text = net_req_query(req, "seconds");
    char *end = NULL;
    unsigned long seconds = text != NULL ? strtoul(text, &end, 10) : SECONDS;
    struct media_status status;

    media_status(media, &status);
    if (text != NULL && (*text < '0' || *text > '9' || *end != '\0' || seconds == 0 ||
                         seconds > SECONDS_MAX)) {
        admin_refuse(req, 400, "invalid", "seconds is a number from 1 to 3600");
    } else if (!status.attached) {
        admin_refuse(req, 503, "media_unavailable", "no dataplane is attached");
    } else if (media_info(media)->trace_every == 0) {
        admin_refuse(req, 409, "not_traced",
                     "this node traces nothing: lanes.trace of its dataplane is 0");
    } else {
        admin_answer(req, stages(media, media_info(media), (uint32_t)seconds));
    }
}
