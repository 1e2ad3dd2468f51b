//! The owner's own prices, and the webhook.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use farebox_core::{Error, Money, Scope, Secret, Timestamp};
use farebox_ledger::Owner;
use farebox_ledger::alert::{self, Alert, Delivery, Notice, Stored};
use farebox_ledger::update::{QUARANTINE, quarantine_key};

use super::owners::{VERSION, seconds};
use super::store::{Attributes, Changed, number, read_number, read_text, text};
use super::{Control, Expected, Listed, PublicUrl, version};
use crate::config::random_bytes;
use crate::directory::{AlertItem, NoticeItem};

const WEBHOOK_SK: &str = "webhook";
const WEBHOOK_LEASE_SK: &str = "webhook:lease";
/// Not above any provider's name, which begins with a letter, and above what else stands beside the
/// prices: routes, discounts, quarantines and the imported list.
const PRICES: &str = "a";

/// A price override.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRow {
    /// The provider.
    pub provider: String,
    /// The model's exact name.
    pub model: String,
    /// What log rows name.
    pub version: String,
    /// The JSON of a `PriceSpec`.
    pub spec: String,
    /// Changes with every change of it.
    pub revision: u64,
}

/// A price row that a call has shown to be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineRow {
    /// The provider.
    pub provider: String,
    /// The model's exact name.
    pub model: String,
    /// The first call that ran over.
    pub request_id: String,
    /// What it held.
    pub hold: Money,
    /// What it cost.
    pub cost: Money,
    /// When that was seen.
    pub at: Timestamp,
}

impl QuarantineRow {
    fn read(item: &Attributes) -> Option<Self> {
        let sk = read_text(item, "sk")?;
        let (provider, model) = sk.strip_prefix(QUARANTINE)?.split_once('#')?;
        let money = |name| Money::from_pico(read_number(item, name)?).ok();
        Some(Self {
            provider: provider.to_owned(),
            model: model.to_owned(),
            request_id: read_text(item, "rid")?,
            hold: money("hold")?,
            cost: money("cost")?,
            at: seconds(read_number(item, "at")?),
        })
    }
}

impl PriceRow {
    fn read(item: &Attributes) -> Option<Self> {
        let sk = read_text(item, "sk")?;
        let (provider, model) = sk.split_once('#')?;
        Some(Self {
            provider: provider.to_owned(),
            model: model.to_owned(),
            version: read_text(item, "version")?,
            spec: read_text(item, "spec")?,
            revision: version::of(item, VERSION),
        })
    }
}

/// Where alerts are delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookRow {
    /// Where.
    pub url: String,
    /// Rises with every change.
    pub version: u64,
}

impl WebhookRow {
    fn read(item: &Attributes) -> Option<Self> {
        let version = read_number(item, "version").unwrap_or_default();
        Some(Self { url: read_text(item, "url")?, version })
    }
}

