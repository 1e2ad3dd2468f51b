//! What can be typed.

use clap::{Args as Options, Parser, Subcommand};

use crate::profile::Auth;

mod admins;
mod asks;
mod books;
mod keys;
mod owners;
mod prices;
mod reports;
mod routes;

pub use admins::{AdminKey, Iam};
pub use asks::{BudgetRequest, Me, OwnCredential, OwnKey, OwnRequest};
pub use books::{Correction, Reconcile, Rerate};
pub use keys::{Key, KeyChange};
pub use owners::{Content, Org, SelfService, Sso, Team, User};
pub use prices::{Discount, Model, Price, PriceChange};
pub use reports::{Audit, Export, Focus, Import, Profile, Shell, Statement, Top, Usage};
pub use routes::{Limit, LimitChange, Route, RouteChange};

/// Farebox from a terminal: users, keys, credentials, budgets, prices and what was spent.
#[derive(Debug, Parser)]
#[command(name = "farebox", version, arg_required_else_help = true)]
pub struct Args {
    /// Base URL of Farebox [default: the profile's]
    #[arg(long, env = "FAREBOX_URL", global = true, value_name = "URL")]
    pub url: Option<String>,
    /// One of several gateways [default: the one that `farebox profile use` named]
    #[arg(long, env = "FAREBOX_PROFILE", global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// key: an admin key; iam: signatures by AWS access keys [default: the profile's]
    #[arg(
        long,
        env = "FAREBOX_AUTH",
        global = true,
        value_name = "AUTH",
        hide_possible_values = true
    )]
    pub auth: Option<Auth>,
    /// Print the answer's JSON instead of a table
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep the URL in a profile file with a key, an admin's or a member's own, which is asked
    /// for, or with --auth iam
    Login,
    /// Who you are to the gateway, and in which role
    Whoami,
    /// People and services that call models
    #[command(subcommand)]
    User(User),
    /// Organisations, whose credentials their users may use
    #[command(subcommand)]
    Org(Org),
    /// Teams: users with a budget in common
    #[command(subcommand)]
    Team(Team),
    /// Who may sign in to the console by single sign-on, and who has
    #[command(subcommand)]
    Sso(Sso),
    /// Keys of people and programs that manage the gateway
    #[command(subcommand)]
    AdminKey(AdminKey),
    /// IAM users and roles that manage the gateway with --auth iam
    #[command(subcommand)]
    Iam(Iam),
    /// Farebox keys
    #[command(subcommand)]
    Key(Key),
    /// Providers' API keys: written, never read back
    #[command(subcommand)]
    Credential(Credential),
    /// Limits
    #[command(subcommand)]
    Budget(Budget),
    /// Requests of members for more budget
    #[command(subcommand)]
    BudgetRequest(BudgetRequest),
    /// What members do for themselves, with a Farebox key of their own
    #[command(subcommand)]
    Me(Me),
    /// Models that can be called, with the prices in force
    #[command(subcommand)]
    Model(Model),
    /// Your own prices, which go before the catalogue's
    #[command(subcommand)]
    Price(Price),
    /// Names that stand for several models
    #[command(subcommand)]
    Route(Route),
    /// Rate limits of a user or a key: requests and tokens a minute, calls at once
    #[command(subcommand)]
    Limit(Limit),
    /// Where alerts are delivered
    #[command(subcommand)]
    Webhook(Webhook),
    /// What each call did and cost
    #[command(subcommand)]
    Requests(Requests),
    /// What requests and answers said: kept, sealed, only where you switch it on
    #[command(subcommand)]
    Content(Content),
    /// How the cost of one call adds up, line by line
    Explain {
        /// The x-request-id of its answer
        id: String,
    },
    /// Correct or refund what a scope, or one call, was charged
    Correct(Correction),
    /// What was corrected
    Corrections {
        /// Only of org:ID, team:ID, user:ID, key:ID
        #[arg(long)]
        scope: Option<String>,
    },
    /// Price settled calls again after a price was corrected; shows what differs
    Rerate(Rerate),
    /// Compare what budgets say of a month with the sum of the log's rows
    Reconcile(Reconcile),
    /// Send the settlement lines of a function's log again; twice is as good as once
    Replay {
        /// A file of log lines, or - for standard input
        file: String,
    },
    /// After a restore of the ledger: no terms that a function cached before it match again
    RestoreFence,
    /// What was spent, by model, owner, label or time; without --by by each budget
    Usage(Usage),
    /// A month's spend as CSV, a line for each team and model
    Statement(Statement),
    /// Charges for other tools
    #[command(subcommand)]
    Export(Export),
    /// Live spend in the terminal
    Top(Top),
    /// Look at a deployment end to end, and say what to mend (exit 1 where something fails)
    Doctor,
    /// Who changed what
    Audit(Audit),
    /// Owners, keys, budgets and routes from a file; nothing is changed without --apply
    #[command(subcommand)]
    Import(Import),
    /// Several gateways
    #[command(subcommand)]
    Profile(Profile),
    /// Print what a shell needs to complete these commands
    Completion {
        /// The shell
        shell: Shell,
    },
    /// The alerts that a budget has raised, or the operator's: wrong prices, calls that end unknown
    Alerts {
        /// org:ID, team:ID, user:ID, key:ID, model:user:ID/PROVIDER/MODEL, or `operator`
        scope: String,
    },
}

