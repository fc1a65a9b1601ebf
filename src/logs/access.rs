//! The face for requests: one line for each that is to be written down.

use super::{Access, Entry, Format, Gist, Rules, sink::Sink};
use parking_lot::RwLock;
use std::{borrow::Cow, sync::Arc};

/// Where requests are written down.
#[derive(Debug)]
pub struct AccessLog {
    sink: Arc<Sink>,
    format: Format,
    rules: RwLock<Rules>,
    /// Query parameters by which this process itself lets clients in.
    secrets: RwLock<Vec<String>>,
}

impl AccessLog {
    pub(super) fn new(sink: Arc<Sink>, access: &Access) -> Self {
        Self {
            sink,
            format: access.format,
            rules: RwLock::new(access.rules.clone()),
            secrets: RwLock::default(),
        }
    }

    /// Never writes these query parameters down.
    pub fn conceal(&self, parameters: Vec<String>) {
        *self.secrets.write() = parameters;
    }

    /// Whether a request is to be written down.
    pub fn takes(&self, gist: Gist) -> bool {
        self.rules.read().take(gist, fastrand::f64())
    }

    /// Path and query as they may be written down.
    pub fn cleaned<'a>(&self, path: &'a str, query: Option<&str>) -> Cow<'a, str> {
        let (rules, secrets) = (self.rules.read(), self.secrets.read());
        let path = rules.cleaned_path(path, &secrets);
        let query = query.map(|query| rules.cleaned(query, &secrets));
        match query.filter(|query| !query.is_empty()) {
            Some(query) => Cow::Owned(format!("{path}?{query}")),
            None => path,
        }
    }

    /// Writes a request down, without waiting for that.
    pub fn write(&self, entry: &Entry) {
        self.sink.push(&entry.line(self.format));
    }

    pub(super) fn reload(&self, rules: Rules) {
        *self.rules.write() = rules;
    }

    pub(super) fn sink(&self) -> &Sink {
        &self.sink
    }
}
