//! The keys of an issuer: fetched when they are needed, kept for a while, and longer while the issuer is away.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use identity::issuer::{Issuer, IssuerKeys, check_url};
use serde::Deserialize;

use super::health::Health;
use crate::outgoing::Outgoing;

/// How long keys are kept if the issuer does not say.
const KEPT: Duration = Duration::from_secs(300);
/// How long they are kept at least and at most, whatever it says.
const KEPT_MIN: Duration = Duration::from_secs(10);
const KEPT_MAX: Duration = Duration::from_secs(3600);
/// How soon keys are fetched again for one that is missing: anybody can name one.
const MISSING_AGAIN: Duration = Duration::from_secs(10);
/// How soon they are fetched again after that was in vain: with old ones at hand, and without.
const FAILED_AGAIN: Duration = Duration::from_secs(10);
const FAILED_AGAIN_WITHOUT: Duration = Duration::from_secs(1);

/// Where the keys of an issuer are, and what they are as far as is known.
pub(super) struct Keys {
    issuer: String,
    jwks: Option<String>,
    outgoing: Arc<Outgoing>,
    state: Mutex<State>,
    /// Held by who fetches.
    fetching: tokio::sync::Mutex<()>,
    health: Health,
}

#[derive(Default)]
struct State {
    keys: Option<Arc<IssuerKeys>>,
    /// From then on they are to be fetched.
    due: Option<Instant>,
    /// Whether the last attempt was in vain.
    is_failing: bool,
    /// How often they were fetched, also in vain.
    attempts: u64,
    /// When they were last fetched for one that was missing.
    missed: Option<Instant>,
}

/// What there is to judge a signature by.
pub(super) enum Ready {
    /// Keys, which may lack the newest.
    Keys(Arc<IssuerKeys>),
    /// They have to be fetched first.
    Fetch(Fetch),
}

/// Keys that have to be fetched.
pub(super) struct Fetch {
    keys: Arc<Keys>,
    /// Unless somebody else has fetched them since.
    attempts: u64,
    is_for_missing: bool,
}

impl Keys {
    pub(super) fn new(issuer: &Issuer, outgoing: Arc<Outgoing>) -> Self {
        Self {
            issuer: issuer.url().to_owned(),
            jwks: issuer.jwks().map(str::to_owned),
            outgoing,
            state: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            health: Health::default(),
        }
    }

    /// Whether it would be the same for `issuer`.
    pub(super) fn are_of(&self, issuer: &Issuer, outgoing: &Outgoing) -> bool {
        self.issuer == issuer.url()
            && self.jwks.as_deref() == issuer.jwks()
            && self.outgoing.trusts_as(outgoing)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is. Old keys stay good while the issuer is away: then nobody waits, and it is tried again behind their backs.
    pub(super) fn ready(self: &Arc<Self>, now: Instant) -> Ready {
        let state = self.state();
        let fetch = Fetch { keys: self.clone(), attempts: state.attempts, is_for_missing: false };
        match &state.keys {
            None => Ready::Fetch(fetch),
            Some(keys) if state.due.is_some_and(|due| now < due) => Ready::Keys(keys.clone()),
            Some(keys) if state.is_failing => {
                if self.fetching.try_lock().is_ok() {
                    tokio::spawn(fetch.fetched());
                }
                Ready::Keys(keys.clone())
            }
            Some(_) => Ready::Fetch(fetch),
        }
    }

    /// How to get a key that is missing; `None` if that was tried just now.
    pub(super) fn missing(self: &Arc<Self>, now: Instant) -> Option<Fetch> {
        let state = self.state();
        let is_soon = state.missed.is_some_and(|then| now.duration_since(then) < MISSING_AGAIN);
        let fetch = Fetch { keys: self.clone(), attempts: state.attempts, is_for_missing: true };
        (!is_soon).then_some(fetch)
    }

    /// Fetches, one at a time. Whether there are keys.
    async fn fetch(&self, attempts: u64, is_for_missing: bool) -> bool {
        let _fetching = self.fetching.lock().await;
        {
            let state = self.state();
            let is_soon = state.keys.is_none() && state.due.is_some_and(|due| Instant::now() < due);
            if state.attempts != attempts || is_soon {
                return state.keys.is_some();
            }
        }
        let fetched = self.fetched().await;
        let now = Instant::now();
        self.health.note(&self.issuer, "keys", fetched.as_ref().err());
        let mut state = self.state();
        state.attempts += 1;
        if is_for_missing {
            // Not before: who misses one meanwhile waits for the same.
            state.missed = Some(now);
        }
        state.is_failing = fetched.is_err();
        state.due = Some(match fetched {
            Ok((keys, kept)) => {
                state.keys = Some(Arc::new(keys));
                now + kept
            }
            Err(_) if state.keys.is_some() => now + FAILED_AGAIN,
            Err(_) => now + FAILED_AGAIN_WITHOUT,
        });
        state.keys.is_some()
    }

    async fn fetched(&self) -> Result<(IssuerKeys, Duration), String> {
        let url = match &self.jwks {
            Some(url) => url.clone(),
            None => self.discovered().await?,
        };
        let (headers, body) = self.get(&url).await?;
        let keys = IssuerKeys::read(&body).map_err(|error| format!("{url}: {error}"))?;
        Ok((keys, kept(&headers)))
    }

    /// Where the issuer says that its keys are (OpenID Connect Discovery 1.0, 4).
    async fn discovered(&self) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Discovery {
            issuer: String,
            jwks_uri: String,
        }
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let (_, body) = self.get(&url).await?;
        let found: Discovery = serde_json::from_slice(&body).map_err(|error| format!("{url}: {error}"))?;
        if found.issuer != self.issuer {
            return Err(format!("{url}: it is of another issuer, {:?}", found.issuer));
        }
        // Not less safe than where it was said.
        let is_safe = found.jwks_uri.starts_with("https:") || !url.starts_with("https:");
        if check_url(&found.jwks_uri).is_err() || !is_safe {
            return Err(format!("{url}: keys are not taken from {:?}", found.jwks_uri));
        }
        Ok(found.jwks_uri)
    }

