//! What can go wrong in a call, and what the caller is told.

use crate::{Code, Language};

include!(concat!(env!("OUT_DIR"), "/errors.rs"));

struct Row {
    code: Code,
    id: Option<&'static str>,
    wording: Wording,
}

enum Wording {
    Text(Text),
    Verbatim(&'static str),
}

impl Refusal {
    /// Its gRPC code.
    pub const fn code(self) -> Code {
        self.row().code
    }

    /// ZITADEL's id for it, if it has one.
    pub const fn id(self) -> Option<&'static str> {
        self.row().id
    }
}

/// What happened. How it is worded and drawn comes later, once for all encodings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A refusal with a name.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// A field breaks a rule that the proto declares; the text says which (contract 2.2).
    #[error("invalid: {0}")]
    Invalid(String),
    /// The request names a host that this instance does not serve (contract 5.5, departure D7).
    #[error("unknown instance: {origin}")]
    InstanceNotFound {
        /// The origin that was asked for: `&{<instance host> <public host> <scheme>}`.
        origin: String,
        /// The host that is served.
        external_domain: String,
    },
    /// The call breaks a rule of its protocol or a limit; the text is in English in every language.
    #[error("{code:?}: {message}")]
    Protocol {
        /// What the caller's library will call it.
        code: Code,
        /// What was wrong, for a developer to read.
        message: String,
    },
    /// The call strikes a limit of the server; the text is in English in every language.
    #[error("{limit}: {message}")]
    Limit {
        /// The name of the setting.
        limit: &'static str,
        /// What the caller's library will call it.
        code: Code,
        /// What was too much, for a developer to read.
        message: String,
    },
    /// What a service says in words of its own.
    #[error("{:?}: {}", .0.code, .0.message)]
    Stated(Box<Status>),
    /// The store did not answer, or not in time. After a write the outcome is open, but it is all or nothing.
    #[error("store unavailable: {cause}")]
    Unavailable {
        /// For the log; the caller does not see it.
        cause: String,
    },
    /// The store has no room for the write, and nobody sees anything of it.
    #[error("store full: {cause}")]
    StoreFull {
        /// For the log; the caller does not see it.
        cause: String,
    },
    /// What is stored is damaged; it is not shown.
    #[error("store damaged: {cause}")]
    StoreDamaged {
        /// For the log; the caller does not see it.
        cause: String,
    },
    /// A promise was broken on this side.
    #[error("internal: {cause}")]
    Internal {
        /// For the log; the caller does not see it.
        cause: String,
    },
}

/// What the caller is told, in the caller's language, in whatever encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The gRPC code; it decides the HTTP status too.
    pub code: Code,
    /// The whole message, id included.
    pub message: String,
    /// The machine-readable parts.
    pub details: Vec<Detail>,
}

/// A machine-readable part of a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A `zitadel.v1.ErrorDetail`.
    Error {
        /// ZITADEL's id of the error.
        id: &'static str,
        /// The message without the id.
        message: &'static str,
    },
    /// Any other message.
    Message {
        /// The full name of its type.
        type_name: String,
        /// The message in protobuf.
        proto: Vec<u8>,
        /// The message in JSON, an object.
        json: String,
    },
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Error {
    /// An [`Error::Protocol`].
    pub fn protocol(code: Code, message: impl Into<String>) -> Self {
        Self::Protocol { code, message: message.into() }
    }

    /// The error in words, in `language` where it has a translation.
    pub fn to_status(&self, language: Language) -> Status {
        let plain = |code, message: String| Status { code, message, details: Vec::new() };
        match self {
            Self::Refused(refusal) => {
                let row = refusal.row();
                let text = match row.wording {
                    Wording::Text(text) => text.in_language(language),
                    Wording::Verbatim(text) => text,
                };
                match row.id {
                    Some(id) => Status {
                        code: row.code,
                        message: format!("{text} ({id})"),
                        details: vec![Detail::Error { id, message: text }],
                    },
                    None => plain(row.code, text.to_owned()),
                }
            }
            Self::Invalid(message) => plain(Code::InvalidArgument, message.clone()),
            Self::InstanceNotFound { origin, external_domain } => {
                let text = Text::InstanceNotFound.in_language(language);
                let message = format!(
                    "unable to set instance using origin {origin} (ExternalDomain is {external_domain}): \
                     ID=QUERY-1kIjX Message={text}"
                );
                plain(Code::NotFound, message)
            }
            Self::Protocol { code, message } | Self::Limit { code, message, .. } => {
                plain(*code, message.clone())
            }
            Self::Stated(status) => status.as_ref().clone(),
            Self::Unavailable { .. } => plain(Code::Unavailable, "the store is unavailable".to_owned()),
            Self::StoreFull { .. } => plain(Code::ResourceExhausted, "the store is full".to_owned()),
            Self::StoreDamaged { .. } => plain(Code::DataLoss, "the stored data is damaged".to_owned()),
            Self::Internal { .. } => Self::Refused(Refusal::Internal).to_status(language),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_named_refusal_carries_its_id_twice() {
        let status = Error::from(Refusal::GetAbsent).to_status(Language::En);
        assert_eq!(status.code, Code::NotFound);
        assert_eq!(status.message, "Metadata not found (QUERY-Rph32)");
        assert_eq!(status.details, [Detail::Error { id: "QUERY-Rph32", message: "Metadata not found" }]);
    }

    #[test]
    fn a_refusal_without_an_id_has_no_detail() {
        let status = Error::from(Refusal::AuthorizationMissing).to_status(Language::De);
        assert_eq!(
            status,
            Status {
                code: Code::Unauthenticated,
                message: "auth header missing".to_owned(),
                details: Vec::new()
            }
        );
    }

    #[test]
    fn ids_are_unique() {
        let ids: Vec<_> = Refusal::ALL.iter().filter_map(|refusal| refusal.id()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    }

    #[test]
    fn authorization_is_never_translated() {
        for &refusal in
            Refusal::ALL.iter().filter(|refusal| refusal.id().is_some_and(|id| id.starts_with("AUTH")))
        {
            let english = Error::from(refusal).to_status(Language::En);
            for &language in Language::ALL {
                assert_eq!(Error::from(refusal).to_status(language), english, "{refusal:?} in {language:?}");
            }
        }
    }

    #[test]
    fn every_text_is_in_every_language() {
        for &refusal in Refusal::ALL {
            let english = Error::from(refusal).to_status(Language::En).message;
            let Wording::Text(_) = refusal.row().wording else { continue };
            for &language in Language::ALL.iter().filter(|&&language| language != Language::En) {
                assert_ne!(
                    Error::from(refusal).to_status(language).message,
                    english,
                    "{refusal:?} in {language:?}"
                );
            }
        }
    }

    #[test]
    fn causes_stay_inside() {
        for error in
            [Error::Unavailable { cause: "disk 7".into() }, Error::Internal { cause: "disk 7".into() }]
        {
            assert!(!error.to_status(Language::En).message.contains("disk 7"));
        }
    }
}
