//! Tokens of other issuers: what there is to know is fetched, and kept; whether a token is good `identity` says.

mod health;
mod introspection;
mod keys;

use std::{fmt, fs, path::Path, sync::Arc, time::Duration, time::Instant};

use domain::{Code, Error, Timestamp};
use identity::{
    Caller, DirectoryIssuer, Identity, Problem,
    issuer::{Foreign, Issuer, SignedToken, Verdict},
};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::outgoing::Outgoing;
use introspection::Introspector;
use keys::{Fetch, Keys, Ready};

/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// How long an answer may take.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// All issuers of a directory, in its order.
#[derive(Default)]
pub struct Issuers {
    issuers: Vec<Remote>,
}

/// An issuer, and what is known of it.
struct Remote {
    issuer: Arc<Issuer>,
    keys: Arc<Keys>,
    introspector: Option<Arc<Introspector>>,
}

/// Who calls, as far as is known without asking anybody.
pub enum Known {
    /// Somebody.
    Caller(Caller),
    /// Nobody: the token is not good.
    Nobody,
    /// An issuer has to be asked first.
    Ask(Question),
}

/// What an issuer has to be asked. Then it is known who calls.
pub struct Question(Asked);

enum Asked {
    Keys(Fetch),
    /// What a token is; of whom.
    Token(SecretString, Vec<(Arc<Issuer>, Arc<Introspector>)>),
}

impl Issuers {
    /// The issuers of a directory. What `before` knows of them is taken over.
    ///
    /// # Errors
    /// If the secret or the roots of one cannot be used, or the system's certificates.
    pub fn open(directory: &[DirectoryIssuer], before: &Self) -> Result<Self, Problem> {
        let Some(first) = directory.first() else { return Ok(Self::default()) };
        let outgoing = Outgoing::new(ANSWER_BYTES_MAX, ANSWER_WAIT);
        let outgoing = Arc::new(outgoing.map_err(|error| first.place.with_text(error))?);
        let issuers = directory.iter().map(|written| Remote::open(written, &outgoing, before));
        Ok(Self { issuers: issuers.collect::<Result<_, _>>()? })
    }

    /// Who calls with a token that is none of ours, or not good. `identity` knows the users.
    pub fn known(&self, token: &str, identity: &Identity) -> Known {
        if self.issuers.is_empty() {
            return Known::Nobody;
        }
        match Foreign::read(token) {
            Some(Foreign::Signed(signed)) => self.signed(signed, identity),
            Some(Foreign::Opaque) if !identity.is_own(token) => self.opaque(token, identity),
            _ => Known::Nobody,
        }
    }

    fn signed(&self, token: SignedToken<'_>, identity: &Identity) -> Known {
        let of = |remote: &&Remote| Some(remote.issuer.url()) == token.issuer();
        let Some(Remote { issuer, keys, .. }) = self.issuers.iter().find(of) else { return Known::Nobody };
        let (now, ready) = (Timestamp::now(), keys.ready(Instant::now()));
        let known = match &ready {
            Ready::Keys(known) => Some(&**known),
            Ready::Fetch(_) => None,
        };
        match (token.judge(issuer, known, now), ready) {
            (Verdict::Good(claims), _) => {
                issuer.caller(&claims, &identity.accounts).map_or(Known::Nobody, Known::Caller)
            }
            (Verdict::Refused, _) => Known::Nobody,
            (Verdict::KeyMissing, Ready::Fetch(fetch)) => Known::Ask(Question(Asked::Keys(fetch))),
            (Verdict::KeyMissing, Ready::Keys(_)) => keys
                .missing(Instant::now())
                .map_or(Known::Nobody, |fetch| Known::Ask(Question(Asked::Keys(fetch)))),
        }
    }

    fn opaque(&self, token: &str, identity: &Identity) -> Known {
        let mut unasked = Vec::new();
        for Remote { issuer, introspector, .. } in &self.issuers {
            let Some(introspector) = introspector else { continue };
            match introspector.answer(token, Instant::now()) {
                None => unasked.push((issuer.clone(), introspector.clone())),
                Some(Some(answer)) if issuer.vouches(&answer, Timestamp::now()) => {
                    return issuer.caller(&answer, &identity.accounts).map_or(Known::Nobody, Known::Caller);
                }
                Some(_) => {}
            }
        }
        if unasked.is_empty() {
            return Known::Nobody;
        }
        Known::Ask(Question(Asked::Token(token.into(), unasked)))
    }
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.issuers.iter().map(|remote| &remote.issuer)).finish()
    }
}

impl Remote {
    fn open(written: &DirectoryIssuer, outgoing: &Arc<Outgoing>, before: &Issuers) -> Result<Self, Problem> {
        let issuer = written.issuer.clone();
        let own = match issuer.ca() {
            None => None,
            Some(path) => {
                let problem = |text: String| written.ca_place.with_text(format!("{path}: {text}"));
                let roots = fs::read(path).map_err(|error| problem(error.to_string()))?;
                let own = Outgoing::with_roots(ANSWER_BYTES_MAX, ANSWER_WAIT, roots).map_err(problem)?;
                Some(Arc::new(own))
            }
        };
        let outgoing = own.as_ref().unwrap_or(outgoing);
        let known =
            before.issuers.iter().map(|remote| &remote.keys).find(|keys| keys.are_of(&issuer, outgoing));
        let keys = known.cloned().unwrap_or_else(|| Arc::new(Keys::new(&issuer, outgoing.clone())));
        let introspector = match issuer.introspection() {
            None => None,
            Some(settings) => {
                let path = Path::new(&settings.client_secret_file);
                let problem = |text: String| written.place.with_text(format!("{}: {text}", path.display()));
                let secret = fs::read(path).map_err(|error| problem(error.to_string()))?;
                let secret = SecretSlice::from(secret.trim_ascii_end().to_vec());
                let new = if secret.expose_secret().is_empty() {
                    None
                } else {
                    Introspector::new(issuer.url(), settings, &secret, outgoing.clone())
                };
                let new = new.ok_or_else(|| problem("there is no secret in it".to_owned()))?;
                let known = before.issuers.iter().filter_map(|remote| remote.introspector.as_ref());
                let mut known = known.filter(|known| known.is_as(&new));
                Some(known.next().cloned().unwrap_or_else(|| Arc::new(new)))
            }
        };
        Ok(Self { issuer, keys, introspector })
    }
}

impl Question {
    /// Asks. What is answered will be known.
    ///
    /// # Errors
    /// If nobody has answered who could tell.
    pub async fn ask(self) -> Result<(), Error> {
        let is_answered = match self.0 {
            Asked::Keys(fetch) => fetch.done().await,
            Asked::Token(token, issuers) => {
                let mut is_answered = true;
                for (issuer, introspector) in issuers {
                    is_answered &= introspector.ask(token.expose_secret()).await;
                    let answer = introspector.answer(token.expose_secret(), Instant::now()).flatten();
                    if answer.is_some_and(|answer| issuer.vouches(&answer, Timestamp::now())) {
                        return Ok(());
                    }
                }
                is_answered
            }
        };
        if is_answered { Ok(()) } else { Err(unavailable()) }
    }
}

/// What a caller is told whose token nobody can judge now.
pub fn unavailable() -> Error {
    Error::protocol(Code::Unavailable, "the issuer of the token cannot be asked")
}
