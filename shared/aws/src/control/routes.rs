//! Routes: names that stand for several models.

use farebox_core::{Error, Route};

use super::owners::VERSION;
use super::store::{Attributes, Changed, number, read_text, text};
use super::{Control, Expected, Listed, version};
use crate::directory::ROUTE;

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRow {
    /// What calls write as their model.
    pub name: String,
    /// Changes with every change of it.
    pub version: u64,
    /// What it stands for.
    pub route: Route,
}

impl RouteRow {
    fn read(item: &Attributes) -> Option<Self> {
        let route = serde_json::from_str(&read_text(item, "route")?).ok()?;
        let name = read_text(item, "sk")?.strip_prefix(ROUTE)?.to_owned();
        Some(Self { name, version: version::of(item, VERSION), route })
    }
}

impl Control {
    /// Sets a route. The caller has checked it. `None` where another change was first.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn put_route(
        &self,
        name: &str,
        route: &Route,
        expected: Expected,
    ) -> Result<Option<RouteRow>, Error> {
        let spec = serde_json::to_string(route).map_err(Error::internal)?;
        let (pk, sk) = (self.prices_pk(), sk(name));
        let change = Changed::new(&pk, &sk, "SET route = :route, v = :next", "");
        let change = expected
            .guard(change, VERSION, false)
            .value(":route", text(&spec))
            .value(":next", number(version::next(self.aws().now())));
        let item = self.store.change(change).await?;
        Ok(item.as_ref().and_then(RouteRow::read))
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

    /// Takes a route away; `false` where there is none of that version.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn delete_route(&self, name: &str, expected: Expected) -> Result<bool, Error> {
        self.store.delete(&self.prices_pk(), &sk(name), VERSION, expected).await
    }
}

fn sk(name: &str) -> String {
    format!("{ROUTE}{name}")
}
