//! Servers with TLS, whose files can be changed, and the authority that all their certificates are of.

use std::path::PathBuf;
use std::time::Duration;

use bugle::client::{Client, ClientBuilder};
use bugle::config::Config;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
    date_time_ymd,
};
use tempfile::TempDir;

use crate::support::{Running, config};

/// An authority of the test's own.
pub struct Authority {
    pub issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    pub fn sign(&self, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::default();
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    pub fn server(&self, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        self.sign(|params| {
            params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            change(params);
        })
    }

    pub fn client(&self, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        self.sign(|params| {
            params.subject_alt_names = vec![SanType::URI("spiffe://test/billing".try_into().unwrap())];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            change(params);
        })
    }

    pub fn revoking(&self, serial: u64) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2999, 1, 1),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// A server with TLS, whose files can be changed.
pub struct Secure {
    pub server: Running,
    /// What it runs with.
    pub config: Config,
    pub folder: TempDir,
    pub authority: Authority,
}

impl Secure {
    pub async fn start(change: impl FnOnce(&mut Config, &Files)) -> Secure {
        let (folder, authority) = (TempDir::new().unwrap(), Authority::new("own"));
        let first = Files { folder: &folder, authority: &authority };
        let pair = authority.server(|_| ());
        first.put("server.pem", &pair.certificate);
        first.put("server.key", &pair.key);
        let mut config = config();
        config.tls.cert = first.path("server.pem");
        config.tls.key = first.path("server.key");
        change(&mut config, &first);
        let server = Running::start(config.clone()).await;
        Secure { server, config, folder, authority }
    }

    /// One that asks for certificates of its authority.
    pub async fn asking(how: &'static str) -> Secure {
        Secure::start(|config, first| {
            first.put("client-ca.pem", &first.authority.pem);
            config.tls.client_ca = first.path("client-ca.pem");
            config.tls.client_auth = how;
        })
        .await
    }

    pub fn builder(&self) -> ClientBuilder {
        Client::builder(format!("https://localhost:{}", self.server.address.port()))
            .ca_certificate(self.authority.pem.clone())
            .connect_timeout(Duration::from_secs(10))
            .keepalive(Duration::from_secs(2), Duration::from_secs(2))
    }

    pub fn with(&self, pair: &Pair) -> ClientBuilder {
        self.builder().identity(pair.certificate.clone(), pair.key.clone())
    }

    /// Puts a file in the place of another in one step, as whoever renews certificates does.
    pub fn replace(&self, name: &str, text: &str) {
        let fresh = self.folder.path().join(format!("{name}.new"));
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(fresh, self.folder.path().join(name)).unwrap();
    }
}

/// What there is of it before it runs.
pub struct Files<'a> {
    pub folder: &'a TempDir,
    pub authority: &'a Authority,
}

impl Files<'_> {
    pub fn path(&self, name: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        path.to_str().unwrap().to_owned()
    }

    pub fn put(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }
}
