//! Selection of the client identity for a route's requests.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    path::Path,
    sync::Arc,
};

use http::{Extensions, HeaderMap, HeaderName};
use tower_mtls::{
    ClientIdentity, IdentityLayer, Policy, Rule, Shared, admitted,
    certificate::Presented,
    identity::{Identities, IdentityReference, ResolveIdentity},
    policy::PolicyBuilder,
};

use super::{
    files::Findings,
    key_pair::LoadedKeyPair,
    publication::referred,
    rows::{self, Rows},
    sections::SectionsByName,
};
use crate::{
    config::{Claim, IdentityBy, IdentitySource, Located, RouteIdentity, quoted},
    store::CurrentStore,
};

pub(super) use crate::store::IdentityResolver;

/// Identities that routes refer to.
pub(super) struct KnownIdentities {
    named: BTreeMap<String, Option<ClientIdentity>>,
    /// Identities of the file, by reference.
    found: Identities,
    all: IdentityResolver,
}

/// Builds the layer that selects the identity; None if an identity is invalid, which has been reported.
pub(super) fn layer(
    identity: Option<&RouteIdentity>,
    known: &KnownIdentities,
    findings: &mut Findings,
) -> Option<IdentityLayer> {
    let all = &known.all;
    Some(match identity {
        None => IdentityLayer::anonymous(),
        // An invalid identity has been reported with its section.
        Some(RouteIdentity::Named(name)) => {
            known.named.get(name.as_str())?.as_ref()?;
            IdentityLayer::by_reference(all.clone(), IdentityReference::name(name.as_str()))
        }
        Some(RouteIdentity::Id(id)) => {
            let reference = IdentityReference::id(id.as_str());
            known.note_if_missing(id, &reference, findings);
            IdentityLayer::by_reference(all.clone(), reference)
        }
        Some(RouteIdentity::Thumbprint(thumbprint)) => {
            known.note_if_missing(thumbprint, &thumbprint.value.into(), findings);
            IdentityLayer::by_reference(all.clone(), thumbprint.value)
        }
        Some(RouteIdentity::PerRequest(by)) => {
            let choose = chooser(by, findings)?;
            IdentityLayer::choose(all.clone(), choose)
        }
    })
}

impl KnownIdentities {
    /// Lookup of all identities.
    pub(super) fn all(&self) -> &IdentityResolver {
        &self.all
    }

    pub(super) fn new(
        read: &SectionsByName<LoadedKeyPair>,
        file: Shared<Identities>,
        store: Option<Arc<CurrentStore>>,
    ) -> Self {
        let identity = |pair: &Option<LoadedKeyPair>| pair.as_ref().map(|pair| pair.identity.clone());
        let named = read.iter().map(|(name, pair)| (name.clone(), identity(pair))).collect();
        let found = read.iter().filter_map(|(name, pair)| Some((name, &pair.as_ref()?.identity)));
        Self { named, found: referred(found), all: IdentityResolver { file, store } }
    }
}

impl KnownIdentities {
    /// Notes that an identity is missing now. The contents of a store that is not open are unknown.
    fn note_if_missing<T>(&self, at: &Located<T>, reference: &IdentityReference, findings: &mut Findings) {
        let stored = self.all.store.as_ref().and_then(|store| store.resolve(reference));
        if stored.is_none() && self.found.resolve(reference).is_none() {
            let problem = match self.all.store {
                Some(_) => "is not one of [identities]: it must be added to the store",
                None => "no identity matches this now",
            };
            findings.note(at, problem, "requests get 502 until then");
        }
    }
}

type Choose = Box<dyn Fn(&HeaderMap, &Extensions) -> Option<IdentityReference> + Send + Sync>;

fn chooser(by: &IdentityBy, findings: &mut Findings) -> Option<Choose> {
    match &by.by {
        IdentitySource::Header(name) => Some(by_header(name.value.clone(), by)),
        IdentitySource::Claim(claim) => by_claim(claim.value, by, findings),
    }
}

/// Selects by the header, if it has exactly one value and that is in the table.
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

/// Selects by the admitted certificate. Values are compared as rules of a route; all matching rows must name the same
/// identity.
fn by_claim(claim: Claim, by: &IdentityBy, findings: &mut Findings) -> Option<Choose> {
    let rows = rows(claim, by, findings)?;
    if !rows::are_apart(claim, by, findings) {
        return None;
    }
    Some(Box::new(move |_, extensions| {
        rows.find(&Presented::from(admitted(extensions)?.into_certificate())).cloned()
    }))
}

fn rows(claim: Claim, by: &IdentityBy, findings: &mut Findings) -> Option<Rows> {
    let rows: Vec<Option<_>> = by
        .identities
        .iter()
        .map(|(value, name)| Some((rule(claim, value, findings)?, IdentityReference::name(name.as_str()))))
        .collect();
    Some(Rows::new(claim, by, rows.into_iter().collect::<Option<_>>()?))
}

/// Explains in words which identity is selected for a caller with this certificate.
pub(crate) fn explain(by: &IdentityBy, presented: &Presented) -> String {
    let claim = match &by.by {
        IdentitySource::Header(name) => return format!("identity: chosen by the header {}", name.value),
        IdentitySource::Claim(claim) => claim.value,
    };
    let rows = rows(claim, by, &mut Findings::new(Path::new(""), Vec::new()));
    match rows.as_ref().and_then(|rows| rows.find(presented)) {
        Some(IdentityReference::Name(name)) => format!("identity: {name}, by {}", claim.as_str()),
        _ => format!("identity: none by {}; a request that passes gets 502", claim.as_str()),
    }
}

fn rule(claim: Claim, value: &Located<String>, findings: &mut Findings) -> Option<Policy> {
    let rule = Policy::builder().allow_outside_validity().allow_unanchored();
    let rule = match claim {
        Claim::CommonName => Ok(rule.require(Rule::common_name([value.as_str()]))),
        Claim::Subject => with(value, |name| rule.subject(name)),
        Claim::DnsName => with(value, |name| rule.require(Rule::dns_name([name]))),
        Claim::SpiffeId => with(value, |id| rule.require(Rule::spiffe_id([id]))),
        Claim::Thumbprint => with(value, |thumbprint| rule.thumbprint(thumbprint)),
    };
    let built = rule.and_then(|rule| rule.build().map_err(|error| error.to_string()));
    let report =
        |problem| findings.error(value, format!("{}: {problem}", quoted(value)), "correct the value");
    built.map_err(report).ok()
}

fn with<T>(text: &str, add: impl FnOnce(T) -> PolicyBuilder) -> Result<PolicyBuilder, String>
where
    T: std::str::FromStr,
    T::Err: Display,
{
    text.parse().map(add).map_err(|error: T::Err| error.to_string())
}
