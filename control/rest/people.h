/* Who is invited to a meeting, what was done in it, and a person's erasure. */
#ifndef REST_PEOPLE_H
#define REST_PEOPLE_H

#include "rest/call.h"

rest_fn people_list, people_invite, people_remove, people_role, people_audit,
    people_audit_all, people_erase, people_stats;

#endif
