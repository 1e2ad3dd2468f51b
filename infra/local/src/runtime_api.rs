//! The Lambda Runtime API, version 2018-06-01, one path for each environment:
//! `AWS_LAMBDA_RUNTIME_API=http://127.0.0.1:PORT/<environment>`.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::environments::{Environments, Failure};
use crate::server::{self, Body};

/// The longest error report that is read.
const REPORT_BYTES_MAX: usize = 256 * 1024;

/// Answers one request of an environment.
pub async fn serve(environments: Arc<Environments>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let (id, rest) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let rest = rest.strip_prefix("2018-06-01/runtime/").unwrap_or("");
    let Some(environment) = environments.find(id) else {
        return status(StatusCode::FORBIDDEN);
    };
    match (request.method(), rest) {
        (&Method::GET, "invocation/next") => match environments.next(&environment).await {
            None => status(StatusCode::GONE),
            Some(invocation) => Response::builder()
                .header("lambda-runtime-aws-request-id", &invocation.id)
                .header("lambda-runtime-deadline-ms", invocation.deadline_ms.to_string())
                .header("lambda-runtime-invoked-function-arn", ARN)
                .header("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000")
                .header("content-type", "application/json")
                .body(server::whole(invocation.event))
                .unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR)),
        },
        (&Method::POST, "init/error") => {
            environment.fail(Failure::Failed(report(request).await));
            status(StatusCode::ACCEPTED)
        }
        (&Method::POST, rest) => {
            let answer = rest.strip_prefix("invocation/").and_then(|rest| rest.split_once('/'));
            match answer {
                Some((_, "error")) => {
                    environment.fail(Failure::Failed(report(request).await));
                    status(StatusCode::ACCEPTED)
                }
                Some((id, "response")) => {
                    let id = id.to_owned();
                    let mode = request.headers().get("lambda-runtime-function-response-mode");
                    let streams = mode.is_some_and(|mode| mode == "streaming");
                    let Some(sender) = environment.answer(&id, streams) else {
                        return status(StatusCode::BAD_REQUEST);
                    };
                    drain(request.into_body(), &sender).await;
                    status(StatusCode::ACCEPTED)
                }
                _ => status(StatusCode::NOT_FOUND),
            }
        }
        _ => status(StatusCode::NOT_FOUND),
    }
}

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:farebox";

/// Passes the function's bytes on. A caller that is gone does not interrupt the function, as on
/// AWS: the rest is read and dropped.
async fn drain(mut body: Incoming, sender: &tokio::sync::mpsc::Sender<Bytes>) {
    let mut is_wanted = true;
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(bytes) = frame.into_data()
            && is_wanted
        {
            is_wanted = sender.send(bytes).await.is_ok();
        }
    }
}

async fn report(request: Request<Incoming>) -> String {
    let body = server::read(request.into_body(), REPORT_BYTES_MAX).await;
    String::from_utf8_lossy(&body.unwrap_or_default()).into_owned()
}

fn status(status: StatusCode) -> Response<Body> {
    server::json(status, &serde_json::json!({"status": status.as_str()}))
}
