/* What is made of the table for others to read: OpenAPI, AsyncAPI, schemas of the events
 * that leave the node, a page for people, and the types of control/web. Made once; rest/
 * serves all but the last, kcs-schema writes all.
 *
 * Thread: any. */
#ifndef SCHEMA_DOCUMENT_H
#define SCHEMA_DOCUMENT_H

#include <jansson.h>

/* OpenAPI 3.1 of REST. A new reference, NULL without memory.
 *
 * version  of the node */
json_t *schema_openapi(const char *version);

/* AsyncAPI 3.0 of the namespace /meeting. Likewise. */
json_t *schema_asyncapi(const char *version);

/* JSON Schema (draft 2020-12) of the data of each type of events that leave the node:
 * {schemas: {TYPE: schema}}, each whole in itself. Likewise. */
json_t *schema_facts(void);

/* A page of HTML that shows both. It has no script and no style of its own: it names
 * /docs/style.css. Freed by the caller; NULL without memory. */
char *schema_page(const char *version);

/* That style sheet; constant. */
extern const char schema_style[];

/* TypeScript: an interface for each object, and the maps Requests and Events. Freed by the
 * caller; NULL without memory. */
char *schema_typescript(void);

#endif
