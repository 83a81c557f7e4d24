#include "sctp/dsctp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <usrsctp.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "sctp/dsctp_packet.h"

enum {
    FINISH_TRIES = 50, /* ticks that closed associations get to be freed */
    READ_BYTES = 65536,
    /* What the peer may send before it is acknowledged. All is read at once, so it bounds
     * what a message in pieces may hold. */
    RECEIVE_BYTES = DSCTP_MAX_MESSAGE + READ_BYTES,
    MOST_EVENTS = 4096, /* of one association at a time */
    BATCH_MESSAGES = 1024,
    BATCH_BYTES = 512 * 1024
};

/* One that waits for its turn. */
struct message {
    STAILQ_ENTRY(message) next;
    struct dsctp_channel channel;
    uint32_t ppid;
    size_t len;
    uint64_t at_ms;
    uint8_t data[];
};

struct dsctp_assoc {
    struct dsctp *dsctp;
    uintptr_t id; /* what usrsctp knows it by: it may ask for one that is gone */
    const struct dsctp_ops *ops;
    void *user;
    struct socket *socket;
    bool dirty; /* something may be read */
    bool down;
    STAILQ_HEAD(, message) waiting;
    size_t n_waiting, waiting_bytes;
    size_t n_given, given_bytes; /* to usrsctp, since it was dry */
    uint8_t *partial;            /* a message whose end is still to come */
    size_t partial_len;
    uint8_t resets[DSCTP_STREAMS / 8]; /* streams that are still to be reset */
    uint32_t n_resets;
    UT_hash_handle hh;
    TAILQ_ENTRY(dsctp_assoc) next_dirty;
};

struct dsctp {
    struct dsctp_assoc *assocs;
    TAILQ_HEAD(, dsctp_assoc) dirty;
    bool draining;
    uintptr_t next_id;
    uint64_t now_ms;   /* by dsctp_tick() */
    uint32_t n_resets; /* of all associations */
    struct dsctp_counts counts;
    uint8_t read[READ_BYTES];
};

/* The library is the process's, and so is this. */
static struct dsctp *stack;
static unsigned n_users;
static bool running; /* the library is initialised */

static struct dsctp_assoc *find(const struct dsctp *dsctp, uintptr_t id)
{
    struct dsctp_assoc *assoc = NULL;

    HASH_FIND(hh, dsctp->assocs, &id, sizeof(id), assoc);
    return assoc;
}

/* ---- what usrsctp calls ---- */

static int on_output(void *addr, void *data, size_t len, uint8_t tos, uint8_t set_df)
{
    struct dsctp_assoc *assoc = stack != NULL ? find(stack, (uintptr_t)addr) : NULL;

    (void)tos;
    (void)set_df;
    if (assoc != NULL) {
        stack->counts.packets_out++;
        assoc->ops->on_send(assoc->user, data, len);
    }
    return 0;
}

/* Its locks are held: what there is is read later. */
static void on_upcall(struct socket *socket, void *arg, int flags)
{
    struct dsctp_assoc *assoc = stack != NULL ? find(stack, (uintptr_t)arg) : NULL;

    (void)socket;
    (void)flags;
    if (assoc != NULL && !assoc->dirty) {
        assoc->dirty = true;
        TAILQ_INSERT_TAIL(&stack->dirty, assoc, next_dirty);
    }
}

/* ---- sending ----
 *
 * usrsctp bounds the bytes that wait, but not the messages, which cost it some hundred
 * bytes each beside their own; and it does not tell either. So it is given a batch at a
 * time, and the next one when it has said that all is acknowledged (SENDER_DRY). */

static bool may_give(const struct dsctp_assoc *assoc, size_t len)
{
    return assoc->n_given < BATCH_MESSAGES &&
           (assoc->n_given == 0 || assoc->given_bytes + len <= BATCH_BYTES);
}

