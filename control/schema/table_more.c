/* Events of recording, live streams, figures and tokens; and error. */
#include "schema/table.h"

static const char *const stream_kinds[] = {"hls", "dash", "rtmp", NULL};
static const char *const layouts[] = {"grid", "speaker", "presentation", NULL};
static const char *const recording_modes[] = {"tracks", "composite", NULL};
static const char *const recording_formats[] = {"as_sent", "mp4", NULL};
static const char *const states[] = {"starting", "running", "paused", "stopping",
                                     "stopped",  "failed",  NULL};

OBJECT(recording_options, "How to record.",
       ENUM("mode", N, recording_modes,
            "each stream for itself (the default), or all as one picture and one sound, "
            "which record_video turns off"),
       ENUM("layout", N, layouts,
            "of the one picture; left out, it follows the meeting's; implies composite"),
       ENUM("format", N, recording_formats,
            "of streams that are each for itself: VP8 in WebM (the default), or as H264 in "
            "MP4"),
       BOOL("record_video", N, "pictures"), BOOL("record_audio", N, "sound"),
       BOOL("record_chat", N, "what is said to all in writing, as chat.json"));
OBJECT(recording_start, "A recording to begin.",
       OBJ("options", N, recording_options, "how"));
OBJECT(recording_ref, "A recording; left out, the one that runs.",
       ID("recording_id", N, "which"));
OBJECT(recording, "A recording.", ID("recording_id", R, "which"),
       KEY("by_user_id", N, "by whom"));
OBJECT(recording_stopped, "A recording that ended.", ID("recording_id", R, "which"),
       INT("duration_ms", R, 0, MAX_SAFE, "its length"), KEY("by_user_id", N, "by whom"));
OBJECT(recording_status, "How a recording fares.",
       ID("recording_id", R | N, "which; null: one that could not begin by itself"),
       ENUM("state", R, states, "what it does"),
       NUM("progress", N, 0, 1, "of what is made when it has ended"),
       TEXT("reason", N, 0, 256, "why it failed, in words"));
OBJECT(stream_start, "A live stream to begin.", ENUM("kind", R, stream_kinds, "as what"),
       ENUM("layout", N, layouts, "of the picture; left out, it follows the meeting's"),
       URL("url", N | S, "where rtmp is sent to: rtmp[s]://HOST[:PORT]/APP/KEY"));
OBJECT(stream_ref, "A live stream.", ID("stream_id", N, "left out: the one that runs"));
OBJECT(stream, "A live stream.", ID("stream_id", R, "which"),
       ENUM("kind", R, stream_kinds, "as what"),
       TEXT("playback_url", N, 0, 256,
            "where to watch: a path on this node; who knows it may; not of rtmp"),
       KEY("by_user_id", N, "by whom"));
OBJECT(stream_status, "How a live stream fares.", ID("stream_id", R, "which"),
       ENUM("state", R, states, "what it does"), TEXT("reason", N, 0, 256, "in words"));
OBJECT(stats_report, "What a client has measured.", NUM("rtt", R, 0, 60000, "ms"),
       NUM("jitter", R, 0, 60000, "ms"), NUM("packet_loss", R, 0, 100, "per cent"),
       NUM("bitrate", R, 0, MAX_SAFE, "bits a second"));
OBJECT(stats_update, "Figures of the meeting.",
       INT("participants", R, 0, 10000, "how many are there"),
       INT("producers", R, 0, MAX_SAFE, "streams that are sent"),
       INT("consumers", R, 0, MAX_SAFE, "streams that are received"));
OBJECT(auth_refresh, "A new token.", TEXT("token", R | S, 1, 8192, "of the same user"));
OBJECT(auth_refreshed, "Till when it is good.", TIME("expires_at", R, "its end"));
OBJECT(auth_expiring, "A token that is about to end.", TIME("expires_at", R, "its end"));
OBJECT(field_error, "What is wrong with a payload.",
       TEXT("path", R, 0, 256, "JSON pointer"), TEXT("reason", R, 1, 256, "in words"));
OBJECT(event_error, "Why an event failed that had no ack.",
       TEXT("code", R, 1, 64, "as in answers"), TEXT("message", R, 0, 1024, "in words"),
       TEXT("event", R, 1, 64, "the event that failed"),
       INT("retry_after_ms", 0, 0, MAX_SAFE, "when to try again"),
       LIST("errors", 0, 0, 32, field_error, "all that is wrong with its payload"));

EVENTS(more,
       ASK("recording:start", RECORD, 0, recording_start, recording, NULL,
           "recording:started", "Begins to record."),
       ASK("recording:pause", RECORD, 0, recording_ref, recording, NULL,
           "recording:paused", "Leaves out what follows."),
       ASK("recording:resume", RECORD, 0, recording_ref, recording, NULL,
           "recording:resumed", "Records again."),
       ASK("recording:stop", RECORD, 0, recording_ref, recording_stopped, NULL,
           "recording:stopped", "Ends it."),
       TELL("recording:started", VIEW, FACT, recording, "To all."),
       TELL("recording:paused", VIEW, FACT, recording, "To all."),
       TELL("recording:resumed", VIEW, FACT, recording, "To all."),
       TELL("recording:stopped", VIEW, FACT, recording_stopped, "To all."),
       TELL("recording:status", RECORD, STAMPED, recording_status, "To the hosts."),
       ASK("stream:start", RECORD, 0, stream_start, stream, NULL, "stream:started",
           "Begins a live stream."),
       ASK("stream:stop", RECORD, 0, stream_ref, none, NULL, "stream:stopped",
           "Ends it."),
       TELL("stream:started", VIEW, FACT, stream, "To all."),
       TELL("stream:stopped", VIEW, FACT, stream_ref, "To all."),
       TELL("stream:status", RECORD, STAMPED, stream_status, "To the hosts."),
       ASK("stats:report", VIEW, 0, stats_report, none, NULL, NULL,
           "Tells what the client has measured; bad figures are answered with "
           "quality:warning."),
       TELL("stats:update", MODERATE, STAMPED, stats_update,
            "To the hosts, every ten seconds."),
       ASK("auth:refresh", SIGNED_IN, OUTSIDE, auth_refresh, auth_refreshed, NULL, NULL,
           "Goes on with another token of the same user."),
       TELL("auth:expiring", SIGNED_IN, 0, auth_expiring, "Before a token ends."),
       TELL("error", SIGNED_IN, 0, event_error,
            "To who sent an event that failed, without an ack."));
