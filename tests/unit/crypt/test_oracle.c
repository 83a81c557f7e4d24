/* Calls in which everything is done three times: by the ipsec-mb backend with replay.h, by
 * the libsrtp2 backend with the same, and by plain libsrtp2 sessions that guess indexes and
 * keep windows for themselves. All must make the same bytes and give the same verdicts:
 * random sizes, CSRCs and extensions, several SSRCs, two and more wraps of each, a network
 * that loses, reorders, repeats and changes; SRTCP beside it; both directions, all profiles
 * in one burst. 64,000 packets; with KCS_LONG in the environment more than a million. */
#include "crypt/crypt.h"
#include "crypt/replay.h"
#include "sfu/base/bytes.h"
#include "sfu/wire/rtp.h"

#include <setjmp.h>
#include <srtp2/srtp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    N_PROFILES = 4,
    N_DIRECTIONS = 2,
    N_SSRCS = CRYPT_BURST_MAX / N_PROFILES, /* a burst has one packet of each flow */
    N_FLOWS = CRYPT_BURST_MAX,
    HDR_MAX = 12 + 60 + 4 + 64,
    PAYLOAD_MAX = 1200,
    PKT_MAX = HDR_MAX + PAYLOAD_MAX + SRTP_MAX_TRAILER_LEN,
    RTCP_MAX = 400,
    HISTORY = 256,       /* packets of a flow that the network may still deliver */
    NETWORK_REORDER = 16 /* how far, most times */
};
enum { IMB, LS, N_BACKENDS };

/* A leap every so many packets, so that few packets cross two wraps: 1000 of them go at
 * least 20 * 8000 > 2 * 65536 ahead. None is so wide that the guess must fail. */
enum {
    ROUNDS = 1000,
    ROUNDS_LONG = 16000,
    LEAP_EVERY = 48,
    LEAP = 8000,
    LEAP_MORE = 22000
};

static const enum crypt_profile profiles[N_PROFILES] = {
    CRYPT_AES128_CM_SHA1_80, CRYPT_AES128_CM_SHA1_32, CRYPT_AEAD_AES_128_GCM,
    CRYPT_AEAD_AES_256_GCM};

struct packet {
    uint16_t hdr_len;
    uint16_t len; /* encrypted, whole */
    _Alignas(8) uint8_t wire[PKT_MAX];
    uint8_t plain[PAYLOAD_MAX];
};

struct report {
    uint16_t len; /* encrypted */
    _Alignas(8) uint8_t wire[RTCP_MAX + SRTP_MAX_TRAILER_LEN + 4];
    uint8_t plain[RTCP_MAX];
};

/* One SSRC of one link. */
struct flow {
    uint32_t ssrc;
    uint64_t index;      /* of the newest packet */
    uint32_t rtcp_index; /* of the newest report */
    struct replay rx, rtcp_rx;
    unsigned n_packets, n_reports; /* made so far; the last HISTORY of them are kept */
    struct packet packets[HISTORY];
    struct report reports[HISTORY];
};

/* One direction of one profile. */
struct link {
    uint8_t master[SRTP_MAX_KEY_LEN]; /* key, then salt */
    struct crypt_key tx[N_BACKENDS], rx[N_BACKENDS];
    srtp_t their_tx, their_rx;
    struct flow flows[N_SSRCS];
};

static struct link links[N_DIRECTIONS][N_PROFILES];
static struct crypt_ctx *ctx[N_BACKENDS];

static struct {
    unsigned good, seen, old, bad, rtcp_good, rtcp_refused;
} tally;

/* ---- randomness: many bytes, the same each time ---- */

static uint64_t dice = 0x9e3779b97f4a7c15;

static uint64_t roll(void)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return dice * 0x2545f4914f6cdd1d;
}

static unsigned pick(unsigned n)
{
    return (unsigned)((roll() >> 32) % n);
}

static void fill(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        const uint64_t bits = roll();

        memcpy(p + i, &bits, len - i < 8 ? len - i : 8);
    }
}

/* ---- links ---- */

