/* What control keeps from one run to the next: the store, the accounts on it, and what is
 * told of it to others. */
#ifndef APP_KEEP_H
#define APP_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct accounts;
struct auth;
struct control_conf;
struct disk;
struct event_relay;
struct loop;
struct loop_timer;
struct metric_registry;
struct store;
struct store_backend;

struct keep {
    const struct store_backend *database; /* of store.url; NULL: there is none */
    struct store *store;                  /* NULL: nothing is kept */
    struct accounts *accounts;
    struct event_relay *relay;
    struct loop_timer *timer; /* housekeeping */
    struct loop_timer *look;  /* whether the database answers; NULL: a file */
    bool looking;
    const struct control_conf *conf;
    struct disk *store_disk, *recordings_disk; /* stored.h; NULL: none */
};

/* Opens the store that 'conf' (borrowed) names, if it names one. Returns 0, or -errno with
 * 'err' (of 'cap' bytes) filled with one line. */
int keep_open(struct keep *keep, const struct control_conf *conf, struct loop *loop,
              struct metric_registry *metrics, struct auth *auth, char *err, size_t cap);

/* Tokens of others are taken as 'conf' says. 0, or -EINVAL with 'err'. */
int keep_issuers(const struct control_conf *conf, struct auth *auth, char *err, size_t cap);

/* Their keys are read anew; where that fails it is in the log, and the old ones stay. */
void keep_renew_issuers(const struct control_conf *conf, struct auth *auth);

/* What facts are numbered with from now on: an epoch that no meeting has had, and not
 * before 'started_us' (wall clock, so fine that two nodes have none in common); and the
 * highest seq that any has. */
struct keep_numbers {
    uint64_t epoch, seq;
};
struct keep_numbers keep_numbers(const struct keep *keep, uint64_t started_us);

/* Nothing more is asked or answered; first. Then, at the end, all is freed. */
void keep_close(struct keep *keep);
void keep_free(struct keep *keep);

#endif
