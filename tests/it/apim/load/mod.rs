//! Errors and warnings at load.

mod errors;
mod expressions;
mod needs;
mod text;
mod warnings;

use tower_mtls::apim::DocumentErrors;

use super::world::WORLD;

pub(super) fn errors(text: &str) -> DocumentErrors {
    match WORLD.load(text) {
        Err(errors) => errors,
        Ok(_) => panic!("it loads: {text}"),
    }
}
