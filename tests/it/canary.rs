//! No secret and no content reaches a table, the queue, a log, an error or the admin API.

use farebox_tests::{Answer, Caller, Settings, Stack, fresh, run};
use http::Method;
use serde_json::json;

use crate::stacks::{Scratch, executable};

/// Every byte that the stack wrote to its directory, but for the files that exist to hold secrets.
fn files(dir: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    files
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
        .filter(|(name, _)| !["secrets.json", "local.json", "env"].contains(&name.as_str()))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect()
}

fn assert_absent(needles: &[&str], place: &str, bytes: &[u8]) {
    for needle in needles {
        assert!(!holds(bytes, needle), "{needle} in {place}");
    }
}

fn holds(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

#[test]
fn no_secret_and_no_content_is_written_or_told() {
    run(async {
        let scratch = Scratch::new();
        let settings =
            Settings { state: Some(scratch.path().to_path_buf()), ..Settings::default() };
        let stack = Stack::start(executable(), &settings).await;
        let caller = Caller::new(&stack).await;
        let (credential, prompt) = (fresh("sk-canary-credential-"), fresh("canary-prompt-"));
        let key_secret = caller.key.rsplit('-').next().unwrap().to_owned();
        let mut answers: Vec<Answer> = Vec::new();

        // Good, bad and failing calls with the prompt in each; then a credential that is refused.
        let say = |model: &str, stream: bool| {
            let system = json!({"role": "system", "content": prompt});
            let body = json!({
                "model": format!("demo/{model}"), "stream": stream,
                "messages": [system, {"role": "user", "content": "x"}],
            });
            caller.post("/v1/chat/completions", &body).with("x-request-id", "mine").send()
        };
        for model in ["chat", "claude", "fail", "cut", "busy", "bad-json", "refuse", "nope"] {
            answers.push(say(model, false).await);
            answers.push(say(model, true).await);
        }
        // An answer that is kept for a repeat is content, and is sealed.
        let body = json!({
            "model": "demo/chat", "messages": [{"role": "user", "content": prompt}],
        });
        for _ in 0..2 {
            let call = caller.post("/v1/chat/completions", &body);
            let kept = call.with("idempotency-key", "k").send().await.expect(200);
            assert!(kept.text().contains(&prompt), "the demo provider repeats the prompt");
        }
        assert!(stack.all_tables().await.contains("#0000"), "an answer is kept in parts");
        let base_url = stack.tap().base_url(&caller.user);
        stack.set_credential(&caller.user, "demo", &credential, &base_url).await;
        let second = caller.another_key().await;
        let body = json!({"model": "demo/chat", "messages": [{"role": "user", "content": prompt}]});
        answers.push(second.post("/v1/chat/completions", &body).send().await);
        answers
            .push(second.post("/v1/chat", &body).bearer(&format!("{}x", caller.key)).send().await);
        assert_eq!(answers.iter().filter(|answer| answer.code() == 200).count(), 6, "{answers:?}");
        assert!(second.posts().last().unwrap().headers["authorization"].ends_with(&credential));
        stack.drain().await;

        // What must be there is there, so the places are the right ones.
        assert!(stack.all_tables().await.contains(&caller.user));
        let id = answers[0].header("x-request-id").unwrap();
        let kept = files(scratch.path());
        let holds = |part: &str| kept.iter().filter(|(_, bytes)| holds(bytes, part)).count();
        assert!(holds(&caller.user) >= 1 && holds(id) >= 2, "tables and queue are files");
        assert!(!stack.log().is_empty());

        let needles = [credential.as_str(), prompt.as_str(), key_secret.as_str()];
        for answer in &answers {
            assert_absent(&needles, "an answer", &answer.body);
            assert_absent(&needles, "a header", format!("{:?}", answer.headers).as_bytes());
        }
        assert_absent(&needles, "a table", stack.all_tables().await.as_bytes());
        assert_absent(&needles, "the log", stack.log().as_bytes());
        for path in ["/requests", "/usage", "/keys", "/users", "/budgets", "/alerts"] {
            let text = stack.admin(Method::GET, path).send().await.text();
            assert_absent(&needles, path, text.as_bytes());
        }
        for (name, bytes) in kept {
            assert_absent(&needles, &name, &bytes);
        }
    });
}
