/* What each role may do: one table, for Socket.IO and REST alike.  schema/ names for each
 * event and route one of these permissions, signal/ and rest/ ask auth_may() before they
 * run a handler; who needs to know more (one's own message, a role above one's own) asks
 * again.
 *
 * Pure; thread: any. */
#ifndef AUTH_ROLE_H
#define AUTH_ROLE_H

#include <stdbool.h>
#include <stdint.h>

/* Roles of a meeting in descending order of power; the numbers are kept in the vault. The
 * administrator is of a tenant: in its meetings it may what a host may. */
enum auth_role {
    AUTH_HOST,
    AUTH_CO_HOST,
    AUTH_PRESENTER,
    AUTH_ATTENDEE,
    AUTH_GUEST,
    AUTH_ADMIN,
    N_AUTH_ROLES
};

/* What a meeting allows beyond the roles. */
struct auth_policy {
    bool allow_attendee_media;
    bool allow_guest_chat;
};

/* X(permission, name, host, co_host, presenter, attendee, guest, admin, what it is)
 * Y: yes, N: no, M: if the meeting has allow_attendee_media, C: if it has allow_guest_chat.
 * PUBLIC needs no token at all, SIGNED_IN any token; no client sees these two in a list. */
#define AUTH_PERMISSIONS(X)                                                                \
    X(PUBLIC, "public", Y, Y, Y, Y, Y, Y, "no token is needed")                            \
    X(SIGNED_IN, "signed_in", Y, Y, Y, Y, Y, Y, "any valid token")                         \
    X(VIEW, "view", Y, Y, Y, Y, Y, Y, "be there, see and hear")                            \
    X(PRODUCE_MEDIA, "produce_media", Y, Y, Y, M, N, Y, "send audio, video and data")      \
    X(PRODUCE_SCREEN, "produce_screen", Y, Y, Y, N, N, Y, "share a screen")                \
    X(CHAT, "chat", Y, Y, Y, Y, C, Y, "write, edit and react to messages")                 \
    X(RAISE_HAND, "raise_hand", Y, Y, Y, Y, N, Y, "raise a hand")                          \
    X(REACT, "react", Y, Y, Y, Y, N, Y, "send reactions, vote in polls")                   \
    X(PRESENT, "present", Y, Y, Y, N, N, Y, "draw on the whiteboard, give captions")       \
    X(MODERATE, "moderate", Y, Y, N, N, N, Y,                                              \
      "admit, mute, remove, lock, change the meeting, roles below one's own")              \
    X(RECORD, "record", Y, Y, N, N, N, Y, "record and stream")                             \
    X(END_MEETING, "end_meeting", Y, N, N, N, N, Y,                                        \
      "end or delete the meeting, change the host")                                        \
    X(CREATE_MEETING, "create_meeting", Y, Y, Y, N, N, Y, "create meetings")               \
    X(ADMINISTER, "administer", N, N, N, N, N, Y,                                          \
      "the tenant's audit, users' data, figures of the node")

enum auth_permission {
#define X(permission, ...) AUTH_##permission,
    AUTH_PERMISSIONS(X)
#undef X
        N_AUTH_PERMISSIONS
};

/* policy  borrowed; NULL: nothing beyond the roles is allowed */
bool auth_may(enum auth_role role, const struct auth_policy *policy,
              enum auth_permission permission);

/* "host", "co_host" … */
const char *auth_role_name(enum auth_role role);

/* The role of a name; false if there is none such. */
bool auth_role_find(const char *name, enum auth_role *out);

/* "produce_media" … */
const char *auth_permission_name(enum auth_permission permission);

/* What it is, in words. */
const char *auth_permission_doc(enum auth_permission permission);

#endif
