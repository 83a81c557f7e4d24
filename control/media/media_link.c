#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "media/media_priv.h"
#include "sys/clock.h"
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

static void forget_pid(struct media *media)
{
    if (media->pidfd >= 0) {
        (void)close(media->pidfd);
    }
    media->pidfd = -1;
}

/* True if the dataplane that we were attached to is known to be dead. */
static bool is_dead(const struct media *media)
{
    struct pollfd pfd = {.fd = media->pidfd, .events = POLLIN};

    return media->pidfd >= 0 && poll(&pfd, 1, 0) == 1;
}

/* Nobody comes for the vault: all is lost. */
static void give_up(struct media *media, const char *why)
{
    log_warn("media_lost", LOG_STR("reason", why));
    media_recover_abandon(media);
    media->alone = media->alone && is_dead(media);
    media_recover_fini(media);
    forget_pid(media);
    if (media->ops->on_detached != NULL) {
        media->ops->on_detached(media->user);
    }
}

static void retry_later(struct media *media)
{
    uint64_t most_ms = media->alive ? MEDIA_RETRY_KEPT_MS : MEDIA_RETRY_MAX_MS;

    loop_timer_start(media->timer, media->retry_ms, 0);
    media->retry_ms *= 2;
    if (media->retry_ms > most_ms) {
        media->retry_ms = most_ms;
    }
}

static void link_leave(struct media *media, int err, const char *reason)
{
    bool was_attached = media->link == LINK_ATTACHED;
    bool news = was_attached || media->status.err != err;

    link_close_socket(media);
    if (was_attached) {
        media_pump_events(media); /* its last answers count */
    }
    media->link = LINK_AWAY;
    media->status.attached = false;
    media->status.err = err;
    (void)snprintf(media->status.reason, sizeof(media->status.reason), "%s", reason);
    if (news) { /* attempts that fail as the one before are not worth a line */
        log_warn(was_attached ? "dataplane_lost" : "dataplane_not_attached",
                 LOG_STR("error", strerror(-err)), LOG_STR("reason", reason));
    }
    retry_later(media);
    if (was_attached) {
        media_capture_lost(media, HANDLE_NONE, -ECONNRESET);
        media_recover_suspend(media);
        media->patience_us = clock_mono_us() + media->patience_ms * UINT64_C(1000);
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

/* The process at the other end, to know its death by; -1 if the kernel cannot tell. */
static int pidfd_of(int sock)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 || cred.pid <= 0) {
        return -1;
    }
    return (int)syscall(SYS_pidfd_open, cred.pid, 0);
}

/* fresh: the owner must look at what there is. */
static void link_attached(struct media *media, bool fresh)
{
    loop_timer_stop(media->timer);
    media->link = LINK_ATTACHED;
    media->alone = false;
    forget_pid(media);
    media->pidfd = pidfd_of(media->sock);
    media->retry_ms = MEDIA_RETRY_MIN_MS;
    media->status = (struct media_status){.attached = true};
    media->counts.attaches++;
    log_info("dataplane_attached", LOG_U64("pid", media->map.info.pid),
             LOG_U64("lanes", media->map.info.n_lanes),
             LOG_STR("backend", media->map.info.backend), LOG_U64("resumed", !fresh),
             LOG_U64("adopted", media->counts.adopted));
    if (!fresh) {
        media_recover_resume(media);
    } else {
        media_recover_close_leftovers(media);
        if (media->ops->on_attached != NULL) {
            media->ops->on_attached(media->user);
        }
    }
    if (media->link == LINK_ATTACHED) {
        media_pump(media); /* sets the flags for which doorbells ring */
    }
}

