#include "app/app.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "app/doors.h"
#include "app/drain.h"
#include "app/facts.h"
#include "app/keep.h"
#include "app/node_facts.h"
#include "app/reload.h"
#include "app/stored.h"
#include "app/tapes.h"
#include "archive/archive.h"
#include "auth/auth.h"
#include "event/event.h"
#include "event/otlp.h"
#include "media/media.h"
#include "media/media_balance.h"
#include "meeting/meeting.h"
#include "metric/metric.h"
#include "net/net.h"
#include "recording/recorder.h"
#include "rest/rest.h"
#include "session/session.h"
#include "sfu/conf/service.h"
#include "signal/signal.h"
#include "sys/clock.h"
#include "sys/entropy.h"
#include "sys/log.h"
#include "sys/loop.h"
#include "sys/place.h"

enum {
    NODE_PREFIX = 3, /* characters that this process's ids begin with */
    MAX_LISTEN = CONTROL_CONF_HTTP + 2,
    SPARE_CONNECTIONS = 1024 /* besides Socket.IO's: the page, REST, operators */
};

_Static_assert((int)CONTROL_CONF_PROXIES == (int)NET_PROXIES, "one limit");
_Static_assert(sizeof(((struct rest_facts *)0)->outlet_reason) >= EVENT_STATE_MAX,
               "a reason fits");

struct app {
    struct control_conf *conf;
    const char *path; /* of the file that it was read from; NULL: none */
    struct loop *loop;
    struct metric_registry *metrics;
    struct auth *auth;
    struct keep keep;
    struct keep_numbers numbers;
    struct otlp *otlp; /* NULL: spans go nowhere */
    struct media *media;
    struct media_balance *balance;
    struct session_registry *sessions;
    struct signal *signal;
    struct tapes tapes;
    struct meeting *meeting;
    struct rest *rest;
    struct admin *admin;
    struct net_server *server;
    struct drain *drain;
    struct loop_signal *on_int, *on_term, *on_hup;
    struct loop_timer *beat;
    size_t admin_listener,
        metrics_listener; /* indexes of the listeners that are not http */
    uint64_t started_us, started_wall_us;
    char node[NODE_PREFIX + 1];
    const char *origins[CONTROL_CONF_ORIGINS];
    struct turn_server ice_servers[CONTROL_CONF_ICE_SERVERS];
    const struct control_tls *tls; /* of the listeners that have it; NULL: none */
};

static int fail(char err[APP_ERR_MAX], int code, const char *what)
{
    (void)snprintf(err, APP_ERR_MAX, "%s: %s", what, strerror(-code));
    return code;
}

static struct turn_servers ice_servers(struct app *app)
{
    for (uint32_t i = 0; i < app->conf->n_ice_servers; i++) {
        const struct control_ice_server *server = &app->conf->ice_servers[i];

        app->ice_servers[i] = (struct turn_server){server->url, server->username,
                                                   server->credential, server->secret};
    }
    return (struct turn_servers){app->ice_servers, app->conf->n_ice_servers};
}

/* ---- what passes between modules ---- */

static void tell(const struct app *app, enum node_fact fact, uint32_t seconds)
{
    node_fact_tell(app->keep.store, fact, app->node, app->numbers.epoch,
                   app->meeting != NULL ? meeting_n_participants(app->meeting) : 0,
                   seconds);
}

/* The limits of two files, of which the lesser holds. */
static void note_limits(const struct app *app)
{
    const uint32_t peers = media_slots_of(app->media, MEDIA_PEER);

    if (peers / MEETING_TRANSPORTS < app->conf->limits.participants) {
        log_info("transports_for_fewer_people",
                 LOG_U64("participants", app->conf->limits.participants),
                 LOG_U64("peers", peers), LOG_U64("people", peers / MEETING_TRANSPORTS));
    }
}

