/* See documents.h. */
#include "rest/documents.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"
#include "proto/jtext.h"
#include "rest/respond.h"
#include "schema/document.h"
#include "sfu/base/fnv.h"

enum { N_DOCUMENTS = 5 };

static const char *const paths[N_DOCUMENTS] = {"/api/openapi.json", "/api/asyncapi.json",
                                               "/docs", "/docs/style.css",
                                               "/api/events/schemas"};
static const char *const types[N_DOCUMENTS] = {
    "application/json", "application/json", "text/html; charset=utf-8",
    "text/css; charset=utf-8", "application/json"};

struct documents {
    struct {
        char *text;
        char etag[24];
    } at[N_DOCUMENTS];
};

static char *json_text(json_t *value)
{
    char *text = jtext_make(value, JSON_COMPACT);

    json_decref(value);
    return text;
}

int documents_create(struct documents **out, const char *version)
{
    struct documents *documents = calloc(1, sizeof(*documents));

    if (documents == NULL) {
        return -ENOMEM;
    }
    if ((documents->at[0].text = json_text(schema_openapi(version))) == NULL ||
        (documents->at[1].text = json_text(schema_asyncapi(version))) == NULL ||
        (documents->at[2].text = schema_page(version)) == NULL ||
        (documents->at[3].text = strdup(schema_style)) == NULL ||
        (documents->at[4].text = json_text(schema_facts())) == NULL) {
        documents_destroy(documents);
        return -ENOMEM;
    }
    for (size_t i = 0; i < N_DOCUMENTS; i++) {
        (void)snprintf(documents->at[i].etag, sizeof(documents->at[i].etag),
                       "\"%016" PRIx64 "\"",
                       fnv64(documents->at[i].text, strlen(documents->at[i].text)));
    }
    *out = documents;
    return 0;
}

void documents_destroy(struct documents *documents)
{
    for (size_t i = 0; documents != NULL && i < N_DOCUMENTS; i++) {
        free(documents->at[i].text);
    }
    free(documents);
}

static void answer(struct net_req *req, const char *type, const char *etag,
                   const char *text)
{
    const char *have = net_req_header(req, "if-none-match");
    const struct net_header headers[] = {
        {"content-type", type},
        {"etag", etag},
        {"cache-control", "no-cache"},
        {"x-content-type-options", "nosniff"},
        {"content-security-policy",
         "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
         "frame-ancestors 'none'"},
        {"referrer-policy", "no-referrer"},
    };
    const size_t n = sizeof(headers) / sizeof(headers[0]);

    if (net_etag_listed(have, etag, true)) {
        net_respond(req, 304, headers, n, NULL, 0);
    } else {
        net_respond(req, 200, headers, n, text, strlen(text));
    }
}

void documents_serve(const struct documents *documents, const struct rest_call *call)
{
    size_t i = 0;

    while (i + 1 < N_DOCUMENTS && strcmp(paths[i], call->route->path) != 0) {
        i++;
    }
    answer(call->req, types[i], documents->at[i].etag, documents->at[i].text);
}
