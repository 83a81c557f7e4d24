/* Requests of methods that the library does not know: it gives such a connection up as a
 * raw one. They are answered once, and that ends the connection; what is no request at all
 * gets no answer. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "net/priv.h"
#include "sys/entropy.h"

enum { METHOD_MAX = 20, LINGER_S = 1 };

/* The length of the method of an HTTP/1 request line; 0: it is none. */
static size_t method_of(const char *text, size_t len)
{
    size_t n = 0;
    const char *end = memchr(text, '\n', len);
    size_t line = end != NULL ? (size_t)(end - text) : 0;

    while (n < len && n < METHOD_MAX && text[n] >= 'A' && text[n] <= 'Z') {
        n++;
    }
    line -= line > 0 && text[line - 1] == '\r';
    return n > 0 && line > n + strlen("/ HTTP/1.1") && text[n] == ' ' &&
                   memcmp(&text[line - 9], " HTTP/1.", 8) == 0
               ? n
               : 0;
}

/* Known to HTTP, and nothing here takes them: 405; others are not known at all: 501 (RFC
 * 9110, sections 9.1, 15.5.6 and 15.6.2). */
static bool is_registered(const char *method, size_t n)
{
    static const char *const names[] = {"TRACE", "CONNECT", "QUERY"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i]) == n && memcmp(names[i], method, n) == 0) {
            return true;
        }
    }
    return false;
}

bool stranger_is_registered(const char *method)
{
    return is_registered(method, strlen(method));
}

int stranger_on_receive(struct net_conn *conn, const void *data, size_t len)
{
    size_t n = conn->stranger ? 0 : method_of(data, len);
    bool known = is_registered(data, n);
    char id[REQUEST_ID + 1];
    char body[320];
    char out[LWS_PRE + 704];
    int size;

    if (conn->stranger) {
        return 0; /* it lingers, so that the answer is not lost with what is unread */
    }
    if (n == 0) {
        return -1;
    }
    conn->stranger = true;
    entropy_id(id, REQUEST_ID);
    size = snprintf(body, sizeof(body),
                    "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,"
                    "\"success\":false,\"code\":\"%s\",\"message\":\"no route takes this "
                    "method\",\"errors\":[],\"request_id\":\"%s\"}",
                    known ? "Method Not Allowed" : "Not Implemented", known ? 405 : 501,
                    known ? "method_not_allowed" : "not_implemented", id);
    size = snprintf(&out[LWS_PRE], sizeof(out) - LWS_PRE,
                    "HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: %d\r\n"
                    "content-type: application/problem+json\r\n"
                    "access-control-allow-origin: *\r\n%s\r\n%s",
                    known ? "405 Method Not Allowed" : "501 Not Implemented", size,
                    known ? "allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" : "",
                    body);
    if (lws_write(conn->wsi, (unsigned char *)&out[LWS_PRE], (size_t)size, LWS_WRITE_RAW) <
            0 ||
        conn->listener->tls) {
        return -1;
    }
    (void)shutdown(lws_get_socket_fd(conn->wsi), SHUT_WR);
    lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LINGER_S);
    return 0;
}