static void on_media(void *user, bool attached)
{
    struct app *app = user;

    tell(app, attached ? NODE_MEDIA_ATTACHED : NODE_MEDIA_LOST, 0);
    if (attached) {
        note_limits(app);
        meeting_restore(app->meeting);
        rest_on_restored(app->rest);
    } else {
        meeting_on_media_lost(app->meeting);
    }
}

static void on_layers(void *user, uint64_t sub, uint32_t layers)
{
    struct app *app = user;

    meeting_on_layers(app->meeting, sub, layers);
}

/* 'user' is signaling's, which hears all else too. */
static void media_lost(void *user, struct participant *who)
{
    if (who->front == MEETING_HTTP) {
        rest_media_lost(who);
    } else {
        signal_meeting_ops()->media_lost(user, who);
    }
}

static uint32_t n_clients(void *user)
{
    const struct app *app = user;

    return signal_n_clients(app->signal);
}

/* seconds 0: back into service */
static void drain(void *user, uint32_t seconds)
{
    struct app *app = user;

    if (seconds > 0) {
        tell(app, NODE_DRAINING, seconds);
        drain_begin(app->drain, seconds);
    } else if (drain_is_on(app->drain, NULL)) {
        tell(app, NODE_IN_SERVICE, 0);
        drain_cancel(app->drain);
    }
}

static bool draining(void *user, uint32_t *left_s)
{
    const struct app *app = user;

    return drain_is_on(app->drain, left_s);
}

static void facts(void *user, struct rest_facts *out)
{
    const struct app *app = user;

    facts_of_media(app->media, app->conf->dataplane.socket, out);
    (void)snprintf(out->fingerprint_alg, sizeof(out->fingerprint_alg), "%s",
                   dtls_hash_name(DTLS_SHA256));
    out->draining = drain_is_on(app->drain, NULL);
    out->rooms = meeting_n_rooms(app->meeting);
    out->participants = meeting_n_participants(app->meeting);
    out->clients = signal_n_clients(app->signal);
    out->uptime_us = clock_mono_us() - app->started_us;
    if (app->keep.relay != NULL) {
        out->outlets = event_relay_n_sinks(app->keep.relay);
        out->outlets_failing = event_relay_state(app->keep.relay, out->outlet_reason);
    }
}

static void quality(void *user, const char *tenant, const char *meeting, const char *json)
{
    const struct app *app = user;

    if (app->keep.relay != NULL) {
        event_relay_quality(app->keep.relay, "kcs.quality.participant", tenant, meeting,
                            json);
    }
}

static void changed(void *user, const char *tenant, const char *id, const char *json,
                    uint64_t version)
{
    const struct app *app = user;

    signal_meeting_changed(app->signal, tenant, id, json, version);
}

static void on_request(void *user, struct net_req *req)
{
    struct app *app = user;
    size_t listener = net_req_listener(req);

    if (listener == app->admin_listener) {
        admin_on_request(app->admin, req);
    } else if (listener == app->metrics_listener) {
        if (rest_is_health(net_req_path(req))) {
            rest_on_request(app->rest, req);
        } else {
            admin_on_metrics(app->admin, req);
        }
    } else if (!signal_on_request(app->signal, req)) {
        rest_on_request(app->rest, req);
    }
}

/* Signaling and WHIP keep requests waiting. */
static void on_abort(void *user, struct net_req *req)
{
    struct app *app = user;

    if (net_req_listener(req) == app->admin_listener) {
        admin_on_abort(req);
    } else if (strncmp(net_req_path(req), SIGNAL_PATH, strlen(SIGNAL_PATH)) == 0) {
        signal_on_abort(app->signal, req);
    } else {
        rest_on_abort(app->rest, req);
    }
}

static int on_ws_open(void *user, struct net_ws *ws, struct net_req *req)
{
    struct app *app = user;
    size_t listener = net_req_listener(req);

    if (listener == app->admin_listener || listener == app->metrics_listener) {
        return 404;
    }
    return signal_on_ws_open(app->signal, ws, req);
}

