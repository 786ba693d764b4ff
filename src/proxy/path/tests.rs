use super::*;

/// Normal form and `has_empty_segments`, or the error.
type Expected = Result<(&'static str, bool), PathError>;

const PATHS: &[(&str, Expected)] = &[
    ("/", Ok(("/", false))),
    ("/orders", Ok(("/orders", false))),
    ("/orders/", Ok(("/orders/", false))),
    ("/orders/42;v=1/x", Ok(("/orders/42;v=1/x", false))),
    ("/%6frders", Ok(("/orders", false))),
    ("/%6Frders/%7Ea%2db%5fc", Ok(("/orders/~a-b_c", false))),
    ("/a%2eb", Ok(("/a.b", false))),
    ("/a..b/.c/d.", Ok(("/a..b/.c/d.", false))),
    ("/...", Ok(("/...", false))),
    ("/.../x", Ok(("/.../x", false))),
    ("/%2e%2e%2e", Ok(("/...", false))),
    ("/%252e%252e/x", Ok(("/%252e%252e/x", false))),
    ("/%25%32%65/x", Ok(("/%252e/x", false))),
    ("/%252f", Ok(("/%252f", false))),
    ("/%c3%a9", Ok(("/%C3%A9", false))),
    ("/%C3%A9", Ok(("/%C3%A9", false))),
    ("/a%20b", Ok(("/a%20b", false))),
    ("/a%3fb%23c", Ok(("/a%3Fb%23c", false))),
    ("/a:b@c!$&'()*+,=", Ok(("/a:b@c!$&'()*+,=", false))),
    ("/a%0ab", Ok(("/a%0Ab", false))),
    ("//", Ok(("//", true))),
    ("//a", Ok(("//a", true))),
    ("/a//b", Ok(("/a//b", true))),
    ("/a//", Ok(("/a//", true))),
    ("/a/;x/b", Ok(("/a/;x/b", true))),
    ("/a/;x", Ok(("/a/;x", false))),
    ("", Err(PathError::NotAbsolute)),
    ("*", Err(PathError::NotAbsolute)),
    ("orders", Err(PathError::NotAbsolute)),
    ("%2forders", Err(PathError::NotAbsolute)),
    ("http://host/", Err(PathError::NotAbsolute)),
    ("/.", Err(PathError::DotSegment)),
    ("/..", Err(PathError::DotSegment)),
    ("/./a", Err(PathError::DotSegment)),
    ("/a/../b", Err(PathError::DotSegment)),
    ("/a/..", Err(PathError::DotSegment)),
    ("/%2e/a", Err(PathError::DotSegment)),
    ("/%2E%2E/a", Err(PathError::DotSegment)),
    ("/a/%2e.", Err(PathError::DotSegment)),
    ("/a/.%2E/", Err(PathError::DotSegment)),
    ("/..;/x", Err(PathError::DotSegment)),
    ("/.;a=b/", Err(PathError::DotSegment)),
    ("/%2e%2e;a", Err(PathError::DotSegment)),
    ("/..%3b/x", Err(PathError::DotSegment)),
    ("/a\\b", Err(PathError::Backslash)),
    ("/a%5cb", Err(PathError::Backslash)),
    ("/..%5Cb", Err(PathError::Backslash)),
    ("/a%2fb", Err(PathError::EncodedSlash)),
    ("/..%2Fb", Err(PathError::EncodedSlash)),
    ("/a%00", Err(PathError::Nul)),
    ("/%", Err(PathError::MalformedEscape)),
    ("/a%4", Err(PathError::MalformedEscape)),
    ("/%zz", Err(PathError::MalformedEscape)),
    ("/%%32%65", Err(PathError::MalformedEscape)),
    ("/%+1", Err(PathError::MalformedEscape)),
    ("/%u002e", Err(PathError::MalformedEscape)),
    ("/%é", Err(PathError::MalformedEscape)),
    ("/a\tb", Err(PathError::Control)),
    ("/a b", Err(PathError::Control)),
    ("/a\u{7f}", Err(PathError::Control)),
    ("/a\0", Err(PathError::Control)),
    ("/é", Err(PathError::NotAscii)),
    ("/\u{ff0e}\u{ff0e}/", Err(PathError::NotAscii)),
    ("/a?b", Err(PathError::Delimiter)),
    ("/a#b", Err(PathError::Delimiter)),
];

#[test]
fn path_is_normalized_or_rejected() {
    for (raw, expected) in PATHS {
        let found = NormalizedPath::parse(raw);
        let found = found.as_ref().map(|found| (found.as_str(), found.has_empty_segments())).map_err(|e| *e);
        assert_eq!(found, *expected, "{raw:?}");
    }
}

#[test]
fn normal_paths_are_borrowed_and_unchanged() {
    for (raw, _) in PATHS {
        let Ok(first) = NormalizedPath::parse(raw) else { continue };
        let second = NormalizedPath::parse(first.as_str()).unwrap();
        assert_eq!(second, first, "{raw:?}");
        assert!(matches!(second.0, Cow::Borrowed(_)), "{raw:?}");
    }
}

#[test]
fn escaped_bytes_are_decoded_kept_or_rejected() {
    for byte in 0..=255_u8 {
        for raw in [format!("/a%{byte:02x}b"), format!("/a%{byte:02X}b")] {
            match NormalizedPath::parse(&raw) {
                Ok(found) if is_unreserved(byte) => {
                    assert_eq!(found.as_str(), format!("/a{}b", char::from(byte)), "{raw}");
                }
                Ok(found) => assert_eq!(found.as_str(), format!("/a%{byte:02X}b"), "{raw}"),
                Err(_) => assert!(matches!(byte, 0 | b'/' | b'\\' | 0xc0 | 0xc1 | 0xf8..), "{raw}"),
            }
        }
    }
}

#[test]
fn plain_ascii_bytes_are_kept_or_rejected() {
    for byte in 0..128_u8 {
        let raw = format!("/a{}", char::from(byte));
        let is_rejected = matches!(byte, 0..=b' ' | b'\\' | b'?' | b'#' | b'%' | 0x7f);
        assert_eq!(NormalizedPath::parse(&raw).is_err(), is_rejected, "{raw:?}");
    }
}

#[test]
fn overlong_utf_8_is_rejected_and_other_utf_8_is_kept() {
    for (path, expected) in [
        ("/%c0%ae%c0%ae/orders", Err(PathError::Overlong)),
        ("/%c1%9c", Err(PathError::Overlong)),
        ("/%e0%80%ae", Err(PathError::Overlong)),
        ("/%F0%80%80%AE", Err(PathError::Overlong)),
        ("/%F8%80%80%80%AF", Err(PathError::Overlong)),
        ("/%C3%A4", Ok("/%C3%A4")),
        ("/%E0%A4%85", Ok("/%E0%A4%85")),
        ("/%F0%9F%A6%80", Ok("/%F0%9F%A6%80")),
        ("/%E4", Ok("/%E4")),
    ] {
        let found = NormalizedPath::parse(path).map(|found| found.to_string());
        assert_eq!(found.as_deref().map_err(|error| *error), expected, "{path}");
    }
}

#[test]
fn paths_of_lenient_upstreams_are_without_parameters_or_empty_segments() {
    for (path, plain, merged) in [
        ("/", "/", "/"),
        ("//", "//", "/"),
        ("/orders", "/orders", "/orders"),
        ("//orders", "//orders", "/orders"),
        ("/a//b", "/a//b", "/a/b"),
        ("/a///b//", "/a///b//", "/a/b/"),
        ("/a/b/", "/a/b/", "/a/b/"),
        ("/a;v=1/b", "/a/b", "/a;v=1/b"),
        ("/a;v=1;w=2/b%3bx", "/a/b", "/a;v=1;w=2/b%3Bx"),
        ("/a/;x//b", "/a///b", "/a/;x/b"),
    ] {
        let normal = NormalizedPath::parse(path).unwrap();
        assert_eq!(normal.without_parameters().as_str(), plain, "{path}");
        assert_eq!(normal.without_empty_segments().as_str(), merged, "{path}");
        assert_eq!(normal.has_parameters(), plain != normal.as_str(), "{path}");
    }
}
