/* Ten thousand joins and leaves while packets lie before every stage: at the device, in the
 * rings, half fanned out, reports due, and of peers that are gone. Whatever closes first,
 * nothing of it is used again, one who stays hears everything, and at the end every handle,
 * buffer, byte of the rings and record is back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rtcp/rtcp_out.h"
#include "support/call.h"

enum {
    GUESTS = 12,
    JOINS = 10000,
    JOINS_LONG = 100000,
    SPEAKER = GUESTS, /* who stays, and who hears it */
    LISTENER,
    KEPT = 64 /* packets of those that are gone, to come late */
};

struct guest {
    struct far far;
    struct vault_stream_conf audio;
    struct vault_sub_conf subs[GUESTS]; /* to whom it hears */
    bool here, hears[GUESTS];
    uint16_t seq;
};

static struct churn {
    struct rig *rig;
    struct guest guests[GUESTS];
    struct far speaker, listener;
    struct vault_stream_conf stream;
    struct vault_sub_conf sub;
    uint32_t n_spoken, n_heard, ssrc;
    unsigned seed, n_joins, n_busy, n_late;
    struct {
        struct path from;
        size_t len;
        uint8_t data[PKT_ROOM];
    } kept[KEPT];
    unsigned n_kept;
} c;

static unsigned pick(unsigned n)
{
    return (unsigned)rand_r(&c.seed) % n;
}

/* ---- packets ---- */

static void speak(struct far *far, uint32_t ssrc, uint16_t seq)
{
    uint8_t payload[100], out[PKT_ROOM];
    const struct far_rtp rtp = {.ssrc = ssrc,
                                .pt = FAR_AUDIO_PT,
                                .seq = seq,
                                .ts = seq * 960u,
                                .payload = payload,
                                .len = sizeof(payload)};
    size_t len;

    if (port_mem_waiting(c.rig->io, 0, 0) > 0 || c.rig->n_inputs == RIG_INPUTS) {
        return; /* what waits is borrowed */
    }
    memset(payload, seq, sizeof(payload));
    len = far_make_rtp(far, &rtp, out);
    rig_inject(c.rig, &far->path, out, len);
    if (far != &c.speaker && pick(4) == 0) {
        c.kept[c.n_kept % KEPT].from = far->path;
        c.kept[c.n_kept % KEPT].len = len;
        memcpy(c.kept[c.n_kept % KEPT].data, out, len);
        c.n_kept++;
    }
}

static void speaker_speaks(void)
{
    if (port_mem_waiting(c.rig->io, 0, 0) == 0 && c.rig->n_inputs < RIG_INPUTS) {
        c.n_spoken++;
        speak(&c.speaker, CALL_AUDIO_SSRC, (uint16_t)c.n_spoken);
    }
}

static void come_late(void)
{
    unsigned i = pick(KEPT);

    if (i < c.n_kept && port_mem_waiting(c.rig->io, 0, 0) == 0 &&
        c.rig->n_inputs < RIG_INPUTS) {
        rig_inject(c.rig, &c.kept[i].from, c.kept[i].data, c.kept[i].len);
        c.n_late++;
    }
}

static void to_the_device(void)
{
    struct rig *rig = c.rig;

    if (rig->n_inputs > 0 && port_mem_waiting(rig->io, 0, 0) == 0) {
        port_mem_inject(rig->io, 0, 0, rig->packets, rig->n_inputs);
        rig->n_injected += rig->n_inputs;
        rig->n_inputs = 0;
    }
}

static void hear(void)
{
    struct far_got got;

    while (far_take_rtp(&c.listener, &got)) { /* decrypts, or the test fails */
        c.n_heard++;
        assert_int_equal(got.payload[0], (uint8_t)c.n_heard);
    }
    c.rig->n_frames = 0;
    c.listener.read_at = 0;
}

