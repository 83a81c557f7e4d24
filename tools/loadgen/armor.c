#include "loadgen/armor.h"

#include <errno.h>
#include <string.h>

enum { REPLAY_WINDOW = 1024 };

int armor_setup(void)
{
    return srtp_init() == srtp_err_status_ok ? 0 : -EIO;
}

void armor_teardown(void)
{
    (void)srtp_shutdown();
}

static int open_one(srtp_t *out, srtp_ssrc_type_t type, srtp_profile_t profile,
                    const uint8_t *key, size_t key_len, const uint8_t *salt,
                    size_t salt_len)
{
    uint8_t master[DTLS_KEY_MAX + DTLS_SALT_MAX];
    srtp_policy_t policy = {.ssrc.type = type, .key = master, .window_size = REPLAY_WINDOW};
    int err = 0;

    memcpy(master, key, key_len);
    memcpy(master + key_len, salt, salt_len);
    if (srtp_crypto_policy_set_from_profile_for_rtp(&policy.rtp, profile) !=
            srtp_err_status_ok ||
        srtp_crypto_policy_set_from_profile_for_rtcp(&policy.rtcp, profile) !=
            srtp_err_status_ok ||
        srtp_create(out, &policy) != srtp_err_status_ok) {
        *out = NULL;
        err = -ENOTSUP;
    }
    explicit_bzero(master, sizeof(master));
    return err;
}

int armor_open(struct armor *armor, const struct dtls_keys *keys, bool inwards)
{
    srtp_profile_t profile = (srtp_profile_t)keys->profile; /* IANA's numbers in both */
    int err;

    *armor = (struct armor){.is_gcm = profile == srtp_profile_aead_aes_128_gcm ||
                                      profile == srtp_profile_aead_aes_256_gcm};
    err = armor->is_gcm
              ? gcm_open(&armor->gcm, keys->tx_key, keys->key_len, keys->tx_salt)
              : open_one(&armor->out, ssrc_any_outbound, profile, keys->tx_key,
                         keys->key_len, keys->tx_salt, keys->salt_len);
    if (err == 0 && inwards) {
        err = open_one(&armor->in, ssrc_any_inbound, profile, keys->rx_key, keys->key_len,
                       keys->rx_salt, keys->salt_len);
    }
    if (err != 0) {
        armor_close(armor);
    }
    return err;
}

void armor_close(struct armor *armor)
{
    gcm_close(&armor->gcm);
    if (armor->out != NULL) {
        (void)srtp_dealloc(armor->out);
    }
    if (armor->in != NULL) {
        (void)srtp_dealloc(armor->in);
    }
    *armor = (struct armor){0};
}

static int finish(srtp_err_status_t status, const int *n, size_t *len)
{
    switch (status) {
    case srtp_err_status_ok:
        *len = (size_t)*n;
        return 0;
    case srtp_err_status_replay_fail:
    case srtp_err_status_replay_old:
        return -EALREADY;
    default:
        return -EBADMSG;
    }
}

int armor_protect_rtp(struct armor *armor, uint8_t *data, size_t *len)
{
    int n = (int)*len;

    if (armor->is_gcm) {
        return gcm_protect_rtp(&armor->gcm, data, len);
    }
    return finish(srtp_protect(armor->out, data, &n), &n, len) == 0 ? 0 : -EIO;
}

int armor_protect_rtcp(struct armor *armor, uint8_t *data, size_t *len)
{
    int n = (int)*len;

    if (armor->is_gcm) {
        return gcm_protect_rtcp(&armor->gcm, data, len);
    }
    return finish(srtp_protect_rtcp(armor->out, data, &n), &n, len) == 0 ? 0 : -EIO;
}

int armor_unprotect_rtp(struct armor *armor, uint8_t *data, size_t *len)
{
    int n = (int)*len;

    return finish(srtp_unprotect(armor->in, data, &n), &n, len);
}

int armor_unprotect_rtcp(struct armor *armor, uint8_t *data, size_t *len)
{
    int n = (int)*len;

    return finish(srtp_unprotect_rtcp(armor->in, data, &n), &n, len);
}
