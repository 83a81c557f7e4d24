/* Texts to JSON that can be checked: bodies and queries; see check.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/check.h"

enum { BODY_MAX_DEPTH = 16 };

/* Brackets outside of strings, before the recursive parser sees the text. */
static bool depth_valid(const char *text, size_t len)
{
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < len; i++) {
        if (in_string) {
            if (text[i] == '\\') {
                i++;
            } else if (text[i] == '"') {
                in_string = false;
            }
        } else if (text[i] == '"') {
            in_string = true;
        } else if (text[i] == '[' || text[i] == '{') {
            if (++depth > BODY_MAX_DEPTH) {
                return false;
            }
        } else if (text[i] == ']' || text[i] == '}') {
            depth--;
        }
    }
    return true;
}

json_t *schema_parse(const char *text, size_t len, struct schema_errors *errors)
{
    char reason[SCHEMA_REASON_LEN];
    json_error_t why;
    json_t *value;

    errors->n = 0;
    errors->more = false;
    if (!depth_valid(text, len)) {
        schema_error_add(errors, "", "is too deep");
        return NULL;
    }
    value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL,
                       &why);
    if (value == NULL) {
        /* its words may quote the input: only where, and of what kind */
        switch (json_error_code(&why)) {
        case json_error_duplicate_key:
            (void)snprintf(reason, sizeof(reason), "a key stands twice, at byte %d",
                           why.position);
            break;
        case json_error_numeric_overflow:
            (void)snprintf(reason, sizeof(reason), "a number is too large, at byte %d",
                           why.position);
            break;
        case json_error_invalid_utf8:
            (void)snprintf(reason, sizeof(reason), "is not UTF-8, at byte %d",
                           why.position);
            break;
        default:
            (void)snprintf(reason, sizeof(reason), "is not JSON, at byte %d", why.position);
            break;
        }
        schema_error_add(errors, "", reason);
    }
    return value;
}

/* The value of a text as the field is typed; as a string if it is none such, so that the
 * check says what it should have been. */
static json_t *typed(const struct schema_field *f, const char *text)
{
    char *end = NULL;

    if (f->type == SCHEMA_INTEGER && text[0] != '\0' && strlen(text) < 20) {
        long long v = strtoll(text, &end, 10);

        if (*end == '\0' && (text[0] == '-' || (text[0] >= '0' && text[0] <= '9'))) {
            return json_integer(v);
        }
    }
    if (f->type == SCHEMA_BOOLEAN) {
        if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
            return json_boolean(text[0] == 't');
        }
    }
    return json_string(text); /* NULL if it is not UTF-8 */
}

json_t *schema_query(const struct schema_object *object,
                     const char *(*get)(void *arg, const char *name), void *arg,
                     struct schema_errors *errors)
{
    json_t *value = json_object();
    char bad[SCHEMA_PATH_LEN] = "";

    for (size_t i = 0; i < object->n_fields; i++) {
        const struct schema_field *f = &object->fields[i];
        const char *text = get(arg, f->name);
        json_t *member = text != NULL ? typed(f, text) : NULL;

        if (member != NULL) {
            (void)json_object_set_new(value, f->name, member);
        } else if (text != NULL) {
            (void)snprintf(bad, sizeof(bad), "/%s", f->name);
        }
    }
    (void)schema_check(value, object, errors);
    if (bad[0] != '\0') {
        schema_error_add(errors, bad, "is not UTF-8");
    }
    return value;
}
