//! What the tier may be told.

use crate::secret::SecretSource;
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

/// What is done where the tier can't be used at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// It is done without, and tried again.
    #[default]
    Degrade,
    /// Nothing is served.
    Refuse,
}

impl Config {
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
