#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "media/media_priv.h"
#include "sys/entropy.h"
#include "sys/log.h"

static void link_close_socket(struct media *media)
{
    loop_watch_destroy(media->sock_watch);
    loop_watch_destroy(media->bell_watch);
    media->sock_watch = NULL;
    media->bell_watch = NULL;
    if (media->sock >= 0) {
        (void)close(media->sock);
    }
    media->sock = -1;
}

static void link_leave(struct media *media, int err, const char *reason)
{
    bool was_attached = media->link == LINK_ATTACHED;
    bool news = was_attached || media->status.err != err;

    link_close_socket(media);
    media->link = LINK_AWAY;
    media->status.attached = false;
    media->status.err = err;
    (void)snprintf(media->status.reason, sizeof(media->status.reason), "%s", reason);
    if (news) { /* attempts that fail as the one before are not worth a line */
        log_warn(was_attached ? "dataplane_lost" : "dataplane_not_attached",
                 LOG_STR("error", strerror(-err)), LOG_STR("reason", reason));
    }
    loop_timer_start(media->timer, media->retry_ms, 0);
    media->retry_ms *= 2;
    if (media->retry_ms > MEDIA_RETRY_MAX_MS) {
        media->retry_ms = MEDIA_RETRY_MAX_MS;
    }
    if (was_attached) {
        media_pump_fini(media);
        if (media->ops->on_detached != NULL) {
            media->ops->on_detached(media->user);
        }
    }
}

static void on_doorbell(void *arg, unsigned events)
{
    struct media *media = arg;
    uint64_t n;

    (void)events;
    (void)!read(media->map.doorbell, &n, sizeof(n)); /* only its being readable counts */
    media_pump(media);
}

/* Keeps what recvmsg() brought: closes it, or moves it to 'fds'. */
static size_t take_fds(struct msghdr *msg, int fds[MEDIA_MAX_FDS])
{
    size_t n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        size_t bytes = c->cmsg_len - CMSG_LEN(0);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t i = 0; i < bytes / sizeof(int); i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (n < MEDIA_MAX_FDS) {
                fds[n++] = fd;
            } else {
                (void)close(fd);
            }
        }
    }
    return n;
}

static int check_welcome(const struct abi_welcome *welcome, ssize_t len, int flags,
                         char reason[104])
{
    if (len != (ssize_t)sizeof(*welcome) || (flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
        welcome->magic != ABI_MAGIC) {
        (void)snprintf(reason, 104, "what answers on the socket is no dataplane");
        return -EPROTO;
    }
    if (welcome->status != 0) {
        (void)snprintf(reason, 104, "%.103s", welcome->reason);
        return welcome->status < 0 && welcome->status > -4096 ? welcome->status : -EPROTO;
    }
    if (welcome->version != ABI_VERSION) {
        (void)snprintf(reason, 104,
                       "the dataplane speaks version %u of the contract, we %d",
                       welcome->version, ABI_VERSION);
        return -EPROTO;
    }
    return 0;
}

static void link_attached(struct media *media)
{
    loop_timer_stop(media->timer);
    media->link = LINK_ATTACHED;
    media->retry_ms = MEDIA_RETRY_MIN_MS;
    media->status = (struct media_status){.attached = true};
    media->counts.attaches++;
    log_info("dataplane_attached", LOG_U64("pid", media->map.info.pid),
             LOG_U64("lanes", media->map.info.n_lanes),
             LOG_STR("backend", media->map.info.backend));
    if (media->ops->on_attached != NULL) {
        media->ops->on_attached(media->user);
    }
    if (media->link == LINK_ATTACHED) {
        media_pump(media); /* sets the flags for which doorbells ring */
    }
}

static void on_welcome(struct media *media)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * MEDIA_MAX_FDS)];
    } control;
    struct abi_welcome welcome = {.magic = 0};
    struct iovec iov = {.iov_base = &welcome, .iov_len = sizeof(welcome)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    char reason[104] = "";
    int fds[MEDIA_MAX_FDS];
    size_t n_fds;
    ssize_t len = recvmsg(media->sock, &msg, MSG_CMSG_CLOEXEC);
    int err;

    if (len < 0 && errno == ECONNRESET) {
        /* Closed without reading our hello: told once, ahead of the welcome that waits. */
        len = recvmsg(media->sock, &msg, MSG_CMSG_CLOEXEC);
    }
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (len <= 0) {
        err = len < 0 ? -errno : -ECONNRESET;
        link_leave(media, err, "the dataplane closed the socket before its welcome");
        return;
    }
    n_fds = take_fds(&msg, fds);
    err = check_welcome(&welcome, len, msg.msg_flags, reason);
    if (err != 0) {
        for (size_t i = 0; i < n_fds; i++) {
            (void)close(fds[i]);
        }
        link_leave(media, err, reason);
        return;
    }
    err = media_map_open(&media->map, &welcome, fds, n_fds, reason);
    if (err == 0) {
        err = media_pump_init(media);
        if (err == 0) {
            err = loop_watch_create(media->loop, &media->bell_watch, media->map.doorbell,
                                    LOOP_READ, on_doorbell, media);
            if (err != 0) {
                media_pump_fini(media);
            }
        } else {
            media_map_close(&media->map);
        }
    }
    if (err != 0) {
        link_leave(media, err, reason);
        return;
    }
    link_attached(media);
}

