//! One call of the real chat function on simulated services and with the real demo provider.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use farebox_chat::gate::Gate;
use farebox_core::{GatewayKey, Money, Rid, Secret, Timestamp, Zone};
use farebox_ledger::share::share_settings;
use farebox_ledger::{
    Answer, Attr, Budget, Hold, Item, Key, Limits, Mode, Owner, Settings, Shares, Table, Terms,
    update,
};
use farebox_tests::Call;
use farebox_tests::kill::Shape;
use http_body_util::BodyExt;
use lambda_http::{Body, RequestExt};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::poller::Poller;
use super::{Kind, POLLER};
use crate::network::history::World;
use crate::network::{BEGAN, now};
use crate::provider;
use crate::support::Store;

const SECRET: &str = "demo-key";
const PEPPER: &str = "pepper";
/// How long another call's hold stands in the way of one that waits.
const BLOCKED: Duration = Duration::from_millis(1_500);
const STARTED: &str = "2026-11-24T12:00:00Z";

/// The key that the call is made with.
fn gateway_key() -> GatewayKey {
    GatewayKey::generate("prod", core::array::from_fn(|at| u8::try_from(at).expect("small")))
}

/// A world in which one call can be made.
pub struct Stage {
    pub world: World,
    pub kind: &'static Kind,
    pub scopes: Vec<String>,
    provider: String,
}

/// What a caller was told: a status, once its whole answer has come.
pub type Told = Arc<Mutex<Option<u16>>>;

impl Stage {
    /// Budgets, a key, a credential and prices, and a demo provider that takes calls.
    pub async fn new(kind: &'static Kind, seed: u64, is_faulty: bool) -> Self {
        let stage = Self::of_scopes(kind, 2, seed).await;
        stage.world.network.shared().is_faulty = is_faulty;
        stage
    }

    /// The same with so many scopes, two to eight, on a good network.
    pub async fn of_scopes(kind: &'static Kind, count: usize, seed: u64) -> Self {
        let started = Timestamp::parse(STARTED).expect("a time");
        BEGAN.set(Some((tokio::time::Instant::now(), started)));
        let world = World::new(seed);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let provider = format!("http://{}", listener.local_addr().expect("an address"));
        let options = provider::Options { key: SECRET.to_owned(), ..Default::default() };
        tokio::spawn(provider::serve(listener, options, std::future::pending()));
        let scopes = Self::all_scopes().into_iter().take(count).collect();
        let stage = Self { world, kind, scopes, provider };
        stage.create_budgets();
        stage.divide();
        if kind.shape == Shape::Waiting {
            stage.block();
        }
        stage.fill();
        stage.world.network.shared().is_faulty = false;
        stage
    }

    /// Four owners, and the call's model in each.
    fn all_scopes() -> Vec<String> {
        let owners = ["user:u1", &format!("key:{}", gateway_key().id), "team:t1", "org:o1"];
        let owners = owners.map(str::to_owned);
        let models = owners.iter().map(|owner| format!("model:{owner}/demo/chat"));
        owners.iter().cloned().chain(models).collect()
    }

    pub fn owner(scope: &str) -> Owner {
        Owner::new("main", scope.parse().expect("a scope"))
    }

    fn create_budgets(&self) {
        let of_key = self.kind.of_key.map_or((Mode::Observe, None), |usd| (Mode::Hard, Some(usd)));
        let of_user = (self.kind.mode, Some(self.kind.of_user));
        let others = std::iter::repeat((Mode::Observe, None));
        let of_all = [of_user, of_key].into_iter().chain(others);
        for (scope, (mode, usd)) in self.scopes.iter().zip(of_all) {
            let day = usd.map(|usd| Money::parse_usd(usd).expect("an amount"));
            let limits = Limits { month: None, day, total: None };
            let settings = Settings { mode, zone: Zone::utc(), limits, thresholds: vec![80] };
            let started = Timestamp::parse(STARTED).expect("a time");
            let create = Budget::create(&Self::owner(scope), &settings, started);
            assert_eq!(self.world.network.shared().services.store.apply(&create), Answer::Applied);
        }
    }

