/* Which session a datagram is for: by the ufrag it names, by the peer whose path the
 * dataplane knows, or by the path itself, which may be newer here than there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "session/session_priv.h"
#include "sys/clock.h"
#include "sys/loop.h"

static int post(void *loop, void (*fn)(void *arg), void *arg)
{
    return loop_post(loop, fn, arg);
}

/* ---- paths ---- */

static struct path path_key(const struct path *path)
{
    struct path key = *path;

    memset(key.remote_mac, 0, sizeof(key.remote_mac));
    return key;
}

static struct session_path *find_path(struct session_registry *reg, const struct path *path)
{
    struct path key = path_key(path);
    struct session_path *entry;

    HASH_FIND(hh, reg->by_path, &key, sizeof(key), entry);
    return entry;
}

void session_registry_forget_paths(struct session *s)
{
    for (int i = 0; i < ICE_MAX_PATHS; i++) {
        if (s->paths[i].session != NULL) {
            /* An entry with a session is in the table, so the table exists. */
            /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
            HASH_DELETE(hh, s->reg->by_path, &s->paths[i]);
            s->paths[i].session = NULL;
        }
    }
}

void session_registry_sync_paths(struct session *s)
{
    session_registry_forget_paths(s);
    for (uint8_t i = 0; i < s->ice.n_paths; i++) {
        struct session_path *entry = &s->paths[i];

        memset(entry, 0, sizeof(*entry));
        entry->key = path_key(&s->ice.paths[i].path);
        HASH_ADD(hh, s->reg->by_path, key, sizeof(entry->key), entry);
        /* Without memory for the table the path is only found by the dataplane's handle. */
        entry->session = entry->hh.tbl != NULL ? s : NULL;
    }
}

/* ---- sessions ---- */

int session_registry_add(struct session *s)
{
    struct session_registry *reg = s->reg;
    struct session *other;

    HASH_FIND(by_ufrag, reg->by_ufrag, s->ice.ufrag, strlen(s->ice.ufrag), other);
    if (other != NULL) {
        return -EEXIST;
    }
    HASH_ADD(by_ufrag, reg->by_ufrag, ice.ufrag, strlen(s->ice.ufrag), s);
    HASH_ADD(by_peer, reg->by_peer, peer, sizeof(s->peer), s);
    return s->by_ufrag.tbl != NULL && s->by_peer.tbl != NULL ? 0 : -ENOMEM;
}

int session_registry_rename(struct session *s, const char *ufrag, const char *pwd)
{
    struct session *other;
    int err;

    HASH_FIND(by_ufrag, s->reg->by_ufrag, ufrag, strlen(ufrag), other);
    if (other != NULL) {
        return -EEXIST;
    }
    HASH_DELETE(by_ufrag, s->reg->by_ufrag, s);
    err = ice_lite_restart(&s->ice, ufrag, pwd);
    memset(&s->by_ufrag, 0, sizeof(s->by_ufrag));
    HASH_ADD(by_ufrag, s->reg->by_ufrag, ice.ufrag, strlen(s->ice.ufrag), s);
    if (s->by_old.tbl == NULL && s->ice.old_ufrag[0] != '\0') {
        HASH_ADD(by_old, s->reg->by_old, ice.old_ufrag, strlen(s->ice.old_ufrag), s);
    }
    return s->by_ufrag.tbl == NULL ? -ENOMEM : err;
}

void session_registry_forget_old(struct session *s)
{
    if (s->by_old.tbl != NULL) {
        HASH_DELETE(by_old, s->reg->by_old, s);
        memset(&s->by_old, 0, sizeof(s->by_old));
    }
}

void session_registry_settling(struct session *s, bool settling)
{
    struct session_registry *reg = s->reg;

    if (settling == s->settling) {
        return;
    }
    s->settling = settling;
    if (!settling) {
        TAILQ_REMOVE(&reg->settling, s, settling_link);
        reg->n_settling--;
        return;
    }
    TAILQ_INSERT_TAIL(&reg->settling, s, settling_link);
    if (reg->n_settling++ == 0) {
        loop_timer_start(reg->settle, ICE_SETTLE_MS, 0);
    }
}

