/* Reads a YAML file into a flat struct by a libcyaml schema. libcyaml alone tells neither
 * lines nor near misses, takes "off" for true and knows no ranges, so the parsed document
 * is held against the schema first: whatever a user can get wrong is found there, with its
 * line and the nearest name. libcyaml then fills the struct, and what the file does not
 * say keeps its default.
 *
 * Both programs use it at start, so it is header-only; it holds no state. Neighbours:
 * control/app/control_conf.c and dataplane/dataplane_conf.c hold the schemas. */
#ifndef SFU_CONF_CONF_H
#define SFU_CONF_CONF_H

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cyaml/cyaml.h>
#include <yaml.h>

enum {
    CONF_FILE_MAX = 1 << 20, /* bytes; a longer file is not a configuration */
    CONF_NAME_MAX = 64,      /* longest name for which a neighbour is looked for */
    CONF_KEY_MAX = 128,      /* a dotted key */
};

/* Schema of one struct. The struct is flat (no pointers): strings are arrays of char, lists
 * are arrays with a count, so a default is copied and nothing is freed.
 *
 * check  may be NULL; called for each scalar with its dotted key ("http.port", list indices
 *        left out) and text; returns NULL if good, else what is expected instead */
struct conf_spec {
    const cyaml_schema_value_t *schema; /* CONF_TOP */
    const void *defaults;               /* the struct with its default values */
    const char *(*check)(const char *key, const char *text);
};

/* The parts of a schema. 'min_' and 'max_' are inclusive; libcyaml 1.3 has no range for
 * numbers, so the range sits in the member of the union that it uses for strings only. */
#define CONF_UINT_VALUE(type_, min_, max_)                                                 \
    .type = CYAML_UINT, .data_size = sizeof(type_), .string = {.min = (min_), .max = (max_)}
#define CONF_UINT(key_, struct_, member_, min_, max_)                                      \
    {                                                                                      \
        .key = (key_), .data_offset = offsetof(struct_, member_), .value = {               \
            CONF_UINT_VALUE(((struct_ *)NULL)->member_, min_, max_),                       \
            .flags = CYAML_FLAG_OPTIONAL                                                   \
        }                                                                                  \
    }
#define CONF_STRING(key_, struct_, member_)                                                \
    CYAML_FIELD_STRING(key_, CYAML_FLAG_OPTIONAL, struct_, member_, 0)
#define CONF_BOOL(key_, struct_, member_)                                                  \
    CYAML_FIELD_BOOL(key_, CYAML_FLAG_OPTIONAL, struct_, member_)
#define CONF_ENUM(key_, struct_, member_, names_)                                          \
    CYAML_FIELD_ENUM(key_, CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct_, member_,      \
                     names_, CYAML_ARRAY_LEN(names_))
#define CONF_MAPPING(key_, struct_, member_, fields_)                                      \
    CYAML_FIELD_MAPPING(key_, CYAML_FLAG_OPTIONAL, struct_, member_, fields_)
/* A list: 'member_' is an array, 'n_' the member with its count. */
#define CONF_LIST(key_, struct_, member_, n_, entry_)                                      \
    CYAML_FIELD_SEQUENCE_COUNT(key_, CYAML_FLAG_OPTIONAL, struct_, member_, n_, entry_, 0, \
                               CYAML_ARRAY_LEN(((struct_ *)NULL)->member_))
#define CONF_END CYAML_FIELD_END
#define CONF_TOP(struct_, fields_)                                                         \
    {                                                                                      \
        CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct_, fields_)                          \
    }

/* Internal: one reading of one file. */
struct conf_reading {
    const char *path;
    const struct conf_spec *spec;
    yaml_document_t doc;
    char *err;
    size_t cap;
};

/* Internal: writes "path:line: text" to the caller's error buffer, as one line even if it
 * quotes a key or value of several. Returns -EINVAL. */
__attribute__((format(printf, 3, 4))) static inline int
conf_fail(const struct conf_reading *r, size_t line, const char *fmt, ...)
{
    va_list args;
    int n = snprintf(r->err, r->cap, "%s:%zu: ", r->path, line + 1);

    if (n >= 0 && (size_t)n < r->cap) {
        va_start(args, fmt);
        vsnprintf(r->err + n, r->cap - (size_t)n, fmt, args);
        va_end(args);
    }
    for (char *p = r->err; r->cap > 0 && *p != '\0'; p++) {
        *p = iscntrl((unsigned char)*p) ? ' ' : *p;
    }
    return -EINVAL;
}

