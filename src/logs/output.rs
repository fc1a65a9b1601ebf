//! Where lines go in the end: standard error, or a file that can be opened anew.

use super::Destination;
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Where lines go.
#[derive(Debug)]
pub enum Output {
    /// Standard error.
    Stderr,
    /// A file.
    File(LogFile),
}

/// A file of a log.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: Option<File>,
    /// It ends amid a line.
    is_torn: bool,
    /// Since when it can't be written; the operator has been told.
    is_failing: bool,
    tried: Option<Instant>,
}

/// How often a file is tried that could not be opened.
const TRY_EVERY: Duration = Duration::from_secs(1);

impl Output {
    /// Opens it.
    pub fn open(to: &Destination) -> io::Result<Self> {
        Ok(match to {
            Destination::Stderr => Self::Stderr,
            Destination::File(path) => Self::File(LogFile {
                file: Some(open(path)?),
                path: path.clone(),
                is_torn: false,
                is_failing: false,
                tried: None,
            }),
        })
    }

    /// Writes lines; returns how many could not be.
    pub fn write(&mut self, lines: &[u8], now: Instant) -> u64 {
        // That nothing could be written says nothing.
        if lines.is_empty() {
            return 0;
        }
        match self {
            Self::Stderr => match write_all(&mut io::stderr().lock(), lines) {
                Ok(()) => 0,
                Err((written, _)) => count(&lines[written..]),
            },
            Self::File(log) => log.write(lines, now),
        }
    }

    /// Opens a file by its name again. What was open is written on where that fails.
    pub fn reopen(&mut self) {
        if let Self::File(log) = self {
            match open(&log.path) {
                Ok(file) => log.begin(file),
                Err(why) => log.fail(&why),
            }
        }
    }
}

impl LogFile {
    fn write(&mut self, lines: &[u8], now: Instant) -> u64 {
        // Nobody would ever read what is written to a file that has been removed.
        let is_removed = |file: &File| file.metadata().is_ok_and(|file| file.nlink() == 0);
        if self.file.as_ref().is_some_and(is_removed) {
            self.file = None;
        }
        self.find(now);
        let Some(file) = &mut self.file else {
            return count(lines);
        };
        if self.is_torn && file.write_all(b"\n").is_err() {
            return count(lines);
        }
        self.is_torn = false;
        match write_all(file, lines) {
            Ok(()) => {
                self.recover();
                0
            }
            Err((written, why)) => {
                self.is_torn = written > 0 && lines[written - 1] != b'\n';
                self.fail(&why);
                count(&lines[written..])
            }
        }
    }

    /// Opens the file where it is not open, now and then.
    fn find(&mut self, now: Instant) {
        let is_due = |tried| now.saturating_duration_since(tried) >= TRY_EVERY;
        if self.file.is_some() || !self.tried.is_none_or(is_due) {
            return;
        }
        self.tried = Some(now);
        match open(&self.path) {
            Ok(file) => self.begin(file),
            Err(why) => self.fail(&why),
        }
    }

    fn begin(&mut self, file: File) {
        self.file = Some(file);
        self.tried = None;
        self.is_torn = false;
    }

    fn fail(&mut self, why: &io::Error) {
        if !std::mem::replace(&mut self.is_failing, true) {
            self.tell(format_args!(
                "can't be written: {why}; serving goes on, lines that are lost are counted in \
                 tidegate_log_lines_dropped_total, and it is tried again"
            ));
        }
    }

    fn recover(&mut self) {
        if std::mem::replace(&mut self.is_failing, false) {
            self.tell(format_args!("is written again"));
        }
    }

    fn tell(&self, what: std::fmt::Arguments) {
        // Where nobody listens, there is nobody to be told that.
        let _ = writeln!(io::stderr(), "tidegate: log {} {what}", self.path.display());
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Clients' addresses are not everybody's to read.
    options.append(true).create(true).mode(0o640).open(path)
}

/// Writes all; an error says how much was written before it.
fn write_all(to: &mut impl Write, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        match to.write(&bytes[written..]) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(some) => written += some,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err((written, e)),
        }
    }
    Ok(())
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn at(path: &Path) -> Output {
        Output::open(&Destination::File(path.to_owned())).unwrap()
    }

    #[test]
    fn a_renamed_file_is_left_when_it_is_opened_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (path, old) = (directory.path().join("log"), directory.path().join("old"));
        fs::write(&path, "before\n").unwrap();
        let (mut output, now) = (at(&path), Instant::now());
        assert_eq!(output.write(b"one\n", now), 0);
        fs::rename(&path, &old).unwrap();
        assert_eq!(output.write(b"two\n", now), 0);
        output.reopen();
        assert_eq!(output.write(b"three\n", now), 0);
        assert_eq!(fs::read_to_string(&old).unwrap(), "before\none\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn a_removed_file_comes_back_and_its_folder_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("logs");
        let path = folder.join("log");
        fs::create_dir(&folder).unwrap();
        let (mut output, now) = (at(&path), Instant::now());
        fs::remove_file(&path).unwrap();
        assert_eq!(output.write(b"one\n", now), 0);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");

        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(output.write(b"two\nthree\n", now), 2);
        fs::create_dir(&folder).unwrap();
        assert_eq!(output.write(b"four\n", now), 1, "not tried that often");
        assert_eq!(output.write(b"five\n", now + TRY_EVERY), 0);
        assert_eq!(fs::read_to_string(&path).unwrap(), "five\n");
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_counted() {
        let mut output = at(Path::new("/dev/full"));
        assert_eq!(output.write(b"one\ntwo\n", Instant::now()), 2);
        assert_eq!(output.write(b"", Instant::now()), 0);
        let is_failing = |output: &Output| matches!(output, Output::File(log) if log.is_failing);
        assert!(is_failing(&output));
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut output = at(&path);
        let Output::File(log) = &mut output else {
            panic!("a file")
        };
        log.file.as_mut().unwrap().write_all(b"tor").unwrap();
        log.is_torn = true;
        assert_eq!(output.write(b"whole\n", Instant::now()), 0);
        assert_eq!(fs::read_to_string(&path).unwrap(), "tor\nwhole\n");
    }
}
