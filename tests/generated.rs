//! Generated code is committed, so that building needs neither protoc nor a build script. These
//! tests prove that what is committed is what the proto files say.
//!
//! After a change of a proto file run `BUGLE_BLESS=1 cargo test --test main generated`.

use std::path::Path;

/// Our own API, and what is generated of it.
const NATIVE: Generated =
    Generated { protos: &["bugle/v1/bugle.proto"], into: "src/proto", files: &["bugle.v1.rs"] };
/// What clients of Momento call.
const MOMENTO: Generated = Generated {
    protos: &[
        "momento/auth.proto",
        "momento/control.proto",
        "momento/permissions.proto",
        "momento/ping.proto",
        "momento/pubsub.proto",
        "momento/token.proto",
    ],
    into: "src/proto/momento",
    files: &[
        "auth.rs",
        "cache_client.pubsub.rs",
        "cache_client.rs",
        "control_client.rs",
        "permission_messages.rs",
        "token.rs",
    ],
};

struct Generated {
    protos: &'static [&'static str],
    into: &'static str,
    /// Beside the descriptors.
    files: &'static [&'static str],
}

fn generate(protos: &[&str], into: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut compiler = protox::Compiler::new([root.join("proto")]).unwrap();
    compiler.include_source_info(false).include_imports(true).open_files(protos).unwrap();
    let descriptors = compiler.file_descriptor_set();
    std::fs::write(into.join("descriptor.bin"), compiler.encode_file_descriptor_set()).unwrap();

    // Comments come from the source information, which the reflection service does not need.
    let mut documented = protox::Compiler::new([root.join("proto")]).unwrap();
    documented.include_source_info(true).include_imports(true).open_files(protos).unwrap();
    drop(descriptors);
    let mut prost = prost_build::Config::new();
    prost.bytes(["."]);
    prost.btree_map(["."]);
    tonic_prost_build::configure()
        .out_dir(into)
        .build_transport(false)
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .client_mod_attribute(".", "#[cfg(feature = \"client\")]")
        .compile_fds_with_config(documented.file_descriptor_set(), prost)
        .unwrap();
}

fn is_fresh(generated: &Generated) {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join(generated.into);
    let fresh = tempfile::tempdir().unwrap();
    generate(generated.protos, fresh.path());
    for file in generated.files.iter().chain(&["descriptor.bin"]) {
        let new = std::fs::read(fresh.path().join(file)).unwrap();
        if std::env::var_os("BUGLE_BLESS").is_some() {
            std::fs::write(committed.join(file), &new).unwrap();
        }
        let old = std::fs::read(committed.join(file)).unwrap_or_default();
        assert!(
            old == new,
            "{}/{file} is stale: run `BUGLE_BLESS=1 cargo test --test main generated`",
            generated.into
        );
    }
}

#[test]
fn the_committed_code_is_what_the_proto_files_say() {
    is_fresh(&NATIVE);
}

#[test]
fn the_committed_code_for_clients_of_momento_is_what_the_proto_files_say() {
    is_fresh(&MOMENTO);
}
