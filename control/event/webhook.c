/* Events by HTTP POST, one after the other: CloudEvents in structured mode, signed as
 * Standard Webhooks 1.0 says (webhook-id, webhook-timestamp, webhook-signature). */
#include <curl/curl.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/sink.h"
#include "proto/base64.h"
#include "sys/clock.h"
#include "sys/log.h"

enum {
    QUEUE = 1024,
    RETRY_MIN_MS = 500,
    RETRY_MAX_MS = 300000,
    TIMEOUT_MS = 15000,
    URL = 512,
    SECRET = 256,
    TYPES = 512,
    ID = 2048, /* of a header: three characters a byte at most */
    HEADER = ID + 32,
    SIGNATURE = 64
};

struct webhook {
    struct event_sink sink;
    struct event_port *port;
    struct event_queue *queue;
    char url[URL], types[TYPES];
    unsigned char secret[SECRET];
    size_t secret_len;
    uint64_t give_up_us;
    CURL *curl;
    pthread_mutex_t lock;
    bool failing;
    char why[EVENT_STATE_MAX];
};

static struct webhook *webhook_of(struct event_sink *sink)
{
    return (struct webhook *)sink;
}

static void note(struct webhook *hook, const char *why)
{
    bool news;

    (void)pthread_mutex_lock(&hook->lock);
    news = hook->failing != (why != NULL);
    hook->failing = why != NULL;
    (void)snprintf(hook->why, sizeof(hook->why), "%s", why != NULL ? why : "");
    (void)pthread_mutex_unlock(&hook->lock);
    if (news && why != NULL) {
        log_error("webhook_failed", LOG_STR("url", hook->url), LOG_STR("error", why),
                  LOG_STR("cure", "events wait in the store and it is tried again"));
    } else if (news) {
        log_info("webhook_works", LOG_STR("url", hook->url));
    }
}

/* "v1," and the signature of "ID.TIMESTAMP.BODY" in base64. */
static bool sign(const struct webhook *hook, const char *id, int64_t at_s, const char *body,
                 size_t len, char out[SIGNATURE])
{
    unsigned char mac[32];
    unsigned n = 0;
    char *text = malloc(strlen(id) + len + 32);
    int head;
    bool ok;

    if (text == NULL) {
        return false;
    }
    head = sprintf(text, "%s.%lld.", id, (long long)at_s);
    memcpy(text + head, body, len);
    ok = HMAC(EVP_sha256(), hook->secret, (int)hook->secret_len,
              (const unsigned char *)text, (size_t)head + len, mac, &n) != NULL;
    free(text);
    memcpy(out, "v1,", 3);
    (void)EVP_EncodeBlock((unsigned char *)out + 3, mac, (int)n);
    return ok;
}

static size_t ignore(char *data, size_t size, size_t n, void *arg)
{
    (void)data;
    (void)arg;
    return size * n;
}

/* An id as a header may have it: in ASCII, whatever tokens call a tenant or a meeting, and on one
 * line. */
static void write_id(const char *id, char out[ID])
{
    size_t at = 0;

    for (const unsigned char *c = (const unsigned char *)id; *c != '\0' && at + 4 < ID; c++) {
        if (*c < ' ' || *c > '~' || *c == '%') {
            at += (size_t)snprintf(out + at, ID - at, "%%%02X", *c);
        } else {
            out[at++] = (char)*c;
        }
    }
    out[at] = '\0';
}

static struct curl_slist *headers_of(const struct webhook *hook, const struct event *event,
                                     const char *body, size_t len)
{
    struct curl_slist *list = NULL;
    char id[ID];
    char header[HEADER];
    char signature[SIGNATURE];
    int64_t at_s = clock_wall_s();

    write_id(event->id, id);
    if (!sign(hook, id, at_s, body, len, signature)) {
        return NULL;
    }
    list = curl_slist_append(list, "Content-Type: application/cloudevents+json");
    list = curl_slist_append(list, "Expect:");
    (void)snprintf(header, sizeof(header), "webhook-id: %s", id);
    list = curl_slist_append(list, header);
    (void)snprintf(header, sizeof(header), "webhook-timestamp: %lld", (long long)at_s);
    list = curl_slist_append(list, header);
    if (event->trace[0] != '\0') {
        (void)snprintf(header, sizeof(header), "traceparent: %s", event->trace);
        list = curl_slist_append(list, header);
    }
    (void)snprintf(header, sizeof(header), "webhook-signature: %s", signature);
    return curl_slist_append(list, header);
}

/* One try: NULL, or why not. */
static const char *post(struct webhook *hook, const struct event *event, char why[64])
{
    size_t len = 0;
    char *body = event_json(event, &len);
    struct curl_slist *headers =
        body != NULL ? headers_of(hook, event, body, len) : NULL;
    long status = 0;
    CURLcode code = CURLE_OUT_OF_MEMORY;

    if (headers != NULL) {
        (void)curl_easy_setopt(hook->curl, CURLOPT_HTTPHEADER, headers);
        (void)curl_easy_setopt(hook->curl, CURLOPT_POSTFIELDS, body);
        (void)curl_easy_setopt(hook->curl, CURLOPT_POSTFIELDSIZE, (long)len);
        code = curl_easy_perform(hook->curl);
        (void)curl_easy_getinfo(hook->curl, CURLINFO_RESPONSE_CODE, &status);
    }
    curl_slist_free_all(headers);
    free(body);
    if (code != CURLE_OK) {
        return curl_easy_strerror(code);
    }
    (void)snprintf(why, 64, "it answered %ld", status);
    return status / 100 == 2 ? NULL : why;
}

