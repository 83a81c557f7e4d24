/* Objects that several events and routes share; mediasoup-client's own among them, which
 * keep their camelCase. proto/ looks into those closer than a table can. */
#include "schema/table.h"

const char *const schema_roles[] = {"host",     "co_host", "presenter",
                                    "attendee", "guest",   NULL};
const char *const schema_kinds[] = {"audio", "video", NULL};
const char *const schema_sources[] = {"mic", "camera", "screen", "screen_audio", NULL};
const char *const schema_directions[] = {"send", "recv", NULL};
const char *const schema_layer_reasons[] = {
    "", "started", "requested", "bandwidth", "source", "no_keyframe", NULL};

static const char *const dtls_roles[] = {"auto", "client", "server", NULL};
static const char *const protocols[] = {"udp", "tcp", NULL};

const struct schema_object schema_none = {.name = "none", .doc = "nothing"};

/* ---- references ---- */

OBJECT(meeting_ref, "A meeting; left out, the one that the client is in.",
       KEY("meeting_id", N, "the meeting"));
OBJECT(transport_ref, "A transport of the client's.",
       ID("transport_id", R, "the transport"));
OBJECT(producer_ref, "A producer.", ID("producer_id", R, "the producer"));
OBJECT(consumer_ref, "A consumer of the client's.", ID("consumer_id", R, "the consumer"));

/* ---- mediasoup-client's ---- */

FOREIGN(rtp_parameters, "types.RtpParameters",
        "RTCRtpParameters as mediasoup-client has them.",
        TEXT("mid", N, 0, 16, "media stream id"),
        ITEMS("codecs", R, 1, 16, "codecs, with payloadType, mimeType, clockRate …",
              ANY(NULL, 0, NULL)),
        ITEMS("headerExtensions", N, 0, 14, "uri and id of each", ANY(NULL, 0, NULL)),
        ITEMS("encodings", R, 1, 4, "ssrc or rid of each", ANY(NULL, 0, NULL)),
        ANY("rtcp", 0, "cname, reducedSize"));
FOREIGN(rtp_capabilities, "types.RtpCapabilities",
        "RTCRtpCapabilities as mediasoup-client has them.",
        ITEMS("codecs", 0, 0, 64, "codecs, with preferredPayloadType, mimeType …",
              ANY(NULL, 0, NULL)),
        ITEMS("headerExtensions", 0, 0, 64, "kind, uri and preferredId of each",
              ANY(NULL, 0, NULL)));
OPEN(dtls_fingerprint, "The hash of a certificate.",
     TEXT("algorithm", R, 1, 32, "name of the hash: sha-256"),
     TEXT("value", R, 1, 256, "hexadecimal, with colons"));
FOREIGN(dtls_parameters, "types.DtlsParameters", "One end of a DTLS connection.",
        ENUM("role", 0, dtls_roles, "auto if it is left out"),
        LIST("fingerprints", R, 1, 16, dtls_fingerprint,
             "of its certificate; hashes that the node does not know are passed over"));
FOREIGN(ice_parameters, "types.IceParameters", "Credentials of ICE.",
        TEXT("usernameFragment", R, 1, 256, "ufrag"),
        TEXT("password", R, 1, 256, "password"),
        BOOL("iceLite", 0, "the node is ICE-lite"));
FOREIGN(ice_candidate, "types.IceCandidate", "An address of the node.",
        TEXT("foundation", R, 1, 32, "foundation"),
        INT("priority", R, 0, UINT32_MAX, "priority"),
        TEXT("address", R, 1, 64, "IP address"),
        TEXT("ip", R, 1, 64, "the same, for older clients"),
        ENUM("protocol", R, protocols, "transport protocol"),
        INT("port", R, 1, 65535, "port"), TEXT("type", R, 1, 16, "host"));
FOREIGN(sctp_parameters, "types.SctpParameters", "The node's end of an SCTP association.",
        INT("port", R, 1, 65535, "SCTP port"), INT("OS", R, 1, 65535, "outgoing streams"),
        INT("MIS", R, 1, 65535, "incoming streams"),
        INT("maxMessageSize", R, 0, UINT32_MAX, "bytes of a message"),
        INT("maxSendMessageSize", R, 0, UINT32_MAX,
            "bytes of a message that the node sends"),
        INT("maxReceiveMessageSize", R, 0, UINT32_MAX, "bytes of a message that it takes"));

static const struct schema_field stream_fields[] = {
    INT("streamId", R, 0, 1023, "not in use on that transport"),
    BOOL("ordered", 0, "true if it is left out"),
    INT("maxPacketLifeTime", N, 0, 65535, "ms; not with maxRetransmits"),
    INT("maxRetransmits", N, 0, 65535, "not with maxPacketLifeTime"),
};
const struct schema_object schema_sctp_stream_parameters = {
    .name = "sctp_stream_parameters",
    .fields = stream_fields,
    .n_fields = sizeof(stream_fields) / sizeof(stream_fields[0]),
    .unknown = SCHEMA_OPEN,
    .foreign = "types.SctpStreamParameters",
    .not_both = {"maxPacketLifeTime", "maxRetransmits"},
    .doc = "A stream of a data channel as mediasoup-client has it."};

