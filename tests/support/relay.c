/* A bad link in real time: a UDP relay between one client and a node, with the model of
 * vnet.h in each direction (seeded, so that the same traffic meets the same fate). All
 * flows of the client share the link, as they would a modem.
 *
 *   relay --to ADDRESS:PORT [--seed N] [both|up|down KEY=VALUE...]
 *
 * It listens on a port of 127.0.0.1 of its own choice, which it prints ("port 12345"). Each
 * source that sends to it has an upstream socket of its own, as behind a NAT. "up" is from
 * the client to the node. Lines on standard input change the link while it runs
 * ("down loss=0.05 rate=500000"); "move" gives each source another upstream port, as a NAT
 * that forgot it would; "race" has somebody on the way send a copy of each ICE check from
 * an address of his own, which comes first if the link has a delay; "stats" prints one line
 * of JSON; its end ends the relay.
 *
 *   loss=P burst=P,END reorder=P,MS duplicate=P   chances, 0..1
 *   delay=MS jitter=MS wander=MS                  see vnet.h
 *   rate=BPS queue=BYTES                          the bottleneck; rate 0: none
 *   clear                                         a perfect wire again */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "support/vnet.h"

enum {
    MAX_SESSIONS = 64,
    MAX_DATAGRAM = 1600,
    SLOTS = 4 * VNET_MAX_FLIGHT, /* a copy may come long after its packet */
    MAX_LINE = 512,
    MAX_DELAY_MS = 2000, /* longer ones count as this */
    READS = 64 /* of one socket before the others have their turn */
};

/* What is under way: by the number of its sending, modulo SLOTS. */
struct slot {
    uint64_t id;
    uint32_t session;
    uint32_t len;
    uint8_t data[MAX_DATAGRAM];
};

struct link {
    struct vnet net;
    struct slot *slots;
    uint64_t next_id;
    uint64_t n_in, n_lost, n_out, bytes_out, full;
    /* of what has arrived since the last "stats" */
    uint64_t delay_max_us;
    uint64_t n_delays;
    uint64_t delays[MAX_DELAY_MS + 1]; /* so many took so many ms */
    uint64_t sent_us[SLOTS];
};

struct session {
    struct sockaddr_in client;
    int fd; /* connected to the node */
};

/* Who races, and what the node has sent to him. */
struct racer {
    int fd; /* 0: nobody does */
    uint64_t sent, sent_bytes;
    uint64_t checks, others, bytes; /* STUN, anything else; of both */
};

struct relay {
    struct link up, down;
    struct racer racer;
    struct sockaddr_in node;
    int listener;
    uint32_t n_sessions;
    struct session sessions[MAX_SESSIONS];
    char line[MAX_LINE];
    size_t line_len;
};

