//! What traces may be told.

use super::Rules;
use crate::secret::SecretSource;
use http::{HeaderName, HeaderValue, Uri};
use std::time::Duration;

/// Which requests are recorded, and who is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Which requests.
    pub rules: Rules,
    /// Whom to tell.
    pub collector: CollectorConfig,
}

/// Whom spans are sent to, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectorConfig {
    /// The base of its URLs.
    pub endpoint: Uri,
    /// The name of this service.
    pub service: String,
    /// Fields of the requests to it.
    pub fields: Vec<(HeaderName, FieldValue)>,
    /// The longest that one request to it may take.
    pub timeout: Duration,
}

/// What a field says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// What everybody may know.
    Plain(HeaderValue),
    /// What nobody else is to know.
    Secret(SecretSource),
}

impl CollectorConfig {
    /// Everything at its default but where it is.
    pub fn new(endpoint: Uri) -> Self {
        Self {
            endpoint,
            service: "tidegate".to_owned(),
            fields: Vec::new(),
            timeout: Duration::from_secs(10),
        }
    }
}
