/* A request of the interface as its handler gets it: its route found in schema/'s table,
 * who asks known, query and body as they should be. */
#ifndef REST_CALL_H
#define REST_CALL_H

#include <jansson.h>

#include "auth/auth.h"
#include "schema/schema.h"

struct net_req;
struct rest;
struct rest_conf;

struct rest_call {
    struct rest *rest;
    const struct rest_conf *conf;
    struct net_req *req;
    const struct schema_route *route;
    struct schema_params params; /* of the path */
    struct auth_identity who;    /* all zero if the route needs no token */
    json_t *query, *body;        /* objects, never NULL; the handler's until it returns */
};

/* Answers the request, now or later. */
typedef void rest_fn(const struct rest_call *call);

/* The handler of a route; NULL if there is none here. */
rest_fn *rest_handler(const struct schema_route *route);

/* What asking for it is called in the audit, done or refused; NULL: it is not in there. */
const char *rest_act(const struct schema_route *route);

/* Whether one more refusal of 'who' is to be in the audit: not as often as one likes to
 * try. */
bool rest_may_note(struct rest *rest, const struct auth_identity *who);

/* Takes 'req' to the table: finds its route, asks for the token, checks query and body, and
 * fills 'call'. Whether the token's role may is looked at here too, but for paths that name
 * a meeting: there the role in the meeting counts, and the handler asks auth_may() with
 * call->route->who when it knows it.
 *
 * Returns true, and then rest_call_fini() ends it; false if the request was answered with a
 * refusal, 'call->req' being NULL then, or if the table has no such path. */
bool rest_call_init(struct rest_call *call, struct rest *rest, const struct rest_conf *conf,
                    struct net_req *req);
/* Whether its path names a meeting, as its first parameter. */
bool rest_is_of_meeting(const struct schema_route *route);

void rest_call_fini(struct rest_call *call);

#endif
