/* The media client on a real loop with a fake dataplane. Include cmocka.h before. */
#ifndef UNIT_MEDIA_RIG_H
#define UNIT_MEDIA_RIG_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "media/media.h"
#include "sfu/base/handle.h"
#include "support/fake_dataplane.h"
#include "sys/log.h"
#include "sys/loop.h"

struct fixture {
    char dir[32], socket[64];
    struct loop *loop;
    struct media *media;
    struct fake_dp *dp;
    unsigned n_attached, n_detached, n_datagrams, n_consent, n_bound, n_bye;
    struct abi_datagram datagram;
    uint64_t handle;
    uint64_t selects; /* the peer for which a datagram's path is the one; none if 0 */
    uint32_t ssrc;
};

/* What a command's callback got. */
struct answer {
    unsigned n;
    int status;
};

static inline void on_answer(void *arg, int status)
{
    struct answer *answer = arg;

    answer->n++;
    answer->status = status;
}

static inline void on_attached(void *user)
{
    struct fixture *f = user;

    f->n_attached++;
}

static inline void on_detached(void *user)
{
    struct fixture *f = user;

    f->n_detached++;
}

static inline void on_datagram(void *user, const struct abi_datagram *datagram)
{
    struct fixture *f = user;

    f->n_datagrams++;
    f->datagram = *datagram;
    if (f->selects != HANDLE_NONE) {
        assert_int_equal(
            media_peer_set_paths(f->media, f->selects, &datagram->path, 1, 1, NULL, NULL), 0);
    }
}

static inline void on_consent_lost(void *user, uint64_t peer)
{
    struct fixture *f = user;

    f->n_consent++;
    f->handle = peer;
}

static inline void on_stream_bound(void *user, uint64_t stream, uint32_t ssrc)
{
    struct fixture *f = user;

    f->n_bound++;
    f->handle = stream;
    f->ssrc = ssrc;
}

static inline void on_stream_bye(void *user, uint64_t stream)
{
    struct fixture *f = user;

    f->n_bye++;
    f->handle = stream;
}

static const struct media_ops ops = {.on_attached = on_attached,
                                     .on_detached = on_detached,
                                     .on_datagram = on_datagram,
                                     .on_consent_lost = on_consent_lost,
                                     .on_stream_bound = on_stream_bound,
                                     .on_stream_bye = on_stream_bye};

static inline uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Turns the loop until 'cond' holds; fails the test after 5 s. */
#define WAIT(f, cond)                                                                      \
    do {                                                                                   \
        uint64_t until_ = now_ms() + 5000;                                                 \
        while (!(cond)) {                                                                  \
            assert_true(now_ms() < until_);                                                \
            loop_turn((f)->loop);                                                          \
            (void)usleep(200);                                                             \
        }                                                                                  \
    } while (0)

static inline void settle(struct fixture *f, unsigned ms)
{
    for (uint64_t until = now_ms() + ms; now_ms() < until;) {
        loop_turn(f->loop);
        (void)usleep(500);
    }
}

static inline void start_control(struct fixture *f)
{
    const struct media_conf conf = {
        .loop = f->loop, .socket = f->socket, .patience_ms = 50};

    assert_int_equal(media_create(&f->media, &conf), 0);
    media_start(f->media, &ops, f);
}

static inline void start_dp(struct fixture *f, struct fake_dp_conf conf)
{
    conf.socket = f->socket;
    f->dp = fake_dp_start(&conf);
}

static inline void start(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/kcs_media_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->socket, sizeof(f->socket), "%s/dp.sock", f->dir);
    assert_int_equal(loop_create(&f->loop), 0);
}

static inline void start_all(struct fixture *f)
{
    start(f);
    start_dp(f, (struct fake_dp_conf){.flaw = FAKE_DP_FINE});
    start_control(f);
    WAIT(f, f->n_attached == 1);
}

static inline void finish(struct fixture *f)
{
    media_destroy(f->media);
    fake_dp_kill(f->dp);
    loop_destroy(f->loop);
    (void)rmdir(f->dir);
}

static inline uint64_t open_peer(struct fixture *f)
{
    const struct vault_peer_conf conf = {.ufrag_len = 4, .ufrag = "abcd"};
    struct answer answer = {.n = 0};
    uint64_t handle;

    assert_int_equal(media_peer_open(f->media, &conf, on_answer, &answer, &handle), 0);
    assert_int_equal(answer.n, 0); /* never from within */
    WAIT(f, answer.n == 1);
    assert_int_equal(answer.status, 0);
    return handle;
}

static inline uint64_t open_stream(struct fixture *f, uint64_t peer)
{
    const struct vault_stream_conf conf = {.peer = peer, .kind = ABI_VIDEO, .pt = 96};
    struct answer answer = {.n = 0};
    uint64_t handle;

    assert_int_equal(media_stream_open(f->media, &conf, on_answer, &answer, &handle), 0);
    WAIT(f, answer.n == 1);
    assert_int_equal(answer.status, 0);
    return handle;
}

static inline uint64_t open_sub(struct fixture *f, uint64_t peer, uint64_t stream)
{
    const struct vault_sub_conf conf = {
        .peer = peer, .stream = stream, .ssrc = 5, .paused = 1};
    struct answer answer = {.n = 0};
    uint64_t handle;

    assert_int_equal(media_sub_open(f->media, &conf, on_answer, &answer, &handle), 0);
    WAIT(f, answer.n == 1);
    assert_int_equal(answer.status, 0);
    return handle;
}

static inline bool memory_holds(const void *mem, size_t len, const char *needle)
{
    return memmem(mem, len, needle, strlen(needle)) != NULL;
}

#endif
