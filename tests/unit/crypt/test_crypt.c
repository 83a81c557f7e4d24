/* Both backends of crypt/crypt.h against each other, bit for bit, and against plain
 * libsrtp2 sessions that count for themselves; and what the interface promises of bad
 * input. */
#include "crypt/crypt.h"
#include "sfu/base/bytes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    SALT_AT = 32,
    HDR_MAX = 12 + 60 + 4 + 64,
    PAYLOAD_MAX = 1400,
    PKT_MAX = HDR_MAX + PAYLOAD_MAX + 32
};
enum { IMB, LS, N_BACKENDS };

enum { CM80, CM32, GCM128, GCM256, N_PROFILES };
static const enum crypt_profile profiles[N_PROFILES] = {[CM80] = CRYPT_AES128_CM_SHA1_80,
                                                        [CM32] = CRYPT_AES128_CM_SHA1_32,
                                                        [GCM128] = CRYPT_AEAD_AES_128_GCM,
                                                        [GCM256] = CRYPT_AEAD_AES_256_GCM};

static struct crypt_ctx *ctx[N_BACKENDS];
static struct crypt_key out_key[N_BACKENDS][N_PROFILES];
static struct crypt_key in_key[N_BACKENDS][N_PROFILES];
static uint8_t master[N_PROFILES][SALT_AT + 14]; /* key, salt */

static unsigned pick(unsigned n)
{
    return (unsigned)rand() % n;
}

static void fill(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)(rand() >> 7);
    }
}

