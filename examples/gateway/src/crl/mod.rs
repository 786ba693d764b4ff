//! Certificate revocation lists (CRLs) from URLs: downloads, the last valid list of each URL in memory and on disk, and
//! checks of lists that replace others. Imports `file` and `config` only.
//!
//! No request waits for a download. A list is effective once the routing snapshot has been rebuilt with it:
//! [`DownloadedLists::subscribe`] reports when to do so.

mod disk;
mod download;
mod fetcher;
mod issuers;
mod lists;
mod schedule;
mod source;

pub(crate) use self::{
    fetcher::Fetcher,
    issuers::Issuers,
    lists::{DownloadedLists, Lists},
    source::{Source, SourceId},
};
