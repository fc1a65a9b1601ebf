//! `tidegate generate`: what a package has beside the program.

use super::Done;
use clap::{Args, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

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
    fs::create_dir_all(&asked.directory)?;
    match asked.what {
        What::Man => {
            let mut program = program.disable_help_subcommand(true);
            program.build();
            pages(program, &asked.directory)?;
        }
        What::Completions => {
            for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
                let directory = &asked.directory;
                clap_complete::generate_to(shell, &mut program, "tidegate", directory)?;
            }
        }
    }
    Ok(())
}

/// Writes the page of a command, and those of its own commands.
fn pages(mut command: clap::Command, directory: &Path) -> io::Result<()> {
    let inner = command.get_subcommands().filter(|own| !own.is_hide_set());
    for own in inner.cloned().collect::<Vec<_>>() {
        pages(own, directory)?;
    }
    // As `--help` has it: with what options take.
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let page = Man::new(command.override_usage(usage))
        .source(concat!("tidegate ", env!("CARGO_PKG_VERSION")))
        .manual("Tidegate");
    let written = page.generate_to(directory)?;
    // What the arguments don't tell.
    let name = written.file_stem().unwrap_or_default().to_string_lossy();
    let mut file = OpenOptions::new().append(true).open(&written)?;
    file.write_all(sections(&name).concat().as_bytes())
}

/// The further sections of a page, in roff.
fn sections(page: &str) -> Vec<&'static str> {
    match page {
        "tidegate" => vec![EXIT_STATUS, ENVIRONMENT, FILES, OUTER],
        "tidegate-run" => vec![SIGNALS, EXIT_STATUS, ENVIRONMENT, FILES, BOTH],
        _ => vec![EXIT_STATUS, INNER],
    }
}

const SIGNALS: &str = r".SH SIGNALS
.TP
SIGTERM, SIGINT
Finish the answers under way, for as long as server.drain says, and stop.
.TP
SIGHUP
Read the configuration and the certificates again; a wrong one changes nothing.
.TP
SIGUSR1
Open the files of the logs anew, after they were moved away.
.TP
SIGUSR2
Have this program's file, which may be a newer version by now, take over without dropping a connection.
";
const EXIT_STATUS: &str = r".SH EXIT STATUS
.TP
0
All went well.
.TP
1
Something did not; standard error says what.
.TP
2
The arguments are wrong.
";
const ENVIRONMENT: &str = r".SH ENVIRONMENT
.TP
TIDEGATE_LOG
What is logged, before log.level of the configuration, such as
.IR warn,tidegate=trace .
";
const FILES: &str = r".SH FILES
.TP
.I /etc/tidegate/tidegate.yaml
The configuration of the packaged service, with every key explained.
.TP
.I /var/cache/tidegate
What the packaged service has stored.
.TP
.I /var/log/tidegate
Its logs, where the configuration sends them to files.
.TP
.I /usr/share/doc/tidegate
How to operate it, how to use several, and examples of configurations.
";
const OUTER: &str = r".SH SEE ALSO
.BR tidegate\-run (1),
.BR systemctl (1),
.BR systemd.service (5)
";
const BOTH: &str = r".SH SEE ALSO
.BR tidegate (1),
.BR tidegate\-check (1),
.BR systemctl (1),
.BR systemd.service (5)
";
const INNER: &str = r".SH SEE ALSO
.BR tidegate (1),
.BR tidegate\-run (1)
";
