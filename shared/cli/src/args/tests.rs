use super::*;
use clap::CommandFactory;

fn parse(line: &str) -> Result<Args, clap::Error> {
    Args::try_parse_from(line.split_whitespace())
}

#[test]
fn the_table_of_commands_holds_together() {
    Args::command().debug_assert();
}

#[test]
fn every_documented_command_parses() {
    for line in [
        "farebox login --url http://127.0.0.1:8787",
        "farebox user add u1 --name Ann --org o1",
        "farebox user list --json",
        "farebox org add o1",
        "farebox team add t1 --name Search",
        "farebox team list",
        "farebox user add u1 --org o1 --team t1",
        "farebox budget set org:o1 --month 1000",
        "farebox budget set model:user:u1/openai/gpt-5 --day 5",
        "farebox key create --user u1 --name ci --model openai/* --max-cost-usd 0.5",
        "farebox key create --user u1 --label team=search --label env=prod",
        "farebox key list --user u1",
        "farebox key rotate k3f9a --grace 1h",
        "farebox key revoke k3f9a",
        "farebox credential set u1 openai --base-url https://llm.example.com/v1",
        "farebox credential set u1 openai --name second --weight 3",
        "farebox credential disable u1 openai --name second",
        "farebox credential list --user org:o1",
        "farebox credential list --org o1",
        "farebox credential disable org:o1 openai",
        "farebox budget set user:u1 --month 100 --day none --alert-thresholds 50,80",
        "farebox budget set user:u1 --day 50 --until 2027-01-01T00:00:00Z",
        "farebox budget set org:o1 --shares 8",
        "farebox budget show",
        "farebox budget show key:k3f9a",
        "farebox price set openai/gpt-x --input 2.5 --output 10",
        "farebox price show",
        "farebox price versions",
        "farebox price switch 2026-11-23.9f86d081 --apply",
        "farebox admin-key create --name Ann --role auditor",
        "farebox admin-key rotate k1 --overlap-s 3600",
        "farebox iam grant arn:aws:iam::111122223333:role/Ops --role admin",
        "farebox iam revoke arn:aws:iam::111122223333:role/Ops",
        "farebox budget-request approve u1 r1 --until 2027-01-01T00:00:00Z --month 50",
        "farebox me key create --name laptop",
        "farebox me budget-request create --month 100 --reason evaluation",
        "farebox user allow u1 --keys 2 --key-model openai/* --credentials true",
        "farebox price delete openai/gpt-x",
        "farebox route set fast --target openai/gpt-5-mini=3 --target anthropic/x",
        "farebox route set fast --retries 2 --after-charge true --on-budget-refusal next",
        "farebox route set fast --connect-ms 900 --first-byte-ms 9000 --idle-ms 9 --total-ms 9",
        "farebox route list",
        "farebox route show fast",
        "farebox route delete fast",
        "farebox limit set key:k1 --requests-per-minute 60 --tokens-per-minute none",
        "farebox limit set user:u1 --concurrent 5",
        "farebox limit show key:k1",
        "farebox webhook set https://hooks.example.com/farebox",
        "farebox requests tail -n 5",
        "farebox requests tail -f",
        "farebox requests show 01KAQ4ZV0M7W1C9Y3T5B8D2E6F",
        "farebox explain 01KAQ4ZV0M7W1C9Y3T5B8D2E6F",
        "farebox correct user:u1 --amount-usd -5 --reason refund --period 2026-11 --id r7",
        "farebox correct --request 01KAQ4ZV0M7W1C9Y3T5B8D2E6F --cost-usd 0.5 --reason bill",
        "farebox rerate --from 2026-11-01 --to 2026-11-30 --model openai/gpt-x --apply",
        "farebox reconcile --scope user:u1 --month 2026-11",
        "farebox reconcile --import usage.json --provider anthropic --apply",
        "farebox replay chat.log",
        "farebox replay -",
        "farebox restore-fence",
        "farebox usage",
        "farebox usage --by model --since 7d",
        "farebox usage --by team,day --since 2026-10 --until 2026-11-05 --scope label:a=b",
        "farebox statement --month 2026-10 --by team",
        "farebox export focus --month 2026-10 --output focus.csv",
        "farebox top --once",
        "farebox doctor --profile prod",
        "farebox audit -n 50 --actor admin-key:root",
        "farebox import litellm config.yaml --owner org:acme",
        "farebox import csv people.csv --apply",
        "farebox profile use prod",
        "farebox completion bash",
        "farebox alerts user:u1",
        "farebox alerts",
    ] {
        assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
    }
}

#[test]
fn a_secret_is_never_an_argument() {
    for line in [
        "farebox credential set u1 openai sk-secret",
        "farebox credential set u1 openai --secret sk-secret",
        "farebox login --key sk-fba-x",
        "farebox usage --admin-key sk-fba-x",
        "farebox doctor --key sk-fb-x",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn what_is_not_a_command_is_refused() {
    for line in [
        "farebox",
        "farebox key",
        "farebox requests tail -n 0",
        "farebox budget set",
        "farebox usage --since 7d",
        "farebox statement",
        "farebox import litellm config.yaml",
        "farebox completion cmd",
        "farebox reconcile",
        "farebox reconcile --month 2026-11 --apply",
        "farebox reconcile --import usage.json",
        "farebox correct user:u1 --reason x",
        "farebox correct user:u1 --amount-usd -5",
        "farebox correct --request A --reason x",
        "farebox correct user:u1 --amount-usd 5 --request A --cost-usd 1 --reason x",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn thresholds_are_a_list_with_commas() {
    let args = parse("farebox budget set user:u1 --alert-thresholds 50,80").unwrap();

    let Command::Budget(Budget::Set(change)) = args.command else { unreachable!() };
    assert_eq!(change.alert_thresholds, Some(vec![50, 80]));
    assert_eq!(change.month, None);
}
