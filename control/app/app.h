/* kcs-control as a whole: makes every module, passes each request to the one it is for, and
 * takes all down again in the right order. One at a time in a process. */
#ifndef APP_APP_H
#define APP_APP_H

#include "app/control_conf.h"

struct app;
struct store_backend;

#define APP_VERSION "0.1.0"

enum { APP_ERR_MAX = 640 };

/* Makes the node; it serves from app_run() on.
 *
 * conf  borrowed for the life of the node; with its secret, which is wiped in any case
 * database  what store.url is opened with; NULL: this program has none
 * err   filled on failure with one line: what is missing and what mends it
 *
 * Returns 0; -EINVAL if the configuration is at fault; else another -errno. */
int app_create(struct app **out, struct control_conf *conf,
               const struct store_backend *database, char err[APP_ERR_MAX]);

/* The file that SIGHUP reads anew (borrowed; the one that 'conf' was read from). Without it
 * SIGHUP only reads the certificate anew. */
void app_reload_from(struct app *app, const char *path);

/* Serves until SIGINT, SIGTERM (with shutdown.drain_s: until nobody is left, or so long) or
 * the end of a drain. */
void app_run(struct app *app);

/* NULL is a no-op. */
void app_destroy(struct app *app);

#endif
