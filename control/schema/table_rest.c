/* Routes of REST. */
#include "schema/table.h"

static const char *const kinds_of_meeting[] = {"scheduled", "instant", "recurring", NULL};
static const char *const states_of_meeting[] = {"scheduled", "live", "ended", "cancelled",
                                                NULL};
static const char *const states_of_kept[] = {"scheduled", "live",    "ended",
                                             "cancelled", "deleted", NULL};
static const char *const roles_of_accounts[] = {"admin", "host", "presenter", "attendee",
                                                NULL};
static const char *const recording_states[] = {"running", "paused", "stopping",    "stopped",
                                               "failed",  "interrupted", NULL};
static const char *const results[] = {"ok", "refused", "failed", NULL};

/* ---- tokens ---- */

BODY(login, "A login.", TEXT("login", R, 1, 128, "name of the account"),
     TEXT("password", R | S, 1, 1024, "its password"),
     KEY("tenant", 0, "left out: the default tenant"));
BODY(refresh, "A refresh token, good for one use.",
     TEXT("refresh_token", R | S, 1, 192, "of the last login or refresh"));
BODY(logout, "What is to end beside the access token.",
     TEXT("refresh_token", S, 1, 192, "its whole family ends"));
BODY(user_new, "An account to be made.",
     TEXT_BYTES("login", R, 1, 128, "name of the account; no two of a tenant share it"),
     TEXT_BYTES("password", R | S, 8, 256, "its password"),
     TEXT_BYTES("name", 0, 0, 128, "the name that others see"),
     ENUM("role", 0, roles_of_accounts, "presenter if it is left out"));
OBJECT(user, "An account.", KEY("user_id", R, "the node's id"),
       TEXT("tenant", R, 0, 64, "of which tenant; empty: the default one"),
       TEXT("login", R, 1, 128, "name of the account"),
       TEXT("name", R, 0, 128, "the name that others see"),
       ENUM("role", R, roles_of_accounts, "of the account"));
OBJECT(tokens, "Tokens of a login.", TEXT("access_token", R | S, 1, 8192, "a JWT"),
       TEXT("token_type", R, 1, 16, "Bearer"),
       INT("expires_in_s", R, 0, MAX_SAFE, "of the access token"),
       TEXT("refresh_token", R | S, 1, 192, "opaque, for one use"),
       INT("refresh_expires_in_s", R, 0, MAX_SAFE, "of the refresh token"),
       KEY("user_id", R, "who"),
       TEXT("tenant", R, 0, 64, "of which tenant; empty: the default one"),
       TEXT("name", R, 0, 128, "the name that others see"),
       TEXT("role", R, 1, 16, "role of the account"));

/* ---- meetings ---- */

BODY(recording_config, "How a meeting is recorded.",
     BOOL("auto_record", 0, "from the start"), BOOL("record_video", 0, "pictures"),
     BOOL("record_audio", 0, "sound"), BOOL("record_chat", 0, "the chat"),
     INT("retention_days", 0, 1, 3650, "how long it is kept"));
BODY(invite, "Somebody to be invited.", KEY("user_id", R, "whom"),
     ENUM("role", 0, schema_roles, "attendee if it is left out"),
     TEXT("name", 0, 1, 128, "name in the list"));

#define MEETING_FIELDS(must_, null_)                                                       \
    TEXT("meeting_name", must_, 1, 200, "title"),                                          \
        TEXT("meeting_description", null_, 0, 4000, "in words"),                           \
        TIME("meeting_start_time", null_, "when it begins"),                               \
        TIME("meeting_end_time", null_, "when it ends"),                                   \
        ENUM("meeting_type", 0, kinds_of_meeting, "scheduled if it is left out"),          \
        TEXT("recurrence", null_, 0, 512, "RRULE (RFC 5545) of a recurring one, in UTC"),  \
        INT("max_participants", 0, 1, 10000, "how many may be there at once"),             \
        BOOL("waiting_room_enabled", 0, "who comes waits until let in"),                   \
        BOOL("require_host_approval", 0, "the same while no host is there"),               \
        BOOL("allow_guests", 0, "guests may enter"),                                       \
        BOOL("allow_attendee_media", 0, "attendees may send audio and video"),             \
        BOOL("allow_guest_chat", 0, "guests may write"),                                   \
        BOOL("locked", 0, "nobody new may enter"),                                         \
        OBJ("features", 0, features, "what it offers"),                                    \
        OBJ("recording_config", 0, recording_config, "how it is recorded"),                \
        LIST("participants", 0, 0, 50, invite,                                             \
             "who is invited; those not named stay, more by …/participants")

