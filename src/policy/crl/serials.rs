//! Serial numbers in memory: sorted arrays of fixed widths, without a pointer per number.

/// The longest serial number, in bytes. RFC 5280 allows 20; some authorities add a sign byte.
pub(super) const MAX_SERIAL: usize = 32;

/// Numbers for each sample: few enough for some cache lines, while the samples of a million numbers fit into a cache.
const NUMBERS_PER_SAMPLE: usize = 32;

/// Sorted serial numbers. Each is in the narrowest array that fits, extended by its sign.
#[derive(Default)]
pub(super) struct Serials {
    of_8: Sorted<8>,
    of_16: Sorted<16>,
    of_20: Sorted<20>,
    of_32: Sorted<MAX_SERIAL>,
}

/// A sorted array, and the first of every [`NUMBERS_PER_SAMPLE`] numbers.
#[derive(Default)]
struct Sorted<const N: usize> {
    numbers: Vec<[u8; N]>,
    samples: Vec<[u8; N]>,
}

impl<const N: usize> Sorted<N> {
    fn with_capacity(count: usize) -> Self {
        Self { numbers: Vec::with_capacity(count), samples: Vec::new() }
    }

    fn push(&mut self, content: &[u8]) {
        self.numbers.push(extended(content));
    }

    fn sort(&mut self) {
        self.numbers.sort_unstable();
        self.samples = self.numbers.iter().step_by(NUMBERS_PER_SAMPLE).copied().collect();
    }

    fn contains(&self, content: &[u8]) -> bool {
        let number = extended(content);
        let end = self.samples.partition_point(|sample| *sample <= number) * NUMBERS_PER_SAMPLE;
        let start = end.saturating_sub(NUMBERS_PER_SAMPLE);
        let numbers = self.numbers.get(start..end.min(self.numbers.len())).unwrap_or_default();
        numbers.binary_search(&number).is_ok()
    }
}

/// Number of serial numbers of each width.
#[derive(Default)]
pub(super) struct SerialCounts([usize; 4]);

impl SerialCounts {
    pub(super) fn add(&mut self, content: &[u8]) {
        self.0[match content.len() {
            0..=8 => 0,
            9..=16 => 1,
            17..=20 => 2,
            _ => 3,
        }] += 1;
    }
}

impl Serials {
    /// An empty index whose memory is exactly as large as these counts require.
    pub(super) fn with_counts(SerialCounts([of_8, of_16, of_20, of_32]): &SerialCounts) -> Self {
        Self {
            of_8: Sorted::with_capacity(*of_8),
            of_16: Sorted::with_capacity(*of_16),
            of_20: Sorted::with_capacity(*of_20),
            of_32: Sorted::with_capacity(*of_32),
        }
    }

    /// Adds the content bytes of a minimal INTEGER of at most [`MAX_SERIAL`] bytes.
    pub(super) fn push(&mut self, content: &[u8]) {
        match content.len() {
            0..=8 => self.of_8.push(content),
            9..=16 => self.of_16.push(content),
            17..=20 => self.of_20.push(content),
            _ => self.of_32.push(content),
        }
    }

    pub(super) fn sort(&mut self) {
        self.of_8.sort();
        self.of_16.sort();
        self.of_20.sort();
        self.of_32.sort();
    }

    /// Returns true if a sorted index contains the number with these content bytes.
    pub(super) fn contains(&self, content: &[u8]) -> bool {
        let content = minimal(content);
        match content.len() {
            0..=8 => self.of_8.contains(content),
            9..=16 => self.of_16.contains(content),
            17..=20 => self.of_20.contains(content),
            21..=MAX_SERIAL => self.of_32.contains(content),
            _ => false,
        }
    }
}

/// Two's complement of `N` bytes. The bytes are at most as many.
fn extended<const N: usize>(content: &[u8]) -> [u8; N] {
    let sign = if content.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 };
    let mut number = [sign; N];
    if let Some(end) = N.checked_sub(content.len()).and_then(|start| number.get_mut(start..)) {
        end.copy_from_slice(content);
    }
    number
}

/// The content without bytes that only repeat the sign.
pub(super) fn minimal(mut content: &[u8]) -> &[u8] {
    while let [sign @ (0 | 0xff), next, ..] = content
        && (*sign == 0xff) == (next & 0x80 != 0)
    {
        content = &content[1..];
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_is_found_by_its_value_and_no_other_is() {
        let long = |first: u8, length: usize| [vec![first], vec![0xab; length - 1]].concat();
        let mut numbers = vec![vec![0], vec![1], vec![0x7f], vec![0, 0x80], vec![0x80], vec![0xff]];
        numbers.extend([7, 8, 9, 15, 16, 17, 20, 21, 32].map(|length| long(0x11, length)));
        numbers.extend([8, 16, 20, 32].map(|length| long(0x91, length)));
        for absent in 0..numbers.len() {
            let listed: Vec<_> = numbers
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != absent)
                .map(|(_, number)| number)
                .collect();
            let mut counts = SerialCounts::default();
            listed.iter().for_each(|number| counts.add(number));
            let mut serials = Serials::with_counts(&counts);
            listed.iter().for_each(|number| serials.push(number));
            serials.sort();
            for (at, number) in numbers.iter().enumerate() {
                assert_eq!(serials.contains(number), at != absent, "{number:02x?} without {absent}");
                let sign = if number[0] & 0x80 == 0 { 0 } else { 0xff };
                let redundant = [&[sign, sign], number.as_slice()].concat();
                assert_eq!(serials.contains(&redundant), at != absent, "{redundant:02x?} without {absent}");
            }
            assert!(!serials.contains(&long(0x11, 33)) && !serials.contains(&[2]));
        }
    }

    #[test]
    fn serials_of_all_samples_are_found() {
        for count in [31, 32, 33, 64, 1_000] {
            let mut serials = Serials::with_counts(&SerialCounts::default());
            // Odd numbers in no order.
            (0..count).for_each(|number: u32| serials.push(&(number * 367 % count * 2 + 1).to_be_bytes()));
            serials.sort();
            for number in 0..count * 2 + 2 {
                let expected = number % 2 == 1 && number < count * 2;
                assert_eq!(serials.contains(&number.to_be_bytes()), expected, "{number} of {count}");
            }
        }
    }
}