    /// The user's budget in its shares.
    fn divide(&self) {
        let Some(made) = Some(self.kind.shares).filter(|shares| *shares > 0) else { return };
        let whole = Self::owner(&self.scopes[0]);
        let store = &mut self.world.network.shared().services.store;
        let terms = |store: &Store| {
            Terms::parse(&store.get(&whole.budget()).expect("a budget")).expect("its terms")
        };
        let switch = update::switch(&whole, Shares { used: made, made }, terms(store).epoch);
        assert_eq!(store.apply(&switch), Answer::Applied);
        for number in 0..made {
            let settings = share_settings(&terms(store), number);
            let share = Owner { scope: whole.scope.with_share(number), ..whole.clone() };
            let create = update::create_share(&share, &settings, now());
            assert_eq!(store.apply(&create), Answer::Applied);
        }
    }

    /// Another call's hold fills the user's budget for a while.
    fn block(&self) {
        let owner = Self::owner(&self.scopes[0]);
        let rid = Rid::new(now(), 0);
        let amount = Money::parse_usd(self.kind.of_user).expect("an amount");
        let hold = Hold { amount, day: Zone::utc().day(now()), deadline_s: 900 };
        let store = &mut self.world.network.shared().services.store;
        let terms = store.get(&owner.budget()).expect("a budget");
        let terms = Terms::parse(&terms).expect("its terms");
        let reserve = update::reserve(&owner, rid, &hold, &terms);
        assert_eq!(store.apply(&reserve), Answer::Applied);
        let network = Arc::clone(&self.world.network);
        tokio::spawn(async move {
            sleep(BLOCKED).await;
            let void = update::void(&owner, rid, &hold, None);
            assert_eq!(network.shared().services.store.apply(&void), Answer::Applied);
        });
    }

    /// What the control plane would have written.
    fn fill(&self) {
        let mut shared = self.world.network.shared();
        let key = gateway_key();
        let mac = STANDARD.encode(key.mac(&Secret::new(PEPPER.to_owned())));
        let texts = |texts: &[String]| -> Value {
            json!({"L": texts.iter().map(|text| json!({"S": text})).collect::<Value>()})
        };
        let shown = [
            ("macs", json!({"L": [{"M": {"m": {"S": mac}}}]})),
            ("scopes", texts(&self.scopes)),
            ("providers", json!({"M": {"demo": {"S": "user:u1"}}})),
        ];
        let place = Key { table: Table::Main, pk: format!("K#{}", key.id), sk: "0".to_owned() };
        let texts = [("tenant", "main"), ("user", "u1"), ("st", "A")];
        let mut item = filled(&place, &texts);
        item.insert("cv".to_owned(), Attr::N(1));
        shared.services.store.items.insert(place.clone(), item);
        let shown = shown.into_iter().map(|(name, value)| (name.to_owned(), value));
        shared.services.shown.insert(place, shown.collect::<Map<_, _>>());
        for price in provider::prices() {
            let spec = json!({
                "input": price.input,
                "output": price.output,
                "context_window": price.context_window,
                "max_output_tokens": price.max_output_tokens,
            });
            let sk = format!("demo#{}", price.model);
            let place = Key { table: Table::Main, pk: "P#main".to_owned(), sk };
            let item = filled(&place, &[("spec", &spec.to_string()), ("version", "1")]);
            shared.services.store.items.insert(place, item);
        }
        let route = json!({"targets": [{"model": "demo/busy"}, {"model": "demo/chat"}]});
        let sk = "@#onward".to_owned();
        let place = Key { table: Table::Main, pk: "P#main".to_owned(), sk };
        let mut item = filled(&place, &[("route", &route.to_string())]);
        item.insert("v".to_owned(), Attr::N(1));
        shared.services.store.items.insert(place, item);
        let credential = json!({
            "demo": {"secret": SECRET, "base_url": format!("{}/v1", self.provider)},
        });
        shared.services.secrets = BTreeMap::from([
            ("farebox/pepper".to_owned(), PEPPER.to_owned()),
            ("farebox/credentials/user/u1".to_owned(), credential.to_string()),
        ]);
    }

