/* The questions of a client and what their answers lead to; see client.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "loadgen/client.h"
#include "loadgen/run.h"
#include "loadgen/target.h"

#define URI_MID  "urn:ietf:params:rtp-hdrext:sdes:mid"
#define URI_RID  "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
#define URI_TWCC "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

static const char *const questions[] = {
    "room:join", "transport:create", "transport:connect", "produce",
    "consume",   "consumer:resume",  "chat:send",         "room:leave",
    "produce:pause", "produce:resume", "consumer:pause", "consumer:layers"}; /* by question */

#define CHAT "loadgen says at " /* and when */

void client_ask(struct client *client, enum client_question question, uint32_t about,
                json_t *payload)
{
    if (signaling_ask(&client->signaling, questions[question], payload,
                      (uint64_t)about << 8 | (uint64_t)question) == -ENOMEM) {
        client_fail(client, "out of memory");
    }
}

/* Copies a text of at most 'cap' - 1 bytes; false if there is none or it is longer. */
static bool take_text(const json_t *object, const char *name, char *out, size_t cap)
{
    const char *text = json_string_value(json_object_get(object, name));

    if (text == NULL || text[0] == '\0' || strlen(text) >= cap) {
        return false;
    }
    memcpy(out, text, strlen(text) + 1);
    return true;
}

/* ---- streams ---- */

struct receiver *client_receiver(struct client *client, const char *producer_id)
{
    for (uint32_t i = 0; i < client->n_receivers; i++) {
        struct receiver *r = &client->receivers[i];

        if (!r->closed && strcmp(r->producer_id, producer_id) == 0) {
            return r;
        }
    }
    return NULL;
}

static void consume(struct client *client, uint32_t index)
{
    const struct receiver *r = &client->receivers[index];

    client_ask(client, ASK_CONSUME, index,
        json_pack("{s:s,s:s,s:O}", "transport_id", client->transport_id, "producer_id",
                  r->producer_id, "rtp_capabilities", client->capabilities));
}

/* Somebody sends something. */
static void on_producer(struct client *client, const json_t *producer)
{
    const char *kind = json_string_value(json_object_get(producer, "kind"));
    struct receiver fresh = {.closed = false};

    if (client->publisher ||
        !take_text(producer, "producer_id", fresh.producer_id, sizeof(fresh.producer_id)) ||
        client_receiver(client, fresh.producer_id) != NULL) {
        return;
    }
    fresh.kind = kind != NULL && strcmp(kind, "video") == 0 ? PAYLOAD_VP8 : PAYLOAD_OPUS;
    if (client->n_receivers == client->cap_receivers) {
        uint32_t cap = client->cap_receivers == 0 ? 4 : 2 * client->cap_receivers;
        struct receiver *all = realloc(client->receivers, cap * sizeof(*all));

        if (all == NULL) {
            client_fail(client, "out of memory");
            return;
        }
        client->receivers = all;
        client->cap_receivers = cap;
    }
    client->receivers[client->n_receivers++] = fresh;
    if (client->connected) {
        consume(client, client->n_receivers - 1);
    }
}

static void on_closed_by_node(struct client *client, const json_t *payload,
                              bool by_producer)
{
    const char *name = by_producer ? "producer_id" : "consumer_id";
    const char *id = json_string_value(json_object_get(payload, name));

    for (uint32_t i = 0; id != NULL && i < client->n_receivers; i++) {
        struct receiver *r = &client->receivers[i];

        if (strcmp(by_producer ? r->producer_id : r->consumer_id, id) == 0) {
            r->closed = true;
        }
    }
}

/* By SSRC, or several by RID, as browsers do. */
static json_t *encodings_of(const struct sender *s)
{
    json_t *list = json_array();

    if (s->layers < 2) {
        json_t *only = json_pack("{s:I}", "ssrc", (json_int_t)s->ssrc);

        if (s->pattern != NULL && s->pattern->temporal) {
            (void)json_object_set_new(only, "scalabilityMode", json_string("L1T3"));
        }
        (void)json_array_append_new(list, only);
    }
    for (int i = 0; s->layers > 1 && i < s->layers; i++) {
        char rid[2] = {(char)('0' + i), '\0'};

        (void)json_array_append_new(
            list, s->pattern != NULL && s->pattern->temporal
                      ? json_pack("{s:s,s:s}", "rid", rid, "scalabilityMode", "L1T3")
                      : json_pack("{s:s}", "rid", rid));
    }
    return list;
}

