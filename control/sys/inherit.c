#include "sys/inherit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_FD = 3, MOST = 32 };

static bool is_same(const struct sockaddr_storage *a, const struct sockaddr *b)
{
    if (a->ss_family != b->sa_family) {
        return false;
    }
    if (b->sa_family == AF_INET) {
        const struct sockaddr_in *x = (const struct sockaddr_in *)a;
        const struct sockaddr_in *y = (const struct sockaddr_in *)b;

        return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
    }
    if (b->sa_family == AF_INET6) {
        const struct sockaddr_in6 *x = (const struct sockaddr_in6 *)a;
        const struct sockaddr_in6 *y = (const struct sockaddr_in6 *)b;

        return x->sin6_port == y->sin6_port &&
               memcmp(&x->sin6_addr, &y->sin6_addr, sizeof(x->sin6_addr)) == 0;
    }
    return b->sa_family == AF_UNIX &&
           strcmp(((const struct sockaddr_un *)a)->sun_path,
                  ((const struct sockaddr_un *)b)->sun_path) == 0;
}

/* How many there are, from FIRST_FD on. */
static int n_inherited(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *fds = getenv("LISTEN_FDS");
    long n = fds != NULL ? strtol(fds, NULL, 10) : 0;

    return pid != NULL && strtol(pid, NULL, 10) == (long)getpid() && n > 0 && n <= MOST
               ? (int)n
               : 0;
}

int inherit_socket(const struct sockaddr *address)
{
    static bool given[MOST];
    int n = n_inherited();

    for (int i = 0; i < n; i++) {
        struct sockaddr_storage bound = {.ss_family = AF_UNSPEC};
        socklen_t size = sizeof(bound) - 1; /* a path ends with a NUL */
        int fd = FIRST_FD + i;
        int listens = 0;
        socklen_t int_size = sizeof(listens);

        if (!given[i] &&
            getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &int_size) == 0 &&
            listens && getsockname(fd, (struct sockaddr *)&bound, &size) == 0 &&
            is_same(&bound, address)) {
            given[i] = true;
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
            (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
            return fd;
        }
    }
    return -1;
}
