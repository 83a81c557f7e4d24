/* /status, /lanes and /drops: the node, and what its lanes count. */
#include <string.h>
#include <unistd.h>

#include "admin/priv.h"
#include "sys/clock.h"

void admin_read_lanes(const struct media *media, struct admin_lanes *out)
{
    struct media_status status;

    media_status(media, &status);
    out->info = status.attached ? media_info(media) : NULL;
    out->n = out->info != NULL ? out->info->n_lanes : 0;
    for (uint32_t i = 0; i < out->n; i++) {
        out->lanes[i].ok = media_lane_counts(media, i, &out->lanes[i].counts) == 0;
    }
}

uint64_t admin_sum(const uint64_t *counters, uint32_t n)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        sum += counters[i];
    }
    return sum;
}

static void put(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *addresses(const struct abi_device *device, bool public)
{
    json_t *list = json_array();

    for (uint16_t i = 0; i < device->n_addrs; i++) {
        const struct abi_addr *addr = &device->addrs[i];
        char text[ADMIN_IP_TEXT];

        admin_ip_text(public ? addr->public_ip : addr->ip, text);
        if (!public || memcmp(addr->ip, addr->public_ip, sizeof(addr->ip)) != 0) {
            json_array_append_new(list, json_string(text));
        }
    }
    return list;
}

static json_t *devices(const struct media *media, const struct abi_shm *info)
{
    static const char *const states[] = {[ABI_DEVICE_WORKS] = "works",
                                         [ABI_DEVICE_DOWN] = "down",
                                         [ABI_DEVICE_GONE] = "gone"};
    json_t *list = json_array();

    for (uint32_t i = 0; info != NULL && i < info->n_devices; i++) {
        const struct abi_device *device = &info->devices[i];

        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:i, s:i, s:o, s:o}", "kind", device->kind, "name",
                            device->name, "state",
                            states[media_device_state(media, i)], "port", (int)device->port, "preference",
                            (int)device->preference, "addresses", addresses(device, false),
                            "announced", addresses(device, true)));
    }
    return list;
}

/* A line a lane of what an operator looks at first. */
static json_t *lanes_short(const struct admin_lanes *lanes)
{
    uint32_t n_drops = lanes->info != NULL ? lanes->info->n_drops : 0;
    json_t *list = json_array();

    for (uint32_t i = 0; i < lanes->n; i++) {
        const struct abi_lane_counts *c = &lanes->lanes[i].counts;
        json_t *row = json_object();

        put(row, "lane", i);
        if (lanes->lanes[i].ok) {
            put(row, "peers", c->peers);
            put(row, "streams", c->streams);
            put(row, "subscriptions", c->subs);
            put(row, "rx_packets", c->rx_packets);
            put(row, "tx_packets", c->tx_packets);
            put(row, "forwards", c->forwards);
            put(row, "dropped_in", admin_sum(c->drops_in, n_drops));
            put(row, "dropped_out", admin_sum(c->drops_out, n_drops));
        }
        json_array_append_new(list, row);
    }
    return list;
}

/* The dataplane's note has a line a device. */
static json_t *one_line(const char *text)
{
    json_t *lines = json_string("");

    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        json_t *longer =
            json_sprintf("%s%s%.*s", json_string_value(lines),
                         json_string_length(lines) > 0 ? "; " : "", (int)len, text);

        json_decref(lines);
        lines = longer;
        text += len + (text[len] == '\n');
    }
    return lines;
}

json_t *admin_status(const struct admin *admin)
{
    const struct admin_conf *conf = &admin->conf;
    struct media_status status;
    struct admin_lanes lanes;
    char started[CLOCK_RFC3339_LEN];
    json_t *data = json_object();
    uint32_t left_s = 0;

    media_status(conf->media, &status);
    admin_read_lanes(conf->media, &lanes);
    clock_format(conf->started_wall_us, started);
    json_object_set_new(data, "version", json_string(conf->version));
    json_object_set_new(data, "node", json_string(conf->node));
    put(data, "pid", (uint64_t)getpid());
    json_object_set_new(data, "started", json_string(started));
    put(data, "rooms", meeting_n_rooms(conf->meeting));
    put(data, "participants", meeting_n_participants(conf->meeting));
    put(data, "clients", conf->n_clients(conf->user));
    if (conf->draining(conf->user, &left_s)) {
        put(data, "drains_within_s", left_s);
    }
    json_object_set_new(data, "attached", json_boolean(status.attached));
    if (lanes.info != NULL) {
        put(data, "dataplane_pid", lanes.info->pid);
        json_object_set_new(data, "srtp_backend", json_string(lanes.info->backend));
        json_object_set_new(data, "devices_note", one_line(lanes.info->devices_note));
    } else {
        json_object_set_new(
            data, "not_attached",
            json_string(status.reason[0] != '\0' ? status.reason : strerror(-status.err)));
    }
    json_object_set_new(data, "devices", devices(admin->conf.media, lanes.info));
    json_object_set_new(data, "lanes", lanes_short(&lanes));
    return data;
}

