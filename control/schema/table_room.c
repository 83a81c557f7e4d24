/* Events of rooms, the lobby, participants, screens, hands and layouts. */
#include "schema/table.h"

static const char *const media_kinds[] = {"audio", "video", "screen", NULL};
static const char *const layouts[] = {"grid", "speaker", "presentation", NULL};

/* ---- rooms ---- */

OBJECT(room_create, "A room to be opened.", KEY("meeting_id", R, "of this meeting"),
       OBJ("options", 0, meeting_settings, "how it begins"));
OBJECT(room_created, "The room.", KEY("meeting_id", R, "the meeting"),
       ID("room_id", R, "the room"), OBJ("config", R, meeting_settings, "as it is"));
OBJECT(room_join, "Who comes.", KEY("meeting_id", R, "the meeting"),
       TEXT_BYTES("display_name", R, 1, NAME_MAX_, "the name that others see"),
       OBJ("rtp_capabilities", N, rtp_capabilities, "what the client can decode"),
       TEXT("resume_token", N | S, 0, 128, "to be the same participant as before"));
OPEN(meeting_brief, "A meeting.", KEY("id", R, "the meeting"),
     TEXT("meeting_name", R, 0, 200, "title"));
OBJECT(own_transport, "A transport that one who resumes still has.",
       ID("transport_id", R, "the transport"),
       ENUM("direction", R, schema_directions, "send: from the client"),
       BOOL("data", R, "it can have data channels"));
OBJECT(own_consumer, "A consumer that one who resumes still has.",
       ID("consumer_id", R, "the consumer"), ID("producer_id", R, "what it receives"),
       BOOL("paused", R, "by its owner"));
OBJECT(own_producer, "A stream that one who resumes still sends.",
       ID("producer_id", R, "the producer"), ID("participant_id", R, "oneself"),
       KEY("user_id", R, "oneself"), ENUM("kind", R, schema_kinds, "sound or picture"),
       ENUM("source", R, schema_sources, "what it shows"),
       BOOL("paused", R, "nothing is sent at present"),
       LIST("layers", R, 0, 4, layer_need, "its spatial layers"));
OPEN(own_object, "As in the lists of the others, with what its owner may know.",
     ID("participant_id", R, "oneself"));
OBJECT(room_joined, "All that one who comes needs to know.",
       OBJ("meeting", R, meeting_brief, "the meeting"), ID("participant_id", R, "oneself"),
       KEY("user_id", R, "oneself"),
       ENUM("your_role", R, schema_roles, "role in this meeting"),
       ITEMS("permissions", R, 0, 64, "what that role may do", TEXT(NULL, 0, 1, 64, NULL)),
       LIST("participants", R, 0, 10000, participant, "who is there, the first page"),
       INT("participant_count", R, 0, 10000, "how many are there"),
       LIST("producers", R, 0, 100000, producer, "what the others send"),
       LIST("data_producers", R, 0, 100000, data_producer, "data channels of the others"),
       OBJ("rtp_capabilities", R, rtp_capabilities, "the router's"),
       LIST("ice_servers", R, 0, 16, ice_server, "STUN and TURN servers"),
       TEXT("next_cursor", R | N, 0, 256, "for participant:list; null: these are all"),
       OBJ("settings", R, meeting_settings, "of the meeting"),
       LIST("polls", R, 0, 200, poll, "as they stand"),
       OBJ("breakouts", R | N, breakout_state, "breakout rooms; null: there are none"),
       ID("breakout_id", N, "the breakout room that one is in; null: none"),
       ID("spotlight", R | N, "the participant who is shown large to all"),
       ID("recording_id", N, "the recording that runs; null: none"),
       OBJ("live_stream", N, stream, "the live stream that runs; null: none"),
       INT("epoch", R, 0, MAX_SAFE, "see seq"),
       INT("seq", R, 0, MAX_SAFE, "number of the last fact that this answer knows of"),
       TEXT("resume_token", R | S, 1, 128, "a secret of this participant's"),
       BOOL("resumed", R, "the same participant as before, who has what follows"),
       LIST("own_transports", 0, 0, 4, own_transport, "one's transports"),
       LIST("own_producers", 0, 0, 64, own_producer, "one's producers"),
       LIST("own_consumers", 0, 0, 4096, own_consumer, "one's consumers"),
       LIST("own_data_producers", 0, 0, 128, own_object, "one's data producers"),
       LIST("own_data_consumers", 0, 0, 2048, own_object, "one's data consumers"));
