//! Issuers behind TLS, with a certificate of an authority of their own.

use super::{
    UNAVAILABLE, code, directory, encodings,
    fake::{Issuer, SigningKey},
    invalid, list, of_users, serve, unavailable,
};

use crate::reloading::{MEMORY, Reloading};

/// A file of `tests/tls`.
fn path(name: &str) -> String {
    format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// An issuer whose certificate must lead to what is in a file.
fn trusting(issuer: &Issuer, ca: &str) -> String {
    format!("{}ca = \"{}\"\n", of_users(&issuer.url()), path(ca))
}

#[tokio::test]
async fn an_issuer_is_trusted_by_the_authority_that_is_named_and_by_no_other() {
    let key = SigningKey::new("k");
    let issuer = Issuer::start_with_tls().await;
    issuer.keys(&[&key]);
    let good = key.sign(&issuer.claims());
    let server = serve(&[trusting(&issuer, "ca.pem")]);
    for dialect in encodings() {
        list(&server, dialect, &good).await.unwrap();
        let forged = SigningKey::new("k").sign(&issuer.claims());
        assert_eq!(list(&server, dialect, &forged).await, Err(invalid()), "{dialect:?}");
    }
    // The system's roots do not know it, nor does another authority.
    for file in [of_users(&issuer.url()), trusting(&issuer, "certificate.pem")] {
        let asked = issuer.count_all();
        let mut server = serve(&[file]);
        for dialect in encodings() {
            assert_eq!(list(&server, dialect, &good).await, Err(unavailable()), "{dialect:?}");
        }
        let (line, _) = server.line("no keys of an issuer").await;
        assert!(line.contains(&issuer.url()) && line.contains("UnknownIssuer"), "{line}");
        assert_eq!(issuer.count_all(), asked, "nothing is said to whom nobody trusts");
        assert_eq!(code(&server, "u").await, 0);
    }
}

#[tokio::test]
async fn what_is_trusted_follows_the_file_of_roots() {
    let key = SigningKey::new("k");
    let issuer = Issuer::start_with_tls().await;
    issuer.keys(&[&key]);
    let good = key.sign(&issuer.claims());
    let named = directory(&[format!("{}ca = \"roots.pem\"\n", of_users(&issuer.url()))]);
    let mut server = Reloading::start(MEMORY, &directory(&[]));
    server.directory(&named);
    for (text, want) in [
        (None, "No such file or directory (os error 2)"),
        (Some(""), "there is no certificate in it"),
        (Some("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"), "it is not in PEM"),
        (
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "it is no certificate of an authority",
        ),
    ] {
        if let Some(text) = text {
            std::fs::write(server.path("roots.pem"), text).unwrap();
        }
        let (problem, _) = server.reload_in_vain().await;
        assert!(problem.starts_with("directory.toml:") && problem.contains("roots.pem: "), "{problem}");
        assert!(problem.contains(want), "{problem}");
    }
    for (ca, want) in [("ca.pem", 0), ("certificate.pem", UNAVAILABLE), ("ca.pem", 0)] {
        std::fs::copy(path(ca), server.path("roots.pem")).unwrap();
        server.reload().await;
        assert_eq!(code(&server, &good).await, want, "{ca}");
    }
}
