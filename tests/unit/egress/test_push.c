/* A live stream sent to a server: ffmpeg is the server, and what it has written is looked
 * at. No wait is without a bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <netdb.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "egress/out/push.h"
#include "egress/out/resolve.h"
#include "film.h"

enum { WAIT_S = 20, SLACK_MS = 1000 };

static atomic_uint resolver_s; /* that the resolver takes */

int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **res);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **res);

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **res)
{
    (void)sleep(resolver_s);
    return __real_getaddrinfo(node, service, hints, res);
}

struct world {
    struct film film;
    struct push *push;
    char url[96];
    unsigned port;
    pid_t server;
    int64_t at, sample;
};

static void on_packet(void *arg, enum encoder_kind kind, const struct AVPacket *packet)
{
    struct world *w = arg;

    if (w->push != NULL) {
        push_put(w->push, kind, packet);
    }
}

/* One that nobody listens on; it may be listened on at once. */
static unsigned free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)close(fd);
    return ntohs(at.sin_port);
}

static void setup(struct world *w)
{
    memset(w, 0, sizeof(*w));
    film_setup(&w->film, "/tmp/kcs-push.XXXXXX");
    film_begin(&w->film, on_packet, w);
    w->port = free_port();
    (void)snprintf(w->url, sizeof(w->url), "rtmp://127.0.0.1:%u/live/secret", w->port);
}

static void teardown(struct world *w)
{
    push_close(w->push);
    encoder_destroy(w->film.encoder);
    film_teardown(&w->film);
}

static void serve(struct world *w, const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "%s/%s", w->film.directory, name);
    w->server = fork();
    if (w->server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* whatever becomes of the test */
        (void)execlp("ffmpeg", "ffmpeg", "-v", "error", "-nostdin", "-analyzeduration",
                     "100000", "-listen", "1", "-i", w->url, "-c", "copy", "-f", "flv",
                     path, NULL);
        _exit(127);
    }
    assert_true(w->server > 0);
}

static void pause_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&pause, NULL);
}

/* One picture more, when it is due, and the sound of it. */
static void live_on(struct world *w)
{
    static const float silence[ENCODER_SAMPLES];

    w->sample =
        film_shoot(&w->film, w->at, "id", "Ann", w->at % FPS == 0, silence, w->sample);
    w->at++;
    pause_ms(1000 / FPS);
}

static struct push_figures figures_of(const struct world *w)
{
    struct push_figures figures;

    push_figures(w->push, &figures);
    return figures;
}

/* Goes on as in a meeting, until it has been 'more' seconds in that state. */
static void live_until(struct world *w, enum push_state state, int more)
{
    int left = WAIT_S * FPS;

    for (int after = more * FPS; after > 0; left--) {
        assert_true(left > 0);
        live_on(w);
        after -= figures_of(w).state == state;
    }
}

/* The server has ended, or does: told so, ffmpeg looks at it when the next packet comes. */
static void await_end(struct world *w)
{
    int left = WAIT_S * FPS;

    while (waitpid(w->server, NULL, WNOHANG) == 0) {
        if (left-- == 0) {
            (void)kill(w->server, SIGKILL);
            fail_msg("the server does not end");
        }
        live_on(w);
    }
    w->server = 0;
}

/* How long push_close() takes, in ms. */
static int64_t close_ms(struct world *w)
{
    struct timespec before, after;

    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    push_close(w->push);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    w->push = NULL;
    return (after.tv_sec - before.tv_sec) * 1000 +
           (after.tv_nsec - before.tv_nsec) / 1000000;
}

/* Pictures in that file, all of which have to be such that they can be decoded. */
static int pictures_in(const struct world *w, const char *name)
{
    char command[512];
    int n = -1;
    FILE *pipe;

    (void)snprintf(command, sizeof(command),
                   "cd %s && test -z \"$(timeout 20 ffmpeg -v warning -nostdin -i %s "
                   "-f null - 2>&1)\" && timeout 20 ffprobe -v error -count_frames "
                   "-select_streams v -show_entries stream=nb_read_frames -of csv=p=0 %s",
                   w->film.directory, name, name);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%d", &n), 1);
    (void)pclose(pipe);
    return n;
}

static void what_is_pushed_arrives_and_again_when_the_server_was_away(void **state)
{
    struct world w;
    int n;
    (void)state;

    setup(&w);
    serve(&w, "one.flv");
    assert_int_equal(push_open(&w.push, w.url, w.film.encoder, true, ""), 0);
    live_until(&w, PUSH_CONNECTED, 2);
    assert_int_equal(kill(w.server, SIGTERM), 0);
    await_end(&w);
    n = pictures_in(&w, "one.flv");
    assert_in_range(n, FPS, 5 * FPS);
    live_until(&w, PUSH_AWAY, 1);
    assert_string_not_equal(figures_of(&w).reason, "");
    assert_null(strstr(figures_of(&w).reason, "secret"));
    serve(&w, "two.flv");
    live_until(&w, PUSH_CONNECTED, 2);
    assert_true(figures_of(&w).bytes > 0);
    assert_true(close_ms(&w) < PUSH_CLOSE_MS + SLACK_MS);
    await_end(&w); /* it was told of the end */
    n = pictures_in(&w, "two.flv");
    assert_in_range(n, FPS, 5 * FPS);
    teardown(&w);
}

