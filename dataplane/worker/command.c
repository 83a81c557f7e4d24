/* See command.h. */
#include "worker/command.h"

#include <errno.h>
#include <string.h>

#include "lane/capture.h"
#include "rtcp/rtcp_out.h"
#include "sfu/base/handle.h"
#include "stage/begin.h"
#include "worker/across.h"
#include "worker/command_priv.h"

_Static_assert(sizeof(struct vault_rx) == sizeof(struct replay), "one layout");
_Static_assert(offsetof(struct vault_rx, started) == offsetof(struct replay, started), "");
_Static_assert(offsetof(struct vault_rx, window) == offsetof(struct replay, window), "");
_Static_assert((int)VAULT_RX_SSRCS == (int)PEER_SSRCS, "one limit");
_Static_assert((int)VAULT_PATHS == (int)PEER_PATHS, "one limit");
_Static_assert((int)VAULT_ANSWERED == (int)PEER_ANSWERED, "one limit");
_Static_assert((int)ABI_SRTP_AEAD_AES_128_GCM == (int)CRYPT_AEAD_AES_128_GCM &&
                   (int)ABI_SRTP_AEAD_AES_256_GCM == (int)CRYPT_AEAD_AES_256_GCM &&
                   (int)ABI_SRTP_AES128_CM_SHA1_80 == (int)CRYPT_AES128_CM_SHA1_80 &&
                   (int)ABI_SRTP_AES128_CM_SHA1_32 == (int)CRYPT_AES128_CM_SHA1_32,
               "one numbering of profiles");

COMMAND_DEFINE_READ(peer)

static const struct alloc_conf ALLOC = {.patience_us = 2000000, .reserve = 128};
static const struct bwe_conf BWE = {
    .start_bps = 600000, .min_bps = 50000, .max_bps = 100000000};

/* ---- peers ---- */

static int set_keys(struct lane *lane, struct peer *peer,
                    const struct vault_peer_conf *conf)
{
    struct crypt_key *tx = &lane->tables->tx_keys[peer->index];
    struct crypt_key *rx = &lane->tables->rx_keys[peer->index];
    enum crypt_profile profile = (enum crypt_profile)conf->profile;
    int err;

    if (conf->profile == 0 || peer->tx_key != NULL) {
        return 0; /* keys of a peer never change: DTLS is done once */
    }
    err = crypt_key_init(lane->crypt, tx, profile, conf->tx_key, conf->tx_salt, true);
    if (err == 0) {
        err = crypt_key_init(lane->crypt, rx, profile, conf->rx_key, conf->rx_salt, false);
    }
    if (err != 0) {
        crypt_key_wipe(tx);
        return err;
    }
    peer->profile = (uint8_t)profile;
    peer->tag_len = crypt_tag_len(profile);
    peer->tx_key = tx;
    peer->rest->rx_key = rx;
    return 0;
}

static int set_paths(struct lane *lane, const struct io *io, struct peer *peer,
                     const struct vault_peer_conf *conf)
{
    struct pkt_hdr hdr = {.len = 0};
    const bool had_path = peer->to != NULL;
    const struct path before = had_path ? *peer->to : (struct path){0};
    struct path old[PEER_PATHS];
    uint8_t n_old = peer->rest->n_paths;
    int err = 0;

    if (conf->n_paths > VAULT_PATHS) {
        return -EINVAL;
    }
    for (uint8_t i = 0; i < conf->n_paths && err == 0; i++) {
        err = io_hdr_build(io, &conf->paths[i], &hdr);
    }
    if (err == 0 && conf->selected < conf->n_paths) {
        err = io_hdr_build(io, &conf->paths[conf->selected], &hdr);
    }
    if (err == 0) {
        memcpy(old, peer->rest->paths, sizeof(old));
        err = tables_peer_set_paths(lane->tables, peer, conf->paths, conf->n_paths,
                                    conf->selected);
        across_paths(lane, peer, old, n_old);
    }
    if (err != 0) {
        return err;
    }
    for (uint8_t i = 0; i < peer->rest->n_paths; i++) {
        if (n_old > i && !path_same_tuple(&old[i], &peer->rest->paths[i])) {
            __atomic_store_n(&peer->rest->heard_us[i], 0, __ATOMIC_RELAXED);
        }
    }
    peer->hdr = hdr;
    if (peer->to != NULL && !path_same_tuple(peer->to, &before)) {
        *peer->rest->last_check_us = lane->now_us; /* the check that selected it */
        peer->consent_lost = peer->rest->loss_told = false;
        if (had_path) {
            bwe_on_route(peer->bwe, peer->twcc_next, lane->now_us);
        }
    }
    return 0;
}

static bool good_credentials(const struct vault_peer_conf *conf)
{
    return conf->ufrag_len > 0 && conf->ufrag_len <= PEER_UFRAG && conf->pwd_len > 0 &&
           conf->pwd_len <= PEER_PWD && conf->next_ufrag_len <= PEER_UFRAG;
}

