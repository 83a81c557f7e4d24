/* kcs-schema: writes what is made of the interface's table, for builds and tests.
 *
 * usage: kcs-schema openapi|asyncapi|events|typescript|page [FILE] */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/document.h"

static char *json_text(json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_INDENT(2)) : NULL;

    json_decref(value);
    return text;
}

static char *make(const char *what)
{
    if (strcmp(what, "openapi") == 0) {
        return json_text(schema_openapi("dev"));
    }
    if (strcmp(what, "asyncapi") == 0) {
        return json_text(schema_asyncapi("dev"));
    }
    if (strcmp(what, "events") == 0) {
        return json_text(schema_facts());
    }
    if (strcmp(what, "typescript") == 0) {
        return schema_typescript();
    }
    return strcmp(what, "page") == 0 ? schema_page("dev") : NULL;
}

int main(int argc, char **argv)
{
    char *text = argc == 2 || argc == 3 ? make(argv[1]) : NULL;
    FILE *to = stdout;
    int status = 1;

    if (text == NULL) {
        (void)fputs("usage: kcs-schema openapi|asyncapi|events|typescript|page [FILE]\n", stderr);
        return 2;
    }
    if (argc == 3) {
        to = fopen(argv[2], "we");
    }
    if (to != NULL && fputs(text, to) >= 0 && fclose(to) == 0) {
        status = 0;
    } else {
        perror("kcs-schema");
    }
    free(text);
    return status;
}
