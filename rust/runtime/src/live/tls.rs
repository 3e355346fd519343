//! TLS 1.2 and 1.3 by rustls, judged by the platform's store of authorities. Nothing here can turn that off.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::{BuilderVerifierExt, Verifier};

use crate::error::RuntimeError;

/// The client's side of TLS. `extra_ca` adds the authorities of a PEM file (a proxy, a test) to the platform's own.
///
/// # Errors
/// The file cannot be read or holds no certificate, or the platform has no store.
pub fn client(extra_ca: Option<&Path>) -> Result<Arc<ClientConfig>, RuntimeError> {
    let fail = |problem: String| RuntimeError::System { doing: "set up TLS", problem };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| fail(e.to_string()))?;
    let config = match extra_ca {
        None => builder.with_platform_verifier().map_err(|e| fail(e.to_string()))?.with_no_client_auth(),
        Some(path) => {
            let roots = authorities(path)?;
            let verifier = Verifier::new_with_extra_roots(roots, provider).map_err(|e| fail(e.to_string()))?;
            // The name is rustls' own for any verifier that is handed in; this one is the platform's, with more roots.
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
    };
    Ok(Arc::new(config))
}

fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, RuntimeError> {
    let refuse = |problem: String| {
        RuntimeError::Options(format!("extra_ca {}: {problem}; name a PEM file with certificates", path.display()))
    };
    let file = File::open(path).map_err(|e| refuse(e.to_string()))?;
    let roots: Result<Vec<_>, _> = CertificateDer::pem_reader_iter(BufReader::new(file)).collect();
    match roots {
        Ok(roots) if roots.is_empty() => Err(refuse("it holds no certificate".to_owned())),
        Ok(roots) => Ok(roots),
        Err(e) => Err(refuse(e.to_string())),
    }
}
