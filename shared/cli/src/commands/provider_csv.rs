//! A provider's usage or cost as the CSV file that its console exports.
//!
//! The names of the columns are those of files that others have published, read on 2026-11-30:
//! `OpenAI`'s cost export by the header in the tests of an importer (start and end as seconds,
//! `amount_value`, `amount_currency`), its usage export by an analysis of a real file
//! (`completions_usage_<from>_<to>.csv`: the fields of the usage API, counts with a decimal point,
//! empty rows for empty buckets); Anthropic's usage and cost exports by the headers in tests of
//! several importers, which agree. Neither provider documents them (help.openai.com 8554956 and
//! support.claude.com 9534590 say that they exist), so a column is found by its name, and one that
//! is missing is an error.

use std::collections::BTreeMap;

use csv::{ReaderBuilder, StringRecord};
use farebox_api::{PostStatement, ReportedUsage};
use farebox_core::Timestamp;

use super::statement::{Bucket, Cost, add, amount, anthropics_tier, openais_tier, seconds};
use crate::failure::Failure;

const DAY_MS: i64 = 86_400_000;
/// What is said of every fault of a file.
const ADVICE: &str =
    "export the usage grouped by model, or the cost, and import the file as it came";

/// Where a class of tokens is counted in a line.
type Class = (&'static str, fn(&mut ReportedUsage, u64));

/// A service tier, and whether Anthropic's `us` geography; `None` where it is not told.
type Kind = (Option<String>, Option<bool>);

/// The export of a provider. One row a provider.
struct Export {
    provider: &'static str,
    /// Where a bucket begins; and where it ends, in seconds since 1970, or it is a UTC day.
    from: &'static str,
    to: Option<&'static str>,
    model: &'static str,
    calls: Option<&'static str>,
    classes: &'static [Class],
    /// Classes that older files do not have.
    later: &'static [Class],
    /// The prompt's count has the cached tokens in it, and the written ones.
    counts_cached_twice: bool,
    /// At which tier and place the line was served, as far as it tells.
    kind: fn(&Line<'_>) -> Kind,
    /// Where a cost export has an amount in USD, and its currency.
    amount: &'static str,
    currency: Option<&'static str>,
}

const EXPORTS: [Export; 2] = [
    Export {
        provider: "openai",
        from: "start_time",
        to: Some("end_time"),
        model: "model",
        calls: Some("num_model_requests"),
        classes: &[
            ("input_tokens", |usage, count| usage.prompt = count),
            ("input_cached_tokens", |usage, count| usage.cached = count),
            ("output_tokens", |usage, count| usage.completion = count),
        ],
        later: &[
            ("input_cache_write_tokens", |usage, count| usage.cache_write_5m = Some(count)),
            ("input_audio_tokens", |usage, count| usage.audio = count),
            ("output_audio_tokens", |usage, count| usage.audio = usage.audio.saturating_add(count)),
        ],
        counts_cached_twice: true,
        kind: |line| {
            let is_batch = line.told("batch").map(|told| told.eq_ignore_ascii_case("true"));
            (openais_tier(is_batch, line.told("service_tier")), Some(false))
        },
        amount: "amount_value",
        currency: Some("amount_currency"),
    },
    Export {
        provider: "anthropic",
        from: "usage_date_utc",
        to: None,
        model: "model_version",
        calls: None,
        classes: &[
            ("usage_input_tokens_no_cache", |usage, count| usage.prompt = count),
            ("usage_input_tokens_cache_read", |usage, count| usage.cached = count),
            ("usage_input_tokens_cache_write_5m", |usage, count| {
                usage.cache_write_5m = Some(count);
            }),
            ("usage_input_tokens_cache_write_1h", |usage, count| usage.cache_write_1h = count),
            ("usage_output_tokens", |usage, count| usage.completion = count),
            ("web_search_count", |usage, count| usage.web_searches = Some(count)),
        ],
        later: &[],
        counts_cached_twice: false,
        kind: |line| {
            let place = line.told("inference_geo").map(|place| place == "us");
            (anthropics_tier(line.told("usage_type"), line.told("speed")), place)
        },
        amount: "cost_usd",
        currency: None,
    },
];

/// The lines of one time: counts by model, or an amount.
#[derive(Default)]
struct Sum {
    usage: Vec<ReportedUsage>,
    cost: Option<Cost>,
}

/// A line of the file with the names of its columns.
struct Line<'r> {
    file: &'r str,
    header: &'r StringRecord,
    record: &'r StringRecord,
}

/// The buckets of an export, in the order of time.
///
/// # Errors
/// Where the file is no such export; the message names line and column.
pub fn buckets(text: &str, provider: &str, apply: bool) -> Result<Vec<Bucket>, Failure> {
    let export = EXPORTS.iter().find(|export| export.provider == provider).ok_or_else(|| {
        Failure::new(format!("no export of {provider} is known"), "use openai or anthropic")
    })?;
    // Spreadsheets put a mark before the first name.
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|fault| broken(text, &fault))?.clone();
    let is_cost = header.iter().any(|name| name == export.amount);
    let mut sums: BTreeMap<(String, String), Sum> = BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(|fault| broken(text, &fault))?;
        let line = Line { file: text, header: &header, record: &record };
        let sum = sums.entry(line.time(export)?).or_default();
        if is_cost {
            // An empty bucket is a line without an amount.
            if let Some(more) = line.amount(export)? {
                sum.cost = Some(sum.cost.unwrap_or_default().plus(more)?);
            }
        } else if let Some(usage) = line.usage(export)? {
            add(&mut sum.usage, &usage);
        }
    }
    let buckets = sums.into_iter().map(|((from, to), Sum { usage, cost })| Bucket {
        statement: PostStatement {
            provider: provider.to_owned(),
            from,
            to,
            usage,
            cost_at_most_usd: None,
            apply,
        },
        cost: if is_cost { Some(cost.unwrap_or_default()) } else { None },
    });
    Ok(buckets.collect())
}

