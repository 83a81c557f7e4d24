/* Clients of HTTP/2 that ask and do not take, frame by frame; time is the test's. */
#include "unit/net/fixture.h"

#include <signal.h>

#include <openssl/ssl.h>

enum {
    DATA = 0,
    HEADERS = 1,
    RST_STREAM = 3,
    SETTINGS = 4,
    WINDOW_UPDATE = 8,
    END_STREAM = 1,
    END_HEADERS = 4,
    REFUSED_STREAM = 7,
    CANCEL = 8,
    ENHANCE_YOUR_CALM = 11,
    FRAME_HEAD = 9,
    FRAME_MAX = 16384,
    MINUTE_US = 60000000,
};

static atomic_uint_least64_t later_us;

uint64_t __real_clock_mono_us(void);
uint64_t __wrap_clock_mono_us(void);

uint64_t __wrap_clock_mono_us(void)
{
    return __real_clock_mono_us() + atomic_load(&later_us);
}

static int teardown(void **state)
{
    fx_free(*state);
    return 0;
}

static struct fx *serve(void **state)
{
    static char cert[128], key[128];
    struct fx *fx = fx_new();
    char cmd[512];

    *state = fx;
    (void)snprintf(cert, sizeof(cert), "%s/cert.pem", fx->dir);
    (void)snprintf(key, sizeof(key), "%s/key.pem", fx->dir);
    (void)snprintf(cmd, sizeof(cmd),
                   "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
                   "-days 2 -subj /CN=t -keyout %s -out %s 2>/dev/null",
                   key, cert);
    assert_int_equal(system(cmd), 0);
    fx->listen[0].tls = true;
    fx->conf.tls_cert = cert;
    fx->conf.tls_key = key;
    fx->conf.header_s = fx->conf.body_s = fx->conf.keepalive_s = 100000; /* they do not
                                                                          * end it */
    fx_start(fx);
    return fx;
}

/* ---- a client ---- */

struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
};

struct frame {
    uint8_t type, flags;
    uint32_t id;
    size_t len;
    uint8_t payload[FRAME_MAX];
};

static void put32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void say(const struct client *c, uint8_t type, uint8_t flags, uint32_t id,
                const void *payload, size_t len)
{
    uint8_t out[FRAME_HEAD + 256] = {0, 0, (uint8_t)len, type, flags};

    assert_true(len < 256);
    put32(out + 5, id);
    if (len > 0) {
        memcpy(out + FRAME_HEAD, payload, len);
    }
    assert_int_equal(SSL_write(c->ssl, out, (int)(FRAME_HEAD + len)), FRAME_HEAD + len);
}

static void widen(const struct client *c, uint32_t id, uint32_t by)
{
    uint8_t payload[4];

    put32(payload, by);
    say(c, WINDOW_UPDATE, 0, id, payload, 4);
}

/* HPACK (RFC 7541): names of the static table, values as they are. */
static void ask(const struct client *c, uint32_t id, const char *method, const char *path,
                bool whole)
{
    char block[200] = "\x87\x01\x01t\x02";
    size_t n = 5;

    block[n++] = (char)strlen(method);
    n += (size_t)sprintf(block + n, "%s%c%c%s", method, 4, (char)strlen(path), path);
    say(c, HEADERS, END_HEADERS | (whole ? END_STREAM : 0), id, block, n);
}

/* window  each stream's, at first; receive  the socket's buffer, 0: as it is */
static struct client join(const struct fx *fx, uint32_t window, int receive)
{
    static const unsigned char h2[] = "\x02h2";
    const struct timeval patience = {.tv_sec = 10};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(net_server_port(fx->server, 0)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct client c = {.ctx = SSL_CTX_new(TLS_client_method()),
                       .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    uint8_t settings[6] = {0, 4}; /* SETTINGS_INITIAL_WINDOW_SIZE */

    if (receive > 0) {
        setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof(receive));
    }
    setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(c.fd, (struct sockaddr *)&to, sizeof(to)), 0);
    c.ssl = SSL_new(c.ctx);
    assert_int_equal(SSL_set_fd(c.ssl, c.fd), 1);
    assert_int_equal(SSL_set_alpn_protos(c.ssl, h2, 3), 0);
    assert_int_equal(SSL_connect(c.ssl), 1);
    assert_int_equal(SSL_write(c.ssl, preface, sizeof(preface) - 1), sizeof(preface) - 1);
    put32(settings + 2, window);
    say(&c, SETTINGS, 0, 0, settings, sizeof(settings));
    return c;
}

static void leave(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    close(c->fd);
}

static void hear_bytes(const struct client *c, uint8_t *out, size_t len)
{
    for (size_t n = 0; n < len;) {
        int got = SSL_read(c->ssl, out + n, (int)(len - n));

        if (got <= 0) {
            fail_msg("no frame: %s", got == 0 ? "it has closed" : "nothing is said");
        }
        n += (size_t)got;
    }
}

/* The next frame of one of the three types that are about a request. */
static void hear(const struct client *c, struct frame *f)
{
    uint8_t head[FRAME_HEAD];

    do {
        hear_bytes(c, head, sizeof(head));
        f->len = get32(head) >> 8;
        f->type = head[3];
        f->flags = head[4];
        f->id = get32(head + 5);
        assert_true(f->len <= FRAME_MAX);
        hear_bytes(c, f->payload, f->len);
    } while (f->type != HEADERS && f->type != RST_STREAM && f->type != DATA);
}

/* How many of 'n' requests are answered; the others are reset with 'error'. */
static int count_answers(const struct client *c, int n, uint32_t error)
{
    struct frame f;
    int answers = 0;

    for (int i = 0; i < n; i++) {
        hear(c, &f);
        if (f.type == RST_STREAM) {
            assert_int_equal(get32(f.payload), error);
        } else {
            assert_int_equal(f.type, HEADERS);
            answers++;
        }
    }
    return answers;
}

