#include "sys/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/loop.h"

struct child {
    pid_t pid;
    int pidfd;
    struct loop_watch *watch;
    void (*ended)(void *arg, int status);
    void *arg;
};

extern char **environ;

static void free_child(struct child *child)
{
    loop_watch_destroy(child->watch);
    if (child->pidfd >= 0) {
        (void)close(child->pidfd);
    }
    free(child);
}

static void on_end(void *arg, unsigned events)
{
    struct child *child = arg;
    void (*ended)(void *arg, int status) = child->ended;
    void *ended_arg = child->arg;
    int status = 0;

    (void)events;
    if (waitpid(child->pid, &status, WNOHANG) == 0) {
        return;
    }
    free_child(child);
    ended(ended_arg, WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
}

/* High copies first: a descriptor that lies where another is to go would be lost. */
static int spawn(struct child *child, char *const argv[], const int *fds, size_t n)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    int copies[CHILD_FDS];
    size_t made = 0;
    int err = 0;

    for (; made < n && err == 0; made++) {
        copies[made] = fcntl(fds[made], F_DUPFD_CLOEXEC, 64);
        err = copies[made] < 0 ? errno : 0;
    }
    (void)sigemptyset(&none);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, 0, 1);
    for (size_t i = 0; i < n && err == 0; i++) {
        err = posix_spawn_file_actions_adddup2(&actions, copies[i], 3 + (int)i);
    }
    /* ours are all close-on-exec, but libraries' may not be */
    (void)posix_spawn_file_actions_addclosefrom_np(&actions, 3 + (int)n);
    if (err == 0) {
        err = posix_spawn(&child->pid, argv[0], &actions, &attr, argv, environ);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attr);
    for (size_t i = 0; i < made; i++) {
        if (copies[i] >= 0) {
            (void)close(copies[i]);
        }
    }
    return -err;
}

int child_start(struct child **out, struct loop *loop, char *const argv[], const int *fds,
                size_t n, void (*ended)(void *arg, int status), void *arg)
{
    struct child *child = n <= CHILD_FDS ? calloc(1, sizeof(*child)) : NULL;
    int err;

    if (child == NULL) {
        return -ENOMEM;
    }
    child->pidfd = -1;
    child->ended = ended;
    child->arg = arg;
    err = spawn(child, argv, fds, n);
    if (err != 0) {
        free(child);
        return err;
    }
    child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    err = child->pidfd >= 0 ? loop_watch_create(loop, &child->watch, child->pidfd,
                                                LOOP_READ, on_end, child)
                            : -errno;
    if (err != 0) { /* one that nobody watches must not stay */
        (void)kill(child->pid, SIGKILL);
        (void)waitpid(child->pid, NULL, 0);
        free_child(child);
        return err;
    }
    *out = child;
    return 0;
}

void child_kill(const struct child *child, int signum)
{
    (void)kill(child->pid, signum);
}

int child_pid(const struct child *child)
{
    return (int)child->pid;
}

void child_leave(struct child *child)
{
    if (child != NULL) {
        free_child(child);
    }
}
