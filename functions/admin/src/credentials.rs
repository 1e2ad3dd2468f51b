//! Providers' credentials: written, never read back.

use farebox_api::{Credential, CredentialList, PutCredential};
use farebox_aws::control::{CredentialOwner, CredentialPlace, CredentialRow, PublicUrl, UrlUse};
use farebox_core::{Error, Secret};
use farebox_providers::Provider;

use crate::Gate;
use crate::call::Call;
use crate::owners::absent;
use crate::reply::{Answer, Refusal};

/// Longest provider's key: a service account of Google has about 2,400 characters.
const SECRET_BYTES_MAX: usize = 8 * 1024;
/// Longest provider name, and name of one of its credentials.
const PROVIDER_BYTES_MAX: usize = 32;
/// The largest weight.
const WEIGHT_MAX: u32 = 1_000;

/// `GET /admin/v1/credentials?user=`
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let owner: CredentialOwner = call.parsed_query("user", "ID")?;
    let mut rows = gate.control.credentials(&owner).await?.ok_or_else(|| absent(call))?;
    if let CredentialOwner::User(_) = &owner {
        let org = gate.control.owner(&owner).await?.and_then(|user| user.org);
        if let Some(org) = org {
            let shared = gate.control.credentials(&CredentialOwner::Org(org)).await?;
            rows.extend(shared.unwrap_or_default());
        }
    }
    Answer::ok(&page(call, rows)?)
}

/// A page of what the owners' items hold.
pub(crate) fn page(call: &Call, rows: Vec<CredentialRow>) -> Result<CredentialList, Error> {
    // The owner's own before its organisation's.
    let at = |row: &CredentialRow| {
        let is_shared = u8::from(matches!(row.owner, CredentialOwner::Org(_)));
        format!("{is_shared}/{}/{}", row.provider, row.name)
    };
    let after = call.cursor().unwrap_or_default();
    let mut rows: Vec<_> = rows.into_iter().map(|row| (at(&row), row)).collect();
    rows.retain(|(at, _)| at.as_str() > after);
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let limit = usize::try_from(call.limit()?).unwrap_or(1);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| has_more).map(|(at, _)| at.clone());
    let credentials = rows.into_iter().map(|(_, row)| credential(row)).collect();
    Ok(CredentialList { credentials, next_cursor })
}

/// `GET /admin/v1/credentials/{owner}/{provider}`, and `…/{name}`
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let owner: CredentialOwner = call.parsed("owner")?;
    let place = place(call)?;
    let rows = gate.control.credentials(&owner).await?;
    let row = rows.into_iter().flatten().find(|row| place.is_of(row));
    let row = row.ok_or_else(|| absent(call))?;
    Answer::thing(&credential(row))
}

/// `PUT /admin/v1/credentials/{owner}/{provider}`, and `…/{name}`
pub async fn set(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let owner: CredentialOwner = call.parsed("owner")?;
    let body: PutCredential = call.body()?;
    let place = CredentialPlace { weight: weight(body.weight)?, ..place(call)? };
    let allowed = &gate.control.aws().config().allowed_origins;
    let secret = secret_for(place.provider, body.secret, allowed)?;
    let base_url = body.base_url.map(|text| url("base_url", &text, UrlUse::Base, allowed));
    let base_url = base_url.transpose()?;
    let row = farebox_providers::find(place.provider);
    if base_url.is_none() && row.is_some_and(Provider::is_nowhere) {
        let rule = "is required: this provider has no address of its own";
        return Err(Error::malformed("base_url", rule).into());
    }
    if gate.control.owner(&owner).await?.is_none() {
        return Err(absent(call).into());
    }
    let (base_url, expected) = (base_url.as_ref(), call.expected());
    let row = gate.control.set_credential(&owner, &place, &secret, base_url, expected).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&credential(row))
}

/// `DELETE /admin/v1/credentials/{owner}/{provider}`, and `…/{name}`
pub async fn disable(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let owner: CredentialOwner = call.parsed("owner")?;
    let row = gate.control.disable_credential(&owner, &place(call)?, call.expected()).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&credential(row))
}

