//! What each call did and cost.

use farebox_api::{CostLine, EarlierAttempt, RequestList, RequestRow, TokenCounts};
use farebox_aws::{Search, Whose};
use farebox_core::{CallRecord, EntityId, Error, Outcome, Rid, ScopeKind, ScopePart, Usage};

use crate::Gate;
use crate::call::Call;
use crate::corrections;
use crate::credentials::provider;
use crate::owners::{absent, entity};
use crate::reply::{Answer, Refusal};

/// A label's name, a colon and its value: the longest that a call may have.
const LABEL_CHARS_MAX: usize = 64 + 1 + 512;

/// `GET /admin/v1/requests`
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let (user, key) = (id(call, "user")?, id(call, "key")?);
    let whose = match (&user, &key) {
        (None, None) => Whose::All,
        (Some(user), None) => Whose::User(user),
        (None, Some(key)) => Whose::Key(key),
        (Some(_), Some(_)) => {
            return Err(Error::malformed("key", "has one user only: leave user out").into());
        }
    };
    let filter = Filter { org: id(call, "org")?, team: id(call, "team")?, ..Filter::read(call)? };
    page(gate, call, whose, &filter).await
}

/// A page of somebody's rows that fit.
pub(crate) async fn page(
    gate: &Gate,
    call: &Call,
    whose: Whose<'_>,
    filter: &Filter<'_>,
) -> Result<Answer, Refusal> {
    let fits = |record: &CallRecord| filter.admits(record);
    let search = Search {
        whose,
        from: call.time("from")?,
        to: call.time("to")?,
        fits: (*filter != Filter::default()).then_some(&fits),
    };
    let page = gate.control.logs().search(&search, call.limit()?, call.cursor()).await?;
    let looked_back_to = page.looked_back_to().map(|at| at.to_string());
    let requests = page.rows.into_iter().map(row).collect();
    Answer::ok(&RequestList { requests, next_cursor: page.next, looked_back_to })
}

/// `GET /admin/v1/requests/{id}`; `?user=` saves a look at the index.
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let id: Rid = call.parsed("id")?;
    let logs = gate.control.logs();
    let record = match call.query("user") {
        Some(_) => logs.get(&call.parsed_query::<EntityId>("user", "ID")?, id).await?,
        None => logs.find(id).await?,
    };
    let mut row = row(record.ok_or_else(|| absent(call))?);
    let corrections = gate.control.corrections_of(id).await?;
    row.corrections =
        corrections.iter().map(|one| corrections::shown(&one.record, "entered")).collect();
    Answer::ok(&row)
}

pub(crate) fn row(record: CallRecord) -> RequestRow {
    let (charged, charged_by) = (record.charged(), record.charged_by());
    let correction = record.correction.clone();
    let lines = record.lines.into_iter().map(|line| CostLine {
        class: line.class,
        count: line.count,
        price_usd: line.price_usd,
        per: line.per,
        amount_usd: line.amount_usd,
    });
    let earlier = record.earlier.into_iter().map(|attempt| EarlierAttempt {
        request_id: attempt.id.to_string(),
        model: attempt.model,
        outcome: attempt.outcome.name().to_owned(),
        cost_usd: attempt.charged.to_string(),
        error_code: attempt.error_code,
    });
    RequestRow {
        request_id: record.request_id.to_string(),
        client_request_id: record.client_request_id,
        parent: record.parent.map(|call| call.to_string()),
        earlier: earlier.collect(),
        started_at: record.started_at.to_string(),
        user: record.user.to_string(),
        key_id: record.key_id.to_string(),
        endpoint: record.endpoint,
        provider: record.provider,
        model: record.model,
        model_served: record.model_served,
        stream: record.stream,
        outcome: record.outcome.name().to_owned(),
        cost_usd: charged.map(|cost| cost.to_string()),
        charged_by: charged_by.map(str::to_owned),
        counted_usd: record.cost.map(|cost| cost.total.to_string()),
        hold_usd: record.hold.map(|hold| hold.to_string()),
        lines: lines.collect(),
        scopes: record.parts.iter().map(|part| part.scope.whole().to_string()).collect(),
        provider_cost_usd: record.provider_cost.map(|cost| cost.to_string()),
        price_version: record.price_version,
        usage: record.usage.as_ref().map(tokens),
        finish_reason: record.finish_reason,
        http_status: record.http_status,
        error_code: record.error_code,
        error_message: record.error_message,
        provider_request_id: record.provider_request_id,
        credential_owner: record.credential_owner,
        labels: record.labels.to_map(),
        response_time_ms: record.response_time_ms,
        first_token_ms: record.first_token_ms,
        client_gone: record.client_gone,
        corrects: correction.as_ref().and_then(|one| one.of).map(|id| id.to_string()),
        reason: correction.map(|one| one.reason),
        corrections: Vec::new(),
        ip: record.ip,
        user_agent: record.user_agent,
    }
}

fn id(call: &Call, name: &str) -> Result<Option<EntityId>, Error> {
    call.query(name).map(|id| entity(name, id)).transpose()
}

/// What a row must be besides whose it is and when it was made.
#[derive(Default, PartialEq)]
pub(crate) struct Filter<'call> {
    key: Option<EntityId>,
    org: Option<EntityId>,
    team: Option<EntityId>,
    provider: Option<&'call str>,
    model: Option<&'call str>,
    outcome: Option<&'call str>,
    error: Option<&'call str>,
    label: Option<&'call str>,
}

