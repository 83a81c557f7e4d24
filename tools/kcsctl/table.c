#include "kcsctl/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    TABLE_COLUMNS = 64,
    WIDE = 200,  /* characters: more than a terminal has */
    FEW_ROWS = 3 /* so many at most are turned */
};

/* The text of a cell; the caller frees. NULL if out of memory. */
static char *cell_text(const json_t *value)
{
    char number[32];
    char *text;

    switch (value != NULL ? json_typeof(value) : JSON_NULL) {
    case JSON_STRING:
        text = strdup(json_string_value(value));
        break;
    case JSON_INTEGER:
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
                 json_integer_value(value));
        text = strdup(number);
        break;
    case JSON_REAL:
        snprintf(number, sizeof(number), "%.3f", json_real_value(value));
        text = strdup(number);
        break;
    case JSON_TRUE:
        text = strdup("yes");
        break;
    case JSON_FALSE:
        text = strdup("no");
        break;
    case JSON_NULL:
        text = strdup("-");
        break;
    default:
        text = json_is_array(value) && json_array_size(value) == 0
                   ? strdup("-")
                   : json_dumps(value, JSON_COMPACT);
        break;
    }
    for (char *p = text; p != NULL && *p != '\0'; p++) {
        bool c1 = p != text && (unsigned char)p[-1] == 0xc2 && (unsigned char)*p < 0xa0 &&
                  (unsigned char)*p >= 0x80; /* U+0080 to U+009F: control characters too */

        if ((unsigned char)*p < 0x20 || *p == 0x7f || c1) {
            *p = '?';
            p[c1 ? -1 : 0] = '?';
        }
    }
    return text;
}

/* Characters, not bytes, of UTF-8. */
static int width_of(const char *text)
{
    int n = 0;

    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

static void put_padded(FILE *out, const char *text, int width, bool right, bool last)
{
    int pad = width > width_of(text) ? width - width_of(text) : 0;

    if (right) {
        fprintf(out, "%*s%s", pad, "", text);
    } else {
        fprintf(out, "%s%*s", text, last ? 0 : pad, "");
    }
    fputs(last ? "\n" : "  ", out);
}

/* The keys of all rows in order of appearance. Returns how many. */
static size_t columns_of(const json_t *rows, const char *columns[TABLE_COLUMNS])
{
    size_t n = 0;

    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);

        for (void *at = json_object_iter(row); at != NULL;
             at = json_object_iter_next(row, at)) {
            const char *key = json_object_iter_key(at);
            size_t c = 0;

            while (c < n && strcmp(columns[c], key) != 0) {
                c++;
            }
            if (c == n && n < TABLE_COLUMNS) {
                columns[n++] = key;
            }
        }
    }
    return n;
}

/* A few rows that no terminal is wide enough for: each is a column beside the names. */
static void print_turned(FILE *out, char **cells, size_t n_rows, const char **columns,
                         size_t n, bool color)
{
    int width[FEW_ROWS] = {0};
    int names = 0;

    for (size_t i = 0; i < n_rows * n; i++) {
        const size_t r = i / n;
        const int w = width_of(cells[i]);

        width[r] = w > width[r] ? w : width[r];
    }
    for (size_t c = 0; c < n; c++) {
        names = width_of(columns[c]) > names ? width_of(columns[c]) : names;
    }
    for (size_t c = 0; c < n; c++) {
        fputs(color ? "\033[1m" : "", out);
        put_padded(out, columns[c], names, false, false);
        fputs(color ? "\033[0m" : "", out);
        for (size_t r = 0; r < n_rows; r++) {
            put_padded(out, cells[r * n + c], width[r], false, r + 1 == n_rows);
        }
    }
}

static void print_cells(FILE *out, char **cells, size_t n_rows, const char **columns,
                        size_t n, const bool *right, bool color)
{
    int width[TABLE_COLUMNS];
    int sum = 0;

    for (size_t c = 0; c < n; c++) {
        width[c] = width_of(columns[c]);
        for (size_t r = 0; r < n_rows; r++) {
            int w = width_of(cells[r * n + c]);

            width[c] = w > width[c] ? w : width[c];
        }
        sum += width[c] + 2;
    }
    if (sum > WIDE && n_rows <= FEW_ROWS) {
        print_turned(out, cells, n_rows, columns, n, color);
        return;
    }
    fputs(color ? "\033[1m" : "", out);
    for (size_t c = 0; c < n; c++) {
        put_padded(out, columns[c], width[c], right[c], c + 1 == n);
    }
    fputs(color ? "\033[0m" : "", out);
    for (size_t i = 0; i < n_rows * n; i++) {
        put_padded(out, cells[i], width[i % n], right[i % n], i % n + 1 == n);
    }
}

static int print_rows(FILE *out, const json_t *rows, bool color);

/* True if the column holds lists of objects. */
static bool is_nested(const json_t *rows, const char *column)
{
    for (size_t r = 0; r < json_array_size(rows); r++) {
        const json_t *cell = json_object_get(json_array_get(rows, r), column);

        if (json_is_object(json_array_get(cell, 0))) {
            return true;
        }
    }
    return false;
}