/* Edits (insert, remove, replace, swap neighbours) from 'a' to 'b', or SIZE_MAX if one is
 * longer than CONF_NAME_MAX. */
static inline size_t conf_distance(const char *a, const char *b)
{
    size_t d[CONF_NAME_MAX + 1][CONF_NAME_MAX + 1];
    size_t n = strlen(a), m = strlen(b);

    if (n > CONF_NAME_MAX || m > CONF_NAME_MAX) {
        return SIZE_MAX;
    }
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

            best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
            best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best) {
                best = d[i - 2][j - 2] + 1;
            }
            d[i][j] = best;
        }
    }
    return d[n][m];
}

/* Internal: fills 'hint' with " (did you mean 'x'?)" for the one of the 'n' names nearest
 * to 'name', or with all of them if none is near. 'at' gives the i-th name. */
static inline void conf_hint(const char *name, const void *names, size_t n,
                             const char *(*at)(const void *names, size_t i), char *hint,
                             size_t cap)
{
    size_t best = SIZE_MAX, used = 0;
    const char *near = NULL;

    for (size_t i = 0; i < n; i++) {
        size_t d = conf_distance(name, at(names, i));

        if (d < best) {
            best = d;
            near = at(names, i);
        }
    }
    if (near != NULL && best <= 1 + strlen(name) / 4) {
        snprintf(hint, cap, " (did you mean '%s'?)", near);
        return;
    }
    hint[0] = '\0';
    for (size_t i = 0; i < n && used < cap; i++) {
        int len = snprintf(hint + used, cap - used, "%s%s%s", i == 0 ? " (known: " : ", ",
                           at(names, i), i + 1 == n ? ")" : "");

        used += len > 0 ? (size_t)len : 0;
    }
}

static inline const char *conf_field_at(const void *fields, size_t i)
{
    return ((const cyaml_schema_field_t *)fields)[i].key;
}

static inline const char *conf_enum_at(const void *strings, size_t i)
{
    return ((const cyaml_strval_t *)strings)[i].str;
}

static inline const cyaml_schema_field_t *conf_field(const cyaml_schema_value_t *schema,
                                                     const char *key)
{
    for (const cyaml_schema_field_t *f = schema->mapping.fields; f->key != NULL; f++) {
        if (strcmp(f->key, key) == 0) {
            return f;
        }
    }
    return NULL;
}

static inline const char *conf_text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/* Internal: a number, an enum or a boolean is as the schema wants it. */
static inline int conf_check_scalar(const struct conf_reading *r,
                                    const cyaml_schema_value_t *schema, const char *key,
                                    const yaml_node_t *node)
{
    const char *text = conf_text(node);
    size_t line = node->start_mark.line;
    unsigned long long number;
    char hint[256];
    char *end;

    switch (schema->type) {
    case CYAML_UINT:
        errno = 0;
        number = strtoull(text, &end, 0);

        if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
            number < schema->string.min || number > schema->string.max) {
            return conf_fail(r, line, "'%s' must be a number from %u to %u, not '%s'", key,
                             schema->string.min, schema->string.max, text);
        }
        break;
    case CYAML_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
            return conf_fail(r, line, "'%s' must be true or false, not '%s'", key, text);
        }
        break;
    case CYAML_ENUM:
        for (uint32_t i = 0; i < schema->enumeration.count; i++) {
            if (strcmp(text, schema->enumeration.strings[i].str) == 0) {
                return 0;
            }
        }
        conf_hint(text, schema->enumeration.strings, schema->enumeration.count,
                  conf_enum_at, hint, sizeof(hint));
        return conf_fail(r, line, "'%s' cannot be '%s'%s", key, text, hint);
    default: /* CYAML_STRING; its text may be a secret and is not repeated */
        if (node->data.scalar.length > schema->string.max ||
            strlen(text) != node->data.scalar.length) {
            return conf_fail(r, line, "'%s' must be text of at most %u bytes", key,
                             schema->string.max);
        }
        break;
    }
    const char *wanted = r->spec->check != NULL ? r->spec->check(key, text) : NULL;

    return wanted != NULL ? conf_fail(r, line, "'%s' must be %s", key, wanted) : 0;
}