FOREIGN(ice_server, "RTCIceServer", "A STUN or TURN server, as RTCIceServer.",
        ITEMS("urls", R, 1, 8, "stun: and turn: URLs", TEXT(NULL, 0, 1, 512, NULL)),
        TEXT("username", 0, 0, 512, "for TURN"),
        TEXT("credential", S, 0, 512, "for TURN, good for a limited time"));

/* ---- people and what they send ---- */

OBJECT(person, "Who.", ID("participant_id", R, "new at each join"),
       KEY("user_id", R, "the user, who may be there more than once"));
OBJECT(participant, "Somebody in the meeting.", ID("participant_id", R, "new at each join"),
       KEY("user_id", R, "the user, who may be there more than once"),
       TEXT_BYTES("display_name", R, 0, NAME_MAX_, "the name that others see"),
       ENUM("role", R, schema_roles, "role in this meeting"),
       TIME("joined_at", R, "since when"),
       ITEMS("off", 0, 0, 3, "what of audio, video and screen is switched off",
             TEXT(NULL, 0, 1, 8, NULL)),
       ITEMS("muted_by_host", 0, 0, 3, "of these what only a host can let on again",
             TEXT(NULL, 0, 1, 8, NULL)),
       INT("hand_order", N, 1, MAX_SAFE,
           "hands with less went up before; null: it is down"));
OBJECT(producer, "A stream that somebody sends.", ID("producer_id", R, "the producer"),
       ID("participant_id", R, "whose"), KEY("user_id", R, "whose"),
       ENUM("kind", R, schema_kinds, "sound or picture"),
       ENUM("source", R, schema_sources, "what it shows"),
       BOOL("paused", R, "nothing is sent at present"));
OBJECT(data_producer, "A data channel that somebody sends on.",
       ID("data_producer_id", R, "the data producer"), ID("participant_id", R, "whose"),
       KEY("user_id", R, "whose"), TEXT_BYTES("label", R, 0, 128, "the channel's name"),
       TEXT_BYTES("protocol", R, 0, 128, "what is spoken in it"));
OBJECT(layer, "A layer of a stream.", INT("spatial", R, 0, 15, "0 is the smallest"),
       INT("temporal", R, 0, 15, "0 is the slowest"));
OBJECT(layer_need, "Whether somebody needs a layer.",
       INT("spatial", R, 0, 15, "0 is the smallest"),
       BOOL("needed", R, "the sender may stop sending others"));

/* ---- meetings ---- */

static const char *const layouts[] = {"grid", "speaker", "presentation", NULL};

OBJECT(features, "What a meeting offers.", BOOL("video_enabled", 0, "cameras"),
       BOOL("audio_enabled", 0, "microphones"),
       BOOL("screen_sharing_enabled", 0, "screens"), BOOL("chat_enabled", 0, "chat"),
       BOOL("recording_enabled", 0, "recording"),
       BOOL("breakout_rooms_enabled", 0, "breakout rooms"),
       BOOL("whiteboard_enabled", 0, "whiteboard"), BOOL("hand_raise_enabled", 0, "hands"));
OBJECT(meeting_settings, "What a host may change while a meeting runs.",
       TEXT("meeting_name", 0, 1, 200, "title"),
       INT("max_participants", 0, 1, 10000, "how many may be there at once"),
       BOOL("waiting_room_enabled", 0, "who comes waits until let in"),
       BOOL("require_host_approval", 0, "the same while no host is there"),
       BOOL("allow_guests", 0, "guests may enter"),
       BOOL("allow_attendee_media", 0, "attendees may send audio and video"),
       BOOL("allow_guest_chat", 0, "guests may write"),
       BOOL("locked", 0, "nobody new may enter"),
       BOOL("attendees_may_unmute", 0, "whom a host has muted may speak unasked"),
       ENUM("layout", 0, layouts, "how people are shown"),
       OBJ("features", 0, features, "what it offers"));

/* ---- chat ---- */

OBJECT(chat_reaction_count, "How many reacted how.",
       TEXT("emoji", R, 1, 16, "the reaction"), INT("count", R, 1, MAX_SAFE, "how many"));
OBJECT(chat_message, "A message of the chat.", ID("message_id", R, "the node's id"),
       ID("client_message_id", N, "the sender's own, so that a retry does not double it"),
       KEY("user_id", R, "who wrote it"), ID("participant_id", N, "the same, while there"),
       TEXT("display_name", R, 0, NAME_MAX_, "the writer's name"),
       TEXT("message", R, 0, 4000, "the text; empty once it was deleted"),
       ID("reply_to", N, "the message that it answers"),
       KEY("to", N, "the one user who may read it; null: everybody"),
       TIME("timestamp", R, "when it came"), TIME("edited_at", N, "last change"),
       BOOL("deleted", 0, "its text was taken away"),
       BOOL("duplicate", 0, "to who sent it: it was there already"),
       LIST("reactions", 0, 0, 64, chat_reaction_count, "reactions to it"));