/* Whether its type begins with one of the words of hook->types. */
static bool is_wanted(const struct webhook *hook, const char *type)
{
    const char *at = hook->types + strspn(hook->types, " ");

    if (*at == '\0') {
        return true;
    }
    while (*at != '\0') {
        size_t len = strcspn(at, " ");

        if (strncmp(type, at, len) == 0) {
            return true;
        }
        at += len;
        at += strspn(at, " ");
    }
    return false;
}

static void work(void *arg, struct event *event)
{
    struct webhook *hook = arg;
    uint64_t begun_us = clock_mono_us();
    uint32_t wait_ms = RETRY_MIN_MS;
    enum event_outcome outcome = EVENT_DELIVERED;
    bool leave = false;
    char text[64];
    const char *why = is_wanted(hook, event->type) ? "" : NULL;

    while (why != NULL && !leave) {
        why = post(hook, event, text);
        note(hook, why);
        if (why != NULL && clock_mono_us() - begun_us > hook->give_up_us) {
            log_error("event_dead", LOG_STR("id", event->id), LOG_STR("type", event->type),
                      LOG_STR("url", hook->url), LOG_STR("reason", why));
            outcome = EVENT_DEAD;
            why = NULL;
        }
        if (why != NULL) {
            leave = event_queue_wait(hook->queue, wait_ms);
            wait_ms = 2 * wait_ms > RETRY_MAX_MS ? RETRY_MAX_MS : 2 * wait_ms;
        }
    }
    if (why == NULL) {
        event_port_report(hook->port, event->position, outcome);
    }
    free(event);
}

static int webhook_send(struct event_sink *sink, struct event *event)
{
    return event_queue_put(webhook_of(sink)->queue, event);
}

static bool webhook_works(struct event_sink *sink, char state[EVENT_STATE_MAX])
{
    struct webhook *hook = webhook_of(sink);
    bool works;

    (void)pthread_mutex_lock(&hook->lock);
    works = !hook->failing;
    if (!works) {
        (void)snprintf(state, EVENT_STATE_MAX, "%.120s: %.100s", hook->url, hook->why);
    }
    (void)pthread_mutex_unlock(&hook->lock);
    return works;
}

static void webhook_stop(struct event_sink *sink, uint32_t patience_ms)
{
    event_queue_stop(webhook_of(sink)->queue, patience_ms);
}

static void webhook_destroy(struct event_sink *sink)
{
    struct webhook *hook = webhook_of(sink);

    event_queue_destroy(hook->queue);
    if (hook->curl != NULL) {
        curl_easy_cleanup(hook->curl);
    }
    explicit_bzero(hook->secret, sizeof(hook->secret));
    (void)pthread_mutex_destroy(&hook->lock);
    free(hook);
}

static bool copy(char *out, size_t cap, const char *text)
{
    return snprintf(out, cap, "%s", text) < (int)cap;
}

/* The words of Standard Webhooks for a secret are bytes in base64; any other is taken as it is. */
static int take_secret(struct webhook *hook, const char *text)
{
    static const char mark[] = "whsec_";
    const size_t len = strlen(text);

    if (len >= SECRET) {
        return -ENAMETOOLONG;
    }
    if (strncmp(text, mark, sizeof(mark) - 1) == 0) {
        return base64_decode(text + sizeof(mark) - 1, len - (sizeof(mark) - 1),
                             hook->secret, &hook->secret_len);
    }
    memcpy(hook->secret, text, len);
    hook->secret_len = len;
    return 0;
}

int event_webhook_create(struct event_sink **out, struct event_port *port,
                         const struct event_webhook_conf *conf, char err[EVENT_ERR_MAX])
{
    static const struct event_sink_ops ops = {webhook_send, webhook_works, webhook_stop,
                                              webhook_destroy};
    struct webhook *hook = calloc(1, sizeof(*hook));
    int ret = hook != NULL ? 0 : -ENOMEM;

    if (ret == 0) {
        hook->sink = (struct event_sink){&ops, "webhook", false};
        hook->port = port;
        hook->give_up_us = (uint64_t)conf->give_up_s * 1000000;
        (void)pthread_mutex_init(&hook->lock, NULL);
        (void)curl_global_init(CURL_GLOBAL_DEFAULT);
        hook->curl = curl_easy_init();
        if (!copy(hook->url, sizeof(hook->url), conf->url) ||
            !copy(hook->types, sizeof(hook->types), conf->types)) {
            ret = -ENAMETOOLONG;
        } else if (hook->curl == NULL) {
            ret = -ENOMEM;
        } else {
            ret = take_secret(hook, conf->secret);
        }
    }
    if (ret == 0) {
        (void)curl_easy_setopt(hook->curl, CURLOPT_URL, hook->url);
        (void)curl_easy_setopt(hook->curl, CURLOPT_PROTOCOLS_STR, "http,https");
        (void)curl_easy_setopt(hook->curl, CURLOPT_NOSIGNAL, 1L);
        (void)curl_easy_setopt(hook->curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
        (void)curl_easy_setopt(hook->curl, CURLOPT_WRITEFUNCTION, ignore);
        (void)curl_easy_setopt(hook->curl, CURLOPT_USERAGENT, "kcs-control");
        ret = event_queue_create(&hook->queue, QUEUE, 1, work, hook);
    }
    if (ret != 0) {
        (void)snprintf(err, EVENT_ERR_MAX, "events.webhooks %.200s: %s", conf->url,
                       ret == -EBADMSG ? "its secret begins with whsec_ and is not base64"
                                       : strerror(-ret));
        if (hook != NULL) {
            webhook_destroy(&hook->sink);
        }
        return ret;
    }
    *out = &hook->sink;
    return 0;
}
