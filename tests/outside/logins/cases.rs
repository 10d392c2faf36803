//! The cases, one after the other.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::{directory, keys};
use crate::{client::raw, server::Server};

const HOST: &str = "localhost:8080";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A server with the users of the cases.
fn serve() -> Server {
    Server::start_of(&directory::text(), &["--storage", "memory:"])
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// `${NAME}` becomes `NAME`; a time becomes one.
fn resolve(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(plain(text)),
        Value::Array(values) => values.iter().map(resolve).collect(),
        Value::Object(members) => {
            let at = |offset: &Value| match offset.as_i64() {
                Some(offset) => json!(now() + offset),
                None => json!(now() as f64 + offset.as_f64().unwrap()),
            };
            match (members.get("now"), members.get("now_text")) {
                (Some(offset), _) => at(offset),
                (None, Some(offset)) => json!(at(offset).to_string()),
                _ => members
                    .iter()
                    .map(|(name, value)| (name.clone(), resolve(value)))
                    .collect::<Map<_, _>>()
                    .into(),
            }
        }
        other => other.clone(),
    }
}

/// With the names of things in place of `${NAME}`; organizations' names are such that domains can be made of them.
fn plain(text: &str) -> String {
    let mut parts = text.split("${");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap();
        if name.starts_with("ORG") && name.ends_with("_NAME") {
            plain.push_str(&name.to_lowercase().replace('_', "-"));
        } else {
            plain.push_str(name);
        }
        plain.push_str(rest);
    }
    plain
}

fn encoded(form: &[(String, String)]) -> String {
    let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    form.iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect::<Vec<_>>()
        .join("&")
}

struct Answer {
    status: u64,
    head: String,
    body: String,
}

async fn send(server: &Server, method: &str, path: &str, headers: &[(String, String)], body: &str) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request.push_str(&format!("host: {HOST}\r\n"));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let answer = raw(server.address, request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// What a login that says this is answered.
pub async fn send_form(server: &Server, form: &[(String, String)]) -> Value {
    let headers = [("host".to_owned(), server.address.to_string()), form_type()];
    serde_json::from_str(&send(server, "POST", "/oauth/v2/token", &headers, &encoded(form)).await.body)
        .unwrap()
}

fn form_type() -> (String, String) {
    ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())
}

/// What a login gets.
async fn login(server: &Server, login: &Value) -> String {
    let text = |name: &str| plain(login[name].as_str().unwrap_or_default());
    let (user, host) = (text("user"), login["host"].as_str().unwrap_or(HOST));
    let mut form = vec![("scope".to_owned(), text("scope"))];
    let mut say = |name: &str, value: String| form.push((name.to_owned(), value));
    if text("grant") == "client_credentials" {
        say("grant_type", "client_credentials".to_owned());
        say("client_id", format!("NAME_{user}"));
        say("client_secret", format!("SECRET_{user}"));
    } else {
        let id = format!("USER_{user}");
        let claims =
            json!({"iss": id, "sub": id, "aud": format!("http://{host}"), "iat": now(), "exp": now() + 60});
        let header = json!({"alg": "RS256", "kid": format!("KEYID_{user}")});
        say("grant_type", JWT_BEARER.to_owned());
        say("assertion", keys::signed(&header, &claims, "own"));
    }
    let headers = [("host".to_owned(), host.to_owned()), form_type()];
    let answer = send(server, "POST", "/oauth/v2/token", &headers, &encoded(&form)).await;
    assert_eq!(answer.status, 200, "{login}: {}", answer.body);
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    match login["use"].as_str() {
        Some("id_token") => answer["id_token"].as_str().unwrap().to_owned(),
        Some(_) => {
            let token = answer["access_token"].as_str().unwrap();
            let (message, signature) = token.rsplit_once('.').unwrap();
            format!("{message}.{}", signature.chars().rev().collect::<String>())
        }
        None => answer["access_token"].as_str().unwrap().to_owned(),
    }
}

