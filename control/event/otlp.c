/* OTLP 1.3, ExportTraceServiceRequest in the JSON of
 * https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: ids are hexadecimal, 64 bit
 * numbers are strings. */
#include "event/otlp.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/jtext.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/thread.h"
#include "trace/trace.h"

enum {
    BATCH = 256, /* spans in one request */
    WAIT_MS = 1000,
    TIMEOUT_MS = 10000,
    PATIENCE_MS = 2000, /* of the last request */
    RETRY_MIN_MS = 1000,
    RETRY_MAX_MS = 60000,
    URL = 600,
    HEADER = 2048,
    WORD = 64,
    STATUS_ERROR = 2
};

static const char path[] = "/v1/traces";

struct otlp {
    char url[URL];
    char version[WORD], node[WORD], host[WORD];
    CURL *curl;
    struct curl_slist *headers;
    pthread_t thread;
    bool away; /* the thread's */
    struct trace_record batch[BATCH];

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
};

/* ---- as JSON ---- */

static json_t *text_of(const char *key, const char *value)
{
    return json_pack("{s:s, s:{s:s}}", "key", key, "value", "stringValue", value);
}

static json_t *number_of(const char *key, int64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRId64, number);
    return json_pack("{s:s, s:{s:s}}", "key", key, "value", "intValue", text);
}

static json_t *time_of(uint64_t us)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRIu64 "000", us);
    return json_string(text);
}

static json_t *span_of(const struct trace_record *r)
{
    static const uint8_t none[TRACE_SPAN_ID];
    char id[TRACE_ID_TEXT], span[TRACE_ID_TEXT], parent[TRACE_ID_TEXT];
    json_t *tags = json_array();
    json_t *json;

    trace_hex(r->self.id, TRACE_ID, id);
    trace_hex(r->self.span, TRACE_SPAN_ID, span);
    trace_hex(r->parent, TRACE_SPAN_ID, parent);
    for (unsigned i = 0; i < r->n_tags; i++) {
        (void)json_array_append_new(tags, r->tags[i].is_number
                                              ? number_of(r->tags[i].key, r->tags[i].number)
                                              : text_of(r->tags[i].key, r->tags[i].value));
    }
    json = json_pack("{s:s, s:s, s:s, s:i, s:o, s:o, s:o}", "traceId", id, "spanId", span,
                     "name", r->name, "kind", (int)r->kind, "startTimeUnixNano",
                     time_of(r->begun_us), "endTimeUnixNano", time_of(r->ended_us),
                     "attributes", tags);
    if (memcmp(r->parent, none, sizeof(none)) != 0) {
        (void)json_object_set_new(json, "parentSpanId", json_string(parent));
    }
    if (r->error[0] != '\0') {
        (void)json_object_set_new(
            json, "status",
            json_pack("{s:i, s:s}", "code", STATUS_ERROR, "message", r->error));
    }
    return json;
}