OBJECT(room_update, "Settings to be changed.", KEY("meeting_id", 0, "the meeting"),
       OBJ("settings", R, meeting_settings, "what is left out stays"));
OBJECT(room_updated, "Settings as they are now.", KEY("meeting_id", 0, "of which meeting"),
       OBJ("settings", R, meeting_settings, "all of them"),
       KEY("by_user_id", N, "by whom"));
OBJECT(room_sync, "What a client has seen.", KEY("meeting_id", 0, "the meeting"),
       INT("since_seq", R, 0, MAX_SAFE, "number of the last fact that it has"),
       INT("epoch", 0, 0, MAX_SAFE, "which that number is of"));
OPEN(missed_fact, "An event that was missed, as it was sent.",
     TEXT("event", R, 1, 64, "its name"), ANY("payload", R, "its payload"));
OPEN(own_state, "All that there is, as room:join answers.",
     ID("participant_id", R, "oneself"));
OBJECT(room_synced, "What it has missed.", INT("epoch", R, 0, MAX_SAFE, "see seq"),
       INT("seq", R, 0, MAX_SAFE, "number of the last fact"),
       BOOL("complete", R, "false: something may be missing, see snapshot"),
       BOOL("more", R, "there is more behind seq: ask again"),
       LIST("facts", R, 0, 256, missed_fact, "in order"),
       OBJ("snapshot", N, own_state, "as room:join answers, if it is not complete"));
OBJECT(room_closed, "Why a room ended.", TEXT("reason", 0, 0, 256, "why"));
OBJECT(room_error, "What is wrong with the room.", TEXT("code", R, 1, 64, "as in answers"),
       TEXT("message", R, 0, 1024, "in words"));
OBJECT(room_migrating, "The meeting goes to another node.",
       URL("url", R, "where to connect to"),
       TEXT("resume_token", R | S, 1, 128, "for room:join there"),
       INT("deadline_ms", R, 0, MAX_SAFE, "how long this node goes on"));
OBJECT(draining, "The node is going to stop.",
       INT("deadline_ms", 0, 0, MAX_SAFE, "how long it goes on, at most"),
       BOOL("cancelled", 0, "it does not stop after all"));

/* ---- lobby ---- */

OBJECT(lobby_some, "Who waits and is meant.",
       KEYS("user_ids", R, 1, 200, "users who wait"));
OBJECT(lobby_entry, "Somebody who waits.", ID("participant_id", R, "who"),
       KEY("user_id", R, "the user"), ENUM("role", R, schema_roles, "role"),
       TEXT("display_name", R, 0, NAME_MAX_, "the name"),
       TIME("waiting_since", R, "since when"));
OBJECT(lobby_list, "Who waits.",
       LIST("waiting", R, 0, 200, lobby_entry, "the first of them, in order"),
       INT("count", R, 0, 10000, "how many there are"));
OBJECT(lobby_told, "For one who waits.", TEXT("reason", N, 0, 256, "why"));
OBJECT(lobby_wait, "What room:join answers to one who has to wait, instead.",
       BOOL("waiting", R, "true"), KEY("meeting_id", R, "the meeting"),
       ID("participant_id", R, "oneself"));

/* ---- participants ---- */

OBJECT(participant_left, "Somebody who has gone.", ID("participant_id", R, "who"),
       KEY("user_id", R, "who"), TEXT("reason", R, 1, 64, "left, transport close …"));
OBJECT(media_toggle, "What of one's own is switched.", ENUM("kind", R, media_kinds, "what"),
       BOOL("enabled", R, "on or off"));
OBJECT(media_updated, "Somebody's switches.", ID("participant_id", R, "who"),
       KEY("user_id", R, "who"), ENUM("kind", R, media_kinds, "what"),
       BOOL("enabled", R, "on or off"), KEY("by_user_id", N, "by whom, if by another"));
OBJECT(mute, "Who is to be muted.", KEY("target_user_id", R, "whom"),
       ENUM("kind", N, media_kinds, "what; audio if it is left out"),
       TEXT("reason", N, 0, 256, "in words"));
OBJECT(mute_all, "What of everybody but hosts is to be muted.",
       ENUM("kind", N, media_kinds, "what; audio if it is left out"),
       TEXT("reason", N, 0, 256, "in words"));
