//! Packs the console's files, so that the function has nothing to compress while somebody waits.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

#[path = "src/console/lean.rs"]
mod lean;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=console");
    println!("cargo::rerun-if-changed=src/console/lean.rs");
    #[expect(clippy::disallowed_methods, reason = "cargo says it to a build in no other way")]
    let out = env::var_os("OUT_DIR").ok_or("cargo gives no OUT_DIR")?;
    let out = PathBuf::from(out);
    let mut table = "/// Every file's name and its bytes by gzip.\n".to_owned();
    table.push_str("static PACKED: &[(&str, &[u8])] = &[\n");
    for folder in ["console", "console/vendor"] {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            paths.push(entry?.path());
        }
        paths.sort();
        for path in paths {
            let Some(name) = name(&path) else { continue };
            let source = fs::read_to_string(&path)?;
            let mut packer = GzEncoder::new(Vec::new(), Compression::best());
            packer.write_all(lean::sent(&name, &source).as_bytes())?;
            let file = format!("{}.gz", name.trim_start_matches('/'));
            fs::write(out.join(&file), packer.finish()?)?;
            let place = "concat!(env!(\"OUT_DIR\"), \"/";
            writeln!(table, "    (\"{name}\", include_bytes!({place}{file}\"))),")?;
        }
    }
    table.push_str("];\n");
    fs::write(out.join("packed.rs"), table)?;
    Ok(())
}

/// What follows the page's path in the address of a file; none for what is not sent.
fn name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let is_sent = ["js", "css", "html"].iter().any(|end| path.extension() == Some(OsStr::new(end)));
    is_sent.then(|| if name == "index.html" { String::new() } else { format!("/{name}") })
}
