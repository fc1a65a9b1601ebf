//! Secrets, and where they come from.
//!
//! A secret never shows: neither in `Debug` nor in an error or a log line. A file is read again
//! when it has changed, so that secrets can rotate; looking takes place at most once a second, and
//! while a file cannot be read what it last said stays in force. Two secrets that belong together
//! are two files: between the changes of the one and the other requests may fail.

use parking_lot::Mutex;
use std::{
    fmt,
    fs::{File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Where a secret is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The text of a file, without white space around it.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is not there, or not for us.
    #[error("the file {} cannot be read ({source}): make it readable for Tidegate", path.display())]
    Unreadable {
        /// Where the secret should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The variable is not there.
    #[error("the environment variable {0} is not set: set it for Tidegate's process")]
    Unset(String),
    /// There is something, but no secret.
    #[error("{0} has no usable secret: put it there as one line of at most 16 KiB")]
    Unfit(String),
}

/// Text that never shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

/// A secret that follows its file.
#[derive(Debug)]
pub struct Rotating {
    file: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    secret: Secret,
    stamp: Option<Stamp>,
    looked: SystemTime,
    failing: bool,
}

/// What changes when a file does.
type Stamp = (Option<SystemTime>, u64);

/// Time between two looks at a file.
const PAUSE: Duration = Duration::from_secs(1);
/// Largest secret; whatever is longer is another file.
const LONGEST: u64 = 16 << 10;

impl Secret {
    /// Takes white space off; `None` when nothing is left or what is left has control characters,
    /// which no header field can carry.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let plain = !text.is_empty() && !text.contains(|c: char| c.is_control());
        plain.then(|| Self(text.into()))
    }

    /// The text, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Rotating {
    /// Reads a secret for the first time.
    pub fn load(source: &SecretSource) -> Result<Self, LoadError> {
        let (file, secret, stamp) = match source {
            SecretSource::File(path) => {
                let (secret, stamp) = read(path)?;
                (Some(path.clone()), secret, Some(stamp))
            }
            SecretSource::Environment(name) => (None, variable(name)?, None),
        };
        let state = Mutex::new(State {
            secret,
            stamp,
            looked: SystemTime::UNIX_EPOCH,
            failing: false,
        });
        Ok(Self { file, state })
    }

    /// The secret as of `now`.
    pub fn current(&self, now: SystemTime) -> Secret {
        let Some(path) = &self.file else {
            return self.state.lock().secret.clone();
        };
        // A statement of its own: in the condition the lock would last as long as the body.
        let look = self.state.lock().begin(now);
        if let Some(known) = look {
            let found = read_if_changed(path, known);
            self.state.lock().end(path, found);
        }
        self.state.lock().secret.clone()
    }
}

impl State {
    /// When it is time for a look: the stamp to compare with.
    fn begin(&mut self, now: SystemTime) -> Option<Stamp> {
        // A clock that was set back is a reason to look, too.
        let since = now.duration_since(self.looked);
        if since.is_ok_and(|since| since < PAUSE) {
            return None;
        }
        self.looked = now;
        self.stamp
    }

    fn end(&mut self, path: &Path, found: Result<Option<(Secret, Stamp)>, LoadError>) {
        match found {
            Ok(None) => self.failing = false,
            Ok(Some((secret, stamp))) => {
                log::info!("the secret in {} has changed", path.display());
                self.secret = secret;
                self.stamp = Some(stamp);
                self.failing = false;
            }
            Err(error) => {
                if !self.failing {
                    log::warn!("{error}; the last secret stays in use");
                }
                self.failing = true;
            }
        }
    }
}

fn read_if_changed(path: &Path, known: Stamp) -> Result<Option<(Secret, Stamp)>, LoadError> {
    let metadata = path.metadata().map_err(|e| unreadable(path, e))?;
    match stamp(&metadata) == known {
        true => Ok(None),
        false => read(path).map(Some),
    }
}

/// The stamp is older than the text, so a change in between is found by the next look.
fn read(path: &Path) -> Result<(Secret, Stamp), LoadError> {
    let (text, stamp) = text_of(path).map_err(|e| unreadable(path, e))?;
    let secret = Secret::new(&text).filter(|_| text.len() as u64 <= LONGEST);
    let unfit = || LoadError::Unfit(format!("the file {}", path.display()));
    Ok((secret.ok_or_else(unfit)?, stamp))
}

fn text_of(path: &Path) -> io::Result<(String, Stamp)> {
    let file = File::open(path)?;
    let stamp = stamp(&file.metadata()?);
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text)?;
    Ok((text, stamp))
}

fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.modified().ok(), metadata.len())
}

fn variable(name: &str) -> Result<Secret, LoadError> {
    let text = std::env::var(name).map_err(|_| LoadError::Unset(name.to_owned()))?;
    Secret::new(&text).ok_or_else(|| LoadError::Unfit(format!("the variable {name}")))
}

fn unreadable(path: &Path, source: io::Error) -> LoadError {
    let path = path.to_owned();
    LoadError::Unreadable { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_secret_never_shows() {
        let secret = Secret::new(" hush\n").unwrap();
        assert_eq!(secret.reveal(), "hush");
        assert_eq!(
            format!("{secret:?} {:#?}", Some(&secret))
                .matches("hush")
                .count(),
            0
        );
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        fs::write(&path, "hush").unwrap();
        let rotating = Rotating::load(&SecretSource::File(path)).unwrap();
        assert!(!format!("{rotating:?}").contains("hush"));
    }

    #[test]
    fn a_changed_file_is_read_again_after_a_second() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        fs::write(&path, "one\n").unwrap();
        let rotating = Rotating::load(&SecretSource::File(path.clone())).unwrap();
        let current = |now| rotating.current(at(now)).reveal().to_owned();
        assert_eq!(current(10), "one");
        fs::write(&path, "three").unwrap();
        assert_eq!(current(10), "one", "not yet");
        assert_eq!(current(11), "three");
        fs::write(&path, "").unwrap();
        assert_eq!(current(12), "three", "an empty file changes nothing");
        fs::remove_file(&path).unwrap();
        assert_eq!(current(13), "three", "nor does one that is gone");
        fs::write(&path, "fifth").unwrap();
        assert_eq!(current(5), "fifth", "a clock set back does not stop it");
    }

    #[test]
    fn an_error_says_where_and_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let load = |path: &Path| Rotating::load(&SecretSource::File(path.to_owned()));
        let missing = load(&path).unwrap_err().to_string();
        assert!(
            missing.contains("token") && missing.contains("cannot be read"),
            "{missing}"
        );
        for text in ["", "  \n", "a\nb", &"x".repeat(20_000)] {
            fs::write(&path, text).unwrap();
            let unfit = load(&path).unwrap_err().to_string();
            assert!(
                unfit.contains("token") && unfit.contains("one line"),
                "{unfit}"
            );
        }
        let name = "TIDEGATE_NO_SUCH_VARIABLE";
        let unset = Rotating::load(&SecretSource::Environment(name.into())).unwrap_err();
        assert!(unset.to_string().contains(name));
        let known = SecretSource::Environment("CARGO_PKG_NAME".into());
        assert_eq!(
            Rotating::load(&known).unwrap().current(at(0)).reveal(),
            "tidegate"
        );
    }
}
