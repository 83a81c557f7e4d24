/* The tables themselves: complete, bounded, and without contradictions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "schema/schema.h"

enum { MAX_DEPTH = 8 };

static bool named(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (names[i] != NULL && strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void object_is_sound(const struct schema_object *object, int depth);

static void field_is_sound(const struct schema_field *f, const char *of, int depth)
{
    if (f->name == NULL ? f->flags != 0 : f->doc == NULL || f->doc[0] == '\0') {
        fail_msg("%s.%s has no words", of, f->name != NULL ? f->name : "item");
    }
    if (f->max < f->min) {
        fail_msg("%s.%s: max < min", of, f->name);
    }
    switch (f->type) {
    case SCHEMA_STRING:
    case SCHEMA_ID:
    case SCHEMA_URL:
    case SCHEMA_ARRAY:
        if (f->max <= 0) {
            fail_msg("%s.%s has no bound", of, f->name);
        }
        break;
    case SCHEMA_ENUM:
        assert_non_null(f->names);
        assert_non_null(f->names[0]);
        break;
    case SCHEMA_OBJECT:
        object_is_sound(f->object, depth + 1);
        break;
    default:
        break;
    }
    if (f->type == SCHEMA_ARRAY) {
        assert_non_null(f->item);
        field_is_sound(f->item, of, depth + 1);
    }
}

static void object_is_sound(const struct schema_object *object, int depth)
{
    const char *names[64];

    assert_non_null(object);
    assert_true(depth < MAX_DEPTH);
    assert_non_null(object->name);
    assert_non_null(object->doc);
    assert_true(object->n_fields <= 64);
    for (size_t i = 0; i < object->n_fields; i++) {
        names[i] = object->fields[i].name;
        if (names[i] == NULL || named(names, i, names[i])) {
            fail_msg("%s: field %zu has no name of its own", object->name, i);
        }
        field_is_sound(&object->fields[i], object->name, depth);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_true(object->any_of[i] == NULL ||
                    named(names, object->n_fields, object->any_of[i]));
        assert_true(object->not_both[i] == NULL ||
                    named(names, object->n_fields, object->not_both[i]));
    }
}

/* What an event names is there too. */
static void tells_are_told(const struct schema_event *event)
{
    char names[256], *name, *rest = names;

    if (event->tells == NULL) {
        return;
    }
    assert_true(strlen(event->tells) < sizeof(names));
    strcpy(names, event->tells);
    while ((name = strtok_r(rest, " ", &rest)) != NULL) {
        if (schema_told_find(name) == NULL) {
            fail_msg("%s tells %s, which is not in the table", event->name, name);
        }
    }
}

static void every_event_is_complete(void **state)
{
    const struct schema_event *event;
    size_t n = 0;
    (void)state;

    for (; (event = schema_event_at(n)) != NULL; n++) {
        const struct schema_event *told =
            event->told ? schema_told_find(event->name) : schema_event_find(event->name);

        if (told != event) {
            fail_msg("%s stands twice", event->name);
        }
        if (event->doc == NULL || event->doc[0] == '\0') {
            fail_msg("%s has no words", event->name);
        }
        assert_true(event->who < N_AUTH_PERMISSIONS);
        if (event->who == AUTH_PUBLIC) {
            fail_msg("%s: no event comes without a token", event->name);
        }
        object_is_sound(event->payload, 0);
        if (event->told) {
            assert_null(event->reply);
            assert_null(event->tells);
        } else {
            object_is_sound(event->reply, 0);
            assert_int_equal(event->flags & (SCHEMA_STAMPED | SCHEMA_FACT), 0);
            tells_are_told(event);
        }
        for (const char *p = event->name; *p != '\0'; p++) {
            if (islower((unsigned char)*p) == 0 && *p != ':' && *p != '-') {
                fail_msg("%s: a strange name", event->name);
            }
        }
    }
    assert_true(n > 100);
}

static void aliases_are_events(void **state)
{
    (void)state;

    assert_ptr_equal(schema_event_find("producer:create"), schema_event_find("produce"));
    assert_ptr_equal(schema_event_find("consumer:create"), schema_event_find("consume"));
    assert_null(schema_event_find("no:such"));
    assert_null(schema_event_find(""));
    assert_null(schema_event_find("participant:joined"));
    assert_null(schema_told_find("room:join"));
    assert_ptr_not_equal(schema_event_find("caption:segment"),
                         schema_told_find("caption:segment"));
}

/* ---- objects: each name once ---- */

struct seen {
    const struct schema_object *at[512];
    size_t n;
};

