/* Payloads checked field by field; the first error is kept in words. See priv.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "signal/priv.h"

struct fields fields_of(const json_t *payload)
{
    struct fields f = {.payload = payload};

    if (payload != NULL && !json_is_object(payload) && !json_is_null(payload)) {
        (void)snprintf(f.error, sizeof(f.error), "the payload must be an object");
    }
    return f;
}

bool field_note(struct fields *f, const char *words)
{
    if (f->error[0] == '\0') {
        (void)snprintf(f->error, sizeof(f->error), "%s", words);
    }
    return false;
}

void reply_refuse(struct reply *reply, const struct fields *f)
{
    reply_fail(reply, "invalid", f->error);
}

static bool fail(struct fields *f, const char *name, const char *reason)
{
    if (f->error[0] == '\0') {
        (void)snprintf(f->error, sizeof(f->error), "/%s: %s", name, reason);
    }
    return false;
}

static const json_t *get(const struct fields *f, const char *name)
{
    const json_t *value = json_object_get(f->payload, name);

    return json_is_null(value) ? NULL : value;
}

bool field_text(struct fields *f, const char *name, size_t max_bytes, bool required,
                const char **out)
{
    const json_t *value = get(f, name);
    const char *text = json_string_value(value);

    *out = "";
    if (value == NULL) {
        return required ? fail(f, name, "missing") : true;
    }
    if (text == NULL) {
        return fail(f, name, "must be a string");
    }
    if (json_string_length(value) > max_bytes) {
        return fail(f, name, "too long");
    }
    if (required && text[0] == '\0') {
        return fail(f, name, "must not be empty");
    }
    *out = text;
    return true;
}

bool field_bool(struct fields *f, const char *name, bool fallback, bool *out)
{
    const json_t *value = get(f, name);

    *out = fallback;
    if (value == NULL) {
        return true;
    }
    if (!json_is_boolean(value)) {
        return fail(f, name, "must be true or false");
    }
    *out = json_is_true(value);
    return true;
}

bool field_enum(struct fields *f, const char *name, const char *const *names, int *out)
{
    char reason[128] = "must be one of";
    const char *text;

    *out = 0;
    if (!field_text(f, name, 64, true, &text)) {
        return false;
    }
    for (int i = 0; names[i] != NULL; i++) {
        size_t len = strlen(reason);

        if (strcmp(names[i], text) == 0) {
            *out = i;
            return true;
        }
        (void)snprintf(reason + len, sizeof(reason) - len, " %s", names[i]);
    }
    return fail(f, name, reason);
}

bool field_choice(struct fields *f, const char *name, const char *const *names, int *out)
{
    *out = -1;
    return get(f, name) == NULL || field_enum(f, name, names, out);
}

bool field_object(struct fields *f, const char *name, bool required, const json_t **out)
{
    const json_t *value = get(f, name);

    *out = value;
    if (value == NULL) {
        return required ? fail(f, name, "missing") : true;
    }
    return json_is_object(value) ? true : fail(f, name, "must be an object");
}

bool field_int(struct fields *f, const char *name, int64_t min, int64_t max, bool required,
               int64_t fallback, int64_t *out)
{
    const json_t *value = get(f, name);
    char reason[80];

    *out = fallback;
    if (value == NULL) {
        return required ? fail(f, name, "missing") : true;
    }
    if (!json_is_integer(value) || json_integer_value(value) < min ||
        json_integer_value(value) > max) {
        (void)snprintf(reason, sizeof(reason), "must be an integer from %lld to %lld",
                       (long long)min, (long long)max);
        return fail(f, name, reason);
    }
    *out = json_integer_value(value);
    return true;
}

bool field_dtls(struct fields *f, const char *name, struct session_dtls *out)
{
    static const char *const roles[] = {"auto", "client", "server", NULL};
    const json_t *object;
    const json_t *list;
    const json_t *named;
    const char *role;
    size_t i;
    json_t *fp;

    memset(out, 0, sizeof(*out));
    if (!field_object(f, name, true, &object)) {
        return false;
    }
    named = json_object_get(object, "role");
    role = named == NULL ? roles[0] : json_string_value(named);
    while (roles[out->role] != NULL &&
           (role == NULL || strcmp(roles[out->role], role) != 0)) {
        out->role++;
    }
    list = json_object_get(object, "fingerprints");
    if (roles[out->role] == NULL || !json_is_array(list)) {
        return fail(f, name, "needs role (auto, client or server) and fingerprints[]");
    }
    json_array_foreach(list, i, fp)
    {
        const char *algorithm = json_string_value(json_object_get(fp, "algorithm"));
        const char *value = json_string_value(json_object_get(fp, "value"));

        if (algorithm == NULL || value == NULL) {
            return fail(f, name, "each of fingerprints[] needs algorithm and value");
        }
        /* a hash that we do not know is passed over: another may be known */
        if (session_dtls_add(out, algorithm, value) == -EBADMSG) {
            return fail(f, name, "a fingerprint is malformed");
        }
    }
    return out->n_fps > 0 ? true : fail(f, name, "has no fingerprint of a known hash");
}
