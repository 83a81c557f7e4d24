/* Schemas of the events that leave the node; see document.h. */
#include <string.h>

#include "schema/document.h"
#include "schema/json_schema.h"

#define COMPONENTS "#/components/schemas/"
#define DEFS       "#/$defs/"

/* What signal/ adds to each event that it keeps, in the order in which it is told. */
static json_t *stamps(const char *told)
{
    return json_pack(
        "{s:{s:s}, s:{s:s,s:s}, s:{s:s,s:i}, s:{s:s,s:i}, s:{s:s,s:s,s:s},"
        " s:{s:s,s:s,s:[s],s:{s:{s:s,s:[s,s,s,s,s]}, s:{s:s}, s:{s:s}, s:{s:s}}}}",
        "meeting_id", "type", "string",                       /* */
        "timestamp", "type", "string", "format", "date-time", /* */
        "epoch", "type", "integer", "minimum", 0,             /* */
        "seq", "type", "integer", "minimum", 0,               /* */
        "event", "type", "string", "const", told, "description",
        "its name in Socket.IO", /* */
        "audience", "type", "object", "description", "who was told", "required", "reach",
        "properties", "reach", "type", "string", "enum", "all", "hosts", "others", "group",
        "people", "group", "type", "integer", "from", "type", "string", "to", "type",
        "string");
}

static bool has(const json_t *names, const char *name)
{
    size_t i = 0;

    while (i < json_array_size(names) &&
           strcmp(json_string_value(json_array_get(names, i)), name) != 0) {
        i++;
    }
    return i < json_array_size(names);
}

static void add_stamps(json_t *schema, const char *told, bool always)
{
    json_t *required = json_object_get(schema, "required");
    json_t *properties = json_object_get(schema, "properties");
    json_t *more = json_schema_noted(stamps(told));
    const char *name;
    json_t *value;

    json_object_foreach(more, name, value)
    {
        if (json_object_get(properties, name) == NULL) {
            json_schema_set(properties, name, json_incref(value));
        }
        if (always && !has(required, name)) {
            json_schema_add(required, json_string(name));
        }
    }
    json_decref(more);
}

static void let_be_missing(json_t *required, const char *name)
{
    for (size_t i = json_array_size(required); i > 0; i--) {
        if (strcmp(json_string_value(json_array_get(required, i - 1)), name) == 0) {
            (void)json_array_remove(required, i - 1);
        }
    }
}

/* A schema for itself has its parts below $defs. As deep as the table's objects are. */
static void refer_to_defs(json_t *value)
{
    const char *ref = json_string_value(json_object_get(value, "$ref"));
    const char *name;
    json_t *member;
    size_t i;

    if (ref != NULL && strncmp(ref, COMPONENTS, strlen(COMPONENTS)) == 0) {
        json_schema_set(value, "$ref", json_sprintf(DEFS "%s", ref + strlen(COMPONENTS)));
    }
    json_object_foreach(value, name, member)
    {
        refer_to_defs(member);
    }
    json_array_foreach(value, i, member)
    {
        refer_to_defs(member);
    }
}

static json_t *schema_of(const struct schema_fact *fact)
{
    const struct schema_object *data =
        fact->data != NULL ? fact->data : schema_told_find(fact->told)->payload;
    json_t *defs = json_schema_noted(json_object());
    json_t *body = json_schema_noted(json_schema_object(data, defs));
    json_t *out = json_pack("{s:s, s:s, s:s}", "$schema",
                            "https://json-schema.org/draft/2020-12/schema", "$id", fact->id,
                            "title", fact->type);
    const char *name;
    json_t *value;

    json_object_foreach(body, name, value)
    {
        json_schema_set(out, name, json_incref(value));
    }
    json_decref(body);
    json_schema_set(out, "description", json_string(fact->doc));
    if (fact->told != NULL) {
        add_stamps(out, fact->told, fact->data == NULL);
    }
    if (fact->said != NULL) {
        let_be_missing(json_object_get(out, "required"), fact->said);
    }
    if (json_object_size(defs) > 0) {
        json_schema_set(out, "$defs", json_incref(defs));
    }
    json_decref(defs);
    refer_to_defs(out);
    return out;
}

json_t *schema_facts(void)
{
    json_t *schemas = json_object();
    const struct schema_fact *fact;

    for (size_t i = 0; (fact = schema_fact_at(i)) != NULL; i++) {
        json_schema_set(schemas, fact->type, schema_of(fact));
    }
    return json_schema_whole(json_pack("{s:o}", "schemas", schemas));
}
