/* See attach.h. */
#include "worker/attach.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { HELLO_TIMEOUT_US = 1000000 };

static const char NO_HELLO[] = "no hello came";

static int fill_addr(const char *path, struct sockaddr_un *addr)
{
    *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(addr->sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(addr->sun_path, path, strlen(path) + 1);
    return 0;
}

/* Whether somebody accepts connections on 'addr'. */
static bool is_served(const struct sockaddr_un *addr)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    bool served = fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0;

    if (fd >= 0) {
        (void)close(fd);
    }
    return served;
}

int attach_listen(struct attach *attach, const char *path, char *err, size_t err_cap)
{
    struct sockaddr_un addr;
    int fd;
    int e = fill_addr(path, &addr);

    *attach = (struct attach){.listen_fd = -1};
    if (e != 0) {
        (void)snprintf(err, err_cap, "socket path is longer than %zu characters: %s",
                       sizeof(addr.sun_path) - 1, path);
        return e;
    }
    if (is_served(&addr)) {
        (void)snprintf(err, err_cap,
                       "another kcs-dataplane serves %s: stop it, or set 'socket' in the "
                       "configuration to another path",
                       path);
        return -EADDRINUSE;
    }
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        e = -errno;
        goto fail;
    }
    (void)unlink(path);
    /* 0660: the group decides who may be control */
    if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0 ||
        chmod(path, 0660) != 0 || listen(fd, ATTACH_GUESTS) != 0) {
        e = -errno;
        (void)close(fd);
        goto fail;
    }
    attach->listen_fd = fd;
    return 0;
fail:
    (void)snprintf(err, err_cap,
                   "cannot listen on %s: %s (mkdir -p its directory, or run "
                   "as a user who may write there)",
                   path, strerror(-e));
    return e;
}

static void refuse(int fd, int status, const char *reason)
{
    struct abi_welcome welcome = {.magic = ABI_MAGIC,
                                  .version = ABI_VERSION,
                                  .status = status,
                                  .pid = (uint32_t)getpid()};

    (void)snprintf(welcome.reason, sizeof(welcome.reason), "%s", reason);
    (void)send(fd, &welcome, sizeof(welcome), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)close(fd);
}

/* Receives the hello and the descriptor that may come with it. */
static ssize_t receive(int fd, struct abi_hello *hello, int *vault_fd)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int))];
    } ancillary;
    struct iovec iov = {.iov_base = hello, .iov_len = sizeof(*hello)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &ancillary,
                         /* no room for a second one, which nobody would close */
                         .msg_controllen = CMSG_LEN(sizeof(int))};
    ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    struct cmsghdr *cmsg = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL;

    *vault_fd = -1;
    if (cmsg != NULL && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS &&
        cmsg->cmsg_len == CMSG_LEN(sizeof(int))) {
        memcpy(vault_fd, CMSG_DATA(cmsg), sizeof(int));
    }
    return n;
}

/* Why this hello is refused, or 0. */
static int judge(const struct abi_hello *hello, ssize_t n, bool attached,
                 const char **reason)
{
    struct abi_sizes sizes = abi_sizes_here();

    if (attached) {
        *reason = "another kcs-control is attached to this dataplane";
        return -EBUSY;
    }
    if (n != sizeof(*hello) || hello->magic != ABI_MAGIC) {
        *reason = "that was no hello of a kcs-control";
        return -EPROTO;
    }
    if (hello->version != ABI_VERSION ||
        memcmp(&hello->sizes, &sizes, sizeof(sizes)) != 0) {
        *reason = "control and dataplane are of different versions: install both from one "
                  "build";
        return -EPROTO;
    }
    return 0;
}

static void forget(struct attach *attach, unsigned i)
{
    attach->n--;
    memmove(&attach->guests[i], &attach->guests[i + 1],
            (attach->n - i) * sizeof(attach->guests[0]));
}

/* Whoever waits to be let in becomes a guest, in the place of the one who has said nothing
 * for longest if need be. */
static void receive_guests(struct attach *attach, uint64_t now_us)
{
    for (unsigned i = 0; i < ATTACH_GUESTS; i++) {
        int fd = accept4(attach->listen_fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0) {
            return;
        }
        if (attach->n == ATTACH_GUESTS) {
            refuse(attach->guests[0].fd, -ETIMEDOUT, NO_HELLO);
            forget(attach, 0);
        }
        attach->guests[attach->n++] =
            (struct attach_guest){.fd = fd, .until_us = now_us + HELLO_TIMEOUT_US};
    }
}

