//! Documents that say what they are and notice damage.
//!
//! ```text
//! "tidegate … 1\n"          magic and version; another version is not read
//! 8 hex digits, "\n"        CRC32C of what follows
//! JSON
//! ```

/// Eight digits and the line's end.
const CHECKSUM_LENGTH: usize = 9;

/// A document with this first line.
pub fn seal(magic: &[u8], json: &[u8]) -> Vec<u8> {
    let mut out = magic.to_vec();
    out.extend(format!("{:08x}\n", crc32c::crc32c(json)).bytes());
    out.extend(json);
    out
}

/// What a document with this first line says; `None` where it is another, or damaged.
pub fn unseal<'a>(magic: &[u8], document: &'a [u8]) -> Option<&'a [u8]> {
    let rest = document.strip_prefix(magic)?;
    let (checksum, json) = rest.split_at_checked(CHECKSUM_LENGTH)?;
    let checksum = std::str::from_utf8(checksum).ok()?.strip_suffix('\n')?;
    let written = u32::from_str_radix(checksum, 16).ok()?;
    (written == crc32c::crc32c(json)).then_some(json)
}