OBJECT(muted, "For one who was muted.", ID("participant_id", R, "oneself"),
       KEY("user_id", R, "oneself"), ENUM("kind", R, media_kinds, "what"),
       BOOL("may_unmute", R, "without being asked by a host"),
       KEY("by_user_id", N, "by whom, unless by the node's operator"),
       TEXT("reason", N, 0, 256, "in words"));
OBJECT(unmute_ask, "Who should unmute.",
       KEY("target_user_id", N, "whom; left out: one asks the hosts for oneself"),
       ENUM("kind", N, media_kinds, "what; audio if it is left out"));
OBJECT(unmute_asked, "For one who is asked to unmute, or for hosts.",
       ID("participant_id", R, "who should"), KEY("user_id", R, "who should"),
       ENUM("kind", R, media_kinds, "what"), KEY("by_user_id", R, "by whom"));
OBJECT(remove, "Who is to go.", KEY("target_user_id", R, "whom"),
       TEXT("reason", N, 0, 256, "in words"),
       BOOL("ban", N, "and not to come back to this meeting"));
OBJECT(removed, "For one who was removed.", KEY("by_user_id", N, "by whom"),
       TEXT("reason", N, 0, 256, "in words"), BOOL("banned", R, "may not come back"));
OBJECT(role_update, "A role to be given.", KEY("target_user_id", R, "to whom"),
       ENUM("new_role", R, schema_roles, "which"));
OBJECT(role_changed, "A role that was given.", ID("participant_id", R, "to whom"),
       KEY("user_id", R, "to whom"),
       ITEMS("permissions", R, 0, 64, "what that role may do", TEXT(NULL, 0, 1, 64, NULL)),
       ENUM("old_role", R, schema_roles, "before"),
       ENUM("new_role", R, schema_roles, "now"), KEY("by_user_id", N, "by whom"));
OBJECT(participant_add, "Who is to be invited.", KEY("user_id", R, "whom"),
       TEXT_BYTES("display_name", N, 1, NAME_MAX_, "name in the list"),
       ENUM("role", 0, schema_roles, "attendee if it is left out"));
OBJECT(invitation, "Who was invited.", KEY("user_id", R, "whom"),
       TEXT_BYTES("display_name", R, 0, NAME_MAX_, "name in the list"),
       ENUM("role", R, schema_roles, "role when he comes"));
OBJECT(participant_updated, "Somebody as he is now.",
       ID("participant_id", R, "new at each join"),
       KEY("user_id", R, "the user, who may be there more than once"),
       TEXT_BYTES("display_name", R, 0, NAME_MAX_, "the name that others see"),
       ENUM("role", R, schema_roles, "role in this meeting"),
       TIME("joined_at", R, "since when"),
       ITEMS("off", 0, 0, 3, "what of audio, video and screen is switched off",
             TEXT(NULL, 0, 1, 8, NULL)),
       ITEMS("muted_by_host", 0, 0, 3, "of these what only a host can let on again",
             TEXT(NULL, 0, 1, 8, NULL)),
       INT("hand_order", N, 1, MAX_SAFE,
           "hands with less went up before; null: it is down"),
       KEY("by_user_id", N, "by whom"));
OBJECT(participant_added, "Who was invited.", KEY("user_id", R, "whom"),
       TEXT_BYTES("display_name", R, 0, NAME_MAX_, "name in the list"),
       ENUM("role", R, schema_roles, "role when he comes"),
       KEY("by_user_id", R, "by whom"));
OBJECT(rename, "A name to be changed.",
       KEY("target_user_id", N, "whose; left out: one's own"),
       TEXT_BYTES("display_name", R, 1, NAME_MAX_, "the new name"));
OBJECT(renamed, "A new name.", KEY("user_id", R, "whose"),
       TEXT("display_name", R, 1, NAME_MAX_, "the new name"));
OBJECT(list_page, "A page of a list.", TEXT("cursor", N, 0, 256, "next_cursor of the last"),
       INT("limit", N, 1, 200, "how many; 50 if it is left out"),
       TEXT("query", N, 0, 128, "only names in which this stands"));
OBJECT(participant_page, "Some of the participants.",
       LIST("participants", R, 0, 200, participant, "in order of joining"),
       INT("count", R, 0, 10000, "how many fit"),
       INT("participant_count", R, 0, 10000, "how many are there"),
       TEXT("next_cursor", R | N, 0, 256, "null: that was the last page"));
