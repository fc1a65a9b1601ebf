//! The wire format of Protocol Buffers, as far as spans need it: numbers, texts, and messages
//! within messages.
//!
//! A message is a row of fields. Each begins with its number and its form in one varint
//! (`number << 3 | form`); behind it stands a varint, eight or four bytes, or a length and so many
//! bytes. Fields that are not known are passed over.

/// A message that is being written.
#[derive(Debug, Default)]
pub struct Message(Vec<u8>);

/// The forms of fields.
const VARINT: u64 = 0;
const EIGHT: u64 = 1;
const BYTES: u64 = 2;
const FOUR: u64 = 5;

impl Message {
    /// A whole number.
    pub fn number(&mut self, field: u64, value: u64) {
        self.tag(field, VARINT);
        self.varint(value);
    }

    /// Eight bytes.
    pub fn eight(&mut self, field: u64, value: u64) {
        self.tag(field, EIGHT);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Four bytes.
    pub fn four(&mut self, field: u64, value: u32) {
        self.tag(field, FOUR);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Bytes, or a text.
    pub fn bytes(&mut self, field: u64, value: &[u8]) {
        self.tag(field, BYTES);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A message within this one.
    pub fn inner(&mut self, field: u64, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    /// What has been written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn tag(&mut self, field: u64, form: u64) {
        self.varint(field << 3 | form);
    }

    /// Seven bits in each byte, the lowest first; all but the last have the eighth set.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// One field of a message that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'m> {
    /// A number.
    Number(u64),
    /// Bytes, a text, or a message.
    Bytes(&'m [u8]),
}

/// The fields of a message with their numbers, up to where it makes no sense any more.
pub fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || {
        let tag = varint(&mut message)?;
        let field = match tag & 7 {
            VARINT => Field::Number(varint(&mut message)?),
            EIGHT => Field::Bytes(split(&mut message, 8)?),
            FOUR => Field::Bytes(split(&mut message, 4)?),
            BYTES => {
                let length = varint(&mut message)?;
                Field::Bytes(split(&mut message, usize::try_from(length).ok()?)?)
            }
            _ => return None,
        };
        Some((tag >> 3, field))
    })
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let byte = split(message, 1)?[0];
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn split<'m>(message: &mut &'m [u8], length: usize) -> Option<&'m [u8]> {
    let (part, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The examples of the format's own description.
    #[test]
    fn known_messages_are_written_as_they_are_known() {
        let written = |write: fn(&mut Message)| {
            let mut message = Message::default();
            write(&mut message);
            message.into_bytes()
        };
        let number = written(|m| m.number(1, 150));
        assert_eq!(number, [0x08, 0x96, 0x01]);
        let text = written(|m| m.bytes(2, b"testing"));
        assert_eq!(text, b"\x12\x07testing");
        let inner = written(|m| m.inner(3, |m| m.number(1, 150)));
        assert_eq!(inner, [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let fixed = written(|m| {
            m.eight(1, 1);
            m.four(2, 2);
        });
        assert_eq!(fixed, b"\x09\x01\0\0\0\0\0\0\0\x15\x02\0\0\0");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            numbers in prop::collection::vec((1u64..1 << 20, any::<u64>()), 0..5),
            texts in prop::collection::vec((1u64..1 << 20, any::<Vec<u8>>()), 0..5),
        ) {
            let mut message = Message::default();
            for (field, value) in &numbers {
                message.number(*field, *value);
            }
            for (field, value) in &texts {
                message.bytes(*field, value);
            }
            let written = message.into_bytes();
            let read: Vec<_> = fields(&written).collect();
            let numbers = numbers.iter().map(|(field, value)| (*field, Field::Number(*value)));
            let texts = texts.iter().map(|(field, value)| (*field, Field::Bytes(value)));
            prop_assert_eq!(read, numbers.chain(texts).collect::<Vec<_>>());
        }

        #[test]
        fn nothing_that_is_read_makes_it_panic(bytes: Vec<u8>) {
            prop_assert!(fields(&bytes).count() <= bytes.len());
        }
    }
}
