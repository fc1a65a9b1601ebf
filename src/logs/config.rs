//! What the logs may be told.

use super::Rules;
use log::LevelFilter;
use std::path::PathBuf;

/// What is written, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The least level of messages that are written.
    pub level: LevelFilter,
    /// How messages are written.
    pub format: Format,
    /// Where.
    pub to: Destination,
    /// The lines for requests; none where absent.
    pub access: Option<Access>,
}

/// A line for each request.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// How it is written.
    pub format: Format,
    /// Where.
    pub to: Destination,
    /// For which requests, and what is left out.
    pub rules: Rules,
}

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: `name=value`.
    #[default]
    Text,
    /// For programs: an object of JSON.
    Json,
}

/// Where lines are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// The standard error of the process.
    #[default]
    Stderr,
    /// A file, at its end.
    File(PathBuf),
}

impl Destination {
    /// The path of a file.
    pub fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Stderr => None,
            Self::File(path) => Some(path.clone()),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            level: LevelFilter::Info,
            format: Format::default(),
            to: Destination::default(),
            access: None,
        }
    }
}

impl Config {
    /// Whether another's lines go the same ways, so that it can be taken over while the process
    /// runs.
    pub fn has_the_ways_of(&self, other: &Self) -> bool {
        let ways = |config: &Self| {
            let access = config.access.as_ref();
            let access = access.map(|access| (access.format, access.to.clone()));
            (config.format, config.to.clone(), access)
        };
        ways(self) == ways(other)
    }

    /// This with another's level and rules.
    pub fn with_rules_of(&self, other: &Self) -> Self {
        let mut config = self.clone();
        config.level = other.level;
        if let (Some(own), Some(new)) = (&mut config.access, &other.access) {
            own.rules = new.rules.clone();
        }
        config
    }
}
