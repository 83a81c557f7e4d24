/* See fanout_feedback.h. A subscriber's link has no queue and loses nothing: packets are
 * there after 20 ms and up to 1 ms of jitter, and so are reports back here. */
#include "benchmarks/fanout_feedback.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/fanout_priv.h"
#include "sfu/wire/rtcp.h"
#include "stage/route.h"

enum {
    SPACING_US = 1000000 / FANOUT_FEEDBACK_PACKETS_HZ,
    EVERY = FANOUT_FEEDBACK_PACKETS_HZ / FANOUT_FEEDBACK_HZ, /* packets, a report */
    ONE_WAY_US = 20000,
    LAG = 1 + 2 * ONE_WAY_US / SPACING_US, /* packets that a report is behind */
    JITTER_US = 1000,
    PACER_WINDOW_US = 150000, /* the default */
    REPORT_BYTES = 160,
    FEEDBACK_SSRC = 0x70000000, /* of subscriber 0 */
    FB_COUNT_AT = 19            /* in a feedback packet: its own number */
};

_Static_assert(EVERY *FANOUT_FEEDBACK_HZ == FANOUT_FEEDBACK_PACKETS_HZ, "no remainder");

/* A subscriber. */
struct subscriber {
    struct crypt_key key;
    uint64_t base;  /* transport-wide number of the first packet */
    uint32_t index; /* of SRTCP */
    uint8_t n_reports;
    uint32_t n_all;
};

struct fanout_feedback {
    struct subscriber *subs;
    uint64_t n_packets; /* of the publisher, since it was opened */
    struct twcc scratch;
    uint32_t jitter; /* a generator's state */
    uint32_t sr_index;
    /* of a round: what comes before each packet, and the packet */
    struct port_mem_packet *in;
    uint8_t (*bytes)[REPORT_BYTES];
    size_t cap;
    size_t first[FANOUT_PACKETS_MAX + 1];
    uint64_t t0_us; /* when the publisher's first packet came */
};

int fanout_feedback_open(struct fanout *f)
{
    struct fanout_feedback *fb = calloc(1, sizeof(*fb));
    int e = 0;

    if (fb == NULL) {
        return -ENOMEM;
    }
    f->feedback = fb;
    fb->subs = aligned_alloc(64, f->n_subs * sizeof(*fb->subs));
    if (fb->subs == NULL) {
        return -ENOMEM;
    }
    memset(fb->subs, 0, f->n_subs * sizeof(*fb->subs));
    for (uint32_t i = 0; i < f->n_subs && e == 0; i++) {
        struct vault_peer_conf conf;

        e = vault_peer_read(&f->shared.vault.peers[i + 1], &conf);
        if (e == 0) {
            e = crypt_key_init(f->publisher, &fb->subs[i].key, f->profile, conf.rx_key,
                               conf.rx_salt, true);
        }
        fb->subs[i].base = f->tables.peers[i + 1].twcc_next;
    }
    fb->jitter = 1;
    fb->t0_us = f->lane.now_us;
    f->lane.pacer_window_us = PACER_WINDOW_US;
    return e;
}

void fanout_feedback_close(struct fanout *f)
{
    if (f->feedback == NULL) {
        return;
    }
    for (uint32_t i = 0; f->feedback->subs != NULL && i < f->n_subs; i++) {
        crypt_key_wipe(&f->feedback->subs[i].key);
    }
    free(f->feedback->subs);
    free(f->feedback->in);
    free(f->feedback->bytes);
    free(f->feedback);
    f->feedback = NULL;
}

/* ---- what comes ---- */

static uint64_t sent_us(const struct fanout_feedback *fb, uint64_t packet)
{
    return fb->t0_us + packet * SPACING_US;
}

/* Between 0 and JITTER_US. */
static uint32_t jitter_us(struct fanout_feedback *fb)
{
    fb->jitter = fb->jitter * 1664525 + 1013904223;
    return (fb->jitter >> 16) % JITTER_US;
}

