#include "session/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session/session_priv.h"
#include "sys/clock.h"
#include "sys/entropy.h"
#include "sys/log.h"
#include "trace/trace.h"

_Static_assert((int)ICE_MAX_PATHS == (int)VAULT_PATHS, "one limit");
_Static_assert((int)ICE_UFRAG_MAX == (int)VAULT_UFRAG_MAX &&
                   (int)ICE_PWD_MAX == (int)VAULT_PWD_MAX,
               "one limit");

/* ---- state ---- */

/* A step is a part of what made the transport. */
static void end_step(const struct session *s, const char *name, const char *error)
{
    struct trace_span span;

    if (trace_is_set(&s->trace)) {
        trace_begin_at(&span, &s->trace, TRACE_INTERNAL, s->since_us);
        trace_end(&span, name, error, NULL, 0);
    }
}

/* How long the steps of becoming connected took; a session that was restored took none. */
static void measure(const struct session *s, enum session_state state, uint64_t now_us)
{
    double seconds = (double)(now_us - s->since_us) / 1e6;

    if (s->since_us == 0) {
        return;
    }
    if (s->state == SESSION_NEW && state == SESSION_CONNECTING) {
        metric_observe(s->reg->ice_s, seconds);
        end_step(s, "ice", NULL);
    } else if (s->state == SESSION_CONNECTING && state == SESSION_CONNECTED) {
        metric_observe(s->reg->dtls_s, seconds);
        end_step(s, "dtls", NULL);
    } else if (state == SESSION_FAILED && s->state != SESSION_CONNECTED) {
        metric_inc(s->reg->unestablished);
        end_step(s, s->state == SESSION_NEW ? "ice" : "dtls", "failed");
    }
}

void session_set_state(struct session *s, enum session_state state)
{
    uint64_t now_us = clock_mono_us();

    measure(s, state, now_us);
    s->since_us = now_us;
    s->reg->n_state[s->state]--;
    s->reg->n_state[state]++;
    s->state = state;
}

/* The last thing its callers do: the owner may close the session. */
static void tell_state(struct session *s, const char *reason)
{
    if (s->ops->on_state != NULL) {
        s->ops->on_state(s->user, s->state, reason);
    }
}

void session_fail(struct session *s, const char *reason)
{
    if (s->state == SESSION_FAILED) {
        return;
    }
    session_set_state(s, SESSION_FAILED);
    session_data_end(s);
    dtls_conn_close(s->dtls);
    s->dtls = NULL;
    session_drop_held(s);
    session_registry_forget_paths(s);
    session_registry_settling(s, false);
    log_info("session_failed", LOG_U64("peer", s->peer), LOG_STR("reason", reason));
    tell_state(s, reason);
}

static void begin_connecting(struct session *s)
{
    if (s->state == SESSION_NEW) {
        session_set_state(s, SESSION_CONNECTING);
        tell_state(s, NULL);
    }
}

/* ---- the dataplane ---- */

struct session_call *session_call_new(struct session *s, enum session_call_kind kind)
{
    struct session_call *call = calloc(1, sizeof(*call));

    if (call != NULL) {
        call->session = s;
        call->kind = kind;
        LIST_INSERT_HEAD(&s->calls, call, link);
    }
    return call;
}

void session_call_free(struct session_call *call)
{
    if (call->session != NULL) {
        LIST_REMOVE(call, link);
    }
    free(call);
}

void session_on_answer(void *arg, int status)
{
    struct session_call *call = arg;
    struct session *s = call->session;
    enum session_call_kind kind = call->kind;

    session_call_free(call);
    if (s == NULL) {
        return;
    }
    if (kind == CALL_OPEN) {
        if (s->ops->on_ready != NULL) {
            s->ops->on_ready(s->user, status);
        }
        return;
    }
    if (s->state == SESSION_FAILED) {
        return;
    }
    if (status != 0) {
        log_warn("session_refused", LOG_U64("peer", s->peer),
                 LOG_STR("error", strerror(-status)));
        session_fail(s, status == -ECONNRESET ? "media_lost" : "media_refused");
        return;
    }
    s->has_keys = s->has_keys || kind == CALL_KEYS;
    if (s->has_keys && s->state == SESSION_CONNECTING && LIST_EMPTY(&s->calls) &&
        s->selected_told >= 0) {
        session_set_state(s, SESSION_CONNECTED);
        log_info("session_connected", LOG_U64("peer", s->peer));
        tell_state(s, NULL);
    }
}

