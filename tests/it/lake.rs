//! Rows of past days as Parquet files in S3: once each, whatever dies, and again when they change.
//!
//! The files are plain and uncompressed, so a text of a row stands in its file as it is; what they
//! mean is read by another implementation of the format (`.ci/command.py`, with pyarrow).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use farebox_aws::{Aws, Config};
use farebox_core::Timestamp;
use farebox_scheduler::{Pace, Scheduler, Tick};
use farebox_tests::{Caller, Settings, Stack, run, until};
use http::Method;
use serde_json::json;

use crate::money::exact;
use crate::stacks::{Scratch, executable};

const BUCKET: &str = "farebox-rows";
/// Rows of a part.
const PART: u16 = 3;
const CALLS: usize = 8;

/// The scheduler in this process, which alone knows the bucket, at a time when today is over.
struct Lake {
    aws: Aws,
    dir: PathBuf,
    /// Whole hours later, a minute before all days are looked at.
    at: Timestamp,
}

impl Lake {
    fn new(stack: &Stack, state: &Path) -> Self {
        let mut environment = stack.chat_environment();
        environment.push(("FAREBOX_LAKE_BUCKET", BUCKET.to_owned()));
        let services = stack.ready().url("services_url").to_owned();
        environment.push(("AWS_ENDPOINT_URL_S3", services));
        let known = |wanted: &str| {
            environment.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
        };
        let aws = Aws::new(Config::from_lookup(known).unwrap());
        let hours = aws.now().seconds() / 3_600 + 48;
        let at = Timestamp::from_ms((hours * 3_600 + 30 * 60) * 1_000);
        Self { aws, dir: state.join("s3").join(BUCKET), at }
    }

    /// The run of a minute: no time, so one part and no more.
    async fn minute(&self, minute: i64) {
        let pace = Pace { lake: Duration::ZERO, part: PART, ..Pace::default() };
        let time = self.at.plus_ms(minute * 60_000).to_string();
        farebox_scheduler::handle(&Scheduler::paced(&self.aws, pace), &Tick { time })
            .await
            .unwrap();
    }

    /// Runs from a minute on, until nothing is in hand.
    async fn finish(&self, stack: &Stack, from: i64) {
        for minute in from..from + 58 {
            self.minute(minute).await;
            let found = stack.query("main", "LK#main").await;
            if found[0].text("day").is_empty() {
                return;
            }
        }
        panic!("no end within an hour");
    }

    /// The files by name, with when each was written and what is in it.
    fn files(&self) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
        let (mut found, mut dirs) = (BTreeMap::new(), vec![self.dir.clone()]);
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).into_iter().flatten() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    dirs.push(entry.path());
                } else if entry.path().extension().is_some_and(|kind| kind == "parquet") {
                    let written = entry.metadata().unwrap().modified().unwrap();
                    found.insert(entry.path(), (written, std::fs::read(entry.path()).unwrap()));
                }
            }
        }
        found
    }

    /// How often a text stands in all files together.
    fn count(&self, text: &str) -> usize {
        let wanted = text.as_bytes();
        let of = |bytes: &[u8]| bytes.windows(wanted.len()).filter(|at| *at == wanted).count();
        self.files().values().map(|(_, bytes)| of(bytes)).sum()
    }
}

#[test]
fn each_row_of_a_past_day_is_in_the_lake_once_and_a_changed_day_is_written_again() {
    run(async {
        let state = Scratch::new();
        let settings = Settings { state: Some(state.path().to_owned()), ..Settings::default() };
        let stack = Stack::start(executable(), &settings).await;
        let caller = Caller::new(&stack).await;
        let mut ids = Vec::new();
        for _ in 0..CALLS {
            let answer = caller.chat("exact", &exact()).await.expect(200);
            ids.push(answer.header("x-request-id").unwrap().to_owned());
        }
        stack.drain().await;
        let lake = Lake::new(&stack, state.path());

        lake.minute(0).await;
        assert!(lake.files().is_empty(), "days are looked at once an hour");
        lake.minute(1).await;
        assert_eq!(lake.files().len(), 1, "one part a run");
        // One run dies: before its part, after it, or after it has said so.
        tokio::select! {
            () = lake.minute(2) => {}
            () = until("a second part", async || (lake.files().len() > 1).then_some(())) => {}
        }
        lake.finish(&stack, 3).await;

        let files = lake.files();
        assert!(files.len() >= CALLS.div_ceil(PART.into()), "{:?}", files.keys());
        for id in &ids {
            assert_eq!(lake.count(id), 1, "{id}");
        }
        assert_eq!(lake.count(&caller.key), 0, "no secret");
        let name = files.keys().next().unwrap().strip_prefix(&lake.dir).unwrap();
        let parts: Vec<_> = name.iter().map(|part| part.to_str().unwrap()).collect();
        let [rows, year, month, day, part] = parts.as_slice() else { panic!("{parts:?}") };
        assert_eq!((*rows, *part), ("rows", "part-00000.parquet"));
        assert!(year.starts_with("year=20") && month.starts_with("month="), "{parts:?}");
        assert!(day.starts_with("day="), "{parts:?}");

        lake.finish(&stack, 61).await;
        assert!(lake.files() == files, "what has not changed is not written again");

        // By a call's correction a row changes and another one comes.
        let body = json!({"request_id": ids[4], "cost_usd": "0", "reason": "provider's bill"});
        stack.admin(Method::POST, "/corrections").json(&body).send().await.expect(200);
        stack.drain().await;
        lake.finish(&stack, 121).await;

        assert!(lake.files() != files);
        let adjusted = lake.count(&ids[4]);
        assert_eq!(adjusted, 2, "its own row, and the correction that names it");
        for id in ids.iter().filter(|id| **id != ids[4]) {
            assert_eq!(lake.count(id), 1, "{id}");
        }
    });
}
