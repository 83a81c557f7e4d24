/* OpenAPI 3.1 of the routes; see document.h. */
#include <stdio.h>
#include <string.h>

#include "schema/document.h"
#include "schema/json_schema.h"

/* ---- parameters ---- */

static void add_path_params(json_t *list, const char *path)
{
    while ((path = strchr(path, '{')) != NULL) {
        size_t len = strcspn(++path, "}");

        json_schema_add(list, json_pack("{s:s%,s:s,s:b,s:{s:s,s:i,s:i,s:s}}", "name", path,
                                        len, "in", "path", "required", 1, "schema", "type",
                                        "string", "minLength", 1, "maxLength",
                                        SCHEMA_PARAM_MAX, "pattern", "^[^/]+$"));
    }
}

static void add_query(json_t *list, const struct schema_object *query, json_t *components)
{
    for (size_t i = 0; i < query->n_fields; i++) {
        const struct schema_field *f = &query->fields[i];
        json_t *schema = json_schema_field(f, components);

        (void)json_object_del(schema, "description");
        json_schema_add(list,
                        json_pack("{s:s,s:s,s:b,s:s,s:o}", "name", f->name, "in", "query",
                                  "required", (int)((f->flags & SCHEMA_REQUIRED) != 0),
                                  "description", f->doc, "schema", schema));
    }
}

/* longest  characters that are taken; 0: what HTTP takes */
static void add_header(json_t *list, const char *name, bool required, int longest,
                       const char *doc)
{
    json_t *schema = json_pack("{s:s}", "type", "string");

    if (longest > 0) {
        json_schema_set(schema, "minLength", json_integer(1));
        json_schema_set(schema, "maxLength", json_integer(longest));
    }
    json_schema_add(list, json_pack("{s:s,s:s,s:b,s:s,s:o}", "name", name, "in", "header",
                                    "required", (int)required, "description", doc, "schema",
                                    schema));
}

static json_t *parameters(const struct schema_route *route, json_t *components)
{
    bool get = strcmp(route->method, "GET") == 0;
    json_t *list = json_array();

    add_path_params(list, route->path);
    add_query(list, route->query, components);
    if ((route->flags & SCHEMA_ETAG) != 0 && strcmp(route->method, "POST") != 0) {
        add_header(
            list, get ? "If-None-Match" : "If-Match", strcmp(route->method, "PUT") == 0, 0,
            get ? "an ETag: 304 if it still is so" : "an ETag: 412 if it is another now");
    }
    if ((route->flags & SCHEMA_REPEAT) != 0) {
        add_header(list, "Idempotency-Key", false, SCHEMA_REPEAT_MAX,
                   "the same for a repetition, which is then not done twice");
    }
    return list;
}

/* ---- bodies ---- */

static json_t *content(const char *type, json_t *schema)
{
    return json_pack("{s:{s:o}}", type, "schema", schema);
}

static json_t *free_schema(const char *type)
{
    return strstr(type, "json") != NULL ? json_pack("{s:s}", "type", "object")
                                        : json_pack("{s:s}", "type", "string");
}

/* {success, data}, and what a list has beside it. */
static json_t *success(const struct schema_route *route, json_t *components)
{
    bool list = (route->flags & SCHEMA_LIST) != 0;
    json_t *data = json_schema_ref(route->answer, components);
    json_t *out;

    if (list) {
        data = json_pack("{s:s,s:o}", "type", "array", "items", data);
    }
    out = json_pack("{s:s,s:[s,s],s:{s:{s:b},s:o}}", "type", "object", "required",
                    "success", "data", "properties", "success", "const", 1, "data", data);
    if (list) {
        json_t *properties = json_object_get(out, "properties");

        json_schema_set(properties, "count",
                        json_pack("{s:s,s:i}", "type", "integer", "minimum", 0));
        json_schema_set(properties, "next_cursor",
                        json_pack("{s:[s,s],s:s}", "type", "string", "null", "description",
                                  "null: that was the last page"));
        json_schema_add(json_object_get(out, "required"), json_string("count"));
        json_schema_add(json_object_get(out, "required"), json_string("next_cursor"));
    }
    return out;
}

static json_t *responses(const struct schema_route *route, json_t *components)
{
    unsigned status = schema_route_status(route);
    json_t *good = json_pack("{s:s}", "description", route->doc);
    json_t *out = json_object();
    char code[8];

    if (route->gives != NULL) {
        json_schema_set(good, "content", content(route->gives, free_schema(route->gives)));
    } else if (status != 204 && (route->answer->n_fields > 0 || route->takes == NULL)) {
        json_schema_set(good, "content",
                        content("application/json", success(route, components)));
    }
    (void)snprintf(code, sizeof(code), "%u", status);
    json_schema_set(out, code, good);
    if (strcmp(route->method, "GET") == 0 && (route->flags & SCHEMA_ETAG) != 0) {
        json_schema_set(out, "304",
                        json_pack("{s:s}", "description", "it is what If-None-Match names"));
    }
    json_schema_set(out, "default",
                    json_pack("{s:s}", "$ref", "#/components/responses/Problem"));
    return out;
}

