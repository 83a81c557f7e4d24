/* Small things about the node's listeners: which certificate, which names, how many files.
 */
#ifndef APP_DOORS_H
#define APP_DOORS_H

#include <stddef.h>
#include <stdint.h>

#include "app/control_conf.h"

/* All TLS listeners share one certificate: 'out' is filled with it, NULL if none has one.
 * Returns 0, or -EINVAL with 'err'. */
int doors_certificate(const struct control_conf *conf, const struct control_tls **out,
                      char *err, size_t cap);

/* A connection is a file: the soft limit of most systems (1,024) is for programs that use
 * select(2). What the hard limit does not give, net/ refuses by count. */
void doors_raise_files(uint32_t wanted);

/* Fills 'text' with the addresses of the http listeners, with spaces between. */
void doors_urls(const struct control_conf *conf, char *text, size_t cap);
void doors_metrics_url(const struct control_conf *conf, char *text, size_t cap);

#endif
