/* attach: who may attach, and what comes over with the welcome. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/attach.h"

enum { NOW_US = 1000 };

struct fixture {
    char dir[32];
    char path[64];
    char err[256];
    struct shared shared;
    struct attach attach;
};

static void setup(struct fixture *f)
{
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/kcs-attach-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/dp.sock", f->dir);
    assert_int_equal(shared_init(&f->shared, 1, 4, 4, 4, 0), 0);
    assert_int_equal(attach_listen(&f->attach, f->path, f->err, sizeof(f->err)), 0);
}

static void teardown(struct fixture *f)
{
    attach_close(&f->attach);
    (void)unlink(f->path);
    assert_int_equal(rmdir(f->dir), 0);
    shared_fini(&f->shared, false);
}

static int dial(const struct fixture *f)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", f->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

static struct abi_hello hello(void)
{
    return (struct abi_hello){.magic = ABI_MAGIC,
                              .version = ABI_VERSION,
                              .pid = (uint32_t)getpid(),
                              .sizes = abi_sizes_here()};
}

/* Sends 'len' bytes of a hello; returns what accept said. */
static int try_hello(struct fixture *f, const struct abi_hello *h, size_t len,
                     bool attached, struct abi_welcome *answer)
{
    int fd = dial(f);
    int vault_fd;
    int got;

    assert_int_equal(send(fd, h, len, 0), len);
    got = attach_accept(&f->attach, attached, NOW_US, &vault_fd);
    memset(answer, 0, sizeof(*answer));
    if (got < 0) {
        assert_int_equal(recv(fd, answer, sizeof(*answer), 0), sizeof(*answer));
        assert_int_equal(answer->status, got);
        assert_non_null(memchr(answer->reason, '\0', sizeof(answer->reason)));
        assert_true(answer->reason[0] != '\0');
    } else {
        (void)close(got);
    }
    (void)close(fd);
    return got;
}

static void only_who_fits_is_let_in(void **state)
{
    struct fixture f;
    struct abi_welcome answer;
    struct abi_hello h = hello();
    (void)state;

    setup(&f);
    assert_true(try_hello(&f, &h, sizeof(h), false, &answer) >= 0);
    assert_int_equal(try_hello(&f, &h, sizeof(h), true, &answer), -EBUSY);
    h.magic ^= 1;
    assert_int_equal(try_hello(&f, &h, sizeof(h), false, &answer), -EPROTO);
    h = hello();
    h.version++;
    assert_int_equal(try_hello(&f, &h, sizeof(h), false, &answer), -EPROTO);
    h = hello();
    h.sizes.vault_peer++;
    assert_int_equal(try_hello(&f, &h, sizeof(h), false, &answer), -EPROTO);
    h = hello();
    assert_int_equal(try_hello(&f, &h, sizeof(h) - 4, false, &answer), -EPROTO);
    teardown(&f);
}

static unsigned open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        n++;
    }
    (void)closedir(dir);
    return n;
}

static void descriptors_beyond_the_one_are_not_kept(void **state)
{
    enum { MANY = 50 };
    struct fixture f;
    struct abi_hello h = hello();
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(MANY * sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = &h, .iov_len = sizeof(h)};
    unsigned before;
    int fd, got, vault_fd;
    (void)state;

    setup(&f);
    before = open_files();
    for (unsigned n = 1; n <= MANY; n += 7) {
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(n * sizeof(int))};

        memset(&control, 0, sizeof(control));
        control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(n * sizeof(int)),
                                        .cmsg_level = SOL_SOCKET,
                                        .cmsg_type = SCM_RIGHTS};
        for (unsigned i = 0; i < n; i++) {
            memcpy(CMSG_DATA(&control.head) + i * sizeof(int), &f.attach.listen_fd, sizeof(int));
        }
        fd = dial(&f);
        assert_int_equal(sendmsg(fd, &msg, 0), sizeof(h));
        got = attach_accept(&f.attach, false, NOW_US, &vault_fd);
        assert_true(got >= 0 && vault_fd >= 0);
        (void)close(got);
        (void)close(vault_fd);
        (void)close(fd);
    }
    assert_int_equal(open_files(), before);
    teardown(&f);
}