/// `farebox credential …`
#[derive(Debug, Subcommand)]
pub enum Credential {
    /// Store a provider's API key; it is read from standard input or asked for
    Set {
        /// Whose: a user's ID, or org:ID
        owner: String,
        /// The provider, such as openai
        provider: String,
        /// Which of several for the provider; calls are shared out among them
        #[arg(long)]
        name: Option<String>,
        /// Its share of the calls beside the others: 1 to 1000
        #[arg(long)]
        weight: Option<u32>,
        /// A compatible server in place of the provider's own
        #[arg(long, value_name = "URL")]
        base_url: Option<String>,
    },
    /// List what is stored, without secrets
    List {
        /// Whose: a user's ID, or org:ID
        #[arg(long)]
        user: String,
    },
    /// Show one credential, without its secret
    Show {
        /// Whose: a user's ID, or org:ID
        owner: String,
        /// The provider
        provider: String,
        /// Which of several
        #[arg(long)]
        name: Option<String>,
    },
    /// Stop using a credential, and erase it
    Disable {
        /// Whose: a user's ID, or org:ID
        owner: String,
        /// The provider
        provider: String,
        /// Which of several
        #[arg(long)]
        name: Option<String>,
    },
}

/// `farebox budget …`
#[derive(Debug, Subcommand)]
pub enum Budget {
    /// Change limits; what is not named stays
    Set(BudgetChange),
    /// Show one budget, or all
    Show {
        /// Whose: org:ID, team:ID, user:ID, key:ID, model:user:ID/PROVIDER/MODEL
        scope: Option<String>,
    },
}

/// What `farebox budget set` changes.
#[derive(Debug, Default, Options)]
pub struct BudgetChange {
    /// Whose: org:ID, team:ID, user:ID, key:ID, model:user:ID/PROVIDER/MODEL
    pub scope: String,
    /// The most in a calendar month; `none` takes the limit away
    #[arg(long, value_name = "USD")]
    pub month: Option<String>,
    /// The most in a day; `none` takes the limit away
    #[arg(long, value_name = "USD")]
    pub day: Option<String>,
    /// The most for ever; `none` takes the limit away
    #[arg(long, value_name = "USD")]
    pub total: Option<String>,
    /// hard refuses what does not fit, soft only when nothing is left; observe only counts;
    /// closed refuses all
    #[arg(long)]
    pub mode: Option<String>,
    /// Whose midnight, such as Europe/Berlin
    #[arg(long)]
    pub time_zone: Option<String>,
    /// Percentages whose reaching is told, such as 50,80,95
    #[arg(long, value_delimiter = ',', value_name = "PERCENT")]
    pub alert_thresholds: Option<Vec<u8>>,
    /// When what was before comes back, such as 2027-01-01T00:00:00Z; `none` for never
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Divide a budget with too many calls at once into so many shares, such as 8; `none` to
    /// hold them in the budget itself again
    #[arg(long, value_name = "NUMBER")]
    pub shares: Option<String>,
}

/// `farebox webhook …`
#[derive(Debug, Subcommand)]
pub enum Webhook {
    /// Deliver alerts to a URL; the signing secret is printed this once
    Set {
        /// https with a public host
        // Not `url`: clap would take it for the global --url, and send the admin key there.
        #[arg(value_name = "URL")]
        target: String,
    },
    /// Show where alerts are delivered: the webhook, and the topic and addresses of the deployment
    Show,
    /// Send a test alert by the road of all alerts, and wait until it has arrived
    Test {
        /// Whose alert it says that it is: any scope with a budget, such as user:ID
        scope: String,
    },
    /// Deliver no alerts
    Delete,
}

/// `farebox requests …`
#[derive(Debug, Subcommand)]
pub enum Requests {
    /// The last calls, the newest last
    Tail {
        /// How many
        #[arg(short = 'n', default_value_t = 20)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
        count: u32,
        /// Wait for more until interrupted
        #[arg(short = 'f', long)]
        follow: bool,
    },
    /// Calls that fit, the newest last
    List(Wanted),
    /// One call
    Show {
        /// The x-request-id of its answer
        id: String,
    },
}

/// Which calls `farebox requests list` shows.
#[derive(Debug, Default, Options)]
pub struct Wanted {
    /// Only this user's
    #[arg(long)]
    pub user: Option<String>,
    /// Only of the key with this id
    #[arg(long)]
    pub key: Option<String>,
    /// Only at this provider
    #[arg(long)]
    pub provider: Option<String>,
    /// Only of this model, without its provider
    #[arg(long)]
    pub model: Option<String>,
    /// Only those that ended so: settled, refused, worst, …
    #[arg(long)]
    pub outcome: Option<String>,
    /// Only those with this error code
    #[arg(long)]
    pub error: Option<String>,
    /// Only those with this label
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Option<String>,
    /// Not before: a day, or a time such as 2026-11-23T09:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Before this day or time
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// How many, the newest
    #[arg(short = 'n', default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    pub count: u32,
}

#[cfg(test)]
mod tests {
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
}
