//! A change names the version that it is based on, and a stale one shows what is there now.

use farebox_aws::control::Expected;
use farebox_core::Error;
use lambda_http::http::header::{IF_MATCH, IF_NONE_MATCH};
use serde_json::Value;

use crate::call::Call;
use crate::owners::absent;
use crate::reply::{Answer, Refusal};
use crate::{Gate, ROUTES, Route};

/// The tag of what nobody has made yet.
const ABSENT: &str = "\"0\"";

/// What the path of a change shows.
pub(crate) enum Now {
    /// The path shows nothing: its change is an action, which has no version.
    Nothing,
    /// Nobody has made it yet.
    Absent,
    /// This.
    There(Box<Answer>),
}

impl Now {
    /// As the audit tells it.
    pub fn shown(&self) -> Value {
        match self {
            Self::Nothing | Self::Absent => Value::Null,
            Self::There(answer) => answer.shown(),
        }
    }

    fn tag(&self) -> &str {
        match self {
            Self::Nothing | Self::Absent => ABSENT,
            Self::There(answer) => answer.version().unwrap_or(ABSENT),
        }
    }
}

/// What the path of a change shows; of a key's rotation, what the path of the key does.
///
/// # Errors
/// What is wrong with the path, or why it cannot be read.
pub(crate) async fn look(gate: &Gate, route: &Route, call: &Call) -> Result<Now, Refusal> {
    let Some(shows) = thing(route).and_then(shows) else { return Ok(Now::Nothing) };
    match (shows.handler)(gate, call).await {
        Ok(answer) => Ok(Now::There(Box::new(answer))),
        Err(refusal) if matches!(refusal.error(), Error::NotFound { .. }) => Ok(Now::Absent),
        Err(refusal) => Err(refusal),
    }
}

/// The version that a change is based on.
///
/// # Errors
/// [`Error::VersionRequired`], [`Error::StaleVersion`], or [`Error::NotFound`] for a deletion of
/// nothing.
pub(crate) fn expected(call: &Call, now: &Now) -> Result<Option<Expected>, Refusal> {
    match now {
        Now::Nothing => return Ok(None),
        Now::Absent if call.method() != "PUT" => return Err(absent(call).into()),
        Now::Absent | Now::There(_) => {}
    }
    let sent = |name| call.header(name).map(str::trim).filter(|tag| !tag.is_empty());
    let tag = match (sent(IF_MATCH), sent(IF_NONE_MATCH)) {
        (Some(tag), None) => tag,
        (None, Some("*")) => ABSENT,
        (None, None) => {
            let thing = call.path().to_owned();
            return Err(Error::VersionRequired { thing }.into());
        }
        _ => {
            let rule = "takes only *, alone: it makes what is not there yet";
            return Err(Error::malformed("If-None-Match", rule).into());
        }
    };
    if tag == "*" {
        return Ok(Some(Expected::Any));
    }
    let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let is_plain = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    let version = version.filter(is_plain).and_then(|version| version.parse().ok());
    let rule = "send the ETag as it was given, with its quotes, or *";
    let version = version.ok_or_else(|| Error::malformed("If-Match", rule))?;
    // A repeat of a rotation names the version from before it: its write judges.
    let is_judged_later = call.method() == "POST";
    if is_judged_later || tag == now.tag() {
        Ok(Some(Expected::Version(version)))
    } else {
        Err(stale(call, now))
    }
}

/// The refusal of a change that was based on another version than is there now.
pub(crate) fn stale(call: &Call, now: &Now) -> Refusal {
    // Who takes whatever is there has met nothing that a change could be made to.
    let is_absent = matches!(now, Now::Absent);
    if is_absent && (call.method() != "PUT" || call.expected() == Expected::Any) {
        return absent(call).into();
    }
    let (thing, version) = (call.path().to_owned(), now.tag().to_owned());
    Refusal::with_current(Error::StaleVersion { thing, version }, now.shown())
}

/// The path of the thing that a route changes, where it has a version.
fn thing(route: &Route) -> Option<&'static str> {
    match route.method {
        "PUT" | "DELETE" => Some(route.path),
        "POST" => route.path.strip_suffix("/rotate").filter(|path| path.ends_with("/keys/{id}")),
        _ => None,
    }
}

fn shows(path: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|other| other.method == "GET" && other.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(version: u64) -> Now {
        let shown = serde_json::json!({"version": version.to_string()});
        Now::There(Box::new(Answer::thing(&shown).unwrap_or_else(|_| panic!("JSON"))))
    }

    fn status(call: &Call, now: &Now) -> Result<Option<Expected>, u16> {
        expected(call, now).map_err(|refusal| refusal.error().row().status)
    }

    #[test]
    fn a_change_names_the_version_that_it_is_based_on() {
        let put = Call::of("PUT", "/", "{}");
        let with = |name, tag| status(&put.clone().with_header(name, tag), &there(17));

        assert_eq!(status(&put, &there(17)), Err(428));
        assert_eq!(with("if-match", "\"17\""), Ok(Some(Expected::Version(17))));
        assert_eq!(with("if-match", "*"), Ok(Some(Expected::Any)));
        assert_eq!(with("if-match", "\"16\""), Err(412));
        assert_eq!(with("if-none-match", "*"), Err(412));
        for tag in ["17", "W/\"17\"", "\"x\"", "\"1\", \"2\"", "\"+17\"", "\"\""] {
            assert_eq!(with("if-match", tag), Err(400), "{tag}");
        }
        assert_eq!(with("if-none-match", "\"17\""), Err(400));
    }

    #[test]
    fn a_rotation_needs_a_version_and_its_write_judges_it() {
        let post = Call::of("POST", "/", "{}");

        assert_eq!(status(&post, &there(17)), Err(428));
        for version in [16, 17] {
            let post = post.clone().with_header("if-match", &format!("\"{version}\""));
            assert_eq!(status(&post, &there(17)), Ok(Some(Expected::Version(version))));
        }
    }

    #[test]
    fn what_is_not_there_is_made_and_not_deleted() {
        let of = |method, name, tag| Call::of(method, "/", "{}").with_header(name, tag);

        for (name, tag) in [("if-match", "\"0\""), ("if-none-match", "*")] {
            let made = status(&of("PUT", name, tag), &Now::Absent);
            assert_eq!(made, Ok(Some(Expected::Version(0))));
        }
        assert_eq!(status(&of("PUT", "if-match", "\"17\""), &Now::Absent), Err(412));
        for method in ["DELETE", "POST"] {
            assert_eq!(status(&of(method, "if-match", "*"), &Now::Absent), Err(404));
        }
    }

    #[test]
    fn a_stale_change_is_shown_what_is_there() {
        let refusal = stale(&Call::of("PUT", "/", "{}"), &there(17));

        let response = refusal.into_response();
        assert_eq!(response.status().as_u16(), 412);
        assert_eq!(response.headers()["etag"], "\"17\"");
    }

    #[test]
    fn every_change_of_a_thing_has_a_path_that_shows_it() {
        // An erasure is an action: what it erases has no version.
        let actions = ["/admin/v1/users/{id}/content"];
        for route in ROUTES {
            let Some(path) = thing(route) else { continue };
            assert_ne!(shows(path).is_some(), actions.contains(&path), "{}", route.path);
        }
    }
}
