/* Events of the chat, reactions, polls, the whiteboard, captions and breakout rooms. */
#include "schema/table.h"

static const char *const poll_states[] = {"open", "closed", NULL};

/* ---- chat ---- */

OBJECT(chat_send, "A message.", TEXT("message", R, 1, 4000, "the text"),
       ID("reply_to", N, "the message that it answers"),
       KEY("to", N, "the one user who may read it; left out: everybody"),
       ID("client_message_id", N, "the sender's own, so that a retry does not double it"));
OBJECT(chat_edit, "Another text.", ID("message_id", R, "of this message"),
       TEXT("message", R, 1, 4000, "the new text"));
OBJECT(chat_edited, "Another text.", ID("message_id", R, "of this message"),
       KEY("user_id", R, "by whom"), TEXT("message", R, 0, 4000, "the new text"),
       TIME("edited_at", R, "when"));
OBJECT(chat_ref, "A message.", ID("message_id", R, "which"));
OBJECT(chat_deleted, "A message whose text was taken away.", ID("message_id", R, "which"),
       KEY("user_id", R, "by whom"));
OBJECT(chat_react, "A reaction.", ID("message_id", R, "to this message"),
       TEXT("emoji", R, 1, 16, "which"), BOOL("on", N, "false: take it back"));
OBJECT(chat_reaction, "A reaction.", ID("message_id", R, "to this message"),
       KEY("user_id", R, "whose"), TEXT("emoji", R, 1, 16, "which"),
       BOOL("on", R, "false: taken back"));
OBJECT(chat_history, "A page of the chat.",
       TEXT("cursor", N, 0, 256, "next_cursor of the last"),
       INT("limit", N, 1, 200, "how many; 50 if it is left out"));
OBJECT(chat_page, "Messages that one may read.",
       LIST("messages", R, 0, 200, chat_message, "the newest first"),
       TEXT("next_cursor", R | N, 0, 256, "null: that was the last page"));
OBJECT(chat_read, "How far somebody has read.", ID("message_id", R, "up to this message"),
       KEY("user_id", R, "who"));
OBJECT(typing, "Whether one writes.", BOOL("is_typing", R, "or no more"));
OBJECT(typing_told, "Who writes.", ID("participant_id", R, "who"), KEY("user_id", R, "who"),
       BOOL("is_typing", R, "or no more"));
OBJECT(reaction, "A reaction.", TEXT("emoji", R, 1, 16, "which"));
OBJECT(reaction_count, "How often.", TEXT("emoji", R, 1, 16, "which"),
       INT("count", R, 1, MAX_SAFE, "how often"));
OBJECT(reaction_told, "A reaction; above 200 people counts of all.",
       ID("participant_id", N, "whose"), KEY("user_id", N, "whose"),
       TEXT("emoji", N, 1, 16, "which"),
       LIST("counts", 0, 0, 64, reaction_count, "of the last 500 ms"));

/* ---- polls ---- */

OBJECT(poll_create, "A question.", TEXT("question", R, 1, 500, "in words"),
       ITEMS("options", R, 2, 20, "answers to choose from", TEXT(NULL, 0, 1, 200, NULL)),
       BOOL("multiple", N, "more than one may be chosen"),
       BOOL("anonymous", N, "nobody sees who chose what"));
OBJECT(poll_ref, "A poll.", ID("poll_id", R, "which"));
OBJECT(poll_vote, "A choice.", ID("poll_id", R, "in this poll"),
       ITEMS("choice", R, 1, 20, "numbers of options, from 0", INT(NULL, 0, 0, 19, NULL)));
OBJECT(poll, "A poll as it stands.", ID("poll_id", R, "which"),
       TEXT("question", R, 1, 500, "in words"),
       ITEMS("options", R, 2, 20, "answers to choose from", TEXT(NULL, 0, 1, 200, NULL)),
       ITEMS("votes", R, 2, 20, "of each option", INT(NULL, 0, 0, 10000, NULL)),
       ENUM("state", R, poll_states, "open or closed"),
       BOOL("multiple", R, "more than one may be chosen"),
       BOOL("anonymous", R, "nobody sees who chose what"));

