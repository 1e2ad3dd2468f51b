//! What an image can come to, where its provider says so: tighter than the context window.
//!
//! A document's pages and text are compressed inside the file, and seconds of audio hang on its
//! codec: both are bounded by the window. So is an image of a provider or model that is not here.

use farebox_core::Media;
use serde_json::Value;

/// Anthropic: `⌈w/28⌉ × ⌈h/28⌉` tokens once scaled down, at most 4,784 on 4.7 and later and 1,568
/// before (platform.claude.com/docs, build-with-claude/vision, read 2026-08). The larger for all.
const CLAUDE: u64 = 4_784;

/// `OpenAI` (developers.openai.com/api/docs/guides/images-vision#calculating-costs, read 2026-06…
/// 11), the dearest `detail` of each family. Patch models: patches times the family's factor, at
/// most 10,000 where `original` is served; tile models: base and eight tiles.
const OPENAI: &[(&str, u64)] = &[
    ("gpt-4o", 1_445),
    ("gpt-4o-mini", 48_169),
    ("gpt-4.1", 1_445),
    ("gpt-4.1-mini", 2_489),
    ("gpt-4.1-nano", 3_779),
    ("gpt-5", 1_190),
    ("gpt-5-mini", 2_489),
    ("gpt-5-nano", 3_779),
    ("gpt-5.2", 1_536),
    ("gpt-5.3-codex", 1_536),
    ("gpt-5.4", 10_000),
    ("gpt-5.4-mini", 2_489),
    ("gpt-5.4-nano", 3_779),
    ("gpt-5.5", 10_000),
    ("o1", 1_275),
    ("o3", 1_275),
    ("o4-mini", 2_642),
];

/// The most tokens of one image for a model of Anthropic's.
#[must_use]
pub(crate) fn of_claude(_: &str) -> Option<u64> {
    Some(CLAUDE)
}

/// The most tokens of one image for a model of `OpenAI`'s: a family, or a dated snapshot of it.
#[must_use]
pub(crate) fn of_openai(model: &str) -> Option<u64> {
    let is_dated = |rest: &str| rest.starts_with("-20");
    let of = |name: &str| model.strip_prefix(name).is_some_and(|r| r.is_empty() || is_dated(r));
    OPENAI.iter().find(|(name, _)| of(name)).map(|(_, most)| *most)
}

/// The most tokens of one image for a model of Bedrock's.
#[must_use]
pub(crate) fn of_bedrock(model: &str) -> Option<u64> {
    model.contains("anthropic.claude").then_some(CLAUDE)
}

/// Gemini 3: 2,240 at the highest resolution, whatever the pixels (ai.google.dev/gemini-api/docs/
/// media-resolution, read 2026-09), which the page calls approximate: an eighth more. Before it the
/// tokens grow with the pixels.
#[must_use]
pub(crate) fn of_gemini(model: &str) -> Option<u64> {
    model.starts_with("gemini-3").then_some(2_520)
}

/// Of providers that state no maximum.
#[must_use]
pub(crate) const fn unstated(_: &str) -> Option<u64> {
    None
}

/// What the messages carry beside text, counted: `None` where something in it has no maximum of its
/// own. `body_bytes` are those of the whole request, of which inline images are taken off.
pub(crate) fn bounded(
    each: Option<u64>,
    messages: &[Value],
    media: Media,
    body_bytes: u64,
) -> Option<u64> {
    let each = each.filter(|_| !media.audio)?;
    let parts = messages.iter().filter_map(|message| message.get("content")?.as_array()).flatten();
    let (mut tokens, mut inline) = (0_u64, 0_u64);
    for part in parts {
        match part.get("type").and_then(Value::as_str) {
            Some("image_url") => {
                let url = part.pointer("/image_url/url").and_then(Value::as_str)?;
                let data = url.strip_prefix("data:").map_or(0, str::len);
                inline = inline.saturating_add(u64::try_from(data).unwrap_or_default());
                tokens = tokens.saturating_add(each);
            }
            Some("file") => return None,
            _ => {}
        }
    }
    Some(body_bytes.saturating_sub(inline).saturating_add(tokens))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_family_and_its_snapshots_have_a_maximum_and_no_other_model() {
        for (model, most) in [
            ("gpt-4o", Some(1_445)),
            ("gpt-4o-2024-08-06", Some(1_445)),
            ("gpt-4o-mini", Some(48_169)),
            ("gpt-5-mini-2025-08-07", Some(2_489)),
            ("gpt-5.5", Some(10_000)),
            ("gpt-5.1", None),
            ("gpt-4o-audio-preview", None),
            ("gpt-7", None),
        ] {
            assert_eq!(of_openai(model), most, "{model}");
        }
        assert_eq!(of_bedrock("us.amazon.nova-2-lite-v1:0"), None);
    }

    #[test]
    fn an_image_counts_its_maximum_and_not_its_bytes() {
        let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
        let with = |parts: Value| vec![json!({"role": "user", "content": parts})];
        let images = Media { images: true, audio: false };
        let inline = format!("data:image/png;base64,{}", "A".repeat(10_000));

        let two = with(json!([{"type": "text", "text": "x"}, image(&inline), image("https://x")]));
        let file = with(json!([image("https://x"), {"type": "file", "file": {}}]));

        // 10,100 bytes without the data behind `data:`.
        assert_eq!(bounded(Some(7), &two, images, 10_117), Some(10_117 - 10_017 + 14));
        assert_eq!(bounded(None, &two, images, 10_117), None);
        assert_eq!(bounded(Some(7), &file, images, 10_117), None);
        assert_eq!(bounded(Some(7), &two, Media { images: true, audio: true }, 10_117), None);
    }
}
