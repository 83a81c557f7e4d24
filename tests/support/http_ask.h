/* One HTTP request and its whole answer, over TCP on this host or over a Unix socket. The
 * server may run in the caller's own thread: 'turn' is called while there is nothing to
 * read. Include cmocka.h before. */
#ifndef SUPPORT_HTTP_ASK_H
#define SUPPORT_HTTP_ASK_H

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HTTP_ASK_MAX = 1 << 20, HTTP_ASK_S = 10 };

struct http_answer {
    unsigned status;
    char *head; /* freed by http_free(); ends with the empty line */
    const char *body;
};

static inline int http_connect_port(uint16_t port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static inline int http_connect_unix(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* Asks on 'fd', which is closed. */
static inline struct http_answer http_ask(int fd, const char *method, const char *path,
                                          void (*turn)(void *arg), void *arg)
{
    struct http_answer answer = {.head = calloc(1, HTTP_ASK_MAX)};
    time_t until = time(NULL) + HTTP_ASK_S;
    size_t len = 0;
    ssize_t n = 0;

    assert_non_null(answer.head);
    assert_true(dprintf(fd, "%s %s HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n",
                        method, path) > 0);
    do {
        turn(arg);
        n = recv(fd, answer.head + len, HTTP_ASK_MAX - 1 - len, MSG_DONTWAIT);
        len += n > 0 ? (size_t)n : 0;
        if (time(NULL) > until) {
            fail_msg("no answer to %s %s", method, path);
        }
    } while (n > 0 || (n < 0 && errno == EAGAIN));
    (void)close(fd);
    if (sscanf(answer.head, "HTTP/1.1 %u", &answer.status) != 1) {
        fail_msg("no answer to %s %s: '%s'", method, path, answer.head);
    }
    answer.body = strstr(answer.head, "\r\n\r\n");
    assert_non_null(answer.body);
    answer.body += 4;
    return answer;
}

/* True if the answer has this header line ("allow: GET"). */
static inline int http_has(const struct http_answer *answer, const char *line)
{
    const char *at = strstr(answer->head, line);

    return at != NULL && at < answer->body && at[-1] == '\n' && at[strlen(line)] == '\r';
}

static inline void http_free(struct http_answer *answer)
{
    free(answer->head);
    answer->head = NULL;
}

#endif
