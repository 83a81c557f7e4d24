/* Who is connected and what flows between them: the meetings' objects, each with what the
 * dataplane has counted for it: nothing, until it has published the first counters. */
#include <string.h>

#include "admin/priv.h"
#include "meeting/meeting.h"
#include "net/net.h"
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

/* path  NULL: none yet */
static void add_path(const struct admin *admin, const struct path *path, json_t *row)
{
    const struct abi_shm *info = media_info(admin->conf.media);

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
    if (stats.rtt_us != 0) {
        put_ms(row, "rtt_ms", stats.rtt_us);
    } else { /* it only sends, and answers no reference times */
        json_object_set_new(row, "rtt_ms", json_null());
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
    add_path(admin, session_path(t->session), row);
    add_peer_counters(admin, session_peer(t->session), row);
    return row;
}

struct search {
    const char *transport_id;
    uint64_t peer; /* HANDLE_NONE: not found */
    struct admin_place place;
};

static void find_peer(void *arg, struct room *room)
{
    struct search *search = arg;

    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        for (const struct transport *t = p->transports; t != NULL; t = t->next) {
            if (strcmp(t->id, search->transport_id) == 0) {
                search->peer = session_peer(t->session);
                search->place = admin_place_of(room);
            }
        }
    }
}

uint64_t admin_find_peer(const struct admin *admin, const char *transport_id,
                         struct admin_place *place)
{
    struct search search = {.transport_id = transport_id, .peer = HANDLE_NONE};

    meeting_each_room(admin->conf.meeting, find_peer, &search);
    if (place != NULL) {
        *place = search.place;
    }
    return search.peer;
}

