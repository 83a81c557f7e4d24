#include "app/doors.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

int doors_certificate(const struct control_conf *conf, const struct control_tls **out,
                      char *err, size_t cap)
{
    const struct control_tls *chosen = NULL;

    for (uint32_t i = 0; i < conf->n_http; i++) {
        const struct control_tls *tls = &conf->http[i].tls;

        if (tls->cert[0] == '\0') {
            continue;
        }
        if (chosen != NULL &&
            (strcmp(tls->cert, chosen->cert) != 0 || strcmp(tls->key, chosen->key) != 0)) {
            (void)snprintf(err, cap,
                           "http[%u].tls names another certificate than the listener "
                           "before it: give all of them the same 'cert' and 'key' (one "
                           "certificate may hold several names)",
                           i);
            return -EINVAL;
        }
        chosen = tls;
    }
    *out = chosen;
    return 0;
}

void doors_raise_files(uint32_t wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool is_any(const char *address)
{
    return strcmp(address, "::") == 0 || strcmp(address, "0.0.0.0") == 0;
}

/* Appends the URL of one listener to a list. */
static void add_url(char *text, size_t cap, const char *address, uint16_t port, bool tls,
                    const char *path)
{
    size_t at = strlen(text);
    bool v6 = strchr(address, ':') != NULL && !is_any(address);

    (void)snprintf(text + at, cap - at, "%s%s://%s%s%s:%u%s", at > 0 ? " " : "",
                   tls ? "https" : "http", v6 ? "[" : "",
                   is_any(address) ? "localhost" : address, v6 ? "]" : "", port, path);
}

void doors_urls(const struct control_conf *conf, char *text, size_t cap)
{
    text[0] = '\0';
    for (uint32_t i = 0; i < conf->n_http; i++) {
        add_url(text, cap, conf->http[i].address, conf->http[i].port,
                conf->http[i].tls.cert[0] != '\0', "/");
    }
}

void doors_metrics_url(const struct control_conf *conf, char *text, size_t cap)
{
    text[0] = '\0';
    add_url(text, cap, conf->admin.metrics_address, conf->admin.metrics_port, false,
            "/metrics");
}
