/* What HTTP clients see: the REST interface below /api (names and shapes as docs/api.md has
 * them) and, for every other path, the files of the page. Of the interface, the health
 * routes, WHIP and WHEP are here; a route whose part does not exist yet answers 501
 * not_implemented.
 *
 * It knows nothing of the dataplane: app/ tells it the facts when it asks.
 *
 * Thread: the loop's. */
#ifndef REST_REST_H
#define REST_REST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/turn.h"

struct accounts;
struct archive;
struct auth;
struct loop;
struct meeting;
struct net_req;
struct participant;
struct rest;
struct store;

enum { REST_MAX_DEVICES = 8, REST_MAX_ADDRS = 8, REST_IP_TEXT = 46 };

struct rest_device {
    char kind[16]; /* "veth", "af_xdp", "udp" */
    char name[32]; /* interface, or empty */
    uint16_t port;
    bool lost; /* its interface is down or gone */
    uint32_t n_addrs;
    struct {
        char ip[REST_IP_TEXT];
        char public_ip[REST_IP_TEXT]; /* what clients are told; else equal to ip */
        uint16_t public_port;
    } addrs[REST_MAX_ADDRS];
};

/* How the node is, at this moment. */
struct rest_facts {
    bool attached;           /* to the dataplane */
    bool draining;           /* it is going to stop */
    char reason[320];        /* in words why not, and what mends it */
    char srtp_backend[16];   /* if attached */
    char fingerprint_alg[8]; /* "sha-256" */
    uint32_t n_devices;
    struct rest_device devices[REST_MAX_DEVICES];
    uint32_t rooms, participants, clients;
    uint64_t uptime_us;
    uint32_t contract; /* version of the contract with the dataplane */
    /* Where events go: how many ways out there are, and how many of them fail just now,
     * with the reason of the first. */
    uint32_t outlets, outlets_failing;
    char outlet_reason[256];
};

struct rest_limits {
    uint32_t per_address_s, per_user_s, logins_per_address_min; /* 0: no limit */
};

struct rest_conf {
    const char *web_root; /* directory of the page; empty: none is served */
    const char *version;  /* of the program */
    void (*facts)(void *user, struct rest_facts *out);
    /* A meeting was changed; 'json' is what is stored of it now. May be NULL. */
    void (*changed)(void *user, const char *tenant, const char *id, const char *json,
                    uint64_t version);
    void *user;

    /* For WHIP and WHEP; meeting NULL: they are not served. */
    struct loop *loop;
    struct auth *auth;
    struct meeting *meeting;
    const char *recordings; /* directory of the recordings; empty: none are made here */
    const char *live;       /* the same of live streams */
    struct archive *archive; /* where else recordings are; NULL: nowhere */
    /* For accounts and meetings; store NULL: those routes answer 503. */
    struct store *store;
    struct accounts *accounts;
    uint32_t audit_days;                         /* that audit entries are kept */
    struct turn_servers ice_servers;             /* that clients are told of */
    const char *const *origins; /* other sites' pages that may ask; or NULL */
    size_t n_origins;
    struct rest_limits limits;
};

/* Strings of conf are borrowed for the life of the object. Returns 0 or -ENOMEM. A
 * directory without a page is a warning in the log. */
int rest_create(struct rest **out, const struct rest_conf *conf);
/* Ends the sessions of WHIP and WHEP: before the meeting service. NULL is a no-op. */
void rest_destroy(struct rest *rest);

/* In place of those of rest_conf; what was counted begins anew. 0, or -ENOMEM: the old ones
 * stay. */
int rest_set_limits(struct rest *rest, const struct rest_limits *limits);

/* In place of rest_conf's 'origins' (borrowed as those). */
void rest_set_origins(struct rest *rest, const char *const *origins, size_t n_origins);

/* Answers 'req', whatever it is. */
void rest_on_request(struct rest *rest, struct net_req *req);

/* A request that waited for its answer was abandoned by its client. */
void rest_on_abort(struct rest *rest, struct net_req *req);

/* What an earlier control has left is known (after meeting_restore()). */
void rest_on_restored(struct rest *rest);

/* The media of a participant of ours (MEETING_HTTP) is lost. */
void rest_media_lost(struct participant *p);

/* True if 'path' is a health route, which the admin address serves too. */
bool rest_is_health(const char *path);

#endif