/* Whatever it is called. */
static void this_machine_is_not_connected_to(void **state)
{
    static const char *const hosts[] = {
        "127.0.0.1", "localhost", "2130706433",      "0x7f.1",    "[::1]",
        "0.0.0.0",   "10.0.0.1",  "169.254.169.254", "[fe80::1]", "[::ffff:127.0.0.1]"};
    (void)state;

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
        struct world w;
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);

        setup(&w);
        at.sin6_port = htons((uint16_t)w.port);
        assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){0}, sizeof(int)),
                         0);
        assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
        assert_int_equal(listen(fd, 1), 0);
        (void)snprintf(w.url, sizeof(w.url), "rtmp://%s:%u/live/secret", hosts[i], w.port);
        assert_int_equal(push_open(&w.push, w.url, w.film.encoder, false, ""), 0);
        for (int n = 0; n < 1000 && figures_of(&w).state == PUSH_AWAY; n++) {
            pause_ms(10);
        }
        assert_int_equal(figures_of(&w).state, PUSH_REFUSED);
        assert_int_equal(accept(fd, NULL, NULL), -1); /* nobody has come */
        (void)close(fd);
        teardown(&w);
    }
}

/* A server that takes the connection and says nothing holds nobody up. */
static void a_silent_server_is_left(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct world w;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)state;

    setup(&w);
    at.sin_port = htons((uint16_t)w.port);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(push_open(&w.push, w.url, w.film.encoder, true, ""), 0);
    live_until(&w, PUSH_AWAY, 1);
    assert_true(close_ms(&w) < PUSH_CLOSE_MS + SLACK_MS);
    (void)close(fd);
    teardown(&w);
}

/* Nor does one that stops in the middle: more than its buffers hold is on its way. */
static void a_server_that_stops_reading_is_left(void **state)
{
    enum { BYTES = 1 << 20, PACKETS = 40 };
    AVPacket *packet = av_packet_alloc();
    struct world w;
    uint64_t before;
    (void)state;

    setup(&w);
    serve(&w, "one.flv");
    assert_int_equal(push_open(&w.push, w.url, w.film.encoder, true, ""), 0);
    live_until(&w, PUSH_CONNECTED, 1);
    assert_int_equal(kill(w.server, SIGSTOP), 0);
    assert_int_equal(av_new_packet(packet, BYTES), 0);
    memset(packet->data, 0x55, BYTES);
    memcpy(packet->data, "\0\0\0\1\x41", 5); /* a picture, for who does not look closer */
    before = figures_of(&w).bytes;
    for (int i = 0; i < PACKETS; i++) {
        packet->pts = w.at++;
        push_put(w.push, ENCODER_VIDEO, packet);
    }
    av_packet_free(&packet);
    pause_ms(500);
    assert_true(figures_of(&w).bytes - before < (uint64_t)BYTES * PACKETS);
    assert_true(close_ms(&w) < PUSH_CLOSE_MS + SLACK_MS);
    assert_int_equal(kill(w.server, SIGKILL), 0);
    await_end(&w);
    teardown(&w);
}

/* Nor a name server: there is no telling the resolver to give up. */
static void a_slow_resolver_is_left(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    resolver_s = 3;
    assert_int_equal(push_open(&w.push, w.url, w.film.encoder, true, ""), 0);
    pause_ms(100);
    assert_true(close_ms(&w) < PUSH_CLOSE_MS + SLACK_MS);
    pause_ms(3000); /* then the thread ends, and connects to nobody */
    resolver_s = 0;
    teardown(&w);
}

static void a_bad_url_is_refused(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    assert_int_equal(push_open(&w.push, "rtmp://a/live", w.film.encoder, true, ""),
                     -EINVAL);
    assert_null(w.push);
    teardown(&w);
}

