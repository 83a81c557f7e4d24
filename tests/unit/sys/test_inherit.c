/* A socket that a supervisor holds is taken by its address, once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/inherit.h"

enum { FIRST_FD = 3 }; /* sd_listen_fds(3) */

/* Puts a socket on a free port of 127.0.0.1 where a supervisor puts its first. */
static struct sockaddr_in hold(bool listens)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_true(!listens || listen(fd, 1) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    if (fd != FIRST_FD) {
        assert_int_equal(dup2(fd, FIRST_FD), FIRST_FD);
        (void)close(fd);
    }
    return at;
}

static void announce(long pid, const char *n)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%ld", pid);
    assert_int_equal(setenv("LISTEN_PID", text, 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", n, 1), 0);
}

static void what_is_for_others_or_nothing_is_not_taken(void **state)
{
    struct sockaddr_in at = hold(false);
    (void)state;

    announce(getpid(), "1");
    assert_int_equal(inherit_socket((struct sockaddr *)&at), -1); /* does not listen */
    assert_int_equal(listen(FIRST_FD, 1), 0);
    announce((long)getpid() + 1, "1");
    assert_int_equal(inherit_socket((struct sockaddr *)&at), -1);
    announce(getpid(), "0");
    assert_int_equal(inherit_socket((struct sockaddr *)&at), -1);
    announce(getpid(), "-5");
    assert_int_equal(inherit_socket((struct sockaddr *)&at), -1);
    announce(getpid(), "2000000000");
    assert_int_equal(inherit_socket((struct sockaddr *)&at), -1);
    (void)close(FIRST_FD);
}

static void it_is_taken_by_its_address_once(void **state)
{
    struct sockaddr_in at = hold(true), other = at;
    (void)state;

    announce(getpid(), "1");
    other.sin_port = (in_port_t)(at.sin_port ^ 1);
    assert_int_equal(inherit_socket((struct sockaddr *)&other), -1);
    other = at;
    other.sin_addr.s_addr = htonl(INADDR_ANY);
    assert_int_equal(inherit_socket((struct sockaddr *)&other), -1);
    assert_int_equal(inherit_socket((struct sockaddr *)&at), FIRST_FD);
    assert_true((fcntl(FIRST_FD, F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(FIRST_FD, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(inherit_socket((struct sockaddr *)&at), -1);
    (void)close(FIRST_FD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_for_others_or_nothing_is_not_taken),
        cmocka_unit_test(it_is_taken_by_its_address_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
