#include "loadgen/transport.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sfu/wire/demux.h"

enum { BATCH = 32, BATCHES_A_TURN = 8, SOCKET_BUFFER = 4 << 20 };

int transport_init(struct transport *t, const struct transport_conf *conf)
{
    *t = (struct transport){.conf = *conf, .io.fd = -1};
    return dtls_init(&t->dtls);
}

static void close_socket(struct transport *t)
{
    int fd = t->io.fd;

    if (fd >= 0) {
        loop_remove(t->conf.loop, &t->io);
        (void)close(fd);
    }
    (void)loop_set(t->conf.loop, &t->timer, UINT64_MAX);
}

void transport_fini(struct transport *t)
{
    if (t->conf.loop == NULL) {
        return;
    }
    close_socket(t);
    armor_close(&t->armor);
    dtls_fini(&t->dtls);
    *t = (struct transport){0};
}

static void fail(struct transport *t, const char *reason)
{
    if (t->state != TRANSPORT_DOWN) {
        t->state = TRANSPORT_DOWN;
        close_socket(t);
        t->conf.ops->on_failed(t->conf.user, reason);
    }
}

/* A full socket buffer, or a server that is just not there (a datagram that nobody took is
 * reported by the next call), is a packet lost. */
static void send_datagram(struct transport *t, const uint8_t *data, size_t len)
{
    if (send(t->io.fd, data, len, 0) < 0 &&
        (errno != ECONNREFUSED || send(t->io.fd, data, len, 0) < 0)) {
        t->faults.unsent++;
    }
}

void transport_send_rtp(struct transport *t, uint8_t *data, size_t len)
{
    if (armor_protect_rtp(&t->armor, data, &len) == 0) {
        send_datagram(t, data, len);
    } else {
        t->faults.unsent++;
    }
}

void transport_send_rtcp(struct transport *t, uint8_t *data, size_t len)
{
    if (armor_protect_rtcp(&t->armor, data, &len) == 0) {
        send_datagram(t, data, len);
    } else {
        t->faults.unsent++;
    }
}

/* ---- setting up ---- */

static void arm(struct transport *t, uint64_t now_us)
{
    uint64_t ice_us = ice_deadline(&t->ice);
    uint64_t dtls_us = dtls_deadline(&t->dtls, now_us);

    if (t->state != TRANSPORT_DOWN) {
        (void)loop_set(t->conf.loop, &t->timer, ice_us < dtls_us ? ice_us : dtls_us);
    }
}

/* Looks what the handshake has come to. */
static void follow_dtls(struct transport *t)
{
    struct dtls_keys keys;
    int err;

    if (t->dtls.state == DTLS_FAILED) {
        fail(t, t->dtls.reason);
    } else if (t->dtls.state == DTLS_DONE && t->state == TRANSPORT_DTLS) {
        if (dtls_take_keys(&t->dtls, &keys) != 0) {
            fail(t, "DTLS agreed on no SRTP profile");
            return;
        }
        err = armor_open(&t->armor, &keys, t->conf.decrypt);
        t->profile = keys.profile;
        explicit_bzero(&keys, sizeof(keys));
        if (err != 0) {
            fail(t, "libsrtp2 cannot open a session");
            return;
        }
        t->state = TRANSPORT_UP;
        t->conf.ops->on_up(t->conf.user);
    }
}

static void on_stun(struct transport *t, const uint8_t *data, size_t len, uint64_t now_us)
{
    int err = ice_on_answer(&t->ice, data, len, now_us);

    if (err == -EBADMSG) {
        t->faults.malformed++;
    }
    if (err == 0 && t->state == TRANSPORT_ICE) {
        t->state = TRANSPORT_DTLS;
        t->conf.ops->on_ice(t->conf.user);
        if (dtls_start(&t->dtls, t->conf.ssl, t->io.fd, t->fingerprint) != 0) {
            fail(t, "cannot begin DTLS");
            return;
        }
        follow_dtls(t);
    }
    arm(t, now_us);
}

static void on_due(struct loop_timer *timer, uint64_t now_us)
{
    struct transport *t = timer->user;
    uint8_t check[ICE_CHECK_MAX];
    size_t len = ice_take(&t->ice, now_us, check);

    if (len > 0) {
        send_datagram(t, check, len);
    }
    if (t->ice.state == ICE_FAILED) {
        fail(t, t->state == TRANSPORT_ICE ? "no answer to ICE checks"
                                          : "the server consents no longer (ICE)");
        return;
    }
    if (dtls_deadline(&t->dtls, now_us) <= now_us) {
        dtls_step(&t->dtls, NULL, 0);
        follow_dtls(t);
    }
    arm(t, now_us);
}

/* ---- receiving ---- */

