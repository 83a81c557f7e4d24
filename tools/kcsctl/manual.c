/* The manual page, of the same tables as the command line. */
#include <string.h>

#include "kcsctl/kcsctl.h"

/* Text of a paragraph: what roff would take for its own is escaped. */
static void put_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '-') {
            fputs("\\-", stdout);
        } else if (*text == '\\') {
            fputs("\\e", stdout);
        } else {
            putchar(*text);
        }
    }
}

static void put_command(const struct command *c)
{
    printf(".TP\n\\fB%s\\fR", c->name);
    kcsctl_synopsis(stdout, c, "\\-\\-");
    printf("\n%c", c->summary[0] - 'a' + 'A');
    put_text(c->summary + 1);
    putchar('.');
    if (c->more != NULL) {
        putchar('\n');
        put_text(c->more);
    }
    putchar('\n');
}

static void put_option(const struct option_text *o)
{
    printf(".TP\n\\fB\\-\\-");
    put_text(o->name);
    printf("\\fR%s%s\n", o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
    put_text(o->help);
    putchar('\n');
}

int kcsctl_manual(const struct command *command, const struct options *options,
                  const char *argument)
{
    (void)command;
    (void)options;
    (void)argument;
    fputs(".\\\" Made by 'kcsctl manual' of the tables of its command line.\n"
          ".TH KCSCTL 1 \"\" \"KCS " KCSCTL_VERSION "\" \"KCS media node\"\n"
          ".SH NAME\n"
          "kcsctl \\- look at a KCS media node and tell it what to do\n"
          ".SH SYNOPSIS\n"
          "\\fBkcsctl\\fR COMMAND [options]\n"
          ".SH DESCRIPTION\n"
          "Speaks to a running node over its admin socket, mints meeting tokens, checks\n"
          "configuration files, and looks at a machine for what a node needs. Answers are\n"
          "tables for people; with \\fB\\-\\-json\\fR they are JSON for programs.\n"
          ".SH COMMANDS\n",
          stdout);
    for (const struct command *c = kcsctl_commands; c->name != NULL; c++) {
        put_command(c);
    }
    puts(".SH OPTIONS");
    for (const struct option_text *o = kcsctl_options; o->name != NULL; o++) {
        put_option(o);
    }
    fputs(".SH ENVIRONMENT\n"
          ".TP\n\\fBKCS_HS256_SECRET\\fR\n"
          "The node's secret, if \\-\\-secret\\-file is not given.\n"
          ".TP\n\\fBNO_COLOR\\fR\n"
          "If set and not empty, tables have no bold headings.\n"
          ".SH EXIT STATUS\n"
          "0 ok, 1 failure, 2 wrong usage, 3 the node is not reachable, 4 bad configuration,\n"
          "such as a missing or short secret.\n"
          ".SH EXAMPLES\n"
          ".nf\n"
          "kcsctl token \\-\\-meeting demo \\-\\-name Ada \\-\\-role host \\-\\-ttl 24h "
          "\\-\\-secret\\-file secret\n"
          "kcsctl peers \\-\\-json | jq \\(aq.[] | select(.rtt_ms > 200)\\(aq\n"
          ".fi\n"
          ".SH SEE ALSO\n"
          "\\fBkcs\\-control\\fR(8), \\fBkcs\\-dataplane\\fR(8), \\fBkcs.yaml\\fR(5)\n",
          stdout);
    return EXIT_OK;
}
