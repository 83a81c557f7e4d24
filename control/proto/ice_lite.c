#include "proto/ice_lite.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "proto/base64.h"
#include "sfu/base/txids.h"
#include "sfu/wire/stun.h"

static bool ice_chars(const char *text, size_t min, size_t max)
{
    size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                              "0123456789+/");

    return text[len] == '\0' && len >= min && len <= max;
}

int ice_lite_init(struct ice_lite *ice, const char *ufrag, const char *pwd)
{
    if (!ice_chars(ufrag, ICE_UFRAG_MIN, ICE_UFRAG_MAX) ||
        !ice_chars(pwd, ICE_PWD_MIN, ICE_PWD_MAX)) {
        return -EINVAL;
    }
    memset(ice, 0, sizeof(*ice));
    strcpy(ice->ufrag, ufrag);
    strcpy(ice->pwd, pwd);
    ice->selected = ice->rival = -1;
    return 0;
}

int ice_lite_restore(struct ice_lite *ice, const struct path *paths, uint8_t n,
                     int8_t selected)
{
    if (n > ICE_MAX_PATHS || selected >= n || selected < -1) {
        return -EINVAL;
    }
    for (uint8_t i = 0; i < n; i++) {
        ice->paths[i] = (struct ice_path){.path = paths[i]};
    }
    ice->n_paths = n;
    ice->selected = selected;
    return 0;
}

int ice_lite_restart(struct ice_lite *ice, const char *ufrag, const char *pwd)
{
    if (!ice_chars(ufrag, ICE_UFRAG_MIN, ICE_UFRAG_MAX) ||
        !ice_chars(pwd, ICE_PWD_MIN, ICE_PWD_MAX)) {
        return -EINVAL;
    }
    if (ice->old_ufrag[0] == '\0') {
        strcpy(ice->old_ufrag, ice->ufrag);
        strcpy(ice->old_pwd, ice->pwd);
    }
    memset(ice->ufrag, 0, sizeof(ice->ufrag));
    explicit_bzero(ice->pwd, sizeof(ice->pwd));
    strcpy(ice->ufrag, ufrag);
    strcpy(ice->pwd, pwd);
    return 0;
}

void ice_lite_note(struct ice_lite *ice, const struct ice_notes *notes)
{
    struct ice_path *path = ice->selected >= 0 ? &ice->paths[ice->selected] : NULL;

    ice->notes = *notes;
    if (path != NULL && notes->nominated_us > path->nominated_us) {
        path->nominated_us = notes->nominated_us;
    }
}

void ice_lite_fini(struct ice_lite *ice)
{
    explicit_bzero(ice, sizeof(*ice));
    ice->selected = ice->rival = -1;
}

const struct path *ice_lite_selected(const struct ice_lite *ice)
{
    return ice->selected >= 0 ? &ice->paths[ice->selected].path : NULL;
}

static int find_path(const struct ice_lite *ice, const struct path *path)
{
    for (int i = 0; i < ice->n_paths; i++) {
        if (path_same_tuple(&ice->paths[i].path, path)) {
            return i;
        }
    }
    return -1;
}

bool ice_lite_is_validated(const struct ice_lite *ice, const struct path *path)
{
    return find_path(ice, path) >= 0;
}

/* A slot for a new path: a free one, else that of the path unseen for longest, but never
 * the selected one. */
static int path_slot(struct ice_lite *ice)
{
    int oldest = -1;

    if (ice->n_paths < ICE_MAX_PATHS) {
        return ice->n_paths++;
    }
    for (int i = 0; i < ICE_MAX_PATHS; i++) {
        if (i != ice->selected &&
            (oldest < 0 || ice->paths[i].seen_us < ice->paths[oldest].seen_us)) {
            oldest = i;
        }
    }
    if (oldest == ice->rival) {
        ice->rival = -1;
    }
    return oldest;
}

static bool was_answered(const struct ice_notes *notes, const uint8_t *txid)
{
    return notes->answered != NULL && txids_has(notes->answered, notes->n_answered, txid);
}

static bool txid_known(const struct ice_notes *notes, const uint8_t *txid)
{
    return was_answered(notes, txid) ||
           (notes->judged != NULL && txids_has(notes->judged, notes->n_judged, txid));
}

/* The key of one HMAC, and whether the library was able to compute it: without memory the
 * tag is not one, and must neither be compared nor sent. */
struct hmac_key {
    const char *pwd;
    bool failed;
};

