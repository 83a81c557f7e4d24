/* Whatever answers, or does not, on the admin socket becomes an exit code and a line that
 * says what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "kcsctl/admin.h"
#include "kcsctl/kcsctl.h"

static char dir[] = "/tmp/kcs-admin-XXXXXX";
static char path[64];

struct server {
    int fd;
    const char *answer;
    char request[1024];
};

/* Answers one connection, whatever it asks. */
static void *serve(void *user)
{
    struct server *server = (struct server *)user;
    int fd = accept(server->fd, NULL, NULL);
    ssize_t n = read(fd, server->request, sizeof(server->request) - 1);

    server->request[n > 0 ? n : 0] = '\0';
    if (write(fd, server->answer, strlen(server->answer)) < 0) {
        server->request[0] = '\0';
    }
    close(fd);
    return NULL;
}

/* Asks a server that gives 'answer' (a whole HTTP response). Returns admin_get()'s code. */
static int ask(const char *answer, json_t **data, char *err, size_t cap)
{
    struct server server = {.fd = socket(AF_UNIX, SOCK_STREAM, 0), .answer = answer};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pthread_t thread;
    int ret;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_true(server.fd >= 0);
    assert_int_equal(bind(server.fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server.fd, 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve, &server), 0);
    ret = admin_get(path, "/peers", data, err, cap);
    pthread_join(thread, NULL);
    close(server.fd);
    unlink(path);
    assert_memory_equal(server.request, "GET /peers HTTP/1.1\r\n", 21);
    return ret;
}

static void data_of_the_answer_is_returned(void **state)
{
    json_t *data = NULL;
    char err[256] = "";
    (void)state;

    assert_int_equal(ask("HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n"
                         "{\"data\":[{\"a\":1}]}",
                         &data, err, sizeof(err)),
                     EXIT_OK);
    assert_int_equal(json_array_size(data), 1);
    json_decref(data);
}

static void refusal_is_a_failure_with_its_message(void **state)
{
    json_t *data = NULL;
    char err[256] = "";
    (void)state;

    assert_int_equal(ask("HTTP/1.1 503 Unavailable\r\nContent-Length: 35\r\n\r\n"
                         "{\"message\":\"dataplane not attached\"}",
                         &data, err, sizeof(err)),
                     EXIT_FAILED);
    assert_null(data);
    assert_non_null(strstr(err, "answered 503 to /peers"));
}

static void answer_of_a_stranger_is_a_failure(void **state)
{
    json_t *data = NULL;
    char err[256] = "";
    (void)state;

    assert_int_equal(
        ask("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", &data, err, sizeof(err)),
        EXIT_FAILED);
    assert_non_null(strstr(err, "is not of kcs-control"));
    assert_int_equal(
        ask("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", &data, err, sizeof(err)),
        EXIT_FAILED);
}

static void nobody_there_is_unreachable(void **state)
{
    json_t *data = NULL;
    char err[256] = "";
    (void)state;

    assert_int_equal(admin_get(path, "/peers", &data, err, sizeof(err)), EXIT_UNREACHABLE);
    assert_non_null(strstr(err, "start one with tools/run"));
    assert_null(data);
}

static int make_directory(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/admin.sock", dir);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_of_the_answer_is_returned),
        cmocka_unit_test(refusal_is_a_failure_with_its_message),
        cmocka_unit_test(answer_of_a_stranger_is_a_failure),
        cmocka_unit_test(nobody_there_is_unreachable),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
