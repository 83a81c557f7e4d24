/* kcsctl drain, undrain and loglevel. */
#include <inttypes.h>
#include <string.h>

#include "kcsctl/kcsctl.h"
#include "kcsctl/show.h"

enum { DRAIN_MAX_S = 86400, PATH_TEXT = 512, MEETING_TEXT = 128 };

int kcsctl_drain(const struct command *command, const struct options *options,
                 const char *argument)
{
    int64_t seconds = kcsctl_seconds(options->deadline != NULL ? options->deadline : "1h");
    char path[PATH_TEXT];
    (void)command;
    (void)argument;

    if (seconds < 1 || seconds > DRAIN_MAX_S) {
        fprintf(stderr,
                "kcsctl: --deadline is a time like 90s, 15m or 2h, a day at most\n");
        return EXIT_USAGE;
    }
    snprintf(path, sizeof(path), "/drain?seconds=%" PRId64, seconds);
    return kcsctl_order(options, path, "");
}

int kcsctl_undrain(const struct command *command, const struct options *options,
                   const char *argument)
{
    (void)command;
    (void)argument;
    return kcsctl_order(options, "/undrain", "");
}

int kcsctl_loglevel(const struct command *command, const struct options *options,
                    const char *argument)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    char path[PATH_TEXT];
    size_t i = 0;
    (void)command;

    while (i < sizeof(levels) / sizeof(levels[0]) && strcmp(levels[i], argument) != 0) {
        i++;
    }
    if (i == sizeof(levels) / sizeof(levels[0])) {
        fprintf(stderr, "kcsctl: no level '%s': error, warn, info or debug\n", argument);
        return EXIT_USAGE;
    }
    if (options->n_rest > 1 || (options->n_rest == 1 && strcmp(argument, "debug") != 0) ||
        (options->n_rest == 1 && strlen(options->rest[0]) > MEETING_TEXT)) {
        fprintf(stderr, "kcsctl: of one meeting: kcsctl loglevel debug MEETING\n");
        return EXIT_USAGE;
    }
    if (options->n_rest == 1) {
        const char *meeting = options->rest[0];

        snprintf(path, sizeof(path), "/loglevel");
        kcsctl_add_query(path, sizeof(path), "meeting",
                         strcmp(meeting, "-") == 0 ? "" : meeting);
    } else {
        snprintf(path, sizeof(path), "/loglevel?level=%s", levels[i]);
    }
    return kcsctl_order(options, path, "");
}
