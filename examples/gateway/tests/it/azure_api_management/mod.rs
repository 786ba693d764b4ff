//! Policy documents of Azure API Management.

mod policy;
