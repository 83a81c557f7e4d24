/* kcsctl events tail: what happens in meetings, a line an event; with --json an object a
 * line. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kcsctl/admin.h"
#include "kcsctl/kcsctl.h"

enum { FIRST_LINES = 10, LINES_MAX = 1000, LOOK_US = 500000 };

static const char *text_of(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));

    return text != NULL && text[0] != '\0' ? text : "-";
}

static void print_row(const json_t *row, bool json)
{
    if (json) {
        (void)json_dumpf(row, stdout, JSON_COMPACT);
        (void)putchar('\n');
        return;
    }
    printf("%s  %-30s %s %" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT " %s\n",
           text_of(row, "at"), text_of(row, "type"), text_of(row, "meeting"),
           json_integer_value(json_object_get(row, "epoch")),
           json_integer_value(json_object_get(row, "seq")), text_of(row, "user"));
}

/* Prints what is behind 'position' and moves it on. */
static int look(const struct options *options, uint64_t *position, unsigned lines,
                bool first)
{
    json_t *data = NULL;
    char path[96];
    char err[512] = "";
    const json_t *row;
    size_t i;
    int ret;

    (void)snprintf(path, sizeof(path), "/events?after=%" PRIu64 "&limit=%u", *position,
                   lines);
    ret = admin_get(options->socket, path, &data, err, sizeof(err));
    if (ret != EXIT_OK) {
        fprintf(stderr, "kcsctl: %s\n", err);
        return ret;
    }
    if (!first && json_is_true(json_object_get(data, "more"))) {
        fprintf(stderr, "kcsctl: more at once than is shown\n");
    }
    json_array_foreach(json_object_get(data, "events"), i, row)
    {
        print_row(row, options->json);
        *position = (uint64_t)json_integer_value(json_object_get(row, "position"));
    }
    json_decref(data);
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED; /* the reader is gone */
}

int kcsctl_events(const struct command *command, const struct options *options,
                  const char *argument)
{
    const char *lines = options->n_rest == 1 ? options->rest[0] : NULL;
    unsigned n = lines != NULL ? (unsigned)strtoul(lines, NULL, 10) : FIRST_LINES;
    uint64_t position = 0;
    int ret;
    (void)command;

    if (strcmp(argument, "tail") != 0 || options->n_rest > 1 || n == 0 || n > LINES_MAX) {
        fprintf(stderr, "kcsctl: events tail [LINES], at most %d\n", LINES_MAX);
        return EXIT_USAGE;
    }
    ret = look(options, &position, n, true);
    while (ret == EXIT_OK) {
        (void)usleep(LOOK_US);
        ret = look(options, &position, LINES_MAX, false);
    }
    return ret;
}
