//! Tables and the two output streams.

use std::io::Write;

use serde_json::Value;

/// What a command has to say: the answer as it came, and the same for people.
pub struct Output {
    /// The answer.
    pub json: Value,
    /// For people.
    pub text: String,
}

impl Output {
    /// An answer and its text.
    pub fn new(json: Value, text: impl Into<String>) -> Self {
        Self { json, text: text.into() }
    }

    /// What is printed.
    pub fn render(&self, as_json: bool) -> String {
        if as_json { format!("{:#}", self.json) } else { self.text.clone() }
    }
}

/// Rows under a head, in columns as wide as their widest cell.
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Columns from here on are set to the right.
    right_from: usize,
}

impl Table {
    /// An empty table. A column whose name ends in `USD` or `MS` is set to the right.
    pub fn new(head: &[&'static str]) -> Self {
        Self::with(head.iter().map(|name| (*name).to_owned()).collect())
    }

    /// The same, under a head that depends on what was asked for.
    pub fn with(head: Vec<String>) -> Self {
        Self { head, rows: Vec::new(), right_from: usize::MAX }
    }

    /// The same, with the columns from one on set to the right.
    pub fn right_from(mut self, column: usize) -> Self {
        self.right_from = column;
        self
    }

    /// One more row; an empty cell is shown as `-`.
    pub fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The lines with the head, or `none` where there is no row.
    pub fn with_head(&self) -> String {
        if self.rows.is_empty() {
            return "(none)".to_owned();
        }
        let head: Vec<_> = self.head.iter().map(|name| blank(name)).collect();
        let mut lines = vec![strong(&self.line(&head))];
        lines.extend(self.lines());
        lines.join("\n")
    }

    /// The lines without the head.
    pub fn lines(&self) -> Vec<String> {
        self.rows.iter().map(|row| self.line(row)).collect()
    }

    fn line(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (column, name) in self.head.iter().enumerate() {
            let cell = shown(row.get(column).map_or("", String::as_str));
            let width = self.width(column);
            let space = " ".repeat(width.saturating_sub(cell.chars().count()));
            if name.ends_with("USD") || name.ends_with("MS") || column >= self.right_from {
                line.push_str(&space);
                line.push_str(&cell);
            } else {
                line.push_str(&cell);
                line.push_str(&space);
            }
            line.push_str("  ");
        }
        line.trim_end().to_owned()
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let widths = cells.map(|cell| shown(cell).chars().count());
        widths.chain(self.head.get(column).map(|name| name.len())).max().unwrap_or_default()
    }
}

/// A column without a name.
fn blank(name: &str) -> String {
    if name.is_empty() { " ".to_owned() } else { name.to_owned() }
}

/// A line in bold where standard output is a terminal that shows it (and `NO_COLOR` is not set).
fn strong(line: &str) -> String {
    console::style(line).bold().to_string()
}

/// Longest cell; a user agent can be 256 characters.
const CELL_CHARS_MAX: usize = 48;

fn shown(cell: &str) -> String {
    if cell.is_empty() {
        return "-".to_owned();
    }
    let one_line = clean(cell).replace('\n', "?");
    let mut shown: String = one_line.chars().take(CELL_CHARS_MAX).collect();
    if cell.chars().count() > CELL_CHARS_MAX {
        shown.pop();
        shown.push('…');
    }
    shown
}

/// A text without control characters but line ends: a user agent in a log row must not drive
/// the operator's terminal.
pub fn clean(text: &str) -> String {
    let harmless = |c: char| if c.is_control() && c != '\n' { '?' } else { c };
    text.chars().map(harmless).collect()
}

/// An optional text as a cell.
pub fn cell(text: Option<&String>) -> String {
    text.cloned().unwrap_or_default()
}

/// Prints to standard output. A reader that went away (`| head`) is no error.
pub fn out(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints to standard error.
pub fn err(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_money_stands_right() {
        let mut table = Table::new(&["ID", "COST_USD", "NOTE"]);
        table.push(vec!["u1".to_owned(), "0.5".to_owned(), String::new()]);
        table.push(vec!["longer".to_owned(), "1234.25".to_owned(), "x".to_owned()]);

        assert_eq!(
            table.with_head(),
            "ID      COST_USD  NOTE\n\
             u1           0.5  -\n\
             longer   1234.25  x"
        );
    }

    #[test]
    fn an_empty_table_says_so() {
        assert_eq!(Table::new(&["ID"]).with_head(), "(none)");
    }

    #[test]
    fn a_cell_is_bounded_and_harmless() {
        let mut table = Table::new(&["AGENT"]);
        table.push(vec![format!("\u{1b}[31m{}", "a".repeat(300))]);

        let line = table.lines().pop().unwrap();

        assert!(line.chars().count() <= CELL_CHARS_MAX && line.ends_with('…'), "{line}");
        assert!(line.starts_with("?[31m"), "{line}");
    }
}
