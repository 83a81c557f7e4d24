/* kcsctl, the operator's hand: reads a running node over its admin socket, mints tokens and
 * looks at the machine. This file parses the command line. */
#include <curl/curl.h>
#include <getopt.h>
#include <string.h>

#include "kcsctl/kcsctl.h"

enum { MAX_OPTIONS = 32 };

static void print_usage(FILE *out)
{
    fputs("usage: kcsctl COMMAND [options]\n\n", out);
    for (const struct command *c = kcsctl_commands; c->name != NULL; c++) {
        fprintf(out, "  %s", c->name);
        kcsctl_synopsis(out, c, "--");
        fprintf(out, "\n      %s\n", c->summary);
    }
    fputc('\n', out);
    for (const struct option_text *o = kcsctl_options; o->name != NULL; o++) {
        fprintf(out, "  --%s%s%s\n      %s\n", o->name, o->value != NULL ? " " : "",
                o->value != NULL ? o->value : "", o->help);
    }
    fputs("\nExit status: 0 ok, 1 failure, 2 usage, 3 node not reachable, 4 bad "
          "configuration.\n",
          out);
}

/* Takes option 'letter'. Returns false for one that getopt did not know. */
static bool take(struct options *o, int letter)
{
    switch (letter) {
    case 'j':
        o->json = true;
        return true;
    case 's':
        o->socket = optarg;
        return true;
    case 'm':
        o->meeting = optarg;
        return true;
    case 'n':
        o->name = optarg;
        return true;
    case 'r':
        o->role = optarg;
        return true;
    case 't':
        o->ttl = optarg;
        return true;
    case 'f':
        o->secret_file = optarg;
        return true;
    case 'u':
        o->user = optarg;
        return true;
    case 'T':
        o->tenant = optarg;
        return true;
    case 'd':
        o->deadline = optarg;
        return true;
    case 'R':
        o->reason = optarg;
        return true;
    case 'b':
        o->ban = true;
        return true;
    case 'k':
        o->kind = optarg;
        return true;
    case 'i':
        o->interval = optarg;
        return true;
    case 'c':
        o->count = optarg;
        return true;
    case 'l':
        o->time = optarg;
        return true;
    case 'p':
        o->peer = optarg;
        return true;
    case 'D':
        o->decrypted = true;
        return true;
    default:
        return false;
    }
}

static int usage_error(const char *what, const char *which)
{
    fprintf(stderr, "kcsctl: %s%s; see 'kcsctl --help'\n", what, which);
    return EXIT_USAGE;
}

/* Finds the command, and refuses options and arguments that it does not take. */
static int dispatch(int argc, char **argv, struct options *options, const char *given)
{
    const struct command *command = kcsctl_commands;
    const char *argument = NULL;

    if (optind == argc) {
        return usage_error("no command", "");
    }
    while (command->name != NULL && strcmp(command->name, argv[optind]) != 0) {
        command++;
    }
    if (command->name == NULL) {
        return usage_error("no such command: ", argv[optind]);
    }
    for (const char *letter = given; *letter != '\0'; letter++) {
        if (strchr(command->takes, *letter) == NULL) {
            fprintf(stderr, "kcsctl: '%s' takes no --%s; see 'kcsctl --help'\n",
                    command->name, kcsctl_option(*letter)->name);
            return EXIT_USAGE;
        }
    }
    for (const char *letter = command->needs; letter != NULL && *letter != '\0'; letter++) {
        if (strchr(given, *letter) == NULL) {
            fprintf(stderr, "kcsctl: '%s' needs --%s; see 'kcsctl --help'\n",
                    command->name, kcsctl_option(*letter)->name);
            return EXIT_USAGE;
        }
    }
    optind++;
    if (command->argument != NULL) {
        if (optind == argc) {
            return usage_error("missing argument: ", command->argument);
        }
        argument = argv[optind++];
    }
    if (command->takes_rest) {
        options->rest = argv + optind;
        options->n_rest = argc - optind;
    } else if (optind != argc) {
        return usage_error("too many arguments: ", argv[optind]);
    }
    return command->run(command, options, argument);
}

int main(int argc, char **argv)
{
    struct options options = {.socket = KCSCTL_SOCKET};
    struct option known[MAX_OPTIONS] = {0};    /* ends with a NULL name */
    char given[MAX_OPTIONS] = "";              /* letters of the options seen, once each */
    size_t n = 0;
    int letter, ret;

    for (size_t i = 0; i + 1 < MAX_OPTIONS && kcsctl_options[i].name != NULL; i++) {
        known[i] = (struct option){.name = kcsctl_options[i].name,
                                   .has_arg = kcsctl_options[i].value != NULL,
                                   .val = kcsctl_options[i].letter};
    }
    while ((letter = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        if (letter == 'h') {
            print_usage(stdout);
            return EXIT_OK;
        }
        if (letter == 'V') {
            puts("kcsctl " KCSCTL_VERSION);
            return EXIT_OK;
        }
        if (!take(&options, letter)) {
            return EXIT_USAGE; /* getopt has said what */
        }
        if (strchr(given, letter) == NULL) {
            given[n++] = (char)letter;
        }
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    ret = dispatch(argc, argv, &options, given);
    curl_global_cleanup();
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "kcsctl: cannot write the output\n");
        return EXIT_FAILED;
    }
    return ret;
}