fn broken(file: &str, fault: &csv::Error) -> Failure {
    let line = number(file, fault.position());
    let what = match fault.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields, and the first line {expected_len}")
        }
        _ => fault.to_string(),
    };
    Failure::new(format!("line {line}: {what}"), ADVICE)
}

/// The number of a record's line. The reader's own is one too low where lines end with CR LF: a
/// record begins for it with the LF of the last one.
fn number(file: &str, position: Option<&csv::Position>) -> usize {
    let start = position.and_then(|position| usize::try_from(position.byte()).ok());
    let (before, rest) = file.split_at_checked(start.unwrap_or_default()).unwrap_or((file, ""));
    let ends = |text: &str| text.bytes().filter(|byte| *byte == b'\n').count();
    let blank = rest.len() - rest.trim_start_matches(['\r', '\n']).len();
    1 + ends(before) + rest.get(..blank).map_or(0, ends)
}

impl Line<'_> {
    fn wrong(&self, column: &str, what: &str) -> Failure {
        let number = number(self.file, self.record.position());
        Failure::new(format!("line {number}, column {column}: {what}"), ADVICE)
    }

    fn text(&self, column: &str) -> Result<&str, Failure> {
        let at = self.header.iter().position(|name| name == column);
        let missing = || Failure::new(format!("line 1: there is no column {column}"), ADVICE);
        Ok(self.record.get(at.ok_or_else(missing)?).unwrap_or_default())
    }

    /// What a column says that files may leave out, or leave empty.
    fn told(&self, column: &str) -> Option<&str> {
        self.text(column).ok().filter(|text| !text.is_empty())
    }

    /// From when to when the line tells.
    fn time(&self, export: &Export) -> Result<(String, String), Failure> {
        let given = self.text(export.from)?;
        let Some(to) = export.to else {
            let from = Timestamp::parse(&format!("{given}T00:00:00Z"));
            let from = from.map_err(|_| self.wrong(export.from, "is no day such as 2026-11-23"))?;
            return Ok((from.to_string(), from.plus_ms(DAY_MS).to_string()));
        };
        let time = |column, text: &str| {
            let at = text.parse().ok().and_then(seconds);
            at.ok_or_else(|| self.wrong(column, "is no time in seconds since 1970"))
        };
        Ok((time(export.from, given)?, time(to, self.text(to)?)?))
    }

    fn amount(&self, export: &Export) -> Result<Option<Cost>, Failure> {
        let given = self.text(export.amount)?;
        if given.is_empty() {
            return Ok(None);
        }
        if let Some(column) = export.currency
            && !self.text(column)?.eq_ignore_ascii_case("usd")
        {
            return Err(self.wrong(column, "is not usd, and nothing here changes money"));
        }
        let usd = amount(&given.into(), 0);
        usd.map(Some).ok_or_else(|| self.wrong(export.amount, "is no amount of USD"))
    }

    /// The counts; `None` where the line stands for an empty bucket.
    fn usage(&self, export: &Export) -> Result<Option<ReportedUsage>, Failure> {
        let mut usage =
            ReportedUsage { model: self.text(export.model)?.to_owned(), ..Default::default() };
        usage.calls = export.calls.map(|column| self.count(column)).transpose()?;
        let mut is_empty = usage.calls.unwrap_or_default() == 0;
        let later = export.later.iter().filter(|(column, _)| self.text(column).is_ok());
        for (column, class) in export.classes.iter().chain(later) {
            let count = self.count(column)?;
            class(&mut usage, count);
            is_empty &= count == 0;
        }
        if is_empty {
            return Ok(None);
        }
        if usage.model.is_empty() {
            return Err(self.wrong(export.model, "is empty, so nobody knows whose the counts are"));
        }
        if export.counts_cached_twice {
            let within = usage.cached.checked_add(usage.cache_write_5m.unwrap_or_default());
            let less = within.and_then(|within| usage.prompt.checked_sub(within));
            let more = || self.wrong("input_cached_tokens", "is more than all input tokens");
            usage.prompt = less.ok_or_else(more)?;
        }
        (usage.service_tier, usage.us_geography) = (export.kind)(self);
        Ok(Some(usage))
    }

    /// A whole number, which some exports write with a decimal point; empty is none.
    fn count(&self, column: &str) -> Result<u64, Failure> {
        let given = self.text(column)?;
        let whole = given.split_once('.').map_or(given, |(whole, fraction)| {
            if fraction.bytes().all(|digit| digit == b'0') { whole } else { given }
        });
        match whole {
            "" if given.is_empty() => Ok(0),
            whole => whole.parse().map_err(|_| self.wrong(column, "is no count")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENAI: &str = "\u{feff}start_time,end_time,start_time_iso,end_time_iso,project_id,\
        num_model_requests,model,input_tokens,output_tokens,input_cached_tokens\r\n\
        1761523200,1761523260,2025-10-27T00:00:00+00:00,2025-10-27T00:01:00+00:00,,,,,,\r\n\
        1761523260,1761523320,,,p1,3.0,gpt-4o-mini-2024-07-18,7162,500,1280\r\n\
        1761523260,1761523320,,,\"p2, other\",1.0,gpt-4o-mini-2024-07-18,38,5,0\r\n";
    const ANTHROPIC: &str = "usage_date_utc,model_version,api_key,workspace,usage_type,\
        context_window,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,\
        usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,\
        web_search_count,inference_geo,speed\n\
        2026-08-05,claude-opus-5,k,Default,standard,≤ 200k,7,1,2,3,4,6,global,\n\
        2026-08-05,claude-haiku-5,k,Default,standard,≤ 200k,70,0,0,0,40,0,global,\n";

    fn fault(text: &str, provider: &str) -> String {
        match buckets(text, provider, false) {
            Ok(_) => panic!("{text} is taken"),
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn openais_lines_of_one_bucket_and_model_are_added_up_and_the_cached_taken_out() {
        let buckets = buckets(OPENAI, "openai", true).unwrap();

        let times: Vec<_> = buckets.iter().map(|bucket| bucket.statement.from.as_str()).collect();
        assert_eq!(times, ["2025-10-27T00:00:00Z", "2025-10-27T00:01:00Z"]);
        assert!(buckets[0].statement.usage.is_empty() && buckets[0].cost.is_none());
        let [usage] = buckets[1].statement.usage.as_slice() else { panic!("one model") };
        assert_eq!((usage.prompt, usage.cached, usage.completion), (5_920, 1_280, 505));
        assert_eq!((usage.calls, usage.model.as_str()), (Some(4), "gpt-4o-mini-2024-07-18"));
        assert!(buckets[1].statement.apply);
    }

    #[test]
    fn anthropics_lines_are_days_with_classes_of_their_own() {
        let buckets = buckets(ANTHROPIC, "anthropic", false).unwrap();

        let [bucket] = buckets.as_slice() else { panic!("one day") };
        let statement = &bucket.statement;
        assert_eq!(statement.from, "2026-08-05T00:00:00Z");
        assert_eq!(statement.to, "2026-08-06T00:00:00Z");
        assert_eq!(statement.usage.len(), 2);
        let usage = &statement.usage[0];
        assert_eq!((usage.model.as_str(), usage.calls), ("claude-opus-5", None));
        assert_eq!([usage.prompt, usage.cached, usage.cache_write_1h], [7, 3, 2]);
        assert_eq!([usage.cache_write_5m, usage.web_searches], [Some(1), Some(6)]);
        assert_eq!(
            (usage.completion, &usage.service_tier, usage.us_geography),
            (4, &None, Some(false))
        );
    }

    #[test]
    fn lines_of_another_tier_or_place_are_not_added_up_with_the_usual_ones() {
        let rows = |text: &str, provider| -> Vec<_> {
            let buckets = buckets(text, provider, false).unwrap();
            let rows = buckets.into_iter().flat_map(|bucket| bucket.statement.usage);
            rows.map(|row| (row.prompt, row.service_tier.unwrap_or_default(), row.us_geography))
                .collect()
        };
        let us = "2026-08-05,claude-opus-5,k,Default,standard,≤ 200k,1,0,0,0,1,0,us,fast\n\
                  2026-08-05,claude-opus-5,k,Default,batch,≤ 200k,2,0,0,0,1,0,us,\n";
        let text = format!("{ANTHROPIC}{us}{us}");
        assert_eq!(
            rows(&text, "anthropic"),
            [
                (7, String::new(), Some(false)),
                (70, String::new(), Some(false)),
                (2, "fast".to_owned(), Some(true)),
                (4, "batch".to_owned(), Some(true)),
            ]
        );
        let text = "start_time,end_time,num_model_requests,model,batch,service_tier,input_tokens,\
            output_tokens,input_cached_tokens,input_cache_write_tokens\n\
            1,2,1,m,false,default,10,1,2,3\n1,2,1,m,True,default,20,1,0,0\n\
            1,2,1,m,false,priority,40,1,0,0\n1,2,1,m,,,80,1,0,0\n";
        assert_eq!(
            rows(text, "openai"),
            [
                (5, "standard".to_owned(), Some(false)),
                (20, "batch".to_owned(), Some(false)),
                (40, "priority".to_owned(), Some(false)),
                (80, String::new(), Some(false)),
            ]
        );
        let more = text.replace("10,1,2,3", "10,1,8,3");
        assert!(fault(&more, "openai").contains("line 2, column input_cached_tokens"));
    }

    #[test]
    fn cost_exports_are_added_up_by_their_time() {
        let openai = "start_time,end_time,amount_value,amount_currency,line_item\n\
            1,2,,,\n1,2,0.003835980000000000000000000000,usd,\n1,2,0.5,usd,\"gpt-5, input\"\n";
        let anthropic = "usage_date_utc,model,token_type,cost_usd,list_price_usd\n\
            2026-08-04,Claude Haiku 4.5,input_no_cache,0.05,0.05\n\
            2026-08-04,Claude Haiku 4.5,output,0.02,0.02\n2026-08-05,Claude,output,1,1\n";
        let costs = |text, provider| -> Vec<String> {
            let buckets = buckets(text, provider, true).unwrap();
            assert!(buckets.iter().all(|bucket| bucket.statement.usage.is_empty()));
            buckets.iter().map(|bucket| bucket.cost.unwrap().stated.to_string()).collect()
        };

        assert_eq!(costs(openai, "openai"), ["0.50383598"]);
        assert_eq!(costs(anthropic, "anthropic"), ["0.07", "1"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_column() {
        for (text, provider, told) in [
            (OPENAI.replace("7162", "71x2"), "openai", "line 3, column input_tokens"),
            (OPENAI.replace("3.0", "3.5"), "openai", "line 3, column num_model_requests"),
            (OPENAI.replace("7162", "-1"), "openai", "line 3, column input_tokens"),
            (OPENAI.replace(",1280", ",9999"), "openai", "line 3, column input_cached_tokens"),
            (OPENAI.replace("1761523320", "later"), "openai", "line 3, column end_time"),
            (
                OPENAI.replace("gpt-4o-mini-2024-07-18,38", ",38"),
                "openai",
                "line 4, column model: is empty",
            ),
            (OPENAI.replace(",model,", ",kind,"), "openai", "there is no column model"),
            (
                ANTHROPIC.replace("-05,claude-h", "-32,claude-h"),
                "anthropic",
                "line 3, column usage_date_utc",
            ),
            (ANTHROPIC.replace(",global,\n", "\n"), "anthropic", "line 2: it has"),
            ("usage_date_utc,cost_usd\n2026-08-04,0,5\n".into(), "anthropic", "line 2: it has"),
            (
                "usage_date_utc,cost_usd\n2026-08-04,\"0,5\"\n".into(),
                "anthropic",
                "column cost_usd",
            ),
            (
                "start_time,end_time,amount_value,amount_currency\n1,2,3,eur\n".into(),
                "openai",
                "column amount_currency",
            ),
            ("a,b\n1,2\n".into(), "openai", "there is no column start_time"),
        ] {
            let fault = fault(&text, provider);
            assert!(fault.contains(told), "{told:?} is not in {fault:?}");
        }
        assert!(fault(OPENAI, "demo").contains("no export of demo"));
    }
}
