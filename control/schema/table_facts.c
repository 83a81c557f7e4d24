/* Types of events that leave the node (CloudEvents), see docs/events.md: what each has as
 * its data. Most are events of Socket.IO that are kept; the others are REST's or the
 * node's.
 *
 * A version is for good: who reads it may rely on each field that it has. A schema may get
 * fields that are optional; what loses or retypes one is the next version of the type
 * (tests/vectors/events.json has those that were given out). */
#include "schema/table.h"

#define URN(type_, version_) "urn:kcs:event:" type_ ":" #version_

/* Of Socket.IO: the payload, with what every fact has. */
#define KEPT(type_, version_, told_, said_, doc_)                                          \
    {                                                                                      \
        .type = (type_), .id = URN(type_, version_), .told = (told_), .said = (said_),     \
        .doc = (doc_)                                                                      \
    }

/* Of REST or the node alone; or, with 'told', of Socket.IO too. */
#define MADE(type_, version_, told_, object_, doc_)                                        \
    {                                                                                      \
        .type = (type_), .id = URN(type_, version_), .told = (told_),                      \
        .data = &schema_##object_, .doc = (doc_)                                           \
    }

static const char *const results[] = {"ok", "refused", NULL};

OBJECT(fact_invited, "Who was invited.", KEY("user_id", R, "whom"),
       ENUM("role", R, schema_roles, "role when he comes"),
       TEXT("display_name", 0, 0, NAME_MAX_, "name in the list"),
       KEY("by_user_id", N, "by whom"));
OBJECT(fact_role, "A role that was given.", KEY("user_id", R, "to whom"),
       ENUM("old_role", R, schema_roles, "before"),
       ENUM("new_role", R, schema_roles, "now"),
       ID("participant_id", 0, "the same, if he is there"),
       ITEMS("permissions", 0, 0, 64, "what that role may do", TEXT(NULL, 0, 1, 64, NULL)),
       KEY("by_user_id", N, "by whom"));
OBJECT(fact_removed, "Who is invited no more.", KEY("user_id", R, "whom"),
       KEY("by_user_id", N, "by whom"));
OBJECT(fact_act, "What somebody did who may do more than others.",
       TEXT("act", R, 1, 64, "an event of Socket.IO, or REST's: meeting.update …"),
       TEXT("actor", R | N, 0, 128, "the user who did it"),
       TEXT("target", 0, 0, 8192, "users whom it was done to, with spaces between"),
       TEXT("address", R | N, 0, 64, "from where"),
       ENUM("result", R, results, "whether it was let happen"));

OBJECT(fact_node, "The node, and who is on it.",
       TEXT("node", R, 1, 64, "what the ids that this run gives out begin with"),
       TEXT("version", R, 1, 64, "of the program"),
       INT("participants", R, 0, MAX_SAFE, "people in meetings"));
OBJECT(fact_draining, "The node goes out of service.",
       TEXT("node", R, 1, 64, "what the ids that this run gives out begin with"),
       TEXT("version", R, 1, 64, "of the program"),
       INT("participants", R, 0, MAX_SAFE, "people in meetings"),
       INT("seconds", R, 0, MAX_SAFE, "after so many it ends, if it is not empty before"));

#define STREAM_FIELDS                                                                      \
    ID("producer_id", R, "the producer"),                                                  \
        ENUM("kind", R, schema_kinds, "sound or picture"),                                 \
        INT("packets", R, 0, MAX_SAFE, "since it began"),                                  \
        INT("lost", R, 0, MAX_SAFE, "of these, before repair"),                            \
        BOOL("paused", R, "nothing is sent at present"),                                   \
        INT("freezes", R, 0, MAX_SAFE, "times that a picture stood still"), SCORE_FIELDS

OBJECT(quality_sent, "A stream that somebody sends.", STREAM_FIELDS,
       ENUM("source", R, schema_sources, "what it shows"),
       INT("key_frames", R, 0, MAX_SAFE, "since it began"),
       INT("subscribers", 0, 0, MAX_SAFE, "who receive it"));
OBJECT(quality_received, "A stream that somebody receives.", STREAM_FIELDS,
       ID("consumer_id", R, "the consumer"),
       OBJ("current", R | N, layer, "null: nothing is sent"),
       OBJ("target", R | N, layer, "null: nothing is to be sent"),
       ENUM("reason", R, schema_layer_reasons, "of the layers"));
OBJECT(quality_participant, "How well somebody sends and receives.",
       ID("participant_id", R, "who"), KEY("user_id", R, "who"),
       LIST("sent", R, 0, 64, quality_sent, "streams that reach the node"),
       LIST("received", R, 0, 4096, quality_received, "streams that the node sends"));
OBJECT(fact_erased, "What this event said was about somebody whose data was erased.",
       BOOL("erased", R, "true"));

