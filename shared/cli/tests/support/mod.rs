//! A command that has logged in.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// How many have.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A new folder for `XDG_CONFIG_HOME`, with a profile of a gateway and no other: nothing of the
/// developer's is read or written.
pub fn logged_in(url: &str) -> PathBuf {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("home-{}-{count}", std::process::id());
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let profile = serde_json::json!({"url": url, "admin_key": "sk-fba-test"});
    let profiles = serde_json::json!({"current": "default", "profiles": {"default": profile}});
    std::fs::create_dir_all(home.join("farebox")).unwrap();
    let file = home.join("farebox").join("profile.json");
    std::fs::write(file, profiles.to_string()).unwrap();
    home
}
