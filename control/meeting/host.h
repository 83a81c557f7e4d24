/* What hosts do to a meeting and to the people in it, and the lobby; see meeting.h.
 * Everything is done on the loop, one thing after the other, and told to all in that order:
 * two hosts who act at once see the same.
 *
 * 'target' is the id of a participant or of a user; of a user all participants are meant.
 * Each returns 0, or -1 with 'err' and nothing changed: forbidden, not_found, invalid,
 * too_many, rate_limited. */
#ifndef MEETING_HOST_H
#define MEETING_HOST_H

#include "meeting/meeting.h"

enum {
    MEETING_KNOWN = 1024,  /* people that a room remembers: roles, bans, admissions */
    MEETING_WAITING = 500, /* people in a lobby */
    MEETING_KEEP_MS = 15 * 60000, /* that a room which was made stays without anybody */
    MEETING_MADE_BY_ONE = 8,      /* such rooms of one user */
    MEETING_PAGE = 200            /* people in one page of a list */
};

/* ---- the room (room.c) ---- */

/* Makes a room, to be entered later. Who has a token for this meeting, or a host's. NULL
 * with 'err': forbidden, already_exists, too_many, too_many_rooms, invalid. */
struct room *meeting_create_room(struct meeting *meeting, const struct auth_identity *who,
                                 const char *id, const struct meeting_change *change,
                                 struct meeting_error *err);

/* Changes settings; what is not allowed any more ends (media of attendees, the lobby). */
int meeting_update(struct meeting *meeting, struct participant *by,
                   const struct meeting_change *change, struct meeting_error *err);

/* How all are to see the meeting. */
int meeting_set_layout(struct meeting *meeting, struct participant *by,
                       enum meeting_layout layout, struct meeting_error *err);

/* For long answers that the front makes by itself: -1 with rate_limited if too often. */
int meeting_ask(struct participant *p, enum meeting_rate rate, struct meeting_error *err);

/* Ends the meeting for everybody: they are told, and are gone; so is 'by'. */
int meeting_close(struct meeting *meeting, struct participant *by, const char *reason,
                  struct meeting_error *err);

/* The same by whoever may without being there (rest/). Nobody may be there: then nothing is
 * to be done. */
void meeting_close_room(struct meeting *meeting, const char *tenant, const char *id,
                        const char *reason);

/* ---- by the node's operator, who is nobody in the room (people.c) ---- */

/* As meeting_mute() and meeting_remove(), of whatever role. -1 with 'err': not_found,
 * too_many. The room may be gone afterwards. */
int meeting_order_mute(struct meeting *meeting, const struct room *room, const char *target,
                       enum meeting_media media, const char *reason,
                       struct meeting_error *err);
int meeting_order_remove(struct meeting *meeting, struct room *room, const char *target,
                         const char *reason, bool ban, struct meeting_error *err);

/* ---- what is stored, into the room (stored.c) ---- */

/* Settings as they are stored; nobody is asked, and all who are there are told. 'over': it
 * has ended. */
void meeting_stored_settings(struct meeting *meeting, struct room *room,
                             const struct meeting_change *change, bool over);

/* Somebody who was invited, or has got another role; who is there gets it at once, and all
 * are told. */
void meeting_stored_person(struct meeting *meeting, struct room *room, const char *user_id,
                           enum auth_role role);

/* Somebody who may not come in (on), or is welcome again. */
void meeting_stored_ban(struct room *room, const char *user_id, bool on);

/* Who was invited is not any more, and has to leave. */
void meeting_stored_removal(struct meeting *meeting, struct room *room,
                            const char *user_id);

/* ---- people (people.c) ---- */

/* Pauses what they send of a kind. Who may not lift it himself (attendees and guests,
 * unless attendees_may_unmute) stays muted until a host asks him to speak. */
int meeting_mute(struct meeting *meeting, struct participant *by, const char *target,
                 enum meeting_media media, const char *reason, struct meeting_error *err);

/* The same for everybody whose role is below; 'n' is filled with how many. */
int meeting_mute_all(struct meeting *meeting, struct participant *by,
                     enum meeting_media media, const char *reason, uint32_t *n,
                     struct meeting_error *err);

/* A host asks somebody to unmute, which lifts the lock; anybody else (target empty or
 * himself) asks the hosts that they may. */
int meeting_ask_unmute(struct meeting *meeting, struct participant *by, const char *target,
                       enum meeting_media media, struct meeting_error *err);

int meeting_remove(struct meeting *meeting, struct participant *by, const char *target,
                   const char *reason, bool ban, struct meeting_error *err);

/* Holds for the user also when he comes again. What the new role may not send ends. */
int meeting_set_role(struct meeting *meeting, struct participant *by, const char *target,
                     enum auth_role role, struct meeting_error *err);

/* Invites a user: with this role, past the waiting room and the lock; lifts a ban. */
int meeting_invite(struct meeting *meeting, struct participant *by, const char *user_id,
                   const char *name, enum auth_role role, struct meeting_error *err);

/* Oneself (target empty), or as a host somebody else. */
int meeting_rename(struct meeting *meeting, struct participant *by, const char *target,
                   const char *name, struct meeting_error *err);

/* Puts somebody's video first for oneself, or (host) before everybody's eyes. */
int meeting_pin(struct meeting *meeting, struct participant *by, const char *target,
                bool on, struct meeting_error *err);
int meeting_spotlight(struct meeting *meeting, struct participant *by, const char *target,
                      bool on, struct meeting_error *err);

/* Pauses or resumes all of a kind that one sends oneself, and tells the others. */
int meeting_toggle(struct meeting *meeting, struct participant *p, enum meeting_media media,
                   bool on, struct meeting_error *err);

struct meeting_page {
    const char *query; /* part of a name or user id; empty: all */
    uint64_t
        after_us; /* behind who joined then, with this id; 0 and empty: from the start */
    const char *after_id;
    size_t limit; /* at most MEETING_PAGE */
};

/* People whom 'p' may see, in the order in which they came. 'total' is filled with how many
 * there are in all pages, 'more' if there are any behind. Costs a look at everybody whom he
 * may see. */
size_t meeting_list(struct participant *p, const struct meeting_page *page,
                    struct participant *out[MEETING_PAGE], uint32_t *total, bool *more);

/* In a large meeting only hosts see who listens. */
bool meeting_sees_person(const struct participant *p, const struct participant *other);

/* ---- the lobby (lobby.c) ---- */

/* As meeting_join(), but who has to wait gets in line: then the participant is 'waiting',
 * has nothing, is seen by hosts only, and is told MEETING_ADMITTED or MEETING_DENIED. */
struct participant *meeting_enter(struct meeting *meeting, const struct auth_identity *who,
                                  const char *meeting_id, const char *name, void *client,
                                  struct meeting_error *err);

/* Lets in, or sends away, those named; n 0: all. All of them must be waiting. */
int meeting_admit(struct meeting *meeting, struct participant *by, const char *const *ids,
                  size_t n, struct meeting_error *err);
int meeting_deny(struct meeting *meeting, struct participant *by, const char *const *ids,
                 size_t n, struct meeting_error *err);

#endif
