#include "kcsctl/admin.h"

#include <curl/curl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kcsctl/kcsctl.h"

enum { ADMIN_MAX = 64 << 20, ADMIN_TIMEOUT_S = 10, ADMIN_ORDER_S = 600 };

struct answer {
    char *text;
    size_t len;
};

static size_t on_body(char *text, size_t size, size_t n, void *user)
{
    struct answer *answer = (struct answer *)user;
    size_t len = size * n;
    char *grown;

    if (len > ADMIN_MAX - answer->len) {
        return 0;
    }
    grown = realloc(answer->text, answer->len + len + 1);
    if (grown == NULL) {
        return 0;
    }
    memcpy(grown + answer->len, text, len);
    answer->text = grown;
    answer->len += len;
    return len;
}

/* Turns a finished HTTP exchange into 'data'. */
static int judge(const struct answer *answer, const char *path, long status, json_t **data,
                 char *err, size_t cap)
{
    json_t *root =
        json_loadb(answer->text != NULL ? answer->text : "", answer->len, 0, NULL);
    json_t *value = json_object_get(root, "data");
    const char *message = json_string_value(json_object_get(root, "message"));
    int ret = EXIT_FAILED;

    if (status == 200 && value != NULL) {
        *data = json_incref(value);
        ret = EXIT_OK;
    } else if (status == 200) {
        snprintf(err, cap,
                 "the answer to %s is not of kcs-control: check what listens on the socket",
                 path);
    } else {
        snprintf(err, cap, "kcs-control answered %ld to %s%s%s", status, path,
                 message != NULL ? ": " : "", message != NULL ? message : "");
    }
    json_decref(root);
    return ret;
}

static int ask(const char *socket, const char *path, const char *body, json_t **data,
               char *err, size_t cap)
{
    struct answer answer = {0};
    CURL *curl = curl_easy_init();
    char url[512];
    long status = 0, os_errno = 0;
    int ret = EXIT_FAILED;
    CURLcode code;

    if (curl == NULL) {
        snprintf(err, cap, "no memory");
        return EXIT_FAILED;
    }
    snprintf(url, sizeof(url), "http://localhost%s", path);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*"); /* a proxy has no way to this socket */
    curl_easy_setopt(curl, CURLOPT_TIMEOUT,
                     (long)(body != NULL ? ADMIN_ORDER_S : ADMIN_TIMEOUT_S));
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_errno);
    if (code == CURLE_OK) {
        ret = judge(&answer, path, status, data, err, cap);
    } else if (code == CURLE_WRITE_ERROR) {
        snprintf(err, cap, "the answer to %s is larger than %d MiB", path, ADMIN_MAX >> 20);
    } else {
        ret = EXIT_UNREACHABLE;
        snprintf(err, cap,
                 "no node answers on %s (%s): start one with tools/run, or name its socket "
                 "with --socket",
                 socket,
                 os_errno != 0 ? strerror((int)os_errno) : curl_easy_strerror(code));
    }
    curl_easy_cleanup(curl);
    free(answer.text);
    return ret;
}

int admin_get(const char *socket, const char *path, json_t **data, char *err, size_t cap)
{
    return ask(socket, path, NULL, data, err, cap);
}

int admin_post(const char *socket, const char *path, const char *body, json_t **data,
               char *err, size_t cap)
{
    return ask(socket, path, body, data, err, cap);
}
