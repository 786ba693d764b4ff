//! Certificates and documents of these tests.

use std::sync::LazyLock;

use http::{HeaderMap, Request};
use rcgen::DnType;
use tower_mtls::{
    Certificate, Shared, TrustAnchors,
    apim::{
        Backend, ChosenIdentity, DeploymentCertificates, Document, DocumentBuilder, DocumentDecision,
        DocumentErrors, RequestFacts,
    },
    certificate::{Presented, Timestamp},
};

use crate::support::{
    pki::Issued,
    pki::{Authority, Leaf, NOON},
};

pub(crate) const NOW: Timestamp = Timestamp::from_unix(NOON);

/// Created once, since key generation is slow.
pub(crate) struct World {
    pub(crate) trust: TrustAnchors,
    pub(crate) issuing: Certificate,
    /// `CN=orders, O=Contoso` under the partners' issuing CA, in the deployment as `orders`.
    pub(crate) orders: Certificate,
    /// `CN=billing, O=Contoso` under the same CA.
    pub(crate) billing: Certificate,
    pub(crate) expired: Certificate,
    pub(crate) early: Certificate,
    /// The names of `orders`, under a CA with the same name and another key.
    pub(crate) impostor: Certificate,
    /// From another issuer, with a subject that needs quotes.
    pub(crate) fabrikam: Certificate,
    /// Self-signed.
    pub(crate) lone: Certificate,
}

impl World {
    fn make() -> Self {
        let root = Authority::root("Partners Root CA");
        let issuing = root.intermediate("Partners Issuing CA");
        let strangers = Authority::root("Partners Root CA").intermediate("Partners Issuing CA");
        let others = Authority::root("Fabrikam CA");
        let read = |issued: Issued| {
            Certificate::from_der_chain(&issued.der, issued.chain.iter().map(Vec::as_slice)).unwrap()
        };
        let orders =
            Leaf::client("orders").serial(0xA1B2_C3D4).dns("orders.contoso.com").dns("api.contoso.com");
        let fabrikam = Leaf::client("fabrikam").subject(&[
            (DnType::CountryName, "US"),
            (DnType::StateOrProvinceName, "Illinois"),
            (DnType::LocalityName, "Chicago"),
            (DnType::OrganizationName, "Fabrikam, Inc."),
            (DnType::CommonName, "*.fabrikam.com"),
        ]);
        let trust = TrustAnchors::from_pem(root.pem().to_owned() + others.pem()).unwrap();
        Self {
            trust,
            issuing: Certificate::from_der(issuing.der()).unwrap(),
            orders: read(issuing.issue(&orders)),
            billing: read(issuing.issue(&Leaf::client("billing"))),
            expired: read(issuing.issue(&Leaf::client("orders").until(NOON - 1))),
            early: read(issuing.issue(&Leaf::client("orders").from(NOON + 1))),
            impostor: read(strangers.issue(&orders)),
            fabrikam: read(others.issue(&fabrikam)),
            lone: read(Leaf::client("lone").self_signed()),
        }
    }

    pub(crate) fn deployment(&self) -> DeploymentCertificates {
        DeploymentCertificates::new()
            .with("orders", self.orders.clone(), true)
            .with("fabrikam", self.fabrikam.clone(), true)
            .with("issuing-ca", self.issuing.clone(), false)
    }

    /// Loads with all that a document can need, proven or not.
    pub(crate) fn load(&self, text: &str) -> Result<Document, DocumentErrors> {
        self.builder().load(text)
    }

    pub(crate) fn builder(&self) -> DocumentBuilder {
        let west = Backend::new("https://west.internal").unwrap();
        let west = west.with_identity(ChosenIdentity::Id("fabrikam".into()));
        Document::builder()
            .trust(self.trust.clone().without_revocation())
            .allow_unanchored()
            .deployment(Shared::new(self.deployment()))
            .add_backend("east", Backend::new("https://east.internal/v2").unwrap())
            .add_backend("west", west)
    }

    pub(crate) fn certificate(&self, name: &str) -> Presented {
        match name {
            "none" => Presented::Nothing,
            "orders" => self.orders.clone().into(),
            "billing" => self.billing.clone().into(),
            "expired" => self.expired.clone().into(),
            "early" => self.early.clone().into(),
            "impostor" => self.impostor.clone().into(),
            "fabrikam" => self.fabrikam.clone().into(),
            "lone" => self.lone.clone().into(),
            other => panic!("unknown certificate {other}"),
        }
    }

    /// Fills in the values that differ between runs.
    pub(crate) fn fill(&self, text: &str) -> String {
        let thumbprint = |certificate: &Certificate| certificate.sha1_thumbprint().to_string();
        text.replace("ORDERS-THUMBPRINT", &thumbprint(&self.orders))
            .replace("BILLING-THUMBPRINT", &thumbprint(&self.billing))
            .replace("FABRIKAM-THUMBPRINT", &thumbprint(&self.fabrikam))
            .replace("ISSUING-THUMBPRINT", &thumbprint(&self.issuing))
    }
}

pub(crate) static WORLD: LazyLock<World> = LazyLock::new(World::make);

/// A request that imitates another caller's.
pub(crate) fn request() -> Request<()> {
    Request::get("https://api.contoso.com/orders/42?api-version=2024-05-01&q=a%20b")
        .header("host", "api.contoso.com")
        .header("x-caller", "forged")
        .header("x-region", "eu")
        .body(())
        .unwrap()
}

pub(crate) fn evaluate(document: &Document, presented: &Presented) -> DocumentDecision {
    document.evaluate(&RequestFacts::new(&request(), presented), NOW)
}

/// The joined values of a header after a document has run.
pub(crate) fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
    (!values.is_empty()).then(|| values.join(","))
}
