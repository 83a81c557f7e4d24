/* See jtext.h. */
#include "proto/jtext.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_DEPTH = 2048, /* as jansson's parser; deeper is a circle of ours */
    INT_DIGITS = 20,
    REAL_CHARS = 64
};

/* Room for 'len' bytes more. */
static int reserve(struct jtext *text, size_t len)
{
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
    return text->failed ? -1 : 0;
}

int jtext_add(const char *data, size_t len, void *arg)
{
    struct jtext *text = arg;

    if (reserve(text, len) != 0) {
        return -1;
    }
    if (len > 0) {
        memcpy(text->data + text->len, data, len);
        text->len += len;
    }
    return 0;
}

static int add_char(struct jtext *text, char c)
{
    if (reserve(text, 1) != 0) {
        return -1;
    }
    text->data[text->len++] = c;
    return 0;
}

/* What stands for a byte that may not stand as it is, after a backslash; 0: \u00XX. */
static char short_escape(unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        return (char)c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static bool stands_as_is(unsigned char c)
{
    return c >= ' ' && c != '"' && c != '\\';
}

/* Whether one of eight bytes is below 'n', which is at most 128. Only one that is borrows
 * from its neighbour: where none is nothing is mistaken for one. */
static bool has_less(uint64_t bytes, uint8_t n)
{
    const uint64_t each = UINT64_C(0x0101010101010101);

    return ((bytes - each * n) & ~bytes & each << 7) != 0;
}

/* How many bytes at the start stand as they are: nearly always all of them. */
static size_t plain_len(const char *s, size_t len)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    size_t n = 0;

    for (uint64_t bytes; len - n >= sizeof(bytes); n += sizeof(bytes)) {
        memcpy(&bytes, s + n, sizeof(bytes));
        if (has_less(bytes, ' ') || has_less(bytes ^ each * '"', 1) ||
            has_less(bytes ^ each * '\\', 1)) {
            break;
        }
    }
    while (n < len && stands_as_is((unsigned char)s[n])) {
        n++;
    }
    return n;
}

static int add_escaped(struct jtext *text, unsigned char c)
{
    static const char hex[] = "0123456789ABCDEF";
    char out[6] = {'\\', short_escape(c), '0', '0', hex[c >> 4], hex[c & 15]};
    const size_t len = out[1] != 0 ? 2 : sizeof(out);

    if (out[1] == 0) {
        out[1] = 'u';
    }
    return jtext_add(out, len, text);
}

/* jansson's strings are UTF-8 already. */
static int add_string(struct jtext *text, const char *s, size_t len)
{
    size_t at = 0;

    if (reserve(text, len + 2) != 0 || add_char(text, '"') != 0) {
        return -1;
    }
    for (;;) {
        const size_t n = plain_len(s + at, len - at);

        if (jtext_add(s + at, n, text) != 0) {
            return -1;
        }
        at += n;
        if (at == len) {
            return add_char(text, '"');
        }
        if (add_escaped(text, (unsigned char)s[at++]) != 0) {
            return -1;
        }
    }
}

static int add_integer(struct jtext *text, json_int_t value)
{
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    char digits[INT_DIGITS + 1];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    return jtext_add(digits + at, sizeof(digits) - at, text);
}

static int add_real(struct jtext *text, const json_t *real)
{
    char chars[REAL_CHARS];
    size_t n = json_dumpb(real, chars, sizeof(chars), JSON_ENCODE_ANY);

    return n > 0 && n <= sizeof(chars) ? jtext_add(chars, n, text) : -1;
}

static int add_value(struct jtext *text, json_t *json, int depth);

/* NOLINTNEXTLINE(misc-no-recursion): as deep as MAX_DEPTH */
static int add_object(struct jtext *text, json_t *object, int depth)
{
    bool first = true;

    if (add_char(text, '{') != 0) {
        return -1;
    }
    for (void *at = json_object_iter(object); at != NULL;
         at = json_object_iter_next(object, at)) {
        if ((!first && add_char(text, ',') != 0) ||
            add_string(text, json_object_iter_key(at), json_object_iter_key_len(at)) != 0 ||
            add_char(text, ':') != 0 ||
            add_value(text, json_object_iter_value(at), depth + 1) != 0) {
            return -1;
        }
        first = false;
    }
    return add_char(text, '}');
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as MAX_DEPTH */
static int add_array(struct jtext *text, json_t *array, int depth)
{
    const size_t n = json_array_size(array);

    if (add_char(text, '[') != 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if ((i > 0 && add_char(text, ',') != 0) ||
            add_value(text, json_array_get(array, i), depth + 1) != 0) {
            return -1;
        }
    }
    return add_char(text, ']');
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as MAX_DEPTH */
static int add_value(struct jtext *text, json_t *json, int depth)
{
    if (depth > MAX_DEPTH) {
        return -1;
    }
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return add_object(text, json, depth);
    case JSON_ARRAY:
        return add_array(text, json, depth);
    case JSON_STRING:
        return add_string(text, json_string_value(json), json_string_length(json));
    case JSON_INTEGER:
        return add_integer(text, json_integer_value(json));
    case JSON_REAL:
        return add_real(text, json);
    case JSON_TRUE:
        return jtext_add("true", 4, text);
    case JSON_FALSE:
        return jtext_add("false", 5, text);
    case JSON_NULL:
        return jtext_add("null", 4, text);
    }
    return -1;
}

int jtext_add_json(struct jtext *text, const json_t *json)
{
    return add_value(text, (json_t *)json, 0);
}

char *jtext_make(const json_t *json, size_t flags)
{
    struct jtext text = {0};
    int err = -1;

    if (json != NULL && flags == JSON_COMPACT) {
        /* jansson asks for JSON_ENCODE_ANY where it is neither of these */
        err =
            json_is_object(json) || json_is_array(json) ? jtext_add_json(&text, json) : -1;
    } else if (json != NULL) {
        err = json_dump_callback(json, jtext_add, &text, flags);
    }
    if (err != 0 || jtext_add("", 1, &text) != 0) {
        free(text.data);
        return NULL;
    }
    return text.data;
}
