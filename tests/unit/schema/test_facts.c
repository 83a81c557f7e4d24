/* Schemas of the events that leave the node: each kept event has one, each is whole, and none
 * takes from its readers what an earlier one has promised (vectors/events.json). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/document.h"
#include "schema/schema.h"

enum { PLACE = 256 };

/* ---- compatible ---- */

/* What a reader of an event may rely on; 'place' says what is lost or retyped. */
static bool keeps(const json_t *was, const json_t *was_root, const json_t *is,
                  const json_t *is_root, char place[PLACE]);

static const json_t *follow(const json_t *schema, const json_t *root)
{
    const char *ref = json_string_value(json_object_get(schema, "$ref"));

    if (ref == NULL) {
        return schema;
    }
    assert_int_equal(strncmp(ref, "#/$defs/", 8), 0);
    schema = json_object_get(json_object_get(root, "$defs"), ref + 8);
    assert_non_null(schema);
    return schema;
}

static bool holds(const json_t *list, const json_t *value)
{
    size_t i = 0;

    while (i < json_array_size(list) && !json_equal(json_array_get(list, i), value)) {
        i++;
    }
    return i < json_array_size(list);
}

/* Of two lists, [a, b] or a alone: whether 'all' has each of 'some'. */
static bool has_all(const json_t *all, const json_t *some)
{
    bool has = true;

    if (some == NULL) {
        return true;
    }
    if (!json_is_array(some)) {
        return json_is_array(all) ? holds(all, some) : json_equal(all, some);
    }
    for (size_t i = 0; i < json_array_size(some); i++) {
        has = has && has_all(all, json_array_get(some, i));
    }
    return has;
}

static bool lost(char place[PLACE], const char *name, const char *what)
{
    char behind[PLACE];

    (void)snprintf(behind, sizeof(behind), "%s", place);
    (void)snprintf(place, PLACE, "%.60s%.40s%.100s", name, what, behind);
    return false;
}

static bool keeps_properties(const json_t *was, const json_t *was_root, const json_t *is,
                             const json_t *is_root, char place[PLACE])
{
    const json_t *now = json_object_get(is, "properties");
    json_t *then = json_object_get(was, "properties");
    const char *name;
    json_t *member;

    json_object_foreach (then, name, member) {
        const json_t *other = json_object_get(now, name);

        if (other == NULL) {
            return lost(place, name, " is missing");
        }
        if (!keeps(member, was_root, other, is_root, place)) {
            return lost(place, name, ".");
        }
    }
    return has_all(json_object_get(is, "required"), json_object_get(was, "required")) ||
           lost(place, "", "what was required is no more");
}

/* An object that may be null is {anyOf: [object, null]}. */
static const json_t *but_null(const json_t *schema, bool *null)
{
    const json_t *any = json_object_get(schema, "anyOf");

    const char *second = json_string_value(json_object_get(json_array_get(any, 1), "type"));

    *null = second != NULL && strcmp(second, "null") == 0;
    return *null ? json_array_get(any, 0) : schema;
}

static bool keeps_type(const json_t *was, const json_t *is)
{
    const json_t *type = json_object_get(is, "type");
    const json_t *format = json_object_get(is, "format");

    return json_object_get(was, "type") == NULL ||
           (type != NULL && has_all(json_object_get(was, "type"), type) &&
            (json_object_get(was, "format") == NULL
                 ? format == NULL
                 : json_equal(json_object_get(was, "format"), format)));
}

static bool keeps(const json_t *was, const json_t *was_root, const json_t *is,
                  const json_t *is_root, char place[PLACE])
{
    bool was_null;
    bool is_null;

    was = follow(but_null(was, &was_null), was_root);
    is = follow(but_null(is, &is_null), is_root);
    if ((is_null && !was_null) || !keeps_type(was, is)) {
        return lost(place, "", "another type");
    }
    if (!has_all(json_object_get(is, "enum"), json_object_get(was, "enum"))) {
        return lost(place, "", "a value is missing");
    }
    if (json_object_get(was, "items") != NULL &&
        !keeps(json_object_get(was, "items"), was_root, json_object_get(is, "items"), is_root,
               place)) {
        return lost(place, "[]", ".");
    }
    return keeps_properties(was, was_root, is, is_root, place);
}

static bool is_compatible(const json_t *was, const json_t *is, char place[PLACE])
{
    place[0] = '\0';
    return keeps(was, was, is, is, place);
}

static json_t *properties_of(json_t *schema)
{
    return json_object_get(schema, "properties");
}

/* ---- tests ---- */

static void every_kept_event_has_a_type(void **state)
{
    const struct schema_event *event;
    size_t n = 0;
    (void)state;

    for (size_t i = 0; (event = schema_event_at(i)) != NULL; i++) {
        bool later = (event->flags & SCHEMA_LATER) != 0;

        if (event->told && (event->flags & SCHEMA_FACT) == SCHEMA_FACT && !later &&
            strcmp(event->name, "media:updated") != 0) { /* the same under another name */
            if (schema_fact_of(event->name) == NULL) {
                fail_msg("%s is kept under no type", event->name);
            }
            n++;
        }
    }
    assert_in_range(n, 25, 100);
}

