//! Replays the corpus of the fuzz targets (`/fuzz`), which need a compiler of their own to run.

#[path = "../../../fuzz/checks.rs"]
mod checks;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is part of the repository") {
        let path = entry.expect("a folder that can be read").path();
        check(&std::fs::read(&path).expect("a file that can be read"));
        replayed += 1;
    }
    assert!(replayed > 5, "{} holds {replayed} files", folder.display());
}

#[test]
fn scanners_and_reader_agree_on_the_corpus() {
    replay("two_paths", checks::two_paths);
}

#[test]
fn number_kernels_agree_on_the_corpus() {
    replay("numbers", checks::numbers);
}

#[test]
fn readers_of_documents_agree_on_the_corpus() {
    replay("documents", checks::documents);
}
