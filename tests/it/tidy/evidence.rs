//! What the documents claim to have tested names tests, campaigns and functions that are there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{assert_none, of_kind, read};

/// Each invariant of docs/money.md has a row in the table of docs/evidence.md, and each test that
/// a row names is there: `module::test`, in a file or module of that name.
#[test]
fn each_invariant_has_a_row_whose_tests_exist() {
    let money = read(Path::new("docs/money.md")).unwrap();
    let stated: BTreeSet<_> = money
        .lines()
        .filter_map(|line| line.strip_prefix("- **I")?.split_once(' '))
        .filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()))
        .map(|(number, _)| format!("I{number}"))
        .collect();
    assert_eq!(stated.len(), 14, "{stated:?}");
    let evidence = read(Path::new("docs/evidence.md")).unwrap();
    let rows = table(&evidence, "The invariants, broken");
    let named: BTreeSet<_> = rows.iter().map(|row| row[0].to_owned()).collect();
    assert_eq!(named, stated, "rows and invariants");
    assert!(rows.iter().all(|row| row.len() == 5), "{rows:?}");
    assert_none("tests of the table of invariants that nobody has", &lacking(&rows, 2));
}

/// Each promise of the wires names tests, and they are there.
#[test]
fn each_promise_of_the_wires_names_tests_that_exist() {
    let evidence = read(Path::new("docs/evidence.md")).unwrap();
    let rows = table(&evidence, "The promises of the wires");
    assert!(rows.len() >= 20 && rows.iter().all(|row| row.len() == 3), "{rows:?}");
    assert_none("tests of the table of promises that nobody has", &lacking(&rows, 1));
}

/// The cells of the rows of the table under a heading.
fn table<'d>(document: &'d str, heading: &str) -> Vec<Vec<&'d str>> {
    let (_, table) = document.split_once(&format!("\n## {heading}\n")).unwrap();
    table
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// The tests that a column names, `module::test` each, and no file or module of that name has.
fn lacking(rows: &[Vec<&str>], column: usize) -> Vec<String> {
    let sources = of_kind(&["rs"]);
    let mut lacking = Vec::new();
    for row in rows {
        let tests: Vec<_> = row[column].split('`').filter(|word| word.contains("::")).collect();
        assert!(!tests.is_empty(), "{} names no test", row[0]);
        for test in tests {
            let path: Vec<_> = test.split("::").filter(|part| *part != "tests").collect();
            let (module, name) = (path[path.len() - 2], path[path.len() - 1]);
            let is_there = |(file, text): &(PathBuf, String)| {
                let file = file.with_extension("").to_string_lossy().into_owned();
                file.split('/').any(|part| part == module) && text.contains(&format!("fn {name}("))
            };
            if !sources.iter().any(is_there) {
                lacking.push(format!("{}: {test}", row[0]));
            }
        }
    }
    lacking
}

/// The words of each `cargo COMMAND` that a document names in ticks, or as a line of a block.
fn commands(text: &str, command: &str) -> Vec<Vec<String>> {
    let ticked = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let blocks = text.lines().filter(|line| line.starts_with("cargo "));
    let of = |part: &str| {
        let (_, words) = part.split_once(command)?;
        let words = words.split_whitespace().take_while(|word| !word.starts_with('#'));
        Some(words.map(str::to_owned).collect())
    };
    ticked.chain(blocks).filter_map(of).collect()
}

/// Every test under a folder, as `path::of::its::file::its_name`.
fn tests_in(sources: &[(PathBuf, String)], is_in: impl Fn(&str) -> bool) -> Vec<String> {
    let mut tests = Vec::new();
    for (file, text) in sources {
        let path = file.with_extension("").to_string_lossy().replace('/', "::");
        if is_in(&path) {
            let functions = text.split("fn ").skip(1).filter_map(|rest| rest.split_once('('));
            tests.extend(functions.map(|(name, _)| format!("{path}::{name}")));
        }
    }
    tests
}

/// The tests that `cargo test` with these words runs, and the words that choose among them. The
/// black-box tests stand in `tests/it`, whichever crate builds them.
fn asked_for(
    words: &[String],
    manifests: &[(PathBuf, String)],
    sources: &[(PathBuf, String)],
) -> (Vec<String>, Vec<String>) {
    let (mut folder, mut target, mut chosen) = (String::new(), None, Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-p" => {
                let name = format!("name = \"{}\"\n", words.next().unwrap());
                let found = manifests.iter().find(|(_, text)| text.contains(&name));
                let found = found.and_then(|(file, _)| file.parent());
                let is_ours = found.map(|found| found.to_string_lossy().replace('/', "::"));
                folder = is_ours.unwrap_or_else(|| "no such crate".to_owned());
            }
            "--test" => target = words.next(),
            "--profile" => drop(words.next()),
            option if option.starts_with('-') => {}
            one => chosen.push(one.to_owned()),
        }
    }
    let of = |start: String| {
        tests_in(sources, |path| path == start || path.starts_with(&format!("{start}::")))
    };
    let tests = match target.map(String::as_str) {
        Some("it") => of("tests::it".to_owned()),
        // A target of one file or folder of its name; or the only one, in `main.rs`.
        Some(target) => Some(of(format!("{folder}::tests::{target}")))
            .filter(|tests| !tests.is_empty())
            .unwrap_or_else(|| of(format!("{folder}::tests"))),
        None => tests_in(sources, |path| path.starts_with(&folder)),
    };
    (tests, chosen)
}

/// A test that is renamed or moved leaves no command behind that runs nothing and passes.
#[test]
fn commands_of_the_documents_run_something() {
    let (manifests, sources) = (of_kind(&["toml"]), of_kind(&["rs"]));
    let prove = read(Path::new("tests/src/bin/prove/main.rs")).unwrap();
    let is_campaign = |word: &str| prove.contains(&format!("\"{word}\","));
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (document, text) in of_kind(&["md"]) {
        for words in commands(&text, "cargo test ") {
            let (tests, chosen) = asked_for(&words, &manifests, &sources);
            let runs = |word: &String| tests.iter().any(|test| test.contains(word));
            if tests.is_empty() || !chosen.iter().all(runs) {
                wrong.push(format!("{}: cargo test {}", document.display(), words.join(" ")));
            }
            seen += 1;
        }
        for words in commands(&text, "cargo prove ") {
            if !words.first().is_some_and(|word| word.split('|').all(is_campaign)) {
                wrong.push(format!("{}: cargo prove {}", document.display(), words.join(" ")));
            }
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen} commands");
    assert_none("commands that run nothing", &wrong);
}

/// Each mutant that may live is one of a file and a function that are there.
#[test]
fn mutants_that_may_live_are_of_functions_that_are_there() {
    let page = read(Path::new("docs/mutants.md")).unwrap();
    let rows: Vec<Vec<_>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('`').collect())
        .collect();
    assert!(!rows.is_empty());
    let is_stale = |row: &Vec<&str>| {
        let name = row[3].rsplit([' ', ':']).next().unwrap();
        let text = read(Path::new(row[1])).unwrap_or_default();
        !["(", "<"].iter().any(|end| text.contains(&format!("fn {name}{end}")))
    };
    let stale: Vec<_> =
        rows.iter().filter(|row| is_stale(row)).map(|row| row[3].to_owned()).collect();
    assert_none("docs/mutants.md names what is not there", &stale);
}
