/* POST /api/user: accounts, made by administrators. */
#ifndef REST_USERS_H
#define REST_USERS_H

#include "rest/call.h"

void users_create(const struct rest_call *call);

#endif
