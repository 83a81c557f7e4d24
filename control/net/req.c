/* What a request says: read from the library's header table when asked for, which stays
 * with the connection until the answer is out; or, of HTTP/2, from what h2_stream.c has
 * kept. */
#include "net/priv.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/target.h"
#include "sys/entropy.h"

enum { BODY_STEP = 4096 };

struct net_req *req_create(struct net_conn *conn)
{
    struct net_req *req = calloc(1, sizeof(*req));

    if (req != NULL) {
        req->conn = conn;
        req->deadline_us = UINT64_MAX;
    }
    return req;
}

void req_destroy(struct net_req *req)
{
    if (req == NULL) {
        return;
    }
    while (req->strings != NULL) {
        struct req_str *str = req->strings;

        req->strings = str->next;
        free(str);
    }
    free(req->body);
    free(req->out);
    if (req->file_left > 0) {
        (void)close(req->file);
    }
    free(req);
}

char *req_alloc(struct net_req *req, size_t len)
{
    struct req_str *str = malloc(sizeof(*str) + len + 1);

    if (str == NULL) {
        return NULL;
    }
    str->next = req->strings;
    req->strings = str;
    str->text[len] = '\0';
    return str->text;
}

int req_add_body(struct net_req *req, const void *data, size_t len)
{
    if (len > req->body_expected - req->body_len) {
        return -EMSGSIZE;
    }
    if (len > req->body_cap - req->body_len) {
        size_t cap = req->body_cap * 2 + BODY_STEP;
        uint8_t *grown;

        while (cap < req->body_len + len) {
            cap *= 2;
        }
        cap = cap > req->body_expected ? req->body_expected : cap;
        grown = realloc(req->body, cap);
        if (grown == NULL) {
            return -ENOMEM;
        }
        req->body = grown;
        req->body_cap = cap;
    }
    memcpy(req->body + req->body_len, data, len);
    req->body_len += len;
    metric_add(req->conn->server->metrics.bytes_in, (int64_t)len);
    return 0;
}

static const char *trim_end(char *text, size_t len)
{
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t')) {
        text[--len] = '\0';
    }
    return text;
}

const char *req_token(struct net_req *req, enum lws_token_indexes token)
{
    struct lws *wsi = req->conn->wsi;
    int len = lws_hdr_total_length(wsi, token);
    char *text;

    if (len <= 0) {
        return NULL;
    }
    text = req_alloc(req, (size_t)len);
    if (text == NULL || lws_hdr_copy(wsi, text, len + 1, token) < 0) {
        return NULL;
    }
    return trim_end(text, strlen(text));
}

bool req_has_word(const char *list, const char *word)
{
    size_t len = strlen(word);

    while (list != NULL && *list != '\0') {
        list += strspn(list, ", \t");
        if (strncasecmp(list, word, len) == 0 && strchr(", \t", list[len]) != NULL) {
            return true;
        }
        list += strcspn(list, ",");
    }
    return false;
}

const char *net_req_header(struct net_req *req, const char *name)
{
    struct lws *wsi = req->conn->wsi;
    char colon[64];
    size_t len = strlen(name);
    int value_len;
    char *text;

    if (req->stream != NULL) {
        return h2_header(req->stream, name);
    }
    if (len + 2 > sizeof(colon)) {
        return NULL;
    }
    memcpy(colon, name, len);
    memcpy(colon + len, ":", 2);
    for (int i = 0; i < WSI_TOKEN_COUNT; i++) {
        const unsigned char *known = lws_token_to_string((enum lws_token_indexes)i);

        if (known != NULL && strcmp((const char *)known, colon) == 0) {
            return req_token(req, (enum lws_token_indexes)i);
        }
    }
    value_len = lws_hdr_custom_length(wsi, colon, (int)len + 1);
    if (value_len < 0) {
        return NULL;
    }
    text = req_alloc(req, (size_t)value_len);
    if (text == NULL ||
        lws_hdr_custom_copy(wsi, text, value_len + 1, colon, (int)len + 1) < 0) {
        return NULL;
    }
    return trim_end(text, strlen(text));
}

/* One "name=value" of a query. Its first '=' is taken for the one between the two. */
static char *write_part(char *out, const char *part)
{
    static const char hex[] = "0123456789ABCDEF";
    bool named = false;

    for (; *part != '\0'; part++) {
        unsigned char c = (unsigned char)*part;

        if (isalnum(c) || strchr("-._~", c) != NULL || (c == '=' && !named)) {
            *out++ = (char)c;
            named = named || c == '=';
        } else {
            *out++ = '%';
            *out++ = hex[c >> 4];
            *out++ = hex[c & 15];
        }
    }
    return out;
}

/* Where one is in a query. */
struct query {
    const struct net_req *req;
    const char *at; /* of HTTP/2 */
    int i;          /* of HTTP/1.1: the library keeps each "name=value" as one fragment */
};

static struct query query_of(const struct net_req *req)
{
    return (struct query){
        req, req->stream != NULL ? target_query(h2_target(req->stream)) : NULL, 0};
}