/* ---- whiteboard, captions ---- */

OPEN(whiteboard_op, "A stroke, shape, text or removal; the clients' own.",
     TEXT("op", R, 1, 32, "what kind; remove: the element with that id goes"),
     KEY("id", N, "of an element that can be changed again: the last word counts"));
OBJECT(whiteboard_update, "Operations.", LIST("ops", R, 1, 256, whiteboard_op, "in order"));
OBJECT(whiteboard_updated, "Operations.", KEY("user_id", R, "whose"),
       INT("version", R, 0, MAX_SAFE, "of the board, after them"),
       LIST("ops", R, 1, 256, whiteboard_op, "in order"));
OBJECT(whiteboard_get, "A page of the board.",
       INT("after_version", N, 0, MAX_SAFE, "what was drawn since; left out: all"));
OBJECT(whiteboard_page, "What is on the board.",
       LIST("ops", R, 0, 256, whiteboard_op, "in order"),
       INT("version", R, 0, MAX_SAFE, "that they lead to"),
       BOOL("more", R, "there is more after that version"));
OBJECT(whiteboard_version, "A board.", INT("version", R, 0, MAX_SAFE, "of the board"));
OBJECT(whiteboard_cleared, "An empty board.", KEY("user_id", R, "by whom"),
       INT("version", R, 0, MAX_SAFE, "of the board"));
OBJECT(caption, "A piece of speech.", TEXT("lang", R, 2, 35, "BCP 47"),
       TEXT("text", R, 0, 2000, "what was said"),
       INT("start_ms", R, 0, MAX_SAFE, "in the meeting"),
       INT("end_ms", R, 0, MAX_SAFE, "in the meeting"),
       BOOL("final", R, "it will not change any more"),
       KEY("speaker_user_id", N, "who said it"));

/* ---- breakout rooms ---- */

OBJECT(breakout_room, "A breakout room.", ID("breakout_id", N, "the node's id"),
       TEXT("name", R, 1, 100, "title"),
       KEYS("user_ids", 0, 0, 10000, "who belongs there"));
OBJECT(breakout_create, "Breakout rooms to be made.",
       LIST("rooms", R, 1, 50, breakout_room, "which"));
OBJECT(breakout_assignment, "Who goes where.", ID("breakout_id", R, "the room"),
       KEYS("user_ids", R, 1, 10000, "who goes there"));
OBJECT(breakout_assign, "Who goes where.",
       LIST("assignments", R, 1, 50, breakout_assignment, "room by room"));
OBJECT(breakout_open, "For how long.",
       INT("duration_s", N, 10, 86400, "they close by themselves after this"));
OBJECT(breakout_ref, "A breakout room.",
       ID("breakout_id", N, "which; null: back to the meeting"));
OBJECT(breakout_message, "A message to all breakout rooms.",
       TEXT("message", R, 1, 4000, "the text"));
OBJECT(breakout_said, "A message to all breakout rooms.", KEY("user_id", R, "whose"),
       TEXT("message", R, 1, 4000, "the text"));
OBJECT(breakout_state, "The breakout rooms.", BOOL("open", R, "people are in them"),
       LIST("rooms", R, 0, 50, breakout_room, "all of them"),
       TIME("closes_at", N, "when they close by themselves"));
OBJECT(breakout_moved, "Where one belongs now.",
       ID("breakout_id", R | N, "null: back to the meeting"),
       KEY("meeting_id", R, "the meeting"),
       LIST("producers", R, 0, 100000, producer, "what the others send there"),
       LIST("data_producers", R, 0, 100000, data_producer, "their data channels"));

