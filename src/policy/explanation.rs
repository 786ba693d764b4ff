use std::fmt;

use super::{Answer, Rejection, Verification};

/// Explanation of a policy's decision, rule by rule. Returned by [`Policy::explain`](super::Policy::explain).
///
/// Prints one line per rule, the rules of a group indented, and the verdict last. For operators: do not send it to
/// clients.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// use tower_mtls::{Certificate, Policy, Rule, certificate::{Clock, Presented, SystemClock}, policy::Answer};
///
/// let certificate = Certificate::from_der(made.cert.der())?;
/// let policy = Policy::builder()
///     .thumbprint(certificate.sha256_thumbprint())
///     .require(Rule::common_name(["orders"]))
///     .build()?;
/// let explanation = policy.explain(&Presented::from(certificate), SystemClock.now());
/// assert!(explanation.verdict().is_err());
/// let name = &explanation.rules()[2];
/// assert_eq!(name.answer(), Answer::Fails);
/// assert_eq!(name.demand(), r#"the only common name is "orders""#);
/// assert_eq!(name.found(), r#""rcgen self signed cert""#);
/// assert!(explanation.to_string().contains(r#"FAILS: the only common name is "orders""#));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Explanation {
    rules: Vec<RuleExplanation>,
    verdict: Result<Verification, Rejection>,
}

impl Explanation {
    pub(super) fn new(rules: Vec<RuleExplanation>, verdict: Result<Verification, Rejection>) -> Self {
        Self { rules, verdict }
    }

    /// Result of each rule. Empty without a certificate.
    pub fn rules(&self) -> &[RuleExplanation] {
        &self.rules
    }

    /// Decision of the policy.
    ///
    /// # Errors
    ///
    /// The rejection.
    pub fn verdict(&self) -> Result<(), Rejection> {
        self.verdict.clone().map(drop)
    }

    /// Verification of the admitted certificate; None if it is rejected.
    pub fn verification(&self) -> Option<Verification> {
        self.verdict.as_ref().ok().copied()
    }
}

/// Result of one rule for a certificate, as text. See [`Explanation`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// use tower_mtls::{Certificate, Policy, certificate::{Clock, Presented, SystemClock}, policy::Answer};
///
/// let policy = Policy::builder().thumbprint("CA06F56B258B7A0D4F2B05470939478651151984".parse()?).build()?;
/// let presented = Presented::from(Certificate::from_der(made.cert.der())?);
/// let explanation = policy.explain(&presented, SystemClock.now());
/// let failed = explanation.rules().iter().find(|rule| rule.answer() == Answer::Fails).expect("another certificate");
/// assert!(failed.demand().starts_with("the thumbprint is "));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RuleExplanation {
    demand: String,
    found: String,
    answer: Answer,
    parts: Vec<Self>,
}

impl RuleExplanation {
    pub(super) fn new(demand: String, found: String, answer: Answer, parts: Vec<Self>) -> Self {
        Self { demand, found, answer, parts }
    }

    /// Demand of the rule, as text.
    pub fn demand(&self) -> &str {
        &self.demand
    }

    /// Value found in the certificate, as text; empty for groups, sets and custom rules.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// Result of the rule.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// Results of the rules of a group.
    pub fn parts(&self) -> &[Self] {
        &self.parts
    }

    fn print(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let answer = match self.answer {
            Answer::Holds => "holds",
            Answer::Fails => "FAILS",
            Answer::CannotTell => "UNDECIDED",
        };
        write!(f, "{:indent$}{answer}: {}", "", self.demand, indent = depth * 2)?;
        if !self.found.is_empty() {
            write!(f, " (it has: {})", self.found)?;
        }
        writeln!(f)?;
        self.parts.iter().try_for_each(|part| part.print(f, depth + 1))
    }
}

const UNPROVEN: &str = "admitted, unproven: anyone can make a certificate that these rules admit";

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.iter().try_for_each(|rule| rule.print(f, 0))?;
        match &self.verdict {
            Ok(Verification::Proven) => f.write_str("admitted"),
            Ok(Verification::Unproven) => f.write_str(UNPROVEN),
            Err(rejection) => write!(f, "refused: {rejection}"),
        }
    }
}
