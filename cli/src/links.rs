//! `ringlog install-links DIR`: a link for each tool with a Kafka name, so that the program can be called by it. Only into the
//! folder that is named, and never over anything that is not such a link already.

use crate::applet;
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use clap::Args;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// `ringlog install-links`.
#[derive(Clone, Debug, Args)]
pub struct InstallLinksArgs {
    /// The folder; made if missing.
    dir: PathBuf,
    /// Links with Kafka's ending: kafka-topics.sh.
    #[arg(long)]
    sh: bool,
}

/// Makes the links.
pub fn run(args: &InstallLinksArgs, io: &mut Io<'_>) -> Outcome {
    let program =
        std::env::current_exe().map_err(|error| Failure::failed(format!("where this program lies: {error}")))?;
    let suffix = if args.sh { ".sh" } else { "" };
    let names: Vec<String> = applet::names().into_iter().map(|name| name + suffix).collect();
    install(&program, &args.dir, &names, io)
}

fn install(program: &Path, dir: &Path, names: &[String], io: &mut Io<'_>) -> Outcome {
    fs::create_dir_all(dir).map_err(|error| Failure::failed(format!("{}: {error}", dir.display())))?;
    // All are looked at before one is made, so that a refusal leaves nothing behind.
    let states: Vec<State> = names.iter().map(|name| state(program, &dir.join(name))).collect();
    let in_the_way: Vec<String> = names
        .iter()
        .zip(&states)
        .filter(|(_, state)| **state == State::Foreign)
        .map(|(name, _)| dir.join(name).display().to_string())
        .collect();
    if !in_the_way.is_empty() {
        let words = format!("not ours, and left as it is: {}", in_the_way.join(", "));
        return Err(Failure::failed(words).hint("nothing was linked; choose another folder, or move these away"));
    }
    for (name, state) in names.iter().zip(states) {
        let link = dir.join(name);
        if state == State::Stale {
            fs::remove_file(&link).map_err(|error| Failure::failed(format!("{}: {error}", link.display())))?;
        }
        if state != State::Ours {
            std::os::unix::fs::symlink(program, &link)
                .map_err(|error| Failure::failed(format!("{}: {error}", link.display())))?;
        }
        writeln!(io.out, "{}", link.display())?;
    }
    Ok(())
}

/// What lies where a link shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing.
    Free,
    /// A link to this program.
    Ours,
    /// A link to a program of the same file name that lies elsewhere or nowhere: one of ours from before.
    Stale,
    /// Anything else.
    Foreign,
}

fn state(program: &Path, link: &Path) -> State {
    match fs::read_link(link) {
        Ok(target) if target == program => State::Ours,
        Ok(target) if target.file_name() == program.file_name() => State::Stale,
        Ok(_) => State::Foreign,
        Err(error) if error.kind() == ErrorKind::NotFound => State::Free,
        Err(_) => State::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(program: &Path, dir: &Path) -> Result<String, Failure> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let names = ["kafka-topics".to_owned(), "kafka-configs".to_owned()];
        install(program, dir, &names, &mut Io { out: &mut out, err: &mut err, watched: false })?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn links_are_made_and_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, program) = (folder.path().join("bin"), folder.path().join("ringlog"));
        let text = installed(&program, &dir).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert_eq!(fs::read_link(dir.join("kafka-topics")).unwrap(), program);
        assert_eq!(installed(&program, &dir).unwrap(), text);
        let moved = folder.path().join("elsewhere").join("ringlog");
        installed(&moved, &dir).unwrap();
        assert_eq!(fs::read_link(dir.join("kafka-topics")).unwrap(), moved);
    }

    #[test]
    fn what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, program) = (folder.path(), folder.path().join("ringlog"));
        fs::write(dir.join("kafka-configs"), "Kafka's own").unwrap();
        let failure = installed(&program, dir).unwrap_err();
        assert!(failure.message.contains("kafka-configs"), "{}", failure.message);
        assert_eq!(fs::read_to_string(dir.join("kafka-configs")).unwrap(), "Kafka's own");
        assert!(!dir.join("kafka-topics").exists(), "nothing is linked after a refusal");
    }

    #[test]
    fn a_link_to_another_program_stays() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("kafka-run-class.sh");
        std::os::unix::fs::symlink(&other, folder.path().join("kafka-topics")).unwrap();
        installed(&folder.path().join("ringlog"), folder.path()).unwrap_err();
        assert_eq!(fs::read_link(folder.path().join("kafka-topics")).unwrap(), other);
    }
}
