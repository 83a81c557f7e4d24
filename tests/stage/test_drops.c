/* Every reason for a drop can happen, is counted once and alone, and the sums are exact.
 * Add a row to the table for a new reason: without one the test fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/call.h"

static struct pkt *held[RIG_BUFFERS];

static void inject(struct call *call, const void *data, size_t len)
{
    rig_inject(call->rig, &call->pub.path, data, len);
}

static void empty(struct call *call)
{
    inject(call, "", 0);
}

static void unknown_kind(struct call *call)
{
    inject(call, "\x50 what is this?", 16);
}

static void stun_malformed(struct call *call)
{
    uint8_t stun[20] = {0, 1, 0, 0}; /* no magic cookie */

    inject(call, stun, sizeof(stun));
}

static void stun_integrity(struct call *call)
{
    uint8_t buf[256];

    inject(call, buf, far_make_check(&call->pub, &(struct far_check){.pwd = "wrong"}, buf));
}

static void no_peer(struct call *call)
{
    const struct path nobody = far_path(99, 0, 4);
    const uint8_t rtp[12] = {0x80};

    rig_inject(call->rig, &nobody, rtp, sizeof(rtp));
}

static void no_keys(struct call *call)
{
    const uint8_t rtp[12] = {0x80};
    struct far far;

    far_open(&far, call->rig, 9, FAR_NO_KEYS, 4);
    rig_inject(call->rig, &far.path, rtp, sizeof(rtp));
}

static void punt_full(struct call *call)
{
    const uint8_t dtls[13] = {22};

    call->rig->punt_full = true;
    inject(call, dtls, sizeof(dtls));
}

static void punt_rate(struct call *call)
{
    const struct path nobody = far_path(99, 0, 4);
    uint8_t buf[256];

    call->rig->lane.punts_us = call->rig->lane.now_us;
    rig_inject(call->rig, &nobody, buf,
               far_make_check(&call->pub, &(struct far_check){0}, buf));
}

static void too_long(struct call *call)
{
    uint8_t buf[PKT_MAX_DATAGRAM + 1] = {0x80};

    inject(call, buf, sizeof(buf));
}

static void rtp_malformed(struct call *call)
{
    uint8_t rtp[12] = {0x8f}; /* 15 CSRCs that are not there */

    inject(call, rtp, sizeof(rtp));
}

static void send_rtcp(struct call *call, uint32_t ssrc, size_t said_len)
{
    uint8_t buf[64];
    struct wbytes w = wbytes_of(buf, sizeof(buf));

    rtcp_write_header(&w, 0, RTCP_RR, said_len);
    wbytes_be32(&w, ssrc);
    far_send_rtcp(&call->pub, &w);
}

static void rtcp_malformed(struct call *call)
{
    send_rtcp(call, 1, 400);
}

static void auth(struct call *call)
{
    const uint8_t rtp[40] = {0x80, FAR_AUDIO_PT};

    inject(call, rtp, sizeof(rtp));
}

static void replay(struct call *call)
{
    const struct far_rtp rtp = call_audio(call, "x", 1);
    uint8_t buf[PKT_ROOM];
    size_t n = far_make_rtp(&call->pub, &rtp, buf);

    inject(call, buf, n);
    inject(call, buf, n);
}

static void ssrc_limit(struct call *call)
{
    for (uint32_t i = 0; i <= PEER_SSRCS; i++) {
        const struct far_rtp rtp = {.ssrc = 100 + i, .pt = FAR_AUDIO_PT};

        (void)far_publish_audio(&call->pub, 2 + i, rtp.ssrc);
        far_send_rtp(&call->pub, &rtp);
    }
}

static void unbound_ssrc(struct call *call)
{
    far_send_rtp(&call->pub, &(struct far_rtp){.ssrc = 4711, .pt = FAR_AUDIO_PT});
}

