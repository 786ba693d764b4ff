//! State machine over the bytes of one connection.

use super::{DATA, PADDED};

/// Length of the connection preface (RFC 9113, section 3.4).
const PREFACE_LENGTH: u32 = 24;

/// Length of the head of a frame.
const HEAD_LENGTH: usize = 9;

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// Length of the payload.
    pub(super) length: u32,
}

impl FrameHead {
    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn parse([a, b, c, kind, flags, stream @ ..]: [u8; HEAD_LENGTH]) -> Self {
        let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        Self { kind, flags, stream, length: u32::from_be_bytes([0, a, b, c]) }
    }
}

/// The begin of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) head: FrameHead,
    /// True if the payload is empty or consists of padding only.
    pub(super) is_empty: bool,
}

#[derive(Debug)]
pub(super) enum FrameScanner {
    /// Remaining bytes of the preface, which hyper compares.
    Preface(u32),
    /// After this number of bytes of a head.
    Head([u8; HEAD_LENGTH], usize),
    /// Before the byte with the length of the padding.
    PadLength(FrameHead),
    /// Remaining bytes of a payload.
    Payload { remaining: u32, is_data: bool },
}

impl FrameScanner {
    pub(super) fn new() -> Self {
        Self::Preface(PREFACE_LENGTH)
    }

    /// Scans bytes up to the begin of a frame. Returns their number, which is 0 for an empty slice only.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> (usize, Option<Event>) {
        match self {
            Self::Preface(remaining) => {
                let length = take(remaining, bytes);
                if *remaining == 0 {
                    *self = Self::between_frames();
                }
                (length, None)
            }
            Self::Head(head, filled) => {
                let room = &mut head[*filled..];
                let length = room.len().min(bytes.len());
                room[..length].copy_from_slice(&bytes[..length]);
                *filled += length;
                if *filled < HEAD_LENGTH {
                    return (length, None);
                }
                let head = FrameHead::parse(*head);
                let is_padded = head.kind == DATA && head.has(PADDED) && head.length > 0;
                if is_padded {
                    *self = Self::PadLength(head);
                    return (length, None);
                }
                self.begin_payload(head, head.length);
                (length, Some(Event { head, is_empty: head.length == 0 }))
            }
            Self::PadLength(head) => {
                let (head, Some(padding)) = (*head, bytes.first()) else { return (0, None) };
                let remaining = head.length - 1;
                self.begin_payload(head, remaining);
                (1, Some(Event { head, is_empty: u32::from(*padding) >= remaining }))
            }
            Self::Payload { remaining, .. } => {
                let length = take(remaining, bytes);
                if *remaining == 0 {
                    *self = Self::between_frames();
                }
                (length, None)
            }
        }
    }

    fn between_frames() -> Self {
        Self::Head([0; HEAD_LENGTH], 0)
    }

    fn begin_payload(&mut self, head: FrameHead, remaining: u32) {
        *self = match remaining {
            0 => Self::between_frames(),
            _ => Self::Payload { remaining, is_data: head.kind == DATA },
        };
    }

    pub(super) fn is_between_frames(&self) -> bool {
        matches!(self, Self::Head(_, 0))
    }

    /// Returns true while the preface, a head of a frame, or the payload of a frame other than DATA is incomplete.
    pub(super) fn is_within_control_frame(&self) -> bool {
        match self {
            Self::Preface(remaining) => *remaining < PREFACE_LENGTH,
            Self::Head(_, filled) => *filled > 0,
            Self::PadLength(_) => false,
            Self::Payload { is_data, .. } => !is_data,
        }
    }
}

/// Subtracts the bytes that belong to `remaining`, and returns their number.
fn take(remaining: &mut u32, bytes: &[u8]) -> usize {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(*remaining);
    *remaining -= length;
    // The cast is lossless: `length` is at most `bytes.len()`.
    length as usize
}