static srtp_t plain_session(const struct link *link, enum crypt_profile profile,
                            srtp_ssrc_type_t type)
{
    uint8_t master[SRTP_MAX_KEY_LEN];
    srtp_policy_t policy = {.ssrc.type = type, .key = master, .window_size = REPLAY_WINDOW};
    srtp_t session;

    memcpy(master, link->master, sizeof(master));
    srtp_crypto_policy_set_from_profile_for_rtp(&policy.rtp, (srtp_profile_t)profile);
    srtp_crypto_policy_set_from_profile_for_rtcp(&policy.rtcp, (srtp_profile_t)profile);
    assert_int_equal(srtp_create(&session, &policy), srtp_err_status_ok);
    return session;
}

static void link_open(struct link *link, enum crypt_profile profile)
{
    static const uint32_t first[N_SSRCS] = {0, 1, 32767, 32768, 32769, 65000, 65535, 40000};
    const uint8_t *salt = link->master + crypt_master_key_len(profile);

    fill(link->master, sizeof(link->master));
    for (unsigned b = 0; b < N_BACKENDS; b++) {
        assert_int_equal(
            crypt_key_init(ctx[b], &link->tx[b], profile, link->master, salt, true), 0);
        assert_int_equal(
            crypt_key_init(ctx[b], &link->rx[b], profile, link->master, salt, false), 0);
    }
    link->their_tx = plain_session(link, profile, ssrc_any_outbound);
    link->their_rx = plain_session(link, profile, ssrc_any_inbound);
    for (unsigned s = 0; s < N_SSRCS; s++) {
        memset(&link->flows[s], 0, offsetof(struct flow, packets));
        link->flows[s].ssrc = (uint32_t)roll();
        link->flows[s].index = first[s];
    }
}

static void link_close(struct link *link)
{
    for (unsigned b = 0; b < N_BACKENDS; b++) {
        crypt_key_wipe(&link->tx[b]);
        crypt_key_wipe(&link->rx[b]);
    }
    assert_int_equal(srtp_dealloc(link->their_tx), srtp_err_status_ok);
    assert_int_equal(srtp_dealloc(link->their_rx), srtp_err_status_ok);
}

/* ---- sending ---- */

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

/* Makes the flow's next packet with plain libsrtp2, and the operation that shall make the
 * same bytes in 'ours'. */
static struct crypt_op next_packet(struct link *link, struct flow *flow, bool leap,
                                   uint8_t ours[PKT_MAX])
{
    struct packet *pkt = &flow->packets[flow->n_packets++ % HISTORY];
    const unsigned len = pick(8) == 0 ? pick(4) : pick(PAYLOAD_MAX + 1);
    int n;

    if (flow->n_packets > 1) {
        flow->index += 1 + (leap            ? LEAP + pick(LEAP_MORE)
                            : pick(32) == 0 ? pick(2 * REPLAY_WINDOW)
                            : pick(8) == 0  ? pick(5)
                                            : 0);
    }
    pkt->hdr_len = make_header(pkt->wire, flow->ssrc, flow->index);
    fill(pkt->plain, len);
    memcpy(ours, pkt->wire, pkt->hdr_len);
    memcpy(pkt->wire + pkt->hdr_len, pkt->plain, len);
    n = (int)(pkt->hdr_len + len);
    assert_int_equal(srtp_protect(link->their_tx, pkt->wire, &n), srtp_err_status_ok);
    pkt->len = (uint16_t)n;
    return (struct crypt_op){.src = pkt->plain,
                             .dst = ours + pkt->hdr_len,
                             .index = flow->index,
                             .ssrc = flow->ssrc,
                             .hdr_len = pkt->hdr_len,
                             .len = (uint16_t)len,
                             .status = 1};
}

