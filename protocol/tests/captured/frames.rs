//! The golden files: their names say client, API and version.

use std::path::Path;

use protocol::ApiKey;

/// A request and its answer, frames without their length.
pub(crate) struct Captured {
    /// The files' name up to `.request.bin`.
    pub(crate) name: String,
    pub(crate) client: String,
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
}

impl Captured {
    fn read(folder: &Path, name: &str) -> Captured {
        let mut parts = name.rsplitn(4, '-');
        parts.next().unwrap();
        let version = parts.next().unwrap().strip_prefix('v').unwrap().parse().unwrap();
        let key: i16 = parts.next().unwrap().parse().unwrap();
        let read = |side| std::fs::read(folder.join(format!("{name}.{side}.bin"))).unwrap();
        Captured {
            name: name.to_owned(),
            client: parts.next().unwrap().to_owned(),
            key: ApiKey::try_from(key).unwrap(),
            version,
            request: read("request"),
            response: read("response"),
        }
    }
}

/// All of them, by name.
pub(crate) fn captured() -> impl Iterator<Item = Captured> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captured");
    let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = files.filter_map(|file| file.strip_suffix(".request.bin").map(str::to_owned)).collect();
    names.sort();
    assert!(!names.is_empty(), "the golden files are missing");
    names.into_iter().map(move |name| Captured::read(&folder, &name))
}
