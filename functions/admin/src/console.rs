//! The console: one static page that asks the admin API with the key that is typed into it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farebox_core::Error;
use sha2::{Digest, Sha256};

use crate::call::Call;
use crate::reply::{Answer, Refusal};

/// Where the page is. It carries nothing, so it needs no key.
pub const PATH: &str = "/admin/console";
const PAGE: &str = include_str!("../console/index.html");

/// `GET /admin/console`
pub fn page(call: &Call) -> Result<Answer, Refusal> {
    if call.method() == "GET" {
        return Ok(Answer::page(PAGE, policy()));
    }
    let (path, allowed) = (PATH.to_owned(), "GET".to_owned());
    Err(Error::MethodNotAllowed { path, allowed }.into())
}

/// What the page may do: run its own script and style, and ask its own origin.
fn policy() -> String {
    let (script, style) = (hash("script"), hash("style"));
    format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn hash(element: &str) -> String {
    let content = PAGE.split_once(&format!("<{element}>")).map_or("", |(_, rest)| rest);
    let content = content.split_once(&format!("</{element}>")).map_or("", |(content, _)| content);
    STANDARD.encode(Sha256::digest(content.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_uses_nothing_from_elsewhere() {
        assert!(!PAGE.contains("http://") && !PAGE.contains("https://") && !PAGE.contains("//cdn"));
        assert_eq!(PAGE.matches("<script>").count(), 1);
        assert_eq!(PAGE.matches("<style>").count(), 1);
        for inline in
            ["style=", "onclick=", "onsubmit=", "javascript:", "innerHTML", "localStorage"]
        {
            assert!(!PAGE.contains(inline), "{inline}");
        }
    }

    #[test]
    fn the_policy_names_the_pages_own_script() {
        let empty = STANDARD.encode(Sha256::digest(b""));

        assert!(policy().contains("script-src 'sha256-") && !policy().contains(&empty));
    }
}