static inline int conf_check(struct conf_reading *r, const cyaml_schema_value_t *schema,
                             const char *key, const yaml_node_t *node);

static inline int conf_check_mapping(struct conf_reading *r,
                                     const cyaml_schema_value_t *schema, const char *key,
                                     const yaml_node_t *node)
{
    const cyaml_schema_field_t *fields = schema->mapping.fields;
    char sub[CONF_KEY_MAX], hint[256];
    size_t n = 0;

    while (fields[n].key != NULL) {
        n++;
    }
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(&r->doc, pair->key);
        const cyaml_schema_field_t *field;

        if (name->type != YAML_SCALAR_NODE) {
            return conf_fail(r, name->start_mark.line, "a key must be a plain word");
        }
        field = conf_field(schema, conf_text(name));
        if (field == NULL) {
            conf_hint(conf_text(name), fields, n, conf_field_at, hint, sizeof(hint));
            return conf_fail(r, name->start_mark.line, "unknown key '%s'%s",
                             conf_text(name), hint);
        }
        for (const yaml_node_pair_t *p = node->data.mapping.pairs.start; p < pair; p++) {
            if (strcmp(conf_text(yaml_document_get_node(&r->doc, p->key)), field->key) ==
                0) {
                return conf_fail(r, name->start_mark.line, "key '%s' is there twice",
                                 field->key);
            }
        }
        snprintf(sub, sizeof(sub), "%s%s%s", key, key[0] != '\0' ? "." : "", field->key);
        int err =
            conf_check(r, &field->value, sub, yaml_document_get_node(&r->doc, pair->value));

        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static inline int conf_check_list(struct conf_reading *r,
                                  const cyaml_schema_value_t *schema, const char *key,
                                  const yaml_node_t *node)
{
    const yaml_node_item_t *items = node->data.sequence.items.start;
    size_t n = (size_t)(node->data.sequence.items.top - items);

    if (n > schema->sequence.max) {
        return conf_fail(r, node->start_mark.line, "'%s' has %zu entries, at most %u go",
                         key, n, schema->sequence.max);
    }
    for (size_t i = 0; i < n; i++) {
        int err = conf_check(r, schema->sequence.entry, key,
                             yaml_document_get_node(&r->doc, items[i]));

        if (err != 0) {
            return err;
        }
    }
    return 0;
}

/* Internal: 'node' fits 'schema'. The depth of the recursion is the schema's. */
static inline int conf_check(struct conf_reading *r, const cyaml_schema_value_t *schema,
                             const char *key, const yaml_node_t *node)
{
    const char *wanted;

    switch (schema->type) {
    case CYAML_MAPPING:
        if (node->type == YAML_MAPPING_NODE) {
            return conf_check_mapping(r, schema, key, node);
        }
        wanted = "a group of keys";
        break;
    case CYAML_SEQUENCE:
        if (node->type == YAML_SEQUENCE_NODE) {
            return conf_check_list(r, schema, key, node);
        }
        wanted = "a list";
        break;
    default:
        if (node->type == YAML_SCALAR_NODE) {
            return conf_check_scalar(r, schema, key, node);
        }
        wanted = "a single value";
        break;
    }
    return conf_fail(r, node->start_mark.line, "'%s' must be %s",
                     key[0] != '\0' ? key : "the file", wanted);
}

/* Internal: copies the default of whatever 'node' (NULL: nothing) does not mention. */
static inline void conf_fill(struct conf_reading *r, const cyaml_schema_value_t *schema,
                             const yaml_node_t *node, char *out, const char *defaults)
{
    for (const cyaml_schema_field_t *f = schema->mapping.fields; f->key != NULL; f++) {
        const yaml_node_t *value = NULL;
        bool is_list = f->value.type == CYAML_SEQUENCE;

        for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
             pair < node->data.mapping.pairs.top && value == NULL; pair++) {
            if (strcmp(conf_text(yaml_document_get_node(&r->doc, pair->key)), f->key) ==
                0) {
                value = yaml_document_get_node(&r->doc, pair->value);
            }
        }
        if (value == NULL) {
            memcpy(out + f->data_offset, defaults + f->data_offset,
                   is_list ? (size_t)f->value.data_size * f->value.sequence.max
                           : f->value.data_size);
            if (is_list) {
                memcpy(out + f->count_offset, defaults + f->count_offset, f->count_size);
            }
        } else if (f->value.type == CYAML_MAPPING) {
            conf_fill(r, &f->value, value, out + f->data_offset, defaults + f->data_offset);
        }
    }
}