/* Brings the paths of the ICE agent to the registry and the dataplane, if they differ from
 * what these have. Returns 0 or -errno. */
int session_sync_paths(struct session *s)
{
    /* Which one is selected the dataplane learns with the keys: until then there is nothing
     * to be sent there, and each check is to come here (session_grant_dtls). */
    int8_t selected = -1;
    struct path paths[ICE_MAX_PATHS];
    struct session_call *call;
    int err;

    if (s->profile != 0) {
        selected = s->ice.selected;
    }
    memset(paths, 0, sizeof(paths));
    for (uint8_t i = 0; i < s->ice.n_paths; i++) {
        paths[i] = s->ice.paths[i].path;
    }
    if (s->n_told == s->ice.n_paths && s->selected_told == selected &&
        memcmp(s->told, paths, sizeof(paths)) == 0) {
        return 0;
    }
    session_registry_sync_paths(s);
    call = session_call_new(s, CALL_PATHS);
    if (call == NULL) {
        return -ENOMEM;
    }
    err = media_peer_set_paths(s->reg->conf.media, s->peer, paths, s->ice.n_paths,
                               selected >= 0 ? (uint8_t)selected : s->ice.n_paths,
                               session_on_answer, call);
    if (err != 0) {
        session_call_free(call);
        return err;
    }
    memcpy(s->told, paths, sizeof(paths));
    s->n_told = s->ice.n_paths;
    s->selected_told = selected;
    return 0;
}

/* ---- ICE ---- */

static enum session_stun_result verdict_result(enum ice_verdict verdict)
{
    switch (verdict) {
    case ICE_ACCEPTED:
        return STUN_ACCEPTED;
    case ICE_MALFORMED:
    case ICE_NOT_REQUEST:
        return STUN_MALFORMED;
    case ICE_UNAUTHENTICATED:
        return STUN_UNAUTHENTICATED;
    case ICE_REPLAYED:
        return STUN_REPLAYED;
    case ICE_BAD_REQUEST:
    case ICE_UNKNOWN_ATTR:
    case ICE_ROLE_CONFLICT:
        break;
    }
    return STUN_REFUSED;
}

/* The peer has nominated by its new credentials: consent is checked by them from now on. */
static int tell_credentials(struct session *s)
{
    struct session_call *call = session_call_new(s, CALL_ICE);
    int err;

    if (call == NULL) {
        return -ENOMEM;
    }
    err = media_peer_set_ice(s->reg->conf.media, s->peer, s->ice.ufrag, s->ice.pwd,
                             session_on_answer, call);
    if (err != 0) {
        session_call_free(call);
    }
    return err;
}

/* Has the ICE agent know what the dataplane does. */
static void note(struct session *s)
{
    struct ice_notes notes = {.guarded = s->has_keys};
    struct media_heard heard;

    if (media_peer_heard(s->reg->conf.media, s->peer, &heard) == 0) {
        memcpy(notes.heard_us, heard.media_us, sizeof(notes.heard_us));
        notes.checked_us = heard.checked_us;
        notes.nominated_us = heard.nominated_us;
        notes.answered = heard.answered;
        notes.n_answered = VAULT_ANSWERED;
        notes.judged = heard.judged;
        notes.n_judged = VAULT_JUDGED;
    }
    ice_lite_note(&s->ice, &notes);
}

void session_settle(struct session *s, uint64_t now_us)
{
    int err = 0;

    note(s);
    if (ice_lite_settle(&s->ice, now_us)) {
        err = session_sync_paths(s);
    }
    session_registry_settling(s, ice_lite_is_settling(&s->ice));
    if (err != 0) {
        session_fail(s, "media_refused");
    }
}

