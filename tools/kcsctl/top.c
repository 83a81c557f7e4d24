/* kcsctl top: what the node does, looked at again and again. A frame is made of two looks,
 * since counters only rise; it is printed like any other answer. */
#include "kcsctl/top.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "kcsctl/admin.h"
#include "kcsctl/kcsctl.h"
#include "kcsctl/lanes.h"
#include "kcsctl/show.h"
#include "kcsctl/table.h"

enum {
    TOP_CLIENTS = 500, /* of more the transports are not asked for: it is much each time */
    TOP_ROWS = 10,     /* of meetings and of transports */
    TOP_INTERVAL_S = 60,
};

static volatile sig_atomic_t over;

/* ---- a frame ---- */

static double number(const json_t *row, const char *key)
{
    return json_number_value(json_object_get(row, key));
}

/* How much 'key' has risen a second; 0 if its process began anew. */
static double rate(const json_t *before, const json_t *now, const char *key, double s)
{
    double rise = number(now, key) - number(before, key);

    return s > 0 && rise > 0 ? rise / s : 0;
}

/* Rounded: what is left of the point is of no use to anybody. */
static void put_rate(json_t *row, const char *key, double value)
{
    json_object_set_new(row, key, json_integer((json_int_t)(value + 0.5)));
}

static double dropped(const json_t *lane)
{
    return (double)(lanes_sum(json_object_get(lane, "dropped_in")) +
                    lanes_sum(json_object_get(lane, "dropped_out")));
}

static json_t *lane_rates(const json_t *before, const json_t *now, double s)
{
    double drops = dropped(now) - dropped(before);
    double cycles = rate(before, now, "cycles", s);
    double packets = rate(before, now, "rx_packets", s) + rate(before, now, "tx_packets", s) +
                     rate(before, now, "handed_tx", s);
    json_t *row = json_object();

    json_object_set(row, "lane", json_object_get(now, "lane"));
    put_rate(row, "busy_percent",
             cycles > 0 ? 100 * rate(before, now, "busy_cycles", s) / cycles : 0);
    put_rate(row, "cycles_per_packet",
             packets > 0 ? rate(before, now, "busy_cycles", s) / packets : 0);
    put_rate(row, "in_packets_per_s", rate(before, now, "rx_packets", s));
    put_rate(row, "in_kbps", rate(before, now, "rx_bytes", s) * 8 / 1000);
    put_rate(row, "out_packets_per_s", rate(before, now, "tx_packets", s));
    put_rate(row, "out_kbps", rate(before, now, "tx_bytes", s) * 8 / 1000);
    put_rate(row, "handed_tx_per_s", rate(before, now, "handed_tx", s));
    put_rate(row, "drops_per_s", s > 0 && drops > 0 ? drops / s : 0);
    json_object_set(row, "peers", json_object_get(now, "peers"));
    json_object_set(row, "streams", json_object_get(now, "streams"));
    json_object_set(row, "subscriptions", json_object_get(now, "subscriptions"));
    return row;
}

static json_t *lanes_of(const json_t *before, const json_t *now, double s)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < json_array_size(now); i++) {
        json_array_append_new(
            rows, lane_rates(json_array_get(before, i), json_array_get(now, i), s));
    }
    return rows;
}

static const json_t *row_with(const json_t *rows, const char *key, const json_t *id)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        if (json_equal(json_object_get(json_array_get(rows, i), key), id)) {
            return json_array_get(rows, i);
        }
    }
    return NULL;
}

