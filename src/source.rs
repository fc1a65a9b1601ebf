//! The seam between the fills and where missing chunks come from.
