/* Who is connected and what flows between them: the meetings' objects, each with what the
 * dataplane has counted for it: nothing, until it has published the first counters. */
#include <string.h>

#include "admin/priv.h"
#include "meeting/meeting.h"
#include "sfu/base/handle.h"
#include "sys/clock.h"

struct listing {
    const struct admin *admin;
    json_t *rows;
};

static void put(json_t *row, const char *key, uint64_t value)
{
    json_object_set_new(row, key, json_integer((json_int_t)value));
}

static void put_text(json_t *row, const char *key, const char *text)
{
    json_object_set_new(row, key, json_string(text));
}

static void put_ms(json_t *row, const char *key, uint64_t us)
{
    json_object_set_new(row, key, json_real((double)us / 1000));
}

static void put_ip_port(json_t *row, const char *key, const uint8_t ip[16], uint16_t port)
{
    char text[ADMIN_IP_TEXT];

    admin_ip_text(ip, text);
    json_object_set_new(
        row, key,
        json_sprintf(strchr(text, ':') != NULL ? "[%s]:%u" : "%s:%u", text, port));
}

/* ---- /peers ---- */

static void add_path(const struct admin *admin, const struct session *session, json_t *row)
{
    const struct abi_shm *info = media_info(admin->conf.media);
    const struct path *path = session_path(session);

    if (path == NULL) {
        json_object_set_new(row, "device", json_null());
        json_object_set_new(row, "remote", json_null());
        json_object_set_new(row, "local", json_null());
        return;
    }
    put_text(row, "device",
             info != NULL && path->device < info->n_devices
                 ? info->devices[path->device].kind
                 : "?");
    put_ip_port(row, "remote", path->remote_ip, path->remote_port);
    put_ip_port(row, "local", path->local_ip, path->local_port);
}

static void add_peer_counters(const struct admin *admin, uint64_t peer, json_t *row)
{
    uint64_t now_us = clock_mono_us();
    struct abi_peer_stats stats;

    if (media_peer_stats(admin->conf.media, peer, &stats) != 0) {
        stats = (struct abi_peer_stats){0};
    }
    put(row, "rx_packets", stats.rx_packets);
    put(row, "rx_bytes", stats.rx_bytes);
    put(row, "tx_packets", stats.tx_packets);
    put(row, "tx_bytes", stats.tx_bytes);
    if (stats.last_check_us != 0 && stats.last_check_us <= now_us) {
        put(row, "last_check_ms_ago", (now_us - stats.last_check_us) / 1000);
    }
    put(row, "remb_bps", stats.remb_bps);
    put(row, "twcc_lost", stats.twcc_lost);
    put(row, "available_bps", stats.available_bps);
    put(row, "wanted_bps", stats.wanted_bps);
    put(row, "queue_ms", stats.queue_us / 1000);
    put(row, "probes", stats.probes);
    put(row, "padding_bytes", stats.padding_bytes);
    put(row, "twcc_unknown", stats.twcc_unknown);
    put(row, "twcc_ignored", stats.twcc_ignored);
}

static const char *cipher_name(uint32_t profile)
{
    switch (profile) {
    case ABI_SRTP_AEAD_AES_128_GCM:
        return "AEAD_AES_128_GCM";
    case ABI_SRTP_AEAD_AES_256_GCM:
        return "AEAD_AES_256_GCM";
    case ABI_SRTP_AES128_CM_SHA1_80:
        return "AES128_CM_SHA1_80";
    case ABI_SRTP_AES128_CM_SHA1_32:
        return "AES128_CM_SHA1_32";
    default:
        return NULL; /* no keys yet */
    }
}

static void put_lane(const struct admin *admin, const struct transport *t, json_t *row)
{
    uint32_t lane;

    if (media_peer_lane(admin->conf.media, session_peer(t->session), &lane) == 0) {
        put(row, "lane", lane);
    }
}

static json_t *peer_row(const struct admin *admin, const struct transport *t)
{
    const char *cipher = cipher_name(session_profile(t->session));
    json_t *row = json_object();

    put_text(row, "transport_id", t->id);
    put_text(row, "participant_id", t->owner->id);
    put_text(row, "name", t->owner->name);
    put_text(row, "meeting_id", t->owner->room->id);
    put_text(row, "direction", t->send ? "send" : "recv");
    put_text(row, "state", session_state_name(session_state(t->session)));
    json_object_set_new(row, "cipher", cipher != NULL ? json_string(cipher) : json_null());
    put_lane(admin, t, row);
    add_path(admin, t->session, row);
    add_peer_counters(admin, session_peer(t->session), row);
    return row;
}

struct search {
    const char *transport_id;
    uint64_t peer; /* HANDLE_NONE: not found */
};

static void find_peer(void *arg, struct room *room)
{
    struct search *search = arg;

    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        for (const struct transport *t = p->transports; t != NULL; t = t->next) {
            if (strcmp(t->id, search->transport_id) == 0) {
                search->peer = session_peer(t->session);
            }
        }
    }
}

