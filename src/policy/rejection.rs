use std::{fmt, sync::Arc};

#[cfg(feature = "trust")]
use super::chain::ChainVerdict;
use super::{RejectionKind, rule_name::RuleName, rule_result::RuleResult};

/// The reason why a client was not admitted.
///
/// For logs, metrics and code; not sent to the client. A layer inserts it into the extensions of its response.
///
/// ```
/// use tower_mtls::{Policy, certificate::{Clock, Presented, SystemClock}, policy::{Rejection, RejectionKind}};
///
/// let policy = Policy::builder().allow_unanchored().build()?;
/// let rejection = policy.judge(&Presented::Nothing, SystemClock.now()).unwrap_err();
/// assert_eq!(rejection.kind(), RejectionKind::Missing);
/// assert_eq!(rejection.to_string(), "no client certificate was presented");
///
/// let rejection = Rejection::not_authorized("no role");
/// assert_eq!(rejection.custom_rule(), Some("no role"));
/// # Ok::<(), tower_mtls::PolicyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    kind: RejectionKind,
    rule: Option<RuleName>,
    #[cfg(feature = "trust")]
    chain: Option<ChainVerdict>,
}

impl Rejection {
    pub(crate) fn new(kind: RejectionKind) -> Self {
        Self {
            kind,
            rule: None,
            #[cfg(feature = "trust")]
            chain: None,
        }
    }

    /// The rejection for a chain that is not trusted.
    #[cfg(feature = "trust")]
    pub(super) fn of_chain(kind: RejectionKind, verdict: ChainVerdict) -> Self {
        Self { chain: Some(verdict), ..Self::new(kind) }
    }

    /// The rejection for a result that is not `Holds`.
    pub(super) fn of(result: RuleResult<'_>) -> Self {
        Self {
            kind: result.kind,
            rule: result.rule.cloned(),
            #[cfg(feature = "trust")]
            chain: result.chain,
        }
    }

    /// Rejects a client in an asynchronous decision (`RequireCertificateLayer::authorize`): 403, or `grpc-status: 7`.
    ///
    /// `reason` is logged as the field `rule` and not sent to the client.
    ///
    /// ```
    /// use tower_mtls::policy::{Rejection, RejectionKind};
    ///
    /// assert_eq!(Rejection::not_authorized("no role").kind(), RejectionKind::NotAuthorized);
    /// ```
    pub fn not_authorized(reason: impl Into<Arc<str>>) -> Self {
        Self { rule: Some(RuleName::new(reason)), ..Self::new(RejectionKind::NotAuthorized) }
    }

    /// Reports that an asynchronous decision could not be made, for example because a database does not respond: 503, or
    /// `grpc-status: 14`.
    ///
    /// `error` is logged as the field `rule` and not sent to the client.
    ///
    /// ```
    /// use tower_mtls::policy::{Rejection, RejectionKind};
    ///
    /// let rejection = Rejection::unavailable("connection refused");
    /// assert_eq!(rejection.kind(), RejectionKind::AuthorizationUnavailable);
    /// ```
    pub fn unavailable(error: impl fmt::Display) -> Self {
        let rule = Some(RuleName::new(error.to_string()));
        Self { rule, ..Self::new(RejectionKind::AuthorizationUnavailable) }
    }

    /// The kind of rejection.
    pub fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// Name of the [custom rule](super::Rule::custom) that rejected the client, if one did; for an asynchronous decision,
    /// its reason.
    pub fn custom_rule(&self) -> Option<&str> {
        self.rule.as_ref().map(RuleName::as_str)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.describe())?;
        // Other kinds are the reason.
        #[cfg(feature = "trust")]
        if self.kind == RejectionKind::NotTrusted
            && let Some(reason) = self.chain.and_then(ChainVerdict::describe)
        {
            write!(f, ": {reason}")?;
        }
        self.custom_rule().map_or(Ok(()), |rule| write!(f, " ({rule:?})"))
    }
}

impl std::error::Error for Rejection {}