static json_t *peer_rates(const json_t *before, const json_t *now, double s)
{
    static const char *const same[] = {"transport_id", "name", "meeting_id", "direction",
                                       "state"};
    json_t *row = json_object();

    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        json_object_set(row, same[i], json_object_get(now, same[i]));
    }
    put_rate(row, "in_kbps", rate(before, now, "rx_bytes", s) * 8 / 1000);
    put_rate(row, "out_kbps", rate(before, now, "tx_bytes", s) * 8 / 1000);
    json_object_set(row, "rtt_ms", json_object_get(now, "rtt_ms"));
    put_rate(row, "lost_per_s", rate(before, now, "twcc_lost", s));
    put_rate(row, "available_kbps", number(now, "available_bps") / 1000);
    json_object_set(row, "queue_ms", json_object_get(now, "queue_ms"));
    return row;
}

static double weight(const json_t *row)
{
    return number(row, "in_kbps") + number(row, "out_kbps") + number(row, "participants");
}

/* Moves the heaviest of 'rows' (moved) into a new list. */
static json_t *heaviest(json_t *rows)
{
    json_t *out = json_array();

    while (json_array_size(rows) > 0 && json_array_size(out) < TOP_ROWS) {
        size_t best = 0;

        for (size_t i = 1; i < json_array_size(rows); i++) {
            if (weight(json_array_get(rows, i)) > weight(json_array_get(rows, best))) {
                best = i;
            }
        }
        json_array_append(out, json_array_get(rows, best));
        json_array_remove(rows, best);
    }
    json_decref(rows);
    return out;
}

static json_t *peers_of(const json_t *before, const json_t *now, double s)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < json_array_size(now); i++) {
        const json_t *peer = json_array_get(now, i);
        const json_t *was =
            row_with(before, "transport_id", json_object_get(peer, "transport_id"));

        if (was != NULL) {
            json_array_append_new(rows, peer_rates(was, peer, s));
        }
    }
    return heaviest(rows);
}

json_t *top_frame(const struct top_look *before, const struct top_look *now)
{
    static const char *const node[] = {"node",    "version",  "started", "rooms",
                                       "participants", "clients", "attached", "not_attached",
                                       "drains_within_s"};
    double s = now->at_s - before->at_s;
    json_t *frame = json_object();

    for (size_t i = 0; i < sizeof(node) / sizeof(node[0]); i++) {
        json_object_set(frame, node[i], json_object_get(now->status, node[i]));
    }
    json_object_set_new(frame, "lanes", lanes_of(before->lanes, now->lanes, s));
    json_object_set_new(frame, "meetings", heaviest(json_copy(now->rooms)));
    json_object_set_new(frame, "transports", peers_of(before->peers, now->peers, s));
    return frame;
}

/* ---- looks ---- */

void top_forget(struct top_look *look)
{
    json_decref(look->status);
    json_decref(look->lanes);
    json_decref(look->rooms);
    json_decref(look->peers);
    *look = (struct top_look){0};
}

static int look_at(const char *socket, struct top_look *look, char *err, size_t cap)
{
    struct timespec t;
    int ret = admin_get(socket, "/status", &look->status, err, cap);

    if (ret == EXIT_OK && json_is_true(json_object_get(look->status, "attached"))) {
        ret = admin_get(socket, "/lanes", &look->lanes, err, cap);
    }
    if (ret == EXIT_OK) {
        ret = admin_get(socket, "/rooms", &look->rooms, err, cap);
    }
    if (ret == EXIT_OK && json_is_true(json_object_get(look->status, "attached")) &&
        number(look->status, "clients") <= TOP_CLIENTS) {
        ret = admin_get(socket, "/peers", &look->peers, err, cap);
    }
    clock_gettime(CLOCK_MONOTONIC, &t);
    look->at_s = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    return ret;
}

/* ---- the screen ---- */

static void on_signal(int number_of_it)
{
    (void)number_of_it;
    over = 1;
}

