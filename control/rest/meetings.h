/* Meetings over REST: made, listed, changed, begun, ended, joined. */
#ifndef REST_MEETINGS_H
#define REST_MEETINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "rest/call.h"

rest_fn meetings_create, meetings_list, meetings_get, meetings_replace, meetings_change,
    meetings_delete, meetings_start, meetings_finish, meetings_join, meetings_link,
    meetings_export,
    meetings_webrtc, meetings_live, meetings_analytics;

/* What meetings.c and visits.c share. A copy with its version: a new reference. */
struct task;
json_t *meetings_with_version(const json_t *meeting, uint64_t version);
bool meetings_is_over(const struct task *task);

#endif
