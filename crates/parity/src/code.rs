//! The status codes of gRPC, by all their names.

use std::fmt;

/// A status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(i32);

/// Number order: the name (Connect's, and ours), and the HTTP status that REST and Connect give it.
const CODES: [(&str, u16); 17] = [
    ("ok", 200),
    ("canceled", 499),
    ("unknown", 500),
    ("invalid_argument", 400),
    ("deadline_exceeded", 504),
    ("not_found", 404),
    ("already_exists", 409),
    ("permission_denied", 403),
    ("resource_exhausted", 429),
    ("failed_precondition", 400),
    ("aborted", 409),
    ("out_of_range", 400),
    ("unimplemented", 501),
    ("internal", 500),
    ("unavailable", 503),
    ("data_loss", 500),
    ("unauthenticated", 401),
];

impl Code {
    /// No error.
    pub const OK: Self = Self(0);

    /// The code of that number, if there is one.
    pub fn from_number(number: i64) -> Option<Self> {
        let number = i32::try_from(number).ok()?;
        let index = usize::try_from(number).ok()?;
        (index < CODES.len()).then_some(Self(number))
    }

    /// The code of that name, in lower or upper case.
    pub fn from_name(name: &str) -> Option<Self> {
        let number = (0..).zip(CODES).find(|(_, (known, _))| name.eq_ignore_ascii_case(known))?.0;
        Some(Self(number))
    }

    /// Its number.
    pub fn number(self) -> i32 {
        self.0
    }

    /// Its name, as Connect writes it.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status of REST (grpc-gateway's `HTTPStatusFromCode`) and of Connect's unary calls.
    pub fn http_status(self) -> u16 {
        self.row().1
    }

    /// All names, for messages and schemas.
    pub fn names() -> impl Iterator<Item = &'static str> {
        CODES.iter().map(|(name, _)| *name)
    }

    fn row(self) -> (&'static str, u16) {
        usize::try_from(self.0).ok().and_then(|index| CODES.get(index)).copied().unwrap_or(CODES[2])
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_number_and_a_name() {
        for number in 0..17 {
            let code = Code::from_number(number).unwrap();
            assert_eq!(i64::from(code.number()), number);
            assert_eq!(Code::from_name(code.name()), Some(code));
            assert_eq!(Code::from_name(&code.name().to_uppercase()), Some(code));
        }
        assert_eq!(Code::from_number(5).unwrap().http_status(), 404);
        for number in [-1, 17, i64::MAX] {
            assert_eq!(Code::from_number(number), None);
        }
        assert_eq!(Code::from_name("notfound"), None);
    }
}
