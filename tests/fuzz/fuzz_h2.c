/* The listener's HTTP/2: any frames of a client behind a real TLS handshake. What comes up
 * to the handlers must keep the promises of net/net.h, and every request is answered or
 * told to be gone, once; when the client has left, nothing of it is left. */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "metric/metric.h"
#include "net/net.h"
#include "sys/log.h"
#include "sys/loop.h"

enum { MAX_FRAMES = 24, TURNS = 200, BODY_MAX = 4096, HELD_MAX = 128, FRAME_HEAD = 9 };

static char folder[] = "/tmp/kcs_h2_XXXXXX";
static char path[64], cert_path[64], key_path[64];
static struct loop *loop;
static SSL_CTX *client_ctx;
static struct net_req *held[HELD_MAX]; /* unanswered */
static size_t n_held;

static void clean_up(void)
{
    (void)unlink(path);
    (void)unlink(cert_path);
    (void)unlink(key_path);
    (void)rmdir(folder);
}

/* ---- what the server's handlers see ---- */

static void answer(struct net_req *req)
{
    const char *query = net_req_query(req, "q");
    const char *header = net_req_header(req, "x-custom");
    const struct net_header headers[] = {{"content-type", "text/plain"},
                                         {"x-echo", header}};
    size_t len = 0;
    const char *body = net_req_body(req, &len);

    if (query != NULL && query[0] == 'f') { /* there is a key in it */
        net_respond_file(req, folder, net_req_path(req), NULL, 0);
    } else {
        net_respond(req, 200, headers, header != NULL ? 2 : 1, body, len);
    }
}

static void on_request(void *user, struct net_req *req)
{
    const char *target = net_req_path(req);
    const char *query = net_req_query(req, "q");
    size_t len = 0;
    const char *body = net_req_body(req, &len);

    (void)user;
    FUZZ_CHECK(target[0] == '/' && strlen(target) <= NET_HEADER_MAX);
    FUZZ_CHECK(strstr(target, "/../") == NULL && strstr(target, "/./") == NULL);
    FUZZ_CHECK((body == NULL) == (len == 0) && len <= BODY_MAX);
    FUZZ_CHECK(net_req_method(req) <= NET_OPTIONS && net_req_remote(req) != NULL);
    FUZZ_CHECK(net_req_query_text(req) != NULL);
    net_req_set_data(req, req);
    if (query != NULL && query[0] == 'h' && n_held < HELD_MAX) {
        held[n_held++] = req;
        return;
    }
    if (query != NULL && query[0] == 'r' && n_held > 0) { /* another's turn first */
        answer(held[--n_held]);
    }
    answer(req);
}

static void on_abort(void *user, struct net_req *req)
{
    size_t i = 0;

    (void)user;
    FUZZ_CHECK(net_req_data(req) == req);
    while (i < n_held && held[i] != req) {
        i++;
    }
    FUZZ_CHECK(i < n_held);
    held[i] = held[--n_held];
}

static int on_ws_open(void *user, struct net_ws *ws, struct net_req *req)
{
    (void)user;
    (void)ws;
    (void)req;
    abort(); /* not within HTTP/2 */
}

/* ---- the server ---- */

