//! Everything on loopback, for a first look.
