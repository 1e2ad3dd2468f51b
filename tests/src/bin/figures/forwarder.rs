//! A bare forwarder: hyper in, hyper out, one thread, nothing read and nothing decided.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// Prints its origin and forwards to `provider` until it is killed.
pub async fn serve(provider: &str) {
    let host = provider.strip_prefix("http://").expect("an http origin").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("http://{}", listener.local_addr().expect("an address"));
    let upstream: Mutex<Option<SendRequest<Full<Bytes>>>> = Mutex::new(None);
    let upstream = std::sync::Arc::new(upstream);
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("nodelay");
        let (upstream, host) = (upstream.clone(), host.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let (upstream, host) = (upstream.clone(), host.clone());
                async move { forward(&upstream, &host, request).await }
            });
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn forward(
    upstream: &Mutex<Option<SendRequest<Full<Bytes>>>>,
    host: &str,
    request: Request<Incoming>,
) -> Result<Response<Incoming>, hyper::Error> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    head.headers.insert("host", host.parse().expect("a host"));
    head.headers.insert("authorization", "Bearer demo-key".parse().expect("a key"));
    let mut pooled = upstream.lock().await;
    let mut idle = pooled.take();
    let is_ready = match &mut idle {
        Some(sender) => sender.ready().await.is_ok(),
        None => false,
    };
    let mut sender = match idle.filter(|_| is_ready) {
        Some(sender) => sender,
        None => connect(host).await?,
    };
    let answer = sender.send_request(Request::from_parts(head, Full::new(body))).await;
    *pooled = Some(sender);
    answer
}

async fn connect(host: &str) -> Result<SendRequest<Full<Bytes>>, hyper::Error> {
    let stream = TcpStream::connect(host).await.expect("the provider");
    stream.set_nodelay(true).expect("nodelay");
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}
