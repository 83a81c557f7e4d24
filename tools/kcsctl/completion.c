/* What shells complete, of the same tables as the command line. */
#include <string.h>

#include "kcsctl/kcsctl.h"

/* One branch of the case over the word before. */
static void put_words(const char *before, const char *words)
{
    if (strcmp(words, WORDS_FILES) == 0) {
        printf("    %s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", before);
    } else {
        printf("    %s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", before,
               words);
    }
}

/* The options that a command takes: behind it no others are offered. */
static void put_options(const struct command *c)
{
    printf("    %s) opts='--help", c->name);
    for (const char *letter = c->takes; *letter != '\0'; letter++) {
        printf(" --%s", kcsctl_option(*letter)->name);
    }
    puts("' ;;");
}

/* zsh reads bash's by its own bashcompinit. */
int kcsctl_completion(const struct command *command, const struct options *options,
                      const char *argument)
{
    bool zsh = strcmp(argument, "zsh") == 0;
    char option[64];
    (void)command;
    (void)options;

    if (!zsh && strcmp(argument, "bash") != 0) {
        fprintf(stderr, "kcsctl: no completion for '%s': there is one for bash and zsh\n",
                argument);
        return EXIT_USAGE;
    }
    printf("# source <(kcsctl completion %s)\n%s"
           "_kcsctl()\n"
           "{\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} opts=\n"
           "    case $prev in\n",
           argument,
           zsh ? "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && "
                 "bashcompinit\n"
               : "");
    for (const struct option_text *o = kcsctl_options; o->name != NULL; o++) {
        if (o->words != NULL) {
            snprintf(option, sizeof(option), "--%s", o->name);
            put_words(option, o->words);
        }
    }
    for (const struct command *c = kcsctl_commands; c->name != NULL; c++) {
        if (c->words != NULL) {
            put_words(c->name, c->words);
        }
    }
    fputs("    esac\n"
          "    case ${COMP_WORDS[1]} in\n",
          stdout);
    for (const struct command *c = kcsctl_commands; c->name != NULL; c++) {
        put_options(c);
    }
    fputs("    *) opts='", stdout);
    for (const struct option_text *o = kcsctl_options; o->name != NULL; o++) {
        printf("%s--%s", o == kcsctl_options ? "" : " ", o->name);
    }
    fputs("' ;;\n"
          "    esac\n"
          "    if [[ $cur == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$opts\" -- \"$cur\"))\n"
          "    else\n"
          "        COMPREPLY=($(compgen -W '",
          stdout);
    for (const struct command *c = kcsctl_commands; c->name != NULL; c++) {
        printf("%s%s", c == kcsctl_commands ? "" : " ", c->name);
    }
    fputs("' -- \"$cur\"))\n"
          "    fi\n"
          "}\n"
          "complete -F _kcsctl kcsctl\n",
          stdout);
    return EXIT_OK;
}
