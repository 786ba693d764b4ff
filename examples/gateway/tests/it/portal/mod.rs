//! The portal in a real browser: Chromium without a screen, driven through chromedriver.
//!
//! Without one the tests say SKIPPED, and fail if TOWER_MTLS_BROWSER is set. Screenshots go to the folder that
//! TOWER_MTLS_SCREENSHOTS names, or to `portal-screenshots` in the target folder.

mod accessibility;
mod apis;
mod browser;
mod certificates;
mod keyboard;
mod material;
mod policy_text;
mod safety;