EVENTS(talk,
       ASK("chat:send", CHAT, 0, chat_send, chat_message, "chat:message", "chat:message",
           "Writes to all, or to one."),
       ASK("chat:edit", CHAT, 0, chat_edit, chat_edited, "chat:edited", "chat:edited",
           "Changes a message of one's own."),
       ASK("chat:delete", CHAT, 0, chat_ref, chat_deleted, "chat:deleted", "chat:deleted",
           "Takes away a message of one's own; of others if one may moderate."),
       ASK("chat:react", CHAT, 0, chat_react, chat_reaction, "chat:reaction",
           "chat:reaction", "Reacts to a message, or takes that back."),
       ASK("chat:history", VIEW, 0, chat_history, chat_page, NULL, NULL,
           "A page of what one may read, the newest first."),
       ASK("chat:read", VIEW, 0, chat_ref, none, NULL, "chat:read",
           "Tells how far one has read."),
       ASK("chat:typing", CHAT, 0, typing, none, NULL, "chat:typing",
           "Tells that one writes."),
       TELL("chat:message", VIEW, FACT, chat_message, "To who may read it."),
       TELL("chat:edited", VIEW, FACT, chat_edited, "To who may read it."),
       TELL("chat:deleted", VIEW, FACT, chat_deleted, "To who might have read it."),
       TELL("chat:reaction", VIEW, FACT, chat_reaction, "To who may read the message."),
       TELL("chat:read", VIEW, STAMPED, chat_read, "To the others."),
       TELL("chat:typing", VIEW, STAMPED, typing_told,
            "To the others, throttled; not above 200 people."),
       ASK("reaction:send", REACT, 0, reaction, none, NULL, "reaction:received",
           "Shows a reaction to all."),
       TELL("reaction:received", VIEW, STAMPED, reaction_told,
            "To the others; above 200 people counts each 500 ms."),

       ASK("poll:create", MODERATE, 0, poll_create, poll_ref, NULL, "poll:updated",
           "Asks a question."),
       ASK("poll:vote", REACT, 0, poll_vote, poll_ref, NULL, "poll:updated",
           "Chooses; the last choice counts."),
       ASK("poll:close", MODERATE, 0, poll_ref, poll_ref, NULL, "poll:updated",
           "Ends a poll."),
       TELL("poll:updated", VIEW, FACT, poll, "To all."),

       ASK("whiteboard:update", PRESENT, 0, whiteboard_update, whiteboard_version, NULL,
           "whiteboard:updated", "Draws."),
       ASK("whiteboard:get", VIEW, 0, whiteboard_get, whiteboard_page, NULL, NULL,
           "What is on the board, in pages."),
       ASK("whiteboard:clear", PRESENT, 0, meeting_ref, whiteboard_version, NULL,
           "whiteboard:cleared", "Empties the board."),
       TELL("whiteboard:updated", VIEW, STAMPED, whiteboard_updated, "To the others."),
       TELL("whiteboard:cleared", VIEW, FACT, whiteboard_cleared, "To the others."),
       ASK("caption:segment", VIEW, 0, caption, none, NULL, "caption:segment",
           "What a caption source has understood."),
       TELL("caption:segment", VIEW, STAMPED, caption, "To the others."),

       ASK("breakout:create", MODERATE, 0, breakout_create, breakout_state, NULL,
           "breakout:updated", "Makes breakout rooms, not open yet."),
       ASK("breakout:assign", MODERATE, 0, breakout_assign, breakout_state, NULL,
           "breakout:updated", "Says who goes where."),
       ASK("breakout:open", MODERATE, 0, breakout_open, breakout_state, NULL,
           "breakout:updated breakout:moved", "Sends people into them."),
       ASK("breakout:join", VIEW, 0, breakout_ref, breakout_moved, NULL, "breakout:updated",
           "Goes into one, if one belongs there or may moderate."),
       ASK("breakout:broadcast", MODERATE, 0, breakout_message, none, NULL,
           "breakout:message", "Writes to all of them."),
       ASK("breakout:close", MODERATE, 0, meeting_ref, breakout_state, NULL,
           "breakout:updated breakout:moved", "Brings all back."),
       TELL("breakout:updated", VIEW, FACT, breakout_state, "To all."),
       TELL("breakout:moved", VIEW, STAMPED, breakout_moved, "To the one who is moved."),
       TELL("breakout:message", VIEW, FACT, breakout_said, "To all."));
