//! Kinds of floods, and their detection.

use std::time::Instant;

use super::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    rate::{Bucket, Rate},
    scanner::FrameHead,
};

/// Length of an acknowledgement of PING.
const PING_ACK_LENGTH: u64 = 17;

/// Length of an acknowledgement of SETTINGS.
const SETTINGS_ACK_LENGTH: u64 = 9;

/// Maximum length of a frame's payload, which is the default and not changed by settings.
const MAX_FRAME_LENGTH: usize = 16_384;

/// Minimum number of CONTINUATION frames permitted in a header block in addition to the last one.
const MIN_CONTINUATIONS: usize = 4;

/// Frames whose rate is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FloodKind {
    Ping,
    Settings,
    /// PRIORITY and all other frames, such as PRIORITY_UPDATE.
    Priority,
    WindowUpdate,
    ResetStream,
    /// DATA without END_STREAM that is empty or consists of padding only.
    EmptyData,
    /// CONTINUATION without END_HEADERS.
    Continuation,
}

impl FloodKind {
    /// Returns the name of the frames.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "PING",
            Self::Settings => "SETTINGS",
            Self::Priority => "PRIORITY",
            Self::WindowUpdate => "WINDOW_UPDATE",
            Self::ResetStream => "RST_STREAM",
            Self::EmptyData => "empty DATA",
            Self::Continuation => "CONTINUATION",
        }
    }
}

/// gRPC clients measure the bandwidth by a PING per round trip while they receive DATA, of 16 bytes or more.
const PINGS: Rate = Rate { burst: 200, per_second: 20, bytes_per_frame: Some(16) };

const SETTINGS_FRAMES: Rate = Rate { burst: 100, per_second: 2, bytes_per_frame: None };

/// Browsers change the priority of a request while they render.
const PRIORITIES: Rate = Rate { burst: 1_000, per_second: 50, bytes_per_frame: Some(16) };

/// A client may update the window of stream and connection after each DATA frame, of 16 bytes or more.
const WINDOW_UPDATES: Rate = Rate { burst: 1_000, per_second: 100, bytes_per_frame: Some(8) };

/// Clients cancel requests whose response has begun, too.
const RESETS: Rate = Rate { burst: 1_000, per_second: 33, bytes_per_frame: Some(64) };

const EMPTY_DATA: Rate = Rate { burst: 100, per_second: 10, bytes_per_frame: None };

/// Progress of a connection in the other direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent<F> {
    /// Number of bytes written to the caller.
    pub(super) bytes: u64,
    pub(super) now: F,
}

#[derive(Debug)]
pub(super) struct FloodDetector {
    pings: Bucket,
    settings: Bucket,
    priorities: Bucket,
    window_updates: Bucket,
    resets: Bucket,
    empty_data: Bucket,
    /// CONTINUATION frames of the current header block that do not end it. None: between blocks.
    block: Option<usize>,
    /// Maximum of `block`.
    max_continuations: usize,
    /// Number of bytes with which the connection acknowledges frames.
    acknowledged: u64,
    last_stream: u32,
}

impl FloodDetector {
    pub(super) fn new(max_head_size: usize, now: Instant) -> Self {
        Self {
            pings: Bucket::new(PINGS, now),
            settings: Bucket::new(SETTINGS_FRAMES, now),
            priorities: Bucket::new(PRIORITIES, now),
            window_updates: Bucket::new(WINDOW_UPDATES, now),
            resets: Bucket::new(RESETS, now),
            empty_data: Bucket::new(EMPTY_DATA, now),
            block: None,
            max_continuations: (max_head_size / MAX_FRAME_LENGTH).max(MIN_CONTINUATIONS),
            acknowledged: 0,
            last_stream: 0,
        }
    }

    /// Records a frame. Returns its kind if it exceeds the rate.
    pub(super) fn record(
        &mut self,
        head: FrameHead,
        is_empty: bool,
        sent: Sent<impl Fn() -> Instant>,
    ) -> Option<FloodKind> {
        let (bucket, kind) = match head.kind {
            DATA if !is_empty || head.has(END_STREAM) => return None,
            HEADERS => {
                self.last_stream = self.last_stream.max(head.stream);
                self.block = (!head.has(END_HEADERS)).then_some(0);
                return None;
            }
            CONTINUATION => {
                let continuations = self.block.unwrap_or(0) + 1;
                self.block = (!head.has(END_HEADERS)).then_some(continuations);
                let is_flood = self.block.is_some_and(|continuations| continuations > self.max_continuations);
                return is_flood.then_some(FloodKind::Continuation);
            }
            DATA => (&mut self.empty_data, FloodKind::EmptyData),
            PING => {
                self.acknowledged += if head.has(ACK) { 0 } else { PING_ACK_LENGTH };
                (&mut self.pings, FloodKind::Ping)
            }
            SETTINGS => {
                self.acknowledged += if head.has(ACK) { 0 } else { SETTINGS_ACK_LENGTH };
                (&mut self.settings, FloodKind::Settings)
            }
            WINDOW_UPDATE => (&mut self.window_updates, FloodKind::WindowUpdate),
            RST_STREAM => (&mut self.resets, FloodKind::ResetStream),
            _ => (&mut self.priorities, FloodKind::Priority),
        };
        let bytes = sent.bytes.saturating_sub(self.acknowledged);
        (!bucket.take(bytes, sent.now)).then_some(kind)
    }

    /// Returns true while a header block is incomplete.
    pub(super) fn is_within_block(&self) -> bool {
        self.block.is_some()
    }

    /// Returns the number of the last stream that the caller has opened.
    pub(super) fn last_stream(&self) -> u32 {
        self.last_stream
    }
}
