//! The section `traces`: which requests are recorded step by step, and who is told.

use super::{
    clients::trust,
    credentials::secret,
    fields,
    hosts::is_place,
    node::Value,
    scalar::{fine_share, spelled, text, timeout},
    spot::Spot,
};
use crate::traces::{CollectorConfig, Config, FieldValue, Rules};
use http::Uri;

pub(super) fn traces(at: &Spot) -> Option<Config> {
    let default = CollectorConfig::new(Uri::default());
    let rules = Rules::default();
    at.section(|keys| {
        let endpoint = keys.required("endpoint", endpoint);
        let rules = Rules {
            sample: keys.or("sample", rules.sample, fine_share),
            trust: keys.or("trust", rules.trust, trust),
        };
        let collector = CollectorConfig {
            service: keys.or("service", default.service, service),
            fields: keys.or("headers", default.fields, |at| fields::told(at, value)),
            timeout: keys.or("timeout", default.timeout, timeout),
            endpoint: endpoint?,
        };
        Some(Config { rules, collector })
    })
}

/// The base of a collector's URLs.
fn endpoint(at: &Spot) -> Option<Uri> {
    const EXPECTED: &str = "the http:// or https:// URL of a collector without user name or query, such as http://127.0.0.1:4318";
    let text = text(at, EXPECTED)?;
    base(text).or_else(|| at.expected(EXPECTED))
}

fn base(text: &str) -> Option<Uri> {
    // The parser drops fragments in silence.
    let url: Uri = text.parse().ok().filter(|_| !text.contains('#'))?;
    let web = matches!(url.scheme_str(), Some("http" | "https"));
    let place = url.authority().is_some_and(is_place);
    (web && place && url.query().is_none()).then_some(url)
}

fn service(at: &Spot) -> Option<String> {
    const EXPECTED: &str = "a name for this service, at most 256 characters on one line";
    spelled(at, EXPECTED, |c| !c.is_control())
}

/// What a field says: in plain sight, or from where secrets are.
fn value(at: &Spot) -> Option<FieldValue> {
    match at.value() {
        Value::Mapping(_) => secret(at).map(FieldValue::Secret),
        _ => fields::value(at).map(FieldValue::Plain),
    }
}

#[cfg(test)]
mod tests {
    use super::base;

    #[test]
    fn a_base_may_have_a_path() {
        for good in [
            "http://127.0.0.1:4318",
            "http://[::1]:4318/",
            "https://otlp.example.com/api/v2/otlp",
            "https://otlp.example.com/v1/traces",
        ] {
            assert!(base(good).is_some(), "{good}");
        }
        for bad in [
            "127.0.0.1:4318",
            "grpc://127.0.0.1:4317",
            "http://",
            "http://user:word@otlp.example.com",
            "https://otlp.example.com/?key=word",
            "https://otlp.example.com/#traces",
        ] {
            assert!(base(bad).is_none(), "{bad}");
        }
    }
}
