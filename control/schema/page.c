/* The page /docs; see document.h. Plain HTML, made of the table itself, so that it needs
 * neither script nor style in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/document.h"
#include "schema/json_schema.h"

const char schema_style[] =
    ":root { color-scheme: light dark; --line: #8884; --soft: #8882; }\n"
    "body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto;\n"
    "    padding: 1rem 1.5rem 4rem; }\n"
    "nav { columns: 14rem; border: 1px solid var(--line); padding: .8rem 1rem; }\n"
    "nav a { display: block; overflow-wrap: anywhere; }\n"
    "h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }\n"
    "h3 { margin: 2rem 0 .3rem; font: 600 1.05rem ui-monospace, monospace; }\n"
    "table { border-collapse: collapse; width: 100%; margin: .4rem 0 1rem; }\n"
    "th, td { text-align: left; vertical-align: top; padding: .25rem .7rem;\n"
    "    border-bottom: 1px solid var(--line); }\n"
    "th { font-weight: 600; background: var(--soft); }\n"
    "code { font: .92em ui-monospace, monospace; }\n"
    ".later { border-left: .3rem solid #b60; padding-left: .6rem; }\n";

/* Text of ours, which may have signs of HTML in it. */
static void put(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<') {
            (void)fputs("&lt;", to);
        } else if (*text == '&') {
            (void)fputs("&amp;", to);
        } else if (*text == '"') {
            (void)fputs("&quot;", to);
        } else {
            (void)fputc(*text, to);
        }
    }
}

/* ---- objects ---- */

static void put_bounds(FILE *to, const struct schema_field *f)
{
    switch (f->type) {
    case SCHEMA_STRING:
    case SCHEMA_ID:
    case SCHEMA_URL:
        (void)fprintf(to, ", %lld to %lld characters", (long long)f->min,
                      (long long)f->max);
        if (f->max_bytes != 0) {
            (void)fprintf(to, ", at most %u bytes", f->max_bytes);
        }
        break;
    case SCHEMA_INTEGER:
    case SCHEMA_NUMBER:
        (void)fprintf(to, ", %lld to %lld", (long long)f->min, (long long)f->max);
        break;
    case SCHEMA_ARRAY:
        (void)fprintf(to, ", %lld to %lld of them", (long long)f->min, (long long)f->max);
        break;
    default:
        break;
    }
}

static void put_type(FILE *to, const struct schema_field *f)
{
    static const char *const names[] = {
        [SCHEMA_STRING] = "text",
        [SCHEMA_ID] = "id",
        [SCHEMA_INTEGER] = "integer",
        [SCHEMA_NUMBER] = "number",
        [SCHEMA_BOOLEAN] = "boolean",
        [SCHEMA_ENUM] = "one of",
        [SCHEMA_TIME] = "time",
        [SCHEMA_URL] = "URL",
        [SCHEMA_OBJECT] = "",
        [SCHEMA_ARRAY] = "list of ",
        [SCHEMA_ANY] = "anything, within bounds",
    };
    char name[TYPE_NAME_MAX];

    (void)fputs(names[f->type], to);
    if (f->type == SCHEMA_OBJECT) {
        json_schema_name(f->object, name);
        (void)fprintf(to, "<a href=\"#%s\">%s</a>", name, name);
    } else if (f->type == SCHEMA_ARRAY) {
        put_type(to, f->item);
    }
    for (size_t i = 0; f->type == SCHEMA_ENUM && f->names[i] != NULL; i++) {
        (void)fprintf(to, " <code>%s</code>", f->names[i]);
    }
    put_bounds(to, f);
}

