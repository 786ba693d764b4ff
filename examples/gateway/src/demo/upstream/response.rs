//! Responses of the demo's upstreams: a JSON description of the request.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use serde_json::{Map, Value, json};

/// Reads the request to its end and describes it.
pub(super) async fn respond<B: Body + Unpin>(
    upstream: &str,
    certificate: &Value,
    request: Request<B>,
) -> Response<Full<Bytes>> {
    let (head, mut body) = request.into_parts();
    let mut length = 0_u64;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return json_response(
                &head.method,
                StatusCode::BAD_REQUEST,
                &json!({ "error": "incomplete body" }),
            );
        };
        length += frame.data_ref().map_or(0, |data| bytes::Buf::remaining(data) as u64);
    }
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let description = json!({
        "upstream": upstream,
        "method": head.method.as_str(),
        "path": path,
        "version": format!("{:?}", head.version),
        "client_certificate": certificate,
        "headers": headers(&head.headers),
        "body_bytes": length,
    });
    json_response(&head.method, StatusCode::OK, &description)
}

/// Returns the headers by name: a string each, or a list of strings for repeated headers.
fn headers(headers: &HeaderMap) -> Value {
    let text = |value: &HeaderValue| Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned());
    let fields: Map<String, Value> = headers
        .keys()
        .map(|name| {
            let mut values: Vec<Value> = headers.get_all(name).iter().map(text).collect();
            let value = if values.len() == 1 { values.remove(0) } else { Value::from(values) };
            (name.as_str().to_owned(), value)
        })
        .collect();
    Value::from(fields)
}

/// Builds a response with indented JSON and a final newline; without a body for a HEAD request.
fn json_response(method: &Method, status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let text = Bytes::from(format!("{value:#}\n"));
    let length = text.len();
    let body = if method == Method::HEAD { Bytes::new() } else { text };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn describe(request: Request<Full<Bytes>>) -> Value {
        let response = respond("first", &json!({ "subject": "CN=a" }), request).await;
        assert_eq!(response.status(), StatusCode::OK);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert!(text.ends_with(b"}\n"));
        serde_json::from_slice(&text).unwrap()
    }

    #[tokio::test]
    async fn response_describes_query_headers_and_length() {
        let request = Request::post("/orders/42?all=1")
            .header("x-one", "1")
            .header("x-two", "a")
            .header("x-two", "b")
            .body(Full::from("hello"))
            .unwrap();
        assert_eq!(
            describe(request).await,
            json!({
                "upstream": "first",
                "method": "POST",
                "path": "/orders/42?all=1",
                "version": "HTTP/1.1",
                "client_certificate": { "subject": "CN=a" },
                "headers": { "x-one": "1", "x-two": ["a", "b"] },
                "body_bytes": 5,
            })
        );
    }

    #[tokio::test]
    async fn head_request_gets_the_length_without_a_body() {
        let request = Request::head("/").body(Full::<Bytes>::default()).unwrap();
        let response = respond("first", &Value::Null, request).await;
        assert_ne!(response.headers()[CONTENT_LENGTH], "0");
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
}