OBJECT(pin, "Whom to show.", KEY("target_user_id", R, "whom"), BOOL("on", R, "or no more"));
OBJECT(pinned, "Whom to show.", ID("participant_id", N, "whom"), KEY("user_id", R, "whom"),
       BOOL("on", R, "or no more"), KEY("by_user_id", N, "by whom"));
OBJECT(roster_delta, "Who came, went and changed, in large meetings.",
       LIST("joined", R, 0, 10000, participant, "who came"),
       LIST("left", R, 0, 10000, participant_left, "who went"),
       LIST("updated", R, 0, 10000, participant, "who changed"),
       BOOL("more", R, "there was no room for all: ask for the list"),
       INT("participant_count", R, 0, 10000, "how many are there"),
       INT("up_to_seq", R, 0, MAX_SAFE, "the last fact that is in it"));
OBJECT(head_count, "How many are there.", INT("count", R, 0, 10000, "how many"));

/* ---- hands, layouts ---- */

OBJECT(hand_target, "Whose hand.", KEY("target_user_id", N, "left out: one's own"));
OBJECT(hand, "A hand.", ID("participant_id", R, "whose"), KEY("user_id", R, "whose"),
       INT("position", 0, 1, 10000, "place in the order; 1 is first"));
OBJECT(hand_down, "A hand that went down.", KEY("user_id", R, "whose"));
OBJECT(hands_lowered, "Hands that went down; without user_id all of them.",
       ID("participant_id", N, "whose"), KEY("user_id", N, "whose"),
       KEY("by_user_id", N, "by whom"));
OBJECT(layout, "How people are shown.", ENUM("layout", R, layouts, "which way"));
OBJECT(layout_changed, "How people are shown.", ENUM("layout", R, layouts, "which way"),
       KEY("by_user_id", R, "by whom"));

