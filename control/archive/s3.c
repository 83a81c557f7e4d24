#include "archive/s3.h"

#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/xml.h"
#include "proto/jtext.h"
#include "proto/sigv4.h"
#include "sys/clock.h"

enum {
    ANSWER_MAX = 1 << 20, /* a page of ListParts has a thousand parts, of 300 bytes each */
    HOST = 300,
    PATH = 768,
    QUERY = 3 * S3_UPLOAD + 64,
    TARGET = PATH + QUERY,
    CONNECT_MS = 10000,
    STALLED_S = 30, /* without a byte, and it is given up */
    CHUNK = 64 * 1024
};

struct s3 {
    struct s3_conf conf;
    const atomic_bool *stop;
    CURL *curl;
    bool loopback; /* it was refused for that */
    char error[CURL_ERROR_SIZE];
};

/* A request in the making, and its answer. */
struct asked {
    const char *method, *name;
    char query[QUERY];
    int fd;           /* of the body; -1: it is 'text' */
    uint64_t at, len; /* of the body */
    const char *text;
    uint64_t sent;
    int read_err;
    struct jtext answer;
    struct s3_part *part; /* gets the header etag; may be NULL */
};

static bool is_loopback(const struct sockaddr *addr)
{
    const struct sockaddr_in *v4 = (const void *)addr;
    const struct sockaddr_in6 *v6 = (const void *)addr;

    if (addr->sa_family == AF_INET) {
        const uint32_t ip = ntohl(v4->sin_addr.s_addr);

        return ip >> 24 == 127 || ip == 0;
    }
    return addr->sa_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
            IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) ||
            (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127));
}

/* What the name leads to is known only here. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct s3 *s3 = arg;

    (void)purpose;
    if (!s3->conf.allow_loopback && is_loopback(&to->addr)) {
        s3->loopback = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct s3 *s3 = arg;

    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(s3->stop) ? 1 : 0;
}

static size_t on_answer(char *data, size_t size, size_t n, void *arg)
{
    struct asked *asked = arg;

    return asked->answer.len + size * n <= ANSWER_MAX &&
                   jtext_add(data, size * n, &asked->answer) == 0
               ? size * n
               : 0;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    struct asked *asked = arg;
    const size_t len = size * n;

    if (asked->part != NULL && len > 5 && strncasecmp(data, "etag:", 5) == 0) {
        size_t from = 5, to = len;

        while (from < to && data[from] == ' ') {
            from++;
        }
        while (to > from && strchr("\r\n ", data[to - 1]) != NULL) {
            to--;
        }
        if (to - from <= S3_ETAG) {
            memcpy(asked->part->etag, data + from, to - from);
            asked->part->etag[to - from] = '\0';
        }
    }
    return len;
}

static size_t on_body(char *out, size_t size, size_t n, void *arg)
{
    struct asked *asked = arg;
    const uint64_t left = asked->len - asked->sent;
    size_t want = size * n < left ? size * n : (size_t)left;
    ssize_t got = (ssize_t)want;

    if (want == 0) {
        return 0;
    }
    if (asked->fd < 0) {
        memcpy(out, asked->text + asked->sent, want);
    } else {
        got = pread(asked->fd, out, want, (off_t)(asked->at + asked->sent));
        if (got <= 0) {
            asked->read_err = got < 0 ? -errno : -EIO; /* it has become shorter */
            return CURL_READFUNC_ABORT;
        }
    }
    asked->sent += (uint64_t)got;
    return (size_t)got;
}

/* The SHA-256 of the body. Returns 0, or -errno: it cannot be read. */
static int hash(const struct s3 *s3, struct asked *asked, char out[SIGV4_HASH])
{
    unsigned char digest[32];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    char *chunk = malloc(CHUNK);
    int err = ctx != NULL && chunk != NULL ? 0 : -ENOMEM;

    if (err == 0) {
        size_t n;

        (void)EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
        while ((n = on_body(chunk, 1, CHUNK, asked)) > 0 && n <= CHUNK) {
            (void)EVP_DigestUpdate(ctx, chunk, n);
            if (atomic_load(s3->stop)) {
                err = -ECANCELED;
                break;
            }
        }
        (void)EVP_DigestFinal_ex(ctx, digest, NULL);
        err = err != 0 ? err : asked->read_err;
        asked->sent = 0;
    }
    for (size_t i = 0; err == 0 && i < sizeof(digest); i++) {
        (void)sprintf(out + 2 * i, "%02x", digest[i]);
    }
    EVP_MD_CTX_free(ctx);
    free(chunk);
    return err;
}

