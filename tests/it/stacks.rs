//! The stacks that the tests run against.

use std::path::{Path, PathBuf};

use farebox_tests::{Settings, Stack, fresh};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// The executable under test; cargo builds it for this test target.
pub fn executable() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_farebox-local"))
}

/// The stack for every test to which its own user is isolation enough.
pub async fn shared() -> &'static Stack {
    static SHARED: OnceCell<Stack> = OnceCell::const_new();
    SHARED
        .get_or_init(|| async {
            let stack = Stack::start(executable(), &Settings::default()).await;
            // Environments read prices when they are new, so this comes before every call.
            let prices = json!({"input": "1", "output": "1"});
            stack.put("/prices/demo/boundless", &prices).await;
            // Azure's models are deployments, which no list names.
            let chat = json!({"input": "1", "output": "2", "context_window": 100_000,
                "max_output_tokens": 4_000});
            stack.put("/prices/azure/chat", &chat).await;
            // What runs at home costs what its owner says.
            for model in ["vllm/m", "ollama/m"] {
                let price = json!({"input": "1", "output": "2", "context_window": 100_000,
                    "max_output_tokens": 16_000});
                stack.put(&format!("/prices/{model}"), &price).await;
            }
            let embed = json!({"input": "1", "output": "1", "context_window": 8_000});
            stack.put("/prices/azure/embed", &embed).await;
            stack
        })
        .await
}

/// A fresh receiver of the stack's alerts: its name at the tap, and the secret that signs them.
pub async fn hooked(stack: &Stack) -> (String, String) {
    let hook = fresh("hook");
    let url = format!("{}/hook/{hook}", stack.tap().origin());
    let set = stack.put("/webhook", &json!({"url": url})).await.json();
    (hook, set["secret"].as_str().expect("the signing secret, once").to_owned())
}

/// A stack with one environment of each function, for tests that must know which process and
/// which connection serves a call. One test at a time.
pub async fn lone() -> MutexGuard<'static, Stack> {
    static LONE: OnceCell<Mutex<Stack>> = OnceCell::const_new();
    let settings = Settings { environments: 1, ..Settings::default() };
    let start = || async { Mutex::new(Stack::start(executable(), &settings).await) };
    LONE.get_or_init(start).await.lock().await
}

/// A stack whose chat function ends after 23 s, so that a provider is given up after three.
pub async fn hasty() -> &'static Stack {
    static HASTY: OnceCell<Stack> = OnceCell::const_new();
    let settings = Settings { chat_timeout: 23, ..Settings::default() };
    HASTY.get_or_init(|| async { Stack::start(executable(), &settings).await }).await
}

/// A directory of its own for one test, removed at its end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        let dir = std::env::temp_dir().join(fresh("farebox-it-"));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
