//! Fuzz targets for everything that Tidegate reads of the world, and what they are built on.
//!
//! They look at the room `domain` alone, which is pure, so that they are built in a minute. Each
//! asserts what is to hold of every input, not only that nothing panics. With cargo-fuzz installed
//! (`cargo install cargo-fuzz`), from the repository's root:
//!
//! ```text
//! RUSTC_BOOTSTRAP=1 cargo fuzz run -s none ranges -- -max_total_time=600
//! ```
//!
//! `headers`, `keys`, `caching` and `targets` likewise. `-s none` and `RUSTC_BOOTSTRAP` are for a stable compiler; on a
//! nightly one neither is needed. An input that fails is left in `fuzz/artifacts`: make a test of
//! it. Corpora stay where they were grown.

#[allow(dead_code, missing_docs, unused_imports)]
#[path = "../../src/domain/mod.rs"]
pub mod domain;

use http::{HeaderMap, HeaderName, HeaderValue};

/// A header of these fields, of one line of the input each, as long as there are lines.
pub fn header(names: &[HeaderName], input: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let lines = input.split(|byte| *byte == b'\n');
    for (nth, line) in lines.take(64).enumerate() {
        // The first byte of a line says whose it is.
        let (name, value) = match line.split_first() {
            Some((first, rest)) => (usize::from(*first), rest),
            None => (nth, line),
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(names[name % names.len()].clone(), value);
        }
    }
    headers
}
