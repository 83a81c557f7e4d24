/* The ways out that there are: each made, and given to the relay. */
#include "event/sink.h"

static int make_kafka(struct event_sink **out, struct event_port *port, const void *conf,
                      char err[EVENT_ERR_MAX])
{
    return event_kafka_create(out, port, conf, err);
}

static int make_file(struct event_sink **out, struct event_port *port, const void *conf,
                     char err[EVENT_ERR_MAX])
{
    return event_file_create(out, port, conf, err);
}

static int make_webhook(struct event_sink **out, struct event_port *port, const void *conf,
                        char err[EVENT_ERR_MAX])
{
    return event_webhook_create(out, port, conf, err);
}

int event_relay_add_kafka(struct event_relay *relay, const struct event_kafka_conf *conf,
                          char err[EVENT_ERR_MAX])
{
    return event_relay_add(relay, make_kafka, conf, err);
}

int event_relay_add_file(struct event_relay *relay, const struct event_file_conf *conf,
                         char err[EVENT_ERR_MAX])
{
    return event_relay_add(relay, make_file, conf, err);
}

int event_relay_add_webhook(struct event_relay *relay,
                            const struct event_webhook_conf *conf, char err[EVENT_ERR_MAX])
{
    return event_relay_add(relay, make_webhook, conf, err);
}
