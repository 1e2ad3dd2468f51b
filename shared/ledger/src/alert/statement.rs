//! A month's statement on its way: leased and closed as an alert is.

use farebox_core::{Month, Timestamp};

use super::delivery;
use crate::item::{Key, Table};
use crate::update::Update;

/// Where it is kept that a month's statement is to be mailed, and what became of it.
#[must_use]
pub fn statement_key(tenant: &str, month: Month) -> Key {
    Key { table: Table::Main, pk: format!("ST#{tenant}"), sk: month.to_string() }
}

/// The write that says that it is to be mailed; it fails where that is known already, which is
/// success.
#[must_use]
pub fn statement_put(key: Key, now: Timestamp) -> Update {
    delivery::put(key, [], now)
}
