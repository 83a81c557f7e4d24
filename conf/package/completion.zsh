#compdef kcsctl
# zsh completes by what bash does: this is read at the first use, and gives its place to that.
autoload -U +X bashcompinit && bashcompinit
source <(kcsctl completion bash)
_bash_complete -F _kcsctl
