#include "egress/out/push.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "egress/out/packet_queue.h"
#include "egress/out/resolve.h"

enum {
    CONNECT_US = 10000000, /* of a connection, till something can be sent */
    WRITE_US = 10000000,   /* that one packet may take */
    RETRY_MS = 1000,
    RETRY_MAX_MS = 30000,
    ENDING_US = 500000,  /* that it may take to end */
    STEADY_US = 60000000 /* who was connected so long is tried again at once */
};

struct push {
    struct rtmp_url url;
    bool private;
    char ca_file[PUSH_CA_FILE]; /* "": the system's */
    AVCodecParameters *codecs[N_ENCODER_KINDS];
    AVRational bases[N_ENCODER_KINDS]; /* of the packets' times */
    struct packet_queue *queue;
    _Atomic uint64_t end_us; /* when all is given up; UINT64_MAX: it is not to end */
    pthread_mutex_t lock;    /* of what follows */
    pthread_cond_t change;
    bool ended; /* the thread has */
    bool left;  /* to the thread: it disposes of all */
    struct push_figures figures;
    /* the thread's alone */
    uint64_t until_us; /* when what is being done is given up */
    bool refused;
    const char *why; /* of what fails, where libavformat's code does not say it */
};

static uint64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool is_ending(const struct push *push)
{
    return atomic_load(&push->end_us) != UINT64_MAX;
}

/* libavformat asks, ten times a second, whether to give up. */
static int is_too_late(void *arg)
{
    const struct push *push = arg;
    uint64_t now = now_us();

    return now >= push->until_us || now >= atomic_load(&push->end_us);
}

static void note(struct push *push, enum push_state state, const char *reason)
{
    (void)pthread_mutex_lock(&push->lock);
    push->figures.state = state;
    (void)snprintf(push->figures.reason, sizeof(push->figures.reason), "%s", reason);
    (void)pthread_mutex_unlock(&push->lock);
}

/* ---- the connection ---- */

static bool may_connect(const struct push *push, const struct sockaddr *to)
{
    return push->private || resolve_is_public(to);
}

static void ask_for(const struct push *push, AVDictionary **options)
{
    const struct rtmp_url *url = &push->url;
    char tcurl[RTMP_URL_HOST + RTMP_URL_MAX + 24];

    (void)snprintf(tcurl, sizeof(tcurl), "rtmp%s://%s:%s/%s", url->tls ? "s" : "",
                   url->host, url->port, url->app);
    (void)av_dict_set(options, "rtmp_app", url->app, 0);
    (void)av_dict_set(options, "rtmp_playpath", url->key, 0);
    (void)av_dict_set(options, "rtmp_tcurl", tcurl, 0);
}

/* By its name, which the certificate has to have, and which the server may have to be told.
 */
static int dial_name(struct push *push, AVFormatContext *format)
{
    const struct rtmp_url *url = &push->url;
    const bool v6 = strchr(url->host, ':') != NULL;
    char where[RTMP_URL_HOST + 24];
    AVDictionary *options = NULL;
    int err;

    (void)snprintf(where, sizeof(where), "rtmps://%s%s%s:%s/", v6 ? "[" : "", url->host,
                   v6 ? "]" : "", url->port);
    ask_for(push, &options);
    (void)av_dict_set(&options, "tls_verify", "1", 0);
    if (push->ca_file[0] != '\0') {
        (void)av_dict_set(&options, "ca_file", push->ca_file, 0);
    }
    push->until_us = now_us() + CONNECT_US;
    resolve_public_only(!push->private);
    err = avio_open2(&format->pb, where, AVIO_FLAG_WRITE, &format->interrupt_callback,
                     &options);
    resolve_public_only(false);
    av_dict_free(&options);
    if (err == AVERROR(EIO)) {
        push->why = "the server has no good certificate for that name, or speaks no TLS";
    }
    return err;
}

/* All that is asked of libavformat is by the address; who it is meant for stands in
 * 'tcurl', as servers that have several names want it. */
static int dial(struct push *push, AVFormatContext *format, const struct addrinfo *to)
{
    const struct rtmp_url *url = &push->url;
    const bool v6 = to->ai_family == AF_INET6;
    char address[INET6_ADDRSTRLEN], where[128];
    AVDictionary *options = NULL;
    int err;

    if (getnameinfo(to->ai_addr, to->ai_addrlen, address, sizeof(address), NULL, 0,
                    NI_NUMERICHOST) != 0) {
        return AVERROR(EINVAL);
    }
    (void)snprintf(where, sizeof(where), "rtmp://%s%s%s:%s/", v6 ? "[" : "", address,
                   v6 ? "]" : "", url->port);
    ask_for(push, &options);
    push->until_us = now_us() + CONNECT_US;
    err = avio_open2(&format->pb, where, AVIO_FLAG_WRITE, &format->interrupt_callback,
                     &options);
    av_dict_free(&options);
    return err;
}

