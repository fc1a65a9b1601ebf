//! pingora-cache's face of the store and the fills.
