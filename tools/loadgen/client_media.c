/* See client.h. */
#include <string.h>
#include <time.h>

#include "loadgen/client.h"
#include "loadgen/run.h"
#include "sfu/wire/rtcp_fb.h"
#include "sfu/wire/rtp_ext.h"

enum { NTP_EPOCH_S = 2208988800u, RTCP_MAX = 1200, MAX_BLOCKS = 31, OUR_SSRC = 2 };

/* What a node probes our link with; mediasoup-client expects the same. */
enum { PROBE_SSRC = 1234 };

/* A packet being made: aligned and with room for libsrtp2. */
struct packet {
    _Alignas(8) uint8_t data[TRANSPORT_PACKET_MAX + ARMOR_ROOM];
};

static uint64_t ntp_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return ((uint64_t)ts.tv_sec + NTP_EPOCH_S) << 32 |
           ((uint64_t)ts.tv_nsec << 32) / 1000000000u;
}

/* ---- what comes in ---- */

static struct receiver *by_ssrc(struct client *client, uint32_t ssrc)
{
    for (uint32_t i = 0; i < client->n_receivers; i++) {
        uint32_t at = (client->last + i) % client->n_receivers;

        if (client->receivers[at].ssrc == ssrc) {
            client->last = at;
            return &client->receivers[at];
        }
    }
    return NULL;
}

/* Whatever has arrived is told, of whichever stream it is: what is not told counts as lost,
 * and the node would take the link for a bad one. */
static void note_arrival(struct client *client, const struct rtp_hdr *hdr, uint64_t now_us)
{
    uint8_t ext_len = 0;
    const uint8_t *ext;
    uint16_t seq;

    ext = client->twcc_ext != 0 ? rtp_ext_find(hdr, client->twcc_ext, &ext_len) : NULL;
    if (ext != NULL && rtp_ext_twcc_seq(ext, ext_len, &seq)) {
        arrivals_add(&client->arrivals, seq, now_us);
        if (client->feedback_due_us == UINT64_MAX) {
            client->feedback_due_us = now_us + ARRIVALS_PERIOD_US;
            client_media_arm(client);
        }
    }
}

static void on_rtp(void *user, const struct rtp_hdr *hdr, const uint8_t *payload,
                   size_t len, uint64_t now_us)
{
    struct client *client = user;
    struct receiver *r = by_ssrc(client, hdr->ssrc);

    note_arrival(client, hdr, now_us);
    if (r != NULL) {
        client->n_packets++;
        if (!r->started) {
            const struct sender *s = run_sender(client, r->producer_id, 0);

            r->sent_then = s != NULL ? s->n_sent : 0;
        }
        receiver_on_packet(r, hdr, payload, len, now_us, &client->run->account->delays_us);
    } else if (hdr->ssrc != PROBE_SSRC) {
        client->n_unknown++;
    }
}

static void on_key_request(struct client *client, uint32_t ssrc)
{
    for (uint32_t i = 0; i < client->n_senders; i++) {
        struct sender *s = &client->senders[i];

        if (s->video && s->ssrc == ssrc) {
            s->n_key_requests++;
            s->want_key = true;
        }
    }
}

static void on_blocks(struct client *client, const uint8_t *blocks, uint8_t n)
{
    for (uint8_t i = 0; i < n; i++) {
        struct rtcp_block block = rtcp_block_at(blocks, i);

        for (uint32_t j = 0; j < client->n_senders; j++) {
            client->senders[j].n_reports += client->senders[j].ssrc == block.ssrc;
        }
    }
}

static void on_feedback(struct client *client, const struct rtcp_pkt *pkt)
{
    struct rtcp_fb fb;

    if (rtcp_fb_parse(pkt, &fb) != 0) {
        client->media.faults.malformed++;
    } else if (rtcp_is_pli(pkt)) {
        on_key_request(client, fb.media_ssrc);
    } else if (rtcp_is_fir(pkt)) {
        for (size_t i = 0; i < rtcp_fir_count(&fb); i++) {
            on_key_request(client, rtcp_fir_at(&fb, i).ssrc);
        }
    } else if (rtcp_is_twcc(pkt)) {
        client->n_feedback++;
    }
}

static void on_rtcp(void *user, const uint8_t *data, size_t len, uint64_t now_us)
{
    struct client *client = user;
    struct rtcp_iter it = rtcp_iter_of(data, len);
    struct rtcp_pkt pkt;

    if (!rtcp_valid(data, len)) {
        client->media.faults.malformed++;
        return;
    }
    while (rtcp_next(&it, &pkt) == 1) {
        struct rtcp_sr sr;
        struct rtcp_rr rr;

        if (pkt.pt == RTCP_SR && rtcp_sr_parse(&pkt, &sr) == 0) {
            struct receiver *r = by_ssrc(client, sr.ssrc);

            if (r != NULL) {
                receiver_on_sr(r, &sr, now_us);
            }
            on_blocks(client, sr.blocks, sr.n_blocks);
        } else if (pkt.pt == RTCP_RR && rtcp_rr_parse(&pkt, &rr) == 0) {
            on_blocks(client, rr.blocks, rr.n_blocks);
        } else if (pkt.pt == RTCP_RTPFB || pkt.pt == RTCP_PSFB) {
            on_feedback(client, &pkt);
        }
    }
}

