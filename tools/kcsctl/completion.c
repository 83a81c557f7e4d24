#include <string.h>

#include "kcsctl/kcsctl.h"

static const char values[] =
    "    --socket|--secret-file) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
    "    --role) COMPREPLY=($(compgen -W 'host co_host presenter attendee guest' -- "
    "\"$cur\")); return ;;\n"
    "    completion) COMPREPLY=($(compgen -W 'bash zsh' -- \"$cur\")); return ;;\n"
    "    loglevel) COMPREPLY=($(compgen -W 'error warn info debug' -- \"$cur\")); return "
    ";;\n"
    "    backup|restore) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n";

/* zsh reads bash's by its own bashcompinit. */
int kcsctl_completion(const struct command *command, const struct options *options,
                      const char *argument)
{
    bool zsh = strcmp(argument, "zsh") == 0;
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
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    case $prev in\n"
           "%s"
           "    esac\n"
           "    if [[ $cur == -* ]]; then\n"
           "        COMPREPLY=($(compgen -W '",
           argument,
           zsh ? "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && "
                 "bashcompinit\n"
               : "",
           values);
    for (const struct option *o = kcsctl_options; o->name != NULL; o++) {
        printf("%s--%s", o == kcsctl_options ? "" : " ", o->name);
    }
    fputs("' -- \"$cur\"))\n"
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