static void hmac_pwd(void *ctx, const uint8_t *data, size_t len, uint8_t out[STUN_MAC_LEN])
{
    struct hmac_key *key = ctx;
    unsigned n = STUN_MAC_LEN;

    memset(out, 0, STUN_MAC_LEN);
    key->failed =
        HMAC(EVP_sha1(), key->pwd, (int)strlen(key->pwd), data, len, out, &n) == NULL;
}

/* ---- judging ---- */

static bool names(const char *ufrag, const struct stun_msg *msg)
{
    size_t len = strlen(ufrag);

    return len > 0 && msg->username != NULL && msg->username_len > len + 1 &&
           memcmp(msg->username, ufrag, len) == 0 && msg->username[len] == ':';
}

/* The password of the generation that a check names, NULL if it names none of ours. */
static const char *pwd_of(const struct ice_lite *ice, const struct stun_msg *msg)
{
    return names(ice->ufrag, msg)       ? ice->pwd
           : names(ice->old_ufrag, msg) ? ice->old_pwd
                                        : NULL;
}

static enum ice_verdict judge(const struct ice_lite *ice, const struct stun_msg *msg)
{
    struct hmac_key key = {.pwd = pwd_of(ice, msg)};

    if (msg->type != STUN_BINDING_REQUEST) {
        return ICE_NOT_REQUEST;
    }
    if (!msg->has_fingerprint) {
        return ICE_MALFORMED;
    }
    if (msg->username == NULL || msg->mac == NULL) {
        return ICE_BAD_REQUEST;
    }
    if (key.pwd == NULL || !stun_mac_ok(msg, hmac_pwd, &key) || key.failed) {
        return ICE_UNAUTHENTICATED;
    }
    if (msg->unknown_attr != 0) {
        return ICE_UNKNOWN_ATTR;
    }
    if (msg->ice_controlled) {
        return ICE_ROLE_CONFLICT;
    }
    return msg->ice_controlling && msg->priority != 0 ? ICE_ACCEPTED : ICE_BAD_REQUEST;
}

/* True if the peer means 'to' by a nomination without a number, and not the selected path.
 * Who nominates both again and again has not changed its mind; nor has a check that was
 * overtaken by one of the other path. */
static bool wins(const struct ice_path *from, const struct ice_path *to, uint64_t now_us)
{
    const uint64_t rival_us = ICE_RIVAL_MS * UINT64_C(1000);
    bool rivals = from->nominated_us != 0 && now_us < from->nominated_us + rival_us &&
                  to->nominated_us != 0 && now_us < to->nominated_us + rival_us;
    bool late = to->left_us != 0 && now_us < to->left_us + ICE_LATE_MS * UINT64_C(1000);

    return !rivals || (!late && to->priority > from->priority);
}

/* Whether a new authentic check of the path 'i' moves the selection to it, or does so once
 * that is proven. The same number by two paths is a copy's: proof will tell which. */
static bool nominates(struct ice_lite *ice, const struct stun_msg *msg, int i,
                      uint64_t now_us)
{
    const bool waits = i == ice->rival && ice->rival_wins;
    bool wins_now;

    if (msg->has_nomination) {
        if (ice->has_nomination && msg->nomination < ice->nomination) {
            return false;
        }
        wins_now = !ice->has_nomination || msg->nomination > ice->nomination;
        ice->has_nomination = true;
        ice->nomination = msg->nomination;
    } else if (msg->use_candidate && !ice->has_nomination) {
        wins_now = ice->selected < 0 || ice->selected == i ||
                   wins(&ice->paths[ice->selected], &ice->paths[i], now_us);
        ice->paths[i].nominated_us = now_us;
    } else {
        return false;
    }
    ice->rival_wins = wins_now || waits;
    return wins_now || ice->notes.guarded;
}

/* Returns whether that is another path than before. */
static bool select_path(struct ice_lite *ice, int i, uint64_t now_us)
{
    ice->rival = -1;
    if (ice->selected == i) {
        return false;
    }
    if (ice->selected >= 0) {
        ice->paths[ice->selected].left_us = now_us;
    }
    ice->selected = (int8_t)i;
    ice->selected_us = now_us;
    return true;
}

/* ---- nominations that wait for proof ---- */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* When media came by a path last. What is told of a time before the path was known is of
 * another that had its place. */
static uint64_t heard_us(const struct ice_lite *ice, int i)
{
    uint64_t us = ice->notes.heard_us[i];

    return us >= ice->paths[i].since_us ? us : 0;
}

/* Its check came by the selected path too, or the peer has nominated that one since. */
static bool rival_is_void(const struct ice_lite *ice)
{
    const struct ice_path *old = &ice->paths[ice->selected];

    return was_answered(&ice->notes, ice->rival_txid) ||
           (!ice->has_nomination &&
            old->nominated_us > ice->rival_us + ICE_LATE_MS * UINT64_C(1000));
}