static uint64_t clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void die(const char *what)
{
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- the link ---- */

static uint32_t millionths(double chance)
{
    return (uint32_t)(chance < 0 ? 0 : chance > 1 ? VNET_ALWAYS : chance * VNET_ALWAYS);
}

static uint32_t us_of(double ms)
{
    return (uint32_t)(ms < 0 ? 0 : ms * 1000);
}

/* One word of a line. Returns false if it means nothing. */
static bool set(struct vnet_conf *conf, const char *word)
{
    const char *is = strchr(word, '=');
    size_t len = is != NULL ? (size_t)(is - word) : strlen(word);
    double a = 0;
    double b = 0;

    if (strcmp(word, "clear") == 0) {
        memset(conf, 0, sizeof(*conf));
        return true;
    }
    if (is == NULL || sscanf(is + 1, "%lf,%lf", &a, &b) < 1) {
        return false;
    }
#define IS(name) (len == sizeof(name) - 1 && strncmp(word, name, len) == 0)
    if (IS("loss")) {
        conf->loss = millionths(a);
    } else if (IS("burst")) {
        conf->burst_begin = millionths(a);
        conf->burst_end = millionths(b > 0 ? b : 1);
    } else if (IS("reorder")) {
        conf->reorder = millionths(a);
        conf->reorder_us = us_of(b);
    } else if (IS("duplicate")) {
        conf->duplicate = millionths(a);
    } else if (IS("delay")) {
        conf->delay_us = us_of(a);
    } else if (IS("jitter")) {
        conf->jitter_us = us_of(a);
    } else if (IS("wander")) {
        conf->wander_us = us_of(a);
    } else if (IS("rate")) {
        conf->rate_bps = (uint32_t)a;
    } else if (IS("queue")) {
        conf->queue_bytes = (uint32_t)a;
    } else {
        return false;
    }
#undef IS
    return true;
}

static void link_init(struct link *link, uint64_t seed)
{
    static const struct vnet_conf wire;

    vnet_init(&link->net, &wire, seed);
    link->slots = calloc(SLOTS, sizeof(*link->slots));
    if (link->slots == NULL) {
        die("memory");
    }
    link->next_id = 1;
}

static void link_send(struct link *link, uint64_t now_us, uint32_t session,
                      const uint8_t *data, size_t len)
{
    struct slot *slot = &link->slots[link->next_id % SLOTS];

    link->n_in++;
    if (vnet_room(&link->net) < 2) {
        link->full++;
        return;
    }
    if (!vnet_send(&link->net, now_us, link->next_id, (uint32_t)len)) {
        link->n_lost++;
        return;
    }
    slot->id = link->next_id;
    slot->session = session;
    slot->len = (uint32_t)len;
    memcpy(slot->data, data, len);
    link->sent_us[link->next_id % SLOTS] = now_us;
    link->next_id++;
}

/* The next packet that has arrived by now, or NULL. */
static const struct slot *link_take(struct link *link, uint64_t now_us)
{
    struct vnet_pkt pkt;

    while (vnet_next_us(&link->net) <= now_us && vnet_take(&link->net, &pkt)) {
        const struct slot *slot = &link->slots[pkt.id % SLOTS];
        uint64_t delay_us = now_us - link->sent_us[pkt.id % SLOTS];

        if (slot->id != pkt.id) {
            continue; /* a copy of what was overwritten */
        }
        link->n_out++;
        link->bytes_out += slot->len;
        link->delay_max_us = delay_us > link->delay_max_us ? delay_us : link->delay_max_us;
        link->n_delays++;
        link->delays[delay_us / 1000 < MAX_DELAY_MS ? delay_us / 1000 : MAX_DELAY_MS]++;
        return slot;
    }
    return NULL;
}

/* How many ms at most so many percent of the packets took. */
static unsigned percentile(const struct link *link, unsigned percent)
{
    uint64_t n = 0;
    unsigned ms = 0;

    for (; ms < MAX_DELAY_MS; ms++) {
        n += link->delays[ms];
        if (n * 100 >= link->n_delays * percent) {
            break;
        }
    }
    return ms;
}

static void link_print(struct link *link, const char *name, const char *end)
{
    printf("\"%s\":{\"in\":%llu,\"lost\":%llu,\"full\":%llu,\"out\":%llu,\"bytes\":%llu,"
           "\"delay_p95_ms\":%u,\"delay_max_ms\":%llu}%s",
           name, (unsigned long long)link->n_in, (unsigned long long)link->n_lost,
           (unsigned long long)link->full, (unsigned long long)link->n_out,
           (unsigned long long)link->bytes_out, percentile(link, 95),
           (unsigned long long)link->delay_max_us / 1000, end);
    link->delay_max_us = link->n_delays = 0;
    memset(link->delays, 0, sizeof(link->delays));
}

static int upstream(const struct relay *relay);

/* ---- what it is told ---- */

static bool command(struct relay *relay, char *line)
{
    char *save = NULL;
    const char *which = strtok_r(line, " \t", &save);
    bool up;
    bool down;

    if (which == NULL) {
        return true;
    }
    if (strcmp(which, "stats") == 0) {
        printf("{");
        link_print(&relay->up, "up", ",");
        link_print(&relay->down, "down", ",");
        printf("\"racer\":{\"sent\":%llu,\"sent_bytes\":%llu,\"stun\":%llu,"
               "\"others\":%llu,\"bytes\":%llu}}\n",
               (unsigned long long)relay->racer.sent,
               (unsigned long long)relay->racer.sent_bytes,
               (unsigned long long)relay->racer.checks,
               (unsigned long long)relay->racer.others,
               (unsigned long long)relay->racer.bytes);
        fflush(stdout);
        return true;
    }
    if (strcmp(which, "move") == 0) {
        for (uint32_t i = 0; i < relay->n_sessions; i++) {
            int old = relay->sessions[i].fd;

            relay->sessions[i].fd = upstream(relay); /* before: never the same port */
            close(old);
        }
        return true;
    }
    if (strcmp(which, "race") == 0) {
        relay->racer.fd = upstream(relay);
        return true;
    }
    up = strcmp(which, "up") == 0 || strcmp(which, "both") == 0;
    down = strcmp(which, "down") == 0 || strcmp(which, "both") == 0;
    if (!up && !down) {
        return false;
    }
    for (const char *word = strtok_r(NULL, " \t", &save); word != NULL;
         word = strtok_r(NULL, " \t", &save)) {
        if ((up && !set(&relay->up.net.conf, word)) ||
            (down && !set(&relay->down.net.conf, word))) {
            return false;
        }
    }
    return true;
}

/* Returns false at the end of standard input. */
static bool read_lines(struct relay *relay)
{
    ssize_t n = read(STDIN_FILENO, relay->line + relay->line_len,
                     sizeof(relay->line) - 1 - relay->line_len);
    char *end;

    if (n <= 0) {
        return false;
    }
    relay->line_len += (size_t)n;
    relay->line[relay->line_len] = '\0';
    while ((end = strchr(relay->line, '\n')) != NULL) {
        *end = '\0';
        if (!command(relay, relay->line)) {
            fprintf(stderr, "relay: not understood\n");
            exit(2);
        }
        relay->line_len -= (size_t)(end + 1 - relay->line);
        memmove(relay->line, end + 1, relay->line_len + 1);
    }
    return relay->line_len < sizeof(relay->line) - 1;
}

/* ---- sockets ---- */

static int udp_socket(void)
{
    const int room = 4 * 1024 * 1024;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        die("socket");
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    return fd;
}

static int upstream(const struct relay *relay)
{
    int fd = udp_socket();

    if (connect(fd, (const struct sockaddr *)&relay->node, sizeof(relay->node)) != 0) {
        die("connect");
    }
    return fd;
}

static int session_of(struct relay *relay, const struct sockaddr_in *client)
{
    struct session *session;

    for (uint32_t i = 0; i < relay->n_sessions; i++) {
        session = &relay->sessions[i];
        if (session->client.sin_addr.s_addr == client->sin_addr.s_addr &&
            session->client.sin_port == client->sin_port) {
            return (int)i;
        }
    }
    if (relay->n_sessions == MAX_SESSIONS) {
        return -1;
    }
    session = &relay->sessions[relay->n_sessions];
    session->client = *client;
    session->fd = upstream(relay);
    return (int)relay->n_sessions++;
}

/* A binding request (RFC 8489, section 5). */
static bool is_check(const uint8_t *data, size_t len)
{
    return len >= 20 && data[0] == 0 && data[1] == 1;
}

static void from_clients(struct relay *relay)
{
    uint8_t data[MAX_DATAGRAM];

    for (int i = 0; i < READS; i++) {
        struct sockaddr_in client;
        socklen_t client_len = sizeof(client);
        ssize_t n = recvfrom(relay->listener, data, sizeof(data), 0,
                             (struct sockaddr *)&client, &client_len);
        int session;

        if (n < 0) {
            return;
        }
        session = session_of(relay, &client);
        if (relay->racer.fd > 0 && is_check(data, (size_t)n)) {
            relay->racer.sent += send(relay->racer.fd, data, (size_t)n, 0) == n;
            relay->racer.sent_bytes += (size_t)n;
        }
        if (session >= 0) {
            link_send(&relay->up, clock_us(), (uint32_t)session, data, (size_t)n);
        }
    }
}

static void from_node(struct relay *relay, uint32_t session)
{
    uint8_t data[MAX_DATAGRAM];

    for (int i = 0; i < READS; i++) {
        ssize_t n = recv(relay->sessions[session].fd, data, sizeof(data), 0);

        if (n < 0) {
            return; /* also ECONNREFUSED, while the node is away */
        }
        link_send(&relay->down, clock_us(), session, data, (size_t)n);
    }
}

static void to_racer(struct racer *racer)
{
    uint8_t data[MAX_DATAGRAM];
    ssize_t n;

    while (racer->fd > 0 && (n = recv(racer->fd, data, sizeof(data), 0)) > 0) {
        racer->checks += data[0] < 4;
        racer->others += data[0] >= 4;
        racer->bytes += (size_t)n;
    }
}

static void deliver(struct relay *relay)
{
    uint64_t now_us = clock_us();
    const struct slot *slot;

    while ((slot = link_take(&relay->up, now_us)) != NULL) {
        (void)send(relay->sessions[slot->session].fd, slot->data, slot->len, 0);
    }
    while ((slot = link_take(&relay->down, now_us)) != NULL) {
        const struct sockaddr_in *to = &relay->sessions[slot->session].client;

        (void)sendto(relay->listener, slot->data, slot->len, 0,
                     (const struct sockaddr *)to, sizeof(*to));
    }
}

static void run(struct relay *relay)
{
    for (;;) {
        struct pollfd fds[MAX_SESSIONS + 2];
        uint32_t n_sessions = relay->n_sessions;
        uint64_t up_us = vnet_next_us(&relay->up.net);
        uint64_t next_us = vnet_next_us(&relay->down.net);
        uint64_t now_us = clock_us();
        struct timespec wait;

        next_us = up_us < next_us ? up_us : next_us;
        next_us = next_us == UINT64_MAX ? 1000000
                  : next_us > now_us    ? next_us - now_us
                                        : 0;
        wait.tv_sec = (time_t)(next_us / 1000000);
        wait.tv_nsec = (long)(next_us % 1000000 * 1000);
        fds[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = relay->listener, .events = POLLIN};
        for (uint32_t i = 0; i < n_sessions; i++) {
            fds[2 + i] = (struct pollfd){.fd = relay->sessions[i].fd, .events = POLLIN};
        }
        if (ppoll(fds, 2 + n_sessions, &wait, NULL) < 0 && errno != EINTR) {
            die("poll");
        }
        if (fds[0].revents != 0 && !read_lines(relay)) {
            return;
        }
        if (fds[1].revents != 0) {
            from_clients(relay);
        }
        for (uint32_t i = 0; i < n_sessions; i++) {
            if (fds[2 + i].revents != 0) {
                from_node(relay, i);
            }
        }
        to_racer(&relay->racer);
        deliver(relay);
    }
}

static bool parse_address(const char *text, struct sockaddr_in *out)
{
    char ip[64];
    unsigned port;

    *out = (struct sockaddr_in){.sin_family = AF_INET};
    if (sscanf(text, "%63[^:]:%u", ip, &port) != 2 || port == 0 || port > 65535) {
        return false;
    }
    out->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, ip, &out->sin_addr) == 1;
}

int main(int argc, char **argv)
{
    static struct relay relay;
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t here_len = sizeof(here);
    uint64_t seed = 1;
    char line[MAX_LINE] = "";
    bool ok = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--to") == 0 && i + 1 < argc) {
            ok = parse_address(argv[++i], &relay.node);
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            seed = strtoull(argv[++i], NULL, 10);
        } else {
            strncat(line, argv[i], sizeof(line) - strlen(line) - 1);
            strncat(line, " ", sizeof(line) - strlen(line) - 1);
        }
    }
    link_init(&relay.up, 2 * seed);
    link_init(&relay.down, 2 * seed + 1);
    if (!ok || !command(&relay, line)) {
        fprintf(stderr, "usage: relay --to ADDRESS:PORT [--seed N] "
                        "[both|up|down KEY=VALUE...]\n");
        return 2;
    }
    relay.listener = udp_socket();
    if (bind(relay.listener, (const struct sockaddr *)&here, sizeof(here)) != 0 ||
        getsockname(relay.listener, (struct sockaddr *)&here, &here_len) != 0) {
        die("bind");
    }
    printf("port %u\n", ntohs(here.sin_port));
    fflush(stdout);
    run(&relay);
    return 0;
}