BODY(meeting_new, "A meeting to be made, or to take a meeting's place.",
     MEETING_FIELDS(R, N));
BODY(meeting_change, "What is to be changed; what is left out stays.",
     MEETING_FIELDS(0, N));

#define MEETING_OBJECT(states_)                                                            \
    KEY("id", R, "the node's id"),                                                         \
        TEXT("tenant", R, 0, 64, "of which tenant; empty: the default one"),               \
        KEY("creator_id", R, "who made it"),                                               \
        ENUM("meeting_status", R, states_, "where it is in its life"),                     \
        MEETING_FIELDS(R, N),                                                              \
        BOOL("attendees_may_unmute", 0, "whom a host has muted may speak unasked"),        \
        ITEMS("occurrences", 0, 0, 50,                                                     \
              "when a recurring one begins next, or in what is listed",                    \
              TIME(NULL, 0, NULL)),                                                        \
        TIME("created_at", R, "when"), TIME("updated_at", R, "when"),                      \
        INT("version", R, 0, MAX_SAFE, "counts changes; the ETag")

OBJECT(meeting, "A meeting.", MEETING_OBJECT(states_of_meeting));
OBJECT(fact_meeting, "A meeting, as REST has left it.", MEETING_OBJECT(states_of_kept));
OBJECT(meeting_list, "Which of one's meetings.",
       ENUM("status", 0, states_of_meeting, "only these"),
       TIME("from", 0, "only those that begin then or later, once at least"),
       TIME("to", 0, "only those that begin before"),
       TEXT("cursor", 0, 1, 256, "next_cursor of the last page"),
       INT("limit", 0, 1, 200, "how many; 50 if it is left out"));
OBJECT(list_query, "Which part of a list.",
       TEXT("cursor", 0, 1, 256, "next_cursor of the last page"),
       INT("limit", 0, 1, 200, "how many; 50 if it is left out"));
BODY(meeting_enter, "Who joins.",
     TEXT("display_name", 0, 1, 128, "the name that others see"));
OBJECT(meeting_ticket, "All that a client needs to connect.",
       KEY("meeting_id", R, "the meeting"), TEXT("token", R | S, 1, 8192, "meeting token"),
       TIME("expires_at", R, "its end"),
       ENUM("role", R, schema_roles, "role in the meeting"),
       LIST("ice_servers", R, 0, 16, ice_server, "STUN and TURN servers"),
       TEXT("socketio_url", R, 1, 2048, "where to connect to"),
       TEXT("socketio_path", R, 1, 256, "/socket.io/"));
BODY(link_new, "Which link.",
     ENUM("role", 0, schema_roles, "of who comes by it; attendee if it is left out"));
OBJECT(join_link, "What a link for others holds.", KEY("meeting_id", R, "the meeting"),
       TEXT("token", R | S, 1, 8192, "for /join only"), TIME("expires_at", R, "its end"),
       ENUM("role", R, schema_roles, "of who comes by it"));
OBJECT(invited, "Somebody who is invited, or was there.", KEY("user_id", R, "who"),
       ENUM("role", R, schema_roles, "role in this meeting"),
       TEXT("name", N, 0, 128, "the name that others see"),
       BOOL("present", 0, "is there now"), TIME("joined_at", N, "last time"),
       TIME("left_at", N, "last time"));
OBJECT(whom, "Whom.", KEY("user_id", R, "the user"));
BODY(new_role, "A role to be given.", ENUM("new_role", R, schema_roles, "which"));
OBJECT(recorded_track, "A file of a recording: one stream, or a part of it.",
       TEXT("file", R, 1, 64, "its name"), KEY("user_id", N, "who sent it"),
       TEXT("display_name", N, 0, 128, "name of that person then"),
       ENUM("source", N, schema_sources, "what it shows"),
       INT("start_ms", N, -MAX_SAFE, MAX_SAFE,
           "its first frame, since the recording began"),
       INT("duration_ms", N, 0, MAX_SAFE, "its length"),
       INT("size_bytes", R, 0, MAX_SAFE, "of the file"),
       BOOL("complete", R, "it was ended in order; else its last second may be missing"),
       BOOL("archived", 0, "it is in the object store"));
