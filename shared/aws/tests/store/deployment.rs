//! A deployment of two tables: on the embedded store, each its own; on the store that
//! `FAREBOX_TEST_DYNAMODB` names, a tenant of its own in two tables that stay there.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};
use dynoxide::Database;
use farebox_aws::{Aws, Config};
use tokio::net::TcpListener;

/// An endpoint's URL, or `aws` for DynamoDB itself in the region and with the credentials of the
/// usual variables.
const OTHER_STORE: &str = "FAREBOX_TEST_DYNAMODB";
const TABLES: [&str; 2] = ["farebox-test-ledger", "farebox-test-main"];

/// A deployment without a budget.
pub async fn empty() -> Aws {
    let aws = Aws::new(config().await);
    for table in TABLES {
        create_table(&aws, table).await;
    }
    aws
}

/// Texts that no other deployment has, in the same store or another run's.
pub fn unique(aws: &Aws) -> String {
    aws.config().tenant.clone()
}

#[expect(clippy::disallowed_methods, reason = "the store under test is chosen by hand")]
fn given(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|text| !text.is_empty())
}

/// Whether the store tells what a `BatchGetItem` used: ministack 1.5.33 does not.
pub fn counts_batches() -> bool {
    given(OTHER_STORE).is_none_or(|store| store == "aws")
}

async fn config() -> Config {
    let other = given(OTHER_STORE);
    let is_aws = other.as_deref() == Some("aws");
    let endpoint = match other {
        Some(_) if is_aws => None,
        Some(url) => Some(url),
        None => Some(embedded().await),
    };
    let mut tenant = [0_u8; 8];
    getrandom::fill(&mut tenant).unwrap();
    let tenant = format!("t{:016x}", u64::from_be_bytes(tenant));
    let config = Config::from_lookup(|variable| match variable {
        "FAREBOX_TENANT" => Some(tenant.clone()),
        "FAREBOX_LEDGER_TABLE" => Some(TABLES[0].to_owned()),
        "FAREBOX_MAIN_TABLE" => Some(TABLES[1].to_owned()),
        "FAREBOX_LOGS_TABLE" => Some("unused".to_owned()),
        "AWS_ENDPOINT_URL_DYNAMODB" => endpoint.clone(),
        "AWS_REGION" | "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" if !is_aws => {
            Some("local".to_owned())
        }
        "AWS_REGION" | "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" => {
            given(variable)
        }
        _ => None,
    });
    config.unwrap()
}

/// Starts an embedded store; it ends with the test's runtime.
async fn embedded() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let database = Database::memory().unwrap();
    tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
    url
}

/// Creates a table unless it is there, and waits until it serves.
async fn create_table(aws: &Aws, name: &str) {
    let mut request = aws.dynamodb().create_table().table_name(name);
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        let attribute = attribute.attribute_type(ScalarAttributeType::S).build().unwrap();
        let key = KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
        request = request.attribute_definitions(attribute).key_schema(key);
    }
    let created = request.billing_mode(BillingMode::PayPerRequest).send().await;
    if let Err(error) = created {
        let error = error.as_service_error().expect("an answer");
        assert!(error.is_resource_in_use_exception(), "{error:?}");
    }
    for _ in 0..100 {
        let described = aws.dynamodb().describe_table().table_name(name).send().await.unwrap();
        if described.table.unwrap().table_status == Some(TableStatus::Active) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    panic!("{name} does not become active");
}
