use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{ServiceExt, service_fn};
use tower_mtls::serve::HeadRejection;

use super::*;

fn layer(max_body_size: Option<usize>) -> SizeLimitsLayer {
    SizeLimitsLayer::new(&RequestLimits { max_body_size, max_header_fields: 2, ..RequestLimits::default() })
}

type Chunks = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

/// A body of unknown size.
fn chunks(sizes: &[usize]) -> Chunks {
    let frames: Vec<_> = sizes.iter().map(|size| Ok(Frame::data(Bytes::from(vec![b'x'; *size])))).collect();
    StreamBody::new(stream::iter(frames))
}

/// Reads the request, and responds with its size.
async fn size<B: Body>(request: Request<LimitedBody<B>>) -> Result<Response<usize>, ForwardError>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match request.into_body().collect().await {
        Ok(body) => Ok(Response::new(body.to_bytes().len())),
        // The error of the body, and not the response, is the result.
        Err(_) => std::future::pending().await,
    }
}

#[tokio::test]
async fn body_passes_up_to_the_maximum_size() {
    for (max, announced, expected) in [
        (Some(10), 9, true),
        (Some(10), 10, true),
        (Some(10), 11, false),
        (Some(0), 1, false),
        (None, 11, true),
    ] {
        let limit = || layer(max);
        let result = limit()
            .layer(service_fn(size::<Full<Bytes>>))
            .oneshot(Request::new(Full::from(vec![0; announced])))
            .await;
        let is_too_large = |result: &Result<_, _>| matches!(result, Err(ForwardError::BodyTooLarge));
        assert_eq!(is_too_large(&result), !expected, "{max:?} {announced}, announced");
        for sizes in [&[announced][..], &[announced - 1, 1], &[0, announced - 1, 0, 1, 0]] {
            let service = limit().layer(service_fn(size::<Chunks>));
            let result = service.oneshot(Request::new(chunks(sizes))).await;
            assert_eq!(is_too_large(&result), !expected, "{max:?} {sizes:?}");
            if let Ok(response) = result {
                assert_eq!(response.into_body(), announced);
            }
        }
    }
}

#[tokio::test]
async fn request_with_a_larger_announced_body_does_not_reach_the_service() {
    let service =
        service_fn(async |_: Request<LimitedBody<Full<Bytes>>>| -> Result<Response<()>, ForwardError> {
            unreachable!("the request is rejected")
        });
    let result = layer(Some(1)).layer(service).oneshot(Request::new(Full::from("xx"))).await;
    assert!(matches!(result, Err(ForwardError::BodyTooLarge)));
}

#[tokio::test]
async fn larger_body_fails_and_stays_failed() {
    let (body, _exceeded) = limited(chunks(&[1, 2, 1]), Some(2));
    let mut frames = body.into_data_stream();
    assert_eq!(frames.next().await.unwrap().unwrap(), "x");
    assert!(frames.next().await.unwrap().unwrap_err().is::<body::Exceeded>());
    assert!(frames.next().await.unwrap().unwrap_err().is::<body::Exceeded>());
}

#[tokio::test]
async fn response_that_has_begun_is_the_result() {
    let service = service_fn(async |request: Request<LimitedBody<Chunks>>| {
        let failed = request.into_body().collect().await.is_err();
        Ok::<_, ForwardError>(Response::new(failed))
    });
    let result = layer(Some(1)).layer(service).oneshot(Request::new(chunks(&[2]))).await;
    assert!(result.unwrap().into_body(), "the body failed");
}

#[tokio::test]
async fn response_passes_up_to_the_maximum_number_of_fields() {
    for fields in 0..4 {
        let service = service_fn(move |_: Request<LimitedBody<Full<Bytes>>>| {
            let mut response = Response::new(());
            for _ in 0..fields {
                response.headers_mut().append("field", http::HeaderValue::from_static("value"));
            }
            std::future::ready(Ok::<_, ForwardError>(response))
        });
        let result = layer(None).layer(service).oneshot(Request::new(Full::default())).await;
        match result {
            Ok(response) => assert_eq!(response.headers().len(), fields),
            Err(error) => assert!(fields > 2 && matches!(error, ForwardError::TooManyResponseFields)),
        }
    }
}

#[tokio::test]
async fn larger_head_does_not_reach_the_service() {
    let service =
        service_fn(async |_: Request<LimitedBody<Full<Bytes>>>| Ok::<_, ForwardError>(Response::new(())));
    let request = |fields: usize| {
        let fields = (0..fields).fold(Request::get("/"), |request, _| request.header("field", "value"));
        fields.body(Full::default()).unwrap()
    };
    assert!(layer(None).layer(service).oneshot(request(2)).await.is_ok());
    let error = layer(None).layer(service).oneshot(request(3)).await.unwrap_err();
    assert!(matches!(error, ForwardError::Head(HeadRejection::TooManyFields)));
    assert_eq!(error.to_string(), "request has too many header fields (max_header_fields)");
}
