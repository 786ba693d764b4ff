//! From the configuration and the files that it names, and from the contents of the store, to routes, listeners and trust.
//! Imports all rooms but `server`, `command` and `demo`.

mod advice;
mod api_trust;
mod apis;
mod cache;
mod choice;
mod deployment;
mod document;
mod endpoint;
mod files;
mod fingerprint;
mod key_pair;
mod letter_case;
mod load;
mod publication;
mod rate_limits;
mod references;
mod revocation;
mod route;
mod route_context;
mod rows;
mod rules;
mod sections;
mod served;
mod thumbprint_lists;
mod trust;
mod unreadable;
mod upstream_trusts;
mod verification;

pub(crate) use self::{
    apis::ApiBuilder,
    cache::Cache,
    choice::explain as explain_choice,
    endpoint::Endpoint,
    fingerprint::{Fingerprint, Fingerprints, fingerprints},
    load::{LoadOutcome, Loaded, Source, load},
    publication::Publication,
    served::load_crls,
};
