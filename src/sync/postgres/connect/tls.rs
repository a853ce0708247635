//! TLS with libpq's modes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::AddressError;

/// How the connection is protected, by libpq's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// Without TLS.
    Disable,
    /// With TLS if the server offers it. The certificate isn't checked.
    Prefer,
    /// With TLS. The certificate is checked only if `sslrootcert` is set.
    Require,
    /// With TLS, and the certificate's chain must end at a trusted root.
    VerifyCa,
    /// The same, and the certificate must name the host.
    VerifyFull,
}

impl SslMode {
    /// The mode with this name.
    pub(super) fn parse(word: &str) -> Result<Self, AddressError> {
        Ok(match word {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return Err(AddressError::SslMode),
        })
    }
}

/// Settings for TLS.
#[derive(Clone, Debug)]
pub(super) struct TlsOptions {
    pub mode: SslMode,
    /// The file of trusted roots; the system's by default.
    pub root_cert: Option<PathBuf>,
    /// A certificate and its key, for servers that require one.
    pub client_cert: Option<(PathBuf, PathBuf)>,
}

impl TlsOptions {
    /// The settings by libpq's names, which `get` looks up. As in libpq, sockets of this machine need
    /// no TLS, and servers don't offer it there.
    pub(super) fn new<'a>(
        only_sockets: bool,
        get: &dyn Fn(&str) -> Option<&'a str>,
    ) -> Result<Self, AddressError> {
        let mode = get("sslmode").map(SslMode::parse).transpose()?;
        let root_cert = get("sslrootcert");
        let default = match root_cert {
            Some("system") => SslMode::VerifyFull,
            _ => SslMode::Prefer,
        };
        Ok(Self {
            mode: match only_sockets {
                true => SslMode::Disable,
                false => mode.unwrap_or(default),
            },
            root_cert: root_cert
                .filter(|path| *path != "system")
                .map(PathBuf::from),
            client_cert: get("sslcert")
                .zip(get("sslkey"))
                .map(|(cert, key)| (cert.into(), key.into())),
        })
    }

    /// The connector for the client library.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, AddressError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(AddressError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(provider)?);
        let config = match &self.client_cert {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = certificates(cert)?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(not_pem(key))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(AddressError::Tls)?
            }
        };
        Ok(MakeRustlsConnect::new(config))
    }

    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, AddressError> {
        // As in libpq: with a root certificate, the server's certificate is checked.
        let checked = match self.mode {
            SslMode::VerifyCa | SslMode::VerifyFull => true,
            SslMode::Require => self.root_cert.is_some(),
            SslMode::Disable | SslMode::Prefer => false,
        };
        if !checked {
            return Ok(Arc::new(Lenient {
                inner: None,
                provider,
            }));
        }
        let mut roots = RootCertStore::empty();
        match &self.root_cert {
            Some(path) => {
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(AddressError::Tls)?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err(AddressError::NoRoots);
        }
        let inner =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|_| AddressError::NoRoots)?;
        Ok(match self.mode {
            SslMode::VerifyFull => inner,
            _ => Arc::new(Lenient {
                inner: Some(inner),
                provider,
            }),
        })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AddressError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(not_pem(path))
}

fn not_pem(path: &Path) -> impl FnOnce(pem::Error) -> AddressError {
    let path = path.to_owned();
    |source| AddressError::Pem { path, source }
}

/// Checks less than rustls does: the chain without the host's name, or only the signature of the
/// handshake.
#[derive(Debug)]
struct Lenient {
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(inner) = &self.inner else {
            return Ok(ServerCertVerified::assertion());
        };
        // The name is checked last: if it is wrong, the chain was right.
        match inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
