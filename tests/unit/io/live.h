/* What the tests on real interfaces share: a network namespace of one's own for each test,
 * in a child process (so nothing is left, whatever happens, and DPDK starts afresh), and an
 * echoing dataplane on a thread. */
#ifndef KCS_TEST_IO_LIVE_H
#define KCS_TEST_IO_LIVE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_mbuf.h>

#include "io/io.h"
#include "io/mbuf.h"

enum {
    LIVE_PORT = 7000,
    LIVE_SECONDS = 200, /* a test that hangs; below what tools/test gives the whole program */
    LIVE_PATIENCE_S = 20 /* for a datagram: a lost one never comes, however long */
};

/* For children, where cmocka's own assertions cannot work. */
#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);      \
            fflush(NULL);                                                                  \
            _exit(1);                                                                      \
        }                                                                                  \
    } while (0)

static inline void live_sh(const char *command)
{
    int status = system(command);

    if (status != 0) {
        fprintf(stderr, "failed (%d): %s\n", status, command);
        _exit(1);
    }
}

/* Runs 'test' in a child; in a namespace of its own if 'isolated', which needs root:
 * without it the test is skipped, visibly. */
static inline void live_run(void (*test)(void), bool isolated)
{
    pid_t child;
    int status = 0;

    if (isolated && geteuid() != 0) {
        print_message("needs root: ");
        skip();
    }
    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(LIVE_SECONDS);
        if (geteuid() == 0) {
            CHECK(unshare(CLONE_NEWNET) == 0);
            live_sh("ip link set lo up");
        }
        test();
        fflush(NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* kcs-xdp.o lies at the top of the build directory, three above this program. */
static inline const char *live_xdp_object(void)
{
    static char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 32);

    for (int up = 0; up < 4 && len > 0; up++) {
        path[len] = '\0';
        len = strrchr(path, '/') - path;
    }
    path[len] = '\0';
    strcat(path, "/kcs-xdp.o");
    return path;
}

static inline struct io_conf live_conf(const char *device)
{
    return (struct io_conf){.devices = {device},
                            .n_devices = 1,
                            .media_port = LIVE_PORT,
                            .n_lanes = 1,
                            .n_mbufs = 8191,
                            .heap_mb = 16,
                            .xdp_object = live_xdp_object()};
}

static inline struct io *live_create(const struct io_conf *conf)
{
    char err[512] = "";
    struct io *io = NULL;
    int code = io_create(&io, conf, err, sizeof(err));

    if (code != 0) {
        fprintf(stderr, "io_create: %d %s\n", code, err);
    }
    CHECK(code == 0);
    return io;
}

/* Starts a process that opens 'device', and kills it when it has. */
static inline void live_make_and_kill(const char *device)
{
    int ready[2];
    char byte;
    pid_t child;

    CHECK(pipe(ready) == 0);
    child = fork();
    if (child == 0) {
        struct io_conf conf = live_conf(device);

        live_create(&conf);
        CHECK(write(ready[1], "x", 1) == 1);
        for (;;) {
            pause();
        }
    }
    close(ready[1]);
    CHECK(read(ready[0], &byte, 1) == 1);
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
}

/* The error that 'conf' gives; its text must contain 'word'. */
static inline int live_refused(const struct io_conf *conf, const char *word)
{
    char err[512] = "";
    struct io *io = NULL;
    int code = io_create(&io, conf, err, sizeof(err));

    if (code != 0 && strstr(err, word) == NULL) {
        fprintf(stderr, "expected '%s' in: %s\n", word, err);
    }
    CHECK(code != 0 && io == NULL && strstr(err, word) != NULL);
    CHECK(strchr(err, '\n') == NULL);
    return code;
}

/* Makes the packet go back to where it came from; 'back' lives until it is sent. */
static inline void live_turn(struct io *io, struct pkt *pkt, struct path *back)
{
    struct pkt_hdr hdr;

    *back = pkt->path;
    CHECK(io_hdr_build(io, back, &hdr) == 0);
    pkt->to = back;
    pkt->data -= hdr.len;
    pkt_hdr_write(&hdr, pkt->data, pkt->len);
    pkt->len = (uint16_t)(pkt->len + hdr.len);
}

static inline void live_free(struct pkt **pkts, uint16_t n)
{
    for (uint16_t i = 0; i < n; i++) {
        rte_pktmbuf_free(pkt_to_mbuf(pkts[i]));
    }
}

/* A lane that sends everything back, on a thread. */
struct live_echo {
    struct io *io;
    unsigned lane;
    pthread_t thread;
    atomic_bool stop;
    struct io_rx_count count;
    struct path last; /* of the last packet */
    uint64_t dropped;
};

static inline void *live_echo_main(void *arg)
{
    struct live_echo *echo = arg;

    CHECK(io_thread_enter() == 0);
    while (!atomic_load(&echo->stop)) {
        uint16_t any = 0;

        for (unsigned d = 0; d < io_n_devices(echo->io); d++) {
            struct pkt *pkts[PKT_BURST];
            struct path back[PKT_BURST];
            uint16_t n = 0;
            uint16_t sent;

            if (echo->lane < io_device(echo->io, d)->n_queues) {
                n = io_rx_burst(echo->io, d, echo->lane, pkts, PKT_BURST, &echo->count);
            }

            for (uint16_t i = 0; i < n; i++) {
                CHECK(pkts[i]->device == d && pkts[i]->path.device == d);
                echo->last = pkts[i]->path;
                live_turn(echo->io, pkts[i], &back[i]);
            }
            sent = n > 0 ? io_tx_burst(echo->io, d, echo->lane, pkts, n) : 0;
            live_free(pkts + sent, (uint16_t)(n - sent));
            echo->dropped += (uint64_t)(n - sent);
            any = (uint16_t)(any | n);
        }
        if (any == 0) {
            io_wait(echo->io, echo->lane, -1, 20000);
        }
    }
    io_thread_leave();
    return NULL;
}

static inline void live_echo_start_lane(struct live_echo *echo, struct io *io,
                                        unsigned lane)
{
    memset(echo, 0, sizeof(*echo));
    echo->io = io;
    echo->lane = lane;
    CHECK(pthread_create(&echo->thread, NULL, live_echo_main, echo) == 0);
}

static inline void live_echo_start(struct live_echo *echo, struct io *io)
{
    live_echo_start_lane(echo, io, 0);
}

static inline void live_echo_stop(struct live_echo *echo)
{
    uint64_t ignored = 0;

    atomic_store(&echo->stop, true);
    CHECK(pthread_join(echo->thread, NULL) == 0);
    for (unsigned i = 0; i < N_IO_IGNORED; i++) {
        ignored += echo->count.ignored[i];
    }
    CHECK(echo->count.frames ==
          echo->count.packets + echo->count.answered + echo->count.passed + ignored);
}

/* A kernel socket connected to an address of the dataplane. */
static inline int live_socket(const char *ip, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct timeval patience = {.tv_sec = LIVE_PATIENCE_S};
    bool v4 = inet_pton(AF_INET, ip, &in.sin_addr) == 1;
    int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);

    CHECK(fd >= 0 && (v4 || inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1));
    CHECK(connect(fd, v4 ? (struct sockaddr *)&in : (struct sockaddr *)&in6,
                  v4 ? sizeof(in) : sizeof(in6)) == 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

/* recv(), again where a signal interrupts it: DPDK's tap driver sends some. */
static inline ssize_t live_recv(int fd, void *out, size_t cap, int flags)
{
    ssize_t n;

    do {
        n = recv(fd, out, cap, flags);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* Sends datagrams of every length class, bytes chosen by 'seed', and wants each back as it
 * was. */
static inline void live_check_echo(const char *ip, uint16_t port, unsigned n, unsigned seed)
{
    int fd = live_socket(ip, port);

    for (unsigned i = 0; i < n; i++) {
        uint8_t out[PKT_MAX_DATAGRAM], in[PKT_MAX_DATAGRAM];
        size_t len = 1 + i * 37 % 1400;

        for (size_t k = 0; k < len; k++) {
            seed = seed * 1103515245u + 12345u;
            out[k] = (uint8_t)(seed >> 16);
        }
        CHECK(send(fd, out, len, 0) == (ssize_t)len);
        CHECK(live_recv(fd, in, sizeof(in), 0) == (ssize_t)len);
        CHECK(memcmp(in, out, len) == 0);
    }
    close(fd);
}

/* Sends an echo request of 'len' bytes by a raw socket, waits for the reply. */
static inline void live_ping(int family, const char *ip, size_t len)
{
    uint8_t out[1500] = {0}, in[1600];
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct timeval patience = {.tv_sec = LIVE_PATIENCE_S};
    int fd = socket(family, SOCK_RAW, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
    ssize_t got;

    CHECK(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    memset(out + 8, 0x5a, len);
    out[0] = family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    out[4] = 0x12; /* identifier */
    if (family == AF_INET) {
        uint32_t sum = 0;

        for (size_t i = 0; i < 8 + len; i += 2) {
            sum += (uint32_t)out[i] << 8 | out[i + 1];
        }
        sum = (sum & 0xffff) + (sum >> 16);
        sum = ~((sum & 0xffff) + (sum >> 16));
        out[2] = (uint8_t)(sum >> 8);
        out[3] = (uint8_t)sum;
        CHECK(inet_pton(AF_INET, ip, &in4.sin_addr) == 1);
        CHECK(sendto(fd, out, 8 + len, 0, (struct sockaddr *)&in4, sizeof(in4)) > 0);
    } else {
        CHECK(inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1);
        CHECK(sendto(fd, out, 8 + len, 0, (struct sockaddr *)&in6, sizeof(in6)) > 0);
    }
    do {
        uint8_t *icmp = in + (family == AF_INET ? 20 : 0);

        got = live_recv(fd, in, sizeof(in), 0);
        CHECK(got > 0);
        if (icmp[0] == (family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) &&
            icmp[4] == 0x12) {
            CHECK(got == (ssize_t)(8 + len) + (family == AF_INET ? 20 : 0));
            CHECK(memcmp(icmp + 8, out + 8, len) == 0);
            break;
        }
    } while (true);
    close(fd);
}

/* A child with a namespace of its own, linked to ours by link(). The link lives as
 * long as it.
 */
struct live_client {
    pid_t pid;
    int go[2];
    int done[2];
};

static inline void live_client_start(struct live_client *client, void (*run)(void),
                                     void (*link)(pid_t))
{
    char byte;

    CHECK(pipe(client->go) == 0 && pipe(client->done) == 0);
    client->pid = fork();
    if (client->pid == 0) {
        close(client->go[1]);
        CHECK(unshare(CLONE_NEWNET) == 0);
        CHECK(write(client->done[1], "x", 1) == 1);
        CHECK(read(client->go[0], &byte, 1) == 1);
        run();
        CHECK(write(client->done[1], "x", 1) == 1);
        CHECK(read(client->go[0], &byte, 1) == 0);
        _exit(0);
    }
    close(client->done[1]);
    CHECK(read(client->done[0], &byte, 1) == 1);
    link(client->pid);
}

/* Lets the client talk and waits until it has. */
static inline void live_client_talk(struct live_client *client)
{
    char byte;

    CHECK(write(client->go[1], "x", 1) == 1);
    CHECK(read(client->done[0], &byte, 1) == 1);
}

static inline void live_client_end(struct live_client *client)
{
    int status;

    close(client->go[1]);
    CHECK(waitpid(client->pid, &status, 0) == client->pid && status == 0);
}

/* What ssh does: a byte stream both ways over the interface that media uses. */
static inline void live_tcp_talk(const char *ip, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool v4 = inet_pton(AF_INET, ip, &in.sin_addr) == 1;
    int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
    char out[4096], back[4096];

    CHECK(v4 || inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1);
    CHECK(connect(fd, v4 ? (struct sockaddr *)&in : (struct sockaddr *)&in6,
                  v4 ? sizeof(in) : sizeof(in6)) == 0);
    for (int i = 0; i < 50; i++) {
        memset(out, i, sizeof(out));
        CHECK(send(fd, out, sizeof(out), 0) == sizeof(out));
        CHECK(live_recv(fd, back, sizeof(back), MSG_WAITALL) == sizeof(back));
        CHECK(memcmp(back, out, sizeof(out)) == 0);
    }
    close(fd);
}

#endif
