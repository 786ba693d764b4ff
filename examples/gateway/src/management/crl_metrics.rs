//! Gauges of certificate revocation lists, by set of CAs and issuer.

use std::collections::BTreeMap;

use tower_mtls::{
    certificate::Timestamp,
    policy::{Revocation, RevocationList},
};

use super::metrics::escaped;

/// A gauge: its name, and its values by labels.
type Gauge = (&'static str, Vec<(String, f64)>);

/// State of all lists of one issuer.
struct IssuerLists {
    /// The earliest of the lists.
    this_update: Timestamp,
    /// The earliest of the lists.
    next_update: Option<Timestamp>,
    entries: usize,
}

/// Returns the gauges at the time `now`.
pub(super) fn gauges(revocations: &BTreeMap<String, Revocation>, now: Timestamp) -> [Gauge; 4] {
    let mut by_labels = BTreeMap::<String, IssuerLists>::new();
    for (trust, revocation) in revocations {
        for list in revocation.lists() {
            let issuer = escaped(&list.issuer().to_string());
            let labels = format!("{{trust=\"{trust}\",issuer=\"{issuer}\"}}");
            add(&mut by_labels, labels, list);
        }
    }
    let seconds = |from: Timestamp, to: Timestamp| to.as_unix().saturating_sub(from.as_unix()) as f64;
    let value = |of: &dyn Fn(&IssuerLists) -> Option<f64>| {
        by_labels.iter().filter_map(|(labels, lists)| Some((labels.clone(), of(lists)?))).collect()
    };
    let unverified = revocations
        .iter()
        .map(|(trust, revocation)| (format!("{{trust=\"{trust}\"}}"), revocation.unverified() as f64));
    [
        ("gateway_crl_age_seconds", value(&|lists| Some(seconds(lists.this_update, now)))),
        ("gateway_crl_next_update_seconds", value(&|lists| Some(seconds(now, lists.next_update?)))),
        ("gateway_crl_entries", value(&|lists| Some(lists.entries as f64))),
        ("gateway_crl_unverified", unverified.collect()),
    ]
}

fn add(by_labels: &mut BTreeMap<String, IssuerLists>, labels: String, list: &RevocationList) {
    let one =
        IssuerLists { this_update: list.this_update(), next_update: list.next_update(), entries: list.len() };
    by_labels
        .entry(labels)
        .and_modify(|all| {
            all.this_update = all.this_update.min(one.this_update);
            all.next_update = [all.next_update, one.next_update].into_iter().flatten().min();
            all.entries += one.entries;
        })
        .or_insert(one);
}
