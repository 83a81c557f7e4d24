#include "loadgen/ice.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "sfu/wire/stun.h"

/* A peer-reflexive host of highest local preference (RFC 8445, 5.1.2.1). */
enum { PRIORITY = 110 << 24 | 65535 << 8 | 255 };

static uint64_t next_random(struct ice *ice)
{
    uint64_t z = ice->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

int ice_init(struct ice *ice, const char *our_ufrag, const char *their_ufrag,
             const char *their_pwd, uint64_t seed, uint64_t now_us)
{
    if (our_ufrag[0] == '\0' || their_ufrag[0] == '\0' || their_pwd[0] == '\0' ||
        strlen(our_ufrag) > ICE_TEXT_MAX || strlen(their_ufrag) > ICE_TEXT_MAX ||
        strlen(their_pwd) > ICE_TEXT_MAX) {
        return -EINVAL;
    }
    *ice = (struct ice){.random = seed,
                        .began_us = now_us,
                        .due_us = now_us,
                        .interval_us = ICE_FIRST_US,
                        .state = ICE_CHECKING};
    ice->tie_breaker = next_random(ice);
    (void)snprintf(ice->username, sizeof(ice->username), "%s:%s", their_ufrag, our_ufrag);
    memcpy(ice->pwd, their_pwd, strlen(their_pwd) + 1);
    return 0;
}

static void sign(void *ctx, const uint8_t *data, size_t len, uint8_t out[STUN_MAC_LEN])
{
    const struct ice *ice = ctx;
    unsigned n = STUN_MAC_LEN;

    if (HMAC(EVP_sha1(), ice->pwd, (int)strlen(ice->pwd), data, len, out, &n) == NULL) {
        memset(out, 0, STUN_MAC_LEN); /* no memory: a check that nobody accepts */
    }
}

static size_t write_check(struct ice *ice, const uint8_t txid[12], uint8_t out[ICE_CHECK_MAX])
{
    struct stun_writer w;
    int len;

    stun_write_begin(&w, out, ICE_CHECK_MAX, STUN_BINDING_REQUEST, txid);
    stun_write_attr(&w, STUN_USERNAME, ice->username, (uint16_t)strlen(ice->username));
    stun_write_u64(&w, STUN_ICE_CONTROLLING, ice->tie_breaker);
    stun_write_u32(&w, STUN_PRIORITY, PRIORITY);
    stun_write_attr(&w, STUN_USE_CANDIDATE, NULL, 0);
    stun_write_integrity(&w, sign, ice);
    len = stun_write_finish(&w);
    return len > 0 ? (size_t)len : 0;
}

/* When the next check is due, if this one is not answered. */
static void wait_for_answer(struct ice *ice, uint64_t now_us)
{
    if (ice->state != ICE_CHECKING) {
        ice->due_us = now_us + ICE_CONSENT_RETRY_US;
        return;
    }
    ice->due_us = now_us + ice->interval_us;
    ice->interval_us = ice->interval_us < ICE_RETRY_MAX_US / 2 ? 2 * ice->interval_us
                                                               : ICE_RETRY_MAX_US;
}

size_t ice_take(struct ice *ice, uint64_t now_us, uint8_t out[ICE_CHECK_MAX])
{
    struct ice_check *check = &ice->checks[ice->n_checks % ICE_WAITING];

    if (ice->state == ICE_FAILED || now_us < ice->due_us) {
        return 0;
    }
    if (ice->state == ICE_CHECKING ? now_us - ice->began_us > ICE_GIVE_UP_US
                                   : now_us - ice->answered_us > ICE_EXPIRE_US) {
        ice->state = ICE_FAILED;
        return 0;
    }
    /* Each check is a transaction of its own. Those before it still wait: through a node that has
     * too much to do an answer may be longer under way than we are patient. */
    store_be64(check->txid, next_random(ice));
    store_be32(check->txid + 8, (uint32_t)next_random(ice));
    check->sent_us = now_us;
    ice->n_checks++;
    wait_for_answer(ice, now_us);
    return write_check(ice, check->txid, out);
}

/* The check that waits for an answer with that number, or NULL. */
static const struct ice_check *find(const struct ice *ice, const uint8_t txid[12])
{
    for (uint32_t i = 0; i < ICE_WAITING && i < ice->n_checks; i++) {
        if (memcmp(ice->checks[i].txid, txid, sizeof(ice->checks[i].txid)) == 0) {
            return &ice->checks[i];
        }
    }
    return NULL;
}

int ice_on_answer(struct ice *ice, const uint8_t *data, size_t len, uint64_t now_us)
{
    const struct ice_check *check;
    struct stun_msg msg;

    if (stun_parse(data, len, &msg) != 0) {
        return -EBADMSG;
    }
    check = find(ice, msg.txid);
    if (check == NULL) {
        return -ENOENT;
    }
    if (msg.type == STUN_BINDING_ERROR) {
        return -EPERM;
    }
    if (msg.type != STUN_BINDING_SUCCESS || msg.mapped_family == 0 ||
        !stun_mac_ok(&msg, sign, ice)) {
        return -EBADMSG;
    }
    ice->n_checks = 0;
    ice->state = ICE_CONNECTED;
    ice->answered_us = now_us;
    ice->rtt_us = now_us - check->sent_us;
    ice->due_us =
        now_us + ICE_CONSENT_US * 4 / 5 + next_random(ice) % (ICE_CONSENT_US * 2 / 5);
    return 0;
}

uint64_t ice_deadline(const struct ice *ice)
{
    return ice->state == ICE_FAILED ? UINT64_MAX : ice->due_us;
}
