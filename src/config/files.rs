//! Readers of paths. Where the file system may be touched, they try what is asked of it: whether
//! something can be written is better tried than reckoned from permissions.

use super::{scalar, spot::Spot};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The text of a file that is read as a whole: the configuration, a secret.
pub(super) fn text(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err("larger than 1MiB, which is too much for it".into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("not valid UTF-8 from byte {at} on")
    })
}

/// A bound for what is read into memory.
const LARGEST: u64 = 1 << 20;

/// A file that can be read.
pub(super) fn readable(at: &Spot) -> Option<PathBuf> {
    let path = path(at)?;
    if at.reading().folder().is_none() {
        return Some(path);
    }
    // Opening a folder works, reading it does not.
    match File::open(&path).and_then(|mut file| file.read(&mut [0])) {
        Ok(_) => Some(path),
        Err(error) => at.refuse(format!("{} cannot be read: {error}", path.display())),
    }
}

/// A file that holds a secret: one line of text, of which no message shows anything.
pub(super) fn secret(at: &Spot) -> Option<PathBuf> {
    let path = path(at)?;
    if at.reading().folder().is_none() {
        return Some(path);
    }
    match text(&path).and_then(|text| one_line(&text)) {
        Ok(()) => Some(path),
        Err(why) => at.refuse(format!("{}: {why}", path.display())),
    }
}

/// Whether a text can be a secret: every use of one is within a line of a request's head.
pub(super) fn one_line(secret: &str) -> Result<(), String> {
    match secret.trim() {
        "" => Err("holds nothing but white space".into()),
        text if text.contains(char::is_control) => {
            Err("holds more than one line of plain text".into())
        }
        _ => Ok(()),
    }
}

/// A directory that can be written, or that can be created.
pub(super) fn directory(at: &Spot) -> Option<PathBuf> {
    let path = path(at)?;
    if at.reading().folder().is_none() {
        return Some(path);
    }
    let nearest = nearest_existing(&path);
    match nearest.and_then(|folder| try_to_write(folder).map_err(|error| (folder, error))) {
        Ok(()) => Some(path),
        Err((culprit, error)) if culprit == path => {
            at.refuse(format!("{} cannot be used: {error}", path.display()))
        }
        Err((culprit, error)) => at.refuse(format!(
            "{} cannot be created, because {} cannot be used: {error}",
            path.display(),
            culprit.display()
        )),
    }
}

/// A file that can be written to at its end, or that can be created.
pub(super) fn appendable(at: &Spot) -> Option<PathBuf> {
    let path = path(at)?;
    if at.reading().folder().is_none() {
        return Some(path);
    }
    let tried = match path.symlink_metadata() {
        Ok(_) => File::options().append(true).open(&path).map(drop),
        Err(error) if is_absence(&error) => {
            let folder = path.parent().filter(|folder| folder.is_dir());
            folder.map_or(Err(error), try_to_write)
        }
        Err(error) => Err(error),
    };
    match tried {
        Ok(()) => Some(path),
        Err(error) => at.refuse(format!(
            "{} cannot be written: {error}; its folder must exist and be writable",
            path.display()
        )),
    }
}

/// A path of which nothing is asked yet.
pub(super) fn path(at: &Spot) -> Option<PathBuf> {
    let path = Path::new(scalar::text(at, "a path")?);
    Some(match at.reading().folder() {
        Some(folder) => folder.join(path),
        None => path.to_owned(),
    })
}

/// The path itself if there is something, else the first of its ancestors that exists.
fn nearest_existing(path: &Path) -> Result<&Path, (&Path, io::Error)> {
    let mut ancestors = path.ancestors();
    loop {
        let Some(ancestor) = ancestors.next() else {
            return Err((path, io::ErrorKind::NotFound.into()));
        };
        // Not following a symbolic link: one that leads nowhere is there, and in the way.
        match ancestor.symlink_metadata() {
            Ok(_) => return Ok(ancestor),
            Err(error) if is_absence(&error) => {}
            Err(error) => return Err((ancestor, error)),
        }
    }
}

