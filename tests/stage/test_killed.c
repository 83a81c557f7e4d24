/* A lane that is killed at any instruction leaves live words in the vault that a successor
 * can go on with: of each replay window the old or the new, never a mixture that lets a
 * packet in twice; and no index is on the wire, or encrypted under, that the vault does not
 * call used. A child forwards while this process steps it, instruction by instruction, and
 * looks at the vault after each. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "rtcp/rtcp_out.h"
#include "sfu/base/handle.h"
#include "sfu/wire/rtcp_fb.h"
#include "stage/padding.h"
#include "support/call.h"

enum {
    N_PEERS = 3,
    N_STREAMS = 2,
    N_SUBS = 3,
    MAX_SENT = 64,
    MOST_STEPS = 4000000,
    PROBES = 2,
    PROBE_MS = 60,
    LAYERED_SSRC = 0x0b0b0009
};

/* All live words that the call may touch. */
struct words {
    struct vault_peer_live peers[N_PEERS];
    struct vault_stream_live streams[N_STREAMS];
    struct vault_sub_live subs[N_SUBS];
};

/* What the child has sent, as it says before each packet leaves. In shared memory. */
struct sent {
    uint32_t n;
    uint32_t n_rtcp[N_PEERS], n_probes[N_PEERS], n_repeats[N_SUBS];
    uint32_t n_sealed, n_sealed_early; /* indexes encrypted under; before they were noted */
    struct {
        uint32_t peer, sub;
        uint64_t index, twcc;
    } rtp[MAX_SENT];
};

static struct sent *sent;
static struct words before, after;
static struct {
    unsigned steps, changes, halves;
} seen;

static struct words words_of(const struct vault *vault)
{
    struct words w;

    memset(&w, 0, sizeof(w)); /* they are compared with what lies between */
    for (unsigned i = 0; i < N_PEERS; i++) {
        w.peers[i] = vault->peers[i].live;
    }
    for (unsigned i = 0; i < N_STREAMS; i++) {
        w.streams[i] = vault->streams[i].live;
    }
    for (unsigned i = 0; i < N_SUBS; i++) {
        w.subs[i] = vault->sub_lives[i];
    }
    return w;
}

static void words_to(const struct words *w, const struct vault *vault)
{
    for (unsigned i = 0; i < N_PEERS; i++) {
        vault->peers[i].live = w->peers[i];
    }
    for (unsigned i = 0; i < N_STREAMS; i++) {
        vault->streams[i].live = w->streams[i];
    }
    for (unsigned i = 0; i < N_SUBS; i++) {
        vault->sub_lives[i] = w->subs[i];
    }
}

/* ---- what may be found ---- */

static void old_or_new(uint64_t now, uint64_t was, uint64_t will)
{
    if (now != was) {
        assert_int_equal(now, will);
    }
}

