//! Counters of requests that are not admitted, by reason.

use metrics::{Key, Label, Level, Metadata, with_recorder};

use crate::policy::RejectionKind;

/// The counter `$name` with the label of each kind, as static keys: `counter!` allocates a key on each call.
macro_rules! keys {
    ($name:literal, $rejected:expr, $($kind:ident)*) => {
        match $rejected {
            $(RejectionKind::$kind => {
                static LABELS: [Label; 1] =
                    [Label::from_static_parts("reason", RejectionKind::$kind.as_str())];
                static KEY: Key = Key::from_static_parts($name, &LABELS);
                &KEY
            })*
        }
    };
    ($name:literal, $rejected:expr) => {
        keys!(
            $name, $rejected,
            NotCaptured Missing Unreadable NotYetValid Expired NotTrusted WrongPurpose KeyUsage ExpiredCa Revoked RevocationUnknown Issuer Subject
            CommonName OrganizationalUnit Organization Country DnsName Thumbprint Serial Uri SpiffeId Email IpAddress ExtendedKeyUsage Key SpkiPin IssuerThumbprint
            NotMember Excluded Custom NotAuthorized AuthorizationUnavailable AuthorizationTimeout AuthorizationPanicked Document
            Undecidable
        )
    };
}

pub(crate) fn refused(kind: RejectionKind) {
    add_one(keys!("tower_mtls_requests_refused_total", kind));
}

pub(crate) fn would_refuse(kind: RejectionKind) {
    add_one(keys!("tower_mtls_requests_shadow_refused_total", kind));
}

pub(crate) fn cut(kind: RejectionKind) {
    add_one(keys!("tower_mtls_requests_cut_total", kind));
}

fn add_one(key: &'static Key) {
    const METADATA: Metadata<'_> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
    // Looked up on each call: the recorder can be installed after the first one.
    with_recorder(|recorder| recorder.register_counter(key, &METADATA)).increment(1);
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use metrics::{Counter, Gauge, Histogram, KeyName, Recorder, SharedString, Unit, with_local_recorder};

    use super::*;

    /// Records the counted keys.
    #[derive(Default)]
    struct KeyRecorder(Mutex<Vec<String>>);

    impl Recorder for KeyRecorder {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            self.0.lock().unwrap().push(key.to_string());
            Counter::noop()
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn rejections_are_counted_by_reason_in_the_current_recorder() {
        for _ in 0..2 {
            refused(RejectionKind::Issuer);
            let recorder = KeyRecorder::default();
            with_local_recorder(&recorder, || {
                refused(RejectionKind::Issuer);
                would_refuse(RejectionKind::NotYetValid);
                cut(RejectionKind::Expired);
            });
            let expected = [
                "Key(tower_mtls_requests_refused_total, [reason = issuer])",
                "Key(tower_mtls_requests_shadow_refused_total, [reason = not_yet_valid])",
                "Key(tower_mtls_requests_cut_total, [reason = expired])",
            ];
            assert_eq!(*recorder.0.lock().unwrap(), expected);
        }
    }
}
