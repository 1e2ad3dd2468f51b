//! Starts everything in order, and stops it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::{self, Clock};
use crate::environments::{Environments, Launch};
use crate::error::Error;
use crate::function::FUNCTIONS;
use crate::gateway::{self, Gateway};
use crate::messages::Messages;
use crate::objects::Objects;
use crate::options::{Options, RealProvider, from_environment, real_providers};
use crate::output::Output;
use crate::past::Past;
use crate::schedule::{DEAD_LETTERS, QUEUE, Schedule};
use crate::secrets::Secrets;
use crate::seed::{Admin, USER};
use crate::services::{self, Services};
use crate::sqs::{Sqs, arn};
use crate::state::{self, State};
use crate::{dynamodb, provider, runtime_api, samples, server, welcome};

const PEPPER: &str = "farebox/local/pepper";
const ADMIN_KEY: &str = "farebox/local/admin-key";
const IAM_SECRET: &str = "farebox/local/iam-secret";
const PREFIX: &str = "farebox/local";
/// What a deployment may choose, taken from this process's environment.
const PASSED_ON: [&str; 12] = [
    "FAREBOX_SECOND_LOOK_S",
    "FAREBOX_ALERT_TOPIC",
    "FAREBOX_ALERT_SENDER",
    "FAREBOX_ALERT_RECIPIENTS",
    "FAREBOX_STATEMENT_RECIPIENTS",
    "FAREBOX_STATEMENT_BY",
    "FAREBOX_LAKE_BUCKET",
    "FAREBOX_OIDC_ISSUER",
    "FAREBOX_OIDC_CLIENT_ID",
    "FAREBOX_OIDC_CLIENT_SECRET",
    "FAREBOX_OIDC_SCOPES",
    "FAREBOX_OIDC_GROUPS_CLAIM",
];
/// How long a stop waits for what still runs.
const STOP_PATIENCE: Duration = Duration::from_millis(300);

/// What is kept of the demo between two starts.
#[derive(Serialize, Deserialize)]
struct Known {
    key: String,
}

/// Where everything listens, for those who print it.
#[derive(Default, Serialize)]
pub struct Ready {
    /// The API.
    pub base_url: String,
    /// The admin API.
    pub admin_url: String,
    /// The console.
    pub console_url: String,
    /// The admin key.
    pub admin_key: String,
    /// The secret half of every access key of `/iam/admin`.
    pub iam_secret: String,
    /// The demo key.
    pub key: String,
    /// The demo user.
    pub user: &'static str,
    /// Providers that the demo user has a real key for.
    pub real_money: Vec<String>,
    /// The demo provider.
    pub demo_provider_url: String,
    /// SQS, Secrets Manager and the stack's controls.
    pub services_url: String,
    /// DynamoDB.
    pub dynamodb_url: String,
    /// What the functions print.
    pub functions_log: Option<PathBuf>,
}

/// A listener and its origin.
struct Bound {
    listener: TcpListener,
    url: String,
}