static bool rival_is_proven(const struct ice_lite *ice, uint64_t now_us)
{
    uint64_t media_us = later(heard_us(ice, ice->selected), ice->selected_us);
    uint64_t alive_us = later(media_us, ice->notes.checked_us);

    return heard_us(ice, ice->rival) >= media_us + ICE_PROOF_MS * UINT64_C(1000) ||
           (ice->rival_wins && now_us >= alive_us + ICE_SILENT_MS * UINT64_C(1000) &&
            now_us >= ice->rival_since_us + ICE_COPY_MS * UINT64_C(1000));
}

bool ice_lite_is_settling(const struct ice_lite *ice)
{
    return ice->rival >= 0;
}

bool ice_lite_settle(struct ice_lite *ice, uint64_t now_us)
{
    if (ice->rival < 0) {
        return false;
    }
    if (rival_is_void(ice)) {
        ice->rival = -1;
        return false;
    }
    return rival_is_proven(ice, now_us) && select_path(ice, ice->rival, now_us);
}

/* The peer nominates the path 'i'. */
static bool follow(struct ice_lite *ice, const struct stun_msg *msg, int i, uint64_t now_us)
{
    if (!ice->notes.guarded || ice->selected < 0 || ice->selected == i) {
        return select_path(ice, i, now_us);
    }
    if (ice->rival != i) {
        ice->rival_since_us = now_us;
    }
    ice->rival = (int8_t)i;
    ice->rival_us = now_us;
    memcpy(ice->rival_txid, msg->txid, sizeof(ice->rival_txid));
    return ice_lite_settle(ice, now_us);
}

/* The peer has nominated by the new credentials: it begins anew. */
static void finish_restart(struct ice_lite *ice, struct ice_result *res)
{
    memset(ice->old_ufrag, 0, sizeof(ice->old_ufrag));
    explicit_bzero(ice->old_pwd, sizeof(ice->old_pwd));
    ice->has_nomination = false;
    ice->nomination = 0;
    for (uint8_t i = 0; i < ice->n_paths; i++) {
        ice->paths[i].nominated_us = ice->paths[i].left_us = 0;
    }
    ice->notes.guarded = false; /* nobody had these credentials before */
    res->restarted = true;
}

/* An authentic check arrived: notes its path and what it nominates. */
static enum ice_verdict accept_check(struct ice_lite *ice, const struct stun_msg *msg,
                                     const struct path *path, uint64_t now_us,
                                     struct ice_result *res)
{
    int i = find_path(ice, path);

    if (txid_known(&ice->notes, msg->txid)) {
        return i >= 0 ? ICE_ACCEPTED : ICE_REPLAYED;
    }
    if (ice->notes.judged != NULL) {
        txids_add(ice->notes.judged, ice->notes.n_judged, msg->txid);
    }
    if (i < 0) {
        i = path_slot(ice);
        ice->paths[i] = (struct ice_path){.since_us = now_us};
        res->path_validated = true;
    }
    ice->paths[i].path = *path; /* the link address may be another */
    ice->paths[i].seen_us = now_us;
    ice->paths[i].priority = msg->priority;
    if (ice->old_ufrag[0] != '\0' && names(ice->ufrag, msg) &&
        (msg->use_candidate || msg->has_nomination)) {
        finish_restart(ice, res);
    }
    if (nominates(ice, msg, i, now_us)) {
        res->path_selected = follow(ice, msg, i, now_us);
    }
    return ICE_ACCEPTED;
}

/* ---- answering ---- */

static uint16_t error_code(enum ice_verdict verdict)
{
    switch (verdict) {
    case ICE_BAD_REQUEST:
        return 400;
    case ICE_UNAUTHENTICATED:
        return 401;
    case ICE_UNKNOWN_ATTR:
        return 420;
    case ICE_ROLE_CONFLICT:
        return 487;
    case ICE_ACCEPTED:
    case ICE_MALFORMED:
    case ICE_NOT_REQUEST:
    case ICE_REPLAYED:
        break;
    }
    return 0;
}