static void send_all(unsigned direction, unsigned round)
{
    static uint8_t ours[N_BACKENDS][N_FLOWS][PKT_MAX];
    struct crypt_op ops[N_BACKENDS][N_FLOWS];

    for (unsigned i = 0; i < N_FLOWS; i++) {
        struct link *link = &links[direction][i % N_PROFILES];
        struct flow *flow = &link->flows[i / N_PROFILES];
        const bool leap = (round + i) % LEAP_EVERY == 0;

        ops[IMB][i] = next_packet(link, flow, leap, ours[IMB][i]);
        ops[LS][i] = ops[IMB][i];
        memcpy(ours[LS][i], ours[IMB][i], ops[IMB][i].hdr_len);
        ops[LS][i].dst = ours[LS][i] + ops[LS][i].hdr_len;
        ops[IMB][i].key = &link->tx[IMB];
        ops[LS][i].key = &link->tx[LS];
    }
    for (unsigned b = 0; b < N_BACKENDS; b++) {
        assert_int_equal(crypt_protect_burst(ctx[b], ops[b], N_FLOWS), N_FLOWS);
        for (unsigned i = 0; i < N_FLOWS; i++) {
            const struct flow *flow =
                &links[direction][i % N_PROFILES].flows[i / N_PROFILES];
            const struct packet *pkt = &flow->packets[(flow->n_packets - 1) % HISTORY];

            assert_int_equal(pkt->len, pkt->hdr_len + ops[b][i].len +
                                           crypt_tag_len(profiles[i % N_PROFILES]));
            assert_memory_equal(ours[b][i], pkt->wire, pkt->len);
        }
    }
}

/* ---- the network ---- */

/* How far back in history lies what is delivered next; 'n' have been sent. */
static unsigned choose_age(unsigned n)
{
    const unsigned what = pick(16);
    unsigned age = what < 12   ? 0
                   : what < 14 ? pick(NETWORK_REORDER)
                   : what < 15 ? 96 + pick(64) /* about the window's end */
                               : pick(HISTORY);

    return age < n ? age : n - 1;
}

/* One bit (but of the version, for which packets are not even told to be RTP), the end cut
 * off, or bytes more. Returns the new length. */
static size_t change(uint8_t *wire, size_t len)
{
    const unsigned at = pick((unsigned)len);

    switch (pick(8)) {
    case 0:
        return at;
    case 1:
        fill(wire + len, 4); /* as if with an MKI */
        return len + 4;
    default:
        wire[at] ^= (uint8_t)(1 << pick(at == 0 ? 6 : 8));
        return len;
    }
}

/* ---- receiving ---- */

static int verdict_of(srtp_err_status_t status)
{
    switch (status) {
    case srtp_err_status_ok:
        return 0;
    case srtp_err_status_replay_fail:
        return -EALREADY;
    case srtp_err_status_replay_old:
        return -ERANGE;
    default:
        return -EBADMSG;
    }
}

/* A packet on its way through all three. */
struct arrival {
    struct flow *flow;
    const struct packet *sent;
    int theirs, ours;  /* verdicts; 'ours' 1 while it is with the backends */
    struct replay *rx; /* the flow's, or of an SSRC that nobody knows */
    struct replay fresh;
    size_t len;
    _Alignas(8) uint8_t wire[PKT_MAX + 8];
    uint8_t out[N_BACKENDS][PKT_MAX];
    _Alignas(8) uint8_t their_out[PKT_MAX + 8];
};

/* Header, index and window, as stage/unprotect does. Returns false if that ends it. */
static bool admit(struct arrival *a, struct crypt_op *op)
{
    struct rtp_hdr hdr;

    a->ours = rtp_parse(a->wire, a->len, &hdr);
    if (a->ours != 0) {
        return false;
    }
    a->fresh = (struct replay){.ssrc = hdr.ssrc};
    a->rx = hdr.ssrc == a->flow->ssrc ? &a->flow->rx : &a->fresh;
    *op = (struct crypt_op){.src = a->wire + hdr.hdr_len,
                            .index = replay_guess(a->rx, hdr.seq),
                            .ssrc = hdr.ssrc,
                            .hdr_len = hdr.hdr_len,
                            .len = (uint16_t)(a->len - hdr.hdr_len),
                            .status = 1};
    a->ours = replay_check(a->rx, op->index);
    return a->ours == 0;
}

static void arrive(struct arrival *a, struct link *link, unsigned s, bool intact)
{
    struct flow *flow = &link->flows[s];
    const unsigned age = intact ? 0 : choose_age(flow->n_packets);
    int n;

    a->flow = flow;
    a->sent = &flow->packets[(flow->n_packets - 1 - age) % HISTORY];
    a->len = a->sent->len;
    memcpy(a->wire, a->sent->wire, a->len);
    if (!intact && pick(16) == 0) {
        a->len = change(a->wire, a->len);
    }
    n = (int)a->len;
    memcpy(a->their_out, a->wire, a->len);
    a->theirs = verdict_of(srtp_unprotect(link->their_rx, a->their_out, &n));
}

