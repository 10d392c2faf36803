//! Who a token's user is (contract-identity 1.9).

use identity::{Identified, Token, oauth::Claims};

use super::{
    endpoint::{Call, Outcome},
    introspection::PERSONAL_SCOPES,
    reply::{self, Failure},
};
use crate::authority::State;

const INVALID: Failure = Failure::Unauthorized("access_denied", "access token invalid");

pub(super) async fn answer(call: &Call) -> Outcome {
    let header = call.authorization().and_then(|value| value.to_str().ok());
    let token = header.and_then(|header| header.strip_prefix("Bearer ")).or(call.form.filled("access_token"));
    let token = token.ok_or(Failure::Unauthorized("invalid_request", "access token missing"))?;
    let Identified { caller: user, token } = call.identify(token.trim()).await?.ok_or(INVALID)?;
    let home = call.home(&user).await?.ok_or(INVALID)?;
    call.head.record.caller(user.user());
    let scopes = match token {
        Token::Access(token) => token.scopes,
        Token::Personal { .. } => PERSONAL_SCOPES.map(str::to_owned).to_vec(),
    };
    let mut claims = Claims::default();
    claims.push("sub", user.user().as_str()).push_profile(&user, &scopes).push_urns(&user, &home, &scopes);
    Ok(reply::json(&claims))
}

impl Call {
    /// Whose token this is, and what is known of it.
    pub(super) async fn identify(&self, token: &str) -> Result<Option<Identified>, Failure> {
        let identify = |state: &State| state.identity.identify(token, &|| self.issuer.clone(), self.now);
        Ok(self.find(identify).await?.1)
    }
}
