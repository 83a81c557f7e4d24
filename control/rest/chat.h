/* GET /api/meeting/{id}/chat: what was said, as it is stored. */
#ifndef REST_CHAT_H
#define REST_CHAT_H

#include "rest/call.h"

void chat_list(const struct rest_call *call);

#endif