OBJECT(recording_file, "A recording.", ID("id", R, "which"), TIME("started_at", R, "when"),
       ENUM("state", R, recording_states, "what it does, or why it has ended"),
       KEY("by_user_id", N, "who began it"), TEXT("reason", N, 0, 256, "why it failed"),
       INT("duration_ms", N, 0, MAX_SAFE, "its length"),
       INT("size_bytes", N, 0, MAX_SAFE, "of all its files"),
       TIME("expires_at", 0, "when it is taken away; missing: never"),
       LIST("files", R, 0, 513, recorded_track, "what there is of it"));
OBJECT(recording_query, "Which file.",
       TEXT("file", 0, 1, 64, "its name; may be left out if there is but one"));
OPEN(analytics, "Figures of a meeting, counted from its facts.",
     INT("participants", R, 0, MAX_SAFE, "users who were there"),
     INT("joins", R, 0, MAX_SAFE, "times that somebody came"),
     INT("peak_participants", R, 0, MAX_SAFE, "at once"),
     INT("duration_ms", R, 0, MAX_SAFE, "how long somebody was there"),
     INT("attended_ms", R, 0, MAX_SAFE, "how long each was there, added up"),
     INT("messages", R, 0, MAX_SAFE, "of the chat"),
     INT("reactions", R, 0, MAX_SAFE, "to messages"),
     INT("screens_shared", R, 0, MAX_SAFE, "times"),
     INT("hands_raised", R, 0, MAX_SAFE, "times"),
     TIME("first_fact_at", R | N, "of those that are kept"),
     TIME("last_fact_at", R | N, "of those that are kept"),
     BOOL("complete", R, "all facts that are kept were counted"));
OPEN(live_stats, "Figures of a meeting that runs.",
     INT("participants", R, 0, MAX_SAFE, "how many are there"),
     INT("producers", 0, 0, MAX_SAFE, "streams that are sent"),
     INT("consumers", 0, 0, MAX_SAFE, "streams that are received"));
OBJECT(webrtc_config, "What a client needs before it joins.",
       OBJ("rtp_capabilities", R, rtp_capabilities, "the router's"),
       LIST("ice_servers", R, 0, 16, ice_server, "STUN and TURN servers"));
OPEN(audit_entry, "A sensitive act.", ID("id", R, "which"), TIME("at", R, "when"),
     TEXT("act", R, 1, 64, "what was done"), KEY("actor_id", N, "who did it"),
     KEY("meeting_id", N, "in which meeting"), TEXT("target", N, 0, 256, "to whom or what"),
     TEXT("address", N, 0, 64, "from where"),
     ENUM("result", R, results, "what came of it"));
OBJECT(export_query, "Which part of it.",
       TEXT("cursor", 0, 1, 256, "next_cursor of the last page"),
       INT("limit", 0, 100, 1000, "entries of a page, of all lists together; 1,000"));
OPEN(kept_entry, "An entry as it is kept.", KEY("meeting_id", 0, "of which meeting"));
OPEN(kept_account, "An account.", TEXT("login", R, 1, 128, "name of the account"),
     TEXT("name", N, 0, 128, "the name that others see"));
OBJECT(kept, "What is kept of a user.", KEY("user_id", R, "of whom"),
       OBJ("account", R | N, kept_account, "null: there is none"),
       LIST("invitations", R, 0, 20000, kept_entry, "and roles that were given"),
       LIST("attendance", R, 0, 20000, kept_entry, "when there, under which name"),
       LIST("bans", R, 0, 20000, kept_entry, "and those that were lifted"),
       LIST("messages", R, 0, 20000, kept_entry, "of the chat"),
       LIST("acts", R, 0, 20000, kept_entry, "of the audit, done by the user"),
       BOOL("complete", R, "there is no more than this"));
