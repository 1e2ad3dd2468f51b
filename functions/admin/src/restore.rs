//! After a restore of the ledger.

use farebox_api::{RaiseEpochs, RaisedEpochs};

use crate::Gate;
use crate::call::Call;
use crate::reply::{Answer, Refusal};

/// `POST /admin/v1/restore-fence {cursor?}`: raises the epochs of one page of budgets, so that
/// no terms that a function cached before the restore match again.
pub async fn fence(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let body: RaiseEpochs = call.body()?;
    let (raised, next_cursor) = gate.control.raise_epochs(body.cursor.as_deref()).await?;
    Answer::ok(&RaisedEpochs { raised, next_cursor })
}
