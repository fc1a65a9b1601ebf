//! `tidegate generate`: what a package has beside the program.

use super::Done;
use clap::{Args, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;

/// What to generate, and where to.
#[derive(Args)]
pub struct Generate {
    /// What to generate
    what: What,
    /// The folder for it, which is made if it is missing
    directory: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Manual pages, of the program and of each of its commands
    Man,
    /// Completions for bash, zsh and fish
    Completions,
}

/// Writes the files.
pub fn run_generate(asked: Generate, mut program: clap::Command) -> Done {
    std::fs::create_dir_all(&asked.directory)?;
    match asked.what {
        What::Man => clap_mangen::generate_to(program, &asked.directory)?,
        What::Completions => {
            for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
                let directory = &asked.directory;
                clap_complete::generate_to(shell, &mut program, "tidegate", directory)?;
            }
        }
    }
    Ok(())
}
