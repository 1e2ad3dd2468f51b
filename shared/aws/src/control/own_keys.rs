//! Keys that members make, keys that are asked for again, and keys that end.

use farebox_core::{EntityId, Error, GatewayKey, Scope};

use super::key_settings::KeySettings;
use super::keys::{KEY_SK, PAGES_MAX, pk};
use super::owners::VERSION;
use super::scopes::scopes_of;
use super::store::{Changed, number, text};
use super::{Control, CredentialOwner, Expected, KeyRow, NewKey, PAGE_MAX, version};

/// A change may be written so long after its key was read. A key that ends within this time is
/// taken for one that has ended.
const CHANGE_MS: i64 = 60_000;

impl Control {
    /// Makes a key that its user asks for: one at a time, so that no two share the last place.
    ///
    /// # Errors
    /// As [`Self::create_key`]; [`Error::NotAllowed`] where the user has as many as it may.
    pub async fn create_own_key(
        &self,
        new: NewKey,
        seed: Option<&str>,
    ) -> Result<Option<(GatewayKey, KeyRow)>, Error> {
        let owner = CredentialOwner::User(new.user.clone());
        let Some(lease) = self.lease(&owner).await? else { return Ok(None) };
        let made = self.create_key(new, seed).await;
        self.release(&owner, &lease).await;
        made
    }

    /// Changes a key for its user. One that has ended, or is about to, lives again by a later end:
    /// then it takes a place among the `most` live ones, as a new key would, one at a time.
    ///
    /// # Errors
    /// As [`Self::change_key`]; [`Error::NotAllowed`] where the user has as many as it may.
    pub async fn change_own_key(
        &self,
        row: &KeyRow,
        settings: &KeySettings,
        expected: Expected,
        most: u32,
    ) -> Result<Option<KeyRow>, Error> {
        let soon = self.aws().now().plus_ms(CHANGE_MS);
        if row.settings.expires_at.is_none_or(|end| end > soon) {
            return self.change_key(&row.id, settings, expected).await;
        }
        let owner = CredentialOwner::User(row.user.clone());
        let Some(lease) = self.lease(&owner).await? else { return Ok(None) };
        let changed = match self.check_room_for_a_key(&row.user, most, Some(&row.id)).await {
            Ok(()) => self.change_key(&row.id, settings, expected).await,
            Err(full) => Err(full),
        };
        self.release(&owner, &lease).await;
        changed
    }

    /// The budgets that every call of a user counts to; `None` where there is no such user.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn scopes_of_user(&self, user: &EntityId) -> Result<Option<Vec<Scope>>, Error> {
        Ok(self.access(user).await?.map(|access| scopes_of(user, None, access.budgets)))
    }

    /// That a user has fewer live keys than `most`, besides one of them.
    pub(super) async fn check_room_for_a_key(
        &self,
        user: &EntityId,
        most: u32,
        besides: Option<&EntityId>,
    ) -> Result<(), Error> {
        let (mut live, mut cursor, now) = (0_u32, None, self.aws().now());
        for _ in 0..PAGES_MAX {
            let page = self.keys(Some(user), PAGE_MAX, cursor.as_deref(), None).await?;
            let is_live =
                |row: &&KeyRow| row.is_active && row.settings.expires_at.is_none_or(|at| now < at);
            let others = page.rows.iter().filter(|row| besides != Some(&row.id));
            let count = others.filter(is_live).count();
            live = live.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
            cursor = page.next;
            if cursor.is_none() || live >= most {
                break;
            }
        }
        if live < most {
            return Ok(());
        }
        let rule = match most {
            0 => "Keys of your own are not allowed. Ask the owner for one.".to_owned(),
            _ => format!("You may have {most} keys and have {live}. Revoke one first."),
        };
        Err(Error::NotAllowed { rule })
    }

    /// What an earlier request with the same `Idempotency-Key` made, if it asked for the same.
    pub(super) fn made_before(&self, new: &NewKey, made: KeyRow) -> Result<KeyRow, Error> {
        let is_same = made.user == new.user && made.settings == new.settings.stored();
        // The secret that a repeat would show has been rotated out.
        let is_first = made.rotated_at.is_none();
        match (is_same, is_first && made.is_active && self.is_repeatable(made.created_at)) {
            (true, true) => Ok(made),
            (true, false) => Err(Error::Conflict { thing: format!("The key {}", made.id) }),
            (false, _) => Err(Error::IdempotencyKeyReused),
        }
    }

    /// Stops a key for ever; `None` where there is none of that version. It works for 30 seconds
    /// more where it was used just before.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn revoke_key(
        &self,
        id: &EntityId,
        expected: Expected,
    ) -> Result<Option<KeyRow>, Error> {
        let set = "SET st = :R, v = :next";
        let change = Changed::new(&pk(id), KEY_SK, set, "attribute_exists(pk)");
        let change = expected.guard(change, VERSION, false).value(":R", text("R"));
        let next = number(version::next(self.aws().now()));
        let item = self.store.change(change.value(":next", next)).await?;
        Ok(item.as_ref().and_then(KeyRow::read))
    }
}
