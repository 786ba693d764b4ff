//! The portal in a real browser: headless Chromium, driven through chromedriver.
//!
//! Without a browser the tests print SKIPPED, or fail if TOWER_MTLS_BROWSER is set. Screenshots are saved to the folder
//! named by TOWER_MTLS_SCREENSHOTS, or to `portal-screenshots` in the target folder.

mod accessibility;
mod apis;
mod backends;
mod browser;
mod certificates;
mod keyboard;
mod material;
mod policies;
mod policy_text;
mod safety;