OPEN(exported_event, "A fact.", INT("epoch", R, 0, MAX_SAFE, "which node's"),
     INT("seq", R, 0, MAX_SAFE, "of the meeting"), TEXT("type", R, 1, 64, "kcs. …"),
     TIME("at", R, "when"));
OBJECT(meeting_export, "A page of what is kept of a meeting.",
       OBJ("meeting", R, meeting, "the meeting"),
       LIST("events", R, 0, 1000, exported_event, "facts, the oldest first"),
       LIST("invitations", R, 0, 1000, kept_entry, "and roles that were given"),
       LIST("attendance", R, 0, 1000, kept_entry, "who was there when, under which name"),
       LIST("bans", R, 0, 1000, kept_entry, "and those that were lifted"),
       LIST("messages", R, 0, 1000, chat_message, "of the chat, as they are now"),
       LIST("polls", R, 0, 1000, kept_entry, "as they stand"),
       LIST("audit", R, 0, 1000, audit_entry, "who did what in it"),
       LIST("recordings", R, 0, 1000, kept_entry, "what was recorded; not the files"),
       LIST("whiteboard", R, 0, 5000, whiteboard_op,
            "while its room is open, with the first page"),
       TEXT("next_cursor", R | N, 0, 512, "null: this was the last page"));
OPEN(erased, "What was erased.", KEY("user_id", R, "of whom"));

/* ---- the node ---- */

OBJECT(health_live, "That it runs.", TEXT("status", R, 1, 32, "live"));
OBJECT(health_ready, "That it is fit for calls.", TEXT("status", R, 1, 32, "ready"));
OPEN(device_address, "An address.", TEXT("ip", R, 1, 64, "of the device"),
     TEXT("public_ip", R, 1, 64, "that clients are told"),
     INT("public_port", R, 0, 65535, "that clients are told"));
OPEN(device, "A device.", TEXT("kind", R, 1, 32, "veth, af_xdp, udp …"),
     TEXT("name", R, 0, 64, "interface"), INT("port", R, 0, 65535, "UDP"),
     LIST("addresses", R, 0, 64, device_address, "its addresses"));
OPEN(health_webrtc, "What it has for calls.", BOOL("attached", R, "there is a dataplane"),
     LIST("devices", R, 0, 64, device, "its devices"));
OPEN(versions, "Of what.", TEXT("kcs", R, 0, 64, "the node"),
     INT("contract", R, 0, MAX_SAFE, "between its processes"));
static const char *const outlet_states[] = {"off", "ok", "degraded", NULL};
OPEN(outlets, "How events leave the node.",
     ENUM("state", R, outlet_states, "degraded: they wait in the store"),
     TEXT("reason", 0, 0, 256, "why, if degraded"));
OPEN(store_state, "How the store is.",
     ENUM("state", R, outlet_states, "off: nothing is kept"),
     TEXT("reason", 0, 0, 256, "why, if degraded"));
OPEN(health_system, "Figures of the node.",
     INT("uptime_ms", R, 0, MAX_SAFE, "since it began"),
     INT("rooms", R, 0, MAX_SAFE, "now"), INT("participants", R, 0, MAX_SAFE, "now"),
     INT("clients", R, 0, MAX_SAFE, "now"), BOOL("attached", R, "there is a dataplane"),
     BOOL("draining", R, "it is going to stop: no meeting begins"),
     OBJ("events", R, outlets, "how they leave the node"),
     OBJ("store", R, store_state, "how it is"),
     OBJ("versions", R, versions, "of what runs"));
OPEN(node_stats, "Figures of the node.", INT("rooms", R, 0, MAX_SAFE, "now"),
     INT("participants", R, 0, MAX_SAFE, "now"));
OBJECT(wish_query, "Whom.", TEXT("name", 0, 1, 128, "the name that others see"),
       ID("participant", 0, "whom to watch, of a viewer"));

static const char sdp[] = "application/sdp";