int admin_move(const struct admin *admin, const char *transport_id, uint32_t lane)
{
    struct search search = {.transport_id = transport_id, .peer = HANDLE_NONE};

    meeting_each_room(admin->conf.meeting, find_peer, &search);
    return search.peer == HANDLE_NONE
               ? -ENOENT
               : media_peer_move(admin->conf.media, search.peer, lane, NULL, NULL);
}

static void add_peers(void *arg, struct room *room)
{
    struct listing *listing = arg;

    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        for (const struct transport *t = p->transports; t != NULL; t = t->next) {
            json_array_append_new(listing->rows, peer_row(listing->admin, t));
        }
    }
}

json_t *admin_peers(const struct admin *admin)
{
    struct listing listing = {.admin = admin, .rows = json_array()};

    meeting_each_room(admin->conf.meeting, add_peers, &listing);
    return listing.rows;
}

/* ---- /streams ---- */

static const char *source_name(enum meeting_source source)
{
    static const char *const names[] = {[SOURCE_MIC] = "mic",
                                        [SOURCE_CAMERA] = "camera",
                                        [SOURCE_SCREEN] = "screen",
                                        [SOURCE_SCREEN_AUDIO] = "screen_audio"};

    return names[source];
}

static const char *codec_name(const struct ortc_producer *params)
{
    static const char *const names[] = {[ORTC_OPUS] = "opus",
                                        [ORTC_VP8] = "VP8",
                                        [ORTC_VP9] = "VP9",
                                        [ORTC_H264] = "H264",
                                        [ORTC_AV1] = "AV1"};

    return params->n_codecs > 0 ? names[params->codecs[0].codec] : "?";
}

/* The producer's streams as one: counters are sums, the rest is that of the stream which
 * consumers get. */
static void add_stream_counters(const struct admin *admin, const struct producer *producer,
                                json_t *row)
{
    uint64_t streams[RTP_PARAMS_MAX_ENCODINGS];
    uint8_t n = producer_streams(producer, streams);
    struct abi_stream_stats sum = {0};

    put(row, "layers", n);
    for (uint8_t i = 0; i < n; i++) {
        struct abi_stream_stats stats;

        if (media_stream_stats(admin->conf.media, streams[i], &stats) != 0) {
            continue;
        }
        sum.packets += stats.packets;
        sum.bytes += stats.bytes;
        sum.lost += stats.lost;
        sum.keyframes += stats.keyframes;
        sum.pli_sent += stats.pli_sent;
        if (streams[i] == producer_stream(producer)) {
            sum.ssrc = stats.ssrc;
            sum.jitter_us = stats.jitter_us;
        }
    }
    put(row, "ssrc", sum.ssrc);
    put(row, "packets", sum.packets);
    put(row, "bytes", sum.bytes);
    put(row, "lost", sum.lost);
    put_ms(row, "jitter_ms", sum.jitter_us);
    put(row, "keyframes", sum.keyframes);
    put(row, "pli", sum.pli_sent);
}

static json_t *subscriber_row(const struct admin *admin, const struct room_consumer *rc)
{
    struct abi_sub_stats stats;
    json_t *row = json_object();

    put_text(row, "consumer_id", rc->id);
    put_text(row, "participant_id", rc->transport->owner->id);
    json_object_set_new(row, "paused", json_boolean(consumer_is_paused(rc->consumer)));
    if (media_sub_stats(admin->conf.media, consumer_sub(rc->consumer), &stats) != 0) {
        stats = (struct abi_sub_stats){0};
    }
    put(row, "packets", stats.packets);
    put(row, "bytes", stats.bytes);
    put(row, "skipped", stats.skipped);
    put(row, "lost", stats.lost);
    put_ms(row, "rtt_ms", stats.rtt_us);
    put_ms(row, "jitter_ms", stats.jitter_us);
    put(row, "nacks", stats.nacks);
    return row;
}

static json_t *stream_row(const struct admin *admin, const struct room_producer *rp)
{
    const struct participant *owner = rp->transport->owner;
    const struct ortc_producer *params = producer_params(rp->producer);
    json_t *subscribers = json_array();
    json_t *row = json_object();

    put_text(row, "producer_id", rp->id);
    put_text(row, "participant_id", owner->id);
    put_text(row, "meeting_id", owner->room->id);
    put_text(row, "kind", rtp_kind_name(params->kind));
    put_text(row, "codec", codec_name(params));
    put_text(row, "source", source_name(rp->source));
    json_object_set_new(row, "paused", json_boolean(producer_is_paused(rp->producer)));
    add_stream_counters(admin, rp->producer, row);
    for (const struct room_consumer *rc = rp->consumers; rc != NULL;
         rc = rc->next_of_source) {
        json_array_append_new(subscribers, subscriber_row(admin, rc));
    }
    json_object_set_new(row, "subscribers", subscribers);
    return row;
}

static void add_streams(void *arg, struct room *room)
{
    struct listing *listing = arg;

    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        for (const struct transport *t = p->transports; t != NULL; t = t->next) {
            for (const struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
                json_array_append_new(listing->rows, stream_row(listing->admin, rp));
            }
        }
    }
}

json_t *admin_streams(const struct admin *admin)
{
    struct listing listing = {.admin = admin, .rows = json_array()};

    meeting_each_room(admin->conf.meeting, add_streams, &listing);
    return listing.rows;
}
