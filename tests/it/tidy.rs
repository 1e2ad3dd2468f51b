//! The house rules that a machine can check (ARCHITECTURE.md, CONTRIBUTING.md).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

mod evidence;

/// No file of code is longer: who adds a subject adds a file.
const FILE_LINES_MAX: usize = 500;

/// Directories that hold what tools made.
const MADE: [&str; 7] =
    ["target", "node_modules", "cdk.out", "dist", ".git", ".farebox", ".aws-sam"];

/// Which crate may use which of ours. An arrow that is not here is a design change.
const ARROWS: [(&str, &[&str]); 12] = [
    ("shared/core", &[]),
    ("shared/ledger", &["core"]),
    ("shared/providers", &["core"]),
    ("shared/aws", &["core", "ledger", "api"]),
    ("shared/api", &[]),
    ("shared/cli", &["api", "core"]),
    ("functions/chat", &["core", "ledger", "providers", "aws", "api"]),
    ("functions/logger", &["core", "ledger", "aws"]),
    ("functions/scheduler", &["core", "ledger", "aws", "api"]),
    ("functions/admin", &["core", "ledger", "aws", "api", "providers"]),
    ("infra/local", &["core", "aws", "chat", "logger", "scheduler", "admin", "providers", "tests"]),
    ("tests", &["aws", "chat", "core", "ledger", "logger", "scheduler"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The project's own files: those that git knows or would take, else all but made ones.
fn files() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root())
        .output();
    let listed = listed.ok().filter(|output| output.status.success());
    let mut files = match listed {
        Some(output) => {
            let names = String::from_utf8(output.stdout).unwrap();
            names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect()
        }
        None => walk(Path::new("")),
    };
    files.retain(|file| root().join(file).is_file());
    assert!(files.len() > 50, "the project has files: {}", files.len());
    files
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(dir)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    let kept = names.filter(|name| !MADE.iter().any(|made| name == made));
    kept.flat_map(|name| {
        let path = dir.join(name);
        if root().join(&path).is_dir() { walk(&path) } else { vec![path] }
    })
    .collect()
}

fn read(file: &Path) -> Option<String> {
    std::fs::read_to_string(root().join(file)).ok()
}

fn of_kind(kinds: &[&str]) -> Vec<(PathBuf, String)> {
    let is_kind = |file: &PathBuf| {
        file.extension().is_some_and(|kind| kinds.iter().any(|wanted| kind == *wanted))
    };
    files()
        .into_iter()
        .filter(is_kind)
        .filter_map(|file| Some((file.clone(), read(&file)?)))
        .collect()
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn no_file_of_code_is_longer_than_five_hundred_lines() {
    let long: Vec<_> = of_kind(&["rs", "ts", "py"])
        .into_iter()
        .map(|(file, text)| (file, text.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(file, lines)| format!("{}: {lines} lines", file.display()))
        .collect();

    assert_none("too long", &long);
}

#[test]
fn no_line_of_rust_is_wider_than_a_hundred_columns() {
    let wide: Vec<_> = of_kind(&["rs"])
        .iter()
        .flat_map(|(file, text)| {
            let lines = text.lines().enumerate().filter(|(_, line)| line.chars().count() > 100);
            lines.map(|(at, _)| format!("{}:{}", file.display(), at + 1)).collect::<Vec<_>>()
        })
        .collect();

    assert_none("wider than 100 columns", &wide);
}

#[test]
fn pure_crates_have_no_runtime_no_sockets_and_no_aws() {
    let mut found = Vec::new();
    for name in ["core", "ledger", "providers"] {
        let manifest = read(&Path::new("shared").join(name).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split_once("[dependencies]").unwrap().1;
        for line in dependencies.lines().take_while(|line| !line.starts_with("[dev")) {
            let banned = ["tokio", "reqwest", "aws-", "hyper", "lambda"];
            if banned.iter().any(|banned| line.starts_with(banned)) {
                found.push(format!("{name}: {line}"));
            }
        }
    }
    assert_none("dependencies that pure crates must not have", &found);
}

#[test]
fn crates_use_each_other_only_along_the_arrows() {
    let mut found = Vec::new();
    for (path, allowed) in ARROWS {
        let manifest = read(&Path::new(path).join("Cargo.toml")).unwrap();
        let body = manifest.split_once("[dependencies]").map_or("", |(_, rest)| rest);
        let used: BTreeSet<_> = body
            .lines()
            .filter_map(|line| line.strip_prefix("farebox-"))
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .collect();
        let wrong = used.iter().filter(|name| !allowed.contains(name));
        found.extend(wrong.map(|name| format!("{path} uses farebox-{name}")));
    }
    assert_none("arrows that the design does not have", &found);
}

#[test]
fn no_module_is_a_drawer() {
    let drawers = ["util", "utils", "helper", "helpers", "common", "misc", "types"];
    let found: Vec<_> = files()
        .iter()
        .filter(|file| file.extension().is_some_and(|kind| kind == "rs"))
        .filter(|file| {
            let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let dir = file.parent().and_then(Path::file_name).and_then(|name| name.to_str());
            drawers.contains(&stem) || drawers.contains(&dir.unwrap_or_default())
        })
        .map(|file| file.display().to_string())
        .collect();

    assert_none("modules without a noun", &found);
}

#[test]
fn no_file_names_the_machine_that_it_was_written_on() {
    // Put together here, so that this file does not find itself.
    let paths = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat(), ["/ho", "me/"].concat()];
    let mut found = Vec::new();
    for file in files() {
        let Some(text) = read(&file) else { continue };
        for (at, line) in text.lines().enumerate() {
            if paths.iter().any(|path| line.contains(path)) {
                found.push(format!("{}:{}", file.display(), at + 1));
            }
        }
    }
    assert_none("paths of one machine", &found);
}

#[test]
fn locked_packages_come_from_the_official_registries() {
    let official =
        ["registry+https://github.com/rust-lang/crates.io-index", "https://registry.npmjs.org/"];
    let mut found = Vec::new();
    for file in files() {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !["Cargo.lock", "package-lock.json"].contains(&name) {
            continue;
        }
        for line in read(&file).unwrap().lines().map(str::trim) {
            let source = ["source = \"", "\"resolved\": \""]
                .iter()
                .find_map(|start| line.strip_prefix(start));
            if source.is_some_and(|url| !official.iter().any(|start| url.starts_with(start))) {
                found.push(format!("{}: {line}", file.display()));
            }
        }
    }
    for file in [".npmrc", "infra/cdk/.npmrc", ".cargo/config.toml"] {
        let text = read(Path::new(file)).unwrap_or_default();
        let hosts = text.lines().filter(|line| line.contains("://"));
        found.extend(hosts.map(|line| format!("{file}: {line}")));
    }
    assert_none("packages from elsewhere", &found);
}

#[test]
fn no_note_is_left_and_no_lint_is_silenced_without_a_reason() {
    let notes = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat()];
    let allow = ["#[al", "low("].concat();
    let expect = ["#[ex", "pect("].concat();
    let mut found = Vec::new();
    for (file, text) in of_kind(&["rs"]) {
        for (at, line) in text.lines().enumerate() {
            let noted = notes.iter().any(|note| line.contains(note)) || line.contains(&allow);
            let silenced = line.trim_start().starts_with(&expect)
                && !text[text.find(line).unwrap()..]
                    .lines()
                    .take(8)
                    .any(|line| line.contains("reason"));
            if noted || silenced {
                found.push(format!("{}:{}: {}", file.display(), at + 1, line.trim()));
            }
        }
    }
    assert_none("notes and silenced lints", &found);
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for (file, text) in of_kind(&["md"]) {
        let leads = |link: &String| {
            let (target, place) = link.split_once('#').unwrap_or((link, ""));
            let own = root().join(&file);
            let path = if target.is_empty() { own } else { own.with_file_name(target) };
            let is_document = path.extension().is_some_and(|kind| kind == "md");
            let is_place = || places(&std::fs::read_to_string(&path).unwrap()).contains(place);
            path.exists() && (place.is_empty() || !is_document || is_place())
        };
        let here = links(&text).into_iter().filter(|link| !is_elsewhere(link));
        let led = here.filter(|link| !leads(link));
        broken.extend(led.map(|link| format!("{}: {link}", file.display())));
    }
    assert_none("links to nothing", &broken);
}

fn is_elsewhere(link: &str) -> bool {
    link.contains("://") || link.starts_with("mailto:")
}

/// What a `#…` can lead to: headings, as GitHub and GitLab name them, and `<a id="…">`.
fn places(text: &str) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        if !in_code && line.starts_with('#') {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            places.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
        for named in line.split("<a id=\"").skip(1) {
            places.extend(named.split('"').next().map(str::to_owned));
        }
    }
    places
}

/// The targets of `[text](target)`, outside code blocks.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let mut rest = if in_code { "" } else { line };
        while let Some((_, after)) = rest.split_once("](") {
            let Some((target, later)) = after.split_once(')') else { break };
            links.push(target.split(' ').next().unwrap_or_default().to_owned());
            rest = later;
        }
    }
    links
}

