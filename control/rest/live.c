#include "rest/live.h"

#include <string.h>

#include "net/net.h"
#include "rest/respond.h"

static const char PREFIX[] = "/live/";

bool live_is_path(const char *path)
{
    return strncmp(path, PREFIX, strlen(PREFIX)) == 0;
}

static bool ends_with(const char *path, const char *end)
{
    size_t len = strlen(path), n = strlen(end);

    return len >= n && strcmp(path + len - n, end) == 0;
}

/* For players of every page, and for caches on the way to thousands of them: a manifest is
 * another each second, and nothing else ever is. */
void live_serve(const char *directory, struct net_req *req)
{
    const char *path = net_req_path(req);
    bool list = ends_with(path, ".m3u8") || ends_with(path, ".mpd");
    const struct net_header headers[] = {
        {"access-control-allow-origin", "*"},
        {"cache-control", list ? "public, max-age=1" : "public, max-age=86400, immutable"},
    };

    if (directory == NULL || directory[0] == '\0') {
        respond_problem(req, 404, "not_found", "this node has no live streams", NULL);
        return;
    }
    net_respond_file(req, directory, path + strlen(PREFIX) - 1, headers,
                     sizeof(headers) / sizeof(headers[0]));
}
