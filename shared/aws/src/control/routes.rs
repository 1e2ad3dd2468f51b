//! Routes: names that stand for several models.

use farebox_core::{Error, Route};

use super::budgets::Expected;
use super::store::{Attributes, Changed, number, read_number, read_text, text};
use super::{Control, Listed};
use crate::directory::ROUTE;

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRow {
    /// What calls write as their model.
    pub name: String,
    /// The time of its last change, in ms: it rises also where a route was deleted in between.
    pub version: u64,
    /// What it stands for.
    pub route: Route,
}

/// What a change of a route came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteChange {
    /// It is in force.
    Applied(RouteRow),
    /// Somebody else changed it before; this is it now.
    Stale(Option<RouteRow>),
}

impl RouteRow {
    fn read(item: &Attributes) -> Option<Self> {
        let route = serde_json::from_str(&read_text(item, "route")?).ok()?;
        let name = read_text(item, "sk")?.strip_prefix(ROUTE)?.to_owned();
        Some(Self { name, version: read_number(item, "v")?, route })
    }
}

impl Control {
    /// Sets a route. The caller has checked it. [`Expected::Epoch`] 0 is that of a route that
    /// nobody has made.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn put_route(
        &self,
        name: &str,
        route: &Route,
        expected: Expected,
    ) -> Result<RouteChange, Error> {
        let spec = serde_json::to_string(route).map_err(Error::internal)?;
        let now = u64::try_from(self.aws().now().ms()).unwrap_or_default();
        let (condition, seen) = match expected {
            Expected::Any => ("", None),
            Expected::Epoch(0) => ("attribute_not_exists(pk)", None),
            Expected::Epoch(version) => ("v = :v", Some(version)),
        };
        let version = seen.map_or(now, |seen| now.max(seen.saturating_add(1)));
        let (pk, sk) = (self.prices_pk(), sk(name));
        let mut change = Changed::new(&pk, &sk, "SET route = :route, v = :next", condition)
            .value(":route", text(&spec))
            .value(":next", number(version));
        if let Some(seen) = seen {
            change = change.value(":v", number(seen));
        }
        match self.store.change(change).await? {
            Some(_) => {
                let (name, route) = (name.to_owned(), route.clone());
                Ok(RouteChange::Applied(RouteRow { name, version, route }))
            }
            None => Ok(RouteChange::Stale(self.route(name).await?)),
        }
    }

    /// One route.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn route(&self, name: &str) -> Result<Option<RouteRow>, Error> {
        let item = self.store.get(&self.prices_pk(), &sk(name)).await?;
        Ok(item.as_ref().and_then(RouteRow::read))
    }

    /// A page of the routes, by name.
    ///
    /// # Errors
    /// Where the table cannot be reached or the cursor is not one of this list.
    pub async fn routes(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Listed<RouteRow>, Error> {
        let (items, next) = self.store.query(&self.prices_pk(), ROUTE, cursor, limit).await?;
        Ok(Listed { rows: items.iter().filter_map(RouteRow::read).collect(), next })
    }

    /// Takes a route away; `false` where there is none.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn delete_route(&self, name: &str) -> Result<bool, Error> {
        self.store.delete(&self.prices_pk(), &sk(name)).await
    }
}

fn sk(name: &str) -> String {
    format!("{ROUTE}{name}")
}
