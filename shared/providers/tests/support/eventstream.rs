//! Messages of an AWS event stream, written here in another way than they are read.

use serde_json::Value;

/// An event as Bedrock sends it.
pub fn event(name: &str, payload: &Value) -> Vec<u8> {
    message(&[(":event-type", name), (":message-type", "event")], payload)
}

/// A message with these headers.
pub fn message(headers: &[(&str, &str)], payload: &Value) -> Vec<u8> {
    let mut inside = Vec::new();
    for (name, value) in headers.iter().chain(&[(":content-type", "application/json")]) {
        inside.extend([u8::try_from(name.len()).unwrap()].iter().chain(name.as_bytes()));
        inside.push(7);
        inside.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        inside.extend(value.as_bytes());
    }
    let headers_bytes = u32::try_from(inside.len()).unwrap();
    inside.extend(payload.to_string().as_bytes());
    let total = u32::try_from(inside.len() + 16).unwrap();
    let mut whole = [total.to_be_bytes(), headers_bytes.to_be_bytes()].concat();
    whole.extend(crc32(&whole).to_be_bytes());
    whole.extend(inside);
    whole.extend(crc32(&whole).to_be_bytes());
    whole
}

/// CRC-32 by polynomial division of the bits, the lowest first.
fn crc32(bytes: &[u8]) -> u32 {
    let mut rest = u32::MAX;
    for bit in bytes.iter().flat_map(|byte| (0..8).map(move |place| byte >> place & 1)) {
        let divides = rest & 1 != u32::from(bit);
        rest >>= 1;
        rest ^= if divides { 0xEDB8_8320 } else { 0 };
    }
    rest ^ u32::MAX
}
