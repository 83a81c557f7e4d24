/* Logins over HTTP. */
#ifndef REST_LOGIN_H
#define REST_LOGIN_H

#include "rest/call.h"

rest_fn login_begin, login_refresh, login_end;

#endif
