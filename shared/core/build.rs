//! Turns `src/catalog.json` into the table of bytes that `src/catalog/table.rs` reads.

#[path = "src/pricing/decimal.rs"]
mod decimal;
#[path = "src/catalog/encode.rs"]
mod encode;

use std::error::Error;
use std::{env, fs};

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script by its environment where to write"
)]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/catalog.json");
    let text = fs::read_to_string("src/catalog.json")?;
    let list = encode::encode(&text).map_err(|faults| format!("{faults:?}"))?;
    println!("cargo::rustc-env=FAREBOX_CATALOG_VERSION={}", list.version);
    fs::write(format!("{}/catalog.bin", env::var("OUT_DIR")?), list.bytes)?;
    Ok(())
}