/* ---- what goes out ---- */

static void send_packets(struct client *client, uint64_t now_us)
{
    for (uint32_t i = 0; i < client->n_senders; i++) {
        struct sender *s = &client->senders[i];

        while (!s->silent && sender_is_due(s, now_us)) {
            struct packet packet;
            size_t len = sender_make(s, client->twcc++, loop_now_us(), packet.data,
                                     TRANSPORT_PACKET_MAX);

            transport_send_rtp(&client->media, packet.data, len);
        }
    }
}

static void send_rtcp(struct client *client, struct packet *packet, const struct wbytes *w)
{
    if (!w->bad && wbytes_len(w) > 0) {
        transport_send_rtcp(&client->media, packet->data, wbytes_len(w));
    }
}

static void send_sender_reports(struct client *client, uint64_t now_us)
{
    for (uint32_t i = 0; i < client->n_senders; i++) {
        struct packet packet;
        struct wbytes w = wbytes_of(packet.data, RTCP_MAX);

        if (client->senders[i].n_sent > 0) {
            sender_report(&client->senders[i], now_us, ntp_now(), client->name, &w);
            send_rtcp(client, &packet, &w);
        }
    }
}

static void send_receiver_reports(struct client *client, uint64_t now_us)
{
    struct rtcp_block blocks[MAX_BLOCKS];
    uint8_t n = 0;

    for (uint32_t i = 0; i < client->n_receivers; i++) {
        struct receiver *r = &client->receivers[i];

        n = (uint8_t)(n + (!r->closed && receiver_take_block(r, now_us, &blocks[n])));
        if (n == MAX_BLOCKS || (n > 0 && i + 1 == client->n_receivers)) {
            struct packet packet;
            struct wbytes w = wbytes_of(packet.data, RTCP_MAX);

            rtcp_rr_write(&w, OUR_SSRC, blocks, n);
            send_rtcp(client, &packet, &w);
            n = 0;
        }
    }
}

static void send_feedback(struct client *client)
{
    struct packet packet;
    uint32_t media_ssrc =
        client->n_receivers > 0 ? client->receivers[client->last].ssrc : 0;
    size_t len =
        arrivals_take(&client->arrivals, OUR_SSRC, media_ssrc, packet.data, RTCP_MAX);

    if (len > 0) {
        transport_send_rtcp(&client->media, packet.data, len);
    }
}

/* ---- time ---- */

void client_media_arm(struct client *client)
{
    uint64_t due_us = client->report_due_us;

    if (client->media.state != TRANSPORT_UP) {
        due_us = UINT64_MAX;
    } else {
        due_us = client->feedback_due_us < due_us ? client->feedback_due_us : due_us;
        for (uint32_t i = 0; client->sending && i < client->n_senders; i++) {
            const struct sender *s = &client->senders[i];

            due_us = !s->silent && s->due_us < due_us ? s->due_us : due_us;
        }
    }
    (void)loop_set(client->run->loop, &client->timer, due_us);
}

void client_media_on_due(struct loop_timer *timer, uint64_t now_us)
{
    struct client *client = timer->user;

    if (client->media.state != TRANSPORT_UP) {
        return; /* on_up() arms it again */
    }
    if (client->sending) {
        send_packets(client, now_us);
    }
    if (client->report_due_us <= now_us) {
        if (client->publisher) {
            send_sender_reports(client, now_us);
        } else {
            send_receiver_reports(client, now_us);
        }
        client->report_due_us = now_us + CLIENT_REPORT_US;
    }
    if (client->feedback_due_us <= now_us) {
        send_feedback(client);
        client->feedback_due_us = UINT64_MAX;
    }
    client_media_arm(client);
}

void client_send(struct client *client, uint64_t at_us)
{
    for (uint32_t i = 0; i < client->n_senders; i++) {
        sender_start(&client->senders[i], at_us);
    }
    client->sending = true;
    client_media_arm(client);
}

void client_hold(struct client *client)
{
    client->sending = false;
    (void)loop_set(client->run->loop, &client->whim, UINT64_MAX);
    client_media_arm(client);
}

/* ---- the transport ---- */

static void on_up(void *user)
{
    struct client *client = user;

    client->report_due_us = loop_now_us() + CLIENT_REPORT_US / 2;
    client->feedback_due_us = UINT64_MAX;
    client_media_arm(client);
    client_on_media_up(client);
}

static void on_failed(void *user, const char *reason)
{
    client_on_media_failed(user, reason);
}

static void on_ice(void *user)
{
    client_step(user, STEP_ICE);
}

const struct transport_ops client_media_ops = {on_ice, on_up, on_failed, on_rtp, on_rtcp};

int client_media_init(struct client *client)
{
    const struct transport_conf conf = {.ops = &client_media_ops,
                                        .user = client,
                                        .loop = client->run->loop,
                                        .ssl = client->run->ssl,
                                        .decrypt = client->sampled};
    struct transport_faults faults = client->media.faults; /* of all its lives */
    int err;

    transport_fini(&client->media);
    err = transport_init(&client->media, &conf);
    client->media.faults = faults;
    client->arrivals = (struct arrivals){0};
    return err;
}
