/* DTLS of a session: what the peer says before it can be started is held, what it makes out
 * becomes the peer's keys. */
#include "session/session_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)DTLS_AEAD_AES_128_GCM == (int)ABI_SRTP_AEAD_AES_128_GCM &&
                   (int)DTLS_AEAD_AES_256_GCM == (int)ABI_SRTP_AEAD_AES_256_GCM &&
                   (int)DTLS_AES128_CM_SHA1_80 == (int)ABI_SRTP_AES128_CM_SHA1_80 &&
                   (int)DTLS_AES128_CM_SHA1_32 == (int)ABI_SRTP_AES128_CM_SHA1_32,
               "one numbering of profiles");
_Static_assert((int)DTLS_KEY_MAX <= (int)VAULT_KEY_MAX &&
                   (int)DTLS_SALT_MAX <= (int)VAULT_SALT_MAX,
               "the vault has room");

void session_drop_held(struct session *s)
{
    for (uint8_t i = 0; i < s->n_held; i++) {
        free(s->held[i]);
    }
    s->n_held = 0;
}

/* While a handshake is on: checks have earned their paths something. What is lost without
 * memory the next check brings. */
void session_grant_dtls(struct session *s)
{
    for (uint8_t i = 0; s->dtls != NULL && s->profile == 0 && i < s->ice.n_paths; i++) {
        struct ice_path *path = &s->ice.paths[i];

        if (path->credit > 0) {
            (void)dtls_conn_grant(s->dtls, &path->path, path->credit);
            path->credit = 0;
        }
    }
}

int session_start_dtls(struct session *s)
{
    enum dtls_role role = s->remote.role == SESSION_PEER_SERVER ? DTLS_CLIENT : DTLS_SERVER;
    int err;

    if (!s->has_remote || s->dtls != NULL || s->has_keys || s->ice.n_paths == 0) {
        return 0;
    }
    err = dtls_conn_open(&s->dtls, s->reg->dtls, role, s->remote.fps, s->remote.n_fps, s);
    if (err != 0) {
        return err;
    }
    if (s->wants_data) {
        dtls_conn_keep(s->dtls);
    }
    session_grant_dtls(s);
    for (uint8_t i = 0; i < s->n_held; i++) {
        const struct session_held *held = s->held[i];

        (void)dtls_conn_feed(s->dtls, &held->from, held->data, held->len);
    }
    session_drop_held(s);
    return 0;
}

void session_on_dtls_send(void *user, const struct path *to, const void *data, size_t len)
{
    struct session *s = user;
    const struct path *path = session_path(s);

    if (s->state == SESSION_CONNECTED && path != NULL) {
        to = path; /* data: to where the peer is now */
    }
    /* What the ring does not take is lost as on the network: DTLS sends it again. */
    (void)media_send(s->reg->conf.media, s->peer, to, ABI_DATAGRAM_DTLS, data, len);
}

/* The peer is gone from the dataplane, or will be before this: a path is enough to send. */
void session_on_farewell(void *user, const struct path *to, const void *data, size_t len)
{
    struct session_registry *reg = user;

    (void)media_send(reg->conf.media, HANDLE_NONE, to, ABI_DATAGRAM_DTLS, data, len);
}

void session_end_dtls(struct session *s)
{
    const struct path *path = session_path(s);

    if (s->state == SESSION_CONNECTED && path != NULL) {
        dtls_conn_part(s->dtls, path);
    } else {
        dtls_conn_close(s->dtls);
    }
    s->dtls = NULL;
}

void session_on_dtls_done(void *user, int err, const struct dtls_keys *keys)
{
    struct session *s = user;
    struct session_call *call;

    if (err != 0) {
        session_fail(s, err == -EPERM       ? "dtls_wrong_fingerprint"
                        : err == -ENOTSUP   ? "dtls_no_srtp_profile"
                        : err == -ETIMEDOUT ? "dtls_timeout"
                                            : "dtls_failed");
        return;
    }
    call = session_call_new(s, CALL_KEYS);
    err = -ENOMEM;
    if (call != NULL) {
        const struct media_keys out = {.profile = keys->profile,
                                       .key_len = keys->key_len,
                                       .salt_len = keys->salt_len,
                                       .rx_key = keys->rx_key,
                                       .tx_key = keys->tx_key,
                                       .rx_salt = keys->rx_salt,
                                       .tx_salt = keys->tx_salt};

        err =
            media_peer_set_keys(s->reg->conf.media, s->peer, &out, session_on_answer, call);
        if (err == 0) {
            s->profile = keys->profile;
            err = session_sync_paths(s);
            call = NULL; /* its answer frees it */
        }
    }
    if (err != 0) {
        if (call != NULL) {
            session_call_free(call);
        }
        session_fail(s, "media_refused");
        return;
    }
    if (s->wants_data) {
        session_data_shaken(s);
    }
}

/* The peer has ended its transport and does not come back: nobody need wait until its
 * consent has expired. */
void session_on_dtls_parted(void *user)
{
    session_fail(user, "peer_closed");
}

static enum session_dtls_result hold(struct session *s, const struct abi_datagram *datagram)
{
    enum session_dtls_result result = DTLS_HELD;
    struct session_held *held;

    if (datagram->len > sizeof(held->data)) {
        return DTLS_HELD_LOST;
    }
    if (s->n_held == SESSION_MAX_HELD) { /* the peer sends it again: the newest count */
        held = s->held[0];
        s->n_held--;
        for (uint8_t i = 0; i < s->n_held; i++) {
            s->held[i] = s->held[i + 1];
        }
        result = DTLS_HELD_LOST;
    } else {
        held = malloc(sizeof(*held));
    }
    if (held == NULL) {
        return DTLS_HELD_LOST;
    }
    held->from = datagram->path;
    held->len = datagram->len;
    memcpy(held->data, datagram->data, datagram->len);
    s->held[s->n_held++] = held;
    return result;
}

enum session_dtls_result session_on_dtls(struct session *s,
                                         const struct abi_datagram *datagram)
{
    if (s->state == SESSION_FAILED) {
        return DTLS_NO_SESSION;
    }
    if (!ice_lite_is_validated(&s->ice, &datagram->path)) {
        return DTLS_NOT_VALIDATED;
    }
    if (s->dtls == NULL && s->has_keys) {
        return DTLS_NO_SESSION; /* it died with the control that had it */
    }
    if (s->dtls == NULL) {
        return hold(s, datagram);
    }
    return dtls_conn_feed(s->dtls, &datagram->path, datagram->data, datagram->len) == 0
               ? DTLS_FED
               : DTLS_QUEUE_FULL;
}