/* Returns -EAGAIN while the guest may still say something; else it is none any more. */
static int hear(struct attach *attach, unsigned i, bool attached, uint64_t now_us,
                int *vault_fd)
{
    const struct attach_guest guest = attach->guests[i];
    struct abi_hello hello = {.magic = 0};
    const char *reason = NO_HELLO;
    /* Its hello is read in any case: to close with bytes unread would reset the connection,
     * and the reason of a refusal would not be heard. */
    ssize_t n = receive(guest.fd, &hello, vault_fd);
    int err = n < 0 ? -errno : judge(&hello, n, attached, &reason);

    if (err == -EAGAIN && now_us < guest.until_us) {
        return -EAGAIN;
    }
    forget(attach, i);
    if (err == 0) {
        return guest.fd;
    }
    err = err == -EAGAIN ? -ETIMEDOUT : err;
    if (*vault_fd >= 0) {
        (void)close(*vault_fd);
        *vault_fd = -1;
    }
    refuse(guest.fd, err, reason);
    return err;
}

int attach_accept(struct attach *attach, bool attached, uint64_t now_us, int *vault_fd)
{
    *vault_fd = -1;
    receive_guests(attach, now_us);
    for (unsigned i = 0; i < attach->n; i++) {
        int fd = hear(attach, i, attached, now_us, vault_fd);

        if (fd != -EAGAIN) {
            return fd;
        }
    }
    return -EAGAIN;
}

unsigned attach_fds(const struct attach *attach, struct pollfd fds[ATTACH_FDS])
{
    fds[0] = (struct pollfd){.fd = attach->listen_fd, .events = POLLIN};
    for (unsigned i = 0; i < attach->n; i++) {
        fds[1 + i] = (struct pollfd){.fd = attach->guests[i].fd, .events = POLLIN};
    }
    return 1 + attach->n;
}

int attach_timeout_ms(const struct attach *attach, uint64_t now_us)
{
    if (attach->n == 0) {
        return -1;
    }
    if (attach->guests[0].until_us <= now_us) {
        return 0;
    }
    return (int)((attach->guests[0].until_us - now_us + 999) / 1000);
}

void attach_close(struct attach *attach)
{
    for (unsigned i = 0; i < attach->n; i++) {
        (void)close(attach->guests[i].fd);
    }
    (void)close(attach->listen_fd);
    *attach = (struct attach){.listen_fd = -1};
}

int attach_welcome(int fd, const struct shared *s)
{
    struct abi_welcome welcome = {.magic = ABI_MAGIC,
                                  .version = ABI_VERSION,
                                  .pid = (uint32_t)getpid(),
                                  .n_lanes = s->n_lanes};
    int fds[ABI_FIXED_FDS + ABI_MAX_LANES] = {s->shm_fd, s->vault_fd, s->streams_fd,
                                              s->control_doorbell};
    size_t n_fds = ABI_FIXED_FDS + (size_t)s->n_lanes;
    union {
        char buf[CMSG_SPACE(sizeof(fds))];
        struct cmsghdr align;
    } ancillary = {.buf = {0}};
    struct iovec iov = {.iov_base = &welcome, .iov_len = sizeof(welcome)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = ancillary.buf,
                         .msg_controllen = CMSG_SPACE(n_fds * sizeof(int))};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

    for (uint32_t i = 0; i < s->n_lanes; i++) {
        fds[ABI_FIXED_FDS + i] = s->lanes[i].doorbell;
    }
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
    memcpy(CMSG_DATA(cmsg), fds, n_fds * sizeof(int));
    return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(welcome) ? 0 : -errno;
}

bool attach_stays(int fd)
{
    char bye = 0;

    if (recv(fd, &bye, sizeof(bye), MSG_DONTWAIT) >= 0 || errno != EAGAIN) {
        return false;
    }
    (void)send(fd, &bye, sizeof(bye), MSG_NOSIGNAL | MSG_DONTWAIT);
    return recv(fd, &bye, sizeof(bye), MSG_DONTWAIT) <= 0;
}
