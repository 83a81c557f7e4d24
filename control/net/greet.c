/* TLS connections before their first words are heard: who offers HTTP/2 gets it from h2.c,
 * all others go to the library. The words stay in the socket (MSG_PEEK) for whoever reads
 * them then. */
#include "net/priv.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/hello.h"

enum { SWEEP_MS = 1000 };

struct greeting {
    struct greeting *next, *prev;
    struct net_conn *conn;
    struct loop_watch *watch;
    uint64_t deadline_us;
    size_t seen; /* of its words, at the last look */
    int fd;
};

static void unlink_it(struct greeting *g)
{
    struct net_server *server = g->conn->server;

    if (g->prev != NULL) {
        g->prev->next = g->next;
    } else {
        server->greetings = g->next;
    }
    if (g->next != NULL) {
        g->next->prev = g->prev;
    }
    loop_watch_destroy(g->watch);
    free(g);
}

static void give_up(struct greeting *g)
{
    struct net_conn *conn = g->conn;
    int fd = g->fd;

    unlink_it(g);
    close(fd);
    conn_free(conn);
}

static void wait_for(int fd, size_t n)
{
    int value = (int)n;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value));
}

/* It says no more: what is missing does not come. */
static bool is_half_closed(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) > 0;
}

static void on_words(void *arg, unsigned events)
{
    static uint8_t data[HELLO_MAX]; /* the loop's thread's */
    struct greeting *g = arg;
    struct net_conn *conn = g->conn;
    int fd = g->fd;
    ssize_t n = recv(fd, data, sizeof(data), MSG_PEEK | MSG_DONTWAIT);
    enum hello what;
    size_t need;

    (void)events;
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            give_up(g);
        }
        return;
    }
    what = hello_read(data, (size_t)n, &need);
    if (what == HELLO_MORE && is_half_closed(fd)) {
        give_up(g);
        return;
    }
    if (what == HELLO_MORE) {
        wait_for(fd, need); /* else what is there would be told of again and again */
        if ((size_t)n == g->seen) {
            /* and so it is: behind an urgent byte nothing is seen, without memory nothing
             * is waited for. The sweep looks again */
            loop_watch_set(g->watch, 0);
        }
        g->seen = (size_t)n;
        return;
    }
    wait_for(fd, 1);
    unlink_it(g);
    if (what == HELLO_OTHER) {
        listener_adopt(conn, fd);
    } else if (h2_adopt(conn, fd) != 0) {
        close(fd);
        conn_free(conn);
    }
}

void greet(struct net_conn *conn, int fd)
{
    struct net_server *server = conn->server;
    struct greeting *g = calloc(1, sizeof(*g));

    if (g == NULL ||
        loop_watch_create(server->loop, &g->watch, fd, LOOP_READ, on_words, g) != 0) {
        free(g);
        close(fd);
        conn_free(conn);
        return;
    }
    g->conn = conn;
    g->fd = fd;
    g->deadline_us = clock_mono_us() + server->conf.header_s * UINT64_C(1000000);
    g->next = server->greetings;
    if (g->next != NULL) {
        g->next->prev = g;
    }
    if (server->greetings == NULL && server->h2 == NULL) {
        loop_timer_start(server->h2_sweep, SWEEP_MS, SWEEP_MS);
    }
    server->greetings = g;
}

void greet_sweep(struct net_server *server, uint64_t now_us)
{
    for (struct greeting *g = server->greetings, *next; g != NULL; g = next) {
        next = g->next;
        if (now_us > g->deadline_us) {
            give_up(g);
        } else {
            loop_watch_set(g->watch, LOOP_READ);
        }
    }
}

void greet_close_all(struct net_server *server)
{
    for (struct greeting *g = server->greetings, *next; g != NULL; g = next) {
        next = g->next;
        give_up(g);
    }
}
