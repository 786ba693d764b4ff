//! The server: binds listeners, follows the files and the store, swaps the routing snapshot, and drains. Imports all rooms
//! but `command` and `demo`.

mod current_routes;
mod follow;
mod listen;
mod open_store;
mod reload_checks;
mod retire;
mod running;
mod signals;
mod unguarded;

pub(crate) use self::{
    follow::Files,
    running::Server,
    signals::{HangupSignals, until_signal},
};