static int give(struct dsctp_assoc *assoc, const struct dsctp_channel *channel,
                uint32_t ppid, const void *data, size_t len)
{
    struct sctp_sendv_spa spa = {
        .sendv_flags = SCTP_SEND_SNDINFO_VALID,
        .sendv_sndinfo = {.snd_sid = channel->stream,
                          .snd_flags = channel->unordered ? SCTP_UNORDERED : 0,
                          .snd_ppid = htonl(ppid)}};

    if (channel->reliability != DSCTP_RELIABLE) {
        spa.sendv_flags |= SCTP_SEND_PRINFO_VALID;
        spa.sendv_prinfo.pr_policy =
            channel->reliability == DSCTP_LIFETIME ? SCTP_PR_SCTP_TTL : SCTP_PR_SCTP_RTX;
        spa.sendv_prinfo.pr_value = channel->limit;
    }
    if (usrsctp_sendv(assoc->socket, data, len, NULL, 0, &spa, sizeof(spa), SCTP_SENDV_SPA,
                      0) >= 0) {
        assoc->n_given++;
        assoc->given_bytes += len;
        return 0;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? -EAGAIN
           : errno == EINVAL                                           ? -EINVAL
           : errno == EMSGSIZE                                         ? -EMSGSIZE
                                                                       : -ENOTCONN;
}

static void forget_first(struct dsctp_assoc *assoc)
{
    struct message *message = STAILQ_FIRST(&assoc->waiting);

    STAILQ_REMOVE_HEAD(&assoc->waiting, next);
    assoc->n_waiting--;
    assoc->waiting_bytes -= message->len;
    free(message);
}

static void give_more(struct dsctp_assoc *assoc)
{
    struct message *message;

    while ((message = STAILQ_FIRST(&assoc->waiting)) != NULL &&
           may_give(assoc, message->len)) {
        bool late = message->channel.reliability == DSCTP_LIFETIME &&
                    assoc->dsctp->now_ms - message->at_ms > message->channel.limit;

        if (!late && give(assoc, &message->channel, message->ppid, message->data,
                          message->len) == -EAGAIN) {
            return;
        }
        forget_first(assoc);
    }
}

static void on_dry(struct dsctp_assoc *assoc)
{
    assoc->n_given = 0;
    assoc->given_bytes = 0;
    give_more(assoc);
}

/* ---- reading ---- */

static void end(struct dsctp_assoc *assoc, const char *reason)
{
    if (!assoc->down) {
        assoc->down = true;
        assoc->ops->on_down(assoc->user, reason);
    }
}

static void on_reset_event(struct dsctp *dsctp, uintptr_t id,
                           const struct sctp_stream_reset_event *event, size_t len)
{
    struct dsctp_assoc *assoc;
    size_t n;

    if (len < sizeof(*event) || event->strreset_length < sizeof(*event) ||
        event->strreset_length > len ||
        (event->strreset_flags & SCTP_STREAM_RESET_INCOMING_SSN) == 0) {
        return;
    }
    n = (event->strreset_length - sizeof(*event)) / sizeof(uint16_t);
    for (size_t i = 0; i < n; i++) {
        assoc = find(dsctp, id);
        if (assoc == NULL || assoc->down) {
            return;
        }
        assoc->ops->on_reset(assoc->user, event->strreset_stream_list[i]);
    }
}

static void on_notification(struct dsctp_assoc *assoc, const void *data, size_t len)
{
    const union sctp_notification *event = data;

    if (len < sizeof(event->sn_header)) {
        return;
    }
    switch (event->sn_header.sn_type) {
    case SCTP_ASSOC_CHANGE:
        if (len >= sizeof(event->sn_assoc_change)) {
            switch (event->sn_assoc_change.sac_state) {
            case SCTP_COMM_LOST:
            case SCTP_SHUTDOWN_COMP:
                end(assoc, "sctp_closed");
                break;
            case SCTP_CANT_STR_ASSOC:
                end(assoc, "sctp_failed");
                break;
            default:
                break;
            }
        }
        break;
    case SCTP_SENDER_DRY_EVENT:
        on_dry(assoc);
        break;
    case SCTP_STREAM_RESET_EVENT:
        on_reset_event(assoc->dsctp, assoc->id, data, len);
        break;
    default:
        break;
    }
}

static bool known_ppid(uint32_t ppid)
{
    return ppid == DSCTP_PPID_STRING || ppid == DSCTP_PPID_BINARY ||
           ppid == DSCTP_PPID_STRING_EMPTY || ppid == DSCTP_PPID_BINARY_EMPTY;
}

static void on_message(struct dsctp_assoc *assoc, const struct sctp_rcvinfo *info,
                       const void *data, size_t len)
{
    uint32_t ppid = ntohl(info->rcv_ppid);

    if (!known_ppid(ppid)) {
        assoc->dsctp->counts.ignored++;
        return;
    }
    assoc->dsctp->counts.messages++;
    assoc->ops->on_message(assoc->user, info->rcv_sid, ppid, data, len);
}

/* A piece of a message that did not fit into one read. */
static void on_piece(struct dsctp_assoc *assoc, const struct sctp_rcvinfo *info,
                     const void *data, size_t len, bool last)
{
    uint8_t *whole;
    size_t total = assoc->partial_len + len;

    if (total > DSCTP_MAX_MESSAGE) {
        end(assoc, "message_too_long");
        return;
    }
    whole = realloc(assoc->partial, total);
    if (whole == NULL) {
        end(assoc, "no_memory");
        return;
    }
    memcpy(whole + assoc->partial_len, data, len);
    assoc->partial = whole;
    assoc->partial_len = total;
    if (last) {
        assoc->partial = NULL;
        assoc->partial_len = 0;
        on_message(assoc, info, whole, total);
        free(whole);
    }
}

/* Reads one thing. Returns false if there is nothing, or the association is gone. */
static bool read_one(struct dsctp *dsctp, uintptr_t id)
{
    struct dsctp_assoc *assoc = find(dsctp, id);
    struct sctp_rcvinfo info = {.rcv_sid = 0};
    socklen_t info_len = sizeof(info);
    unsigned info_type = 0;
    int flags = 0;
    ssize_t n;

    if (assoc == NULL || assoc->down) {
        return false;
    }
    n = usrsctp_recvv(assoc->socket, dsctp->read, sizeof(dsctp->read), NULL, NULL, &info,
                      &info_len, &info_type, &flags);
    if (n < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            end(assoc, "sctp_closed");
        }
        return false;
    }
    if (n == 0) {
        end(assoc, "sctp_closed");
        return false;
    }
    if ((flags & MSG_NOTIFICATION) != 0) {
        on_notification(assoc, dsctp->read, (size_t)n);
    } else if (info_type != SCTP_RECVV_RCVINFO) {
        end(assoc, "sctp_failed"); /* asked for at the opening: cannot be missing */
    } else if ((flags & MSG_EOR) != 0 && assoc->partial == NULL) {
        on_message(assoc, &info, dsctp->read, (size_t)n);
    } else {
        on_piece(assoc, &info, dsctp->read, (size_t)n, (flags & MSG_EOR) != 0);
    }
    return true;
}