enum session_stun_result session_on_stun(struct session *s,
                                         const struct abi_datagram *datagram)
{
    uint8_t answer[ICE_MAX_RESPONSE];
    struct ice_result res;
    int err = 0;

    note(s);
    res = ice_lite_on_check(&s->ice, datagram->data, datagram->len, &datagram->path,
                            datagram->time_us, answer);
    session_registry_settling(s, ice_lite_is_settling(&s->ice));

    /* The dataplane knows the path before the peer knows that it is good: what the peer
     * sends upon the answer (its ClientHello) would be dropped else. */
    if (res.verdict == ICE_ACCEPTED) {
        err = session_sync_paths(s);
    }
    if (res.restarted && err == 0) {
        session_registry_forget_old(s);
        err = tell_credentials(s);
    }
    if (res.response_len > 0) {
        (void)media_send(s->reg->conf.media, HANDLE_NONE, &datagram->path,
                         ABI_DATAGRAM_STUN, answer, res.response_len);
    }
    if (res.verdict == ICE_ACCEPTED) {
        if (err != 0 || session_start_dtls(s) != 0) {
            session_fail(s, "media_refused");
        } else {
            session_grant_dtls(s);
            begin_connecting(s);
        }
    }
    return verdict_result(res.verdict);
}

/* ---- what the owner calls ---- */

static void make_credentials(char ufrag[ICE_MADE_UFRAG + 1], char pwd[ICE_MADE_PWD + 1])
{
    uint8_t random[ICE_RANDOM_LEN];

    entropy_fill(random, sizeof(random));
    ice_lite_make_credentials(random, ufrag, pwd);
    explicit_bzero(random, sizeof(random));
}

static int init_ice(struct session *s)
{
    char ufrag[ICE_MADE_UFRAG + 1], pwd[ICE_MADE_PWD + 1];
    int err;

    make_credentials(ufrag, pwd);
    err = ice_lite_init(&s->ice, ufrag, pwd);
    explicit_bzero(pwd, sizeof(pwd));
    return err;
}

int session_restart_ice(struct session *s)
{
    char ufrag[ICE_MADE_UFRAG + 1], pwd[ICE_MADE_PWD + 1];
    int err;

    if (s->state == SESSION_FAILED) {
        return -ENOTCONN;
    }
    make_credentials(ufrag, pwd);
    err = session_registry_rename(s, ufrag, pwd);
    if (err != 0) {
        session_fail(s, "no_memory");
        err = -ENOTCONN;
    } else {
        /* so that its checks are not limited as strangers' are; they would do without */
        (void)media_peer_expect_ice(s->reg->conf.media, s->peer, ufrag, NULL, NULL);
    }
    explicit_bzero(pwd, sizeof(pwd));
    return err;
}

static int open_peer(struct session *s)
{
    struct vault_peer_conf conf = {.ufrag_len = (uint8_t)strlen(s->ice.ufrag),
                                   .pwd_len = (uint8_t)strlen(s->ice.pwd)};
    struct session_call *call = session_call_new(s, CALL_OPEN);
    int err;

    if (call == NULL) {
        return -ENOMEM;
    }
    conf.probator = s->ops->probator ? 1 : 0;
    memcpy(conf.ufrag, s->ice.ufrag, conf.ufrag_len);
    memcpy(conf.pwd, s->ice.pwd, conf.pwd_len);
    err = media_peer_open(s->reg->conf.media, &conf, session_on_answer, call, &s->peer);
    explicit_bzero(&conf, sizeof(conf));
    if (err != 0) {
        session_call_free(call);
    }
    return err;
}

