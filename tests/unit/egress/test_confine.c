/* What kcs-egress has taken from itself is refused: to a process like it, and to its
 * threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "egress/confine.h"

static char directory[] = "/tmp/kcs-confine.XXXXXX";

/* Runs what a process tries once it is confined; it returns 0, or the number of its line.
 */
static void confined_as(bool calls, int (*tries)(void))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(confine(directory, calls, NULL) != 0 ? 255 : tries() % 255);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != 0) {
        fail_msg("line %d (modulo 255)", WEXITSTATUS(status));
    }
}

static void confined(int (*tries)(void))
{
    confined_as(false, tries);
}

#define MUST(cond_)                                                                        \
    do {                                                                                   \
        if (!(cond_)) {                                                                    \
            return __LINE__;                                                               \
        }                                                                                  \
    } while (0)

#define REFUSED(call_, errno_) MUST((errno = 0, (long)(call_)) == -1 && errno == (errno_))

static int reach_out(void)
{
    int pair[2];

    for (int family = AF_UNIX; family < AF_MAX; family++) {
        REFUSED(socket(family, SOCK_STREAM, 0), EPERM);
    }
    REFUSED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), EPERM);
    REFUSED(connect(0, NULL, 0), EPERM);
    return 0;
}

/* Of what pushes: a stream and a name server, and nothing on this machine or below IP. */
static int call(void)
{
    int fd;

    for (int family = AF_UNIX; family < AF_MAX; family++) {
        if (family != AF_INET && family != AF_INET6) {
            REFUSED(socket(family, SOCK_STREAM, 0), EPERM);
        }
    }
    REFUSED(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM);
    REFUSED(socket(AF_INET, SOCK_SEQPACKET, 0), EPERM);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0 && close(fd) == 0);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);
    MUST(fd >= 0);
    REFUSED(bind(fd, NULL, 0), EPERM);
    REFUSED(listen(fd, 1), EPERM);
    MUST(close(fd) == 0);
    fd = open("/etc/nsswitch.conf", O_RDONLY | O_CLOEXEC);
    MUST((fd >= 0 && close(fd) == 0) || errno == ENOENT);
    REFUSED(open("/etc/passwd", O_RDONLY | O_CLOEXEC), EACCES);
    REFUSED(kill(getppid(), SIGKILL), EPERM);
    return 0;
}

/* Of a process that had them all, if root runs this. */
static int look_at_rights(void)
{
    char text[4096], *at;
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    unsigned long long left = 0;
    ssize_t n;

    MUST(fd >= 0);
    n = read(fd, text, sizeof(text) - 1);
    MUST(n > 0 && close(fd) == 0);
    text[n] = '\0';
#ifdef CONFINE_LEAKS
    left = 1 << 19; /* CAP_SYS_PTRACE, if there was any */
#endif
    for (const char *const *name =
             (const char *const[]){"CapInh:", "CapPrm:", "CapEff:", "CapAmb:", NULL};
         *name != NULL; name++) {
        at = strstr(text, *name);
        MUST(at != NULL && (strtoull(at + 7, NULL, 16) & ~left) == 0);
    }
    MUST(geteuid() != 0 || strstr(text, "CapBnd:\t0000000000000000\n") != NULL);
    MUST(strstr(text, "NoNewPrivs:\t1\n") != NULL);
    return 0;
}

static int start_programs(void)
{
    char program[] = "/bin/true";
    char *argv[] = {program, NULL};

    REFUSED(execve(program, argv, NULL), EPERM);
    REFUSED(syscall(SYS_execveat, AT_FDCWD, program, argv, NULL, 0), EPERM);
#ifndef CONFINE_LEAKS
    REFUSED(fork(), EPERM);
#endif
    REFUSED(syscall(SYS_clone3, NULL, 0), ENOSYS);
    return 0;
}