/* Reads from all that have something. What the callbacks do may give others something to
 * read: the outermost call does it. */
static void drain(struct dsctp *dsctp)
{
    struct dsctp_assoc *assoc;

    if (dsctp->draining) {
        return;
    }
    dsctp->draining = true;
    while ((assoc = TAILQ_FIRST(&dsctp->dirty)) != NULL) {
        uintptr_t id = assoc->id;

        TAILQ_REMOVE(&dsctp->dirty, assoc, next_dirty);
        assoc->dirty = false;
        for (int i = 0; read_one(dsctp, id); i++) {
            if (i == MOST_EVENTS) { /* the others' turn; it is not done */
                assoc = find(dsctp, id);
                if (assoc != NULL) {
                    on_upcall(assoc->socket, (void *)id, 0);
                }
                break;
            }
        }
    }
    dsctp->draining = false;
}

/* ---- the stack ---- */

/* What WebRTC does not use is off (RFC 8831, 5). */
static void configure(void)
{
    (void)usrsctp_sysctl_set_sctp_asconf_enable(0);
    (void)usrsctp_sysctl_set_sctp_auto_asconf(0);
    (void)usrsctp_sysctl_set_sctp_auth_enable(0);
    (void)usrsctp_sysctl_set_sctp_ecn_enable(0);
    (void)usrsctp_sysctl_set_sctp_nrsack_enable(0);
    (void)usrsctp_sysctl_set_sctp_pktdrop_enable(0);
    (void)usrsctp_sysctl_set_sctp_pr_enable(1);
    (void)usrsctp_sysctl_set_sctp_reconfig_enable(1);
    (void)usrsctp_sysctl_set_sctp_blackhole(
        2); /* nothing is answered but by associations */
    (void)usrsctp_sysctl_set_sctp_max_chunks_on_queue(8 * BATCH_MESSAGES);
    (void)usrsctp_sysctl_set_sctp_nr_outgoing_streams_default(DSCTP_STREAMS);
    (void)usrsctp_sysctl_set_sctp_rto_min_default(200);
    (void)usrsctp_sysctl_set_sctp_rto_initial_default(500);
    (void)usrsctp_sysctl_set_sctp_rto_max_default(5000);
    (void)usrsctp_sysctl_set_sctp_delayed_sack_time_default(20);
}

