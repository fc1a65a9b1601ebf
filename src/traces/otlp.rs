//! Spans as a collector takes them: the messages of OTLP 1.x in Protocol Buffers' binary form.
//!
//! They are written by hand: of `opentelemetry-proto` we would need four messages, and get a
//! generated file with those of metrics, logs and profiles, and the libraries behind it. The
//! binary form is the one that every collector takes; JSON only some do.

use super::{
    span::{Kind, Side, Span, Value},
    wire::{Field, Message, fields},
};

/// What all spans of this process have in common.
#[derive(Clone, Debug)]
pub struct Resource<'r> {
    /// The name of the service.
    pub service: &'r str,
    /// What tells this process from the others of the service.
    pub instance: &'r str,
}

/// The path below a collector's base.
pub const PATH: &str = "/v1/traces";
/// The type of what is sent there.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// `Status.code` for what has failed.
const ERROR: u64 = 2;
/// The bits of `Span.flags` that say that it is known whether the parent is another process's, and
/// that it is.
const KNOWN_SIDE: u32 = 1 << 8;
const REMOTE: u32 = 1 << 9;

/// An `ExportTraceServiceRequest` of these spans.
pub fn request(resource: &Resource, spans: &[Span]) -> Vec<u8> {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let mut message = Message::default();
    message.inner(1, |of_resource| {
        of_resource.inner(1, |it| {
            for (name, text) in [
                ("service.name", resource.service),
                ("service.version", VERSION),
                ("service.instance.id", resource.instance),
            ] {
                it.inner(1, |pair| text_pair(pair, name, text));
            }
        });
        of_resource.inner(2, |of_scope| {
            of_scope.inner(1, |scope| {
                let name = env!("CARGO_PKG_NAME");
                scope.bytes(1, name.as_bytes());
                scope.bytes(2, VERSION.as_bytes());
            });
            for span in spans {
                of_scope.inner(2, |message| write(message, span));
            }
        });
    });
    message.into_bytes()
}

/// A `Span`.
fn write(message: &mut Message, span: &Span) {
    let place = &span.place;
    message.bytes(1, place.trace.bytes());
    message.bytes(2, place.span.bytes());
    if let Some(state) = &place.state {
        message.bytes(3, state.as_bytes());
    }
    let mut flags = u32::from(place.sampled) | KNOWN_SIDE;
    if let Some((parent, side)) = &span.parent {
        message.bytes(4, parent.bytes());
        if *side == Side::Remote {
            flags |= REMOTE;
        }
    }
    message.bytes(5, span.name.as_bytes());
    message.number(
        6,
        match span.kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Client => 3,
        },
    );
    message.eight(7, span.began);
    message.eight(8, span.ended);
    for (name, value) in &span.attributes {
        message.inner(9, |pair| {
            pair.bytes(1, name.as_bytes());
            pair.inner(2, |any| write_value(any, value));
        });
    }
    if let Some(link) = &span.link {
        message.inner(13, |it| {
            it.bytes(1, link.trace.bytes());
            it.bytes(2, link.span.bytes());
            if let Some(state) = &link.state {
                it.bytes(3, state.as_bytes());
            }
            it.four(6, u32::from(link.sampled) | KNOWN_SIDE);
        });
    }
    if span.has_failed {
        message.inner(15, |status| status.number(3, ERROR));
    }
    message.four(16, flags);
}

/// A `KeyValue` of two texts.
fn text_pair(pair: &mut Message, name: &str, text: &str) {
    pair.bytes(1, name.as_bytes());
    pair.inner(2, |any| any.bytes(1, text.as_bytes()));
}

/// An `AnyValue`.
fn write_value(any: &mut Message, value: &Value) {
    match value {
        Value::Text(text) => any.bytes(1, text.as_bytes()),
        Value::Truth(truth) => any.number(2, u64::from(*truth)),
        // As its two's complement.
        Value::Whole(number) => any.number(3, *number as u64),
        Value::Real(number) => any.eight(4, number.to_bits()),
    }
}