static void every_schema_is_whole(void **state)
{
    json_t *all = schema_facts();
    json_t *schemas = json_object_get(all, "schemas");
    const struct schema_fact *fact;
    (void)state;

    for (size_t i = 0; (fact = schema_fact_at(i)) != NULL; i++) {
        json_t *schema = json_object_get(schemas, fact->type);
        char *text = json_dumps(schema, 0);
        char place[PLACE];

        assert_ptr_equal(schema_fact_find(fact->type), fact); /* no two of a name */
        assert_true(fact->data != NULL || schema_told_find(fact->told) != NULL);
        assert_string_equal(json_string_value(json_object_get(schema, "$id")), fact->id);
        assert_null(strstr(text, "#/components"));
        assert_true(is_compatible(schema, schema, place)); /* each reference is there */
        if (fact->said != NULL) {
            json_t *said = json_string(fact->said);

            assert_non_null(json_object_get(properties_of(schema), fact->said));
            assert_false(holds(json_object_get(schema, "required"), said));
            json_decref(said);
        }
        free(text);
    }
    json_decref(all);
}

/* A version that was given out stays what it was, and all that there is was given out. */
static void no_schema_loses_what_was_promised(void **state)
{
    json_t *all = schema_facts();
    json_t *given = json_load_file(KCS_TEST_VECTORS "/events.json", 0, NULL);
    json_t *now = json_object_get(all, "schemas");
    json_t *then = json_object_get(given, "schemas");
    const char *type;
    json_t *schema;
    char place[PLACE];
    (void)state;

    assert_non_null(then);
    json_object_foreach (then, type, schema) {
        const json_t *is = json_object_get(now, type);

        if (is == NULL) {
            fail_msg("%s is gone", type);
        }
        if (json_equal(json_object_get(schema, "$id"), json_object_get(is, "$id")) &&
            !is_compatible(schema, is, place)) {
            fail_msg("%s: %s; readers need another version of it", type, place);
        }
    }
    json_object_foreach (now, type, schema) {
        if (!json_equal(schema, json_object_get(then, type))) {
            fail_msg("%s is not as in the vectors: build/kcs-schema events "
                     "tests/vectors/events.json, and look at the difference", type);
        }
    }
    json_decref(given);
    json_decref(all);
}

static json_t *schema_named(json_t *all, const char *type)
{
    json_t *schema = json_object_get(json_object_get(all, "schemas"), type);

    assert_non_null(schema);
    return schema;
}

static void refused(const json_t *was, json_t *is, const char *why)
{
    char place[PLACE];

    assert_false(is_compatible(was, is, place));
    assert_string_equal(place, why);
    json_decref(is);
}

static void what_is_lost_or_retyped_is_found(void **state)
{
    json_t *all = schema_facts();
    json_t *was = schema_named(all, "kcs.chat.message");
    json_t *quality = schema_named(all, "kcs.quality.participant");
    json_t *is;
    char place[PLACE];
    (void)state;

    is = json_deep_copy(was);
    (void)json_object_del(properties_of(is), "user_id");
    refused(was, is, "user_id is missing");

    is = json_deep_copy(was);
    (void)json_object_set_new(json_object_get(properties_of(is), "seq"), "type",
                              json_string("string"));
    refused(was, is, "seq.another type");

    is = json_deep_copy(was);
    (void)json_object_del(json_object_get(properties_of(is), "timestamp"), "format");
    refused(was, is, "timestamp.another type");

    is = json_deep_copy(was); /* a reader need not be ready for null where none was */
    (void)json_object_set_new(json_object_get(properties_of(is), "user_id"), "type",
                              json_pack("[s,s]", "string", "null"));
    refused(was, is, "user_id.another type");

    is = json_deep_copy(was);
    (void)json_array_clear(json_object_get(is, "required"));
    refused(was, is, "what was required is no more");

    is = json_deep_copy(was);
    (void)json_array_remove(
        json_object_get(
            json_object_get(properties_of(json_object_get(properties_of(is), "audience")),
                            "reach"),
            "enum"),
        0);
    refused(was, is, "audience.reach.a value is missing");

    is = json_deep_copy(quality); /* within a list, behind a reference */
    (void)json_object_del(
        properties_of(json_object_get(json_object_get(is, "$defs"), "QualitySent")), "loss");
    refused(quality, is, "sent.[].loss is missing");

    is = json_deep_copy(was); /* more is no harm */
    (void)json_object_set_new(properties_of(is), "new", json_pack("{s:s}", "type", "string"));
    assert_true(is_compatible(was, is, place));
    json_decref(is);
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kept_event_has_a_type),
        cmocka_unit_test(every_schema_is_whole),
        cmocka_unit_test(no_schema_loses_what_was_promised),
        cmocka_unit_test(what_is_lost_or_retyped_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