int dsctp_create(struct dsctp **out)
{
    if (n_users == 0) {
        stack = calloc(1, sizeof(*stack));
        if (stack == NULL) {
            return -ENOMEM;
        }
        TAILQ_INIT(&stack->dirty);
        if (!running) {
            usrsctp_init_nothreads(0, on_output, NULL);
            configure();
            running = true;
        }
    }
    n_users++;
    *out = stack;
    return 0;
}

void dsctp_destroy(struct dsctp *dsctp)
{
    if (dsctp == NULL || --n_users > 0) {
        return;
    }
    /* It says no as long as something of a closed association waits for a timer. If that
     * takes too long the library stays as it is, for the next one. */
    for (int i = 0; running && i < FINISH_TRIES; i++) {
        running = usrsctp_finish() != 0;
        if (running) {
            usrsctp_handle_timers(DSCTP_TICK_MS);
        }
    }
    free(dsctp);
    stack = NULL;
}

void dsctp_counts(const struct dsctp *dsctp, struct dsctp_counts *out)
{
    *out = dsctp->counts;
}

static int set(struct socket *socket, int level, int name, const void *value, size_t len)
{
    return usrsctp_setsockopt(socket, level, name, value, (socklen_t)len);
}

/* ---- resets: of one association one is under way at a time (RFC 6525, 5.1.1) ---- */

/* Returns false if another one is. */
static bool reset_now(struct dsctp_assoc *assoc, uint16_t stream)
{
    _Alignas(struct sctp_reset_streams)
        uint8_t reset[sizeof(struct sctp_reset_streams) + sizeof(stream)];
    const struct sctp_reset_streams head = {.srs_assoc_id = SCTP_ALL_ASSOC,
                                            .srs_flags = SCTP_STREAM_RESET_OUTGOING,
                                            .srs_number_streams = 1};

    memcpy(reset, &head, sizeof(head));
    memcpy(reset + sizeof(head), &stream, sizeof(stream));
    return set(assoc->socket, IPPROTO_SCTP, SCTP_RESET_STREAMS, reset, sizeof(reset)) ==
               0 ||
           (errno != EALREADY && errno != EINPROGRESS && errno != EAGAIN);
}

static void retry_resets(struct dsctp_assoc *assoc)
{
    for (uint16_t stream = 0; stream < DSCTP_STREAMS; stream++) {
        if ((assoc->resets[stream / 8] & 1u << stream % 8) != 0) {
            if (!reset_now(assoc, stream)) {
                return;
            }
            assoc->resets[stream / 8] &= (uint8_t) ~(1u << stream % 8);
            assoc->n_resets--;
            assoc->dsctp->n_resets--;
        }
    }
}

