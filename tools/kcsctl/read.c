#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
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

/* What the node has answered with 'ret': its data (moved), or what is wrong. */
static int show_answer(int ret, json_t *data, const char *err,
                       const struct options *options)
{
    if (ret != EXIT_OK) {
        fprintf(stderr, "kcsctl: %s\n", err);
        return ret;
    }
    ret = kcsctl_show(data, options);
    json_decref(data);
    return ret;
}

int kcsctl_order(const struct options *options, const char *path, const char *body)
{
    json_t *data = NULL;
    char err[512] = "";
    int ret = admin_post(options->socket, path, body, &data, err, sizeof(err));

    return show_answer(ret, data, err, options);
}

void kcsctl_add_query(char *path, size_t cap, const char *name, const char *value)
{
    char *escaped = value != NULL ? curl_easy_escape(NULL, value, 0) : NULL;
    size_t len = strlen(path);

    if (escaped != NULL) {
        snprintf(path + len, cap - len, "%s%s=%s", strchr(path, '?') != NULL ? "&" : "?",
                 name, escaped);
    }
    curl_free(escaped);
}

int kcsctl_get(const struct options *options, const char *path)
{
    json_t *data = NULL;
    char err[512] = "";
    int ret = admin_get(options->socket, path, &data, err, sizeof(err));

    return show_answer(ret, data, err, options);
}

int kcsctl_read(const struct command *command, const struct options *options,
                const char *argument)
{
    (void)argument;
    return kcsctl_get(options, command->path);
}

int kcsctl_trace(const struct command *command, const struct options *options,
                 const char *argument)
{
    int64_t seconds = options->time != NULL ? kcsctl_seconds(options->time) : 0;
    char path[64], text[24];
    (void)argument;

    if (seconds < 0) {
        fprintf(stderr, "kcsctl: --time is a number and s, m or h, as 30s\n");
        return EXIT_USAGE;
    }
    snprintf(path, sizeof(path), "%s", command->path);
    snprintf(text, sizeof(text), "%lld", (long long)seconds);
    kcsctl_add_query(path, sizeof(path), "seconds", options->time != NULL ? text : NULL);
    return kcsctl_get(options, path);
}