int session_create(struct session **out, struct session_registry *reg,
                   const struct session_ops *ops, void *user)
{
    struct session *s = calloc(1, sizeof(*s));
    int err;

    if (s == NULL) {
        return -ENOMEM;
    }
    s->reg = reg;
    s->ops = ops;
    s->user = user;
    s->selected_told = -1;
    LIST_INIT(&s->calls);
    s->since_us = clock_mono_us();
    s->trace = *trace_now();
    reg->n_state[SESSION_NEW]++;
    err = init_ice(s);
    if (err == 0) {
        err = open_peer(s);
    }
    if (err == 0) {
        err = session_registry_add(s);
    }
    if (err != 0) {
        session_close(s);
        return err;
    }
    *out = s;
    return 0;
}

void session_save(const struct session *s, const void *data, size_t len)
{
    int err = media_set_blob(s->reg->conf.media, MEDIA_PEER, s->peer, data, len);

    if (err != 0 && err != -ENOTCONN && err != -ESTALE) { /* gone: nothing to save */
        log_warn("session_not_saved", LOG_U64("peer", s->peer),
                 LOG_STR("error", strerror(-err)));
    }
}

/* Fills in what the record says. */
static int restore_from(struct session *s, const struct vault_peer_conf *conf)
{
    char ufrag[ICE_UFRAG_MAX + 1] = "", pwd[ICE_PWD_MAX + 1] = "";
    int err;

    if (conf->profile == 0) {
        return -ENOTCONN;
    }
    if (conf->ufrag_len > ICE_UFRAG_MAX || conf->pwd_len > ICE_PWD_MAX ||
        conf->n_paths > ICE_MAX_PATHS || conf->selected > conf->n_paths) {
        return -EINVAL;
    }
    memcpy(ufrag, conf->ufrag, conf->ufrag_len);
    memcpy(pwd, conf->pwd, conf->pwd_len);
    err = ice_lite_init(&s->ice, ufrag, pwd);
    explicit_bzero(pwd, sizeof(pwd));
    if (err == 0) {
        s->selected_told = (int8_t)(conf->selected < conf->n_paths ? conf->selected : -1);
        err = ice_lite_restore(&s->ice, conf->paths, conf->n_paths, s->selected_told);
    }
    if (err != 0) {
        return err;
    }
    s->n_told = conf->n_paths;
    memcpy(s->told, conf->paths, conf->n_paths * sizeof(conf->paths[0]));
    s->has_remote = true;
    s->has_keys = true;
    s->profile = conf->profile;
    session_set_state(s, s->selected_told >= 0 ? SESSION_CONNECTED : SESSION_CONNECTING);
    return 0;
}

int session_restore(struct session **out, struct session_registry *reg, uint64_t peer,
                    const struct session_ops *ops, void *user)
{
    struct session *s = calloc(1, sizeof(*s));
    struct vault_peer_conf conf = {.handle = HANDLE_NONE};
    struct session_call *call = NULL;
    int err;

    if (s == NULL) {
        return -ENOMEM;
    }
    s->reg = reg;
    s->ops = ops;
    s->user = user;
    s->peer = peer;
    LIST_INIT(&s->calls);
    reg->n_state[SESSION_NEW]++;
    err = media_peer_conf(reg->conf.media, peer, &conf);
    if (err == 0) {
        err = restore_from(s, &conf);
    }
    explicit_bzero(&conf, sizeof(conf));
    if (err == 0) {
        err = session_registry_add(s);
    }
    if (err == 0) {
        session_registry_sync_paths(s);
        call = session_call_new(s, CALL_OPEN);
        err = call == NULL
                  ? -ENOMEM
                  : media_check(reg->conf.media, MEDIA_PEER, peer, session_on_answer, call);
        if (err != 0 && call != NULL) {
            session_call_free(call);
        }
    }
    if (err != 0) {
        s->peer = HANDLE_NONE; /* the caller's to close */
        session_registry_remove(s);
        reg->n_state[s->state]--;
        ice_lite_fini(&s->ice);
        free(s);
        return err;
    }
    *out = s;
    return 0;
}

