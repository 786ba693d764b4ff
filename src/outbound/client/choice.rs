//! The identity and trust of a request: chosen by its route, or by the request itself.

use std::{fmt, sync::Arc};

use http::{Extensions, HeaderMap, Request};

use super::{RequestIdentity, RequestTrust};
use crate::{
    identity::{ClientIdentity, IdentityReference, ResolveIdentity},
    outbound::{ClientErrorKind, ConnectionShare, UpstreamTrust},
    shared::Shared,
};

/// Settings of an [`IdentityLayer`](super::IdentityLayer).
#[derive(Debug, Clone)]
pub(super) struct IdentitySettings {
    pub(super) choice: Choice,
    pub(super) trust: Option<Shared<UpstreamTrust>>,
    pub(super) http1_only: bool,
    pub(super) allows_missing_close_notify: bool,
    pub(super) share: Option<ConnectionShare>,
}

#[derive(Clone)]
pub(super) enum Choice {
    Anonymous,
    Shared(Shared<ClientIdentity>),
    Referred { identities: Arc<dyn ResolveIdentity>, reference: Reference },
}

#[derive(Clone)]
pub(super) enum Reference {
    Fixed(IdentityReference),
    Chosen(Arc<Choose>),
}

type Choose = dyn Fn(&HeaderMap, &Extensions) -> Option<IdentityReference> + Send + Sync;

/// Extension with which the layer passes its choice to the client.
#[derive(Debug, Clone)]
pub(super) struct Dispatch {
    settings: Arc<IdentitySettings>,
    /// The result of a choice by request.
    chosen: Option<IdentityReference>,
    /// The request's identity, in place of the route's.
    own: Option<RequestIdentity>,
    /// The request's trust, in place of the route's.
    own_trust: Option<RequestTrust>,
}

impl Dispatch {
    /// Removes the choices in a request's extensions, and chooses a reference if the route chooses by request.
    pub(super) fn of<B>(settings: Arc<IdentitySettings>, request: &mut Request<B>) -> Self {
        let own = request.extensions_mut().remove::<RequestIdentity>();
        let chosen = match &settings.choice {
            Choice::Referred { reference: Reference::Chosen(choose), .. } if own.is_none() => {
                choose(request.headers(), request.extensions())
            }
            _ => None,
        };
        let own_trust = request.extensions_mut().remove::<RequestTrust>();
        Self { settings, chosen, own, own_trust }
    }

    /// Returns the current identity; Ok(None) for anonymity.
    pub(super) fn identity(&self) -> Result<Option<ClientIdentity>, ClientErrorKind> {
        if let Some(RequestIdentity(identity)) = &self.own {
            return identity.clone().map(Some).ok_or(ClientErrorKind::UnknownIdentity);
        }
        match &self.settings.choice {
            Choice::Anonymous => Ok(None),
            Choice::Shared(identity) => Ok(Some(ClientIdentity::clone(&identity.load()))),
            Choice::Referred { identities, reference } => {
                let reference = match reference {
                    Reference::Fixed(reference) => Some(reference),
                    Reference::Chosen(_) => self.chosen.as_ref(),
                };
                let identity = reference.and_then(|reference| identities.resolve(reference));
                identity.map(Some).ok_or(ClientErrorKind::UnknownIdentity)
            }
        }
    }

    /// Returns the current trust of the request, else of the route. None: the client's is used.
    pub(super) fn trust(&self) -> Option<UpstreamTrust> {
        match &self.own_trust {
            Some(own) => Some(own.current()),
            None => self.settings.trust.as_ref().map(|trust| UpstreamTrust::clone(&trust.load())),
        }
    }

    pub(super) fn http1_only(&self) -> bool {
        self.settings.http1_only
    }

    pub(super) fn allows_missing_close_notify(&self) -> bool {
        self.settings.allows_missing_close_notify
    }

    /// Returns the share of the route. None: that of the pool.
    pub(super) fn share(&self) -> Option<&ConnectionShare> {
        self.settings.share.as_ref()
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Shared(identity) => identity.fmt(f),
            Self::Referred { reference: Reference::Fixed(reference), .. } => reference.fmt(f),
            Self::Referred { .. } => f.write_str("by request"),
        }
    }
}