int admin_move(const struct admin *admin, const char *transport_id, uint32_t lane)
{
    uint64_t peer = admin_find_peer(admin, transport_id, NULL);
    int ret = peer == HANDLE_NONE ? -ENOENT
                                  : media_peer_move(admin->conf.media, peer, lane, NULL, NULL);

    if (ret == 0) {
        media_peer_stay(admin->conf.media, peer);
    }
    return ret;
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

static const char *codec_name(const struct ortc_producer *params)
{
    static const char *const names[] = {[ORTC_OPUS] = "opus",
                                        [ORTC_VP8] = "VP8",
                                        [ORTC_VP9] = "VP9",
                                        [ORTC_H264] = "H264",
                                        [ORTC_AV1] = "AV1"};

    return params->n_codecs > 0 ? names[params->codecs[0].codec] : "?";
}

/* How well the last second of it was. */
static void put_score(json_t *row, const struct score *score)
{
    if (score->started) {
        put(row, "score", score->value);
        put(row, "bitrate_bps", score->detail.bps);
        json_object_set_new(row, "loss", json_real(score->detail.loss));
        put(row, "freezes", score->freezes);
    }
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

static void add_sub_counters(const struct admin *admin, const struct room_consumer *rc,
                             json_t *row)
{
    struct abi_sub_stats stats;

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
}

static json_t *subscriber_row(const struct admin *admin, const struct room_consumer *rc)
{
    json_t *row = json_object();

    put_text(row, "consumer_id", rc->id);
    put_text(row, "participant_id", rc->transport->owner->id);
    json_object_set_new(row, "paused", json_boolean(consumer_is_paused(rc->consumer)));
    add_sub_counters(admin, rc, row);
    return row;
}

static json_t *producer_row(const struct admin *admin, const struct room_producer *rp)
{
    const struct participant *owner = rp->transport->owner;
    const struct ortc_producer *params = producer_params(rp->producer);
    json_t *row = json_object();

    put_text(row, "producer_id", rp->id);
    put_text(row, "participant_id", owner->id);
    put_text(row, "meeting_id", owner->room->id);
    put_text(row, "kind", rtp_kind_name(params->kind));
    put_text(row, "codec", codec_name(params));
    put_text(row, "source", meeting_source_names[rp->source]);
    json_object_set_new(row, "paused", json_boolean(producer_is_paused(rp->producer)));
    add_stream_counters(admin, rp->producer, row);
    return row;
}

static json_t *stream_row(const struct admin *admin, const struct room_producer *rp)
{
    json_t *subscribers = json_array();
    json_t *row = producer_row(admin, rp);

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

/* ---- /peer ---- */

/* "S2T1"; "-" if nothing is sent. */
static json_t *layer_text(const struct meeting_layer *layer)
{
    return layer->any ? json_sprintf("S%uT%u", layer->spatial, layer->temporal)
                      : json_string("-");
}

static json_t *published_row(const struct admin *admin, const struct room_producer *rp)
{
    json_t *row = producer_row(admin, rp);

    put_score(row, &rp->score);
    put(row, "layers_needed", rp->needed + 1U);
    return row;
}

static json_t *received_row(const struct admin *admin, const struct room_consumer *rc)
{
    const struct meeting_layers layers = meeting_layers_read(rc->layers);
    json_t *row = json_object();

    put_text(row, "consumer_id", rc->id);
    put_text(row, "producer_id", rc->source->id);
    put_text(row, "kind", rtp_kind_name(consumer_kind(rc->consumer)));
    json_object_set_new(row, "paused", json_boolean(consumer_is_paused(rc->consumer)));
    if (rc->layers != 0) {
        json_object_set_new(row, "layer", layer_text(&layers.current));
        json_object_set_new(row, "wanted_layer", layer_text(&layers.target));
        put_text(row, "reason", layers.reason);
    }
    put(row, "priority", rc->priority);
    put_score(row, &rc->score);
    add_sub_counters(admin, rc, row);
    return row;
}

/* The pairs of addresses that ICE has validated. */
static json_t *pairs_of(const struct admin *admin, uint64_t peer)
{
    struct vault_peer_conf conf;
    json_t *rows = json_array();

    if (media_peer_conf(admin->conf.media, peer, &conf) != 0) {
        return rows;
    }
    for (uint8_t i = 0; i < conf.n_paths; i++) {
        json_t *row = json_object();

        add_path(admin, &conf.paths[i], row);
        json_object_set_new(row, "selected", json_boolean(i == conf.selected));
        json_array_append_new(rows, row);
    }
    explicit_bzero(&conf, sizeof(conf)); /* it has keys */
    return rows;
}

static json_t *peer_details(const struct admin *admin, const struct transport *t)
{
    json_t *publishes = json_array();
    json_t *receives = json_array();
    json_t *row = peer_row(admin, t);

    for (const struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
        json_array_append_new(publishes, published_row(admin, rp));
    }
    for (const struct room_consumer *rc = t->consumers; rc != NULL; rc = rc->next) {
        json_array_append_new(receives, received_row(admin, rc));
    }
    put_text(row, "user_id", t->owner->who.user_id);
    put_text(row, "tenant", t->owner->room->tenant);
    put_text(row, "dtls",
             session_state(t->session) == SESSION_FAILED ? "failed"
             : session_profile(t->session) != 0          ? "done"
                                                         : "not yet");
    put(row, "data_channels", t->n_data_producers + t->n_data_consumers);
    json_object_set_new(row, "ice_pairs", pairs_of(admin, session_peer(t->session)));
    json_object_set_new(row, "publishes", publishes);
    json_object_set_new(row, "receives", receives);
    return row;
}

struct details {
    const struct admin *admin;
    const char *id;
    json_t *rows;
};

static void add_details(void *arg, struct room *room)
{
    struct details *details = arg;

    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        bool all = strcmp(p->id, details->id) == 0;

        for (const struct transport *t = p->transports; t != NULL; t = t->next) {
            if (all || strcmp(t->id, details->id) == 0) {
                json_array_append_new(details->rows, peer_details(details->admin, t));
            }
        }
    }
}

/* GET /peer?id=ID: of a transport, or of a participant, which has several. */
void admin_peer(const struct admin *admin, struct net_req *req)
{
    struct details details = {.admin = admin, .id = net_req_query(req, "id")};

    if (details.id == NULL) {
        admin_refuse(req, 400, "invalid", "give id=ID, of a transport or a participant");
        return;
    }
    details.rows = json_array();
    meeting_each_room(admin->conf.meeting, add_details, &details);
    if (json_array_size(details.rows) == 0) {
        json_decref(details.rows);
        admin_refuse(req, 404, "not_found",
                     "no such transport or participant: see kcsctl peers");
        return;
    }
    admin_answer(req, details.rows);
}
