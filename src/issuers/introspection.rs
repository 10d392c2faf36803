//! What tokens are that only their issuer can read: asked for (RFC 7662), and kept for a short while.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::Timestamp;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use http::{HeaderValue, Request, StatusCode, header};
use identity::issuer::{Introspection, TokenClaims};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::health::Health;
use crate::outgoing::Outgoing;

/// How long it is kept that a token is good, at most and at least, and that it is not.
const GOOD_KEPT: Duration = Duration::from_secs(60);
const GOOD_KEPT_MIN: Duration = Duration::from_secs(1);
const BAD_KEPT: Duration = Duration::from_secs(10);
/// How many answers are kept.
const ANSWERS_MAX: usize = 10_000;
/// How many questions are on their way at once; further ones wait.
const QUESTIONS_MAX: usize = 32;
/// How long one waits for that.
const PLACE_WAIT: Duration = Duration::from_secs(5);

/// What a name or secret must not show in Basic authentication (RFC 6749, 2.3.1): only what would be misread, as there are
/// servers that decode nothing.
const MISREAD: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'+').add(b':');

/// Who is asked, and what it has told.
pub(super) struct Introspector {
    issuer: String,
    settings: Introspection,
    authorization: HeaderValue,
    outgoing: Arc<Outgoing>,
    places: Semaphore,
    told: Mutex<Told>,
    health: Health,
}

/// The SHA-256 of a token.
type Hash = [u8; 32];
/// A question on its way. Whether it was answered.
type Asking = Shared<BoxFuture<'static, bool>>;

#[derive(Default)]
struct Told {
    answers: HashMap<Hash, (Option<Arc<TokenClaims>>, Instant)>,
    /// As they came, and until when they count.
    order: VecDeque<(Hash, Instant)>,
    asking: HashMap<Hash, Asking>,
}

impl Introspector {
    /// `None` if a header cannot hold the secret.
    pub(super) fn new(
        issuer: &str,
        settings: &Introspection,
        secret: &SecretSlice<u8>,
        outgoing: Arc<Outgoing>,
    ) -> Option<Self> {
        let client = utf8_percent_encode(&settings.client_id, MISREAD);
        let credentials = format!("{client}:{}", percent_encode(secret.expose_secret(), MISREAD));
        let mut authorization =
            HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(credentials))).ok()?;
        authorization.set_sensitive(true);
        Some(Self {
            issuer: issuer.to_owned(),
            settings: settings.clone(),
            authorization,
            outgoing,
            places: Semaphore::new(QUESTIONS_MAX),
            told: Mutex::default(),
            health: Health::default(),
        })
    }

    /// Whether the other would ask the same.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let known = (&self.issuer, &self.settings, &self.authorization);
        known == (&other.issuer, &other.settings, &other.authorization)
            && self.outgoing.trusts_as(&other.outgoing)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it has told of a token: what it is, or that it is not good. `None` if that is not known.
    pub(super) fn answer(&self, token: &str, now: Instant) -> Option<Option<Arc<TokenClaims>>> {
        let told = self.told();
        let (answer, until) = told.answers.get(&hash(token))?;
        (now < *until).then(|| answer.clone())
    }

    /// Asks, unless somebody else does: then waits for the same answer. Goes on if nobody waits any more. Whether there is one.
    pub(super) async fn ask(self: &Arc<Self>, token: &str) -> bool {
        let asking = {
            let key = hash(token);
            let ask = || {
                let (introspector, token) = (self.clone(), token.to_owned());
                let task = tokio::spawn(async move { introspector.find_out(key, &token).await });
                task.map(|told| told.unwrap_or(false)).boxed().shared()
            };
            self.told().asking.entry(key).or_insert_with(ask).clone()
        };
        asking.await
    }

    async fn find_out(&self, key: Hash, token: &str) -> bool {
        let answer = self.asked(token).await;
        self.health.note(&self.issuer, "introspection", answer.as_ref().err());
        let mut told = self.told();
        told.asking.remove(&key);
        match answer {
            Ok(answer) => told.keep(key, answer, Instant::now(), Timestamp::now()),
            Err(_) => return false,
        }
        true
    }

    async fn asked(&self, token: &str) -> Result<TokenClaims, String> {
        let place = tokio::time::timeout(PLACE_WAIT, self.places.acquire()).await;
        let url = &self.settings.url;
        let _place = place.map_err(|_| format!("{url}: too many questions are on their way"))?;
        let form =
            format!("token={}&token_type_hint=access_token", utf8_percent_encode(token, NON_ALPHANUMERIC));
        let request = Request::post(url)
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(Bytes::from(form));
        let request = request.map_err(|error| format!("{url:?}: {error}"))?;
        let answer = self.outgoing.send(request).await?;
        if answer.status != StatusCode::OK {
            return Err(format!("{url}: {}", answer.status));
        }
        let claims = TokenClaims::read(&answer.body).filter(|claims| claims.is_active().is_some());
        claims.ok_or_else(|| format!("{url}: not what was asked for"))
    }
}

