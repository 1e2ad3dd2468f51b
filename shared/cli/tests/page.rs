//! `docs/cli.md` says of every command what `--help` says.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// What stands before the part of the page that is made.
const MARK: &str = "<!-- Made from --help by shared/cli/tests/page.rs; not written by hand. -->\n";

fn help(words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farebox"));
    command.args(words).arg("--help").env_clear().env("COLUMNS", "100");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{words:?}: {text}");
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// The names under `Commands:`.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| line.starts_with("  "));
    let names = lines.filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

fn write(page: &mut String, words: &[&str]) {
    let help = help(words);
    let title = format!("farebox {}", words.join(" "));
    write!(page, "\n### {}\n\n```text\n{}\n```\n", title.trim(), help.trim()).unwrap();
    for name in commands(&help) {
        write(page, &[words, &[name.as_str()]].concat());
    }
}

#[test]
fn the_page_of_the_command_is_made_from_its_help() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let kept = std::fs::read_to_string(&path).unwrap();
    let (hand, made) = kept.split_once(MARK).unwrap();
    let mut page = String::new();
    write(&mut page, &[]);

    if made != page {
        let other = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli.md");
        std::fs::write(&other, format!("{hand}{MARK}{page}")).unwrap();
        panic!("the help has changed: cp {} {}", other.display(), path.display());
    }
}
