//! Who may sign in to the console, and who has.

use farebox_api::{Binding, BindingList, PutBinding, SsoSession, SsoSessionList};

use super::removal::{Removal, remove};
use super::{path, table};
use crate::args::Sso;
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::{Output, cell};

/// `farebox sso …`
pub async fn sso(client: &Client, command: Sso) -> Result<Output, Failure> {
    let place = |subject: &str| path(&format!("sso/{}", encoded(subject)));
    match command {
        Sso::Set { subject, role, user, force } => {
            let (path, body) = (place(&subject), PutBinding { role, user });
            let base = client.base(&path, force.force).await?;
            let answer = client.put(&path, &body, &base).await?;
            let made: Binding = answer.parse()?;
            let text = format!("{} signs in as {}.", made.subject, made.role);
            Ok(Output::new(answer.body, text))
        }
        Sso::List => {
            let answer = client.all(&path("sso"), "bindings").await?;
            let list: BindingList = answer.parse()?;
            Ok(Output::new(answer.body, bindings_text(&list.bindings)))
        }
        Sso::Show { subject } => {
            let answer = client.get(&place(&subject)).await?;
            let text = bindings_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
        Sso::Remove { subject, force } => {
            let removal = Removal {
                path: place(&subject),
                question: format!("Take the role of {subject} away, and end its sessions?"),
                done: format!("{subject} has no role any more; its sessions have ended."),
                force: force.force,
            };
            remove(client, removal, bindings_text).await
        }
        Sso::Sessions => {
            let answer = client.all(&path("sso-sessions"), "sessions").await?;
            let list: SsoSessionList = answer.parse()?;
            Ok(Output::new(answer.body, sessions_text(&list.sessions)))
        }
        Sso::Session { id } => {
            let answer = client.get(&path(&format!("sso-sessions/{}", encoded(&id)))).await?;
            let text = sessions_text(&[answer.parse()?]);
            Ok(Output::new(answer.body, text))
        }
        Sso::End { id, force } => {
            let removal = Removal {
                path: path(&format!("sso-sessions/{}", encoded(&id))),
                question: format!("End session {id}?"),
                done: format!("Session {id} has ended."),
                force: force.force,
            };
            remove(client, removal, sessions_text).await
        }
    }
}

fn bindings_text(bindings: &[Binding]) -> String {
    table(&["SUBJECT", "ROLE", "USER", "SINCE"], bindings, |one| {
        let user = cell(one.user.as_ref());
        vec![one.subject.clone(), one.role.clone(), user, one.created_at.clone()]
    })
}

fn sessions_text(sessions: &[SsoSession]) -> String {
    table(&["ID", "WHO", "BY", "STATE", "SIGNED IN", "LAST USED"], sessions, |one| {
        let (id, email, by) = (one.id.clone(), one.email.clone(), one.subject.clone());
        let (at, used) = (one.created_at.clone(), one.last_used_at.clone());
        vec![id, email, by, one.state.clone(), at, used]
    })
}
