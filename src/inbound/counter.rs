//! Counters of requests that are not admitted, by reason.

use metrics::{Key, Label, Level, Metadata, with_recorder};

use crate::policy::RejectionKind;

/// The counter `$name` with each kind's own label, known to the compiler: `counter!` would make a key, and allocate
/// for it, each time.
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
            NotCaptured Missing Unreadable NotYetValid Expired NotTrusted WrongPurpose KeyUsage ExpiredCa Issuer Subject
            CommonName OrganizationalUnit Organization Country DnsName Thumbprint Serial Uri SpiffeId Email IpAddress ExtendedKeyUsage Key SpkiPin IssuerThumbprint
            NotMember Excluded Custom NotAuthorized AuthorizationUnavailable AuthorizationTimeout AuthorizationPanicked Document
            Undecidable
        )
    };
}

pub(super) fn refused(kind: RejectionKind) {
    add_one(keys!("tower_mtls_requests_refused_total", kind));
}

pub(super) fn would_refuse(kind: RejectionKind) {
    add_one(keys!("tower_mtls_requests_shadow_refused_total", kind));
}

fn add_one(key: &'static Key) {
    const METADATA: Metadata<'_> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
    // The recorder is asked each time: it may be installed later than this is first called.
    with_recorder(|recorder| recorder.register_counter(key, &METADATA)).increment(1);
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use metrics::{Counter, Gauge, Histogram, KeyName, Recorder, SharedString, Unit, with_local_recorder};

    use super::*;

    /// Writes down what is counted.
    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Recorder for Notes {
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
    fn refusals_are_counted_by_reason_in_whatever_recorder_is_there_at_the_time() {
        for _ in 0..2 {
            refused(RejectionKind::Issuer);
            let notes = Notes::default();
            with_local_recorder(&notes, || {
                refused(RejectionKind::Issuer);
                would_refuse(RejectionKind::NotYetValid);
            });
            let expected = [
                "Key(tower_mtls_requests_refused_total, [reason = issuer])",
                "Key(tower_mtls_requests_shadow_refused_total, [reason = not_yet_valid])",
            ];
            assert_eq!(*notes.0.lock().unwrap(), expected);
        }
    }
}
