#include "app/outlet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/control_conf.h"
#include "event/event.h"
#include "schema/schema.h"
#include "store/store.h"

enum { HOST = 64, DEFAULT_GIVE_UP_HOURS = 24, PATH = 512 };

static int add_kafka(struct event_relay *relay, const struct control_kafka *from,
                     char err[EVENT_ERR_MAX])
{
    struct event_setting settings[CONTROL_CONF_SETTINGS];
    const struct event_kafka_conf conf = {.brokers = from->brokers,
                                          .settings = settings,
                                          .n_settings = from->n_settings,
                                          .create_topics = from->create_topics,
                                          .partitions = (int)from->partitions,
                                          .replication = (int)from->replication};

    for (uint32_t i = 0; i < from->n_settings; i++) {
        settings[i] =
            (struct event_setting){from->settings[i].name, from->settings[i].value};
    }
    return event_relay_add_kafka(relay, &conf, err);
}

/* A file that nobody has named stands beside the store. */
static int add_file(struct event_relay *relay, const struct control_conf *from,
                    char err[EVENT_ERR_MAX])
{
    const struct control_event_file *file = &from->events.file;
    const char *slash = strrchr(from->store.path, '/');
    char path[PATH];
    const struct event_file_conf conf = {path, file->max_mb, file->keep};

    if (file->path[0] != '\0') {
        (void)snprintf(path, sizeof(path), "%s", file->path);
    } else {
        (void)snprintf(path, sizeof(path), "%.*sevents.jsonl",
                       slash != NULL ? (int)(slash + 1 - from->store.path) : 0,
                       from->store.path);
    }
    return event_relay_add_file(relay, &conf, err);
}

static int add_sinks(struct event_relay *relay, const struct control_conf *conf,
                     char err[EVENT_ERR_MAX])
{
    const struct control_events *events = &conf->events;
    bool kafka = events->kafka.brokers[0] != '\0';
    int ret = kafka ? add_kafka(relay, &events->kafka, err) : 0;

    if (ret == 0 && events->file.max_mb > 0 && (!kafka || events->file.path[0] != '\0')) {
        ret = add_file(relay, conf, err);
    }
    for (uint32_t i = 0; ret == 0 && i < events->n_webhooks; i++) {
        const struct control_webhook *from = &events->webhooks[i];
        uint32_t hours =
            from->give_up_hours != 0 ? from->give_up_hours : DEFAULT_GIVE_UP_HOURS;
        const struct event_webhook_conf hook = {from->url, from->secret, from->types,
                                                hours * 3600};

        ret = event_relay_add_webhook(relay, &hook, err);
    }
    return ret;
}

/* What the store leaves of an event about a person that was erased is not what its type
 * had. */
static struct event_kind kind_of(const char *type, const char *json)
{
    bool erased = strcmp(json, STORE_ERASED) == 0;
    const struct schema_fact *fact = schema_fact_find(erased ? SCHEMA_ERASED : type);

    return fact != NULL ? (struct event_kind){fact->id, fact->said}
                        : (struct event_kind){NULL, NULL};
}

int outlet_open(struct event_relay **out, const struct control_conf *conf,
                struct store *store, struct loop *loop, struct metric_registry *metrics,
                char *err, size_t cap)
{
    char host[HOST] = "node";
    char why[EVENT_ERR_MAX] = "";
    const struct event_conf relay = {.loop = loop,
                                     .store = store,
                                     .metrics = metrics,
                                     .node = host,
                                     .chat_text = conf->events.chat_text,
                                     .kind_of = kind_of};
    int ret;

    (void)gethostname(host, sizeof(host) - 1);
    ret = event_relay_create(out, &relay);
    if (ret == 0) {
        ret = add_sinks(*out, conf, why);
    }
    if (ret != 0) {
        (void)snprintf(err, cap, "%s", why[0] != '\0' ? why : strerror(-ret));
    }
    return ret;
}
