//! What an origin does with one object, told by a test.

use super::Seen;
use crate::content::Content;
use std::{ops::Range, sync::Arc, time::Duration, time::SystemTime};
use tokio::sync::watch;

/// One object and how the origin answers for it.
#[derive(Clone)]
pub struct Script {
    pub content: Content,
    pub size: u64,
    /// Bytes that stand in place of the content's, by offset.
    pub laid_over: Vec<(u64, Vec<u8>)>,
    pub status: u16,
    pub ranges: Ranges,
    pub framing: Framing,
    /// Lines of fields behind a chunked body, as they are.
    pub trailers: &'static str,
    pub etag: Tag,
    pub last_modified: bool,
    pub cache_control: Option<&'static str>,
    /// More header fields, as they are.
    pub headers: Vec<(&'static str, String)>,
    /// A request header that chooses between contents; named in `Vary`.
    pub vary_by: Option<&'static str>,
    /// Body bytes per second of each answer.
    pub rate: Option<u64>,
    /// Holds each answer's body back.
    pub valve: Option<Valve>,
    /// Whether the valve holds the header back too.
    pub holds_head: bool,
    /// Interim heads, as they are: sent with the final one, or before it where that is held back.
    pub interim: &'static str,
    pub cut: Option<Cut>,
    /// The last word, for each request on its own.
    pub twist: Option<Twist>,
}

/// Changes the script for one request.
pub type Twist = Arc<dyn Fn(&Seen, &mut Script) + Send + Sync>;

/// What becomes of a `Range` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranges {
    Honoured,
    Ignored,
    Lie(Lie),
}

/// Ways in which a 206 is not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// The right bytes without a `Content-Range`.
    Unnamed,
    /// The right bytes, total `*`.
    UnknownTotal,
    /// One byte further on than asked, and saying so.
    Shifted,
    /// A total that is one byte more than the object has.
    OtherTotal,
    /// Half of the interval that it names, as its `Content-Length`.
    Short,
    /// A `Content-Range` that can't be read.
    Garbage,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length,
    Chunked,
    UntilClose,
}

/// The entity tag that goes with each version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    Strong,
    Weak,
    None,
}

/// Ends the connection after so many bytes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    pub after: u64,
    pub how: End,
}

/// How a connection is ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Reset,
    Close,
}

/// Lets bodies pass up to an offset in the object until a test opens it further.
#[derive(Clone, Debug)]
pub struct Valve(Arc<watch::Sender<u64>>);

impl Valve {
    pub fn at(offset: u64) -> Self {
        Self(Arc::new(watch::Sender::new(offset)))
    }

    pub fn open_to(&self, offset: u64) {
        self.0.send_replace(offset);
    }

    pub fn open(&self) {
        self.open_to(u64::MAX);
    }

    pub fn close(&self) {
        self.open_to(0);
    }

    /// Waits until the byte at `offset` may pass; returns up to where it is open.
    pub(super) async fn beyond(&self, offset: u64) -> u64 {
        let mut limit = self.0.subscribe();
        let limit = limit.wait_for(|&limit| limit > offset).await;
        *limit.expect("the valve outlives those who wait at it")
    }
}

impl Script {
    /// A well-behaved origin's object.
    pub fn new(seed: u64, size: u64) -> Self {
        Self {
            content: Content { seed, version: 1 },
            size,
            laid_over: Vec::new(),
            status: 200,
            ranges: Ranges::Honoured,
            framing: Framing::Length,
            trailers: "",
            etag: Tag::Strong,
            last_modified: true,
            cache_control: Some("max-age=3600"),
            headers: Vec::new(),
            vary_by: None,
            rate: None,
            valve: None,
            holds_head: false,
            interim: "",
            cut: None,
            twist: None,
        }
    }

    /// Adds the last word for each request.
    pub fn twisted(mut self, twist: impl Fn(&Seen, &mut Script) + Send + Sync + 'static) -> Self {
        self.twist = Some(Arc::new(twist));
        self
    }

    /// The bytes of a range.
    pub(super) fn bytes(&self, range: Range<u64>) -> Vec<u8> {
        let mut bytes = self.content.bytes(range.clone());
        for (offset, over) in &self.laid_over {
            for (at, byte) in (*offset..).zip(over).filter(|(at, _)| range.contains(at)) {
                bytes[(at - range.start) as usize] = *byte;
            }
        }
        bytes
    }

    /// The entity tag of the present version.
    pub fn etag(&self) -> Option<String> {
        let version = self.content.version;
        match self.etag {
            Tag::Strong => Some(format!("\"v{version}\"")),
            Tag::Weak => Some(format!("W/\"v{version}\"")),
            Tag::None => None,
        }
    }

    /// The `Last-Modified` of the present version: a day of 2020.
    pub fn last_modified(&self) -> Option<String> {
        self.last_modified.then(|| date(self.content.version))
    }
}

/// The HTTP date of a version.
pub fn date(version: u64) -> String {
    let day = Duration::from_secs(1_577_836_800 + version * 86_400);
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + day)
}