/// Runs the stack until Ctrl-C or SIGTERM.
///
/// # Errors
/// [`Error`]: what kept it from starting.
pub async fn run(options: Options) -> Result<(), Error> {
    if let Some(dir) = &options.bootstrap {
        check_bootstraps(dir)?;
    }
    // Before the port: whoever runs it twice in one folder is told so, and not of a port alone.
    let state = if options.ephemeral { State::ephemeral() } else { State::open(&options.state)? };
    let front = bind(if options.services { 0 } else { options.port }).await?;
    let log = state
        .file("functions.log")
        .or_else(|| options.ephemeral.then(|| temporary("functions.log")));
    let output = Arc::new(Output::open(!options.quiet && !options.json, log)?);
    let clock = Clock::new(options.clock.clone());
    let real = real_providers(from_environment);

    let stores = start_stores(&state, &real, &options, &front.url).await?;
    if options.services {
        write_env(&options.state, &stores.variables)?;
    }
    let runtime = bind(0).await?;
    let launch = Launch {
        executable: std::env::current_exe()
            .map_err(|cause| Error::System { what: "this executable's path", cause })?,
        bootstrap: options.bootstrap.clone(),
        variables: stores.variables,
        runtime_api: runtime.url.clone(),
        chat_timeout: Duration::from_secs(options.chat_timeout.into()),
    };
    let environments = Environments::new(launch, Arc::clone(&output), options.environments);
    let schedule =
        Arc::new(Schedule::new(Arc::clone(&environments), stores.sqs.clone(), clock.clone()));
    let shared = Arc::new(Services {
        sqs: stores.sqs,
        secrets: stores.secrets,
        messages: Messages::default(),
        objects: Objects::new(state.file("s3")),
        output: Arc::clone(&output),
        schedule: (!options.services).then(|| Arc::clone(&schedule)),
    });
    tokio::spawn(server::serve(stores.listener, move |request, _| {
        services::serve(Arc::clone(&shared), request)
    }));
    let runtime_of = Arc::clone(&environments);
    tokio::spawn(server::serve(runtime.listener, move |request, _| {
        runtime_api::serve(Arc::clone(&runtime_of), request)
    }));
    let mut ready = Ready {
        admin_url: format!("{}/admin/v1", front.url),
        console_url: format!("{}/admin/console", front.url),
        base_url: front.url,
        key: String::new(),
        user: USER,
        functions_log: output.path().cloned(),
        ..stores.ready
    };
    let front = tokio::spawn(open(front.listener, &environments, clock, &ready));
    if !options.services {
        schedule.start();
    }
    let past = past(&options, &state, &environments, &schedule)?;
    (ready.key, ready.real_money) = demo(&state, &ready, &real).await?;
    if let Some(past) = past {
        show_something(&ready, past, &output).await;
    }
    if options.services {
        leave_to_others(front, &environments).await;
    }
    welcome::tell(&options, &ready, &real);
    stopped().await?;
    tokio::time::timeout(STOP_PATIENCE, schedule.drain()).await.unwrap_or(false);
    forget(&options, &output);
    Ok(())
}

/// Serves callers.
fn open(
    listener: TcpListener,
    environments: &Arc<Environments>,
    clock: Clock,
    ready: &Ready,
) -> impl Future<Output = ()> + Send + use<> {
    let (environments, iam_secret) = (Arc::clone(environments), ready.iam_secret.clone());
    let gateway = Arc::new(Gateway { environments, clock, iam_secret });
    server::serve(listener, move |request, _| gateway::serve(Arc::clone(&gateway), request))
}

/// The product was there for the demo's key only: `cargo lambda watch` runs the functions.
async fn leave_to_others(front: JoinHandle<()>, environments: &Environments) {
    front.abort();
    // Cancelled, as it must be: the port is free when the services are told to be ready.
    let _ = front.await;
    environments.end();
}

/// Nothing stays of an ephemeral stack; a log that is gone already is as good.
fn forget(options: &Options, output: &Output) {
    if let Some(log) = output.path().filter(|_| options.ephemeral) {
        let _ = std::fs::remove_file(log);
    }
}

/// Where a person starts a new stack: the days before, in which the samples are made.
fn past(
    options: &Options,
    state: &State,
    environments: &Arc<Environments>,
    schedule: &Arc<Schedule>,
) -> Result<Option<Past>, Error> {
    let is_new = !state.file("local.json").is_some_and(|path| path.exists());
    let is_for_people = !options.json && !options.services;
    if !is_new || !is_for_people || options.clock.is_some() {
        return Ok(None);
    }
    welcome::make_patient();
    let file = state.file("clock").unwrap_or_else(|| temporary("clock"));
    Past::begin(environments, schedule, file, samples::DAYS).map(Some)
}