/* Each that was listed has its turn; their owners may close others meanwhile. */
static void settle(void *arg)
{
    struct session_registry *reg = arg;
    uint64_t now_us = clock_mono_us();

    for (uint32_t n = reg->n_settling; n > 0 && !TAILQ_EMPTY(&reg->settling); n--) {
        struct session *s = TAILQ_FIRST(&reg->settling);

        TAILQ_REMOVE(&reg->settling, s, settling_link);
        TAILQ_INSERT_TAIL(&reg->settling, s, settling_link);
        session_settle(s, now_us);
    }
    if (reg->n_settling > 0) {
        loop_timer_start(reg->settle, ICE_SETTLE_MS, 0);
    }
}

void session_registry_remove(struct session *s)
{
    session_registry_settling(s, false);
    session_registry_forget_paths(s);
    session_registry_forget_old(s);
    if (s->by_ufrag.tbl != NULL) {
        HASH_DELETE(by_ufrag, s->reg->by_ufrag, s);
    }
    if (s->by_peer.tbl != NULL) {
        HASH_DELETE(by_peer, s->reg->by_peer, s);
    }
}

/* ---- what the dataplane says ---- */

static enum session_stun_result on_stun(struct session_registry *reg,
                                        const struct abi_datagram *datagram)
{
    char ufrag[ICE_UFRAG_MAX + 1];
    struct session_path *taken;
    struct session *s;

    if (ice_lite_peek_ufrag(datagram->data, datagram->len, ufrag) != 0) {
        return STUN_MALFORMED;
    }
    HASH_FIND(by_ufrag, reg->by_ufrag, ufrag, strlen(ufrag), s);
    if (s == NULL) {
        HASH_FIND(by_old, reg->by_old, ufrag, strlen(ufrag), s);
    }
    if (s == NULL || s->state == SESSION_FAILED) {
        return STUN_UNKNOWN_UFRAG;
    }
    /* Another session's path stays that session's, however authentic the check: otherwise
     * one participant could take over what another receives by forging its address. */
    taken = find_path(reg, &datagram->path);
    if (taken != NULL && taken->session != s) {
        return STUN_PATH_TAKEN;
    }
    return session_on_stun(s, datagram);
}

static enum session_dtls_result on_dtls(struct session_registry *reg,
                                        const struct abi_datagram *datagram)
{
    struct session_path *entry;
    struct session *s = NULL;

    if (datagram->peer != HANDLE_NONE) {
        HASH_FIND(by_peer, reg->by_peer, &datagram->peer, sizeof(datagram->peer), s);
    } else {
        entry = find_path(reg, &datagram->path);
        s = entry != NULL ? entry->session : NULL;
    }
    return s != NULL ? session_on_dtls(s, datagram) : DTLS_NO_SESSION;
}

static void on_datagram(void *user, const struct abi_datagram *datagram)
{
    struct session_registry *reg = user;

    if (datagram->kind == ABI_DATAGRAM_STUN) {
        metric_inc(reg->stun[on_stun(reg, datagram)]);
    } else {
        metric_inc(reg->dtls_in[on_dtls(reg, datagram)]);
    }
}

static void on_consent_lost(void *user, uint64_t peer)
{
    struct session_registry *reg = user;
    struct session *s;

    HASH_FIND(by_peer, reg->by_peer, &peer, sizeof(peer), s);
    if (s != NULL) {
        session_fail(s, "consent_lost");
    }
}

static void on_layers(void *user, uint64_t sub, uint32_t layers)
{
    struct session_registry *reg = user;

    if (reg->conf.on_layers != NULL) {
        reg->conf.on_layers(reg->conf.user, sub, layers);
    }
}

static void on_bandwidth(void *user, uint64_t peer, uint32_t kbps)
{
    struct session_registry *reg = user;
    struct session *s;

    HASH_FIND(by_peer, reg->by_peer, &peer, sizeof(peer), s);
    if (s != NULL && s->ops->on_bandwidth != NULL) {
        s->ops->on_bandwidth(s->user, (uint64_t)kbps * 1000);
    }
}

static void on_attached(void *user)
{
    struct session_registry *reg = user;

    if (reg->conf.on_media != NULL) {
        reg->conf.on_media(reg->conf.user, true);
    }
}

static void on_detached(void *user)
{
    struct session_registry *reg = user;
    struct session *s, *next;

    HASH_ITER(by_peer, reg->by_peer, s, next)
    {
        if (s->state != SESSION_FAILED) {
            session_set_state(s, SESSION_FAILED);
            session_registry_forget_paths(s);
            session_registry_settling(s, false);
            session_data_end(s);
            dtls_conn_close(s->dtls);
            s->dtls = NULL;
        }
    }
    if (reg->conf.on_media != NULL) {
        reg->conf.on_media(reg->conf.user, false);
    }
}

