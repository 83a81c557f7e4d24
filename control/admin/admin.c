#include "admin/admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/priv.h"
#include "meeting/meeting.h"
#include "metric/metric.h"
#include "net/net.h"
#include "sys/clock.h"

typedef json_t *list_fn(const struct admin *admin);

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

void admin_ip_text(const uint8_t ip[16], char out[ADMIN_IP_TEXT])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
        (void)inet_ntop(AF_INET, ip + sizeof(mapped), out, ADMIN_IP_TEXT);
    } else {
        (void)inet_ntop(AF_INET6, ip, out, ADMIN_IP_TEXT);
    }
}

/* ---- lists ---- */

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

static json_t *devices(const struct abi_shm *info)
{
    json_t *list = json_array();

    for (uint32_t i = 0; info != NULL && i < info->n_devices; i++) {
        const struct abi_device *device = &info->devices[i];

        json_array_append_new(
            list, json_pack("{s:s, s:s, s:i, s:i, s:o, s:o}", "kind", device->kind, "name",
                            device->name, "port", (int)device->port, "preference",
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

static json_t *list_status(const struct admin *admin)
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
    json_object_set_new(data, "devices", devices(lanes.info));
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

/* Every counter. */
static json_t *list_lanes(const struct admin *admin)
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
        put(row, "busy_percent", c->loops > 0 ? c->busy_loops * 100 / c->loops : 0);
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
        put(row, "loops", c->loops);
        put(row, "busy_loops", c->busy_loops);
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
static json_t *list_drops(const struct admin *admin)
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

/* ---- requests ---- */

static void send_json(struct net_req *req, unsigned status, json_t *body, bool allow)
{
    static const struct net_header headers[] = {
        {"content-type", "application/json"},
        {"cache-control", "no-store"},
        {"allow", "GET, HEAD"},
    };
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;

    json_decref(body);
    if (text == NULL) {
        net_respond(req, 500, NULL, 0, NULL, 0);
        return;
    }
    net_respond(req, status, headers, allow ? 3 : 2, text, strlen(text));
    free(text);
}

void admin_answer(struct net_req *req, json_t *data)
{
    send_json(req, 200, json_pack("{s:o}", "data", data), false);
}

static json_t *problem(const char *code, const char *message)
{
    return json_pack("{s:b, s:s, s:s}", "success", 0, "code", code, "message", message);
}

void admin_refuse(struct net_req *req, unsigned status, const char *code,
                  const char *message)
{
    send_json(req, status, problem(code, message), false);
}

static void send_metrics(struct admin *admin, struct net_req *req)
{
    static const struct net_header type = {"content-type", METRIC_CONTENT_TYPE};
    char *text = NULL;
    size_t len = 0;

    admin_read_lanes(admin->conf.media, &admin->scrape);
    process_usage(&admin->usage);
    if (metric_render(admin->conf.metrics, &text, &len) != 0) {
        net_respond(req, 500, NULL, 0, NULL, 0);
        return;
    }
    net_respond(req, 200, &type, 1, text, len);
    free(text);
}

static list_fn *find_list(const char *path)
{
    static const struct {
        const char *path;
        list_fn *fn;
    } lists[] = {
        {"/status", list_status}, {"/lanes", list_lanes},      {"/drops", list_drops},
        {"/peers", admin_peers},  {"/streams", admin_streams}, {"/rooms", admin_rooms},
    };

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (strcmp(lists[i].path, path) == 0) {
            return lists[i].fn;
        }
    }
    return NULL;
}

/* Answers 404 or 405 and returns true if the request cannot be served. */
static bool refused(struct net_req *req, bool known)
{
    if (!known) {
        send_json(req, 404, problem("not_found", "the admin interface has no such path"),
                  false);
        return true;
    }
    if (net_req_method(req) != NET_GET && net_req_method(req) != NET_HEAD) {
        send_json(req, 405, problem("method_not_allowed", "only GET and HEAD"), true);
        return true;
    }
    return false;
}

static bool is_metrics(struct net_req *req)
{
    return strcmp(net_req_path(req), "/metrics") == 0;
}

void admin_on_metrics(struct admin *admin, struct net_req *req)
{
    if (!refused(req, is_metrics(req))) {
        send_metrics(admin, req);
    }
}

/* What has arguments: true if it is one of these; it is answered then, or will be. */
static bool answer_query(const struct admin *admin, struct net_req *req)
{
    static const struct {
        const char *path;
        void (*fn)(const struct admin *admin, struct net_req *req);
    } queries[] = {{"/audit", admin_audit},
                   {"/events", admin_events},
                   {"/participants", admin_participants},
                   {"/peer", admin_peer},
                   {"/room", admin_room}};

    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        if (strcmp(queries[i].path, net_req_path(req)) == 0) {
            queries[i].fn(admin, req);
            return true;
        }
    }
    return false;
}

void admin_on_request(struct admin *admin, struct net_req *req)
{
    list_fn *list = find_list(net_req_path(req));
    json_t *data;

    if ((net_req_method(req) == NET_POST && admin_order(admin, req)) ||
        (net_req_method(req) == NET_GET && answer_query(admin, req))) {
        return; /* answered, or it will be */
    }
    if (list == NULL) {
        admin_on_metrics(admin, req);
    } else if (!refused(req, true)) {
        data = list(admin);
        send_json(req, 200, data != NULL ? json_pack("{s:o}", "data", data) : NULL, false);
    }
}

int admin_create(struct admin **out, const struct admin_conf *conf)
{
    struct admin *admin = calloc(1, sizeof(*admin));
    int err;

    if (admin == NULL) {
        return -ENOMEM;
    }
    admin->conf = *conf;
    err = admin_metrics_register(admin);
    if (err != 0) {
        admin_destroy(admin);
        return err;
    }
    *out = admin;
    return 0;
}

void admin_destroy(struct admin *admin)
{
    if (admin != NULL) {
        admin_capture_forget(admin);
        admin_metrics_unregister(admin);
        free(admin);
    }
}
