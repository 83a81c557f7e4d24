/* Events of transports, producers, consumers, layers and data channels. */
#include "schema/table.h"

static const char *const qualities[] = {"low", "medium", "high", NULL};
static const char *const consumer_types[] = {"simple", "simulcast", "svc", NULL};
static const char *const transport_states[] = {"new", "connecting", "connected", "failed",
                                               NULL};
static const char *const issues[] = {"packet_loss", "high_rtt", "high_jitter", "no_media",
                                     NULL};

/* ---- transports ---- */

OBJECT(transport_create, "A transport to be made.",
       ENUM("direction", R, schema_directions, "send: from the client"));
OBJECT(transport_created, "All that mediasoup-client needs of a transport.",
       ID("transport_id", R, "the transport"),
       ENUM("direction", R, schema_directions, "as asked"),
       OBJ("ice_parameters", R, ice_parameters, "the node's credentials"),
       LIST("ice_candidates", R, 0, 64, ice_candidate, "all addresses of the node"),
       OBJ("dtls_parameters", R, dtls_parameters, "the node's certificate"),
       OBJ("sctp_parameters", R, sctp_parameters, "the node's end of data channels"));
OBJECT(transport_connect, "The client's end of a transport.",
       ID("transport_id", R, "the transport"),
       OBJ("dtls_parameters", R, dtls_parameters, "the client's certificate"));
OBJECT(transport_ice, "New credentials of a transport.",
       ID("transport_id", R, "the transport"),
       OBJ("ice_parameters", R, ice_parameters,
           "the old ones stay good until a path of "
           "the new ones is nominated"));
OBJECT(transport_figures, "What a transport has carried.",
       ENUM("state", R, transport_states, "of ICE and DTLS"),
       INT("rx_packets", R, 0, MAX_SAFE, "came in"),
       INT("rx_bytes", R, 0, MAX_SAFE, "came in"),
       INT("tx_packets", R, 0, MAX_SAFE, "went out"),
       INT("tx_bytes", R, 0, MAX_SAFE, "went out"),
       INT("available_bps", R, 0, MAX_SAFE, "what the link carries; 0: not known"),
       NUM("rtt_ms", R, 0, MAX_SAFE, "round trip; 0: not known"));
OBJECT(transport_stats, "Figures of a transport.", ID("transport_id", R, "the transport"),
       OBJ("stats", R, transport_figures, "what it has carried"));
OBJECT(transport_closed, "A transport that failed.", ID("transport_id", R, "the transport"),
       TEXT("reason", R, 1, 64, "consent_lost, dtls_timeout …"));
OBJECT(downlink, "What a client's link carries.", ID("transport_id", R, "the transport"),
       INT("available_bps", R, 0, MAX_SAFE, "bits a second"));

/* ---- producers ---- */

OBJECT(produce, "A stream to be sent.", ID("transport_id", R, "a transport that sends"),
       ENUM("kind", R, schema_kinds, "sound or picture"),
       ENUM("source", R, schema_sources, "what it shows"),
       BOOL("paused", N, "begin without sending"),
       OBJ("rtp_parameters", R, rtp_parameters, "how it is sent"));
OBJECT(producer_created, "The producer that was made.",
       ID("producer_id", R, "the producer"), ENUM("kind", R, schema_kinds, "as asked"));
OBJECT(new_producer, "A stream that the others may consume.",
       ID("producer_id", R, "the producer"), ID("participant_id", R, "whose"),
       KEY("user_id", R, "whose"),
       TEXT_BYTES("display_name", R, 0, NAME_MAX_, "the sender's name"),
       ENUM("kind", R, schema_kinds, "sound or picture"),
       ENUM("source", R, schema_sources, "what it shows"),
       BOOL("paused", R, "nothing is sent at present"));
OBJECT(producer_of, "A producer of somebody.", ID("producer_id", R, "the producer"),
       ID("participant_id", R, "whose"), KEY("user_id", R, "whose"));

/* ---- consumers ---- */

OBJECT(consume, "A stream to be received.",
       ID("transport_id", R, "a transport that receives"),
       ID("producer_id", R, "whose stream"),
       OBJ("rtp_capabilities", R, rtp_capabilities, "what the client can decode"));
OBJECT(consumer_created, "A consumer, paused.", ID("consumer_id", R, "the consumer"),
       ID("producer_id", R, "what it receives"), ID("participant_id", R, "whose"),
       KEY("user_id", R, "whose"), ENUM("kind", R, schema_kinds, "sound or picture"),
       OBJ("rtp_parameters", R, rtp_parameters, "how it is received"),
       ENUM("type", R, consumer_types, "how many layers its producer has"),
       BOOL("producer_paused", R, "nothing is sent at present"));
OBJECT(consumer_closed, "A consumer that ended.", ID("consumer_id", R, "the consumer"),
       ID("producer_id", R, "what it received"),
       TEXT("reason", R, 1, 64, "producer_closed or transport_closed"));