/* To the first of its addresses that may be connected to and answers. */
static int open_socket(struct push *push, AVFormatContext *format)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int err = AVERROR(EHOSTUNREACH);

    if (getaddrinfo(push->url.host, push->url.port, &hints, &found) != 0) {
        push->why = "the name stands for no address";
        return err;
    }
    push->refused = true;
    for (const struct addrinfo *to = found; to != NULL && err < 0 && !is_ending(push);
         to = push->url.tls && !push->refused ? NULL : to->ai_next) {
        if (may_connect(push, to->ai_addr)) {
            push->refused = false;
            err = push->url.tls ? dial_name(push, format) : dial(push, format, to);
        }
    }
    freeaddrinfo(found);
    return err;
}

static int add_streams(const struct push *push, AVFormatContext *format)
{
    int err = 0;

    for (unsigned i = 0; i < N_ENCODER_KINDS && err >= 0; i++) {
        AVStream *stream = avformat_new_stream(format, NULL);

        err = stream == NULL ? AVERROR(ENOMEM)
                             : avcodec_parameters_copy(stream->codecpar, push->codecs[i]);
    }
    return err;
}

static int connect_to(struct push *push, AVFormatContext **out)
{
    AVFormatContext *format = NULL;
    AVDictionary *options = NULL;
    int err = avformat_alloc_output_context2(&format, NULL, "flv", NULL);

    if (err < 0) {
        return err;
    }
    format->interrupt_callback = (AVIOInterruptCB){is_too_late, push};
    format->flags |= AVFMT_FLAG_FLUSH_PACKETS;
    err = add_streams(push, format);
    err = err < 0 ? err : open_socket(push, format);
    if (err >= 0) {
        (void)av_dict_set(&options, "flvflags", "no_duration_filesize", 0);
        push->until_us = now_us() + WRITE_US;
        err = avformat_write_header(format, &options);
        av_dict_free(&options);
    }
    if (err < 0) {
        (void)avio_closep(&format->pb);
        avformat_free_context(format);
        return err;
    }
    *out = format;
    return 0;
}

static void hang_up(struct push *push, AVFormatContext *format, bool in_order)
{
    push->until_us = now_us() + ENDING_US;
    if (in_order) {
        (void)av_write_trailer(format);
    }
    (void)avio_closep(&format->pb);
    avformat_free_context(format);
}

/* ---- packets ---- */

static int send_one(struct push *push, AVFormatContext *format, enum encoder_kind kind,
                    AVPacket *packet, int64_t at_us)
{
    const AVStream *stream = format->streams[kind];
    const uint64_t size = (uint64_t)packet->size;
    int err;

    packet->stream_index = stream->index;
    packet->pts = av_rescale_q(at_us, AV_TIME_BASE_Q, stream->time_base);
    packet->dts = packet->pts;
    packet->duration = av_rescale_q(packet->duration, push->bases[kind], stream->time_base);
    push->until_us = now_us() + WRITE_US;
    err = av_write_frame(format, packet);
    if (err >= 0) {
        (void)pthread_mutex_lock(&push->lock);
        push->figures.bytes += size;
        (void)pthread_mutex_unlock(&push->lock);
    }
    return err;
}

/* From a picture that leans on no other, until something fails: libavformat's code; 0 if it
 * is to end. Servers want times that begin at 0. */
static int send_all(struct push *push, AVFormatContext *format)
{
    int64_t zero_us = INT64_MAX;
    enum encoder_kind kind;
    AVPacket *packet;
    int err = 0;

    packet_queue_clear(push->queue); /* what waited while it connected is old */
    while (err >= 0 && (packet = packet_queue_take(push->queue, &kind)) != NULL) {
        int64_t at_us = av_rescale_q(packet->pts, push->bases[kind], AV_TIME_BASE_Q);

        if (zero_us == INT64_MAX && kind == ENCODER_VIDEO &&
            (packet->flags & AV_PKT_FLAG_KEY) != 0) {
            zero_us = at_us;
        }
        if (at_us >= zero_us) {
            err = send_one(push, format, kind, packet, at_us - zero_us);
        }
        av_packet_free(&packet);
    }
    return err;
}

/* ---- the thread ---- */

