/* Requests of HTTP/2 and their answers: to the handlers they are like those of http.c. */
#include "net/h2.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/target.h"

enum {
    MAX_HEADERS = 40,
    HEADER_COST = 32,      /* RFC 9113, section 6.5.2 */
    STALL_STEP = 16 << 10, /* of an answer, in H2_STALL_US: less is no progress */
};

/* ---- the streams of a connection ---- */

int h2_on_begin(struct h2_conn *h2, int32_t id)
{
    struct h2_stream *s = h2->held < H2_HELD ? calloc(1, sizeof(*s)) : NULL;

    if (s != NULL) {
        s->req = req_create(h2->conn);
    }
    if (s == NULL || s->req == NULL ||
        nghttp2_session_set_stream_user_data(h2->session, id, s) != 0) {
        req_destroy(s != NULL ? s->req : NULL);
        free(s);
        return nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, id,
                                         NGHTTP2_REFUSED_STREAM);
    }
    s->h2 = h2;
    s->id = id;
    s->req->stream = s;
    s->req->state = REQ_BODY;
    s->req->deadline_us =
        clock_mono_us() + h2->conn->server->conf.header_s * UINT64_C(1000000);
    s->next = h2->streams;
    if (s->next != NULL) {
        s->next->prev = s;
    }
    h2->streams = s;
    return 0;
}

void h2_on_close(struct h2_stream *s)
{
    struct h2_conn *h2 = s->h2;
    struct net_server *server = h2->conn->server;
    struct net_req *req = s->req;

    if (s->prev != NULL) {
        s->prev->next = s->next;
    } else {
        h2->streams = s->next;
    }
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    h2->idle_us = clock_mono_us();
    if (!h2->dead) {
        (void)nghttp2_session_set_stream_user_data(h2->session, s->id, NULL);
    }
    if (req->state == REQ_OPEN) {
        metric_inc(server->metrics.aborted);
        server->handlers.on_abort(server->user, req);
        req_end_span(req, 0);
    }
    h2->held -= req->body_len + req->out_len;
    h2->answering -= req->out_len;
    h2->files -= s->of_file;
    req_destroy(req);
    while (s->headers != NULL) {
        struct h2_header *header = s->headers;

        s->headers = header->next;
        free(header);
    }
    free(s->method);
    free(s->target);
    free(s);
}

/* ---- a request ---- */

static void add_header(struct h2_stream *s, const char *name, size_t name_len,
                       const uint8_t *value, size_t value_len)
{
    struct h2_header *header = malloc(sizeof(*header) + name_len + value_len + 2);

    if (header == NULL) {
        s->too_large = true;
        return;
    }
    memcpy(header->name, name, name_len);
    header->name[name_len] = '\0';
    header->value = header->name + name_len + 1;
    memcpy(header->value, value, value_len);
    header->value[value_len] = '\0';
    header->next = s->headers;
    s->headers = header;
}

int h2_on_header(struct h2_stream *s, const uint8_t *name, size_t name_len,
                 const uint8_t *value, size_t value_len)
{
    s->header_bytes += name_len + value_len + HEADER_COST;
    s->too_large = s->too_large || s->header_bytes > NET_HEADER_MAX;
    if (s->too_large) {
        return 0; /* it goes on, since HPACK has to */
    }
    if (name_len == 7 && memcmp(name, ":method", 7) == 0) {
        s->method = strndup((const char *)value, value_len);
    } else if (name_len == 5 && memcmp(name, ":path", 5) == 0) {
        s->target = strndup((const char *)value, value_len);
    } else if (name_len == 10 && memcmp(name, ":authority", 10) == 0) {
        add_header(s, "host", 4, value, value_len);
    } else if (name[0] != ':') {
        add_header(s, (const char *)name, name_len, value, value_len);
    }
    return 0;
}

const char *h2_target(const struct h2_stream *s)
{
    return s->target;
}

const char *h2_header(struct h2_stream *s, const char *name)
{
    const char *joint = strcmp(name, "cookie") == 0 ? "; " : ", "; /* section 8.2.3 */
    const struct h2_header *found[MAX_HEADERS];
    size_t n = 0;
    size_t len = 0;
    char *text;
    char *at;

    for (const struct h2_header *h = s->headers; h != NULL; h = h->next) {
        if (strcmp(h->name, name) == 0 && n < MAX_HEADERS) {
            found[n++] = h;
            len += strlen(h->value) + 2;
        }
    }
    if (n < 2 || strcmp(name, "host") == 0) { /* :authority came first */
        return n > 0 ? found[n - 1]->value : NULL;
    }
    text = at = req_alloc(s->req, len);
    if (text == NULL) {
        return NULL;
    }
    while (n-- > 0) {
        at = stpcpy(at, found[n]->value);
        at = n > 0 ? stpcpy(at, joint) : at;
    }
    return text;
}