OBJECT(consumer_priority, "Which streams are served first when the link is narrow.",
       ID("consumer_id", R, "the consumer"),
       INT("priority", R, 1, 255, "higher goes first"));

/* ---- layers ---- */

OBJECT(consumer_layers, "Layers that are wished for, at most.",
       ID("consumer_id", R, "the consumer"), INT("spatial", R, 0, 14, "0 is the smallest"),
       INT("temporal", N, 0, 14, "left out: all"));
static const struct schema_field quality_fields[] = {
    ID("consumer_id", N, "the consumer"),
    ID("producer_id", N, "or what it receives"),
    ENUM("layer", R, qualities, "low is the lowest, high the highest"),
};
static const struct schema_object schema_quality_change = {
    .name = "quality_change",
    .fields = quality_fields,
    .n_fields = sizeof(quality_fields) / sizeof(quality_fields[0]),
    .any_of = {"consumer_id", "producer_id"},
    .doc = "A quality that is wished for, at most."};
OBJECT(layers_changed, "What a consumer is sent, and is to be sent.",
       ID("consumer_id", R, "the consumer"), ID("producer_id", R, "what it receives"),
       OBJ("current", R | N, layer, "null: nothing is sent"),
       OBJ("target", R | N, layer, "null: nothing is to be sent, its link carries none"),
       ENUM("reason", R, schema_layer_reasons, "why it changed"));
OBJECT(view, "How large a picture is shown.", ID("producer_id", R, "of whom"),
       INT("width", R, 0, 65535, "pixels"), INT("height", R, 0, 65535, "pixels"));
OBJECT(view_set, "What is visible.",
       INT("last_n", N, 0, 65535, "of visible, only the first so many; 0: all"),
       LIST("visible", R, 0, 256, view, "in order of importance"));
OBJECT(producer_layers, "What of its layers a sender need send.",
       ID("producer_id", R, "the producer"),
       LIST("layers", R, 0, 4, layer_need, "its spatial layers"));

/* ---- scores ---- */

OBJECT(producer_score, "How well a producer's stream reaches the node.",
       ID("producer_id", R, "the producer"), SCORE_FIELDS,
       INT("key_frames", R, 0, MAX_SAFE, "since it began"));
OBJECT(consumer_score, "How well a stream reaches its consumer.",
       ID("consumer_id", R, "the consumer"), ID("producer_id", R, "what it receives"),
       INT("producer_score", R, 0, 10, "how well it reached the node"), SCORE_FIELDS);
OBJECT(quality_warning, "A stream that arrives badly, for 2 s or more.",
       ENUM("issue", R, issues, "what is wrong"), ID("producer_id", 0, "of one's own"),
       ID("consumer_id", 0, "or what one receives"), INT("score", 0, 0, 10, "see there"));
OBJECT(speaker, "Who speaks; all null when the last speaker has left.",
       KEY("user_id", R | N, "the user"), ID("participant_id", R | N, "the participant"),
       ID("producer_id", R | N, "the microphone"));

/* ---- data channels ---- */

OBJECT(data_produce, "A data channel to be sent on.",
       ID("transport_id", R, "a transport that sends"),
       TEXT_BYTES("label", N, 0, 128, "the channel's name"),
       TEXT_BYTES("protocol", N, 0, 128, "what is spoken in it"),
       OBJ("sctp_stream_parameters", R, sctp_stream_parameters, "its stream"));
OBJECT(data_produced, "The data producer that was made.", ID("id", R, "the same"),
       ID("data_producer_id", R, "the data producer"));
OBJECT(data_consume, "A data channel to be received.",
       ID("transport_id", R, "a transport that receives"),
       ID("data_producer_id", R, "whose messages"));
OBJECT(data_consumed, "A data consumer.", ID("id", R, "the same as data_consumer_id"),
       ID("data_consumer_id", R, "the data consumer"),
       ID("data_producer_id", R, "what it receives"), ID("participant_id", R, "whose"),
       KEY("user_id", R, "whose"), TEXT_BYTES("label", R, 0, 128, "the channel's name"),
       TEXT_BYTES("protocol", R, 0, 128, "what is spoken in it"),
       OBJ("sctp_stream_parameters", R, sctp_stream_parameters, "its stream"));
OBJECT(data_ref, "A data producer or data consumer of the client's.",
       ID("id", R, "which one"));
OBJECT(data_new, "A data channel that the others may consume.",
       ID("data_producer_id", R, "the data producer"), ID("participant_id", R, "whose"),
       KEY("user_id", R, "whose"),
       TEXT_BYTES("display_name", R, 0, NAME_MAX_, "the sender's name"),
       TEXT_BYTES("label", R, 0, 128, "the channel's name"),
       TEXT_BYTES("protocol", R, 0, 128, "what is spoken in it"));
OBJECT(data_closed, "A data channel that ended.",
       ID("data_producer_id", R, "the data producer"), ID("participant_id", R, "whose"),
       KEY("user_id", R, "whose"), TEXT("reason", R, 1, 64, "closed, channel_closed …"));
