//! Frames that the caller of an HTTP/2 connection sends.
//!
//! hyper neither limits the rate of frames nor the time of a header block, and reports neither. The bytes between the
//! socket and hyper are therefore scanned for the 9-byte heads of frames (RFC 9113, section 4.1).
//!
//! - A connection ends by GOAWAY with `ENHANCE_YOUR_CALM` when the caller sends frames of a [`FloodKind`] faster than
//!   their [`Rate`](rate::Rate).
//! - [`CallerFrames::head_since`] is the begin of an incomplete header block or frame other than DATA, whose time is
//!   limited. hyper decodes frames only as a whole, and no other frame may interrupt a header block.

mod flood;
mod rate;
mod scanner;

#[cfg(test)]
mod tests;

use std::time::Instant;

pub(super) use self::flood::FloodKind;
use self::{
    flood::{FloodDetector, Sent},
    scanner::{Event, FrameScanner},
};

/// Error code of a GOAWAY frame (RFC 9113, section 7).
const ENHANCE_YOUR_CALM: u32 = 11;

/// Length of a GOAWAY frame without debug data: head, last stream and error code.
pub(super) const GO_AWAY_LENGTH: usize = 17;

/// The frames of one connection.
#[derive(Debug)]
pub(super) struct CallerFrames {
    scanner: FrameScanner,
    detector: FloodDetector,
    flood: Option<FloodKind>,
    has_ended: bool,
    head_since: Option<Instant>,
}

impl CallerFrames {
    /// Creates the state of a new connection. `max_head_size` is the maximum size of a request's head, in bytes.
    pub(super) fn new(max_head_size: usize, now: Instant) -> Self {
        Self {
            scanner: FrameScanner::new(),
            detector: FloodDetector::new(max_head_size, now),
            flood: None,
            has_ended: false,
            head_since: None,
        }
    }

    /// Scans the next bytes from the caller. `written` is the number of bytes written to the caller so far.
    ///
    /// Returns the number of bytes before the end: all of them, unless they contain a flood. Then the connection ends
    /// after the frame that exceeds the rate, so that hyper has no incomplete frame.
    pub(super) fn scan(&mut self, bytes: &[u8], written: u64, now: impl Fn() -> Instant) -> usize {
        let (mut at, mut is_new_head) = (0, self.head_since.is_none());
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.flood.is_some() && self.scanner.is_between_frames() {
                self.has_ended = true;
            }
            if self.has_ended {
                break;
            }
            let (length, event) = self.scanner.scan(rest);
            at += length;
            if let Some(Event { head, is_empty }) = event {
                let sent = Sent { bytes: written, now: &now };
                self.flood = self.flood.or_else(|| self.detector.record(head, is_empty, sent));
            }
            is_new_head |= !self.is_within_head();
        }
        match self.is_within_head() {
            true if is_new_head => self.head_since = Some(now()),
            true => {}
            false => self.head_since = None,
        }
        if self.flood.is_some() && self.scanner.is_between_frames() {
            self.has_ended = true;
        }
        at
    }

    /// Returns the flood, if there was one.
    pub(super) fn flood(&self) -> Option<FloodKind> {
        self.flood
    }

    /// Returns true if no further bytes of the caller are read.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns the time since which the preface, a header block or a frame other than DATA is incomplete.
    pub(super) fn head_since(&self) -> Option<Instant> {
        self.head_since
    }

    fn is_within_head(&self) -> bool {
        self.detector.is_within_block() || self.scanner.is_within_control_frame()
    }

    /// Returns the GOAWAY frame that ends a flood.
    pub(super) fn go_away(&self) -> [u8; GO_AWAY_LENGTH] {
        let mut frame = [0, 0, 8, GO_AWAY, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        frame[9..13].copy_from_slice(&self.detector.last_stream().to_be_bytes());
        frame[13..].copy_from_slice(&ENHANCE_YOUR_CALM.to_be_bytes());
        frame
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