static void the_welcome_brings_every_descriptor(void **state)
{
    struct fixture f;
    struct abi_hello h = hello();
    struct abi_welcome welcome;
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(16 * sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = &welcome, .iov_len = sizeof(welcome)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    struct cmsghdr *head;
    int fds[ABI_FIXED_FDS + 1];
    int ours;
    int theirs;
    int vault_fd;
    (void)state;

    setup(&f);
    ours = dial(&f);
    assert_int_equal(send(ours, &h, sizeof(h), 0), sizeof(h));
    theirs = attach_accept(&f.attach, false, NOW_US, &vault_fd);
    assert_true(theirs >= 0);
    assert_int_equal(attach_welcome(theirs, &f.shared), 0);
    assert_int_equal(recvmsg(ours, &msg, 0), sizeof(welcome));
    assert_int_equal(welcome.magic, ABI_MAGIC);
    assert_int_equal(welcome.status, 0);
    assert_int_equal(welcome.n_lanes, 1);
    head = CMSG_FIRSTHDR(&msg);
    assert_non_null(head);
    assert_int_equal(head->cmsg_type, SCM_RIGHTS);
    assert_int_equal(head->cmsg_len, CMSG_LEN(sizeof(fds)));
    memcpy(fds, CMSG_DATA(head), sizeof(fds));
    assert_true((fcntl(fds[0], F_GET_SEALS) & F_SEAL_SHRINK) != 0);
    assert_true((fcntl(fds[1], F_GET_SEALS) & F_SEAL_SHRINK) != 0);
    assert_true((fcntl(fds[2], F_GET_SEALS) & F_SEAL_FUTURE_WRITE) != 0);
    assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[2], 0) ==
                MAP_FAILED);
    for (unsigned i = 0; i < ABI_FIXED_FDS + 1; i++) {
        (void)close(fds[i]);
    }
    (void)close(ours);
    (void)close(theirs);
    teardown(&f);
}

static void a_served_socket_is_not_taken_and_a_dead_one_is(void **state)
{
    struct fixture f;
    char err[256] = "";
    struct attach other;
    (void)state;

    setup(&f);
    assert_int_equal(attach_listen(&other, f.path, err, sizeof(err)), -EADDRINUSE);
    assert_true(err[0] != '\0');
    attach_close(&f.attach); /* the file stays, as after a crash */
    assert_int_equal(attach_listen(&f.attach, f.path, err, sizeof(err)), 0);
    assert_true(attach_listen(&other, "/nowhere/at/all.sock", err, sizeof(err)) < 0);
    teardown(&f);
}

/* Whoever connects and says nothing costs nobody any time: it may stay for its second, or
 * until there are too many. */
static void who_says_nothing_is_not_waited_for(void **state)
{
    enum { SECOND_US = 1000000 };
    struct fixture f;
    struct abi_hello h = hello();
    struct abi_welcome answer;
    struct pollfd fds[ATTACH_FDS];
    int silent[ATTACH_GUESTS + 4];
    unsigned before;
    int vault_fd;
    (void)state;

    setup(&f);
    before = open_files();
    assert_int_equal(attach_timeout_ms(&f.attach, NOW_US), -1);
    for (unsigned i = 0; i < ATTACH_GUESTS + 4; i++) {
        silent[i] = dial(&f);
        assert_int_equal(attach_accept(&f.attach, false, NOW_US + i, &vault_fd), -EAGAIN);
    }
    assert_int_equal(attach_fds(&f.attach, fds), ATTACH_FDS);
    for (unsigned i = 0; i < 4; i++) { /* the first ones had to go */
        assert_int_equal(recv(silent[i], &answer, sizeof(answer), 0), sizeof(answer));
        assert_int_equal(answer.status, -ETIMEDOUT);
    }
    assert_true(try_hello(&f, &h, sizeof(h), false, &answer) >= 0);
    assert_int_equal(try_hello(&f, &h, sizeof(h), true, &answer), -EBUSY);
    h.version++;
    assert_int_equal(try_hello(&f, &h, sizeof(h), false, &answer), -EPROTO);
    h.version--;

    /* who was slow is let in, others have their second */
    assert_int_equal(send(silent[10], &h, sizeof(h), 0), sizeof(h));
    assert_int_equal(attach_timeout_ms(&f.attach, NOW_US), 1001);
    silent[0] = attach_accept(&f.attach, false, NOW_US + SECOND_US, &vault_fd);
    assert_true(silent[0] >= 0);
    assert_int_equal(attach_accept(&f.attach, false, NOW_US + SECOND_US, &vault_fd),
                     -EAGAIN);
    while (f.attach.n > 0) {
        assert_int_equal(
            attach_accept(&f.attach, false, NOW_US + 2 * SECOND_US, &vault_fd), -ETIMEDOUT);
    }
    for (unsigned i = 0; i < ATTACH_GUESTS + 4; i++) {
        (void)close(silent[i]);
    }
    assert_int_equal(open_files(), before + 1); /* silent[0] was one of ours */
    teardown(&f);
}

static void who_ends_hears_whether_the_other_has_ended(void **state)
{
    int fds[2];
    char byte;
    (void)state;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    assert_true(attach_stays(fds[0])); /* and the other hears it */
    assert_false(attach_stays(fds[1]));
    (void)close(fds[0]);
    (void)close(fds[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    assert_true(attach_stays(fds[0]));
    assert_int_equal(recv(fds[1], &byte, 1, MSG_DONTWAIT), 1);
    (void)close(fds[1]); /* only its answer */
    assert_false(attach_stays(fds[0]));
    (void)close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_who_fits_is_let_in),
        cmocka_unit_test(descriptors_beyond_the_one_are_not_kept),
        cmocka_unit_test(the_welcome_brings_every_descriptor),
        cmocka_unit_test(who_ends_hears_whether_the_other_has_ended),
        cmocka_unit_test(who_says_nothing_is_not_waited_for),
        cmocka_unit_test(a_served_socket_is_not_taken_and_a_dead_one_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
