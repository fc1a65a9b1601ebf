//! AWS Signature Version 4.
//!
//! Only `Host` and `x-amz-*` are signed, so that a hop may change what hops change. For S3 the
//! target is first brought into the writing that S3 itself signs, and the body is left unsigned.
//! What a client brings along to prove who it is, in fields or in the query, is taken out.

use super::{SignError, target};
use crate::secret::{LoadError, Rotating, SecretSource};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4::SigningParams,
};
use http::{HeaderName, HeaderValue, header};
use pingora_http::RequestHeader;
use std::time::SystemTime;

/// Keys of an account, and for what they sign.
#[derive(Debug)]
pub struct Aws {
    region: String,
    service: String,
    access_key: Rotating,
    secret_key: Rotating,
    session_token: Option<Rotating>,
}

/// Fields of which ours alone may be there.
const OWN_FIELDS: [&str; 4] = [
    "authorization",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];
/// Parameters of a URL that was signed by the client.
const PRESIGNED: [&str; 7] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

impl Aws {
    pub fn load(
        (region, service): (&str, &str),
        (access_key, secret_key): (&SecretSource, &SecretSource),
        session_token: Option<&SecretSource>,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            region: region.to_owned(),
            service: service.to_owned(),
            access_key: Rotating::load(access_key)?,
            secret_key: Rotating::load(secret_key)?,
            session_token: session_token.map(Rotating::load).transpose()?,
        })
    }

    pub fn sign(
        &self,
        head: &mut RequestHeader,
        authority: &str,
        tls: bool,
        now: SystemTime,
    ) -> Result<(), SignError> {
        self.tidy(head, authority)?;
        for (name, value) in self.fields(head, authority, tls, now)? {
            let name = HeaderName::try_from(name).map_err(|_| SignError::Value)?;
            let mut value = HeaderValue::try_from(value).map_err(|_| SignError::Value)?;
            value.set_sensitive(true);
            head.insert_header(name, value)
                .map_err(|_| SignError::Value)?;
        }
        Ok(())
    }

    /// Brings a request into the form that is signed.
    fn tidy(&self, head: &mut RequestHeader, authority: &str) -> Result<(), SignError> {
        let (path, query) = target::split(head);
        if target::has_dot_segments(path) {
            return Err(SignError::DotSegments);
        }
        let path = match self.is_s3() {
            true => target::canonical_path(path),
            false => target::sendable(path),
        };
        let presigned = |name: &[u8]| {
            let mut known = PRESIGNED.iter();
            known.any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        };
        let query = target::canonical_query(query.unwrap_or_default(), presigned);
        target::set(head, &path, &query)?;
        for name in OWN_FIELDS {
            head.remove_header(name);
        }
        head.insert_header(header::HOST, authority)
            .map_err(|_| SignError::Target)
    }

    /// The fields that prove who we are.
    fn fields(
        &self,
        head: &RequestHeader,
        authority: &str,
        tls: bool,
        now: SystemTime,
    ) -> Result<Vec<(String, String)>, SignError> {
        let identity = self.credentials(now).into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(now)
            .settings(self.settings())
            .build()
            .map_err(|e| SignError::Signer(e.into()))?;
        let scheme = if tls { "https" } else { "http" };
        let url = format!("{scheme}://{authority}{}", target_of(head));
        let signed = signed_fields(head)?;
        let request = SignableRequest::new(
            head.method.as_str(),
            url,
            signed.into_iter(),
            self.body(head),
        )
        .map_err(|e| SignError::Signer(e.into()))?;
        let output = sign(request, &params.into()).map_err(|e| SignError::Signer(e.into()))?;
        let (instructions, _) = output.into_parts();
        let fields = instructions.headers();
        Ok(fields
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    fn credentials(&self, now: SystemTime) -> Credentials {
        let token = self.session_token.as_ref();
        Credentials::new(
            self.access_key.current(now).reveal(),
            self.secret_key.current(now).reveal(),
            token.map(|token| token.current(now).reveal().to_owned()),
            None,
            "tidegate",
        )
    }

    fn settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        if self.is_s3() {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        settings
    }

    /// A body that streams by cannot be signed; only S3 is sure to take that.
    fn body(&self, head: &RequestHeader) -> SignableBody<'static> {
        let length = head.headers.get(header::CONTENT_LENGTH);
        let empty = length.is_none_or(|length| length == "0")
            && !head.headers.contains_key(header::TRANSFER_ENCODING);
        match empty && !self.is_s3() {
            true => SignableBody::empty(),
            false => SignableBody::UnsignedPayload,
        }
    }

    /// `s3` and its kin: `s3-outposts`, `s3-object-lambda`, `s3express`.
    fn is_s3(&self) -> bool {
        self.service.starts_with("s3")
    }
}

fn target_of(head: &RequestHeader) -> &str {
    let target = head.uri.path_and_query();
    target.map_or("/", |target| target.as_str())
}

fn signed_fields(head: &RequestHeader) -> Result<Vec<(&str, &str)>, SignError> {
    let signed = |name: &HeaderName| *name == header::HOST || name.as_str().starts_with("x-amz-");
    let fields = head.headers.iter().filter(|(name, _)| signed(name));
    fields
        .map(|(name, value)| Ok((name.as_str(), value.to_str().map_err(|_| SignError::Value)?)))
        .collect()
}
