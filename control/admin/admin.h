/* What operators see: the lists that kcsctl asks for on the admin socket, and the metrics
 * that Prometheus reads. Only the admin socket takes orders, and only these:
 *
 *   POST /lanes/move?transport=ID&lane=N   moves a transport while its media flows
 *   POST /backup?path=PATH                 copies the store to a new file
 *   POST /users?login=L&role=R…            makes an account; the password is the body
 *   POST /drain?seconds=N                  no more meetings; stops when empty, or then
 *   POST /undrain                          back into service
 *   POST /loglevel?level=L                 until the next start or reload
 *   POST /loglevel?meeting=ID              debug of one meeting; until the next start
 *   POST /rooms/close?meeting=M            ends a meeting for everybody
 *   POST /rooms/kick?meeting=M&who=W       removes somebody (ban=1: for good; reason=R)
 *   POST /rooms/mute?meeting=M&who=W&kind=audio|video|screen
 *   POST /capture?transport=ID             copies its packets (decrypted=1 or 0; count=N of
 * them) POST /capture/take?capture=N           what was gathered since: pcapng, in base64
 *   POST /capture/stop?capture=N           what is left is taken then
 *
 * tenant=T belongs to each meeting=M if several tenants have one of that name. What was
 * done stands in the audit, with the user of this machine who asked for it.
 *
 * Answers are {"data": …}; failures carry success:false, code and message.
 *
 *   /status   the node at a glance      /lanes    every counter of each lane
 *   /rooms    meetings with somebody    /room?meeting=M          one, with its people
 *   /participants (meeting=M)           /peer?id=ID   transports of one, with all details
 *   /peers    transports of clients     /streams  producers and who receives them
 *   /drops    what was dropped and why  /metrics  Prometheus text
 *   /egress   recordings and live streams
 *   /audit    who did what, the newest first (limit=N)
 *   /events   the last lasting events behind a position (after=P, limit=N)
 *
 * Thread: the loop's. */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

struct accounts;
struct admin;
struct loop;
struct media;
struct meeting;
struct metric_registry;
struct net_req;
struct store;

struct admin_conf {
    struct loop *loop;
    uint32_t capture_patience_ms; /* without being asked for what it has; 0: 10 s */
    struct media *media;
    struct meeting *meeting;
    struct metric_registry *metrics;
    const char *version; /* of the program */
    const char *node;    /* prefix of the ids given out by this process */
    uint64_t started_wall_us;
    struct store *store; /* NULL: nothing is kept; then accounts too */
    struct accounts *accounts;
    uint32_t audit_days; /* that entries of the audit are kept */
    uint32_t (*n_clients)(void *user); /* of Socket.IO */
    /* Has the node go out of service in so many seconds at most; 0: it stays. */
    void (*drain)(void *user, uint32_t seconds);
    bool (*draining)(void *user, uint32_t *left_s); /* whether it does */
    void *user;
};

/* Registers the metrics of node, lanes and dataplane. All of conf is borrowed for the life
 * of the object. Returns 0, -ENOMEM, or -EEXIST if the names are taken. */
int admin_create(struct admin **out, const struct admin_conf *conf);

/* Also forgets the metrics. NULL is a no-op. */
void admin_destroy(struct admin *admin);

/* Answers 'req', whatever it is: one of the admin socket. */
void admin_on_request(struct admin *admin, struct net_req *req);

/* A request of the admin socket that waited was abandoned by its client. */
void admin_on_abort(struct net_req *req);

/* The same for a request of the admin address, which has only /metrics. */
void admin_on_metrics(struct admin *admin, struct net_req *req);

#endif
