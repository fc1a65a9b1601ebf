//! From settings to the service.

use super::{
    advice::Access,
    config::{Config, OnError, Place},
    layout::Layout,
    remote::{Remote, Service},
    stats::Stats,
};
use crate::secret::{LoadError, Rotating, SecretSource};
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
    local::LocalFileSystem,
};
use std::{
    ffi::OsString,
    fs,
    path::Path,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

/// Why the settings lead to no service.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A secret can't be had.
    #[error(transparent)]
    Secret(#[from] LoadError),
    /// A file with an account can't be read.
    #[error("{0} can't be read: {1}")]
    Account(String, std::io::Error),
    /// Something in the settings.
    #[error("{0}")]
    Settings(String),
}

/// A client of the service, which has not been spoken to yet. Where the settings lead nowhere,
/// such as to a directory that is not mounted, each request to it says so until they do.
///
/// # Errors
/// The same at once where it is not to be done without the tier.
pub fn open(config: &Config, stats: Stats) -> Result<Remote, OpenError> {
    // The one provider of cryptography of this process; it may have been chosen before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let service = match service(config) {
        Ok(store) => Service::Open(store),
        Err(why) if config.on_error == OnError::Refuse => return Err(why),
        Err(_) => Service::Closed(Box::new(config.clone()), OnceLock::new()),
    };
    let layout = Layout::new(&config.prefix);
    let access = Access::of(&config.place, |name| std::env::var_os(name).is_some());
    Ok(Remote::new(service, layout, access, config.timeout, stats))
}

/// The service that the settings lead to.
pub(super) fn service(config: &Config) -> Result<Arc<dyn ObjectStore>, OpenError> {
    let settings = |e: object_store::Error| OpenError::Settings(e.to_string());
    match &config.place {
        Place::S3 {
            bucket,
            endpoint,
            region,
            keys,
        } => {
            let mut builder = amazon(std::env::vars_os(), keys.is_some())
                .with_bucket_name(bucket)
                .with_region(region)
                .with_client_options(client(config))
                .with_retry(retry(config));
            // TLS keeps what is sent whole, and every chunk has its checksum in the manifest: a
            // hash of each payload besides would cost as much as the sending.
            let is_encrypted = endpoint
                .as_deref()
                .is_none_or(|endpoint| endpoint.starts_with("https:"));
            builder = builder.with_unsigned_payload(is_encrypted);
            if let Some(endpoint) = endpoint {
                builder = builder.with_endpoint(endpoint).with_allow_http(true);
            }
            if let Some((access, secret)) = keys {
                builder = builder
                    .with_access_key_id(reveal(access)?)
                    .with_secret_access_key(reveal(secret)?);
            }
            Ok(Arc::new(builder.build().map_err(settings)?))
        }
        Place::Google {
            bucket,
            endpoint,
            account,
        } => {
            let mut builder = GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(bucket)
                .with_client_options(client(config))
                .with_retry(retry(config));
            if let Some(endpoint) = endpoint {
                builder = builder.with_url(endpoint);
            }
            if let Some(account) = account {
                builder = builder.with_service_account_key(line(account)?);
            }
            Ok(Arc::new(builder.build().map_err(settings)?))
        }
        Place::Azure {
            container,
            account,
            endpoint,
            key,
        } => {
            let mut builder = MicrosoftAzureBuilder::from_env()
                .with_container_name(container)
                .with_account(account)
                .with_client_options(client(config))
                .with_retry(retry(config));
            if let Some(endpoint) = endpoint {
                builder = builder
                    .with_endpoint(endpoint.clone())
                    .with_allow_http(true);
            }
            if let Some(key) = key {
                builder = builder.with_access_key(reveal(key)?);
            }
            Ok(Arc::new(builder.build().map_err(settings)?))
        }
        Place::Directory { path } => {
            // The client does not say why it can't.
            fs::canonicalize(path).map_err(|why| unmounted(path, &why))?;
            let local = LocalFileSystem::new_with_prefix(path).map_err(settings)?;
            Ok(Arc::new(local.with_automatic_cleanup(true)))
        }
    }
}

/// What the environment says of Amazon's service. Its token belongs to its own keys, and is not
/// sent with others.
fn amazon(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    has_keys: bool,
) -> AmazonS3Builder {
    let settings = variables.into_iter().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        name.strip_prefix("AWS_")?;
        let key = name.to_ascii_lowercase().parse().ok()?;
        Some((key, value.into_string().ok()?))
    });
    let settings = settings.filter(|(key, _)| !has_keys || *key != AmazonS3ConfigKey::Token);
    settings.fold(AmazonS3Builder::new(), |builder, (key, value)| {
        builder.with_config(key, value)
    })
}

/// Deadlines are put on every request as a whole, so that these are only a backstop.
fn client(config: &Config) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(true)
        .with_connect_timeout(config.timeout)
        .with_timeout(config.timeout * 10)
        .with_pool_idle_timeout(Duration::from_secs(30))
}

/// A service that throttles is asked once more soon; longer repetitions are ours.
fn retry(config: &Config) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(1),
            base: 2.0,
        },
        max_retries: 2,
        retry_timeout: config.timeout,
    }
}

fn unmounted(path: &Path, why: &std::io::Error) -> OpenError {
    let path = path.display();
    OpenError::Settings(format!(
        "the directory {path} can't be had: {why}; make it, or mount what is to be there"
    ))
}

/// A secret, from where it is.
fn reveal(source: &SecretSource) -> Result<String, OpenError> {
    let secret = Rotating::load(source)?.current(SystemTime::now());
    Ok(secret.reveal().to_owned())
}

/// The content of a file with a secret, without the end of its line.
fn line(path: &Path) -> Result<String, OpenError> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|e| OpenError::Account(path.display().to_string(), e))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environments_token_goes_with_its_own_keys_alone() {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "access"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "token"),
            ("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9"),
            ("AWS_NO_SUCH_THING", "1"),
            ("HOME", "/"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let value = |has_keys, key: &str| {
            let key: AmazonS3ConfigKey = key.parse().unwrap();
            amazon(variables.clone(), has_keys).get_config_value(&key)
        };
        let token = "aws_session_token";
        assert_eq!(value(false, token).as_deref(), Some("token"));
        assert_eq!(value(true, token), None);
        for has_keys in [false, true] {
            let endpoint = value(has_keys, "aws_metadata_endpoint");
            assert_eq!(endpoint.as_deref(), Some("http://127.0.0.1:9"));
        }
    }
}