/// With what differs from one time to the next masked.
fn masked(value: &Value) -> Value {
    let Value::Object(members) = value else { return value.clone() };
    let masked = members.iter().map(|(name, value)| {
        let value = match name.as_str() {
            "exp" | "iat" | "nbf" | "auth_time" | "updated_at" => json!(value.is_i64()),
            "jti" => json!(value.as_str().unwrap().replace(|c: char| c.is_ascii_digit(), "0")),
            "at_hash" => json!(value.as_str().unwrap().len()),
            "access_token" | "id_token" => json!("$TOKEN"),
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    masked.collect::<Map<_, _>>().into()
}

/// Without what is not there: users have no metadata, and a personal access token of the file has no time of its making.
fn without_what_is_not_there(want: &mut Value, members: &mut Vec<String>) {
    let mut gone = vec!["urn:zitadel:iam:user:metadata"];
    if want["jti"].as_str().is_some_and(|id| !id.starts_with("V2_")) {
        gone.extend(["iat", "nbf"]);
    }
    if let Value::Object(want) = want {
        want.retain(|name, _| !gone.contains(&name.as_str()));
    }
    members.retain(|name| !gone.contains(&name.as_str()));
}

/// The names of an object's members, in their order.
fn members(object: &str) -> Vec<String> {
    let (mut names, mut depth, mut text, mut is_name) = (Vec::new(), 0, None::<String>, true);
    let mut chars = object.chars();
    while let Some(c) = chars.next() {
        match (&mut text, c) {
            (Some(text), '\\') => text.extend(chars.next()),
            (Some(_), '"') => {
                let ended = text.take().unwrap();
                if depth == 1 && is_name {
                    names.push(ended);
                }
            }
            (Some(text), c) => text.push(c),
            (None, '"') => text = Some(String::new()),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth -= 1,
            (None, ':') if depth == 1 => is_name = false,
            (None, ',') if depth == 1 => is_name = true,
            _ => {}
        }
    }
    names
}

fn names(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|name| plain(name.as_str().unwrap())).collect()
}

/// The claims of a signed token, as text.
fn claims(token: &Value) -> String {
    let part = token.as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    String::from_utf8(BASE64.decode(part).unwrap()).unwrap()
}

async fn play(server: &Server, case: &Value) -> Result<(), String> {
    let token = match &case["login"] {
        Value::Null => None,
        spec => Some(login(server, spec).await),
    };
    let assertion = match &case["assertion"] {
        Value::Null => None,
        spec => Some(keys::signed(
            &resolve(&spec["header"]),
            &resolve(&spec["claims"]),
            spec["sign"].as_str().unwrap(),
        )),
    };
    let fill = |text: &Value| {
        let mut text = text.as_str().unwrap().to_owned();
        for (name, value) in [("${TOKEN}", &token), ("${ASSERTION}", &assertion)] {
            if let Some(value) = value {
                text = text.replace(name, value);
            }
        }
        plain(&text)
    };
    let pairs = |list: &Value| match list {
        Value::Array(list) => {
            list.iter().map(|pair| (pair[0].as_str().unwrap().to_owned(), fill(&pair[1]))).collect()
        }
        _ => Vec::new(),
    };
    let mut headers: Vec<(String, String)> = pairs(&case["headers"]);
    if let [name, secret] = &case["basic"].as_array().cloned().unwrap_or_default()[..] {
        let basic = STANDARD.encode(format!("{}:{}", fill(name), fill(secret)));
        headers.push(("authorization".to_owned(), format!("Basic {basic}")));
    }
    let body = match &case["body"] {
        Value::Null => encoded(&pairs(&case["form"])),
        body => fill(body),
    };
    let answer = send(server, case["method"].as_str().unwrap(), &fill(&case["path"]), &headers, &body).await;

    let want = resolve(&case["want"]);
    let differs = |what: &str, got: &dyn std::fmt::Debug, want: &dyn std::fmt::Debug| {
        Err(format!("{}: {what}\n  got  {got:?}\n  want {want:?}\n  in {}", case["name"], answer.body))
    };
    if answer.status != want["status"].as_u64().unwrap() {
        return differs("status", &answer.status, &want["status"]);
    }
    if let Some(kind) = want["type"].as_str().filter(|kind| !kind.is_empty())
        && !answer.head.contains(&format!("content-type: {kind}"))
    {
        return differs("content type", &answer.head, &kind);
    }
    if let Some(text) = want["text"].as_str()
        && answer.body != text
    {
        return differs("text", &answer.body, &text);
    }
    if want["json"].is_null() {
        return Ok(());
    }
    let Ok(got) = serde_json::from_str::<Value>(&answer.body) else {
        return differs("JSON", &answer.body, &want["json"]);
    };
    if want["part"] == true {
        let same = got["issuer"] == want["json"]["issuer"];
        return if same { Ok(()) } else { differs("issuer", &got["issuer"], &want["json"]["issuer"]) };
    }
    let compare = |what: &str, text: &str, wanted: &Value, order: &Value| {
        let got: Value = serde_json::from_str(text).unwrap();
        let (mut wanted, mut order) = (wanted.clone(), names(order));
        without_what_is_not_there(&mut wanted, &mut order);
        if masked(&got) != masked(&wanted) {
            return differs(what, &masked(&got).to_string(), &masked(&wanted).to_string());
        }
        let got = members(text);
        if got == order { Ok(()) } else { differs(what, &got, &order) }
    };
    let order =
        if want["members"].is_null() { json!(members(&answer.body)) } else { want["members"].clone() };
    compare("body", &answer.body, &want["json"], &order)?;
    for token in ["access_token", "id_token"] {
        let kind = token.split('_').next().unwrap();
        if !want[kind].is_null() {
            let claims = claims(&got[token]);
            compare(token, &claims, &want[kind], &want[format!("{kind}_members")])?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn requests_are_answered_as_they_were_recorded() {
    let server = serve();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in include_str!("cases.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        wrong.extend(play(&server, &case).await.err());
        count += 1;
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 250);
}