impl Control {
    /// Sets an override. The caller has checked that `spec` makes a model. `None` where another
    /// change was first.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn put_price(
        &self,
        provider: &str,
        model: &str,
        spec: &str,
        expected: Expected,
    ) -> Result<Option<PriceRow>, Error> {
        let (sk, now) = (price_sk(provider, model), self.aws().now());
        let set = "SET spec = :spec, version = :version, v = :next";
        let change = expected
            .guard(Changed::new(&self.prices_pk(), &sk, set, ""), VERSION, false)
            .value(":spec", text(spec))
            .value(":version", text(&format!("owner-{now}")))
            .value(":next", number(version::next(now)));
        let item = self.store.change(change).await?;
        Ok(item.as_ref().and_then(PriceRow::read))
    }

    /// One override.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn price(&self, provider: &str, model: &str) -> Result<Option<PriceRow>, Error> {
        let item = self.store.get(&self.prices_pk(), &price_sk(provider, model)).await?;
        Ok(item.as_ref().and_then(PriceRow::read))
    }

    /// A page of overrides, of one provider where it is given.
    ///
    /// # Errors
    /// Where the table cannot be reached or the cursor is not one of this list.
    pub async fn prices(
        &self,
        provider: Option<&str>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Listed<PriceRow>, Error> {
        let pk = self.prices_pk();
        let page = match provider {
            Some(provider) => self.store.query(&pk, &format!("{provider}#"), cursor, limit).await?,
            None => self.store.query_from(&pk, PRICES, cursor, limit).await?,
        };
        let (items, next) = page;
        Ok(Listed { rows: items.iter().filter_map(PriceRow::read).collect(), next })
    }

    /// Takes an override away; `false` where there is none of that version.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn delete_price(
        &self,
        provider: &str,
        model: &str,
        expected: Expected,
    ) -> Result<bool, Error> {
        let sk = price_sk(provider, model);
        self.store.delete(&self.prices_pk(), &sk, VERSION, expected).await
    }

    /// A page of the models whose price row a call has shown to be wrong.
    ///
    /// # Errors
    /// Where the table cannot be reached or the cursor is not one of this list.
    pub async fn quarantine(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Listed<QuarantineRow>, Error> {
        let (items, next) = self.store.query(&self.prices_pk(), QUARANTINE, cursor, limit).await?;
        Ok(Listed { rows: items.iter().filter_map(QuarantineRow::read).collect(), next })
    }

    /// One quarantined model.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn quarantined(
        &self,
        provider: &str,
        model: &str,
    ) -> Result<Option<QuarantineRow>, Error> {
        let key = quarantine_key(self.tenant(), provider, model);
        let item = self.store.get(&key.pk, &key.sk).await?;
        Ok(item.as_ref().and_then(QuarantineRow::read))
    }

    /// The owner has looked at a model's price: calls go on. False where there is no quarantine
    /// of that version: the second in which it began.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn acknowledge(
        &self,
        provider: &str,
        model: &str,
        expected: Expected,
    ) -> Result<bool, Error> {
        let key = quarantine_key(self.tenant(), provider, model);
        self.store.delete(&key.pk, &key.sk, "at", expected).await
    }

    /// Sets where alerts go, and makes a new signing secret: the first half of the answer, which
    /// can be read nowhere else. `None` where another change was first: the secret has no
    /// condition, so a lease keeps two changes apart, and whoever is told one has the one in force.
    ///
    /// # Errors
    /// Where a service cannot be reached. Repeat it: deliveries are then signed with a secret
    /// that nobody was told.
    pub async fn put_webhook(
        &self,
        url: &PublicUrl,
        expected: Expected,
    ) -> Result<Option<(Secret, WebhookRow)>, Error> {
        let lease = self.lease_at(WEBHOOK_LEASE_SK, "", "the webhook").await?;
        let set = self.set_webhook(url, expected).await;
        if let Some(lease) = lease {
            self.release_at(WEBHOOK_LEASE_SK, &lease).await;
        }
        set
    }

    async fn set_webhook(
        &self,
        url: &PublicUrl,
        expected: Expected,
    ) -> Result<Option<(Secret, WebhookRow)>, Error> {
        let known = self.webhook().await?;
        if !expected.admits(known.map_or(0, |known| known.version)) {
            return Ok(None);
        }
        let random = URL_SAFE_NO_PAD.encode(random_bytes::<32>());
        let secret = Secret::new(format!("whsec_{random}"));
        let name = format!("{}/webhook", self.aws().config().secret_prefix);
        self.store.put_secret(&name, &secret).await?;
        let change =
            Changed::new(&self.entities(), WEBHOOK_SK, "SET #url = :url, version = :next", "");
        let change = expected
            .guard(change, "version", false)
            .name("#url", "url")
            .value(":url", text(url.as_str()))
            .value(":next", number(version::next(self.aws().now())));
        let item = self.store.change(change).await?;
        Ok(item.as_ref().and_then(WebhookRow::read).map(|row| (secret, row)))
    }

    /// Where alerts go.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn webhook(&self) -> Result<Option<WebhookRow>, Error> {
        let item = self.store.get(&self.entities(), WEBHOOK_SK).await?;
        Ok(item.as_ref().and_then(WebhookRow::read))
    }

    /// Records an alert that tells nothing; the scheduler delivers it like any other. A repeat
    /// with the same `seed` within a day records no other, and has the first as it is by now.
    ///
    /// # Errors
    /// [`Error::IdempotencyKeyReused`]; [`Error::Conflict`] after a day; or where the table cannot
    /// be reached.
    pub async fn put_test_alert(
        &self,
        scope: &Scope,
        seed: Option<&str>,
    ) -> Result<AlertItem, Error> {
        let at = match seed {
            Some(seed) => self.first_at("The test alert", &scope.to_string(), seed).await?,
            None => self.aws().now(),
        };
        let alert = Alert::test(at);
        let owner = Owner::new(self.tenant(), scope.clone());
        let is_new = self.store.ledger().await?.record_all(&alert.recorded(&owner, at)).await?;
        let known = if is_new { None } else { self.directory.alert(scope, alert.name).await? };
        let found_at = Timestamp::from_ms(at.seconds().saturating_mul(1_000));
        let made = Stored { alert, found_at, delivery: Delivery::default() };
        Ok(known.unwrap_or_else(|| AlertItem::new(scope.clone(), made)))
    }

    /// One alert to the operator, as its identity says it.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn notice(&self, notice: &Notice) -> Result<Option<NoticeItem>, Error> {
        let key = notice.key(self.tenant());
        let found = self.store.get(&key.pk, &key.sk).await?;
        Ok(found.map(NoticeItem::read).transpose()?)
    }

    /// Somebody has looked at it: who and when stands in it from then on, the first time. `None`
    /// where there is none of that version.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn acknowledge_notice(
        &self,
        notice: &Notice,
        expected: Expected,
    ) -> Result<Option<NoticeItem>, Error> {
        let known = self.notice(notice).await?;
        let Some(known) = known.filter(|known| expected.admits(known.version())) else {
            return Ok(None);
        };
        if known.acknowledged.is_none() {
            let (key, now) = (notice.key(self.tenant()), self.aws().now());
            let update = alert::acknowledge(key, self.store.actor(), now);
            self.store.ledger().await?.record(&update).await?;
        }
        self.notice(notice).await
    }

    /// Delivers no alerts from here on; `false` where none of that version were. The signing
    /// secret stays and is replaced by the next webhook.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn delete_webhook(&self, expected: Expected) -> Result<bool, Error> {
        self.store.delete(&self.entities(), WEBHOOK_SK, "version", expected).await
    }

    pub(super) fn prices_pk(&self) -> String {
        format!("P#{}", self.tenant())
    }
}

fn price_sk(provider: &str, model: &str) -> String {
    format!("{provider}#{model}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_the_prices_is_below_them() {
        use crate::directory::{DISCOUNT, LIST, ROUTE};

        for sk in [QUARANTINE, DISCOUNT, LIST, ROUTE] {
            assert!(!(PRICES..).contains(&sk), "{sk}");
        }
    }

    #[test]
    fn a_model_name_may_have_slashes_and_hashes() {
        let mut item = super::super::store::key("P#main", &price_sk("openai", "ft:a/b#c"));
        item.insert("spec".to_owned(), text("{}"));
        item.insert("version".to_owned(), text("v"));

        let row = PriceRow::read(&item).unwrap();

        assert_eq!((row.provider.as_str(), row.model.as_str()), ("openai", "ft:a/b#c"));
    }
}