/* One step of the world between two commands. */
static void stir(void)
{
    struct guest *g = &c.guests[pick(GUESTS)];
    struct rig *rig = c.rig;

    switch (pick(10)) {
    case 0:
    case 1:
    case 2:
        if (g->here) {
            speak(&g->far, g->audio.ssrc, ++g->seq);
        }
        break;
    case 3:
        speaker_speaks();
        break;
    case 4:
        come_late();
        break;
    case 5:
        to_the_device();
        break;
    case 6:
        if (port_mem_waiting(rig->io, 0, 0) > 0) {
            (void)pipeline_ingress(&rig->pipe);
        }
        break;
    case 7:
    case 8:
        (void)pipeline_egress(&rig->pipe, 1);
        hear();
        break;
    default:
        rig->lane.now_us += pick(3) == 0 ? 30000 : 1000;
        if (rtcp_out_deadline(&rig->lane) <= rig->lane.now_us) {
            (void)pipeline_rtcp(&rig->pipe);
        }
        hear();
        break;
    }
}

/* ---- joins and leaves ---- */

static void begin_to_hear(uint32_t i, uint32_t k)
{
    struct guest *g = &c.guests[i];

    g->subs[k] = far_subscribe(&g->far, i * GUESTS + k, &c.guests[k].audio, ++c.ssrc);
    g->hears[k] = true;
    stir();
}

static void join(uint32_t i)
{
    static const uint32_t profiles[] = {FAR_GCM, FAR_CM80, FAR_GCM256, FAR_CM32};
    struct guest *g = &c.guests[i];

    c.n_joins++;
    g->seq = (uint16_t)pick(65536);
    far_open(&g->far, c.rig, i, profiles[c.n_joins % 4], pick(2) == 0 ? 4 : 6);
    stir();
    g->audio = far_publish_audio(&g->far, i, ++c.ssrc);
    g->here = true;
    for (uint32_t k = 0; k < GUESTS; k++) {
        if (k != i && c.guests[k].here) {
            begin_to_hear(i, k);
            begin_to_hear(k, i);
        }
    }
}

static void stop_hearing(uint32_t i, uint32_t k)
{
    struct guest *g = &c.guests[i];

    if (g->hears[k]) {
        assert_int_equal(rig_command(c.rig, ABI_OP_SUB_CLOSE, g->subs[k].handle), 0);
        vault_sub_wipe(&c.rig->shared.vault.subs[i * GUESTS + k],
                       &c.rig->shared.vault.sub_lives[i * GUESTS + k]);
        g->hears[k] = false;
        stir();
        assert_int_equal(rig_command(c.rig, ABI_OP_SUB_CLOSE, g->subs[k].handle), -ENOENT);
    }
}

static void leave(uint32_t i)
{
    struct guest *g = &c.guests[i];
    uint32_t first = pick(GUESTS);

    if (pick(4) == 0) { /* too early: nothing happens */
        c.n_busy += rig_command(c.rig, ABI_OP_STREAM_CLOSE, g->audio.handle) == -EBUSY;
        stir();
    }
    for (uint32_t n = 0; n < GUESTS; n++) {
        uint32_t k = (first + n) % GUESTS;

        stop_hearing(k, i);
        stop_hearing(i, k);
    }
    if (g->here && tables_stream(&c.rig->tables, g->audio.handle) != NULL) {
        assert_int_equal(rig_command(c.rig, ABI_OP_STREAM_CLOSE, g->audio.handle), 0);
    }
    vault_stream_wipe(&c.rig->shared.vault.streams[i],
                      &c.rig->shared.vault.streams[i].live);
    stir();
    assert_int_equal(rig_command(c.rig, ABI_OP_PEER_CLOSE, g->far.conf.handle), 0);
    vault_peer_wipe(&c.rig->shared.vault.peers[i], &c.rig->shared.vault.peers[i].live);
    g->here = false;
    stir();
    far_end(&g->far);
}

static void everything_goes_on(void)
{
    struct rig *rig = c.rig;

    do {
        to_the_device();
        while (port_mem_waiting(rig->io, 0, 0) > 0) {
            (void)pipeline_ingress(&rig->pipe);
        }
        while (lane_has_grown(&rig->lane)) {
            (void)pipeline_egress(&rig->pipe, 1);
            hear();
        }
    } while (rig->n_inputs > 0);
}

/* ---- the test ---- */

