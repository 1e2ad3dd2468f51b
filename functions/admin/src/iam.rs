//! Roles of IAM principals. API Gateway has checked their signature (SigV4) before a request comes
//! here by `/iam/admin/…`, and says who signed it in the event.

use farebox_api::{Principal, PrincipalList, PutPrincipal};
use farebox_aws::control::{Fits, PrincipalRow};
use farebox_core::Error;

use crate::Gate;
use crate::auth::Role;
use crate::call::Call;
use crate::owners::absent;
use crate::reply::{Answer, Refusal};

/// Longest ARN.
const ARN_BYTES_MAX: usize = 256;

/// `GET /admin/v1/iam`
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let role = call.query("role").map(Role::given).transpose()?;
    let fits = |row: &PrincipalRow| role.is_some_and(|role| row.role == role.name());
    let fits: Option<&Fits<'_, PrincipalRow>> = if role.is_some() { Some(&fits) } else { None };
    let page = gate.control.principals(call.limit()?, call.cursor(), fits).await?;
    let principals = page.rows.into_iter().map(shown).collect();
    Answer::ok(&PrincipalList { principals, next_cursor: page.next })
}

/// `GET /admin/v1/iam/{arn+}`
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = gate.control.principal(&arn(call)?).await?.ok_or_else(|| absent(call))?;
    Answer::thing(&shown(row))
}

/// `PUT /admin/v1/iam/{arn+}`
pub async fn put(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let arn = arn(call)?;
    let body: PutPrincipal = call.body()?;
    let role = Role::given(&body.role)?;
    let row = gate.control.put_principal(&arn, role.name(), call.expected()).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&shown(row))
}

/// `DELETE /admin/v1/iam/{arn+}`
pub async fn delete(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    if gate.control.delete_principal(&arn(call)?, call.expected()).await? {
        return Ok(Answer::empty());
    }
    Err(call.raced().into())
}

/// The principal that a role is given to, from an ARN as AWS writes it anywhere. A session of an
/// assumed role is the role, whose path AWS does not tell there.
pub fn principal_of(arn: &str) -> Option<String> {
    let mut parts = arn.splitn(6, ':');
    let (Some("arn"), Some(partition), Some(service), Some(""), Some(account), Some(resource)) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let is_partition = partition.starts_with("aws");
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&byte);
    let is_short = arn.len() <= ARN_BYTES_MAX && resource.bytes().all(fits);
    if !(is_account && is_partition && is_short) {
        return None;
    }
    let role = |name: &str| format!("arn:{partition}:iam::{account}:role/{name}");
    let named = |name: &&str| !name.is_empty();
    match (service, resource.split_once('/')) {
        ("sts", Some(("assumed-role", rest))) => {
            let (name, _) = rest.split_once('/').unwrap_or((rest, ""));
            Some(name).filter(named).map(role)
        }
        ("iam", Some(("role", rest))) => rest.rsplit('/').next().filter(named).map(role),
        ("iam", Some(("user", rest))) => Some(arn.to_owned()).filter(|_| !rest.is_empty()),
        ("iam", None) if resource == "root" => Some(arn.to_owned()),
        _ => None,
    }
}

fn arn(call: &Call) -> Result<String, Error> {
    let rule = "write the ARN of an IAM user or role, as arn:aws:iam::111122223333:role/Ops";
    principal_of(call.parameter("arn")).ok_or_else(|| Error::malformed("arn", rule))
}

fn shown(row: PrincipalRow) -> Principal {
    let (created_at, version) = (row.created_at.to_string(), row.version.to_string());
    Principal { arn: row.arn, role: row.role, created_at, version }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_its_role_and_a_path_is_no_part_of_it() {
        let role = Some("arn:aws:iam::111122223333:role/Ops".to_owned());
        for arn in [
            "arn:aws:sts::111122223333:assumed-role/Ops/ann@example.com",
            "arn:aws:iam::111122223333:role/Ops",
            "arn:aws:iam::111122223333:role/service/eu/Ops",
        ] {
            assert_eq!(principal_of(arn), role, "{arn}");
        }
        let user = "arn:aws-cn:iam::111122223333:user/eu/ann";
        assert_eq!(principal_of(user).as_deref(), Some(user));
        for wrong in [
            "",
            "arn:aws:iam::1111:user/ann",
            "arn:aws:s3:::bucket",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:group/x",
            "arn:aws:sts::111122223333:assumed-role/",
            "arn:aws:iam::111122223333:user/a b",
            "arn:aws:iam::111122223333:user/a#b",
        ] {
            assert_eq!(principal_of(wrong), None, "{wrong}");
        }
    }
}