/* Same verdict, and of good ones the same bytes. */
static void compare(const struct arrival *a, const struct crypt_op ops[N_BACKENDS],
                    enum crypt_profile profile)
{
    assert_int_equal(a->ours, a->theirs);
    if (a->ours == 0) {
        const size_t len = ops[IMB].len - (size_t)crypt_tag_len(profile);

        assert_int_equal(a->sent->hdr_len, ops[IMB].hdr_len);
        assert_memory_equal(a->their_out + ops[IMB].hdr_len, a->sent->plain, len);
        assert_memory_equal(a->out[IMB], a->sent->plain, len);
        assert_memory_equal(a->out[LS], a->sent->plain, len);
    }
    tally.good += a->ours == 0;
    tally.seen += a->ours == -EALREADY;
    tally.old += a->ours == -ERANGE;
    tally.bad += a->ours == -EBADMSG;
}

static void receive_all(unsigned direction, unsigned round)
{
    static struct arrival arrivals[N_FLOWS];
    struct crypt_op ops[N_BACKENDS][N_FLOWS];
    unsigned at[N_FLOWS]; /* arrival -> op */
    uint16_t n = 0;

    for (unsigned i = 0; i < N_FLOWS; i++) {
        struct link *link = &links[direction][i % N_PROFILES];
        /* the first tells where the flow begins, and after a leap no other may be lost */
        const bool intact = round == 0 || (round + i) % LEAP_EVERY == 0;
        struct arrival *a = &arrivals[i];

        arrive(a, link, i / N_PROFILES, intact);
        if (admit(a, &ops[IMB][n])) {
            ops[LS][n] = ops[IMB][n];
            for (unsigned b = 0; b < N_BACKENDS; b++) {
                ops[b][n].key = &link->rx[b];
                ops[b][n].dst = a->out[b];
            }
            at[i] = n++;
            a->ours = 1;
        }
    }
    for (unsigned b = 0; b < N_BACKENDS; b++) {
        (void)crypt_unprotect_burst(ctx[b], ops[b], n);
    }
    for (unsigned i = 0; i < N_FLOWS; i++) {
        struct arrival *a = &arrivals[i];
        struct crypt_op both[N_BACKENDS] = {{.len = 0}};

        if (a->ours == 1) {
            both[IMB] = ops[IMB][at[i]];
            both[LS] = ops[LS][at[i]];
            assert_int_equal(both[IMB].status, both[LS].status);
            a->ours = both[IMB].status;
            if (a->ours == 0) {
                assert_ptr_equal(a->rx, &a->flow->rx);
                replay_commit(a->rx, both[IMB].index);
            }
        }
        compare(a, both, profiles[i % N_PROFILES]);
    }
}

/* ---- SRTCP ---- */

static void send_report(struct link *link, struct flow *flow)
{
    struct report *r = &flow->reports[flow->n_reports++ % HISTORY];
    const size_t len = 8 + (pick(4) == 0 ? pick(8) : pick(RTCP_MAX - 8 + 1));
    uint8_t ours[sizeof(r->wire)];
    int n = (int)len;
    size_t got;

    fill(r->plain, len);
    r->plain[0] = 0x81;
    store_be32(r->plain + 4, flow->ssrc);
    memcpy(r->wire, r->plain, len);
    assert_int_equal(srtp_protect_rtcp(link->their_tx, r->wire, &n), srtp_err_status_ok);
    r->len = (uint16_t)n;
    flow->rtcp_index++;
    for (unsigned b = 0; b < N_BACKENDS; b++) {
        assert_int_equal(crypt_rtcp_protect(ctx[b], &link->tx[b], flow->rtcp_index,
                                            r->plain, len, ours, sizeof(ours), &got),
                         0);
        assert_int_equal(got, r->len);
        assert_memory_equal(ours, r->wire, got);
    }
}