static void put_fields(FILE *to, const struct schema_object *object)
{
    if (object->n_fields == 0) {
        return;
    }
    (void)fputs("<table><thead><tr><th scope=\"col\">field</th><th scope=\"col\">type</th>"
                "<th scope=\"col\">what</th></tr></thead><tbody>\n",
                to);
    for (size_t i = 0; i < object->n_fields; i++) {
        const struct schema_field *f = &object->fields[i];

        (void)fprintf(to, "<tr><td><code>%s</code>%s</td><td>", f->name,
                      (f->flags & SCHEMA_REQUIRED) != 0 ? "" : " (may be left out)");
        put_type(to, f);
        (void)fprintf(to, "%s</td><td>",
                      (f->flags & SCHEMA_NULLABLE) != 0 ? ", or null" : "");
        put(to, f->doc);
        (void)fputs("</td></tr>\n", to);
    }
    (void)fputs("</tbody></table>\n", to);
}

static void put_object_link(FILE *to, const char *label, const struct schema_object *object)
{
    char name[TYPE_NAME_MAX];

    if (object->n_fields > 0) {
        json_schema_name(object, name);
        (void)fprintf(to, "<p>%s: <a href=\"#%s\">%s</a></p>\n", label, name, name);
    }
}

/* ---- events and routes ---- */

static void put_who(FILE *to, enum auth_permission who, bool later)
{
    char roles[256];

    json_schema_roles(who, roles, sizeof(roles));
    (void)fprintf(to, "<p>Needs <code>%s</code>: %s.%s</p>\n", auth_permission_name(who),
                  roles, later ? " <strong>Not built yet.</strong>" : "");
}

static void put_event(FILE *to, const struct schema_event *event)
{
    bool later = (event->flags & SCHEMA_LATER) != 0;

    (void)fprintf(to, "<section%s><h3 id=\"%s%s\">%s</h3><p>", later ? " class=later" : "",
                  event->told ? "told-" : "", event->name, event->name);
    put(to, event->doc);
    (void)fputs("</p>\n", to);
    if (!event->told) {
        put_who(to, event->who, later);
        put_object_link(to, "Payload", event->payload);
        put_object_link(to, "Answer", event->reply);
        if (event->instead != NULL) {
            put_object_link(to, "Answer to who has to wait", event->instead);
        }
        if (event->paired != NULL) {
            (void)fprintf(to, "<p>Paired event: <code>%s</code></p>\n", event->paired);
        }
        if (event->tells != NULL) {
            (void)fprintf(to, "<p>Others are told: <code>%s</code></p>\n", event->tells);
        }
    } else {
        if (later) {
            (void)fputs("<p><strong>Not built yet.</strong></p>\n", to);
        }
        put_object_link(to, "Payload", event->payload);
        if ((event->flags & SCHEMA_FACT) != 0) {
            (void)fputs("<p>A lasting fact, with <code>epoch</code> and <code>seq</code>."
                        "</p>\n",
                        to);
        }
    }
    (void)fputs("</section>\n", to);
}

static void put_route(FILE *to, const struct schema_route *route)
{
    bool later = (route->flags & SCHEMA_LATER) != 0;

    (void)fprintf(to, "<section%s><h3>%s %s</h3><p>", later ? " class=later" : "",
                  route->method, route->path);
    put(to, route->doc);
    (void)fputs("</p>\n", to);
    put_who(to, route->who, later);
    put_object_link(to, "Query", route->query);
    put_object_link(to, "Body", route->body);
    put_object_link(to, (route->flags & SCHEMA_LIST) != 0 ? "Answer, a list of" : "Answer",
                    route->answer);
    if (route->takes != NULL) {
        (void)fprintf(to, "<p>Takes <code>%s</code></p>\n", route->takes);
    }
    if (route->gives != NULL) {
        (void)fprintf(to, "<p>Gives <code>%s</code></p>\n", route->gives);
    }
    (void)fputs("</section>\n", to);
}

/* ---- all objects, each once ---- */

