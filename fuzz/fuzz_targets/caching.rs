//! What is read of `Cache-Control` and its kin, and what is decided by it.

#![no_main]

use http::{HeaderMap, HeaderName, StatusCode, header};
use libfuzzer_sys::fuzz_target;
use std::time::{Duration, SystemTime};
use tidegate_fuzz::{
    domain::{
        Answer, FreshnessRules, RequestControl, ResponseControl, Reuse, Stored, Tags, http_date,
        judge, reuse,
    },
    header,
};

const FIELDS: [HeaderName; 12] = [
    header::CACHE_CONTROL,
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
    header::EXPIRES,
    header::DATE,
    header::AGE,
    header::LAST_MODIFIED,
    header::ETAG,
    header::VARY,
    header::SET_COOKIE,
    header::PRAGMA,
    HeaderName::from_static("surrogate-key"),
];

fuzz_target!(|input: (u16, bool, u32, &[u8], &[u8])| {
    let (status, authorized, since, answered, asked) = input;
    let headers = header(&FIELDS, answered);
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let answer = Answer {
        status: StatusCode::from_u16(status % 500 + 100).unwrap_or(StatusCode::OK),
        headers: &headers,
        path: "/film.m3u8",
        authorized,
        delay: Duration::from_millis(u64::from(since % 5000)),
        now,
        dice: 0.5,
    };
    let control = ResponseControl::of(&headers);
    if let Ok(fresh) = judge(&answer, &FreshnessRules::default()) {
        assert!(!control.no_store || control.must_understand);
        assert!(!authorized || control.allows_authorized());
        assert!(fresh.epoch <= now);
        let stale = fresh.stale_while_revalidate > 0 || fresh.stale_if_error > 0;
        assert!(!stale || !control.forbids_stale());
        reused(
            &control,
            &fresh,
            &header(&FIELDS, asked),
            now + Duration::from_secs(since.into()),
        );
    }
    let _ = Tags::of(&headers);
    // A date that is read is the one that is written.
    if let Some(date) = http_date(answered) {
        let written = httpdate::fmt_http_date(date);
        assert_eq!(http_date(written.as_bytes()), Some(date));
    }
});

fn reused(
    control: &ResponseControl,
    fresh: &tidegate_fuzz::domain::Freshness,
    asked: &HeaderMap,
    now: SystemTime,
) {
    let stored = Stored {
        control,
        epoch: fresh.epoch,
        fresh_until: fresh.until,
        validated: fresh.epoch,
    };
    let client = RequestControl::of(asked);
    match reuse(&client, &stored, now, now) {
        Reuse::Fresh => assert!(fresh.until >= now),
        Reuse::StaleAllowed => assert!(client.max_stale.is_some() && !control.forbids_stale()),
        Reuse::Stale => assert!(fresh.until < now),
        Reuse::Expired => assert!(fresh.until < now && client != RequestControl::default()),
        Reuse::Insisted => assert!(fresh.until >= now && client != RequestControl::default()),
    }
}