/* ---- tests ---- */

/* All are asked before the first is answered, and no byte of the answers is taken. */
static void answers_that_are_not_taken_are_not_piled_up(void **state)
{
    struct fx *fx = serve(state);
    struct client c = join(fx, 0, 0);

    for (uint32_t id = 1; id < 200; id += 2) {
        ask(&c, id, "GET", "/big?n=1300000", false);
    }
    for (uint32_t id = 1; id < 200; id += 2) {
        say(&c, DATA, END_STREAM, id, NULL, 0);
    }
    assert_int_equal(count_answers(&c, 100, REFUSED_STREAM), 13); /* 16 MB */
    leave(&c);

    /* what is known of an answer only when it is there */
    c = join(fx, 0, 0);
    ask(&c, 1, "GET", "/big?n=16000000", true);
    ask(&c, 3, "GET", "/big?n=32000000", true);
    ask(&c, 5, "GET", "/big?n=1000000", true);
    assert_int_equal(count_answers(&c, 3, ENHANCE_YOUR_CALM), 2);
    leave(&c);
}

static void an_answer_that_is_taken_byte_by_byte_is_given_up(void **state)
{
    struct fx *fx = serve(state);
    struct client c = join(fx, 0, 0);
    struct frame f;

    widen(&c, 0, 1000000);
    ask(&c, 1, "GET", "/big?n=100000", true);
    ask(&c, 3, "GET", "/big?n=100000", true);
    assert_int_equal(count_answers(&c, 2, 0), 2);
    for (int i = 0; i < 2; i++) {
        widen(&c, 1, 1);
        hear(&c, &f);
        assert_int_equal(f.id, 1);
        assert_int_equal(f.len, 1);
        widen(&c, 3, 20000);
        for (size_t n = 0; n < 20000; n += f.len) {
            hear(&c, &f);
            assert_int_equal(f.id, 3);
        }
        atomic_fetch_add(&later_us, MINUTE_US * 2 / 3);
    }
    hear(&c, &f);
    assert_int_equal(f.type, RST_STREAM);
    assert_int_equal(f.id, 1);
    assert_int_equal(get32(f.payload), CANCEL);
    widen(&c, 3, 60000); /* who takes its own slowly has it */
    do {
        hear(&c, &f);
        assert_int_equal(f.type, DATA);
        assert_int_equal(f.id, 3);
    } while ((f.flags & END_STREAM) == 0);
    leave(&c);
}

static int64_t metric_of(const struct fx *fx, const char *name)
{
    char *text;
    size_t len;
    const char *at;
    int64_t n;

    assert_int_equal(metric_render(fx->metrics, &text, &len), 0);
    at = strstr(text, name);
    assert_non_null(at);
    n = strtoll(at + strlen(name), NULL, 10);
    free(text);
    return n;
}

static bool is_connected(const struct fx *fx)
{
    return metric_of(fx, "\nkcs_net_connections ") > 0;
}

/* The socket is full, and what waits for it has no bodies. */
static void a_client_that_reads_nothing_is_let_go(void **state)
{
    struct fx *fx = serve(state);
    struct client c = join(fx, 0x7fffffff, 4096);
    static const uint8_t cancel[4] = {0, 0, 0, CANCEL};

    widen(&c, 0, 0x70000000);
    ask(&c, 1, "GET", "/big?n=15000000", true);
    for (int still = 0; still < 50; still++) { /* each word of ours has it try again */
        int64_t sent = metric_of(fx, "\nkcs_net_sent_bytes_total ");

        widen(&c, 0, 1);
        fx_sleep_ms(10);
        still = sent < 100000 || metric_of(fx, "\nkcs_net_sent_bytes_total ") > sent
                    ? -1
                    : still;
    }
    say(&c, RST_STREAM, 0, 1, cancel, sizeof(cancel));
    for (uint32_t id = 3; id < 190; id += 2) {
        ask(&c, id, "HEAD", "/x", true);
    }
    fx_sleep_ms(1500);
    assert_true(is_connected(fx));
    atomic_fetch_add(&later_us, MINUTE_US + 1);
    for (int waited = 0; is_connected(fx) && waited < 5000; waited += 50) {
        fx_sleep_ms(50);
    }
    assert_false(is_connected(fx));
    leave(&c);
}

static void few_files_are_open_at_once(void **state)
{
    struct fx *fx = serve(state);
    struct client c = join(fx, 0, 0);
    struct frame f;
    char cmd[128];

    (void)snprintf(cmd, sizeof(cmd), "head -c 50000 /dev/zero >%s/f", fx->dir);
    assert_int_equal(system(cmd), 0);
    for (uint32_t id = 1; id < 40; id += 2) {
        ask(&c, id, "GET", "/large/f", true);
    }
    assert_int_equal(count_answers(&c, 20, REFUSED_STREAM), 8);
    ask(&c, 41, "HEAD", "/large/f", true); /* opens none for longer */
    assert_int_equal(count_answers(&c, 1, 0), 1);
    widen(&c, 1, 50000);
    do {
        hear(&c, &f);
        assert_int_equal(f.id, 1);
    } while ((f.flags & END_STREAM) == 0);
    ask(&c, 43, "GET", "/large/f", true);
    ask(&c, 45, "GET", "/large/f", true);
    assert_int_equal(count_answers(&c, 2, REFUSED_STREAM), 1);
    leave(&c);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        T(answers_that_are_not_taken_are_not_piled_up),
        T(an_answer_that_is_taken_byte_by_byte_is_given_up),
        T(a_client_that_reads_nothing_is_let_go),
        T(few_files_are_open_at_once),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
