//! Paths that RFC 5280 accepts and rejects.