/* Constrained Baseline of up to 1280x720, with fragments. */
static json_t *h264_parameters(void)
{
    return json_pack("{s:i,s:i,s:s}", "packetization-mode", 1, "level-asymmetry-allowed", 1,
                     "profile-level-id", "42e01f");
}

/* 'index' is the first sender of what is produced. */
static void produce(struct client *client, uint32_t index)
{
    const struct sender *s = &client->senders[index];
    char mid[2] = {(char)('0' + s->mid), '\0'};
    bool h264 = s->kind == PAYLOAD_H264;
    json_t *codec =
        s->video ? json_pack("{s:s,s:i,s:i,s:o,s:[{s:s,s:s},{s:s,s:s},{s:s,s:s}]}",
                             "mimeType", h264 ? "video/H264" : "video/VP8", "payloadType",
                             SENDER_VIDEO_PT, "clockRate", 90000, "parameters",
                             h264 ? h264_parameters() : json_object(), "rtcpFeedback", "type",
                             "nack", "parameter", "pli", "type", "ccm", "parameter", "fir",
                             "type", "transport-cc", "parameter", "")
                 : json_pack("{s:s,s:i,s:i,s:i,s:{},s:[{s:s,s:s}]}", "mimeType",
                             "audio/opus", "payloadType", SENDER_AUDIO_PT, "clockRate",
                             48000, "channels", 2, "parameters", "rtcpFeedback", "type",
                             "transport-cc", "parameter", "");
    json_t *exts = json_pack("[{s:s,s:i},{s:s,s:i}]", "uri", URI_MID, "id", SENDER_EXT_MID,
                             "uri", URI_TWCC, "id", SENDER_EXT_TWCC);
    json_t *params;

    if (s->layers > 1) {
        (void)json_array_append_new(
            exts, json_pack("{s:s,s:i}", "uri", URI_RID, "id", SENDER_EXT_RID));
    }
    params = json_pack("{s:s,s:[o],s:o,s:o,s:{s:s,s:b}}", "mid", mid, "codecs", codec,
                       "headerExtensions", exts, "encodings", encodings_of(s), "rtcp",
                       "cname", client->name, "reducedSize", 1);

    client_ask(client, ASK_PRODUCE, index,
        json_pack("{s:s,s:s,s:s,s:o}", "transport_id", client->transport_id, "kind",
                  s->video ? "video" : "audio", "source", s->video ? "camera" : "mic",
                  "rtp_parameters", params));
}

/* ---- answers ---- */

/* The node's codecs and extensions that we understand: no RTX, for nothing is asked for
 * again. */
static json_t *capabilities_of(const json_t *router)
{
    static const char *const codecs[] = {"audio/opus", "video/VP8", "video/H264", NULL};
    static const char *const exts[] = {URI_MID, URI_TWCC, NULL};
    static const struct {
        const char *list, *key;
        const char *const *known;
    } lists[] = {{"codecs", "mimeType", codecs}, {"headerExtensions", "uri", exts}};
    json_t *out = json_object();

    for (size_t i = 0; i < 2; i++) {
        json_t *list = json_array();
        size_t at;
        json_t *each;

        json_array_foreach(json_object_get(router, lists[i].list), at, each)
        {
            const char *name = json_string_value(json_object_get(each, lists[i].key));

            for (const char *const *k = lists[i].known; name != NULL && *k != NULL; k++) {
                if (strcasecmp(name, *k) == 0) {
                    (void)json_array_append(list, each);
                }
            }
        }
        (void)json_object_set_new(out, lists[i].list, list);
    }
    return out;
}