void dsctp_tick(struct dsctp *dsctp, uint32_t elapsed_ms)
{
    struct dsctp_assoc *assoc, *next;

    dsctp->now_ms += elapsed_ms;
    usrsctp_handle_timers(elapsed_ms);
    if (dsctp->n_resets > 0) {
        HASH_ITER(hh, dsctp->assocs, assoc, next)
        {
            if (assoc->n_resets > 0 && !assoc->down && STAILQ_EMPTY(&assoc->waiting)) {
                retry_resets(assoc);
            }
        }
    }
    drain(dsctp);
}

/* ---- associations ---- */

static struct sockaddr_conn address(uintptr_t id)
{
    return (struct sockaddr_conn){
        .sconn_family = AF_CONN, .sconn_port = htons(DSCTP_PORT), .sconn_addr = (void *)id};
}

static int set_options(struct socket *socket)
{
    static const uint16_t events[] = {SCTP_ASSOC_CHANGE, SCTP_STREAM_RESET_EVENT,
                                      SCTP_SENDER_DRY_EVENT};
    const struct linger abort_it = {.l_onoff = 1, .l_linger = 0};
    const struct sctp_assoc_value resets = {.assoc_id = SCTP_ALL_ASSOC,
                                            .assoc_value = SCTP_ENABLE_RESET_STREAM_REQ |
                                                           SCTP_ENABLE_CHANGE_ASSOC_REQ};
    const struct sctp_initmsg init = {.sinit_num_ostreams = DSCTP_STREAMS,
                                      .sinit_max_instreams = DSCTP_STREAMS};
    const int send_bytes = BATCH_BYTES + DSCTP_MAX_MESSAGE;
    const int receive_bytes = RECEIVE_BYTES;
    const int on = 1;
    int err = set(socket, SOL_SOCKET, SO_LINGER, &abort_it, sizeof(abort_it));

    err |= set(socket, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes));
    err |= set(socket, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    err |= set(socket, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof(on));
    err |= set(socket, IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof(on));
    err |= set(socket, IPPROTO_SCTP, SCTP_ENABLE_STREAM_RESET, &resets, sizeof(resets));
    err |= set(socket, IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof(init));
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        const struct sctp_event event = {
            .se_assoc_id = SCTP_ALL_ASSOC, .se_type = events[i], .se_on = 1};

        err |= set(socket, IPPROTO_SCTP, SCTP_EVENT, &event, sizeof(event));
    }
    err |= usrsctp_set_non_blocking(socket, 1);
    return err == 0 ? 0 : -ENOMEM;
}

/* Packets are as long as fits; nothing probes for more. */
static int set_mtu(struct socket *socket, const struct sockaddr_conn *peer)
{
    struct sctp_paddrparams params = {.spp_flags = SPP_PMTUD_DISABLE,
                                      .spp_pathmtu = DSCTP_MAX_PACKET -
                                                     sizeof(struct sctp_common_header)};

    memcpy(&params.spp_address, peer, sizeof(*peer));
    return set(socket, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)) == 0
               ? 0
               : -ENOMEM;
}

static int begin(struct dsctp_assoc *assoc)
{
    struct sockaddr_conn addr = address(assoc->id);
    int err;

    assoc->socket = usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
    if (assoc->socket == NULL) {
        return -ENOMEM;
    }
    err = set_options(assoc->socket);
    if (err == 0 &&
        (usrsctp_set_upcall(assoc->socket, on_upcall, (void *)assoc->id) != 0 ||
         usrsctp_bind(assoc->socket, (struct sockaddr *)&addr, sizeof(addr)) != 0)) {
        err = -ENOMEM;
    }
    if (err == 0 &&
        usrsctp_connect(assoc->socket, (struct sockaddr *)&addr, sizeof(addr)) != 0 &&
        errno != EINPROGRESS) {
        err = -ENOMEM;
    }
    return err == 0 ? set_mtu(assoc->socket, &addr) : err;
}

