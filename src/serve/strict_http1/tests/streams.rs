//! Random streams of requests, reproducible by seed.

/// xorshift64*.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    pub(super) fn choose<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

/// Returns a few valid requests in sequence.
pub(super) fn valid(seed: u64) -> Vec<u8> {
    let random = &mut Random::new(seed);
    let mut stream = Vec::new();
    for _ in 0..=random.below(3) {
        request(random, &mut stream);
    }
    stream
}

fn request(random: &mut Random, stream: &mut Vec<u8>) {
    stream.extend_from_slice(random.choose::<str>(&["", "", "", "\r\n", "\r\n\r\n"]).as_bytes());
    stream.extend_from_slice(random.choose::<str>(&["GET /", "POST /a/b?c=d", "M-SEARCH *"]).as_bytes());
    let body = random.below(3);
    let version = if body < 2 && random.below(4) == 0 {
        " HTTP/1.0\r\nConnection: keep-alive\r\n"
    } else {
        " HTTP/1.1\r\n"
    };
    stream.extend_from_slice(version.as_bytes());
    stream.extend_from_slice(b"Host: a\r\n");
    fields(random, stream);
    let bytes: Vec<u8> = (0..random.below(40)).map(|_| random.below(256) as u8).collect();
    match body {
        0 => stream.extend_from_slice(b"\r\n"),
        1 => {
            let name = random.choose(&["Content-Length:", "content-length: ", "CONTENT-LENGTH:\t 0"]);
            stream.extend_from_slice(
                format!("{name}{}{}\r\n", bytes.len(), random.choose(&["", " "])).as_bytes(),
            );
            fields(random, stream);
            stream.extend_from_slice(b"\r\n");
            stream.extend_from_slice(&bytes);
        }
        _ => {
            let field = random.choose(&["Transfer-Encoding: chunked\r\n", "transfer-encoding:Chunked \r\n"]);
            stream.extend_from_slice(field.as_bytes());
            fields(random, stream);
            stream.extend_from_slice(b"\r\n");
            chunks(random, &bytes, stream);
        }
    }
}

fn fields(random: &mut Random, stream: &mut Vec<u8>) {
    for _ in 0..random.below(4) {
        let name =
            random.choose(&["X", "Content-Type", "Content-Lengths", "Transfer-Encodin", "a!#$%&'*+-.^_`|~9"]);
        let value = random.choose(&[
            "",
            " ",
            "y",
            "\t y z \t",
            "\"a, b\";q=1",
            "\u{fc}",
            "a long value that fills lines",
        ]);
        stream.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
    }
}

fn chunks(random: &mut Random, mut bytes: &[u8], stream: &mut Vec<u8>) {
    let extensions = ["", "", ";a", ";a=b;c", " ; a=\"b c\"", "\t;"];
    while !bytes.is_empty() {
        let (chunk, rest) = bytes.split_at(1 + random.below(bytes.len()));
        bytes = rest;
        let size = chunk.len();
        let size = match random.below(3) {
            0 => format!("{size:x}"),
            1 => format!("{size:X}"),
            _ => format!("{size:08x}"),
        };
        stream.extend_from_slice(format!("{size}{}\r\n", random.choose(&extensions)).as_bytes());
        stream.extend_from_slice(chunk);
        stream.extend_from_slice(b"\r\n");
    }
    stream.extend_from_slice(format!("0{}\r\n", random.choose(&extensions)).as_bytes());
    fields(random, stream);
    stream.extend_from_slice(b"\r\n");
}
