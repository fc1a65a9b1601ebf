//! The file with the token of those who may change something.

use std::{fs::File, io::Read, os::unix::fs::PermissionsExt, path::Path};

/// Why a file gives no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// It can't be read, or is no text.
    #[error("can't be read ({})", reason(*.0))]
    Unreadable(std::io::ErrorKind),
    /// There is nothing in it.
    #[error("holds no token")]
    Empty,
    /// A token is one line.
    #[error("has {0} lines; a token is one")]
    Lines(usize),
    /// It is larger than any token.
    #[error("has more than {LONGEST} bytes")]
    Long,
}

fn reason(kind: std::io::ErrorKind) -> String {
    match kind {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        other => other.to_string(),
    }
}

/// Largest token file, in bytes.
const LONGEST: u64 = 16 << 10;

/// Reads a token: the one line of its file, without white space around it.
pub fn read_token(file: &Path) -> Result<String, NoToken> {
    let unreadable = |e: std::io::Error| NoToken::Unreadable(e.kind());
    let mut text = String::new();
    let file = File::open(file).map_err(unreadable)?;
    let mut file = file.take(LONGEST + 1);
    file.read_to_string(&mut text).map_err(unreadable)?;
    let token = text.trim();
    match token.lines().count() {
        _ if text.len() as u64 > LONGEST => Err(NoToken::Long),
        0 => Err(NoToken::Empty),
        1 => Ok(token.to_owned()),
        lines => Err(NoToken::Lines(lines)),
    }
}

/// Whether every user of this machine can read a file.
pub fn is_open_to_all(file: &Path) -> bool {
    std::fs::metadata(file)
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_else_can_read_it_is_seen() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, open) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
            file.as_file()
                .set_permissions(PermissionsExt::from_mode(mode))
                .unwrap();
            assert_eq!(is_open_to_all(file.path()), open, "{mode:o}");
        }
        assert!(!is_open_to_all(Path::new("/nowhere/token")));
    }

    #[test]
    fn a_token_is_one_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let found = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            read_token(file.path())
        };
        for text in ["secret", "secret\n", "\r\n secret \r\n\n"] {
            assert_eq!(found(text), Ok("secret".to_owned()), "{text:?}");
        }
        assert_eq!(found(" \n"), Err(NoToken::Empty));
        assert_eq!(found("a\nb\n"), Err(NoToken::Lines(2)));
        assert_eq!(found("a\n\nb"), Err(NoToken::Lines(3)));
        assert_eq!(found(&"a".repeat(16 << 10)).unwrap().len(), 16 << 10);
        assert_eq!(found(&"a".repeat((16 << 10) + 1)), Err(NoToken::Long));
        let missing = Path::new("/nowhere/token");
        let why = read_token(missing).unwrap_err();
        assert_eq!(why, NoToken::Unreadable(std::io::ErrorKind::NotFound));
    }
}
