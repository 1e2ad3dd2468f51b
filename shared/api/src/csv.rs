//! Lines of CSV (RFC 4180) that a spreadsheet opens and does not run.

/// Lines as CSV, without a line feed at the end. A text that a spreadsheet would take for a
/// formula is kept one: names come from callers.
#[must_use]
pub fn csv(lines: &[Vec<String>]) -> String {
    let line = |cells: &Vec<String>| {
        let cells: Vec<_> = cells.iter().map(|cell| quoted(&plain(cell))).collect();
        cells.join(",")
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// A cell that no spreadsheet runs; numbers stay numbers.
fn plain(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '@', '\t', '\r'])
        || cell.strip_prefix('-').is_some_and(|rest| !rest.is_empty() && !is_number(rest));
    if is_formula { format!("'{cell}") } else { cell.to_owned() }
}

fn is_number(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        None => is_digits(text),
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_is_no_formula() {
        for (cell, expected) in [
            ("search", "search"),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=cmd()", "'=cmd()"),
            ("-2+3", "'-2+3"),
            ("-1.2.3", "'-1.2.3"),
            ("-0.5", "-0.5"),
            ("-", "-"),
            ("+1", "'+1"),
            ("", ""),
        ] {
            assert_eq!(csv(&[vec![cell.to_owned()]]), expected, "{cell}");
        }
        let lines = [vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned(), "d".to_owned()]];
        assert_eq!(csv(&lines), "a,b\nc,d");
    }
}