/* The next part of the query, decoded, in 'out': its length, or -1. */
static int query_next(struct query *query, char out[NET_HEADER_MAX])
{
    return query->req->stream != NULL
               ? target_next(&query->at, out, NET_HEADER_MAX)
               : lws_hdr_copy_fragment(query->req->conn->wsi, out, NET_HEADER_MAX,
                                       WSI_TOKEN_HTTP_URI_ARGS, query->i++);
}

const char *net_req_query_text(struct net_req *req)
{
    /* the library's length counts a separator for each part */
    int total = req->stream != NULL
                    ? (int)strlen(h2_target(req->stream))
                    : lws_hdr_total_length(req->conn->wsi, WSI_TOKEN_HTTP_URI_ARGS);
    struct query query = query_of(req);
    char part[NET_HEADER_MAX];
    char *text;
    char *at;

    if (total <= 0) {
        return "";
    }
    text = at = req_alloc(req, 4 * (size_t)total);
    if (text == NULL) {
        return NULL;
    }
    while (query_next(&query, part) >= 0) {
        if (at > text) {
            *at++ = '&';
        }
        at = write_part(at, part);
    }
    *at = '\0';
    return text;
}

/* The value of the next part of that name in 'part', as query_next(); NULL: there is none. */
static const char *query_find(struct query *query, const char *name,
                              char part[NET_HEADER_MAX])
{
    size_t name_len = strlen(name);
    int len;

    while ((len = query_next(query, part)) >= 0) {
        if ((size_t)len >= name_len && memcmp(part, name, name_len) == 0 &&
            (part[name_len] == '=' || part[name_len] == '\0')) {
            return part + name_len + (part[name_len] == '=' ? 1 : 0);
        }
    }
    return NULL;
}

const char *net_req_query(struct net_req *req, const char *name)
{
    struct query query = query_of(req);
    char part[NET_HEADER_MAX];
    const char *value = query_find(&query, name, part);
    char *text = value != NULL ? req_alloc(req, strlen(value)) : NULL;

    if (text != NULL) {
        memcpy(text, value, strlen(value));
    }
    return text;
}

bool net_req_query_twice(struct net_req *req, const char *name)
{
    struct query query = query_of(req);
    char part[NET_HEADER_MAX];

    size_t n = 0;

    while (n < 2 && query_find(&query, name, part) != NULL) {
        n++;
    }
    return n > 1;
}

size_t net_req_listener(const struct net_req *req)
{
    return req->conn->listener->index;
}

enum net_method net_req_method(const struct net_req *req)
{
    return req->method;
}

const char *net_req_remote(struct net_req *req)
{
    return forwarded_client(req)->remote;
}

bool net_req_origin(struct net_req *req, uint8_t out[NET_ORIGIN])
{
    const struct net_client *client = forwarded_client(req);

    memcpy(out, client->address, NET_ORIGIN);
    return client->has_address;
}

const char *net_req_path(const struct net_req *req)
{
    return req->path;
}

const void *net_req_body(const struct net_req *req, size_t *len)
{
    *len = req->body_len;
    return req->body_len > 0 ? req->body : NULL;
}

const char *net_req_id(struct net_req *req)
{
    const char *id = req->id[0] == '\0' ? net_req_header(req, "x-request-id") : NULL;

    if (req->id[0] != '\0') {
        return req->id;
    }
    if (id != NULL && id[0] != '\0' && strlen(id) <= REQUEST_ID_MAX &&
        id[strspn(id,
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] ==
            '\0') {
        strcpy(req->id, id);
    } else {
        entropy_id(req->id, REQUEST_ID);
    }
    return req->id;
}

static const char *const method_names[] = {
    [NET_GET] = "GET",     [NET_HEAD] = "HEAD",     [NET_POST] = "POST",      [NET_PUT] = "PUT",
    [NET_PATCH] = "PATCH", [NET_DELETE] = "DELETE", [NET_OPTIONS] = "OPTIONS"};

const char *net_req_method_name(const struct net_req *req)
{
    return method_names[req->method];
}

void net_req_trace(struct net_req *req, const char *route)
{
    struct trace parent;

    (void)traceparent_parse(net_req_header(req, "traceparent"), &parent);
    trace_begin(&req->span, &parent, TRACE_SERVER);
    req->route = route;
}

const struct trace *net_req_traced(const struct net_req *req)
{
    return &req->span.self;
}

void req_end_span(struct net_req *req, unsigned status)
{
    char name[TRACE_NAME];
    const struct trace_tag tags[] = {
        {"http.request.method", net_req_method_name(req), 0},
        {"http.route", req->route, 0},
        {"http.response.status_code", NULL, status},
        {"kcs.request_id", req->id[0] != '\0' ? req->id : "", 0}};

    if (trace_is_open(&req->span)) {
        (void)snprintf(name, sizeof(name), "%s %s", net_req_method_name(req), req->route);
        trace_end(&req->span, name,
                  status == 0     ? "abandoned"
                  : status >= 500 ? "server_error"
                                  : NULL,
                  tags, sizeof(tags) / sizeof(tags[0]));
    }
}

void net_req_set_data(struct net_req *req, void *data)
{
    req->data = data;
}

void *net_req_data(const struct net_req *req)
{
    return req->data;
}
