/* WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): HTTP clients that publish into a meeting
 * or watch it. Each is a participant of its own, with one transport; its session is the
 * HTTP resource below /api/whip/{meeting_id}/ or /api/whep/{meeting_id}/.
 *
 * Files: wish.c (sessions and their end), wish_http.c (methods, headers, conditions),
 * wish_post.c (offers become sessions), wish_media.c (producers and consumers, answers),
 * wish_restore.c (sessions outlive this process).
 *
 * Thread: the loop's. */
#ifndef REST_WISH_H
#define REST_WISH_H

#include <stdbool.h>

struct meeting;
struct net_req;
struct participant;
struct rest_conf;
struct wish;

/* conf borrowed for the life of the object. Returns 0 or -ENOMEM. */
int wish_create(struct wish **out, const struct rest_conf *conf);

/* Ends every session. NULL is a no-op. */
void wish_destroy(struct wish *wish);

/* True if the path is one of ours: the request is then ours to answer. */
bool wish_on_request(struct wish *wish, struct net_req *req);

/* Whether a path is of WHIP or WHEP, which pages of every site may ask. */
bool wish_is_path(const char *path);

/* What an earlier control has left is known: takes up its sessions. */
void wish_restore(struct wish *wish);

/* A request that waits for its answer was abandoned. */
void wish_on_abort(struct wish *wish, struct net_req *req);

/* The dataplane went away: nothing of this participant's media is left. */
void wish_media_lost(struct participant *p);

#endif
