//! What an image can come to, where its provider says so: tighter than the context window.
//!
//! The size of an image inside the request is read from its header ([`size`]). One behind an
//! address, and one that is not understood, is taken for the largest there is. A document's pages
//! and text are compressed inside the file, and seconds of audio hang on its codec: both are
//! bounded by the window. So is an image of a provider or model that is not here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use farebox_core::Error;
use serde_json::Value;

/// Width and height in pixels. No rule below knows one from the other, so it does not matter
/// whether a camera was held upright.
pub(crate) type Size = (u64, u64);

/// An image of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// What its header says; `None` where it is not understood, or not inside the request.
    size: Option<Size>,
    /// The bytes of its data in the request, which are no text.
    inline: u64,
}

impl Image {
    /// One whose data is not in the request.
    pub(crate) const ELSEWHERE: Self = Self { size: None, inline: 0 };

    /// From its data in base64.
    pub(crate) fn inline(data: &str) -> Self {
        Self { size: size(data), inline: u64::try_from(data.len()).unwrap_or_default() }
    }

    /// From its address, which may hold the data itself.
    pub(crate) fn at(url: &str) -> Self {
        let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        data.map_or(Self::ELSEWHERE, |(_, data)| Self::inline(data))
    }
}

/// The most tokens of images, and their bytes; `None` where one of them has no maximum.
pub(crate) fn together(
    each: fn(&str, Option<Size>) -> Option<u64>,
    model: &str,
    images: &[Image],
) -> Option<(u64, u64)> {
    images.iter().try_fold((0, 0), |(tokens, bytes): (u64, u64), image| {
        let more = each(model, image.size)?;
        Some((tokens.saturating_add(more), bytes.saturating_add(image.inline)))
    })
}

/// The images of messages in `OpenAI`'s shape; `None` where there are files too.
pub(crate) fn of_messages(messages: &[Value]) -> Option<Vec<Image>> {
    let parts = messages.iter().filter_map(|message| message.get("content")?.as_array()).flatten();
    let mut images = Vec::new();
    for part in parts {
        match part.get("type").and_then(Value::as_str) {
            Some("image_url") => {
                let url = part.pointer("/image_url/url").and_then(Value::as_str);
                images.push(url.map_or(Image::ELSEWHERE, Image::at));
            }
            Some("file") => return None,
            _ => {}
        }
    }
    Some(images)
}

/// How far a header is looked for: a camera writes its notes and a preview before it.
const HEADER_BASE64: usize = 256 * 1024;

/// The size that the header of a PNG, JPEG or WebP says. A GIF is not read: its frames may be
/// larger than it says, and who decodes it decides which counts.
fn size(data: &str) -> Option<Size> {
    let most = data.len().min(HEADER_BASE64);
    // Google's SDKs write the alphabet that is safe in URLs.
    let head = data.get(..most - most % 4)?.replace('-', "+").replace('_', "/");
    let bytes = STANDARD.decode(head).ok()?;
    let known = match bytes.get(..3)? {
        b"\x89PN" => png(&bytes),
        b"\xFF\xD8\xFF" => jpeg(&bytes),
        b"RIF" => webp(&bytes),
        _ => None,
    };
    known.filter(|(width, height)| *width > 0 && *height > 0)
}