/* ---- operations ---- */

/* "get_meeting_id_chat" */
static json_t *operation_id(const struct schema_route *route)
{
    char text[128];
    size_t n = 0;

    for (const char *p = route->method; *p != '\0'; p++) {
        text[n++] = (char)(*p | 0x20);
    }
    for (const char *p = route->path; *p != '\0' && n + 2 < sizeof(text); p++) {
        if (*p == '/' || *p == '-' || *p == '.') {
            text[n++] = '_';
        } else if (*p != '{' && *p != '}') {
            text[n++] = *p;
        }
    }
    return json_stringn(text, n);
}

/* The part of the interface: what stands behind /api/. */
static json_t *tag(const struct schema_route *route)
{
    const char *part =
        strncmp(route->path, "/api/", 5) == 0 ? route->path + 5 : route->path + 1;

    return json_stringn(part, strcspn(part, "/."));
}

/* One of which no field is needed may be left out. */
static bool needs_body(const struct schema_route *route)
{
    bool needs = route->takes != NULL;

    for (size_t i = 0; i < route->body->n_fields; i++) {
        needs |= (route->body->fields[i].flags & SCHEMA_REQUIRED) != 0;
    }
    return needs;
}

static json_t *operation(const struct schema_route *route, json_t *components)
{
    char roles[256], text[512];
    json_t *out;

    json_schema_roles(route->who, roles, sizeof(roles));
    (void)snprintf(text, sizeof(text), "Needs `%s` (%s): %s.%s",
                   auth_permission_name(route->who), auth_permission_doc(route->who), roles,
                   (route->flags & SCHEMA_LATER) != 0
                       ? " Not built yet: answers 501 `not_implemented`."
                       : "");
    out =
        json_pack("{s:o,s:[o],s:s,s:s,s:s,s:o,s:o}", "operationId", operation_id(route),
                  "tags", tag(route), "summary", route->doc, "description", text,
                  "x-permission", auth_permission_name(route->who), "parameters",
                  parameters(route, components), "responses", responses(route, components));
    if (route->takes != NULL || route->body->n_fields > 0) {
        const char *type = route->takes != NULL ? route->takes : "application/json";
        json_t *schema = route->takes != NULL ? free_schema(type)
                                              : json_schema_ref(route->body, components);

        json_schema_set(out, "requestBody",
                        json_pack("{s:b,s:o}", "required", (int)needs_body(route),
                                  "content", content(type, schema)));
    }
    if (route->share > 0) {
        json_schema_set(out, "x-share-percent", json_integer(route->share));
    }
    json_schema_set(out, "security",
                    route->who == AUTH_PUBLIC ? json_array()
                                              : json_pack("[{s:[]}]", "bearer"));
    return out;
}

static json_t *problem(void)
{
    return json_pack(
        "{s:s,s:s,s:[s,s,s,s,s,s],s:{s:{s:s},s:{s:s},s:{s:s,s:i,s:i},s:{s:s},"
        "s:{s:b},s:{s:s},s:{s:s},s:{s:s,s:{s:s,s:[s,s],s:{s:{s:s},s:{s:s}}}},s:{s:s}}}",
        "type", "object", "description", "RFC 9457, and what a success has too", "required",
        "status", "success", "code", "message", "errors", "request_id", "properties",
        "type", "type", "string", "title", "type", "string", "status", "type", "integer",
        "minimum", 400, "maximum", 599, "detail", "type", "string", "success", "const", 0,
        "code", "type", "string", "message", "type", "string", "errors", "type", "array",
        "items", "type", "object", "required", "path", "reason", "properties", "path",
        "type", "string", "reason", "type", "string", "request_id", "type", "string");
}

json_t *schema_openapi(const char *version)
{
    json_t *components = json_object();
    const struct schema_route *route;
    json_t *paths = json_object();

    json_schema_set(components, "Problem", problem());
    for (size_t i = 0; (route = schema_route_at(i)) != NULL; i++) {
        json_t *path = json_object_get(paths, route->path);
        char method[8];
        size_t n = 0;

        if (path == NULL) {
            json_schema_set(paths, route->path, json_object());
            path = json_object_get(paths, route->path);
        }
        for (; route->method[n] != '\0' && n + 1 < sizeof(method); n++) {
            method[n] = (char)(route->method[n] | 0x20);
        }
        method[n] = '\0';
        json_schema_set(path, method, operation(route, components));
    }
    return json_schema_whole(json_pack(
        "{s:s,s:{s:s,s:s,s:s},s:[{s:s}],s:o,s:{s:o,s:{s:{s:s,s:{s:{s:{s:s}}}}},"
        "s:{s:{s:s,s:s,s:s}}}}",
        "openapi", "3.1.0", "info", "title", "KCS meetings", "version", version,
        "description", "Made from the table that requests are checked against.", "servers",
        "url", "/", "paths", paths, "components", "schemas", components, "responses",
        "Problem", "description", "a failure", "content", "application/problem+json",
        "schema", "$ref", "#/components/schemas/Problem", "securitySchemes", "bearer",
        "type", "http", "scheme", "bearer", "bearerFormat", "JWT"));
}
