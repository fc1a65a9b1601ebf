//! Where a request stands in a trace, and how that is said on the way (W3C Trace Context).

use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// The name of a trace: not zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// The name of a span within its trace: not zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpanId([u8; 8]);

/// A place in a trace: the span that what follows belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// Whether what happens is recorded.
    pub sampled: bool,
    /// What the tracing systems on the way say to each other, as it came.
    pub state: Option<HeaderValue>,
}

/// The field that says where a request stands.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The field of what tracing systems say to each other.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The field in which an answer says the same as a request's `traceparent` (a draft).
pub const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The length of a `traceparent` of version 00, which later ones begin like.
const LENGTH: usize = 55;
/// The bit of its flags that says that the trace is recorded.
const SAMPLED: u8 = 1;
/// The longest `tracestate` that is passed on, in bytes: the least that has to be.
const LONGEST_STATE: usize = 512;
/// The most members that it may have.
const MOST_MEMBERS: usize = 32;

impl TraceId {
    /// A name at random.
    pub fn random() -> Self {
        Self(fastrand::u128(1..).to_be_bytes())
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl SpanId {
    /// A name at random.
    pub fn random() -> Self {
        Self(fastrand::u64(1..).to_be_bytes())
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl Context {
    /// A place in a trace of its own, which nobody records yet.
    pub fn random() -> Self {
        Self {
            trace: TraceId::random(),
            span: SpanId::random(),
            sampled: false,
            state: None,
        }
    }

    /// What a request says of where it stands; `None` where it says nothing, or nonsense.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let line = lines.next().filter(|_| lines.next().is_none())?;
        let context = Self::parse(line.as_bytes())?;
        let state = state_of(headers);
        Some(Self { state, ..context })
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let begin = line.get(..LENGTH)?;
        let version = hex::<1>(&begin[..2])?[0];
        let is_framed = [2, 35, 52].iter().all(|at| begin[*at] == b'-');
        let ends_well = match version {
            0 => line.len() == LENGTH,
            // It means nothing.
            0xff => false,
            // Of later versions only what they share with this one is known.
            _ => line.get(LENGTH).is_none_or(|next| *next == b'-'),
        };
        let trace = hex(&begin[3..35])?;
        let span = hex(&begin[36..52])?;
        let flags = hex::<1>(&begin[53..])?[0];
        let names = trace != [0; 16] && span != [0; 8];
        (is_framed && ends_well && names).then_some(Self {
            trace: TraceId(trace),
            span: SpanId(span),
            sampled: flags & SAMPLED != 0,
            state: None,
        })
    }

    /// The value of `traceparent` that says it.
    pub fn traceparent(&self) -> HeaderValue {
        let flags = if self.sampled { SAMPLED } else { 0 };
        let text = format!("00-{:?}-{:?}-{flags:02x}", self.trace, self.span);
        HeaderValue::try_from(text).expect("hexadecimal digits and hyphens")
    }

    /// The same place, with the next span in it.
    pub fn with(&self, span: SpanId) -> Self {
        Self {
            span,
            ..self.clone()
        }
    }
}

/// The `tracestate` of a request, its lines in one. What is too long or malformed is left out
/// whole: the trace goes on without it.
fn state_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let lines = headers.get_all(TRACESTATE).iter();
    let lines: Vec<_> = lines.map(HeaderValue::as_bytes).collect();
    let joined = lines.join(&b',');
    let members = joined.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    let members: Vec<_> = members.filter(|member| !member.is_empty()).collect();
    let is_well_formed = members.iter().all(|member| is_member(member));
    let fits = joined.len() <= LONGEST_STATE && (1..=MOST_MEMBERS).contains(&members.len());
    if !is_well_formed || !fits {
        return None;
    }
    HeaderValue::from_bytes(&members.join(&b',')).ok()
}

/// Whether this is `key=value` in the characters that are allowed.
fn is_member(member: &[u8]) -> bool {
    let Some(equals) = member.iter().position(|b| *b == b'=') else {
        return false;
    };
    let (key, value) = (&member[..equals], &member[equals + 1..]);
    let of_key = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-*/@".contains(b);
    let of_value = |b: &u8| (0x20..=0x7e).contains(b) && *b != b'=';
    !key.is_empty() && key.iter().all(of_key) && !value.is_empty() && value.iter().all(of_value)
}

/// Bytes of their digits, which are lower-case.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KNOWN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(parents: &[&str], states: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, lines) in [(TRACEPARENT, parents), (TRACESTATE, states)] {
            for line in lines {
                headers.append(&name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
        }
        headers
    }

    fn of(parents: &[&str]) -> Option<Context> {
        Context::of(&headers(parents, &[]))
    }

    #[test]
    fn a_place_is_read_and_said_again() {
        let context = of(&[KNOWN]).unwrap();
        assert!(context.sampled);
        assert_eq!(context.traceparent(), KNOWN);
        let unsampled = of(&[&KNOWN.replace("-01", "-00")]).unwrap();
        assert!(!unsampled.sampled);
        // What other flags mean is not known here, so they end here.
        let flags = of(&[&KNOWN.replace("-01", "-03")]).unwrap();
        assert_eq!(flags.traceparent(), KNOWN);
        let next = context.with(SpanId([0xab; 8]));
        assert_eq!(
            next.traceparent(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-abababababababab-01"
        );
    }

    #[test]
    fn of_later_versions_the_known_part_counts() {
        for later in [
            KNOWN.replacen("00", "01", 1),
            KNOWN.replacen("00", "cc", 1) + "-more",
        ] {
            assert_eq!(of(&[&later]).unwrap().traceparent(), KNOWN, "{later}");
        }
        assert!(of(&[&(KNOWN.replacen("00", "01", 1) + "more")]).is_none());
    }

    #[test]
    fn nonsense_says_nothing() {
        let zero = |digits: &str| KNOWN.replace(digits, &"0".repeat(digits.len()));
        for bad in [
            String::new(),
            KNOWN.to_uppercase(),
            KNOWN[1..].to_owned(),
            KNOWN[..54].to_owned(),
            format!("{KNOWN}-00"),
            format!(" {KNOWN}"),
            KNOWN.replacen("00", "ff", 1),
            KNOWN.replace('-', "_"),
            KNOWN.replace("4bf", "4xf"),
            zero("4bf92f3577b34da6a3ce929d0e0e4736"),
            zero("00f067aa0ba902b7"),
        ] {
            assert_eq!(of(&[&bad]), None, "{bad}");
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[KNOWN, KNOWN]), None, "two of them contradict");
    }

    #[test]
    fn a_state_goes_along_or_is_left_out_whole() {
        let state = |lines: &[&str]| {
            let state = Context::of(&headers(&[KNOWN], lines)).unwrap().state;
            state.map(|state| state.to_str().unwrap().to_owned())
        };
        assert_eq!(state(&["a=1"]).as_deref(), Some("a=1"));
        assert_eq!(
            state(&["a=1 , b@c=x y", "", "d/*=!"]).as_deref(),
            Some("a=1,b@c=x y,d/*=!")
        );
        let (many, long) = (vec!["a=1"; 33], format!("a={}", "x".repeat(LONGEST_STATE)));
        assert_eq!(state(&many), None);
        for bad in ["", "a", "=1", "a=", "A=1", "a=b=c", "a=1,b", &long] {
            assert_eq!(state(&[bad]), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_said_is_understood(trace in 1u128.., span in 1u64.., sampled: bool) {
            let context = Context {
                trace: TraceId(trace.to_be_bytes()),
                span: SpanId(span.to_be_bytes()),
                sampled,
                state: None,
            };
            prop_assert_eq!(Context::parse(context.traceparent().as_bytes()), Some(context));
        }

        #[test]
        fn no_line_makes_it_panic_and_what_it_takes_is_like_what_came(
            line in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..70),
                "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[a-z]{0,3})?"
                    .prop_map(String::into_bytes),
            ],
            state in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut headers = HeaderMap::new();
            for (name, bytes) in [(TRACEPARENT, &line), (TRACESTATE, &state)] {
                if let Ok(value) = HeaderValue::from_bytes(bytes) {
                    headers.append(name, value);
                }
            }
            if let Some(context) = Context::of(&headers) {
                let said = context.traceparent();
                prop_assert_eq!(&said.as_bytes()[2..53], &line[2..53]);
                let state = context.state.as_ref().map_or(0, HeaderValue::len);
                prop_assert!(state <= LONGEST_STATE);
            }
        }
    }
}