static void payload_type(struct call *call)
{
    far_send_rtp(&call->pub, &(struct far_rtp){.ssrc = CALL_AUDIO_SSRC, .pt = 1});
}

static void padding(struct call *call)
{
    struct far_rtp rtp = call_audio(call, "", 0);

    rtp.padding = 9;
    far_send_rtp(&call->pub, &rtp);
}

static void rtx(struct call *call)
{
    far_send_rtp(&call->pub,
                 &(struct far_rtp){
                     .ssrc = CALL_RTX_SSRC, .pt = FAR_RTX_PT, .payload = "ab", .len = 2});
}

/* It came, and comes again as a retransmission. */
static void duplicate(struct call *call)
{
    const struct far_rtp rtp = call_video(call, true);
    const uint8_t again[3] = {(uint8_t)(rtp.seq >> 8), (uint8_t)rtp.seq, 1};

    far_send_rtp(&call->pub, &rtp);
    far_send_rtp(&call->pub,
                 &(struct far_rtp){
                     .ssrc = CALL_RTX_SSRC, .pt = FAR_RTX_PT, .payload = again, .len = 3});
}

/* Two packets change places, and the ring does not know that the first was sent. */
static void index_used(struct call *call)
{
    const struct far_rtp first = call_audio(call, "1", 1);
    const struct far_rtp second = call_audio(call, "2", 1);

    far_send_rtp(&call->pub, &first);
    far_send_rtp(&call->pub, &second);
    rig_run(call->rig);
    memset(&call_stream(call, &call->audio)->seen, 0, sizeof(struct seen));
    memset(call_peer(call, &call->pub)->rest->rx, 0, PEER_SSRCS * sizeof(struct replay));
    far_send_rtp(&call->pub, &first);
}

static void paused(struct call *call)
{
    const struct far_rtp rtp = call_audio(call, "x", 1);

    call->audio.paused = 1;
    assert_int_equal(rig_stream(call->rig, ABI_OP_STREAM_UPDATE, &call->audio), 0);
    far_send_rtp(&call->pub, &rtp);
}

/* A consent check whose answer has no buffer: the pool holds just the check itself. */
static void no_buffer(struct call *call)
{
    uint32_t n_held = rig_exhaust(call->rig, 1, held);

    far_send_check(&call->pub, &call->pub.path);
    rig_ingress(call->rig);
    rig_release(call->rig, held, n_held);
}

static void speak(struct call *call)
{
    const struct far_rtp rtp = call_audio(call, "x", 1);

    far_send_rtp(&call->pub, &rtp);
    rig_ingress(call->rig);
}

static void no_buffer_out(struct call *call)
{
    uint32_t n_held;

    speak(call);
    n_held = rig_exhaust(call->rig, 0, held);
    rig_egress(call->rig);
    rig_release(call->rig, held, n_held);
}

static void overrun(struct call *call)
{
    for (unsigned i = 0; i <= STORE_AUDIO_SLOTS; i++) {
        speak(call);
    }
}

/* A key that is gone: nothing leaves unencrypted. */
static void protect(struct call *call)
{
    speak(call);
    crypt_key_wipe(call_peer(call, &call->sub)->tx_key);
}

static void tx_full(struct call *call)
{
    const struct far_rtp rtp = call_video(call, true);

    port_mem_limit(call->rig->io, 0, 0, 0);
    far_send_rtp(&call->pub, &rtp);
}

static void tx_full_audio(struct call *call)
{
    speak(call);
    port_mem_limit(call->rig->io, 0, 0, 0);
}

/* An answer to a check, for a device that takes nothing. */
static void tx_full_control(struct call *call)
{
    struct pipeline *p = &call->rig->pipe;
    struct burst out = {.n = 1};

    port_mem_limit(call->rig->io, 0, 0, 0);
    assert_int_equal(lane_alloc(p->lane, out.pkts, 1), 1);
    out.pkts[0]->peer = NULL;
    out.pkts[0]->sub = NULL;
    out.pkts[0]->kind = PKT_STUN;
    out.pkts[0]->rtx = false;
    out.pkts[0]->device = 0;
    out.pkts[0]->len = 100;
    out.pkts[0]->to = call_peer(call, &call->sub)->to;
    pipeline_transmit(p, &out);
}