static void on_ws_message(void *user, struct net_ws *ws, const void *data, size_t len,
                          bool binary)
{
    struct app *app = user;

    signal_on_ws_message(app->signal, ws, data, len, binary);
}

static void on_ws_close(void *user, struct net_ws *ws, unsigned code)
{
    struct app *app = user;

    signal_on_ws_close(app->signal, ws, code);
}

static void on_beat(void *arg)
{
    (void)arg;
    service_notify("WATCHDOG=1");
}

static void on_stop(void *arg)
{
    struct app *app = arg;

    loop_stop(app->loop);
}

/* Those who call may be given time to end; who asks twice has none. */
static void on_term(void *arg)
{
    struct app *app = arg;

    if (app->conf->shutdown.drain_s > 0 && !drain_is_on(app->drain, NULL)) {
        drain(app, app->conf->shutdown.drain_s);
    } else {
        loop_stop(app->loop);
    }
}

/* ---- listeners ---- */

static uint32_t max_connections(const struct control_conf *conf)
{
    return 2 * conf->limits.connections + SPARE_CONNECTIONS;
}

static int open_listeners(struct app *app, char err[APP_ERR_MAX])
{
    static const struct net_handlers handlers = {
        .on_request = on_request,
        .on_abort = on_abort,
        .on_ws_open = on_ws_open,
        .on_ws_message = on_ws_message,
        .on_ws_close = on_ws_close,
    };
    static const char *const names[CONTROL_CONF_HTTP] = {
        "http[0]", "http[1]", "http[2]", "http[3]",
        "http[4]", "http[5]", "http[6]", "http[7]",
    };
    const struct control_conf *conf = app->conf;
    struct net_listen listen[MAX_LISTEN] = {0};
    struct net_conf net = net_conf_default();
    const char *proxies[CONTROL_CONF_PROXIES];
    char net_err[NET_ERR_MAX];
    uint32_t n = conf->n_http;
    int ret = doors_certificate(conf, &app->tls, err, APP_ERR_MAX);

    if (ret != 0) {
        return ret;
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct control_http *http = &conf->http[i];

        listen[i] = (struct net_listen){
            .name = names[i],
            .address = strcmp(http->address, "::") == 0 ? NULL : http->address,
            .port = http->port,
            .tls = http->tls.cert[0] != '\0'};
    }
    app->admin_listener = n;
    listen[n] = (struct net_listen){
        .name = "admin.socket", .path = conf->admin.socket, .mode = 0660};
    app->metrics_listener = n + 1;
    listen[n + 1] = (struct net_listen){.name = "admin.metrics_port",
                                        .address = conf->admin.metrics_address,
                                        .port = conf->admin.metrics_port};
    place_make(conf->admin.socket, 0755);
    if (app->tls != NULL) {
        net.tls_cert = app->tls->cert;
        net.tls_key = app->tls->key;
    }
    for (uint32_t i = 0; i < conf->n_proxies; i++) {
        proxies[i] = conf->proxies[i].network;
    }
    net.proxies = proxies;
    net.n_proxies = conf->n_proxies;
    net.listen = listen;
    net.n_listen = n + 2;
    /* Long-polling takes two connections a client. */
    net.max_connections = max_connections(conf);
    net.max_per_address = conf->limits.connections_per_address;
    net.body_max = conf->socketio.max_payload;
    net.ws_message_max = conf->socketio.max_payload;
    net.ws_deflate = conf->socketio.compression;
    doors_raise_files(net.max_connections + SPARE_CONNECTIONS);
    ret = net_server_create(&app->server, app->loop, app->metrics, &net, &handlers, app,
                            net_err);
    if (ret != 0) {
        (void)snprintf(err, APP_ERR_MAX, "%s", net_err);
    }
    return ret;
}

/* ---- SIGHUP ---- */

