//! `ringlog completions SHELL`: a script that completes commands and options, for the program and for the tools by their names.

use crate::applet;
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use clap::{Args, Command, ValueEnum};
use clap_complete::{Shell, generate};

/// `ringlog completions`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  ringlog completions bash > ~/.local/share/bash-completion/completions/ringlog
  ringlog completions zsh > ~/.zfunc/_ringlog
  ringlog completions fish > ~/.config/fish/completions/ringlog.fish")]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: ShellArg,
    /// Complete a tool with a Kafka name in place of ringlog.
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ShellArg {
    Bash,
    Zsh,
    Fish,
}

impl From<ShellArg> for Shell {
    fn from(shell: ShellArg) -> Shell {
        match shell {
            ShellArg::Bash => Shell::Bash,
            ShellArg::Zsh => Shell::Zsh,
            ShellArg::Fish => Shell::Fish,
        }
    }
}

/// Prints the script. `program` is the whole command line, which only the binary knows.
pub fn run(args: &CompletionsArgs, program: Command, io: &mut Io<'_>) -> Outcome {
    let mut command = match &args.tool {
        Some(name) => applet::definition(name).ok_or_else(|| unknown(name))?,
        None => program,
    };
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(Shell::from(args.shell), &mut command, name, &mut script);
    Ok(io.out.write_all(&script)?)
}

fn unknown(tool: &str) -> Failure {
    let names = applet::names();
    let failure = Failure::usage(format!("--tool {tool}: expected one of {}", names.join(", ")));
    failure.did_you_mean(tool, names.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(shell: ShellArg, tool: Option<&str>) -> String {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut io = Io { out: &mut out, err: &mut err, watched: false };
        let args = CompletionsArgs { shell, tool: tool.map(str::to_owned) };
        run(&args, Command::new("ringlog").subcommand(Command::new("topics")), &mut io).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_shell_gets_the_commands_and_the_tools_their_options() {
        for shell in [ShellArg::Bash, ShellArg::Zsh, ShellArg::Fish] {
            assert!(script(shell, None).contains("topics"), "{shell:?}");
            let tool = script(shell, Some("kafka-topics"));
            assert!(tool.contains("kafka-topics") && tool.contains("under-replicated-partitions"), "{shell:?}");
        }
    }
}
