//! Generated code is committed, so that building needs neither protoc nor a build script. These
//! tests prove that what is committed is what the proto files say.
//!
//! After a change of a proto file run `BUGLE_BLESS=1 cargo test --test main generated`.

use std::path::Path;

const PROTOS: &[&str] = &["bugle/v1/bugle.proto"];

fn generate(into: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut compiler = protox::Compiler::new([root.join("proto")]).unwrap();
    compiler.include_source_info(false).include_imports(true).open_files(PROTOS).unwrap();
    let descriptors = compiler.file_descriptor_set();
    std::fs::write(into.join("descriptor.bin"), compiler.encode_file_descriptor_set()).unwrap();

    // Comments come from the source information, which the reflection service does not need.
    let mut documented = protox::Compiler::new([root.join("proto")]).unwrap();
    documented.include_source_info(true).include_imports(true).open_files(PROTOS).unwrap();
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

#[test]
fn the_committed_code_is_what_the_proto_files_say() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/proto");
    let fresh = tempfile::tempdir().unwrap();
    generate(fresh.path());
    for file in ["bugle.v1.rs", "descriptor.bin"] {
        let new = std::fs::read(fresh.path().join(file)).unwrap();
        if std::env::var_os("BUGLE_BLESS").is_some() {
            std::fs::write(committed.join(file), &new).unwrap();
        }
        let old = std::fs::read(committed.join(file)).unwrap_or_default();
        assert!(
            old == new,
            "src/proto/{file} is stale: run `BUGLE_BLESS=1 cargo test --test main generated`"
        );
    }
}