static const struct media_ops media_ops = {.on_attached = on_attached,
                                           .on_detached = on_detached,
                                           .on_datagram = on_datagram,
                                           .on_consent_lost = on_consent_lost,
                                           .on_layers = on_layers,
                                           .on_bandwidth = on_bandwidth};

/* ---- metrics ---- */

static const char metric_stun[] = "ice_checks_total";
static const char metric_dtls[] = "dtls_datagrams_total";
static const char metric_shakes[] = "dtls_handshakes_total";
static const char metric_sessions[] = "sessions";
static const char metric_sctp[] = "sctp_associations";
static const char metric_packets[] = "sctp_packets_total";
static const char metric_data[] = "data_messages_total";
static const char metric_establish[] = "establish_seconds";
static const char metric_unestablished[] = "establish_failed_total";

static void emit(struct metric_sink *sink, const char *label, const char *value, double n)
{
    const struct metric_label labels[] = {{.name = label, .value = value}};

    metric_emit(sink, labels, 1, n);
}

static void collect_sessions(struct metric_sink *sink, void *arg)
{
    const struct session_registry *reg = arg;

    for (enum session_state state = 0; state < N_SESSION_STATES; state++) {
        emit(sink, "state", session_state_name(state), reg->n_state[state]);
    }
}

static void collect_handshakes(struct metric_sink *sink, void *arg)
{
    const struct session_registry *reg = arg;
    struct dtls_counts counts;

    dtls_counts(reg->dtls, &counts);
    emit(sink, "result", "done", (double)counts.done);
    emit(sink, "result", "wrong_fingerprint", (double)counts.wrong_fingerprint);
    emit(sink, "result", "failed", (double)(counts.failed - counts.wrong_fingerprint));
}

static void collect_associations(struct metric_sink *sink, void *arg)
{
    const struct session_registry *reg = arg;
    struct dsctp_counts counts;

    dsctp_counts(reg->sctp, &counts);
    metric_emit(sink, NULL, 0, (double)counts.open);
}

static void collect_packets(struct metric_sink *sink, void *arg)
{
    const struct session_registry *reg = arg;
    struct dsctp_counts counts;

    dsctp_counts(reg->sctp, &counts);
    emit(sink, "result", "in", (double)counts.packets_in);
    emit(sink, "result", "out", (double)counts.packets_out);
    emit(sink, "result", "malformed", (double)counts.bad);
}

static void collect_data(struct metric_sink *sink, void *arg)
{
    const struct session_registry *reg = arg;
    struct dsctp_counts counts;

    dsctp_counts(reg->sctp, &counts);
    emit(sink, "result", "received", (double)counts.messages);
    emit(sink, "result", "ignored", (double)counts.ignored);
    emit(sink, "result", "sent", (double)reg->n_data_sent);
    emit(sink, "result", "dropped", (double)reg->n_data_dropped);
}

static int register_data_metrics(struct session_registry *reg)
{
    struct metric_registry *metrics = reg->conf.metrics;
    int err = metric_register_collector(metrics, METRIC_GAUGE, metric_sctp,
                                        "SCTP associations of data channels.",
                                        collect_associations, reg);

    if (err == 0) {
        err = metric_register_collector(metrics, METRIC_COUNTER, metric_packets,
                                        "SCTP packets in DTLS.", collect_packets, reg);
    }
    if (err == 0) {
        err = metric_register_collector(
            metrics, METRIC_COUNTER, metric_data,
            "Messages of data channels, and what became of each copy.", collect_data, reg);
    }
    return err;
}

static int register_results(struct metric_registry *metrics, const char *family,
                            const char *help, const char *const *names, int n,
                            struct metric **out)
{
    int err = 0;

    for (int i = 0; i < n && err == 0; i++) {
        const struct metric_label labels[] = {{.name = "result", .value = names[i]}};

        err = metric_register(metrics, METRIC_COUNTER, family, help, labels, 1, &out[i]);
    }
    return err;
}

