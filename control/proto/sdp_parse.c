/* Lines of descriptions and the rules between them; see sdp.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/sdp_priv.h"

static int bad(struct sdp_cursor *at, const char *what)
{
    return sdp_fail(at->err, -EBADMSG, at->line, "%s", what);
}

/* o=USER ID VERSION IN IP4 ADDRESS */
static int parse_origin(struct sdp_cursor *at, char *value)
{
    char *words[6];

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        words[i] = sdp_word(&value, ' ');
        if (words[i][0] == '\0') {
            return bad(at, "o=: expected six words");
        }
    }
    if (!sdp_number(words[1], UINT64_MAX, &at->sdp->id) ||
        !sdp_number(words[2], UINT64_MAX, &at->sdp->version)) {
        return bad(at, "o=: session id and version must be numbers");
    }
    return 0;
}

static int parse_codecs(struct sdp_cursor *at, char *formats)
{
    struct sdp_media *m = at->media;

    for (;;) {
        char *word = sdp_word(&formats, ' ');
        uint8_t pt;

        if (word[0] == '\0') {
            return m->n_codecs > 0 ? 0 : bad(at, "m=: it has no format");
        }
        if (!sdp_pt(word, &pt)) {
            uint64_t number;

            return sdp_number(word, 127, &number)
                       ? sdp_fail(
                             at->err, -EINVAL, at->line,
                             "m=: the payload types 64 to 95 are RTCP's here (rtcp-mux)")
                       : bad(at, "m=: a payload type is no number of 0 to 127");
        }
        if (sdp_codec_of(m, pt) != NULL) {
            return bad(at, "m=: a payload type stands twice");
        }
        if (m->n_codecs == SDP_MAX_CODECS) {
            return bad(at, "m=: more than 64 payload types");
        }
        m->codecs[m->n_codecs].kind =
            m->kind == SDP_AUDIO ? RTP_KIND_AUDIO : RTP_KIND_VIDEO;
        m->codecs[m->n_codecs++].pt = pt;
    }
}

/* m=audio 9 UDP/TLS/RTP/SAVPF 111 63 */
static int parse_media(struct sdp_cursor *at, char *value)
{
    char *name = sdp_word(&value, ' ');
    char *port_word = sdp_word(&value, ' ');
    char *proto = sdp_word(&value, ' ');
    char *port = sdp_word(&port_word, '/'); /* "9/2": how many ports does not matter */
    uint64_t number;
    enum sdp_kind kind = strcmp(name, "audio") == 0         ? SDP_AUDIO
                         : strcmp(name, "video") == 0       ? SDP_VIDEO
                         : strcmp(name, "application") == 0 ? SDP_APPLICATION
                                                            : SDP_OTHER;

    if (at->sdp->n_media == SDP_MAX_MEDIA) {
        return bad(at, "m=: more than 16 sections");
    }
    at->media = sdp_add_media(at->sdp, kind);
    if (at->media == NULL) {
        return sdp_fail(at->err, -ENOMEM, 0, "no memory");
    }
    if (!sdp_copy(at->media->name, sizeof(at->media->name), name) ||
        !sdp_number(port, 65535, &number) ||
        !sdp_copy(at->media->proto, sizeof(at->media->proto), proto)) {
        return bad(at, "m=: expected 'KIND PORT PROTOCOL FORMAT…'");
    }
    at->media->port = (uint16_t)number;
    if (kind == SDP_AUDIO || kind == SDP_VIDEO) {
        return parse_codecs(at, value);
    }
    return sdp_copy(at->media->format, sizeof(at->media->format), sdp_word(&value, ' '))
               ? 0
               : bad(at, "m=: it has no format");
}

struct seen {
    bool fragment; /* which has no lines of the session to say anything */
    bool version, origin, name, time;
};