/// A credential's share of calls.
pub(crate) fn weight(weight: Option<u32>) -> Result<u32, Error> {
    let weight = weight.unwrap_or(1);
    let fits = (1..=WEIGHT_MAX).contains(&weight);
    if fits { Ok(weight) } else { Err(Error::malformed("weight", "is 1 to 1000")) }
}

/// A URL that an admin gives in a field.
pub(crate) fn url(
    field: &str,
    text: &str,
    url_use: UrlUse,
    allowed: &[String],
) -> Result<PublicUrl, Error> {
    PublicUrl::parse(text, url_use, allowed).map_err(|rule| Error::malformed(field, rule))
}

/// A provider's name: it stands in keys of items, in headers and in paths.
pub(crate) fn provider(name: &str) -> Result<&str, Error> {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
    let is_name = name.len() <= PROVIDER_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(fits);
    let rule = "write 1 to 32 lower-case letters, digits, '_', '-' or '.', a letter first";
    if is_name { Ok(name) } else { Err(Error::malformed("provider", rule)) }
}

/// The secret for a provider. Where it has several fields it is a JSON object, which is written on
/// one line: each field is checked, and a URL in it must be one that may be called.
pub(crate) fn secret_for(
    provider: &str,
    text: String,
    allowed: &[String],
) -> Result<Secret, Error> {
    let row = farebox_providers::find(provider);
    let Some(scheme) = row.and_then(|row| row.scheme) else { return secret(text) };
    let text = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(object) if object.is_object() => object.to_string(),
        _ => text,
    };
    let secret = secret(text)?;
    for (field, given) in scheme.check(&secret)? {
        url(field, &given, UrlUse::Whole, allowed)?;
    }
    Ok(secret)
}

/// Which credential of its owner: the provider, and the name of one of several.
pub(crate) fn place(call: &Call) -> Result<CredentialPlace<'_>, Error> {
    let (provider, name) = (provider(call.parameter("provider"))?, call.parameter("name"));
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if name.len() <= PROVIDER_BYTES_MAX && name.bytes().all(fits) {
        return Ok(CredentialPlace { name, ..CredentialPlace::plain(provider) });
    }
    Err(Error::malformed("name", "write 1 to 32 letters, digits, '_', '-' or '.'"))
}

/// A provider's key: what a header can carry.
fn secret(text: String) -> Result<Secret, Error> {
    let is_short = (1..=SECRET_BYTES_MAX).contains(&text.len());
    let is_printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if is_short && is_printable && text.trim() == text {
        return Ok(Secret::new(text));
    }
    let rule = "write 1 to 8192 printable ASCII characters without a space at either end";
    Err(Error::malformed("secret", rule))
}

pub(crate) fn credential(row: CredentialRow) -> Credential {
    Credential {
        owner: row.owner.to_string(),
        provider: row.provider,
        name: Some(row.name).filter(|name| !name.is_empty()),
        weight: row.weight,
        state: if row.is_active { "active" } else { "disabled" }.to_owned(),
        base_url: row.base_url,
        updated_at: row.updated_at.to_string(),
        last_used_at: row.last_used_at.map(|at| at.to_string()),
        version: row.version.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_fits_a_header() {
        assert!(secret("sk-proj-abc".to_owned()).is_ok());
        for text in ["", " sk", "sk\n", "sk\r\nx: y", "sé", &"x".repeat(8193)] {
            assert!(secret(text.to_owned()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_refused_url_names_the_field() {
        let error = url("base_url", "http://10.0.0.1", UrlUse::Base, &[]).unwrap_err();

        assert_eq!((error.row().status, error.field()), (400, Some("base_url")));
    }

    #[test]
    fn a_provider_is_a_plain_name() {
        assert_eq!(provider("fireworks_ai"), Ok("fireworks_ai"));
        for name in ["", "OpenAI", "a/b", "a#b", "a b"] {
            assert!(provider(name).is_err(), "{name}");
        }
    }
}
