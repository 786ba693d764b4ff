//! Revocation status of a certificate.
