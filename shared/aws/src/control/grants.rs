//! Who besides the deployment's own key may use the control plane: admin keys and IAM principals.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farebox_core::{EntityId, Error, GatewayKey, Secret, Timestamp};

use super::owners::{VERSION, seconds};
use super::store::{Attributes, Changed, number, read_number, read_text, text};
use super::{Control, Expected, Fits, Listed, version};

/// What an admin key begins with; behind it stands what a Farebox key has behind its own prefix.
const PREFIX: &str = "sk-fba-";
const GATEWAY_PREFIX: &str = "sk-fb-";
const KEYS: &str = "admin:";
const PRINCIPALS: &str = "iam:";

/// An admin key without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminKeyRow {
    /// Its public identity.
    pub id: EntityId,
    /// For people.
    pub name: String,
    /// The name of its role.
    pub role: String,
    /// Whether it is not revoked.
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// Changes with every change of it.
    pub version: u64,
}

/// What a new admin key may do.
#[derive(Clone, Debug)]
pub struct NewAdminKey {
    /// For people.
    pub name: String,
    /// The name of its role.
    pub role: String,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

/// An IAM principal with a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalRow {
    /// `arn:aws:iam::111122223333:role/Ops`.
    pub arn: String,
    /// The name of its role.
    pub role: String,
    /// When it got one first.
    pub created_at: Timestamp,
    /// Changes with every change of it.
    pub version: u64,
}

/// Reads a presented admin key; `None` where it is not of that form.
#[must_use]
pub fn parse_admin_key(text: &str) -> Option<GatewayKey> {
    let rest = text.strip_prefix(PREFIX)?;
    GatewayKey::parse(&format!("{GATEWAY_PREFIX}{rest}")).ok()
}

fn shown(key: &GatewayKey) -> Secret {
    let text = key.secret().expose();
    Secret::new(format!("{PREFIX}{}", text.strip_prefix(GATEWAY_PREFIX).unwrap_or(text)))
}

impl AdminKeyRow {
    fn read(item: &Attributes) -> Option<Self> {
        Some(Self {
            id: read_text(item, "sk")?.strip_prefix(KEYS)?.parse().ok()?,
            name: read_text(item, "name").unwrap_or_default(),
            role: read_text(item, "role")?,
            is_active: read_text(item, "st").as_deref() == Some("A"),
            created_at: seconds(read_number(item, "created_at")?),
            expires_at: read_number(item, "exp").map(seconds),
            version: version::of(item, VERSION),
        })
    }

    /// Whether it works at that time.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.is_active && self.expires_at.is_none_or(|at| now < at)
    }
}

impl PrincipalRow {
    fn read(item: &Attributes) -> Option<Self> {
        Some(Self {
            arn: read_text(item, "sk")?.strip_prefix(PRINCIPALS)?.to_owned(),
            role: read_text(item, "role")?,
            created_at: seconds(read_number(item, "created_at")?),
            version: version::of(item, VERSION),
        })
    }
}

impl Control {
    /// Makes an admin key, or the successor of one. Its secret is in the first half of the answer
    /// and nowhere else; a repeat with the same `seed` within a day has it again.
    ///
    /// # Errors
    /// Where a service cannot be reached; [`Error::IdempotencyKeyReused`] or [`Error::Conflict`]
    /// where the seed has made another key, or one that works no more.
    pub async fn create_admin_key(
        &self,
        new: &NewAdminKey,
        after: Option<&EntityId>,
        seed: Option<&str>,
    ) -> Result<(Secret, AdminKeyRow), Error> {
        let pepper = self.directory.pepper().await?;
        // Two keys of one name and role have two successors.
        let purpose = after.map_or("admin key".to_owned(), |id| format!("admin key after {id}"));
        let random = self.draw(&purpose, seed).await?;
        let key = GatewayKey::generate(&self.aws().config().stage, random);
        let now = self.aws().now();
        let mut item = super::store::key(&self.entities(), &format!("{KEYS}{}", key.id));
        let mut set = |name: &str, value| item.insert(name.to_owned(), value);
        set("name", text(&new.name));
        set("role", text(&new.role));
        set("mac", text(&STANDARD.encode(key.mac(&pepper))));
        set("st", text("A"));
        set("created_at", number(now.seconds()));
        set(VERSION, number(version::next(now)));
        if let Some(at) = new.expires_at {
            set("exp", number(at.seconds()));
        }
        let row = AdminKeyRow::read(&item);
        let row = row.ok_or_else(|| Error::internal("a new admin key is malformed"))?;
        if self.admin_key_row(&key.id).await?.is_none()
            && self.store.put(item, Some("attribute_not_exists(pk)")).await?
        {
            return Ok((shown(&key), row));
        }
        let made = self.admin_key_row(&key.id).await?;
        let made = made.ok_or_else(|| Error::internal("an admin key is gone"))?;
        if (&made.name, &made.role, made.expires_at) != (&row.name, &row.role, row.expires_at) {
            return Err(Error::IdempotencyKeyReused);
        }
        if !made.is_live(now) || !self.is_repeatable(made.created_at) {
            return Err(Error::Conflict { thing: format!("The admin key {}", made.id) });
        }
        Ok((shown(&key), made))
    }

