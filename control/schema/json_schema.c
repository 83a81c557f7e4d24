/* See json_schema.h. A schema says no more than check.c checks, and no less, but for limits
 * in bytes, which JSON Schema cannot say. */
#include "schema/json_schema.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "schema/check.h"

void json_schema_name(const struct schema_object *object, char out[TYPE_NAME_MAX])
{
    bool upper = true;
    size_t n = 0;

    for (const char *p = object->name; *p != '\0' && n + 1 < TYPE_NAME_MAX; p++) {
        if (*p == '_') {
            upper = true;
        } else {
            out[n++] = (char)(upper ? toupper((unsigned char)*p) : *p);
            upper = false;
        }
    }
    out[n] = '\0';
}

static _Thread_local bool lacks; /* something, the document in the making */

void json_schema_set(json_t *to, const char *key, json_t *value)
{
    lacks |= json_object_set_new(to, key, value) != 0;
}

void json_schema_add(json_t *list, json_t *value)
{
    lacks |= json_array_append_new(list, value) != 0;
}

json_t *json_schema_noted(json_t *value)
{
    lacks |= value == NULL;
    return value;
}

json_t *json_schema_whole(json_t *document)
{
    bool whole = !lacks;

    lacks = false;
    if (!whole) {
        json_decref(document);
    }
    return whole ? document : NULL;
}

/* ---- fields ---- */

static json_t *text_schema(const struct schema_field *f)
{
    json_t *out = json_pack("{s:s,s:I,s:I}", "type", "string", "minLength",
                            (json_int_t)f->min, "maxLength", (json_int_t)f->max);

    if (f->type == SCHEMA_ID) {
        json_schema_set(out, "pattern", json_string("^[^\\u0000-\\u0020\\u007f]+$"));
    } else if (f->type == SCHEMA_URL) {
        json_schema_set(out, "format", json_string("uri"));
        json_schema_set(out, "pattern", json_string("^(https?|rtmps?)://[!-~]+$"));
    } else {
        json_schema_set(out, "pattern", json_string("^[^\\u0000]*$"));
    }
    if (f->max_bytes != 0) {
        json_schema_set(out, "x-max-bytes", json_integer(f->max_bytes));
    }
    if ((f->flags & SCHEMA_SECRET) != 0) {
        json_schema_set(out, "format", json_string("password"));
    }
    return out;
}

static json_t *enum_schema(const struct schema_field *f)
{
    json_t *names = json_array();

    for (size_t i = 0; f->names[i] != NULL; i++) {
        json_schema_add(names, json_string(f->names[i]));
    }
    return json_pack("{s:s,s:o}", "type", "string", "enum", names);
}

static json_t *typed_schema(const struct schema_field *f, json_t *components)
{
    switch (f->type) {
    case SCHEMA_STRING:
    case SCHEMA_ID:
    case SCHEMA_URL:
        return text_schema(f);
    case SCHEMA_ENUM:
        return enum_schema(f);
    case SCHEMA_TIME:
        return json_pack("{s:s,s:s}", "type", "string", "format", "date-time");
    case SCHEMA_INTEGER:
    case SCHEMA_NUMBER:
        return json_pack("{s:s,s:I,s:I}", "type",
                         f->type == SCHEMA_INTEGER ? "integer" : "number", "minimum",
                         (json_int_t)f->min, "maximum", (json_int_t)f->max);
    case SCHEMA_BOOLEAN:
        return json_pack("{s:s}", "type", "boolean");
    case SCHEMA_OBJECT:
        return json_schema_ref(f->object, components);
    case SCHEMA_ARRAY:
        return json_pack("{s:s,s:I,s:I,s:o}", "type", "array", "minItems",
                         (json_int_t)f->min, "maxItems", (json_int_t)f->max, "items",
                         json_schema_field(f->item, components));
    case SCHEMA_ANY:
        break;
    }
    return json_object();
}

json_t *json_schema_field(const struct schema_field *f, json_t *components)
{
    json_t *out = typed_schema(f, components);
    const char *type = json_string_value(json_object_get(out, "type"));

    if ((f->flags & SCHEMA_NULLABLE) != 0 && f->type == SCHEMA_OBJECT) {
        out = json_pack("{s:[o,{s:s}]}", "anyOf", out, "type", "null");
    } else if ((f->flags & SCHEMA_NULLABLE) != 0 && type != NULL) {
        json_schema_set(out, "type", json_pack("[s,s]", type, "null"));
        if (f->type == SCHEMA_ENUM) {
            json_schema_add(json_object_get(out, "enum"), json_null());
        }
    }
    if (f->doc != NULL) { /* beside a reference too: draft 2020-12 allows it */
        json_schema_set(out, "description", json_string(f->doc));
    }
    return out;
}

/* ---- objects ---- */

json_t *json_schema_object(const struct schema_object *object, json_t *components)
{
    json_t *properties = json_object();
    json_t *required = json_array();
    json_t *out = json_pack("{s:s,s:s,s:o}", "type", "object", "description", object->doc,
                            "properties", properties);

    for (size_t i = 0; i < object->n_fields; i++) {
        const struct schema_field *f = &object->fields[i];

        json_schema_set(properties, f->name, json_schema_field(f, components));
        if ((f->flags & SCHEMA_REQUIRED) != 0) {
            json_schema_add(required, json_string(f->name));
        }
    }
    json_schema_set(out, "required", required);
    if (object->unknown == SCHEMA_REFUSE) {
        json_schema_set(out, "additionalProperties", json_false());
    }
    if (object->any_of[0] != NULL) {
        json_schema_set(out, "anyOf",
                        json_pack("[{s:[s]},{s:[s]}]", "required", object->any_of[0],
                                  "required", object->any_of[1]));
    }
    if (object->not_both[0] != NULL) {
        json_schema_set(
            out, "not",
            json_pack("{s:[s,s]}", "required", object->not_both[0], object->not_both[1]));
    }
    return out;
}

json_t *json_schema_ref(const struct schema_object *object, json_t *components)
{
    char name[TYPE_NAME_MAX];

    json_schema_name(object, name);
    if (json_object_get(components, name) == NULL) {
        json_schema_set(components, name, json_null()); /* it may refer to itself */
        json_schema_set(components, name, json_schema_object(object, components));
    }
    return json_schema_noted(json_pack("{s:s+}", "$ref", "#/components/schemas/", name));
}

/* ---- roles ---- */

void json_schema_roles(enum auth_permission who, char *out, size_t cap)
{
    static const struct auth_policy all = {true, true};
    size_t at = 0;

    out[0] = '\0';
    for (enum auth_role role = 0; role < N_AUTH_ROLES; role++) {
        bool always = auth_may(role, NULL, who);

        if ((always || auth_may(role, &all, who)) && at < cap) {
            at += (size_t)snprintf(out + at, cap - at, "%s%s%s", at > 0 ? ", " : "",
                                   auth_role_name(role),
                                   always ? "" : " (if the meeting allows it)");
        }
    }
}
