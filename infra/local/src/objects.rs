//! S3, as far as the lake uses it: an object is put whole and read back. With a state directory
//! each is a file in it, so that DuckDB or pyarrow can be tried on `.farebox/s3/<bucket>`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use crate::server::{self, Body};

/// Far above what the scheduler puts.
const OBJECT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Objects by bucket and key.
pub struct Objects {
    dir: Option<PathBuf>,
    kept: Mutex<BTreeMap<String, Bytes>>,
}

impl Objects {
    /// Keeps them in this directory, or in memory.
    #[must_use]
    pub const fn new(dir: Option<PathBuf>) -> Self {
        Self { dir, kept: Mutex::new(BTreeMap::new()) }
    }

    /// Whether a request is for S3: nothing else is put here, or read under a bucket's name.
    #[must_use]
    pub fn is_for(request: &Request<Incoming>) -> bool {
        let signature = request.headers().get(AUTHORIZATION).and_then(|text| text.to_str().ok());
        let is_signed = signature.is_some_and(|text| text.contains("/s3/aws4_request"));
        is_signed && (request.method() == Method::PUT || request.method() == Method::GET)
    }

    /// Answers one request as S3 would.
    pub async fn take(&self, request: Request<Incoming>) -> Response<Body> {
        let name = request.uri().path().trim_start_matches('/').replace("%3D", "=");
        if !is_name(&name) {
            return refuse(StatusCode::BAD_REQUEST, "InvalidRequest");
        }
        if request.method() == Method::GET {
            return match self.get(&name) {
                Some(bytes) => Response::new(server::whole(bytes)),
                None => refuse(StatusCode::NOT_FOUND, "NoSuchKey"),
            };
        }
        if !request.headers().contains_key("x-amz-content-sha256") {
            return refuse(StatusCode::BAD_REQUEST, "MissingSecurityHeader");
        }
        let Ok(bytes) = server::read(request.into_body(), OBJECT_BYTES_MAX).await else {
            return refuse(StatusCode::BAD_REQUEST, "EntityTooLarge");
        };
        match self.put(&name, bytes) {
            Ok(()) => server::json(StatusCode::OK, &json!({})),
            Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        }
    }

    /// Whole or not at all, as S3 does it.
    fn put(&self, name: &str, bytes: Bytes) -> std::io::Result<()> {
        let Some(dir) = &self.dir else {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.insert(name.to_owned(), bytes);
            return Ok(());
        };
        let file = dir.join(name);
        std::fs::create_dir_all(file.parent().unwrap_or(dir))?;
        let beside = file.with_extension("new");
        std::fs::write(&beside, bytes)?;
        std::fs::rename(beside, file)
    }

    fn get(&self, name: &str) -> Option<Bytes> {
        match &self.dir {
            Some(dir) => std::fs::read(dir.join(name)).ok().map(Bytes::from),
            None => self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned(),
        }
    }
}

/// A bucket and a key that stay below the directory.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/=-._".contains(&byte);
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.');
    name.contains('/')
        && name.bytes().all(is_plain)
        && Path::new(name).is_relative()
        && name.split('/').all(is_part)
}

fn refuse(status: StatusCode, code: &str) -> Response<Body> {
    let mut response = Response::new(server::whole(format!("<Error><Code>{code}</Code></Error>")));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_back_and_no_name_leaves_the_directory() {
        let objects = Objects::new(None);
        objects.put("rows/a=1/b", Bytes::from_static(b"x")).unwrap();

        assert_eq!(objects.get("rows/a=1/b").as_deref(), Some(&b"x"[..]));
        assert!(objects.get("rows/a=1/c").is_none());
        for name in ["rows", "", "/etc/passwd", "a/../../b", "a//b", "a/.b", "a/b c"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
