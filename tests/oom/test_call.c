/* Control from its start to its stop, with a call between, while the n-th allocation fails,
 * for every n: requests may be refused and sessions fail, but nothing crashes or leaks, no
 * object stays open in the dataplane, and nobody stays in a room.
 *
 * Real: signaling, meetings, sessions, DTLS with its thread, the dataplane client.
 * Stand-ins: the listener (signal_world.c), the dataplane (plane.h), the browser's DTLS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fuzz/signal_world.h"
#include "oom/alloc.h"
#include "support/dtls_peer.h"

enum { LIVES = 60, PATIENCE = 400, CALLS = 2000 };

static struct {
    struct dtls_peer dtls;
    bool shaken, all_open;
} call;

/* ---- the far end's DTLS ---- */

static void give_dtls(void)
{
    struct vault_peer_conf conf;
    struct abi_datagram d = {.kind = ABI_DATAGRAM_DTLS};

    if (vault_peer_read(&w.plane.vault.peers[0], &conf) == 0) {
        d.peer = conf.handle;
    }
    d.path = (struct path){.family = 4, .remote_port = 5000, .local_port = 7000};
    for (size_t i = 0; i < call.dtls.n_out; i++) {
        d.len = (uint16_t)call.dtls.out[i].len;
        memcpy(d.data, call.dtls.out[i].data, d.len);
        plane_punt(&w.plane, &d);
    }
    call.dtls.n_out = 0;
    plane_ring_bell(&w.plane);
}

static void take_dtls(void)
{
    const struct abi_datagram *d;

    while ((d = ring_peek(&w.plane.punt_out)) != NULL) {
        if (d->kind == ABI_DATAGRAM_DTLS) {
            dtls_peer_step(&call.dtls, d->data, d->len);
        }
        ring_release(&w.plane.punt_out);
    }
}

/* Until the keys are in the vault; not for long, since they may never be. */
static void shake(void)
{
    struct vault_peer_conf conf = {.profile = 0};

    for (unsigned i = 0; i < PATIENCE && conf.profile == 0; i++) {
        oom_pause();
        dtls_peer_step(&call.dtls, NULL, 0);
        give_dtls();
        oom_go_on();
        loop_turn(w.loop);
        (void)usleep(250);
        world_serve();
        oom_pause();
        take_dtls();
        oom_go_on();
        if (call.dtls.failed || w.plane.book.n_open[0] == 0 ||
            vault_peer_read(&w.plane.vault.peers[0], &conf) != 0) {
            break;
        }
    }
    call.shaken = call.dtls.done && conf.profile != 0;
}

/* ---- the call ---- */

#define VIDEO                                                                              \
    "{\"mid\":\"1\",\"codecs\":[{\"mimeType\":\"video/VP8\",\"payloadType\":96,"           \
    "\"clockRate\":90000,\"parameters\":{},\"rtcpFeedback\":[{\"type\":\"nack\"}]},"       \
    "{\"mimeType\":\"video/rtx\",\"payloadType\":97,\"clockRate\":90000,"                  \
    "\"parameters\":{\"apt\":96}}],\"headerExtensions\":[{\"uri\":"                        \
    "\"urn:ietf:params:rtp-hdrext:sdes:mid\",\"id\":9}],\"encodings\":[{\"ssrc\":11,"      \
    "\"rtx\":{\"ssrc\":12}}],\"rtcp\":{\"cname\":\"p\"}}"
#define CAPS                                                                               \
    "{\"codecs\":[{\"kind\":\"video\",\"mimeType\":\"video/VP8\",\"preferredPayloadType\"" \
    ":96,\"clockRate\":90000,\"parameters\":{},\"rtcpFeedback\":[]}],"                     \
    "\"headerExtensions\":[]}"

static void say(unsigned user, const char *event, const char *payload)
{
    char text[2048];

    (void)snprintf(text, sizeof(text), "42/meeting,2[\"%s\",%s]", event, payload);
    world_say(user, text);
    world_serve();
    world_serve();
}