/* The body of a request; the caller frees it. NULL without memory. */
static char *body_of(const struct otlp *otlp, uint32_t n)
{
    json_t *spans = json_array();
    json_t *json;
    char *text;

    for (uint32_t i = 0; i < n; i++) {
        (void)json_array_append_new(spans, span_of(&otlp->batch[i]));
    }
    json = json_pack(
        "{s:[{s:{s:[o, o, o, o]}, s:[{s:{s:s, s:s}, s:o}]}]}", "resourceSpans", "resource",
        "attributes", text_of("service.name", "kcs-control"),
        text_of("service.version", otlp->version),
        text_of("service.instance.id", otlp->node), text_of("host.name", otlp->host),
        "scopeSpans", "scope", "name", "kcs", "version", otlp->version, "spans", spans);
    text = jtext_make(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

/* ---- the thread ---- */

static size_t ignore(char *data, size_t size, size_t n, void *arg)
{
    (void)data;
    (void)arg;
    return size * n;
}

static bool is_stopping(struct otlp *otlp)
{
    bool stop;

    (void)pthread_mutex_lock(&otlp->lock);
    stop = otlp->stop;
    (void)pthread_mutex_unlock(&otlp->lock);
    return stop;
}

/* Waits; true if it is to stop. */
static bool pause_for(struct otlp *otlp, uint32_t ms)
{
    const struct timespec until = clock_deadline(CLOCK_REALTIME, ms);
    bool stop;

    (void)pthread_mutex_lock(&otlp->lock);
    while (!otlp->stop &&
           pthread_cond_timedwait(&otlp->changed, &otlp->lock, &until) == 0) {
    }
    stop = otlp->stop;
    (void)pthread_mutex_unlock(&otlp->lock);
    return stop;
}

/* One try. 0; -EAGAIN: later again, 'why' says why; -EINVAL: never. */
static int post(struct otlp *otlp, const char *body, char why[WORD])
{
    long status = 0;
    CURLcode code;

    (void)curl_easy_setopt(otlp->curl, CURLOPT_POSTFIELDS, body);
    (void)curl_easy_setopt(otlp->curl, CURLOPT_TIMEOUT_MS,
                           (long)(is_stopping(otlp) ? PATIENCE_MS : TIMEOUT_MS));
    code = curl_easy_perform(otlp->curl);
    if (code != CURLE_OK) {
        (void)snprintf(why, WORD, "%s", curl_easy_strerror(code));
        return -EAGAIN;
    }
    (void)curl_easy_getinfo(otlp->curl, CURLINFO_RESPONSE_CODE, &status);
    (void)snprintf(why, WORD, "it answered %ld", status);
    if (status / 100 == 2) {
        return 0;
    }
    return status / 100 == 5 || status == 429 || status == 408 ? -EAGAIN : -EINVAL;
}

static void note(struct otlp *otlp, int err, const char *why)
{
    if (err == -EAGAIN && !otlp->away) {
        log_warn("traces_wait", LOG_STR("url", otlp->url), LOG_STR("error", why),
                 LOG_STR("cure", "it is tried again; what does not fit meanwhile is dropped "
                                 "and counted (trace_spans_total)"));
    } else if (err == 0 && otlp->away) {
        log_info("traces_go", LOG_STR("url", otlp->url));
    } else if (err == -EINVAL) {
        log_error("traces_refused", LOG_STR("url", otlp->url), LOG_STR("error", why),
                  LOG_STR("cure",
                          "let tracing.otlp.endpoint be an OTLP receiver that takes "
                          "JSON, and tracing.otlp.headers what it knows us by"));
    }
    otlp->away = err == -EAGAIN;
}

/* Until they are taken, refused, or all is over. */
static void send_batch(struct otlp *otlp, uint32_t n)
{
    char *body = body_of(otlp, n);
    uint32_t wait_ms = RETRY_MIN_MS;
    char why[WORD] = "no memory";
    int err = body != NULL ? -EAGAIN : -EINVAL;

    while (body != NULL && err == -EAGAIN) {
        err = post(otlp, body, why);
        note(otlp, err, why);
        if (err == -EAGAIN && pause_for(otlp, wait_ms)) {
            break;
        }
        wait_ms = 2 * wait_ms < RETRY_MAX_MS ? 2 * wait_ms : RETRY_MAX_MS;
    }
    trace_count(err == 0         ? TRACE_EXPORTED
                : err == -EINVAL ? TRACE_REFUSED
                                 : TRACE_DROPPED,
                n);
    free(body);
}

static void *run(void *arg)
{
    struct otlp *otlp = arg;
    bool stop = false;

    thread_named("kcs-traces");
    while (!stop) {
        uint32_t n;

        stop = is_stopping(otlp); /* then what is there goes once more */
        n = trace_take(otlp->batch, BATCH, stop ? 0 : WAIT_MS);
        if (n > 0) {
            send_batch(otlp, n);
        }
    }
    return NULL;
}

/* ---- made ---- */

static void otlp_free(struct otlp *otlp)
{
    for (struct curl_slist *each = otlp->headers; each != NULL; each = each->next) {
        explicit_bzero(each->data, strlen(each->data));
    }
    curl_slist_free_all(otlp->headers);
    if (otlp->curl != NULL) {
        curl_easy_cleanup(otlp->curl);
    }
    (void)pthread_cond_destroy(&otlp->changed);
    (void)pthread_mutex_destroy(&otlp->lock);
    free(otlp);
}

static int add_header(struct otlp *otlp, const char *name, const char *value)
{
    char text[HEADER];
    struct curl_slist *list = NULL;

    if (snprintf(text, sizeof(text), "%s: %s", name, value) < (int)sizeof(text)) {
        list = curl_slist_append(otlp->headers, text);
    }
    explicit_bzero(text, sizeof(text));
    otlp->headers = list != NULL ? list : otlp->headers;
    return list != NULL ? 0 : -ENOMEM;
}

static int add_headers(struct otlp *otlp, const struct otlp_conf *conf)
{
    int ret = add_header(otlp, "Content-Type", "application/json");

    for (size_t i = 0; ret == 0 && i < conf->n_headers; i++) {
        ret = add_header(otlp, conf->headers[i].name, conf->headers[i].value);
    }
    return ret;
}

static int prepare(struct otlp *otlp, const struct otlp_conf *conf)
{
    size_t len = strlen(conf->endpoint);

    while (len > 0 && conf->endpoint[len - 1] == '/') {
        len--;
    }
    if (snprintf(otlp->url, sizeof(otlp->url), "%.*s%s", (int)len, conf->endpoint, path) >=
        (int)sizeof(otlp->url)) {
        return -ENAMETOOLONG;
    }
    (void)snprintf(otlp->version, sizeof(otlp->version), "%s", conf->version);
    (void)snprintf(otlp->node, sizeof(otlp->node), "%s", conf->node);
    (void)gethostname(otlp->host, sizeof(otlp->host) - 1);
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    otlp->curl = curl_easy_init();
    if (otlp->curl == NULL || add_headers(otlp, conf) != 0) {
        return -ENOMEM;
    }
    (void)curl_easy_setopt(otlp->curl, CURLOPT_URL, otlp->url);
    (void)curl_easy_setopt(otlp->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(otlp->curl, CURLOPT_HTTPHEADER, otlp->headers);
    (void)curl_easy_setopt(otlp->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(otlp->curl, CURLOPT_WRITEFUNCTION, ignore);
    (void)curl_easy_setopt(otlp->curl, CURLOPT_USERAGENT, "kcs-control");
    return 0;
}

int otlp_create(struct otlp **out, struct metric_registry *metrics,
                const struct otlp_conf *conf, char err[EVENT_ERR_MAX])
{
    struct otlp *otlp = calloc(1, sizeof(*otlp));
    int ret = -ENOMEM;

    if (otlp != NULL) {
        (void)pthread_mutex_init(&otlp->lock, NULL);
        (void)pthread_cond_init(&otlp->changed, NULL);
        ret = prepare(otlp, conf);
    }
    if (ret == 0) {
        ret = trace_open(metrics, conf->percent);
    }
    if (ret == 0) {
        ret = -pthread_create(&otlp->thread, NULL, run, otlp);
        if (ret != 0) {
            trace_close();
        }
    }
    if (ret != 0) {
        (void)snprintf(err, EVENT_ERR_MAX, "tracing.otlp.endpoint: %s", strerror(-ret));
        if (otlp != NULL) {
            otlp_free(otlp);
        }
        return ret;
    }
    *out = otlp;
    return 0;
}

void otlp_destroy(struct otlp *otlp)
{
    if (otlp == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&otlp->lock);
    otlp->stop = true;
    (void)pthread_cond_broadcast(&otlp->changed);
    (void)pthread_mutex_unlock(&otlp->lock);
    trace_wake();
    (void)pthread_join(otlp->thread, NULL);
    trace_close();
    otlp_free(otlp);
}
