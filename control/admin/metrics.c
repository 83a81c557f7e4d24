/* The families that describe node, dataplane and lanes. One rendering reads each lane once
 * (admin_on_request), so that within a scrape the sums are exact. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admin/priv.h"
#include "meeting/meeting.h"
#include "metric/metric.h"

struct family {
    enum metric_kind kind;
    const char *name;
    const char *help;
    void (*collect)(struct metric_sink *sink, void *arg);
};

/* ---- the node ---- */

static void collect_build(struct metric_sink *sink, void *arg)
{
    const struct admin *admin = arg;
    const struct metric_label label = {"version", admin->conf.version};

    metric_emit(sink, &label, 1, 1);
}

static void collect_start(struct metric_sink *sink, void *arg)
{
    const struct admin *admin = arg;

    metric_emit(sink, NULL, 0, (double)admin->conf.started_wall_us / 1e6);
}

static void collect_rooms(struct metric_sink *sink, void *arg)
{
    const struct admin *admin = arg;

    metric_emit(sink, NULL, 0, meeting_n_rooms(admin->conf.meeting));
}

static void collect_participants(struct metric_sink *sink, void *arg)
{
    const struct admin *admin = arg;

    metric_emit(sink, NULL, 0, meeting_n_participants(admin->conf.meeting));
}

static void collect_clients(struct metric_sink *sink, void *arg)
{
    const struct admin *admin = arg;

    metric_emit(sink, NULL, 0, admin->conf.n_clients(admin->conf.user));
}

static void emit_join(struct metric_sink *sink, const char *result, uint64_t n)
{
    const struct metric_label label = {"result", result};

    metric_emit(sink, &label, 1, (double)n);
}

static void collect_joins(struct metric_sink *sink, void *arg)
{
    const struct admin *admin = arg;
    struct meeting_arrivals n;

    meeting_arrivals(admin->conf.meeting, &n);
    emit_join(sink, "at_once", n.at_once);
    emit_join(sink, "waited", n.waited);
    emit_join(sink, "refused", n.refused);
    emit_join(sink, "too_late", n.too_late);
    emit_join(sink, "room_full", n.room_full);
    emit_join(sink, "node_full", n.node_full);
    emit_join(sink, "departed", n.departed);
}

static void collect_joins_waiting(struct metric_sink *sink, void *arg)
{
    const struct admin *admin = arg;
    struct meeting_arrivals n;

    meeting_arrivals(admin->conf.meeting, &n);
    metric_emit(sink, NULL, 0, n.waiting);
}

static void collect_draining(struct metric_sink *sink, void *arg)
{
    const struct admin *admin = arg;

    metric_emit(sink, NULL, 0, admin->conf.draining(admin->conf.user, NULL));
}

/* ---- the process ---- */

#define COLLECT_PROCESS(field)                                                             \
    static void collect_process_##field(struct metric_sink *sink, void *arg)               \
    {                                                                                      \
        const struct admin *admin = arg;                                                   \
                                                                                           \
        metric_emit(sink, NULL, 0, (double)admin->usage.field);                            \
    }

COLLECT_PROCESS(cpu_s)
COLLECT_PROCESS(resident_bytes)
COLLECT_PROCESS(open_files)
COLLECT_PROCESS(max_files)
COLLECT_PROCESS(threads)

/* ---- the dataplane ---- */

static void collect_attached(struct metric_sink *sink, void *arg)
{
    const struct admin *admin = arg;
    struct media_status status;

    media_status(admin->conf.media, &status);
    metric_emit(sink, NULL, 0, status.attached);
}

static void collect_devices(struct metric_sink *sink, void *arg)
{
    const struct admin *admin = arg;
    const struct abi_shm *info = admin->scrape.info;

    for (uint32_t i = 0; info != NULL && i < info->n_devices; i++) {
        const struct metric_label labels[] = {{"kind", info->devices[i].kind},
                                              {"name", info->devices[i].name}};

        metric_emit(sink, labels, 2,
                    media_device_state(admin->conf.media, i) == ABI_DEVICE_WORKS);
    }
}

