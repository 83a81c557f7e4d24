/* Recordings and live streams, as the configuration says: who makes their files, and who
 * looks after them. Loop thread. */
#ifndef APP_TAPES_H
#define APP_TAPES_H

#include <limits.h>
#include <stddef.h>

struct archive;
struct control_conf;
struct keep;
struct loop;
struct media;
struct meeting;
struct metric_registry;
struct recorder;

struct tapes {
    struct recorder *recorder; /* NULL: nothing is recorded here */
    struct archive *archive;   /* NULL: nothing is recorded, or nothing kept of it */
    const struct keep *keep;
    struct meeting *meeting;
    char program[PATH_MAX]; /* kcs-egress, if the configuration names none */
};

/* What both need; all is borrowed until tapes_close(). */
struct tapes_conf {
    const struct control_conf *conf;
    struct loop *loop;
    struct media *media;
    struct metric_registry *metrics;
    const struct keep *keep;
};

/* Fills 'recorder': meetings are made with it. 0, or -errno with 'err' (of 'cap' bytes)
 * filled with one line; so below. */
int tapes_open_recorder(struct tapes *tapes, const struct tapes_conf *conf, char *err,
                        size_t cap);

/* Fills 'archive', when there are meetings. */
int tapes_open_archive(struct tapes *tapes, const struct tapes_conf *conf,
                       struct meeting *meeting, char *err, size_t cap);

#endif
