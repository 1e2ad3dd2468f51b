//! A network between the SDK and the services that loses, delays, doubles and refuses, by seed.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use farebox_aws::http::{Carrier, NotSent};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::services::{Reply, Services, bad};
use super::{Random, now};

/// A signed request is refused after five minutes (W2).
const LATEST_MS: u64 = 299_000;
/// Of a hundred requests, so many meet a fault while the network is faulty.
const FAULTS_IN_HUNDRED: u64 = 15;

/// The network and what is behind it.
pub struct Network(Mutex<Shared>);

pub struct Shared {
    pub services: Services,
    pub random: Random,
    pub is_faulty: bool,
    /// Requests, and those that met a fault.
    pub requests: (u64, u64),
    /// Those that were sent before this one are lost, unless they are done already.
    pub lost_before: u64,
}

/// What becomes of a request. Times are milliseconds.
#[derive(Clone, Copy)]
enum Fate {
    NotSent,
    Lost,
    Throttled,
    Failed,
    /// It is done after `there`, and answered after `back`.
    Done {
        there: u64,
        back: Option<u64>,
        again: Option<u64>,
        is_told_as_failed: bool,
    },
}

impl Network {
    pub fn new(random: Random) -> Arc<Self> {
        let services = Services::default();
        Arc::new(Self(Mutex::new(Shared {
            services,
            random,
            is_faulty: true,
            requests: (0, 0),
            lost_before: 0,
        })))
    }

    /// A panic among the services ends the task of its request only; this tells everyone else.
    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().expect("the services have found a violation")
    }

    fn fate(&self, is_reserve: bool) -> Fate {
        let mut shared = self.shared();
        let (there, back) = (1 + shared.random.below(40), Some(1 + shared.random.below(40)));
        let good = Fate::Done { there, back, again: None, is_told_as_failed: false };
        let is_hit = shared.random.below(100) < FAULTS_IN_HUNDRED && shared.is_faulty;
        shared.requests.0 += 1;
        shared.requests.1 += u64::from(is_hit);
        if !is_hit {
            return good;
        }
        let late = 1 + shared.random.below(LATEST_MS);
        match shared.random.below(9) {
            0 => Fate::NotSent,
            1 => Fate::Lost,
            2 => Fate::Throttled,
            3 => Fate::Failed,
            4 => Fate::Done { there, back: None, again: None, is_told_as_failed: false },
            5 => Fate::Done { there: late, back, again: None, is_told_as_failed: false },
            // A reserve that is answered is not done again later: no client of ours sends it
            // twice by itself (W1), and TLS delivers it once. It may be doubled before.
            6 => {
                let again = Some(if is_reserve { 0 } else { late });
                Fate::Done { there, back, again, is_told_as_failed: false }
            }
            7 => Fate::Done { there, back: None, again: Some(late), is_told_as_failed: false },
            _ => Fate::Done { there, back, again: None, is_told_as_failed: true },
        }
    }

    async fn exchange(
        self: Arc<Self>,
        request: HttpRequest,
        limit: Duration,
    ) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").expect("a target").to_owned();
        let body = request.body().bytes().expect("a whole body");
        let body: Value = serde_json::from_slice(body).expect("JSON");
        let late = || ConnectorError::timeout("the answer is late".into());
        let expression = body["UpdateExpression"].as_str().unwrap_or_default();
        let is_reserve = expression.contains("SET #h = :h ADD");
        let reply = match self.fate(is_reserve) {
            Fate::NotSent => {
                sleep(ms(1)).await;
                return Err(ConnectorError::io(Box::new(NotSent::because("no connection"))));
            }
            Fate::Lost => {
                sleep(limit).await;
                return Err(late());
            }
            Fate::Throttled => bad("ProvisionedThroughputExceededException"),
            Fate::Failed => failed(),
            Fate::Done { there, back, again, is_told_as_failed } => {
                let (tell, told) = oneshot::channel();
                let number = self.shared().requests.0;
                // It goes on when its sender is gone.
                tokio::spawn(async move {
                    sleep(ms(there)).await;
                    if number < self.shared().lost_before {
                        return;
                    }
                    let mut reply = self.perform(&target, &body);
                    if again == Some(0) {
                        reply = self.perform(&target, &body);
                    }
                    // Nobody may be there any more.
                    drop(tell.send(reply));
                    if let Some(again) = again.filter(|again| *again > 0) {
                        sleep(ms(again)).await;
                        self.perform(&target, &body);
                    }
                });
                let answer = async {
                    let reply = told.await.map_err(|_| late())?;
                    match back {
                        Some(back) => sleep(ms(back)).await,
                        None => std::future::pending().await,
                    }
                    Ok(if is_told_as_failed { failed() } else { reply })
                };
                timeout(limit, answer).await.map_err(|_| late())??
            }
        };
        sleep(ms(1)).await;
        let body = SdkBody::from(reply.body.to_string());
        let status = reply.status.try_into().expect("a status");
        let mut response = HttpResponse::new(status, body);
        response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        Ok(response)
    }

    fn perform(&self, target: &str, body: &Value) -> Reply {
        self.shared().services.answer(target, body, now().ms())
    }
}

impl Carrier for Network {
    fn carry(self: Arc<Self>, request: HttpRequest, limit: Duration) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.exchange(request, limit))
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

fn failed() -> Reply {
    Reply { status: 500, body: json!({"__type": "InternalServerError", "message": "simulated"}) }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
