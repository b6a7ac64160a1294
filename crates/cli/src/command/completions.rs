//! `provost completions`, and what the scripts ask for: names of servers and grants.

mod names;

use clap::Command;
use clap_complete::Shell;

use crate::context::Context;
use crate::failure::Outcome;

pub(crate) use names::Names;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  provost completions bash > ~/.local/share/bash-completion/completions/provost
  provost completions zsh > ~/.zfunc/_provost
  provost completions fish > ~/.config/fish/completions/provost.fish

In bash, zsh and fish names of servers and grants are completed too.")]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Asks for names first, and goes on with what clap knows.
const BASH: &str = r#"
_provost_with_names() {
    local names
    names=$(provost names -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [[ -n "$names" ]]; then
        COMPREPLY=( $(compgen -W "$names" -- "${COMP_WORDS[COMP_CWORD]}") )
        return 0
    fi
    _provost "$@"
}
complete -F _provost_with_names -o bashdefault -o default provost
"#;

const ZSH: &str = r#"
_provost_with_names() {
    local -a names
    names=(${(f)"$(provost names -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if (( ${#names} )); then
        compadd -a names
        return 0
    fi
    _provost "$@"
}
if [ "$funcstack[1]" != "_provost" ]; then
    compdef _provost_with_names provost
fi
"#;

const FISH: &str = r#"
complete -c provost -f -a "(provost names -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)"
"#;

// === impl Completions ===

impl Completions {
    pub(crate) fn run(self, context: &Context, whole: Command) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut visible(&whole), "provost", &mut script);
        let names = match self.shell {
            Shell::Bash => BASH,
            Shell::Zsh => ZSH,
            Shell::Fish => FISH,
            _ => "",
        };
        script.extend_from_slice(names.as_bytes());
        context.output.write(|out| out.write_all(&script))
    }
}

/// The command line without what is hidden: it is not for people.
fn visible(whole: &Command) -> Command {
    let shown = whole
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let arguments = whole.get_arguments().cloned();
    Command::new("provost")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .args(arguments)
        .subcommands(shown.cloned())
}
