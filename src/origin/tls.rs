//! The files of TLS towards an origin, read and checked.
//!
//! Pingora takes certificates and keys on trust, and panics at the first connection where they are
//! no good. Whatever is returned here has been through the same steps, so a mistake is found at
//! the start and is told with its file.

use super::Tls;
use pingora_core::{
    protocols::tls::CaType,
    utils::tls::{CertKey, WrappedX509, parse_x509},
};
pub use rustls::sign::CertifiedKey;
use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a peer's options take.
#[derive(Debug)]
pub struct TlsFiles {
    /// Authorities to trust; the system's when absent.
    pub ca: Option<Arc<CaType>>,
    /// Our own certificate chain and its key.
    pub identity: Option<Arc<CertKey>>,
}

/// A file that is of no use.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", file.display())]
pub struct TlsError {
    /// Which.
    pub file: PathBuf,
    /// Why.
    pub reason: Reason,
}

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// It is not there, or not for us.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// It looks like PEM and is none.
    #[error("is no valid PEM: {0}")]
    Pem(pem::Error),
    /// A text without certificates.
    #[error("has no certificate in PEM")]
    NoCertificate,
    /// One of its certificates is broken or of a kind that rustls does not take.
    #[error("its certificate number {0} cannot be used: {1}")]
    Certificate(usize, String),
    /// A text without keys.
    #[error("has no private key in PEM; an encrypted one cannot be used")]
    NoKey,
    /// A key that is broken or of a kind that rustls does not take.
    #[error("its private key cannot be used: {0}")]
    Key(String),
    /// Two files that do not belong together.
    #[error("its private key is not the one of the certificate in {}", .0.display())]
    Mismatch(PathBuf),
}

impl TlsFiles {
    /// Reads and checks the files of an origin.
    pub fn load(config: &Tls) -> Result<Self, TlsError> {
        let ca = config.ca.as_deref().map(authorities).transpose()?;
        let identity = config.identity.as_ref();
        let identity = identity.map(|(chain, key)| own(chain, key)).transpose()?;
        Ok(Self {
            ca,
            identity: identity.map(Arc::new),
        })
    }
}

fn authorities(file: &Path) -> Result<Arc<CaType>, TlsError> {
    let mut store = RootCertStore::empty();
    let found = certificates(file)?;
    for (at, certificate) in found.iter().enumerate() {
        let added = store.add(certificate.clone());
        added.map_err(|e| Reason::Certificate(at + 1, e.to_string()).of(file))?;
    }
    let wrap = |der: &CertificateDer<'_>| WrappedX509::new(der.to_vec(), parse_x509);
    Ok(found.iter().map(wrap).collect())
}

fn own(chain: &Path, file: &Path) -> Result<CertKey, TlsError> {
    let certified = certified(chain, file)?;
    let ders = certified.cert.iter().map(|der| der.to_vec()).collect();
    Ok(CertKey::new(ders, key(file)?.secret_der().to_vec()))
}

/// Reads a certificate chain and its key, checked to belong together.
pub fn certified(chain: &Path, file: &Path) -> Result<CertifiedKey, TlsError> {
    let (certificates, key) = (certificates(chain)?, key(file)?);
    CertifiedKey::from_der(certificates, key, &ring::default_provider()).map_err(|e| match e {
        rustls::Error::InconsistentKeys(_) => Reason::Mismatch(chain.into()).of(file),
        rustls::Error::InvalidCertificate(e) => Reason::Certificate(1, e.to_string()).of(chain),
        e => Reason::Key(e.to_string()).of(file),
    })
}

/// When a certificate that has been read is no good any more; `None` for none.
pub fn expires(key: &CertifiedKey) -> Option<SystemTime> {
    let (_, leaf) = X509Certificate::from_der(key.cert.first()?).ok()?;
    let seconds = u64::try_from(leaf.validity().not_after.timestamp()).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// All certificates of a file, at least one; each of them parses.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|e| Reason::Pem(e).of(file))?;
    if found.is_empty() {
        return Err(Reason::NoCertificate.of(file));
    }
    for (at, der) in found.iter().enumerate() {
        let parsed = X509Certificate::from_der(der);
        parsed.map_err(|e| Reason::Certificate(at + 1, e.to_string()).of(file))?;
    }
    Ok(found)
}

/// The first key of a file. Pingora keeps its bytes alone and guesses its kind anew.
fn key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(file)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|e| match e {
        pem::Error::NoItemsFound => Reason::NoKey.of(file),
        e => Reason::Pem(e).of(file),
    })?;
    let guessed = PrivateKeyDer::try_from(key.secret_der().to_vec());
    guessed.map_err(|e| Reason::Key(e.to_owned()).of(file))
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(file).map_err(|e| Reason::Unreadable(e).of(file))
}

