//! Server-sent events (WHATWG HTML, section 9.2.6) from bytes in any split.
//!
//! An event's name is only kept for callers who get the very events: every provider repeats it
//! inside the data.

use farebox_core::{ChatEvent, Frame};

use crate::{DecodeError, Decoder, json};

/// The longest event that is read: twice the longest answer seen, with room for an image.
pub const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What may stand before everything.
pub(crate) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The longest name of an event that is kept.
const NAME_BYTES_MAX: usize = 128;

/// Cuts a byte stream into the `data` of its events. Each byte is looked at a fixed number of
/// times, however the stream is split.
#[derive(Debug, Default)]
pub struct SseDecoder {
    /// The start of a line whose end has not arrived.
    line: Vec<u8>,
    /// The data lines of the event so far, joined by line feeds.
    data: Vec<u8>,
    /// The event has a data line, if an empty one.
    has_data: bool,
    /// The event's name.
    name: Vec<u8>,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_return: bool,
    /// The first line, which may carry a byte order mark, is over.
    begun: bool,
}

impl SseDecoder {
    /// Takes the next bytes and hands on the name and the data of every event that they complete.
    ///
    /// # Errors
    /// [`DecodeError::EventTooLong`], or what `on_event` returns.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut on_event: impl FnMut(&[u8], &[u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if self.after_return && !bytes.is_empty() {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            self.after_return = false;
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
            let (line, rest) = bytes.split_at(end);
            let was_return = rest.first() == Some(&b'\r');
            bytes = rest.get(1..).unwrap_or_default();
            if was_return {
                self.after_return = bytes.is_empty();
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
            self.check_length(line.len())?;
            if self.line.is_empty() {
                self.take_line(line, &mut on_event)?;
            } else {
                let mut whole = core::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                let taken = self.take_line(&whole, &mut on_event);
                whole.clear();
                self.line = whole;
                taken?;
            }
        }
        self.check_length(bytes.len())?;
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// The stream is over: the name and the data of an event that no blank line has ended, if
    /// there is one. It may be cut in the middle.
    pub fn end(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let line = core::mem::take(&mut self.line);
        if !line.is_empty() && self.take_line(&line, &mut |_, _| Ok(())).is_err() {
            return None;
        }
        let event = (core::mem::take(&mut self.name), core::mem::take(&mut self.data));
        core::mem::take(&mut self.has_data).then_some(event)
    }

    fn check_length(&self, more: usize) -> Result<(), DecodeError> {
        let length = self.line.len().saturating_add(self.data.len()).saturating_add(more);
        if length > EVENT_BYTES_MAX {
            return Err(DecodeError::EventTooLong { bytes_max: EVENT_BYTES_MAX });
        }
        Ok(())
    }

