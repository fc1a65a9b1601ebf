//! The time that the head of a request may take over HTTP/2.
//!
//! h2 shows a head when all of it has come. Until then nothing else may come on the connection (RFC
//! 9113, section 4.3), so here its frames are told apart as they go by, and it is seen when a field
//! block is begun and when it ends.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// What goes by of a connection's frames, and the wait for the end of a field block.
#[derive(Debug)]
pub struct FieldBlockRead {
    limit: Duration,
    frames: Frames,
    late: Option<Pin<Box<Sleep>>>,
}

/// The frames of a connection as they come in.
#[derive(Debug)]
struct Frames {
    /// What has come of the head of the next one.
    head: [u8; HEAD],
    came: usize,
    /// Bytes to come before that, of the last one or of the preface.
    before: usize,
    /// A field block has begun.
    is_open: bool,
    /// It ends with the frame that comes in.
    is_last: bool,
}

/// Bytes before the payload of a frame (RFC 9113, section 4.1).
const HEAD: usize = 9;
/// Types of frames that hold a part of a field block, and the flag of the last one (sections 6.2 and
/// 6.10). Clients push nothing.
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

impl FieldBlockRead {
    /// Of a connection of which the preface has still to come, so many bytes.
    pub fn new(limit: Duration, preface: usize) -> Self {
        Self {
            limit,
            frames: Frames::behind(preface),
            late: None,
        }
    }

    /// More has come.
    pub fn pass(&mut self, bytes: &[u8]) {
        self.frames.pass(bytes);
        match self.frames.is_open {
            true => {
                self.late.get_or_insert_with(|| Box::pin(sleep(self.limit)));
            }
            false => self.late = None,
        }
    }

    /// Nothing more is there; ready when what is lacking of a field block is late.
    pub fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.late {
            Some(late) => late.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Frames {
    fn behind(preface: usize) -> Self {
        Self {
            head: [0; HEAD],
            came: 0,
            before: preface,
            is_open: false,
            is_last: false,
        }
    }

    fn pass(&mut self, mut bytes: &[u8]) {
        loop {
            bytes = &bytes[self.skip(bytes.len())..];
            if self.before == 0 && self.is_last {
                (self.is_open, self.is_last) = (false, false);
            }
            let Some((&byte, rest)) = bytes.split_first() else {
                return;
            };
            bytes = rest;
            self.head[self.came] = byte;
            self.came += 1;
            if self.came == HEAD {
                self.begin();
            }
        }
    }

    fn skip(&mut self, most: usize) -> usize {
        let skipped = self.before.min(most);
        self.before -= skipped;
        skipped
    }

    /// The head of a frame is there.
    fn begin(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.came = 0;
        self.before = u32::from_be_bytes([0, high, middle, low]) as usize;
        if matches!(kind, HEADERS | CONTINUATION) {
            self.is_open = true;
            self.is_last = flags & END_HEADERS != 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::future::poll_fn;
    use tokio::time::{Instant, timeout};

    const PREFACE: usize = 24;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let payload = vec![0xff; length];
        let length = (length as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], &payload].concat()
    }

    #[test]
    fn a_field_block_is_open_from_its_first_frame_to_the_end_of_its_last() {
        let table = [
            (frame(4, 4, 6), false, false),
            (frame(HEADERS, 5, 20), true, false),
            (frame(HEADERS, END_HEADERS, 0), false, false),
            (frame(0, 4, 300), false, false),
            (frame(HEADERS, 1, 20), true, true),
            (frame(CONTINUATION, 0, 0), true, true),
            (frame(CONTINUATION, END_HEADERS, 9), true, false),
            (frame(8, 0, 4), false, false),
        ];
        let mut frames = Frames::behind(PREFACE);
        frames.pass(&[0; PREFACE]);
        for (bytes, is_open_amid, is_open) in table {
            let (head, payload) = bytes.split_at(HEAD);
            frames.pass(head);
            assert_eq!(frames.is_open, is_open_amid, "{head:?}");
            frames.pass(payload);
            assert_eq!(frames.is_open, is_open, "{head:?}");
        }
    }

    proptest! {
        #[test]
        fn frames_are_told_apart_in_whatever_pieces_they_come(
            sent in proptest::collection::vec((0_u8..10, any::<u8>(), 0_usize..70), 0..20),
            cuts in proptest::collection::vec(1_usize..40, 1..40),
        ) {
            let bytes: Vec<_> = sent.iter().map(|(kind, flags, length)| frame(*kind, *flags, *length)).collect();
            let bytes = [vec![0; PREFACE], bytes.concat()].concat();
            let (mut whole, mut pieces) = (Frames::behind(PREFACE), Frames::behind(PREFACE));
            whole.pass(&bytes);
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, left) = rest.split_at((*cut).min(rest.len()));
                pieces.pass(piece);
                rest = left;
            }
            let mut blocks = sent.iter().filter(|(kind, ..)| matches!(*kind, HEADERS | CONTINUATION));
            let is_open = blocks.next_back().is_some_and(|(_, flags, _)| flags & END_HEADERS == 0);
            prop_assert_eq!((whole.is_open, pieces.is_open), (is_open, is_open));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_field_block_has_its_own_time() {
        let limit = Duration::from_secs(10);
        let mut read = FieldBlockRead::new(limit, 0);
        let (begun, ended) = (frame(HEADERS, 1, 5), frame(CONTINUATION, END_HEADERS, 5));
        for bytes in [&begun, &ended, &begun] {
            read.pass(bytes);
            let late = timeout(limit / 2, poll_fn(|cx| read.poll_late(cx))).await;
            assert!(late.is_err());
        }
        let since = Instant::now();
        read.pass(&frame(CONTINUATION, 0, 0));
        poll_fn(|cx| read.poll_late(cx)).await;
        assert_eq!(since.elapsed(), limit / 2);
    }
}
