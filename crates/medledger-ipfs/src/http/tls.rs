//! Whom to trust that a server is who it says.

use super::endpoint::EndpointError;
use rustls::client::WantsClientCert;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;

/// For servers reached without TLS: trusts nobody.
pub(super) fn none() -> Result<ClientConfig, EndpointError> {
    Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// Trusts the authorities given in PEM, or those of the system.
pub(super) fn config(authorities: Option<&[u8]>) -> Result<ClientConfig, EndpointError> {
    let trusting: ConfigBuilder<ClientConfig, WantsClientCert> = match authorities {
        None => builder()?.with_platform_verifier().map_err(system)?,
        Some(pem) => builder()?.with_root_certificates(roots(pem)?),
    };
    Ok(trusting.with_no_client_auth())
}

/// The provider is named here, so that none has to be installed for the whole process.
fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, EndpointError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(system)
}

fn roots(pem: &[u8]) -> Result<RootCertStore, EndpointError> {
    let unusable = |reason: String| EndpointError::Certificates(reason);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| unusable(e.to_string()))?;
        roots.add(certificate).map_err(|e| unusable(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("none found".to_owned()));
    }
    Ok(roots)
}

fn system(error: rustls::Error) -> EndpointError {
    EndpointError::System(error.into())
}
