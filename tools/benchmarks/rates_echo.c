#include "benchmarks/rates_echo.h"

#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

enum { BODY = 300, MESSAGE_MAX = 4096, SOCKETS_MAX = 32768 };

struct session {
    size_t len; /* of a message that waits to go out */
    unsigned char data[LWS_PRE + MESSAGE_MAX];
};

static struct lws *sockets[SOCKETS_MAX]; /* by descriptor */

static int answer(struct lws *wsi)
{
    unsigned char buf[LWS_PRE + 512];
    unsigned char *start = buf + LWS_PRE;
    unsigned char *at = start;
    unsigned char *end = buf + sizeof(buf) - 1;
    unsigned char body[LWS_PRE + BODY];

    memset(body + LWS_PRE, 'x', BODY);
    if (lws_add_http_common_headers(wsi, HTTP_STATUS_OK, "application/json", BODY, &at,
                                    end) != 0 ||
        lws_finalize_write_http_header(wsi, start, &at, end) != 0 ||
        lws_write(wsi, body + LWS_PRE, BODY, LWS_WRITE_HTTP_FINAL) != BODY) {
        return 1;
    }
    return lws_http_transaction_completed(wsi);
}

/* One shared buffer, written at once: the least that a broadcast can cost. */
static void tell_all(unsigned char *data, size_t len)
{
    static unsigned char shared[LWS_PRE + MESSAGE_MAX];

    memcpy(shared + LWS_PRE, data, len);
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (sockets[i] != NULL && lws_partial_buffered(sockets[i]) == 0) {
            (void)lws_write(sockets[i], shared + LWS_PRE, len, LWS_WRITE_TEXT);
        }
    }
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    struct session *s = user;
    int fd;

    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return answer(wsi);
    case LWS_CALLBACK_ESTABLISHED:
    case LWS_CALLBACK_CLOSED:
        fd = lws_get_socket_fd(wsi);
        if (fd >= 0 && fd < SOCKETS_MAX) {
            sockets[fd] = reason == LWS_CALLBACK_ESTABLISHED ? wsi : NULL;
        }
        return 0;
    case LWS_CALLBACK_RECEIVE:
        if (len > MESSAGE_MAX) {
            return -1;
        }
        if (len > 0 && *(const char *)in == '*') {
            tell_all(in, len);
            return 0;
        }
        s->len = len;
        memcpy(s->data + LWS_PRE, in, len);
        lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        if (s->len > 0) {
            (void)lws_write(wsi, s->data + LWS_PRE, s->len, LWS_WRITE_TEXT);
            s->len = 0;
        }
        return 0;
    default:
        return 0;
    }
}

int echo_serve(uint16_t port)
{
    static const struct lws_protocols protocols[] = {
        {.name = "echo",
         .callback = on_event,
         .per_session_data_size = sizeof(struct session),
         .rx_buffer_size = 512},
        {0}};
    static const lws_retry_bo_t no_pings;
    const struct lws_context_creation_info info = {.port = port,
                                                   .iface = "127.0.0.1",
                                                   .protocols = protocols,
                                                   .retry_and_idle_policy = &no_pings,
                                                   .options = LWS_SERVER_OPTION_LIBUV,
                                                   .gid = -1,
                                                   .uid = -1};
    struct lws_context *context;

    lws_set_log_level(LLL_ERR, NULL);
    context = lws_create_context(&info);
    if (context == NULL) {
        return -1;
    }
    while (lws_service(context, 0) >= 0) {
    }
    lws_context_destroy(context);
    return -1;
}
