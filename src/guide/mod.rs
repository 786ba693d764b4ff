//! Guides: how the parts of this crate work together. Documentation only.
//!
//! | page | contents |
//! |---|---|
//! | [`layers`] | the order of layers, and how one steers a request |
//! | [`authorization`] | rules, and your own decision after them: RBAC by SPIFFE ID, a database |
//! | [`testing`] | tests without TLS, with a clock of their own, and with real handshakes |
//! | [`live_changes`] | replacing policy, identity, trust and server certificate while serving |
//! | [`revocation`] | CRLs: which certificates are rejected, and when a status is unknown |
//! | [`migrating`] | from nginx, Envoy or ASP.NET: their directives beside the lines of this crate |

pub mod authorization;
pub mod layers;
pub mod live_changes;
pub mod migrating;
pub mod revocation;
pub mod testing;
