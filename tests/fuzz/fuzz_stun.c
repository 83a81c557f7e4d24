/* STUN: any bytes; and what was understood of them, written and parsed again. */
#include "fuzz.h"

#include "sfu/wire/demux.h"
#include "sfu/wire/stun.h"

/* Stands in for the HMAC: the wire format does not care which it is. */
static void weak_mac(void *ctx, const uint8_t *data, size_t len, uint8_t out[STUN_MAC_LEN])
{
    (void)ctx;
    memset(out, 0x5a, STUN_MAC_LEN);
    store_be32(out, stun_crc32(data, len));
}

static void check_same(const struct stun_msg *a, const struct stun_msg *b)
{
    FUZZ_CHECK(a->type == b->type);
    FUZZ_CHECK(memcmp(a->txid, b->txid, STUN_TXID_LEN) == 0);
    FUZZ_CHECK((a->username == NULL) == (b->username == NULL));
    FUZZ_CHECK(a->username_len == b->username_len);
    FUZZ_CHECK(a->username_len == 0 ||
               memcmp(a->username, b->username, a->username_len) == 0);
    FUZZ_CHECK(a->priority == b->priority && a->use_candidate == b->use_candidate);
    FUZZ_CHECK(a->ice_controlled == b->ice_controlled &&
               a->ice_controlling == b->ice_controlling &&
               a->tie_breaker == b->tie_breaker);
    FUZZ_CHECK(a->has_nomination == b->has_nomination && a->nomination == b->nomination);
    FUZZ_CHECK(a->error_code == b->error_code && a->unknown_attr == b->unknown_attr);
    FUZZ_CHECK(a->mapped_family == b->mapped_family && a->mapped_port == b->mapped_port &&
               memcmp(a->mapped_ip, b->mapped_ip, 16) == 0);
}

/* parse(write(x)) == x */
static void write_and_parse(const struct stun_msg *m, size_t cap)
{
    uint8_t *buf = malloc(cap > 0 ? cap : 1);
    struct stun_writer x;
    struct stun_msg again;
    int len;

    FUZZ_CHECK(buf != NULL);
    stun_write_begin(&x, buf, cap, m->type, m->txid);
    if (m->username != NULL) {
        stun_write_attr(&x, STUN_USERNAME, m->username, m->username_len);
    }
    if (m->priority != 0) {
        stun_write_u32(&x, STUN_PRIORITY, m->priority);
    }
    if (m->use_candidate) {
        stun_write_attr(&x, STUN_USE_CANDIDATE, NULL, 0);
    }
    if (m->ice_controlled || m->ice_controlling) {
        stun_write_u64(&x, m->ice_controlled ? STUN_ICE_CONTROLLED : STUN_ICE_CONTROLLING,
                       m->tie_breaker);
    }
    if (m->has_nomination) {
        stun_write_u32(&x, STUN_NOMINATION, m->nomination);
    }
    if (m->error_code != 0) {
        stun_write_error(&x, m->error_code);
    }
    if (m->unknown_attr != 0) {
        stun_write_attr(&x, m->unknown_attr, NULL, 0);
    }
    if (m->mapped_family != 0) {
        stun_write_mapped(&x, m->mapped_ip, m->mapped_family, m->mapped_port);
    }
    stun_write_integrity(&x, weak_mac, NULL);
    len = stun_write_finish(&x);
    FUZZ_CHECK(len == -ENOSPC || (size_t)len <= cap);
    if (len > 0) {
        FUZZ_CHECK(stun_parse(buf, (size_t)len, &again) == 0);
        check_same(m, &again);
        FUZZ_CHECK(again.has_fingerprint && stun_mac_ok(&again, weak_mac, NULL));
        FUZZ_CHECK(demux_of(buf, (size_t)len) == DEMUX_STUN || m->type >> 8 > 3);
    } else {
        FUZZ_CHECK(cap < STUN_MAX_LEN);
    }
    free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stun_msg msg;
    uint8_t input[STUN_MAX_LEN];

    (void)demux_of(data, size);
    if (stun_parse(data, size, &msg) == 0) {
        FUZZ_CHECK(msg.len == size);
        FUZZ_CHECK(msg.error_code == 0 || (msg.error_code >= 300 && msg.error_code < 700));
        FUZZ_CHECK(stun_mac_input(&msg, input, sizeof(input)) == stun_mac_input_len(&msg));
        (void)stun_mac_ok(&msg, weak_mac, NULL);
        write_and_parse(&msg, STUN_MAX_LEN);
        write_and_parse(&msg, size / 2);
    }
    return 0;
}
