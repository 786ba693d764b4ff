use crate::identity::ClientIdentity;

/// Identity of one request, in place of its route's.
///
/// A layer outside of [`IdentityLayer`](super::IdentityLayer) inserts it into a request's extensions, for example by the
/// caller's certificate; it replaces the choice of anonymous routes too. Extensions are not sent over the wire, so
/// callers cannot set one.
///
/// ```
/// # fn select(tenant: Option<tower_mtls::ClientIdentity>) {
/// use http::Request;
/// use tower_mtls::outbound::RequestIdentity;
///
/// let mut request = Request::new(());
/// let identity = tenant.map_or_else(RequestIdentity::unknown, RequestIdentity::new);
/// request.extensions_mut().insert(identity);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RequestIdentity(pub(super) Option<ClientIdentity>);

impl RequestIdentity {
    /// Sends under this identity.
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(vec![])?;
    /// # let tenant = tower_mtls::ClientIdentity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
    /// use http::Request;
    /// use tower::{Layer, ServiceExt};
    /// use tower_mtls::{IdentityLayer, MtlsClient, outbound::{ClientErrorKind, RequestIdentity}};
    ///
    /// let client: MtlsClient<String> = MtlsClient::builder().build();
    /// let mut request = Request::get("http://orders.internal").body(String::new())?;
    /// request.extensions_mut().insert(RequestIdentity::new(tenant));
    ///
    /// // It replaces the choice of the route, and is never sent over http.
    /// let error = IdentityLayer::anonymous().layer(client).oneshot(request).await.unwrap_err();
    /// assert_eq!(error.kind(), ClientErrorKind::PlaintextIdentity);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    pub fn new(identity: ClientIdentity) -> Self {
        Self(Some(identity))
    }

    /// An identity that was chosen and does not exist: the request fails with
    /// [`ClientErrorKind::UnknownIdentity`](crate::outbound::ClientErrorKind::UnknownIdentity). It is sent neither anonymously nor under the route's identity.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use http::Request;
    /// use tower::{Layer, ServiceExt};
    /// use tower_mtls::{IdentityLayer, MtlsClient, outbound::{ClientErrorKind, RequestIdentity}};
    ///
    /// let client: MtlsClient<String> = MtlsClient::builder().build();
    /// let mut request = Request::get("https://orders.internal").body(String::new())?;
    /// request.extensions_mut().insert(RequestIdentity::unknown());
    /// let error = IdentityLayer::anonymous().layer(client).oneshot(request).await.unwrap_err();
    /// assert_eq!(error.kind(), ClientErrorKind::UnknownIdentity);
    /// # Ok(())
    /// # }
    /// ```
    pub fn unknown() -> Self {
        Self(None)
    }
}