static void collect_media_waiting(struct metric_sink *sink, void *arg)
{
    const struct admin *admin = arg;

    metric_emit(sink, NULL, 0, media_n_waiting(admin->conf.media));
}

#define COLLECT_MEDIA(field)                                                               \
    static void collect_media_##field(struct metric_sink *sink, void *arg)                 \
    {                                                                                      \
        const struct admin *admin = arg;                                                   \
        struct media_counts counts;                                                        \
                                                                                           \
        media_counts(admin->conf.media, &counts);                                          \
        metric_emit(sink, NULL, 0, (double)counts.field);                                  \
    }

COLLECT_MEDIA(attaches)
COLLECT_MEDIA(commands)
COLLECT_MEDIA(sent)
COLLECT_MEDIA(send_full)
COLLECT_MEDIA(datagrams)
COLLECT_MEDIA(events)
COLLECT_MEDIA(bad)

/* ---- lanes ---- */

static const char *lane_name(uint32_t lane, char text[12])
{
    (void)snprintf(text, 12, "%u", lane);
    return text;
}

#define COLLECT_LANE(field)                                                                \
    static void collect_lane_##field(struct metric_sink *sink, void *arg)                  \
    {                                                                                      \
        const struct admin_lanes *lanes = &((const struct admin *)arg)->scrape;            \
        char text[12];                                                                     \
                                                                                           \
        for (uint32_t i = 0; i < lanes->n; i++) {                                          \
            const struct metric_label label = {"lane", lane_name(i, text)};                \
                                                                                           \
            if (lanes->lanes[i].ok) {                                                      \
                metric_emit(sink, &label, 1, (double)lanes->lanes[i].counts.field);        \
            }                                                                              \
        }                                                                                  \
    }

COLLECT_LANE(frames_in)
COLLECT_LANE(answered)
COLLECT_LANE(ignored)
COLLECT_LANE(rx_packets)
COLLECT_LANE(rx_bytes)
COLLECT_LANE(tx_packets)
COLLECT_LANE(tx_bytes)
COLLECT_LANE(forwards)
COLLECT_LANE(rtcp_out)
COLLECT_LANE(datagrams_out)
COLLECT_LANE(loops)
COLLECT_LANE(busy_loops)
COLLECT_LANE(busy_cycles)
COLLECT_LANE(cycles)
COLLECT_LANE(sleeps)
COLLECT_LANE(peers)
COLLECT_LANE(streams)
COLLECT_LANE(subs)
COLLECT_LANE(buffers_free)
COLLECT_LANE(buffers_total)
COLLECT_LANE(ring_bytes_used)
COLLECT_LANE(handed_in)
COLLECT_LANE(handed_out)
COLLECT_LANE(handed_tx)
COLLECT_LANE(padding_packets)
COLLECT_LANE(padding_bytes)
COLLECT_LANE(resent)
COLLECT_LANE(paced)
COLLECT_LANE(udp6_sums)

static void collect_lane_done(struct metric_sink *sink, void *arg)
{
    const struct admin_lanes *lanes = &((const struct admin *)arg)->scrape;
    char text[12];

    for (uint32_t i = 0; i < lanes->n; i++) {
        for (uint32_t d = 0; lanes->lanes[i].ok && d < lanes->info->n_dones; d++) {
            const struct metric_label labels[] = {{"lane", lane_name(i, text)},
                                                  {"outcome", lanes->info->done_names[d]}};

            metric_emit(sink, labels, 2, (double)lanes->lanes[i].counts.done[d]);
        }
    }
}

/* Every reason from the start, also at 0: a series that appears only with its first drop
 * has no rate then. */
static void collect_drops(struct metric_sink *sink, void *arg)
{
    const struct admin_lanes *lanes = &((const struct admin *)arg)->scrape;
    char text[12];

    for (uint32_t i = 0; i < lanes->n; i++) {
        const struct abi_lane_counts *c = &lanes->lanes[i].counts;

        for (uint32_t r = 0; lanes->lanes[i].ok && r < lanes->info->n_drops; r++) {
            struct metric_label labels[] = {{"lane", lane_name(i, text)},
                                            {"direction", "in"},
                                            {"reason", lanes->info->drop_names[r]}};

            metric_emit(sink, labels, 3, (double)c->drops_in[r]);
            labels[1].value = "out";
            metric_emit(sink, labels, 3, (double)c->drops_out[r]);
        }
    }
}

