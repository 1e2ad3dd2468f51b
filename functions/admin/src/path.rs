//! Paths and their patterns.

use farebox_core::Error;

/// What a path has where its pattern has names; `None` where the path does not fit.
pub(crate) fn parameters(
    pattern: &'static str,
    path: &str,
) -> Option<Result<Vec<(&'static str, String)>, Error>> {
    let mut found = Vec::new();
    let mut left = path.strip_prefix('/')?;
    let mut wanted = pattern.strip_prefix('/')?.split('/').peekable();
    while let Some(segment) = wanted.next() {
        let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
        if let Some(name) = name.and_then(|name| name.strip_suffix('+')) {
            let is_whole = !left.is_empty() && !left.split('/').any(str::is_empty);
            return is_whole.then(|| decoded(found, name, left));
        }
        let (value, rest) = match left.split_once('/') {
            Some((value, rest)) => (value, Some(rest)),
            None => (left, None),
        };
        match name {
            Some(_) if value.is_empty() => return None,
            Some(name) => match decoded(core::mem::take(&mut found), name, value) {
                Ok(more) => found = more,
                Err(error) => return Some(Err(error)),
            },
            None if value == segment => {}
            None => return None,
        }
        match (rest, wanted.peek()) {
            (Some(rest), Some(_)) => left = rest,
            (None, None) => return Some(Ok(found)),
            _ => return None,
        }
    }
    None
}

fn decoded(
    mut found: Vec<(&'static str, String)>,
    name: &'static str,
    value: &str,
) -> Result<Vec<(&'static str, String)>, Error> {
    let rule = "is not percent-encoded UTF-8";
    let text = percent_decoded(value).ok_or_else(|| Error::malformed(name, rule))?;
    found.push((name, text));
    Ok(found)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_not_utf8_is_refused() {
        let read = |path| parameters("/a/{id}", path);

        assert_eq!(read("/a/x%20y").unwrap().unwrap(), [("id", "x y".to_owned())]);
        assert!(read("/a/%ff").unwrap().is_err());
        assert!(read("/a/%4").unwrap().is_err());
        assert!(read("/a/").is_none() && read("/b/x").is_none() && read("/a").is_none());
    }
}