void session_close(struct session *s)
{
    struct session_call *call;

    if (s == NULL) {
        return;
    }
    while ((call = LIST_FIRST(&s->calls)) != NULL) {
        LIST_REMOVE(call, link);
        call->session = NULL; /* its answer frees it */
    }
    session_registry_remove(s);
    session_data_end(s);
    session_end_dtls(s);
    session_drop_held(s);
    if (s->peer != HANDLE_NONE) {
        /* stale if the dataplane refused it or went away: then there is nothing to close */
        (void)media_close(s->reg->conf.media, MEDIA_PEER, s->peer, NULL, NULL);
    }
    s->reg->n_state[s->state]--;
    ice_lite_fini(&s->ice);
    free(s);
}

int session_connect(struct session *s, const struct session_dtls *dtls)
{
    int err;

    if (s->state == SESSION_FAILED) {
        return -ENOTCONN;
    }
    if (s->has_remote) {
        return -EALREADY;
    }
    if (dtls->n_fps == 0 || dtls->n_fps > DTLS_MAX_FPS) {
        return -EINVAL;
    }
    s->remote = *dtls;
    s->has_remote = true;
    err = session_start_dtls(s);
    if (err != 0) {
        s->has_remote = false;
    }
    return err;
}

int session_dtls_add(struct session_dtls *dtls, const char *algorithm, const char *value)
{
    struct dtls_fp fp;
    int err = dtls_fp_parse(algorithm, value, &fp);

    if (err != 0) {
        return err;
    }
    if (dtls->n_fps >= DTLS_MAX_FPS) {
        return -ENOSPC;
    }
    dtls->fps[dtls->n_fps++] = fp;
    return 0;
}

static void add_candidate(struct session_local *out, const struct abi_device *device,
                          uint16_t i)
{
    const struct abi_addr *addr = &device->addrs[i];
    struct session_candidate *c = &out->candidates[out->n_candidates];
    const void *ip = addr->family == 4 ? addr->public_ip + 12 : addr->public_ip;
    /* each candidate needs a priority of its own (RFC 8445, 5.1.2.1) */
    uint16_t pref = device->preference > i ? (uint16_t)(device->preference - i) : 0;

    if (inet_ntop(addr->family == 4 ? AF_INET : AF_INET6, ip, c->address,
                  sizeof(c->address)) == NULL) {
        return;
    }
    c->family = addr->family;
    c->port = addr->public_port != 0 ? addr->public_port : device->port;
    c->priority = ice_lite_priority(126, pref, 1);
    ice_lite_foundation(addr->ip, c->foundation);
    out->n_candidates++;
}

void session_local(const struct session *s, struct session_local *out)
{
    const struct abi_shm *info = media_info(s->reg->conf.media);

    memset(out, 0, sizeof(*out));
    (void)snprintf(out->ufrag, sizeof(out->ufrag), "%s", s->ice.ufrag);
    (void)snprintf(out->pwd, sizeof(out->pwd), "%s", s->ice.pwd);
    dtls_fp_text(dtls_fingerprint(s->reg->dtls), out->fingerprint);
    for (uint32_t d = 0; info != NULL && d < info->n_devices; d++) {
        bool works = media_device_state(s->reg->conf.media, d) == ABI_DEVICE_WORKS;

        for (uint16_t i = 0; works && i < info->devices[d].n_addrs; i++) {
            if (out->n_candidates < SESSION_MAX_CANDIDATES) {
                add_candidate(out, &info->devices[d], i);
            }
        }
    }
}

uint64_t session_peer(const struct session *s)
{
    return s->peer;
}

enum session_state session_state(const struct session *s)
{
    return s->state;
}

const char *session_state_name(enum session_state state)
{
    static const char *const names[N_SESSION_STATES] = {
        [SESSION_NEW] = "new",
        [SESSION_CONNECTING] = "connecting",
        [SESSION_CONNECTED] = "connected",
        [SESSION_FAILED] = "failed",
    };

    return names[state];
}

uint32_t session_profile(const struct session *session)
{
    return session->profile;
}

const struct path *session_path(const struct session *s)
{
    return ice_lite_selected(&s->ice);
}
