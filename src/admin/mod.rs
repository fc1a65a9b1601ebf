//! The operator's face: metrics and health.
