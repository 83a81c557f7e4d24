/* The HTTP and WebSocket listener: any bytes on a connection, in pieces. What comes up to
 * the handlers must keep the promises of net/net.h, every request is answered once, and
 * every WebSocket that opened is told to have closed. */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "metric/metric.h"
#include "net/net.h"
#include "sys/log.h"
#include "sys/loop.h"
#include "sys/utf8.h"

enum { MAX_PIECES = 16, TURNS = 200, BODY_MAX = 4096 };

static char folder[] = "/tmp/kcs_http_XXXXXX";
static char path[64];
static struct loop *loop;
static unsigned n_open; /* WebSockets */

static void clean_up(void)
{
    (void)unlink(path);
    (void)rmdir(folder);
}

static void check_path(const char *text)
{
    FUZZ_CHECK(text[0] == '/');
    FUZZ_CHECK(strstr(text, "/../") == NULL && strstr(text, "/./") == NULL);
    FUZZ_CHECK(strlen(text) <= NET_HEADER_MAX);
}

static void on_request(void *user, struct net_req *req)
{
    const struct net_header type = {"content-type", "text/plain"};
    size_t len = 0;
    const char *body = net_req_body(req, &len);
    const char *query = net_req_query(req, "q");
    const char *header = net_req_header(req, "x-custom");

    (void)user;
    check_path(net_req_path(req));
    FUZZ_CHECK((body == NULL) == (len == 0) && len <= BODY_MAX);
    FUZZ_CHECK(net_req_method(req) <= NET_OPTIONS && net_req_remote(req) != NULL);
    net_req_set_data(req, req);
    FUZZ_CHECK(net_req_data(req) == req);
    if (query != NULL && query[0] == 'f') { /* below a folder that has nothing */
        net_respond_file(req, folder, net_req_path(req), NULL, 0);
    } else if (header != NULL) {
        const struct net_header echo = {"x-echo", header};

        net_respond(req, 200, &echo, 1, body, len);
    } else {
        net_respond(req, query != NULL ? 404 : 200, &type, 1, query != NULL ? query : body,
                    query != NULL ? strlen(query) : len);
    }
}

static void on_abort(void *user, struct net_req *req)
{
    (void)user;
    (void)req;
    abort(); /* all are answered at once */
}

static int on_ws_open(void *user, struct net_ws *ws, struct net_req *req)
{
    (void)user;
    check_path(net_req_path(req));
    if (net_req_query(req, "no") != NULL) {
        return 403;
    }
    n_open++;
    net_ws_set_data(ws, ws);
    return 0;
}

static void on_ws_message(void *user, struct net_ws *ws, const void *data, size_t len,
                          bool binary)
{
    struct net_buf *buf = net_buf_create(data, len, binary, 0);

    (void)user;
    FUZZ_CHECK(n_open > 0 && net_ws_data(ws) == ws && len <= BODY_MAX && buf != NULL);
    FUZZ_CHECK(binary || utf8_valid(data, len));
    (void)net_ws_send(ws, buf);
    net_buf_unref(buf);
    if (len > 0 && ((const char *)data)[0] == 'x') {
        net_ws_close(ws, 1000, "bye");
    }
}

static void on_ws_close(void *user, struct net_ws *ws, unsigned code)
{
    (void)user;
    (void)ws;
    (void)code;
    FUZZ_CHECK(n_open > 0);
    n_open--;
}

static void begin(void)
{
    static const struct net_handlers handlers = {.on_request = on_request,
                                                 .on_abort = on_abort,
                                                 .on_ws_open = on_ws_open,
                                                 .on_ws_message = on_ws_message,
                                                 .on_ws_close = on_ws_close};
    static struct metric_registry *metrics;
    static struct net_server *server;
    struct net_conf conf = net_conf_default();
    const struct net_listen listen = {.name = "fuzz", .path = path, .mode = 0600};
    char err[NET_ERR_MAX] = "";

    if (loop != NULL) {
        return;
    }
    log_set_level(LOG_LEVEL_ERROR);
    FUZZ_CHECK(mkdtemp(folder) != NULL && atexit(clean_up) == 0);
    (void)snprintf(path, sizeof(path), "%s/http.sock", folder);
    FUZZ_CHECK(loop_create(&loop) == 0 && metric_registry_create(&metrics) == 0);
    conf.listen = &listen;
    conf.n_listen = 1;
    conf.body_max = BODY_MAX;
    conf.ws_message_max = BODY_MAX;
    FUZZ_CHECK(net_server_create(&server, loop, metrics, &conf, &handlers, NULL, err) == 0);
}

/* Reads what has come. Returns false when the server has closed. */
static bool take(int fd)
{
    char sink[4096];
    ssize_t n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT);

    return n > 0 || (n < 0 && errno == EAGAIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct rbytes in = fuzz_in(data, size);
    bool open = true;
    int fd;

    begin();
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FUZZ_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
    for (unsigned i = 0; i < MAX_PIECES && fuzz_more(&in) && open; i++) {
        size_t len;
        const uint8_t *piece = fuzz_block(&in, 16384, &len);

        if (len > 0 && send(fd, piece, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            break;
        }
        loop_turn(loop);
        loop_turn(loop);
        loop_turn(loop);
        open = take(fd);
    }
    (void)shutdown(fd, SHUT_WR);
    for (unsigned i = 0; i < 4 && take(fd); i++) {
        loop_turn(loop);
    }
    (void)close(fd);
    for (unsigned i = 0; i < TURNS && n_open > 0; i++) {
        loop_turn(loop);
    }
    FUZZ_CHECK(n_open == 0);
    loop_turn(loop);
    return 0;
}
