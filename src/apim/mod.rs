//! Policy documents.

mod deployment;
mod document;
mod elements;
mod error;
mod explain;
mod expression;
mod facts;
mod future;
mod layer;
mod outcome;
mod program;
mod reader;
mod report;
mod run;
mod service;

pub use self::{
    deployment::{DeployedCertificate, Deployment, DeploymentCertificates, SharedDeployment},
    document::{Document, DocumentBuilder, DocumentScope, Revocation, SharedDocument},
    error::{DocumentError, DocumentErrors, DocumentWarning},
    explain::Explanation,
    facts::RequestFacts,
    future::ResponseFuture,
    layer::ApimPolicyLayer,
    outcome::{Answer, ChosenIdentity, Forward, Forwarding, Outcome},
    reader::Format,
    service::ApimPolicy,
};
