/* See check.h. A walk along the table, never along the input: what is not named is not
 * looked at, but for open objects, whose size and depth are bounded. */
#include "schema/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where in the value we are. A path that does not fit ends in an ellipsis. */
struct walk {
    struct schema_errors *errors;
    char path[SCHEMA_PATH_LEN];
    size_t len;
    size_t nodes; /* of open objects, so far */
};

/* ---- errors ---- */

void schema_error_add(struct schema_errors *errors, const char *path, const char *reason)
{
    struct schema_error *error;

    if (errors->n == SCHEMA_MAX_ERRORS) {
        errors->more = true;
        return;
    }
    error = &errors->at[errors->n++];
    (void)snprintf(error->path, sizeof(error->path), "%s", path);
    (void)snprintf(error->reason, sizeof(error->reason), "%s", reason);
}

static void fail(struct walk *w, const char *reason)
{
    schema_error_add(w->errors, w->path, reason);
}

json_t *schema_errors_json(const struct schema_errors *errors)
{
    json_t *list = json_array();

    for (size_t i = 0; i < errors->n; i++) {
        (void)json_array_append_new(list, json_pack("{s:s,s:s}", "path", errors->at[i].path,
                                                    "reason", errors->at[i].reason));
    }
    return list;
}

/* ---- paths ---- */

/* Adds a member to the path (RFC 6901: '~' and '/' are escaped), returns what the path's
 * length was. A name of the input is cut at a whole character. */
static size_t enter(struct walk *w, const char *name)
{
    size_t before = w->len;
    size_t at = w->len;

    if (at + 1 < sizeof(w->path)) {
        w->path[at++] = '/';
    }
    for (; *name != '\0' && at + 6 < sizeof(w->path); name++) {
        if (*name == '~' || *name == '/') {
            w->path[at++] = '~';
            w->path[at++] = *name == '~' ? '0' : '1';
        } else {
            w->path[at++] = *name;
        }
    }
    if (*name != '\0') {
        while (at > before && ((unsigned char)w->path[at - 1] & 0xc0) == 0x80) {
            at--; /* the rest of a character that was cut */
        }
        if (at > before && (unsigned char)w->path[at - 1] >= 0xc0) {
            at--;
        }
        memcpy(w->path + at, "…", 3);
        at += 3;
    }
    w->path[at] = '\0';
    w->len = at;
    return before;
}

static size_t enter_item(struct walk *w, size_t i)
{
    char name[24];

    (void)snprintf(name, sizeof(name), "%zu", i);
    return enter(w, name);
}

static void leave(struct walk *w, size_t before)
{
    w->len = before;
    w->path[before] = '\0';
}

/* ---- texts ---- */

/* Characters of valid UTF-8: the bytes that begin one. */
static size_t n_characters(const char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return n;
}

static bool is_name(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text <= ' ' || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is_url(const char *text)
{
    static const char *const schemes[] = {"https://", "http://", "rtmps://", "rtmp://"};

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i]);

        if (strncmp(text, schemes[i], len) == 0 && text[len] != '\0') {
            for (text += len; *text > ' ' && *text < 0x7f;) {
                text++;
            }
            return *text == '\0';
        }
    }
    return false;
}

/* Digits, exactly so many; -1 if they are not. */
static int digits(const char **p, int n)
{
    int v = 0;

    for (; n > 0; n--, (*p)++) {
        if (**p < '0' || **p > '9') {
            return -1;
        }
        v = v * 10 + (**p - '0');
    }
    return v;
}

static bool skip(const char **p, char want)
{
    bool ok = (**p | 0x20) == (want | 0x20);

    *p += ok;
    return ok;
}

