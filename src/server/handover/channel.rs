//! What two processes say to each other, a packet at a time, each perhaps with a file.
//!
//! A pair of connected Unix sockets (`SOCK_SEQPACKET`). One end is the standard input of the process
//! that takes over: it is inherited without anything else being inherited with it, and files go with
//! the packets (`SCM_RIGHTS`).

use super::FAILED;
use rustix::{
    cmsg_space,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
        sockopt::{self, Timeout},
    },
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

/// One end of the conversation.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

/// Largest packet, in bytes: the name of a place has to fit.
const LARGEST: usize = 64 << 10;

impl Channel {
    /// Both ends; the second is for the other process.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (own, other) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self(own), other))
    }

    #[cfg(test)]
    pub fn of(end: OwnedFd) -> Self {
        Self(end)
    }

    /// The end that this process has as its standard input.
    pub fn of_standard_input() -> io::Result<Self> {
        let own = io::stdin().as_fd().try_clone_to_owned()?;
        match sockopt::socket_type(&own)? {
            SocketType::SEQPACKET => Ok(Self(own)),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// No wait is longer from now on.
    pub fn set_patience(&self, patience: Option<Duration>) -> io::Result<()> {
        sockopt::set_socket_timeout(&self.0, Timeout::Recv, patience)?;
        Ok(sockopt::set_socket_timeout(
            &self.0,
            Timeout::Send,
            patience,
        )?)
    }

    /// Sends one packet. Blocks.
    pub fn send(&self, words: &str, file: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let files: Vec<_> = file.into_iter().collect();
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&files)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let words = [IoSlice::new(words.as_bytes())];
        sendmsg(&self.0, &words, &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// The next packet; an error where the other side has ended, or says nothing in time. Blocks.
    pub fn receive(&self) -> io::Result<(String, Option<OwnedFd>)> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut words = vec![0; LARGEST];
        let mut slices = [IoSliceMut::new(&mut words)];
        let received = recvmsg(&self.0, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let file = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next(),
            _ => None,
        });
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        words.truncate(received.bytes);
        let words = String::from_utf8(words).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok((words, file))
    }

    /// The next packet, which must say this.
    pub fn expect(&self, words: &str) -> io::Result<Option<OwnedFd>> {
        let (said, file) = self.receive()?;
        match said == words {
            true => Ok(file),
            false => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                Unexpected {
                    words: words.to_owned(),
                    said,
                },
            )),
        }
    }

    /// Why the other side has ended the conversation, which broke with this error, where it said so:
    /// in the packet that was not expected, or in one that nobody has read yet. Blocks.
    pub fn last_words(&self, broke: &io::Error) -> Option<String> {
        let unexpected = broke.get_ref().and_then(|e| e.downcast_ref::<Unexpected>());
        match unexpected {
            Some(unexpected) => reason(&unexpected.said),
            None if broke.kind() == io::ErrorKind::WouldBlock => None,
            None => reason(&self.receive().ok()?.0),
        }
    }
}

/// Other words than were expected.
#[derive(Debug, thiserror::Error)]
#[error("{words:?} was expected, and {said:?} came")]
struct Unexpected {
    words: String,
    said: String,
}

fn reason(said: &str) -> Option<String> {
    said.strip_prefix(FAILED).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::File,
        io::{Read, Seek, Write},
    };

    #[test]
    fn words_and_files_go_through_and_an_end_is_an_error() {
        let (own, other) = Channel::pair().unwrap();
        let other = Channel(other);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"inside").unwrap();
        file.rewind().unwrap();
        own.send("with", Some(file.as_fd())).unwrap();
        own.send("without", None).unwrap();
        let received = other.expect("with").unwrap().unwrap();
        let mut inside = String::new();
        File::from(received).read_to_string(&mut inside).unwrap();
        assert_eq!(inside, "inside");
        let wrong = other.expect("with").unwrap_err();
        assert!(wrong.to_string().contains("\"without\" came"), "{wrong}");
        other.set_patience(Some(Duration::from_millis(10))).unwrap();
        let late = other.receive().unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::WouldBlock);
        own.send("failed because", None).unwrap();
        let failed = other.expect("done").unwrap_err();
        assert_eq!(other.last_words(&failed).unwrap(), "because");
        own.send("failed early", None).unwrap();
        drop(own);
        // Who writes first hears that nobody reads, and reads what was said before.
        let gone = other.send("words", None).unwrap_err();
        assert_eq!(other.last_words(&gone).unwrap(), "early");
        let over = other.receive().unwrap_err();
        assert_eq!(over.kind(), io::ErrorKind::UnexpectedEof);
    }
}
