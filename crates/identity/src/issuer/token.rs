//! Tokens of other issuers, as they come.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use domain::Timestamp;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::{Issuer, IssuerKeys, TokenClaims, keys::Signature};

/// Longer ones are not looked at.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// What tokens may be signed with. Never a secret: whoever knows the public keys could take one for it.
const ALGORITHMS: [Algorithm; 9] = {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    [RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA]
};

/// What can be seen of a token that was not made here. Nothing of it is to be trusted.
pub enum Foreign<'t> {
    /// It is signed, and says by whom.
    Signed(SignedToken<'t>),
    /// It tells nothing but to who made it.
    Opaque,
}

/// A signed token (RFC 7519, in the compact form of RFC 7515). Until its signature was verified anybody may have made it.
pub struct SignedToken<'t> {
    algorithm: Algorithm,
    key: Option<String>,
    claims: TokenClaims,
    message: &'t str,
    signature: &'t str,
}

/// What a signed token is.
pub enum Verdict {
    /// Its issuer has made it, for us and for now. What it says.
    Good(TokenClaims),
    /// It is not good, whatever keys there are.
    Refused,
    /// It may be good, if the issuer has a key that is not known yet.
    KeyMissing,
}

impl<'t> Foreign<'t> {
    /// Looks at `text`; `None` if it cannot be a good token of anybody's.
    pub fn read(text: &'t str) -> Option<Self> {
        if text.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let Some((message, signature)) = text.rsplit_once('.') else { return Some(Self::Opaque) };
        let Some((header, claims)) = message.split_once('.').filter(|(_, claims)| !claims.contains('.'))
        else {
            return Some(Self::Opaque);
        };
        // What only looks like one is for its issuer to say.
        let Some(header) = object(header) else { return Some(Self::Opaque) };
        let claims = TokenClaims::read(&BASE64.decode(claims).ok()?)?;
        let (algorithm, key) = read_header(&header)?;
        Some(Self::Signed(SignedToken { algorithm, key, claims, message, signature }))
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&BASE64.decode(part).ok()?).ok()
}

/// The algorithm, and the id of the key; `None` if there is anything in it that would have to be understood.
fn read_header(header: &Map<String, Value>) -> Option<(Algorithm, Option<String>)> {
    let text = |name: &str| header.get(name).map(|value| value.as_str().ok_or(())).transpose().ok();
    let algorithm = text("alg")??.parse().ok().filter(|algorithm| ALGORITHMS.contains(algorithm))?;
    // Not what is signed for another purpose (RFC 8725, 3.11).
    let kind = text("typ")?.unwrap_or("jwt").to_ascii_lowercase();
    let kind = kind.strip_prefix("application/").unwrap_or(&kind);
    let is_plain = matches!(kind, "jwt" | "at+jwt") && !header.contains_key("crit");
    let key = text("kid")?.map(str::to_owned);
    is_plain.then_some((algorithm, key))
}

impl SignedToken<'_> {
    /// By whom it says that it was issued.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.issuer()
    }

    /// What it is, if it is of `issuer`, who has these keys, as far as is known. Signatures are looked at last: nothing has to be
    /// fetched for a token that is not good anyway.
    pub fn judge(self, issuer: &Issuer, keys: Option<&IssuerKeys>, now: Timestamp) -> Verdict {
        let is_acceptable = self.issuer() == Some(&issuer.url)
            && self.claims.expires().is_some()
            && issuer.accepts(&self.claims, now);
        if !is_acceptable {
            return Verdict::Refused;
        }
        let Some(keys) = keys else { return Verdict::KeyMissing };
        match keys.verify(self.key.as_deref(), self.algorithm, self.message, self.signature) {
            Signature::Right => Verdict::Good(self.claims),
            Signature::Wrong => Verdict::Refused,
            Signature::KeyMissing => Verdict::KeyMissing,
        }
    }
}