/* JSON Schema's components are those that are used, by name. */
static json_t *all_names(void)
{
    json_t *names = json_object();
    const struct schema_event *event;
    const struct schema_route *route;

    for (size_t i = 0; (event = schema_event_at(i)) != NULL; i++) {
        json_decref(json_schema_ref(event->payload, names));
        if (!event->told) {
            json_decref(json_schema_ref(event->reply, names));
        }
        if (event->instead != NULL) {
            json_decref(json_schema_ref(event->instead, names));
        }
    }
    for (size_t i = 0; (route = schema_route_at(i)) != NULL; i++) {
        json_decref(json_schema_ref(route->query, names));
        json_decref(json_schema_ref(route->body, names));
        json_decref(json_schema_ref(route->answer, names));
    }
    return names;
}

static void put_object(FILE *to, const struct schema_object *object, json_t *left)
{
    char name[TYPE_NAME_MAX];

    json_schema_name(object, name);
    if (json_object_del(left, name) != 0) {
        return; /* it was there */
    }
    if (object->n_fields > 0) {
        (void)fprintf(to, "<section><h3 id=\"%s\">%s</h3><p>", name, name);
        put(to, object->doc);
        (void)fputs("</p>\n", to);
        put_fields(to, object);
        (void)fputs("</section>\n", to);
    }
    for (size_t i = 0; i < object->n_fields; i++) {
        const struct schema_field *f = &object->fields[i];

        while (f->type == SCHEMA_ARRAY) {
            f = f->item;
        }
        if (f->type == SCHEMA_OBJECT) {
            put_object(to, f->object, left);
        }
    }
}

static void put_objects(FILE *to)
{
    json_t *left = all_names();
    const struct schema_event *event;
    const struct schema_route *route;

    for (size_t i = 0; (event = schema_event_at(i)) != NULL; i++) {
        put_object(to, event->payload, left);
        if (!event->told) {
            put_object(to, event->reply, left);
        }
        if (event->instead != NULL) {
            put_object(to, event->instead, left);
        }
    }
    for (size_t i = 0; (route = schema_route_at(i)) != NULL; i++) {
        put_object(to, route->query, left);
        put_object(to, route->body, left);
        put_object(to, route->answer, left);
    }
    json_decref(left);
}

static void put_all(FILE *to, const char *version)
{
    const struct schema_event *event;
    const struct schema_route *route;

    (void)fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                "<meta name=\"viewport\" content=\"width=device-width\">"
                "<title>KCS: interface</title>"
                "<link rel=\"stylesheet\" href=\"/docs/style.css\"></head><body>\n"
                "<h1>Interface</h1><p>Version ",
                to);
    put(to, version);
    (void)fputs(". For programs: <a href=\"/api/openapi.json\">OpenAPI 3.1</a>, "
                "<a href=\"/api/asyncapi.json\">AsyncAPI 3.0</a>.</p>\n"
                "<nav aria-label=\"Parts\"><a href=\"#rest\">REST</a>"
                "<a href=\"#sent\">Events that clients send</a>"
                "<a href=\"#told\">Events that the server sends</a>"
                "<a href=\"#objects\">Objects</a></nav>\n<main>\n"
                "<h2 id=\"rest\">REST</h2>\n",
                to);
    for (size_t i = 0; (route = schema_route_at(i)) != NULL; i++) {
        put_route(to, route);
    }
    for (int told = 0; told < 2; told++) {
        (void)fprintf(to, "<h2 id=\"%s\">Events that %s</h2>\n",
                      told != 0 ? "told" : "sent",
                      told != 0 ? "the server sends" : "clients send");
        for (size_t i = 0; (event = schema_event_at(i)) != NULL; i++) {
            if (event->told == (told != 0)) {
                put_event(to, event);
            }
        }
    }
    (void)fputs("<h2 id=\"objects\">Objects</h2>\n", to);
    put_objects(to);
    (void)fputs("</main></body></html>\n", to);
}

char *schema_page(const char *version)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    if (to == NULL) {
        return NULL;
    }
    put_all(to, version);
    if (fclose(to) != 0 ||
        json_schema_whole(json_true()) == NULL) { /* its objects' names */
        free(text);
        text = NULL;
    }
    return text;
}
