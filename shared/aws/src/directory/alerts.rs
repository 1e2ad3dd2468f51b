//! What was told of budgets, and to the operator.

use std::collections::HashMap;

use farebox_core::Scope;
use farebox_ledger::Owner;
use farebox_ledger::alert::{AlertName, Delivery, Line, Notice, Stored, lines_pk, notices_key};

use super::{AlertItem, Directory, NoticeItem, text};
use crate::error::Error;
use crate::expression::{Attributes, Store, item};

/// Alerts shown of one scope where nobody says how many, newest first.
const ALERTS_MAX: u32 = 50;

impl Directory {
    /// The alerts of a scope, by period and threshold, latest periods first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn alerts(&self, scope: &Scope) -> Result<Vec<AlertItem>, Error> {
        Ok(self.alerts_page(scope, ALERTS_MAX, None).await?.0)
    }

    /// A page of them, and where the next one begins.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn alerts_page(
        &self,
        scope: &Scope,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<(Vec<AlertItem>, Option<String>), Error> {
        let pk = Owner::new(&self.aws.config().tenant, scope.clone()).alerts();
        let (found, next) = self.told(&pk, limit, cursor).await?;
        let alerts = found.into_iter().map(|found| read(scope.clone(), found));
        Ok((alerts.collect::<Result<_, _>>()?, next))
    }

    /// One alert of a scope.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn alert(&self, scope: &Scope, name: AlertName) -> Result<Option<AlertItem>, Error> {
        let key = name.key(&Owner::new(&self.aws.config().tenant, scope.clone()));
        let found = Store::patient(&self.aws).batch(&[key]).await?.into_iter().next();
        found.map(|found| read(scope.clone(), found)).transpose()
    }

    /// A page of the alerts of all scopes, the newest first, and where the next one begins: one
    /// query of their lines and one batch of what these name.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn all_alerts(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<(Vec<AlertItem>, Option<String>), Error> {
        let tenant = &self.aws.config().tenant;
        let (found, next) = self.told(&lines_pk(tenant), limit, cursor).await?;
        let lines = found.iter().filter_map(|line| text(line, "sk")?.parse::<Line>().ok());
        let named = lines.map(|line| {
            let key = line.name.key(&Owner::new(tenant, line.scope.clone()));
            ((key.pk.clone(), key.sk.clone()), (key, line))
        });
        let named: Vec<_> = named.collect();
        let keys: Vec<_> = named.iter().map(|(_, (key, _))| key.clone()).collect();
        let mut stored: HashMap<_, _> = Store::patient(&self.aws)
            .batch(&keys)
            .await?
            .into_iter()
            .filter_map(|found| {
                let part = |name| text(&found, name).map(str::to_owned);
                Some(((part("pk")?, part("sk")?), found))
            })
            .collect();
        // In the order of their lines; one that expired meanwhile is left out.
        let alerts = named
            .into_iter()
            .filter_map(|(at, (_, line))| Some(read(line.scope, stored.remove(&at)?)));
        Ok((alerts.collect::<Result<_, _>>()?, next))
    }

    /// A page of the operator's alerts, by fault, the newest first, and where the next one begins.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn notices(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<(Vec<NoticeItem>, Option<String>), Error> {
        let pk = notices_key(&self.aws.config().tenant).pk;
        let (found, next) = self.told(&pk, limit, cursor).await?;
        let malformed = |error| Error::malformed("an alert to the operator".to_owned(), error);
        let notices = found.into_iter().map(|found| {
            let found = item(found);
            let notice = Notice::parse(&found).map_err(malformed)?;
            let delivery = Delivery::parse(&found).map_err(malformed)?;
            Ok(NoticeItem { notice, delivery })
        });
        Ok((notices.collect::<Result<_, _>>()?, next))
    }

    /// Items of one partition behind a sort key, last sort keys first.
    async fn told(
        &self,
        pk: &str,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<(Vec<Attributes>, Option<String>), Error> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let start = cursor.map(|sk| crate::control::key(pk, sk));
        let (found, last) = self.query(pk, Some(limit), start).await?;
        let next = last.and_then(|last| text(&last, "sk").map(str::to_owned));
        Ok((found, next))
    }
}

fn read(scope: Scope, found: Attributes) -> Result<AlertItem, Error> {
    let stored = Stored::parse(&item(found));
    let stored = stored.map_err(|error| Error::malformed(format!("an alert of {scope}"), error))?;
    Ok(AlertItem::new(scope, stored))
}
