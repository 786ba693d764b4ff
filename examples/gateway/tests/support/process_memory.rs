//! Memory of a running process.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
};

/// Bytes of a page.
const PAGE: u64 = 4_096;

/// Flags of `/proc/PID/pagemap`: the page is present, or swapped.
const PRESENT: u64 = 0b11 << 62;

/// Opens the memory of a process for reading, as a debugger does.
pub fn open(pid: u32) -> io::Result<File> {
    File::open(format!("/proc/{pid}/mem"))
}

/// Counts the places of each text in all writable pages of a process.
pub fn count<const N: usize>(pid: u32, texts: [&[u8]; N]) -> [usize; N] {
    let mut memory = open(pid).unwrap();
    let mut pages = File::open(format!("/proc/{pid}/pagemap")).unwrap();
    let mut found = [0; N];
    for (start, end) in writable_mappings(pid) {
        let mut flags = vec![0; usize::try_from((end - start) / PAGE * 8).unwrap()];
        pages.seek(SeekFrom::Start(start / PAGE * 8)).unwrap();
        if pages.read_exact(&mut flags).is_err() {
            continue;
        }
        let is_present: Vec<bool> =
            flags.as_chunks().0.iter().map(|flags| u64::from_le_bytes(*flags) & PRESENT != 0).collect();
        let mut at = start;
        for run in is_present.chunk_by(|one, other| one == other) {
            let size = run.len() as u64 * PAGE;
            let mut bytes = vec![0; usize::try_from(size).unwrap()];
            let is_read = run[0] && {
                memory.seek(SeekFrom::Start(at)).unwrap();
                memory.read_exact(&mut bytes).is_ok()
            };
            at += size;
            if is_read {
                for (text, count) in texts.iter().zip(&mut found) {
                    *count += places(&bytes, text);
                }
            }
        }
    }
    found
}

/// Address ranges of the mappings that can be read and written.
fn writable_mappings(pid: u32) -> Vec<(u64, u64)> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mapping = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let address = |text| u64::from_str_radix(text, 16).ok();
        rest.starts_with("rw").then_some((address(start)?, address(end)?))
    };
    maps.lines().filter_map(mapping).collect()
}

fn places(bytes: &[u8], text: &[u8]) -> usize {
    let (first, rest) = text.split_first().unwrap();
    let starts = bytes.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts.filter(|(at, _)| bytes[at + 1..].starts_with(rest)).count()
}
