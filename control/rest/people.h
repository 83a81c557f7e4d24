/* Who is invited to a meeting, what was done in it, and a person's erasure. */
#ifndef REST_PEOPLE_H
#define REST_PEOPLE_H

#include "rest/call.h"

rest_fn people_list, people_invite, people_remove, people_role, people_audit,
    people_audit_all, people_erase, people_stats;

struct task;

/* A role that is above one's own is not one's to give; the host's only with END_MEETING. */
bool people_may_give(const struct task *task, const char *name, enum auth_role *role);

#endif
