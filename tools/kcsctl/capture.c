/* kcsctl capture: the packets of one transport into a file, until it is ended. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kcsctl/admin.h"
#include "kcsctl/kcsctl.h"
#include "proto/base64.h"

enum { LOOK_US = 200000, QUERY_MAX = 384 };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* What has been got so far. */
struct got {
    int fd;
    json_int_t packets, missed, bytes;
    char ended[64]; /* why; empty: it goes on */
};

static int post(const struct options *options, const char *path, json_t **data)
{
    char err[512] = "";
    int ret = admin_post(options->socket, path, "", data, err, sizeof(err));

    if (ret != EXIT_OK) {
        fprintf(stderr, "kcsctl: %s\n", err);
    }
    return ret;
}

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno != EINTR) {
            fprintf(stderr, "kcsctl: cannot write the file: %s\n", strerror(errno));
            return EXIT_FAILED;
        }
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return EXIT_OK;
}

/* Writes what an answer brings. */
static int take_answer(const json_t *data, struct got *got)
{
    const json_t *text = json_object_get(data, "pcapng");
    const char *ended = json_string_value(json_object_get(data, "ended"));
    size_t len = json_string_length(text);
    uint8_t *bytes = malloc(base64_decoded_max(len) + 1);
    int ret = EXIT_FAILED;

    if (bytes == NULL || text == NULL ||
        base64_decode(json_string_value(text), len, bytes, &len) != 0) {
        fprintf(stderr, "kcsctl: the node's answer is not one of a capture\n");
    } else {
        ret = write_all(got->fd, bytes, len);
        got->bytes += (json_int_t)len;
    }
    free(bytes);
    got->packets = json_integer_value(json_object_get(data, "packets"));
    got->missed = json_integer_value(json_object_get(data, "missed"));
    (void)snprintf(got->ended, sizeof(got->ended), "%s", ended != NULL ? ended : "");
    return ret;
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Takes until it has ended, which a signal or the time sees to. */
static int follow(const struct options *options, json_int_t number, int64_t until_ms,
                  struct got *got)
{
    char path[QUERY_MAX];
    bool stopped = false;
    int ret = EXIT_OK;

    while (ret == EXIT_OK && got->ended[0] == '\0') {
        json_t *data = NULL;
        bool more;

        if (!stopped && (interrupted || (until_ms != 0 && now_ms() >= until_ms))) {
            (void)snprintf(path, sizeof(path),
                           "/capture/stop?capture=%" JSON_INTEGER_FORMAT, number);
            ret = post(options, path, &data);
            json_decref(data);
            stopped = true;
            continue;
        }
        (void)snprintf(path, sizeof(path), "/capture/take?capture=%" JSON_INTEGER_FORMAT,
                       number);
        ret = post(options, path, &data);
        if (ret == EXIT_OK) {
            ret = take_answer(data, got);
        }
        more = json_is_true(json_object_get(data, "more"));
        json_decref(data);
        if (ret == EXIT_OK && got->ended[0] == '\0' && !more && !stopped) {
            (void)usleep(LOOK_US);
        }
    }
    return ret;
}

/* What was got cannot be kept: the node is not to go on until it has missed us, opening what is
 * nobody's and refusing others. We have said why; whether it hears that is another matter. */
static void give_up(const struct options *options, json_int_t number)
{
    char path[QUERY_MAX], err[512] = "";
    json_t *data = NULL;

    (void)snprintf(path, sizeof(path), "/capture/stop?capture=%" JSON_INTEGER_FORMAT, number);
    (void)admin_post(options->socket, path, "", &data, err, sizeof(err));
    json_decref(data);
}

static int summarize(const struct options *options, const char *file, const struct got *got)
{
    if (options->json) {
        json_t *sum = json_pack("{s:s, s:I, s:I, s:I, s:s}", "file", file, "packets",
                                got->packets, "missed", got->missed, "bytes", got->bytes,
                                "ended", got->ended);

        (void)json_dumpf(sum, stdout, JSON_COMPACT);
        (void)putchar('\n');
        json_decref(sum);
    } else {
        printf("%" JSON_INTEGER_FORMAT " packets in %s, %" JSON_INTEGER_FORMAT
               " missed: %s\n",
               got->packets, file, got->missed, got->ended);
    }
    return strcmp(got->ended, "the dataplane is gone") == 0 ||
                   strcmp(got->ended, "the audit could not be written") == 0
               ? EXIT_FAILED
               : EXIT_OK;
}

/* Begins; the node's number of it is stored. 'packets' is 0 if there is no most of them. */
static int begin(const struct options *options, const char *transport, long packets,
                 json_int_t *number)
{
    char path[QUERY_MAX];
    json_t *data = NULL;
    int len, ret;

    len = snprintf(path, sizeof(path), "/capture?transport=%s%s", transport,
                   options->decrypted ? "&decrypted=1" : "");
    if (packets > 0) {
        (void)snprintf(path + len, sizeof(path) - (size_t)len, "&count=%ld", packets);
    }
    ret = post(options, path, &data);
    *number = json_integer_value(json_object_get(data, "capture"));
    json_decref(data);
    return ret;
}

static bool is_id(const char *text)
{
    return text[0] != '\0' && strlen(text) < QUERY_MAX / 4 &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789_-.")] == '\0';
}

int kcsctl_capture(const struct command *command, const struct options *options,
                   const char *argument)
{
    const struct sigaction act = {.sa_handler = on_signal};
    const bool by_option = options->peer != NULL; /* then the file comes first */
    const char *transport = by_option ? options->peer : argument;
    const char *file = by_option ? (options->n_rest == 0 ? argument : NULL)
                                 : (options->n_rest == 1 ? options->rest[0] : NULL);
    long packets = options->count != NULL ? kcsctl_count(options->count) : 0;
    int64_t seconds = options->time != NULL ? kcsctl_seconds(options->time) : 0;
    struct got got = {.fd = -1};
    json_int_t number = 0;
    int ret;
    (void)command;

    if (file == NULL || !is_id(transport) || seconds < 0 || packets < 0) {
        fprintf(stderr, "kcsctl: capture TRANSPORT FILE, or --peer TRANSPORT FILE: an id of "
                        "kcsctl peers, a new file, --count a number from 1 to %d, --time as "
                        "30s\n",
                COUNT_MAX);
        return EXIT_USAGE;
    }
    got.fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (got.fd < 0) {
        fprintf(stderr, "kcsctl: cannot make %s: %s\n", file, strerror(errno));
        return EXIT_FAILED;
    }
    (void)sigaction(SIGINT, &act, NULL);
    (void)sigaction(SIGTERM, &act, NULL);
    ret = begin(options, transport, packets, &number);
    if (ret != EXIT_OK) {
        (void)unlink(file);
    } else {
        ret = follow(options, number, seconds > 0 ? now_ms() + 1000 * seconds : 0, &got);
        if (ret != EXIT_OK) {
            give_up(options, number);
        }
    }
    if (close(got.fd) != 0 && ret == EXIT_OK) {
        fprintf(stderr, "kcsctl: cannot write %s: %s\n", file, strerror(errno));
        ret = EXIT_FAILED;
    }
    return ret == EXIT_OK ? summarize(options, file, &got) : ret;
}
