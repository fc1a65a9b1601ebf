//! A 304 is believed only where it speaks of what was asked about.
//!
//! A cache that validates what it has stored must not take a 304 of another version for its own (RFC
//! 9111, section 4.3.4), nor may a client that has asked for no condition see one. What was asked is
//! asked again, without conditions.

use super::{
    Failure,
    attempts::Attempts,
    failure::Cause,
    incoming::Incoming,
    interim::Interim,
    sending::{Answered, Ask, send_on},
    stats::Again,
};
use crate::domain::Validators;
use http::{HeaderMap, StatusCode, header};
use pingora_http::RequestHeader;

/// What to make of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// It may be passed on.
    Fit,
    /// It is current, says a 304, but what is current is another version.
    OfAnother,
    /// A 304, though there was no condition.
    Unasked,
}

/// Sends a request that may be repeated. `validates` tells that its conditions are about what is
/// stored here; those of others are not ours to judge.
pub(super) async fn send(
    attempts: impl Fn() -> Attempts,
    ask: Ask,
    asked: &RequestHeader,
    validates: bool,
    interim: &Interim,
) -> Result<Answered, Failure> {
    let answered = send_on(attempts(), ask, asked, interim).await?;
    match judge(answered.head.status, &answered.head.headers, &asked.headers) {
        Word::OfAnother if validates => {}
        Word::Fit | Word::OfAnother => return Ok(answered),
        Word::Unasked => return Err(unasked(answered)),
    }
    let upstream = answered.attempts.upstream.clone();
    if let Some(leg) = upstream.legs().get(answered.leg) {
        let stats = upstream.client().stats();
        stats.again(leg.origin.name(), Again::Unconditional);
    }
    let (_, mut incoming) = Incoming::new(answered, ask, asked.clone());
    incoming.end().await;
    let mut asked = asked.clone();
    asked.remove_header(&header::IF_NONE_MATCH);
    asked.remove_header(&header::IF_MODIFIED_SINCE);
    let answered = send_on(attempts(), ask, &asked, interim).await?;
    match answered.head.status {
        StatusCode::NOT_MODIFIED => Err(unasked(answered)),
        _ => Ok(answered),
    }
}

fn judge(status: StatusCode, said: &HeaderMap, asked: &HeaderMap) -> Word {
    if status != StatusCode::NOT_MODIFIED {
        return Word::Fit;
    }
    let conditions = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];
    if !conditions.iter().any(|name| asked.contains_key(name)) {
        return Word::Unasked;
    }
    match Validators::of(said).contradict(&Validators::asked_for(asked)) {
        true => Word::OfAnother,
        false => Word::Fit,
    }
}

fn unasked(mut answered: Answered) -> Failure {
    let failure = Failure::new(Cause::Broken, "a 304 to a request without conditions");
    answered.attempts.failed(failure.clone());
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn fields(fields: &[(HeaderName, &'static str)]) -> HeaderMap {
        let fields = fields.iter().cloned();
        fields
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_304_is_fit_where_it_is_of_what_was_asked_about() {
        const DAY: &str = "Wed, 01 Jan 2020 00:00:00 GMT";
        const NEXT: &str = "Thu, 02 Jan 2020 00:00:00 GMT";
        let tag = (header::IF_NONE_MATCH, "\"v1\"");
        let since = (header::IF_MODIFIED_SINCE, DAY);
        let table = [
            (vec![], vec![], Word::Unasked),
            (vec![tag.clone()], vec![], Word::Fit),
            (
                vec![tag.clone()],
                vec![(header::ETAG, "W/\"v1\"")],
                Word::Fit,
            ),
            (
                vec![tag.clone()],
                vec![(header::ETAG, "\"v2\"")],
                Word::OfAnother,
            ),
            (
                vec![since.clone()],
                vec![(header::LAST_MODIFIED, DAY)],
                Word::Fit,
            ),
            (
                vec![since.clone()],
                vec![(header::LAST_MODIFIED, NEXT)],
                Word::OfAnother,
            ),
            (
                vec![tag, since],
                vec![(header::ETAG, "\"v1\""), (header::LAST_MODIFIED, NEXT)],
                Word::Fit,
            ),
        ];
        for (asked, said, expected) in table {
            let word = |status| judge(status, &fields(&said), &fields(&asked));
            assert_eq!(
                word(StatusCode::NOT_MODIFIED),
                expected,
                "{asked:?} {said:?}"
            );
            assert_eq!(word(StatusCode::OK), Word::Fit);
        }
    }
}