/* About the packets [from, to) of the publisher. */
static size_t write_feedback(struct fanout_feedback *fb, uint32_t sub, uint64_t from,
                             uint64_t to, uint8_t *out, size_t cap)
{
    const struct twcc_conf conf = {.interval_us = 1, .max_packets = 1};
    struct subscriber *s = &fb->subs[sub];
    uint64_t at_us = 0;
    size_t len;

    twcc_init(&fb->scratch, &conf);
    for (uint64_t k = from; k < to; k++) {
        at_us = sent_us(fb, k) + ONE_WAY_US + jitter_us(fb);
        (void)twcc_on_packet(&fb->scratch, (uint16_t)(s->base + k), at_us);
    }
    len = twcc_take_feedback(&fb->scratch, at_us + 1, FEEDBACK_SSRC + sub, SSRC_OUT + sub,
                             out, cap);
    if (len > FB_COUNT_AT) {
        out[FB_COUNT_AT] = s->n_reports++;
    }
    return len;
}

static void seal(struct fanout *f, struct crypt_key *key, uint32_t *index, uint32_t peer,
                 const struct wbytes *plain, size_t n)
{
    struct fanout_feedback *fb = f->feedback;
    size_t len = 0;

    (void)crypt_rtcp_protect(f->publisher, key, ++*index, plain->start, wbytes_len(plain),
                             fb->bytes[n], REPORT_BYTES, &len);
    fb->in[n] = (struct port_mem_packet){
        .data = fb->bytes[n], .len = (uint16_t)len, .path = fanout_peer_path(f, peer)};
}

/* Puts the report that is due of a subscriber at the publisher's packet 'at' into place n.
 * Returns whether there is one. */
static bool put_report(struct fanout *f, uint32_t sub, uint64_t at, size_t n)
{
    struct fanout_feedback *fb = f->feedback;
    struct subscriber *s = &fb->subs[sub];
    uint8_t plain[REPORT_BYTES];
    struct wbytes w = wbytes_of(plain, sizeof(plain));

    if (at < LAG + EVERY) {
        return false;
    }
    if (s->n_all % FANOUT_FEEDBACK_HZ == sub % FANOUT_FEEDBACK_HZ) {
        const struct rtcp_block block = {
            .ssrc = SSRC_OUT + sub, .ext_highest_seq = (uint32_t)(at - LAG), .jitter = 20};

        rtcp_rr_write(&w, FEEDBACK_SSRC + sub, &block, 1);
    }
    (void)wbytes_reserve(&w, write_feedback(fb, sub, at - LAG - EVERY, at - LAG, w.p,
                                            sizeof(plain) - wbytes_len(&w)));
    seal(f, &s->key, &s->index, sub + 1, &w, n);
    s->n_all++;
    return true;
}

/* Of the publisher, once a second. */
static bool put_sender_report(struct fanout *f, uint64_t at, size_t n)
{
    const uint64_t now_us = sent_us(f->feedback, at);
    const struct rtcp_sr sr = {.ssrc = SSRC_IN,
                               .ntp = (now_us / 1000000) << 32 |
                                      ((now_us % 1000000) << 32) / 1000000,
                               .rtp_ts = (uint32_t)f->next * 90,
                               .n_packets = (uint32_t)at,
                               .n_bytes = (uint32_t)(at * f->size)};
    uint8_t plain[REPORT_BYTES];
    struct wbytes w = wbytes_of(plain, sizeof(plain));

    if (at % FANOUT_FEEDBACK_PACKETS_HZ != 0) {
        return false;
    }
    rtcp_sr_write(&w, &sr, NULL, 0);
    seal(f, &f->publisher_key, &f->feedback->sr_index, 0, &w, n);
    return true;
}

/* Nobody here sends checks. */
static void renew_consent(struct fanout *f, uint64_t now_us)
{
    for (uint32_t i = 0; i <= f->n_subs; i++) {
        f->shared.vault.peers[i].live.last_check_us = now_us;
    }
}