/* A server of TLS whose certificate is for 'name'; what it is sent lies in 'got'. */
static void serve_tls(struct world *w, const char *name)
{
    char command[512], port[8], cert[64], key[64], got[64];
    int input[2];

    (void)snprintf(cert, sizeof(cert), "%s/cert", w->film.directory);
    (void)snprintf(key, sizeof(key), "%s/key", w->film.directory);
    (void)snprintf(got, sizeof(got), "%s/got", w->film.directory);
    (void)snprintf(port, sizeof(port), "%u", w->port);
    (void)snprintf(
        command, sizeof(command),
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
        "-days 2 -subj /CN=%s -addext subjectAltName=DNS:%s -keyout %s -out %s "
        "2>/dev/null",
        name, name, key, cert);
    assert_int_equal(system(command), 0);
    w->server = fork();
    if (w->server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* it ends when its input does: this never does */
        if (pipe(input) != 0 || dup2(input[0], 0) != 0) {
            _exit(126);
        }
        (void)freopen(got, "w", stdout);
        (void)freopen("/dev/null", "w", stderr);
        (void)execlp("openssl", "openssl", "s_server", "-quiet", "-accept", port, "-cert",
                     cert, "-key", key, NULL);
        _exit(127);
    }
    assert_true(w->server > 0);
    (void)snprintf(w->url, sizeof(w->url), "rtmps://localhost:%u/live/secret", w->port);
    pause_ms(500);
}

/* How many bytes came in the clear behind TLS, and the first of them. */
static size_t sent_to(const struct world *w, uint8_t *first)
{
    char path[64];
    uint8_t bytes[4096];
    size_t n;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/got", w->film.directory);
    file = fopen(path, "r");
    assert_non_null(file);
    n = fread(bytes, 1, sizeof(bytes), file);
    (void)fclose(file);
    *first = bytes[0];
    return n;
}

static void over(struct world *w)
{
    (void)kill(w->server, SIGKILL);
    assert_int_equal(waitpid(w->server, NULL, 0), w->server);
    teardown(w);
}

/* RTMP's handshake is sent to it: a version, 3, and 1536 bytes. */
static void a_server_of_tls_is_spoken_to_if_its_certificate_is_good(void **state)
{
    char ca[64];
    uint8_t first = 0;
    struct world w;
    (void)state;

    setup(&w);
    serve_tls(&w, "localhost");
    (void)snprintf(ca, sizeof(ca), "%s/cert", w.film.directory);
    assert_int_equal(push_open(&w.push, w.url, w.film.encoder, true, ca), 0);
    for (int i = 0; i < WAIT_S * 10 && sent_to(&w, &first) < 1537; i++) {
        pause_ms(100);
    }
    assert_int_equal(sent_to(&w, &first), 1537);
    assert_int_equal(first, 3);
    over(&w);
}

static void assert_not_spoken_to(const char *name, bool known, bool private)
{
    struct push_figures figures = {.state = PUSH_CONNECTED};
    char ca[64] = "";
    uint8_t first;
    struct world w;

    setup(&w);
    serve_tls(&w, name);
    if (known) {
        (void)snprintf(ca, sizeof(ca), "%s/cert", w.film.directory);
    }
    assert_int_equal(push_open(&w.push, w.url, w.film.encoder, private, ca), 0);
    for (int i = 0; i < WAIT_S * 10 && figures.reason[0] == '\0'; i++) {
        pause_ms(100);
        push_figures(w.push, &figures);
    }
    assert_int_equal(figures.state, private ? PUSH_AWAY : PUSH_REFUSED);
    assert_non_null(strstr(figures.reason, private ? "certificate" : "public Internet"));
    assert_int_equal(sent_to(&w, &first), 0);
    over(&w);
}

static void none_of_another_name_or_authority_is(void **state)
{
    (void)state;
    assert_not_spoken_to("localhost", false, true);
    assert_not_spoken_to("other.example", true, true);
}

static void nor_one_of_this_machine_unless_that_is_allowed(void **state)
{
    struct addrinfo *found = NULL;
    (void)state;

    assert_not_spoken_to("localhost", true, false);
    /* nor if a name stands for it only when libavformat looks */
    resolve_public_only(true);
    assert_int_equal(getaddrinfo("localhost", "443", NULL, &found), EAI_NONAME);
    assert_int_equal(getaddrinfo("192.0.2.1", "443", NULL, &found), EAI_NONAME);
    assert_int_equal(getaddrinfo("8.8.8.8", "443", NULL, &found), 0);
    freeaddrinfo(found);
    resolve_public_only(false);
    assert_int_equal(getaddrinfo("localhost", "443", NULL, &found), 0);
    freeaddrinfo(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_pushed_arrives_and_again_when_the_server_was_away),
        cmocka_unit_test(this_machine_is_not_connected_to),
        cmocka_unit_test(a_silent_server_is_left),
        cmocka_unit_test(a_server_that_stops_reading_is_left),
        cmocka_unit_test(a_slow_resolver_is_left),
        cmocka_unit_test(a_bad_url_is_refused),
        cmocka_unit_test(a_server_of_tls_is_spoken_to_if_its_certificate_is_good),
        cmocka_unit_test(none_of_another_name_or_authority_is),
        cmocka_unit_test(nor_one_of_this_machine_unless_that_is_allowed),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