/* Sound that nobody came to send for too long. */
static void shed_audio(struct call *call)
{
    speak(call);
    rig_ingress(call->rig);
    call->rig->lane.now_us += 1100000;
    rig_egress(call->rig);
    speak(call); /* it is counted when there is something to go on with */
}

/* The same of video, which had begun. */
static void shed_video(struct call *call)
{
    struct far_rtp rtp;

    call_show(call, true);
    rtp = call_video(call, false);
    far_send_rtp(&call->pub, &rtp);
    rig_ingress(call->rig);
    call->rig->lane.now_us += 600000;
    rig_egress(call->rig);
    call->rig->lane.now_us += 600000;
    rtp = call_video(call, false);
    far_send_rtp(&call->pub, &rtp);
    rig_ingress(call->rig);
}

struct row {
    enum drop_reason reason;
    bool out; /* of egress */
    void (*provoke)(struct call *call);
};

static void handover(struct call *call)
{
    enum { LANES = 2 };
    static _Alignas(64) uint8_t memory[1 << 19];
    static struct hub hub;
    const struct hub_msg msg = {.kind = HUB_KEYFRAME};
    struct lane *lane = &call->rig->lane;

    assert_true(hub_bytes(LANES) <= sizeof(memory));
    memset(memory, 0, sizeof(memory));
    hub_init(&hub, LANES, memory);
    lane->hub = &hub;
    while (hub_send(&hub, 0, 1, &msg, HUB_RESERVED)) {
    }
    lane->tables->lane_of[call_peer(call, &call->pub)->index] = 1;
    inject(call, "\x80 whatever it is", 16);
}

static void say(struct call *call)
{
    const struct far_rtp rtp = call_audio(call, "x", 1);

    far_send_rtp(&call->pub, &rtp);
}

/* Its publisher's last sound was long ago. */
static void silent(struct call *call)
{
    struct stream *stream = call_stream(call, &call->audio);

    stream->gate = SPEAKER_GATE_VOICE;
    stream->speaker.started = true;
    stream->speaker.heard_us = call->rig->lane.now_us - SPEAKER_HOLD_US;
    say(call);
}

static void not_loudest(struct call *call)
{
    call_stream(call, &call->audio)->gate = SPEAKER_GATE_SHUT;
    say(call);
}

static void descriptor(struct call *call)
{
    struct far_rtp rtp = call_video(call, false);

    rtp.payload = "\x80\x80\x80"; /* a VP8 picture id that is cut off */
    rtp.len = 3;
    far_send_rtp(&call->pub, &rtp);
}

static const struct row table[] = {
    {DROP_EMPTY, false, empty},
    {DROP_UNKNOWN_KIND, false, unknown_kind},
    {DROP_STUN_MALFORMED, false, stun_malformed},
    {DROP_STUN_INTEGRITY, false, stun_integrity},
    {DROP_NO_PEER, false, no_peer},
    {DROP_NO_KEYS, false, no_keys},
    {DROP_PUNT_FULL, false, punt_full},
    {DROP_PUNT_RATE, false, punt_rate},
    {DROP_TOO_LONG, false, too_long},
    {DROP_RTP_MALFORMED, false, rtp_malformed},
    {DROP_RTCP_MALFORMED, false, rtcp_malformed},
    {DROP_AUTH, false, auth},
    {DROP_REPLAY, false, replay},
    {DROP_SSRC_LIMIT, false, ssrc_limit},
    {DROP_UNBOUND_SSRC, false, unbound_ssrc},
    {DROP_PAYLOAD_TYPE, false, payload_type},
    {DROP_PADDING, false, padding},
    {DROP_RTX, false, rtx},
    {DROP_DESCRIPTOR, false, descriptor},
    {DROP_DUPLICATE, false, duplicate},
    {DROP_PAUSED, false, paused},
    {DROP_SILENT, false, silent},
    {DROP_NOT_LOUDEST, false, not_loudest},
    {DROP_NO_BUFFER, false, no_buffer},
    {DROP_NO_BUFFER, true, no_buffer_out},
    {DROP_HANDOVER, false, handover},
    {DROP_OVERRUN, true, overrun},
    {DROP_INDEX_USED, true, index_used},
    {DROP_PROTECT, true, protect},
    {DROP_SHED_VIDEO, true, shed_video},
    {DROP_SHED_AUDIO, true, shed_audio},
    {DROP_TX_FULL, true, tx_full},
    {DROP_TX_FULL_AUDIO, true, tx_full_audio},
    {DROP_TX_FULL_CONTROL, true, tx_full_control},
};

