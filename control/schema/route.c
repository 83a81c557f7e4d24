/* Finding routes; see schema.h. */
#include <stdio.h>
#include <string.h>

#include "schema/table.h"

const struct schema_route *schema_route_at(size_t i)
{
    return i < schema_routes_all.n ? &schema_routes_all.at[i] : NULL;
}

unsigned schema_route_status(const struct schema_route *route)
{
    return (route->flags & SCHEMA_CREATED) != 0 ? 201
           : (route->flags & SCHEMA_EMPTY) != 0 ? 204
                                                : 200;
}

bool schema_has_control(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

/* Whether the path is one of the pattern's; fills 'params' with what its {…} stand for. */
static bool fits(const char *pattern, const char *path, struct schema_params *params)
{
    params->n = 0;
    for (;;) {
        size_t want = strcspn(pattern, "/");
        size_t have = strcspn(path, "/");

        if (pattern[0] == '{' && have > 0 && have <= SCHEMA_PARAM_MAX &&
            params->n < SCHEMA_PATH_PARAMS && !schema_has_control(path, have)) {
            memcpy(params->at[params->n], path, have);
            params->at[params->n++][have] = '\0';
        } else if (want != have || memcmp(pattern, path, want) != 0) {
            return false;
        }
        pattern += want;
        path += have;
        if (*pattern == '\0' || *path == '\0') {
            return *pattern == *path;
        }
        pattern++;
        path++;
    }
}

static void add_method(char methods[SCHEMA_METHODS_LEN], const char *method)
{
    size_t len = strlen(methods);

    (void)snprintf(methods + len, SCHEMA_METHODS_LEN - len, "%s%s", len > 0 ? ", " : "",
                   method);
}

const struct schema_route *schema_route_find(const char *method, const char *path,
                                             struct schema_params *params,
                                             char methods[SCHEMA_METHODS_LEN])
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    const struct schema_route *found = NULL;
    struct schema_params here = {.n = 0};
    const char *pattern = NULL;

    methods[0] = '\0';
    params->n = 0;
    for (size_t i = 0; i < schema_routes_all.n; i++) {
        const struct schema_route *route = &schema_routes_all.at[i];

        /* the first path that fits counts: fixed names stand before any */
        if (pattern != NULL ? strcmp(pattern, route->path) != 0
                            : !fits(route->path, path, &here)) {
            continue;
        }
        pattern = route->path;
        *params = here;
        add_method(methods, route->method);
        if (strcmp(route->method, "GET") == 0) {
            add_method(methods, "HEAD");
        }
        if (strcmp(route->method, wanted) == 0) {
            found = route;
        }
    }
    return found;
}