impl Reason {
    fn of(self, file: &Path) -> TlsError {
        let file = file.to_owned();
        TlsError { file, reason: self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        CertificateParams, CertifiedKey as Made, KeyPair, date_time_ymd,
        generate_simple_self_signed,
    };
    use tempfile::TempDir;

    const BROKEN: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const BROKEN_KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

    struct Files(TempDir);

    impl Files {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.path().join(name);
            fs::write(&path, text).unwrap();
            path
        }
    }

    /// A certificate and its key, in PEM.
    fn made() -> (String, String) {
        let Made { cert, signing_key } =
            generate_simple_self_signed(vec!["a.example".into()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    fn tls(ca: Option<PathBuf>, identity: Option<(PathBuf, PathBuf)>) -> Tls {
        let verify = true;
        Tls {
            verify,
            ca,
            identity,
        }
    }

    fn told(tls: &Tls) -> String {
        TlsFiles::load(tls).unwrap_err().to_string()
    }

    #[test]
    fn it_is_known_until_when_a_certificate_is_good() {
        let files = Files::new();
        let mut params = CertificateParams::new(vec!["a.example".into()]).unwrap();
        params.not_after = date_time_ymd(2031, 2, 3);
        let key = KeyPair::generate().unwrap();
        let certificate = files.write("cert.pem", &params.self_signed(&key).unwrap().pem());
        let key = files.write("key.pem", &key.serialize_pem());
        let expires = expires(&certified(&certificate, &key).unwrap()).unwrap();
        let expires = expires.duration_since(UNIX_EPOCH).unwrap();
        assert_eq!(expires, Duration::from_secs(1_927_843_200));
    }

    #[test]
    fn good_files_are_taken() {
        let files = Files::new();
        let ((one, key), (two, _)) = (made(), made());
        let ca = files.write("ca.pem", &format!("some text\n{one}{two}"));
        let chain = files.write("chain.pem", &format!("{one}{two}"));
        let key = files.write("key.pem", &key);
        let loaded = TlsFiles::load(&tls(Some(ca), Some((chain, key)))).unwrap();
        assert_eq!(loaded.ca.unwrap().len(), 2);
        let identity = loaded.identity.unwrap();
        assert_eq!(identity.intermediates().len(), 1);
        assert!(PrivateKeyDer::try_from(identity.key().clone()).is_ok());
        let nothing = TlsFiles::load(&Tls::default()).unwrap();
        assert!(nothing.ca.is_none() && nothing.identity.is_none());
    }

    #[test]
    fn a_bad_authority_is_told_with_its_file() {
        let files = Files::new();
        let (good, key) = made();
        let unended = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        for (text, reason) in [
            ("", "no certificate"),
            ("garbage \u{fc}", "no certificate"),
            (&*key, "no certificate"),
            (&format!("{good}{BROKEN}"), "certificate number 2"),
            (unended, "no valid PEM"),
        ] {
            let ca = files.write("ca.pem", text);
            let told = told(&tls(Some(ca), None));
            assert!(told.contains("ca.pem: ") && told.contains(reason), "{told}");
        }
        let told = told(&tls(Some(files.0.path().join("gone.pem")), None));
        assert!(told.contains("gone.pem: cannot be read"), "{told}");
    }

    #[test]
    fn a_bad_identity_is_told_with_its_file() {
        let files = Files::new();
        let ((good, key), (_, other)) = (made(), made());
        let broken_key = key.replacen("MIG", "MAA", 1);
        for (chain, key, reason) in [
            (&*good, "", "key.pem: has no private key"),
            (&good, &*good, "key.pem: has no private key"),
            (&good, BROKEN_KEY, "key.pem: its private key cannot be used"),
            (
                &good,
                &broken_key,
                "key.pem: its private key cannot be used",
            ),
            (&good, &other, "key.pem: its private key is not the one"),
            (BROKEN, &key, "chain.pem: its certificate number 1"),
            (&key, &key, "chain.pem: has no certificate"),
        ] {
            let identity = (files.write("chain.pem", chain), files.write("key.pem", key));
            let told = told(&tls(None, Some(identity)));
            assert!(told.contains(reason), "{told}");
        }
        let chain = files.write("chain.pem", &good);
        let told = told(&tls(None, Some((chain, files.0.path().join("gone.pem")))));
        assert!(told.contains("gone.pem: cannot be read"), "{told}");
    }
}