/// Each `tracing::LEVEL!(… metric = "NAME"`, and where it is.
fn metrics() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let code = of_kind(&["rs"]).into_iter();
    for (file, text) in
        code.filter(|(file, _)| !file.components().any(|c| c.as_os_str() == "tests"))
    {
        let mut rest = &*text;
        while let Some((before, after)) = rest.split_once("metric = \"") {
            let (name, tail) = after.split_once('"').unwrap();
            let level = before.rsplit_once("tracing::").unwrap().1.split_once('!').unwrap().0;
            found.push((name.to_owned(), level.to_uppercase(), file.display().to_string()));
            rest = tail;
        }
    }
    found
}

#[test]
fn each_metric_is_explained_and_those_that_say_what_is_wrong_raise_the_alarm() {
    let page = read(Path::new("docs/operations.md")).unwrap();
    let metrics = metrics();
    assert!(metrics.len() > 20, "{metrics:?}");
    let mut wrong = Vec::new();
    for (name, level, file) in &metrics {
        if !page.contains(&format!("| `{name}` | {level} | ")) {
            wrong.push(format!("{file}: {name}, {level}: docs/operations.md does not say so"));
        }
    }
    let is_metric = |line: &&str| line.contains("| ERROR | ") || line.contains("| WARN | ");
    for line in page.lines().filter(is_metric) {
        let name = line.split('`').nth(1).unwrap();
        if !metrics.iter().any(|(known, ..)| known == name) {
            wrong.push(format!("docs/operations.md: nothing prints {name}"));
        }
    }
    // One line of code that must reach the operator, whatever its level was meant to say.
    for name in ["hold_leaked", "ledger_bug", "provider_cost_differs", "record_lost", "overrun"] {
        if !metrics.iter().any(|(known, level, _)| known == name && level == "ERROR") {
            wrong.push(format!("{name} raises no alarm"));
        }
    }
    let template = read(Path::new("infra/template.yaml")).unwrap();
    let filter = r#"FilterPattern: '{ ($.level = "ERROR") && ($.fields.metric = "*") }'"#;
    assert_eq!(template.matches(filter).count(), 4, "one for each function");

    assert_none("metrics", &wrong);
}