/* Prints the objects of a nested column as one table; 'key', the first column, tells to
 * which row each belongs. */
static int print_nested(FILE *out, const json_t *rows, const char *key, const char *column,
                        bool color)
{
    json_t *all = json_array();
    int err = 0;

    for (size_t r = 0; r < json_array_size(rows) && err == 0; r++) {
        json_t *row = json_array_get(rows, r);
        json_t *list = json_object_get(row, column);

        for (size_t i = 0; i < json_array_size(list) && err == 0; i++) {
            json_t *object = json_object();

            if (json_object_set(object, key, json_object_get(row, key)) != 0 ||
                json_object_update(object, json_array_get(list, i)) != 0 ||
                json_array_append(all, object) != 0) {
                err = -ENOMEM;
            }
            json_decref(object);
        }
    }
    if (err == 0) {
        fprintf(out, "\n%s\n", column);
        err = print_rows(out, all, color);
    }
    json_decref(all);
    return err;
}

static int print_rows(FILE *out, const json_t *rows, bool color)
{
    const char *columns[TABLE_COLUMNS];
    bool right[TABLE_COLUMNS], nested[TABLE_COLUMNS];
    size_t n_rows = json_array_size(rows), n = columns_of(rows, columns);
    char **cells;
    int err = 0;

    if (n == 0) {
        fputs("(none)\n", out);
        return 0;
    }
    cells = calloc(n_rows * n, sizeof(*cells));
    if (cells == NULL) {
        return -ENOMEM;
    }
    for (size_t c = 0; c < n; c++) {
        right[c] = true;
        nested[c] = is_nested(rows, columns[c]);
        for (size_t r = 0; r < n_rows; r++) {
            json_t *value =
                json_incref(json_object_get(json_array_get(rows, r), columns[c]));

            if (nested[c]) { /* how many; they follow below */
                json_t *size = json_integer((json_int_t)json_array_size(value));

                json_decref(value);
                value = size;
            }
            right[c] = right[c] && (value == NULL || json_is_number(value));
            cells[r * n + c] = cell_text(value);
            err = cells[r * n + c] == NULL ? -ENOMEM : err;
            json_decref(value);
        }
    }
    if (err == 0) {
        print_cells(out, cells, n_rows, columns, n, right, color);
    }
    for (size_t i = 0; i < n_rows * n; i++) {
        free(cells[i]);
    }
    free(cells);
    for (size_t c = 0; c < n && err == 0; c++) {
        if (nested[c]) {
            err = print_nested(out, rows, columns[0], columns[c], color);
        }
    }
    return err;
}

/* A list of values that are no objects, one a line. */
static int print_values(FILE *out, const json_t *values)
{
    for (size_t i = 0; i < json_array_size(values); i++) {
        char *text = cell_text(json_array_get(values, i));

        if (text == NULL) {
            return -ENOMEM;
        }
        fprintf(out, "%s\n", text);
        free(text);
    }
    return 0;
}

static bool is_rows(const json_t *value)
{
    return json_is_array(value) &&
           (json_array_size(value) == 0 || json_is_object(json_array_get(value, 0)));
}

static int print_object(FILE *out, json_t *object, bool color)
{
    int width = 0, err = 0;

    for (void *at = json_object_iter(object); at != NULL;
         at = json_object_iter_next(object, at)) {
        int w = width_of(json_object_iter_key(at));

        width = w > width && !is_rows(json_object_iter_value(at)) ? w : width;
    }
    for (void *at = json_object_iter(object); at != NULL;
         at = json_object_iter_next(object, at)) {
        const json_t *value = json_object_iter_value(at);
        char *text;

        if (is_rows(value)) {
            continue;
        }
        text = cell_text(value);
        if (text == NULL) {
            return -ENOMEM;
        }
        put_padded(out, json_object_iter_key(at), width, false, false);
        fprintf(out, "%s\n", text);
        free(text);
    }
    for (void *at = json_object_iter(object); at != NULL && err == 0;
         at = json_object_iter_next(object, at)) {
        if (is_rows(json_object_iter_value(at))) {
            fprintf(out, "\n%s\n", json_object_iter_key(at));
            err = print_rows(out, json_object_iter_value(at), color);
        }
    }
    return err;
}

int table_print(FILE *out, const json_t *data, bool color)
{
    char *text;

    if (is_rows(data)) {
        return print_rows(out, data, color);
    }
    if (json_is_array(data)) {
        return print_values(out, data);
    }
    if (json_is_object(data)) {
        json_t *copy =
            json_copy((json_t *)(uintptr_t)data); /* jansson iterates non-const */
        int err = copy != NULL ? print_object(out, copy, color) : -ENOMEM;

        json_decref(copy);
        return err;
    }
    text = cell_text(data);
    if (text == NULL) {
        return -ENOMEM;
    }
    fprintf(out, "%s\n", text);
    free(text);
    return 0;
}