static void dispatch(struct h2_stream *s)
{
    struct net_server *server = s->h2->conn->server;
    struct net_req *req = s->req;

    if (s->h2->answering >= H2_HELD) { /* nothing was done: it may be asked again */
        (void)nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id,
                                        NGHTTP2_REFUSED_STREAM);
        return;
    }
    req->state = REQ_OPEN;
    req->deadline_us = UINT64_MAX;
    server->handlers.on_request(server->user, req);
}

static bool read_method(struct net_req *req, const char *name)
{
    for (int method = NET_GET; method <= NET_OPTIONS; method++) {
        req->method = (enum net_method)method;
        if (strcmp(net_req_method_name(req), name) == 0) {
            return true;
        }
    }
    req->method = NET_GET; /* for what is said of it */
    return false;
}

/* Why it is not taken: a status, with 'code' filled; 0: it is. */
static unsigned judge(struct h2_stream *s, const char **code)
{
    const struct net_conf *conf = &s->h2->conn->server->conf;
    struct net_req *req = s->req;
    const char *length = h2_header(s, "content-length");
    char *path;

    if (s->too_large) {
        *code = "headers_too_large";
        return 431;
    }
    path = s->target != NULL ? req_alloc(req, strlen(s->target) + 1) : NULL;
    *code = "bad_request";
    if (s->method == NULL || path == NULL || !target_path(s->target, path)) {
        return 400;
    }
    req->path = path;
    if (!read_method(req, s->method)) {
        bool known = stranger_is_registered(s->method);

        *code = known ? "method_not_allowed" : "not_implemented";
        return known ? 405 : 501;
    }
    req->body_expected = conf->body_max;
    if (length != NULL && strtoull(length, NULL, 10) > conf->body_max) {
        *code = "body_too_large";
        return 413;
    }
    return 0;
}

static void refuse(struct h2_stream *s, unsigned status, const char *code)
{
    static const struct net_header headers[] = {
        {"content-type", "application/problem+json"},
        {"access-control-allow-origin", "*"}};
    char body[HTTP_PROBLEM_MAX];

    if (s->req->path == NULL) {
        s->req->path = "";
    }
    http_problem(s->req, status, code, body);
    s->req->state = REQ_OPEN;
    net_respond(s->req, status, headers, 2, body, strlen(body));
}

void h2_on_headers(struct h2_stream *s, bool end)
{
    struct h2_conn *h2 = s->h2;
    const char *code;
    unsigned status = judge(s, &code);

    s->began = true;
    if (status != 0) {
        refuse(s, status, code);
        return;
    }
    if (end) {
        dispatch(s);
        return;
    }
    s->req->deadline_us =
        clock_mono_us() + h2->conn->server->conf.body_s * UINT64_C(1000000);
    if (req_has_word(h2_header(s, "expect"), "100-continue")) {
        uint8_t name[] = ":status";
        uint8_t go_on[] = "100";
        const nghttp2_nv nv = {name, go_on, sizeof(name) - 1, sizeof(go_on) - 1,
                               NGHTTP2_NV_FLAG_NONE};

        (void)nghttp2_submit_headers(h2->session, NGHTTP2_FLAG_NONE, s->id, NULL, &nv, 1,
                                     NULL);
    }
}

void h2_on_data(struct h2_stream *s, const uint8_t *data, size_t len)
{
    struct net_req *req = s->req;

    if (req->state != REQ_BODY) {
        return; /* refused already: not kept */
    }
    if (len > req->body_expected - req->body_len) {
        refuse(s, 413, "body_too_large");
    } else if (s->h2->held > 2 * (size_t)H2_HELD || req_add_body(req, data, len) != 0) {
        (void)nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id,
                                        NGHTTP2_ENHANCE_YOUR_CALM);
    } else {
        s->h2->held += len;
    }
}

void h2_on_end(struct h2_stream *s)
{
    if (s->began && s->req->state == REQ_BODY) {
        dispatch(s);
    }
}

void h2_stream_sweep(struct h2_stream *s, uint64_t now_us)
{
    if (now_us >= s->req->deadline_us) {
        s->req->deadline_us = UINT64_MAX;
        s->h2->dead = s->h2->dead || !s->began; /* in the middle of a header block */
        (void)nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id,
                                        NGHTTP2_CANCEL);
        h2_flush_soon(s->h2);
    }
}

/* ---- its answer ---- */

