/* Live streams to be fetched: what kcs-egress puts into their directory. */
#ifndef REST_LIVE_H
#define REST_LIVE_H

#include <stdbool.h>

struct net_req;

bool live_is_path(const char *path);

/* Answers. 'directory' is that of all live streams; "": there are none. */
void live_serve(const char *directory, struct net_req *req);

#endif