/// What `.ci` installs: name and version.
fn pinned() -> Vec<(String, String)> {
    let folder = Path::new(".ci/clients");
    let python = read(&folder.join("requirements.txt")).unwrap();
    let pairs = python.lines().filter_map(|line| line.split_once("=="));
    let mut pins: Vec<_> = pairs.map(|(name, pin)| (name.to_owned(), pin.to_owned())).collect();
    let node = read(&folder.join("package.json")).unwrap();
    let node: serde_json::Value = serde_json::from_str(&node).unwrap();
    for (name, version) in node["dependencies"].as_object().unwrap() {
        pins.push((name.clone(), version.as_str().unwrap().to_owned()));
    }
    let run = read(Path::new(".ci/run")).unwrap();
    for name in ["openai", "xllamacpp"] {
        let line = run.lines().find_map(|line| line.strip_prefix(&format!("{name}_version=")));
        pins.push((name.to_owned(), line.unwrap().to_owned()));
    }
    // What programs of the tests need beside the clients.
    pins.retain(|(name, _)| name != "zod");
    pins
}

#[test]
fn the_page_of_clients_names_the_versions_that_run_in_ci() {
    let page = read(Path::new("docs/clients.md")).unwrap();
    let pins = pinned();
    assert!(pins.len() >= 13, "{pins:?}");
    let table: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).collect();
    let mut wrong = Vec::new();
    for (name, version) in &pins {
        if !table.iter().any(|line| line.contains(&format!(" {name} {version}"))) {
            wrong.push(format!("docs/clients.md: {name} {version} is not in its table"));
        }
    }
    let words = table.iter().flat_map(|line| line.split([' ', ',', '|']));
    for word in words.filter(|word| word.starts_with(|first: char| first.is_ascii_digit())) {
        if word.matches('.').count() >= 2 && !pins.iter().any(|(_, version)| version == word) {
            wrong.push(format!("docs/clients.md: nothing pins {word}"));
        }
    }
    assert_none("versions", &wrong);
}
