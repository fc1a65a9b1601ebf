//! The token of operators, looked at again and again: whether there is one to be used, and who else can
//! read it.
//!
//! Neither is a reason not to serve clients. A file that gives no token lets nobody change anything; one
//! that all can read counts all the same, as containers often have their secrets like that, and alone.

use crate::admin::{Guard, NoToken, is_open_to_all, read_token};
use parking_lot::Mutex;
use prometheus::{IntGauge, core::Collector};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// What is known of the token.
#[derive(Debug)]
pub(super) struct TokenWatch {
    guard: Guard,
    /// As it was looked at last.
    seen: Mutex<Option<Seen>>,
    exposed: IntGauge,
    unusable: IntGauge,
}

/// A token file at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    file: PathBuf,
    is_exposed: bool,
    lacks: Option<NoToken>,
}

/// How often it is looked: as often as it is of use to who has just put it right.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Seen {
    fn at(file: PathBuf) -> Self {
        Self {
            is_exposed: is_open_to_all(&file),
            lacks: read_token(&file).err(),
            file,
        }
    }

    fn is_well(&self) -> bool {
        !self.is_exposed && self.lacks.is_none()
    }

    /// What there is to say of it.
    fn complaints(&self) -> Vec<String> {
        let name = self.file.display();
        let lacks = self.lacks.map(|why| unusable(&self.file, why));
        let exposed = self.is_exposed.then(|| {
            format!(
                "admin.token_file {name} can be read by every user of this machine: chmod o-r it, and put a new token into it"
            )
        });
        lacks.into_iter().chain(exposed).collect()
    }
}

/// What it means that a file gives no token, and what to do.
fn unusable(file: &Path, why: NoToken) -> String {
    format!(
        "admin.token_file {} {why}: clients are served, but nobody can change anything, or read from another machine; write a token into it that the user who runs tidegate can read, no reload is needed",
        file.display()
    )
}

/// What is wrong with a token file that is configured.
pub fn token_complaints(file: PathBuf) -> Vec<String> {
    Seen::at(file).complaints()
}

impl TokenWatch {
    /// Looks at once.
    pub fn new(guard: Guard) -> Arc<Self> {
        let gauge = |name: &str, help: &str| {
            IntGauge::new(name, help).expect("names of metrics are well-formed")
        };
        let watch = Self {
            guard,
            seen: Mutex::default(),
            exposed: gauge(
                "tidegate_admin_token_exposed",
                "1 where every user of this machine can read admin.token_file, and so change anything; 0 otherwise. It is looked every five seconds.",
            ),
            unusable: gauge(
                "tidegate_admin_token_unusable",
                "1 where admin.token_file can't be read or holds no token, so that nobody can change anything; clients are served all the same; 0 otherwise. It is looked every five seconds.",
            ),
        };
        watch.look();
        Arc::new(watch)
    }

    pub fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.exposed.clone()),
            Box::new(self.unusable.clone()),
        ]
    }

    /// Looks, and says what is new. Blocks for a moment.
    pub fn look(&self) {
        let now = self.guard.token_file().map(Seen::at);
        let is = |wrong: fn(&Seen) -> bool| now.as_ref().is_some_and(wrong).into();
        self.exposed.set(is(|seen| seen.is_exposed));
        self.unusable.set(is(|seen| seen.lacks.is_some()));
        let mut seen = self.seen.lock();
        if *seen != now {
            let complaints = now.iter().flat_map(Seen::complaints);
            complaints.for_each(|complaint| log::warn!("{complaint}"));
            if now.as_ref().is_some_and(Seen::is_well)
                && seen.as_ref().is_some_and(|s| !s.is_well())
            {
                log::info!("admin.token_file is as it should be");
            }
            *seen = now;
        }
    }

    /// Looks as long as the process runs.
    pub async fn keep_looking(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let watch = self.clone();
            let _ = tokio::task::spawn_blocking(move || watch.look()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn a_token_that_goes_bad_while_the_process_runs_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let guard = Guard::new([127, 0, 0, 1].into(), Some(file.clone()));
        let watch = TokenWatch::new(guard.clone());
        let gauges = || {
            watch.look();
            (watch.unusable.get(), watch.exposed.get())
        };
        assert_eq!(gauges(), (1, 0));
        let mode = |mode| fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        fs::write(&file, "secret").unwrap();
        for (bits, expected) in [(0o600, (0, 0)), (0o644, (0, 1)), (0o640, (0, 0))] {
            mode(bits);
            assert_eq!(gauges(), expected, "{bits:o}");
        }
        fs::write(&file, "").unwrap();
        assert_eq!(gauges(), (1, 0));
        guard.set_token_file(None);
        assert_eq!(gauges(), (0, 0));
    }

    #[test]
    fn complaints_name_the_file_and_what_to_do() {
        let seen = Seen {
            file: "/etc/token".into(),
            is_exposed: true,
            lacks: Some(NoToken::Empty),
        };
        let said = seen.complaints();
        assert!(said[0].contains("/etc/token holds no token") && said[0].contains("write a token"));
        assert!(said[1].contains("/etc/token") && said[1].contains("chmod o-r"));
        let said = token_complaints("/dev/null".into());
        assert!(said[0].contains("/dev/null holds no token"), "{said:?}");
        assert_eq!(said.len(), 1);
    }
}
