//! Custom rules and groups of rules.

use std::sync::Arc;

use super::{Kind, Rule};
use crate::{
    certificate::{Certificate, Timestamp},
    policy::{Answer, rule_name::RuleName},
};

impl Rule {
    /// A custom condition, evaluated on every request. It must not block. `name` is used in explanations, in the log and
    /// in [`Rejection::custom_rule`](crate::policy::Rejection::custom_rule).
    ///
    /// It is not anchored: a policy without an anchored rule needs
    /// [`allow_unanchored`](crate::policy::PolicyBuilder::allow_unanchored).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(vec![])?;
    /// use tower_mtls::{Certificate, Policy, Rule, certificate::{Clock, Presented, SystemClock}};
    ///
    /// let closed = Rule::custom("office hours", |_certificate, now| now.as_unix() < 0);
    /// let client = Certificate::from_der(made.cert.der())?;
    /// let policy = Policy::builder().thumbprint(client.sha256_thumbprint()).require(closed).build()?;
    /// let rejection = policy.judge(&Presented::from(client), SystemClock.now()).unwrap_err();
    /// assert_eq!(rejection.custom_rule(), Some("office hours"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn custom<A: Into<Answer>>(
        name: impl Into<Arc<str>>,
        rule: impl Fn(&Certificate, Timestamp) -> A + Send + Sync + 'static,
    ) -> Self {
        let name = RuleName::new(name);
        Self(Kind::Custom(name, Arc::new(move |certificate, now| rule(certificate, now).into())))
    }

    /// Every one of these rules holds.
    ///
    /// ```
    /// use tower_mtls::{Policy, Rule};
    ///
    /// let thumbprint = "CA06F56B258B7A0D4F2B05470939478651151984".parse()?;
    /// let rule = Rule::all([Rule::common_name(["orders"]), Rule::thumbprint([thumbprint])]);
    /// let policy = Policy::builder().require(rule).allow_unanchored().build()?;
    /// assert!(policy.is_anchored());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn all(rules: impl IntoIterator<Item = Self>) -> Self {
        Self(Kind::All(rules.into_iter().collect()))
    }

    /// At least one of these rules holds.
    ///
    /// ```
    /// use tower_mtls::{Policy, Rule};
    ///
    /// let thumbprint = "CA06F56B258B7A0D4F2B05470939478651151984".parse()?;
    /// let rule = Rule::any([Rule::common_name(["orders"]), Rule::thumbprint([thumbprint])]);
    /// let policy = Policy::builder().require(rule).allow_unanchored().build()?;
    /// assert!(!policy.is_anchored());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn any(rules: impl IntoIterator<Item = Self>) -> Self {
        Self(Kind::Any(rules.into_iter().collect()))
    }

    /// The rule fails. If the rule is undecided, so is this one: an unreadable name, or a subject with several common
    /// names, is not admitted by `not(common_name(..))`.
    ///
    /// Do not exclude single certificates by thumbprint or set: the owner of a certificate can change its encoding and with
    /// it the hash ([`PolicyWarning::ExclusionByHash`](crate::policy::PolicyWarning::ExclusionByHash)). Do not exclude by chain: a
    /// client breaks the chain by not sending an intermediate. URIs and the local parts of e-mail addresses are compared
    /// byte by byte.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut params = rcgen::CertificateParams::default();
    /// # params.distinguished_name.push(rcgen::DnType::CommonName, "test-client");
    /// # let made = params.self_signed(&rcgen::KeyPair::generate()?)?;
    /// use tower_mtls::{Certificate, Policy, Rule, certificate::{Clock, Presented, SystemClock}, policy::RejectionKind};
    ///
    /// let test_client = Presented::from(Certificate::from_der(made.der())?);
    /// let rule = Rule::not(Rule::common_name(["test-client"]));
    /// let policy = Policy::builder().require(rule).allow_unanchored().build()?;
    /// let rejection = policy.judge(&test_client, SystemClock.now()).unwrap_err();
    /// assert_eq!(rejection.kind(), RejectionKind::Excluded);
    /// # Ok(())
    /// # }
    /// ```
    #[expect(clippy::should_implement_trait, reason = "a constructor, as `all` and `any` are")]
    pub fn not(rule: Self) -> Self {
        Self(Kind::Not(Box::new(rule)))
    }
}
