/* What an event is in Kafka, and what is told of one that no broker will take. */
#include <stdio.h>
#include <string.h>

#include "event/kafka_priv.h"
#include "sys/log.h"

enum { DEAD_FIELD = 512 };

static const char *number(uint64_t value, char out[24])
{
    (void)snprintf(out, 24, "%llu", (unsigned long long)value);
    return out;
}

rd_kafka_resp_err_t kafka_produce(rd_kafka_t *producer, const char *topic,
                                  const struct event *event, const void *body, size_t len,
                                  const char *reason, int flags, void *opaque)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(16);
    char epoch[24];
    char seq[24];
    const char *const list[][2] = {
        {"ce_specversion", "1.0"},
        {"ce_id", event->id},
        {"ce_source", event->source},
        {"ce_type", event->type},
        {"ce_time", event->time},
        {"ce_subject", event->meeting},
        {"ce_tenant", event->tenant},
        {"content-type", "application/json"},
        {"ce_dataschema", /* the dead have another body */
         event->schema[0] != '\0' && reason == NULL ? event->schema : NULL},
        {"ce_traceparent", event->trace[0] != '\0' ? event->trace : NULL},
        {"ce_epoch", event->seq != 0 ? number(event->epoch, epoch) : NULL},
        {"ce_seq", event->seq != 0 ? number(event->seq, seq) : NULL},
        {"kcs_reason", reason}};
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]) && err == 0; i++) {
        if (list[i][1] != NULL) {
            err = rd_kafka_header_add(headers, list[i][0], -1, list[i][1], -1);
        }
    }
    if (err == 0) {
        const char *key = event->meeting;

        err = rd_kafka_producev(
            producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(flags),
            RD_KAFKA_V_KEY((void *)(uintptr_t)key, strlen(key)),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)body, len), RD_KAFKA_V_HEADERS(headers),
            RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
    }
    if (err != 0) {
        rd_kafka_headers_destroy(headers);
    }
    return err;
}

bool kafka_is_fault_of_message(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           err == RD_KAFKA_RESP_ERR_INVALID_MSG ||
           err == RD_KAFKA_RESP_ERR_INVALID_RECORD ||
           err == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
}

void kafka_bury(struct kafka *kafka, rd_kafka_t *producer, const struct event *event,
                rd_kafka_resp_err_t err)
{
    const char *reason = rd_kafka_err2name(err);
    char body[DEAD_FIELD];
    int n = snprintf(body, sizeof(body), "{\"reason\":\"%s\",\"bytes\":%zu}", reason,
                     event->data_len);

    log_error("event_dead", LOG_STR("id", event->id), LOG_STR("type", event->type),
              LOG_STR("reason", rd_kafka_err2str(err)), LOG_U64("bytes", event->data_len));
    err = kafka_produce(producer, EVENT_TOPIC_DEAD, event, body, (size_t)n, reason,
                        RD_KAFKA_MSG_F_COPY, NULL);
    if (err != 0) {
        log_error("event_dead_untold", LOG_STR("id", event->id),
                  LOG_STR("reason", rd_kafka_err2str(err)));
    }
    event_port_report(kafka->port, event->position, EVENT_DEAD);
}
