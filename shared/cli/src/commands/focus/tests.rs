use super::*;

/// One column of the specification.
struct Column {
    name: String,
    level: String,
    kind: String,
    is_nullable: bool,
    allowed: Vec<String>,
    /// Why it is not in the export.
    left_out: String,
}

/// FOCUS 1.2, column by column.
fn specification() -> Vec<Column> {
    let table = include_str!("../../../tests/focus-1.2.csv");
    let rows = ::csv::Reader::from_reader(table.as_bytes()).into_records();
    let columns = rows.map(|row| {
        let row = row.unwrap();
        let cell = |at: usize| row.get(at).unwrap().to_owned();
        Column {
            name: cell(0),
            level: cell(1),
            kind: cell(2),
            is_nullable: cell(3) == "yes",
            allowed: cell(4).split(';').filter(|value| !value.is_empty()).map(Into::into).collect(),
            left_out: cell(5),
        }
    });
    columns.collect()
}

fn row() -> UsageDayRow {
    UsageDayRow {
        scope: "key:k1".to_owned(),
        model: "openai/gpt-x".to_owned(),
        labels: BTreeMap::from([("team".to_owned(), "search".to_owned())]),
        sums: UsageSums {
            charged_usd: "1.300000000002".into(),
            input_usd: "0.4".into(),
            output_usd: "0.5".into(),
            fees_usd: "0.3".into(),
            unknown_usd: "0.2".into(),
            entered_usd: "-0.1".into(),
            prompt_tokens: 1_234_567,
            completion_tokens: 5,
            pieces: 3,
            ..UsageSums::default()
        },
    }
}

/// An entry in the books of a scope: of no key, and of no model.
fn entry(scope: &str) -> UsageDayRow {
    let sums = UsageSums {
        charged_usd: "-0.1".into(),
        input_usd: "0".into(),
        output_usd: "0".into(),
        fees_usd: "0".into(),
        unknown_usd: "0".into(),
        entered_usd: "-0.1".into(),
        ..UsageSums::default()
    };
    UsageDayRow { scope: scope.to_owned(), model: "-".to_owned(), labels: BTreeMap::new(), sums }
}

fn lines(row: &UsageDayRow) -> Vec<BTreeMap<&'static str, String>> {
    let client = Client::new("http://127.0.0.1:1", "k").unwrap();
    let month = month("2026-11").unwrap();
    let key: Key = serde_json::from_value(json!({
        "id": "k1", "user": "u1", "name": "ci", "state": "active", "clamp": "missing",
        "created_at": "2026-11-01T00:00:00Z", "version": "1",
    }))
    .unwrap();
    let names = Names {
        keys: BTreeMap::from([("k1".to_owned(), key)]),
        users: BTreeMap::from([("u1".to_owned(), "Ann".to_owned())]),
    };
    let of = |meter: &Meter| line(&client, "2026-11-30", ("2026-11-01", month), row, meter, &names);
    let meters = meters(&row.sums).unwrap();
    meters.iter().map(|meter| COLUMNS.into_iter().zip(of(meter)).collect()).collect()
}

#[test]
fn meters_add_up_to_the_charge_to_the_last_digit() {
    let meters = meters(&row().sums).unwrap();

    let sum = meters.iter().try_fold(Money::ZERO, |sum, meter| plus(sum, meter.cost)).unwrap();
    assert_eq!(sum, usd("1.300000000002").unwrap());
    let names: Vec<_> = meters.iter().map(|meter| meter.name).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    assert_eq!(meters.iter().filter(|meter| meter.used.is_none()).count(), 3);
}

#[test]
fn the_list_cost_is_what_it_was_before_a_discount() {
    let mut row = row();
    row.sums.input_off_usd = "0.1".into();
    row.sums.output_off_usd = "0".into();

    let costs = |row: &UsageDayRow| {
        let names = ["ListCost", "ContractedCost", "EffectiveCost", "BilledCost"];
        let of = |line: BTreeMap<_, String>| names.map(|name| line[name].clone()).join(" ");
        lines(row).into_iter().map(of).collect::<Vec<_>>()
    };

    assert_eq!(costs(&row)[..3], ["0.5 0.4 0.4 0.4", "0.5 0.5 0.5 0.5", "0.3 0.3 0.3 0.3"]);
    // A gateway of before says nothing of it.
    row.sums.input_off_usd = String::new();
    assert_eq!(costs(&row)[0], "0.4 0.4 0.4 0.4");
}