static const struct schema_fact list[] = {
    MADE("kcs.meeting.created", 1, NULL, fact_meeting, "REST has made a meeting."),
    MADE("kcs.meeting.updated", 1, NULL, fact_meeting, "REST has changed it."),
    MADE("kcs.meeting.started", 1, NULL, fact_meeting, "REST has started it."),
    MADE("kcs.meeting.ended", 1, NULL, fact_meeting, "REST has ended it."),
    MADE("kcs.meeting.deleted", 1, NULL, fact_meeting, "REST has deleted it."),
    KEPT("kcs.meeting.settings", 1, "room:updated", NULL, "A host has changed settings."),
    KEPT("kcs.meeting.layout", 1, "layout:changed", NULL,
         "A host has changed how people are shown."),
    KEPT("kcs.meeting.closed", 1, "room:closed", NULL, "The meeting has ended for all."),
    KEPT("kcs.meeting.breakouts", 1, "breakout:updated", NULL,
         "Breakout rooms were made, opened, closed or given other people."),
    KEPT("kcs.meeting.broadcast", 1, "breakout:message", "message",
         "A host has told all breakout rooms something."),
    KEPT("kcs.meeting.poll", 1, "poll:updated", NULL, "A poll as it stands."),
    KEPT("kcs.meeting.whiteboard_cleared", 1, "whiteboard:cleared", NULL,
         "The whiteboard is empty."),
    KEPT("kcs.participant.joined", 1, "participant:joined", NULL, "Somebody came."),
    KEPT("kcs.participant.left", 1, "participant:left", NULL, "Somebody went."),
    KEPT("kcs.participant.updated", 1, "participant:updated", NULL,
         "Somebody has another name."),
    KEPT("kcs.participant.spotlighted", 1, "participant:spotlighted", NULL,
         "Somebody is shown large to all."),
    KEPT("kcs.participant.hand_raised", 1, "hand:raised", NULL, "A hand went up."),
    KEPT("kcs.participant.hand_lowered", 1, "hand:lowered", NULL, "Hands went down."),
    MADE("kcs.participant.invited", 1, "participant:added", fact_invited,
         "Somebody was invited."),
    MADE("kcs.participant.removed", 1, NULL, fact_removed, "Somebody is invited no more."),
    MADE("kcs.participant.role", 1, "participant:role:changed", fact_role,
         "Somebody has another role."),
    KEPT("kcs.media.updated", 1, "participant:media:updated", NULL,
         "Somebody, or a host, has switched something on or off."),
    KEPT("kcs.media.producer.created", 1, "new-producer", NULL, "A stream is sent."),
    KEPT("kcs.media.producer.closed", 1, "producer:closed", NULL, "It has ended."),
    KEPT("kcs.media.producer.paused", 1, "producer:paused", NULL, "It pauses."),
    KEPT("kcs.media.producer.resumed", 1, "producer:resumed", NULL, "It goes on."),
    KEPT("kcs.media.screen.started", 1, "screen:started", NULL, "A screen is shared."),
    KEPT("kcs.media.screen.stopped", 1, "screen:stopped", NULL, "It is no more."),
    KEPT("kcs.media.data.created", 1, "data:new", NULL, "A data channel is sent on."),
    KEPT("kcs.media.data.closed", 1, "data:closed", NULL, "It has ended."),
    KEPT("kcs.chat.message", 1, "chat:message", "message", "A message."),
    KEPT("kcs.chat.edited", 1, "chat:edited", "message", "It has another text."),
    KEPT("kcs.chat.deleted", 1, "chat:deleted", NULL, "It was taken away."),
    KEPT("kcs.chat.reaction", 1, "chat:reaction", NULL, "A reaction to one."),
    KEPT("kcs.recording.started", 1, "recording:started", NULL, "A recording begins."),
    KEPT("kcs.recording.paused", 1, "recording:paused", NULL, "It leaves out what follows."),
    KEPT("kcs.recording.resumed", 1, "recording:resumed", NULL, "It goes on."),
    KEPT("kcs.recording.stopped", 1, "recording:stopped", NULL, "It has ended."),
    KEPT("kcs.recording.stream_started", 1, "stream:started", NULL, "A live stream begins."),
    KEPT("kcs.recording.stream_stopped", 1, "stream:stopped", NULL, "It has ended."),
    MADE("kcs.node.started", 1, NULL, fact_node, "kcs-control has started."),
    MADE("kcs.node.stopping", 1, NULL, fact_node, "It was asked to end."),
    MADE("kcs.node.draining", 1, NULL, fact_draining, "No meeting begins there any more."),
    MADE("kcs.node.in_service", 1, NULL, fact_node, "They do again."),
    MADE("kcs.node.media_attached", 1, NULL, fact_node,
         "kcs-dataplane is there, or again."),
    MADE("kcs.node.media_lost", 1, NULL, fact_node,
         "It is gone, and was not back in time: what it carried has ended."),
    MADE("kcs.audit.act", 1, NULL, fact_act, "What hosts and administrators do."),
    MADE("kcs.quality.participant", 1, NULL, quality_participant,
         "Every ten seconds, of each who sends or receives."),
    MADE(SCHEMA_ERASED, 1, NULL, fact_erased,
         "The data of an event of any type about a person who was erased since."),
};

const struct schema_facts schema_facts_all = {list, sizeof(list) / sizeof(list[0])};
