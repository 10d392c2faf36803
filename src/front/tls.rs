//! TLS: who the server says it is, and who may connect. What is spoken inside is the same as without.

use std::{error::Error, io, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject},
        },
        server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    },
    server::TlsStream,
};

/// What is spoken inside, the preferred first (RFC 7301).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Makes connections secret: TLS 1.2 and 1.3.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

/// Why certificates or keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate is no PEM.
    #[error("the certificate cannot be read: {0}")]
    Certificate(pem::Error),
    /// There is no certificate where one should be.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// The private key is no PEM, or not there.
    #[error("the private key cannot be read: {0}")]
    Key(pem::Error),
    /// What clients are checked against cannot be used.
    #[error("the certificates of clients cannot be checked: {0}")]
    Clients(Box<dyn Error + Send + Sync>),
    /// Certificate and key do not go together, or are of a kind that is not supported.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] tokio_rustls::rustls::Error),
}

impl Tls {
    /// A server with this chain of certificates, its own first, and their private key; all in PEM. With `clients`,
    /// only those may connect who have a certificate that leads to one of these.
    ///
    /// # Errors
    /// The first of the three that cannot be used.
    pub fn new(certificate: &[u8], key: &[u8], clients: Option<&[u8]>) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(clients) => {
                config.with_client_cert_verifier(verifier(clients, provider).map_err(TlsError::Clients)?)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Key)?;
        let mut config = config.with_single_cert(certificates(certificate)?, key)?;
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// The handshake on a new connection.
    ///
    /// # Errors
    /// If the two do not come together, or the peer is gone.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        self.0.accept(stream).await
    }
}

/// Whether the handshake has agreed on HTTP/2.
pub fn agreed_on_http2<S>(stream: &TlsStream<S>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(ALPN[0])
}

/// Checks that certificates of clients lead to one of `roots`.
fn verifier(
    roots: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Box<dyn Error + Send + Sync>> {
    let mut store = RootCertStore::empty();
    for root in certificates(roots)? {
        store.add(root)?;
    }
    Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider).build()?)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(TlsError::Certificate)?;
    if all.is_empty() { Err(TlsError::NoCertificate) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio_rustls::{
        TlsConnector,
        rustls::{
            ClientConfig, ProtocolVersion, SupportedProtocolVersion,
            pki_types::ServerName,
            version::{TLS12, TLS13},
        },
    };

    use super::*;

    const CERTIFICATE: &[u8] = include_bytes!("../../tests/tls/certificate.pem");
    const KEY: &[u8] = include_bytes!("../../tests/tls/key.pem");

    /// A client that trusts the certificate, and shows it too if it is to be known.
    fn client(version: &'static SupportedProtocolVersion, known: bool) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(certificates(CERTIFICATE).unwrap().remove(0)).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = if known {
            let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
            config.with_client_auth_cert(certificates(CERTIFICATE).unwrap(), key).unwrap()
        } else {
            config.with_no_client_auth()
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    #[tokio::test]
    async fn both_versions_are_spoken_and_http2_is_preferred() {
        let tls = Tls::new(CERTIFICATE, KEY, None).unwrap();
        for (version, number) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
            let (near, far) = duplex(64 * 1024);
            let name = ServerName::try_from("localhost").unwrap();
            let connector = client(version, false);
            let (near, far) = tokio::join!(connector.connect(name, near), tls.accept(far));
            let (near, far) = (near.unwrap(), far.unwrap());
            assert_eq!(near.get_ref().1.protocol_version(), Some(number));
            assert!(agreed_on_http2(&far));
        }
    }

    #[tokio::test]
    async fn where_clients_need_certificates_nobody_else_is_heard() {
        let tls = Tls::new(CERTIFICATE, KEY, Some(CERTIFICATE)).unwrap();
        for known in [true, false] {
            let (near, far) = duplex(64 * 1024);
            let connector = client(&TLS13, known);
            let near = async {
                let mut near = connector.connect(ServerName::try_from("localhost").unwrap(), near).await?;
                near.write_all(b"x").await?;
                // Lives on until the other side has read.
                io::Result::Ok(near)
            };
            let far = async { tls.accept(far).await?.read_u8().await };
            let (_, heard) = tokio::join!(near, far);
            assert_eq!(heard.ok(), known.then_some(b'x'));
        }
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for (certificate, key, clients, want) in [
            (KEY, KEY, None, "there is no certificate in it"),
            (CERTIFICATE, CERTIFICATE, None, "the private key cannot be read"),
            (
                CERTIFICATE,
                KEY,
                Some(&b""[..]),
                "the certificates of clients cannot be checked: there is no certificate in it",
            ),
        ] {
            let error = Tls::new(certificate, key, clients).err().unwrap().to_string();
            assert!(error.starts_with(want), "{error}");
        }
    }
}
