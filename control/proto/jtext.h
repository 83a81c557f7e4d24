/* JSON values as texts, whole or not at all.
 *
 * json_dumps() of jansson 2.14 does not look whether a key could be written: where memory
 * runs out there it returns a text without that key, which is no JSON. */
#ifndef KCS_PROTO_JTEXT_H
#define KCS_PROTO_JTEXT_H

#include <jansson.h>
#include <stddef.h>

/* Returns the text of 'json' (borrowed, may be NULL), freed by the caller with free(), or
 * NULL without memory or a value.  flags: those of json_dumps(). */
char *jtext_make(const json_t *json, size_t flags);

/* A text that grows; all zero at first. Once it could not grow it stays as it was. */
struct jtext {
    char *data; /* freed by the caller; without a NUL */
    size_t len, cap;
    int failed;
};

/* Appends. A callback of json_dump_callback(), with the struct jtext as 'arg'. Returns 0,
 * or -1 from the first time on that there was no memory. */
int jtext_add(const char *data, size_t len, void *arg);

/* Appends 'json' (borrowed) as jansson writes it with JSON_COMPACT | JSON_ENCODE_ANY, byte
 * for byte. It does without the table of what it has been through that jansson's writer
 * makes for each value to find circles (of which we build none): a fifth of its time, which
 * is most of what an answer to room:join costs. Returns 0, or -1 without memory. */
int jtext_add_json(struct jtext *text, const json_t *json);

#endif
