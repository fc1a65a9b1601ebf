//! What is said of a request.

use super::{Format, line::Line};
use std::{net::IpAddr, time::Duration, time::SystemTime};

/// One request and its answer. What is not known is left out of JSON, and `-` in text.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// When the answer ended.
    pub ended: SystemTime,
    /// Who asked.
    pub client: Option<IpAddr>,
    /// The method.
    pub method: Option<&'a str>,
    /// The host that was asked.
    pub host: Option<&'a str>,
    /// Path and query, as the client wrote them, without secrets.
    pub path: Option<&'a str>,
    /// The version of HTTP.
    pub protocol: Option<&'a str>,
    /// The place of its route in the configuration.
    pub route: Option<&'a str>,
    /// The name of its object in the store, or the beginning of it.
    pub key: Option<&'a str>,
    /// Its `Range` field, as the client wrote it.
    pub range: Option<&'a str>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Bytes of its body that were sent.
    pub bytes: u64,
    /// The same by where they came from.
    pub sources: &'a [(&'static str, u64)],
    /// What `Cache-Status` says.
    pub cache: &'a str,
    /// Time to the first byte of the answer's body.
    pub first_byte: Option<Duration>,
    /// Time to its end.
    pub took: Duration,
    /// The origin that was asked last for the request's sake.
    pub origin: Option<&'a str>,
    /// The server of it.
    pub server: Option<&'a str>,
    /// How many requests to servers were made for its sake.
    pub attempts: u32,
    /// The name that the request has in all logs on its way.
    pub id: Option<&'a str>,
    /// By whose doing the answer was cut, or failed.
    pub abort: Option<&'static str>,
    /// Why.
    pub reason: Option<&'static str>,
}

impl Entry<'_> {
    /// The line for it.
    pub fn line(&self, format: Format) -> Vec<u8> {
        let mut line = Line::at(self.ended, format);
        let client = self.client.map(|client| client.to_string());
        line.text("client", client.as_deref());
        line.text("method", self.method);
        line.text("host", self.host);
        line.text("path", self.path);
        line.text("protocol", self.protocol);
        line.text("range", self.range);
        line.number("status", self.status.map(u64::from));
        line.text("cache", Some(self.cache).filter(|cache| !cache.is_empty()));
        line.number("bytes", Some(self.bytes));
        line.parts("sources", self.sources.iter().copied());
        line.millis("first_byte_ms", self.first_byte);
        line.millis("total_ms", Some(self.took));
        line.text("route", self.route);
        line.text("key", self.key);
        line.text("origin", self.origin);
        line.text("server", self.server);
        line.number("attempts", Some(self.attempts.into()));
        line.text("id", self.id);
        line.text("abort", self.abort);
        line.text("reason", self.reason);
        line.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn a_line_has_what_is_known() {
        let entry = Entry {
            ended: UNIX_EPOCH,
            client: Some([192, 0, 2, 1].into()),
            method: Some("GET"),
            host: Some("media.test"),
            path: Some("/film?w=1"),
            protocol: Some("HTTP/1.1"),
            route: Some("routes[0]"),
            key: Some("00ff"),
            range: Some("bytes=0-1, 5-"),
            status: Some(206),
            bytes: 7,
            sources: &[("disk", 7), ("origin", 0)],
            cache: "hit",
            first_byte: Some(Duration::from_micros(412)),
            took: Duration::from_millis(3),
            origin: None,
            server: None,
            attempts: 0,
            id: Some("a1"),
            abort: None,
            reason: None,
        };
        assert_eq!(
            String::from_utf8(entry.line(Format::Text)).unwrap(),
            "1970-01-01T00:00:00.000Z client=192.0.2.1 method=GET host=media.test \
             path=/film?w=1 protocol=HTTP/1.1 range=\"bytes=0-1, 5-\" status=206 cache=hit \
             bytes=7 sources=disk:7 first_byte_ms=0.412 total_ms=3.000 route=routes[0] key=00ff \
             origin=- server=- attempts=0 id=a1 abort=- reason=-\n"
        );
        let json: serde_json::Value = serde_json::from_slice(&entry.line(Format::Json)).unwrap();
        let known = json.as_object().unwrap();
        let absent = ["origin", "server", "abort", "reason"];
        assert!(
            absent.iter().all(|name| !known.contains_key(*name)),
            "{json}"
        );
        assert_eq!(
            (&json["sources"]["disk"], &json["first_byte_ms"]),
            (&7.into(), &0.412.into())
        );
    }
}
