//! Whether a stored response may be given to a request without asking the origin (RFC 9111,
//! section 4).

use super::{RequestControl, ResponseControl};
use std::time::{Duration, SystemTime};

/// A stored response, as far as its use depends on time.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// What the origin said of it.
    pub control: &'a ResponseControl,
    /// The moment from which its age counts.
    pub epoch: SystemTime,
    /// Fresh until then.
    pub fresh_until: SystemTime,
    /// When the origin last said that it is current.
    pub validated: SystemTime,
}

/// What may be done with a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// It may be given out.
    Fresh,
    /// It is not fresh any more, and the client does not mind.
    StaleAllowed,
    /// It is not fresh any more.
    Stale,
    /// It is not fresh any more, and the client does not want it while the origin is asked.
    Expired,
    /// It is fresh, but the client wants it to be asked for.
    Insisted,
}

/// Decides at `now` about a request that came at `asked`. What was found to be current after that
/// is as good as asked for: a thousand clients that insist at once cost the origin one question.
pub fn reuse(
    client: &RequestControl,
    stored: &Stored,
    asked: SystemTime,
    now: SystemTime,
) -> Reuse {
    let left = stored.fresh_until.duration_since(now).ok();
    let Some(left) = left else {
        let stale = now.duration_since(stored.fresh_until).unwrap_or_default();
        let minds = client.no_cache || stored.control.forbids_stale();
        let enough = client
            .max_stale
            .is_some_and(|most| stale <= Duration::from_secs(most));
        let is_young = is_young(client, stored, now);
        if enough && !minds && is_young {
            return Reuse::StaleAllowed;
        }
        let insists = client.no_cache || client.min_fresh.is_some() || !is_young;
        return match insists && stored.validated < asked {
            true => Reuse::Expired,
            false => Reuse::Stale,
        };
    };
    let lasts = client
        .min_fresh
        .is_none_or(|least| left >= Duration::from_secs(least));
    let wanted = !client.no_cache && lasts && is_young(client, stored, now);
    match wanted || stored.validated >= asked {
        true => Reuse::Fresh,
        false => Reuse::Insisted,
    }
}

fn is_young(client: &RequestControl, stored: &Stored, now: SystemTime) -> bool {
    let age = now.duration_since(stored.epoch).unwrap_or_default();
    client
        .max_age
        .is_none_or(|most| age.as_secs() <= most && most > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + secs)
    }

    /// Stored at 0, fresh until 100.
    fn found(client: RequestControl, now: u64) -> Reuse {
        let control = ResponseControl::default();
        let stored = Stored {
            control: &control,
            epoch: at(0),
            fresh_until: at(100),
            validated: at(0),
        };
        reuse(&client, &stored, at(now), at(now))
    }

    fn none() -> RequestControl {
        RequestControl::default()
    }

    #[test]
    fn clients_narrow_and_widen() {
        let max_age = |secs| RequestControl {
            max_age: Some(secs),
            ..none()
        };
        let min_fresh = |secs| RequestControl {
            min_fresh: Some(secs),
            ..none()
        };
        let max_stale = |secs| RequestControl {
            max_stale: Some(secs),
            ..none()
        };
        let no_cache = RequestControl {
            no_cache: true,
            ..none()
        };
        let table = [
            (none(), 50, Reuse::Fresh),
            (none(), 101, Reuse::Stale),
            (no_cache.clone(), 50, Reuse::Insisted),
            (max_age(50), 50, Reuse::Fresh),
            (max_age(49), 50, Reuse::Insisted),
            (max_age(0), 50, Reuse::Insisted),
            (min_fresh(50), 50, Reuse::Fresh),
            (min_fresh(51), 50, Reuse::Insisted),
            (max_stale(10), 110, Reuse::StaleAllowed),
            (max_stale(9), 110, Reuse::Stale),
            (max_age(0), 110, Reuse::Expired),
            (max_age(200), 110, Reuse::Stale),
            (min_fresh(1), 110, Reuse::Expired),
            (
                RequestControl {
                    max_stale: Some(u64::MAX),
                    ..no_cache
                },
                110,
                Reuse::Expired,
            ),
            (
                RequestControl {
                    max_stale: Some(99),
                    ..max_age(105)
                },
                110,
                Reuse::Expired,
            ),
        ];
        for (client, now, expected) in table {
            assert_eq!(found(client.clone(), now), expected, "{client:?} at {now}");
        }
    }

    #[test]
    fn stale_is_stale_where_the_origin_says_so() {
        let client = RequestControl {
            max_stale: Some(u64::MAX),
            ..none()
        };
        let control = ResponseControl {
            must_revalidate: true,
            ..ResponseControl::default()
        };
        let stored = Stored {
            control: &control,
            epoch: at(0),
            fresh_until: at(100),
            validated: at(0),
        };
        assert_eq!(reuse(&client, &stored, at(110), at(110)), Reuse::Stale);
    }

    #[test]
    fn what_was_asked_for_meanwhile_is_not_asked_for_again() {
        let control = ResponseControl::default();
        let stored = Stored {
            control: &control,
            epoch: at(0),
            fresh_until: at(100),
            validated: at(50),
        };
        let client = RequestControl {
            no_cache: true,
            ..none()
        };
        assert_eq!(reuse(&client, &stored, at(49), at(51)), Reuse::Fresh);
        assert_eq!(reuse(&client, &stored, at(51), at(51)), Reuse::Insisted);
    }
}