static void put_drops(json_t *row, const char *key, const uint64_t *counters,
                      const struct abi_shm *info)
{
    json_t *drops = json_object();

    for (uint32_t r = 0; r < info->n_drops; r++) {
        put(drops, info->drop_names[r], counters[r]);
    }
    json_object_set_new(row, key, drops);
}

/* Of the last whole second; nothing until there was one. */
static void put_recent(json_t *row, const struct abi_lane_counts *c,
                       const struct abi_shm *info)
{
    if (c->recent_cycles == 0) {
        return;
    }
    json_object_set_new(row, "busy_percent", json_real((double)abi_lane_busy(c) / 10));
    put(row, "packets_per_s",
        (uint64_t)((double)c->recent_packets * (double)info->cycles_per_s /
                   (double)c->recent_cycles));
    if (c->recent_packets > 0) {
        put(row, "cycles_per_packet", c->recent_busy_cycles / c->recent_packets);
    }
}

/* Every counter, and what the lane does now. */
json_t *admin_lane_list(const struct admin *admin)
{
    json_t *list = json_array();
    struct admin_lanes lanes;

    admin_read_lanes(admin->conf.media, &lanes);
    for (uint32_t i = 0; i < lanes.n; i++) {
        const struct abi_lane_counts *c = &lanes.lanes[i].counts;
        json_t *row = json_object();

        put(row, "lane", i);
        json_array_append_new(list, row);
        if (!lanes.lanes[i].ok) {
            continue;
        }
        put_recent(row, c, lanes.info);
        put(row, "handed_in", c->handed_in);
        put(row, "handed_out", c->handed_out);
        put(row, "handed_tx", c->handed_tx);
        put(row, "frames_in", c->frames_in);
        put(row, "answered", c->answered);
        put(row, "ignored", c->ignored);
        for (uint32_t d = 0; d < lanes.info->n_dones; d++) {
            put(row, lanes.info->done_names[d], c->done[d]);
        }
        put_drops(row, "dropped_in", c->drops_in, lanes.info);
        put_drops(row, "dropped_out", c->drops_out, lanes.info);
        put(row, "rx_packets", c->rx_packets);
        put(row, "rx_bytes", c->rx_bytes);
        put(row, "tx_packets", c->tx_packets);
        put(row, "tx_bytes", c->tx_bytes);
        put(row, "forwards", c->forwards);
        put(row, "rtcp_out", c->rtcp_out);
        put(row, "datagrams_out", c->datagrams_out);
        put(row, "padding_packets", c->padding_packets);
        put(row, "padding_bytes", c->padding_bytes);
        put(row, "resent", c->resent);
        put(row, "paced", c->paced);
        put(row, "udp6_sums", c->udp6_sums);
        put(row, "loops", c->loops);
        put(row, "busy_loops", c->busy_loops);
        put(row, "busy_cycles", c->busy_cycles);
        put(row, "cycles", c->cycles);
        put(row, "sleeps", c->sleeps);
        put(row, "peers", c->peers);
        put(row, "streams", c->streams);
        put(row, "subscriptions", c->subs);
        put(row, "buffers_free", c->buffers_free);
        put(row, "buffers_total", c->buffers_total);
        put(row, "ring_bytes_used", c->ring_bytes_used);
    }
    return list;
}

static void add_drops(json_t *list, uint32_t lane, const char *direction,
                      const uint64_t *counters, const struct abi_shm *info)
{
    for (uint32_t r = 0; r < info->n_drops; r++) {
        if (counters[r] > 0) {
            json_array_append_new(list, json_pack("{s:i, s:s, s:s, s:I}", "lane", (int)lane,
                                                  "direction", direction, "reason",
                                                  info->drop_names[r], "packets",
                                                  (json_int_t)counters[r]));
        }
    }
}

/* What came in, where it went, and below that each reason that has dropped anything: in
 * each line frames_in + handed_in = answered + ignored + handled + dropped + handed_out. */
json_t *admin_drops(const struct admin *admin)
{
    json_t *balance = json_array();
    json_t *drops = json_array();
    struct admin_lanes lanes;

    admin_read_lanes(admin->conf.media, &lanes);
    for (uint32_t i = 0; i < lanes.n; i++) {
        const struct abi_lane_counts *c = &lanes.lanes[i].counts;
        json_t *row = json_object();

        if (!lanes.lanes[i].ok) {
            json_decref(row);
            continue;
        }
        put(row, "lane", i);
        put(row, "frames_in", c->frames_in);
        put(row, "handed_in", c->handed_in);
        put(row, "handed_out", c->handed_out);
        put(row, "answered", c->answered);
        put(row, "ignored", c->ignored);
        put(row, "handled", admin_sum(c->done, lanes.info->n_dones));
        put(row, "dropped", admin_sum(c->drops_in, lanes.info->n_drops));
        json_array_append_new(balance, row);
        add_drops(drops, i, "in", c->drops_in, lanes.info);
        add_drops(drops, i, "out", c->drops_out, lanes.info);
    }
    return json_pack("{s:o, s:o}", "balance", balance, "drops", drops);
}