static void receive_report(struct link *link, struct flow *flow)
{
    const struct report *sent =
        &flow->reports[(flow->n_reports - 1 - choose_age(flow->n_reports)) % HISTORY];
    _Alignas(8) uint8_t wire[sizeof(sent->wire) + 8], theirs[sizeof(wire)];
    uint8_t out[N_BACKENDS][sizeof(wire)];
    const bool changed = pick(16) == 0;
    size_t len = sent->len, got[N_BACKENDS] = {0};
    uint32_t index[N_BACKENDS] = {0};
    int verdict, ours[N_BACKENDS], n;

    memcpy(wire, sent->wire, len);
    len = changed ? change(wire, len) : len;
    n = (int)len;
    memcpy(theirs, wire, len);
    verdict = verdict_of(srtp_unprotect_rtcp(link->their_rx, theirs, &n));
    for (unsigned b = 0; b < N_BACKENDS; b++) {
        ours[b] = crypt_rtcp_unprotect(ctx[b], &link->rx[b], wire, len, out[b],
                                       sizeof(out[b]), &got[b], &index[b]);
    }
    assert_int_equal(ours[IMB], ours[LS]);
    tally.rtcp_good += verdict == 0;
    tally.rtcp_refused += verdict != 0;
    if (changed) {
        /* the window needs the index and comes second here, first there */
        assert_int_equal(ours[IMB], -EBADMSG);
        assert_int_not_equal(verdict, 0);
        return;
    }
    assert_int_equal(ours[IMB], 0);
    assert_int_equal(index[IMB], index[LS]);
    assert_int_equal(replay_check(&flow->rtcp_rx, index[IMB]), verdict);
    assert_int_equal(got[IMB], got[LS]);
    assert_memory_equal(out[IMB], sent->plain, got[IMB]);
    assert_memory_equal(out[LS], sent->plain, got[IMB]);
    if (verdict == 0) {
        assert_int_equal(got[IMB], (size_t)n);
        assert_memory_equal(theirs, sent->plain, got[IMB]);
        replay_commit(&flow->rtcp_rx, index[IMB]);
    }
}

/* ---- tests ---- */

static void libsrtp2_agrees_on_every_byte_and_verdict(void **state)
{
    const char *asked = getenv("KCS_LONG");
    const unsigned n_rounds = asked != NULL && *asked != '\0' ? ROUNDS_LONG : ROUNDS;
    const unsigned n = n_rounds * N_DIRECTIONS * N_FLOWS;
    (void)state;

    for (unsigned i = 0; i < N_DIRECTIONS * N_PROFILES; i++) {
        link_open(&links[i / N_PROFILES][i % N_PROFILES], profiles[i % N_PROFILES]);
    }
    for (unsigned round = 0; round < n_rounds; round++) {
        for (unsigned d = 0; d < N_DIRECTIONS; d++) {
            struct link *link = &links[d][round % N_PROFILES];

            send_all(d, round);
            receive_all(d, round);
            for (unsigned s = 0; s < N_SSRCS; s++) {
                send_report(link, &link->flows[s]);
                receive_report(link, &link->flows[s]);
            }
        }
    }
    for (unsigned i = 0; i < N_DIRECTIONS * N_PROFILES; i++) {
        struct link *link = &links[i / N_PROFILES][i % N_PROFILES];

        for (unsigned s = 0; s < N_SSRCS; s++) {
            assert_true(link->flows[s].rx.highest >> 16 >= 2); /* two wraps, and heard */
        }
        link_close(link);
    }
    print_message("%u packets: %u good, %u seen, %u old, %u bad; SRTCP %u good, %u not\n",
                  n, tally.good, tally.seen, tally.old, tally.bad, tally.rtcp_good,
                  tally.rtcp_refused);
    assert_int_equal(tally.good + tally.seen + tally.old + tally.bad, n);
    assert_in_range(tally.good, n / 10 * 7, n); /* it was a call, and a bad network */
    assert_in_range(tally.seen, n / 100, n);
    assert_in_range(tally.old, n / 100, n);
    assert_in_range(tally.bad, n / 100, n);
    assert_in_range(tally.rtcp_good, n / 8, n);
    assert_in_range(tally.rtcp_refused, n / 100, n);
}

static int open_all(void **state)
{
    (void)state;
    return crypt_ctx_create(&ctx[LS], CRYPT_LIBSRTP) != 0 ||
           crypt_ctx_create(&ctx[IMB], CRYPT_IPSEC_MB) != 0;
}

static int close_all(void **state)
{
    (void)state;
    crypt_ctx_destroy(ctx[IMB]);
    crypt_ctx_destroy(ctx[LS]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libsrtp2_agrees_on_every_byte_and_verdict),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
