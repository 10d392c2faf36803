//! Logins, and calls with the tokens that they get, beside the signatures alone.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use http::Request;
use http_body_util::{BodyExt, Full};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use serde_json::{Value, json};

use crate::{
    Error, Extent,
    binaries::Binaries,
    call::{Calls, Encoding, HOST, Operation, Protocol},
    directory::{Login, SECRET},
    figures::Spread,
    process::Server,
    side::{Side, fill},
};

const API: &str = "urn:zitadel:iam:org:project:id:zitadel:aud";
const VALUE_BYTES: usize = 100;

/// What was measured.
pub struct Logins {
    /// Microseconds of the server's CPU a request, by what was asked for.
    pub logins: Vec<(&'static str, Spread)>,
    /// The same, of a Get by the kind of token.
    pub gets: Vec<(&'static str, Spread)>,
    /// Microseconds to verify, and to make, an RSA signature of 2,048 bits: in this process, on one core.
    pub verify: f64,
    pub sign: f64,
}

/// Measures all, on the memory store.
pub async fn run(binaries: &Binaries, folder: &Path, extent: &Extent) -> Result<Logins, Error> {
    let login = Login::new()?;
    let server = Server::start(binaries.metagate_for(folder, &login)?)?;
    fill(&server, Encoding::Grpc, VALUE_BYTES).await?;
    let mut logins = Vec::new();
    for (name, form) in [
        ("by secret; opaque token", by_secret("bearer", API)),
        ("by key; opaque token", by_key("bearer", &login, API)?),
        ("by key; opaque token, id_token", by_key("bearer", &login, &format!("openid {API}"))?),
        ("by key; JWT, id_token", by_key("jwt", &login, &format!("openid {API}"))?),
    ] {
        eprintln!("login {name}");
        let calls = Arc::new(Calls::of(Protocol::Http1, vec![request(form)?]));
        logins.push((name, measure(&server, calls, extent).await?));
    }
    let mut gets = Vec::new();
    for (name, token) in [
        ("personal access token", crate::directory::token(0)),
        ("opaque access token", access_token(&server, by_secret("bearer", API)).await?),
        ("JWT access token", access_token(&server, by_secret("jwt", API)).await?),
    ] {
        eprintln!("Get with a {name}");
        let mut calls = Calls::new(Encoding::Rest, Operation::Get, VALUE_BYTES)?;
        for request in &mut calls.requests {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
        }
        gets.push((name, measure(&server, Arc::new(calls), extent).await?));
    }
    let (verify, sign) = signatures(&login)?;
    Ok(Logins { logins, gets, verify, sign })
}

async fn measure(server: &Server, calls: Arc<Calls>, extent: &Extent) -> Result<Spread, Error> {
    let mut side = Side::open(server, calls, extent).await?;
    for _ in 0..extent.pairs {
        side.round().await?;
    }
    Ok(Spread::of(side.cpu().iter().copied()))
}

fn by_secret(user: &str, scope: &str) -> String {
    format!(
        "grant_type=client_credentials&client_id={user}&client_secret={SECRET}&scope={}",
        scope.replace(' ', "+")
    )
}

fn by_key(user: &str, login: &Login, scope: &str) -> Result<String, Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let header = json!({"alg": "RS256", "kid": format!("key-of-{user}")});
    let claims =
        json!({"iss": user, "sub": user, "aud": format!("http://{HOST}"), "iat": now, "exp": now + 3600});
    let message = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    let signature = crypto::sign(message.as_bytes(), &private(login)?, Algorithm::RS256)?;
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    Ok(format!("grant_type={grant}&assertion={message}.{signature}&scope={}", scope.replace(' ', "+")))
}

fn private(login: &Login) -> Result<EncodingKey, Error> {
    Ok(EncodingKey::from_rsa_pem(login.private_key.as_bytes())?)
}

fn request(form: String) -> Result<Request<Full<bytes::Bytes>>, Error> {
    let request = Request::post("/oauth/v2/token").header("host", HOST);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    Ok(request.body(Full::new(form.into()))?)
}

async fn access_token(server: &Server, form: String) -> Result<String, Error> {
    let stream = tokio::net::TcpStream::connect(server.address).await?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    tokio::spawn(async move { drop(connection.await) });
    let answer = sender.send_request(request(form)?).await?.into_body().collect().await?.to_bytes();
    let answer: Value = serde_json::from_slice(&answer)?;
    Ok(answer["access_token"].as_str().ok_or_else(|| format!("no token: {answer}"))?.to_owned())
}

/// How long it takes to verify a signature, and to make one.
fn signatures(login: &Login) -> Result<(f64, f64), Error> {
    const ENOUGH: Duration = Duration::from_millis(300);

    let (private, public) = (private(login)?, DecodingKey::from_rsa_pem(login.public_key.as_bytes())?);
    let message = [7; 200];
    let signature = crypto::sign(&message, &private, Algorithm::RS256)?;
    let time = |work: &dyn Fn() -> Result<(), Error>| -> Result<f64, Error> {
        let (start, mut count) = (Instant::now(), 0.0);
        while start.elapsed() < ENOUGH {
            work()?;
            count += 1.0;
        }
        Ok(start.elapsed().as_secs_f64() * 1e6 / count)
    };
    let verify = || match crypto::verify(&signature, &message, &public, Algorithm::RS256)? {
        true => Ok(()),
        false => Err("a good signature is refused".into()),
    };
    let pair = aws_lc_rs::rsa::KeyPair::from_der(private.as_bytes()).map_err(|error| error.to_string())?;
    let sign = || {
        let mut signature = vec![0; pair.public_modulus_len()];
        let (encoding, random) =
            (&aws_lc_rs::signature::RSA_PKCS1_SHA256, aws_lc_rs::rand::SystemRandom::new());
        Ok(pair.sign(encoding, &random, &message, &mut signature).map_err(|error| error.to_string())?)
    };
    Ok((time(&verify)?, time(&sign)?))
}