static int open_all(void **state)
{
    (void)state;
    srand(3711);
    for (unsigned b = 0; b < N_BACKENDS; b++) {
        if (crypt_ctx_create(&ctx[b], b == IMB ? CRYPT_IPSEC_MB : CRYPT_LIBSRTP) != 0) {
            return -1;
        }
    }
    for (unsigned p = 0; p < N_PROFILES; p++) {
        fill(master[p], sizeof(master[p]));
        for (unsigned b = 0; b < N_BACKENDS; b++) {
            if (crypt_key_init(ctx[b], &out_key[b][p], profiles[p], master[p],
                               master[p] + SALT_AT, true) != 0 ||
                crypt_key_init(ctx[b], &in_key[b][p], profiles[p], master[p],
                               master[p] + SALT_AT, false) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    for (unsigned b = 0; b < N_BACKENDS; b++) {
        for (unsigned p = 0; p < N_PROFILES; p++) {
            crypt_key_wipe(&out_key[b][p]);
            crypt_key_wipe(&in_key[b][p]);
        }
        crypt_ctx_destroy(ctx[b]);
    }
    return 0;
}

/* A random RTP header of random shape. Returns its length. */
static uint16_t make_header(uint8_t *hdr, uint32_t ssrc, uint64_t index)
{
    const unsigned n_csrc = pick(4) == 0 ? pick(16) : 0;
    const unsigned ext_words = pick(17);
    size_t len = 12 + 4 * (size_t)n_csrc;

    fill(hdr, HDR_MAX);
    hdr[0] = (uint8_t)(0x80 | n_csrc);
    store_be16(hdr + 2, (uint16_t)index);
    store_be32(hdr + 8, ssrc);
    if (pick(2) == 0) {
        hdr[0] |= 16;
        store_be16(hdr + len + 2, (uint16_t)ext_words);
        len += 4 + 4 * (size_t)ext_words;
    }
    return (uint16_t)len;
}

/* The next index of a random walk that loses, reorders and repeats packets. */
static uint64_t walk(uint64_t *highest)
{
    const uint64_t back = pick(64);

    if (pick(8) == 0 && *highest > back) {
        return *highest - back;
    }
    *highest += 1 + (pick(16) == 0 ? pick(3000) : 0);
    return *highest;
}

struct burst {
    uint16_t n;
    uint8_t plain[CRYPT_BURST_MAX][PAYLOAD_MAX];
    uint8_t pkt[N_BACKENDS][CRYPT_BURST_MAX][PKT_MAX];
    uint8_t back[CRYPT_BURST_MAX][PKT_MAX];
    unsigned profile[CRYPT_BURST_MAX];
    struct crypt_op op[N_BACKENDS][CRYPT_BURST_MAX];
};
static struct burst burst;

/* A burst of random packets; profile N_PROFILES: mixed. */
static void make_burst(unsigned profile, uint64_t highest[N_PROFILES][3])
{
    burst.n = (uint16_t)(1 + pick(CRYPT_BURST_MAX));
    for (unsigned i = 0; i < burst.n; i++) {
        const unsigned p = profile < N_PROFILES ? profile : pick(N_PROFILES);
        const unsigned s = pick(3);
        const uint64_t index = walk(&highest[p][s]);
        struct crypt_op op = {.index = index, .ssrc = 0xfffffff0u + s};

        op.len = (uint16_t)(pick(10) == 0 ? pick(3) : pick(PAYLOAD_MAX + 1));
        op.hdr_len = make_header(burst.pkt[IMB][i], op.ssrc, index);
        memcpy(burst.pkt[LS][i], burst.pkt[IMB][i], op.hdr_len);
        fill(burst.plain[i], op.len);
        op.src = burst.plain[i];
        burst.profile[i] = p;
        for (unsigned b = 0; b < N_BACKENDS; b++) {
            op.key = &out_key[b][p];
            op.dst = burst.pkt[b][i] + op.hdr_len;
            burst.op[b][i] = op;
        }
    }
}

static void protect_both_and_compare(void)
{
    for (unsigned b = 0; b < N_BACKENDS; b++) {
        assert_int_equal(crypt_protect_burst(ctx[b], burst.op[b], burst.n), burst.n);
    }
    for (unsigned i = 0; i < burst.n; i++) {
        const struct crypt_op *op = &burst.op[IMB][i];

        assert_int_equal(op->status, 0);
        assert_memory_equal(burst.pkt[IMB][i], burst.pkt[LS][i],
                            (size_t)op->hdr_len + op->len +
                                crypt_tag_len(profiles[burst.profile[i]]));
    }
}

/* Turns the burst around: backend 'b' shall decrypt what both have encrypted. */
static void turn(unsigned b)
{
    for (unsigned i = 0; i < burst.n; i++) {
        struct crypt_op *op = &burst.op[b][i];

        op->key = &in_key[b][burst.profile[i]];
        op->src = burst.pkt[IMB][i] + op->hdr_len;
        op->dst = burst.back[i];
        op->len = (uint16_t)(op->len + crypt_tag_len(profiles[burst.profile[i]]));
        op->status = 1;
    }
}

static void unprotect_both_and_compare(void)
{
    for (unsigned b = 0; b < N_BACKENDS; b++) {
        memset(burst.back, 0xee, sizeof(burst.back));
        turn(b);
        assert_int_equal(crypt_unprotect_burst(ctx[b], burst.op[b], burst.n), burst.n);
        for (unsigned i = 0; i < burst.n; i++) {
            const size_t len =
                burst.op[b][i].len - (size_t)crypt_tag_len(profiles[burst.profile[i]]);

            assert_int_equal(burst.op[b][i].status, 0);
            assert_memory_equal(burst.back[i], burst.plain[i], len);
            assert_int_equal(burst.back[i][len], 0xee); /* nothing written behind it */
        }
        assert_memory_equal(burst.pkt[IMB][0], burst.pkt[LS][0],
                            (size_t)burst.op[b][0].hdr_len + burst.op[b][0].len);
    }
}

static void walk_with_both_backends(unsigned profile, unsigned n_bursts)
{
    uint64_t highest[N_PROFILES][3] = {[CM80] = {65000, 70000, 5},
                                       [CM32] = {65000, 131000, 32767},
                                       [GCM128] = {65000, 3u << 16, 40000},
                                       [GCM256] = {65000, 1, 70000}};

    for (unsigned i = 0; i < n_bursts; i++) {
        make_burst(profile, highest);
        protect_both_and_compare();
        unprotect_both_and_compare();
    }
    for (unsigned p = 0; p < N_PROFILES; p++) {
        assert_true(highest[p][0] > 65536 || (profile < N_PROFILES && profile != p));
    }
}

static void bursts_of_each_profile_are_equal_across_roc_wraps(void **state)
{
    (void)state;
    for (unsigned p = 0; p < N_PROFILES; p++) {
        walk_with_both_backends(p, 150);
    }
}

static void mixed_bursts_are_equal_across_roc_wraps(void **state)
{
    (void)state;
    walk_with_both_backends(N_PROFILES, 300);
}

/* Far leaps both ways, between ROC 0 and the last: no stream state of libsrtp2 may show. */
static void indexes_are_obeyed_in_any_order(void **state)
{
    static const uint64_t indexes[] = {40000,  5,
                                       65540,  65500,
                                       10,     UINT64_C(0xffffffff0001),
                                       65536,  32768,
                                       98304,  32769,
                                       5,      5,
                                       131072, 0,
                                       65535,  UINT64_C(0x123456789abc),
                                       1};
    (void)state;

    for (unsigned p = 0; p < N_PROFILES; p++) {
        for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++) {
            uint64_t highest[N_PROFILES][3];

            for (unsigned k = 0; k < 3 * N_PROFILES; k++) {
                highest[k / 3][k % 3] = indexes[i] - (indexes[i] > 0);
            }
            make_burst(p, highest);
            protect_both_and_compare();
            unprotect_both_and_compare();
        }
    }
}

/* Any flipped bit of header, payload or tag, and any other index, in a burst whose other
 * packets are good. */
static void tampered_packets_are_refused_alone(void **state)
{
    uint64_t highest[N_PROFILES][3];
    (void)state;

    for (unsigned p = 0; p < N_PROFILES; p++) {
        memcpy(highest[p], (const uint64_t[3]){100, 70000, 5}, sizeof(highest[p]));
    }
    for (unsigned round = 0; round < 600; round++) {
        unsigned bad, at = 0, what;

        make_burst(N_PROFILES, highest);
        protect_both_and_compare();
        bad = pick(burst.n);
        what = pick(4);
        for (unsigned b = 0; b < N_BACKENDS; b++) {
            const unsigned tag_len = crypt_tag_len(profiles[burst.profile[bad]]);
            struct crypt_op *op = &burst.op[b][bad];

            turn(b);
            if (b == 0) {
                at = what == 0
                         ? 4 + pick(4) /* time stamp: libsrtp2 reads the rest itself */
                     : what == 1 ? op->hdr_len + pick(op->len)
                                 : op->hdr_len + (unsigned)op->len - 1 - pick(tag_len);
            }
            if (what == 3) {
                op->index ^= UINT64_C(1) << 16;
            } else {
                burst.pkt[IMB][bad][at] ^= (uint8_t)(1 << round % 8);
            }
            assert_int_equal(crypt_unprotect_burst(ctx[b], burst.op[b], burst.n),
                             burst.n - 1);
            for (unsigned i = 0; i < burst.n; i++) {
                assert_int_equal(burst.op[b][i].status, i == bad ? -EBADMSG : 0);
            }
            if (what != 3) {
                burst.pkt[IMB][bad][at] ^= (uint8_t)(1 << round % 8);
            }
        }
    }
}

static void a_failed_gcm_tag_leaves_zeros(void **state)
{
    static const uint8_t plain[64] = "secret";
    static const uint8_t zeros[64];
    uint8_t pkt[12 + 64 + 16] = {0x80}, back[64];
    struct crypt_op op = {.key = &out_key[IMB][GCM128],
                          .src = plain,
                          .dst = pkt + 12,
                          .hdr_len = 12,
                          .len = sizeof(plain)};
    (void)state;

    assert_int_equal(crypt_protect_burst(ctx[IMB], &op, 1), 1);
    pkt[sizeof(pkt) - 1] ^= 1;
    memset(back, 0xee, sizeof(back));
    op.key = &in_key[IMB][GCM128];
    op.src = pkt + 12;
    op.dst = back;
    op.len = sizeof(plain) + 16;
    assert_int_equal(crypt_unprotect_burst(ctx[IMB], &op, 1), 0);
    assert_int_equal(op.status, -EBADMSG);
    assert_memory_equal(back, zeros, sizeof(back));
}

static void a_packet_shorter_than_its_tag_is_refused(void **state)
{
    uint8_t pkt[12 + 16] = {0x80};
    uint8_t back[16];
    (void)state;

    for (unsigned b = 0; b < N_BACKENDS; b++) {
        for (unsigned p = 0; p < N_PROFILES; p++) {
            for (uint16_t len = 0; len < crypt_tag_len(profiles[p]); len++) {
                struct crypt_op op = {.key = &in_key[b][p],
                                      .src = pkt + 12,
                                      .dst = back,
                                      .hdr_len = 12,
                                      .len = len};

                assert_int_equal(crypt_unprotect_burst(ctx[b], &op, 1), 0);
                assert_int_equal(op.status, -EBADMSG);
            }
        }
    }
}

static void a_key_that_was_wiped_is_refused(void **state)
{
    static struct crypt_key key;
    static const struct crypt_key zero;
    uint8_t pkt[12 + 32] = {0x80}, src[4] = {0}, out[64];
    struct crypt_op op = {
        .key = &key, .src = src, .dst = pkt + 12, .hdr_len = 12, .len = 4};
    size_t len;
    uint32_t index;
    (void)state;

    for (unsigned b = 0; b < N_BACKENDS; b++) {
        assert_int_equal(
            crypt_key_init(ctx[b], &key, profiles[0], master[0], master[0] + SALT_AT, true),
            0);
        crypt_key_wipe(&key);
        assert_memory_equal(&key, &zero, sizeof(key));
        assert_int_equal(crypt_protect_burst(ctx[b], &op, 1), 0);
        assert_int_equal(op.status, -EINVAL);
        assert_int_equal(crypt_unprotect_burst(ctx[b], &op, 1), 0);
        assert_int_equal(op.status, -EINVAL);
        assert_int_equal(
            crypt_rtcp_protect(ctx[b], &key, 1, pkt, 16, out, sizeof(out), &len), -EINVAL);
        assert_int_equal(
            crypt_rtcp_unprotect(ctx[b], &key, pkt, 40, out, sizeof(out), &len, &index),
            -EINVAL);
    }
}

static void unknown_profiles_and_backends_are_refused(void **state)
{
    static struct crypt_key key;
    struct crypt_ctx *none = NULL;
    (void)state;

    for (unsigned b = 0; b < N_BACKENDS; b++) {
        for (unsigned number = 0; number < 300; number++) {
            if (number != 1 && number != 2 && number != 7 && number != 8) {
                assert_int_equal(crypt_key_init(ctx[b], &key, (enum crypt_profile)number,
                                                master[0], master[0] + SALT_AT, true),
                                 -EINVAL);
                assert_int_equal(crypt_tag_len((enum crypt_profile)number), 0);
            }
        }
    }
    assert_int_equal(crypt_ctx_create(&none, (enum crypt_backend)9), -EINVAL);
    assert_null(none);
}

/* Of SRTP, and of SRTCP with its index: RFC 5764 (4.1.2), RFC 7714 (14.2). */
static void tags_are_as_long_as_the_profile_says(void **state)
{
    static const uint8_t tag[N_PROFILES] = {10, 4, 16, 16};
    static const uint8_t rtcp[N_PROFILES] = {14, 14, 20, 20};
    (void)state;

    for (unsigned p = 0; p < N_PROFILES; p++) {
        assert_int_equal(crypt_tag_len(profiles[p]), tag[p]);
        assert_int_equal(crypt_rtcp_overhead(profiles[p]), rtcp[p]);
        assert_int_equal(crypt_master_key_len(profiles[p]), p == GCM256 ? 32 : 16);
        assert_int_equal(crypt_master_salt_len(profiles[p]), p >= GCM128 ? 12 : 14);
    }
}

/* ---- SRTCP ---- */

static void rtcp_is_equal_in_place_and_out_of_place(void **state)
{
    (void)state;

    for (unsigned p = 0; p < N_PROFILES; p++) {
        uint32_t index = 1;

        for (unsigned i = 0; i < 1500; i++) {
            uint8_t plain[600], wire[N_BACKENDS][640], back[640];
            const size_t body = pick(4) == 0 ? pick(8) : pick(592);
            const size_t len = 8 + body;
            const size_t wire_len = len + crypt_rtcp_overhead(profiles[p]);
            size_t got;
            uint32_t got_index;

            fill(plain, sizeof(plain));
            plain[0] = 0x81;
            store_be32(plain + 4, 0xabcd0000u + pick(3));
            index += 1 + (pick(10) == 0 ? pick(20) : 0); /* the SSRCs share one sequence */
            for (unsigned b = 0; b < N_BACKENDS; b++) {
                memcpy(wire[b], plain, len);
                assert_int_equal(crypt_rtcp_protect(ctx[b], &out_key[b][p], index,
                                                    i % 2 != 0 ? wire[b] : plain, len,
                                                    wire[b], wire_len, &got),
                                 0);
                assert_int_equal(got, wire_len);
            }
            assert_memory_equal(wire[IMB], wire[LS], wire_len);
            for (unsigned b = 0; b < N_BACKENDS; b++) {
                uint8_t *out = i % 2 != 0 ? wire[b] : back;

                assert_int_equal(crypt_rtcp_unprotect(ctx[b], &in_key[b][p], wire[b],
                                                      wire_len, out, len, &got, &got_index),
                                 0);
                assert_int_equal(got, len);
                assert_int_equal(got_index, index);
                assert_memory_equal(out, plain, len);
            }
        }
    }
}

static void rtcp_indexes_may_repeat_and_leap(void **state)
{
    static const uint32_t indexes[] = {50000, 3, 3, 50001, 1, 2, 1000};
    uint8_t plain[32] = {0x80, 200, 0, 7, 1, 2, 3, 4}, wire[N_BACKENDS][64], back[64];
    uint32_t got_index;
    size_t len, got;
    (void)state;

    for (unsigned p = 0; p < N_PROFILES; p++) {
        for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++) {
            for (unsigned b = 0; b < N_BACKENDS; b++) {
                assert_int_equal(crypt_rtcp_protect(ctx[b], &out_key[b][p], indexes[i],
                                                    plain, sizeof(plain), wire[b],
                                                    sizeof(wire[b]), &len),
                                 0);
            }
            assert_memory_equal(wire[IMB], wire[LS], len);
            for (unsigned b = 0; b < N_BACKENDS; b++) {
                assert_int_equal(crypt_rtcp_unprotect(ctx[b], &in_key[b][p], wire[b], len,
                                                      back, sizeof(back), &got, &got_index),
                                 0);
                assert_int_equal(got_index, indexes[i]);
                assert_memory_equal(back, plain, sizeof(plain));
            }
        }
        assert_int_equal(crypt_rtcp_protect(ctx[LS], &out_key[LS][p], 0, plain,
                                            sizeof(plain), wire[LS], sizeof(wire[LS]),
                                            &len),
                         -ERANGE);
        assert_int_equal(crypt_rtcp_protect(ctx[LS], &out_key[LS][p], 0x7fffffff, plain,
                                            sizeof(plain), wire[LS], sizeof(wire[LS]),
                                            &len),
                         -ERANGE);
    }
}

static void any_flipped_bit_of_rtcp_is_refused(void **state)
{
    uint8_t plain[28] = {0x80, 200, 0, 6, 9, 9, 9, 9}, wire[64], back[64];
    uint32_t got_index;
    size_t len, got;
    (void)state;

    for (unsigned p = 0; p < N_PROFILES; p++) {
        assert_int_equal(crypt_rtcp_protect(ctx[IMB], &out_key[IMB][p], 77, plain,
                                            sizeof(plain), wire, sizeof(wire), &len),
                         0);
        for (unsigned bit = 0; bit < 8 * len; bit++) { /* the E flag among them */
            wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
            for (unsigned b = 0; b < N_BACKENDS; b++) {
                assert_int_equal(crypt_rtcp_unprotect(ctx[b], &in_key[b][p], wire, len,
                                                      back, sizeof(back), &got, &got_index),
                                 -EBADMSG);
            }
            wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t cut = 0; cut < len; cut++) {
            for (unsigned b = 0; b < N_BACKENDS; b++) {
                assert_int_equal(crypt_rtcp_unprotect(ctx[b], &in_key[b][p], wire, cut,
                                                      back, sizeof(back), &got, &got_index),
                                 -EBADMSG);
            }
        }
    }
}

static void rtcp_lengths_are_checked(void **state)
{
    uint8_t plain[28] = {0x80, 200, 0, 6}, wire[64];
    uint32_t index;
    size_t len;
    (void)state;

    for (unsigned b = 0; b < N_BACKENDS; b++) {
        for (unsigned p = 0; p < N_PROFILES; p++) {
            const size_t whole = sizeof(plain) + crypt_rtcp_overhead(profiles[p]);
            struct crypt_key *key = &out_key[b][p];

            assert_int_equal(crypt_rtcp_protect(ctx[b], key, 1, plain, 7, wire, 64, &len),
                             -EBADMSG);
            for (size_t cap = 0; cap < whole; cap++) {
                assert_int_equal(crypt_rtcp_protect(ctx[b], key, 1, plain, sizeof(plain),
                                                    wire, cap, &len),
                                 -ENOSPC);
            }
            assert_int_equal(crypt_rtcp_protect(ctx[b], key, 0x80000000u, plain,
                                                sizeof(plain), wire, sizeof(wire), &len),
                             -EINVAL);
            assert_int_equal(
                crypt_rtcp_protect(ctx[b], key, 1, plain, sizeof(plain), wire, whole, &len),
                0);
            assert_int_equal(crypt_rtcp_unprotect(ctx[b], &in_key[b][p], wire, len, plain,
                                                  sizeof(plain) - 1, &len, &index),
                             -ENOSPC);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bursts_of_each_profile_are_equal_across_roc_wraps),
        cmocka_unit_test(mixed_bursts_are_equal_across_roc_wraps),
        cmocka_unit_test(indexes_are_obeyed_in_any_order),
        cmocka_unit_test(tampered_packets_are_refused_alone),
        cmocka_unit_test(a_failed_gcm_tag_leaves_zeros),
        cmocka_unit_test(a_packet_shorter_than_its_tag_is_refused),
        cmocka_unit_test(a_key_that_was_wiped_is_refused),
        cmocka_unit_test(unknown_profiles_and_backends_are_refused),
        cmocka_unit_test(tags_are_as_long_as_the_profile_says),
        cmocka_unit_test(rtcp_is_equal_in_place_and_out_of_place),
        cmocka_unit_test(rtcp_indexes_may_repeat_and_leap),
        cmocka_unit_test(any_flipped_bit_of_rtcp_is_refused),
        cmocka_unit_test(rtcp_lengths_are_checked),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