/// Nothing is there, perhaps because what should lead there is no directory.
fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// Writes into a directory, to a file that has no name and is gone when closed.
fn try_to_write(directory: &Path) -> io::Result<()> {
    if !directory.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    tempfile::tempfile_in(directory).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::{load, tests::altered};
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    fn write(folder: &Path, cache: &str, rest: &str) -> PathBuf {
        let file = folder.join("tidegate.yaml");
        let lines = format!("cache: {{directory: {cache}}}\n{rest}");
        fs::write(&file, altered(&lines)).unwrap();
        file
    }

    fn said(file: &Path) -> String {
        load(file).unwrap_err().to_string()
    }

    #[test]
    fn paths_start_at_the_folder_of_the_file_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        fs::write(at.join("token"), "secret").unwrap();
        let file = write(
            at,
            "deep/store",
            "admin: {address: 127.0.0.1:1, token_file: token}",
        );
        let settings = load(&file).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_eq!(settings.store.directory, at.join("deep/store"));
        assert_eq!(settings.admin.unwrap().token_file, Some(at.join("token")));
        assert_eq!(fs::read_dir(at).unwrap().count(), 2);
    }

    #[test]
    fn an_existing_directory_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("store")).unwrap();
        load(&write(folder.path(), "store", "")).unwrap();
        assert_eq!(
            fs::read_dir(folder.path().join("store")).unwrap().count(),
            0
        );
    }

    #[test]
    fn a_log_can_be_begun_or_written_on() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let with = |log: &str| write(at, "store", &format!("log: {{file: {log}}}"));
        load(&with("new.log")).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert!(!at.join("new.log").exists());
        fs::write(at.join("old.log"), "line").unwrap();
        load(&with("old.log")).unwrap();
        for (log, why) in [("missing/new.log", "No such file"), (".", "directory")] {
            let text = said(&with(log));
            assert!(text.contains("log.file: ") && text.contains(why), "{text}");
            assert!(
                text.contains("its folder must exist and be writable"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_file_is_no_directory_nor_can_one_be_created_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = write(folder.path(), "tidegate.yaml", "");
        let text = said(&file);
        let expected = format!(
            "cache.directory: {} cannot be used: not a directory",
            file.display()
        );
        assert!(text.contains(&expected), "{text}");

        let file = write(folder.path(), "tidegate.yaml/store", "");
        let text = said(&file);
        assert!(
            text.contains("cannot be created, because") && text.contains("1 mistake"),
            "{text}"
        );
    }

    #[test]
    fn a_link_to_nowhere_is_no_directory() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("store")).unwrap();
        let text = said(&write(folder.path(), "store", ""));
        assert!(text.contains("store cannot be used"), "{text}");
    }

    #[test]
    fn missing_files_add_up_with_other_mistakes() {
        let folder = tempfile::tempdir().unwrap();
        let file = write(
            folder.path(),
            ".",
            "server: {threads: 0}\n\
             listen: [{address: 127.0.0.1:1, tls: {certificate: cert.pem, key: .}}]",
        );
        let text = said(&file);
        assert!(
            text.starts_with(&format!("{}: 3 mistakes\n", file.display())),
            "{text}"
        );
        for part in [
            "tls.certificate: ",
            "cert.pem cannot be read: No such file",
            "tls.key: ",
            "Is a directory",
            "server.threads: ",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_one_mistake() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.yaml");
        let text = said(&missing);
        assert!(
            text.contains("missing.yaml: 1 mistake\n  cannot be read: No such file"),
            "{text}"
        );
        assert!(said(folder.path()).contains("cannot be read: Is a directory"));
        let binary = folder.path().join("binary");
        fs::write(&binary, b"listen: \xff").unwrap();
        assert!(said(&binary).contains("not valid UTF-8 from byte 8 on"));
        fs::write(&binary, vec![b'#'; 2 << 20]).unwrap();
        assert!(said(&binary).contains("larger than 1MiB"));
    }
}
