//! Answers of the admin address.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    kind: &'static str,
    body: Vec<u8>,
    fields: Vec<(HeaderName, HeaderValue)>,
}

const TEXT: &str = "text/plain; charset=utf-8";

/// What each answer has: it is of this moment and for nobody else's page, whatever is in it.
const ALWAYS: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

impl Answer {
    /// 200 with a body of this kind.
    pub fn of(kind: &'static str, body: Vec<u8>) -> Self {
        Self {
            status: StatusCode::OK,
            kind,
            body,
            fields: Vec::new(),
        }
    }

    /// A line of text.
    pub fn text(status: StatusCode, said: impl std::fmt::Display) -> Self {
        let answer = Self {
            status,
            ..Self::of(TEXT, format!("{said}\n").into_bytes())
        };
        match status {
            StatusCode::UNAUTHORIZED => answer.with(header::WWW_AUTHENTICATE, "Bearer"),
            StatusCode::SERVICE_UNAVAILABLE => answer.with(header::RETRY_AFTER, "1"),
            _ => answer,
        }
    }

    /// What is wrong with what was asked for.
    pub fn bad(why: impl std::fmt::Display) -> Self {
        Self::text(StatusCode::BAD_REQUEST, why)
    }

    /// 200 with JSON.
    pub fn json(value: &impl serde::Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(mut body) => {
                body.push(b'\n');
                Self::of("application/json", body)
            }
            Err(e) => Self::text(StatusCode::INTERNAL_SERVER_ERROR, e),
        }
    }

    /// With one more field.
    pub fn with(self, name: HeaderName, value: &'static str) -> Self {
        self.with_value(name, HeaderValue::from_static(value))
    }

    /// With one more field, whose value was made.
    pub fn with_value(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.fields.push((name, value));
        self
    }
}

impl From<Answer> for Response<Vec<u8>> {
    fn from(answer: Answer) -> Self {
        let length = HeaderValue::from(answer.body.len());
        let mut response = Response::new(answer.body);
        *response.status_mut() = answer.status;
        let fields = response.headers_mut();
        fields.extend(answer.fields);
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.kind));
        fields.insert(header::CONTENT_LENGTH, length);
        for (name, value) in ALWAYS {
            fields.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
