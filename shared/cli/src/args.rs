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
pub use keys::{Key, KeyChange, Timeouts};
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

/// Whether a change looks at what is there.
#[derive(Clone, Copy, Debug, Default, Options)]
pub struct Force {
    /// Whatever is there now: without a look at it and without a question
    #[arg(long)]
    pub force: bool,
}

/// What makes a create harmless to repeat.
#[derive(Clone, Debug, Default, Options)]
pub struct Once {
    /// As a try without an answer has printed it: what that one made is told, and not made twice
    #[arg(long, value_name = "KEY", value_parser = idempotency_key)]
    pub idempotency_key: Option<String>,
}

/// A key as the gateway takes it, and a header can say it.
fn idempotency_key(text: &str) -> Result<String, String> {
    let fits = (1..=255).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b));
    let rule = || "write 1 to 255 printable ASCII characters".to_owned();
    fits.then(|| text.to_owned()).ok_or_else(rule)
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
    Doctor {
        /// Ask for a quote, too, with a Farebox key that is asked for or read from standard input
        #[arg(long)]
        quote: bool,
    },
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
    /// The alerts that budgets have raised, or the operator's: wrong prices, calls that end unknown
    #[command(args_conflicts_with_subcommands = true)]
    Alerts {
        /// org:ID, team:ID, user:ID, key:ID, model:user:ID/PROVIDER/MODEL, or `operator`
        /// [default: of every budget]
        scope: Option<String>,
        #[command(subcommand)]
        command: Option<Told>,
    },
}

/// `farebox alerts …`
#[derive(Debug, Subcommand)]
pub enum Told {
    /// Say that an alert to the operator was looked at: it stays, and is open no more
    Acknowledge {
        /// Its ID, as `farebox alerts operator` lists it: overrun/20261124/openai/gpt-5
        id: String,
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
        #[command(flatten)]
        force: Force,
    },
    /// List what is stored, without secrets
    List {
        /// What this user can call providers with: its own, and its organisation's
        #[arg(long, required_unless_present = "org", conflicts_with = "org")]
        user: Option<String>,
        /// What is this organisation's
        #[arg(long)]
        org: Option<String>,
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
        #[command(flatten)]
        force: Force,
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
        /// Only budgets of org, team, user or key, with those of their models
        #[arg(long, conflicts_with = "scope")]
        kind: Option<String>,
        /// Those whose limits are the nearest to be reached, by use or forecast
        #[arg(long, conflicts_with = "scope")]
        nearest: bool,
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
        #[command(flatten)]
        force: Force,
    },
    /// Show where alerts are delivered: the webhook, and the topic and addresses of the deployment
    Show,
    /// Send a test alert by the road of all alerts, and wait until it has arrived
    Test {
        /// Whose alert it says that it is: any scope with a budget, such as user:ID
        scope: String,
        #[command(flatten)]
        once: Once,
    },
    /// Deliver no alerts
    Delete(Force),
}

/// `farebox requests …`
#[derive(Debug, Subcommand)]
pub enum Requests {
    /// The last calls, the newest last
    Tail {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        kind: Kind,
        /// How many
        #[arg(short = 'n', default_value_t = 20)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
        count: u32,
        /// Wait for more until interrupted, or until five looks in a row have failed
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

/// Whose calls.
#[derive(Debug, Default, Options)]
pub struct Whose {
    /// Only this user's
    #[arg(long)]
    pub user: Option<String>,
    /// Only this organisation's
    #[arg(long)]
    pub org: Option<String>,
    /// Only this team's
    #[arg(long)]
    pub team: Option<String>,
}

/// Which calls are looked for, and when.
#[derive(Debug, Default, Options)]
pub struct Filter {
    #[command(flatten)]
    pub kind: Kind,
    /// Not before: a day, or a time such as 2026-11-23T09:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Before this day or time
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
}

/// What kind of calls.
#[derive(Debug, Default, Options)]
pub struct Kind {
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
}

/// Which calls `farebox requests list` shows.
#[derive(Debug, Default, Options)]
pub struct Wanted {
    #[command(flatten)]
    pub whose: Whose,
    #[command(flatten)]
    pub filter: Filter,
    /// How many, the newest
    #[arg(short = 'n', default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    pub count: u32,
}

#[cfg(test)]
mod tests;
