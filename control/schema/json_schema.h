/* JSON Schema (draft 2020-12) of the table's objects, for the documents. */
#ifndef SCHEMA_JSON_SCHEMA_H
#define SCHEMA_JSON_SCHEMA_H

#include <jansson.h>

#include "schema/schema.h"

enum { TYPE_NAME_MAX = 80 };

/* "chat_message" to "ChatMessage". */
void json_schema_name(const struct schema_object *object, char out[TYPE_NAME_MAX]);

/* The schema of a field. Objects are references to "#/components/schemas/NAME", and are put
 * into 'components' if they are not there. New references, NULL without memory. */
json_t *json_schema_field(const struct schema_field *field, json_t *components);

/* A reference to an object; likewise. */
json_t *json_schema_ref(const struct schema_object *object, json_t *components);

/* Puts 'value', which is moved, where it belongs in a document; NULL is what found no
 * memory. */
void json_schema_set(json_t *to, const char *key, json_t *value);
void json_schema_add(json_t *list, json_t *value);

/* Returns 'value' as it is; for one that is taken apart. */
json_t *json_schema_noted(json_t *value);

/* Ends a document: returns it, or NULL if anything of it found no memory. One that lacks a
 * part looks like a whole one. */
json_t *json_schema_whole(json_t *document);

/* The object itself, for who wants to add to it; likewise. */
json_t *json_schema_object(const struct schema_object *object, json_t *components);

/* "host, co_host": the roles that have a permission, with those that need a setting of the
 * meeting for it. */
void json_schema_roles(enum auth_permission who, char *out, size_t cap);

#endif