impl<'call> Filter<'call> {
    /// What the query says.
    pub fn read(call: &'call Call) -> Result<Self, Error> {
        let model = call.query("model");
        let is_name = |name: &str| name.len() <= 200 && name.bytes().all(|b| b.is_ascii_graphic());
        if !model.is_none_or(is_name) {
            let rule = "has at most 200 printable ASCII characters";
            return Err(Error::malformed("model", rule));
        }
        let label = call.query("label");
        let is_pair = |label: &str| {
            let is_split = label.find(':').is_some_and(|at| at > 0 && at + 1 < label.len());
            let is_short = label.chars().count() <= LABEL_CHARS_MAX;
            is_split && is_short && !label.chars().any(char::is_control)
        };
        if !label.is_none_or(is_pair) {
            return Err(Error::malformed("label", "is name:value, such as team:search"));
        }
        Ok(Self {
            key: None,
            org: None,
            team: None,
            provider: call.query("provider").map(provider).transpose()?,
            model,
            outcome: call.one_of("outcome", &Outcome::NAMES.map(|(name, _)| name))?,
            error: call.query("error"),
            label,
        })
    }

    /// The same of one of a user's keys.
    pub fn of_key(self, call: &Call) -> Result<Self, Error> {
        Ok(Self { key: id(call, "key")?, ..self })
    }

    fn admits(&self, row: &CallRecord) -> bool {
        let is = |wanted: Option<&str>, has: Option<&str>| wanted.is_none() || wanted == has;
        // `metadata` may name a label with a colon, so the pair is compared as a whole.
        let has = |wanted: &str| {
            row.labels.iter().any(|(name, value)| {
                wanted.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')) == Some(value)
            })
        };
        // Whose the user was then; and an admin's entry in the books of that one alone.
        let counts_to = |kind, wanted: &Option<EntityId>, has: &Option<EntityId>| {
            let Some(id) = wanted else { return true };
            let is_of = |part: &ScopePart| part.scope.kind == kind && part.scope.id == *id;
            has.as_ref() == Some(id) || row.parts.iter().any(is_of)
        };
        counts_to(ScopeKind::Org, &self.org, &row.org)
            && counts_to(ScopeKind::Team, &self.team, &row.team)
            && self.key.as_ref().is_none_or(|key| *key == row.key_id)
            && is(self.provider, row.provider.as_deref())
            && is(self.model, row.model.as_deref())
            && is(self.outcome, Some(row.outcome.name()))
            && is(self.error, row.error_code.as_deref())
            && self.label.is_none_or(has)
    }
}

fn tokens(usage: &Usage) -> TokenCounts {
    TokenCounts {
        prompt_tokens: usage.prompt_tokens(),
        cached_tokens: usage.cached,
        completion_tokens: usage.completion_tokens(),
        reasoning_tokens: usage.reasoning,
        total_tokens: usage.total_tokens(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use farebox_core::{Decision, Money, Timestamp};

    fn record(decision: Option<Decision>) -> CallRecord {
        let rid: Rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F".parse().unwrap();
        CallRecord {
            outcome: Outcome::VoidInferred,
            decision,
            hold: Money::parse_usd("0.5").ok(),
            started_at: Timestamp::from_ms(0),
            ip: Some("127.0.0.1".into()),
            user_agent: Some("curl".into()),
            ..CallRecord::new(rid, "main".into(), "u1".parse().unwrap(), "k1".parse().unwrap())
        }
    }

    #[test]
    fn a_row_shows_what_was_charged() {
        let cost = |decision| row(record(decision)).cost_usd;
        let settled = Money::parse_usd("0.25").unwrap();

        assert_eq!(cost(Some(Decision::Settle(settled))).as_deref(), Some("0.25"));
        assert_eq!(cost(Some(Decision::Void)).as_deref(), Some("0"));
        assert_eq!(cost(Some(Decision::Worst)).as_deref(), Some("0.5"));
        assert_eq!(cost(None), None);
    }

    #[test]
    fn a_filter_admits_what_is_all_that_it_says() {
        let mut record = CallRecord { provider: Some("openai".into()), ..record(None) };
        record.labels = [("team".to_owned(), "a:b".to_owned())].into_iter().collect();
        let admits = |pairs: &[(&str, &str)]| {
            let call = Call::of("GET", "/", "");
            let call = pairs.iter().fold(call, |call, (name, value)| call.with_query(name, value));
            Filter::read(&call).unwrap().admits(&record)
        };

        assert!(admits(&[]) && admits(&[("provider", "openai"), ("outcome", "void_inferred")]));
        assert!(admits(&[("label", "team:a:b")]));
        for pair in [
            ("provider", "anthropic"),
            ("outcome", "void"),
            ("model", "x"),
            ("error", "x"),
            ("label", "team:a"),
            ("label", "tea:m:a:b"),
            ("label", "other:a:b"),
        ] {
            assert!(!admits(&[pair]), "{pair:?}");
        }
        for (name, value) in [
            ("outcome", "lost"),
            ("label", "team"),
            ("label", ":x"),
            ("label", "team:"),
            ("label", "team:a\n"),
            ("model", "a b"),
            ("provider", "Open AI"),
        ] {
            let call = Call::of("GET", "/", "").with_query(name, value);
            let refused = Filter::read(&call).err().unwrap();
            assert_eq!(refused.field(), Some(name), "{value}");
        }
    }

    #[test]
    fn a_row_shows_who_called_and_how_it_ended() {
        let row = row(record(None));

        assert_eq!(row.outcome, "void_inferred");
        assert_eq!(row.started_at, "1970-01-01T00:00:00Z");
        assert_eq!(
            (row.ip.as_deref(), row.user_agent.as_deref()),
            (Some("127.0.0.1"), Some("curl"))
        );
    }
}
