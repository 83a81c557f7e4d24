/* What is made of the table for others to read: OpenAPI, AsyncAPI, a page for people, and
 * the types of control/web. Made once; rest/ serves the first three, kcs-schema writes all.
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

/* A page of HTML that shows both. It has no script and no style of its own: it names
 * /docs/style.css. Freed by the caller; NULL without memory. */
char *schema_page(const char *version);

/* That style sheet; constant. */
extern const char schema_style[];

/* TypeScript: an interface for each object, and the maps Requests and Events. Freed by the
 * caller; NULL without memory. */
char *schema_typescript(void);

#endif
