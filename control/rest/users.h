/* What administrators do about people of their tenant: accounts are made (users.c), and what
 * is kept of somebody is handed out (kept.c). */
#ifndef REST_USERS_H
#define REST_USERS_H

#include "rest/call.h"

void users_create(const struct rest_call *call);
void users_kept(const struct rest_call *call);

#endif
