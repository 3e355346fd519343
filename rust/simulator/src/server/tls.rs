//! Certificates for `localhost`, made at the start: one authority, a good leaf, and bad ones on request.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use crate::SimulatorError;
use crate::fault::BadCertificate;

pub(crate) struct Tls {
    authority: Issuer<'static, KeyPair>,
    ca_pem: String,
    ca_der: CertificateDer<'static>,
    good: TlsAcceptor,
}

const HOSTS: [&str; 2] = ["localhost", "127.0.0.1"];

fn failed(e: impl std::fmt::Display) -> SimulatorError {
    SimulatorError::Tls(e.to_string())
}

/// Public `ServerConfig`s and `ClientConfig`s name their provider: nothing global is installed.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl Tls {
    pub(crate) fn new() -> Result<Self, SimulatorError> {
        let (authority, ca_pem, ca_der) = authority("XTrader simulator authority")?;
        let good = leaf(&authority, params(&HOSTS)?)?;
        Ok(Self { authority, ca_pem, ca_der, good })
    }

    /// The authority that clients must trust.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(crate) fn ca_der(&self) -> CertificateDer<'static> {
        self.ca_der.clone()
    }

    pub(crate) fn acceptor(&self, how: Option<BadCertificate>) -> Result<TlsAcceptor, SimulatorError> {
        match how {
            None | Some(BadCertificate::Stall) => Ok(self.good.clone()),
            Some(BadCertificate::Rotated) => leaf(&self.authority, params(&HOSTS)?),
            Some(BadCertificate::WrongHost) => leaf(&self.authority, params(&["elsewhere.example"])?),
            Some(BadCertificate::Untrusted) => leaf(&authority("Unknown authority")?.0, params(&HOSTS)?),
            Some(BadCertificate::Expired) => {
                let mut p = params(&HOSTS)?;
                p.not_before = rcgen::date_time_ymd(2019, 1, 1);
                p.not_after = rcgen::date_time_ymd(2020, 1, 1);
                leaf(&self.authority, p)
            }
            Some(BadCertificate::SelfSigned) => {
                let key = KeyPair::generate().map_err(failed)?;
                let certificate = params(&HOSTS)?.self_signed(&key).map_err(failed)?;
                acceptor(vec![certificate.der().clone()], &key)
            }
        }
    }
}

fn params(hosts: &[&str]) -> Result<CertificateParams, SimulatorError> {
    let mut p = CertificateParams::new(hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()).map_err(failed)?;
    p.distinguished_name.push(DnType::CommonName, hosts.first().copied().unwrap_or("localhost"));
    Ok(p)
}

type Authority = (Issuer<'static, KeyPair>, String, CertificateDer<'static>);

fn authority(name: &str) -> Result<Authority, SimulatorError> {
    let mut p = CertificateParams::default();
    p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    p.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = p.self_signed(&key).map_err(failed)?;
    Ok((Issuer::new(p, key), certificate.pem(), certificate.der().clone()))
}

fn leaf(authority: &Issuer<'static, KeyPair>, params: CertificateParams) -> Result<TlsAcceptor, SimulatorError> {
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.signed_by(&key, authority).map_err(failed)?;
    acceptor(vec![certificate.der().clone()], &key)
}

fn acceptor(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Result<TlsAcceptor, SimulatorError> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(failed)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