static bool all_zero(const void *mem, size_t len)
{
    const uint8_t *p = mem;

    while (len > 0 && p[len - 1] == 0) {
        len--;
    }
    return len == 0;
}

/* Nothing but the counts of commits is left of any record. */
static void no_record_is_left(const struct vault *v)
{
    for (uint32_t i = 0; i < v->n_peers; i++) {
        assert_true(all_zero(v->peers[i].conf, sizeof(v->peers[i].conf)));
        assert_true(all_zero(&v->peers[i].live, sizeof(v->peers[i].live)));
    }
    for (uint32_t i = 0; i < v->n_streams; i++) {
        assert_true(all_zero(v->streams[i].conf, sizeof(v->streams[i].conf)));
        assert_true(all_zero(&v->streams[i].live, sizeof(v->streams[i].live)));
    }
    for (uint32_t i = 0; i < v->n_subs; i++) {
        assert_true(all_zero(v->subs[i].conf, sizeof(v->subs[i].conf)));
        assert_true(all_zero(&v->sub_lives[i], sizeof(v->sub_lives[i])));
    }
}

static void ten_thousand_come_and_go_with_packets_in_every_stage(void **state)
{
    const char *asked = getenv("KCS_LONG");
    const uint32_t joins = asked != NULL && asked[0] != '\0' ? JOINS_LONG : JOINS;
    struct vault *vault;
    (void)state;

    c.seed = 11;
    c.rig = rig_start("mem");
    vault = &c.rig->shared.vault;
    far_open(&c.speaker, c.rig, SPEAKER, FAR_GCM, 4);
    far_open(&c.listener, c.rig, LISTENER, FAR_GCM, 4);
    c.stream = far_publish_audio(&c.speaker, SPEAKER, CALL_AUDIO_SSRC);
    c.sub = far_subscribe(&c.listener, GUESTS * GUESTS, &c.stream, CALL_OUT_AUDIO_SSRC);
    while (c.n_joins < joins) {
        uint32_t i = pick(GUESTS);

        if (c.guests[i].here) {
            leave(i);
        } else {
            join(i);
        }
        /* consent is theirs to renew; the clock is ours */
        if (c.n_joins % 16 == 0) {
            everything_goes_on();
        }
        for (uint32_t k = 0; k < vault->n_peers; k++) {
            vault->peers[k].live.last_check_us =
                vault->peers[k].live.last_check_us != 0 ? c.rig->lane.now_us : 0;
        }
    }
    for (uint32_t i = 0; i < GUESTS; i++) {
        if (c.guests[i].here) {
            leave(i);
        }
    }
    everything_goes_on();
    assert_true(c.n_heard == c.n_spoken && c.n_spoken > joins / 4);
    assert_true(c.n_busy > joins / 100 && c.n_late > joins / 10);
    assert_true(rig_dropped(c.rig, DROP_NO_PEER) > 0 && rig_dropped(c.rig, DROP_AUTH) > 0);
    assert_int_equal(rig_command(c.rig, ABI_OP_SUB_CLOSE, c.sub.handle), 0);
    assert_int_equal(rig_command(c.rig, ABI_OP_STREAM_CLOSE, c.stream.handle), 0);
    assert_int_equal(rig_command(c.rig, ABI_OP_PEER_CLOSE, c.listener.conf.handle), 0);
    assert_int_equal(rig_command(c.rig, ABI_OP_PEER_CLOSE, c.speaker.conf.handle), 0);
    vault_sub_wipe(&vault->subs[GUESTS * GUESTS], &vault->sub_lives[GUESTS * GUESTS]);
    vault_stream_wipe(&vault->streams[SPEAKER], &vault->streams[SPEAKER].live);
    vault_peer_wipe(&vault->peers[SPEAKER], &vault->peers[SPEAKER].live);
    vault_peer_wipe(&vault->peers[LISTENER], &vault->peers[LISTENER].live);
    no_record_is_left(vault);
    far_end(&c.speaker);
    far_end(&c.listener);
    rig_stop(c.rig); /* handles, buffers, ring memory */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_come_and_go_with_packets_in_every_stage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
