//! Until when the certificates of the listeners are good, and what is wrong with files of TLS before a
//! start finds it.

use super::{Settings, certificates::Set};
use crate::origin::{TlsFiles, certified, expires};
use prometheus::{IntGaugeVec, Opts, core::Collector};
use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// From when on it is said that a certificate expires: renewals are due a month before, and what
/// renews them has failed for two weeks by then.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// What is known of the certificates in force.
#[derive(Debug)]
pub(super) struct Expiry(IntGaugeVec);

impl Expiry {
    pub fn new() -> Self {
        let opts = Opts::new(
            "tidegate_certificate_expiry_timestamp_seconds",
            "When a certificate of a listener expires, in seconds since 1970, by its file, as it was read at the start or the last reload. One in the past is refused by clients.",
        );
        let gauge = IntGaugeVec::new(opts, &["file"]);
        Self(gauge.expect("names of metrics are well-formed"))
    }

    /// For the metrics.
    pub fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![Box::new(self.0.clone())]
    }

    /// These are shown from now on, and no others.
    pub fn replace<'a>(&self, sets: impl Iterator<Item = &'a Set>, now: SystemTime) {
        self.0.reset();
        for (file, expires) in sets.flat_map(Set::expiries) {
            let seconds = expires.duration_since(UNIX_EPOCH).unwrap_or_default();
            let name = file.display().to_string();
            let gauge = self.0.with_label_values(&[&name]);
            gauge.set(i64::try_from(seconds.as_secs()).unwrap_or(i64::MAX));
            if let Some(said) = complaint(file, *expires, now) {
                log::warn!("{said}");
            }
        }
    }
}

/// What is to be said of a certificate that is good until then.
fn complaint(file: &Path, expires: SystemTime, now: SystemTime) -> Option<String> {
    let file = file.display();
    let days = |time: Duration| time.as_secs() / (24 * 3600);
    match expires.duration_since(now) {
        Ok(left) if left > SOON => None,
        Ok(left) => Some(format!(
            "{file}: the certificate expires in {} days: renew it, and reload",
            days(left)
        )),
        Err(past) => Some(format!(
            "{file}: the certificate expired {} days ago, and clients refuse it: renew it, and reload",
            days(past.duration())
        )),
    }
}

/// What is found in the files of TLS that a configuration names.
#[derive(Debug, Default)]
pub struct TlsTrouble {
    /// With these a start fails.
    pub mistakes: Vec<String>,
    /// With these it does not.
    pub warnings: Vec<String>,
}

/// Reads all files of TLS that a configuration names, as a start would.
pub fn tls_trouble(settings: &Settings, now: SystemTime) -> TlsTrouble {
    let mut found = TlsTrouble::default();
    for (at, listen) in settings.listen.iter().enumerate() {
        for pair in listen.tls.iter().flat_map(|tls| &tls.certificates) {
            match certified(&pair.certificate, &pair.key) {
                Ok(key) => {
                    let until = expires(&key);
                    let said = until.and_then(|until| complaint(&pair.certificate, until, now));
                    found.warnings.extend(said);
                }
                Err(e) => found.mistakes.push(format!("listen[{at}].tls: {e}")),
            }
        }
    }
    for origin in &settings.origins {
        if let Err(e) = TlsFiles::load(&origin.tls) {
            found
                .mistakes
                .push(format!("origins.{}.tls: {e}", origin.name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_complained_of_two_weeks_ahead() {
        let (now, day) = (SystemTime::now(), Duration::from_secs(24 * 3600));
        let said = |expires| complaint(Path::new("a.pem"), expires, now);
        assert_eq!(said(now + 15 * day), None);
        assert!(said(now + 13 * day).is_some_and(|said| said.contains("expires in 13 days")));
        assert!(said(now - 2 * day).is_some_and(|said| said.contains("expired 2 days ago")));
    }
}