static void set_log_level(enum control_log_level level)
{
    static const enum log_level levels[] = {[CONTROL_LOG_ERROR] = LOG_LEVEL_ERROR,
                                            [CONTROL_LOG_WARN] = LOG_LEVEL_WARN,
                                            [CONTROL_LOG_INFO] = LOG_LEVEL_INFO,
                                            [CONTROL_LOG_DEBUG] = LOG_LEVEL_DEBUG};

    log_set_level(levels[level]);
}

static void renew_certificate(struct app *app)
{
    char err[NET_ERR_MAX] = "";

    if (app->tls == NULL) {
        return;
    }
    if (net_server_renew_cert(app->server, app->tls->cert, app->tls->key, err) != 0) {
        log_error("certificate_refused", LOG_STR("error", err),
                  LOG_STR("stays", "the one that was read before"));
    } else {
        log_info("certificate_renewed", LOG_STR("cert", app->tls->cert));
    }
}

/* Hands what has changed to those who have a copy. */
static void apply(struct app *app)
{
    const struct control_limits *limits = &app->conf->limits;
    const struct meeting_limits meeting = {
        .rooms = limits->rooms,
        .participants = limits->participants_per_room,
        .people = limits->participants,
        .producers = limits->producers_per_participant,
        .consumers = limits->consumers_per_participant,
        .gate = {.most = limits->joins_waiting, .wait_ms = limits->join_wait_ms}};
    const struct callers_conf callers = {.most = limits->connections_per_address,
                                         .per_s = limits->handshakes_per_address};
    const struct rest_limits rest = {limits->requests_per_address,
                                     limits->requests_per_user, limits->logins_per_address};

    set_log_level(app->conf->log.level);
    net_server_set_limits(app->server, max_connections(app->conf),
                          limits->connections_per_address);
    signal_set_limits(app->signal, limits->connections, &callers);
    meeting_set_limits(app->meeting, &meeting);
    if (rest_set_limits(app->rest, &rest) != 0) {
        log_error("limits_not_set", LOG_STR("error", strerror(ENOMEM)));
    }
    for (uint32_t i = 0; i < app->conf->n_cors; i++) {
        app->origins[i] = app->conf->cors[i].origin;
    }
    rest_set_origins(app->rest, app->origins, app->conf->n_cors);
}

static void renew_issuers(void *user)
{
    const struct app *app = user;

    keep_renew_issuers(app->conf, app->auth);
}

static void on_hangup(void *arg)
{
    static struct control_conf fresh; /* some 60 KB */
    struct app *app = arg;
    struct reload_diff diff;
    char err[APP_ERR_MAX] = "";
    int ret = 0;

    if (app->path != NULL) {
        ret = control_conf_load(app->path, &fresh, err, sizeof(err));
        if (ret == 0) {
            ret = control_conf_secrets(&fresh, err, sizeof(err));
        }
        explicit_bzero(fresh.auth.hs256_secret, sizeof(fresh.auth.hs256_secret));
    }
    if (ret != 0) {
        log_error("reload_refused", LOG_STR("error", err),
                  LOG_STR("stays", "the configuration as it was"));
        return;
    }
    if (app->path != NULL) {
        reload_take(app->conf, &fresh, &diff);
        apply(app);
        log_info("reloaded", LOG_STR("changed", diff.live),
                 LOG_STR("needs_restart", diff.start));
    }
    renew_certificate(app);
    renew_issuers(app);
}

/* ---- start and stop ---- */

static int open_tracing(struct app *app, char err[APP_ERR_MAX])
{
    const struct control_otlp *from = &app->conf->tracing.otlp;
    struct event_setting headers[CONTROL_CONF_HEADERS];
    const struct otlp_conf conf = {.endpoint = from->endpoint,
                                   .headers = headers,
                                   .n_headers = from->n_headers,
                                   .version = APP_VERSION,
                                   .node = app->node,
                                   .percent = from->percent};
    char why[EVENT_ERR_MAX] = "";
    int ret = 0;

    for (uint32_t i = 0; i < from->n_headers; i++) {
        headers[i] = (struct event_setting){from->headers[i].name, from->headers[i].value};
    }
    if (from->endpoint[0] != '\0') {
        ret = otlp_create(&app->otlp, app->metrics, &conf, why);
    }
    if (ret != 0) {
        (void)snprintf(err, APP_ERR_MAX, "%.250s", why);
    }
    return ret;
}