static int register_establish(struct session_registry *reg)
{
    static const double bounds[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
    static const size_t n = sizeof(bounds) / sizeof(bounds[0]);
    static const char help[] =
        "Until a transport was connected: from its making to the first check (ice), from "
        "there to the keys (dtls).";
    static const struct metric_label ice = {"step", "ice"};
    static const struct metric_label dtls = {"step", "dtls"};
    struct metric_registry *metrics = reg->conf.metrics;
    int err = metric_register_histogram(metrics, metric_establish, help, &ice, 1, bounds, n,
                                        &reg->ice_s);

    if (err == 0) {
        err = metric_register_histogram(metrics, metric_establish, help, &dtls, 1, bounds,
                                        n, &reg->dtls_s);
    }
    if (err == 0) {
        err = metric_register(metrics, METRIC_COUNTER, metric_unestablished,
                              "Transports that failed before they were connected.", NULL, 0,
                              &reg->unestablished);
    }
    return err;
}

static int register_metrics(struct session_registry *reg)
{
#define X(constant, name) name,
    static const char *const stun[] = {SESSION_STUN_RESULTS(X)};
    static const char *const dtls[] = {SESSION_DTLS_RESULTS(X)};
#undef X
    struct metric_registry *metrics = reg->conf.metrics;
    int err = register_results(metrics, metric_stun,
                               "STUN messages that the dataplane left to control.", stun,
                               N_SESSION_STUN_RESULTS, reg->stun);

    if (err == 0) {
        err = register_results(metrics, metric_dtls, "DTLS datagrams that came in.", dtls,
                               N_SESSION_DTLS_RESULTS, reg->dtls_in);
    }
    if (err == 0) {
        err = metric_register_collector(metrics, METRIC_COUNTER, metric_shakes,
                                        "DTLS handshakes that ended.", collect_handshakes,
                                        reg);
    }
    if (err == 0) {
        err =
            metric_register_collector(metrics, METRIC_GAUGE, metric_sessions,
                                      "WebRTC transports by state.", collect_sessions, reg);
    }
    if (err == 0) {
        err = register_data_metrics(reg);
    }
    if (err == 0) {
        err = register_establish(reg);
    }
    return err;
}

/* ---- life ---- */

int session_registry_create(struct session_registry **out,
                            const struct session_registry_conf *conf)
{
    struct session_registry *reg = calloc(1, sizeof(*reg));
    const struct dtls_conf dtls_conf = {.threads = conf->dtls_threads,
                                        .post = post,
                                        .loop = conf->loop,
                                        .on_send = session_on_dtls_send,
                                        .on_done = session_on_dtls_done,
                                        .on_parted = session_on_dtls_parted,
                                        .on_data = session_on_dtls_data,
                                        .on_farewell = session_on_farewell,
                                        .farewell_user = reg};
    int err;

    if (reg == NULL) {
        return -ENOMEM;
    }
    reg->conf = *conf;
    TAILQ_INIT(&reg->settling);
    err = loop_timer_create(conf->loop, &reg->settle, settle, reg);
    if (err == 0) {
        err = dtls_create(&reg->dtls, &dtls_conf);
    }
    if (err == 0) {
        err = session_data_init(reg);
    }
    if (err == 0) {
        err = register_metrics(reg);
    }
    if (err != 0) {
        session_registry_destroy(reg);
        return err;
    }
    *out = reg;
    media_start(conf->media, &media_ops, reg);
    return 0;
}

void session_registry_destroy(struct session_registry *reg)
{
    if (reg == NULL) {
        return;
    }
    metric_unregister(reg->conf.metrics, metric_stun);
    metric_unregister(reg->conf.metrics, metric_dtls);
    metric_unregister(reg->conf.metrics, metric_shakes);
    metric_unregister(reg->conf.metrics, metric_sessions);
    metric_unregister(reg->conf.metrics, metric_sctp);
    metric_unregister(reg->conf.metrics, metric_packets);
    metric_unregister(reg->conf.metrics, metric_data);
    metric_unregister(reg->conf.metrics, metric_establish);
    metric_unregister(reg->conf.metrics, metric_unestablished);
    session_data_fini(reg);
    loop_timer_destroy(reg->settle);
    dtls_destroy(reg->dtls);
    free(reg);
}

void session_registry_load(struct session_registry *reg, struct session_load *out)
{
    struct dtls_load load;

    dtls_load(reg->dtls, &load);
    *out = (struct session_load){
        .busy_us = load.busy_us, .delay_us = load.delay_us, .threads = load.threads};
}

uint32_t session_registry_count(const struct session_registry *reg,
                                enum session_state state)
{
    return reg->n_state[state];
}
