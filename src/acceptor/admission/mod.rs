//! Fair admission: which connection makes room for a new one.

mod address;
mod class;
mod order;
mod table;

#[cfg(feature = "serve")]
pub(crate) use self::table::Connections;
#[cfg(not(feature = "serve"))]
pub(super) use self::table::Connections;
pub(super) use self::table::{AddressFull, Place};