/* Loop, clocks, tokens: what needs nobody else. */
static int make_base(struct app *app, struct control_conf *conf, char err[APP_ERR_MAX])
{
    int ret = auth_create(&app->auth, (const uint8_t *)conf->auth.hs256_secret,
                          strlen(conf->auth.hs256_secret));

    explicit_bzero(conf->auth.hs256_secret, sizeof(conf->auth.hs256_secret));
    if (ret != 0) {
        return fail(err, ret, "auth.hs256_secret");
    }
    ret = loop_create(&app->loop);
    if (ret == 0) {
        ret = metric_registry_create(&app->metrics);
    }
    if (ret == 0) {
        ret = loop_signal_create(app->loop, &app->on_int, SIGINT, on_stop, app);
    }
    if (ret == 0) {
        ret = loop_signal_create(app->loop, &app->on_term, SIGTERM, on_term, app);
    }
    if (ret == 0) {
        ret = loop_signal_create(app->loop, &app->on_hup, SIGHUP, on_hangup, app);
    }
    if (ret == 0) {
        ret = loop_timer_create(app->loop, &app->beat, on_beat, NULL);
    }
    if (ret != 0) {
        return fail(err, ret, "cannot make the event loop");
    }
    ret = stored_register(app->metrics, &app->keep);
    if (ret != 0) {
        return fail(err, ret, "cannot count");
    }
    ret = open_tracing(app, err);
    if (ret == 0) {
        ret = keep_issuers(conf, app->auth, err, APP_ERR_MAX);
        auth_on_unknown_key(app->auth, renew_issuers, app);
    }
    if (ret == 0) {
        ret = keep_open(&app->keep, conf, app->loop, app->metrics, app->auth, err,
                        APP_ERR_MAX);
    }
    if (ret != 0) {
        return ret;
    }
    app->numbers = keep_numbers(&app->keep, app->started_wall_us);
    ret = stored_watch(&app->keep);
    return ret != 0 ? fail(err, ret, "cannot look at the disks") : 0;
}

static int make_sessions(struct app *app, char err[APP_ERR_MAX])
{
    const struct control_conf *conf = app->conf;
    const struct media_conf media = {.loop = app->loop, .socket = conf->dataplane.socket};
    struct session_registry_conf sessions = {.loop = app->loop,
                                             .metrics = app->metrics,
                                             .dtls_threads = conf->dtls.threads,
                                             .on_media = on_media,
                                             .on_layers = on_layers,
                                             .user = app};
    int ret = media_create(&app->media, &media);

    if (ret != 0) {
        return fail(err, ret, "dataplane.socket");
    }
    ret = media_balance_create(&app->balance, app->loop, app->media);
    if (ret != 0) {
        return fail(err, ret, "no memory");
    }
    sessions.media = app->media;
    ret = session_registry_create(&app->sessions, &sessions);
    return ret != 0 ? fail(err, ret, "cannot start the DTLS threads (dtls.threads)") : 0;
}

/* The program beside this one, as it is built, or where a package has it. */
static struct tapes_conf tapes_conf(const struct app *app)
{
    return (struct tapes_conf){app->conf, app->loop, app->media, app->metrics, &app->keep};
}

static int make_recorder(struct app *app, char err[APP_ERR_MAX])
{
    const struct tapes_conf conf = tapes_conf(app);

    return tapes_open_recorder(&app->tapes, &conf, err, APP_ERR_MAX);
}

static int make_archive(struct app *app, char err[APP_ERR_MAX])
{
    const struct tapes_conf conf = tapes_conf(app);

    return tapes_open_archive(&app->tapes, &conf, app->meeting, err, APP_ERR_MAX);
}