    async fn get(&self, url: &str) -> Result<(HeaderMap, Bytes), String> {
        let request = Request::get(url).header(header::ACCEPT, "application/json").body(Bytes::new());
        let request = request.map_err(|error| format!("{url:?}: {error}"))?;
        let answer = self.outgoing.send(request).await?;
        if answer.status == StatusCode::OK {
            Ok((answer.headers, answer.body))
        } else {
            Err(format!("{url}: {}", answer.status))
        }
    }
}

impl Fetch {
    /// Fetches them. Goes on if nobody waits any more, so that a slow issuer is heard in the end. Whether there are keys now.
    pub(super) async fn done(self) -> bool {
        tokio::spawn(self.fetched()).await.unwrap_or(false)
    }

    async fn fetched(self) -> bool {
        self.keys.fetch(self.attempts, self.is_for_missing).await
    }
}

/// How long keys are kept that came with these headers.
fn kept(headers: &HeaderMap) -> Duration {
    let directives = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut directives = directives.flat_map(|value| value.split(','));
    let max_age = directives.find_map(|directive| {
        let (name, seconds) = directive.trim().split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| seconds.trim_matches('"').parse().ok())?
    });
    max_age.map_or(KEPT, |seconds| Duration::from_secs(seconds).clamp(KEPT_MIN, KEPT_MAX))
}

#[cfg(test)]
mod tests {
    use identity::Directory;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        task::JoinHandle,
    };

    use super::*;

    /// An issuer without keys at all.
    fn serve(listener: TcpListener) -> JoinHandle<()> {
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let reply =
                    b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\n{\"keys\":[]}";
                let _ = stream.write_all(reply).await;
            }
        })
    }

    fn keys_at(address: std::net::SocketAddr) -> Arc<Keys> {
        let text = format!(
            "[instance]\nid = \"1\"\n[[issuer]]\nurl = \"http://{address}\"\naudience = [\"a\"]\n\
             user_claim = \"sub\"\njwks = \"http://{address}/\"\n"
        );
        let directory = Directory::parse(&text, "directory.toml").unwrap();
        let outgoing = Outgoing::new(1024, Duration::from_secs(60)).unwrap();
        Arc::new(Keys::new(&directory.issuers()[0].issuer, outgoing.into()))
    }

    #[tokio::test]
    async fn keys_that_are_old_are_fetched_again_and_kept_while_nobody_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let keys = keys_at(address);
        let serving = serve(listener);
        let Ready::Fetch(fetch) = keys.ready(Instant::now()) else { panic!("there are none yet") };
        assert!(fetch.done().await);
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        let is_ready = |at| matches!(keys.ready(at), Ready::Keys(_));
        assert!(is_ready(after(299)) && !is_ready(after(301)));

        serving.abort();
        let _ = serving.await;
        let Ready::Fetch(fetch) = keys.ready(after(301)) else { panic!("they are old") };
        assert!(fetch.done().await, "the old ones are kept");
        assert!(keys.state().is_failing && is_ready(after(5)));

        // From then on it is tried again, while nobody waits.
        let attempts = keys.state().attempts;
        assert!(is_ready(after(5)) && keys.state().attempts == attempts);
        let serving = serve(TcpListener::bind(address).await.unwrap());
        assert!(is_ready(after(4000)));
        while keys.state().attempts == attempts {
            tokio::task::yield_now().await;
        }
        assert!(!keys.state().is_failing && !is_ready(after(301)));
        serving.abort();
    }

    #[tokio::test]
    async fn who_names_a_key_that_is_missing_has_them_fetched_once_in_ten_seconds() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let keys = keys_at(listener.local_addr().unwrap());
        let serving = serve(listener);
        let together = [(); 3].map(|()| keys.missing(Instant::now()).unwrap());
        for fetch in together {
            assert!(fetch.done().await);
        }
        assert_eq!(keys.state().attempts, 1);
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert!(keys.missing(after(9)).is_none() && keys.missing(after(10)).is_some());
        serving.abort();
    }

    #[tokio::test]
    async fn nobody_who_is_away_is_asked_all_the_time() {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let keys = keys_at(address);
        for _ in 0..3 {
            let Ready::Fetch(fetch) = keys.ready(Instant::now()) else { panic!("there are none") };
            assert!(!fetch.done().await);
        }
        assert!(keys.state().attempts < 3);
    }

    #[test]
    fn keys_are_kept_as_long_as_their_issuer_says_within_limits() {
        for (value, want) in [
            (None, 300),
            (Some("max-age=60"), 60),
            (Some("public, Max-Age=\"3599\", must-revalidate"), 3599),
            (Some("max-age=3601"), 3600),
            (Some("max-age=18446744073709551615"), 3600),
            (Some("max-age=0"), 10),
            (Some("max-age=-1"), 300),
            (Some("max-age=18446744073709551616"), 300),
            (Some("max-age"), 300),
            (Some("s-maxage=60"), 300),
            (Some("no-store"), 300),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(value.map(|value| (header::CACHE_CONTROL, value.parse().unwrap())));
            assert_eq!(kept(&headers), Duration::from_secs(want), "{value:?}");
        }
    }
}
