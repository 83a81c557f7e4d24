/* The ICE-lite agent: a series of datagrams from several addresses, raw ones and ones made
 * with our password (what a peer that was told it could send). */
#include "fuzz.h"

#include <openssl/hmac.h>

#include "proto/ice_lite.h"
#include "sfu/wire/stun.h"

static const char UFRAG[] = "abcd1234";
static const char PWD[] = "abcdefghijklmnopqrstuvwx";

static void hmac(void *ctx, const uint8_t *data, size_t len, uint8_t out[STUN_MAC_LEN])
{
    unsigned n = STUN_MAC_LEN;

    (void)ctx;
    FUZZ_CHECK(HMAC(EVP_sha1(), PWD, sizeof(PWD) - 1, data, len, out, &n) != NULL);
}

static struct path path_of(uint8_t n)
{
    struct path path = {.remote_port = (uint16_t)(1000 + n), .local_port = 7000};

    path.device = n & 1;
    path.family = (n & 2) != 0 ? 6 : 4;
    path_map_v4(path.local_ip, (const uint8_t[]){192, 0, 2, 1});
    path_map_v4(path.remote_ip, (const uint8_t[]){198, 51, 100, n});
    if (path.family == 6) {
        path.remote_ip[0] = 0xfd;
    }
    return path;
}

/* A check with a true USERNAME, the input's attributes, and integrity. */
static size_t signed_check(struct rbytes *in, uint8_t out[STUN_MAX_LEN])
{
    uint8_t how = rbytes_u8(in);
    uint8_t txid[STUN_TXID_LEN] = {rbytes_u8(in)};
    struct stun_writer x;
    int len;

    stun_write_begin(&x, out, STUN_MAX_LEN,
                     (how & 1) != 0 ? rbytes_be16(in) : (uint16_t)STUN_BINDING_REQUEST,
                     txid);
    if ((how & 2) == 0) {
        stun_write_attr(&x, STUN_USERNAME, "abcd1234:peer", 13);
    }
    if ((how & 4) == 0) {
        stun_write_u32(&x, STUN_PRIORITY, 1);
        stun_write_u64(&x, (how & 8) == 0 ? STUN_ICE_CONTROLLING : STUN_ICE_CONTROLLED, 7);
    }
    for (uint8_t n = rbytes_u8(in) % 6; n > 0; n--) {
        static const uint16_t types[] = {STUN_USE_CANDIDATE, STUN_NOMINATION,
                                         STUN_USERNAME,      STUN_PRIORITY,
                                         STUN_SOFTWARE,      STUN_XOR_MAPPED_ADDRESS};
        uint8_t type = rbytes_u8(in);
        size_t n_bytes;
        const uint8_t *bytes = fuzz_block(in, 600, &n_bytes);

        stun_write_attr(&x, (uint16_t)(type < 6 ? types[type] : type << 8 | type), bytes,
                        (uint16_t)n_bytes);
    }
    if ((how & 16) == 0) {
        stun_write_integrity(&x, hmac, NULL);
    }
    len = stun_write_finish(&x);
    return len > 0 ? (size_t)len : 0;
}

static void check_response(const uint8_t *data, size_t len, const struct ice_result *result,
                           const uint8_t *response)
{
    struct stun_msg msg;
    struct stun_msg asked;

    FUZZ_CHECK(result->response_len <= ICE_MAX_RESPONSE);
    FUZZ_CHECK(!result->path_validated || result->verdict == ICE_ACCEPTED);
    FUZZ_CHECK(!result->path_selected || result->verdict == ICE_ACCEPTED);
    if (result->response_len == 0) {
        return;
    }
    FUZZ_CHECK(stun_parse(data, len, &asked) == 0);
    FUZZ_CHECK(stun_parse(response, result->response_len, &msg) == 0);
    FUZZ_CHECK(memcmp(msg.txid, asked.txid, STUN_TXID_LEN) == 0);
    FUZZ_CHECK(msg.type == (result->verdict == ICE_ACCEPTED ? STUN_BINDING_SUCCESS
                                                            : STUN_BINDING_ERROR));
    /* only who knows the password may be told more than he said */
    FUZZ_CHECK(result->response_len <= len || stun_mac_ok(&asked, hmac, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rbytes in = fuzz_in(data, size);
    uint64_t answered[2] = {0}, judged[2] = {0};
    struct ice_lite ice;
    uint64_t now_us = 1;

    FUZZ_CHECK(ice_lite_init(&ice, UFRAG, PWD) == 0);
    while (fuzz_more(&in)) {
        uint8_t op = rbytes_u8(&in);
        struct path path = path_of(op >> 4);
        uint8_t response[ICE_MAX_RESPONSE];
        char ufrag[ICE_UFRAG_MAX + 1];
        uint8_t made[STUN_MAX_LEN];
        struct ice_result result;
        const uint8_t *bytes = made;
        size_t len;
        uint8_t *tight;

        if ((op & 1) != 0) {
            len = signed_check(&in, made);
        } else {
            bytes = fuzz_block(&in, STUN_MAX_LEN + 4, &len);
        }
        tight = fuzz_tight(bytes, len);
        if (ice_lite_peek_ufrag(tight, len, ufrag) == 0) {
            FUZZ_CHECK(strlen(ufrag) <= ICE_UFRAG_MAX);
        }
        ice_lite_note(&ice, &(struct ice_notes){.guarded = (op & 2) != 0,
                                                .heard_us = {op, now_us},
                                                .checked_us = now_us / 2,
                                                .answered = answered,
                                                .judged = judged,
                                                .n_answered = 2,
                                                .n_judged = 2});
        if (ice_lite_settle(&ice, now_us << (op & 31))) {
            FUZZ_CHECK(!ice_lite_is_settling(&ice) && ice_lite_selected(&ice) != NULL);
        }
        result = ice_lite_on_check(&ice, tight, len, &path, now_us++, response);
        check_response(tight, len, &result, response);
        free(tight);
        if (result.path_validated || result.path_selected) {
            FUZZ_CHECK(ice_lite_is_validated(&ice, &path));
        }
        if (result.path_selected) {
            FUZZ_CHECK(path_same_tuple(ice_lite_selected(&ice), &path));
        }
        FUZZ_CHECK(ice.n_paths <= ICE_MAX_PATHS && ice.selected < (int8_t)ice.n_paths &&
                   ice.rival < (int8_t)ice.n_paths);
    }
    ice_lite_fini(&ice);
    return 0;
}