/// Makes the samples: the console is the better for them, and nothing else needs them.
async fn show_something(ready: &Ready, past: Past, output: &Output) {
    let admin = Admin::new(&ready.base_url, &ready.admin_key);
    let place = samples::Place {
        admin: &admin,
        base_url: &ready.base_url,
        provider_url: &ready.demo_provider_url,
        provider_key: &provider::Options::default().key,
    };
    let keys = samples::before(&place, &past).await;
    past.end().await;
    let made = match keys {
        Ok(keys) => samples::today(&place, &keys).await,
        Err(error) => Err(error),
    };
    if let Err(error) = made {
        output.line("samples", &error.to_string());
    }
}

/// The stores, once they are open and served.
struct Stores {
    sqs: Sqs,
    secrets: Secrets,
    listener: TcpListener,
    variables: BTreeMap<String, String>,
    ready: Ready,
}

/// Opens what keeps data, and serves DynamoDB and the demo provider.
async fn start_stores(
    state: &State,
    real: &[RealProvider],
    options: &Options,
    front: &str,
) -> Result<Stores, Error> {
    let (demo, database, aws) = (bind(0).await?, bind(0).await?, bind(0).await?);
    let tables = dynamodb::open(state.file("dynamodb.sqlite").as_deref())?;
    let secrets = Secrets::open(state.file("secrets.json"))?;
    secrets.ensure(PEPPER, || new_secret(""))?;
    let admin_key = secrets.ensure(ADMIN_KEY, || new_secret("sk-fba-"))?;
    let iam_secret = secrets.ensure(IAM_SECRET, || new_secret(""))?;
    let sqs = Sqs::open(aws.url.clone(), state.file("queue.jsonl").as_deref())?;
    create_queues(&sqs).await?;
    let mut variables = variables(options, &sqs, &database.url, &aws.url, &demo.url, real);
    if !options.services {
        // There is no domain whose name API Gateway would tell.
        variables.insert("FAREBOX_PUBLIC_URL".to_owned(), front.to_owned());
    }
    tokio::spawn(dynoxide::server::serve_on(database.listener, tables));
    tokio::spawn(serve_provider(demo.listener));
    let ready = Ready {
        admin_key,
        iam_secret,
        demo_provider_url: demo.url,
        services_url: aws.url,
        dynamodb_url: database.url,
        ..Ready::default()
    };
    Ok(Stores { sqs, secrets, listener: aws.listener, variables, ready })
}

/// The demo's key, made at the first start and kept for the next; and whom it calls for real money.
async fn demo(
    state: &State,
    ready: &Ready,
    real: &[RealProvider],
) -> Result<(String, Vec<String>), Error> {
    let admin = Admin::new(&ready.base_url, &ready.admin_key);
    let provider_key = provider::Options::default().key;
    let file = state.file("local.json");
    let known = match &file {
        None => None,
        Some(path) => match std::fs::read(path) {
            Ok(bytes) => Some(
                serde_json::from_slice::<Known>(&bytes)
                    .map_err(|cause| Error::Unreadable { path: path.clone(), cause })?,
            ),
            Err(_) => None,
        },
    };
    let key = match known {
        Some(known) => {
            admin.move_demo_provider(&ready.demo_provider_url, &provider_key).await?;
            samples::move_provider(&admin, &ready.demo_provider_url, &provider_key).await?;
            known.key
        }
        None => {
            let key = admin.seed(&ready.demo_provider_url, &provider_key).await?;
            if let Some(path) = &file {
                let known = serde_json::to_vec(&Known { key: key.clone() })
                    .map_err(|cause| Error::Unreadable { path: path.clone(), cause })?;
                state::write_atomically(path, &known)?;
            }
            key
        }
    };
    admin.store_real(real).await?;
    Ok((key, admin.real_money().await?))
}

async fn bind(port: u16) -> Result<Bound, Error> {
    let (listener, address) = server::listen(port).await?;
    Ok(Bound { listener, url: format!("http://{address}") })
}

fn check_bootstraps(dir: &Path) -> Result<(), Error> {
    for function in FUNCTIONS {
        if !dir.join(function.package()).join("bootstrap").is_file() {
            let (dir, function) = (dir.to_path_buf(), function.package());
            return Err(Error::NoBootstrap { dir, function });
        }
    }
    Ok(())
}

