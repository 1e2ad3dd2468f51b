//! The listener for SQS, Secrets Manager and the stack's own controls.
//!
//! | request | does |
//! |---|---|
//! | `POST /` with `X-Amz-Target` | an operation of SQS or Secrets Manager |
//! | `POST /` with a form, `POST /v2/email/outbound-emails` | SNS `Publish`, SES `SendEmail` |
//! | `PUT`, `GET /<bucket>/<key>`, signed for S3 | an object of S3 |
//! | `GET /_local/messages` | what SNS and SES were given |
//! | `POST /_local/drain` | answers when the queue is empty and the logger idle |
//! | `POST /_local/schedule?time=` | runs the scheduler once, as if it were that time |
//! | `POST /_local/environment` | sets variables (JSON) of new environments, ends the others |
//! | `GET /_local/calls`, `POST /_local/calls/reset` | the functions' AWS calls |

use std::sync::Arc;

use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use crate::aws_json::{Answer, ServiceError};
use crate::messages::{self, Messages};
use crate::objects::Objects;
use crate::output::Output;
use crate::schedule::Schedule;
use crate::secrets::Secrets;
use crate::server::{self, Body};
use crate::sqs::Sqs;

const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The services and what controls the stack.
pub struct Services {
    /// SQS.
    pub sqs: Sqs,
    /// Secrets Manager.
    pub secrets: Secrets,
    /// SNS and SES.
    pub messages: Messages,
    /// S3.
    pub objects: Objects,
    /// The functions' lines.
    pub output: Arc<Output>,
    /// The pump and the schedule, where the functions run.
    pub schedule: Option<Arc<Schedule>>,
}

/// Answers one request.
pub async fn serve(services: Arc<Services>, request: Request<Incoming>) -> Response<Body> {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    let Some(target) = target.map(str::to_owned) else {
        return control(&services, request).await;
    };
    let Ok(body) = server::read(request.into_body(), REQUEST_BYTES_MAX).await else {
        return answer(Err(ServiceError::refused("InvalidRequest", "the body cannot be read")));
    };
    let fields: Map<String, Value> = match serde_json::from_slice(&body) {
        Ok(fields) => fields,
        Err(error) => {
            return answer(Err(ServiceError::refused("SerializationException", error.to_string())));
        }
    };
    answer(match target.split_once('.') {
        Some(("AmazonSQS", operation)) => services.sqs.call(operation, &fields).await,
        Some(("secretsmanager", operation)) => services.secrets.call(operation, &fields),
        _ => Err(ServiceError::refused("UnknownOperationException", target)),
    })
}

async fn control(services: &Services, request: Request<Incoming>) -> Response<Body> {
    if request.method() == Method::POST && messages::is_for(request.uri().path()) {
        return services.messages.take(request).await;
    }
    if Objects::is_for(&request) {
        return services.objects.take(request).await;
    }
    let schedule = services.schedule.as_ref();
    match (request.method(), request.uri().path(), schedule) {
        (&Method::POST, "/_local/drain", Some(schedule)) => {
            let is_empty = schedule.drain().await;
            let status = if is_empty { StatusCode::OK } else { StatusCode::GATEWAY_TIMEOUT };
            json_response(status, &json!({"drained": is_empty}))
        }
        (&Method::POST, "/_local/schedule", Some(schedule)) => {
            let query = request.uri().query().unwrap_or("");
            let given = query.split('&').find_map(|pair| pair.strip_prefix("time="));
            let time = given.map(|time| time.replace("%3A", ":").replace("%3a", ":"));
            let time = time.unwrap_or_else(|| schedule.clock.now_rfc3339());
            match schedule.run(&time).await {
                Ok(answer) => json_response(StatusCode::OK, &json!({"result": answer})),
                Err(failure) => {
                    let failure = format!("{failure:?}");
                    json_response(StatusCode::BAD_GATEWAY, &json!({"error": failure}))
                }
            }
        }
        (&Method::POST, "/_local/environment", Some(schedule)) => {
            let body = server::read(request.into_body(), REQUEST_BYTES_MAX).await.ok();
            match body.and_then(|body| serde_json::from_slice(&body).ok()) {
                Some(variables) => {
                    schedule.environments.change(variables);
                    json_response(StatusCode::OK, &json!({}))
                }
                None => json_response(StatusCode::BAD_REQUEST, &json!({"error": "not variables"})),
            }
        }
        (&Method::GET, "/_local/messages", _) => {
            json_response(StatusCode::OK, &services.messages.all())
        }
        (&Method::GET, "/_local/calls", _) => {
            json_response(StatusCode::OK, &services.output.calls())
        }
        (&Method::POST, "/_local/calls/reset", _) => {
            services.output.reset_calls();
            json_response(StatusCode::OK, &json!({}))
        }
        _ => json_response(StatusCode::NOT_FOUND, &json!({"error": "no such control"})),
    }
}

fn answer(answer: Answer) -> Response<Body> {
    match answer {
        Ok(body) => json_response(StatusCode::OK, &body),
        Err(error) => {
            let body = json!({"__type": error.kind, "message": error.message});
            let mut response = json_response(error.status, &body);
            let query = error.query_code.map(|code| format!("{code};Sender"));
            if let Some(Ok(query)) = query.map(|query| query.parse::<HeaderValue>()) {
                response.headers_mut().insert("x-amzn-query-error", query);
            }
            response
        }
    }
}

fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = server::json(status, body);
    let json = HeaderValue::from_static("application/x-amz-json-1.0");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}
