//! Who changed what.

use farebox_api::{AuditEntry, AuditList};
use farebox_aws::control::{AuditFilter, AuditRow};
use farebox_core::Error;

use crate::Gate;
use crate::call::Call;
use crate::reply::{Answer, Refusal};

/// What is told: changes by their methods, a look at content, who came and went, and the end of a
/// change that had one.
const ACTIONS: [&str; 7] = ["PUT", "POST", "DELETE", "GET", "SIGN-IN", "SIGN-OUT", "END"];
/// Longest text that a filter compares with.
const FILTER_BYTES_MAX: usize = 256;

/// `GET /admin/v1/audit?from=&to=&actor=&action=&target=`
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let filter = AuditFilter {
        from: call.time("from")?,
        to: call.time("to")?,
        actor: short(call, "actor")?,
        action: call.one_of("action", &ACTIONS)?.map(str::to_owned),
        target: short(call, "target")?,
    };
    let page = gate.control.audit(&filter, call.limit()?, call.cursor()).await?;
    let entries = page.rows.into_iter().map(entry).collect();
    Answer::ok(&AuditList { entries, next_cursor: page.next })
}

fn short(call: &Call, name: &str) -> Result<Option<String>, Error> {
    let text = call.query(name).map(str::to_owned);
    if text.as_ref().is_some_and(|text| text.len() > FILTER_BYTES_MAX) {
        return Err(Error::malformed(name, "is at most 256 characters long"));
    }
    Ok(text)
}

fn entry(row: AuditRow) -> AuditEntry {
    let status = row.end.as_ref().map(|end| end.status);
    let outcome = match status {
        None => "unknown",
        Some(status) if status < 400 => "done",
        Some(_) => "failed",
    };
    AuditEntry {
        request_id: row.id.to_string(),
        at: row.id.made_at().to_string(),
        actor: row.actor,
        role: row.role,
        action: row.action,
        target: row.target,
        outcome: outcome.to_owned(),
        http_status: status,
        before: row.before,
        after: row.end.map(|end| end.after).unwrap_or_default(),
    }
}