static int make_meetings(struct app *app, char err[APP_ERR_MAX])
{
    const struct control_conf *conf = app->conf;
    const struct callers_conf callers = {.most = conf->limits.connections_per_address,
                                         .per_s = conf->limits.handshakes_per_address};
    const struct signal_conf signaling = {.loop = app->loop,
                                          .metrics = app->metrics,
                                          .ice_servers = ice_servers(app),
                                          .auth = app->auth,
                                          .store = app->keep.store,
                                          .keep_days = conf->store.event_days,
                                          .audit_days = conf->store.audit_days,
                                          .quality = quality,
                                          .quality_user = app,
                                          .ping_interval_ms =
                                              conf->socketio.ping_interval_ms,
                                          .ping_timeout_ms = conf->socketio.ping_timeout_ms,
                                          .max_payload = conf->socketio.max_payload,
                                          .max_clients = conf->limits.connections,
                                          .callers = callers};
    const struct meeting_conf meeting = {
        .sessions = app->sessions,
        .media = app->media,
        .recorder = app->tapes.recorder,
        .max_rooms = conf->limits.rooms,
        .max_participants = conf->limits.participants_per_room,
        .max_people = conf->limits.participants,
        .loop = app->loop,
        .gate = {.most = conf->limits.joins_waiting, .wait_ms = conf->limits.join_wait_ms},
        .max_producers = conf->limits.producers_per_participant,
        .max_consumers = conf->limits.consumers_per_participant,
        .loudest = conf->audio.loudest,
        .keep_silence = conf->audio.keep_silence,
        .epoch = app->numbers.epoch,
        .first_seq = app->numbers.seq,
        .id_prefix = app->node};
    struct drain_conf draining = {.loop = app->loop, .over = on_stop, .user = app};
    struct meeting_ops ops = *signal_meeting_ops();
    int ret = signal_create(&app->signal, &signaling);

    if (ret != 0) {
        return fail(err, ret, "cannot start signaling");
    }
    ops.media_lost = media_lost;
    ret = meeting_create(&app->meeting, &meeting, &ops, app->signal);
    if (ret != 0) {
        return fail(err, ret, "cannot start the meeting service");
    }
    signal_set_meeting(app->signal, app->meeting);
    draining.meeting = app->meeting;
    draining.signal = app->signal;
    ret = drain_create(&app->drain, &draining);
    return ret != 0 ? fail(err, ret, "cannot start the meeting service") : 0;
}

static int make_fronts(struct app *app, char err[APP_ERR_MAX])
{
    const struct rest_conf rest = {.web_root = app->conf->web.root,
                                   .version = APP_VERSION,
                                   .facts = facts,
                                   .changed = changed,
                                   .user = app,
                                   .loop = app->loop,
                                   .auth = app->auth,
                                   .meeting = app->meeting,
                                   .recordings = app->conf->recording.directory,
                                   .live = app->conf->recording.live,
                                   .archive = app->tapes.archive,
                                   .store = app->keep.store,
                                   .accounts = app->keep.accounts,
                                   .audit_days = app->conf->store.audit_days,
                                   .ice_servers = ice_servers(app),
                                   .origins = app->origins,
                                   .n_origins = app->conf->n_cors,
                                   .limits = {app->conf->limits.requests_per_address,
                                              app->conf->limits.requests_per_user,
                                              app->conf->limits.logins_per_address}};
    const struct admin_conf admin = {.loop = app->loop,
                                     .media = app->media,
                                     .meeting = app->meeting,
                                     .metrics = app->metrics,
                                     .version = APP_VERSION,
                                     .node = app->node,
                                     .store = app->keep.store,
                                     .accounts = app->keep.accounts,
                                     .audit_days = app->conf->store.audit_days,
                                     .started_wall_us = app->started_wall_us,
                                     .n_clients = n_clients,
                                     .drain = drain,
                                     .draining = draining,
                                     .user = app};
    int ret;

    for (uint32_t i = 0; i < app->conf->n_cors; i++) {
        app->origins[i] = app->conf->cors[i].origin;
    }
    ret = rest_create(&app->rest, &rest);

    if (ret == 0) {
        ret = admin_create(&app->admin, &admin);
    }
    return ret != 0 ? fail(err, ret, "cannot start the REST and admin interfaces") : 0;
}