static bool append(struct curl_slist **list, const char *name, const char *value)
{
    char line[SIGV4_HEADER + 64];
    struct curl_slist *more;

    (void)snprintf(line, sizeof(line), "%s: %s", name, value);
    more = curl_slist_append(*list, line);
    *list = more != NULL ? more : *list;
    return more != NULL;
}

/* "https://HOST:PORT" without "https://", as the header host has it. */
static const char *host_of(const struct s3_conf *conf)
{
    const char *slashes = strstr(conf->endpoint, "//");

    return slashes != NULL ? slashes + 2 : conf->endpoint;
}

static int path_of(const struct s3_conf *conf, const char *name, char out[PATH])
{
    return snprintf(out, PATH, "/%s/%s%s%s", conf->bucket, conf->prefix,
                    conf->prefix[0] != '\0' ? "/" : "", name) < PATH
               ? 0
               : -ENOSPC;
}

static int headers_of(const struct s3 *s3, const struct asked *asked, const char *path,
                      const char *body, struct curl_slist **out)
{
    const struct sigv4_key key = {s3->conf.access_key, s3->conf.secret_key,
                                  s3->conf.region};
    const struct sigv4_request request = {.method = asked->method,
                                          .host = host_of(&s3->conf),
                                          .path = path,
                                          .query = asked->query,
                                          .body = body,
                                          .at_s = clock_wall_s()};
    char authorization[SIGV4_HEADER], time[SIGV4_TIME];
    int err = sigv4_header(&key, &request, authorization);

    sigv4_time(request.at_s, time);
    if (err == 0 &&
        (!append(out, "authorization", authorization) || !append(out, "x-amz-date", time) ||
         !append(out, "x-amz-content-sha256", body) ||
         !append(out, "content-type", "application/octet-stream") ||
         (*out = curl_slist_append(*out, "Expect:")) == NULL)) {
        err = -ENOMEM;
    }
    return err;
}

/* What became of it. */
static int judge(const struct s3 *s3, const struct asked *asked, CURLcode code,
                 char why[S3_WHY])
{
    char word[80] = "";
    long status = 0;

    if (code != CURLE_OK) {
        (void)snprintf(why, S3_WHY, "%s",
                       s3->loopback
                           ? "it is this machine, which recording.s3.allow_loopback "
                             "does not allow"
                       : s3->error[0] != '\0' ? s3->error
                                              : curl_easy_strerror(code));
        return asked->read_err != 0                ? asked->read_err
               : code == CURLE_OUT_OF_MEMORY       ? -ENOMEM
               : code == CURLE_ABORTED_BY_CALLBACK ? -ECANCELED
                                                   : -EIO;
    }
    (void)curl_easy_getinfo(s3->curl, CURLINFO_RESPONSE_CODE, &status);
    /* CompleteMultipartUpload says 200 before it knows: then there is an error in it */
    if (asked->answer.len > 0) {
        const struct xml all = {asked->answer.data, asked->answer.len};
        struct xml rest = all, error;

        if (xml_next(&rest, "Error", &error) &&
            !xml_text(error, "Code", word, sizeof(word))) {
            (void)snprintf(word, sizeof(word), "an error");
        }
    }
    if (status / 100 == 2 && word[0] == '\0') {
        return 0;
    }
    (void)snprintf(why, S3_WHY, "it answered %ld %s", status, word);
    return status == 404 ? -ENOENT : status == 401 || status == 403 ? -EACCES : -EIO;
}

