//! What a matcher sees of a request, without copying it.

use super::path::Path;

/// A request's head as its parser left it.
#[derive(Clone, Copy)]
pub struct RequestView<'a> {
    /// The method; compared exactly (RFC 9110 section 9.1).
    pub method: &'a str,
    /// The host asked for, without port, in any case, with or without the root's dot; empty if none was
    /// named.
    pub host: &'a str,
    /// The path.
    pub path: &'a Path<'a>,
    /// What stands behind the first `?`, as it came.
    pub query: Option<&'a str>,
    /// The header fields.
    pub headers: &'a dyn Headers,
}

/// Header fields that can be looked through by name.
pub trait Headers {
    /// Whether `test` holds for the value of any line whose name is `name`, compared without case. Values
    /// come without the white space around them, in order, until one passes.
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

/// A list of lines as `(name, value)`.
impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for [(N, V)] {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.iter()
            .any(|(n, v)| n.as_ref().eq_ignore_ascii_case(name) && test(v.as_ref()))
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, const LINES: usize> Headers for [(N, V); LINES] {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.as_slice().any(name, test)
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for Vec<(N, V)> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.as_slice().any(name, test)
    }
}
