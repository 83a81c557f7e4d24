/* See jtext.h. */
#include "proto/jtext.h"

#include <stdlib.h>
#include <string.h>

int jtext_add(const char *data, size_t len, void *arg)
{
    struct jtext *text = arg;

    if (!text->failed && len > text->cap - text->len) {
        size_t cap = (text->len + len) * 2 + 256;
        char *grown = realloc(text->data, cap);

        if (grown != NULL) {
            text->data = grown;
            text->cap = cap;
        } else {
            text->failed = 1;
        }
    }
    if (text->failed) {
        return -1;
    }
    if (len > 0) {
        memcpy(text->data + text->len, data, len);
        text->len += len;
    }
    return 0;
}

char *jtext_make(const json_t *json, size_t flags)
{
    struct jtext text = {0};

    if (json == NULL || json_dump_callback(json, jtext_add, &text, flags) != 0 ||
        jtext_add("", 1, &text) != 0) {
        free(text.data);
        return NULL;
    }
    return text.data;
}
