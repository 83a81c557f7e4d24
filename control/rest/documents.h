/* The interface as documents: OpenAPI, AsyncAPI, the page /docs. Made once of schema/'s
 * table, served with an ETag. */
#ifndef REST_DOCUMENTS_H
#define REST_DOCUMENTS_H

#include "rest/call.h"

struct documents;

/* version  of the node. Returns 0 or -ENOMEM. */
int documents_create(struct documents **out, const char *version);
void documents_destroy(struct documents *documents); /* NULL is a no-op */

/* Answers with the document of the call's route; 304 if the client has it. */
void documents_serve(const struct documents *documents, const struct rest_call *call);

#endif
