/* SIGHUP: the configuration is read anew, and what can change while the node runs does. A
 * file that is wrong is refused as a whole; the old configuration stays. */
#ifndef APP_RELOAD_H
#define APP_RELOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "app/control_conf.h"

enum { RELOAD_NAMES_MAX = 512 };

/* What differs between two configurations, as keys with spaces between: 'live' can change,
 * 'start' needs a restart. What does not fit is left out. */
struct reload_diff {
    char live[RELOAD_NAMES_MAX];
    char start[RELOAD_NAMES_MAX];
};

/* Compares, and takes into 'conf' from 'fresh' what can change while the node runs. Secrets
 * must be in both, or in none; auth.hs256_secret is not looked at. Pure. */
void reload_take(struct control_conf *conf, const struct control_conf *fresh,
                 struct reload_diff *diff);

#endif