/* Days since 1970-01-01 of a day of the Gregorian calendar (H. Hinnant's method). */
static int64_t days_of(int64_t year, int month, int day)
{
    int64_t era, of_era, of_year;

    year -= month <= 2;
    era = year / 400;
    of_era = year - era * 400;
    of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* ".123": to milliseconds; what is finer is dropped. */
static int fraction(const char **p)
{
    int unit = 100;
    int ms = 0;

    if (**p != '.') {
        return 0;
    }
    (*p)++;
    if (**p < '0' || **p > '9') {
        return -1;
    }
    for (; **p >= '0' && **p <= '9'; (*p)++) {
        ms += (**p - '0') * unit;
        unit /= 10;
    }
    return ms;
}

/* "Z" or "+02:00": minutes. */
static bool offset(const char **p, int *out)
{
    int sign = **p == '-' ? -1 : 1;
    int hours, minutes;

    *out = 0;
    if (skip(p, 'Z')) {
        return true;
    }
    if (**p != '+' && **p != '-') {
        return false;
    }
    (*p)++;
    hours = digits(p, 2);
    if (hours < 0 || hours > 23 || !skip(p, ':')) {
        return false;
    }
    minutes = digits(p, 2);
    *out = sign * (hours * 60 + minutes);
    return minutes >= 0 && minutes <= 59;
}

int schema_time_parse(const char *text, int64_t *out_ms)
{
    const char *p = text;
    int year = digits(&p, 4);
    int month = year >= 0 && skip(&p, '-') ? digits(&p, 2) : -1;
    int day = month >= 1 && month <= 12 && skip(&p, '-') ? digits(&p, 2) : -1;
    int hour =
        day >= 1 && day <= days_in(year, month) && skip(&p, 'T') ? digits(&p, 2) : -1;
    int minute = hour >= 0 && hour <= 23 && skip(&p, ':') ? digits(&p, 2) : -1;
    int second = minute >= 0 && minute <= 59 && skip(&p, ':') ? digits(&p, 2) : -1;
    int ms = second >= 0 && second <= 60 ? fraction(&p) : -1;
    int zone;

    if (ms < 0 || !offset(&p, &zone) || *p != '\0') {
        return -EBADMSG;
    }
    *out_ms = ((days_of(year, month, day) * 24 + hour) * 60 + minute - zone) * 60000 +
              second * INT64_C(1000) + ms;
    return 0;
}

/* ---- scalars ---- */

static void check_enum(struct walk *w, const char *const *names, const char *text)
{
    char reason[SCHEMA_REASON_LEN] = "must be one of";

    for (size_t i = 0; names[i] != NULL; i++) {
        size_t len = strlen(reason);

        if (strcmp(names[i], text) == 0) {
            return;
        }
        (void)snprintf(reason + len, sizeof(reason) - len, " %s", names[i]);
    }
    fail(w, reason);
}

static void check_text(struct walk *w, const struct schema_field *f, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    char reason[80];
    int64_t ms;

    if (text == NULL) {
        fail(w, "must be a string");
        return;
    }
    if (strlen(text) != len) {
        fail(w, "must not contain a null character");
    } else if (f->type == SCHEMA_ENUM) {
        check_enum(w, f->names, text);
    } else if (f->type == SCHEMA_TIME) {
        if (schema_time_parse(text, &ms) != 0) {
            fail(w, "must be a time like 2026-01-31T09:30:00Z");
        }
    } else if (len == 0 && f->min > 0) {
        fail(w, "must not be empty");
    } else if (f->max_bytes != 0 && len > f->max_bytes) {
        (void)snprintf(reason, sizeof(reason), "is too long: at most %u bytes",
                       f->max_bytes);
        fail(w, reason);
    } else if (n_characters(text, len) > (size_t)f->max) {
        (void)snprintf(reason, sizeof(reason), "is too long: at most %lld characters",
                       (long long)f->max);
        fail(w, reason);
    } else if (n_characters(text, len) < (size_t)f->min) {
        (void)snprintf(reason, sizeof(reason), "is too short: at least %lld characters",
                       (long long)f->min);
        fail(w, reason);
    } else if (f->type == SCHEMA_ID && !is_name(text)) {
        fail(w, "must not contain spaces or control characters");
    } else if (f->type == SCHEMA_URL && !is_url(text)) {
        fail(w, "must be an absolute URL of http, https, rtmp or rtmps");
    }
}

static void check_number(struct walk *w, const struct schema_field *f, const json_t *value)
{
    bool whole = f->type == SCHEMA_INTEGER;
    char reason[96];

    /* jansson parses neither NaN nor infinities; the comparison refuses them all the same
     */
    if (whole ? !json_is_integer(value) || json_integer_value(value) < f->min ||
                    json_integer_value(value) > f->max
              : !json_is_number(value) || !(json_number_value(value) >= (double)f->min &&
                                            json_number_value(value) <= (double)f->max)) {
        (void)snprintf(reason, sizeof(reason), "must be %s from %lld to %lld",
                       whole ? "an integer" : "a number", (long long)f->min,
                       (long long)f->max);
        fail(w, reason);
    }
}

/* ---- what is open ---- */

/* Bounds only. False once something was wrong: one error is enough for what is not ours. */
static bool check_open(struct walk *w, const json_t *value, int depth)
{
    const char *key;
    json_t *each;
    size_t i;
    bool ok = true;

    if (++w->nodes > SCHEMA_MAX_NODES) {
        fail(w, "has too many members");
        return false;
    }
    if (json_is_string(value)) {
        if (strlen(json_string_value(value)) != json_string_length(value)) {
            fail(w, "must not contain a null character");
            return false;
        }
        if (json_string_length(value) > SCHEMA_MAX_TEXT) {
            fail(w, "is too long");
            return false;
        }
        return true;
    }
    if (!json_is_object(value) && !json_is_array(value)) {
        return true;
    }
    if (depth == 0) {
        fail(w, "is too deep");
        return false;
    }
    json_array_foreach(value, i, each)
    {
        size_t before = enter_item(w, i);

        ok = check_open(w, each, depth - 1);
        leave(w, before);
        if (!ok) {
            return false;
        }
    }
    json_object_foreach((json_t *)value, key, each)
    {
        size_t before = enter(w, key);

        ok = check_open(w, each, depth - 1);
        leave(w, before);
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* ---- objects and arrays ---- */

static void check_object(struct walk *w, const json_t *value,
                         const struct schema_object *object);

static void check_value(struct walk *w, const struct schema_field *f, const json_t *value);

static void check_array(struct walk *w, const struct schema_field *f, const json_t *value)
{
    size_t n = json_array_size(value);
    char reason[96];

    if (!json_is_array(value)) {
        fail(w, "must be a list");
        return;
    }
    if (n < (size_t)f->min || n > (size_t)f->max) { /* and is not walked */
        (void)snprintf(reason, sizeof(reason), "must have %lld to %lld items",
                       (long long)f->min, (long long)f->max);
        fail(w, reason);
        return;
    }
    for (size_t i = 0; i < n && !w->errors->more; i++) {
        size_t before = enter_item(w, i);

        check_value(w, f->item, json_array_get(value, i));
        leave(w, before);
    }
}

static void check_value(struct walk *w, const struct schema_field *f, const json_t *value)
{
    switch (f->type) {
    case SCHEMA_STRING:
    case SCHEMA_ID:
    case SCHEMA_ENUM:
    case SCHEMA_TIME:
    case SCHEMA_URL:
        check_text(w, f, value);
        break;
    case SCHEMA_INTEGER:
    case SCHEMA_NUMBER:
        check_number(w, f, value);
        break;
    case SCHEMA_BOOLEAN:
        if (!json_is_boolean(value)) {
            fail(w, "must be true or false");
        }
        break;
    case SCHEMA_OBJECT:
        if (!json_is_object(value)) {
            fail(w, "must be an object");
        } else {
            check_object(w, value, f->object);
        }
        break;
    case SCHEMA_ARRAY:
        check_array(w, f, value);
        break;
    case SCHEMA_ANY:
        (void)check_open(w, value, SCHEMA_MAX_DEPTH);
        break;
    }
}

static void check_field(struct walk *w, const struct schema_field *f, const json_t *value)
{
    size_t before = enter(w, f->name);

    if (value == NULL || (json_is_null(value) && (f->flags & SCHEMA_NULLABLE) == 0)) {
        if (value == NULL ? (f->flags & SCHEMA_REQUIRED) != 0 : f->type != SCHEMA_ANY) {
            fail(w, value == NULL                       ? "missing"
                    : (f->flags & SCHEMA_REQUIRED) != 0 ? "missing: must not be null"
                                                        : "must not be null");
        }
    } else if (!json_is_null(value)) {
        check_value(w, f, value);
    }
    leave(w, before);
}

static const struct schema_field *find_field(const struct schema_object *object,
                                             const char *name)
{
    for (size_t i = 0; i < object->n_fields; i++) {
        if (strcmp(object->fields[i].name, name) == 0) {
            return &object->fields[i];
        }
    }
    return NULL;
}

/* Members that the table does not name. */
static void check_unknown(struct walk *w, const json_t *value,
                          const struct schema_object *object)
{
    const char *key;
    json_t *each;

    json_object_foreach((json_t *)value, key, each)
    {
        if (find_field(object, key) == NULL && !w->errors->more) {
            size_t before = enter(w, key);
            bool go_on = true;

            if (object->unknown == SCHEMA_REFUSE) {
                fail(w, "there is no such field");
            } else {
                go_on = check_open(w, each, SCHEMA_MAX_DEPTH);
            }
            leave(w, before);
            if (!go_on) {
                return;
            }
        }
    }
}

static bool has(const json_t *value, const char *name)
{
    const json_t *member = json_object_get(value, name);

    return member != NULL && !json_is_null(member);
}

static void check_object(struct walk *w, const json_t *value,
                         const struct schema_object *object)
{
    const char *const *any_of = object->any_of;
    const char *const *not_both = object->not_both;
    char reason[SCHEMA_REASON_LEN];

    for (size_t i = 0; i < object->n_fields && !w->errors->more; i++) {
        const struct schema_field *f = &object->fields[i];

        check_field(w, f, json_object_get(value, f->name));
    }
    if (any_of[0] != NULL && !has(value, any_of[0]) && !has(value, any_of[1])) {
        (void)snprintf(reason, sizeof(reason), "needs %s or %s", any_of[0], any_of[1]);
        fail(w, reason);
    }
    if (not_both[0] != NULL && has(value, not_both[0]) && has(value, not_both[1])) {
        (void)snprintf(reason, sizeof(reason), "has both %s and %s", not_both[0],
                       not_both[1]);
        fail(w, reason);
    }
    if (object->unknown != SCHEMA_IGNORE) {
        check_unknown(w, value, object);
    }
}

bool schema_check(const json_t *value, const struct schema_object *object,
                  struct schema_errors *errors)
{
    struct walk w = {.errors = errors};

    errors->n = 0;
    errors->more = false;
    if (value != NULL && !json_is_object(value) && !json_is_null(value)) {
        fail(&w, "the payload must be an object");
    } else {
        check_object(&w, value, object); /* of NULL and null no member is there */
    }
    return errors->n == 0;
}
