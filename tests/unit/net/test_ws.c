#include "unit/net/fixture.h"

#define HANDSHAKE(path)                                                                    \
    "GET " path " HTTP/1.1\r\nHost: t\r\nConnection: keep-alive, Upgrade\r\n"              \
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                                  \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, FIN = 0x80 };

/* How often the server has written. */
static atomic_int n_writes;

int __real_lws_write(void *wsi, uint8_t *bytes, size_t len, int protocol);
int __wrap_lws_write(void *wsi, uint8_t *bytes, size_t len, int protocol);

int __wrap_lws_write(void *wsi, uint8_t *bytes, size_t len, int protocol)
{
    atomic_fetch_add(&n_writes, 1);
    return __real_lws_write(wsi, bytes, len, protocol);
}

static int setup(void **state)
{
    struct fx *fx = fx_new();

    fx_start(fx);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    fx_free(*state);
    return 0;
}

static void read_handshake(int fd)
{
    struct answer ans = cl_answer(fd, false);

    assert_int_equal(ans.status, 101);
    /* the example of RFC 6455, section 1.3 */
    assert_non_null(strstr(ans.head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    ans_free(&ans);
}

static int ws_connect(struct fx *fx)
{
    int fd = cl_connect(fx);

    cl_say(fd, HANDSHAKE("/ws"));
    read_handshake(fd);
    return fd;
}

/* A client frame, masked; 'first' is opcode and FIN. */
static void ws_frame(int fd, unsigned first, const void *data, size_t len)
{
    uint8_t *frame = malloc(len + 14);
    const uint8_t mask[4] = {1, 2, 3, 4};
    size_t n = 0;

    frame[n++] = (uint8_t)first;
    if (len < 126) {
        frame[n++] = (uint8_t)(0x80 | len);
    } else if (len < 65536) {
        frame[n++] = 0x80 | 126;
        frame[n++] = (uint8_t)(len >> 8);
        frame[n++] = (uint8_t)len;
    } else {
        frame[n++] = 0x80 | 127;
        for (int i = 7; i >= 0; i--) {
            frame[n++] = (uint8_t)((uint64_t)len >> (8 * i));
        }
    }
    memcpy(frame + n, mask, 4);
    n += 4;
    for (size_t i = 0; i < len; i++) {
        frame[n + i] = ((const uint8_t *)data)[i] ^ mask[i % 4];
    }
    send(fd, frame, n + len, MSG_NOSIGNAL);
    free(frame);
}

struct got {
    unsigned first;
    size_t len;
    uint8_t *data;
};

static struct got ws_read(int fd)
{
    struct got got = {0};
    uint8_t head[8];

    cl_read(fd, head, 2);
    got.first = head[0];
    got.len = head[1];
    if (head[1] == 126) {
        cl_read(fd, head, 2);
        got.len = (size_t)head[0] << 8 | head[1];
    } else if (head[1] == 127) {
        cl_read(fd, head, 8);
        got.len = 0;
        for (int i = 0; i < 8; i++) {
            got.len = got.len << 8 | head[i];
        }
    }
    got.data = calloc(1, got.len + 1);
    cl_read(fd, got.data, got.len);
    return got;
}

static void ws_expect(int fd, unsigned first, const void *data, size_t len)
{
    struct got got = ws_read(fd);

    assert_int_equal(got.first, first);
    assert_int_equal(got.len, len);
    assert_memory_equal(got.data, data, len);
    free(got.data);
}

static void ws_expect_close(int fd, unsigned code)
{
    struct got got = ws_read(fd);

    assert_int_equal(got.first, FIN | CLOSE);
    assert_true(got.len >= 2);
    assert_int_equal((unsigned)got.data[0] << 8 | got.data[1], code);
    free(got.data);
}

/* The server has ended the stream, though we have not. */
static void cl_expect_ended(int fd)
{
    uint8_t byte;

    assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

static void messages_of_each_size_are_echoed(void **state)
{
    static const size_t sizes[] = {0, 1, 125, 126, 1023, 1024, 1025, 65535, 65536, 100000};
    int fd = ws_connect(*state);
    char *data = malloc(100000);

    memset(data, 'm', 100000);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        ws_frame(fd, FIN | TEXT, data, sizes[i]);
        ws_expect(fd, FIN | TEXT, data, sizes[i]);
        ws_frame(fd, FIN | BINARY, data, sizes[i]);
        ws_expect(fd, FIN | BINARY, data, sizes[i]);
    }
    free(data);
    close(fd);
}

static void fragments_are_put_together_around_control_frames(void **state)
{
    int fd = ws_connect(*state);

    ws_frame(fd, TEXT, "one ", 4);
    ws_frame(fd, FIN | PING, "p", 1);
    ws_frame(fd, 0, "tw\xc3", 3); /* a character across two fragments */
    ws_frame(fd, FIN | PONG, "\xff", 1);
    ws_frame(fd, 0, "", 0);
    ws_frame(fd, FIN, "\xa9", 1);
    for (int i = 0; i < 2; i++) { /* in any order */
        struct got got = ws_read(fd);

        assert_true(got.first == (FIN | PONG) || got.first == (FIN | TEXT));
        assert_string_equal(got.data, got.first == (FIN | PONG) ? "p" : "one tw\xc3\xa9");
        free(got.data);
    }
    for (int i = 0; i < 300; i++) {
        ws_frame(fd, i == 0 ? BINARY : 0, "0123456789", 10);
    }
    ws_frame(fd, FIN, "end", 3);
    struct got got = ws_read(fd);

    assert_int_equal(got.first, FIN | BINARY);
    assert_int_equal(got.len, 3003);
    free(got.data);
    close(fd);
}

static void byte_by_byte_and_all_at_once_are_the_same(void **state)
{
    static const uint8_t frame[] = {0x81, 0x82, 0, 0, 0, 0, 'o', 'k'};
    int fd = cl_connect(*state);
    uint8_t many[10 * sizeof(frame)];
    char all[1024];
    size_t n;

    for (size_t i = 0; i < sizeof(HANDSHAKE("/ws")) - 1; i++) {
        cl_send(fd, &(HANDSHAKE("/ws")[i]), 1);
    }
    read_handshake(fd);
    for (size_t i = 0; i < sizeof(frame); i++) {
        cl_send(fd, frame + i, 1);
        fx_sleep_ms(2);
    }
    ws_expect(fd, FIN | TEXT, "ok", 2);
    for (int i = 0; i < 10; i++) {
        memcpy(many + (size_t)i * sizeof(frame), frame, sizeof(frame));
    }
    cl_send(fd, many, sizeof(many));
    for (int i = 0; i < 10; i++) {
        ws_expect(fd, FIN | TEXT, "ok", 2);
    }
    close(fd);
    /* and the first frame in one piece with the handshake */
    fd = cl_connect(*state);
    n = sizeof(HANDSHAKE("/ws")) - 1;
    memcpy(all, HANDSHAKE("/ws"), n);
    memcpy(all + n, frame, sizeof(frame));
    cl_send(fd, all, n + sizeof(frame));
    read_handshake(fd);
    ws_expect(fd, FIN | TEXT, "ok", 2);
    close(fd);
}

static void too_long_messages_close_with_1009(void **state)
{
    struct fx *fx = *state;
    char *data = malloc(100001);
    int fd = ws_connect(fx);

    memset(data, 'm', 100001);
    ws_frame(fd, FIN | TEXT, data, 100001);
    ws_expect_close(fd, 1009);
    close(fd);
    fx_wait(&fx->ws_closes, 1);
    assert_int_equal(atomic_load(&fx->last_code), 1009);
    fd = ws_connect(fx);
    ws_frame(fd, BINARY, data, 60000);
    ws_frame(fd, 0, data, 60000);
    ws_expect_close(fd, 1009);
    close(fd);
    fx_wait(&fx->ws_closes, 2);
    free(data);
}

static void broken_text_closes_with_1007_broken_frames_with_1002(void **state)
{
    static const struct {
        unsigned first;
        const char *data;
        size_t len;
        unsigned code;
    } cases[] = {
        {FIN | TEXT, "\xff", 1, 1007},
        {FIN | TEXT, "ok\xed\xa0\x80", 5, 1007}, /* a surrogate */
        {FIN | TEXT, "cut\xe2\x82", 5, 1007},
        {FIN | 0, "x", 1, 1002},           /* nothing to continue */
        {FIN | 3, "x", 1, 1002},           /* reserved opcode */
        {FIN | 0x40 | TEXT, "x", 1, 1002}, /* RSV1 without an extension */
        {0x40 | TEXT, "xyz", 3, 1002},     /* which is also a letter */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = ws_connect(*state);

        ws_frame(fd, cases[i].first, cases[i].data, cases[i].len);
        ws_expect_close(fd, cases[i].code);
        cl_expect_ended(fd);
        close(fd);
    }
}

static void frames_that_are_not_masked_close_with_1002(void **state)
{
    struct fx *fx = *state;

    for (int i = 0; i < 2; i++) {
        int fd = ws_connect(fx);

        if (i > 0) { /* not only as the first */
            ws_frame(fd, FIN | TEXT, "hi", 2);
            ws_expect(fd, FIN | TEXT, "hi", 2);
        }
        cl_send(fd, "\x81\x02hi", 4);
        ws_expect_close(fd, 1002);
        cl_expect_ended(fd);
        close(fd);
        fx_wait(&fx->ws_closes, i + 1);
        assert_int_equal(atomic_load(&fx->last_code), 1002);
    }
}

static void each_of_many_pings_is_answered_in_order(void **state)
{
    static const uint8_t head[] = {0x89, 0x84, 0, 0, 0, 0};
    int fd = ws_connect(*state);
    uint8_t all[300 * 10];

    for (int i = 0; i < 300; i++) { /* in one write */
        memcpy(all + (size_t)i * 10, head, sizeof(head));
        memcpy(all + (size_t)i * 10 + 6, &i, sizeof(i));
    }
    cl_send(fd, all, sizeof(all));
    ws_frame(fd, FIN | TEXT, "then", 4);
    for (int i = 0; i < 300; i++) {
        ws_expect(fd, FIN | PONG, all + (size_t)i * 10 + 6, 4);
    }
    ws_expect(fd, FIN | TEXT, "then", 4);
    close(fd);
}

/* To the library such a connection rests between two requests. */
static void silent_client_is_kept_and_served(void **state)
{
    struct fx *fx = fx_new();
    int silent;
    int good;

    (void)state;
    fx->conf.keepalive_s = 1;
    fx->conf.ws_queue_bytes = 100u << 20;
    fx_start(fx);
    silent = ws_connect(fx);
    fx_sleep_ms(2500); /* longer than it might rest, or take to send a request */
    good = ws_connect(fx);
    ws_frame(good, FIN | TEXT, "flood:300", 9); /* more than its socket takes */
    ws_frame(good, FIN | TEXT, "all:after", 9);
    for (int k = 0; k < 300; k++) {
        struct got got = ws_read(good);

        assert_int_equal(got.len, 65536);
        free(got.data);
    }
    fx_sleep_ms(300);
    for (int k = 0; k < 300; k++) {
        struct got got = ws_read(silent);

        assert_int_equal(got.len, 65536);
        free(got.data);
    }
    ws_expect(silent, FIN | TEXT, "all:after", 9);
    ws_frame(silent, FIN | TEXT, "first", 5);
    ws_expect(silent, FIN | TEXT, "first", 5);
    close(silent);
    close(good);
    fx_free(fx);
}

static uint64_t cpu_us(const struct fx *fx)
{
    struct timespec ts;
    clockid_t clock;

    assert_int_equal(pthread_getcpuclockid(fx->thread, &clock), 0);
    assert_int_equal(clock_gettime(clock, &ts), 0);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static void who_writes_and_does_not_read_costs_no_turns(void **state)
{
    struct fx *fx = *state;
    const struct timeval brief = {.tv_usec = 100000};
    uint8_t frame[8 + 60000] = {0x82, 0xfe, 60000 >> 8, 60000 & 255};
    size_t n = 0;
    size_t off = 0;
    uint64_t before;
    int fd = ws_connect(fx);

    ws_frame(fd, FIN | TEXT, "hi", 2);
    ws_expect(fd, FIN | TEXT, "hi", 2);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof(brief));
    for (;;) { /* until nothing more is taken */
        ssize_t sent = send(fd, frame + off, sizeof(frame) - off, MSG_NOSIGNAL);

        if (sent < 0) {
            break;
        }
        off = (off + (size_t)sent) % sizeof(frame);
        n += off == 0;
        assert_true(n < 10000);
    }
    before = cpu_us(fx);
    fx_sleep_ms(400);
    assert_true(cpu_us(fx) - before < 200000);
    assert_int_equal(atomic_load(&fx->ws_closes), 0);
    for (size_t i = 0; i < n; i++) { /* and nothing is lost */
        struct got got = ws_read(fd);

        assert_int_equal(got.len, 60000);
        free(got.data);
    }
    cl_send(fd, frame + off, off == 0 ? 0 : sizeof(frame) - off);
    ws_frame(fd, FIN | TEXT, "still", 5);
    if (off != 0) {
        free(ws_read(fd).data);
    }
    ws_expect(fd, FIN | TEXT, "still", 5);
    close(fd);
}

static void request_after_the_handshake_ends_it(void **state)
{
    struct fx *fx = *state;
    uint8_t byte;
    int fd = ws_connect(fx);

    cl_say(fd, "GET /a HTTP/1.1\r\nHost: t\r\n\r\n");
    cl_expect_closed(fd);
    close(fd);
    fd = ws_connect(fx);
    cl_say(fd, HANDSHAKE("/ws"));
    cl_expect_closed(fd);
    close(fd);
    fx_wait(&fx->ws_closes, 2);
    fd = cl_connect(fx); /* also while it is closing */
    cl_say(fd, HANDSHAKE("/ws?bye"));
    read_handshake(fd);
    ws_expect_close(fd, 4002);
    cl_say(fd, HANDSHAKE("/ws"));
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
    fx_wait(&fx->ws_closes, 3);
}

static void closing_is_told_to_both_sides(void **state)
{
    struct fx *fx = *state;
    int fd = ws_connect(fx);
    struct got got;

    ws_frame(fd, FIN | TEXT, "last", 4);
    ws_frame(fd, FIN | TEXT, "close", 5);
    ws_expect(fd, FIN | TEXT, "last", 4);
    got = ws_read(fd);
    assert_int_equal(got.first, FIN | CLOSE);
    assert_int_equal(got.len, 5);
    assert_memory_equal(got.data,
                        "\x0f\xa1"
                        "bye",
                        5); /* 4001 */
    ws_frame(fd, FIN | CLOSE, got.data, got.len);
    free(got.data);
    cl_expect_ended(fd);
    close(fd);
    fx_wait(&fx->ws_closes, 1);
    assert_int_equal(atomic_load(&fx->last_code), 4001);

    fd = ws_connect(fx);
    ws_frame(fd, FIN | CLOSE, "\x0b\xb8", 2); /* 3000 */
    ws_expect_close(fd, 3000);
    cl_expect_ended(fd);
    fx_wait(&fx->ws_closes, 2); /* though we do not end our side */
    close(fd);
    fx_wait(&fx->ws_closes, 2);
    assert_int_equal(atomic_load(&fx->last_code), 3000);

    fd = ws_connect(fx);
    close(fd);
    fx_wait(&fx->ws_closes, 3);
    assert_int_equal(atomic_load(&fx->last_code), 1006);
}

static void handshakes_are_refused_with_a_status(void **state)
{
    static const struct {
        const char *text;
        unsigned status;
    } cases[] = {
        {HANDSHAKE("/ws?refuse=401"), 401},
        {HANDSHAKE("/ws?refuse=503"), 503},
        {HANDSHAKE("ws"), 400}, /* a path begins with a slash */
        {"GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
         426},
        {"GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 13\r\n\r\n",
         400},
        {"GET /ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
         400},
        {"GET /ws HTTP/1.0\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
         400},
        {"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
         400},
        {"GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2hvcnQ=\r\n\r\n",
         400},
        {"GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Content-Length: 2\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
         400},
        {"POST /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
         400},
    };
    struct fx *fx = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = cl_connect(fx);
        struct answer ans;

        cl_say(fd, cases[i].text);
        ans = cl_answer(fd, false);
        assert_int_equal(ans.status, cases[i].status);
        assert_int_equal(ans.status == 426,
                         strstr(ans.head, "sec-websocket-version: 13\r\n") != NULL);
        assert_int_equal(ans.status == 426,
                         strstr(ans.head, "upgrade: websocket\r\n") != NULL);
        ans_free(&ans);
        cl_expect_closed(fd);
        close(fd);
    }
    assert_int_equal(atomic_load(&fx->ws_opens), 0);
    assert_int_equal(atomic_load(&fx->ws_closes), 0);
}

static void messages_sent_while_opening_follow_the_handshake(void **state)
{
    struct fx *fx = *state;
    int fd = cl_connect(fx);

    cl_say(fd, HANDSHAKE("/ws?greet&bye"));
    read_handshake(fd);
    ws_expect(fd, FIN | TEXT, "hello", 5);
    ws_expect_close(fd, 4002);
    close(fd);
    fx_wait(&fx->ws_closes, 1);
    assert_int_equal(atomic_load(&fx->last_code), 4002);
}

static void upgrade_follows_requests_on_the_same_connection(void **state)
{
    int fd = cl_connect(*state);

    cl_say(fd, "GET /a HTTP/1.1\r\nHost: t\r\n\r\n");
    cl_expect(fd, 200, "");
    cl_say(fd, HANDSHAKE("/ws"));
    read_handshake(fd);
    ws_frame(fd, FIN | TEXT, "hi", 2);
    ws_expect(fd, FIN | TEXT, "hi", 2);
    close(fd);
}

static void broadcast_reaches_all_of_three_hundred(void **state)
{
    static int fds[300];
    struct fx *fx = *state;

    for (int i = 0; i < 300; i++) {
        fds[i] = ws_connect(fx);
    }
    fx_wait(&fx->ws_opens, 300);
    for (int round = 0; round < 5; round++) {
        ws_frame(fds[round], FIN | TEXT, "all:news", 8);
        for (int i = 0; i < 300; i++) {
            ws_expect(fds[i], FIN | TEXT, "all:news", 8);
        }
    }
    for (int i = 0; i < 300; i++) {
        close(fds[i]);
    }
    fx_wait(&fx->ws_closes, 300);
}

static void what_is_sent_in_a_turn_goes_out_in_one_write_a_socket(void **state)
{
    struct fx *fx = *state;
    int fds[3];
    int before;

    for (int i = 0; i < 3; i++) {
        before = atomic_load(&n_writes);
        fds[i] = cl_connect(fx);
        cl_say(fds[i], HANDSHAKE("/ws?greet"));
        read_handshake(fds[i]);
        ws_expect(fds[i], FIN | TEXT, "hello", 5);
        assert_int_equal(atomic_load(&n_writes) - before, 1);
    }
    before = atomic_load(&n_writes);
    ws_frame(fds[1], FIN | TEXT, "ten:x", 5);
    for (int i = 0; i < 3; i++) {
        for (int n = 0; n < 10; n++) {
            const char text[3] = {(char)('0' + n), ':', 'x'};

            ws_expect(fds[i], FIN | TEXT, text, sizeof(text));
        }
    }
    assert_int_equal(atomic_load(&n_writes) - before, 3);
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
}

static void slow_reader_is_bounded_and_cut_off_others_are_served(void **state)
{
    struct fx *fx = *state;
    int slow = ws_connect(fx);
    int good = ws_connect(fx);

    fx_wait(&fx->ws_opens, 2);
    for (int i = 0; i < 50 && atomic_load(&fx->ws_closes) == 0; i++) {
        ws_frame(good, FIN | TEXT, "flood:8", 7);
        for (int k = 0; k < 8; k++) {
            struct got got = ws_read(good);

            assert_int_equal(got.len, 65536);
            free(got.data);
        }
    }
    fx_wait(&fx->ws_closes, 1);
    assert_int_equal(atomic_load(&fx->last_code), 1008);
    assert_true(atomic_load(&fx->most_queued) <= 1000000);
    assert_int_equal(atomic_load(&fx->send_error), -ENOSPC);
    ws_frame(good, FIN | TEXT, "still", 5);
    ws_expect(good, FIN | TEXT, "still", 5);
    close(slow);
    close(good);
}

static void reader_that_catches_up_gets_everything_in_order(void **state)
{
    struct fx *fx = *state;
    int fd = ws_connect(fx);

    /* more than the socket takes, less than the queue bears */
    ws_frame(fd, FIN | TEXT, "flood:12", 8);
    ws_frame(fd, FIN | TEXT, "all:after", 9);
    fx_sleep_ms(300);
    for (int k = 0; k < 12; k++) {
        struct got got = ws_read(fd);

        assert_int_equal(got.first, FIN | BINARY);
        assert_int_equal(got.len, 65536);
        free(got.data);
    }
    ws_expect(fd, FIN | TEXT, "all:after", 9);
    close(fd);
}

static void destroy_with_open_sockets_tells_each(void **state)
{
    struct fx *fx = fx_new();
    int fds[8];

    (void)state;
    fx_start(fx);
    for (int i = 0; i < 8; i++) {
        fds[i] = ws_connect(fx);
    }
    ws_frame(fds[0], FIN | TEXT, "flood:10", 8); /* with queues not empty */
    fx_sleep_ms(300);
    loop_post(fx->loop, fx_stop_loop, fx->loop);
    pthread_join(fx->thread, NULL);
    net_server_destroy(fx->server);
    fx->server = NULL;
    assert_int_equal(atomic_load(&fx->ws_closes), 8);
    for (int i = 0; i < 8; i++) {
        close(fds[i]);
    }
    fx_free(fx);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(messages_of_each_size_are_echoed),
        T(fragments_are_put_together_around_control_frames),
        T(byte_by_byte_and_all_at_once_are_the_same),
        T(too_long_messages_close_with_1009),
        T(broken_text_closes_with_1007_broken_frames_with_1002),
        T(frames_that_are_not_masked_close_with_1002),
        T(each_of_many_pings_is_answered_in_order),
        cmocka_unit_test(silent_client_is_kept_and_served),
        T(who_writes_and_does_not_read_costs_no_turns),
        T(request_after_the_handshake_ends_it),
        T(closing_is_told_to_both_sides),
        T(handshakes_are_refused_with_a_status),
        T(messages_sent_while_opening_follow_the_handshake),
        T(upgrade_follows_requests_on_the_same_connection),
        T(broadcast_reaches_all_of_three_hundred),
        T(what_is_sent_in_a_turn_goes_out_in_one_write_a_socket),
        T(slow_reader_is_bounded_and_cut_off_others_are_served),
        T(reader_that_catches_up_gets_everything_in_order),
        cmocka_unit_test(destroy_with_open_sockets_tells_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