static void on_taken(struct h2_stream *s, size_t n)
{
    s->taken += n;
    if (s->taken >= STALL_STEP) {
        s->taken = 0;
        s->req->deadline_us = clock_mono_us() + H2_STALL_US;
    }
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *out, size_t cap,
                       uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct h2_stream *s = source->ptr;
    struct net_req *req = s->req;
    size_t n = req->out_len - req->out_off;

    (void)session;
    (void)id;
    (void)arg;
    n = n > cap ? cap : n;
    memcpy(out, req->out + req->out_off, n);
    req->out_off += n;
    on_taken(s, n);
    if (req->out_off == req->out_len) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)n;
}

static ssize_t on_read_file(nghttp2_session *session, int32_t id, uint8_t *out, size_t cap,
                            uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct h2_stream *s = source->ptr;
    struct net_req *req = s->req;
    ssize_t n;

    (void)session;
    (void)id;
    (void)arg;
    do {
        n = pread(req->file, out, req->file_left < cap ? (size_t)req->file_left : cap,
                  (off_t)req->file_at);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* shorter than was told, or the disk
                                                       * failed: the stream is reset */
    }
    req->file_at += (size_t)n;
    req->file_left -= (size_t)n;
    on_taken(s, (size_t)n);
    if (req->file_left == 0) {
        (void)close(req->file);
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return n;
}

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
                        NGHTTP2_NV_FLAG_NONE};
}

/* What belongs to a connection of HTTP/1.1 (section 8.2.2). */
static bool is_of_connection(const char *name)
{
    return strcmp(name, "connection") == 0 || strcmp(name, "upgrade") == 0;
}

/* Why there are too many answers for one more of 'body_len' bytes, or of a file;
 * NGHTTP2_NO_ERROR: there are not. One alone may have any size. */
static uint32_t refusal(const struct h2_stream *s, size_t body_len)
{
    const struct h2_conn *h2 = s->h2;

    if (s->req->file_left > 0) {
        return h2->files < H2_FILES ? NGHTTP2_NO_ERROR : NGHTTP2_REFUSED_STREAM;
    }
    return body_len == 0 || h2->answering == 0 || h2->held + body_len <= 2 * (size_t)H2_HELD
               ? NGHTTP2_NO_ERROR
               : NGHTTP2_ENHANCE_YOUR_CALM;
}

void h2_respond(struct h2_stream *s, unsigned status, const struct net_header *headers,
                size_t n_headers, const void *body, size_t len)
{
    struct h2_conn *h2 = s->h2;
    struct net_req *req = s->req;
    bool no_body = status < 200 || status == 204 || status == 304;
    const nghttp2_data_provider provider = {
        .source = {.ptr = s}, .read_callback = body != NULL ? on_read : on_read_file};
    size_t body_len = no_body || req->method == NET_HEAD || body == NULL ? 0 : len;
    nghttp2_nv nvs[MAX_HEADERS + 3];
    uint32_t error = refusal(s, body_len);
    char status_text[8], date[32], length[24];
    size_t n = 0;

    req->state = REQ_SENDING;
    if (h2->dead) {
        return; /* told to whoever asks: it is on its way out */
    }
    req->out = body_len > 0 && error == NGHTTP2_NO_ERROR ? malloc(body_len) : NULL;
    if (body_len > 0 && error == NGHTTP2_NO_ERROR && req->out == NULL) {
        error = NGHTTP2_INTERNAL_ERROR;
    }
    h2_flush_soon(h2);
    if (error != NGHTTP2_NO_ERROR) {
        (void)nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, s->id, error);
        http_count(req, 503);
        return;
    }
    (void)snprintf(status_text, sizeof(status_text), "%u", status % 1000);
    (void)snprintf(length, sizeof(length), "%zu", len);
    http_date(date);
    nvs[n++] = pair(":status", status_text);
    nvs[n++] = pair("date", date);
    if (!no_body) {
        nvs[n++] = pair("content-length", length);
    }
    for (size_t i = 0; i < n_headers && n < MAX_HEADERS; i++) {
        if (!is_of_connection(headers[i].name)) {
            nvs[n++] = pair(headers[i].name, headers[i].value);
        }
    }
    if (body_len > 0) {
        memcpy(req->out, body, body_len);
    }
    req->out_len = body_len;
    req->deadline_us = clock_mono_us() + H2_STALL_US;
    s->of_file = req->file_left > 0;
    h2->files += s->of_file;
    h2->answering += body_len;
    h2->held += body_len;
    (void)nghttp2_submit_response(h2->session, s->id, nvs, n,
                                  body_len > 0 || s->of_file ? &provider : NULL);
    http_count(req, status);
}
