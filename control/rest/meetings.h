/* Meetings over REST: made, listed, changed, begun, ended, joined. */
#ifndef REST_MEETINGS_H
#define REST_MEETINGS_H

#include "rest/call.h"

rest_fn meetings_create, meetings_list, meetings_get, meetings_replace, meetings_change,
    meetings_delete, meetings_start, meetings_finish, meetings_join, meetings_export,
    meetings_webrtc, meetings_live;

#endif
