/* kcsctl lanes: how busy they are, and who is moved to which. */
#include "kcsctl/lanes.h"

#include <string.h>

#include "kcsctl/admin.h"
#include "kcsctl/kcsctl.h"
#include "kcsctl/show.h"

json_int_t lanes_sum(const json_t *counters)
{
    json_int_t sum = 0;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)counters, key, value)
    {
        sum += json_integer_value(value);
    }
    return sum;
}

json_t *lanes_table(const json_t *lanes)
{
    static const char *const columns[] = {
        "lane",       "busy_percent", "packets_per_s", "cycles_per_packet", "peers",
        "streams",    "subscriptions", "rx_packets",   "tx_packets",        "handed_in",
        "handed_out", "handed_tx",    "forwards",      "dropped_in",        "dropped_out",
        "buffers_free"};
    json_t *rows = json_array();

    for (size_t i = 0; i < json_array_size(lanes); i++) {
        const json_t *lane = json_array_get(lanes, i);
        json_t *row = json_object();

        for (size_t c = 0; c < sizeof(columns) / sizeof(columns[0]); c++) {
            json_t *value = json_object_get(lane, columns[c]);

            if (json_is_object(value)) {
                (void)json_object_set_new(row, columns[c], json_integer(lanes_sum(value)));
            } else if (value != NULL) {
                (void)json_object_set(row, columns[c], value);
            }
        }
        (void)json_array_append_new(rows, row);
    }
    return rows;
}

static int show(const struct options *options, const char *path)
{
    json_t *data = NULL, *rows;
    char err[512] = "";
    int ret;

    if (options->json) {
        return kcsctl_get(options, path);
    }
    ret = admin_get(options->socket, path, &data, err, sizeof(err));
    if (ret != EXIT_OK) {
        fprintf(stderr, "kcsctl: %s\n", err);
        return ret;
    }
    rows = lanes_table(data);
    ret = kcsctl_show(rows, options);
    json_decref(rows);
    json_decref(data);
    return ret;
}

/* An id that can stand in an address as it is. */
static bool is_id(const char *text)
{
    return text[0] != '\0' && strlen(text) <= 128 &&
           strspn(text,
                  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
               strlen(text);
}

int kcsctl_lanes(const struct command *command, const struct options *options,
                 const char *argument)
{
    char path[256];
    (void)argument;

    if (options->n_rest == 0) {
        return show(options, command->path);
    }
    if (options->n_rest != 3 || strcmp(options->rest[0], "move") != 0 ||
        !is_id(options->rest[1]) || strlen(options->rest[2]) > 3 ||
        strspn(options->rest[2], "0123456789") != strlen(options->rest[2])) {
        fprintf(stderr, "kcsctl: lanes, or lanes move TRANSPORT LANE: an id of 'kcsctl "
                        "peers' and a number\n");
        return EXIT_USAGE;
    }
    snprintf(path, sizeof(path), "/lanes/move?transport=%s&lane=%s", options->rest[1],
             options->rest[2]);
    return kcsctl_order(options, path, "");
}