impl Told {
    /// Keeps an answer. The oldest make room.
    fn keep(&mut self, key: Hash, answer: TokenClaims, now: Instant, time: Timestamp) {
        #[expect(clippy::cast_precision_loss, reason = "until the year 2255 it is exact to the microsecond")]
        let left = answer.expires().map_or(f64::INFINITY, |expires| expires - time.as_micros() as f64 / 1e6);
        let is_active = answer.is_active() == Some(true);
        // By our clock it may be over already; then how far clocks may differ decides whether it is.
        let kept = if is_active && left > 0.0 {
            Duration::try_from_secs_f64(left).map_or(GOOD_KEPT, |left| left.clamp(GOOD_KEPT_MIN, GOOD_KEPT))
        } else {
            BAD_KEPT
        };
        let answer = is_active.then(|| Arc::new(answer));
        let until = now + kept;
        while self.order.len() >= ANSWERS_MAX || self.order.front().is_some_and(|(_, until)| *until <= now) {
            let Some((key, until)) = self.order.pop_front() else { break };
            // It may have been asked for again since.
            if self.answers.get(&key).is_some_and(|(_, kept)| *kept == until) {
                self.answers.remove(&key);
            }
        }
        self.order.push_back((key, until));
        self.answers.insert(key, (answer, until));
    }
}

fn hash(token: &str) -> Hash {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_795_449_968;

    fn keep(told: &mut Told, token: &str, answer: &Value, now: Instant) {
        let answer = TokenClaims::read(answer.to_string().as_bytes()).unwrap();
        told.keep(hash(token), answer, now, Timestamp::from_micros(NOW * 1_000_000));
    }

    #[test]
    fn how_long_an_answer_is_kept() {
        for (answer, is_good, seconds) in [
            (json!({"active": true}), true, 60),
            (json!({"active": true, "exp": NOW + 61}), true, 60),
            (json!({"active": true, "exp": NOW + 59}), true, 59),
            (json!({"active": true, "exp": NOW as f64 + 0.1}), true, 1),
            // Whether it is good is judged at each call.
            (json!({"active": true, "exp": NOW}), true, 10),
            (json!({"active": true, "exp": NOW - 1}), true, 10),
            (json!({"active": true, "exp": 1e300}), true, 60),
            (json!({"active": true, "exp": "x"}), true, 60),
            (json!({"active": false}), false, 10),
            (json!({"active": false, "exp": NOW + 600}), false, 10),
        ] {
            let (mut told, now) = (Told::default(), Instant::now());
            keep(&mut told, "t", &answer, now);
            let (kept, until) = &told.answers[&hash("t")];
            let want = (is_good, now + Duration::from_secs(seconds));
            assert_eq!((kept.is_some(), *until), want, "{answer}");
        }
    }

    #[test]
    fn no_more_answers_are_kept_than_may_be() {
        let (mut told, start) = (Told::default(), Instant::now());
        let active = json!({"active": true});
        for number in 0..ANSWERS_MAX + 10 {
            keep(&mut told, &number.to_string(), &active, start);
            assert!(told.answers.len() <= ANSWERS_MAX && told.order.len() <= ANSWERS_MAX);
        }
        assert!(!told.answers.contains_key(&hash("9")) && told.answers.contains_key(&hash("10")));
        // What is over makes room, and what was asked for again stays.
        let (mut told, later) = (Told::default(), start + Duration::from_secs(60));
        keep(&mut told, "a", &active, start);
        keep(&mut told, "b", &active, start);
        keep(&mut told, "a", &active, start + Duration::from_secs(1));
        keep(&mut told, "c", &active, later);
        let is_kept = ["a", "b", "c"].map(|token| told.answers.contains_key(&hash(token)));
        assert_eq!((is_kept, told.order.len()), ([true, false, true], 2));
    }
}
