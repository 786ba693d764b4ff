//! Commands, exit codes and logging.

mod demo;
mod explain;
mod log;