enum { N_ROWS = sizeof(table) / sizeof(table[0]) };

static const char *const names[] = {
#define X(constant, name, text) name,
    DROP_REASONS(X)
#undef X
};

static void every_reason_has_a_row(void **state)
{
    (void)state;
    for (unsigned reason = 0; reason < N_DROP_REASONS; reason++) {
        bool found = false;

        for (unsigned i = 0; i < N_ROWS; i++) {
            found |= table[i].reason == (enum drop_reason)reason;
        }
        if (!found) {
            fail_msg("no test provokes the drop reason %s", names[reason]);
        }
    }
}

static void every_reason_is_counted_once_and_alone(void **state)
{
    (void)state;
    for (unsigned i = 0; i < N_ROWS; i++) {
        const struct lane_counts *counts;
        struct call call;

        call_start(&call, "mem", FAR_GCM, 4);
        table[i].provoke(&call);
        rig_ingress(call.rig);
        rig_egress(call.rig);
        counts = &call.rig->lane.counts;
        for (unsigned reason = 0; reason < N_DROP_REASONS; reason++) {
            bool this = table[i].reason == (enum drop_reason)reason;

            if (counts->drops_in[reason] != (this && !table[i].out ? 1 : 0) ||
                counts->drops_out[reason] != (this && table[i].out ? 1 : 0)) {
                fail_msg("provoking %s (%s): %s is counted %u in, %u out",
                         names[table[i].reason], table[i].out ? "out" : "in", names[reason],
                         (unsigned)counts->drops_in[reason],
                         (unsigned)counts->drops_out[reason]);
            }
        }
        rig_check(call.rig);
        call_stop(&call); /* which checks that no buffer is lost */
    }
}

/* A drop costs nobody else anything: the call goes on after each of them. */
static void the_call_goes_on_after_each_drop(void **state)
{
    (void)state;
    for (unsigned i = 0; i < N_ROWS; i++) {
        struct call call;
        struct far_got got;

        if (table[i].reason == DROP_PAUSED || table[i].reason == DROP_PROTECT ||
            table[i].reason == DROP_SILENT || table[i].reason == DROP_NOT_LOUDEST ||
            table[i].reason == DROP_HANDOVER) {
            continue; /* stays so until control says otherwise */
        }
        call_start(&call, "mem", FAR_CM80, 6);
        table[i].provoke(&call);
        rig_run(call.rig);
        port_mem_limit(call.rig->io, 0, 0, UINT64_MAX);
        while (far_take(&call.sub, &got)) {
        }
        call_say(&call);
        if (!far_take_rtp(&call.sub, &got)) {
            /* all places of SSRCs are taken: what came first keeps its own */
            assert_int_equal(table[i].reason, DROP_SSRC_LIMIT);
        }
        call_stop(&call);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_has_a_row),
        cmocka_unit_test(every_reason_is_counted_once_and_alone),
        cmocka_unit_test(the_call_goes_on_after_each_drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
