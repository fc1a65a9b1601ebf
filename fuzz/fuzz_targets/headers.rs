//! Conditions, validators, and the heads of partial answers.

#![no_main]

use http::{HeaderMap, header};
use libfuzzer_sys::fuzz_target;
use tidegate_fuzz::{
    domain::{
        ByteRange, EntityTag, Outcome, Partial, Preconditions, Validators, if_range_holds, is_coded,
    },
    header,
};

const REQUEST: [header::HeaderName; 4] = [
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];

const RESPONSE: [header::HeaderName; 6] = [
    header::ETAG,
    header::LAST_MODIFIED,
    header::DATE,
    header::CONTENT_RANGE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
];

fuzz_target!(|input: (u64, u64, &[u8], &[u8])| {
    let (start, length, asked, answered) = input;
    let stored = header(&RESPONSE, answered);
    let validators = Validators::of(&stored);
    conditions(&header(&REQUEST, asked), &validators);
    tags(asked, &validators);
    if let Some(range) = ByteRange::new(start, start.saturating_add(length)) {
        partial(range, &stored);
    }
});

fn conditions(asked: &HeaderMap, stored: &Validators) {
    let conditions = Preconditions::of(asked);
    let outcome = conditions.evaluate(stored);
    assert!(!conditions.is_empty() || outcome == Outcome::Proceed);
    // RFC 9110, section 13.2.2: who names tags has said nothing by a date.
    let mut without_dates = asked.clone();
    if asked.contains_key(header::IF_MATCH) {
        without_dates.remove(header::IF_UNMODIFIED_SINCE);
    }
    if asked.contains_key(header::IF_NONE_MATCH) {
        without_dates.remove(header::IF_MODIFIED_SINCE);
    }
    assert_eq!(Preconditions::of(&without_dates).evaluate(stored), outcome);
    // The object's own tag always meets a condition on it.
    if let Some(tag) = stored.etag.as_ref().filter(|tag| tag.as_str().is_ascii()) {
        let mut own = HeaderMap::new();
        own.insert(header::IF_NONE_MATCH, tag.as_str().parse().unwrap());
        let outcome = Preconditions::of(&own).evaluate(stored);
        assert_eq!(outcome, Outcome::NotModified);
    }
}

fn tags(field: &[u8], stored: &Validators) {
    if let Some(tag) = std::str::from_utf8(field).ok().and_then(EntityTag::parse) {
        assert_eq!(tag.as_str().as_bytes(), field);
        assert!(tag.weak_eq(&tag) && tag.strong_eq(&tag) == tag.is_strong());
        let weak = EntityTag::parse(&format!("W/{}", tag.as_str().trim_start_matches("W/")));
        let weak = weak.expect("a tag may be weak");
        assert!(!weak.strong_eq(&tag) && weak.weak_eq(&tag));
    }
    if if_range_holds(field, stored) {
        // Bytes beyond ASCII stand for the characters of the same number.
        let text: String = field.iter().map(|&byte| char::from(byte)).collect();
        let tag = stored.strong_etag().map(EntityTag::as_str);
        assert!(tag == Some(text.trim()) || stored.strong_last_modified() == Some(text.trim()));
    }
    assert!(!stored.tell_versions_apart() || stored.same_version(stored));
}

fn partial(asked: ByteRange, headers: &HeaderMap) {
    if let Ok(part) = Partial::judge(asked, headers) {
        assert_eq!(part.range.start(), asked.start());
        assert_eq!(part.range.end(), asked.end().min(part.total));
        let is_all = part.range.len() == part.total;
        assert!(is_all || part.validators.tell_versions_apart());
        assert!(!is_coded(headers));
    }
}
