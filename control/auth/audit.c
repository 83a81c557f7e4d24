#include "auth/audit.h"

#include <errno.h>
#include <jansson.h>

#include "proto/jtext.h"
#include "sys/clock.h"
#include "sys/entropy.h"
#include "trace/trace.h"

int audit_fill(const struct audit_act *act, struct store_write writes[AUDIT_WRITES],
               char id[AUDIT_ID + 1], char *texts[AUDIT_WRITES])
{
    uint64_t now_us = clock_wall_us();
    json_t *json = json_pack("{s:s*, s:s, s:s}", "target", act->target, "address",
                             act->address, "result", act->result);

    texts[0] = jtext_make(json, JSON_COMPACT);
    (void)json_object_update_new(
        json, json_pack("{s:s, s:s}", "act", act->act, "actor", act->actor));
    texts[1] = jtext_make(json, JSON_COMPACT);
    json_decref(json);
    entropy_id(id, AUDIT_ID);
    writes[0] = (struct store_write){
        .what = STORE_PUT,
        .kind = STORE_AUDIT,
        .doc = {.tenant = act->tenant,
                .id = id,
                .group = act->meeting,
                .ref = act->actor,
                .state = act->act,
                .at = (int64_t)now_us,
                .expires_s = clock_wall_s() + (int64_t)act->days * 86400,
                .json = texts[0]}};
    writes[1] = (struct store_write){
        .what = STORE_EVENT,
        .event = {.tenant = act->tenant,
                  .meeting = act->meeting != NULL ? act->meeting : AUDIT_NO_MEETING,
                  .epoch = act->epoch,
                  .seq = act->seq,
                  .type = "kcs.audit.act",
                  .ref = act->actor,
                  .json = texts[1],
                  .trace = *trace_now(),
                  .at_us = now_us}};
    return texts[0] != NULL && texts[1] != NULL ? 0 : -ENOMEM;
}
