//! Tables and the two output streams.

use std::io::Write;

use serde_json::Value;

/// What a command has to say: the answer as it came, and the same for people.
pub struct Output {
    /// The answer.
    pub json: Value,
    /// For people.
    pub text: String,
    /// What was asked for was looked at, and is not as it must be: exit status 1.
    pub is_bad: bool,
}

impl Output {
    /// An answer and its text.
    pub fn new(json: Value, text: impl Into<String>) -> Self {
        Self { json, text: text.into(), is_bad: false }
    }

    /// The same of something that is not as it must be.
    pub fn bad(json: Value, text: impl Into<String>) -> Self {
        Self { is_bad: true, ..Self::new(json, text) }
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
    /// The least width of each column.
    least: Vec<usize>,
    /// Longest cell.
    longest: usize,
}

impl Table {
    /// An empty table. A column whose name ends in `USD` or `MS` is set to the right.
    pub fn new(head: &[&'static str]) -> Self {
        Self::with(head.iter().map(|name| (*name).to_owned()).collect())
    }

    /// The same, under a head that depends on what was asked for.
    pub fn with(head: Vec<String>) -> Self {
        let least = Vec::new();
        Self { head, rows: Vec::new(), right_from: usize::MAX, least, longest: CELL_CHARS_MAX }
    }

    /// The same, with the columns from one on set to the right.
    pub fn right_from(mut self, column: usize) -> Self {
        self.right_from = column;
        self
    }

    /// The same, in columns that are at least so wide.
    pub fn at_least(mut self, widths: &[usize]) -> Self {
        self.least = widths.to_vec();
        self
    }

    /// The same, with cells as long as they are.
    pub fn uncut(mut self) -> Self {
        self.longest = usize::MAX;
        self
    }

    /// How wide each column is.
    pub fn widths(&self) -> Vec<usize> {
        (0..self.head.len()).map(|column| self.width(column)).collect()
    }

    /// The head, whether or not there are rows.
    pub fn head(&self) -> String {
        let head: Vec<_> = self.head.iter().map(|name| blank(name)).collect();
        strong(&self.line(&head, &self.widths()))
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
        let mut lines = vec![self.head()];
        lines.extend(self.lines());
        lines.join("\n")
    }

    /// The lines without the head.
    pub fn lines(&self) -> Vec<String> {
        self.lines_under(&self.widths())
    }

    /// The lines under a head whose columns are so wide. A cell that is wider pushes its neighbours
    /// on until there is room for them in their places again.
    pub fn lines_under(&self, widths: &[usize]) -> Vec<String> {
        self.rows.iter().map(|row| self.line(row, widths)).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let (mut line, mut chars, mut place) = (String::new(), 0_usize, 0_usize);
        for (column, (name, width)) in self.head.iter().zip(widths).enumerate() {
            let cell = self.shown(row.get(column).map_or("", String::as_str));
            let long = cell.chars().count();
            let is_right = name.ends_with("USD") || name.ends_with("MS");
            let begins = match is_right || column >= self.right_from {
                true => place.saturating_add(*width).saturating_sub(long),
                false => place,
            };
            let space = begins.saturating_sub(chars).max(if column == 0 { 0 } else { GAP });
            line.push_str(&" ".repeat(space));
            line.push_str(&cell);
            chars = chars.saturating_add(space).saturating_add(long);
            place = place.saturating_add(*width).saturating_add(GAP);
        }
        line.trim_end().to_owned()
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let widths = cells.map(|cell| self.shown(cell).chars().count());
        let least = [self.head.get(column).map(|name| name.len()), self.least.get(column).copied()];
        widths.chain(least.into_iter().flatten()).max().unwrap_or_default()
    }

    fn shown(&self, cell: &str) -> String {
        if cell.is_empty() {
            return "-".to_owned();
        }
        let one_line = clean(cell).replace('\n', "?");
        let mut shown: String = one_line.chars().take(self.longest).collect();
        if cell.chars().count() > self.longest {
            shown.pop();
            shown.push('…');
        }
        shown
    }
}

/// Between two columns.
const GAP: usize = 2;

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
    fn lines_that_come_later_stand_under_the_head() {
        let mut table = Table::new(&["ID", "COST_USD", "NOTE"]).at_least(&[4, 6]);
        table.push(vec!["u1".to_owned(), "0.5".to_owned(), "x".to_owned()]);
        let widths = table.widths();
        let mut later = Table::new(&["ID", "COST_USD", "NOTE"]);
        for id in ["u2", "abcdef", "longer than all"] {
            later.push(vec![id.to_owned(), "0.25".to_owned(), "y".to_owned()]);
        }

        assert_eq!(
            [vec![table.head()], table.lines(), later.lines_under(&widths)].concat().join("\n"),
            "ID    COST_USD  NOTE\n\
             u1         0.5  x\n\
             u2        0.25  y\n\
             abcdef    0.25  y\n\
             longer than all  0.25  y"
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
