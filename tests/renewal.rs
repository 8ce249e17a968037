//! Certificates that change while the server runs, and sessions that outlive them.

use std::time::Duration;

use bugle::limits::TLS_FILES_CHECKED_EVERY;
use rcgen::SerialNumber;
use rustls::HandshakeKind;

use crate::authority::{Authority, Secure};
use crate::support::soon;
use crate::tls::{caller, publish, shake, shake_as, shows};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_resumed_only_where_no_certificate_is_asked_for() {
    for (how, expected) in [
        ("off", HandshakeKind::Resumed),
        ("optional", HandshakeKind::Full),
        ("required", HandshakeKind::Full),
    ] {
        let secure = match how {
            "off" => Secure::start(|_, _| ()).await,
            how => Secure::asking(how).await,
        };
        let pair = secure.authority.client(|_| ());
        let caller = caller(&secure, (how != "off").then_some(&pair), &[b"h2"]);
        let (first, _) = soon(shake_as(&secure, caller.clone())).await.unwrap();
        assert_eq!(first.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        let (second, _) = soon(shake_as(&secure, caller)).await.unwrap();
        assert_eq!(second.get_ref().1.handshake_kind(), Some(expected), "{how}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_read_again_uses_new_paths_and_says_every_time_what_it_cannot_use() {
    let secure = Secure::start(|_, _| ()).await;
    let path = |name: &str| secure.folder.path().join(name).to_str().unwrap().to_owned();
    let mut config = secure.config.clone();
    let pair = secure.authority.server(|params| params.serial_number = Some(SerialNumber::from(7)));
    let clients = Authority::new("clients");
    for (name, text) in
        [("new.pem", &pair.certificate), ("new.key", &pair.key), ("clients.pem", &clients.pem)]
    {
        std::fs::write(path(name), text).unwrap();
    }
    (config.tls.cert, config.tls.key, config.tls.client_ca) =
        (path("new.pem"), path("new.key"), path("clients.pem"));
    config.tls.client_auth = "required";
    secure.server.live.apply(&config).unwrap();
    let own = clients.client(|_| ());
    soon(shows(&secure, &own, &pair)).await;
    publish(secure.with(&own)).await.unwrap();
    assert!(publish(secure.builder()).await.is_err(), "no certificate is enough");
    secure.replace("new.pem", "nonsense");
    for _ in 0..3 {
        let error = secure.server.live.apply(&config).unwrap_err();
        assert!(error.message().contains("new.pem has no certificate"), "{error}");
    }
    // The files that do not count any more may be anything.
    secure.replace("server.pem", "nonsense");
    publish(secure.with(&own)).await.unwrap();
    secure.replace("new.pem", &pair.certificate);
    secure.server.live.apply(&config).unwrap();
    config.tls.cert = path("missing.pem");
    let error = secure.server.live.apply(&config).unwrap_err();
    assert!(error.message().contains("missing.pem cannot be read"), "{error}");
    publish(secure.with(&own)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_and_its_key_may_come_one_after_the_other() {
    let secure = Secure::start(|_, _| ()).await;
    let pair = secure.authority.server(|params| params.serial_number = Some(SerialNumber::from(8)));
    secure.replace("server.key", &pair.key);
    tokio::time::sleep(TLS_FILES_CHECKED_EVERY * 3).await;
    publish(secure.builder()).await.unwrap();
    std::fs::remove_file(secure.folder.path().join("server.pem")).unwrap();
    tokio::time::sleep(TLS_FILES_CHECKED_EVERY + Duration::from_millis(100)).await;
    soon(shake(&secure, None, &[b"h2"])).await.unwrap();
    secure.replace("server.pem", &pair.certificate);
    soon(shows(&secure, &pair, &pair)).await;
}