/* 'asked' is filled; its answer is the caller's to free. */
static int ask(struct s3 *s3, struct asked *asked, char why[S3_WHY])
{
    struct curl_slist *headers = NULL;
    char path[PATH], url[TARGET + HOST], body[SIGV4_HASH];
    int err = path_of(&s3->conf, asked->name, path);

    (void)snprintf(why, S3_WHY, "the request cannot be made");
    err = err != 0 ? err : hash(s3, asked, body);
    err = err != 0 ? err : headers_of(s3, asked, path, body, &headers);
    if (err == 0 &&
        snprintf(url, sizeof(url), "%s%s%s%s", s3->conf.endpoint, path,
                 asked->query[0] != '\0' ? "?" : "", asked->query) >= (int)sizeof(url)) {
        err = -ENOSPC;
    }
    if (err == 0) {
        const bool upload = asked->method[0] == 'P'; /* PUT, POST: they say how long */

        s3->loopback = false;
        s3->error[0] = '\0';
        (void)curl_easy_setopt(s3->curl, CURLOPT_URL, url);
        (void)curl_easy_setopt(s3->curl, CURLOPT_UPLOAD, upload ? 1L : 0L);
        (void)curl_easy_setopt(s3->curl, CURLOPT_CUSTOMREQUEST, asked->method);
        (void)curl_easy_setopt(s3->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)asked->len);
        (void)curl_easy_setopt(s3->curl, CURLOPT_READDATA, asked);
        (void)curl_easy_setopt(s3->curl, CURLOPT_WRITEDATA, asked);
        (void)curl_easy_setopt(s3->curl, CURLOPT_HEADERDATA, asked);
        (void)curl_easy_setopt(s3->curl, CURLOPT_HTTPHEADER, headers);
        err = judge(s3, asked, curl_easy_perform(s3->curl), why);
        (void)curl_easy_setopt(s3->curl, CURLOPT_HTTPHEADER, NULL);
    }
    curl_slist_free_all(headers);
    return err;
}

static void set_up(struct s3 *s3)
{
    CURL *c = s3->curl;

    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    (void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALLED_S);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "kcs-control");
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, s3->error);
    (void)curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    (void)curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, s3);
    (void)curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFODATA, s3);
    (void)curl_easy_setopt(c, CURLOPT_READFUNCTION, on_body);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_answer);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
}

int s3_create(struct s3 **out, const struct s3_conf *conf, const atomic_bool *stop)
{
    struct s3 *s3 = calloc(1, sizeof(*s3));

    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    if (s3 == NULL || (s3->curl = curl_easy_init()) == NULL) {
        free(s3);
        return -ENOMEM;
    }
    s3->conf = *conf;
    s3->stop = stop;
    set_up(s3);
    *out = s3;
    return 0;
}

void s3_destroy(struct s3 *s3)
{
    if (s3 != NULL) {
        curl_easy_cleanup(s3->curl);
        free(s3);
    }
}

/* ---- what is asked ---- */

int s3_put(struct s3 *s3, const char *name, int fd, uint64_t at, uint64_t len,
           char why[S3_WHY])
{
    struct asked asked = {.method = "PUT", .name = name, .fd = fd, .at = at, .len = len};
    int err = ask(s3, &asked, why);

    free(asked.answer.data);
    return err;
}

int s3_delete(struct s3 *s3, const char *name, char why[S3_WHY])
{
    struct asked asked = {.method = "DELETE", .name = name, .fd = -1};
    int err = ask(s3, &asked, why);

    free(asked.answer.data);
    return err == -ENOENT ? 0 : err;
}

int s3_begin(struct s3 *s3, const char *name, char upload[S3_UPLOAD + 1], char why[S3_WHY])
{
    struct asked asked = {.method = "POST", .name = name, .fd = -1, .query = "uploads="};
    int err = ask(s3, &asked, why);

    if (err == 0 && (!xml_text((struct xml){asked.answer.data, asked.answer.len},
                               "UploadId", upload, S3_UPLOAD + 1) ||
                     upload[0] == '\0')) {
        (void)snprintf(why, S3_WHY, "it began an upload without saying which");
        err = -EBADMSG;
    }
    free(asked.answer.data);
    return err;
}

/* "…&uploadId=ID", encoded. */
static int add_upload(struct s3 *s3, struct asked *asked, const char *before,
                      const char *upload)
{
    char *id = curl_easy_escape(s3->curl, upload, 0);
    int len =
        id != NULL ? snprintf(asked->query, QUERY, "%suploadId=%s", before, id) : QUERY;

    curl_free(id);
    return len < QUERY ? 0 : -ENOMEM;
}

int s3_put_part(struct s3 *s3, const char *name, const char *upload, unsigned n, int fd,
                uint64_t at, uint64_t len, struct s3_part *out, char why[S3_WHY])
{
    struct s3_part part = {.bytes = len};
    struct asked asked = {
        .method = "PUT", .name = name, .fd = fd, .at = at, .len = len, .part = &part};
    char number[32];
    int err;

    (void)snprintf(number, sizeof(number), "partNumber=%u&", n);
    err = add_upload(s3, &asked, number, upload);
    err = err != 0 ? err : ask(s3, &asked, why);
    if (err == 0 && part.etag[0] == '\0') {
        (void)snprintf(why, S3_WHY, "it took a part without an etag");
        err = -EBADMSG;
    }
    if (err == 0) {
        *out = part;
    }
    free(asked.answer.data);
    return err;
}

