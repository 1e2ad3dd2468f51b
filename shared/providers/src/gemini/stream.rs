//! The two forms in which Gemini streams: server-sent events (`alt=sse`, which Farebox asks for),
//! and one JSON array that grows, which is what a server that knows no `alt` sends.

use farebox_core::{ChatEvent, Frame};

use super::decode::Chunks;
use crate::sse::{BOM, EVENT_BYTES_MAX, Handle, Stream};
use crate::{DecodeError, Decoder, json};

/// Decodes either form; the first byte tells which.
pub(super) struct Responses {
    form: Form,
    frames: bool,
}

enum Form {
    /// Nothing has come but blanks, and so many bytes of a byte order mark.
    Unknown(usize),
    Events(Stream<Chunks>),
    Array(Elements, Chunks),
}

impl Responses {
    pub(super) const fn new(frames: bool) -> Self {
        Self { form: Form::Unknown(0), frames }
    }
}

impl Decoder for Responses {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let mut bytes = bytes;
        if let Form::Unknown(marks) = &mut self.form {
            while let Some((first, rest)) = bytes.split_first() {
                match first {
                    mark if BOM.get(*marks) == Some(mark) => *marks = marks.saturating_add(1),
                    blank if blank.is_ascii_whitespace() => {}
                    _ => break,
                }
                bytes = rest;
            }
            self.form = match bytes.first() {
                None => return Ok(()),
                Some(b'[') => Form::Array(Elements::default(), Chunks::default()),
                Some(_) => Form::Events(Stream::new(Chunks::default(), self.frames)),
            };
        }
        let frames = self.frames;
        match &mut self.form {
            Form::Unknown(_) => Ok(()),
            Form::Events(stream) => stream.feed(bytes, out),
            Form::Array(elements, chunks) => elements.feed(bytes, |element| {
                let data = str::from_utf8(element).map_err(|_| DecodeError::lacking("UTF-8"))?;
                json::check_values(element, json::EVENT_VALUES_MAX)?;
                chunks.handle(data, out)?;
                if frames {
                    out.push(ChatEvent::Frame(Frame { name: "".into(), data: data.into() }));
                }
                Ok(())
            }),
        }
    }

    fn end(&mut self, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        match &mut self.form {
            Form::Unknown(_) => {}
            Form::Events(stream) => stream.end(out)?,
            Form::Array(elements, chunks) if elements.closed => chunks.end(out),
            Form::Array(..) => {}
        }
        Ok(())
    }
}

/// Cuts the objects out of a JSON array. Each byte is looked at once.
#[derive(Default)]
struct Elements {
    /// What has come of the object that is open.
    element: Vec<u8>,
    /// How many braces and brackets of it are open.
    depth: u32,
    in_text: bool,
    escaped: bool,
    opened: bool,
    closed: bool,
}

impl Elements {
    fn feed(
        &mut self,
        bytes: &[u8],
        mut on_element: impl FnMut(&[u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        for byte in bytes {
            if self.depth == 0 {
                self.between(*byte)?;
                continue;
            }
            self.element.push(*byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.depth == 0 {
                self.check_length()?;
                let mut element = core::mem::take(&mut self.element);
                on_element(&element)?;
                element.clear();
                self.element = element;
            }
        }
        self.check_length()
    }

    fn check_length(&self) -> Result<(), DecodeError> {
        let too_long = DecodeError::EventTooLong { bytes_max: EVENT_BYTES_MAX };
        if self.element.len() > EVENT_BYTES_MAX { Err(too_long) } else { Ok(()) }
    }

    /// A byte that is in no element.
    fn between(&mut self, byte: u8) -> Result<(), DecodeError> {
        match byte {
            b'[' if !self.opened => self.opened = true,
            b'{' if !self.closed => {
                self.element.push(byte);
                self.depth = 1;
            }
            b']' if !self.closed => self.closed = true,
            b',' if !self.closed => {}
            _ if byte.is_ascii_whitespace() => {}
            _ => return Err(DecodeError::lacking("an array of responses")),
        }
        Ok(())
    }
}
