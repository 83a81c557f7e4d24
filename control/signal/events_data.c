/* The events about data channels; see events.c. */
#include <stdio.h>

#include "signal/priv.h"

enum { ID_MAX = 128 };

static void fail(struct reply *reply, const struct meeting_error *err)
{
    reply_fail(reply, err->code, err->message);
}

/* The client's sctpStreamParameters, as mediasoup-client has them. */
static bool field_channel(struct fields *f, struct dsctp_channel *out)
{
    const int64_t unset = -1;
    int64_t stream, lifetime, retransmits;
    const json_t *object;
    struct fields in;
    bool ordered;

    if (!field_object(f, "sctp_stream_parameters", true, &object)) {
        return false;
    }
    in = fields_of(object);
    if (!field_int(&in, "streamId", 0, DSCTP_STREAMS - 1, true, 0, &stream) ||
        !field_bool(&in, "ordered", true, &ordered) ||
        !field_int(&in, "maxPacketLifeTime", 0, 65535, false, unset, &lifetime) ||
        !field_int(&in, "maxRetransmits", 0, 65535, false, unset, &retransmits)) {
        (void)snprintf(f->error, sizeof(f->error), "/sctp_stream_parameters%.200s",
                       in.error);
        return false;
    }
    if (lifetime != unset && retransmits != unset) {
        (void)snprintf(f->error, sizeof(f->error),
                       "/sctp_stream_parameters: has both maxPacketLifeTime and "
                       "maxRetransmits");
        return false;
    }
    *out = (struct dsctp_channel){.stream = (uint16_t)stream, .unordered = !ordered};
    if (lifetime != unset) {
        out->reliability = DSCTP_LIFETIME;
        out->limit = (uint32_t)lifetime;
    } else if (retransmits != unset) {
        out->reliability = DSCTP_RETRANSMITS;
        out->limit = (uint32_t)retransmits;
    }
    return true;
}

void on_data_produce(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    const char *label, *protocol, *id;
    const struct data_producer *dp;
    struct dsctp_channel channel;
    struct meeting_error err;

    if (!field_text(&f, "transport_id", ID_MAX, true, &id) ||
        !field_text(&f, "label", MEETING_LABEL_MAX, false, &label) ||
        !field_text(&f, "protocol", MEETING_LABEL_MAX, false, &protocol) ||
        !field_channel(&f, &channel)) {
        reply_fail(reply, "invalid", f.error);
        return;
    }
    dp = meeting_data_produce(client->signal->meeting, client->participant, id, &channel,
                              label, protocol, &err);
    if (dp == NULL) {
        fail(reply, &err);
    } else {
        reply_ok(reply, json_pack("{s:s,s:s}", "id", dp->id, "data_producer_id", dp->id));
    }
}

void on_data_consume(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    const char *transport_id, *producer_id;
    const struct data_consumer *dc;
    struct meeting_error err;

    if (!field_text(&f, "transport_id", ID_MAX, true, &transport_id) ||
        !field_text(&f, "data_producer_id", ID_MAX, true, &producer_id)) {
        reply_fail(reply, "invalid", f.error);
        return;
    }
    dc = meeting_data_consume(client->signal->meeting, client->participant, transport_id,
                              producer_id, &err);
    if (dc == NULL) {
        fail(reply, &err);
    } else {
        reply_ok(reply, encode_data_consumer(dc));
    }
}

void on_data_close(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *id;

    if (!field_text(&f, "id", ID_MAX, true, &id)) {
        reply_fail(reply, "invalid", f.error);
    } else if (meeting_data_close(client->participant, id, &err) != 0) {
        fail(reply, &err);
    } else {
        reply_ok(reply, NULL);
    }
}