/* Returns whether it is worth another try. */
static bool try_once(struct push *push)
{
    AVFormatContext *format;
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    int err;

    push->why = NULL;
    push->refused = false;
    err = connect_to(push, &format);
    if (err >= 0) {
        note(push, PUSH_CONNECTED, "");
        err = send_all(push, format);
        hang_up(push, format, err >= 0);
    }
    if (is_ending(push)) {
        return false;
    }
    if (push->refused) {
        note(push, PUSH_REFUSED, "the address is none of the public Internet");
        return false;
    }
    (void)av_strerror(err, text, sizeof(text));
    note(push, PUSH_AWAY,
         push->why != NULL     ? push->why
         : err == AVERROR_EXIT ? "the server does not answer in time"
                               : text);
    return true;
}

static void dispose(struct push *push)
{
    packet_queue_destroy(push->queue);
    for (unsigned i = 0; i < N_ENCODER_KINDS; i++) {
        avcodec_parameters_free(&push->codecs[i]);
    }
    (void)pthread_cond_destroy(&push->change);
    (void)pthread_mutex_destroy(&push->lock);
    explicit_bzero(&push->url, sizeof(push->url));
    free(push);
}

static void *run(void *arg)
{
    struct push *push = arg;
    unsigned wait_ms = RETRY_MS;
    uint64_t since_us = now_us();
    bool left;

    (void)pthread_setname_np(pthread_self(), "kcs-push");
    while (try_once(push)) {
        wait_ms = now_us() - since_us > STEADY_US ? RETRY_MS : wait_ms;
        packet_queue_pause(push->queue, wait_ms);
        wait_ms = 2 * wait_ms < RETRY_MAX_MS ? 2 * wait_ms : RETRY_MAX_MS;
        since_us = now_us();
    }
    (void)pthread_mutex_lock(&push->lock);
    push->ended = true;
    left = push->left;
    (void)pthread_cond_signal(&push->change);
    (void)pthread_mutex_unlock(&push->lock);
    if (left) {
        dispose(push);
    }
    return NULL;
}

/* ---- for the others ---- */

static int copy_codecs(struct push *push, const struct encoder *encoder)
{
    int err = 0;

    for (unsigned i = 0; i < N_ENCODER_KINDS && err >= 0; i++) {
        const AVCodecContext *codec = encoder_of(encoder, (enum encoder_kind)i);

        push->codecs[i] = avcodec_parameters_alloc();
        err = push->codecs[i] == NULL
                  ? -ENOMEM
                  : avcodec_parameters_from_context(push->codecs[i], codec);
        push->bases[i] = codec->time_base;
    }
    return err < 0 ? -ENOMEM : 0;
}

int push_open(struct push **out, const char *url, const struct encoder *encoder,
              bool private, const char *ca_file)
{
    struct push *push = calloc(1, sizeof(*push));
    pthread_condattr_t attr;
    pthread_t thread;
    int err;

    if (push == NULL) {
        return -ENOMEM;
    }
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&push->change, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&push->lock, NULL);
    push->private = private;
    (void)snprintf(push->ca_file, sizeof(push->ca_file), "%s", ca_file);
    atomic_init(&push->end_us, UINT64_MAX);
    err = rtmp_url_parse(url, &push->url) ? 0 : -EINVAL;
    err = err != 0 ? err : packet_queue_create(&push->queue);
    err = err != 0 ? err : copy_codecs(push, encoder);
    if (err == 0 && pthread_create(&thread, NULL, run, push) != 0) {
        err = -ENOMEM;
    }
    if (err != 0) {
        dispose(push);
        return err;
    }
    (void)pthread_detach(thread); /* push_close() waits for it, but not for ever */
    *out = push;
    return 0;
}

void push_put(struct push *push, enum encoder_kind kind, const AVPacket *packet)
{
    packet_queue_put(push->queue, kind, packet);
}

void push_figures(struct push *push, struct push_figures *out)
{
    (void)pthread_mutex_lock(&push->lock);
    *out = push->figures;
    (void)pthread_mutex_unlock(&push->lock);
}

void push_close(struct push *push)
{
    struct timespec until;
    bool left;

    if (push == NULL) {
        return;
    }
    atomic_store(&push->end_us, now_us() + ENDING_US);
    packet_queue_close(push->queue);
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PUSH_CLOSE_MS / 1000;
    (void)pthread_mutex_lock(&push->lock);
    while (!push->ended &&
           pthread_cond_timedwait(&push->change, &push->lock, &until) != ETIMEDOUT) {
    }
    push->left = !push->ended; /* the resolver has its own idea of time */
    left = push->left;
    (void)pthread_mutex_unlock(&push->lock);
    if (!left) {
        dispose(push);
    }
}
