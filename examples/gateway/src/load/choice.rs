//! Under which identity a route's requests are sent.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    path::Path,
    sync::Arc,
};

use http::{Extensions, HeaderMap, HeaderName};
use tower_mtls::{
    ClientIdentity, IdentityLayer, Policy, PolicyBuilder, Presented, Timestamp, admitted,
    identity::{Identities, IdentityReference, ResolveIdentity, SharedIdentities},
};

use super::{Named, files::Findings, key_pair::Pair, publication::referred, rows};
use crate::{
    config::{By, Claim, IdentityBy, Located, RouteIdentity, quoted},
    store::CurrentStore,
};

/// The identities that routes can be given.
pub(super) struct Known {
    named: BTreeMap<String, Option<ClientIdentity>>,
    /// Those of the file.
    found: Identities,
    all: All,
}

/// Where requests look identities up: those of the file, and those of the store, if there is one.
#[derive(Clone)]
pub(super) struct All {
    file: SharedIdentities,
    store: Option<Arc<CurrentStore>>,
}

/// The layer that chooses; None if what it needs is broken, which has been reported by then.
pub(super) fn layer(
    identity: Option<&RouteIdentity>,
    known: &Known,
    findings: &mut Findings,
) -> Option<IdentityLayer> {
    let all = &known.all;
    Some(match identity {
        None => IdentityLayer::anonymous(),
        // An identity that is broken has been reported where it stands.
        Some(RouteIdentity::Named(name)) => {
            known.named.get(name.as_str())?.as_ref()?;
            IdentityLayer::by_reference(all.clone(), IdentityReference::name(name.as_str()))
        }
        Some(RouteIdentity::Id(id)) => {
            let reference = IdentityReference::id(id.as_str());
            known.note_if_away(id, &reference, findings);
            IdentityLayer::by_reference(all.clone(), reference)
        }
        Some(RouteIdentity::Thumbprint(thumbprint)) => {
            known.note_if_away(thumbprint, &thumbprint.value.into(), findings);
            IdentityLayer::by_reference(all.clone(), thumbprint.value)
        }
        Some(RouteIdentity::By(by)) => {
            let choose = chooser(by, findings)?;
            IdentityLayer::choose(all.clone(), choose)
        }
    })
}

impl Known {
    /// All that can be referred to.
    pub(super) fn all(&self) -> &All {
        &self.all
    }

    pub(super) fn new(read: &Named<Pair>, file: SharedIdentities, store: Option<Arc<CurrentStore>>) -> Self {
        let identity = |pair: &Option<Pair>| pair.as_ref().map(|pair| pair.identity.clone());
        let named = read.iter().map(|(name, pair)| (name.clone(), identity(pair))).collect();
        let found = read.iter().filter_map(|(name, pair)| Some((name, &pair.as_ref()?.identity)));
        Self { named, found: referred(found), all: All { file, store } }
    }
}

impl ResolveIdentity for All {
    /// An id is a name of the file, and else the store's.
    fn resolve(&self, reference: &IdentityReference) -> Option<ClientIdentity> {
        let of_file = self.file.resolve(reference);
        of_file.or_else(|| self.store.as_ref()?.resolve(reference))
    }
}

impl Known {
    /// It may be there later. What is in a store that is not open is not known here.
    fn note_if_away<T>(&self, at: &Located<T>, reference: &IdentityReference, findings: &mut Findings) {
        let stored = self.all.store.as_ref().and_then(|store| store.resolve(reference));
        if stored.is_none() && self.found.resolve(reference).is_none() {
            let problem = match self.all.store {
                Some(_) => "is none of [identities]: it has to come through the store",
                None => "no identity matches this now",
            };
            findings.note(at, problem, "requests get 502 until it is there");
        }
    }
}

type Choose = Box<dyn Fn(&HeaderMap, &Extensions) -> Option<IdentityReference> + Send + Sync>;

fn chooser(by: &IdentityBy, findings: &mut Findings) -> Option<Choose> {
    match &by.by {
        By::Header(name) => Some(by_header(name.value.clone(), by)),
        By::Claim(claim) => by_claim(claim.value, by, findings),
    }
}

/// The header has one value, and that is in the table.
fn by_header(name: HeaderName, by: &IdentityBy) -> Choose {
    let rows = by.identities.iter();
    let table: HashMap<Vec<u8>, IdentityReference> = rows
        .map(|(value, name)| (value.value.clone().into_bytes(), IdentityReference::name(name.as_str())))
        .collect();
    Box::new(move |headers, _| {
        let mut values = headers.get_all(&name).iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        table.get(value.as_bytes()).cloned()
    })
}

/// The rows whose values the admitted certificate has, compared as the rules of a route are: they must all mean the
/// same identity.
fn by_claim(claim: Claim, by: &IdentityBy, findings: &mut Findings) -> Option<Choose> {
    let rows = policies(claim, by, findings)?;
    if !rows::are_apart(claim, by, findings) {
        return None;
    }
    Some(Box::new(move |_, extensions| {
        let presented = Presented::Certificate(admitted(extensions)?.clone());
        find(&rows, &presented)
    }))
}

type Rows = Vec<(Policy, IdentityReference)>;

fn policies(claim: Claim, by: &IdentityBy, findings: &mut Findings) -> Option<Rows> {
    let rows: Vec<Option<_>> = by
        .identities
        .iter()
        .map(|(value, name)| Some((rule(claim, value, findings)?, IdentityReference::name(name.as_str()))))
        .collect();
    rows.into_iter().collect()
}

fn find(rows: &Rows, presented: &Presented) -> Option<IdentityReference> {
    // Whether the certificate is valid now has been judged.
    let any_time = Timestamp::from_unix(0);
    let mut matching = rows.iter().filter(|(rule, _)| rule.judge(presented, any_time).is_ok());
    let (_, identity) = matching.next()?;
    matching.all(|(_, other)| other == identity).then(|| identity.clone())
}

/// In words, which identity this route's table gives to a caller with this certificate.
pub(crate) fn explain(by: &IdentityBy, presented: &Presented) -> String {
    let claim = match &by.by {
        By::Header(name) => return format!("identity: chosen by the header {}", name.value),
        By::Claim(claim) => claim.value,
    };
    let rows = policies(claim, by, &mut Findings::new(Path::new(""), Vec::new()));
    match rows.and_then(|rows| find(&rows, presented)) {
        Some(IdentityReference::Name(name)) => format!("identity: {name}, by {}", claim.as_str()),
        _ => format!("identity: none by {}; a request that passes gets 502", claim.as_str()),
    }
}

fn rule(claim: Claim, value: &Located<String>, findings: &mut Findings) -> Option<Policy> {
    let rule = Policy::builder().allow_outside_validity().allow_unanchored();
    let rule = match claim {
        Claim::CommonName => Ok(rule.common_name(value.as_str())),
        Claim::Subject => with(value, |name| rule.subject(name)),
        Claim::DnsName => with(value, |name| rule.dns_name(name)),
        Claim::SpiffeId => with(value, |id| rule.spiffe_id(id)),
        Claim::Thumbprint => with(value, |thumbprint| rule.thumbprint(thumbprint)),
    };
    let built = rule.and_then(|rule| rule.build().map_err(|error| error.to_string()));
    let said = |problem| findings.error(value, format!("{}: {problem}", quoted(value)), "correct the value");
    built.map_err(said).ok()
}

fn with<T>(text: &str, add: impl FnOnce(T) -> PolicyBuilder) -> Result<PolicyBuilder, String>
where
    T: std::str::FromStr,
    T::Err: Display,
{
    text.parse().map(add).map_err(|error: T::Err| error.to_string())
}