int dsctp_open(struct dsctp_assoc **out, struct dsctp *dsctp, const struct dsctp_ops *ops,
               void *user)
{
    struct dsctp_assoc *assoc = calloc(1, sizeof(*assoc));
    int err;

    if (assoc == NULL) {
        return -ENOMEM;
    }
    assoc->dsctp = dsctp;
    assoc->ops = ops;
    assoc->user = user;
    STAILQ_INIT(&assoc->waiting);
    assoc->id = ++dsctp->next_id;
    HASH_ADD(hh, dsctp->assocs, id, sizeof(assoc->id), assoc);
    if (assoc->hh.tbl == NULL) {
        free(assoc);
        return -ENOMEM;
    }
    dsctp->counts.open++;
    usrsctp_register_address((void *)assoc->id);
    err = begin(assoc);
    if (err != 0) {
        dsctp_close(assoc);
        return err;
    }
    *out = assoc;
    return 0;
}

void dsctp_close(struct dsctp_assoc *assoc)
{
    struct dsctp *dsctp;

    if (assoc == NULL) {
        return;
    }
    dsctp = assoc->dsctp;
    if (assoc->socket != NULL) {
        (void)usrsctp_set_upcall(assoc->socket, NULL, NULL);
        usrsctp_close(assoc->socket); /* says ABORT */
    }
    usrsctp_deregister_address((void *)assoc->id);
    if (assoc->dirty) {
        TAILQ_REMOVE(&dsctp->dirty, assoc, next_dirty);
    }
    dsctp->n_resets -= assoc->n_resets;
    HASH_DEL(dsctp->assocs, assoc);
    dsctp->counts.open--;
    while (!STAILQ_EMPTY(&assoc->waiting)) {
        forget_first(assoc);
    }
    free(assoc->partial);
    free(assoc);
}

void dsctp_input(struct dsctp_assoc *assoc, const void *data, size_t len)
{
    struct dsctp *dsctp = assoc->dsctp;

    if (!dsctp_packet_sane(data, len, DSCTP_PORT)) {
        dsctp->counts.bad++;
        return;
    }
    dsctp->counts.packets_in++;
    usrsctp_conninput((void *)assoc->id, data, len, 0);
    drain(dsctp);
}

int dsctp_send(struct dsctp_assoc *assoc, const struct dsctp_channel *channel,
               uint32_t ppid, const void *data, size_t len)
{
    struct message *message;

    if (assoc->down) {
        return -ENOTCONN;
    }
    if (channel->stream >= DSCTP_STREAMS) {
        return -EINVAL;
    }
    if (len == 0 || len > DSCTP_MAX_MESSAGE) {
        return -EMSGSIZE;
    }
    if (assoc->n_waiting + assoc->n_given >= DSCTP_QUEUE_MESSAGES ||
        len > DSCTP_QUEUE_BYTES - assoc->waiting_bytes - assoc->given_bytes) {
        return -EAGAIN;
    }
    if (STAILQ_EMPTY(&assoc->waiting) && may_give(assoc, len)) {
        int err = give(assoc, channel, ppid, data, len);

        if (err != -EAGAIN) {
            return err;
        }
    }
    message = malloc(sizeof(*message) + len);
    if (message == NULL) {
        return -ENOMEM;
    }
    *message = (struct message){
        .channel = *channel, .ppid = ppid, .len = len, .at_ms = assoc->dsctp->now_ms};
    memcpy(message->data, data, len);
    STAILQ_INSERT_TAIL(&assoc->waiting, message, next);
    assoc->n_waiting++;
    assoc->waiting_bytes += len;
    return 0;
}

void dsctp_reset(struct dsctp_assoc *assoc, uint16_t stream)
{
    if (!assoc->down && stream < DSCTP_STREAMS &&
        (!STAILQ_EMPTY(&assoc->waiting) || !reset_now(assoc, stream)) &&
        (assoc->resets[stream / 8] & 1u << stream % 8) == 0) {
        assoc->resets[stream / 8] |= (uint8_t)(1u << stream % 8);
        assoc->n_resets++;
        assoc->dsctp->n_resets++;
    }
}
