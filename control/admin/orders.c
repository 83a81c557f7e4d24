/* What the admin socket takes orders for; see admin.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/priv.h"
#include "net/net.h"
#include "sys/log.h"

enum { DRAIN_MAX_S = 86400 };

/* Fills 'out' with the number that the query gives as 'name'; false: it is none. */
static bool number(struct net_req *req, const char *name, uint32_t *out)
{
    const char *text = net_req_query(req, name);
    char *end = NULL;
    unsigned long n =
        text != NULL && *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;

    *out = (uint32_t)n;
    return end != NULL && *end == '\0' && n <= UINT32_MAX;
}

/* POST /lanes/move?transport=ID&lane=N */
static void move(const struct admin *admin, struct net_req *req)
{
    const char *transport = net_req_query(req, "transport");
    uint32_t lane;

    if (transport == NULL || !number(req, "lane", &lane)) {
        admin_refuse(req, 400, "invalid", "give transport=ID and lane=NUMBER");
        return;
    }
    switch (admin_move(admin, transport, lane)) {
    case 0:
        admin_note(admin, req, "operator.move", NULL, transport);
        admin_answer(req,
                     json_pack("{s:s, s:I}", "moves", transport, "lane", (json_int_t)lane));
        return;
    case -ENOENT:
    case -ESTALE:
        admin_refuse(req, 404, "not_found", "no such transport: see kcsctl peers");
        return;
    case -EINVAL:
        admin_refuse(req, 400, "invalid", "no such lane: see kcsctl lanes");
        return;
    case -ENOTCONN:
        admin_refuse(req, 503, "media_unavailable", "no dataplane is attached");
        return;
    default:
        admin_refuse(req, 409, "busy", "it is on the move: try again");
        return;
    }
}

/* POST /drain?seconds=N */
static void begin_drain(const struct admin *admin, struct net_req *req)
{
    uint32_t seconds;

    if (!number(req, "seconds", &seconds) || seconds == 0 || seconds > DRAIN_MAX_S) {
        admin_refuse(req, 400, "invalid", "give seconds=NUMBER: 1 to 86400");
        return;
    }
    admin->conf.drain(admin->conf.user, seconds);
    admin_note(admin, req, "operator.drain", NULL, NULL);
    admin_answer(req, json_pack("{s:i}", "drains_within_s", (int)seconds));
}

/* POST /undrain */
static void end_drain(const struct admin *admin, struct net_req *req)
{
    bool was = admin->conf.draining(admin->conf.user, NULL);

    admin->conf.drain(admin->conf.user, 0);
    admin_note(admin, req, "operator.undrain", NULL, NULL);
    admin_answer(req, json_pack("{s:s, s:b}", "state", "in service", "was_draining", was));
}

/* POST /loglevel?level=L, or ?meeting=ID: all of that one ("": of none) */
static void set_level(const struct admin *admin, struct net_req *req)
{
    const char *name = net_req_query(req, "level");
    const char *meeting = net_req_query(req, "meeting");
    enum log_level level;

    if (meeting != NULL) {
        log_set_meeting(meeting);
        log_info("log_meeting_set", LOG_STR("meeting_id", meeting));
        admin_note(admin, req, "operator.loglevel", NULL, meeting);
        admin_answer(req, json_pack("{s:s}", "meeting", meeting));
        return;
    }
    if (name == NULL || log_level_parse(name, &level) != 0) {
        admin_refuse(req, 400, "invalid", "a level is error, warn, info or debug");
        return;
    }
    log_set_level(level);
    log_info("log_level_set", LOG_STR("to", name));
    admin_note(admin, req, "operator.loglevel", NULL, name);
    admin_answer(req, json_pack("{s:s}", "level", name));
}

/* Those that keep something. */
static bool order_capture(struct admin *admin, struct net_req *req)
{
    static const struct {
        const char *path;
        void (*fn)(struct admin *admin, struct net_req *req);
    } orders[] = {
        {"/capture", admin_capture},
        {"/capture/take", admin_capture_take},
        {"/capture/stop", admin_capture_stop},
    };

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        if (strcmp(orders[i].path, net_req_path(req)) == 0) {
            orders[i].fn(admin, req);
            return true;
        }
    }
    return false;
}

bool admin_order(struct admin *admin, struct net_req *req)
{
    static const struct {
        const char *path;
        void (*fn)(const struct admin *admin, struct net_req *req);
    } orders[] = {
        {"/lanes/move", move},        {"/backup", admin_backup},
        {"/users", admin_add_user},   {"/drain", begin_drain},
        {"/undrain", end_drain},      {"/loglevel", set_level},
        {"/rooms/kick", admin_kick},  {"/rooms/close", admin_close_room},
        {"/rooms/mute", admin_mute},
    };

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        if (strcmp(orders[i].path, net_req_path(req)) == 0) {
            orders[i].fn(admin, req);
            return true;
        }
    }
    return order_capture(admin, req);
}