#[test]
fn every_column_of_the_specification_is_written_or_says_why_not() {
    let specification = specification();

    assert_eq!(specification.len(), 57);
    let written: Vec<_> = specification.iter().filter(|one| one.left_out.is_empty()).collect();
    let names: Vec<_> = written.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, COLUMNS);
    let missing =
        specification.iter().find(|one| one.level == "Mandatory" && !one.left_out.is_empty());
    assert!(missing.is_none(), "{:?}", missing.map(|one| &one.name));
}

#[test]
fn each_cell_is_what_its_column_allows() {
    let rows = [row(), entry("user:u1"), entry("team:t1"), entry("key:gone")];
    for line in rows.iter().flat_map(lines) {
        for column in specification().iter().filter(|one| one.left_out.is_empty()) {
            let (name, cell) = (column.name.as_str(), line[column.name.as_str()].as_str());
            if cell.is_empty() {
                assert!(column.is_nullable, "{name} is null: {line:?}");
                continue;
            }
            let is_allowed =
                column.allowed.is_empty() || column.allowed.iter().any(|one| one == cell);
            assert!(is_allowed, "{name}: {cell}");
            let fits = match column.kind.as_str() {
                "Decimal" => Money::parse_usd(cell).is_ok(),
                "Date/Time" => cell.len() == 20 && Timestamp::parse(cell).is_ok(),
                "JSON" => serde_json::from_str::<BTreeMap<String, String>>(cell).is_ok(),
                _ => !cell.trim().is_empty(),
            };
            assert!(fits, "{name}: {cell}");
        }
    }
}

#[test]
fn what_was_counted_is_usage_with_its_quantities_and_all_else_an_adjustment() {
    let lines = lines(&row());

    let of = |at: usize, names: [&str; 5]| names.map(|name| lines[at][name].clone());
    let used = ["ChargeCategory", "ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "SkuId"];
    assert_eq!(
        of(0, used),
        ["Usage", "1234567", "Tokens", "1.234567", "openai/gpt-x/input-tokens"]
    );
    assert_eq!(lines[0]["PricingUnit"], "1000000 Tokens");
    assert_eq!(of(2, used), ["Usage", "3", "Units", "3", "openai/gpt-x/fees"]);
    assert_eq!(of(3, used), ["Adjustment", "", "", "", ""]);
    assert_eq!((lines[3]["SkuMeter"].as_str(), lines[3]["PricingUnit"].as_str()), ("", ""));
    assert!(lines.iter().all(|line| line["ChargeClass"].is_empty()), "no closed period changes");
    let whose = ["SubAccountId", "SubAccountName", "ResourceId", "ResourceName", "ResourceType"];
    assert_eq!(of(0, whose), ["u1", "Ann", "k1", "ci", "API Key"]);
    assert_eq!(lines[0]["Tags"], r#"{"team":"search"}"#);
    assert_eq!(lines[0]["ChargePeriodEnd"], "2026-12-01T00:00:00Z");
    assert_eq!(lines[0]["BillingPeriodEnd"], "2026-12-01T00:00:00Z");
}

#[test]
fn an_entry_is_of_its_scope_and_of_no_provider() {
    let names = ["SubAccountId", "SubAccountName", "ResourceId", "ProviderName", "ServiceName"];
    let of = |scope: &str| {
        let line = lines(&entry(scope)).remove(0);
        names.map(|name| line[name].clone())
    };

    assert_eq!(of("user:u1"), ["u1", "Ann", "", "Farebox", "Farebox"]);
    assert_eq!(of("team:t1"), ["", "", "", "Farebox", "Farebox"]);
    assert_eq!(of("key:gone"), ["", "", "gone", "Farebox", "Farebox"]);
}

#[test]
fn quantities_and_costs_are_decimals_in_parquet() {
    let client = Client::new("http://127.0.0.1:1", "k").unwrap();
    let names = Names { keys: BTreeMap::new(), users: BTreeMap::new() };
    let meters = meters(&row().sums).unwrap();
    let month = month("2026-11").unwrap();
    let first = line(&client, "2026-11-30", ("2026-11-01", month), &row(), &meters[0], &names);
    let head = COLUMNS.map(str::to_owned).to_vec();

    for (name, column) in columns(&[head, first]) {
        let kind = match column {
            parquet::Column::Decimal(_) => "Decimal",
            parquet::Column::Instant(_) => "Date/Time",
            _ => "String",
        };
        let wanted = specification().into_iter().find(|one| one.name == name).unwrap().kind;
        assert_eq!(kind, wanted.replace("JSON", "String"), "{name}");
    }
}

#[test]
fn a_month_is_written_with_four_and_two_digits() {
    for wrong in ["2026", "2026-1", "2026-13", "26-01", "2026-11-01", "x"] {
        assert!(month(wrong).is_err(), "{wrong}");
    }
}
