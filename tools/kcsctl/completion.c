#include <string.h>

#include "kcsctl/kcsctl.h"

int kcsctl_completion(const struct command *command, const struct options *options,
                      const char *argument)
{
    (void)command;
    (void)options;

    if (strcmp(argument, "bash") != 0) {
        fprintf(stderr, "kcsctl: no completion for '%s': there is one for bash\n",
                argument);
        return EXIT_USAGE;
    }
    fputs("# source <(kcsctl completion bash)\n"
          "_kcsctl()\n"
          "{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    case $prev in\n"
          "    --socket|--secret-file) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
          "    --role) COMPREPLY=($(compgen -W 'host co_host presenter attendee guest' -- "
          "\"$cur\")); return ;;\n"
          "    completion) COMPREPLY=($(compgen -W bash -- \"$cur\")); return ;;\n"
          "    esac\n"
          "    if [[ $cur == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W '--help --version --json --socket --meeting "
          "--name "
          "--role --ttl --secret-file --user --tenant --deadline' -- \"$cur\"))\n"
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
