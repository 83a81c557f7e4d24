/* Where events go, as the configuration says. */
#ifndef APP_OUTLET_H
#define APP_OUTLET_H

#include <stddef.h>

struct control_conf;
struct event_relay;
struct loop;
struct metric_registry;
struct store;

/* Fills 'out' with the relay and its sinks. All is borrowed. 0, or -errno with 'err' (of
 * 'cap' bytes) filled with one line. */
int outlet_open(struct event_relay **out, const struct control_conf *conf,
                struct store *store, struct loop *loop, struct metric_registry *metrics,
                char *err, size_t cap);

#endif
