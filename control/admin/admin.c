#include "admin/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/priv.h"
#include "metric/metric.h"
#include "net/net.h"

typedef json_t *list_fn(const struct admin *admin);

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

struct list {
    const char *path;
    list_fn *fn;
    bool of_media; /* there is nothing to list without a dataplane */
};

static const struct list *find_list(const char *path)
{
    static const struct list lists[] = {
        {"/status", admin_status, false}, {"/lanes", admin_lane_list, true},
        {"/drops", admin_drops, true},    {"/peers", admin_peers, true},
        {"/streams", admin_streams, false}, {"/rooms", admin_rooms, false},
        {"/egress", admin_egress, false},
    };

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (strcmp(lists[i].path, path) == 0) {
            return &lists[i];
        }
    }
    return NULL;
}

static void send_list(const struct admin *admin, const struct list *list, struct net_req *req)
{
    struct media_status status;
    json_t *data;

    media_status(admin->conf.media, &status);
    data = list->fn(admin);
    /* clients may have transports while another dataplane is waited for: they are shown */
    if (list->of_media && !status.attached &&
        (!json_is_array(data) || json_array_size(data) == 0)) {
        json_decref(data);
        admin_refuse(req, 503, "media_unavailable", "no dataplane is attached");
        return;
    }
    admin_send(req, 200, data != NULL ? json_pack("{s:o}", "data", data) : NULL, false);
}

/* Answers 404 or 405 and returns true if the request cannot be served. */
static bool refused(struct net_req *req, bool known)
{
    if (!known) {
        admin_send(req, 404,
                   admin_problem("not_found", "the admin interface has no such path"),
                   false);
        return true;
    }
    if (net_req_method(req) != NET_GET && net_req_method(req) != NET_HEAD) {
        admin_send(req, 405, admin_problem("method_not_allowed", "only GET and HEAD"),
                   true);
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
                   {"/room", admin_room},
                   {"/trace", admin_trace}};

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
    const struct list *list = find_list(net_req_path(req));

    if ((net_req_method(req) == NET_POST && admin_order(admin, req)) ||
        (net_req_method(req) == NET_GET && answer_query(admin, req))) {
        return; /* answered, or it will be */
    }
    if (list == NULL) {
        admin_on_metrics(admin, req);
    } else if (!refused(req, true)) {
        send_list(admin, list, req);
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
