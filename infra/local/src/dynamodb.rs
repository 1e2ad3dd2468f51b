//! The embedded DynamoDB and its three tables.

use std::path::Path;

use dynoxide::Database;
use dynoxide::actions::create_table::CreateTableRequest;
use serde_json::{Value, json};

use crate::error::Error;

/// Table names of the local stack.
pub const TABLES: [&str; 3] = ["farebox-ledger", "farebox-main", "farebox-logs"];

/// Opens the database, in memory or in a file, and creates the tables that are missing.
///
/// # Errors
/// [`Error::DynamoDb`].
pub fn open(file: Option<&Path>) -> Result<Database, Error> {
    let failed = |error: dynoxide::DynoxideError| Error::DynamoDb(error.to_string());
    let database = match file {
        None => Database::memory(),
        Some(path) => Database::new(&path.to_string_lossy()),
    };
    let database = database.map_err(failed)?;
    let known = database.list_tables(Default::default()).map_err(failed)?;
    for (name, indexes) in [
        (TABLES[0], json!([])),
        (TABLES[1], json!([["due", "due", "at", "N"]])),
        (TABLES[2], json!([["bykey", "keyid", "rid", "S"], ["byday", "d", "rid", "S"]])),
    ] {
        if !known.table_names.iter().any(|table| table == name) {
            database.create_table(request(name, &indexes)?).map_err(failed)?;
        }
    }
    Ok(database)
}

/// `indexes` are `[name, hash key, range key, type of the range key]`.
fn request(name: &str, indexes: &Value) -> Result<CreateTableRequest, Error> {
    let mut attributes = vec![attribute("pk", "S"), attribute("sk", "S")];
    let mut secondary = Vec::new();
    for index in indexes.as_array().into_iter().flatten() {
        let text = |place: usize| index.get(place).and_then(Value::as_str).unwrap_or_default();
        for (key, kind) in [(text(1), "S"), (text(2), text(3))] {
            let wanted = attribute(key, kind);
            if !attributes.contains(&wanted) {
                attributes.push(wanted);
            }
        }
        secondary.push(json!({
            "IndexName": text(0),
            "KeySchema": keys(text(1), text(2)),
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }));
    }
    let mut request = json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": keys("pk", "sk"),
        "AttributeDefinitions": attributes,
    });
    if let Some(fields) = request.as_object_mut().filter(|_| !secondary.is_empty()) {
        fields.insert("GlobalSecondaryIndexes".to_owned(), Value::from(secondary));
    }
    serde_json::from_value(request).map_err(|error| Error::DynamoDb(error.to_string()))
}

fn attribute(name: &str, kind: &str) -> Value {
    json!({"AttributeName": name, "AttributeType": kind})
}

fn keys(hash: &str, range: &str) -> Value {
    json!([
        {"AttributeName": hash, "KeyType": "HASH"},
        {"AttributeName": range, "KeyType": "RANGE"},
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_made_once() {
        let database = open(None).unwrap();

        let tables = database.list_tables(Default::default()).unwrap().table_names;

        assert_eq!(tables.len(), 3);
    }
}