static bool same(const struct vault_rx *a, const struct vault_rx *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* Where a window takes several stores: one on its way refuses all that was seen, and more.
 */
static bool refuses_all_of(const struct vault_rx *now, const struct vault_rx *was)
{
    for (uint64_t age = 0; age <= was->highest && age < REPLAY_WINDOW; age++) {
        const uint64_t index = was->highest - age;

        if (replay_check((const struct replay *)(const void *)was, index) != 0 &&
            replay_check((const struct replay *)(const void *)now, index) == 0) {
            return false;
        }
    }
    return true;
}

/* Whole as before or after; or just given to an SSRC of which nothing was taken yet. */
static void window_is_whole(const struct vault_rx *now, const struct vault_rx *was,
                            const struct vault_rx *will)
{
    const struct vault_rx fresh = {.ssrc = will->ssrc};

    if (same(now, was) || same(now, will) || same(now, &fresh)) {
        return;
    }
#ifndef __AVX__
    if (now->started == 0 && now->ssrc == will->ssrc) {
        return; /* taken for a fresh one, whatever else stands there */
    }
    if (was->started == 1 && now->started == 1 && now->ssrc == was->ssrc &&
        (now->highest == was->highest || now->highest == will->highest) &&
        refuses_all_of(now, was)) {
        seen.halves++;
        return;
    }
#else
    (void)refuses_all_of;
#endif
    assert_memory_equal(now, will, sizeof(*now));
}

static void look(const struct vault *vault)
{
    struct words now = words_of(vault);
    const uint32_t n = __atomic_load_n(&sent->n, __ATOMIC_ACQUIRE);

    for (unsigned i = 0; i < N_PEERS; i++) {
        const struct vault_peer_live *p = &now.peers[i];
        const struct vault_peer_live *was = &before.peers[i];
        const struct vault_peer_live *will = &after.peers[i];

        old_or_new(p->last_check_us, was->last_check_us, will->last_check_us);
        old_or_new(p->lane, was->lane, will->lane);
        old_or_new(p->last_nomination_us, was->last_nomination_us,
                   will->last_nomination_us);
        for (unsigned k = 0; k < VAULT_PATHS; k++) {
            old_or_new(p->heard_us[k], was->heard_us[k], will->heard_us[k]);
        }
        for (unsigned k = 0; k < VAULT_ANSWERED; k++) {
            old_or_new(p->answered[k], was->answered[k], will->answered[k]);
        }
        assert_in_range(p->twcc_next, was->twcc_next, will->twcc_next);
        assert_in_range(p->probe_next_index, was->probe_next_index + sent->n_probes[i],
                        will->probe_next_index);
        assert_in_range(p->rtcp_next_index, was->rtcp_next_index + sent->n_rtcp[i],
                        will->rtcp_next_index);
        for (unsigned k = 0; k < VAULT_RX_SSRCS; k++) {
            window_is_whole(&p->rx[k], &was->rx[k], &will->rx[k]);
            window_is_whole(&p->rx_rtcp[k], &was->rx_rtcp[k], &will->rx_rtcp[k]);
        }
    }
    for (unsigned i = 0; i < N_STREAMS; i++) {
        old_or_new(now.streams[i].ssrc, before.streams[i].ssrc, after.streams[i].ssrc);
        old_or_new(now.streams[i].rtx_ssrc, before.streams[i].rtx_ssrc,
                   after.streams[i].rtx_ssrc);
        old_or_new(now.streams[i].audio, before.streams[i].audio, after.streams[i].audio);
    }
    for (unsigned i = 0; i < N_SUBS; i++) {
        assert_in_range(now.subs[i].next_index, before.subs[i].next_index,
                        after.subs[i].next_index);
        old_or_new(now.subs[i].seq_offset, before.subs[i].seq_offset,
                   after.subs[i].seq_offset);
        assert_in_range(now.subs[i].rtx_next_index,
                        before.subs[i].rtx_next_index + sent->n_repeats[i],
                        after.subs[i].rtx_next_index);
        old_or_new(now.subs[i].last_us, before.subs[i].last_us, after.subs[i].last_us);
        old_or_new(now.subs[i].last_out, before.subs[i].last_out, after.subs[i].last_out);
    }
    for (uint32_t i = 0; i < n; i++) { /* nothing is sent that is not noted */
        assert_true(now.subs[sent->rtp[i].sub].next_index > sent->rtp[i].index);
        assert_true(now.peers[sent->rtp[i].peer].twcc_next >= sent->rtp[i].twcc);
        assert_true(now.subs[sent->rtp[i].sub].last_out ==
                    after.subs[sent->rtp[i].sub].last_out);
    }
}

/* ---- the child ---- */

static const struct tables *tables;

uint16_t __real_crypt_protect_burst(struct crypt_ctx *ctx, struct crypt_op *ops,
                                    uint16_t n);
uint16_t __wrap_crypt_protect_burst(struct crypt_ctx *ctx, struct crypt_op *ops,
                                    uint16_t n);
int __real_crypt_rtcp_protect(struct crypt_ctx *ctx, struct crypt_key *key, uint32_t index,
                              const uint8_t *pkt, size_t len, uint8_t *out, size_t cap,
                              size_t *out_len);
int __wrap_crypt_rtcp_protect(struct crypt_ctx *ctx, struct crypt_key *key, uint32_t index,
                              const uint8_t *pkt, size_t len, uint8_t *out, size_t cap,
                              size_t *out_len);

static const struct peer *peer_of(const struct crypt_key *key)
{
    for (unsigned i = 0; i < N_PEERS; i++) {
        if (tables->peers[i].tx_key == key) {
            return &tables->peers[i];
        }
    }
    return NULL;
}

/* Whether a successor would go on behind this index. */
static bool is_noted(const struct crypt_op *op)
{
    const struct peer *peer = peer_of(op->key);

    for (const struct sub *sub = peer->rest->subs; sub != NULL; sub = sub->next_of_peer) {
        if (sub->ssrc == op->ssrc) {
            return op->index < *sub->next_index;
        }
        if (sub->rest->rtx_ssrc == op->ssrc) {
            return op->index < *sub->rest->rtx_next_index;
        }
    }
    return op->index <= *peer->rest->probe_next;
}

uint16_t __wrap_crypt_protect_burst(struct crypt_ctx *ctx, struct crypt_op *ops, uint16_t n)
{
    for (uint16_t i = 0; i < n; i++) {
        sent->n_sealed++;
        sent->n_sealed_early += !is_noted(&ops[i]);
    }
    return __real_crypt_protect_burst(ctx, ops, n);
}

int __wrap_crypt_rtcp_protect(struct crypt_ctx *ctx, struct crypt_key *key, uint32_t index,
                              const uint8_t *pkt, size_t len, uint8_t *out, size_t cap,
                              size_t *out_len)
{
    sent->n_sealed++;
    sent->n_sealed_early += index > *peer_of(key)->rest->rtcp_next_index;
    return __real_crypt_rtcp_protect(ctx, key, index, pkt, len, out, cap, out_len);
}

static void on_tx(void *arg, const struct pkt *pkt)
{
    (void)arg;
    if (pkt->sub == NULL) {
        const bool probe = pkt->data[1] == PADDING_PT;

        /* the others are answers to checks */
        sent->n_probes[pkt->peer->index] += probe;
        sent->n_rtcp[pkt->peer->index] += !probe && pkt->data[0] >= 128;
    } else if (pkt->rtx) {
        sent->n_repeats[pkt->sub->index]++;
    } else if (sent->n < MAX_SENT) {
        sent->rtp[sent->n].peer = pkt->peer->index;
        sent->rtp[sent->n].sub = pkt->sub->index;
        sent->rtp[sent->n].index = pkt->index;
        sent->rtp[sent->n].twcc = pkt->peer->twcc_next;
        __atomic_store_n(&sent->n, sent->n + 1, __ATOMIC_RELEASE);
    }
}

/* Time goes by until the peer that is to be probed was. */
static void probe(struct rig *rig)
{
    for (unsigned i = 0; i < PROBE_MS; i++) {
        rig->lane.now_us += 1000;
        (void)pipeline_budget(&rig->pipe);
        if (sent->n_probes[2] >= PROBES) {
            break;
        }
    }
}

static pid_t forward(struct rig *rig, bool probes)
{
    pid_t child;

    memset(sent, 0, sizeof(*sent));
    child = fork();
    assert_true(child >= 0);
    if (child != 0) {
        return child;
    }
    (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    port_mem_inject(rig->io, 0, 0, rig->packets, rig->n_inputs);
    (void)raise(SIGSTOP);
    while (port_mem_waiting(rig->io, 0, 0) > 0) {
        (void)pipeline_ingress(&rig->pipe);
    }
    while (lane_has_grown(&rig->lane) || lane_resends(&rig->lane)) {
        (void)pipeline_egress(&rig->pipe, 1);
    }
    while (rtcp_out_deadline(&rig->lane) <= rig->lane.now_us) {
        (void)pipeline_rtcp(&rig->pipe);
    }
    if (probes) {
        probe(rig);
    }
    (void)raise(SIGSTOP);
    _exit(0);
}

static void end(pid_t child)
{
    int status;

    (void)kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
}

static void wait_stopped(pid_t child, int signum)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(WSTOPSIG(status), signum);
}

/* Forwards what is injected twice from the same state: once to know the end, once step by
 * step. Both give all buffers back, which DPDK shares with a child. */
static void step_through(struct rig *rig, bool probes)
{
    const struct vault *vault = &rig->shared.vault;
    struct words last;
    pid_t child;
    int status;

    before = words_of(vault);
    child = forward(rig, probes);
    wait_stopped(child, SIGSTOP);
    assert_int_equal(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
    wait_stopped(child, SIGSTOP);
    end(child);
    after = words_of(vault);
    words_to(&before, vault);

    last = before;
    seen.steps = seen.changes = seen.halves = 0;
    child = forward(rig, probes);
    wait_stopped(child, SIGSTOP);
    for (;;) {
        struct words now = words_of(vault);

        if (memcmp(&now, &last, sizeof(now)) != 0) {
            last = now;
            seen.changes++;
        }
        look(vault);
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSTOPPED(status));
        if (WSTOPSIG(status) == SIGSTOP) {
            break;
        }
        assert_int_equal(WSTOPSIG(status), SIGTRAP);
        assert_true(++seen.steps < MOST_STEPS);
    }
    assert_int_equal(memcmp(&last, &after, sizeof(last)), 0);
    assert_true(sent->n_sealed >= sent->n);
    assert_int_equal(sent->n_sealed_early, 0);
    end(child);
    rig->n_inputs = 0;
}

/* ---- tests ---- */

static void begin(struct call *call)
{
    sent = mmap(NULL, sizeof(*sent), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                0);
    assert_true(sent != MAP_FAILED);
    call_start(call, "mem", FAR_GCM, 4);
    tables = &call->rig->tables;
    port_mem_on_tx(call->rig->io, 0, 0, on_tx, NULL);
}

static void finish(struct call *call)
{
    call_stop(call);
    (void)munmap(sent, sizeof(*sent));
}

/* One packet of the audio stream whose window stands already. */
static void step_audio(struct call *call, unsigned leap)
{
    struct far_rtp rtp;

    call->audio_seq = (uint16_t)(call->audio_seq + leap);
    rtp = call_audio(call, "hello", 5);
    far_send_rtp(&call->pub, &rtp);
    step_through(call->rig, false);
    assert_int_equal(sent->n, 1);
    assert_true(seen.changes >= 2); /* window, then index */
    assert_int_equal(
        memcmp(&after.peers[1].rx[0], &before.peers[1].rx[0], sizeof(struct vault_rx)) != 0,
        1);
}

static void a_window_that_moves_is_old_or_new_at_every_instruction(void **state)
{
    static const unsigned leaps[] = {0, 1, 30, 62, 63, 64, 65, 126, 127, 128, 500};
    struct call call;
    (void)state;

    begin(&call);
    call_say(&call);
    for (unsigned i = 0; i < sizeof(leaps) / sizeof(leaps[0]); i++) {
        step_audio(&call, leaps[i]);
    }
    finish(&call);
}

static void a_late_packet_is_noted_or_not_at_every_instruction(void **state)
{
    struct far_rtp late[2];
    uint8_t bytes[2][PKT_ROOM];
    size_t len[2];
    struct call call;
    (void)state;

    begin(&call);
    call_say(&call);
    for (unsigned i = 0; i < 2; i++) {
        late[i] = call_audio(&call, "late", 4);
        len[i] = far_make_rtp(&call.pub, &late[i], bytes[i]);
        for (unsigned k = 0; k < 50; k++) {
            call_say(&call);
        }
    }
    for (unsigned i = 0; i < 2; i++) { /* one in each half of the window */
        rig_inject(call.rig, &call.pub.path, bytes[i], len[i]);
        step_through(call.rig, false);
        assert_int_equal(after.peers[1].rx[0].highest, before.peers[1].rx[0].highest);
        assert_int_not_equal(after.peers[1].rx[0].window[1 - i],
                             before.peers[1].rx[0].window[1 - i]);
    }
    finish(&call);
}

/* The first packets of streams, reports both ways, a check: everything that is live. */
static void first_packets_and_reports_at_every_instruction(void **state)
{
    static const uint8_t sr[] = {0x80, 200, 0, 6, 0x0a, 0x0a, 0, 1, 1, 2, 3, 4, 5, 6,
                                 7,    8,   0, 0, 0,    1,    0, 0, 0, 1, 0, 0, 0, 5};
    uint8_t buf[sizeof(sr)];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    struct far_rtp audio, video;
    struct call call;
    (void)state;

    begin(&call);
    audio = call_audio(&call, "hello", 5);
    video = call_video(&call, true);
    wbytes_put(&w, sr, sizeof(sr));
    far_send_rtp(&call.pub, &audio);
    far_send_rtp(&call.pub, &video);
    far_send_rtcp(&call.pub, &w);
    call.rig->lane.now_us += 1500000;
    far_send_check(&call.sub, &call.sub.path);
    step_through(call.rig, false);
    assert_int_equal(sent->n, 2);
    assert_true(sent->n_rtcp[1] > 0 && sent->n_rtcp[2] > 0);
    assert_int_equal(after.streams[1].ssrc, CALL_VIDEO_SSRC);
    assert_int_equal(after.peers[1].rx[1].started, 1);
    assert_int_equal(after.peers[1].rx_rtcp[0].started, 1);
    assert_int_not_equal(after.peers[2].last_check_us, before.peers[2].last_check_us);
    assert_int_not_equal(after.peers[2].last_nomination_us,
                         before.peers[2].last_nomination_us);
    assert_true(seen.changes >= 10);
    finish(&call);
}

/* What is chosen for a subscription with layers, what is sent again, probes. */
static void layers_repeats_and_probes_at_every_instruction(void **state)
{
    struct vault_sub_conf layered;
    struct far_rtp video;
    struct call call;
    uint8_t buf[64];
    uint16_t missed;
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    (void)state;

    begin(&call);
    layered = far_sub(&call.sub, 2, &call.video, LAYERED_SSRC);
    layered.layered = 1;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &layered), 0);
    call_show(&call, true);
    call_show(&call, false);
    missed = (uint16_t)(*call_sub(&call, &call.to_video)->next_index - 1);
    call.rig->lane.now_us += 33000;
    video = call_video(&call, false);
    far_send_rtp(&call.pub, &video);
    rtcp_nack_write(&w, 9, CALL_OUT_VIDEO_SSRC, &missed, 1);
    far_send_rtcp(&call.sub, &w);
    call_peer(&call, &call.sub)->rest->probator = true;
    bwe_want(call_peer(&call, &call.sub)->bwe, 3000000);
    step_through(call.rig, true);
    assert_int_equal(sent->n, 2);
    assert_int_equal(sent->n_repeats[1], 1);
    assert_true(sent->n_probes[2] >= PROBES);
    assert_int_not_equal(after.subs[2].last_us, before.subs[2].last_us);
    assert_int_not_equal(after.subs[2].last_out, before.subs[2].last_out);
    assert_true(after.subs[1].rtx_next_index > before.subs[1].rtx_next_index);
    assert_true(after.peers[2].probe_next_index > before.peers[2].probe_next_index);
    finish(&call);
}

/* The ways of a window that the calls above do not take: one that was given to another. */
static void a_window_goes_to_another_at_every_instruction(void **state)
{
    struct far_rtp rtp;
    struct call call;
    (void)state;

    begin(&call);
    call_say(&call);
    rtp = call_audio(&call, "hello", 5);
    for (unsigned i = 0; i < VAULT_RX_SSRCS; i++) { /* unknown ones: the oldest may go */
        rtp.ssrc = 0x0c000000 + i;
        far_send_rtp(&call.pub, &rtp);
        rig_run(call.rig);
    }
    rtp.ssrc = 0x0d000000;
    far_send_rtp(&call.pub, &rtp);
    step_through(call.rig, false);
    finish(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_that_moves_is_old_or_new_at_every_instruction),
        cmocka_unit_test(a_late_packet_is_noted_or_not_at_every_instruction),
        cmocka_unit_test(first_packets_and_reports_at_every_instruction),
        cmocka_unit_test(layers_repeats_and_probes_at_every_instruction),
        cmocka_unit_test(a_window_goes_to_another_at_every_instruction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
