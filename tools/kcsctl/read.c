#include <stdlib.h>
#include <unistd.h>

#include "kcsctl/admin.h"
#include "kcsctl/kcsctl.h"
#include "kcsctl/show.h"
#include "kcsctl/table.h"

int kcsctl_show(const json_t *data, const struct options *options)
{
    const char *no_color = getenv("NO_COLOR");
    bool color = isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0');

    if (options->json) {
        json_dumpf(data, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
        putchar('\n');
        return EXIT_OK;
    }
    if (table_print(stdout, data, color) != 0) {
        fprintf(stderr, "kcsctl: no memory\n");
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

int kcsctl_read(const struct command *command, const struct options *options,
                const char *argument)
{
    json_t *data = NULL;
    char err[512];
    int ret = admin_get(options->socket, command->path, &data, err, sizeof(err));
    (void)argument;

    if (ret != EXIT_OK) {
        fprintf(stderr, "kcsctl: %s\n", err);
        return ret;
    }
    ret = kcsctl_show(data, options);
    json_decref(data);
    return ret;
}
