/* Acts that must be answered for: who did what, to whom, from which address, and what came
 * of it. An entry of the audit and the event kcs.audit.act that tells of it, written as
 * one; used by signal/ and rest/.  Thread: any. */
#ifndef AUTH_AUDIT_H
#define AUTH_AUDIT_H

#include <stdint.h>

#include "store/store.h"

/* Stands for the meeting in events that are about none: no meeting can have this id. */
#define AUDIT_NO_MEETING "no meeting"

enum { AUDIT_ID = 22, AUDIT_WRITES = 2 };

struct audit_act {
    const char *tenant, *actor;
    const char *meeting; /* NULL: none */
    const char *act;     /* "meeting.update", "room:lock" */
    const char *target;  /* users with spaces between; NULL: nobody */
    const char *address;
    const char *result;  /* "ok" or "refused" */
    uint64_t epoch, seq; /* number of the event; 0: the store's next */
    uint32_t days;       /* that the entry is kept */
};

/* Fills both writes of an act. 'act' is borrowed until they are written; the entry's id
 * goes to 'id', and 'texts' are the caller's to free, whatever is returned.
 *
 * Returns 0 or -ENOMEM. */
int audit_fill(const struct audit_act *act, struct store_write writes[AUDIT_WRITES],
               char id[AUDIT_ID + 1], char *texts[AUDIT_WRITES]);

#endif