/* A new life on a connection: nothing of the one before is left at the node. */
static void begin_anew(struct client *client)
{
    for (uint32_t i = 0; i < client->n_receivers; i++) {
        client->receivers[i].closed = true;
        client->receivers[i].ssrc = 0;
    }
    for (uint32_t i = 0; i < client->n_senders; i++) {
        client->senders[i].producer_id[0] = '\0';
        client->senders[i].want_key = client->senders[i].video;
    }
    client->connected = false;
    client->state = CLIENT_JOINING;
    if (client_media_init(client) != 0) {
        client_fail(client, "out of memory");
    }
}

static void on_joined(struct client *client, const json_t *answer)
{
    char participant[CLIENT_ID_MAX + 1] = "";
    bool resumed;
    size_t at;
    json_t *each;

    client_step(client, STEP_ROOM);
    (void)take_text(answer, "participant_id", participant, sizeof(participant));
    resumed = client->was_up && strcmp(participant, client->participant_id) == 0;
    memcpy(client->participant_id, participant, sizeof(participant));
    if (!take_text(answer, "resume_token", client->resume_token,
                   sizeof(client->resume_token))) {
        client->resume_token[0] = '\0';
    }
    json_decref(client->capabilities);
    client->capabilities = capabilities_of(json_object_get(answer, "rtp_capabilities"));
    if (client->was_up) {
        if (resumed) {
            client->state = CLIENT_UP;
            run_on_returned(client->run, client, true);
        } else {
            begin_anew(client);
        }
    }
    json_array_foreach(json_object_get(answer, "producers"), at, each)
    {
        on_producer(client, each);
    }
    if (!resumed && client->state == CLIENT_JOINING) {
        client_ask(client, ASK_TRANSPORT, 0,
            json_pack("{s:s}", "direction", client->publisher ? "send" : "recv"));
    }
}

/* The best of the node's addresses that load may go to. */
static int choose_candidate(const struct client *client, const json_t *candidates,
                            struct sockaddr_storage *out)
{
    const struct options *options = client->run->options;
    json_int_t best = -1;
    size_t at;
    json_t *each;

    json_array_foreach(candidates, at, each)
    {
        const char *text = json_string_value(json_object_get(each, "address"));
        const char *protocol = json_string_value(json_object_get(each, "protocol"));
        json_int_t port = json_integer_value(json_object_get(each, "port"));
        json_int_t priority = json_integer_value(json_object_get(each, "priority"));
        struct sockaddr_storage address;

        if (text != NULL && protocol != NULL && strcmp(protocol, "udp") == 0 && port > 0 &&
            port <= UINT16_MAX && priority > best &&
            (options->address == NULL || strcmp(options->address, text) == 0) &&
            target_parse(text, (uint16_t)port, &address) == 0 &&
            (options->allow_remote || target_is_local(&address))) {
            best = priority;
            *out = address;
        }
    }
    return best >= 0 ? 0 : -ENOENT;
}

static void on_transport(struct client *client, const json_t *answer)
{
    const json_t *ice = json_object_get(answer, "ice_parameters");
    struct transport_remote remote;
    size_t at;
    json_t *each;
    int err;

    client_step(client, STEP_TRANSPORT);
    memset(&remote, 0, sizeof(remote));
    json_array_foreach(
        json_object_get(json_object_get(answer, "dtls_parameters"), "fingerprints"), at,
        each)
    {
        const char *algorithm = json_string_value(json_object_get(each, "algorithm"));

        if (algorithm != NULL && strcasecmp(algorithm, "sha-256") == 0) {
            (void)take_text(each, "value", remote.fingerprint, sizeof(remote.fingerprint));
        }
    }
    if (!take_text(answer, "transport_id", client->transport_id,
                   sizeof(client->transport_id)) ||
        !take_text(ice, "usernameFragment", remote.ufrag, sizeof(remote.ufrag)) ||
        !take_text(ice, "password", remote.pwd, sizeof(remote.pwd)) ||
        remote.fingerprint[0] == '\0') {
        client_fail(client, "transport:create: the answer lacks parameters");
        return;
    }
    if (choose_candidate(client, json_object_get(answer, "ice_candidates"),
                         &remote.address) != 0) {
        client_fail(client,
                    "none of the node's media addresses may be used: none is of this "
                    "machine (--allow-remote), or --address is not among them");
        return;
    }
    client_ask(client, ASK_CONNECT, 0,
        json_pack("{s:s,s:{s:s,s:[{s:s,s:s}]}}", "transport_id", client->transport_id,
                  "dtls_parameters", "role", "client", "fingerprints", "algorithm",
                  "sha-256", "value", client->media.dtls.fingerprint));
    err = transport_start(&client->media, &remote);
    if (err != 0) {
        char reason[128];

        (void)snprintf(reason, sizeof(reason), "cannot open a UDP socket: %s",
                       strerror(-err));
        client_fail(client, reason);
    }
}

