//! The console: a page, its program and its style, in this binary. They ask the admin API with the
//! key that is typed into the page, or with the cookie of who has signed in, and nothing else.

use farebox_core::Error;
use lambda_http::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};

use crate::call::Call;
use crate::reply::{Answer, Refusal};

mod lean;

use lean::sent;

include!(concat!(env!("OUT_DIR"), "/packed.rs"));

/// Where the page is. It carries nothing, so it needs no key.
pub const PATH: &str = "/admin/console";

/// What the page may do: run the program and style that stand beside it, and ask its own origin.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Every file: what follows the page's path, its type, its content. The charts are uPlot 1.6.32 as
/// it was released (MIT, `console/vendor/uplot.LICENSE`).
const FILES: [(&str, &str, &str); 13] = [
    ("", HTML, include_str!("../console/index.html")),
    ("/app.js", JS, include_str!("../console/app.js")),
    ("/parts.js", JS, include_str!("../console/parts.js")),
    ("/forms.js", JS, include_str!("../console/forms.js")),
    ("/overview.js", JS, include_str!("../console/overview.js")),
    ("/budgets.js", JS, include_str!("../console/budgets.js")),
    ("/calls.js", JS, include_str!("../console/calls.js")),
    ("/people.js", JS, include_str!("../console/people.js")),
    ("/keys.js", JS, include_str!("../console/keys.js")),
    ("/prices.js", JS, include_str!("../console/prices.js")),
    ("/style.css", CSS, include_str!("../console/style.css")),
    ("/uplot.js", JS, include_str!("../console/vendor/uplot.js")),
    ("/uplot.css", CSS, include_str!("../console/vendor/uplot.css")),
];

/// A page of the console that is not one of its files.
pub fn page(status: u16, text: String) -> Answer {
    Answer::page(status, text, HTML, POLICY)
}

/// The console's answer, where the path is one of its files.
pub fn answer(call: &Call) -> Option<Result<Answer, Refusal>> {
    let file = call.path().strip_prefix(PATH)?;
    let (name, kind, content) = FILES.iter().find(|(name, ..)| *name == file)?;
    if call.method() == "GET" {
        let vary = (VARY, ACCEPT_ENCODING.as_str().to_owned());
        let answer = match packed(call, name) {
            Some(bytes) => {
                Answer::packed(bytes, kind, POLICY).with_header(CONTENT_ENCODING, "gzip".to_owned())
            }
            None => Answer::file(sent(name, content), kind, POLICY),
        };
        return Some(Ok(answer.with_header(vary.0, vary.1)));
    }
    let (path, allowed) = (call.path().to_owned(), "GET".to_owned());
    Some(Err(Error::MethodNotAllowed { path, allowed }.into()))
}

/// The file by gzip, where the browser takes that: every one does.
fn packed(call: &Call, name: &str) -> Option<&'static [u8]> {
    let takes = call.header(ACCEPT_ENCODING)?.split(',').any(|coding| coding.trim() == "gzip");
    let found = PACKED.iter().find(|(packed, _)| *packed == name);
    found.filter(|_| takes).map(|(_, bytes)| *bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// All of it together over the wire, as a browser takes it; half of what was promised.
    const WIRE_BYTES_MAX: usize = 75_000;
    /// The same as a browser reads it.
    const BYTES_MAX: usize = 200_000;

    #[test]
    fn a_browser_gets_each_file_packed_and_whoever_does_not_unpack_gets_it_plain() {
        for (name, _, content) in FILES {
            let ask = Call::of("GET", &format!("{PATH}{name}"), "");
            let sent = sent(name, content);
            for (coding, is_packed) in [
                ("gzip, deflate, br, zstd", true),
                ("br,gzip", true),
                ("br, gzip;q=0", false),
                ("", false),
            ] {
                let ask = if coding.is_empty() {
                    ask.clone()
                } else {
                    ask.clone().with_header("accept-encoding", coding)
                };
                let response = answer(&ask).unwrap().unwrap().into_response();
                assert_eq!(response.headers()["vary"], "accept-encoding");
                assert_eq!(response.headers().contains_key("content-encoding"), is_packed);
                let body = response.into_body();
                let mut text = String::new();
                if is_packed {
                    GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
                } else {
                    text.push_str(core::str::from_utf8(&body).unwrap());
                }
                assert!(text == sent, "{name} {coding}");
            }
        }
        assert_eq!(PACKED.len(), FILES.len());
    }

    #[test]
    fn what_is_sent_has_every_line_of_the_source_and_no_comment() {
        let source = "/** Why,\n * at length. */\nfunction f() {\n  // Why.\n  g(\"//\");\n}\n";

        assert_eq!(sent("/app.js", source), "\n\nfunction f() {\n\ng(\"//\");\n}\n");
        for (name, _, content) in FILES {
            assert_eq!(sent(name, content).lines().count(), content.lines().count(), "{name}");
            // A text over several lines would lose its indentation.
            let is_ours = !name.contains("uplot");
            let is_open = |line: &&str| line.matches('`').count() % 2 == 1;
            assert!(!is_ours || !content.lines().any(|line| is_open(&line)), "{name}");
        }
    }

    #[test]
    fn every_provider_is_offered_by_name() {
        for provider in farebox_providers::PROVIDERS.iter().filter(|one| !one.name.is_empty()) {
            let (_, _, program) = FILES.iter().find(|(name, ..)| *name == "/prices.js").unwrap();
            assert!(program.contains(&format!("\"{}\"", provider.name)), "{}", provider.name);
        }
    }

    #[test]
    fn the_console_is_small_and_uses_nothing_from_elsewhere() {
        let bytes: usize = FILES.iter().map(|(name, _, content)| sent(name, content).len()).sum();
        assert!(bytes < BYTES_MAX, "{bytes}");
        let bytes: usize = PACKED.iter().map(|(_, packed)| packed.len()).sum();
        assert!(bytes < WIRE_BYTES_MAX, "{bytes}");
        for (name, _, content) in FILES.iter().filter(|(name, ..)| !name.contains("uplot")) {
            for elsewhere in ["http://", "https://", "//cdn", "@import"] {
                assert!(!content.contains(elsewhere), "{name}: {elsewhere}");
            }
        }
    }

    #[test]
    fn nothing_in_it_needs_a_weaker_policy() {
        let programs = FILES.iter().filter(|(name, kind, _)| *kind == JS && *name != "/uplot.js");
        let program: String = programs.map(|(.., content)| *content).collect();
        let page = FILES[0].2;
        for inline in ["<style", "style=", "onclick=", "javascript:", "<script>"] {
            assert!(!page.contains(inline), "{inline}");
        }
        // Text from the API is never read as HTML, and the key is kept nowhere.
        for way in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "eval(",
            "localStorage",
            "sessionStorage",
            "document.cookie",
        ] {
            assert!(!program.contains(way), "{way}");
        }
    }

    #[test]
    fn every_file_that_the_page_names_is_served() {
        let page = FILES[0].2;
        for (name, ..) in FILES.iter().skip(1) {
            assert!(page.contains(&format!("\"console{name}\"")), "{name}");
        }
        assert_eq!(page.matches("\"console/").count(), FILES.len() - 1);
    }
}
