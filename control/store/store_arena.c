#include <stdlib.h>
#include <string.h>

#include "store/store_priv.h"

struct store_chunk {
    struct store_chunk *next;
    size_t used, cap;
    _Alignas(max_align_t) unsigned char data[];
};

/* Each is twice as large as the one before. Of 64 KiB and more malloc would tidy up at each
 * free. */
enum { CHUNK = 1024, CHUNK_MAX = 32 << 10 };

void *store_arena_alloc(struct store_arena *arena, size_t len)
{
    const size_t align = _Alignof(max_align_t);
    struct store_chunk *chunk = arena->chunks;
    void *out;

    len = (len + align - 1) / align * align;
    if (chunk == NULL || chunk->cap - chunk->used < len) {
        size_t cap = chunk == NULL            ? CHUNK
                     : chunk->cap < CHUNK_MAX ? 2 * chunk->cap
                                              : CHUNK_MAX;

        cap = len > cap ? len : cap;
        chunk = malloc(sizeof(*chunk) + cap);
        if (chunk == NULL) {
            arena->failed = true;
            return NULL;
        }
        chunk->next = arena->chunks;
        chunk->used = 0;
        chunk->cap = cap;
        arena->chunks = chunk;
    }
    out = chunk->data + chunk->used;
    chunk->used += len;
    return out;
}

const char *store_arena_bytes(struct store_arena *arena, const void *data, size_t len)
{
    char *out;

    if (len == 0) {
        return "";
    }
    out = store_arena_alloc(arena, len + 1);
    if (out == NULL) {
        return "";
    }
    memcpy(out, data, len);
    out[len] = '\0';
    return out;
}

const char *store_arena_text(struct store_arena *arena, const char *text)
{
    return store_arena_bytes(arena, text, text != NULL ? strlen(text) : 0);
}

void store_arena_free(struct store_arena *arena)
{
    while (arena->chunks != NULL) {
        struct store_chunk *next = arena->chunks->next;

        free(arena->chunks);
        arena->chunks = next;
    }
}