static int parse_line(struct sdp_cursor *at, char *line, struct seen *seen)
{
    char type = line[0];

    if (type < 'a' || type > 'z' || line[1] != '=') {
        return bad(at, "expected a line like 'a=…'");
    }
    line += 2;
    switch (type) {
    case 'v':
        if (strcmp(line, "0") != 0) {
            return bad(at, "v=: only version 0 is known");
        }
        seen->version = true;
        return 0;
    case 'o':
        if (seen->origin) {
            return bad(at, "o=: it stands twice");
        }
        seen->origin = true;
        return seen->fragment ? 0 : parse_origin(at, line);
    case 's':
        seen->name = true;
        return 0;
    case 't':
        seen->time = true;
        return 0;
    case 'm':
        return parse_media(at, line);
    case 'a':
        return sdp_parse_attribute(at, line);
    default: /* c=, b= and others: addresses come with candidates */
        return 0;
    }
}

/* What no single line shows. */
static int check_whole(struct sdp_cursor *at, const struct seen *seen)
{
    const struct sdp *sdp = at->sdp;

    if (!seen->fragment &&
        (!seen->version || !seen->origin || !seen->name || !seen->time)) {
        return sdp_fail(at->err, -EBADMSG, 0, "there is no %s line",
                        !seen->version  ? "v="
                        : !seen->origin ? "o="
                        : !seen->name   ? "s="
                                        : "t=");
    }
    for (uint8_t i = 0; i < sdp->n_media; i++) {
        for (uint8_t j = 0; j < i; j++) {
            if (sdp->media[i]->mid[0] != '\0' &&
                strcmp(sdp->media[i]->mid, sdp->media[j]->mid) == 0) {
                return sdp_fail(at->err, -EBADMSG, 0, "two sections have the mid '%s'",
                                sdp->media[i]->mid);
            }
        }
    }
    return 0;
}

static int parse_text(struct sdp_cursor *at, char *text, bool fragment)
{
    struct seen seen = {.fragment = fragment};
    int err = 0;

    while (*text != '\0' && err == 0) {
        char *line = sdp_word(&text, '\n');
        size_t len = strlen(line);

        at->line++;
        if (len > 0 && line[len - 1] == '\r') {
            line[--len] = '\0';
        }
        if (at->line > SDP_MAX_LINES) {
            return bad(at, "too many lines");
        }
        if (at->line == 1 && !fragment && strncmp(line, "v=", 2) != 0) {
            return bad(at, "a session description begins with 'v=0'");
        }
        if (len > 0 || *text != '\0') {
            err = parse_line(at, line, &seen);
        }
    }
    return err != 0 ? err : check_whole(at, &seen);
}

static int parse(const char *text, size_t len, bool fragment, struct sdp **out,
                 struct sdp_error *err)
{
    struct sdp_cursor at = {.err = err};
    char *copy;
    int ret;

    if (len == 0 || len > SDP_MAX_TEXT) {
        return sdp_fail(err, -EBADMSG, 0, len == 0 ? "it is empty" : "it is too long");
    }
    if (memchr(text, '\0', len) != NULL) {
        return sdp_fail(err, -EBADMSG, 0, "it holds a null character");
    }
    copy = malloc(len + 1);
    at.sdp = sdp_create();
    if (copy == NULL || at.sdp == NULL) {
        ret = sdp_fail(err, -ENOMEM, 0, "no memory");
    } else {
        memcpy(copy, text, len);
        copy[len] = '\0';
        ret = parse_text(&at, copy, fragment);
    }
    free(copy);
    if (ret != 0) {
        sdp_destroy(at.sdp);
        return ret;
    }
    *out = at.sdp;
    return 0;
}

int sdp_parse(const char *text, size_t len, struct sdp **out, struct sdp_error *err)
{
    return parse(text, len, false, out, err);
}

int sdp_parse_fragment(const char *text, size_t len, struct sdp **out,
                       struct sdp_error *err)
{
    return parse(text, len, true, out, err);
}
