/* The command line of both programs, with its help and manual page, of one table: it is the
 * same but for what they do.
 *
 * Used by control/main.c and dataplane/main.c; header-only, holds no state. */
#ifndef SFU_CONF_PROGRAM_H
#define SFU_CONF_PROGRAM_H

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PROGRAM_GO_ON = -1, PROGRAM_USAGE = 2, PROGRAM_OPTIONS = 5 };

struct program {
    const char *name;    /* "kcs-control" */
    const char *does;    /* a line that begins in lower case */
    const char *more;    /* paragraphs of the manual page, in roff */
    const char *signals; /* the same of what signals do */
};

struct program_asked {
    const char *config; /* NULL: the defaults; borrowed from argv */
    bool check, describe;
};

struct program_option {
    struct option of;
    const char *value, *help;
};

static const struct program_option program_options[PROGRAM_OPTIONS] = {
    {{"config", required_argument, NULL, 'c'}, "FILE", "configuration; without it, the defaults"},
    {{"check-config", no_argument, NULL, 'k'}, NULL, "print the effective configuration and exit"},
    {{"describe-config", no_argument, NULL, 'd'}, NULL,
     "print each key, its type, what it may be and its default, and exit"},
    {{"manual", no_argument, NULL, 'm'}, NULL, "print the manual page: --manual | man -l -"},
    {{"help", no_argument, NULL, 'h'}, NULL, "this text"},
};

/* Internal */
static inline void program_print_usage(const struct program *program, FILE *out)
{
    char text[64];

    (void)fprintf(out, "usage: %s [options]\n\n%s %s.\n\n", program->name, program->name,
                  program->does);
    for (size_t i = 0; i < PROGRAM_OPTIONS; i++) {
        const struct program_option *o = &program_options[i];

        (void)snprintf(text, sizeof(text), "--%s%s%s", o->of.name,
                       o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
        (void)fprintf(out, "  %-18s %s\n", text, o->help);
    }
    (void)fputs("\nExit status: 0 stopped, 1 could not start, 2 usage, 4 bad "
                "configuration.\n",
                out);
}

/* Internal: '-' is a hyphen to roff, unless it is escaped. */
static inline void program_print_roff(const char *text)
{
    for (; *text != '\0'; text++) {
        (void)fputs(*text == '-' ? "\\-" : (const char[]){*text, '\0'}, stdout);
    }
}

/* Internal */
static inline void program_print_manual(const struct program *program)
{
    (void)printf(".\\\" Made by '%s --manual'.\n.TH %s 8 \"\" \"KCS\" \"KCS media node\"\n"
                 ".SH NAME\n",
                 program->name, program->name);
    program_print_roff(program->name);
    (void)printf(" \\- %s\n.SH SYNOPSIS\n\\fB", program->does);
    program_print_roff(program->name);
    (void)printf("\\fR [options]\n.SH DESCRIPTION\n%s.SH OPTIONS\n", program->more);
    for (size_t i = 0; i < PROGRAM_OPTIONS; i++) {
        const struct program_option *o = &program_options[i];

        (void)fputs(".TP\n\\fB\\-\\-", stdout);
        program_print_roff(o->of.name);
        (void)printf("\\fR%s%s\n%c", o->value != NULL ? " " : "",
                     o->value != NULL ? o->value : "", o->help[0] - 'a' + 'A');
        program_print_roff(o->help + 1);
        (void)puts(".");
    }
    (void)printf(".SH SIGNALS\n%s"
                 ".SH EXIT STATUS\n0 stopped, 1 could not start, 2 usage, 4 bad "
                 "configuration.\n.SH SEE ALSO\n\\fBkcs.yaml\\fR(5), \\fBkcsctl\\fR(1)\n",
                 program->signals);
}

/* Reads the command line. Returns PROGRAM_GO_ON with 'out' filled, or the exit status: what
 * was asked for has been printed then. */
static inline int program_read(const struct program *program, int argc, char **argv,
                               struct program_asked *out)
{
    struct option known[PROGRAM_OPTIONS + 1] = {0};
    int letter;

    for (size_t i = 0; i < PROGRAM_OPTIONS; i++) {
        known[i] = program_options[i].of;
    }
    *out = (struct program_asked){.config = NULL};
    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (letter) {
        case 'c':
            out->config = optarg;
            break;
        case 'k':
            out->check = true;
            break;
        case 'd':
            out->describe = true;
            break;
        case 'm':
            program_print_manual(program);
            return 0;
        case 'h':
            program_print_usage(program, stdout);
            return 0;
        default:
            program_print_usage(program, stderr);
            return PROGRAM_USAGE;
        }
    }
    if (optind < argc) {
        program_print_usage(program, stderr);
        return PROGRAM_USAGE;
    }
    return PROGRAM_GO_ON;
}

#endif