/// What a collector says in an `ExportTraceServiceResponse` of spans that it did not want: how
/// many, and why.
pub fn rejected(answer: &[u8]) -> (u64, String) {
    let partial = fields(answer).find_map(|field| match field {
        (1, Field::Bytes(partial)) => Some(partial),
        _ => None,
    });
    let mut said = (0, String::new());
    for field in fields(partial.unwrap_or_default()) {
        match field {
            (1, Field::Number(spans)) => said.0 = spans,
            (2, Field::Bytes(why)) => said.1 = String::from_utf8_lossy(why).into_owned(),
            _ => {}
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::context::Context;

    fn inner<'m>(message: &'m [u8], path: &[u64]) -> Vec<Field<'m>> {
        let [number, below @ ..] = path else {
            return vec![Field::Bytes(message)];
        };
        let found = fields(message).filter(|(field, _)| field == number);
        found
            .flat_map(|(_, field)| match field {
                Field::Bytes(bytes) if !below.is_empty() => inner(bytes, below),
                field => vec![field],
            })
            .collect()
    }

    #[test]
    fn a_span_stands_where_the_schema_has_it() {
        let place = Context {
            sampled: true,
            state: Some("a=1".parse().unwrap()),
            ..Context::random()
        };
        let parent = Context::random().span;
        let link = Context {
            sampled: true,
            ..Context::random()
        };
        let span = Span {
            place: place.clone(),
            parent: Some((parent, Side::Remote)),
            kind: Kind::Server,
            name: "GET",
            began: 1,
            ended: u64::MAX,
            attributes: vec![
                ("text", "t".into()),
                ("whole", Value::Whole(-1)),
                ("real", Value::Real(0.5)),
                ("truth", true.into()),
            ],
            has_failed: true,
            link: Some(link.clone()),
        };
        let resource = Resource {
            service: "edge",
            instance: "0",
        };
        let message = request(&resource, &[span.clone(), span]);
        let at = |path: &[u64]| inner(&message, &[&[1, 2, 2], path].concat());
        let bytes = |bytes| [Field::Bytes(bytes); 2];
        assert_eq!(at(&[1]), bytes(&place.trace.bytes()[..]));
        assert_eq!(at(&[2]), bytes(place.span.bytes()));
        assert_eq!(at(&[3]), bytes(b"a=1"));
        assert_eq!(at(&[4]), bytes(parent.bytes()));
        assert_eq!(at(&[5]), bytes(b"GET"));
        assert_eq!(at(&[6]), [Field::Number(2); 2]);
        assert_eq!(at(&[7]), bytes(b"\x01\0\0\0\0\0\0\0"));
        assert_eq!(at(&[8]), bytes(&[0xff; 8]));
        assert_eq!(at(&[9, 1]).len(), 8);
        assert_eq!(at(&[9, 2, 1]), bytes(b"t"));
        assert_eq!(at(&[9, 2, 2]), [Field::Number(1); 2]);
        assert_eq!(at(&[9, 2, 3]), [Field::Number(u64::MAX); 2]);
        assert_eq!(at(&[9, 2, 4]), bytes(b"\0\0\0\0\0\0\xe0\x3f"));
        assert_eq!(at(&[13, 1]), bytes(&link.trace.bytes()[..]));
        assert_eq!(at(&[13, 2]), bytes(link.span.bytes()));
        assert_eq!(at(&[13, 3]), []);
        assert_eq!(at(&[13, 6]), bytes(b"\x01\x01\0\0"));
        assert_eq!(at(&[15, 3]), [Field::Number(2); 2]);
        assert_eq!(at(&[16]), bytes(b"\x01\x03\0\0"));
        let names = inner(&message, &[1, 1, 1, 1]);
        assert_eq!(names[0], Field::Bytes(b"service.name"));
        assert_eq!(inner(&message, &[1, 1, 1, 2, 1])[0], Field::Bytes(b"edge"));
    }

    #[test]
    fn a_collector_says_what_it_did_not_want() {
        let mut answer = Message::default();
        answer.inner(1, |partial| {
            partial.number(1, 3);
            partial.bytes(2, b"too old");
        });
        let answer = answer.into_bytes();
        assert_eq!(rejected(&answer), (3, "too old".to_owned()));
        assert_eq!(rejected(b""), (0, String::new()));
        assert_eq!(rejected(b"{}"), (0, String::new()));
    }
}
