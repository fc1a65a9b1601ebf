//! What is said of a failure of the service: what is wrong, and what to do next. Pure.
//!
//! The client of the service tells what came over the wire: a document, or that a metadata service
//! whom nobody has heard of does not answer. Operators need to know which of their settings it is.

use super::config::Place;

/// How the service is asked, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Where it is.
    place: String,
    /// Where keys were looked for, when there are none in the settings or the environment: the
    /// machine's own are then asked for over the network.
    keyless: Option<&'static str>,
}

/// The longest text of a service that is passed on.
const LONGEST: usize = 300;

/// What services call their failures, and what to do about them.
const KNOWN: &[(&str, &str)] = &[
    ("RequestTimeTooSkewed", SKEWED),
    ("Request date header too old", SKEWED),
    (
        "InvalidAccessKeyId",
        "the service does not know the access key: see that tier.access_key (or AWS_ACCESS_KEY_ID) is one of this service's",
    ),
    (
        "SignatureDoesNotMatch",
        "the secret key is not that of the access key: see tier.secret_key (or AWS_SECRET_ACCESS_KEY)",
    ),
    (
        "AuthenticationFailed",
        "the service does not accept the account's key: see tier.account and tier.key",
    ),
    (
        "ExpiredToken",
        "the key's session is over: give it one that lasts, or the machine a role",
    ),
    (
        "AccessDenied",
        "the key lacks a right: it is to read, write, list and delete below tier.prefix",
    ),
    (
        "AuthorizationHeaderMalformed",
        "it lies in another region: see tier.region",
    ),
    (
        "PermanentRedirect",
        "it lies in another region: see tier.region",
    ),
    (
        "NoSuchBucket",
        "there is no such bucket: make it, or see tier.bucket and tier.endpoint",
    ),
    (
        "ContainerNotFound",
        "there is no such container: make it, or see tier.bucket",
    ),
    (
        "SlowDown",
        "it throttles: tier.uploads and tier.parallel say how much is asked at a time",
    ),
];

const SKEWED: &str =
    "this machine's clock is wrong, by more than the service allows: set this clock (NTP)";

const AMAZON: &str = "there are no keys: tier.access_key and tier.secret_key are not set, nor AWS_ACCESS_KEY_ID, nor AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, nor AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, and the instance's metadata service, asked last, gave none; set the first two, or give the instance a role";
const GOOGLE: &str = "there is no account: tier.account_file is not set, nor GOOGLE_SERVICE_ACCOUNT, nor GOOGLE_APPLICATION_CREDENTIALS, and the instance's metadata service, asked last, gave none; set the first, or give the instance an account";
const AZURE: &str = "there is no key: tier.key is not set, nor AZURE_STORAGE_ACCOUNT_KEY, nor AZURE_CLIENT_ID with AZURE_CLIENT_SECRET, and the instance's metadata service, asked last, gave none; set the first, or give the instance an identity";

/// Paths of metadata services.
const METADATA: &[&str] = &[
    "/latest/api/token",
    "/latest/meta-data/",
    "/computeMetadata/",
    "/metadata/identity/",
];

impl Access {
    /// How a place is asked, where the environment has these variables.
    pub fn of(place: &Place, is_set: impl Fn(&str) -> bool) -> Self {
        let any = |names: &[&str]| names.iter().any(|name| is_set(name));
        let (at, keyless) = match place {
            Place::S3 {
                bucket,
                endpoint,
                region,
                keys,
            } => {
                let at = endpoint.as_deref().unwrap_or(region);
                let keyless = keys.is_none() && !any(&["AWS_ACCESS_KEY_ID"]);
                (
                    format!("bucket {bucket} at {at}"),
                    keyless.then_some(AMAZON),
                )
            }
            Place::Google {
                bucket,
                endpoint,
                account,
            } => {
                let at = endpoint.as_deref().unwrap_or("Google");
                let known = [
                    "GOOGLE_SERVICE_ACCOUNT",
                    "GOOGLE_SERVICE_ACCOUNT_PATH",
                    "GOOGLE_SERVICE_ACCOUNT_KEY",
                    "GOOGLE_APPLICATION_CREDENTIALS",
                ];
                let keyless = account.is_none() && !any(&known);
                (
                    format!("bucket {bucket} at {at}"),
                    keyless.then_some(GOOGLE),
                )
            }
            Place::Azure {
                container,
                account,
                key,
                ..
            } => {
                let known = [
                    "AZURE_STORAGE_ACCOUNT_KEY",
                    "AZURE_STORAGE_ACCESS_KEY",
                    "AZURE_CLIENT_SECRET",
                    "AZURE_STORAGE_SAS_KEY",
                ];
                let keyless = key.is_none() && !any(&known);
                let at = format!("container {container} of account {account}");
                (at, keyless.then_some(AZURE))
            }
            Place::Directory { path } => (path.display().to_string(), None),
        };
        Self { place: at, keyless }
    }

    /// A failure, in words for operators.
    pub fn explain(&self, raw: &str) -> String {
        if let Some(keyless) = self.keyless
            && METADATA.iter().any(|path| raw.contains(path))
        {
            return keyless.into();
        }
        let known = KNOWN.iter().find(|(code, _)| raw.contains(code));
        if let Some((code, advice)) = known {
            return format!("{}: {advice} ({code})", self.place);
        }
        let is_unreached = ["error sending request", "Connection refused", "dns error"];
        if is_unreached.iter().any(|sign| raw.contains(sign)) {
            return format!(
                "{}: it can't be reached: see tier.endpoint, and whether this machine may connect there",
                self.place
            );
        }
        plain(raw)
    }

    /// What is said where there was no answer in time.
    pub fn unanswered(&self) -> Option<&'static str> {
        self.keyless
    }
}

/// Without the document of the service, and not too long.
fn plain(raw: &str) -> String {
    let text = raw.split("<?xml").next().unwrap_or(raw);
    let text = text.replace('\n', " ");
    let text = text.trim_end().trim_end_matches(':');
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amazon(is_set: bool) -> Access {
        let place = Place::S3 {
            bucket: "films".into(),
            endpoint: None,
            region: "eu-west-1".into(),
            keys: None,
        };
        Access::of(&place, |_| is_set)
    }

    #[test]
    fn what_the_service_says_becomes_what_to_do() {
        let access = amazon(true);
        for (raw, said) in [
            (
                "403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>RequestTimeTooSkewed</Code>",
                "set this clock",
            ),
            ("404: <Error><Code>NoSuchBucket</Code>", "tier.bucket"),
            ("403: <Code>AccessDenied</Code>", "lacks a right"),
            (
                "Error performing PUT http://127.0.0.1:9/x in 1ms - HTTP error: error sending request",
                "tier.endpoint",
            ),
        ] {
            let explained = access.explain(raw);
            assert!(explained.contains(said), "{explained}");
            assert!(
                explained.contains("bucket films at eu-west-1"),
                "{explained}"
            );
        }
        let other = access.explain("500 Oops: <?xml version=\"1.0\"?><Error>\n</Error>");
        assert_eq!(other, "500 Oops");
    }

    #[test]
    fn where_keys_were_looked_for_is_said_where_there_are_none() {
        let raw = "Error performing PUT http://169.254.169.254/latest/api/token in 3s - HTTP error: error sending request";
        assert_eq!(amazon(false).explain(raw), AMAZON);
        assert_eq!(amazon(false).unanswered(), Some(AMAZON));
        assert_eq!(amazon(true).unanswered(), None);
    }
}