static void make_certificate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    FILE *file;

    FUZZ_CHECK(key != NULL && cert != NULL);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                                     (const unsigned char *)"t", -1, -1, 0);
    (void)X509_set_issuer_name(cert, X509_get_subject_name(cert));
    FUZZ_CHECK(X509_set_pubkey(cert, key) == 1 && X509_sign(cert, key, EVP_sha256()) > 0);
    file = fopen(cert_path, "w");
    FUZZ_CHECK(file != NULL && PEM_write_X509(file, cert) == 1 && fclose(file) == 0);
    file = fopen(key_path, "w");
    FUZZ_CHECK(file != NULL &&
               PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 &&
               fclose(file) == 0);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void begin(void)
{
    static const struct net_handlers handlers = {
        .on_request = on_request, .on_abort = on_abort, .on_ws_open = on_ws_open};
    static struct metric_registry *metrics;
    static struct net_server *server;
    struct net_conf conf = net_conf_default();
    const struct net_listen listen = {
        .name = "fuzz", .path = path, .mode = 0600, .tls = true};
    char err[NET_ERR_MAX] = "";

    if (loop != NULL) {
        return;
    }
    log_set_level(LOG_LEVEL_ERROR);
    FUZZ_CHECK(mkdtemp(folder) != NULL && atexit(clean_up) == 0);
    (void)snprintf(path, sizeof(path), "%s/h2.sock", folder);
    (void)snprintf(cert_path, sizeof(cert_path), "%s/cert", folder);
    (void)snprintf(key_path, sizeof(key_path), "%s/key", folder);
    make_certificate();
    FUZZ_CHECK(loop_create(&loop) == 0 && metric_registry_create(&metrics) == 0);
    conf.listen = &listen;
    conf.n_listen = 1;
    conf.body_max = BODY_MAX;
    conf.tls_cert = cert_path;
    conf.tls_key = key_path;
    FUZZ_CHECK(net_server_create(&server, loop, metrics, &conf, &handlers, NULL, err) == 0);
    client_ctx = SSL_CTX_new(TLS_client_method());
    FUZZ_CHECK(client_ctx != NULL);
    FUZZ_CHECK(SSL_CTX_set_alpn_protos(client_ctx, (const unsigned char *)"\x02h2", 3) == 0);
}

/* ---- the client ---- */

/* A turn of the server, and what it has sent is read. False: it has closed. */
static bool take(SSL *ssl)
{
    char sink[16384];
    int n;

    loop_turn(loop);
    do {
        n = SSL_read(ssl, sink, sizeof(sink));
    } while (n > 0);
    return SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ;
}

static SSL *dial(int fd)
{
    SSL *ssl = SSL_new(client_ctx);
    int done = 0;

    FUZZ_CHECK(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
    for (unsigned i = 0; i < TURNS && done != 1; i++) {
        done = SSL_connect(ssl);
        loop_turn(loop);
    }
    FUZZ_CHECK(done == 1);
    return ssl;
}

/* What is said: as it stands, or as a frame whose length is right. False: no more goes. */
static bool say(SSL *ssl, struct rbytes *in)
{
    uint8_t kind = rbytes_u8(in);
    uint8_t out[FRAME_HEAD + 4096] = {0};
    size_t at = 0;
    const uint8_t *piece;
    size_t len;

    if ((kind & 1) == 0) {
        out[3] = rbytes_u8(in) % 12; /* two more than there are types */
        out[4] = rbytes_u8(in);
        out[8] = rbytes_u8(in); /* streams up to 255 */
        at = FRAME_HEAD;
    }
    piece = fuzz_block(in, 4096, &len);
    if (len > 0) {
        memcpy(out + at, piece, len);
    }
    if (at > 0) {
        out[1] = (uint8_t)(len >> 8);
        out[2] = (uint8_t)len;
    }
    return at + len == 0 || SSL_write(ssl, out, (int)(at + len)) > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct rbytes in = fuzz_in(data, size);
    bool open = true;
    SSL *ssl;
    int fd;

    begin();
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FUZZ_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
    FUZZ_CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    ssl = dial(fd);
    if ((rbytes_u8(&in) & 15) != 0) { /* else the fuzzer's own first words */
        FUZZ_CHECK(SSL_write(ssl, preface, sizeof(preface) - 1) > 0);
    }
    for (unsigned i = 0; i < MAX_FRAMES && fuzz_more(&in) && open; i++) {
        open = say(ssl, &in) && take(ssl);
    }
    for (unsigned i = 0; i < 4 && open; i++) {
        open = take(ssl);
    }
    SSL_free(ssl);
    (void)close(fd);
    for (unsigned i = 0; i < TURNS && n_held > 0; i++) {
        loop_turn(loop);
    }
    FUZZ_CHECK(n_held == 0);
    loop_turn(loop);
    return 0;
}
