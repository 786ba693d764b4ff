//! Values that are replaced while they are in use. The ground floor: it imports no room of the library.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};

use crate::generation::Generation;

/// A value that can be replaced while requests are served.
///
/// Clones share the value: keep one, give another to the layer, client or listener. Every request that starts after
/// [`replace`](Self::replace) returns uses the new value, also on connections that are already open. Requests in
/// flight finish with the old one, except that `serve` cuts those that the new policy would reject. Reading takes no lock.
///
/// | value | used by |
/// |---|---|
/// | [`Policy`](crate::Policy) | [`RequireCertificateLayer`](crate::RequireCertificateLayer) |
/// | [`ServerTls`](crate::ServerTls) | [`MtlsListener`](crate::MtlsListener), [`MtlsAcceptor`](crate::acceptor::MtlsAcceptor); effective on the next handshake |
/// | [`ClientIdentity`](crate::ClientIdentity) | [`IdentityLayer`](crate::IdentityLayer), [`MtlsConnectorLayer`](crate::MtlsConnectorLayer) |
/// | [`Identities`](crate::identity::Identities) | [`IdentityLayer::by_reference`](crate::IdentityLayer::by_reference) |
/// | [`UpstreamTrust`](crate::UpstreamTrust) | [`IdentityLayer::with_trust`](crate::IdentityLayer::with_trust) |
/// | [`Document`](crate::apim::Document) | [`ApimPolicyLayer`](crate::apim::ApimPolicyLayer) |
/// | [`DeploymentCertificates`](crate::apim::DeploymentCertificates) | [`DocumentBuilder::deployment`](crate::apim::DocumentBuilder::deployment) |
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// use tower_mtls::{Certificate, Policy, Shared, certificate::{Clock, Presented, SystemClock, Thumbprint}};
///
/// let certificate = Certificate::from_der(made.cert.der())?;
/// let other = Thumbprint::Sha256([0; 32]);
/// let shared = Shared::new(Policy::builder().thumbprint(other).build()?);
/// let presented = Presented::from(certificate.clone());
/// assert!(shared.judge(&presented, SystemClock.now()).is_err());
///
/// shared.replace(Policy::builder().thumbprint(certificate.sha256_thumbprint()).build()?);
/// assert!(shared.judge(&presented, SystemClock.now()).is_ok());
/// # Ok(())
/// # }
/// ```
pub struct Shared<T>(Arc<Published<T>>);

struct Published<T> {
    value: ArcSwap<T>,
    /// The generation of `value`, stored after it: a reader that sees a generation sees its value or a newer one, and
    /// a cached verdict is found without loading the value.
    generation: AtomicU64,
    /// Serializes replacements, so that generation and value belong together.
    replacing: Mutex<()>,
}

/// A value that a [`Shared`] can contain. Sealed.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_mtls::{Policy, Publish, Shared};
///
/// /// Publishes a value that was loaded.
/// fn publish<T: Publish, E>(shared: &Shared<T>, loaded: Result<T, E>) -> Result<(), E> {
///     loaded.map(|value| shared.replace(value))
/// }
///
/// let policy = || Policy::builder().thumbprint("CA06F56B258B7A0D4F2B05470939478651151984".parse().unwrap());
/// let shared = Shared::new(policy().build()?);
/// assert!(publish(&shared, policy().build()).is_ok());
/// assert!(publish(&shared, Policy::builder().build()).is_err()); // keeps the old value
/// # Ok(())
/// # }
/// ```
pub trait Publish: sealed::Sealed {}

impl<T: sealed::Sealed> Publish for T {}

pub(crate) mod sealed {
    #[allow(unnameable_types, reason = "seals the trait `Publish`")]
    pub trait Sealed {
        /// The number of the generation under which verdicts of this value are cached; 0 if none are.
        #[doc(hidden)]
        fn generation(&self) -> u64 {
            0
        }
    }
}

impl<T: Publish> Shared<T> {
    /// Publishes a first value.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_mtls::{Policy, Shared};
    ///
    /// let policy = Policy::builder().thumbprint("CA06F56B258B7A0D4F2B05470939478651151984".parse()?).build()?;
    /// let shared = Shared::new(policy);
    /// assert!(shared.clone().current().is_anchored());
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(value: T) -> Self {
        let generation = AtomicU64::new(value.generation());
        let value = ArcSwap::from_pointee(value);
        Self(Arc::new(Published { value, generation, replacing: Mutex::new(()) }))
    }

    /// Replaces the value.
    pub fn replace(&self, value: T) {
        let guard = self.0.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = value.generation();
        let old = self.0.value.swap(Arc::new(value));
        self.0.generation.store(generation, Ordering::Release);
        drop(guard);
        // Last, because the drop of a value can run the user's code: it may panic, or replace again.
        drop(old);
    }
}

impl<T> Shared<T> {
    /// Returns the value of a request that starts now.
    pub fn current(&self) -> Arc<T> {
        self.0.value.load_full()
    }

    /// Returns the value of a request that starts now. Do not keep the guard across an `.await`.
    #[inline]
    #[allow(dead_code, reason = "depends on the features")]
    pub(crate) fn load(&self) -> Guard<Arc<T>> {
        self.0.value.load()
    }

    /// Returns the generation of the current value, or of an older one.
    #[inline]
    pub(crate) fn generation(&self) -> Generation {
        Generation::from_raw(self.0.generation.load(Ordering::Acquire))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Publish + Default> Default for Shared<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Publish> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&*self.0.value.load()).finish()
    }
}
