//! Who may go, when and how long: pure decisions about traffic.
