//! What of a file is sent. Read by the build as well, which packs it.

use std::borrow::Cow;

/// A file as it is sent: ours without indentation and comments, which are for whoever reads the
/// source. Its lines keep their numbers.
pub fn sent<'file>(name: &str, content: &'file str) -> Cow<'file, str> {
    if name.starts_with("/uplot") {
        return content.into();
    }
    let mut lean = String::with_capacity(content.len());
    let mut is_comment = false;
    for line in content.lines().map(str::trim) {
        is_comment |= line.starts_with("/*");
        if !is_comment && !line.starts_with("//") {
            lean.push_str(line);
        }
        is_comment &= !line.ends_with("*/");
        lean.push('\n');
    }
    lean.into()
}
