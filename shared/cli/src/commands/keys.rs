//! A key's settings, changed one by one.

use farebox_api::{CreatedKey, Key, KeyTimeouts, PutKey, RotateKey};
use reqwest::Method;

use super::access::keys_text;
use super::path;
use crate::args::{KeyChange, Once, Timeouts};
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::Output;

/// `farebox key set`
pub async fn set(client: &Client, change: KeyChange) -> Result<Output, Failure> {
    let path = path(&format!("keys/{}", encoded(&change.id)));
    let read = client.get(&path).await?;
    let body = changed(read.parse()?, change)?;
    // The version that was read: a change by somebody else in between is refused.
    let answer = client.send(Method::PUT, &path, &body, read.etag.as_deref()).await?;
    let text = format!("{}\nIt binds within 30 seconds.", keys_text(&[answer.parse()?]));
    Ok(Output::new(answer.body, text))
}

/// `farebox key rotate`
///
/// # Errors
/// Why there is no new secret.
pub async fn rotate(
    client: &Client,
    place: &str,
    id: &str,
    grace_s: Option<u32>,
    once: &Once,
) -> Result<Output, Failure> {
    let path = path(&format!("{place}/{}", encoded(id)));
    let read = client.get(&path).await?;
    let body = RotateKey { grace_s };
    // The version that was read: somebody else's new secret is not ended unseen.
    let rotate = format!("{path}/rotate");
    let answer = client.create(&rotate, &body, read.etag.as_deref(), once).await?;
    let rotated: CreatedKey = answer.parse()?;
    Ok(Output::new(answer.body, rotated_text(&rotated)))
}

fn rotated_text(rotated: &CreatedKey) -> String {
    let CreatedKey { secret, key } = rotated;
    let old = match &key.old_secret_until {
        Some(until) => format!("works until {until}"),
        None => "stops working within 30 seconds".to_owned(),
    };
    format!(
        "{secret}\n\nThe new secret of key {} of user {}. The line above is shown this once: store \
         it now.\nThe old secret {old}. The key's budget and settings are as they were.",
        key.id, key.user
    )
}

/// The settings with the changes in them: what the operator does not name stays.
pub(super) fn changed(now: Key, change: KeyChange) -> Result<PutKey, Failure> {
    let text = |given: Option<String>, now: Option<String>| match given.as_deref() {
        None => now,
        Some("none") => None,
        Some(_) => given,
    };
    let room_wait_ms = match change.room_wait_ms.as_deref() {
        None => now.room_wait_ms,
        Some("none") => None,
        Some(ms) => {
            let wrong = |_| Failure::new(format!("{ms:?} is no number"), "--room-wait-ms 5000");
            Some(ms.parse().map_err(wrong)?)
        }
    };
    let timeouts = limits(now.timeouts, &change.timeouts);
    let models = match change.models.as_slice() {
        [] => now.models,
        [none] if none == "none" => None,
        _ => Some(change.models),
    };
    let keeps = change.labels.is_empty() && !change.no_labels;
    Ok(PutKey {
        name: change.name.unwrap_or(now.name),
        models,
        expires_at: text(change.expires_at, now.expires_at),
        max_cost_usd: text(change.max_cost_usd, now.max_cost_usd),
        clamp: Some(change.clamp.unwrap_or(now.clamp)),
        room_wait_ms,
        drop_params: change.drop_params.unwrap_or(now.drop_params),
        timeouts,
        labels: if keeps { now.labels } else { change.labels.into_iter().collect() },
    })
}

/// Limits of time with the changes in them: what is not named stays, 0 takes away.
pub(super) fn limits(now: KeyTimeouts, change: &Timeouts) -> KeyTimeouts {
    let ms = |given: Option<u32>, now: Option<u32>| match given {
        None => now,
        Some(0) => None,
        given => given,
    };
    KeyTimeouts {
        connect_ms: ms(change.connect_ms, now.connect_ms),
        first_byte_ms: ms(change.first_byte_ms, now.first_byte_ms),
        idle_ms: ms(change.idle_ms, now.idle_ms),
        total_ms: ms(change.total_ms, now.total_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_secret_is_the_first_line_and_says_how_long_the_old_one_works() {
        let rotated = |until: Option<&str>| {
            let key = serde_json::json!({
                "id": "k1", "user": "u1", "name": "ci", "state": "active", "clamp": "missing",
                "version": "1", "created_at": "2026-01-01T00:00:00Z", "secret": "sk-fb-local-x",
                "old_secret_until": until,
            });
            rotated_text(&serde_json::from_value(key).unwrap())
        };

        assert!(rotated(None).starts_with("sk-fb-local-x\n"));
        assert!(rotated(None).contains("The old secret stops working within 30 seconds."));
        let until = rotated(Some("2026-01-02T00:00:00Z"));
        assert!(until.contains("The old secret works until 2026-01-02T00:00:00Z."), "{until}");
    }

    #[test]
    fn what_is_not_named_stays_and_none_takes_away() {
        let now = serde_json::json!({
            "id": "k1", "user": "u1", "name": "ci", "state": "active", "models": ["openai/*"],
            "expires_at": "2027-01-01T00:00:00Z", "max_cost_usd": "1", "clamp": "never",
            "room_wait_ms": 7, "drop_params": true, "timeouts": {"idle_ms": 9000},
            "labels": {"team": "search"}, "version": "1", "created_at": "2026-01-01T00:00:00Z",
        });
        let now: Key = serde_json::from_value(now).unwrap();

        let same = changed(now.clone(), KeyChange::default()).unwrap();
        let shown = serde_json::to_value(&now).unwrap();
        for (name, value) in serde_json::to_value(&same).unwrap().as_object().unwrap() {
            assert_eq!(Some(value), shown.get(name), "{name}");
        }
        let none = || Some("none".to_owned());
        let change = KeyChange {
            models: vec!["none".into()],
            expires_at: none(),
            max_cost_usd: none(),
            room_wait_ms: none(),
            drop_params: Some(false),
            timeouts: Timeouts { idle_ms: Some(0), ..Timeouts::default() },
            no_labels: true,
            ..KeyChange::default()
        };
        let clamp = Some("never".to_owned());
        let bare = PutKey { name: "ci".into(), clamp, ..PutKey::default() };
        assert_eq!(changed(now, change).unwrap(), bare);
    }
}
