use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;

use super::{ADMITTED, Policy, Rejection, Verification};
use crate::{
    certificate::{Presented, Timestamp},
    generation::Generation,
};

/// A policy that can be replaced while requests are served.
///
/// Clones share the policy: keep one, give another to the layer. A replacement is effective on the next
/// request, on connections that are already open too.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// use tower_mtls::{Clock, ClientCertificate, Policy, Presented, SharedPolicy, SystemClock, Thumbprint};
///
/// let certificate = ClientCertificate::from_der(made.cert.der())?;
/// let nobody = Thumbprint::Sha256([0; 32]);
/// let shared = SharedPolicy::new(Policy::builder().thumbprint(nobody).build()?);
/// let presented = Presented::from(certificate.clone());
/// assert!(shared.judge(&presented, SystemClock.now()).is_err());
///
/// shared.replace(Policy::builder().thumbprint(certificate.sha256_thumbprint()).build()?);
/// assert!(shared.judge(&presented, SystemClock.now()).is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SharedPolicy(Arc<Published>);

#[derive(Debug)]
struct Published {
    policy: ArcSwap<Policy>,
    /// The generation of `policy`, stored after it: a reader that sees a generation sees its policy or a
    /// newer one, and a remembered verdict is found without touching the policy at all.
    generation: AtomicU64,
    /// Replacements take turns, or the generation of one could stand beside the policy of another.
    replacing: Mutex<()>,
}

impl SharedPolicy {
    /// Publishes a first policy.
    pub fn new(policy: Policy) -> Self {
        let generation = AtomicU64::new(policy.generation().get());
        Self(Arc::new(Published {
            policy: ArcSwap::from_pointee(policy),
            generation,
            replacing: Mutex::new(()),
        }))
    }

    /// Replaces the policy. Every request judged after this returns is judged by the new one.
    pub fn replace(&self, policy: Policy) {
        let _turn = self.0.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = policy.generation().get();
        self.0.policy.store(Arc::new(policy));
        self.0.generation.store(generation, Ordering::Release);
    }

    /// The policy that judges now.
    pub fn current(&self) -> Policy {
        Policy::clone(&self.0.policy.load())
    }

    /// Judges by the policy that is published now. See [`Policy::judge`].
    ///
    /// # Errors
    ///
    /// As [`Policy::judge`].
    #[inline]
    pub fn judge(&self, presented: &Presented, now: Timestamp) -> Result<(), Rejection> {
        if self.remembers(presented, now) { Ok(()) } else { self.evaluate(presented, now).map(drop) }
    }

    /// Whether it is remembered that the certificate is admitted with a proof.
    #[inline]
    pub(crate) fn remembers(&self, presented: &Presented, now: Timestamp) -> bool {
        let Presented::Certificate(certificate) = presented else { return false };
        let generation = Generation::from_raw(self.0.generation.load(Ordering::Acquire));
        certificate.verdicts().get(generation, now) == Some(ADMITTED)
    }

    /// Asks the rules, unless an admission without a proof is remembered.
    #[inline]
    pub(crate) fn evaluate(&self, presented: &Presented, now: Timestamp) -> Result<Verification, Rejection> {
        self.0.policy.load().evaluate(presented, now)
    }
}

impl From<Policy> for SharedPolicy {
    fn from(policy: Policy) -> Self {
        Self::new(policy)
    }
}
