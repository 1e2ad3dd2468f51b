//! Whom single sign-on lets in: addresses, groups and identifiers, each with a role that an owner
//! gave it.

use farebox_core::{EntityId, Error, Timestamp};

use super::owners::{VERSION, seconds};
use super::store::{Attributes, Changed, number, read_number, read_text, text};
use super::{Control, Expected, Listed, PAGE_MAX, version};

/// What the sort keys begin with.
const BINDINGS: &str = "sso:";

/// An address or a group with its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingRow {
    /// `email:ann@example.com`, `group:finance` or `sub:ID`.
    pub subject: String,
    /// The name of the role.
    pub role: String,
    /// Whose self-service it is, for members.
    pub user: Option<EntityId>,
    /// The provider that was in force then: an identifier is of one provider.
    pub issuer: Option<String>,
    /// When it got a role first.
    pub created_at: Timestamp,
    /// Changes with every change of it, which ends the sessions that came by it.
    pub version: u64,
}

impl BindingRow {
    fn read(item: &Attributes) -> Option<Self> {
        let user = read_text(item, "user").map(|user| user.parse());
        Some(Self {
            subject: read_text(item, "sk")?.strip_prefix(BINDINGS)?.to_owned(),
            role: read_text(item, "role")?,
            user: user.transpose().ok()?,
            issuer: read_text(item, "iss"),
            created_at: seconds(read_number(item, "created_at")?),
            version: version::of(item, VERSION),
        })
    }
}

impl Control {
    /// Gives an address or a group a role; `None` where another change was first.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn put_binding(
        &self,
        subject: &str,
        role: &str,
        user: Option<&EntityId>,
        expected: Expected,
    ) -> Result<Option<BindingRow>, Error> {
        let (sk, now) = (format!("{BINDINGS}{subject}"), self.aws().now());
        let issuer = self.aws().config().sign_on.as_ref().map(|sign_on| &*sign_on.issuer);
        let set = "SET #role = :role, iss = :iss, v = :next, \
                   created_at = if_not_exists(created_at, :now)";
        let set = match user {
            Some(_) => format!("{set}, #user = :user"),
            None => format!("{set} REMOVE #user"),
        };
        let change = expected
            .guard(Changed::new(&self.entities(), &sk, &set, ""), VERSION, false)
            .name("#role", "role")
            .name("#user", "user")
            .value(":role", text(role))
            .value(":iss", text(issuer.unwrap_or("-")))
            .value(":now", number(now.seconds()))
            .value(":next", number(version::next(now)));
        let change = match user {
            Some(user) => change.value(":user", text(user.as_str())),
            None => change,
        };
        let item = self.store.change(change).await?;
        Ok(item.as_ref().and_then(BindingRow::read))
    }

    /// An address or a group that has a role.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn binding(&self, subject: &str) -> Result<Option<BindingRow>, Error> {
        let item = self.store.get(&self.entities(), &format!("{BINDINGS}{subject}")).await?;
        Ok(item.as_ref().and_then(BindingRow::read))
    }

    /// Those of at most 100 subjects that have a role, in no order.
    ///
    /// # Errors
    /// Where the table cannot be reached, or there are more subjects.
    pub async fn bindings_of(&self, subjects: &[String]) -> Result<Vec<BindingRow>, Error> {
        if u32::try_from(subjects.len()).is_ok_and(|count| count > PAGE_MAX) {
            return Err(Error::internal("more than 100 subjects at once"));
        }
        let pk = self.entities();
        let keys = subjects.iter().map(|subject| (pk.clone(), format!("{BINDINGS}{subject}")));
        let table = &self.aws().config().main_table;
        let items = self.store.batch(table, keys.collect()).await?;
        Ok(items.iter().filter_map(BindingRow::read).collect())
    }

    /// A page of addresses and groups by name.
    ///
    /// # Errors
    /// Where the table cannot be reached or the cursor is not one of this list.
    pub async fn bindings(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Listed<BindingRow>, Error> {
        let (items, next) = self.store.query(&self.entities(), BINDINGS, cursor, limit).await?;
        Ok(Listed { rows: items.iter().filter_map(BindingRow::read).collect(), next })
    }

    /// Takes a role away; `false` where there is none of that version.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn delete_binding(&self, subject: &str, expected: Expected) -> Result<bool, Error> {
        let sk = format!("{BINDINGS}{subject}");
        self.store.delete(&self.entities(), &sk, VERSION, expected).await
    }
}
