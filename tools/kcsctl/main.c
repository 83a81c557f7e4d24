/* kcsctl, the operator's hand: reads a running node over its admin socket, mints tokens and
 * looks at the machine. This file parses the command line. */
#include <curl/curl.h>
#include <getopt.h>
#include <string.h>

#include "kcsctl/kcsctl.h"

#define VERSION "0.1.0"

const struct command kcsctl_commands[] = {
    {"status", "/status", "js", "the node at a glance", kcsctl_read, NULL, false},
    {"peers", "/peers", "js", "transports of clients", kcsctl_read, NULL, false},
    {"streams", "/streams", "js", "published streams", kcsctl_read, NULL, false},
    {"drops", "/drops", "js", "dropped packets by reason", kcsctl_read, NULL, false},
    {"lanes", "/lanes", "js", "counters of lanes; move TRANSPORT LANE moves a transport",
     kcsctl_lanes, NULL, true},
    {"audit", "/audit", "js", "who did what, the newest first", kcsctl_read, NULL, false},
    {"drain", NULL, "jsd", "no more meetings; the node stops when nobody is left",
     kcsctl_drain, NULL, false},
    {"undrain", NULL, "js", "back into service", kcsctl_undrain, NULL, false},
    {"loglevel", NULL, "js", "how much control logs: error, warn, info, debug",
     kcsctl_loglevel, "LEVEL", false},
    {"backup", NULL, "js", "copy the node's store to a new file", kcsctl_backup, "FILE",
     false},
    {"restore", NULL, "", "put a backup in a store's place: FILE STORE", kcsctl_restore,
     "FILE", true},
    {"user", NULL, "jsnrT", "make an account: add LOGIN, password on standard input",
     kcsctl_user, "add", true},
    {"token", NULL, "jmnrtfuT", "mint a meeting token", kcsctl_token, NULL, false},
    {"doctor", NULL, "js", "look at this machine for what a node needs", kcsctl_doctor,
     NULL, false},
    {"completion", NULL, "", "print a completion script: bash or zsh", kcsctl_completion,
     "SHELL", false},
    {NULL, NULL, NULL, NULL, NULL, NULL, false},
};

const struct option kcsctl_options[] = {
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"json", no_argument, NULL, 'j'},
    {"socket", required_argument, NULL, 's'},
    {"meeting", required_argument, NULL, 'm'},
    {"name", required_argument, NULL, 'n'},
    {"role", required_argument, NULL, 'r'},
    {"ttl", required_argument, NULL, 't'},
    {"secret-file", required_argument, NULL, 'f'},
    {"user", required_argument, NULL, 'u'},
    {"tenant", required_argument, NULL, 'T'},
    {"deadline", required_argument, NULL, 'd'},
    {NULL, 0, NULL, 0},
};

static void print_usage(FILE *out)
{
    fputs("usage: kcsctl COMMAND [options]\n\n", out);
    for (const struct command *c = kcsctl_commands; c->name != NULL; c++) {
        fprintf(out, "  %-10s %-5s %s\n", c->name, c->argument != NULL ? c->argument : "",
                c->summary);
    }
    fputs("\n"
          "  --json              machine-readable output\n"
          "  --socket PATH       admin socket of the node (" KCSCTL_SOCKET ")\n"
          "  --help, --version\n"
          "\n"
          "kcsctl drain [--deadline 1h]\n"
          "kcsctl restore FILE STORE\n"
          "kcsctl user add LOGIN [--role R] [--name N] [--tenant T] < PASSWORD\n"
          "kcsctl token --meeting M [--name N] [--role R] [--ttl 1h] [--user U]\n"
          "             [--tenant T] [--secret-file F | KCS_HS256_SECRET in the "
          "environment]\n"
          "\n"
          "Exit status: 0 ok, 1 failure, 2 usage, 3 node not reachable, 4 bad "
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
    default:
        return false;
    }
}

static const char *option_name(char letter)
{
    const struct option *o = kcsctl_options;

    while (o->val != letter) {
        o++;
    }
    return o->name;
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
                    command->name, option_name(*letter));
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
    char given[32] = ""; /* letters of the options seen, once each */
    size_t n = 0;
    int letter, ret;

    while ((letter = getopt_long(argc, argv, "h", kcsctl_options, NULL)) != -1) {
        if (letter == 'h') {
            print_usage(stdout);
            return EXIT_OK;
        }
        if (letter == 'V') {
            puts("kcsctl " VERSION);
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
