//! Secrets from standard input or a prompt that shows nothing.

use std::io::{IsTerminal, Read};

use crate::failure::Failure;

/// Longest secret that is read.
const SECRET_BYTES_MAX: u64 = 16 * 1024;

/// Reads a secret: the whole of standard input where it is a pipe or a file, else a prompt.
///
/// # Errors
/// A failure where nothing was given or it is no single line.
pub fn read(what: &str) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    let text = if stdin.is_terminal() {
        rpassword::prompt_password(format!("{what} (not shown): "))
    } else {
        let mut text = String::new();
        stdin.take(SECRET_BYTES_MAX).read_to_string(&mut text).map(|_| text)
    };
    let text = text.map_err(|error| {
        Failure::new(format!("{what} could not be read: {error}"), "pipe it in: … < key.txt")
    })?;
    one_line(what, &text)
}

fn one_line(what: &str, text: &str) -> Result<String, Failure> {
    let line = text.trim_matches(['\r', '\n', ' ', '\t']);
    let next = "paste it at the prompt, or pipe it in: printf %s \"$KEY\" | farebox …";
    if line.is_empty() {
        return Err(Failure::new(format!("{what} is empty"), next));
    }
    if line.chars().any(|c| c.is_control()) {
        return Err(Failure::new(format!("{what} has more than one line"), next));
    }
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_end_of_a_file_is_not_part_of_the_secret() {
        assert_eq!(one_line("key", "sk-1\r\n"), Ok("sk-1".to_owned()));
    }

    #[test]
    fn nothing_and_two_lines_are_no_secret() {
        assert!(one_line("key", "\n").is_err());
        assert!(one_line("key", "a\nb").is_err());
    }
}