/* Prints as much of 'text' as the screen has room for, from its top. */
static void put_on_screen(const char *text)
{
    struct winsize size = {0};

    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    if (size.ws_row == 0 || size.ws_col == 0) { /* a serial line, a container: it does not know */
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    }
    fputs("\033[H", stdout);
    for (unsigned row = 1; *text != '\0' && row < size.ws_row; row++) {
        unsigned col = 0;
        bool escape = false; /* its letters take no place */

        for (; *text != '\0' && *text != '\n'; text++) {
            escape = escape || *text == '\033';
            col += !escape && ((unsigned char)*text & 0xc0) != 0x80;
            if (escape || col <= size.ws_col) {
                putchar(*text);
            }
            escape = escape && *text != 'm';
        }
        fputs("\033[K\n", stdout);
        text += *text == '\n';
    }
    fputs("\033[J", stdout);
    fflush(stdout);
}

static int show(const json_t *frame, const struct options *options, bool live)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file;
    int ret;

    if (options->json) {
        json_dumpf(frame, stdout, JSON_COMPACT);
        putchar('\n');
        return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
    }
    if (!live) {
        ret = kcsctl_show(frame, options);
        putchar('\n');
        fflush(stdout);
        return ret;
    }
    file = open_memstream(&text, &len);
    ret = file != NULL && table_print(file, frame, getenv("NO_COLOR") == NULL) == 0
              ? EXIT_OK
              : EXIT_FAILED;
    if (file != NULL && fclose(file) == 0) {
        put_on_screen(text);
    }
    free(text);
    return ret;
}

/* Waits for the next look; true if the user has had enough. */
static bool rest(int64_t seconds, bool keys)
{
    struct pollfd in = {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN};
    char key = 0;

    if (poll(&in, 1, (int)(seconds * 1000)) > 0) {
        return read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q';
    }
    return false;
}

static int run(const struct options *options, int64_t interval_s, long count, bool live,
               bool keys)
{
    struct top_look looks[2] = {{0}};
    char err[512] = "";
    int ret = look_at(options->socket, &looks[0], err, sizeof(err));

    if (ret != EXIT_OK) {
        fprintf(stderr, "kcsctl: %s\n", err);
    }
    for (long i = 0; ret == EXIT_OK && !over && (count == 0 || i < count); i++) {
        if (rest(interval_s, keys) || over) {
            break;
        }
        ret = look_at(options->socket, &looks[1], err, sizeof(err));
        if (ret == EXIT_OK) {
            json_t *frame = top_frame(&looks[0], &looks[1]);

            ret = show(frame, options, live);
            json_decref(frame);
            top_forget(&looks[0]);
            looks[0] = looks[1];
            looks[1] = (struct top_look){0};
        } else if (live) { /* it may come back, and somebody looks at it */
            put_on_screen(err);
            top_forget(&looks[1]);
            ret = EXIT_OK;
        } else {
            fprintf(stderr, "kcsctl: %s\n", err);
        }
    }
    top_forget(&looks[0]);
    top_forget(&looks[1]);
    return ret;
}

int kcsctl_top(const struct command *command, const struct options *options,
               const char *argument)
{
    int64_t interval_s = options->interval != NULL ? kcsctl_seconds(options->interval) : 1;
    long count = options->count != NULL ? kcsctl_count(options->count) : 0;
    bool live = !options->json && isatty(STDOUT_FILENO);
    struct sigaction stop = {.sa_handler = on_signal};
    struct termios before, raw;
    bool keys = live && tcgetattr(STDIN_FILENO, &before) == 0;
    int ret;
    (void)command;
    (void)argument;

    if (interval_s < 1 || interval_s > TOP_INTERVAL_S || count < 0) {
        fprintf(stderr, "kcsctl: --interval is 1s to 60s, --count a number from 1 to %d\n",
                COUNT_MAX);
        return EXIT_USAGE;
    }
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    if (keys) {
        raw = before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    if (live) {
        fputs("\033[?1049h\033[?25l", stdout); /* a screen of its own, without cursor */
    }
    ret = run(options, interval_s, count, live, keys);
    if (live) {
        fputs("\033[?25h\033[?1049l", stdout);
    }
    if (keys) {
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    }
    return ret;
}
