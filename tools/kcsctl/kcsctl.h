/* What the subcommands of kcsctl share: the options of the command line and the exit codes.
 * main.c parses and dispatches; a subcommand prints its result to stdout, its error to
 * stderr with what to do, and returns one of the exit codes. */
#ifndef KCSCTL_KCSCTL_H
#define KCSCTL_KCSCTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { EXIT_OK = 0, EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_BAD_CONFIG };

#define KCSCTL_SOCKET "/run/kcs/admin.sock"
#define KCSCTL_VERSION "0.1.0"
#define WORDS_FILES "<files>" /* shells complete names of files */

/* All options of all subcommands; main.c refuses those that a subcommand does not take.
 * Strings are borrowed from argv, NULL if not given. */
struct options {
    const char *socket;
    bool json;
    const char *meeting;
    const char *name;
    const char *role;
    const char *ttl;
    const char *secret_file;
    const char *user;
    const char *tenant;
    const char *deadline;
    const char *reason;
    const char *kind;
    const char *interval;
    const char *count;
    const char *time;
    const char *peer;
    bool ban;
    bool decrypted;
    char **rest; /* what follows a command with takes_rest */
    int n_rest;
};

struct command {
    const char *name;
    const char *path;    /* admin resource of a plain read, else NULL */
    const char *takes;   /* letters of the options it takes */
    const char *needs;   /* of these: what must be given; may be NULL */
    const char *summary; /* one line, which begins in lower case */
    int (*run)(const struct command *command, const struct options *options,
               const char *argument);
    const char *argument; /* its one positional argument, or NULL */
    bool takes_rest;      /* and any more, to be had in options */
    const char *rest;     /* what these are, for people */
    const char *words;    /* that the argument may be, for shells; or WORDS_FILES, or NULL */
    const char *more;     /* for the manual page; may be NULL */
};

struct option_text {
    const char *name;
    char letter;
    const char *value; /* what follows it; NULL: nothing */
    const char *help;  /* in sentences */
    const char *words; /* as of a command */
};

/* commands.c */
extern const struct command kcsctl_commands[];    /* ends with a NULL name */
extern const struct option_text kcsctl_options[]; /* likewise */

/* One of these, which must exist. */
const struct option_text *kcsctl_option(char letter);

/* Prints what a command takes behind its name; before_option: "--". */
void kcsctl_synopsis(FILE *out, const struct command *command, const char *before_option);

/* GETs command->path from the node and prints it. */
int kcsctl_read(const struct command *command, const struct options *options,
                const char *argument);

/* rooms.c: the same of what 'argument' or the options name; what is done to meetings and the
 * people in them. */
int kcsctl_read_about(const struct command *command, const struct options *options,
                      const char *argument);
int kcsctl_close(const struct command *command, const struct options *options,
                 const char *argument);
int kcsctl_kick(const struct command *command, const struct options *options,
                const char *argument);
int kcsctl_mute(const struct command *command, const struct options *options,
                const char *argument);

/* top.c: a live screen. */
int kcsctl_top(const struct command *command, const struct options *options,
               const char *argument);

/* What the stages of lanes take. */
int kcsctl_trace(const struct command *command, const struct options *options,
                 const char *argument);

/* Counters of lanes; or, with "move TRANSPORT LANE" behind it, moves a transport. */
int kcsctl_lanes(const struct command *command, const struct options *options,
                 const char *argument);

/* orders.c: takes the node out of service and back; sets its level of log. */
int kcsctl_drain(const struct command *command, const struct options *options,
                 const char *argument);
int kcsctl_undrain(const struct command *command, const struct options *options,
                   const char *argument);
int kcsctl_loglevel(const struct command *command, const struct options *options,
                    const char *argument);

/* events.c: prints the last events, and each that comes from then on, until it is ended. */
int kcsctl_events(const struct command *command, const struct options *options,
                  const char *argument);

/* capture.c: copies the packets of one transport into a new file, until it is ended. */
int kcsctl_capture(const struct command *command, const struct options *options,
                   const char *argument);

/* store.c: has the node copy its store to the new file 'argument'. */
int kcsctl_backup(const struct command *command, const struct options *options,
                  const char *argument);

/* Puts the backup 'argument' in the place of a store that nobody has open, offline; what
 * was there is kept beside it. */
int kcsctl_restore(const struct command *command, const struct options *options,
                   const char *argument);

/* Makes an account; its password is a line of standard input. */
int kcsctl_user(const struct command *command, const struct options *options,
                const char *argument);

/* "90", "90s", "15m", "24h", "7d" in seconds, a year at most; else -1. */
int64_t kcsctl_seconds(const char *text);

enum { COUNT_MAX = 100000000 };

/* What --count gives, 1 to COUNT_MAX; else -1. */
long kcsctl_count(const char *text);

/* Mints a meeting token with the secret of --secret-file or KCS_HS256_SECRET, offline. */
int kcsctl_token(const struct command *command, const struct options *options,
                 const char *argument);

/* Looks at this machine for what a node needs; fails if something makes it impossible. */
int kcsctl_doctor(const struct command *command, const struct options *options,
                  const char *argument);

/* Has kcs-control or kcs-dataplane check a configuration file. */
int kcsctl_check(const struct command *command, const struct options *options,
                 const char *argument);

/* Prints the manual page, for man. */
int kcsctl_manual(const struct command *command, const struct options *options,
                  const char *argument);

/* Prints the completion script of the shell 'argument'. */
int kcsctl_completion(const struct command *command, const struct options *options,
                      const char *argument);

#endif