    /// An environment whose calls are polled by the poller of this thread.
    pub fn gate(&self) -> Arc<Gate> {
        let mut gate = Gate::new(self.world.aws.clone());
        gate.around = Some(|call| POLLER.with_borrow(|poller| poller.watch(call)));
        Arc::new(gate)
    }

    /// Makes the call in a process that dies at an await, where it has so many; with its death,
    /// requests that are under way are lost or arrive all the same.
    pub async fn call(
        &self,
        gate: Arc<Gate>,
        dies_at: Option<u64>,
        loses: bool,
    ) -> (u64, bool, Option<u16>) {
        let poller = Poller::dying_at(dies_at);
        POLLER.set(poller.clone());
        let told = Told::default();
        let caller = caller(gate, self.request(), Arc::clone(&told));
        poller.watch(Box::pin(caller)).await;
        while !poller.is_over() {
            sleep(Duration::from_millis(1)).await;
        }
        let (awaits, is_dead) = poller.awaits();
        if is_dead && loses {
            let mut shared = self.world.network.shared();
            shared.lost_before = shared.requests.0 + 1;
        }
        let status = *told.lock().expect("nobody panicked");
        (awaits, is_dead, status)
    }

    fn request(&self) -> lambda_http::Request {
        let (path, asked, text) = match self.kind.shape {
            Shape::Embedding => ("/v1/embeddings", "input", json!("hello")),
            Shape::Chat | Shape::Keyed | Shape::Waiting => {
                let text = json!([{"role": "user", "content": "hello"}]);
                ("/v1/chat/completions", "messages", text)
            }
        };
        let mut body = json!({"model": self.kind.model, asked: text});
        let options: Map<String, Value> =
            serde_json::from_str(self.kind.options).expect("an object");
        body.as_object_mut().expect("an object").extend(options);
        let mut request = http::Request::post(path);
        if self.kind.shape == Shape::Keyed {
            request = request.header("idempotency-key", "again");
        }
        request
            .header("authorization", format!("Bearer {}", gateway_key().secret().expose()))
            .header("content-type", "application/json")
            .header("x-farebox-room-wait-ms", self.kind.room_wait_ms.to_string())
            .body(Body::Text(body.to_string()))
            .expect("a request")
            .with_raw_http_path(path)
    }

    /// What the provider bills, in pico-USD, and how often it was asked.
    pub async fn bill(&self) -> (i128, u64) {
        let bill = Call::get(format!("{}/bill", self.provider)).send().await;
        let bill: Value = serde_json::from_slice(&bill.body).expect("JSON");
        let usd = bill["usd"].as_str().expect("an amount");
        let pico = Money::parse_usd(usd).expect("an amount").pico();
        (pico, bill["posts"].as_u64().expect("a number"))
    }
}

/// The caller's side: it takes the whole answer.
async fn caller(gate: Arc<Gate>, request: lambda_http::Request, told: Told) {
    let answer = farebox_chat::serve(&gate, request).await;
    let (head, body) = answer.into_parts();
    let Ok(_) = body.collect().await;
    *told.lock().expect("nobody panicked") = Some(head.status.as_u16());
}

fn filled(key: &Key, texts: &[(&str, &str)]) -> Item {
    let mut item = key.item();
    let texts = texts.iter().map(|(name, text)| ((*name).to_owned(), Attr::S((*text).to_owned())));
    item.extend(texts);
    item
}