static bool same_memory(int a, int b)
{
    struct stat x, y;

    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

/* Goes on with our own vault in the hands of another dataplane. */
static int link_resume(struct media *media, struct media_map *map)
{
    struct media_map old = media->map;
    int err;

    media->map = *map;
    err = media_lanes_resume(media);
    if (err == 0) {
        err = loop_watch_create(media->loop, &media->bell_watch, map->doorbell, LOOP_READ,
                                on_doorbell, media);
    }
    if (err != 0) {
        media->map = old;
        media_map_close(map);
        return err;
    }
    media_map_close(&old);
    media->counts.resumes++;
    link_attached(media, false);
    return 0;
}

/* Takes what came with the welcome. */
static int link_take(struct media *media, const struct abi_welcome *welcome, const int *fds,
                     size_t n_fds, char reason[104])
{
    struct media_map map;
    int err = media_map_open(&map, welcome, fds, n_fds, reason);

    if (err != 0) {
        return err;
    }
    if (media->alive && same_memory(map.vault_fd, media->map.vault_fd)) {
        return link_resume(media, &map);
    }
    if (media->alive) {
        media->alone = true;
        give_up(media, "the dataplane has another vault");
    }
    media->map = map;
    err = media_recover_init(media);
    if (err != 0) {
        media_map_close(&media->map);
        return err;
    }
    err = loop_watch_create(media->loop, &media->bell_watch, media->map.doorbell, LOOP_READ,
                            on_doorbell, media);
    if (err != 0) {
        media_recover_fini(media);
        return err;
    }
    link_attached(media, true);
    return 0;
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
        media->alone = media->alive; /* who refuses has not kept it */
        for (size_t i = 0; i < n_fds; i++) {
            (void)close(fds[i]);
        }
        link_leave(media, err, reason);
        return;
    }
    err = link_take(media, &welcome, fds, n_fds, reason);
    if (err != 0) {
        link_leave(media, err, reason);
        return;
    }
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
    media->alone = true; /* it is dead, or done with the vault */
    link_leave(media, -ECONNRESET, "the dataplane is gone");
}

/* Sends the hello, with the vault if we have kept one. */
static int send_hello(struct media *media)
{
    struct abi_hello hello = {.magic = ABI_MAGIC,
                              .version = ABI_VERSION,
                              .pid = (uint32_t)getpid(),
                              .has_vault = media->alive,
                              .sizes = abi_sizes_here()};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec iov = {.iov_base = &hello, .iov_len = sizeof(hello)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (media->alive) {
        struct cmsghdr *c;

        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &media->map.vault_fd, sizeof(int));
    }
    if (sendmsg(media->sock, &msg, MSG_NOSIGNAL) < 0) {
        return -errno;
    }
    media->alone = false;
    return 0;
}

static int link_greet(struct media *media)
{
    int err;

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
    err = send_hello(media);
    if (err != 0 && err != -EPIPE && err != -ECONNRESET) {
        return err;
    }
    return loop_watch_create(media->loop, &media->sock_watch, media->sock, LOOP_READ,
                             on_socket, media);
}

static void link_try(struct media *media)
{
    int err;

    if (media->alive && !is_dead(media)) {
        retry_later(media); /* two dataplanes on one vault would use indexes twice */
        return;
    }
    err = link_greet(media);
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

    if (media->alive && clock_mono_us() >= media->patience_us) {
        give_up(media, "no dataplane came back in time");
    }
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
    media->patience_ms = conf->patience_ms != 0 ? conf->patience_ms : MEDIA_PATIENCE_MS;
    media->addr.sun_family = AF_UNIX;
    (void)snprintf(media->addr.sun_path, sizeof(media->addr.sun_path), "%s", conf->socket);
    media->sock = -1;
    media->pidfd = -1;
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

/* Whether the dataplane is gone, or has said good-bye; else we say it. Of two that end at once
 * at least one hears the other. That it hangs up afterwards is only its answer. */
static bool is_last(const struct media *media)
{
    char bye = 0;
    ssize_t n = recv(media->sock, &bye, sizeof(bye), MSG_DONTWAIT);

    if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
        return true;
    }
    (void)send(media->sock, &bye, sizeof(bye), MSG_NOSIGNAL | MSG_DONTWAIT);
    return recv(media->sock, &bye, sizeof(bye), MSG_DONTWAIT) > 0;
}

void media_let_go(struct media *media)
{
    media->capture.ops = NULL;
    if (media->link == LINK_ATTACHED) {
        media->alone = is_last(media);
    }
    link_close_socket(media);
    media->link = LINK_AWAY;
    media->status.attached = false;
    if (media->timer != NULL) {
        loop_timer_stop(media->timer);
    }
    if (media->alive) {
        media_recover_fini(media);
    }
}

void media_destroy(struct media *media)
{
    if (media == NULL) {
        return;
    }
    media_let_go(media);
    forget_pid(media);
    loop_timer_destroy(media->timer);
    for (int i = 0; i < N_MEDIA_KINDS; i++) {
        media_slots_fini(&media->slots[i]);
    }
    free(media);
}