static bool make_room(struct fanout *f, unsigned n_packets)
{
    struct fanout_feedback *fb = f->feedback;
    const size_t most = (size_t)n_packets * (f->n_subs / EVERY + 3);

    if (most <= fb->cap) {
        return true;
    }
    free(fb->in);
    free(fb->bytes);
    fb->in = calloc(most, sizeof(*fb->in));
    fb->bytes = calloc(most, sizeof(*fb->bytes));
    fb->cap = fb->in != NULL && fb->bytes != NULL ? most : 0;
    return fb->cap > 0;
}

void fanout_feedback_prepare(struct fanout *f, unsigned n_packets)
{
    struct fanout_feedback *fb = f->feedback;
    size_t n = 0;

    if (!make_room(f, n_packets)) {
        n_packets = 0; /* nothing is sent then, which is noticed */
    }
    renew_consent(f, sent_us(fb, fb->n_packets));
    for (unsigned p = 0; p < n_packets; p++) {
        const uint64_t at = fb->n_packets + p;

        fb->first[p] = n;
        n += put_sender_report(f, at, n);
        for (uint32_t sub = (uint32_t)(at % EVERY); sub < f->n_subs; sub += EVERY) {
            n += put_report(f, sub, at, n);
        }
        fb->in[n++] = f->packets[p];
    }
    fb->first[n_packets] = n;
}

/* ---- the turns of a lane ---- */

/* As worker/loop.c, until there is nothing to do at this time. */
static void work_off(struct fanout *f)
{
    do {
        (void)pipeline_ingress(&f->pipe);
        (void)pipeline_layers(&f->pipe);
        (void)pipeline_egress(&f->pipe, LOOP_BURSTS);
        (void)pipeline_budget(&f->pipe);
        (void)pipeline_rtcp(&f->pipe);
    } while (port_mem_waiting(f->io, 0, 0) > 0 || route_is_due(&f->lane) ||
             f->lane.budget_at > 0 || f->lane.sweep_at > 0);
}

void fanout_feedback_turns(struct fanout *f, unsigned n_packets)
{
    struct fanout_feedback *fb = f->feedback;

    for (unsigned p = 0; p < n_packets && fb->cap > 0; p++) {
        f->lane.now_us = sent_us(fb, fb->n_packets + p);
        port_mem_inject(f->io, 0, 0, &fb->in[fb->first[p]],
                        fb->first[p + 1] - fb->first[p]);
        work_off(f);
    }
    fb->n_packets += n_packets;
}

int fanout_feedback_check(const struct fanout *f, char *err, size_t err_cap)
{
    const struct fanout_feedback *fb = f->feedback;

    for (uint32_t i = 0; i < f->n_subs; i++) {
        const struct peer *peer = &f->tables.peers[i + 1];

        if (peer->rest->twcc_reports != fb->subs[i].n_all || peer->rest->twcc_lost != 0 ||
            peer->bwe->n_ignored != 0 ||
            (fb->subs[i].n_all > 0 && peer->bwe->feedback_us == 0)) {
            (void)snprintf(err, err_cap,
                           "subscriber %u: %u of %u reports heard, %llu not looked at, %u "
                           "packets lost: no numbers",
                           i, peer->rest->twcc_reports, fb->subs[i].n_all,
                           (unsigned long long)peer->bwe->n_ignored, peer->rest->twcc_lost);
            return -EIO;
        }
        if (peer->twcc_next != fb->subs[i].base + fb->n_packets) {
            (void)snprintf(err, err_cap,
                           "subscriber %u was sent %llu numbered packets, not %llu: no "
                           "numbers",
                           i, (unsigned long long)(peer->twcc_next - fb->subs[i].base),
                           (unsigned long long)fb->n_packets);
            return -EIO;
        }
    }
    return 0;
}
