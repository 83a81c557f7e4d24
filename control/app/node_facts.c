#include "app/node_facts.h"

#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "auth/audit.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/log.h"

enum { DATA = 256 };

static const char *const types[] = {[NODE_STARTED] = "kcs.node.started",
                                    [NODE_STOPPING] = "kcs.node.stopping",
                                    [NODE_DRAINING] = "kcs.node.draining",
                                    [NODE_IN_SERVICE] = "kcs.node.in_service",
                                    [NODE_MEDIA_ATTACHED] = "kcs.node.media_attached",
                                    [NODE_MEDIA_LOST] = "kcs.node.media_lost"};

/* A node that cannot write does not wait for that. */
static void lost_if(int err, const char *type)
{
    if (err != 0) {
        log_warn("node_fact_lost", LOG_STR("type", type), LOG_STR("error", strerror(-err)));
    }
}

static void on_written(void *arg, const struct store_result *result)
{
    lost_if(result->err, arg);
}

void node_fact_tell(struct store *store, enum node_fact fact, const char *node,
                    uint64_t epoch, uint32_t people, uint32_t seconds)
{
    char data[DATA];
    char most[32] = "";
    const struct store_write write = {.what = STORE_EVENT,
                                      .event = {.tenant = "",
                                                .meeting = AUDIT_NO_MEETING,
                                                .epoch = epoch,
                                                .type = types[fact],
                                                .json = data,
                                                .at_us = clock_wall_us()}};

    if (store == NULL) {
        return;
    }
    if (fact == NODE_DRAINING) {
        (void)snprintf(most, sizeof(most), ",\"seconds\":%u", seconds);
    }
    (void)snprintf(data, sizeof(data),
                   "{\"node\":\"%s\",\"version\":\"%s\",\"participants\":%u%s}", node,
                   APP_VERSION, people, most);
    lost_if(store_write(store, &write, 1, on_written, (void *)(uintptr_t)types[fact]),
            types[fact]);
}
