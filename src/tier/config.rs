//! What the tier may be told.

use crate::secret::SecretSource;
use object_store::path::Path;
use std::{path::PathBuf, time::Duration};

/// Settings of the second tier.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where it is.
    pub place: Place,
    /// What all names in it begin with.
    pub prefix: String,
    /// Who shares it: edges of another fleet are not let in under the same prefix.
    pub fleet: String,
    /// Bytes of a run of chunks that is one object there.
    pub run: u64,
    /// Bytes that are asked for in one request.
    pub read: u64,
    /// Requests for what one reader needs, at a time.
    pub parallel: usize,
    /// Bytes read ahead of readers, over all of them.
    pub ahead: u64,
    /// Uploads at a time.
    pub uploads: usize,
    /// Runs that may wait for their upload.
    pub queue: usize,
    /// How long chunks wait for their neighbours before they go up.
    pub linger: Duration,
    /// Longest time that a run which goes up gives way to what clients are served.
    pub give_way: Duration,
    /// Requests that an object has had before it goes up.
    pub min_requests: u64,
    /// Bytes that an object must have to go up.
    pub min_size: u64,
    /// Longest wait for an answer, and then for each chunk.
    pub timeout: Duration,
    /// How long a client waits for a look-up, or for the first bytes of a run, before the origin is
    /// asked, as long as too little is known of how long they take.
    pub patience: Duration,
    /// How long it is remembered that an object is not there.
    pub negative: Duration,
    /// Time between two looks for purges of other edges.
    pub poll: Duration,
    /// What is done where it can't be used at the start.
    pub on_error: OnError,
}

/// Where the tier is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A bucket of S3, or of what speaks like it.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// URL of the service; Amazon's own for the region when absent.
        endpoint: Option<String>,
        /// Its region.
        region: String,
        /// Access key and secret key; those of the environment or of the instance when absent.
        keys: Option<(SecretSource, SecretSource)>,
    },
    /// A bucket of Google Cloud Storage.
    Google {
        /// The bucket's name.
        bucket: String,
        /// Another URL of the service.
        endpoint: Option<String>,
        /// File with the service account's key; the instance's own when absent.
        account: Option<PathBuf>,
    },
    /// A container of Azure Blob Storage.
    Azure {
        /// The container's name.
        container: String,
        /// The storage account's name.
        account: String,
        /// Another URL of the service.
        endpoint: Option<String>,
        /// The account's key; that of the environment or of the instance when absent.
        key: Option<SecretSource>,
    },
    /// A directory that all edges have mounted.
    Directory {
        /// Its path.
        path: PathBuf,
    },
}

impl Place {
    /// What tells it from other places, whoever asks there with whatever keys.
    pub(super) fn name(&self) -> String {
        let at = |endpoint: &Option<String>| endpoint.clone().unwrap_or_default();
        match self {
            Self::S3 {
                bucket, endpoint, ..
            } => format!("s3 {} {bucket}", at(endpoint)),
            Self::Google {
                bucket, endpoint, ..
            } => format!("google {} {bucket}", at(endpoint)),
            Self::Azure {
                container,
                account,
                endpoint,
                ..
            } => format!("azure {} {account} {container}", at(endpoint)),
            Self::Directory { path } => format!("directory {}", path.display()),
        }
    }
}

/// What is done where the tier can't be used at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// It is done without, and tried again. What was stored before is served once the origin has said
    /// that it is still good: it may have been purged.
    #[default]
    Degrade,
    /// Nothing is served.
    Refuse,
}

impl Config {
    /// What tells the log of this fleet's purges from others: the same for all who share it, by
    /// whatever way they get there.
    pub(super) fn log(&self) -> u32 {
        let name = match &self.place {
            Place::S3 { bucket, .. } | Place::Google { bucket, .. } => bucket,
            Place::Azure { container, .. } => container,
            // Each may have mounted it where it likes.
            Place::Directory { .. } => "",
        };
        let prefix = Path::from(self.prefix.as_str());
        crc32c::crc32c(format!("{name} {prefix} {:?}", self.fleet).as_bytes())
    }

    /// A tier at a place, all else at its default.
    pub fn at(place: Place) -> Self {
        Self {
            place,
            prefix: "tidegate".into(),
            fleet: "default".into(),
            run: 4 << 20,
            read: 4 << 20,
            parallel: 3,
            ahead: 16 << 20,
            uploads: 5,
            queue: 1024,
            linger: Duration::from_secs(10),
            give_way: Duration::from_secs(1),
            min_requests: 1,
            min_size: 0,
            timeout: Duration::from_secs(5),
            patience: Duration::from_millis(250),
            negative: Duration::from_secs(10),
            poll: Duration::from_secs(2),
            on_error: OnError::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(name: &str, endpoint: Option<&str>) -> Config {
        Config::at(Place::S3 {
            bucket: name.into(),
            endpoint: endpoint.map(str::to_owned),
            region: "here".into(),
            keys: None,
        })
    }

    fn mounted(path: &str) -> Config {
        Config::at(Place::Directory { path: path.into() })
    }

    #[test]
    fn one_log_is_the_same_to_all_who_share_it() {
        let films = bucket("films", None);
        let inside = bucket("films", Some("http://10.0.0.1"));
        assert_eq!(films.log(), inside.log());
        assert_eq!(mounted("/mnt/a").log(), mounted("/srv/b").log());
        let at = |prefix: &str, fleet: &str| Config {
            prefix: prefix.into(),
            fleet: fleet.into(),
            ..films.clone()
        };
        assert_eq!(at("a/b", "x").log(), at("a/b/", "x").log());
        let mut others = [
            films.log(),
            bucket("books", None).log(),
            mounted("/mnt/a").log(),
            at("a", "default").log(),
            at("a/b", "default").log(),
            at("a", "b default").log(),
            at("tidegate", "b").log(),
        ];
        others.sort_unstable();
        assert!(others.windows(2).all(|two| two[0] != two[1]));
    }
}