/* New ones come when the peer has nominated by them after an ICE restart, maybe the path
 * that it had: that check is one of consent. */
static void set_credentials(struct lane *lane, struct peer *peer,
                            const struct vault_peer_conf *conf)
{
    bool renewed = peer->rest->ufrag_len != 0 && peer->to != NULL &&
                   (peer->rest->ufrag_len != conf->ufrag_len ||
                    memcmp(peer->rest->ufrag, conf->ufrag, conf->ufrag_len) != 0);

    if (renewed) {
        *peer->rest->last_check_us = lane->now_us;
        peer->consent_lost = peer->rest->loss_told = false;
    }
    tables_peer_name(lane->tables, peer, conf->ufrag, conf->ufrag_len, conf->next_ufrag,
                     conf->next_ufrag_len);
    peer->rest->pwd_len = conf->pwd_len;
    memcpy(peer->rest->pwd, conf->pwd, conf->pwd_len);
}

static int peer_update(struct lane *lane, const struct io *io, const struct vault *vault,
                       uint64_t handle)
{
    struct peer *peer = tables_peer(lane->tables, handle);
    struct vault_peer_conf conf;
    int err = read_peer(vault, handle, &conf);
    bool was_ready = peer != NULL && peer->to != NULL && peer->tx_key != NULL;

    if (err == 0 && peer == NULL) {
        err = -ENOENT;
    }
    if (err == 0 && !good_credentials(&conf)) {
        err = -EINVAL;
    }
    if (err == 0 && conf.profile != 0 &&
        crypt_tag_len((enum crypt_profile)conf.profile) == 0) {
        err = -EINVAL;
    }
    if (err == 0) {
        err = set_paths(lane, io, peer, &conf);
    }
    if (err == 0) {
        err = set_keys(lane, peer, &conf);
    }
    if (err == 0) {
        set_credentials(lane, peer, &conf);
    }
    explicit_bzero(&conf, sizeof(conf));
    if (peer != NULL) {
        tables_wake(lane->tables, peer);
    }
    if (err == 0 && !was_ready && peer->to != NULL && peer->tx_key != NULL) {
        for (struct sub *sub = peer->rest->subs; sub != NULL; sub = sub->next_of_peer) {
            if (!sub->paused) {
                begin_sub(lane, sub);
            }
        }
    }
    return err;
}

/* Takes up what an earlier dataplane has left: which SSRCs it had seen (the streams find
 * theirs when they open), and the transport-wide numbers that it may have used. */
static void resume_peer(struct lane *lane, struct peer *peer, uint64_t last_check_us)
{
    for (uint32_t i = 0; i < PEER_SSRCS; i++) {
        peer->rest->ssrcs[i] = peer->rest->rx[i].ssrc;
        if (peer->rest->rx[i].started != 0) {
            peer->rest->n_ssrcs = i + 1;
        }
    }
    for (uint32_t i = 0; i < PEER_SSRCS; i++) {
        if (peer->rest->rx_rtcp[i].started != 0) {
            peer->rest->n_rtcp_ssrcs = i + 1;
        }
    }
    peer->twcc_next =
        (*peer->rest->twcc_taken + PEER_TWCC_BLOCK - 1) / PEER_TWCC_BLOCK * PEER_TWCC_BLOCK;
    if (last_check_us != 0) {
        *peer->rest->last_check_us = last_check_us;
        peer->consent_lost = lane->now_us - last_check_us > RTCP_CONSENT_US;
    }
}

static int peer_open(struct lane *lane, const struct io *io, const struct vault *vault,
                     uint64_t handle, bool resume)
{
    struct vault_peer_live *live;
    struct vault_peer_conf conf;
    uint64_t last_check_us;
    struct peer *peer;
    int err = read_peer(vault, handle, &conf);

    if (err == 0 && !good_credentials(&conf)) {
        err = -EINVAL;
    }
    if (err != 0) {
        goto out;
    }
    peer = tables_peer_open(lane->tables, handle, &err);
    if (peer == NULL) {
        goto out;
    }
    live = &vault->peers[peer->index].live;
    if (!resume) {
        memset(live, 0, offsetof(struct vault_peer_live, judged));
    }
    last_check_us = live->last_check_us;
    peer->rest->rx = (struct replay *)live->rx;
    peer->rest->rx_rtcp = (struct replay *)live->rx_rtcp;
    peer->rest->rtcp_next_index = &live->rtcp_next_index;
    peer->rest->twcc_taken = &live->twcc_next;
    peer->rest->probe_next = &live->probe_next_index;
    peer->rest->probator = conf.probator != 0;
    bwe_init(peer->bwe, &BWE);
    alloc_init(&peer->rest->alloc, &ALLOC);
    peer->rest->last_check_us = &live->last_check_us;
    peer->rest->last_nomination_us = &live->last_nomination_us;
    peer->rest->heard_us = live->heard_us;
    peer->rest->answered = live->answered;
    peer->rest->lane = &live->lane;
    live->lane = lane->index;
    /* reports of many peers are spread over the interval */
    peer->rest->report_due_us = lane->now_us + peer->index * 7919u % 1000000u;
    err = peer_update(lane, io, vault, handle);
    if (err != 0) {
        (void)tables_peer_close(lane->tables, peer);
    } else if (resume) {
        resume_peer(lane, peer, last_check_us);
    }
out:
    explicit_bzero(&conf, sizeof(conf));
    return err;
}