/* A page of them. Fills 'marker', where the next one begins; 0: that was all. */
static int take_parts(const struct asked *asked, struct s3_part *parts, unsigned n,
                      unsigned *marker)
{
    struct xml all = {asked->answer.data, asked->answer.len};
    struct xml rest = all, part;
    char text[32], next[32] = "0";

    while (xml_next(&rest, "Part", &part)) {
        struct s3_part found = {.bytes = 0};
        unsigned long at;

        if (!xml_text(part, "PartNumber", text, sizeof(text)) ||
            (at = strtoul(text, NULL, 10)) < 1 || at > n ||
            !xml_text(part, "ETag", found.etag, sizeof(found.etag)) ||
            !xml_text(part, "Size", text, sizeof(text))) {
            continue; /* then it is sent again */
        }
        found.bytes = strtoull(text, NULL, 10);
        parts[at - 1] = found;
    }
    if (xml_text(all, "IsTruncated", text, sizeof(text)) && strcmp(text, "true") == 0) {
        (void)xml_text(all, "NextPartNumberMarker", next, sizeof(next));
    }
    *marker = (unsigned)strtoul(next, NULL, 10);
    return 0;
}

int s3_parts(struct s3 *s3, const char *name, const char *upload, struct s3_part *parts,
             unsigned n, char why[S3_WHY])
{
    unsigned marker = 0;
    int err;

    do {
        struct asked asked = {.method = "GET", .name = name, .fd = -1};
        const unsigned from = marker;
        char before[48];

        (void)snprintf(before, sizeof(before), "part-number-marker=%u&", marker);
        err = add_upload(s3, &asked, before, upload);
        err = err != 0 ? err : ask(s3, &asked, why);
        err = err != 0 ? err : take_parts(&asked, parts, n, &marker);
        free(asked.answer.data);
        if (marker <= from) {
            break; /* the last page, or one that would come for ever */
        }
    } while (err == 0);
    return err;
}

int s3_complete(struct s3 *s3, const char *name, const char *upload,
                const struct s3_part *parts, unsigned n, char why[S3_WHY])
{
    static const char open[] = "<CompleteMultipartUpload>";
    static const char close[] = "</CompleteMultipartUpload>";
    struct asked asked = {.method = "POST", .name = name, .fd = -1};
    struct jtext body = {.len = 0};
    int err = add_upload(s3, &asked, "", upload);

    (void)jtext_add(open, sizeof(open) - 1, &body);
    for (unsigned i = 0; i < n; i++) {
        char part[S3_ETAG + 96];
        const int len = snprintf(part, sizeof(part),
                                 "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>",
                                 i + 1, parts[i].etag);

        (void)jtext_add(part, (size_t)len, &body);
    }
    (void)jtext_add(close, sizeof(close) - 1, &body);
    asked.text = body.data;
    asked.len = body.len;
    err = err != 0 ? err : body.failed != 0 ? -ENOMEM : ask(s3, &asked, why);
    free(asked.answer.data);
    free(body.data);
    return err;
}

int s3_abort(struct s3 *s3, const char *name, const char *upload, char why[S3_WHY])
{
    struct asked asked = {.method = "DELETE", .name = name, .fd = -1};
    int err = add_upload(s3, &asked, "", upload);

    err = err != 0 ? err : ask(s3, &asked, why);
    free(asked.answer.data);
    return err == -ENOENT ? 0 : err;
}

int s3_url(const struct s3_conf *conf, const char *name, int64_t now_s, uint32_t expires_s,
           char out[S3_URL])
{
    const struct sigv4_key key = {conf->access_key, conf->secret_key, conf->region};
    char path[PATH], query[SIGV4_QUERY];
    const struct sigv4_request request = {.method = "GET",
                                          .host = host_of(conf),
                                          .path = path,
                                          .query = "",
                                          .body = "UNSIGNED-PAYLOAD",
                                          .at_s = now_s};

    if (path_of(conf, name, path) != 0 ||
        sigv4_query(&key, &request, expires_s, query) != 0 ||
        snprintf(out, S3_URL, "%s%s?%s", conf->endpoint, path, query) >= S3_URL) {
        return -ENOSPC;
    }
    return 0;
}
