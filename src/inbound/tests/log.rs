//! Log lines of the layer.

use std::{
    cell::RefCell,
    fmt::{self, Write},
    sync::Once,
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber,
};

use super::*;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Records events as text, per thread. Global, because interest in an event is cached for all threads.
struct Lines;

impl Lines {
    /// Returns the events of this thread during `run`.
    fn of(run: impl Future<Output = ()>) -> Vec<String> {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| subscriber::set_global_default(Self).unwrap());
        LINES.take();
        tokio_test::block_on(run);
        LINES.take()
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        LINES.with_borrow_mut(|lines| lines.push(line.0));
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

#[test]
fn custom_rule_is_named_in_rejection_and_log() {
    let right = certificate();
    let custom = |name: &str, answer: crate::policy::Answer| crate::Rule::custom(name, move |_, _| answer);
    use crate::policy::Answer::{CannotTell, Fails, Holds};
    for (case, rule, kind, name) in [
        ("fails", custom("office hours", Fails), RejectionKind::Custom, Some("office hours")),
        ("undecided", custom("office hours", CannotTell), RejectionKind::Undecidable, Some("office hours")),
        (
            "in a group",
            crate::Rule::any([custom("a", Fails), custom("b", Fails)]),
            RejectionKind::Custom,
            Some("a"),
        ),
        ("excludes", crate::Rule::not(custom("blocked", Holds)), RejectionKind::Excluded, Some("blocked")),
        ("another rule", crate::Rule::common_name(["billing"]), RejectionKind::CommonName, None),
    ] {
        let policy = Policy::builder().thumbprint(right.sha256_thumbprint()).require(rule).build().unwrap();
        let lines = Lines::of(async {
            let response = ask(policy, right.clone(), Request::new(())).await;
            let rejection = response.extensions().get::<Rejection>().unwrap();
            assert_eq!((rejection.kind(), rejection.custom_rule()), (kind, name), "{case}");
            let printed = rejection.to_string();
            assert_eq!(printed.contains('"'), name.is_some(), "{case}: {printed}");
        });
        let [line] = &lines[..] else { panic!("{case}: {lines:?}") };
        let field = name.map(|name| format!("rule=\"{name}\" ")).unwrap_or_default();
        assert!(line.contains(&field) && line.contains("rule=") == name.is_some(), "{case}: {line}");
    }
}

#[cfg(feature = "axum")]
#[test]
fn extractor_without_an_admission_logs_the_reason() {
    use axum_core::{
        extract::{FromRequestParts, OptionalFromRequestParts},
        response::IntoResponse,
    };

    let right = certificate();
    let layer = |policy| RequireCertificateLayer::new(policy).with_clock(clock());
    let extract = |layer: Option<RequireCertificateLayer>, presented: Presented, is_optional: bool| async move {
        let handler = service_fn(move |request: Request<()>| async move {
            let (mut parts, ()) = request.into_parts();
            type Caller = crate::ClientCertificate;
            let rejected = if is_optional {
                <Caller as OptionalFromRequestParts<()>>::from_request_parts(&mut parts, &()).await.err()
            } else {
                <Caller as FromRequestParts<()>>::from_request_parts(&mut parts, &()).await.err()
            };
            let status = rejected.map_or(StatusCode::OK, |rejected| rejected.into_response().status());
            Ok::<_, Infallible>(Response::builder().status(status).body(Empty::<Bytes>::new()).unwrap())
        });
        let presented = AssumePresentedLayer::new(presented);
        match layer {
            Some(layer) => {
                presented.layer(layer.layer(handler)).oneshot(Request::new(())).await.unwrap().status()
            }
            None => presented.layer(handler).oneshot(Request::new(())).await.unwrap().status(),
        }
    };
    let shadow = "is in shadow mode and did not admit the certificate; extract Option<ClientCertificate>";
    let without = "passed the request without a certificate; extract Option<ClientCertificate>";
    let missing = "no RequireCertificateLayer judged the request; add the layer to this route";
    let certificate = || Presented::from(right.clone());
    for (case, layer, presented, optional, cause) in [
        ("admitted", Some(layer(only(&right))), certificate(), 200, None),
        ("shadow, admitted", Some(layer(only(&right)).shadow()), certificate(), 200, None),
        ("shadow, another certificate", Some(layer(no_client()).shadow()), certificate(), 200, Some(shadow)),
        ("shadow, no certificate", Some(layer(no_client()).shadow()), Presented::Nothing, 200, Some(shadow)),
        ("no certificate", Some(layer(no_client()).allow_missing()), Presented::Nothing, 200, Some(without)),
        ("no layer", None, certificate(), 500, Some(missing)),
    ] {
        let lines = Lines::of(async {
            let status = extract(layer.clone(), presented.clone(), true).await;
            assert_eq!(status, optional, "{case}");
            let status = extract(layer.clone(), presented.clone(), false).await;
            assert_eq!(status, if cause.is_some() { 500 } else { 200 }, "{case}");
        });
        let errors: Vec<_> = lines.iter().filter(|line| line.contains("answered with 500")).collect();
        assert_eq!(errors.len(), usize::from(cause.is_some()) + usize::from(optional == 500), "{case}");
        assert!(
            errors.iter().all(|line| cause.is_some_and(|cause| line.contains(cause))),
            "{case}: {errors:?}"
        );
    }
}