static int touch_others(void)
{
    struct rlimit none = {0, 0};
    char bytes[8];

    REFUSED(kill(getppid(), SIGKILL), EPERM);
    REFUSED(syscall(SYS_pidfd_open, getppid(), 0), EPERM);
    REFUSED(syscall(SYS_process_vm_readv, getppid(), bytes, 1, bytes, 1, 0), EPERM);
    REFUSED(setpriority(PRIO_PROCESS, 0, -1), EPERM);
    REFUSED(setuid(0), EPERM);
    REFUSED(unshare(0x10000000), EPERM); /* CLONE_NEWUSER */
    REFUSED(syscall(SYS_bpf, 0, NULL, 0), EPERM);
    REFUSED(syscall(SYS_io_uring_setup, 1, bytes), EPERM);
#ifndef CONFINE_LEAKS
    REFUSED(syscall(SYS_ptrace, 16, getppid(), 0, 0), EPERM); /* PTRACE_ATTACH */
    REFUSED(setrlimit(RLIMIT_CORE, &none), EPERM);
#endif
    (void)none;
    return 0;
}

static int make_code(void)
{
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    MUST(page != MAP_FAILED);
    REFUSED(mprotect(page, 4096, PROT_READ | PROT_EXEC), EPERM);
    REFUSED(mmap(NULL, 4096, PROT_EXEC | PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            EPERM);
    MUST(mprotect(page, 4096, PROT_READ) == 0);
    MUST(munmap(page, 4096) == 0);
    return 0;
}

/* Its own can be made, read, renamed and taken away, no other even be read. */
static int use_files(void)
{
    char path[64], other[64];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/file", directory);
    (void)snprintf(other, sizeof(other), "%s/other", directory);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    MUST(fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0 && close(fd) == 0);
    MUST(rename(path, other) == 0);
    fd = open(other, O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0 && close(fd) == 0);
    MUST(unlink(other) == 0);
    fd = open("/usr/share/fonts", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MUST((fd >= 0 && close(fd) == 0) || errno == ENOENT);
    REFUSED(open("/usr/share/kcs-confine", O_WRONLY | O_CREAT | O_CLOEXEC, 0640), EACCES);
    REFUSED(open("/etc/passwd", O_RDONLY | O_CLOEXEC), EACCES);
    REFUSED(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC), EACCES);
    (void)snprintf(path, sizeof(path), "%s/../kcs-confine.other", directory);
    REFUSED(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640), EACCES);
    REFUSED(symlink("/etc/passwd", other), EPERM);
    REFUSED(link("/etc/passwd", other), EPERM);
    REFUSED(chmod(directory, 0777), EPERM);
    return 0;
}

static void *in_a_thread(void *arg)
{
    *(int *)arg = reach_out();
    return NULL;
}

static int use_threads(void)
{
    int line = -1;
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, in_a_thread, &line) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    return line;
}

/* Of our own bugs it dies, as any other does. */
static int die(void)
{
    abort();
}

static void nothing_can_be_connected_to(void **state)
{
    (void)state;
    confined(reach_out);
}

static void what_pushes_connects_and_can_do_no_more(void **state)
{
    (void)state;
    confined_as(true, call);
}

static void no_program_can_be_started(void **state)
{
    (void)state;
    confined(start_programs);
}

static void no_other_process_nor_the_kernel_can_be_touched(void **state)
{
    (void)state;
    confined(touch_others);
}

static void no_code_can_be_made(void **state)
{
    (void)state;
    confined(make_code);
}

static void only_its_own_files_are_there(void **state)
{
    (void)state;
    confined(use_files);
}

static void threads_can_be_made_and_are_confined_too(void **state)
{
    (void)state;
    confined(use_threads);
}

static void what_aborts_dies(void **state)
{
    int status;
    pid_t pid = fork();
    (void)state;

    if (pid == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        _exit(confine(directory, false, NULL) != 0 ? 255 : die());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void no_capability_is_left(void **state)
{
    (void)state;
    confined(look_at_rights);
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int take_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_can_be_connected_to),
        cmocka_unit_test(what_pushes_connects_and_can_do_no_more),
        cmocka_unit_test(no_program_can_be_started),
        cmocka_unit_test(no_other_process_nor_the_kernel_can_be_touched),
        cmocka_unit_test(no_code_can_be_made),
        cmocka_unit_test(only_its_own_files_are_there),
        cmocka_unit_test(threads_can_be_made_and_are_confined_too),
        cmocka_unit_test(what_aborts_dies),
        cmocka_unit_test(no_capability_is_left),
    };

    return cmocka_run_group_tests(tests, make_directory, take_directory);
}