static void on_rtp(struct transport *t, uint8_t *data, size_t len, uint64_t now_us)
{
    struct rtp_hdr hdr;
    int err = t->armor.in != NULL ? armor_unprotect_rtp(&t->armor, data, &len) : 0;

    if (err != 0) {
        t->faults.replayed += err == -EALREADY;
        t->faults.forged += err != -EALREADY;
    } else if (rtp_parse(data, len, &hdr) != 0) {
        t->faults.malformed++;
    } else {
        t->conf.ops->on_rtp(t->conf.user, &hdr,
                            t->armor.in != NULL ? data + hdr.hdr_len : NULL,
                            len - hdr.hdr_len, now_us);
    }
}

static void on_rtcp(struct transport *t, uint8_t *data, size_t len, uint64_t now_us)
{
    int err;

    if (t->armor.in == NULL) {
        return;
    }
    err = armor_unprotect_rtcp(&t->armor, data, &len);
    if (err != 0) {
        t->faults.replayed += err == -EALREADY;
        t->faults.forged += err != -EALREADY;
    } else {
        t->conf.ops->on_rtcp(t->conf.user, data, len, now_us);
    }
}

static void on_datagram(struct transport *t, uint8_t *data, size_t len, uint64_t now_us)
{
    switch (demux_of(data, len)) {
    case DEMUX_STUN:
        on_stun(t, data, len, now_us);
        break;
    case DEMUX_DTLS:
        dtls_step(&t->dtls, data, len);
        follow_dtls(t);
        arm(t, now_us);
        break;
    case DEMUX_RTP:
        if (t->state == TRANSPORT_UP) {
            on_rtp(t, data, len, now_us);
        } else {
            t->faults.early++;
        }
        break;
    case DEMUX_RTCP:
        if (t->state == TRANSPORT_UP) {
            on_rtcp(t, data, len, now_us);
        }
        break;
    case DEMUX_UNKNOWN:
    default:
        t->faults.malformed++;
    }
}

static void on_events(struct loop_io *io, uint32_t events)
{
    static _Alignas(8) uint8_t data[BATCH][TRANSPORT_PACKET_MAX + 4]; /* one thread */
    struct transport *t = io->user;
    struct mmsghdr msgs[BATCH];
    struct iovec iovs[BATCH];
    int n = BATCH;

    (void)events;
    memset(msgs, 0, sizeof(msgs));
    for (int i = 0; i < BATCH; i++) {
        iovs[i] = (struct iovec){.iov_base = data[i], .iov_len = TRANSPORT_PACKET_MAX};
        msgs[i].msg_hdr.msg_iov = &iovs[i];
        msgs[i].msg_hdr.msg_iovlen = 1;
    }
    for (int turn = 0; turn < BATCHES_A_TURN && n == BATCH && t->io.fd >= 0; turn++) {
        uint64_t now_us;

        n = recvmmsg(t->io.fd, msgs, BATCH, MSG_DONTWAIT, NULL);
        now_us = loop_now_us();
        for (int i = 0; i < n && t->io.fd >= 0; i++) {
            on_datagram(t, data[i], msgs[i].msg_len, now_us);
        }
    }
}

/* Room for what comes while the one thread is elsewhere, and for what goes while the kernel
 * is. More than the system's limit for those who may. */
static void set_buffers(int fd)
{
    int room = SOCKET_BUFFER;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    }
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) != 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    }
}

static int open_socket(const struct sockaddr_storage *to)
{
    socklen_t len = to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                              : sizeof(struct sockaddr_in);
    int fd = socket(to->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    set_buffers(fd);
    if (connect(fd, (const struct sockaddr *)to, len) != 0) {
        int err = -errno;

        (void)close(fd);
        return err;
    }
    return fd;
}

int transport_start(struct transport *t, const struct transport_remote *remote)
{
    uint64_t now_us = loop_now_us();
    uint64_t seed[2];
    char ufrag[17];
    int err;
    int fd;

    if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        return -errno;
    }
    (void)snprintf(ufrag, sizeof(ufrag), "%016llx", (unsigned long long)seed[0]);
    err = ice_init(&t->ice, ufrag, remote->ufrag, remote->pwd, seed[1], now_us);
    if (err != 0) {
        return err;
    }
    fd = open_socket(&remote->address);
    if (fd < 0) {
        return fd;
    }
    t->io.on_events = on_events;
    t->io.user = t;
    t->timer.on_due = on_due;
    t->timer.user = t;
    memcpy(t->fingerprint, remote->fingerprint, sizeof(t->fingerprint));
    err = loop_add(t->conf.loop, &t->io, fd, EPOLLIN);
    if (err != 0) {
        (void)close(fd);
        return err;
    }
    t->state = TRANSPORT_ICE;
    arm(t, now_us);
    return 0;
}
