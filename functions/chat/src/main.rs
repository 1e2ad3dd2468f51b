//! The chat Lambda: `bootstrap`'s entry point.

fn main() -> Result<(), lambda_runtime::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(farebox_chat::run())
}