OBJECT(data_consumer_closed, "A data consumer that ended unasked.",
       ID("data_consumer_id", R, "the data consumer"),
       ID("data_producer_id", R, "what it received"),
       TEXT("reason", R, 1, 64, "producer_closed, slow_reader …"));

EVENTS(media,
       ASK("transport:create", VIEW, 0, transport_create, transport_created,
           "transport:created", NULL,
           "Makes a transport: ICE credentials, candidates, "
           "fingerprint."),
       ASK("transport:connect", VIEW, 0, transport_connect, transport_ref,
           "transport:connected", NULL, "Tells the client's fingerprints; DTLS follows."),
       ASK("transport:restart-ice", VIEW, 0, transport_ref, transport_ice, NULL, NULL,
           "Makes new ICE credentials; media goes on meanwhile."),
       ASK("transport:close", VIEW, 0, transport_ref, none, NULL, NULL,
           "Ends a transport and what it carries."),
       ASK("transport:stats", VIEW, 0, transport_ref, transport_stats, NULL, NULL,
           "What it has carried."),
       TELL("transport:closed", VIEW, STAMPED, transport_closed,
            "To its owner: it failed, and why."),
       TELL("bwe:downlink", VIEW, STAMPED, downlink,
            "To the receiver: when it has changed by a tenth, at most once a second."),

       ALIAS("produce", "producer:create", PRODUCE_MEDIA, 0, produce, producer_created,
             "producer:created", "new-producer", "Begins to send a stream."),
       ASK("produce:close", VIEW, 0, producer_ref, none, NULL, "producer:closed",
           "Ends a stream of one's own."),
       ASK("produce:pause", VIEW, 0, producer_ref, none, NULL, "producer:paused",
           "Nothing of it is forwarded until produce:resume."),
       ASK("produce:resume", VIEW, 0, producer_ref, none, NULL, "producer:resumed",
           "Forwards it again."),
       TELL("new-producer", VIEW, FACT, new_producer, "To the others."),
       TELL("producer:closed", VIEW, FACT, producer_of, "To the others."),
       TELL("producer:paused", VIEW, FACT, producer_of, "To the others."),
       TELL("producer:resumed", VIEW, FACT, producer_of, "To the others."),
       TELL("producer:layers", VIEW, STAMPED, producer_layers,
            "To the producer's owner: which layers somebody needs."),
       TELL("producer:score", VIEW, STAMPED, producer_score, "To the producer's owner."),

       ALIAS("consume", "consumer:create", VIEW, 0, consume, consumer_created,
             "consumer:created", NULL, "Makes a consumer, which starts paused."),
       ASK("consumer:pause", VIEW, 0, consumer_ref, consumer_ref, "consumer:paused", NULL,
           "Stops it."),
       ASK("consumer:resume", VIEW, 0, consumer_ref, consumer_ref, "consumer:resumed", NULL,
           "Starts it, with a key frame."),
       ASK("consumer:close", VIEW, 0, consumer_ref, none, NULL, NULL, "Ends it."),
       ASK("consumer:layers", VIEW, 0, consumer_layers, layers_changed,
           "consumer:layers-changed", NULL, "Wishes for layers up to these."),
       ASK("quality:change", VIEW, 0, quality_change, layers_changed,
           "consumer:layers-changed", NULL, "The same in words."),
       ASK("consumer:priority", VIEW, 0, consumer_priority, consumer_priority, NULL, NULL,
           "Who goes first when the link is narrow."),
       ASK("consumer:keyframe", VIEW, 0, consumer_ref, consumer_ref, NULL, NULL,
           "Asks its producer for a key frame."),
       ASK("view:set", VIEW, 0, view_set, none, NULL, NULL,
           "Tells how large pictures are shown, which chooses their layers."),
       TELL("consumer:closed", VIEW, STAMPED, consumer_closed, "To the consumer's owner."),
       TELL("consumer:layers-changed", VIEW, STAMPED, layers_changed,
            "To the consumer's owner: what it is sent from now on."),
       TELL("consumer:score", VIEW, STAMPED, consumer_score, "To the consumer's owner."),
       TELL("quality:warning", VIEW, STAMPED, quality_warning,
            "To the owner of a stream that arrives badly."),
       TELL("speaker:active", VIEW, STAMPED, speaker, "To all, when it changes."),

       ASK("data:produce", PRODUCE_MEDIA, 0, data_produce, data_produced, "data:produced",
           "data:new", "Says that the client sends on a data channel."),
       ASK("data:consume", VIEW, 0, data_consume, data_consumed, "data:consumed", NULL,
           "Receives what is sent on one."),
       ASK("data:close", VIEW, 0, data_ref, none, NULL, "data:closed",
           "Ends a data producer or data consumer of one's own."),
       TELL("data:new", VIEW, FACT, data_new, "To the others."),
       TELL("data:closed", VIEW, FACT, data_closed,
            "To the others; and to its owner, if it did not ask for it."),
       TELL("data:consumer-closed", VIEW, STAMPED, data_consumer_closed,
            "To the data consumer's owner, if it did not ask for it."));
