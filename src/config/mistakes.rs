//! What is wrong with a configuration: gathered while it is read, handed back in one piece.

use std::{
    cell::RefCell,
    error::Error,
    fmt,
    path::{Path, PathBuf},
};

/// Everything that is wrong with one configuration, in the order of its text.
///
/// Displays as a header and one line for each mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    file: Option<PathBuf>,
    list: Vec<Mistake>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    path: String,
    message: String,
    line: Option<usize>,
}

impl Mistake {
    /// Where in the configuration, such as `origins.media.servers[0].url`; empty for the whole.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was expected, and what was found.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line, from 1, where it is known.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl Mistakes {
    /// The mistakes one by one; there is at least one.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.list.iter()
    }

    /// A text that could not be read as a whole.
    pub(super) fn of_text(message: String) -> Self {
        let whole = Mistake {
            path: String::new(),
            message,
            line: None,
        };
        Self {
            file: None,
            list: vec![whole],
        }
    }

    /// A file that could not be read as a whole.
    pub(super) fn of_file(file: &Path, message: String) -> Self {
        Self::of_text(message).named(file)
    }

    /// Says which file it was.
    pub(super) fn named(self, file: &Path) -> Self {
        Self {
            file: Some(file.to_owned()),
            ..self
        }
    }
}

impl Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}: ", file.display())?,
            None => f.write_str("configuration: ")?,
        }
        match self.list.len() {
            1 => f.write_str("1 mistake")?,
            many => write!(f, "{many} mistakes")?,
        }
        self.list
            .iter()
            .try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match self.line {
            Some(line) => write!(f, " (line {line})"),
            None => Ok(()),
        }
    }
}

/// One reading of one configuration: the mistakes so far, and whether files may be looked at.
#[derive(Debug)]
pub(super) struct Reading {
    folder: Option<PathBuf>,
    found: RefCell<Vec<(usize, Mistake)>>,
}

impl Reading {
    /// A reading that does not touch the file system.
    pub(super) fn of_text() -> Self {
        Self {
            folder: None,
            found: RefCell::default(),
        }
    }

    /// A reading that tries the files it is told of; relative ones start at `folder`.
    pub(super) fn with_files(folder: PathBuf) -> Self {
        Self {
            folder: Some(folder),
            found: RefCell::default(),
        }
    }

    /// Where relative paths start; `None` when the file system is not to be touched.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Notes a mistake at a path, raised by the node of that number.
    pub(super) fn note(&self, node: usize, path: String, message: String) {
        let mistake = Mistake {
            path,
            message,
            line: None,
        };
        self.found.borrow_mut().push((node, mistake));
    }

    /// What was read if nothing was wrong, else the mistakes with the lines of their nodes.
    pub(super) fn conclude<T>(
        self,
        read: Option<T>,
        line: impl Fn(usize) -> Option<usize>,
    ) -> Result<T, Mistakes> {
        let mut found = self.found.into_inner();
        if let (Some(value), true) = (read, found.is_empty()) {
            return Ok(value);
        }
        debug_assert!(!found.is_empty(), "a value was refused without a word");
        found.sort_by_key(|(node, _)| *node);
        let list = found
            .into_iter()
            .enumerate()
            .map(|(nth, (node, mistake))| Mistake {
                line: (node > 0 && nth < LOCATED).then(|| line(node)).flatten(),
                ..mistake
            })
            .collect();
        Err(Mistakes { file: None, list })
    }
}

/// Mistakes that are given their line: each costs another reading of the text, and a file
/// with more mistakes than this is not a configuration.
const LOCATED: usize = 100;
