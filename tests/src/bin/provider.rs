//! An `OpenID` provider for a browser's test: it prints its issuer and serves until its input
//! ends. `POST /person` says who signs in next.

use std::io::Read;

use farebox_tests::{Oidc, run};
use serde_json::json;

fn main() {
    run(async {
        let person = json!({"sub": "1", "email": "ann@example.com", "email_verified": true});
        let provider = Oidc::start(None, person).await;
        println!("{}", provider.issuer());
        let end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        drop(end.await);
    });
}
