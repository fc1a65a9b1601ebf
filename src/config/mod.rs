//! The configuration file turned into checked settings.
