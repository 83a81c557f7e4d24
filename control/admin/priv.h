/* What the files of control/admin share.
 *
 * admin.c    routes
 * answer.c   what answers are made of
 * status.c   /status, /lanes and /drops
 * lists.c    /peers, /peer and /streams, and a move
 * rooms.c    /rooms, /room and /participants, and what is done to them
 * orders.c   what is asked by POST
 * capture.c  the packets of a transport
 * kept.c     /audit, /events, a backup, an account
 * metrics.c  /metrics */
#ifndef ADMIN_PRIV_H
#define ADMIN_PRIV_H

#include <jansson.h>

#include "admin/admin.h"
#include "media/media.h"
#include "meeting/meeting.h"
#include "store/store.h"
#include "sys/process.h"

enum { ADMIN_IP_TEXT = 46 };

/* The counters of all lanes, taken together: each lane's add up exactly. */
struct admin_lanes {
    const struct abi_shm *info; /* names of the counters; NULL: not attached */
    uint32_t n;
    struct {
        bool ok; /* false: it could not be caught at rest */
        struct abi_lane_counts counts;
    } lanes[ABI_MAX_LANES];
};

struct admin {
    struct admin_conf conf;
    /* what the collectors of one rendering read */
    struct admin_lanes scrape;
    struct process_usage usage;
    unsigned n_families;           /* registered so far */
    struct admin_capture *capture; /* NULL: none */
    uint32_t n_captures;           /* so far */
    uint32_t n_unaudited;          /* of those decrypted, whose entries are on their way */
};

/* status.c; and the sum of one direction's drops. */
void admin_read_lanes(const struct media *media, struct admin_lanes *out);
uint64_t admin_sum(const uint64_t *counters, uint32_t n);

/* New references, NULL without memory. */
json_t *admin_status(const struct admin *admin);
json_t *admin_lane_list(const struct admin *admin);
json_t *admin_drops(const struct admin *admin);
json_t *admin_rooms(const struct admin *admin);
json_t *admin_peers(const struct admin *admin);
json_t *admin_streams(const struct admin *admin);
json_t *admin_egress(const struct admin *admin);

/* Moves a client's transport to a lane. Returns 0 when it is on its way, -ENOENT no such
 * transport, else as media_peer_move(). */
int admin_move(const struct admin *admin, const char *transport_id, uint32_t lane);

int admin_metrics_register(struct admin *admin);
void admin_metrics_unregister(struct admin *admin);

/* Obeys a POST: true if it is one of ours; it is answered then, or will be. */
bool admin_order(struct admin *admin, struct net_req *req);

/* answer.c. 'body' (NULL: there was no memory for it) and 'data' are moved; 'allow': says
 * which methods there are. */
void admin_send(struct net_req *req, unsigned status, json_t *body, bool allow);
void admin_answer(struct net_req *req, json_t *data);
void admin_refuse(struct net_req *req, unsigned status, const char *code,
                  const char *message);
json_t *admin_problem(const char *code, const char *message);
void admin_ip_text(const uint8_t ip[16], char out[ADMIN_IP_TEXT]);

/* kept.c: what waits for the store. */
void admin_backup(const struct admin *admin, struct net_req *req);
void admin_audit(const struct admin *admin, struct net_req *req);
void admin_events(const struct admin *admin, struct net_req *req);
void admin_add_user(const struct admin *admin, struct net_req *req);

/* lists.c, rooms.c: these answer too. */
void admin_peer(const struct admin *admin, struct net_req *req);
void admin_room(const struct admin *admin, struct net_req *req);
void admin_participants(const struct admin *admin, struct net_req *req);
void admin_close_room(const struct admin *admin, struct net_req *req);
void admin_kick(const struct admin *admin, struct net_req *req);
void admin_mute(const struct admin *admin, struct net_req *req);

/* trace.c */
void admin_trace(const struct admin *admin, struct net_req *req);

/* capture.c: these too; and ends the one that there is. */
void admin_capture(struct admin *admin, struct net_req *req);
void admin_capture_take(struct admin *admin, struct net_req *req);
void admin_capture_stop(struct admin *admin, struct net_req *req);
void admin_capture_forget(struct admin *admin);

/* The meeting that an order was about. */
struct admin_place {
    char tenant[AUTH_ID_MAX + 1], meeting[MEETING_ID_MAX + 1];
};

/* lists.c: the peer of a client's transport, HANDLE_NONE if there is none, and where it is
 * ('place', filled, or NULL). */
uint64_t admin_find_peer(const struct admin *admin, const char *transport_id,
                         struct admin_place *place);

/* rooms.c: where somebody is. */
struct admin_place admin_place_of(const struct room *room);

/* rooms.c: an entry of the audit for what the operator had done. NULL may be 'req' (he did
 * not wait for it), 'place' and 'target'. _then: 0, and 'done' is called when it is kept, or is
 * not; or an error of store_write(), which is logged. */
void admin_note(const struct admin *admin, struct net_req *req, const char *act,
                const struct admin_place *place, const char *target);
int admin_note_then(const struct admin *admin, struct net_req *req, const char *act,
                    const struct admin_place *place, const char *target, store_done *done,
                    void *arg);

#endif