/* with_dtls: else as if the browser never began its handshake. */
static void talk(bool with_dtls)
{
    char fingerprint[200];
    char connect[600];

    oom_pause();
    dtls_peer_fingerprint(&call.dtls, "sha-256", fingerprint);
    oom_go_on();
    (void)snprintf(connect, sizeof(connect),
                   "{\"transport_id\":\"$t0\",\"dtls_parameters\":{\"role\":\"auto\","
                   "\"fingerprints\":[{\"algorithm\":\"sha-256\",\"value\":\"%s\"}]}}",
                   fingerprint);
    world_enter(0);
    say(0, "transport:create", "{\"direction\":\"send\"}");
    world_check(0);
    world_serve();
    say(0, "transport:connect", connect);
    if (with_dtls) {
        shake();
    }
    say(0, "produce",
        "{\"transport_id\":\"$t0\",\"kind\":\"video\",\"source\":\"camera\","
        "\"rtp_parameters\":" VIDEO "}");
    world_enter(1);
    say(1, "transport:create", "{\"direction\":\"recv\"}");
    say(1, "consume",
        "{\"transport_id\":\"$t0\",\"producer_id\":\"$p0\",\"rtp_capabilities\":" CAPS "}");
    say(1, "consumer:resume", "{\"consumer_id\":\"$c0\"}");
    call.all_open = w.plane.book.n_open[0] == 2 && w.plane.book.n_open[1] == 1 &&
                    w.plane.book.n_open[2] == 1;
    say(0, "produce:pause", "{\"producer_id\":\"$p0\"}");
    say(1, "consumer:close", "{\"consumer_id\":\"$c0\"}");
    say(0, "room:leave", "{}");
    world_gone(1); /* without a word */
}

/* ---- life of control ---- */

static void stop(void)
{
    session_registry_destroy(w.sessions);
    media_destroy(w.media);
    if (w.loop != NULL) {
        loop_turn(w.loop); /* what DTLS had posted */
    }
    auth_destroy(w.auth);
    loop_destroy(w.loop);
    metric_registry_destroy(w.metrics);
    w.sessions = NULL;
    w.media = NULL;
    w.auth = NULL;
    w.loop = NULL;
    w.metrics = NULL;
}

/* Returns false if control could not be made. */
static bool begin(void)
{
    const struct dtls_peer_conf dtls_conf = {.profiles = "SRTP_AEAD_AES_128_GCM"};

    oom_pause();
    dtls_peer_init(&call.dtls, &dtls_conf);
    call.shaken = call.all_open = false;
    plane_open(&w.plane);
    oom_go_on();
    return world_make_base() == 0 && world_make_media() == 0 && world_make_signal() == 0;
}

static void end(void)
{
    w.signal = NULL;
    w.meeting = NULL;
    stop();
    oom_pause();
    world_forget();
    world_close_plane();
    dtls_peer_fini(&call.dtls);
    oom_go_on();
}

static void life(void)
{
    if (begin()) {
        if (world_welcome(PATIENCE)) {
            talk(true);
        }
        world_end_signal(false);
        assert_true(world_is_empty());
    } else {
        signal_destroy(w.signal);
        meeting_destroy(w.meeting);
    }
    end();
}

/* ---- tests ---- */

/* Nothing fails here: two come, call and go, thousands of times; files are counted by
 * plane.h, memory by LeakSanitizer. */
static void thousands_come_and_go(void **state)
{
    (void)state;
    assert_true(begin());
    assert_true(world_welcome(PATIENCE));
    for (unsigned i = 0; i < CALLS; i++) {
        talk(false);
        world_gone(0);
        assert_true(call.all_open);
        meeting_tick(w.meeting, UINT64_MAX); /* who went without a word is not waited for */
        for (unsigned k = 0; k < 8 && !world_is_empty(); k++) {
            world_serve();
        }
        assert_true(world_is_empty());
        assert_int_equal(meeting_n_participants(w.meeting), 0);
    }
    world_end_signal(false);
    end();
}

static void without_failures_it_is_a_call(void **state)
{
    (void)state;
    life();
    assert_true(call.shaken);
    assert_true(call.all_open);
}

static void whichever_of_our_allocations_fails_nothing_crashes_or_leaks(void **state)
{
    (void)state;
    assert_true(oom_every(OOM_OURS, life, LIVES) > LIVES / 2);
    life();
    assert_true(call.shaken && call.all_open);
}

static void whichever_of_openssls_fails_nothing_crashes_or_leaks(void **state)
{
    (void)state;
    assert_true(oom_every(OOM_OPENSSL, life, LIVES) > LIVES / 2);
    life();
    assert_true(call.shaken && call.all_open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_failures_it_is_a_call),
        cmocka_unit_test(thousands_come_and_go),
        cmocka_unit_test(whichever_of_our_allocations_fails_nothing_crashes_or_leaks),
        cmocka_unit_test(whichever_of_openssls_fails_nothing_crashes_or_leaks),
    };

    oom_hook();
    world_name();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