    fn take_line(
        &mut self,
        mut line: &[u8],
        on_event: &mut impl FnMut(&[u8], &[u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if !self.begun {
            self.begun = true;
            line = line.strip_prefix(BOM).unwrap_or(line);
        }
        if line.is_empty() {
            let has_data = core::mem::take(&mut self.has_data);
            let handled = if has_data { on_event(&self.name, &self.data) } else { Ok(()) };
            self.data.clear();
            self.name.clear();
            return handled;
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => (line.get(..colon), line.get(colon.saturating_add(1)..)),
            None => (Some(line), None),
        };
        let value = value.unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        if field == Some(b"event") {
            self.name.clear();
            self.name.extend(value.iter().take(NAME_BYTES_MAX));
        }
        if field != Some(b"data") {
            return Ok(());
        }
        self.check_length(value.len())?;
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
        self.data.extend_from_slice(value);
        Ok(())
    }
}

/// What a wire format makes of the data of one event.
pub(crate) trait Handle {
    /// Appends the events that `data` stands for.
    fn handle(&mut self, data: &str, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError>;

    /// The data as a caller of the same format is told it, where that is not how it came.
    fn told(&mut self, _data: &str) -> Option<String> {
        None
    }

    /// The stream is over, and no event of it was cut: for formats that have no word for the end.
    fn end(&mut self, _out: &mut Vec<ChatEvent>) {}

    /// The same of an event as it came, which is handed on too where it is wanted.
    fn take(
        &mut self,
        name: &[u8],
        data: &[u8],
        is_wanted: bool,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let data = str::from_utf8(data).map_err(|_| DecodeError::lacking("UTF-8"))?;
        json::check_values(data.as_bytes(), json::EVENT_VALUES_MAX)?;
        self.handle(data, out)?;
        if is_wanted {
            let name = str::from_utf8(name).unwrap_or_default().into();
            let data = self.told(data).map_or_else(|| data.into(), Into::into);
            out.push(ChatEvent::Frame(Frame { name, data }));
        }
        Ok(())
    }
}

/// A decoder of a stream of server-sent events.
pub(crate) struct Stream<H> {
    sse: SseDecoder,
    handler: H,
    /// Each event is handed on as it came, behind what was read in it.
    frames: bool,
}

impl<H> Stream<H> {
    pub(crate) fn new(handler: H, frames: bool) -> Self {
        Self { sse: SseDecoder::default(), handler, frames }
    }
}

impl<H: Handle> Decoder for Stream<H> {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let (handler, frames) = (&mut self.handler, self.frames);
        self.sse.feed(bytes, |name, data| handler.take(name, data, frames, out))
    }

    fn end(&mut self, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let Some((name, data)) = self.sse.end() else {
            self.handler.end(out);
            return Ok(());
        };
        json::check_values(&data, json::EVENT_VALUES_MAX)?;
        let before = out.len();
        let handled = self.handler.take(&name, &data, self.frames, out);
        // What does not parse here was cut, and a cut stream is not a malformed one.
        if let Err(DecodeError::Malformed { .. }) = handled {
            out.truncate(before);
            return Ok(());
        }
        handled?;
        self.handler.end(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<String> {
        let mut sse = SseDecoder::default();
        let mut events = Vec::new();
        for chunk in chunks {
            sse.feed(chunk, |_, data| {
                events.push(String::from_utf8_lossy(data).into_owned());
                Ok(())
            })
            .unwrap();
        }
        if let Some((_, data)) = sse.end() {
            events.push(format!("cut: {}", String::from_utf8_lossy(&data)));
        }
        events
    }

    const MIXED: &[u8] =
        b"\xEF\xBB\xBF: hello\r\n\r\ndata: a\xC3\xA9\r\ndata:b\r\n\r\nevent: x\rdata: c\r\r\
        id: 7\nretry: 10\ndata\n\ndatabase: no\n\ndata:  two\r\n\r\ndata: [DONE]";

    #[test]
    fn lines_end_in_any_way_and_comments_vanish() {
        assert_eq!(events(&[MIXED]), ["aé\nb", "c", "", " two", "cut: [DONE]"]);
    }

    #[test]
    fn every_split_gives_the_same_events() {
        let whole = events(&[MIXED]);

        for first in 0..=MIXED.len() {
            for second in first..=MIXED.len() {
                let chunks = [&MIXED[..first], &MIXED[first..second], &[], &MIXED[second..]];
                assert_eq!(events(&chunks), whole, "cut at {first} and {second}");
            }
        }
        let bytes: Vec<&[u8]> = MIXED.chunks(1).collect();
        assert_eq!(events(&bytes), whole);
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut sse = SseDecoder::default();
        let mut fed = 0;
        let refused = loop {
            match sse.feed(&[b'x'; 65_536], |_, _| Ok(())) {
                Ok(()) => fed += 65_536,
                Err(error) => break error,
            }
        };

        assert_eq!(refused, DecodeError::EventTooLong { bytes_max: EVENT_BYTES_MAX });
        assert_eq!(fed, EVENT_BYTES_MAX);
        let mut sse = SseDecoder::default();
        let many = b"data: x\n".repeat(EVENT_BYTES_MAX / 2 + 1);
        assert!(sse.feed(&many, |_, _| Ok(())).is_err());
    }
}