static void on_connected(struct client *client)
{
    client->connected = true;
    for (uint32_t i = 0; i < client->n_senders; i++) {
        if (client->senders[i].layer == 0) {
            produce(client, i);
        }
    }
    for (uint32_t i = 0; i < client->n_receivers; i++) {
        if (!client->receivers[i].closed) {
            consume(client, i);
        }
    }
}

/* All encodings of what was produced are this producer. */
static void on_produced(struct client *client, uint32_t index, const json_t *answer)
{
    for (uint32_t i = index; i < client->n_senders; i++) {
        struct sender *s = &client->senders[i];

        if (s->mid == client->senders[index].mid) {
            (void)take_text(answer, "producer_id", s->producer_id, sizeof(s->producer_id));
        }
    }
}

static void on_consumed(struct client *client, struct receiver *r, const json_t *answer)
{
    const json_t *params = json_object_get(answer, "rtp_parameters");
    const json_t *codec = json_array_get(json_object_get(params, "codecs"), 0);
    const char *mime = json_string_value(json_object_get(codec, "mimeType"));
    const json_t *encoding = json_array_get(json_object_get(params, "encodings"), 0);
    json_int_t ssrc = json_integer_value(json_object_get(encoding, "ssrc"));
    const char *type;
    size_t at;
    json_t *each;

    if (ssrc <= 0 || ssrc > UINT32_MAX ||
        !take_text(answer, "consumer_id", r->consumer_id, sizeof(r->consumer_id))) {
        client_fail(client, "consume: the answer lacks a consumer_id or an ssrc");
        return;
    }
    r->ssrc = (uint32_t)ssrc;
    if (mime != NULL && strcasecmp(mime, "video/H264") == 0) {
        r->kind = PAYLOAD_H264;
    }
    type = json_string_value(json_object_get(answer, "type"));
    r->layered = type != NULL && strcmp(type, "simulcast") == 0;
    json_array_foreach(json_object_get(params, "headerExtensions"), at, each)
    {
        const char *uri = json_string_value(json_object_get(each, "uri"));

        if (uri != NULL && strcmp(uri, URI_TWCC) == 0 &&
            !client->run->options->no_feedback) {
            client->twcc_ext = (uint8_t)json_integer_value(json_object_get(each, "id"));
        }
    }
    client_ask(client, ASK_RESUME, (uint32_t)(r - client->receivers),
        json_pack("{s:s}", "consumer_id", r->consumer_id));
}

static void on_refused(struct client *client, enum client_question question, uint32_t about,
                       const json_t *answer)
{
    const json_t *error = json_object_get(answer, "error");
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));
    json_int_t retry_ms = json_integer_value(json_object_get(error, "retry_after_ms"));
    char reason[256];

    if ((question == ASK_CONSUME || question == ASK_RESUME || question == ASK_PAUSE ||
         question == ASK_LAYERS) &&
        about < client->n_receivers && client->receivers[about].closed) {
        return; /* it ended in the meantime */
    }
    if (question == ASK_CHAT) {
        client->run->account->chats_sent--; /* too soon after the one before, say */
        return;
    }
    if (question == ASK_JOIN && retry_ms > 0 && retry_ms <= UINT32_MAX) {
        client_put_off(client, (uint32_t)retry_ms);
        return;
    }
    /* a node that has just started may not know yet who was there */
    if (question == ASK_JOIN && client->resume_token[0] != '\0' && code != NULL &&
        strcmp(code, "media_unavailable") == 0 && client_retry(client)) {
        return;
    }
    if (question == ASK_JOIN && client->resume_token[0] != '\0') {
        client->resume_token[0] = '\0'; /* too old: as a new one, then */
        client_ask(client, ASK_JOIN, 0,
            json_pack("{s:s,s:s}", "meeting_id", client->meeting,
                      "display_name", client->name));
        return;
    }
    (void)snprintf(reason, sizeof(reason), "%s refused: %s (%s)", questions[question],
                   message != NULL ? message : "no reason",
                   code != NULL ? code : "no code");
    if (!client_retry(client)) { /* a node that has just started may not be ready */
        client_fail(client, reason);
    }
}

