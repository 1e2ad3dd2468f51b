//! Who may use the admin API: keys, IAM principals, and who asks.

use farebox_api::{
    AdminKey as Made, AdminKeyList, CreateAdminKey, CreatedAdminKey, Principal, PrincipalList,
    PutPrincipal, RotateAdminKey, Session,
};

use super::removal::{Removal, remove};
use super::{filtered, path, table};
use crate::args::{AdminKey, Iam};
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::{Output, cell};

/// `farebox whoami`
pub async fn whoami(client: &Client) -> Result<Output, Failure> {
    let answer = client.get(&path("session")).await?;
    let session: Session = answer.parse()?;
    let user = session.user.map_or_else(String::new, |user| format!(" for user {user}"));
    Ok(Output::new(answer.body, format!("{}: {}{user}", session.actor, session.role)))
}

/// `farebox admin-key …`
pub async fn admin_key(client: &Client, command: AdminKey) -> Result<Output, Failure> {
    let of = |id: &str| path(&format!("admin-keys/{}", encoded(id)));
    match command {
        AdminKey::Create { name, role, expires_at, once } => {
            let body = CreateAdminKey { name, role, expires_at };
            let answer = client.create(&path("admin-keys"), &body, None, &once).await?;
            let made: CreatedAdminKey = answer.parse()?;
            Ok(Output::new(answer.body, created_text(&made)))
        }
        AdminKey::List { role } => {
            let path = filtered("admin-keys", &[("role", role)]);
            let answer = client.all(&path, "admin_keys").await?;
            let list: AdminKeyList = answer.parse()?;
            Ok(Output::new(answer.body, keys_text(&list.admin_keys)))
        }
        AdminKey::Show { id } => {
            let answer = client.get(&of(&id)).await?;
            let text = keys_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
        AdminKey::Rotate { id, overlap_s, once } => {
            let path = format!("{}/rotate", of(&id));
            let answer = client.create(&path, &RotateAdminKey { overlap_s }, None, &once).await?;
            let made: CreatedAdminKey = answer.parse()?;
            let end = overlap_s.filter(|seconds| *seconds > 0);
            let end = end.map_or_else(
                || format!("Key {id} has ended."),
                |seconds| format!("Key {id} ends in {seconds} s."),
            );
            Ok(Output::new(answer.body, format!("{} {end}", created_text(&made))))
        }
        AdminKey::Revoke { id, force } => {
            let removal = Removal {
                path: of(&id),
                question: format!("Stop admin key {id} for ever?"),
                done: format!("Admin key {id} is revoked."),
                force: force.force,
            };
            remove(client, removal, keys_text).await
        }
    }
}

fn created_text(made: &CreatedAdminKey) -> String {
    format!(
        "{}\n\nAdmin key {} with the role {}. The line above is shown this once: store it now.",
        made.secret, made.key.id, made.key.role
    )
}

fn keys_text(keys: &[Made]) -> String {
    table(&["ID", "NAME", "ROLE", "STATE", "CREATED", "EXPIRES"], keys, |key| {
        let (id, name, role) = (key.id.clone(), key.name.clone(), key.role.clone());
        let expires = cell(key.expires_at.as_ref());
        vec![id, name, role, key.state.clone(), key.created_at.clone(), expires]
    })
}

/// `farebox iam …`
pub async fn iam(client: &Client, command: Iam) -> Result<Output, Failure> {
    let of = |arn: &str| {
        let segments: Vec<String> = arn.split('/').map(encoded).collect();
        path(&format!("iam/{}", segments.join("/")))
    };
    match command {
        Iam::Grant { arn, role, force } => {
            let path = of(&arn);
            let base = client.base(&path, force.force).await?;
            let answer = client.put(&path, &PutPrincipal { role }, &base).await?;
            let given: Principal = answer.parse()?;
            let text = format!("{} has the role {}.", given.arn, given.role);
            Ok(Output::new(answer.body, text))
        }
        Iam::List { role } => {
            let path = filtered("iam", &[("role", role)]);
            let answer = client.all(&path, "principals").await?;
            let list: PrincipalList = answer.parse()?;
            Ok(Output::new(answer.body, principals_text(&list.principals)))
        }
        Iam::Show { arn } => {
            let answer = client.get(&of(&arn)).await?;
            let text = principals_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
        Iam::Revoke { arn, force } => {
            let removal = Removal {
                path: of(&arn),
                question: format!("Take the role of {arn} away?"),
                done: format!("{arn} has no role any more."),
                force: force.force,
            };
            remove(client, removal, principals_text).await
        }
    }
}

fn principals_text(principals: &[Principal]) -> String {
    table(&["ARN", "ROLE", "SINCE"], principals, |one| {
        vec![one.arn.clone(), one.role.clone(), one.created_at.clone()]
    })
}
