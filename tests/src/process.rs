//! What Linux tells of a process: its time and its memory.

use std::process::Command;

/// The chat function among the children of a stack.
///
/// # Panics
/// Where there is not one alone.
#[must_use]
pub fn chat_pid(stack: u32) -> u32 {
    let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_chat = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let is_chat =
            environment.split(|byte| *byte == 0).any(|each| each == b"FAREBOX_FUNCTION=chat");
        is_chat && stat(*pid).is_some_and(|fields| fields[1] == stack.to_string())
    };
    let found: Vec<_> = pids.filter(is_chat).collect();
    assert_eq!(found.len(), 1, "one chat process");
    found[0]
}

/// The fields of `/proc/<pid>/stat` from the state on.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

/// User and system time of a process with all its threads.
///
/// # Panics
/// Where it has ended.
#[must_use]
pub fn cpu_seconds(pid: u32) -> f64 {
    let ticks = Command::new("getconf").arg("CLK_TCK").output().expect("getconf runs").stdout;
    let ticks: f64 = String::from_utf8_lossy(&ticks).trim().parse().expect("a number");
    let fields = stat(pid).expect("the process lives");
    let of = |field: usize| fields[field].parse::<f64>().expect("a number");
    (of(11) + of(12)) / ticks
}

/// Forgets the most memory that a process has held, so that from now on is measured.
///
/// # Panics
/// Where it has ended.
pub fn forget_peak(pid: u32) {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("the process lives");
}

/// The memory that a process holds, and the most that it has held, in bytes (`VmRSS`, `VmHWM`).
///
/// # Panics
/// Where it has ended.
#[must_use]
pub fn memory(pid: u32) -> (usize, usize) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        let kilobytes =
            line.trim().strip_suffix(" kB").and_then(|number| number.parse::<usize>().ok());
        1_024 * kilobytes.unwrap_or_else(|| panic!("{line} is no size"))
    };
    (of("VmRSS:"), of("VmHWM:"))
}