static const struct family families[] = {
    {METRIC_GAUGE, "build_info", "Always 1; the label tells the version.", collect_build},
    {METRIC_GAUGE, "start_time_seconds", "When the process started, since 1970.",
     collect_start},
    {METRIC_GAUGE, "draining", "1 while the node goes out of service.", collect_draining},
    {METRIC_COUNTER, "process_cpu_seconds_total", "CPU of kcs-control, all threads.",
     collect_process_cpu_s},
    {METRIC_GAUGE, "process_resident_memory_bytes", "Memory of kcs-control.",
     collect_process_resident_bytes},
    {METRIC_GAUGE, "process_open_fds", "Files that kcs-control has open.",
     collect_process_open_files},
    {METRIC_GAUGE, "process_max_fds", "Files that it may have open.",
     collect_process_max_files},
    {METRIC_GAUGE, "process_threads", "Threads of kcs-control.", collect_process_threads},
    {METRIC_GAUGE, "rooms", "Meetings with somebody in them.", collect_rooms},
    {METRIC_GAUGE, "participants", "People in meetings.", collect_participants},
    {METRIC_COUNTER, "joins_total",
     "People who wanted to come in, by what became of them: let in at once or after they had "
     "waited; told to come again, at once or when they had waited too long; refused because "
     "the meeting or the node was full; gone while they waited.",
     collect_joins},
    {METRIC_GAUGE, "joins_waiting", "People who wait to come in.", collect_joins_waiting},
    {METRIC_GAUGE, "clients", "Socket.IO clients.", collect_clients},
    {METRIC_GAUGE, "media_attached", "1 while the dataplane is attached.",
     collect_attached},
    {METRIC_GAUGE, "device_works",
     "1 while the device can carry something, 0 while its interface is down or gone.",
     collect_devices},
    {METRIC_COUNTER, "media_attaches_total", "Times that the dataplane was attached.",
     collect_media_attaches},
    {METRIC_COUNTER, "media_commands_total", "Commands to the dataplane.",
     collect_media_commands},
    {METRIC_GAUGE, "media_commands_waiting", "Commands that have no answer yet.",
     collect_media_waiting},
    {METRIC_COUNTER, "media_datagrams_out_total",
     "STUN and DTLS datagrams sent by control.", collect_media_sent},
    {METRIC_COUNTER, "media_datagrams_full_total",
     "Datagrams of control lost because the ring to the dataplane was full.",
     collect_media_send_full},
    {METRIC_COUNTER, "media_datagrams_in_total",
     "STUN and DTLS datagrams that the dataplane handed to control.",
     collect_media_datagrams},
    {METRIC_COUNTER, "media_events_total", "Events from the dataplane.",
     collect_media_events},
    {METRIC_COUNTER, "media_bad_total",
     "Messages from the dataplane that made no sense and were ignored.", collect_media_bad},
    {METRIC_COUNTER, "lane_frames_in_total",
     "Frames taken from the devices. For each lane this equals kcs_lane_answered_total + "
     "kcs_lane_ignored_total + kcs_lane_done_total + kcs_drops_total{direction=\"in\"}.",
     collect_lane_frames_in},
    {METRIC_COUNTER, "lane_answered_total", "Frames answered below media: ARP, NDP, ping.",
     collect_lane_answered},
    {METRIC_COUNTER, "lane_ignored_total", "Frames that were not for the media port.",
     collect_lane_ignored},
    {METRIC_COUNTER, "lane_done_total", "Packets that reached their end, by which.",
     collect_lane_done},
    {METRIC_COUNTER, "drops_total",
     "Packets dropped, by reason. Those of direction \"in\" are part of "
     "kcs_lane_frames_in_total; those of \"out\" would else be in "
     "kcs_lane_tx_packets_total.",
     collect_drops},
    {METRIC_COUNTER, "lane_rx_packets_total", "Datagrams to the media port.",
     collect_lane_rx_packets},
    {METRIC_COUNTER, "lane_rx_bytes_total", "Their UDP payload.", collect_lane_rx_bytes},
    {METRIC_COUNTER, "lane_tx_packets_total", "Datagrams sent.", collect_lane_tx_packets},
    {METRIC_COUNTER, "lane_tx_bytes_total", "Their UDP payload.", collect_lane_tx_bytes},
    {METRIC_COUNTER, "lane_forwards_total", "Media packets sent to subscribers.",
     collect_lane_forwards},
    {METRIC_COUNTER, "lane_rtcp_out_total", "RTCP packets sent.", collect_lane_rtcp_out},
    {METRIC_COUNTER, "lane_datagrams_out_total", "Datagrams sent for control.",
     collect_lane_datagrams_out},
    {METRIC_COUNTER, "lane_loops_total", "Turns of the lane's loop.", collect_lane_loops},
    {METRIC_COUNTER, "lane_busy_loops_total", "Turns that moved at least one packet.",
     collect_lane_busy_loops},
    {METRIC_COUNTER, "lane_busy_cycles_total",
     "Cycles of the time stamp counter in these turns.", collect_lane_busy_cycles},
    {METRIC_COUNTER, "lane_cycles_total",
     "Cycles of the time stamp counter since the lane began, busy or not.",
     collect_lane_cycles},
    {METRIC_COUNTER, "lane_sleeps_total", "Times that the lane slept.",
     collect_lane_sleeps},
    {METRIC_COUNTER, "lane_handed_in_total", "Packets of its peers from other lanes.",
     collect_lane_handed_in},
    {METRIC_COUNTER, "lane_handed_out_total", "Packets of other lanes' peers.",
     collect_lane_handed_out},
    {METRIC_COUNTER, "lane_handed_tx_total", "Frames given to the lane of their device.",
     collect_lane_handed_tx},
    {METRIC_COUNTER, "lane_padding_packets_total", "Packets of padding sent in probes.",
     collect_lane_padding_packets},
    {METRIC_COUNTER, "lane_padding_bytes_total", "Their bytes.",
     collect_lane_padding_bytes},
    {METRIC_COUNTER, "lane_resent_total",
     "Packets sent to subscribers again that had missed them.", collect_lane_resent},
    {METRIC_COUNTER, "lane_paced_total", "Times that video had to wait for the pacer.",
     collect_lane_paced},
    {METRIC_COUNTER, "lane_udp6_sums_total",
     "UDP checksums of IPv6 that the CPU computed: where neither kernel nor device does.",
     collect_lane_udp6_sums},
    {METRIC_GAUGE, "lane_peers", "Transports open in the lane.", collect_lane_peers},
    {METRIC_GAUGE, "lane_streams", "Published streams open in the lane.",
     collect_lane_streams},
    {METRIC_GAUGE, "lane_subscriptions", "Subscriptions open in the lane.",
     collect_lane_subs},
    {METRIC_GAUGE, "lane_buffers_free", "Free packet buffers.", collect_lane_buffers_free},
    {METRIC_GAUGE, "lane_buffers", "All packet buffers.", collect_lane_buffers_total},
    {METRIC_GAUGE, "lane_ring_used_bytes", "Memory of the stream rings in use.",
     collect_lane_ring_bytes_used},
};

int admin_metrics_register(struct admin *admin)
{
    while (admin->n_families < sizeof(families) / sizeof(families[0])) {
        const struct family *family = &families[admin->n_families];
        int err = metric_register_collector(admin->conf.metrics, family->kind, family->name,
                                            family->help, family->collect, admin);

        if (err != 0) {
            return err;
        }
        admin->n_families++;
    }
    return 0;
}

void admin_metrics_unregister(struct admin *admin)
{
    while (admin->n_families > 0) {
        metric_unregister(admin->conf.metrics, families[--admin->n_families].name);
    }
}