fn big(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn png(bytes: &[u8]) -> Option<Size> {
    let header = bytes.strip_prefix(b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR")?;
    Some((big(header.get(..4)?), big(header.get(4..8)?)))
}

/// The first start of a frame behind whole segments.
fn jpeg(bytes: &[u8]) -> Option<Size> {
    let mut rest = bytes.get(2..)?;
    loop {
        let [0xFF, marker, after @ ..] = rest else { return None };
        let length = big(after.get(..2)?);
        match marker {
            // Tables, not frames, though they stand among those.
            0xC4 | 0xC8 | 0xCC => {}
            0xC0..=0xCF => return Some((big(after.get(5..7)?), big(after.get(3..5)?))),
            0xDB | 0xDD | 0xE0..=0xEF | 0xFE => {}
            _ => return None,
        }
        rest = after.get(usize::try_from(length).ok().filter(|length| *length >= 2)?..)?;
    }
}

/// A whole picture; an animation is not understood.
fn webp(bytes: &[u8]) -> Option<Size> {
    let chunk = bytes.get(12..).filter(|_| bytes.get(8..12) == Some(b"WEBP"))?;
    let body = chunk.get(8..)?;
    let low = |number: u64| number & 0x3FFF;
    match chunk.get(..4)? {
        b"VP8X" if body.first()? & 2 == 0 => {
            Some((little(body.get(4..7)?) + 1, little(body.get(7..10)?) + 1))
        }
        b"VP8L" if body.first() == Some(&0x2F) => {
            let bits = little(body.get(1..5)?);
            Some((low(bits) + 1, low(bits >> 14) + 1))
        }
        b"VP8 " if body.get(3..6) == Some(b"\x9D\x01\x2A") => {
            Some((low(little(body.get(6..8)?)), low(little(body.get(8..10)?))))
        }
        _ => None,
    }
}

/// How many squares of a side cover an image.
fn squares((width, height): Size, side: u64) -> u64 {
    width.div_ceil(side).saturating_mul(height.div_ceil(side))
}

/// Anthropic: `⌈w/28⌉ × ⌈h/28⌉` tokens once scaled down, at most 4,784 on 4.7 and later and 1,568
/// before (platform.claude.com/docs, build-with-claude/vision, read 2026-08). The larger maximum
/// for all; and what the page said earlier, `w × h / 750`, where that is more.
const CLAUDE: u64 = 4_784;

/// How `OpenAI` counts an image.
enum Count {
    /// Squares of 32 pixels, so many at most, times hundredths of the family's factor.
    Patches(u64, u64),
    /// A base, and so much for each square of 512 pixels.
    Tiles(u64, u64),
}
use Count::{Patches, Tiles};

/// `OpenAI` (developers.openai.com/api/docs/guides/images-vision#calculating-costs, read 2026-06…
/// 11), the dearest `detail` of each family.
const OPENAI: &[(&str, Count)] = &[
    ("gpt-4o", Tiles(85, 170)),
    ("gpt-4o-mini", Tiles(2_833, 5_667)),
    ("gpt-4.1", Tiles(85, 170)),
    ("gpt-4.1-mini", Patches(1_536, 162)),
    ("gpt-4.1-nano", Patches(1_536, 246)),
    ("gpt-5", Tiles(70, 140)),
    ("gpt-5-mini", Patches(1_536, 162)),
    ("gpt-5-nano", Patches(1_536, 246)),
    ("gpt-5.2", Patches(1_536, 100)),
    ("gpt-5.3-codex", Patches(1_536, 100)),
    ("gpt-5.4", Patches(10_000, 100)),
    ("gpt-5.4-mini", Patches(1_536, 162)),
    ("gpt-5.4-nano", Patches(1_536, 246)),
    ("gpt-5.5", Patches(10_000, 100)),
    ("o1", Tiles(75, 150)),
    ("o3", Tiles(75, 150)),
    ("o4-mini", Patches(1_536, 172)),
];

/// With `detail: low` an image is seen at 512 by 512 pixels, a smaller one perhaps too.
const LOW_PATCHES: u64 = 256;
/// 2,048 by 768 pixels.
const TILES_MAX: u64 = 8;

impl Count {
    fn most(&self, size: Option<Size>) -> u64 {
        match self {
            Patches(most, hundredths) => {
                let patches = size.map_or(*most, |size| squares(size, 32).max(LOW_PATCHES));
                patches.min(*most).saturating_mul(*hundredths).div_ceil(100)
            }
            Tiles(base, tile) => base.saturating_add(tile.saturating_mul(tiles(size))),
        }
    }
}

/// The tiles of an image whose shorter side is made 768 pixels long, be it shorter or longer: two
/// rows, and what the longer side then needs.
fn tiles(size: Option<Size>) -> u64 {
    let Some((width, height)) = size else { return TILES_MAX };
    let (short, long) = (width.min(height), width.max(height));
    let columns = long.saturating_mul(768).div_ceil(short.saturating_mul(512).max(1));
    columns.saturating_mul(2).min(TILES_MAX)
}

/// The most tokens of one image for a model of Anthropic's.
#[must_use]
pub(crate) fn of_claude(_: &str, size: Option<Size>) -> Option<u64> {
    let Some((width, height)) = size else { return Some(CLAUDE) };
    let area = width.saturating_mul(height).div_ceil(750);
    Some(squares((width, height), 28).max(area).min(CLAUDE))
}

/// The most tokens of one image for a model of `OpenAI`'s: a family, or a dated snapshot of it.
#[must_use]
pub(crate) fn of_openai(model: &str, size: Option<Size>) -> Option<u64> {
    let is_dated = |rest: &str| rest.starts_with("-20");
    let of = |name: &str| model.strip_prefix(name).is_some_and(|r| r.is_empty() || is_dated(r));
    OPENAI.iter().find(|(name, _)| of(name)).map(|(_, count)| count.most(size))
}

/// The most tokens of one image for a model of Bedrock's.
#[must_use]
pub(crate) fn of_bedrock(model: &str, size: Option<Size>) -> Option<u64> {
    if model.contains("anthropic.claude") { of_claude(model, size) } else { None }
}

/// Gemini's pages call their figures approximate: an eighth more.
///
/// Gemini 3: 2,240 at the highest resolution, whatever the pixels (ai.google.dev/gemini-api/docs/
/// media-resolution, read 2026-09). Gemini 2: 258 a tile, whose side is two thirds of the shorter
/// side and 768 at most (…/docs/tokens, …/docs/image-understanding), or 2,304 by the other page
/// (…/media-resolution); the more of them, so a size must be known.
#[must_use]
pub(crate) fn of_gemini(model: &str, size: Option<Size>) -> Option<u64> {
    if model.starts_with("gemini-3") {
        return Some(2_520);
    }
    let (width, height) = size.filter(|_| model.starts_with("gemini-2"))?;
    let side = (width.min(height).saturating_mul(2) / 3).clamp(1, 768);
    let tokens = squares((width, height), side).saturating_mul(258).max(2_304);
    Some(tokens.saturating_add(tokens.div_ceil(8)))
}

/// Of providers that state no maximum.
#[must_use]
pub(crate) const fn unstated(_: &str, _: Option<Size>) -> Option<u64> {
    None
}

/// For formats that have no word for how closely an image is looked at.
pub fn without_detail(field: &str, part: &Value) -> Result<(), Error> {
    match part.pointer("/image_url/detail").and_then(Value::as_str) {
        None | Some("auto") => Ok(()),
        Some(_) => {
            let rule = "has no counterpart in the API of this model: leave it out, or send auto";
            Err(Error::malformed(format!("{field}.image_url.detail"), rule))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_png(width: u32, height: u32) -> Vec<u8> {
        let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
        [b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR", &*sides, &[8, 6, 0, 0, 0]].concat()
    }

    /// With notes of a camera and tables before the frame.
    fn of_jpeg(width: u16, height: u16, notes: u16) -> Vec<u8> {
        let length = (notes + 2).to_be_bytes();
        let notes = [&[0xFF, 0xE1][..], &length, &vec![0xFF; notes.into()]];
        let table = [0xFF, 0xC4, 0, 4, 1, 2];
        let sides = [height.to_be_bytes(), width.to_be_bytes()].concat();
        let frame = [&[0xFF, 0xC2, 0, 17, 8], &*sides, &[3; 10]].concat();
        [&[0xFF, 0xD8], &*notes.concat(), &table, &frame, &[0xFF, 0xDA]].concat()
    }

    fn of_webp(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [b"RIFF\x24\0\0\0WEBP", &kind[..], &[10, 0, 0, 0], body].concat()
    }

    fn read(bytes: &[u8]) -> Option<Size> {
        size(&STANDARD.encode(bytes))
    }

    #[test]
    fn a_size_is_read_from_each_kind_of_header() {
        assert_eq!(read(&of_png(70_000, 3)), Some((70_000, 3)));
        assert_eq!(read(&of_jpeg(239, 178, 0)), Some((239, 178)));
        assert_eq!(read(&of_jpeg(4_032, 3_024, 60_000)), Some((4_032, 3_024)));
        let extended = [0x10, 0, 0, 0, 0xFF, 0x0F, 0, 2, 1, 0];
        assert_eq!(read(&of_webp(b"VP8X", &extended)), Some((4_096, 259)));
        let lossless = [0x2F, 0x1D, 0xC0, 0x01, 0x10, 0];
        assert_eq!(read(&of_webp(b"VP8L", &lossless)), Some((30, 8)));
        let lossy = [0, 0, 0, 0x9D, 1, 0x2A, 0x20, 0x43, 0xE0, 1];
        assert_eq!(read(&of_webp(b"VP8 ", &lossy)), Some((800, 480)));
    }

    #[test]
    fn what_is_not_understood_has_no_size() {
        let moving = [0x12, 0, 0, 0, 0xFF, 0x0F, 0, 2, 1, 0];
        for bytes in [
            of_png(0, 5),
            of_jpeg(5, 0, 0),
            of_webp(b"VP8X", &moving),
            b"GIF89a\x05\0\x05\0\0\0\0 and its frames".to_vec(),
            b"%PDF-1.7 and the rest of it".to_vec(),
            [&[0xFF, 0xD8, 0xFF, 0xDA], &[0; 40][..]].concat(),
            [&[0xFF, 0xD8, 0xFF, 0xE0, 0, 1], &[0; 40][..]].concat(),
        ] {
            assert_eq!(read(&bytes), None, "{bytes:?}");
        }
        // Its notes are longer than is looked for.
        let segment = [&[0xFF, 0xE2, 0xFF, 0xFF], &[0; 65_533][..]].concat();
        let tail = of_jpeg(9, 9, 0);
        let far = [&[0xFF, 0xD8], &*segment.repeat(4), &tail[2..]].concat();
        assert_eq!(read(&far), None);
        for data in ["", "AA", "é", "iVBO Rw0K", "!!!!", "iVBORw0KGgo-_-_-"] {
            assert_eq!(size(data), None, "{data}");
        }
    }

    /// Cut anywhere, or with any byte changed, it is read or it is not: nothing else.
    #[test]
    fn a_hostile_header_is_no_more_than_not_understood() {
        let lossless = [0x2F, 0x1D, 0xC0, 0x01, 0x10, 0];
        for whole in [of_png(9, 9), of_jpeg(9, 9, 5), of_webp(b"VP8L", &lossless)] {
            for at in 0..whole.len() {
                let cut = read(&whole[..at]);
                assert!(cut.is_none() || cut == read(&whole), "{at}");
                for byte in 0..=u8::MAX {
                    let mut odd = whole.clone();
                    odd[at] = byte;
                    let size = read(&odd);
                    assert!(size.is_none_or(|(width, height)| width > 0 && height > 0));
                }
            }
        }
    }

    #[test]
    fn images_count_as_the_pages_examples_do() {
        for (model, size, tokens) in [
            // The examples of OpenAI's page.
            ("gpt-4o", (1_024, 1_024), 765),
            ("gpt-4o", (2_048, 4_096), 1_105),
            ("gpt-4.1-mini", (1_024, 1_024), 1_659),
            ("gpt-5.5", (1_024, 1_024), 1_024),
            ("gpt-5.4-mini", (10_000, 10_000), 2_489),
            ("gpt-5.5", (10_000, 10_000), 10_000),
        ] {
            assert_eq!(of_openai(model, Some(size)), Some(tokens), "{model} {size:?}");
        }
        // Recorded: 81 tokens with a question of 18.
        assert_eq!(of_claude("", Some((239, 178))), Some(63));
        assert_eq!(of_claude("", Some((8_000, 8_000))), Some(4_784));
        assert_eq!(of_gemini("gemini-3-pro", Some((9_000, 9_000))), Some(2_520));
        // The example of Google's page: 6 tiles; the other page says more.
        assert_eq!(of_gemini("gemini-2.5-flash", Some((960, 540))), Some(2_304 + 288));
        assert_eq!(of_gemini("gemini-2.5-flash", Some((7_680, 7_680))), Some(25_800 + 3_225));
        assert_eq!(of_gemini("gemini-2.5-flash", None), None);
    }

    /// Down to at most so many pixels on a side, both kept above zero.
    fn within(size: Size, side: u64) -> Size {
        let long = size.0.max(size.1);
        let scaled = |length: u64| (length * side.min(long) / long).max(1);
        (scaled(size.0), scaled(size.1))
    }

    /// The tiles of `OpenAI`'s page, with images that are small left as they are.
    fn tiles_of_small(size: Size) -> u64 {
        let (width, height) = within(size, 2_048);
        let short = width.min(height);
        let scaled = |length: u64| length * 768.min(short) / short;
        squares((scaled(width), scaled(height)), 512)
    }

    #[test]
    fn no_size_counts_below_its_providers_rule_or_above_its_maximum() {
        let sides = [1, 2, 27, 28, 29, 64, 255, 384, 385, 512, 513, 767, 768, 769, 1_000, 1_568];
        let sides: Vec<u64> = sides.into_iter().chain((1_700..9_000).step_by(613)).collect();
        for size in sides.iter().flat_map(|w| sides.iter().map(|h| (*w, *h))) {
            let claude = of_claude("", Some(size)).unwrap();
            for longest in [1_568, 2_576] {
                let scaled = within(size, longest);
                let area = scaled.0 * scaled.1 / 750;
                assert!(claude >= squares(scaled, 28).max(area).min(CLAUDE), "{size:?}");
            }
            for (model, count) in OPENAI {
                let most = of_openai(model, None).unwrap();
                let held = of_openai(model, Some(size)).unwrap();
                let rule = match count {
                    Patches(most, factor) => (squares(size, 32).min(*most) * factor).div_ceil(100),
                    Tiles(base, tile) => base + tile * tiles_of_small(size),
                };
                assert!((rule..=most).contains(&held), "{model} {size:?}: {held} of {rule}");
            }
            let gemini = of_gemini("gemini-2.5-flash", Some(size)).unwrap();
            let two_thirds = (size.0.min(size.1) * 2 / 3).max(1);
            for side in [768, two_thirds.min(768)] {
                assert!(gemini >= squares(size, side) * 258, "{size:?}");
            }
        }
    }

    #[test]
    fn a_family_and_its_snapshots_have_a_maximum_and_no_other_model() {
        for (model, most) in [
            ("gpt-4o", Some(1_445)),
            ("gpt-4o-2024-08-06", Some(1_445)),
            ("gpt-4o-mini", Some(48_169)),
            ("gpt-4.1-mini", Some(2_489)),
            ("gpt-5", Some(1_190)),
            ("gpt-5-nano-2025-08-07", Some(3_779)),
            ("gpt-5.5", Some(10_000)),
            ("o3", Some(1_275)),
            ("o4-mini", Some(2_642)),
            ("gpt-5.1", None),
            ("gpt-4o-audio-preview", None),
            ("gpt-7", None),
        ] {
            assert_eq!(of_openai(model, None), most, "{model}");
        }
        assert_eq!(of_bedrock("us.amazon.nova-2-lite-v1:0", Some((9, 9))), None);
    }

    #[test]
    fn an_image_counts_its_size_and_not_its_bytes() {
        let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
        let with = |parts: Value| vec![json!({"role": "user", "content": parts})];
        let data = STANDARD.encode(of_png(280, 56));
        let inline = format!("data:image/png;base64,{data}");

        let two = with(json!([{"type": "text", "text": "x"}, image(&inline), image("https://x")]));
        let file = with(json!([image("https://x"), {"type": "file", "file": {}}]));

        let found = of_messages(&two).unwrap();
        let bytes = u64::try_from(data.len()).unwrap();
        assert_eq!(together(of_claude, "", &found), Some((21 + CLAUDE, bytes)));
        assert_eq!(together(unstated, "", &found), None);
        assert_eq!(together(unstated, "", &[]), Some((0, 0)));
        assert_eq!(of_messages(&file), None);
    }
}
