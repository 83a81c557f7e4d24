/* kcsctl close, kick and mute, and what is asked about something by its id. */
#include <string.h>

#include "kcsctl/kcsctl.h"
#include "kcsctl/show.h"

enum { ADDRESS_MAX = 4096 };

int kcsctl_read_about(const struct command *command, const struct options *options,
                      const char *argument)
{
    bool peer = strcmp(command->name, "peer") == 0;
    char path[ADDRESS_MAX];

    snprintf(path, sizeof(path), "%s", command->path);
    kcsctl_add_query(path, sizeof(path), peer ? "id" : "meeting",
                     argument != NULL ? argument : options->meeting);
    kcsctl_add_query(path, sizeof(path), "tenant", options->tenant);
    return kcsctl_get(options, path);
}

int kcsctl_close(const struct command *command, const struct options *options,
                 const char *argument)
{
    char path[ADDRESS_MAX] = "/rooms/close";
    (void)command;

    kcsctl_add_query(path, sizeof(path), "meeting", argument);
    kcsctl_add_query(path, sizeof(path), "tenant", options->tenant);
    return kcsctl_order(options, path, "");
}

/* 'path' is filled for an order about somebody; false: it was said what is missing. */
static bool about(const struct command *command, const struct options *options,
                  const char *meeting, char path[ADDRESS_MAX])
{
    if (options->n_rest != 1) {
        fprintf(stderr, "kcsctl: %s MEETING WHO: the id of a participant or of a user\n",
                command->name);
        return false;
    }
    kcsctl_add_query(path, ADDRESS_MAX, "meeting", meeting);
    kcsctl_add_query(path, ADDRESS_MAX, "tenant", options->tenant);
    kcsctl_add_query(path, ADDRESS_MAX, "who", options->rest[0]);
    kcsctl_add_query(path, ADDRESS_MAX, "reason", options->reason);
    return true;
}

int kcsctl_kick(const struct command *command, const struct options *options,
                const char *argument)
{
    char path[ADDRESS_MAX] = "/rooms/kick";

    if (!about(command, options, argument, path)) {
        return EXIT_USAGE;
    }
    kcsctl_add_query(path, sizeof(path), "ban", options->ban ? "1" : NULL);
    return kcsctl_order(options, path, "");
}

int kcsctl_mute(const struct command *command, const struct options *options,
                const char *argument)
{
    char path[ADDRESS_MAX] = "/rooms/mute";

    if (!about(command, options, argument, path)) {
        return EXIT_USAGE;
    }
    kcsctl_add_query(path, sizeof(path), "kind",
                     options->kind != NULL ? options->kind : "audio");
    return kcsctl_order(options, path, "");
}