static const struct schema_route routes[] = {
    /* its own limit is logins_per_address */
    ROUTE("POST", "/api/auth/login", PUBLIC, ALL, 0, none, login, tokens,
          "Begins a session."),
    ROUTE("POST", "/api/auth/refresh", PUBLIC, SOME, 0, none, refresh, tokens,
          "Goes on with it; an old refresh token ends all of it, the last one after a while."),
    ROUTE("POST", "/api/auth/logout", SIGNED_IN, LITTLE, EMPTY, none, logout, none,
          "Ends it."),

    ROUTE("GET", "/api/meeting", SIGNED_IN, MUCH, LIST_OF, meeting_list, none, meeting,
          "One's meetings."),
    ROUTE("POST", "/api/meeting", CREATE_MEETING, LITTLE, CREATED | REPEAT | ETAG, none,
          meeting_new, meeting, "Makes a meeting."),
    ROUTE("GET", "/api/meeting/system/stats", ADMINISTER, SOME, 0, none, none, node_stats,
          "Figures of the node."),
    ROUTE("GET", "/api/meeting/{id}", VIEW, ALL, ETAG, none, none, meeting, "A meeting."),
    ROUTE("PUT", "/api/meeting/{id}", MODERATE, SOME, ETAG, none, meeting_new, meeting,
          "Another in its place."),
    ROUTE("PATCH", "/api/meeting/{id}", MODERATE, SOME, ETAG, none, meeting_change, meeting,
          "Changes some of it."),
    ROUTE("DELETE", "/api/meeting/{id}", END_MEETING, LITTLE, EMPTY | ETAG, none, none,
          none, "Takes it away."),
    ROUTE("POST", "/api/meeting/{id}/start", MODERATE, LITTLE, 0, none, none, meeting,
          "Begins it."),
    ROUTE("POST", "/api/meeting/{id}/end", END_MEETING, LITTLE, 0, none, none, meeting,
          "Ends it for all."),
    ROUTE("POST", "/api/meeting/{id}/join", SIGNED_IN, SOME, TAKES_LINK, none,
          meeting_enter, meeting_ticket, "A token for its room, and where to bring it."),
    ROUTE("POST", "/api/meeting/{id}/link", MODERATE, SOME, CREATED, none, link_new,
          join_link,
          "A token for a link by which others come in; /join changes it for "
          "one's own."),
    ROUTE("GET", "/api/meeting/{id}/participants", VIEW, MUCH, LIST_OF, list_query, none,
          invited, "Who is invited, or was there."),
    ROUTE("POST", "/api/meeting/{id}/participants", MODERATE, SOME, CREATED, none, invite,
          invited, "Invites somebody."),
    ROUTE("DELETE", "/api/meeting/{id}/participants", MODERATE, SOME, EMPTY, whom, none,
          none, "Takes an invitation back, and removes who is there."),
    ROUTE("PATCH", "/api/meeting/{id}/participants/{user_id}/role", MODERATE, SOME, 0, none,
          new_role, invited, "Gives somebody another role; none above one's own."),
    ROUTE("GET", "/api/meeting/{id}/chat", VIEW, MUCH, LIST_OF, list_query, none,
          chat_message, "What one may read, the newest first."),
    ROUTE("GET", "/api/meeting/{id}/recordings", RECORD, SOME, LIST_OF, list_query, none,
          recording_file, "Its recordings."),
    ROUTE_OF(
        "GET", "/api/meeting/{id}/recordings/{recording_id}/download", RECORD, MUCH, 0,
        recording_query, NULL, "video/mp4",
        "A file of a recording; takes Range. 302 to where it is, if that is elsewhere."),
    ROUTE("GET", "/api/meeting/{id}/analytics", MODERATE, LITTLE, 0, none, none, analytics,
          "Figures of a meeting, counted from its facts."),
    ROUTE("GET", "/api/meeting/{id}/live-stats", MODERATE, SOME, 0, none, none, live_stats,
          "Figures of a meeting that runs."),
    ROUTE("GET", "/api/meeting/{id}/webrtc-config", VIEW, SOME, 0, none, none,
          webrtc_config, "What a client needs before it joins."),
    ROUTE("GET", "/api/meeting/{id}/audit", MODERATE, SOME, LIST_OF, list_query, none,
          audit_entry, "Who did what in it."),
    ROUTE("GET", "/api/meeting/{id}/export", END_MEETING, SOME, 0, export_query, none,
          meeting_export, "All that is kept of it, page by page."),
    ROUTE("GET", "/api/audit", ADMINISTER, SOME, LIST_OF, list_query, none, audit_entry,
          "Who did what in the tenant."),
    ROUTE("POST", "/api/user", ADMINISTER, LITTLE, CREATED, none, user_new, user,
          "Makes an account in one's own tenant."),
    ROUTE("GET", "/api/user/{id}/data", ADMINISTER, LITTLE, 0, none, none, kept,
          "All that is kept of a user."),
    ROUTE("DELETE", "/api/user/{id}/data", ADMINISTER, LITTLE, 0, none, none, erased,
          "Erases what is kept of a user."),

    ROUTE("GET", "/api/health/live", PUBLIC, ALL, 0, none, none, health_live, "It runs."),
    ROUTE("GET", "/api/health/ready", PUBLIC, ALL, 0, none, none, health_ready,
          "It is fit for calls; 503 says why not and what mends it."),
    ROUTE("GET", "/api/health/webrtc", PUBLIC, ALL, 0, none, none, health_webrtc,
          "What it has for calls."),
    ROUTE("GET", "/api/health/system", PUBLIC, ALL, 0, none, none, health_system,
          "Figures of the node."),
    ROUTE_OF("GET", "/api/openapi.json", PUBLIC, SOME, ETAG, none, NULL, "application/json",
             "This interface, as OpenAPI 3.1."),
    ROUTE_OF("GET", "/api/asyncapi.json", PUBLIC, SOME, ETAG, none, NULL,
             "application/json", "The events of Socket.IO, as AsyncAPI 3.0."),
    ROUTE_OF("GET", "/api/events/schemas", PUBLIC, SOME, ETAG, none, NULL,
             "application/json",
             "JSON Schema of each type of events that leave the node (Kafka)."),
    ROUTE_OF("GET", "/docs", PUBLIC, ALL, ETAG, none, NULL, "text/html",
             "Both, for people."),
    ROUTE_OF("GET", "/docs/style.css", PUBLIC, ALL, ETAG, none, NULL, "text/css",
             "How that page looks."),

    ROUTE_OF("POST", "/api/whip/{id}", PRODUCE_MEDIA, MUCH, CREATED, wish_query, sdp, sdp,
             "Publishes by WHIP (RFC 9725); Location is the session."),
    ROUTE_OF("POST", "/api/whep/{id}", VIEW, MUCH, CREATED, wish_query, sdp, sdp,
             "Watches by WHEP; Location is the session."),
    ROUTE_OF("GET", "/api/whip/{id}", PUBLIC, ALL, EMPTY, none, NULL, NULL,
             "Nothing, as RFC 9725 wants it."),
    ROUTE_OF("GET", "/api/whep/{id}", PUBLIC, ALL, EMPTY, none, NULL, NULL, "Nothing."),
    ROUTE_OF("GET", "/api/whip/{id}/{session_id}", PUBLIC, ALL, EMPTY, none, NULL, NULL,
             "Nothing."),
    ROUTE_OF("GET", "/api/whep/{id}/{session_id}", PUBLIC, ALL, EMPTY, none, NULL, NULL,
             "Nothing."),
    ROUTE_OF("DELETE", "/api/whip/{id}/{session_id}", PRODUCE_MEDIA, ALL, 0, none, NULL,
             NULL, "Ends a session."),
    ROUTE_OF("DELETE", "/api/whep/{id}/{session_id}", VIEW, ALL, 0, none, NULL, NULL,
             "Ends a session."),
    ROUTE_OF("PATCH", "/api/whip/{id}/{session_id}", PRODUCE_MEDIA, SOME, EMPTY, none,
             "application/trickle-ice-sdpfrag", NULL, "Restarts ICE, with If-Match: *."),
    ROUTE_OF("PATCH", "/api/whep/{id}/{session_id}", VIEW, SOME, EMPTY, none,
             "application/trickle-ice-sdpfrag", NULL,
             "Restarts ICE, with If-Match: *; or, as JSON, chooses whom to watch."),
};

const struct schema_routes schema_routes_all = {routes, sizeof(routes) / sizeof(routes[0])};
