//! The name that a request has in all logs on its way: taken over from those in front, or made
//! here, and passed on to origins.

use crate::domain::Trust;
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora_core::Result;
use pingora_http::{RequestHeader, ResponseHeader};

/// How requests get their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestIds {
    /// The field that has them.
    pub header: HeaderName,
    /// Whose are taken over.
    pub trust: Trust,
    /// Whether clients are told them.
    pub show: bool,
}

impl Default for RequestIds {
    fn default() -> Self {
        Self {
            header: HeaderName::from_static("x-request-id"),
            trust: Trust::default(),
            show: false,
        }
    }
}

/// The longest name that is taken over, in bytes.
const LONGEST: usize = 128;

/// The name of one request.
#[derive(Clone, Debug)]
pub struct RequestId {
    field: HeaderName,
    value: HeaderValue,
    show: bool,
}

impl RequestIds {
    /// The name of a request that has just come, be it from a trusted proxy or not.
    pub fn name(&self, headers: &HeaderMap, by_proxy: bool) -> RequestId {
        let is_trusted = self.trust.counts(by_proxy);
        let taken = taken_over(headers, &self.header).filter(|_| is_trusted);
        RequestId {
            field: self.header.clone(),
            value: taken.unwrap_or_else(made),
            show: self.show,
        }
    }
}

impl RequestId {
    /// The name.
    pub fn as_str(&self) -> &str {
        self.value.to_str().unwrap_or_default()
    }

    /// Says it in a request, so that whoever is asked for its sake hears it.
    pub fn name(&self, request: &mut RequestHeader) -> Result<()> {
        request.insert_header(self.field.clone(), self.value.clone())
    }

    /// Says it in an answer, where clients are told or this one is to be.
    pub fn tell(&self, answer: &mut ResponseHeader, explains: bool) -> Result<()> {
        match self.show || explains {
            true => answer.insert_header(self.field.clone(), self.value.clone()),
            false => Ok(()),
        }
    }
}

/// The name that a request bears: one, not too long, of letters, digits and the marks of the usual
/// kinds (UUIDs, Base64, dates).
fn taken_over(headers: &HeaderMap, field: &HeaderName) -> Option<HeaderValue> {
    let mut lines = headers.get_all(field).iter();
    let id = lines.next().filter(|_| lines.next().is_none())?;
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.~:+/=@".contains(b);
    let fits = (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(is_plain);
    fits.then(|| id.clone())
}

/// A new name: 64 bits at random. A second request of the same name within a day is to be expected
/// once in years, at a thousand requests a second.
fn made() -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bits: u64 = fastrand::u64(..);
    let digits: [u8; 16] = std::array::from_fn(|at| DIGITS[(bits >> (60 - 4 * at)) as usize & 15]);
    HeaderValue::from_bytes(&digits).expect("hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(lines: &[&str]) -> Option<String> {
        let field = RequestIds::default().header;
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&field, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        Some(taken_over(&headers, &field)?.to_str().unwrap().to_owned())
    }

    #[test]
    fn names_are_taken_over_where_they_are_plain() {
        let longest = "a".repeat(LONGEST);
        for id in ["1", "0f-A_.~:+/=@", &longest] {
            assert_eq!(taken(&[id]).as_deref(), Some(id));
        }
        let long = "a".repeat(LONGEST + 1);
        let bad: [&[&str]; 7] = [
            &[],
            &[""],
            &["a b"],
            &["a\""],
            &["é"],
            &[&long],
            &["a", "a"],
        ];
        for lines in bad {
            assert_eq!(taken(lines), None, "{lines:?}");
        }
    }

    #[test]
    fn what_is_made_could_be_taken_over_and_differs() {
        let (one, other) = (made(), made());
        assert_eq!(taken(&[one.to_str().unwrap()]).unwrap().len(), 16);
        assert_ne!(one, other);
    }
}
