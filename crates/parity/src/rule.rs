//! What may be found wrong, by name.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $rule:ident = $id:literal,)+) => {
        /// What an answer must keep to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Rule {
            $($(#[doc = $doc])+ #[serde(rename = $id)] $rule,)+
        }

        impl Rule {
            /// Every rule, in the order in which they are explained.
            pub const ALL: &[Self] = &[$(Self::$rule,)+];

            /// Its name in scenarios, deviations and reports.
            pub fn id(self) -> &'static str {
                match self { $(Self::$rule => $id,)+ }
            }

            /// What it asks for, in a sentence or two.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$rule => concat!($($doc,)+).trim_ascii(),)+ }
            }
        }
    };
}

rules! {
    /// The step can be made: all that it asks for is there to be filled in.
    Step = "step",
    /// There is an answer, and it can be read.
    Answer = "answer",
    /// All encodings end with the same code.
    SameCode = "same-code",
    /// All encodings say the same text of an error.
    SameMessage = "same-message",
    /// All encodings carry the same details of an error.
    SameDetails = "same-details",
    /// All encodings answer with the same message, field by field, presence included.
    SameResponse = "same-response",
    /// All encodings carry the same values in the headers that are compared.
    SameHeaders = "same-headers",
    /// The code is the one that the step expects.
    ExpectedCode = "expected-code",
    /// The text is the one that the step expects.
    ExpectedMessage = "expected-message",
    /// The details are those that the step expects.
    ExpectedDetails = "expected-details",
    /// The fields that the step names have the values that it expects.
    ExpectedResponse = "expected-response",
    /// The headers that the step names have the values that it expects.
    ExpectedHeaders = "expected-headers",
    /// The code is that of the other server, or of the golden file.
    ReferenceCode = "reference-code",
    /// The text is that of the other server, or of the golden file.
    ReferenceMessage = "reference-message",
    /// The details are those of the other server, or of the golden file.
    ReferenceDetails = "reference-details",
    /// The message is that of the other server, or of the golden file.
    ReferenceResponse = "reference-response",
    /// The headers that are compared are those of the other server, or of the golden file.
    ReferenceHeaders = "reference-headers",
    /// The HTTP status is that of the code: grpc-gateway's table for REST, Connect's for Connect, always 200 for gRPC and
    /// gRPC-Web.
    HttpStatus = "http-status",
    /// The content type is the encoding's, also of an error.
    ContentType = "content-type",
    /// The status of gRPC comes behind the message, or in the headers of an answer without any; that of gRPC-Web in the last
    /// frame, its names in lower case.
    Trailers = "trailers",
    /// A success of gRPC and gRPC-Web holds one message, uncompressed if nothing else was agreed.
    Envelope = "envelope",
    /// gRPC-Web text is base64 with its padding.
    TextPadding = "text-padding",
    /// `grpc-message` is percent-encoded: nothing but visible ASCII and space, `%` only before two digits.
    MessageEscapes = "message-escapes",
    /// `grpc-status-details-bin` repeats the code and the text of `grpc-status` and `grpc-message`.
    StatusDetails = "status-details",
    /// The body of an error has the encoding's shape: `code`, `message` and `details`, and nothing else.
    ErrorBody = "error-body",
    /// Fields of JSON have their JSON names: lowerCamelCase, or the `json_name` of the proto.
    JsonNames = "json-names",
    /// 64-bit integers are strings in JSON, other numbers are numbers.
    JsonNumbers = "json-numbers",
    /// Times are RFC 3339 with `Z` and 0, 3, 6 or 9 digits; durations end in `s`.
    JsonTimes = "json-times",
    /// Bytes are standard base64 with its padding in JSON.
    JsonBytes = "json-bytes",
    /// Enum values are names in JSON.
    JsonEnums = "json-enums",
    /// Fields without a value are left out of JSON: neither their default nor `null` is written.
    JsonDefaults = "json-defaults",
    /// Messages hold no fields that their descriptor does not know.
    UnknownFields = "unknown-fields",
    /// A call with an `Origin` is answered with `Access-Control-Allow-Origin`, and a page may read the status.
    Cors = "cors",
    /// A browser's preflight for the call is granted: its method and its headers.
    CorsPreflight = "cors-preflight",
}

impl Rule {
    /// Whether the rule is about one encoding's bytes alone.
    pub fn is_of_the_wire(self) -> bool {
        self >= Self::HttpStatus
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(id: &str) -> Result<Self, String> {
        let rule = Self::ALL.iter().copied().find(|rule| rule.id() == id);
        rule.ok_or_else(|| format!("there is no rule {id:?}; `metagate parity rules` lists them"))
    }
}

/// A rule that an answer breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// Where, as a path into the answer (`response.details.sequence`), or empty.
    pub place: String,
    /// What is wrong, in words.
    pub text: String,
    /// What would be right, and what is there instead, where both are values.
    pub values: Option<(String, String)>,
}

impl Finding {
    /// A finding in words alone.
    pub fn new(rule: Rule, place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { rule, place: place.into(), text: text.into(), values: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_known_by_their_names_and_say_what_they_mean() {
        for &rule in Rule::ALL {
            assert_eq!(rule.id().parse(), Ok(rule));
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.id());
            assert!(rule.meaning().ends_with('.'), "{rule}");
        }
        assert!("nothing".parse::<Rule>().is_err());
        assert!(Rule::Cors.is_of_the_wire() && !Rule::ReferenceHeaders.is_of_the_wire());
    }
}