/* Two objects of one name would be one type to who reads the documents. */
static void see(struct seen *seen, const struct schema_object *object)
{
    for (size_t i = 0; i < seen->n; i++) {
        if (seen->at[i] == object) {
            return;
        }
        if (strcmp(seen->at[i]->name, object->name) == 0) {
            fail_msg("two objects are called %s", object->name);
        }
    }
    assert_true(seen->n < sizeof(seen->at) / sizeof(seen->at[0]));
    seen->at[seen->n++] = object;
    for (size_t i = 0; i < object->n_fields; i++) {
        const struct schema_field *f = &object->fields[i];

        while (f->type == SCHEMA_ARRAY) {
            f = f->item;
        }
        if (f->type == SCHEMA_OBJECT) {
            see(seen, f->object);
        }
    }
}

static void objects_have_names_of_their_own(void **state)
{
    const struct schema_event *event;
    const struct schema_route *route;
    struct seen seen = {.n = 0};
    (void)state;

    for (size_t i = 0; (event = schema_event_at(i)) != NULL; i++) {
        see(&seen, event->payload);
        if (!event->told) {
            see(&seen, event->reply);
        }
    }
    for (size_t i = 0; (route = schema_route_at(i)) != NULL; i++) {
        see(&seen, route->query);
        see(&seen, route->body);
        see(&seen, route->answer);
    }
}

/* ---- routes ---- */

static void every_route_is_complete(void **state)
{
    const struct schema_route *route;
    (void)state;

    for (size_t i = 0; (route = schema_route_at(i)) != NULL; i++) {
        struct schema_params params;
        char path[128], methods[SCHEMA_METHODS_LEN];
        size_t n = 0;

        if (route->doc == NULL || route->doc[0] == '\0') {
            fail_msg("%s %s has no words", route->method, route->path);
        }
        object_is_sound(route->query, 0);
        object_is_sound(route->body, 0);
        object_is_sound(route->answer, 0);
        for (size_t j = 0; j < route->query->n_fields; j++) {
            enum schema_type type = route->query->fields[j].type;

            assert_true(type != SCHEMA_OBJECT && type != SCHEMA_ARRAY &&
                        type != SCHEMA_ANY && type != SCHEMA_NUMBER);
        }
        assert_true(strcmp(route->method, "GET") != 0 || route->body->n_fields == 0);
        /* found under its own path, with names in the places of {…} */
        for (const char *p = route->path; *p != '\0'; p++) {
            if (*p == '{') {
                p = strchr(p, '}');
                path[n++] = 'x';
            } else {
                path[n++] = *p;
            }
        }
        path[n] = '\0';
        if (schema_route_find(route->method, path, &params, methods) != route) {
            fail_msg("%s %s stands twice, or behind another", route->method, route->path);
        }
    }
}

static void routes_are_found_by_method_and_path(void **state)
{
    static const char longest[] =
        "/api/meeting/0123456789012345678901234567890123456789012345678901234567890123";
    static const struct {
        const char *method, *path, *found, *methods;
    } cases[] = {
        {"GET", "/api/meeting", "/api/meeting", "GET, HEAD, POST"},
        {"HEAD", "/api/meeting", "/api/meeting", "GET, HEAD, POST"},
        {"DELETE", "/api/meeting", NULL, "GET, HEAD, POST"},
        {"GET", "/api/meeting/system/stats", "/api/meeting/system/stats", "GET, HEAD"},
        {"GET", "/api/meeting/x", "/api/meeting/{id}", "GET, HEAD, PUT, PATCH, DELETE"},
        {"GET", longest, "/api/meeting/{id}", "GET, HEAD, PUT, PATCH, DELETE"},
        {"GET", "/api/meeting/", NULL, ""},
        {"GET", "/api/meeting/x/", NULL, ""},
        {"GET", "/api/meeting//chat", NULL, ""},
        {"GET", "/api", NULL, ""},
        {"GET", "", NULL, ""},
        {"", "/api/meeting/x", NULL, "GET, HEAD, PUT, PATCH, DELETE"},
    };
    struct schema_params params;
    char methods[SCHEMA_METHODS_LEN], more[128];
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct schema_route *route =
            schema_route_find(cases[i].method, cases[i].path, &params, methods);

        assert_string_equal(methods, cases[i].methods);
        if (cases[i].found == NULL) {
            assert_null(route);
        } else {
            assert_non_null(route);
            assert_string_equal(route->path, cases[i].found);
        }
    }
    assert_non_null(schema_route_find("PATCH", "/api/meeting/m-1/participants/u 2/role",
                                      &params, methods));
    assert_int_equal(params.n, 2);
    assert_string_equal(params.at[0], "m-1");
    assert_string_equal(params.at[1], "u 2");
    assert_null(schema_route_find("GET", "/api/meeting/a\rb/chat", &params, methods));
    assert_null(schema_route_find("GET", "/api/meeting/a\x7f", &params, methods));
    (void)snprintf(more, sizeof(more), "%sx", longest);
    assert_null(schema_route_find("GET", more, &params, methods));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_is_complete),
        cmocka_unit_test(aliases_are_events),
        cmocka_unit_test(objects_have_names_of_their_own),
        cmocka_unit_test(every_route_is_complete),
        cmocka_unit_test(routes_are_found_by_method_and_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
