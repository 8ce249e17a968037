//! TLS on a real listener: who is let in, who is not, and what happens when certificates change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bugle::client::{Client, ClientBuilder, Event};
use bugle::error::Error;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::authority::{Authority, Files, Pair, Secure};
use crate::support::{config, soon};

/// A publish over a connection of its own.
pub async fn publish(builder: ClientBuilder) -> Result<(), Error> {
    let client = soon(builder.connect()).await?;
    soon(client.publish("t", "x")).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_trusts_the_authority_is_served_and_others_say_why_not() {
    let secure = Secure::start(|_, _| ()).await;
    publish(secure.builder()).await.unwrap();
    let port = secure.server.address.port();
    let other = Authority::new("other");
    let wrong_name =
        Client::builder(format!("https://127.0.0.1:{port}")).ca_certificate(secure.authority.pem.clone());
    for (builder, says) in [
        (secure.builder().ca_certificate(other.pem.clone()), "not trusted here"),
        (Client::builder(format!("https://localhost:{port}")), "not trusted here"),
        (wrong_name.clone(), "for another name"),
        (secure.builder().domain_name("elsewhere.example"), "for another name"),
        (Client::builder(format!("http://localhost:{port}")), "failed"),
        (Client::builder(format!("http://localhost:{port}")).ca_certificate(other.pem.clone()), "https://"),
        (secure.builder().ca_certificate("nonsense"), "no certificate in PEM"),
        (secure.builder().identity("nonsense", "nonsense"), "no certificate in PEM"),
    ] {
        let error = publish(builder).await.unwrap_err();
        assert!(error.message().contains(says), "{says}: {error}");
    }
    publish(wrong_name.domain_name("localhost")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_valid_now_is_told_as_such() {
    for (change, says) in [
        (
            &(|params: &mut CertificateParams| params.not_after = date_time_ymd(2024, 1, 1))
                as &dyn Fn(&mut _),
            "has expired",
        ),
        (&|params: &mut CertificateParams| params.not_before = date_time_ymd(2999, 1, 1), "not valid yet"),
    ] {
        let secure = Secure::start(|_, first| {
            let pair = first.authority.server(change);
            first.put("server.pem", &pair.certificate);
            first.put("server.key", &pair.key);
        })
        .await;
        let error = publish(secure.builder()).await.unwrap_err();
        assert!(error.message().contains(says), "{says}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_has_to_be_one_of_the_authority_and_valid() {
    const REVOKED: u64 = 4711;
    let secure = Secure::start(|config, first| {
        first.put("client-ca.pem", &first.authority.pem);
        first.put("crl.pem", &first.authority.revoking(REVOKED));
        config.tls.client_ca = first.path("client-ca.pem");
        config.tls.crl = first.path("crl.pem");
        config.tls.client_auth = "required";
    })
    .await;
    let (own, other) = (&secure.authority, Authority::new("other"));
    publish(secure.with(&own.client(|_| ()))).await.unwrap();
    let self_signed = {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        params.subject_alt_names = vec![SanType::URI("spiffe://test/billing".try_into().unwrap())];
        Pair { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    };
    for (what, pair) in [
        ("of another authority", other.client(|_| ())),
        ("of another authority with the same name", Authority::new("own").client(|_| ())),
        ("self-signed", self_signed),
        ("expired", own.client(|params| params.not_after = date_time_ymd(2024, 1, 1))),
        ("not yet valid", own.client(|params| params.not_before = date_time_ymd(2999, 1, 1))),
        ("revoked", own.client(|params| params.serial_number = Some(SerialNumber::from(REVOKED)))),
        (
            "for servers",
            own.client(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        ),
        (
            "for code",
            own.client(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning]),
        ),
        ("an authority's", own.client(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))),
        ("without a name", own.client(|params| params.subject_alt_names.clear())),
        (
            "with an address as its name",
            own.client(|params| params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())]),
        ),
        (
            "with a name that no principal can have",
            own.client(|params| params.subject_alt_names = vec![SanType::URI("a b".try_into().unwrap())]),
        ),
        (
            "with a DNS name that is written like a URI",
            own.client(|params| {
                params.subject_alt_names =
                    vec![SanType::DnsName("spiffe://test/billing".try_into().unwrap())];
            }),
        ),
        (
            "with a mail address that is written like a DNS name",
            own.client(|params| {
                params.subject_alt_names = vec![SanType::Rfc822Name("billing.example".try_into().unwrap())];
            }),
        ),
        (
            "for any host of a domain",
            own.client(|params| {
                params.subject_alt_names = vec![SanType::DnsName("*.example".try_into().unwrap())];
            }),
        ),
        ("with the key of another", Pair { key: own.client(|_| ()).key, ..own.client(|_| ()) }),
    ] {
        assert!(publish(secure.with(&pair)).await.is_err(), "a certificate {what} was let in");
    }
    assert!(publish(secure.builder()).await.is_err(), "no certificate was let in");
    publish(secure.with(&own.client(|_| ()))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_says_who_published_and_may_be_left_out_where_it_is_optional() {
    let secure = Secure::start(|config, first| {
        first.put("client-ca.pem", &first.authority.pem);
        config.tls.client_ca = first.path("client-ca.pem");
        config.tls.client_auth = "optional";
        config.auth.enabled = true;
        let everything = [
            ("principal".to_owned(), bugle::config::Raw::Text("cert:spiffe://test/billing".to_owned())),
            (
                "actions".to_owned(),
                bugle::config::Raw::List(vec!["publish".to_owned(), "subscribe".to_owned()]),
            ),
        ];
        config.policies = vec![bugle::config::policy(&everything, "test").unwrap()];
    })
    .await;
    let own = &secure.authority;
    let names = |names: &[&str]| -> Vec<SanType> {
        names
            .iter()
            .map(|name| match name.contains("://") {
                true => SanType::URI((*name).try_into().unwrap()),
                false => SanType::DnsName((*name).try_into().unwrap()),
            })
            .collect()
    };
    // The URI counts, wherever it stands.
    let both =
        own.client(|params| params.subject_alt_names = names(&["billing.example", "spiffe://test/billing"]));
    let client = soon(secure.with(&both).connect()).await.unwrap();
    let mut feed = soon(client.subscribe("t").open()).await.unwrap();
    soon(client.publish("t", "x")).await.unwrap();
    let publisher = loop {
        if let Event::Message(message) = soon(feed.next()).await.unwrap().unwrap() {
            break message.publisher().to_owned();
        }
    };
    assert_eq!(publisher, "cert:spiffe://test/billing");
    for name in ["spiffe://test/billing2", "spiffe://TEST/billing", "billing.example"] {
        let pair = own.client(|params| params.subject_alt_names = names(&[name]));
        assert_eq!(publish(secure.with(&pair)).await.unwrap_err().reason_code(), Some("POLICY"), "{name}");
    }
    assert_eq!(publish(secure.builder()).await.unwrap_err().reason_code(), Some("CREDENTIAL_MISSING"));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_change_under_load_without_a_failed_call() {
    let secure = Arc::new(Secure::asking("required").await);
    let old = secure.authority.client(|_| ());
    let client = soon(secure.with(&old).connect()).await.unwrap();
    let mut feed = soon(client.subscribe("live").open()).await.unwrap();
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (secure, old, stop, calls) = (secure.clone(), old.clone(), stop.clone(), calls.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    // Each on a connection of its own: a handshake each.
                    publish(secure.with(&old)).await.unwrap();
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let next = Authority::new("next");
    for round in 0..3 {
        // Clients of the old authority and of the new one at once, as a change of authorities is made.
        secure.replace("client-ca.pem", &format!("{}{}", secure.authority.pem, next.pem));
        let pair =
            secure.authority.server(|params| params.serial_number = Some(SerialNumber::from(100 + round)));
        secure.replace("server.key", &pair.key);
        secure.replace("server.pem", &pair.certificate);
        soon(shows(&secure, &old, &pair)).await;
    }
    publish(secure.with(&next.client(|_| ()))).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    for task in load {
        soon(task).await.unwrap();
    }
    assert!(calls.load(Ordering::Relaxed) > 20);
    // What was open before lives on.
    soon(client.publish("live", "still here")).await.unwrap();
    let message = loop {
        if let Event::Message(message) = soon(feed.next()).await.unwrap().unwrap() {
            break message;
        }
    };
    assert_eq!(message.payload().as_ref(), b"still here");
    // Broken files change nothing.
    secure.replace("server.pem", "nonsense");
    secure.replace("client-ca.pem", "");
    tokio::time::sleep(bugle::limits::TLS_FILES_CHECKED_EVERY * 2).await;
    publish(secure.with(&old)).await.unwrap();
}

/// Waits until new connections are shown this certificate.
pub async fn shows(secure: &Secure, client: &Pair, expected: &Pair) {
    let expected = CertificateDer::from_pem_slice(expected.certificate.as_bytes()).unwrap();
    loop {
        let (stream, _) = shake(secure, Some(client), &[b"h2"]).await.unwrap();
        let (_, session) = stream.get_ref();
        if session.peer_certificates().unwrap()[0] == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

type Shaken = (tokio_rustls::client::TlsStream<TcpStream>, Vec<u8>);

/// A handshake with these protocols; and what the server sends at once.
pub async fn shake(secure: &Secure, client: Option<&Pair>, protocols: &[&[u8]]) -> std::io::Result<Shaken> {
    shake_as(secure, caller(secure, client, protocols)).await
}

/// Whoever begins a handshake with these protocols, and what it remembers of former ones.
pub fn caller(secure: &Secure, client: Option<&Pair>, protocols: &[&[u8]]) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(secure.authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.unwrap().with_root_certificates(roots);
    let mut config = match client {
        Some(pair) => {
            let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
            let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// A handshake of this caller; and what the server sends at once.
pub async fn shake_as(secure: &Secure, caller: Arc<rustls::ClientConfig>) -> std::io::Result<Shaken> {
    let stream = TcpStream::connect(secure.server.address).await?;
    let connector = tokio_rustls::TlsConnector::from(caller);
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
    let mut first = vec![0; 9];
    stream.read_exact(&mut first).await?;
    Ok((stream, first))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_speak_what_it_agreed_to_is_not_let_in() {
    let secure = Secure::start(|_, _| ()).await;
    let (_, first) = soon(shake(&secure, None, &[b"h2"])).await.unwrap();
    assert_eq!(first[3], 4, "the settings of the server");
    soon(shake(&secure, None, &[b"http/1.1", b"h2"])).await.unwrap();
    // Whoever agrees to nothing is known by how it begins.
    soon(shake(&secure, None, &[])).await.unwrap();
    for protocols in [&[b"http/1.1" as &[u8]], &[b"h3" as &[u8]]] {
        assert!(soon(shake(&secure, None, protocols)).await.is_err(), "{protocols:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_handshake_or_half_of_one_is_closed_and_keeps_nobody_out() {
    let secure = Secure::start(|config, _| {
        config.limits.handshake_deadline = Duration::from_secs(2);
        config.limits.max_handshakes_per_address = 64;
    })
    .await;
    let mut half = Vec::new();
    // The beginning of a record of a handshake, and nothing behind it.
    for _ in 0..32 {
        let mut stream = TcpStream::connect(secure.server.address).await.unwrap();
        stream.write_all(&[22, 3, 1, 2, 0, 1, 0]).await.unwrap();
        half.push(stream);
    }
    // An old version (TLS 1.1), other bytes, a request in the clear.
    for bytes in [
        &[22, 3, 2, 0, 5, 1, 0, 0, 1, 0][..],
        &[0; 64],
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(secure.server.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let _ = soon(stream.read_to_end(&mut rest)).await;
        assert!(rest.is_empty() || rest[0] == 21, "an alert or nothing: {rest:?}");
    }
    publish(secure.builder()).await.unwrap();
    for mut stream in half {
        let _ = soon(stream.read_to_end(&mut Vec::new())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_are_told_by_name_when_the_server_starts() {
    let authority = Authority::new("own");
    let (pair, other) = (authority.server(|_| ()), authority.server(|_| ()));
    for (certificate, key, client_ca, crl, says) in [
        ("", pair.key.as_str(), "", "", "server.pem has no certificate"),
        ("nonsense", &pair.key, "", "", "server.pem has no certificate"),
        (&pair.certificate, "nonsense", "", "", "server.key has no private key"),
        (&pair.certificate, &other.key, "", "", "do not go together"),
        (&pair.certificate, &pair.key, "nonsense", "", "client-ca.pem has no certificate"),
        (&pair.certificate, &pair.key, &authority.pem, "nonsense", "crl.pem has no list"),
    ] {
        let folder = TempDir::new().unwrap();
        let first = Files { folder: &folder, authority: &authority };
        let mut config = config();
        for (name, text) in
            [("server.pem", certificate), ("server.key", key), ("client-ca.pem", client_ca), ("crl.pem", crl)]
        {
            first.put(name, text);
        }
        (config.tls.cert, config.tls.key) = (first.path("server.pem"), first.path("server.key"));
        if !client_ca.is_empty() {
            (config.tls.client_ca, config.tls.client_auth) = (first.path("client-ca.pem"), "required");
        }
        if !crl.is_empty() {
            config.tls.crl = first.path("crl.pem");
        }
        let error = bugle::server::Server::bind(config).await.err().unwrap();
        assert!(error.message().contains(says), "{says}: {error}");
    }
    let mut config = config();
    (config.tls.cert, config.tls.key) = ("/does/not/exist.pem".to_owned(), "/does/not/exist.key".to_owned());
    let error = bugle::server::Server::bind(config).await.err().unwrap();
    assert!(error.message().contains("/does/not/exist.pem cannot be read"), "{error}");
}
