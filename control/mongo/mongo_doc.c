/* What a document is named by, what stands in it, and errors of the library as ours. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mongo/mongo_priv.h"
#include "sys/log.h"

const char *mongo_key(struct store_arena *arena, const char *tenant, const char *id)
{
    char text[2 * STORE_ID_MAX + 2];
    int n = snprintf(text, sizeof(text), "%s\n%s", tenant, id);

    return store_arena_bytes(arena, text, (size_t)n);
}

const char *mongo_unique(struct store_arena *arena, const struct store_doc *doc)
{
    bool named = doc->name[0] != '\0';
    char text[2 * STORE_ID_MAX + 3];
    int n = snprintf(text, sizeof(text), "%c%s\n%s", named ? '=' : '-', doc->tenant,
                     named ? doc->name : doc->id);

    return store_arena_bytes(arena, text, (size_t)n);
}

const char *mongo_text(struct store_arena *arena, const bson_t *doc, const char *field)
{
    bson_iter_t iter;
    uint32_t len = 0;
    const char *text;

    if (!bson_iter_init_find(&iter, doc, field) || !BSON_ITER_HOLDS_UTF8(&iter)) {
        return "";
    }
    text = bson_iter_utf8(&iter, &len);
    return store_arena_bytes(arena, text, len);
}

int64_t mongo_number(const bson_t *doc, const char *field)
{
    bson_iter_t iter;

    return bson_iter_init_find(&iter, doc, field) ? bson_iter_as_int64(&iter) : 0;
}

int mongo_errno(struct mongo *m, const bson_error_t *error)
{
    if (error->domain == MONGOC_ERROR_SERVER_SELECTION ||
        error->domain == MONGOC_ERROR_STREAM) {
        m->unsure = true;
        log_error("store_away", LOG_STR("error", error->message));
        return -EHOSTDOWN;
    }
    switch (error->code) {
    case 11000: /* DuplicateKey */
        return -EEXIST;
    case 14031: /* OutOfDiskSpace */
        return -ENOSPC;
    case 13: /* Unauthorized, AuthenticationFailed */
    case 18:
        return -EACCES;
    default:
        log_error("store_failed", LOG_STR("error", error->message));
        return strstr(error->message, "disk is full") != NULL ? -ENOSPC : -EIO;
    }
}
