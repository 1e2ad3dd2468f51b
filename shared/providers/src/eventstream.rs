//! AWS event streams: binary messages from bytes in any split.
//!
//! A message is `total length, headers length, CRC of both, headers, payload, CRC of all before`,
//! numbers big-endian (smithy.io, Amazon event stream specification, read 2026-11; recorded
//! streams of Bedrock).

use crate::DecodeError;
use crate::sse::EVENT_BYTES_MAX;

/// Both lengths and their CRC.
const PRELUDE_BYTES: usize = 12;
/// The CRC at the end.
const CRC_BYTES: usize = 4;

/// One message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// `event`, `exception` or `error`.
    pub(crate) kind: &'a str,
    /// The name of the event, the exception or the error.
    pub(crate) name: &'a str,
    /// What an error says; others say it in the payload.
    pub(crate) error: &'a str,
    /// The payload.
    pub(crate) payload: &'a [u8],
}

/// Cuts a byte stream into its messages.
#[derive(Debug, Default)]
pub(crate) struct EventStream {
    /// A message whose end has not arrived.
    rest: Vec<u8>,
}

impl EventStream {
    /// Takes the next bytes and hands on every message that they complete.
    ///
    /// # Errors
    /// [`DecodeError`] where a CRC or a length is wrong, or from `on_message`. The stream cannot be
    /// read further.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        mut on_message: impl FnMut(&Message<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.rest.extend_from_slice(bytes);
        let whole = core::mem::take(&mut self.rest);
        let mut at = whole.as_slice();
        while let Some(length) = length(at)? {
            let Some((message, after)) = at.split_at_checked(length) else { break };
            on_message(&read(message)?)?;
            at = after;
        }
        let read_bytes = whole.len().saturating_sub(at.len());
        self.rest = whole;
        self.rest.drain(..read_bytes);
        Ok(())
    }
}

fn broken() -> DecodeError {
    DecodeError::lacking("a message of an AWS event stream")
}

/// The length of the message that begins here; `None` before its prelude is there.
fn length(bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
    let Some((prelude, _)) = bytes.split_at_checked(PRELUDE_BYTES) else { return Ok(None) };
    let (lengths, crc) = prelude.split_at(PRELUDE_BYTES - CRC_BYTES);
    if number(crc) != Some(crc32(lengths)) {
        return Err(broken());
    }
    let total = usize::try_from(number(lengths).ok_or_else(broken)?).map_err(|_| broken())?;
    if total > EVENT_BYTES_MAX {
        return Err(DecodeError::EventTooLong { bytes_max: EVENT_BYTES_MAX });
    }
    if total < PRELUDE_BYTES + CRC_BYTES { Err(broken()) } else { Ok(Some(total)) }
}

fn read(message: &[u8]) -> Result<Message<'_>, DecodeError> {
    let end = message.len().saturating_sub(CRC_BYTES);
    let (body, crc) = message.split_at_checked(end).ok_or_else(broken)?;
    if number(crc) != Some(crc32(body)) {
        return Err(broken());
    }
    let headers = body.get(4..).and_then(number).ok_or_else(broken)?;
    let headers = usize::try_from(headers).map_err(|_| broken())?;
    let inside = body.get(PRELUDE_BYTES..).ok_or_else(broken)?;
    let (mut headers, payload) = inside.split_at_checked(headers).ok_or_else(broken)?;
    let mut message = Message { payload, ..Message::default() };
    while !headers.is_empty() {
        let (name, value, after) = header(headers).ok_or_else(broken)?;
        headers = after;
        match name {
            b":message-type" => message.kind = value,
            b":event-type" | b":exception-type" | b":error-code" => message.name = value,
            b":error-message" => message.error = value,
            _ => {}
        }
    }
    Ok(message)
}

/// The first header's name, its value where that is a text, and what comes after.
fn header(bytes: &[u8]) -> Option<(&[u8], &str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (kind, rest) = rest.split_first()?;
    let (size, rest) = match kind {
        0 | 1 => (0, rest),
        2 => (1, rest),
        3 => (2, rest),
        4 => (4, rest),
        5 | 8 => (8, rest),
        9 => (16, rest),
        6 | 7 => {
            let (size, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*size)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(size)?;
    let text = if *kind == 7 { str::from_utf8(value).ok()? } else { "" };
    Some((name, text, rest))
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

/// CRC-32 as gzip has it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message as a provider writes it.
    fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut inside = Vec::new();
        for (name, value) in headers {
            inside.push(u8::try_from(name.len()).unwrap());
            inside.extend_from_slice(name.as_bytes());
            inside.push(7);
            inside.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            inside.extend_from_slice(value.as_bytes());
        }
        let length = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
        let mut whole = length(inside.len() + payload.len() + 16).to_vec();
        whole.extend(length(inside.len()));
        whole.extend(crc32(&whole).to_be_bytes());
        whole.extend(inside);
        whole.extend_from_slice(payload);
        whole.extend(crc32(&whole).to_be_bytes());
        whole
    }

    fn names(chunks: &[&[u8]]) -> Result<Vec<String>, DecodeError> {
        let mut stream = EventStream::default();
        let mut names = Vec::new();
        for chunk in chunks {
            stream.feed(chunk, |message| {
                let payload = String::from_utf8_lossy(message.payload);
                names.push(format!("{} {} {payload}", message.kind, message.name));
                Ok(())
            })?;
        }
        Ok(names)
    }

    fn two() -> Vec<u8> {
        let kind = (":message-type", "event");
        let mut bytes = message(&[kind, (":event-type", "one")], b"{}");
        bytes.extend(message(&[(":message-type", "exception"), (":exception-type", "two")], b""));
        bytes
    }

    #[test]
    fn the_crc_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn every_split_gives_the_same_messages() {
        let bytes = two();
        let expected = vec!["event one {}".to_owned(), "exception two ".to_owned()];

        for cut in 0..=bytes.len() {
            assert_eq!(names(&[&bytes[..cut], &bytes[cut..]]), Ok(expected.clone()), "{cut}");
        }
        assert_eq!(names(&bytes.chunks(1).collect::<Vec<_>>()), Ok(expected));
    }

    #[test]
    fn a_bit_that_is_wrong_anywhere_is_seen() {
        let bytes = two();
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x10;
            assert!(names(&[&wrong]).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_length_beyond_every_message_is_refused_before_it_is_read() {
        for length in [u32::MAX, u32::try_from(EVENT_BYTES_MAX + 1).unwrap(), 15, 0] {
            let mut prelude = length.to_be_bytes().to_vec();
            prelude.extend([0; 4]);
            prelude.extend(crc32(&prelude).to_be_bytes());
            assert!(names(&[&prelude]).is_err(), "{length}");
        }
    }
}
