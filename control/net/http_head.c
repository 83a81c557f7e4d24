/* The head of a request: what the library would let pass, though a proxy before us may have
 * read it otherwise. */
#include <errno.h>
#include <string.h>

#include "net/priv.h"

/* Where a path lies in the library's table of a head, if the request line was the first:
 * behind the first letter of its method. And what stands in the table before the name of a
 * header that the library does not know: its length first. */
enum { BEFORE_PATH = 9, ENTRY_HEAD = 8 };

/* A field-name (RFC 9110, section 5.1). */
static bool is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const char c = text[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL))) {
            return false;
        }
    }
    return len > 0;
}

/* The library takes for one name of a header all up to a colon: also the line of one whose
 * name is the beginning of one that it knows ("m: 1"), or one without a colon, and the next
 * line's name, which nobody finds then: it may be the Content-Length that a proxy before us
 * goes by, and what that sends as a body would be a request here. So each name has to be
 * one (RFC 9112, section 5.1). Wherever one may begin in the table, for what it holds is
 * the sender's, it is asked for. A header before the request line is refused, too: nobody
 * knows then where the table is. */
static bool has_bad_name(const struct net_req *req, const char *path)
{
    const char *end = path - BEFORE_PATH + NET_HEADER_MAX;

    if (path[-1] != (net_req_method_name(req)[0] | 0x20)) {
        return true;
    }
    for (const char *at = path + ENTRY_HEAD; at < end; at++) {
        const int len =
            (unsigned char)at[-ENTRY_HEAD] << 8 | (unsigned char)at[1 - ENTRY_HEAD];

        /* most of a table that was never full is zeros */
        if (len > 0 && len <= end - at && at[len - 1] == ':' &&
            !is_name(at, (size_t)len - 1) &&
            lws_hdr_custom_length(req->conn->wsi, at, len) >= 0) {
            return true;
        }
    }
    return false;
}

bool http_has_token(const struct net_req *req, enum lws_token_indexes token)
{
    char byte;

    return lws_hdr_total_length(req->conn->wsi, token) > 0 ||
           lws_hdr_copy_fragment(req->conn->wsi, &byte, sizeof(byte), token, 0) >= 0;
}

/* A value ends for us at its first NUL, for a proxy before us it may not. */
static bool has_nul(const struct net_req *req)
{
    char value[NET_HEADER_MAX + 1];

    for (int token = 0; token < WSI_TOKEN_COUNT; token++) {
        int len = lws_hdr_copy(req->conn->wsi, value, sizeof(value),
                               (enum lws_token_indexes)token);

        if (len > 0 && memchr(value, '\0', (size_t)len) != NULL) {
            return true;
        }
    }
    return false;
}

/* One, and none only of HTTP/1.0 (RFC 9112, section 3.2): of two a proxy before us may have
 * gone by the other. */
static bool has_host(const struct net_req *req, bool needed)
{
    char second[NET_HEADER_MAX + 1];

    return (!needed || http_has_token(req, WSI_TOKEN_HOST)) &&
           lws_hdr_copy_fragment(req->conn->wsi, second, sizeof(second), WSI_TOKEN_HOST,
                                 1) < 0;
}

int http_read_line(struct net_req *req)
{
    static const enum net_method by_library[] = {
        [LWSHUMETH_GET] = NET_GET,         [LWSHUMETH_POST] = NET_POST,
        [LWSHUMETH_OPTIONS] = NET_OPTIONS, [LWSHUMETH_PUT] = NET_PUT,
        [LWSHUMETH_PATCH] = NET_PATCH,     [LWSHUMETH_DELETE] = NET_DELETE,
        [LWSHUMETH_HEAD] = NET_HEAD,
    };
    char *path;
    int len;
    int method = lws_http_get_uri_and_method(req->conn->wsi, &path, &len);
    const char *version;
    const char *connection;
    bool is_1_1;

    if (method < 0 || method == LWSHUMETH_CONNECT || method > LWSHUMETH_HEAD) {
        return -EBADMSG;
    }
    req->method = by_library[method];
    /* Not copied: the header table outlives the request. The library ends it with a NUL. */
    req->path = path;
    version = req_token(req, WSI_TOKEN_HTTP);
    if (version == NULL) { /* the library takes "%0d" in the path for the line's end */
        return -EBADMSG;
    }
    is_1_1 = strcmp(version, "HTTP/1.1") == 0;
    if ((!is_1_1 && strcmp(version, "HTTP/1.0") != 0) || has_bad_name(req, path) ||
        has_nul(req) || !has_host(req, is_1_1)) {
        return -EBADMSG;
    }
    connection = req_token(req, WSI_TOKEN_CONNECTION);
    req->close = !is_1_1 || req_has_word(connection, "close");
    return 0;
}
