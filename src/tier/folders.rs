//! A walk through the tier: each object with all that lies there of it.

use super::remote::{Remote, Trouble};
use crate::store::ObjectId;
use object_store::{ObjectMeta, path::Path};

/// What lies there of one object.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The cache's version.
    pub version: u32,
    /// The object.
    pub id: ObjectId,
    /// Its manifest.
    pub manifest: Option<ObjectMeta>,
    /// Everything else.
    pub others: Vec<ObjectMeta>,
}

impl Folder {
    /// Bytes of all of it.
    pub fn bytes(&self) -> u64 {
        let all = self.others.iter().chain(&self.manifest);
        all.map(|meta| meta.size).sum()
    }
}

/// Goes through what lies below a path, which comes folder by folder.
pub async fn walk(
    remote: &Remote,
    below: &Path,
    mut each: impl AsyncFnMut(Folder) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let mut listed = remote.list(below);
    let mut present: Option<Folder> = None;
    while let Some(found) = remote.next_of(&mut listed).await? {
        // Purges and the like have other names.
        let Some((version, id, name)) = parts(&found.location) else {
            continue;
        };
        let is_same = |folder: &Folder| folder.version == version && folder.id == id;
        if !present.as_ref().is_some_and(is_same)
            && let Some(complete) = present.take()
        {
            each(complete).await?;
        }
        let folder = present.get_or_insert_with(|| Folder {
            version,
            id,
            manifest: None,
            others: Vec::new(),
        });
        match name.as_str() {
            "manifest" => folder.manifest = Some(found),
            _ => folder.others.push(found),
        }
    }
    match present {
        Some(last) => each(last).await,
        None => Ok(()),
    }
}

/// Version, object and name of what is part of an object.
pub(super) fn parts(path: &Path) -> Option<(u32, ObjectId, String)> {
    let mut parts = path.as_ref().rsplit('/');
    let name = parts.next()?;
    let id = ObjectId::parse(parts.next()?)?;
    let version = parts.next()?.strip_prefix('v')?.parse().ok()?;
    Some((version, id, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_part_of_an_object_counts() {
        let id = "00112233445566778899aabbccddeeff";
        let named = |text: &str| parts(&Path::from(text));
        let (version, of, name) = named(&format!("a/b/v12/{id}/00000004-1")).unwrap();
        assert_eq!(
            (version, of.to_string().as_str(), name.as_str()),
            (12, id, "00000004-1")
        );
        for other in [
            "a/purges/00000000000000000001",
            "a/fleet",
            "a/v1/x/manifest",
            "v1",
        ] {
            assert_eq!(named(other).map(|_| ()), None, "{other}");
        }
    }
}
