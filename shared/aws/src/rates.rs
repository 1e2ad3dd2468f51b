//! Rate limits in `main`: places taken before a call, and given back at its end.

use core::time::Duration;

use farebox_core::{Allowance, Error, RateLimits, Rid, Scope, Timestamp};
use farebox_ledger::Answer;
use farebox_ledger::rate::{Limited, Next, Take};
use futures_util::future::join_all;

use crate::clients::Aws;
use crate::expression::Store;

/// Writes that one place may take: the minute begun by another, dead slots, lost answers.
const ROUNDS_MAX: usize = 10;
/// Tries to give a place back. A slot that stays is over when its invocation is.
const GIVES_MAX: usize = 3;

/// Limits of keys and users.
pub struct Rates {
    aws: Aws,
}

/// What a call has taken of its limits.
#[derive(Default)]
pub struct Places {
    taken: Vec<Take>,
    allowances: Vec<Allowance>,
}

impl Places {
    /// The tightest limit of each kind.
    #[must_use]
    pub fn allowances(&self) -> Vec<Allowance> {
        let of = |kind| {
            let all = self.allowances.iter().filter(move |one| one.of == kind);
            all.min_by_key(|one| one.left).copied()
        };
        ["requests", "tokens"].into_iter().filter_map(of).collect()
    }
}

impl Rates {
    /// The limits of a deployment; reads nothing.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self { aws: aws.clone() }
    }

    /// Takes a call's place in each limited scope, all at once: one write each. Where one has no
    /// place the others are given back.
    ///
    /// # Errors
    /// [`Error::RateLimited`]; 503 where the table cannot be reached: no call is made then.
    pub async fn take(
        &self,
        limits: &[(Scope, RateLimits)],
        rid: Rid,
        tokens: u64,
        ends_at: Timestamp,
    ) -> Result<Places, Error> {
        let takes = limits.iter().map(|one| {
            let tenant = &self.aws.config().tenant;
            let times = (self.aws.now(), ends_at);
            self.take_one(Take::new(tenant, one.clone(), rid, tokens, times))
        });
        let mut places = Places::default();
        let mut refusal = None;
        for taken in join_all(takes).await {
            match taken {
                Ok((take, allowances)) => {
                    places.taken.push(take);
                    places.allowances.extend(allowances);
                }
                Err(error) => refusal = Some(error),
            }
        }
        match refusal {
            None => Ok(places),
            Some(refusal) => {
                self.give_back(places, None).await;
                Err(refusal)
            }
        }
    }

    /// Gives a call's places back: `used` tokens of those that it reserved; `None` where it was
    /// refused, and so never was a request.
    pub async fn give_back(&self, places: Places, used: Option<u64>) {
        let gives = places.taken.iter().map(async |take| {
            let store = Store::money(&self.aws);
            let mut writes = take.give_back(used).into_iter();
            let mut write = writes.next();
            for _ in 0..GIVES_MAX {
                let Some(update) = &write else { return };
                match store.write(update).await.answer {
                    Answer::Applied => return,
                    Answer::ConditionFailed(_) => write = writes.next(),
                    _ => self.pause().await,
                }
            }
            tracing::warn!(metric = "rate_kept", scope = %take.scope, "a place was not given back");
        });
        join_all(gives).await;
    }

    async fn take_one(&self, mut take: Take) -> Result<(Take, Vec<Allowance>), Error> {
        let store = Store::money(&self.aws);
        let mut write = take.write();
        let mut is_purge = false;
        for _ in 0..ROUNDS_MAX {
            let written = store.write(&write).await;
            let now = self.aws.now();
            match written.answer {
                Answer::Applied if is_purge => (write, is_purge) = (take.write(), false),
                Answer::Applied => {
                    let allowances = allowances(&take, &written.changed, now);
                    return Ok((take, allowances));
                }
                Answer::ConditionFailed(old) => match take.after(old.as_ref(), now) {
                    Next::Taken => return Ok((take, Vec::new())),
                    Next::Write(next) => (write, is_purge) = (next, false),
                    Next::Purge(purge) => (write, is_purge) = (purge, true),
                    Next::Refused(limited) => {
                        let counts = old.as_ref().map(|old| allowances(&take, old, now));
                        return Err(refused(&take, limited, counts.unwrap_or_default(), now));
                    }
                },
                Answer::Rejected(cause) => return Err(Error::LedgerUnavailable { cause }),
                _ => self.pause().await,
            }
        }
        let cause = format!("no definite answer about the limits of {}", take.scope);
        Err(Error::LedgerUnavailable { cause })
    }

    /// As between two attempts of a reserve (money.md W2).
    async fn pause(&self) {
        let more = self.aws.chance().checked_rem(180).unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(20_u64.saturating_add(more))).await;
    }
}

fn allowances(take: &Take, changed: &farebox_ledger::Item, now: Timestamp) -> Vec<Allowance> {
    let (requests, tokens) = take.left(changed);
    let limits = take.limits;
    let all = [
        ("requests", limits.requests_per_minute, requests),
        ("tokens", limits.tokens_per_minute, tokens),
    ];
    let reset_ms = take.reset_ms(now);
    let told = all.into_iter().filter_map(|(of, limit, left)| {
        Some(Allowance { of, limit: limit?, left: left?, reset_ms })
    });
    told.collect()
}

fn refused(take: &Take, limited: Limited, left: Vec<Allowance>, now: Timestamp) -> Error {
    let (kind, limits) = (take.scope.kind_name(), take.limits);
    let number = |limit: Option<u64>| limit.unwrap_or_default();
    let minute_s = u32::try_from(take.reset_ms(now).div_ceil(1_000)).unwrap_or(60).max(1);
    let (limit, retry_after_s) = match limited {
        Limited::Requests => {
            let most = number(limits.requests_per_minute);
            (format!("the {kind} may make {most} requests a minute"), minute_s)
        }
        Limited::Tokens => {
            let most = number(limits.tokens_per_minute);
            (format!("the {kind} may use {most} tokens a minute"), minute_s)
        }
        Limited::TooManyTokens => {
            let most = number(limits.tokens_per_minute);
            let why = "fewer than this call alone may use: lower max_completion_tokens";
            (format!("the {kind} may use {most} tokens a minute, {why}"), 60)
        }
        Limited::Concurrent => {
            let most = number(limits.concurrent);
            (format!("the {kind} may have {most} calls under way at once"), 1)
        }
    };
    Error::RateLimited { limit, retry_after_s, left }
}