/// The queue and its dead-letter queue, with the numbers of `infra/template.yaml` but for the
/// delay: nobody at a laptop wants to wait for it.
async fn create_queues(sqs: &Sqs) -> Result<(), Error> {
    let redrive = json!({"deadLetterTargetArn": arn(DEAD_LETTERS), "maxReceiveCount": 5});
    for (name, attributes) in [
        (DEAD_LETTERS, json!({})),
        (QUEUE, json!({"VisibilityTimeout": "120", "RedrivePolicy": redrive.to_string()})),
    ] {
        let request = json!({"QueueName": name, "Attributes": attributes});
        let request = request.as_object().cloned().unwrap_or_default();
        let created = sqs.call("CreateQueue", &request).await;
        created.map_err(|error| Error::System {
            what: "the queues",
            cause: std::io::Error::other(error.message),
        })?;
    }
    Ok(())
}

/// The environment of every function: what `infra/template.yaml` sets, and where the services are.
fn variables(
    options: &Options,
    sqs: &Sqs,
    database: &str,
    aws: &str,
    demo: &str,
    real: &[RealProvider],
) -> BTreeMap<String, String> {
    let mut origins = vec![demo.to_owned()];
    origins.extend(from_environment("FAREBOX_ALLOWED_ORIGINS"));
    origins.extend(real.iter().filter_map(|provider| origin(provider.base_url.as_deref()?)));
    let [ledger, main, logs] = dynamodb::TABLES;
    let mut variables: BTreeMap<String, String> = [
        ("FAREBOX_LEDGER_TABLE", ledger),
        ("FAREBOX_MAIN_TABLE", main),
        ("FAREBOX_LOGS_TABLE", logs),
        ("FAREBOX_QUEUE_URL", &sqs.url(QUEUE)),
        ("FAREBOX_DEAD_LETTER_URL", &sqs.url(DEAD_LETTERS)),
        ("FAREBOX_TENANT", "main"),
        ("FAREBOX_STAGE", "local"),
        ("FAREBOX_SECRET_PREFIX", PREFIX),
        ("FAREBOX_PEPPER_SECRET", PEPPER),
        ("FAREBOX_ADMIN_KEY_SECRET", ADMIN_KEY),
        ("FAREBOX_ALLOWED_ORIGINS", &origins.join(",")),
        ("FAREBOX_TRACE_AWS", "1"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL_DYNAMODB", database),
        ("AWS_ENDPOINT_URL_SQS", aws),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws),
        ("AWS_ENDPOINT_URL_SNS", aws),
        ("AWS_ENDPOINT_URL_SESV2", aws),
        ("AWS_ENDPOINT_URL_S3", aws),
        ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/farebox"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    for name in PASSED_ON {
        variables.extend(from_environment(name).map(|value| (name.to_owned(), value)));
    }
    if let Some(file) = &options.clock {
        variables.insert("FAREBOX_CLOCK_FILE".to_owned(), file.display().to_string());
    }
    variables
}

/// `scheme://host:port` of a URL.
fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    Some(format!("{scheme}://{}", rest.split('/').next()?))
}

fn write_env(dir: &Path, variables: &BTreeMap<String, String>) -> Result<(), Error> {
    let lines: String = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    state::write_atomically(&dir.join("env"), lines.as_bytes())
}

/// 215 random bits in letters and digits.
fn new_secret(prefix: &str) -> Result<String, Error> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let bytes = clock::random::<43>()?;
    let letter = |byte: &u8| ALPHABET.get(usize::from(byte & 31)).copied().map(char::from);
    Ok(format!("{prefix}{}", bytes.iter().filter_map(letter).collect::<String>()))
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("farebox-{}-{name}", clock::request_id()))
}

async fn serve_provider(listener: TcpListener) {
    // It ends with the process; an error would mean a listener without an address.
    let _ = provider::serve(listener, provider::Options::default(), std::future::pending()).await;
}

async fn stopped() -> Result<(), Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |cause| Error::System { what: "signals", cause };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
