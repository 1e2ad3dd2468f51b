//! What was told of budgets, and to the operator.

use core::cmp::Reverse;
use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use farebox_core::Scope;
use farebox_ledger::Owner;
use farebox_ledger::alert::{
    Acknowledged, AlertName, Delivery, Fault, Line, Notice, Stored, behind, lines_pk, notices_key,
};

use super::{AlertItem, Directory, NoticeItem, text};
use crate::control::{Fits, PAGE_MAX};
use crate::error::Error;
use crate::expression::{Attributes, Store, again, classify, item};

/// Alerts shown of one scope where nobody says how many, newest first.
const ALERTS_MAX: u32 = 50;
/// How often each fault's notices are asked for, for one page of those that fit.
const ROUNDS_MAX: usize = 10;

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

    /// A page of the operator's alerts, the newest first, of those that fit, and where the next
    /// one begins. They lie by fault, so each fault is asked for.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn notices(
        &self,
        limit: u32,
        cursor: Option<&str>,
        fits: Option<&Fits<'_, NoticeItem>>,
    ) -> Result<(Vec<NoticeItem>, Option<String>), Error> {
        let last = cursor.map(|cursor| cursor.parse().map_err(|_| Error::Cursor));
        let mut last: Option<Notice> = last.transpose()?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let size = if fits.is_some() { PAGE_MAX } else { limit };
        let mut rows = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let mut found = self.notices_behind(last.as_ref(), size).await?;
            let is_all = found.len() <= usize::try_from(size).unwrap_or(usize::MAX);
            found.truncate(usize::try_from(size).unwrap_or(usize::MAX));
            let count = found.len();
            for (place, one) in found.into_iter().enumerate() {
                last = Some(one.notice.clone());
                rows.extend(Some(one).filter(|one| fits.is_none_or(|fits| fits(one))));
                if rows.len() == wanted {
                    let is_last = is_all && place.saturating_add(1) == count;
                    let next = last.filter(|_| !is_last).map(|last| last.sk());
                    return Ok((rows, next));
                }
            }
            if is_all {
                return Ok((rows, None));
            }
        }
        Ok((rows, last.map(|last| last.sk())))
    }

    /// The newest notices behind one; more than `size` where there are.
    async fn notices_behind(
        &self,
        last: Option<&Notice>,
        size: u32,
    ) -> Result<Vec<NoticeItem>, Error> {
        let key = notices_key(&self.aws.config().tenant);
        let mut found = Vec::new();
        for fault in Fault::ALL {
            let (from, to) = behind(fault, last);
            let page = again("Query", || async {
                let query = self.aws.dynamodb().query().table_name(&self.aws.config().main_table);
                let query = query.key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to");
                let query = [(":pk", &key.pk), (":from", &from), (":to", &to)].into_iter().fold(
                    query,
                    |query, (name, value)| {
                        let value = AttributeValue::S(value.clone());
                        query.expression_attribute_values(name, value)
                    },
                );
                // One more than is shown, and the last one again.
                let limit = i32::try_from(size).unwrap_or(i32::MAX).saturating_add(2);
                let query = query.scan_index_forward(false).limit(limit);
                query.send().await.map_err(|error| classify(&error))
            });
            for one in page.await?.items.unwrap_or_default() {
                let one = NoticeItem::read(one)?;
                let is_behind = last.is_none_or(|last| one.notice.place() < last.place());
                found.extend(Some(one).filter(|_| is_behind));
            }
        }
        found.sort_by_key(|one| Reverse(one.notice.place()));
        Ok(found)
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

impl NoticeItem {
    /// Reads a notice's item.
    ///
    /// # Errors
    /// [`Error`] names the attribute.
    pub(crate) fn read(found: Attributes) -> Result<Self, Error> {
        let malformed = |error| Error::malformed("an alert to the operator".to_owned(), error);
        let found = item(found);
        Ok(Self {
            notice: Notice::parse(&found).map_err(malformed)?,
            delivery: Delivery::parse(&found).map_err(malformed)?,
            acknowledged: Acknowledged::parse(&found).map_err(malformed)?,
        })
    }

    /// It changes once: when somebody has looked.
    #[must_use]
    pub const fn version(&self) -> u64 {
        if self.acknowledged.is_some() { 2 } else { 1 }
    }
}

fn read(scope: Scope, found: Attributes) -> Result<AlertItem, Error> {
    let stored = Stored::parse(&item(found));
    let stored = stored.map_err(|error| Error::malformed(format!("an alert of {scope}"), error))?;
    Ok(AlertItem::new(scope, stored))
}
