/* What a meeting allows, as bits, with the names that clients know them by; X(bit, name,
 * what it is at first). Names of features stand in an object of their own there. */
#ifndef MEETING_SETTINGS_H
#define MEETING_SETTINGS_H

#include <stdint.h>

#define MEETING_FLAGS(X)                                                                   \
    X(LOCKED, "locked", 0)                                                                 \
    X(WAITING_ROOM, "waiting_room_enabled", 0)                                             \
    X(HOST_APPROVAL, "require_host_approval", 0)                                           \
    X(ALLOW_GUESTS, "allow_guests", 1)                                                     \
    X(ATTENDEE_MEDIA, "allow_attendee_media", 0)                                           \
    X(GUEST_CHAT, "allow_guest_chat", 0)                                                   \
    X(ATTENDEES_UNMUTE, "attendees_may_unmute", 0)                                         \
    X(VIDEO, "video_enabled", 1)                                                           \
    X(AUDIO, "audio_enabled", 1)                                                           \
    X(SCREEN, "screen_sharing_enabled", 1)                                                 \
    X(CHAT, "chat_enabled", 1)                                                             \
    X(RECORDING, "recording_enabled", 1)                                                   \
    X(BREAKOUTS, "breakout_rooms_enabled", 1)                                              \
    X(WHITEBOARD, "whiteboard_enabled", 1)                                                 \
    X(HANDS, "hand_raise_enabled", 1)

enum meeting_flag {
#define X(bit, name, first) MEETING_FLAG_##bit,
    MEETING_FLAGS(X)
#undef X
        N_MEETING_FLAGS,
    MEETING_FIRST_FEATURE = MEETING_FLAG_VIDEO
};

#define MEETING_BIT(flag) (UINT32_C(1) << MEETING_FLAG_##flag)

enum {
    MEETING_FLAGS_FIRST = 0
#define X(bit, name, first) | ((first) << MEETING_FLAG_##bit)
    MEETING_FLAGS(X)
#undef X
};

enum meeting_layout {
    MEETING_LAYOUT_GRID,
    MEETING_LAYOUT_SPEAKER,
    MEETING_LAYOUT_PRESENTATION,
    N_MEETING_LAYOUTS
};

/* The names of the flags, in their order; and of layouts. */
extern const char *const meeting_flag_names[N_MEETING_FLAGS];
extern const char *const meeting_layout_names[N_MEETING_LAYOUTS + 1]; /* NULL ends it */

/* A change; what is not named stays. */
struct meeting_change {
    uint32_t set, clear;       /* bits of flags */
    uint32_t max_participants; /* 0: as it is */
    const char *name;          /* borrowed; NULL: as it is */
    int layout;                /* -1: as it is */
};

#endif