/* Reads all of 'path' into heap memory ('out' filled, the caller's to free, with 'len').
 * Returns 0, the negative errno of reading, -EFBIG or -ENOMEM. */
static inline int conf_slurp(const char *path, char **out, size_t *len)
{
    FILE *file = fopen(path, "rbe");
    char *text = NULL;
    int err = 0;

    if (file == NULL) {
        return -errno;
    }
    text = malloc(CONF_FILE_MAX);
    if (text == NULL) {
        err = -ENOMEM;
        goto out;
    }
    *len = fread(text, 1, CONF_FILE_MAX, file);
    if (ferror(file)) {
        err = -EIO; /* a directory, for one */
    } else if (*len == CONF_FILE_MAX) {
        err = -EFBIG;
    } else {
        *out = text;
        text = NULL; /* moved */
    }
out:
    free(text);
    fclose(file);
    return err;
}

/* Internal: checks the document in r->doc, then has libcyaml read the same text. */
static inline int conf_read(struct conf_reading *r, const char *text, size_t len, void *out)
{
    static const cyaml_config_t config = {.mem_fn = cyaml_mem, .flags = CYAML_CFG_NO_ALIAS};
    const cyaml_schema_value_t *schema = r->spec->schema;
    const yaml_node_t *root = yaml_document_get_root_node(&r->doc);
    cyaml_data_t *data = NULL;
    cyaml_err_t cerr;
    int err;

    if (root == NULL) { /* nothing but comments */
        memcpy(out, r->spec->defaults, schema->data_size);
        return 0;
    }
    err = conf_check(r, schema, "", root);
    if (err != 0) {
        return err;
    }
    cerr = cyaml_load_data((const uint8_t *)text, len, &config, schema, &data, NULL);
    if (cerr != CYAML_OK) {
        snprintf(r->err, r->cap, "%s: %s", r->path, cyaml_strerror(cerr));
        return cerr == CYAML_ERR_OOM ? -ENOMEM : -EINVAL;
    }
    conf_fill(r, schema, root, (char *)data, (const char *)r->spec->defaults);
    memcpy(out, data, schema->data_size);
    explicit_bzero(data, schema->data_size); /* it may hold a secret */
    free(data);
    return 0;
}

/* Reads the configuration file 'path'.
 *
 * spec  borrowed
 * out   filled: the struct of the schema, with defaults for what the file leaves out;
 *       untouched on failure
 * err   filled on failure: one line, "path:line: what is wrong", with the nearest name
 *
 * Returns 0, -EINVAL if the file is wrong, or the errno of reading it (-ENOENT, -EACCES,
 * -EFBIG …), -ENOMEM.  Any thread. */
