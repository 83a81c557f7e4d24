/* Life and comparison of descriptions; see sdp.h. */
#include "proto/sdp.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sdp_fail(struct sdp_error *err, int code, unsigned line, const char *format, ...)
{
    va_list args;

    err->line = line;
    va_start(args, format);
    (void)vsnprintf(err->reason, sizeof(err->reason), format, args);
    va_end(args);
    return code;
}

struct sdp *sdp_create(void)
{
    struct sdp *sdp = calloc(1, sizeof(*sdp));

    if (sdp != NULL) {
        sdp->direction = SDP_DIR_NONE;
    }
    return sdp;
}

void sdp_destroy(struct sdp *sdp)
{
    if (sdp == NULL) {
        return;
    }
    for (uint8_t i = 0; i < sdp->n_media; i++) {
        free(sdp->media[i]);
    }
    free(sdp);
}

struct sdp_media *sdp_add_media(struct sdp *sdp, enum sdp_kind kind)
{
    static const char *const names[] = {
        [SDP_AUDIO] = "audio", [SDP_VIDEO] = "video", [SDP_APPLICATION] = "application"};
    struct sdp_media *media =
        sdp->n_media < SDP_MAX_MEDIA ? calloc(1, sizeof(*media)) : NULL;

    if (media != NULL) {
        media->kind = kind;
        media->direction = SDP_DIR_NONE;
        if (kind != SDP_OTHER) {
            (void)snprintf(media->name, sizeof(media->name), "%s", names[kind]);
        }
        sdp->media[sdp->n_media++] = media;
    }
    return media;
}

const struct sdp_media *sdp_tagged(const struct sdp *sdp)
{
    for (uint8_t i = 0; i < sdp->n_media; i++) {
        const struct sdp_media *m = sdp->media[i];

        if (sdp->n_bundle > 0 ? strcmp(m->mid, sdp->bundle[0]) == 0 : m->port != 0) {
            return m;
        }
    }
    return NULL;
}

static bool same_bytes(const void *a, const void *b, size_t len)
{
    return memcmp(a, b, len) == 0;
}

/* Both were zeroed before they were filled, and texts are padded with zeros. */
bool sdp_equal(const struct sdp *a, const struct sdp *b)
{
    struct sdp x = *a;
    struct sdp y = *b;

    if (a->n_media != b->n_media) {
        return false;
    }
    for (uint8_t i = 0; i < a->n_media; i++) {
        if (!same_bytes(a->media[i], b->media[i], sizeof(*a->media[i]))) {
            return false;
        }
    }
    memset(x.media, 0, sizeof(x.media));
    memset(y.media, 0, sizeof(y.media));
    return same_bytes(&x, &y, sizeof(x));
}