int app_create(struct app **out, struct control_conf *conf,
               const struct store_backend *database, char err[APP_ERR_MAX])
{
    struct app *app = calloc(1, sizeof(*app));
    int ret;

    set_log_level(conf->log.level);
    (void)signal(SIGPIPE, SIG_IGN);
    if (app == NULL) {
        explicit_bzero(conf->auth.hs256_secret, sizeof(conf->auth.hs256_secret));
        return fail(err, -ENOMEM, "cannot start");
    }
    app->conf = conf;
    app->keep.database = database;
    app->started_us = clock_mono_us();
    app->started_wall_us = clock_wall_us();
    entropy_id(app->node, NODE_PREFIX);
    ret = make_base(app, conf, err);
    /* The listeners early, for they are what may fail; nothing is served before app_run().
     */
    if (ret == 0) {
        ret = open_listeners(app, err);
    }
    if (ret == 0) {
        ret = make_sessions(app, err);
    }
    if (ret == 0) {
        ret = make_recorder(app, err);
    }
    if (ret == 0) {
        ret = make_meetings(app, err);
    }
    if (ret == 0) {
        ret = make_archive(app, err);
    }
    if (ret == 0) {
        ret = make_fronts(app, err);
    }
    if (ret != 0) {
        app_destroy(app);
        return ret;
    }
    *out = app;
    return 0;
}

void app_reload_from(struct app *app, const char *path)
{
    app->path = path;
}

void app_run(struct app *app)
{
    const struct control_conf *conf = app->conf;
    char urls[CONTROL_CONF_HTTP * 96] = "";
    char metrics[128] = "";

    doors_urls(conf, urls, sizeof(urls));
    doors_metrics_url(conf, metrics, sizeof(metrics));
    log_info("ready", LOG_STR("version", APP_VERSION), LOG_STR("node", app->node),
             LOG_STR("urls", urls), LOG_STR("admin", conf->admin.socket),
             LOG_STR("metrics", metrics));
    if (service_watchdog_ms() > 0) {
        loop_timer_start(app->beat, 0, service_watchdog_ms());
    }
    service_notify("READY=1");
    tell(app, NODE_STARTED, 0);
    loop_run(app->loop);
    service_notify("STOPPING=1");
    tell(app, NODE_STOPPING, 0);
    log_info("stopping", LOG_U64("participants", meeting_n_participants(app->meeting)));
}

void app_destroy(struct app *app)
{
    if (app == NULL) {
        return;
    }
    /* What is open in the dataplane stays open, as if we had been killed: calls go on, and
     * our successor finds all in the vault. */
    if (app->media != NULL) {
        media_let_go(app->media);
    }
    /* Then listeners: nothing new comes in, and every client looks for our successor. */
    net_server_destroy(app->server);
    keep_close(&app->keep);
    drain_destroy(app->drain);
    rest_destroy(app->rest);
    archive_destroy(app->tapes.archive);
    app->tapes.archive = NULL;
    signal_destroy(app->signal);
    meeting_destroy(app->meeting);
    recorder_destroy(app->tapes.recorder); /* its processes end their files by themselves */
    session_registry_destroy(app->sessions);
    admin_destroy(app->admin);
    media_balance_destroy(app->balance);
    media_destroy(app->media);
    loop_signal_destroy(app->on_int);
    loop_signal_destroy(app->on_term);
    loop_signal_destroy(app->on_hup);
    loop_timer_destroy(app->beat);
    stored_unwatch(&app->keep);
    keep_free(&app->keep);
    auth_destroy(app->auth);
    loop_destroy(app->loop);
    otlp_destroy(app->otlp);
    metric_registry_destroy(app->metrics);
    free(app);
}
