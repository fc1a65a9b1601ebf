//! The keys of objects.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_fuzz::domain::{Extra, ExtraKind, ObjectKey};

fuzz_target!(|input: (
    u32,
    (&str, &str, Option<&str>),
    Vec<(u8, &str, &str)>,
    &[u8]
)| {
    let (version, (host, path, query), extras, bytes) = input;
    let key = ObjectKey {
        version,
        host: host.to_owned(),
        path: path.to_owned(),
        query: query.map(str::to_owned),
        extras: extras.into_iter().map(extra).collect(),
    };
    let encoded = key.encode();
    // What is written is read, so no two keys have the same bytes.
    assert_eq!(ObjectKey::decode(&encoded).as_ref(), Some(&key));
    // And each key has one form alone.
    if let Some(other) = ObjectKey::decode(bytes) {
        assert_eq!(other.encode(), bytes);
    }
    // Part of a key, or more than one, is none.
    for at in [encoded.len() / 2, encoded.len() - 1] {
        if let Some(other) = ObjectKey::decode(&encoded[..at]) {
            assert_ne!(other, key);
        }
    }
    let longer = [&encoded[..], &[0]].concat();
    assert_eq!(ObjectKey::decode(&longer), None);
});

fn extra((kind, name, value): (u8, &str, &str)) -> Extra {
    let kind = match kind % 3 {
        0 => ExtraKind::Field,
        1 => ExtraKind::Cookie,
        _ => ExtraKind::Variant,
    };
    Extra {
        kind,
        name: name.to_owned(),
        value: value.to_owned(),
    }
}