void client_on_answer(void *user, uint64_t id, const json_t *answer)
{
    struct client *client = user;
    enum client_question question = (enum client_question)(id & 0xff);
    uint32_t about = (uint32_t)(id >> 8);

    if (client->state == CLIENT_LEFT) {
        if (question == ASK_LEAVE) {
            signaling_close(&client->signaling);
        }
        return;
    }
    if (!json_is_true(json_object_get(answer, "ok"))) {
        on_refused(client, question, about, answer);
        return;
    }
    switch (question) {
    case ASK_JOIN:
        on_joined(client, answer);
        break;
    case ASK_TRANSPORT:
        on_transport(client, answer);
        break;
    case ASK_CONNECT:
        on_connected(client);
        break;
    case ASK_PRODUCE:
        on_produced(client, about, answer);
        break;
    case ASK_CONSUME:
        if (about < client->n_receivers) {
            on_consumed(client, &client->receivers[about], answer);
        }
        break;
    case ASK_RESUME:
        if (about < client->n_receivers) {
            client->receivers[about].resumed = true;
        }
        break;
    case ASK_MUTE:
    case ASK_UNMUTE:
    case ASK_PAUSE:
    case ASK_LAYERS:
        client->n_granted++;
        break;
    case ASK_CHAT:
    case ASK_LEAVE:
        break;
    }
    client_check_up(client);
}

/* ---- chat ---- */

void client_chat(struct client *client)
{
    char text[64];

    (void)snprintf(text, sizeof(text), CHAT "%" PRIu64, loop_now_us());
    client->run->account->chats_sent++;
    client_ask(client, ASK_CHAT, 0,
        json_pack("{s:s,s:s,s:s}", "meeting_id", client->meeting, "message", text,
                  "client_message_id", text + sizeof(CHAT) - 1));
}

static void on_chat(struct client *client, const json_t *message)
{
    const char *text = json_string_value(json_object_get(message, "message"));
    uint64_t now_us = loop_now_us();
    uint64_t sent_us;

    if (text != NULL && strncmp(text, CHAT, sizeof(CHAT) - 1) == 0) {
        sent_us = strtoull(text + sizeof(CHAT) - 1, NULL, 10);
        if (sent_us != 0 && sent_us <= now_us) {
            hist_add(&client->run->account->chats_us, now_us - sent_us);
        }
    }
}

/* ---- events ---- */

const char *const client_wanted[] = {"new-producer", "producer:closed", "consumer:closed",
                                     "chat:message", NULL};

void client_on_event(void *user, const char *name, const json_t *payload)
{
    struct client *client = user;

    if (strcmp(name, "new-producer") == 0) {
        on_producer(client, payload);
    } else if (strcmp(name, "producer:closed") == 0) {
        on_closed_by_node(client, payload, true);
    } else if (strcmp(name, "consumer:closed") == 0) {
        on_closed_by_node(client, payload, false);
    } else if (strcmp(name, "chat:message") == 0) {
        on_chat(client, payload);
    }
}

void client_on_open(void *user)
{
    struct client *client = user;
    json_t *payload;

    client_step(client, STEP_SIGNALING);
    payload = json_pack("{s:s,s:s}", "meeting_id", client->meeting,
                                "display_name", client->name);

    if (client->resume_token[0] != '\0') {
        (void)json_object_set_new(payload, "resume_token",
                                  json_string(client->resume_token));
    }
    client_ask(client, ASK_JOIN, 0, payload);
}

void client_ask_leave(struct client *client)
{
    client_ask(client, ASK_LEAVE, 0,
        json_pack("{s:s}", "meeting_id", client->meeting));
}