static inline int conf_load(const char *path, const struct conf_spec *spec, void *out,
                            char *err, size_t cap)
{
    struct conf_reading r = {.path = path, .spec = spec, .err = err, .cap = cap};
    yaml_parser_t parser;
    char *text = NULL;
    size_t len = 0;
    int ret = conf_slurp(path, &text, &len);

    if (text == NULL) {
        snprintf(err, cap, "%s: cannot be read: %s", path, strerror(-ret));
        return ret;
    }
    if (yaml_parser_initialize(&parser) == 0) {
        free(text);
        snprintf(err, cap, "%s: %s", path, strerror(ENOMEM));
        return -ENOMEM;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    if (yaml_parser_load(&parser, &r.doc) == 0) {
        conf_fail(&r, parser.problem_mark.line, "not YAML: %s",
                  parser.problem != NULL ? parser.problem : "cannot be parsed");
        ret = -EINVAL;
    } else {
        ret = conf_read(&r, text, len, out);
        yaml_document_delete(&r.doc);
    }
    yaml_parser_delete(&parser);
    explicit_bzero(text, len);
    free(text);
    return ret;
}

/* Prints a loaded struct ('data', borrowed) to 'file' as YAML that conf_load() takes again.
 * The caller masks secrets before. Returns 0, -ENOMEM, or -EIO. */
static inline int conf_print(const struct conf_spec *spec, const void *data, FILE *file)
{
    static const cyaml_config_t config = {.mem_fn = cyaml_mem,
                                          .flags = CYAML_CFG_STYLE_BLOCK};
    char *text = NULL;
    size_t len = 0;
    size_t done;

    if (cyaml_save_data(&text, &len, &config, spec->schema, data, 0) != CYAML_OK) {
        return -ENOMEM;
    }
    done = fwrite(text, 1, len, file);
    free(text);
    return done == len && fflush(file) == 0 ? 0 : -EIO;
}

/* Internal: the default of a scalar, as a file would say it; "" where it is none of its own
 * ('at' NULL: of an entry of a list). */
static inline void conf_default(const cyaml_schema_value_t *schema, const char *at,
                                FILE *file)
{
    uint64_t number = 0;

    if (at == NULL) {
        return;
    }
    if (schema->type == CYAML_STRING) {
        fprintf(file, "\"%s\"", at);
        return;
    }
    memcpy(&number, at, schema->data_size); /* little-endian, as all of ours is */
    if (schema->type == CYAML_BOOL) {
        fputs(number != 0 ? "true" : "false", file);
    } else if (schema->type == CYAML_ENUM) {
        for (uint32_t i = 0; i < schema->enumeration.count; i++) {
            if (schema->enumeration.strings[i].val == (int64_t)number) {
                fputs(schema->enumeration.strings[i].str, file);
            }
        }
    } else {
        fprintf(file, "%llu", (unsigned long long)number);
    }
}

/* Internal: a key that grows and shrinks again; too long a one is cut off. */
struct conf_key {
    char text[CONF_KEY_MAX];
    size_t len;
};

static inline void conf_key_add(struct conf_key *key, const char *text)
{
    while (*text != '\0' && key->len + 1 < sizeof(key->text)) {
        key->text[key->len++] = *text++;
    }
    key->text[key->len] = '\0';
}

static inline void conf_key_cut(struct conf_key *key, size_t len)
{
    key->len = len;
    key->text[len] = '\0';
}

/* Internal: a line for 'schema', then those of what is in it. */
static inline void conf_describe_value(const cyaml_schema_value_t *schema,
                                       struct conf_key *key, const char *at, FILE *file)
{
    size_t len = key->len;

    if (schema->type == CYAML_MAPPING) {
        for (const cyaml_schema_field_t *f = schema->mapping.fields; f->key != NULL; f++) {
            conf_key_add(key, len > 0 ? "." : "");
            conf_key_add(key, f->key);
            conf_describe_value(&f->value, key, at != NULL ? at + f->data_offset : NULL,
                                file);
            conf_key_cut(key, len);
        }
        return;
    }
    if (schema->type == CYAML_SEQUENCE) {
        fprintf(file, "%s\tlist\tat most %u\t\n", key->text, schema->sequence.max);
        conf_key_add(key, "[]");
        conf_describe_value(schema->sequence.entry, key, NULL, file);
        conf_key_cut(key, len);
        return;
    }
    switch (schema->type) {
    case CYAML_UINT:
        fprintf(file, "%s\tnumber\t%u to %u\t", key->text, schema->string.min,
                schema->string.max);
        break;
    case CYAML_BOOL:
        fprintf(file, "%s\tboolean\ttrue or false\t", key->text);
        break;
    case CYAML_ENUM:
        fprintf(file, "%s\tword\t", key->text);
        for (uint32_t i = 0; i < schema->enumeration.count; i++) {
            fprintf(file, "%s%s", i > 0 ? ", " : "", schema->enumeration.strings[i].str);
        }
        fputc('\t', file);
        break;
    default:
        fprintf(file, "%s\ttext\tat most %u bytes\t", key->text, schema->string.max);
        break;
    }
    conf_default(schema, at, file);
    fputc('\n', file);
}

/* Prints a line for each key that a file may have: its name (entries of lists with "[]"),
 * type, what it may be, and its default, with tabs between. */
static inline void conf_describe(const struct conf_spec *spec, FILE *file)
{
    struct conf_key key = {.len = 0};

    conf_describe_value(spec->schema, &key, (const char *)spec->defaults, file);
}

#endif
