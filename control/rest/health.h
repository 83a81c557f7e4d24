/* GET /api/health/…: is the node alive, is it fit for calls, what has it. */
#ifndef REST_HEALTH_H
#define REST_HEALTH_H

#include <stddef.h>

struct rest_call;
struct rest_facts;

void health_live(const struct rest_call *call);
void health_ready(const struct rest_call *call);
void health_webrtc(const struct rest_call *call);
void health_system(const struct rest_call *call);

/* Why no call can be made now, in words; NULL if one can. Borrowed from 'facts'. Pure. */
const char *health_unfit(const struct rest_facts *facts);

#endif