static size_t answer(const char *pwd, enum ice_verdict verdict, const struct stun_msg *msg,
                     const struct path *path, uint8_t out[ICE_MAX_RESPONSE])
{
    struct hmac_key key = {.pwd = pwd};
    uint16_t code = error_code(verdict);
    uint8_t buf[ICE_MAX_RESPONSE]; /* gcc -O3 misjudges writing behind a bare pointer */
    struct stun_writer x;
    int len;

    if (verdict == ICE_ACCEPTED) {
        stun_write_begin(&x, buf, ICE_MAX_RESPONSE, STUN_BINDING_SUCCESS, msg->txid);
        stun_write_mapped(&x, path->remote_ip, path->family, path->remote_port);
    } else if (code != 0) {
        stun_write_begin(&x, buf, ICE_MAX_RESPONSE, STUN_BINDING_ERROR, msg->txid);
        stun_write_error(&x, code);
    } else {
        return 0;
    }
    if (verdict == ICE_UNKNOWN_ATTR) {
        uint8_t attr[2];

        store_be16(attr, msg->unknown_attr);
        stun_write_attr(&x, STUN_UNKNOWN_ATTRIBUTES, attr, sizeof(attr));
    }
    if (verdict == ICE_ACCEPTED || verdict == ICE_ROLE_CONFLICT ||
        verdict == ICE_UNKNOWN_ATTR) {
        stun_write_integrity(&x, hmac_pwd, &key);
    }
    len = stun_write_finish(&x);
    if (len < 0 || key.failed || (verdict != ICE_ACCEPTED && (size_t)len > msg->len)) {
        return 0;
    }
    memcpy(out, buf, (size_t)len);
    return (size_t)len;
}

struct ice_result ice_lite_on_check(struct ice_lite *ice, const uint8_t *data, size_t len,
                                    const struct path *path, uint64_t now_us,
                                    uint8_t out[ICE_MAX_RESPONSE])
{
    struct ice_result res = {.verdict = ICE_MALFORMED};
    const char *pwd;
    struct stun_msg msg;

    if (stun_parse(data, len, &msg) != 0) {
        return res;
    }
    res.verdict = judge(ice, &msg);
    pwd = pwd_of(ice, &msg);
    if (res.verdict == ICE_ACCEPTED) {
        res.verdict = accept_check(ice, &msg, path, now_us, &res);
    }
    res.response_len = answer(pwd, res.verdict, &msg, path, out);
    if (res.verdict == ICE_ACCEPTED) {
        ice->paths[find_path(ice, path)].credit +=
            (uint32_t)(len + len / 2 - res.response_len);
    }
    return res;
}

int ice_lite_peek_ufrag(const uint8_t *data, size_t len, char ufrag[ICE_UFRAG_MAX + 1])
{
    struct stun_msg msg;
    const uint8_t *colon;
    size_t n;

    if (stun_parse(data, len, &msg) != 0 || msg.type != STUN_BINDING_REQUEST ||
        msg.username == NULL || msg.username_len == 0) {
        return -EBADMSG;
    }
    colon = memchr(msg.username, ':', msg.username_len);
    n = colon != NULL ? (size_t)(colon - msg.username) : 0;
    if (n < ICE_UFRAG_MIN || n > ICE_UFRAG_MAX) {
        return -EBADMSG;
    }
    memcpy(ufrag, msg.username, n);
    ufrag[n] = '\0';
    return ice_chars(ufrag, n, n) ? 0 : -EBADMSG;
}

/* ---- what goes into the answer to transport:create ---- */

void ice_lite_make_credentials(const uint8_t random[ICE_RANDOM_LEN],
                               char ufrag[ICE_MADE_UFRAG + 1], char pwd[ICE_MADE_PWD + 1])
{
    _Static_assert(ICE_MADE_UFRAG * 3 / 4 + ICE_MADE_PWD * 3 / 4 == ICE_RANDOM_LEN,
                   "each character takes six bits");

    /* The alphabet of base64 is that of ice-char (RFC 8839, section 5.1). */
    ufrag[base64_encode(random, ICE_MADE_UFRAG * 3 / 4, ufrag)] = '\0';
    pwd[base64_encode(random + ICE_MADE_UFRAG * 3 / 4, ICE_MADE_PWD * 3 / 4, pwd)] = '\0';
}

uint32_t ice_lite_priority(uint8_t type_pref, uint16_t local_pref, uint16_t component)
{
    return (uint32_t)type_pref << 24 | (uint32_t)local_pref << 8 |
           (256u - (component & 0x1ffu));
}

void ice_lite_foundation(const uint8_t ip[16], char out[ICE_FOUNDATION_MAX + 1])
{
    /* All our candidates are of one type and protocol, so the address alone tells them
     * apart; a checksum of it is short and says nothing of the address to a reader. */
    snprintf(out, ICE_FOUNDATION_MAX + 1, "%u", stun_crc32(ip, 16));
}
