//! The index beside a plain map that is searched from end to end.

use super::*;
use crate::{domain::ObjectKey, store::manifest::tests::sample};
use http::HeaderValue;
use proptest::prelude::*;
use std::collections::BTreeMap;

const PATHS: [&str; 4] = ["/a", "/a/b", "/a/b/c", "/b"];
const TAGS: [&str; 4] = ["one", "two", "three", "four"];

fn manifest(name: u8, generation: u64, path: usize, tags: u8) -> Manifest {
    let key = ObjectKey {
        version: 1,
        host: "a.example".into(),
        path: PATHS[path].into(),
        query: None,
        extras: Vec::new(),
    };
    let mut manifest = Manifest {
        id: ObjectId([name; 16]),
        key: key.encode(),
        generation,
        ..sample(100, 4096)
    };
    let chosen = (0..4).filter(|n| tags & (1 << n) != 0).map(|n| TAGS[n]);
    let line = chosen.collect::<Vec<_>>().join(" ");
    let line = HeaderValue::from_str(&line).unwrap();
    manifest.meta.headers.insert("surrogate-key", line);
    manifest
}

fn selectors() -> Vec<Selector> {
    let key = |path: &str| {
        ObjectKey::decode(&manifest(0, 0, 0, 0).key).map(|key| ObjectKey {
            path: path.into(),
            ..key
        })
    };
    let urls = PATHS
        .iter()
        .filter_map(|path| Some(Selector::of_url(&key(path)?)));
    let prefixes = ["/", "/a", "/a/", "/x"].map(|p| Selector::of_prefix(["a.example"], p));
    let tags = TAGS
        .iter()
        .chain(&["five"])
        .map(|tag| Selector::Tag((*tag).into()));
    urls.chain(prefixes)
        .chain(tags)
        .chain([Selector::All])
        .collect()
}

proptest! {
    /// Whatever was written, written over and removed: every selector finds what a search through
    /// all manifests finds, and nothing is left of what has gone.
    #[test]
    fn it_finds_what_a_search_finds(
        steps in prop::collection::vec((0u8..6, 0u64..3, 0usize..4, 0u8..16, any::<bool>()), 0..60)
    ) {
        let mut index = Index::default();
        let mut model: BTreeMap<ObjectId, Manifest> = BTreeMap::new();
        for (name, generation, path, tags, write) in steps {
            let manifest = manifest(name, generation, path, tags);
            let id = manifest.id;
            if write {
                index.insert(&manifest, Arc::default());
                model.insert(id, manifest);
            } else {
                index.remove(id, generation);
                if model.get(&id).is_some_and(|m| m.generation == generation) {
                    model.remove(&id);
                }
            }
            for selector in selectors() {
                let takes = |m: &&Manifest| {
                    selector.takes(&place_of(&m.key), &Tags::of(&m.meta.headers))
                };
                let expected: BTreeSet<_> = model.values().filter(takes).map(|m| m.id).collect();
                prop_assert_eq!(index.select(&selector), expected, "{:?}", selector);
            }
            let borne: BTreeSet<_> = model.values().flat_map(|m| Tags::of(&m.meta.headers).known).collect();
            prop_assert_eq!(index.size(), (model.len(), borne.len()));
        }
        for id in model.keys() {
            index.take_out(*id);
        }
        prop_assert_eq!(index.size(), (0, 0));
        prop_assert!(index.places.is_empty() && index.crowded.is_empty());
    }
}