    /// An admin key by its identity.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn admin_key_row(&self, id: &EntityId) -> Result<Option<AdminKeyRow>, Error> {
        let item = self.store.get(&self.entities(), &format!("{KEYS}{id}")).await?;
        Ok(item.as_ref().and_then(AdminKeyRow::read))
    }

    /// The admin key that somebody presents, where it works; read at each request, so that a
    /// revocation binds at once.
    ///
    /// # Errors
    /// Where the table or the pepper cannot be read.
    pub async fn admin_by(&self, key: &GatewayKey) -> Result<Option<AdminKeyRow>, Error> {
        let pepper = self.directory.pepper().await?;
        let item = self.store.get(&self.entities(), &format!("{KEYS}{}", key.id)).await?;
        let Some(item) = item else { return Ok(None) };
        let mac = read_text(&item, "mac").and_then(|mac| STANDARD.decode(mac).ok());
        let is_same = mac.is_some_and(|mac| key.matches(&pepper, &mac));
        let is_here = key.stage == self.aws().config().stage;
        let row = AdminKeyRow::read(&item).filter(|row| row.is_live(self.aws().now()));
        Ok(row.filter(|_| is_same && is_here))
    }

    /// A page of admin keys by identity; the deployment's own is not among them.
    ///
    /// # Errors
    /// Where the table cannot be reached or the cursor is not one of this list.
    pub async fn admin_keys(
        &self,
        limit: u32,
        cursor: Option<&str>,
        fits: Option<&Fits<'_, AdminKeyRow>>,
    ) -> Result<Listed<AdminKeyRow>, Error> {
        let read = |item: &Attributes| {
            let row = AdminKeyRow::read(item)?;
            fits.is_none_or(|fits| fits(&row)).then_some(row)
        };
        let place = (&*self.entities(), KEYS);
        self.store.search(place, (limit, cursor), fits.is_some(), read).await
    }

    /// Stops an admin key for ever; `None` where there is none of that version.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn revoke_admin_key(
        &self,
        id: &EntityId,
        expected: Expected,
    ) -> Result<Option<AdminKeyRow>, Error> {
        self.change_admin_key(id, "SET st = :R, v = :next", (":R", text("R")), expected).await
    }

    /// Lets an admin key end by then, if it does not end before; `None` where there is none.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn end_admin_key(
        &self,
        id: &EntityId,
        at: Timestamp,
    ) -> Result<Option<AdminKeyRow>, Error> {
        let known = self.admin_key_row(id).await?;
        match known {
            Some(known) if known.expires_at.is_none_or(|end| at < end) => {
                let set = "SET #exp = :exp, v = :next";
                let value = (":exp", number(at.seconds()));
                self.change_admin_key(id, set, value, Expected::Any).await
            }
            known => Ok(known),
        }
    }

    async fn change_admin_key(
        &self,
        id: &EntityId,
        set: &str,
        (placeholder, value): (&str, aws_sdk_dynamodb::types::AttributeValue),
        expected: Expected,
    ) -> Result<Option<AdminKeyRow>, Error> {
        let sk = format!("{KEYS}{id}");
        let change = Changed::new(&self.entities(), &sk, set, "attribute_exists(pk)");
        let change = expected.guard(change, VERSION, false).value(placeholder, value);
        let change = change.value(":next", number(version::next(self.aws().now())));
        let change = if set.contains("#exp") { change.name("#exp", "exp") } else { change };
        let item = self.store.change(change).await?;
        Ok(item.as_ref().and_then(AdminKeyRow::read))
    }

    /// Gives an IAM principal a role; `None` where another change was first.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn put_principal(
        &self,
        arn: &str,
        role: &str,
        expected: Expected,
    ) -> Result<Option<PrincipalRow>, Error> {
        let (sk, now) = (format!("{PRINCIPALS}{arn}"), self.aws().now());
        let set = "SET #role = :role, created_at = if_not_exists(created_at, :now), v = :next";
        let change = expected
            .guard(Changed::new(&self.entities(), &sk, set, ""), VERSION, false)
            .name("#role", "role")
            .value(":role", text(role))
            .value(":now", number(now.seconds()))
            .value(":next", number(version::next(now)));
        let item = self.store.change(change).await?;
        Ok(item.as_ref().and_then(PrincipalRow::read))
    }

    /// An IAM principal that has a role.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn principal(&self, arn: &str) -> Result<Option<PrincipalRow>, Error> {
        let item = self.store.get(&self.entities(), &format!("{PRINCIPALS}{arn}")).await?;
        Ok(item.as_ref().and_then(PrincipalRow::read))
    }

    /// A page of IAM principals by ARN.
    ///
    /// # Errors
    /// Where the table cannot be reached or the cursor is not one of this list.
    pub async fn principals(
        &self,
        limit: u32,
        cursor: Option<&str>,
        fits: Option<&Fits<'_, PrincipalRow>>,
    ) -> Result<Listed<PrincipalRow>, Error> {
        let read = |item: &Attributes| {
            let row = PrincipalRow::read(item)?;
            fits.is_none_or(|fits| fits(&row)).then_some(row)
        };
        let place = (&*self.entities(), PRINCIPALS);
        self.store.search(place, (limit, cursor), fits.is_some(), read).await
    }

    /// Takes an IAM principal's role away; `false` where there is none of that version.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn delete_principal(&self, arn: &str, expected: Expected) -> Result<bool, Error> {
        let sk = format!("{PRINCIPALS}{arn}");
        self.store.delete(&self.entities(), &sk, VERSION, expected).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_key_is_told_from_a_gateway_key_by_its_prefix() {
        let key = GatewayKey::generate("local", [7; 42]);
        let text = shown(&key);

        let read = parse_admin_key(text.expose()).unwrap();

        assert_eq!((read.id, read.stage.as_str()), (key.id.clone(), "local"));
        assert!(parse_admin_key(key.secret().expose()).is_none());
        assert!(GatewayKey::parse(text.expose()).is_err());
        assert!(parse_admin_key("sk-fba-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG").is_none());
    }
}
