//! The two cookies of the console: of a sign-in under way, and of a session.

use lambda_http::http::header::COOKIE;

use crate::call::Call;

/// Of the sign-in, while the person is at the provider.
pub const SIGN_IN: &str = "farebox-sign-in";
/// Of the session.
pub const SESSION: &str = "farebox-session";

/// The cookie's value; `None` where there is none, or more than one, of which one is another's.
pub fn read<'call>(call: &'call Call, base: &str, name: &str) -> Option<&'call str> {
    let name = full_name(base, name);
    let mut found = call
        .all(COOKIE)
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value);
    found.next().filter(|value| !value.is_empty()).filter(|_| found.next().is_none())
}

/// Sets a cookie for so many seconds; 0 takes it away. The session's is sent from the console's
/// own pages alone; that of a sign-in must come along when the provider sends the person back.
pub fn set(base: &str, name: &str, value: &str, seconds: i64) -> String {
    let secure = if is_https(base) { "; Secure" } else { "" };
    let same_site = if name == SESSION { "Strict" } else { "Lax" };
    let name = full_name(base, name);
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly{secure}; SameSite={same_site}")
}

/// Browsers let nobody but the host itself, over https, set a cookie of this prefix; on this
/// machine without https they would not take it.
fn full_name(base: &str, name: &str) -> String {
    let prefix = if is_https(base) { "__Host-" } else { "" };
    format!("{prefix}{name}")
}

fn is_https(base: &str) -> bool {
    base.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://llm.example.com/prod";

    #[test]
    fn a_session_cookie_is_of_this_host_alone_and_hidden_from_programs() {
        assert_eq!(
            set(BASE, SESSION, "v", 60),
            "__Host-farebox-session=v; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Strict"
        );
        assert_eq!(
            set(BASE, SIGN_IN, "", 0),
            "__Host-farebox-sign-in=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
        );
        let local = set("http://127.0.0.1:4000", SESSION, "v", 60);
        assert!(local.starts_with("farebox-session=") && !local.contains("Secure"), "{local}");
    }

    #[test]
    fn a_cookie_is_found_among_others_and_never_one_of_two() {
        let call = |line: &str| Call::of("GET", "/", "").with_header("cookie", line);
        let read = |line: &str| read(&call(line), BASE, SESSION).map(str::to_owned);

        assert_eq!(read("a=b; __Host-farebox-session=v=; c=d").as_deref(), Some("v="));
        for other in [
            "farebox-session=v",
            "__Host-farebox-session=",
            "x__Host-farebox-session=v",
            "__Host-farebox-session=v; __Host-farebox-session=w",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