/* ---- all ---- */

static int peer_close(struct lane *lane, uint64_t handle)
{
    struct peer *peer = tables_peer(lane->tables, handle);
    struct path old[PEER_PATHS];
    uint8_t n_old;
    int err;

    if (peer == NULL) {
        return -ENOENT;
    }
    memcpy(old, peer->rest->paths, sizeof(old));
    n_old = peer->rest->n_paths;
    err = tables_peer_close(lane->tables, peer);
    if (err == 0) {
        across_paths(lane, peer, old, n_old);
        err = across_settle(lane);
    }
    return err;
}

static int peer_move(struct lane *lane, const struct abi_cmd *cmd)
{
    struct peer *peer = tables_peer(lane->tables, cmd->handle);

    return peer != NULL ? across_move(lane, peer, cmd->arg) : -ENOENT;
}

/* Nobody counts what was missed of another peer. */
static int peer_capture(struct lane *lane, const struct abi_cmd *cmd)
{
    struct peer *peer = tables_peer(lane->tables, cmd->handle);

    if (cmd->arg >= N_ABI_CAPTURES) {
        return -EINVAL;
    }
    if (peer == NULL) {
        return -ENOENT;
    }
    peer_watch(peer, (uint8_t)cmd->arg);
    lane->capture_missed = 0;
    return 0;
}

int command_apply(struct lane *lane, const struct io *io, const struct vault *vault,
                  const struct abi_cmd *cmd)
{
    switch (cmd->op) {
    case ABI_OP_PING:
        return 0;
    case ABI_OP_PEER_OPEN:
        return peer_open(lane, io, vault, cmd->handle, false);
    case ABI_OP_PEER_UPDATE:
        return peer_update(lane, io, vault, cmd->handle);
    case ABI_OP_PEER_CLOSE:
        return peer_close(lane, cmd->handle);
    case ABI_OP_PEER_MOVE:
        return peer_move(lane, cmd);
    case ABI_OP_PEER_CAPTURE:
        return peer_capture(lane, cmd);
    case ABI_OP_STREAM_OPEN:
        return command_stream_open(lane, vault, cmd->handle, false);
    case ABI_OP_STREAM_UPDATE:
        return command_stream_update(lane, vault, cmd->handle);
    case ABI_OP_STREAM_CLOSE:
        return command_stream_close(lane, cmd->handle);
    case ABI_OP_SUB_OPEN:
        return command_sub_open(lane, vault, cmd->handle, false);
    case ABI_OP_SUB_UPDATE:
        return command_sub_update(lane, vault, cmd->handle);
    case ABI_OP_SUB_CLOSE:
        return command_sub_close(lane, cmd->handle);
    case ABI_OP_STREAM_KEYFRAME:
        return command_stream_keyframe(lane, cmd->handle);
    case ABI_OP_SUB_KEYFRAME:
        return command_sub_keyframe(lane, cmd->handle);
    default:
        return -EINVAL;
    }
}

int command_resume(struct lane *lane, const struct io *io, const struct vault *vault,
                   enum abi_op op, uint64_t handle)
{
    switch (op) {
    case ABI_OP_PEER_OPEN:
        return peer_open(lane, io, vault, handle, true);
    case ABI_OP_STREAM_OPEN:
        return command_stream_open(lane, vault, handle, true);
    case ABI_OP_SUB_OPEN:
        return command_sub_open(lane, vault, handle, true);
    default:
        return -EINVAL;
    }
}

static void close_subs(struct lane *lane)
{
    struct tables *t = lane->tables;

    for (uint32_t i = 0; i < t->n_open; i++) {
        struct peer *peer = &t->peers[t->open[i].index];

        while (peer->rest->subs != NULL) {
            lane_sub_close(lane, peer->rest->subs);
        }
    }
}

static void close_peers(struct tables *t)
{
    while (t->n_open > 0) {
        struct peer *peer = &t->peers[t->open[t->n_open - 1].index];

        while (peer->rest->streams != NULL) {
            (void)tables_stream_close(t, peer->rest->streams);
        }
        (void)tables_peer_close(t, peer);
    }
    tables_paths_reset(t);
}

void command_close_lanes(struct lane *const *lanes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        close_subs(lanes[i]);
        lanes[i]->n_news = 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        close_peers(lanes[i]->tables);
    }
}

void command_close_all(struct lane *lane)
{
    command_close_lanes(&lane, 1);
}