static void on_socket(void *arg, unsigned events)
{
    struct media *media = arg;
    ssize_t len;
    char byte;

    (void)events;
    if (media->link == LINK_GREETING) {
        on_welcome(media);
        return;
    }
    /* Attached: nothing is said here any more but good-bye. */
    len = recv(media->sock, &byte, sizeof(byte), 0);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    link_leave(media, len > 0 ? -EPROTO : -ECONNRESET,
               len > 0 ? "the dataplane spoke out of turn" : "the dataplane is gone");
}

static int link_greet(struct media *media)
{
    const struct abi_hello hello = {.magic = ABI_MAGIC,
                                    .version = ABI_VERSION,
                                    .pid = (uint32_t)getpid(),
                                    .sizes = abi_sizes_here()};

    media->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (media->sock < 0) {
        return -errno;
    }
    if (connect(media->sock, (const struct sockaddr *)&media->addr, sizeof(media->addr)) !=
        0) {
        return -errno;
    }
    /* One that refuses may have answered and closed before this: its words are still to be
     * read. */
    if (send(media->sock, &hello, sizeof(hello), MSG_NOSIGNAL) < 0 && errno != EPIPE &&
        errno != ECONNRESET) {
        return -errno;
    }
    return loop_watch_create(media->loop, &media->sock_watch, media->sock, LOOP_READ,
                             on_socket, media);
}

static void link_try(struct media *media)
{
    int err = link_greet(media);

    if (err != 0) {
        link_leave(media, err, "cannot connect to the dataplane's socket");
        return;
    }
    media->link = LINK_GREETING;
    loop_timer_start(media->timer, MEDIA_GREETING_MS, 0);
}

static void on_timer(void *arg)
{
    struct media *media = arg;

    if (media->link == LINK_GREETING) {
        link_leave(media, -ETIMEDOUT, "the dataplane does not answer the greeting");
    } else if (media->link == LINK_AWAY) {
        link_try(media);
    }
}

int media_create(struct media **out, const struct media_conf *conf)
{
    struct media *media;
    int err;

    if (strlen(conf->socket) >= sizeof(media->addr.sun_path)) {
        return -ENAMETOOLONG;
    }
    media = calloc(1, sizeof(*media));
    if (media == NULL) {
        return -ENOMEM;
    }
    media->loop = conf->loop;
    media->addr.sun_family = AF_UNIX;
    (void)snprintf(media->addr.sun_path, sizeof(media->addr.sun_path), "%s", conf->socket);
    media->sock = -1;
    media->retry_ms = MEDIA_RETRY_MIN_MS;
    media->status.err = -ENOTCONN;
    /* answers to a control before us may still lie in the rings: none shall fit */
    entropy_fill(&media->cmds.next_tag, sizeof(media->cmds.next_tag));
    err = loop_timer_create(media->loop, &media->timer, on_timer, media);
    if (err != 0) {
        free(media);
        return err;
    }
    *out = media;
    return 0;
}

void media_start(struct media *media, const struct media_ops *ops, void *user)
{
    media->ops = ops;
    media->user = user;
    link_try(media);
}

void media_destroy(struct media *media)
{
    if (media == NULL) {
        return;
    }
    link_close_socket(media);
    if (media->link == LINK_ATTACHED) {
        media->link = LINK_AWAY;
        media_pump_fini(media);
    }
    loop_timer_destroy(media->timer);
    for (int i = 0; i < N_MEDIA_KINDS; i++) {
        media_slots_fini(&media->slots[i]);
    }
    free(media);
}