EVENTS(
    room,
    ASK("room:create", CREATE_MEETING, OUTSIDE, room_create, room_created, "room:created",
        NULL, "Opens the room of a meeting."),
    ASK_OR("room:join", SIGNED_IN, OUTSIDE, room_join, room_joined, lobby_wait,
           "room:joined", "participant:joined",
           "Enters, or resumes after the connection broke. Who has to wait is told "
           "lobby:waiting, and lobby:admitted when that is over."),
    ASK("room:leave", SIGNED_IN, 0, meeting_ref, none, NULL, "participant:left",
        "Ends everything that one has there."),
    ASK("room:close", END_MEETING, 0, meeting_ref, none, NULL, "room:closed",
        "Ends the meeting for all."),
    ASK("room:lock", MODERATE, 0, meeting_ref, room_updated, "room:updated", "room:updated",
        "Nobody new may enter."),
    ASK("room:unlock", MODERATE, 0, meeting_ref, room_updated, "room:updated",
        "room:updated", "New people may enter again."),
    ASK("room:update", MODERATE, 0, room_update, room_updated, "room:updated",
        "room:updated", "Changes settings of the meeting."),
    ASK("room:sync", VIEW, 0, room_sync, room_synced, NULL, NULL,
        "Brings back the facts that a client has missed."),
    TELL("room:updated", VIEW, FACT, room_updated, "To the others."),
    TELL("room:closed", VIEW, FACT, room_closed, "To all: the meeting has ended."),
    TELL("room:error", VIEW, STAMPED, room_error,
         "To all: from now on what happens is not written, and why."),
    TELL("room:migrating", VIEW, STAMPED | LATER, room_migrating,
         "To all: connect elsewhere."),
    TELL("server:draining", SIGNED_IN, 0, draining, "To all: the node is going to stop."),

    ASK("lobby:admit", MODERATE, 0, lobby_some, lobby_list, "lobby:updated",
        "lobby:admitted lobby:updated", "Lets in some who wait."),
    ASK("lobby:deny", MODERATE, 0, lobby_some, lobby_list, "lobby:updated",
        "lobby:denied lobby:updated", "Turns away some who wait."),
    ASK("lobby:admit-all", MODERATE, 0, meeting_ref, lobby_list, "lobby:updated",
        "lobby:admitted lobby:updated", "Lets in all who wait."),
    TELL("lobby:updated", MODERATE, STAMPED, lobby_list, "To the hosts: who waits."),
    TELL("lobby:waiting", SIGNED_IN, 0, lobby_wait, "To one who has to wait."),
    TELL("lobby:admitted", SIGNED_IN, STAMPED, room_joined, "To one who waited: is in."),
    TELL("lobby:denied", SIGNED_IN, STAMPED, lobby_told, "To one who waits: not now."),

    TELL("participant:joined", VIEW, FACT, participant, "To the others."),
    TELL("participant:left", VIEW, FACT, participant_left, "To the others."),
    ASK("media:toggle", VIEW, 0, media_toggle, media_updated, "media:updated",
        "participant:media:updated", "Tells that one has switched something on or off."),
    TELL("media:updated", VIEW, FACT, media_updated, "To the others, beside the next."),
    TELL("participant:media:updated", VIEW, FACT, media_updated, "To the others."),
    ASK("screen:start", PRODUCE_SCREEN, 0, meeting_ref, person, "screen:started",
        "screen:started", "Tells that one shares a screen."),
    ASK("screen:stop", VIEW, 0, meeting_ref, person, "screen:stopped", "screen:stopped",
        "Tells that one no longer does."),
    TELL("screen:started", VIEW, FACT, person, "To the others."),
    TELL("screen:stopped", VIEW, FACT, person, "To the others."),
    ASK("participant:mute", MODERATE, 0, mute, none, NULL,
        "muted:by-host participant:media:updated", "Mutes somebody."),
    ASK("participant:mute-all", MODERATE, 0, mute_all, none, NULL,
        "muted:by-host participant:media:updated", "Mutes everybody but hosts."),
    ASK("participant:unmute-request", VIEW, 0, unmute_ask, none, NULL, "unmute:requested",
        "A host asks somebody to unmute, who then may; anybody else asks the hosts."),
    TELL("muted:by-host", VIEW, STAMPED, muted, "To the one who was muted."),
    TELL("unmute:requested", VIEW, STAMPED, unmute_asked, "To the one who is asked."),
    ASK("participant:remove", MODERATE, 0, remove, none, NULL,
        "removed:from-meeting participant:left", "Removes somebody."),
    TELL("removed:from-meeting", VIEW, STAMPED, removed, "To the one who was removed."),
    ASK("participant:role:update", MODERATE, 0, role_update, none, NULL,
        "participant:role:changed", "Gives somebody another role; none above one's own."),
    TELL("participant:role:changed", VIEW, FACT, role_changed, "To all."),
    ASK("participant:add", MODERATE, 0, participant_add, invitation, NULL,
        "participant:added", "Invites somebody."),
    TELL("participant:added", VIEW, FACT, participant_added, "To all."),
    ASK("participant:rename", VIEW, 0, rename, renamed, NULL, "participant:updated",
        "Changes one's name; of others if one may moderate."),
    TELL("participant:updated", VIEW, FACT, participant_updated, "To all."),
    ASK("participant:list", VIEW, 0, list_page, participant_page, NULL, NULL,
        "A page of the participants."),
    ASK("participant:pin", VIEW, 0, pin, pinned, "participant:pinned", NULL,
        "Shows somebody large, to oneself only."),
    ASK("participant:spotlight", MODERATE, 0, pin, pinned, NULL, "participant:spotlighted",
        "Shows somebody large, to all."),
    TELL("participant:spotlighted", VIEW, FACT, pinned, "To all."),
    TELL("participant:count", VIEW, STAMPED, head_count, "To all, in large meetings."),
    TELL("roster:delta", VIEW, STAMPED, roster_delta,
         "To all, above 200 people: at most each 500 ms, and 500 ms more for each 2,500 "
         "people."),

    ASK("hand:raise", RAISE_HAND, 0, hand_target, hand, "hand:raised", "hand:raised",
        "Raises one's hand."),
    ASK("hand:lower", RAISE_HAND, 0, hand_target, hand_down, "hand:lowered", "hand:lowered",
        "Lowers one's hand; of others if one may moderate."),
    ASK("hand:lower-all", MODERATE, 0, meeting_ref, none, NULL, "hand:lowered",
        "Lowers all hands."),
    TELL("hand:raised", VIEW, FACT, hand, "To all."),
    TELL("hand:lowered", VIEW, FACT, hands_lowered, "To all."),
    ASK("layout:change", MODERATE, 0, layout, layout, NULL, "layout:changed",
        "Changes how people are shown to all."),
    TELL("layout:changed", VIEW, FACT, layout_changed, "To all."));
